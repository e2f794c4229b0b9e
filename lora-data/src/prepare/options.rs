use std::{num::NonZeroUsize, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::PrepareError;
use crate::{AlphaPolicy, BucketConfig, Buckets, Resolution, prepare::perceptual_hash::BITS};

/// Two pictures whose perceptual hashes differ in no more bits than this, of 256, are taken for copies.
pub(crate) const COPY_BITS: u32 = 16;

/// What becomes of the pictures of a folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, set by name"
)]
pub struct PrepareOptions {
    /// The size to which pictures are brought.
    pub target: Target,
    /// Which part of a picture is kept where its proportions are not the target's.
    pub crop: CropMode,
    /// What becomes of pictures that are smaller than the target.
    pub small: SmallPolicy,
    /// The files that are written.
    pub format: OutputFormat,
    /// What becomes of transparency. With [`AlphaPolicy::Mask`] it is written as `NAME-masklabel.png`.
    #[serde(serialize_with = "alpha_text")]
    pub alpha: AlphaPolicy,
    /// The colour under transparent pixels where transparency becomes a mask.
    pub matte: [u8; 3],
    /// Extensions of the caption files that come along.
    pub caption_extensions: Vec<String>,
    /// A file of parts to be cut out by hand, `name,x,y,width,height`.
    #[serde(skip)]
    pub boxes: Option<PathBuf>,
    /// Enters all folders in the folder, not only those named `N_class`.
    #[serde(skip)]
    pub recursive: bool,
    /// Of two pictures whose perceptual hashes differ in no more bits than this, of 256, one is a copy.
    #[serde(skip)]
    pub near: u32,
    /// What becomes of copies.
    #[serde(skip)]
    pub duplicates: DuplicatePolicy,
    /// A picture whose sharpness is below this is called blurred; see [`Survey::sharpness`](super::Survey::sharpness).
    #[serde(skip)]
    pub blur: u32,
    /// Whether blurred pictures are left out.
    #[serde(skip)]
    pub skip_blurred: bool,
    /// Whether small pictures for a contact sheet are kept in the out folder.
    #[serde(skip)]
    pub thumbnails: bool,
    /// Removes what was made of pictures that are gone.
    #[serde(skip)]
    pub prune: bool,
    /// Makes everything anew, and replaces files that are not ours too.
    #[serde(skip)]
    pub force: bool,
    /// Writes nothing.
    #[serde(skip)]
    pub dry_run: bool,
    /// How many pictures are worked on, and in memory, at the same time; one for each core when unset.
    #[serde(skip)]
    pub threads: Option<NonZeroUsize>,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            target: Target::Whole { max_side: None },
            crop: CropMode::Centre,
            small: SmallPolicy::Keep,
            format: OutputFormat::Png,
            alpha: AlphaPolicy::default(),
            matte: [255; 3],
            caption_extensions: ["txt", "caption"].map(String::from).into(),
            boxes: None,
            recursive: false,
            near: COPY_BITS,
            duplicates: DuplicatePolicy::Report,
            blur: 50,
            skip_blurred: false,
            thumbnails: false,
            prune: false,
            force: false,
            dry_run: false,
            threads: None,
        }
    }
}

/// The size to which pictures are brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// As it is, scaled down where the longer side has more pixels than this.
    Whole {
        /// Most pixels of the longer side.
        max_side: Option<u32>,
    },
    /// One size for all.
    Size(Resolution),
    /// The bucket that training would choose.
    Buckets {
        /// About the area of buckets.
        resolution: Resolution,
        /// Which buckets there are.
        config: BucketConfig,
    },
}

/// Which part of a picture is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CropMode {
    /// The middle, as training cuts it.
    #[default]
    Centre,
    /// Where most is to be seen: edges and colours.
    Smart,
    /// Around the faces, the largest first; where there is none, as [`Self::Smart`].
    Face,
    /// All of it: scaled as for cutting, but nothing is cut off.
    None,
}

/// What becomes of pictures that would have to be enlarged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmallPolicy {
    /// They are cut to the target's proportions at their own size.
    #[default]
    Keep,
    /// They are enlarged.
    Upscale,
    /// They are left out.
    Skip,
}

/// The files that are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// PNG, without loss.
    #[default]
    Png,
    /// WebP, without loss.
    Webp,
    /// JPEG.
    Jpeg {
        /// From 1 to 100.
        quality: u8,
    },
}

impl OutputFormat {
    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Jpeg { .. } => "jpg",
        }
    }
}

/// What becomes of copies of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicatePolicy {
    /// They are told.
    #[default]
    Report,
    /// All but the one with the most pixels are left out.
    Skip,
}

impl PrepareOptions {
    pub(super) fn wants_thumbnails(&self) -> bool {
        self.thumbnails && !self.dry_run
    }

    /// Checks what can be said without looking at a picture.
    ///
    /// # Errors
    /// For the first option that has a value that it cannot have.
    pub fn check(&self) -> Result<(), PrepareError> {
        let wrong = |option, value: String, expected: String| {
            Err(PrepareError::Option {
                option,
                value,
                expected,
            })
        };
        match self.target {
            Target::Whole { max_side: Some(0) } => {
                return wrong("max side", "0".to_owned(), "at least one pixel".to_owned());
            }
            Target::Size(size) if size.width == 0 || size.height == 0 => {
                let expected = "at least one pixel each way".to_owned();
                return wrong("size", size.to_string(), expected);
            }
            Target::Buckets { resolution, config } => {
                if let Err(problems) = Buckets::new(resolution, &config) {
                    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    return Err(PrepareError::Buckets {
                        problems: all.join("\n"),
                    });
                }
            }
            Target::Whole { .. } | Target::Size(_) => {}
        }
        if let OutputFormat::Jpeg { quality } = self.format
            && !(1..=100).contains(&quality)
        {
            return wrong("quality", quality.to_string(), "1 to 100".to_owned());
        }
        if self.near >= BITS / 2 {
            // Two pictures that have nothing in common differ in about half of the bits.
            let expected = format!("fewer than {} of {BITS} bits; 16 is usual", BITS / 2);
            return wrong("near", self.near.to_string(), expected);
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn alpha_text<S: serde::Serializer>(alpha: &AlphaPolicy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{alpha:?}"))
}
