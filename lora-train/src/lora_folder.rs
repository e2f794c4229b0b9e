use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use lora_core::safetensors_file::SafetensorsFile;
use thiserror::Error;

/// The LoRA files in a folder and below it, by the names that prompts may call them.
#[derive(Clone, Debug)]
pub struct LoraFolder {
    path: PathBuf,
    /// Below it, in order.
    files: Vec<PathBuf>,
}

/// Why a name stands for no LoRA file.
#[derive(Debug, Error)]
pub enum LoraNameError {
    /// The folder cannot be looked through.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// The folder, or one below it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody said where LoRA files are.
    #[error(
        "the prompt asks for <lora:{name}>, but no folder of LoRA files was named (--lora-dir)"
    )]
    NoFolder {
        /// The name.
        name: String,
    },
    /// No file has this name.
    #[error("there is no LoRA `{name}` in {}{}", .folder.display(), list_near(.near))]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// Names that are alike, nearest first.
        near: Vec<String>,
    },
    /// More than one file has this name.
    #[error("`{name}` could be any of these LoRA files; call it by its own name, or by its path below {} \
             without the ending:{}", .folder.display(), list_paths(.paths))]
    Ambiguous {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// The files.
        paths: Vec<PathBuf>,
    },
}

fn list_near(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}

fn list_paths(paths: &[PathBuf]) -> String {
    let lines = paths.iter().map(|path| format!("\n  {}", path.display()));
    lines.collect()
}

impl LoraFolder {
    /// Lists the `.safetensors` files in a folder and below it, following links.
    ///
    /// # Errors
    /// [`LoraNameError::Folder`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LoraNameError> {
        let path = path.into();
        let mut files = Vec::new();
        list(&path, &mut BTreeSet::new(), &mut files)?;
        files.sort();
        Ok(Self { path, files })
    }

    /// The file that `name` stands for: its path below the folder without ending, else its name without ending, else,
    /// as in A1111, the name that training gave it (`ss_output_name`).
    ///
    /// # Errors
    /// [`LoraNameError`] where there is none, and where there are several.
    pub fn find(&self, name: &str) -> Result<&Path, LoraNameError> {
        let ways: [&dyn Fn(&Path) -> bool; 3] = [
            &|file| self.relative(file) == name,
            &|file| stem(file) == name,
            &|file| output_name(file).as_deref() == Some(name),
        ];
        for way in ways {
            let found: Vec<_> = self.files.iter().filter(|file| way(file)).collect();
            match found.as_slice() {
                [] => {}
                [file] => return Ok(file),
                several => {
                    return Err(LoraNameError::Ambiguous {
                        name: name.to_owned(),
                        folder: self.path.clone(),
                        paths: several.iter().map(|&file| file.clone()).collect(),
                    });
                }
            }
        }
        Err(LoraNameError::Unknown {
            name: name.to_owned(),
            folder: self.path.clone(),
            near: self.near(name),
        })
    }

    /// The path below the folder without ending, with `/` between its parts.
    fn relative(&self, file: &Path) -> String {
        let below = file.strip_prefix(&self.path).unwrap_or(file);
        let parts = below.with_extension("");
        let parts = parts.iter().map(|part| part.to_string_lossy());
        parts.collect::<Vec<_>>().join("/")
    }

    /// Up to three names that are alike, nearest first.
    fn near(&self, name: &str) -> Vec<String> {
        let sought = name.to_lowercase();
        let names: BTreeSet<String> = self.files.iter().map(|file| stem(file)).collect();
        let mut near: Vec<(usize, String)> = names
            .into_iter()
            .map(|name| {
                let distance = strsim::damerau_levenshtein(&sought, &name.to_lowercase());
                (distance, name)
            })
            .filter(|(distance, _)| *distance <= 1 + sought.len() / 3)
            .collect();
        near.sort();
        near.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

fn list(
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), LoraNameError> {
    let error = |source| LoraNameError::Folder {
        path: folder.to_path_buf(),
        source,
    };
    // A link to a folder above would lead around for ever.
    if !seen.insert(folder.canonicalize().map_err(error)?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.is_dir() {
            list(&path, seen, files)?;
        } else if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// A file's name without ending: what A1111 calls a LoRA or a model.
pub(crate) fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or(file.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// What training called the file; `None` where the file does not say, or is none.
fn output_name(file: &Path) -> Option<String> {
    let file = SafetensorsFile::open(file).ok()?;
    file.metadata("ss_output_name").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use lora_core::lora_file::{FileDtype, LoraFile};

    use super::*;

    const LORA: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/golden/lora/tiny-sd15-lora.safetensors"
    );

    /// A folder with `style-000001` and `style-000002`, trained as `style`, `people/alice`, trained as `portrait`,
    /// `people/fox` and `animals/fox`.
    fn folder() -> (tempfile::TempDir, LoraFolder) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = LoraFile::read(LORA).expect("a LoRA file");
        for (path, output_name) in [
            ("style-000001", "style"),
            ("style-000002", "style"),
            ("people/alice", "portrait"),
            ("people/fox", "one"),
            ("animals/fox", "two"),
        ] {
            let path = folder.path().join(format!("{path}.safetensors"));
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            file.metadata
                .insert("ss_output_name".to_owned(), output_name.to_owned());
            file.write(path, FileDtype::F16).expect("written");
        }
        fs::write(folder.path().join("style.txt"), "no LoRA").expect("written");
        fs::write(folder.path().join("broken.safetensors"), "no LoRA").expect("written");
        let opened = LoraFolder::open(folder.path()).expect("a folder");
        (folder, opened)
    }

    #[test]
    fn files_go_by_name_path_and_the_name_of_their_training() {
        let (path, folder) = folder();
        for (name, file) in [
            ("style-000002", "style-000002"),
            ("alice", "people/alice"),
            ("people/alice", "people/alice"),
            ("animals/fox", "animals/fox"),
            ("portrait", "people/alice"),
        ] {
            let expected = path.path().join(format!("{file}.safetensors"));
            assert_eq!(folder.find(name).expect("found"), expected);
        }
    }

    #[test]
    fn what_could_be_several_files_is_refused_with_all_of_them() {
        let (_path, folder) = folder();
        for (name, count) in [("fox", 2), ("style", 2)] {
            match folder.find(name) {
                Err(LoraNameError::Ambiguous { paths, .. }) => assert_eq!(paths.len(), count),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_unknown_name_comes_with_those_that_are_alike() {
        let (_path, folder) = folder();
        let error = |name| folder.find(name).expect_err("unknown").to_string();
        assert!(
            error("Alic").ends_with("; did you mean `alice`?"),
            "{}",
            error("Alic")
        );
        let message = error("style-00001");
        assert!(
            message.ends_with("did you mean `style-000001` or `style-000002`?"),
            "{message}"
        );
        assert!(!error("nothing like it").contains("did you mean"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = LoraFolder::open("nowhere").expect_err("none");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_upwards_does_not_lead_around() {
        let (path, _) = folder();
        std::os::unix::fs::symlink(path.path(), path.path().join("people/up")).expect("a link");
        let folder = LoraFolder::open(path.path()).expect("a folder");
        assert_eq!(folder.files.len(), 6);
    }
}
