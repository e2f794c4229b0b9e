//! A folder to prepare, and what came of it.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{
    Resolution,
    faces::{FaceBox, FaceError, FaceFinder},
    prepare::{
        Preparation, PrepareError, PrepareOptions, PrepareReport, PreparedPicture, PreparedState,
        SkipReason, Target,
    },
};
use tempfile::TempDir;

use crate::folder::encoded;

/// Finds one face wherever a picture has a pixel of pure magenta: 20 × 20 around it.
pub struct MagentaFinder;

impl FaceFinder for MagentaFinder {
    fn find(&self, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError> {
        let magenta = picture
            .enumerate_pixels()
            .filter(|(_, _, pixel)| **pixel == Rgb([255, 0, 255]));
        Ok(magenta
            .map(|(x, y, _)| FaceBox {
                left: x as f32 - 10.0,
                top: y as f32 - 10.0,
                width: 20.0,
                height: 20.0,
                score: 0.9,
                landmarks: None,
            })
            .collect())
    }
}

/// Folders `in` and `out`, and the options of a run from one to the other.
pub struct Place {
    folder: TempDir,
    pub options: PrepareOptions,
}

impl Place {
    /// To squares of `side` pixels.
    pub fn squares(side: u32) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            options: PrepareOptions {
                target: Target::Size(Resolution::square(side)),
                ..PrepareOptions::default()
            },
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Writes a picture in the format of its name.
    pub fn picture(&self, name: &str, picture: &RgbImage) -> &Self {
        self.write(
            name,
            encoded(picture, ImageFormat::from_path(name).unwrap()),
        )
    }

    pub fn open(&self) -> Result<Preparation, PrepareError> {
        Preparation::open(&self.path("in"), &self.path("out"), self.options.clone())
    }

    pub fn run(&self) -> PrepareReport {
        self.run_until(usize::MAX)
    }

    /// Asks to stop after so many calls.
    pub fn run_until(&self, calls: usize) -> PrepareReport {
        let mut called = 0;
        let told = &mut |_: lora_data::prepare::PrepareProgress<'_>| {
            called += 1;
            if called >= calls {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        self.open()
            .unwrap()
            .run(Some(&MagentaFinder), told)
            .unwrap()
    }

    pub fn decoded(&self, name: &str) -> RgbImage {
        image::open(self.path(name)).unwrap().into_rgb8()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// All files in a folder with their bytes, by their path in it.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(folder), "", &mut files);
        files
    }

    /// The names in `out`, without the record.
    pub fn made(&self) -> Vec<String> {
        let names = self.files("out").into_keys();
        names.filter(|name| name != "prepare.jsonl").collect()
    }
}

fn collect(folder: &Path, before: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{before}{}", path.file_name().unwrap().to_str().unwrap());
        // Held by runs, and no result of theirs.
        if name == ".lora-prepare.lock" {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
}

pub fn of<'a>(report: &'a PrepareReport, picture: &str) -> &'a PreparedPicture {
    let mut pictures = report.pictures.iter();
    pictures.find(|one| one.picture == picture).unwrap()
}

pub fn problem<'a>(report: &'a PrepareReport, picture: &str) -> &'a str {
    match &of(report, picture).state {
        PreparedState::Failed { problem } => problem,
        other => panic!("{picture}: {other:?}"),
    }
}

pub fn skipped<'a>(report: &'a PrepareReport, picture: &str) -> &'a SkipReason {
    match &of(report, picture).state {
        PreparedState::Skipped { reason } => reason,
        other => panic!("{picture}: {other:?}"),
    }
}

pub fn is_written(report: &PrepareReport, picture: &str) -> bool {
    of(report, picture).state == PreparedState::Written
}

/// A picture no part of which is like another.
pub fn varied(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 7919 + y * 104_729) ^ (x * y);
        Rgb([
            (x * 255 / width) as u8,
            (y * 255 / height) as u8,
            (noise % 64) as u8,
        ])
    })
}

/// A picture of 8 × 8 fields whose brightness depends on the seed: no two are copies of one another.
pub fn scene(seed: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let field = (8 * y / height) * 8 + 8 * x / width;
        let mixed = (field + 1)
            .wrapping_mul(2_654_435_761)
            .wrapping_add(seed.wrapping_mul(0x9e37_79b9));
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b);
        let brightness = (mixed >> 24) as u8;
        Rgb([
            brightness,
            brightness / 2 + (x % 16) as u8,
            255 - brightness,
        ])
    })
}
