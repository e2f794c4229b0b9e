use std::{collections::HashSet, path::Path};

use image::imageops;
use rayon::prelude::*;

use crate::{
    DataError, Dataset, DatasetConfig, DatasetError, Entry, Pixels, Problem, Resolution, View,
    captioned::captioned,
    concept::{Concept, concepts},
    cover_crop::cover_crop,
    findings::{Findings, file_name},
    picture_file,
};

/// Folders of pictures with caption files beside them, every file of which has been read once without error.
#[derive(Debug)]
pub struct ImageFolders {
    entries: Vec<Entry>,
    resolution: Resolution,
    notes: Vec<String>,
}

impl ImageFolders {
    /// Lists the folders, reads all captions and decodes all pictures, in parallel.
    ///
    /// Entries come in the order of the config's folders, then of folder names, then of file names.
    ///
    /// # Errors
    /// With everything that is wrong, together: settings, folders, captions and pictures.
    pub fn open(config: &DatasetConfig) -> Result<Self, DatasetError> {
        let mut findings = Findings::default();
        check_settings(config, &mut findings);
        let mut concepts: Vec<Concept> = config
            .folders
            .iter()
            .flat_map(|folder| concepts(folder, &config.caption.extensions, &mut findings))
            .collect();
        drop_listed_twice(&mut concepts, &mut findings);
        let mut entries = Vec::new();
        for concept in &concepts {
            entries.extend(captioned(concept, &config.caption, &mut findings));
        }
        measure(&mut entries, &mut findings);
        for entry in &mut entries {
            entry.target = config.resolution;
        }
        note_enlarged(&entries, config.resolution, &mut findings);
        let Findings {
            notes,
            mut problems,
        } = findings;
        if problems.is_empty() {
            return Ok(Self {
                entries,
                resolution: config.resolution,
                notes,
            });
        }
        problems.sort_by_cached_key(ToString::to_string);
        Err(DatasetError { problems })
    }

    /// What was inferred or passed over, one sentence each, for the user to read before training.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The size of all [`pixels`](Dataset::pixels).
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }
}

impl Dataset for ImageFolders {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn pixels(&self, index: usize, view: &View) -> Result<Pixels, DataError> {
        let path = &self.entries[index].image;
        let picture = picture_file::decode(path)?;
        let (cropped, framing) =
            cover_crop(picture, self.resolution).map_err(|error| DataError::Resize {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        let cropped = if view.flip {
            imageops::flip_horizontal(&cropped)
        } else {
            cropped
        };
        Ok(Pixels {
            framing,
            ..Pixels::from_rgb(&cropped)
        })
    }
}

fn check_settings(config: &DatasetConfig, findings: &mut Findings) {
    if config.folders.is_empty() {
        findings.problems.push(Problem::NoFolders);
    }
    if config.resolution.width == 0 || config.resolution.height == 0 {
        findings.problems.push(Problem::Setting {
            setting: "resolution",
            value: config.resolution.to_string(),
            expected: "at least one pixel each way",
        });
    }
    findings.problems.extend(config.caption.problem());
}

fn drop_listed_twice(concepts: &mut Vec<Concept>, findings: &mut Findings) {
    let mut seen = HashSet::new();
    concepts.retain(|concept| {
        let real_path = concept
            .path
            .canonicalize()
            .unwrap_or_else(|_| concept.path.clone());
        let is_new = seen.insert(real_path);
        if !is_new {
            findings.problems.push(Problem::ListedTwice {
                path: concept.path.clone(),
            });
        }
        is_new
    });
}

/// Decodes every picture once: finds the broken ones and the sizes of the others.
fn measure(entries: &mut [Entry], findings: &mut Findings) {
    let failures: Vec<DataError> = entries
        .par_iter_mut()
        .filter_map(|entry| match picture_file::decode(&entry.image) {
            Ok(picture) => {
                entry.size = picture.dimensions();
                None
            }
            Err(error) => Some(error),
        })
        .collect();
    findings
        .problems
        .extend(failures.into_iter().map(Problem::Picture));
}

fn note_enlarged(entries: &[Entry], resolution: Resolution, findings: &mut Findings) {
    let is_small =
        |entry: &&Entry| entry.size.0 < resolution.width || entry.size.1 < resolution.height;
    for in_folder in entries.chunk_by(|a, b| a.image.parent() == b.image.parent()) {
        let small: Vec<String> = in_folder
            .iter()
            .filter(is_small)
            .map(|entry| {
                format!(
                    "{} ({}×{})",
                    file_name(&entry.image),
                    entry.size.0,
                    entry.size.1
                )
            })
            .collect();
        let folder = in_folder[0].image.parent().unwrap_or(Path::new(""));
        findings.note_names(
            folder,
            &format!("enlarged to {resolution}, for they are smaller"),
            &small,
        );
    }
}
