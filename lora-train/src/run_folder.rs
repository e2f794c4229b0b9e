mod possession;
mod progress;

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use atomic_file::{TEMPORARY_PREFIX, WriteError, write_atomically};
use lora_data::FolderLock;

use crate::{
    Event,
    config::TrainConfig,
    log::{self, Logs},
};
pub use possession::RunFolderError;

/// The copy of the file of the epoch that ranks first, in a run of that name.
pub(crate) fn best_file(name: &str) -> String {
    format!("{name}-best.safetensors")
}

/// The folder of previews.
pub(crate) const PREVIEWS: &str = "previews";

/// The folder of pictures drawn to compare the saved files.
const CHOOSING: &str = "choosing";

/// The folder of one run: saved files, `previews/`, logs (`metrics.jsonl` and what `[log]` asks for) and `resolved.toml`, the
/// config with all its defaults and with absolute paths.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
    logs: Logs,
    /// Nobody else writes to the folder.
    _lock: Option<FolderLock>,
}

impl RunFolder {
    /// Makes the folder and writes the resolved config.
    ///
    /// # Errors
    /// When saved files of an earlier run of that name are there and the config does not allow to replace them, when
    /// another run writes to the folder, or when it cannot be written to.
    pub fn create(config: &TrainConfig) -> Result<Self, RunFolderError> {
        Self::create_over(config, config.output.overwrite)
    }

    /// The same where a run left nothing but its log and previews, because it ended before its first checkpoint.
    ///
    /// # Errors
    /// As [`Self::create`], when there are saved files.
    pub(crate) fn begin_again(config: &TrainConfig) -> Result<Self, RunFolderError> {
        let (folder, name) = (&config.output.folder, &config.output.name);
        let earlier = earlier_files(folder, name).unwrap_or_default();
        let mut names = earlier.iter().filter_map(|path| path.file_name());
        let has_saved = names.any(|file| is_saved_file(&file.to_string_lossy(), name));
        Self::create_over(config, config.output.overwrite || !has_saved)
    }

