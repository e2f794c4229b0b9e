use crate::{
    AugmentConfig,
    random_stream::{Purpose, random_stream},
};
use rand::RngExt;

/// How one showing looks at its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// Mirrored left to right.
    pub flip: bool,
    /// Where the crop lies, from 0 (left, top) to 1 (right, bottom) of what is left over; `None` is the middle.
    pub crop: Option<[f64; 2]>,
    /// Hue turned (in degrees) and gamma, where colours are varied.
    pub color: Option<ColorShift>,
}

/// A slight change of a picture's colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorShift {
    /// Turn of the hue in degrees.
    pub hue: f64,
    /// Exponent of each channel's value in [0, 1].
    pub gamma: f64,
}

impl View {
    /// The whole picture, neither mirrored nor varied: the middle crop.
    pub const fn plain() -> Self {
        Self {
            flip: false,
            crop: None,
            color: None,
        }
    }

    /// The plain view, mirrored.
    pub const fn flipped() -> Self {
        Self {
            flip: true,
            ..Self::plain()
        }
    }

    /// Whether it is one of the two views that every showing of a picture shares, so that latents can be kept.
    pub fn is_fixed(&self) -> bool {
        self.crop.is_none() && self.color.is_none()
    }

    /// The view of one showing: a pure function of its arguments.
    pub fn draw(config: &AugmentConfig, seed: u64, epoch: u64, ordinal: u64) -> Self {
        let flip =
            config.flip && random_stream(Purpose::Flip, seed, epoch, ordinal).random::<f64>() < 0.5;
        let crop = config.random_crop.then(|| {
            let mut random = random_stream(Purpose::Crop, seed, epoch, ordinal);
            [random.random(), random.random()]
        });
        Self {
            flip,
            crop,
            color: None,
        }
    }
}
