//! Running `lora` and looking at what it says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// The small model and its pictures.
pub const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/mini");
/// A LoRA file of sd-scripts' layout with convolutions.
pub const LOCON: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../testdata/golden/lora/tiny-sd15-locon.safetensors"
);

/// PyTorch's models and LoRA files.
pub const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden");

/// The program, in `folder`, untouched by the settings of whoever runs the tests.
pub fn lora(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lora"));
    command
        .current_dir(folder)
        .env_remove("COLUMNS")
        .env_remove("LORA_LOG");
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    lora(folder)
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// What the program printed, for a snapshot.
pub fn transcript(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let code = output
        .status
        .code()
        .map_or_else(|| "none".to_owned(), |code| code.to_string());
    let stdout = text(&output.stdout);
    let stderr = text(&output.stderr);
    format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Hides what differs from machine to machine.
pub fn with_filters(check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(&regex_of(MINI), "[MINI]");
    settings.add_filter(r"\S*/testdata/golden", "[GOLDEN]");
    settings.add_filter(r"/tmp/\.tmp\w+|/\S*/\.tmp\w+", "[FOLDER]");
    settings.add_filter(r"\d+ threads", "[N] threads");
    settings.add_filter(r", [\d.]+ .?B free", ", [SIZE] free");
    settings.bind(check);
}

fn regex_of(path: &str) -> String {
    path.chars()
        .flat_map(|c| {
            if c.is_alphanumeric() || c == '/' {
                vec![c]
            } else {
                vec!['\\', c]
            }
        })
        .collect()
}

/// A folder with a config that trains a few steps on the small model.
pub fn training_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.toml");
    let config = format!(
        "[model]\npath = '{MINI}/base'\n\
         [dataset]\nresolution = 64\n\
         [[dataset.folders]]\npath = '{MINI}/style'\nrepeats = 9\n\
         [lora]\nrank = 4\nalpha = 4.0\n\
         [train]\nepochs = 6\nmax_steps = 300\nbatch_size = 4\nunet_lr = 1e-3\ntext_lr = 1e-3\nlog_every = 1\n\
         [output]\nfolder = 'out'\nname = 'blueprint'\n"
    );
    fs::write(&path, config).expect("a config");
    (folder, path)
}
