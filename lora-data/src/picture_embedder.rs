use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::{
    Fit, Resolution, View,
    buckets::covering,
    cover_crop::cover_crop,
    onnx::{OnnxError, OnnxModel, OnnxRunner},
    tagger::{ChannelOrder, PixelLayout, PixelScale, pixel_input},
};

/// Width and height where the model leaves them open: CLIP's.
const DEFAULT_SIZE: u32 = 224;
/// What exports of CLIP and DINO call their embedding, in the order in which it is looked for.
const USUAL_OUTPUTS: [&str; 3] = ["image_embeds", "pooler_output", "embedding"];

/// A network that makes a vector of a picture, and how it is used where its file does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderConfig {
    /// The ONNX file: CLIP's image encoder, or another network of that kind.
    pub model: PathBuf,
    /// Width and height of its pictures where the model leaves them open; unset means 224.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// What becomes of a byte; unset means CLIP's mean and deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<PixelScale>,
    /// Which channel comes first; unset means red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<ChannelOrder>,
    /// The output that is the embedding; unset means `image_embeds`, `pooler_output`, `embedding` or the only one that
    /// is one vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Why pictures cannot be embedded. The message holds the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedderError {
    /// The model cannot be read or run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The model does not take one square picture.
    #[error(
        "{}: takes {shape}; expected a square picture, [N, 3, size, size] or [N, size, size, 3]{}",
        path.display(),
        asked.map_or(String::new(), |size| format!(", of the size {size} that is asked for"))
    )]
    Input {
        /// The model's file.
        path: PathBuf,
        /// What it takes.
        shape: String,
        /// The size that was asked for.
        asked: Option<u32>,
    },
    /// None of the outputs, or not the one that was asked for, is one vector for a picture.
    #[error(
        "{}: gives {}; {}",
        path.display(),
        outputs.join(", "),
        asked.as_ref().map_or(
            "name the one that is one vector for a picture as output".to_owned(),
            |name| format!("`{name}` is none of them that is one vector for a picture")
        )
    )]
    Output {
        /// The model's file.
        path: PathBuf,
        /// What it gives, with shapes.
        outputs: Vec<String>,
        /// The output that was asked for.
        asked: Option<String>,
    },
    /// A picture cannot be resized.
    #[error("a picture cannot be resized to {size}: {reason}")]
    Resize {
        /// The size of the model's pictures.
        size: u32,
        /// What the resizer said.
        reason: String,
    },
    /// The answer is not a vector that has a direction.
    #[error("{}: gives a vector that is zero or not of finite numbers", path.display())]
    NoDirection {
        /// The model's file.
        path: PathBuf,
    },
}

/// CLIP's image encoder or another network that makes a vector of a picture.
#[derive(Clone, Debug)]
pub struct PictureEmbedder {
    path: PathBuf,
    runner: OnnxRunner,
    size: u32,
    layout: PixelLayout,
    channels: ChannelOrder,
    scale: PixelScale,
    output: usize,
}

impl PictureEmbedder {
    /// Reads a network and asks it about a white picture, to see whether it gives one vector.
    ///
    /// # Errors
    /// When the file cannot be read, the model does not take one square picture, does not run, or gives no vector.
    pub fn load(config: &EmbedderConfig) -> Result<Self, EmbedderError> {
        Self::new(&OnnxModel::load(&config.model)?, config)
    }

