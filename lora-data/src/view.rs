use rand::RngExt;

use crate::{
    AugmentConfig,
    random_stream::{Purpose, random_stream},
};

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
            color: config
                .color
                .then(|| ColorShift::draw(seed, epoch, ordinal))
                .flatten(),
        }
    }
}

impl ColorShift {
    /// At a third of the showings, either the hue turns by up to 16 degrees either way or gamma is from 0.95 to 1.05:
    /// the shares and ranges of kohya's `color_aug` (OpenCV's hues are half degrees).
    fn draw(seed: u64, epoch: u64, ordinal: u64) -> Option<Self> {
        let mut random = random_stream(Purpose::Color, seed, epoch, ordinal);
        let [whether, which, amount]: [f64; 3] = random.random();
        let amount = 2.0 * amount - 1.0;
        (whether <= 0.33).then_some({
            if which > 0.5 {
                Self {
                    hue: 16.0 * amount,
                    gamma: 1.0,
                }
            } else {
                Self {
                    hue: 0.0,
                    gamma: 1.0 + 0.05 * amount,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: AugmentConfig = AugmentConfig {
        flip: true,
        color: true,
        random_crop: true,
    };

    #[test]
    fn shares_and_ranges() {
        let views: Vec<View> = (0..3000).map(|n| View::draw(&ALL, 1, 2, n)).collect();
        let count = |holds: &dyn Fn(&View) -> bool| views.iter().filter(|view| holds(view)).count();
        // Binomial(3000, 1/2), (3000, 0.33) and (3000, 0.165): four standard deviations are 110, 103 and 82.
        assert!(count(&|view| view.flip).abs_diff(1500) < 110);
        let shifts: Vec<ColorShift> = views.iter().filter_map(|view| view.color).collect();
        assert!(shifts.len().abs_diff(990) < 103);
        let hues = shifts.iter().filter(|shift| shift.hue != 0.0).count();
        assert!(hues.abs_diff(495) < 82);
        assert!(
            shifts
                .iter()
                .all(|shift| shift.hue.abs() <= 16.0 && (shift.gamma - 1.0).abs() <= 0.05)
        );
        let mean: f64 = views
            .iter()
            .filter_map(|view| view.crop)
            .map(|[x, y]| x + y)
            .sum::<f64>()
            / 6000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
    }

    #[test]
    fn a_view_is_a_function_of_its_arguments_and_nothing_else_is_varied() {
        assert_eq!(View::draw(&ALL, 1, 2, 3), View::draw(&ALL, 1, 2, 3));
        assert_ne!(View::draw(&ALL, 1, 2, 3), View::draw(&ALL, 1, 2, 4));
        let none = AugmentConfig::default();
        assert!((0..100).all(|n| View::draw(&none, 1, 2, n) == View::plain()));
        let flip = AugmentConfig { flip: true, ..none };
        assert!((0..100).all(|n| View::draw(&flip, 1, 2, n).is_fixed()));
        assert!(!View::draw(&ALL, 1, 2, 3).is_fixed());
    }
}
