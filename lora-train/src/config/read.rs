//! Reading a config file, with overrides, and saying what is wrong with it in words that help.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lora_data::with_suggestion;
use thiserror::Error;

use super::TrainConfig;

/// Why a config cannot be read.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be opened.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no TOML, or a value has the wrong type, or a key is unknown.
    #[error("{}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and, for a mistyped key, a suggestion.
        message: String,
    },
    /// An override is not of the form `section.key=value`.
    #[error("--set {given}: {reason}")]
    Override {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl TrainConfig {
    /// Reads a config file and applies `overrides` of the form `section.key=value`, in order.
    ///
    /// Relative paths in the file are taken from the file's folder; those in overrides from the working directory.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and line; an unknown key comes with the nearest known one.
    pub fn read(path: impl AsRef<Path>, overrides: &[String]) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        let mut config = Self::parse(&text, path)?;
        config.resolve_paths(path.parent().unwrap_or(Path::new("")));
        config.with_overrides(overrides)
    }

    /// This config with `overrides` of the form `section.key=value` applied, in order; their relative paths are from the working
    /// directory.
    ///
    /// # Errors
    /// [`ConfigError::Override`]; an unknown key comes with the nearest known one.
    pub fn with_overrides(self, overrides: &[String]) -> Result<Self, ConfigError> {
        let mut config = self;
        let Some(first) = overrides.first() else {
            return Ok(config);
        };
        let mut table = toml::Table::try_from(&config).map_err(|error| ConfigError::Override {
            given: first.clone(),
            reason: error.to_string(),
        })?;
        for given in overrides {
            // Read anew after each, so that an error is laid at the right one's door.
            config = overridden(&mut table, given)?;
        }
        Ok(config)
    }

    /// The config that [`Self::to_toml`] gave, from the file at `path`, whose name stands in errors.
    ///
    /// # Errors
    /// [`ConfigError`] with the line; an unknown key comes with the nearest known one.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Invalid {
            path: path.to_path_buf(),
            message: with_suggestion(&error),
        })
    }

    /// The config as TOML, defaults included.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The same with absolute paths, so that its text means the same from anywhere.
    pub(crate) fn absolute(&self) -> Self {
        let mut config = self.clone();
        // A working directory that is gone leaves them as they are.
        if let Ok(here) = std::env::current_dir() {
            config.resolve_paths(&here);
        }
        config
    }

    /// This config, whose relative paths are from the working directory, as a file in `folder` has to say it.
    pub fn seen_from(&self, folder: &Path) -> Self {
        let mut config = self.clone();
        // A working directory that is gone leaves them as they are.
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let (here, there) = (absolute(Path::new(".")), absolute(folder));
        if here == there {
            return config;
        }
        for path in config.paths() {
            if path.is_relative() && !path.as_os_str().is_empty() {
                let whole = absolute(path);
                *path = match whole.strip_prefix(&there) {
                    Ok(inside) => inside.into(),
                    Err(_) => whole,
                };
            }
        }
        config
    }

    /// Reads paths as relative to `base`.
    fn resolve_paths(&mut self, base: &Path) {
        for path in self.paths() {
            if path.is_relative() && !path.as_os_str().is_empty() {
                // By components, so that `.` leaves no trace in messages.
                *path = base.join(&*path).components().collect();
            }
        }
    }

    /// All paths of the config.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let folders = self
            .dataset
            .folders
            .iter_mut()
            .map(|folder| &mut folder.path);
        let others = [
            &mut self.cache.folder,
            &mut self.dataset.kohya,
            &mut self.heldout.folder,
            &mut self.heldout.noise,
            &mut self.lora.from,
            &mut self.model.config,
            &mut self.model.vae,
        ];
        let given = [&mut self.model.path, &mut self.output.folder];
        let embedding = self.choose.embedding.as_mut();
        let embedding = embedding.map(|embedding| &mut embedding.model);
        folders
            .chain(others.into_iter().flatten())
            .chain(embedding)
            .chain(given)
    }
}

