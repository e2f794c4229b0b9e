use std::{
    cmp::Ordering,
    fs, io,
    path::{Path, PathBuf},
};

use lora_core::safetensors_file::{SafetensorsFile, SafetensorsFileError};
use thiserror::Error;

/// A LoRA file as a grid shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without extension, by which prompts ask for it.
    pub name: String,
    /// The name of its run: without the number of the epoch or step.
    pub run: String,
    /// What stands over its column: `epoch 3` among files of one run, else its name.
    pub label: String,
    /// The hash of its weights, `sshs_model_hash`, of a file that was found in a folder and has one.
    pub hash: Option<String>,
}

/// The LoRA files that were asked for: as they were named, and those of a folder in the order in which training saved
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedFiles {
    /// The files.
    pub files: Vec<SavedFile>,
}

/// Why LoRA files cannot be listed.
#[derive(Debug, Error)]
pub enum SavedFilesError {
    /// A folder cannot be listed.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A folder without LoRA files.
    #[error("{}: there is no .safetensors file in it", .path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] SafetensorsFileError),
}

/// Where in its run a file was saved, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Epoch(u64),
    Step(u64),
    Last,
}

/// A file with what its header says.
struct Found {
    path: PathBuf,
    name: String,
    run: String,
    place: Place,
    /// `ss_steps`.
    steps: Option<u64>,
    /// `sshs_model_hash`.
    hash: Option<String>,
}

impl SavedFiles {
    /// The files that were named and those of the folders that were.
    ///
    /// # Errors
    /// [`SavedFilesError`] for what is not there, is no safetensors file, or is a folder without any.
    pub fn find(given: &[PathBuf]) -> Result<Self, SavedFilesError> {
        let mut found = Vec::new();
        for path in given {
            if path.is_dir() {
                found.extend(in_folder(path)?);
            } else {
                found.push(Found {
                    hash: None,
                    ..Found::read(path)?
                });
            }
        }
        let one_run = found.len() > 1 && found.iter().all(|file| file.run == found[0].run);
        Ok(Self {
            files: found.into_iter().map(|file| file.saved(one_run)).collect(),
        })
    }

    /// Takes out the files of a folder that hold the same weights as an earlier one, such as a run's last file and that of
    /// its last epoch; gives each with its twin.
    pub fn take_twins(&mut self) -> Vec<[PathBuf; 2]> {
        let (mut kept, mut twins) = (Vec::<SavedFile>::new(), Vec::new());
        for file in std::mem::take(&mut self.files) {
            let same = |other: &&SavedFile| file.hash.is_some() && other.hash == file.hash;
            match kept.iter().find(same) {
                Some(twin) => twins.push([file.path, twin.path.clone()]),
                None => kept.push(file),
            }
        }
        self.files = kept;
        twins
    }
}

impl Found {
    /// Reads the header.
    fn read(path: &Path) -> Result<Self, SafetensorsFileError> {
        let file = SafetensorsFile::open(path)?;
        let entry = |key| file.metadata(key).map(str::to_owned);
        let name = path.file_stem().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        let (run, place) = run_and_place(&name);
        Ok(Self {
            path: path.to_path_buf(),
            run: run.to_owned(),
            place,
            steps: entry("ss_steps").and_then(|steps| steps.parse().ok()),
            hash: entry("sshs_model_hash"),
            name,
        })
    }

    fn saved(self, one_run: bool) -> SavedFile {
        let label = match self.place {
            _ if !one_run => self.name.clone(),
            Place::Epoch(epoch) => format!("epoch {epoch}"),
            Place::Step(step) => format!("step {step}"),
            Place::Last => "last".to_owned(),
        };
        SavedFile {
            path: self.path,
            name: self.name,
            run: self.run,
            label,
            hash: self.hash,
        }
    }

    /// Run by run, each in the order of its training: by steps where the headers tell, else by the numbers of the names;
    /// of two files of the same step the numbered one first.
    fn in_training_order(&self, other: &Self) -> Ordering {
        let steps = match (self.steps, other.steps) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => Ordering::Equal,
        };
        self.run
            .cmp(&other.run)
            .then(steps)
            .then(self.place.rank().cmp(&other.place.rank()))
    }
}

