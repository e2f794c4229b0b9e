use std::{collections::HashSet, path::Path};

use image::DynamicImage;
use rayon::prelude::*;

use crate::{
    Buckets, DataError, Dataset, DatasetConfig, DatasetError, Entry, Fit, FolderConfig,
    HeldoutSplit, Pixels, Problem, Subset, View,
    buckets::covering,
    captioned::captioned,
    color_shift,
    concept::{Concept, concepts},
    cover_crop::cover_crop,
    exposure_limit,
    findings::{Findings, file_name},
    group::{Group, groups, of_folder},
    masks::{Mask, find_masks},
    metadata_file, picture_digest, picture_file,
    prepare::{PerceptualHash, small_copy},
    regularisation::balance,
};

/// Folders of pictures with caption files beside them, every file of which has been read once without error.
#[derive(Debug)]
pub struct ImageFolders {
    entries: Vec<Entry>,
    subsets: Vec<Subset>,
    /// One for each entry.
    fits: Vec<Fit>,
    masks: Vec<Option<Mask>>,
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
        Self::open_split(config, None).map(|(pictures, _)| pictures)
    }

    /// The same with some of the pictures taken out to measure by: those for training, which have all notes, and those
    /// taken out, if there is a `split`.
    ///
    /// # Errors
    /// As [`open`](Self::open), and a split that cannot be followed.
    pub fn open_split(
        config: &DatasetConfig,
        split: Option<&HeldoutSplit>,
    ) -> Result<(Self, Option<Self>), DatasetError> {
        let mut findings = Findings::default();
        check_settings(config, &mut findings);
        let groups = groups(config, &mut findings);
        let general = of_folder(config, &FolderConfig::default());
        check_groups([&general].into_iter().chain(&groups), &mut findings);
        let mut entries = listed(&groups, &mut findings);
        exposure_limit::check(&entries, &mut findings);
        let looks = measure(&mut entries, split.is_some(), &mut findings);
        let masks = find_masks(&entries, &groups, &mut findings);
        let subsets: Vec<Subset> = groups.iter().map(|group| group.rules.clone()).collect();
        // What is broken is told first: it may be what a split fails at.
        let split = split.filter(|_| findings.problems.is_empty());
        let heldout =
            split.map(|split| split.take_out(&mut entries, &looks, &subsets, &mut findings));
        let datasets: Vec<usize> = groups.iter().map(|group| group.dataset).collect();
        balance(&mut entries, &subsets, &datasets, &mut findings);
        let fits = fitted(&mut entries, &groups, &mut findings);
        note_enlarged(&entries, &fits, &mut findings);
        let heldout = heldout.map(|mut entries| {
            let fits = fitted(&mut entries, &groups, &mut findings);
            (entries, fits)
        });
        let Findings {
            notes,
            mut problems,
        } = findings;
        if problems.is_empty() {
            let pictures = |entries: Vec<Entry>, fits: Vec<Fit>, notes: Vec<String>| Self {
                masks: entries
                    .iter()
                    .map(|entry| masks.get(&(entry.subset, entry.image.clone())).cloned())
                    .collect(),
                subsets: subsets.clone(),
                entries,
                fits,
                notes,
            };
            let heldout = heldout.map(|(entries, fits)| pictures(entries, fits, Vec::new()));
            return Ok((pictures(entries, fits, notes), heldout));
        }
        problems.sort_by_cached_key(ToString::to_string);
        Err(DatasetError { problems })
    }

    /// What was inferred or passed over, one sentence each, for the user to read before training.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Dataset for ImageFolders {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn subsets(&self) -> &[Subset] {
        &self.subsets
    }

    fn resized(&self, index: usize) -> (u32, u32) {
        self.fits[index].resized
    }

    fn pixels(&self, index: usize, view: &View) -> Result<Pixels, DataError> {
        let path = &self.entries[index].image;
        let fit = &self.fits[index];
        let mask = self.masks[index].as_ref();
        let (mut picture, alpha) = if matches!(mask, Some(Mask::Alpha { .. })) {
            picture_file::decode_with_alpha(path)?
        } else {
            (picture_file::decode(path)?, None)
        };
        if let Some(shift) = view.color {
            color_shift::shift(&mut picture, shift);
        }
        let (cropped, framing) =
            cover_crop(picture, fit, view).map_err(|error| DataError::Resize {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        let mask = mask
            .map(|mask| mask.weights(path, alpha, fit, view))
            .transpose()?;
        Ok(Pixels {
            framing,
            mask: mask.flatten(),
            ..Pixels::from_rgb(&cropped)
        })
    }

    fn digest(&self, index: usize, view: &View) -> Result<Option<[u8; 32]>, DataError> {
        let path = &self.entries[index].image;
        picture_digest::digest(path, self.masks[index].as_ref(), &self.fits[index], view)
    }
}

fn check_settings(config: &DatasetConfig, findings: &mut Findings) {
    if config.folders.is_empty() && config.kohya.is_none() {
        findings.problems.push(Problem::NoFolders);
    }
    let weight = config.prior_loss_weight;
    if !(weight >= 0.0 && weight.is_finite()) {
        findings.problems.push(Problem::Setting {
            setting: "prior_loss_weight",
            value: weight.to_string(),
            expected: "a number from 0 up; 1 is usual",
        });
    }
}

/// Each problem of a setting once, however many folders share it.
fn check_groups<'a>(groups: impl Iterator<Item = &'a Group>, findings: &mut Findings) {
    let mut told = HashSet::new();
    for group in groups {
        let resolution = group.resolution;
        let empty = (resolution.width == 0 || resolution.height == 0).then(|| Problem::Setting {
            setting: "resolution",
            value: resolution.to_string(),
            expected: "at least one pixel each way",
        });
        let buckets = group
            .rules
            .buckets
            .and_then(|config| Buckets::new(resolution, &config).err());
        let problems = group.rules.caption.problems();
        for problem in problems
            .into_iter()
            .chain(empty)
            .chain(group.mask.problem())
            .chain(buckets.into_iter().flatten())
        {
            if told.insert(problem.to_string()) {
                findings.problems.push(problem);
            }
        }
    }
}

