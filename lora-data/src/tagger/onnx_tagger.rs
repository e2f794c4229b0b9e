use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::{
    ChannelOrder, PixelLayout, PixelScale, TagList, Tagger, TaggerError,
    padded_square::padded_square, pixel_input::pixel_input,
};
use crate::onnx::{OnnxError, OnnxInput, OnnxModel, OnnxRunner};

/// What the model's file is called in the folder of a WD14 tagger.
const MODEL_FILE: &str = "model.onnx";
/// What the list of tags is called there.
const TAGS_FILE: &str = "selected_tags.csv";
/// How far rounding may carry a probability out of 0 to 1.
const ROUNDING: f32 = 1e-4;

/// How a tagger is to be used, where its file does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OnnxTaggerConfig {
    /// Width and height of pictures where the model leaves them open. Unset: 448, as WD14's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// How many pictures are run at once where the model leaves it open.
    pub batch: usize,
    /// Which channel comes first.
    pub channels: ChannelOrder,
    /// What becomes of a byte. Unset: 0 to 255 where the channels of a pixel stand together, as in WD14 taggers, and
    /// -1 to 1 where they are planes, as in the taggers that sd-scripts feeds that way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<PixelScale>,
    /// Whether the model gives logits, on which the sigmoid is still to be applied. Unset: told by its answer to a
    /// white picture, for a probability is not below 0 or above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<bool>,
}

impl Default for OnnxTaggerConfig {
    fn default() -> Self {
        Self {
            size: None,
            batch: 1,
            channels: ChannelOrder::Bgr,
            scale: None,
            logits: None,
        }
    }
}

/// Width and height that WD14 taggers take.
const DEFAULT_SIZE: u32 = 448;

/// A tagger from an ONNX file and a list of tags.
#[derive(Clone)]
pub struct OnnxTagger {
    path: PathBuf,
    tags: TagList,
    runner: OnnxRunner,
    batch: usize,
    size: u32,
    layout: PixelLayout,
    channels: ChannelOrder,
    scale: PixelScale,
    /// Which of the model's outputs has the tags.
    output: usize,
    logits: bool,
}

impl OnnxTagger {
    /// Reads a tagger and asks it about a white picture, to see whether it belongs to its list.
    ///
    /// `model` may be the folder that holds `model.onnx`; without `tags`, the list is `selected_tags.csv` beside it.
    ///
    /// # Errors
    /// When a file cannot be read, the model does not take one square picture, does not run, or does not give one
    /// number for each tag.
    pub fn load(
        model: &Path,
        tags: Option<&Path>,
        config: &OnnxTaggerConfig,
    ) -> Result<Self, TaggerError> {
        let path = if model.is_dir() {
            model.join(MODEL_FILE)
        } else {
            model.to_path_buf()
        };
        // The list is read first, for it is small; but a missing model is told before its missing list.
        fs::metadata(&path).map_err(|cause| OnnxError::Read {
            path: path.clone(),
            cause,
        })?;
        let tags = match tags {
            Some(tags) => TagList::read(tags)?,
            None => TagList::read(&path.with_file_name(TAGS_FILE))?,
        };
        let model = OnnxModel::load(&path)?;
        Self::new(&model, tags, config)
    }

    /// A tagger of a model that is already read, asked about a white picture as by [`load`](Self::load).
    ///
    /// # Errors
    /// As [`load`](Self::load), files aside.
    pub fn new(
        model: &OnnxModel,
        tags: TagList,
        config: &OnnxTaggerConfig,
    ) -> Result<Self, TaggerError> {
        let input = model.input();
        let layout = layout_of(model.path(), input)?;
        let size = size_of(model.path(), input, layout, config)?;
        let batch = input.shape[0].unwrap_or(config.batch).max(1);
        let side = size as usize;
        let shape = match layout {
            PixelLayout::Pixels => [batch, side, side, 3],
            PixelLayout::Planes => [batch, 3, side, side],
        };
        let scale = config.scale.unwrap_or(match layout {
            PixelLayout::Pixels => PixelScale::Bytes,
            PixelLayout::Planes => PixelScale::Signed,
        });
        let mut tagger = Self {
            path: model.path().to_path_buf(),
            tags,
            runner: model.at_shape(&shape)?,
            batch,
            size,
            layout,
            channels: config.channels,
            scale,
            output: 0,
            logits: false,
        };
        tagger.ask_about_white(config.logits)?;
        Ok(tagger)
    }

    /// The model's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Width and height of the pictures it takes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// In which order it takes a picture's numbers.
    pub fn layout(&self) -> PixelLayout {
        self.layout
    }

    /// What it takes for a byte.
    pub fn scale(&self) -> PixelScale {
        self.scale
    }

    /// Whether its output is taken for logits.
    pub fn gives_logits(&self) -> bool {
        self.logits
    }

