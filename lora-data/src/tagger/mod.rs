//! Captions by a tagger: a network that gives each tag of its list a probability, such as SmilingWolf's WD14 taggers.
//!
//! [`OnnxTagger`] reads one from a file, [`TagRun`] lets it loose on a folder. What is picked is a [`TagSelection`]'s
//! business, how it is written a [`TagWording`]'s, and what becomes of captions that people wrote a [`CaptionMode`]'s.

mod caption_mode;
mod error;
mod onnx_tagger;
mod padded_square;
mod pixel_input;
mod tag_config;
pub(crate) mod tag_folder;
mod tag_journal;
pub(crate) mod tag_key;
mod tag_list;
mod tag_pattern;
mod tag_replacement;
mod tag_report;
mod tag_run;
mod tag_selection;
mod tag_wording;
mod tag_workers;

use image::RgbImage;

pub use caption_mode::CaptionMode;
pub use error::{TagError, TagListError, TagRuleError, TaggerError};
pub use onnx_tagger::{OnnxTagger, OnnxTaggerConfig};
pub(crate) use pixel_input::pixel_input;
pub use pixel_input::{ChannelOrder, PixelLayout, PixelScale};
pub use tag_config::TagConfig;
pub use tag_list::{Category, Tag, TagList};
pub use tag_pattern::TagPattern;
pub use tag_replacement::TagReplacement;
pub use tag_report::{FailedPicture, Outcome, TagCount, TagEvent, TagReport, TaggedPicture};
pub use tag_run::TagRun;
pub use tag_selection::{ScoredTag, TagSelection};
pub use tag_wording::TagWording;

/// Something that gives each tag of a list a probability. Threads ask it at the same time.
pub trait Tagger: Send + Sync {
    /// The tags, in the order of the probabilities.
    fn tags(&self) -> &TagList;

    /// How many pictures are handed over at once, at most; 1 or more.
    fn batch(&self) -> usize;

    /// What tells this tagger from others: a run that was stopped goes on only with the same.
    fn identity(&self) -> String;

    /// A picture as the tagger takes it.
    ///
    /// # Errors
    /// When the picture cannot be brought to that form.
    fn input(&self, picture: &RgbImage) -> Result<Vec<f32>, TaggerError>;

    /// The probabilities, each from 0 to 1, of `count` pictures, whose inputs stand one after the other:
    /// `[count, tags]`.
    ///
    /// # Errors
    /// When the network fails, or gives something that is no probability.
    fn probabilities(&self, inputs: &[f32], count: usize) -> Result<Vec<f32>, TaggerError>;
}
