//! A temporary dataset on disk.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use lora_data::{DatasetConfig, DatasetError, FolderConfig, ImageFolders, Resolution};
use tempfile::TempDir;

pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// An 8 × 8 grey picture with the caption "caption of NAME".
    pub fn captioned(&self, name: &str) -> &Self {
        self.picture(name)
            .write(&caption_name(name), format!("caption of {name}"))
    }

    /// An 8 × 8 grey picture without a caption.
    pub fn picture(&self, name: &str) -> &Self {
        self.write(
            name,
            encoded(&grey(8, 8), ImageFormat::from_path(name).unwrap()),
        )
    }

    pub fn folder(&self, name: &str) -> &Self {
        fs::create_dir_all(self.path(name)).unwrap();
        self
    }

    /// A config of these folders at 8 × 8.
    pub fn config(&self, names: &[&str]) -> DatasetConfig {
        DatasetConfig {
            folders: names
                .iter()
                .map(|name| FolderConfig::new(self.path(name)))
                .collect(),
            resolution: Resolution::square(8),
            ..DatasetConfig::default()
        }
    }

    pub fn open(&self, name: &str) -> Result<ImageFolders, DatasetError> {
        ImageFolders::open(&self.config(&[name]))
    }

    /// A message with this folder's place taken out and `/` between names.
    pub fn relative(&self, message: &str) -> String {
        let root = format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR);
        message.replace(&root, "").replace('\\', "/")
    }

    pub fn notes(&self, opened: &ImageFolders) -> Vec<String> {
        opened
            .notes()
            .iter()
            .map(|note| self.relative(note))
            .collect()
    }

    /// The problems of a dataset that must not open.
    pub fn problems(&self, config: &DatasetConfig) -> Vec<String> {
        let error = ImageFolders::open(config).unwrap_err();
        error
            .problems
            .iter()
            .map(|problem| self.relative(&problem.to_string()))
            .collect()
    }
}

pub fn caption_name(picture: &str) -> String {
    Path::new(picture)
        .with_extension("txt")
        .to_string_lossy()
        .into_owned()
}

pub fn grey(width: u32, height: u32) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb([128; 3]))
}

pub fn encoded(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    encoded_dynamic(&DynamicImage::from(picture.clone()), format)
}

pub fn encoded_dynamic(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