    fn create_over(config: &TrainConfig, overwrite: bool) -> Result<Self, RunFolderError> {
        let path = config.output.folder.clone();
        let lock = possession::take(&path)?;
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| WriteError { path, source }
        };
        let folder = Self {
            logs: {
                Self::open(&path, config, overwrite).map_err(at(&path))?;
                Logs::create(&path, &config.log)?
            },
            path,
            name: config.output.name.clone(),
            _lock: Some(lock),
        };
        folder.write("resolved.toml", config.absolute().to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Goes on in the folder of a run, whose logs are cut to the lengths that they had at the checkpoint: what was told
    /// after that will be told again.
    ///
    /// # Errors
    /// When another run writes to the folder, or it cannot be written to.
    pub(crate) fn resume(
        config: &TrainConfig,
        logs: &BTreeMap<String, u64>,
    ) -> Result<Self, RunFolderError> {
        let path = config.output.folder.clone();
        let lock = possession::take(&path)?;
        let ready = || {
            create_folders(&path, config)?;
            sweep(&path)
        };
        ready().map_err(|source| WriteError {
            path: path.clone(),
            source,
        })?;
        let folder = Self {
            logs: Logs::go_on(&path, &config.log, logs)?,
            path,
            name: config.output.name.clone(),
            _lock: Some(lock),
        };
        folder.write("resolved.toml", config.absolute().to_toml().as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run that only times its steps: nothing is made, and what is told is not logged.
    pub(crate) fn unwritten(config: &TrainConfig) -> Self {
        Self {
            path: config.output.folder.clone(),
            name: config.output.name.clone(),
            logs: Logs::default(),
            _lock: None,
        }
    }

    /// Lengths of the logs by name, all of which are on the disk then.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub(crate) fn log_lengths(&mut self) -> Result<BTreeMap<String, u64>, WriteError> {
        self.logs.lengths()
    }

    fn open(path: &Path, config: &TrainConfig, overwrite: bool) -> io::Result<()> {
        create_folders(path, config)?;
        sweep(path)?;
        Self::make_room(path, config, overwrite)
    }

    /// Removes what an earlier run left, if the config allows it.
    fn make_room(path: &Path, config: &TrainConfig, overwrite: bool) -> io::Result<()> {
        let earlier = earlier_files(path, &config.output.name)?;
        if let (Some(file), false) = (earlier.first(), overwrite) {
            let message = format!(
                "{} is there from an earlier run; go on with it (--resume latest), choose another output.folder, or set \
                 output.overwrite=true",
                file.file_name().unwrap_or_default().display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        earlier.iter().try_for_each(fs::remove_file)
    }

    /// Whether a run could begin in the config's folder now.
    ///
    /// # Errors
    /// When another run writes to it, or an earlier run's files are there and may not be replaced.
    pub fn check(config: &TrainConfig) -> Result<(), RunFolderError> {
        Self::check_free(config)?;
        let path = &config.output.folder;
        if config.output.overwrite || !path.exists() {
            return Ok(());
        }
        Self::make_room(path, config, false).map_err(|source| WriteError {
            path: path.clone(),
            source,
        })?;
        Ok(())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file of a finished epoch goes.
    pub fn epoch_file(&self, epoch: u64) -> PathBuf {
        self.path
            .join(format!("{}-{epoch:06}.safetensors", self.name))
    }

    /// Where the file of a step in the middle of an epoch goes.
    pub fn step_file(&self, step: u64) -> PathBuf {
        self.path
            .join(format!("{}-step{step:08}.safetensors", self.name))
    }

    /// Where the last file goes.
    pub fn last_file(&self) -> PathBuf {
        self.path.join(format!("{}.safetensors", self.name))
    }

    /// Where a preview goes.
    pub fn preview_file(&self, step: u64, prompt: usize) -> PathBuf {
        self.path
            .join(PREVIEWS)
            .join(format!("step{step:08}-{prompt}.png"))
    }

    /// Where a picture goes that was drawn to compare the file of a step with others.
    pub fn choosing_file(&self, step: u64, picture: usize) -> PathBuf {
        self.path
            .join(CHOOSING)
            .join(format!("step{step:08}-{picture:02}.png"))
    }

    /// Writes `bytes` to `name` in the folder, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), WriteError> {
        self.write_at(&self.path.join(name), bytes)
    }

    /// Writes `bytes` to `path`, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub fn write_at(&self, path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        write_atomically(path, |file| file.write_all(bytes))
    }

    /// Appends an event to the logs.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub fn log(&mut self, event: &Event<'_>) -> Result<(), WriteError> {
        self.logs.note(event)
    }
}

/// Makes the run's folder with those in it for pictures.
fn create_folders(path: &Path, config: &TrainConfig) -> io::Result<()> {
    fs::create_dir_all(path.join(PREVIEWS))?;
    if config.choose.similarity {
        fs::create_dir_all(path.join(CHOOSING))?;
    }
    Ok(())
}

/// Removes the unfinished files that a killed run left behind.
fn sweep(folder: &Path) -> io::Result<()> {
    let inside = [
        Path::new(""),
        Path::new(PREVIEWS),
        Path::new(CHOOSING),
        Path::new("checkpoints"),
    ];
    for folder in inside.map(|inside| folder.join(inside)) {
        let entries = fs::read_dir(folder).into_iter().flatten();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(TEMPORARY_PREFIX) {
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

/// The files that a run of that name, or any run's log, previews and checkpoints, left in the folder; by name.
fn earlier_files(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let is_own = |file: &str| file == best_file(name) || is_saved_file(file, name);
    let of_step = |file: &str| file.starts_with("step");
    let logs = log::FILES.map(|file| folder.join(file));
    files.extend(logs.into_iter().filter(|file| file.is_file()));
    for (folder, is_ours) in [
        (folder.to_path_buf(), &is_own as &dyn Fn(&str) -> bool),
        (folder.join(PREVIEWS), &of_step),
        (folder.join(CHOOSING), &of_step),
        (folder.join("checkpoints"), &of_step),
    ] {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if is_ours(&file) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether `file` is `{name}.safetensors`, `{name}-000001.safetensors` or `{name}-step00000001.safetensors`.
fn is_saved_file(file: &str, name: &str) -> bool {
    let Some(rest) = file
        .strip_prefix(name)
        .and_then(|rest| rest.strip_suffix(".safetensors"))
    else {
        return false;
    };
    let number = rest
        .strip_prefix('-')
        .map(|rest| rest.strip_prefix("step").unwrap_or(rest));
    rest.is_empty()
        || number.is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_earlier_run_are_not_replaced_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig::default();
        config.output.folder = folder.path().to_path_buf();
        config.output.name = "cat".to_owned();
        for foreign in [
            "cats-000001.safetensors",
            "cats-best.safetensors",
            "cat.json",
        ] {
            fs::write(folder.path().join(foreign), "").expect("written");
        }
        RunFolder::create(&config).expect("nothing of ours is there");
        let files = [
            "cat.safetensors",
            "cat-000001.safetensors",
            "cat-step00000007.safetensors",
            "cat-best.safetensors",
        ];
        for file in files {
            fs::write(folder.path().join(file), "").expect("written");
            let error = RunFolder::create(&config)
                .expect_err("would be replaced")
                .to_string();
            assert!(
                error.contains(file) && error.contains("overwrite"),
                "{error}"
            );
            fs::remove_file(folder.path().join(file)).expect("removed");
        }
        fs::write(folder.path().join("cat.safetensors"), "").expect("written");
        config.output.overwrite = true;
        RunFolder::create(&config).expect("asked to replace");
    }

    #[test]
    fn the_resolved_config_can_be_run_from_anywhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig::default();
        config.output.folder = folder.path().to_path_buf();
        config.model.path = "base".into();
        RunFolder::create(&config).expect("made");
        let again = TrainConfig::read(folder.path().join("resolved.toml"), &[]).expect("valid");
        assert_eq!(
            again.model.path,
            std::path::absolute("base").expect("a path")
        );
        assert_eq!(again.output, config.output);
    }
}
