use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use lora_core::atomic_file::{WriteError, write_atomically};

use crate::{Event, config::TrainConfig};

/// The folder of one run: saved files, `previews/`, `metrics.jsonl` and the resolved config `run.toml`.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder and writes the resolved config.
    ///
    /// # Errors
    /// When saved files of an earlier run of that name are there and the config does not allow to replace them, or when
    /// the folder cannot be written to.
    pub fn create(config: &TrainConfig) -> Result<Self, WriteError> {
        let path = config.output.folder.clone();
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| WriteError { path, source }
        };
        let folder = Self { metrics: Self::open(&path, config).map_err(at(&path))?, path, name: config.output.name.clone() };
        folder.write("run.toml", config.to_toml().as_bytes())?;
        Ok(folder)
    }

    fn open(path: &Path, config: &TrainConfig) -> io::Result<File> {
        fs::create_dir_all(path.join("previews"))?;
        let last = path.join(format!("{}.safetensors", config.output.name));
        if last.exists() && !config.output.overwrite {
            let message = format!(
                "{} is there from an earlier run; choose another output.folder or output.name, or set output.overwrite",
                last.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        File::create(path.join("metrics.jsonl"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file of a finished epoch goes.
    pub fn epoch_file(&self, epoch: u64) -> PathBuf {
        self.path.join(format!("{}-{epoch:06}.safetensors", self.name))
    }

    /// Where the file of a step in the middle of an epoch goes.
    pub fn step_file(&self, step: u64) -> PathBuf {
        self.path.join(format!("{}-step{step:08}.safetensors", self.name))
    }

    /// Where the last file goes.
    pub fn last_file(&self) -> PathBuf {
        self.path.join(format!("{}.safetensors", self.name))
    }

    /// Where a preview goes.
    pub fn preview_file(&self, step: u64, prompt: usize) -> PathBuf {
        self.path.join("previews").join(format!("step{step:08}-{prompt}.png"))
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

    /// Appends an event to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub fn log(&mut self, event: &Event<'_>) -> Result<(), WriteError> {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        self.metrics
            .write_all(&line)
            .map_err(|source| WriteError { path: self.path.join("metrics.jsonl"), source })
    }
}