impl Place {
    fn rank(self) -> (u8, u64) {
        match self {
            Self::Epoch(number) => (0, number),
            Self::Step(number) => (1, number),
            Self::Last => (2, 0),
        }
    }
}

/// The files of a folder, in the order of their training.
fn in_folder(folder: &Path) -> Result<Vec<Found>, SavedFilesError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|source| SavedFilesError::Folder {
        path: folder.to_path_buf(),
        source,
    })?;
    let is_lora = |path: &PathBuf| path.extension().is_some_and(|end| end == "safetensors");
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut found = paths
        .filter(is_lora)
        .map(|path| Found::read(&path))
        .collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(SavedFilesError::Empty {
            path: folder.to_path_buf(),
        });
    }
    // By name first: the order of what the comparison below leaves equal must not be the file system's.
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found.sort_by(Found::in_training_order);
    Ok(found)
}

/// Takes sd-scripts' `-000003` or `-step00000150` off a name.
fn run_and_place(name: &str) -> (&str, Place) {
    let numbered = name.rsplit_once('-').and_then(|(run, end)| {
        let (digits, place): (_, fn(u64) -> Place) = match end.strip_prefix("step") {
            Some(digits) => (digits, Place::Step),
            None => (end, Place::Epoch),
        };
        let is_number = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number)?;
        (!run.is_empty()).then(|| (run, place(number)))
    });
    numbered.unwrap_or((name, Place::Last))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A safetensors file without tensors.
    fn file(folder: &Path, name: &str, metadata: &[(&str, &str)]) -> PathBuf {
        let entries: serde_json::Map<String, serde_json::Value> = metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        let header = serde_json::json!({ "__metadata__": entries }).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        let path = folder.join(name).with_added_extension("safetensors");
        fs::write(&path, bytes).expect("written");
        path
    }

    fn labels(files: &SavedFiles) -> Vec<&str> {
        files.files.iter().map(|file| file.label.as_str()).collect()
    }

    #[test]
    fn a_folder_is_shown_in_training_order_without_the_last_file_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        let saved = |name, steps, hash| {
            file(
                here,
                name,
                &[("ss_steps", steps), ("sshs_model_hash", hash)],
            )
        };
        saved("dog-000010", "1000", "d");
        saved("dog-000002", "200", "b");
        saved("dog-step00000150", "150", "a");
        saved("dog-step00000250", "250", "c");
        saved("dog", "1000", "d");
        fs::write(here.join("dog.json"), "{}").expect("written");
        let mut files = SavedFiles::find(&[here.to_path_buf()]).expect("files");
        assert_eq!(
            labels(&files),
            ["step 150", "epoch 2", "step 250", "epoch 10", "last"]
        );
        let twins = files.take_twins();
        assert_eq!(files.files.len(), 4);
        assert_eq!(files.files[1].name, "dog-000002");
        assert_eq!(
            twins,
            [[
                here.join("dog.safetensors"),
                here.join("dog-000010.safetensors")
            ]]
        );
    }

    #[test]
    fn names_alone_give_the_order_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = folder.path();
        for name in ["cat", "cat-000002", "cat-000010", "cat-000001"] {
            file(here, name, &[]);
        }
        let mut files = SavedFiles::find(&[here.to_path_buf()]).expect("files");
        assert_eq!(labels(&files), ["epoch 1", "epoch 2", "epoch 10", "last"]);
        assert!(files.take_twins().is_empty());
    }

    #[test]
    fn files_of_several_runs_keep_their_names_and_named_files_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let b = file(folder.path(), "b-000001", &[("sshs_model_hash", "x")]);
        let a = file(folder.path(), "a-2", &[("sshs_model_hash", "x")]);
        let mut files = SavedFiles::find(&[b.clone(), a]).expect("files");
        assert!(files.take_twins().is_empty(), "they were asked for by name");
        assert_eq!(labels(&files), ["b-000001", "a-2"]);
        let alone = SavedFiles::find(&[b]).expect("a file");
        assert_eq!(labels(&alone), ["b-000001"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |path: &Path| {
            let error = SavedFiles::find(&[path.to_path_buf()]).expect_err("nothing");
            error.to_string()
        };
        assert!(told(folder.path()).contains("no .safetensors file"));
        assert!(told(&folder.path().join("x.safetensors")).contains("x.safetensors"));
    }
}
