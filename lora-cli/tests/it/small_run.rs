//! A run of a few seconds whose files do not depend on when they are written.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::program::{GOLDEN, lora};

/// Steps between two checkpoints of the runs, all of which have twelve steps.
pub const EVERY: u64 = 2;

/// A small run whose files do not depend on when they are written.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pictures = folder.path().join("pictures/2_sks");
        fs::create_dir_all(&pictures).expect("a folder");
        for index in 0..3u8 {
            let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([80 * index, 100, 50]));
            let path = pictures.join(format!("{index}.png"));
            picture.save(path).expect("a picture");
        }
        let model = format!("{GOLDEN}/tiny-sd15");
        let text = format!(
            "[model]\npath = '{model}'\n[dataset]\nresolution = 64\n[[dataset.folders]]\npath = 'pictures'\n\
             [lora]\nrank = 2\ntargets = ['attention']\ndropout.rank = 0.1\n\
             [train]\nepochs = 2\nlog_every = 1\ndevice = 'cpu'\n\
             [checkpoint]\nevery = {EVERY}\n[output]\nname = 'thing'\n"
        );
        fs::write(folder.path().join("run.toml"), text).expect("a config");
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program, which takes every moment for the same.
    pub fn program(&self) -> Command {
        let mut command = lora(self.folder.path());
        command.env("SOURCE_DATE_EPOCH", "1000000000");
        command
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, out: &str) -> Command {
        let mut command = self.program();
        command
            .args(["train", "run.toml", "--resume", "latest", "--set"])
            .arg(format!("output.folder={out}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, out: &str) -> Output {
        self.command(out).output().expect("a process")
    }

    /// All saved files by name, metadata included.
    pub fn files(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.out(out)).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
            .map(|path| {
                let bytes = fs::read(&path).expect("a file");
                (
                    path.file_name()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned(),
                    bytes,
                )
            })
            .collect();
        files.sort();
        files
    }

    /// Files that were begun and never finished.
    pub fn unfinished(&self, out: &str) -> usize {
        let folders = [self.out(out), self.out(out).join("checkpoints")];
        let entries = folders.into_iter().flat_map(fs::read_dir);
        let names = entries
            .flatten()
            .map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(".writing"))
            .count()
    }

    /// Steps of the newest checkpoint, and of the last line of the log.
    pub fn progress(&self, out: &str) -> (u64, u64) {
        let checkpoints = fs::read_dir(self.out(out).join("checkpoints"));
        let names = checkpoints
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let steps = names.filter_map(|name| {
            name.strip_prefix("step")?
                .strip_suffix(".state")?
                .parse()
                .ok()
        });
        let log = fs::read_to_string(self.out(out).join("metrics.jsonl")).unwrap_or_default();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let told = events
            .filter(|event| event["event"] == "stepped")
            .filter_map(|event| event["step"].as_u64());
        (steps.max().unwrap_or(0), told.max().unwrap_or(0))
    }
}
