use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use atomic_file::write_atomically;
use serde::{Deserialize, Serialize};

use super::{Cut, PrepareError, Survey};

/// The record's file in the out folder.
const NAME: &str = "prepare.jsonl";
/// Grows when the same picture and options give other files.
const VERSION: u32 = 1;

/// What is known of one picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    /// Its path below the folder.
    pub(super) picture: String,
    /// SHA-256 of its file.
    pub(super) content: String,
    pub(super) survey: Survey,
    /// What was made of it last; none where it was left out.
    pub(super) made: Option<Made>,
}

/// What was made of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Made {
    /// The digest of all that it depends on.
    pub(super) inputs: String,
    pub(super) cut: Cut,
    /// Paths below the out folder, with the SHA-256 of their bytes.
    pub(super) files: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    lora_prepare: u32,
}

/// What was made of which picture, as lines of JSON.
///
/// A line is on the disk before the files that it speaks of are written, so that whatever stops a run, the next one knows
/// its own files; the last line about a picture counts. When a run ends, lines that no longer count are dropped and the
/// others sorted by picture.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    is_kept: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    latest: BTreeMap<String, Recorded>,
    /// For each file, the digests of all that was ever to be written there.
    owned: BTreeMap<String, BTreeSet<String>>,
    /// For each picture, all files that were ever to be made of it.
    files: BTreeMap<String, BTreeSet<String>>,
    file: Option<File>,
    /// Whether the file ends within a line.
    is_torn: bool,
}

impl State {
    fn note(&mut self, recorded: Recorded) {
        for (file, digest) in recorded.made.iter().flat_map(|made| &made.files) {
            let owned = self.owned.entry(file.clone()).or_default();
            owned.insert(digest.clone());
            let files = self.files.entry(recorded.picture.clone()).or_default();
            files.insert(file.clone());
        }
        self.latest.insert(recorded.picture.clone(), recorded);
    }
}

impl Record {
    /// The record in `output`; an empty one where there is none. Unless `is_kept`, nothing is written.
    ///
    /// # Errors
    /// When it cannot be read or is no record.
    pub(super) fn open(output: &Path, is_kept: bool) -> Result<Self, PrepareError> {
        let path = output.join(NAME);
        let mut state = State::default();
        match fs::read(&path) {
            Ok(bytes) => {
                read(&bytes, &mut state).map_err(|(line, reason)| PrepareError::Record {
                    path: path.clone(),
                    line,
                    reason,
                })?;
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(PrepareError::file(path, cause)),
        }
        Ok(Self {
            path,
            is_kept,
            state: Mutex::new(state),
        })
    }

    /// Whether there is one in `output`.
    pub(super) fn is_in(output: &Path) -> bool {
        output.join(NAME).is_file()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is changed in one step, so that one left by a panic is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, picture: &str) -> Option<Recorded> {
        self.state().latest.get(picture).cloned()
    }

    /// Whether bytes of this digest were to be written to a file; `None` where nothing ever was.
    pub(super) fn has_written(&self, file: &str, digest: &str) -> Option<bool> {
        let state = self.state();
        let digests = state.owned.get(file)?;
        Some(digests.contains(digest))
    }

    /// All files that were ever to be made of a picture.
    pub(super) fn files_of(&self, picture: &str) -> BTreeSet<String> {
        self.state().files.get(picture).cloned().unwrap_or_default()
    }

    /// The pictures that it speaks of.
    pub(super) fn pictures(&self) -> Vec<String> {
        self.state().latest.keys().cloned().collect()
    }

    /// Notes what is about to be made of a picture; on return it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&self, recorded: Recorded) -> Result<(), PrepareError> {
        let mut state = self.state();
        if state.latest.get(&recorded.picture) == Some(&recorded) {
            return Ok(());
        }
        if self.is_kept {
            self.append(&mut state, &recorded)
                .map_err(|cause| PrepareError::file(&self.path, cause))?;
        }
        state.note(recorded);
        Ok(())
    }

    fn append(&self, state: &mut State, recorded: &Recorded) -> io::Result<()> {
        if state.file.is_none() {
            if !self.path.exists() {
                let header = header()?;
                write_atomically(&self.path, |file| file.write_all(&header))
                    .map_err(|error| error.source)?;
            }
            let mut file = OpenOptions::new().append(true).open(&self.path)?;
            if state.is_torn {
                // What was cut short ends here, and counts for nothing.
                file.write_all(b"\n")?;
            }
            state.file = Some(file);
        }
        let mut line = serde_json::to_vec(recorded)?;
        line.push(b'\n');
        let file = state.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(&line)?;
        file.sync_data()
    }