    /// The same of a model that is already read.
    ///
    /// # Errors
    /// As [`load`](Self::load), files aside.
    pub fn new(model: &OnnxModel, config: &EmbedderConfig) -> Result<Self, EmbedderError> {
        let (layout, size) = input_of(model, config.size)?;
        let side = size as usize;
        let shape = match layout {
            PixelLayout::Pixels => [1, side, side, 3],
            PixelLayout::Planes => [1, 3, side, side],
        };
        let mut embedder = Self {
            path: model.path().to_path_buf(),
            runner: model.at_shape(&shape)?,
            size,
            layout,
            channels: config.channels.unwrap_or(ChannelOrder::Rgb),
            scale: config.scale.unwrap_or(PixelScale::Clip),
            output: 0,
        };
        let white = RgbImage::from_pixel(size, size, image::Rgb([255; 3]));
        let outputs = embedder.runner.run(&embedder.input(&white)?)?;
        let is_vector = |index: usize| {
            let shape = &outputs[index].shape;
            shape.iter().filter(|&&extent| extent > 1).count() <= 1
                && shape.iter().product::<usize>() > 1
        };
        let named = |name: &str| outputs.iter().position(|output| output.name == name);
        let found = if let Some(name) = &config.output {
            named(name).filter(|&index| is_vector(index))
        } else {
            let usual = USUAL_OUTPUTS.iter().filter_map(|name| named(name));
            let mut candidates = usual.chain(0..outputs.len());
            candidates.find(|&index| is_vector(index))
        };
        embedder.output = found.ok_or_else(|| EmbedderError::Output {
            path: embedder.path.clone(),
            outputs: outputs
                .iter()
                .map(|output| format!("`{}` {:?}", output.name, output.shape))
                .collect(),
            asked: config.output.clone(),
        })?;
        Ok(embedder)
    }

    /// Width and height of the pictures that it takes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The vector of a picture, of length 1. As CLIP has it, the picture is resized to cover the network's square and
    /// the middle is looked at; by Lanczos' filter, not by the bicubic one of CLIP.
    ///
    /// # Errors
    /// [`EmbedderError`].
    pub fn embed(&self, picture: &RgbImage) -> Result<Vec<f32>, EmbedderError> {
        let mut outputs = self.runner.run(&self.input(picture)?)?;
        let vector = outputs.swap_remove(self.output).values;
        let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        let length = length.sqrt() as f32;
        if !(length > 0.0 && length.is_finite()) {
            return Err(EmbedderError::NoDirection {
                path: self.path.clone(),
            });
        }
        Ok(vector.iter().map(|x| x / length).collect())
    }

    fn input(&self, picture: &RgbImage) -> Result<Vec<f32>, EmbedderError> {
        let bucket = Resolution::square(self.size);
        let fit = Fit {
            bucket,
            resized: covering(picture.dimensions(), bucket),
        };
        let cut = cover_crop(picture.clone(), &fit, &View::plain());
        let (square, _) = cut.map_err(|error| EmbedderError::Resize {
            size: self.size,
            reason: error.to_string(),
        })?;
        Ok(pixel_input(&square, self.layout, self.channels, self.scale))
    }
}

/// How a model takes its pictures, and of which size.
fn input_of(model: &OnnxModel, asked: Option<u32>) -> Result<(PixelLayout, u32), EmbedderError> {
    let shape = &model.input().shape;
    let (layout, sides) = match shape[..] {
        [_, Some(3), height, width] => (PixelLayout::Planes, [height, width]),
        [_, height, width, Some(3)] => (PixelLayout::Pixels, [height, width]),
        _ => return Err(misshapen(model.path(), shape, None)),
    };
    let declared: Vec<usize> = sides.into_iter().flatten().collect();
    let size = match declared[..] {
        [] => asked.unwrap_or(DEFAULT_SIZE).max(1),
        [side, ..] => {
            let size = u32::try_from(side).unwrap_or(0);
            let fits = declared.iter().all(|&other| other == side)
                && size > 0
                && asked.is_none_or(|asked| asked == size);
            if !fits {
                return Err(misshapen(model.path(), shape, asked));
            }
            size
        }
    };
    Ok((layout, size))
}

fn misshapen(path: &Path, shape: &[Option<usize>], asked: Option<u32>) -> EmbedderError {
    let sizes = shape
        .iter()
        .map(|size| size.map_or("?".to_owned(), |size| size.to_string()));
    EmbedderError::Input {
        path: path.into(),
        shape: format!("[{}]", sizes.collect::<Vec<_>>().join(", ")),
        asked,
    }
}