    /// Finds out which output has the tags, and whether they are probabilities unless that was said.
    fn ask_about_white(&mut self, logits: Option<bool>) -> Result<(), TaggerError> {
        let white = RgbImage::from_pixel(self.size, self.size, image::Rgb([255; 3]));
        let one = pixel_input(&white, self.layout, self.channels, self.scale);
        let outputs = self.runner.run(&one.repeat(self.batch))?;
        let expected = self.tags.tags().len() * self.batch;
        let counts = outputs.iter().map(|output| output.values.len());
        let Some(index) = counts.clone().position(|count| count == expected) else {
            return Err(TaggerError::OutputCount {
                path: self.path.clone(),
                list: self.tags.path().to_path_buf(),
                found: counts.max().unwrap_or(0) / self.batch,
                tags: self.tags.tags().len(),
            });
        };
        self.output = index;
        let is_probability = |value: &f32| (-ROUNDING..=1.0 + ROUNDING).contains(value);
        self.logits = logits.unwrap_or_else(|| !outputs[index].values.iter().all(is_probability));
        Ok(())
    }

    /// Applies the sigmoid where it is still to be, and makes sure that `values` are probabilities.
    fn checked(&self, mut values: Vec<f32>) -> Result<Vec<f32>, TaggerError> {
        for (index, value) in values.iter_mut().enumerate() {
            let given = *value;
            if self.logits {
                *value = 1.0 / (1.0 + (-given).exp());
            }
            if !(-ROUNDING..=1.0 + ROUNDING).contains(value) {
                let tags = self.tags.tags();
                return Err(TaggerError::NotAProbability {
                    path: self.path.clone(),
                    tag: tags[index % tags.len()].name.clone(),
                    value: given,
                });
            }
            *value = value.clamp(0.0, 1.0);
        }
        Ok(values)
    }
}

impl Tagger for OnnxTagger {
    fn tags(&self) -> &TagList {
        &self.tags
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn identity(&self) -> String {
        let tags = self.tags.tags().len();
        let Self {
            size,
            channels,
            scale,
            logits,
            ..
        } = self;
        let path = self.path.display();
        format!("{path}, {tags} tags, {size}, {channels:?}, {scale:?}, {logits}")
    }

    fn input(&self, picture: &RgbImage) -> Result<Vec<f32>, TaggerError> {
        let square = padded_square(picture, self.size).map_err(|error| TaggerError::Resize {
            size: self.size,
            reason: error.to_string(),
        })?;
        Ok(pixel_input(&square, self.layout, self.channels, self.scale))
    }

    fn probabilities(&self, inputs: &[f32], count: usize) -> Result<Vec<f32>, TaggerError> {
        let whole: usize = self.runner.shape().iter().product();
        // The model runs whole batches only; what fills the last one up is thrown away.
        let mut outputs = if inputs.len() < whole {
            let mut filled = inputs.to_vec();
            filled.resize(whole, 0.0);
            self.runner.run(&filled)?
        } else {
            self.runner.run(inputs)?
        };
        let mut values = outputs.swap_remove(self.output).values;
        values.truncate(count * self.tags.tags().len());
        self.checked(values)
    }
}

impl fmt::Debug for OnnxTagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxTagger")
            .field("identity", &self.identity())
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

fn layout_of(path: &Path, input: &OnnxInput) -> Result<PixelLayout, TaggerError> {
    match input.shape[..] {
        [_, _, _, Some(3)] => Ok(PixelLayout::Pixels),
        [_, Some(3), _, _] => Ok(PixelLayout::Planes),
        _ => Err(misshapen(path, input)),
    }
}

fn size_of(
    path: &Path,
    input: &OnnxInput,
    layout: PixelLayout,
    config: &OnnxTaggerConfig,
) -> Result<u32, TaggerError> {
    let declared = match layout {
        PixelLayout::Pixels => (input.shape[1], input.shape[2]),
        PixelLayout::Planes => (input.shape[2], input.shape[3]),
    };
    let found = match declared {
        (Some(height), Some(width)) if height != width => return Err(misshapen(path, input)),
        (None, None) => return Ok(config.size.unwrap_or(DEFAULT_SIZE).max(1)),
        (Some(side), _) | (None, Some(side)) => {
            u32::try_from(side).map_err(|_| misshapen(path, input))?
        }
    };
    match config.size {
        Some(asked) if asked != found => Err(TaggerError::Size {
            path: path.into(),
            found,
            asked,
        }),
        _ => Ok(found),
    }
}

fn misshapen(path: &Path, input: &OnnxInput) -> TaggerError {
    let sizes = input.shape.iter();
    let sizes: Vec<String> = sizes
        .map(|size| size.map_or("?".to_owned(), |size| size.to_string()))
        .collect();
    TaggerError::Input {
        path: path.into(),
        shape: format!("[{}]", sizes.join(", ")),
    }
}