/// The pictures of all groups with their captions.
fn listed(groups: &[Group], findings: &mut Findings) -> Vec<Entry> {
    let mut folders: Vec<(usize, Concept)> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        if group.metadata.is_none() {
            let found = concepts(group, findings);
            folders.extend(found.into_iter().map(|concept| (index, concept)));
        }
    }
    drop_listed_twice(&mut folders, findings);
    let mut entries = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        if let Some(path) = &group.metadata {
            entries.extend(metadata_file::entries(path, group, index, findings));
        }
        for (_, concept) in folders.iter().filter(|(of, _)| *of == index) {
            entries.extend(captioned(concept, &group.rules.caption, index, findings));
        }
    }
    entries
}

fn drop_listed_twice(concepts: &mut Vec<(usize, Concept)>, findings: &mut Findings) {
    let mut seen = HashSet::new();
    concepts.retain(|(_, concept)| {
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

/// Decodes every picture once: finds the broken ones and the sizes of the others, and if `looks` are asked for what each
/// looks like.
fn measure(
    entries: &mut [Entry],
    looks: bool,
    findings: &mut Findings,
) -> Vec<Option<PerceptualHash>> {
    let look = |picture| small_copy(&DynamicImage::from(picture)).ok();
    let measured: Vec<Result<Option<PerceptualHash>, DataError>> = entries
        .par_iter_mut()
        .map(|entry| {
            let picture = picture_file::decode(&entry.image)?;
            entry.size = picture.dimensions();
            let small = looks.then(|| look(picture)).flatten();
            Ok(small.map(PerceptualHash::of))
        })
        .collect();
    let mut hashes = Vec::with_capacity(measured.len());
    for one in measured {
        let hash = one.map_err(|error| findings.problems.push(Problem::Picture(error)));
        hashes.push(hash.ok().flatten());
    }
    hashes
}

/// Gives each picture its bucket.
fn fitted(entries: &mut [Entry], groups: &[Group], findings: &mut Findings) -> Vec<Fit> {
    let buckets: Vec<Option<Buckets>> = groups
        .iter()
        .map(|group| Buckets::new(group.resolution, &group.rules.buckets?).ok())
        .collect();
    let mut fits = Vec::with_capacity(entries.len());
    for entry in entries {
        let (width, height) = entry.size;
        let group = &groups[entry.subset];
        let fit = match &buckets[entry.subset] {
            Some(buckets) => buckets.select(width, height),
            None => Some(Fit {
                bucket: group.resolution,
                resized: covering((width.max(1), height.max(1)), group.resolution),
            }),
        };
        // A picture that could not be read has no size, and is a problem already.
        if fit.is_none() && width > 0 {
            findings.problems.push(Problem::BelowBucket {
                image: entry.image.clone(),
                size: entry.size,
                step: group.rules.buckets.map_or(0, |buckets| buckets.step),
            });
        }
        let fit = fit.unwrap_or(Fit {
            bucket: group.resolution,
            resized: (group.resolution.width, group.resolution.height),
        });
        entry.target = fit.bucket;
        fits.push(fit);
    }
    fits
}

fn note_enlarged(entries: &[Entry], fits: &[Fit], findings: &mut Findings) {
    let pairs: Vec<(&Entry, &Fit)> = entries.iter().zip(fits).collect();
    let is_small = |(entry, fit): &&(&Entry, &Fit)| {
        fit.resized.0 > entry.size.0 || fit.resized.1 > entry.size.1
    };
    for in_folder in pairs.chunk_by(|a, b| a.0.image.parent() == b.0.image.parent()) {
        let small: Vec<&(&Entry, &Fit)> = in_folder.iter().filter(is_small).collect();
        let Some((_, first)) = small.first() else {
            continue;
        };
        let to = if small.iter().all(|(_, fit)| fit.bucket == first.bucket) {
            first.bucket.to_string()
        } else {
            "their buckets".to_owned()
        };
        let names: Vec<String> = small
            .iter()
            .map(|(entry, _)| {
                let (width, height) = entry.size;
                format!("{} ({width}×{height})", file_name(&entry.image))
            })
            .collect();
        let folder = in_folder[0].0.image.parent().unwrap_or(Path::new(""));
        findings.note_names(
            folder,
            &format!("enlarged to {to}, for they are smaller"),
            &names,
        );
    }
}