    /// Writes the lines that count, in order, and those about other pictures only where `holds` says so.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(super) fn settle(&self, holds: impl Fn(&Recorded) -> bool) -> Result<(), PrepareError> {
        let mut state = self.state();
        if !self.is_kept {
            return Ok(());
        }
        state.latest.retain(|_, recorded| holds(recorded));
        state.file = None;
        if state.latest.is_empty() && !self.path.exists() {
            return Ok(());
        }
        let mut bytes = header().map_err(|cause| PrepareError::file(&self.path, cause))?;
        for recorded in state.latest.values() {
            let line = serde_json::to_vec(recorded);
            bytes.extend(line.map_err(|error| PrepareError::file(&self.path, error.into()))?);
            bytes.push(b'\n');
        }
        if fs::read(&self.path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        Ok(write_atomically(&self.path, |file| file.write_all(&bytes))?)
    }
}

fn header() -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Header {
        lora_prepare: VERSION,
    })?;
    line.push(b'\n');
    Ok(line)
}

/// Reads lines; one that was cut short is no line, whether the file ends there or another run went on behind it.
///
/// # Errors
/// With the number of the line that is wrong, and why.
fn read(bytes: &[u8], state: &mut State) -> Result<(), (usize, String)> {
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if index == 0 {
            match serde_json::from_slice(line) {
                Ok(Header {
                    lora_prepare: VERSION,
                }) => continue,
                Ok(Header { lora_prepare }) => {
                    return Err((
                        1,
                        format!("is a record of version {lora_prepare}, not {VERSION}"),
                    ));
                }
                Err(error) => return Err((1, format!("is no record of lora prepare: {error}"))),
            }
        }
        match serde_json::from_slice::<Recorded>(line) {
            Ok(recorded) => state.note(recorded),
            Err(error) if error.is_eof() => {}
            Err(error) => return Err((index + 1, error.to_string())),
        }
    }
    state.is_torn = !bytes.is_empty() && bytes.last() != Some(&b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(picture: &str, file: &str, digest: &str) -> Recorded {
        let value = serde_json::json!({
            "picture": picture,
            "content": "c",
            "survey": {"size": [2, 3], "sharpness": 4, "hash": "0".repeat(64)},
            "made": {
                "inputs": "i",
                "cut": {
                    "frame": {"left": 0, "top": 0, "width": 2, "height": 3},
                    "method": "centre", "size": [2, 3], "file": file,
                },
                "files": {file: digest},
            },
        });
        serde_json::from_value(value).unwrap()
    }

    fn open(folder: &Path) -> Record {
        Record::open(folder, true).unwrap()
    }

    #[test]
    fn a_line_that_was_cut_short_loses_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let record = open(folder.path());
        record.add(recorded("b", "b.png", "1")).unwrap();
        record.add(recorded("狐", "狐.png", "2")).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 1..20 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let after = open(folder.path());
            assert_eq!(after.of("b"), record.of("b"));
            assert_eq!(after.of("狐").is_some(), cut == 1, "{cut}");
            after.add(recorded("a", "a.png", "3")).unwrap();
            let again = open(folder.path());
            assert!(again.of("a").is_some() && again.of("b").is_some());
        }
    }

    #[test]
    fn all_that_was_ever_to_be_written_is_ours_until_the_run_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let record = open(folder.path());
        record.add(recorded("b", "b.png", "1")).unwrap();
        record.add(recorded("b", "b.jpg", "2")).unwrap();
        record.add(recorded("a", "a.jpg", "3")).unwrap();
        let after_a_crash = open(folder.path());
        assert_eq!(after_a_crash.has_written("b.png", "1"), Some(true));
        assert_eq!(after_a_crash.has_written("b.jpg", "1"), Some(false));
        assert_eq!(after_a_crash.has_written("c.jpg", "1"), None);
        assert_eq!(after_a_crash.files_of("b").len(), 2);
        after_a_crash.settle(|_| true).unwrap();
        let settled = open(folder.path());
        assert_eq!(settled.has_written("b.png", "1"), None);
        assert_eq!(settled.pictures(), ["a", "b"]);
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let header = "{\"lora_prepare\":1}\n";
        for (text, line, reason) in [
            ("{}\n".to_owned(), 1, "is no record of lora prepare"),
            (
                "{\"lora_prepare\":2}\n".to_owned(),
                1,
                "is a record of version 2",
            ),
            (format!("{header}{{\"picture\":1}}\n"), 2, "invalid type"),
        ] {
            fs::write(folder.path().join(NAME), text).unwrap();
            let error = Record::open(folder.path(), true).unwrap_err();
            let told = error.to_string();
            assert!(told.contains(&format!("line {line}: {reason}")), "{told}");
        }
    }
}