/// The config after one override. A value that reads as TOML but does not fit, such as a name that is all digits, is
/// taken as text.
fn overridden(table: &mut toml::Table, given: &str) -> Result<TrainConfig, ConfigError> {
    let error = |reason: String| ConfigError::Override {
        given: given.to_owned(),
        reason,
    };
    let (key, text) = given.split_once('=').ok_or_else(|| {
        error("write it as section.key=value, for example train.epochs=5".to_owned())
    })?;
    let text = toml::Value::String(text.to_owned());
    let typed = toml::from_str(&format!("value = {}", text.as_str().unwrap_or_default()))
        .ok()
        .and_then(|mut table: toml::Table| table.remove("value"));
    let mut with = |value: toml::Value| {
        set(table, key, value).map_err(|reason| error(reason.to_owned()))?;
        let config: Result<TrainConfig, _> = toml::Value::Table(table.clone()).try_into();
        config.map_err(|refused| error(with_suggestion(&refused)))
    };
    match typed {
        Some(typed) => with(typed).or_else(|refused| with(text).map_err(|_| refused)),
        None => with(text),
    }
}

/// Sets `section.key` of `table`.
fn set(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<(), &'static str> {
    let mut path = key.trim().split('.').peekable();
    let mut table = table;
    while let Some(part) = path.next() {
        if path.peek().is_none() {
            table.insert(part.to_owned(), value);
            return Ok(());
        }
        table = table
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or("its first part is not a section")?;
    }
    Err("the key is empty")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn read(text: &str, overrides: &[&str]) -> Result<TrainConfig, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.toml");
        fs::write(&path, text).expect("a file");
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        TrainConfig::read(path, &overrides)
    }

    #[test]
    fn an_unknown_key_is_an_error_with_line_and_suggestion() {
        let error = read("[train]\nepoch = 3\n", &[])
            .expect_err("unknown key")
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("Did you mean `epochs`?"),
            "{error}"
        );
    }

    #[test]
    fn overrides_win_and_are_checked() {
        let config = read(
            "[train]\nepochs = 3\n",
            &[
                "train.epochs=5",
                "output.name=cat",
                "train.unet_lr=2e-4",
                "train.device=cpu",
            ],
        )
        .expect("valid");
        assert_eq!(config.train.epochs, 5);
        assert_eq!(config.output.name, "cat");
        assert!((config.train.unet_lr - 2e-4).abs() < 1e-12);
        let error = read("", &["train.epoch=5"])
            .expect_err("unknown key")
            .to_string();
        assert!(
            error.contains("--set train.epoch=5") && error.contains("`epochs`"),
            "{error}"
        );
        let named = read("", &["output.name=2024"]).expect("a name of digits");
        assert_eq!(named.output.name, "2024");
        assert!(read("", &["epochs"]).is_err());
        assert!(read("", &["train.epochs.more=1"]).is_err());
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.toml");
        fs::write(
            &path,
            "[model]\npath = 'base'\nvae = 'vae'\n[cache]\nfolder = 'kept'\n[dataset]\nkohya = 'set.toml'\n[[dataset.folders]]\npath = 'pictures'\n",
        )
        .expect("a file");
        let config = TrainConfig::read(&path, &["output.folder=here".to_owned()]).expect("valid");
        assert_eq!(config.model.path, folder.path().join("base"));
        assert_eq!(config.model.vae, Some(folder.path().join("vae")));
        assert_eq!(config.cache.folder, Some(folder.path().join("kept")));
        assert_eq!(config.dataset.kohya, Some(folder.path().join("set.toml")));
        assert_eq!(
            config.dataset.folders[0].path,
            folder.path().join("pictures")
        );
        assert_eq!(config.output.folder, PathBuf::from("here"));
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let config = read(
            "[objective]\nmin_snr_gamma = 5.0\n[schedule]\nkind = 'cosine'\nwarmup = 0.05\n",
            &[],
        )
        .expect("valid");
        let again: TrainConfig = toml::from_str(&config.to_toml()).expect("valid");
        assert_eq!(config, again);
    }
}
