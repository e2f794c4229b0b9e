use image::{Rgb, RgbImage};

/// One picture as the VAE takes it: `[3, height, width]`, RGB, each value in [-1, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Where these pixels come from.
    pub framing: Framing,
    /// `3 × height × width` values: all of red, row by row, then green, then blue.
    pub data: Vec<f32>,
    /// Where the loss counts, `height × width` values from 0 (not) to 1 (fully); `None` means everywhere.
    pub mask: Option<Vec<f32>>,
}

/// How a picture was cut, in the words of SDXL's size conditioning (Podell et al. 2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// Width and height in pixels before resizing.
    pub original: (u32, u32),
    /// What was cut off at the left and at the top, in pixels after resizing.
    pub crop: (u32, u32),
}

impl Pixels {
    /// Maps bytes to `x / 127.5 - 1` and interleaved channels to planes; the picture counts as whole.
    pub fn from_rgb(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        let plane = |channel: usize| picture.as_raw().iter().skip(channel).step_by(3);
        let data = (0..3)
            .flat_map(plane)
            .map(|&byte| f32::from(byte) / 127.5 - 1.0)
            .collect();
        Self {
            width,
            height,
            framing: Framing {
                original: (width, height),
                crop: (0, 0),
            },
            data,
            mask: None,
        }
    }

    /// The picture again, as bytes.
    pub fn to_rgb(&self) -> RgbImage {
        let plane = self.width as usize * self.height as usize;
        RgbImage::from_fn(self.width, self.height, |x, y| {
            let place = y as usize * self.width as usize + x as usize;
            Rgb([0, 1, 2].map(|channel| {
                let value = self.data[channel * plane + place].clamp(-1.0, 1.0);
                ((value + 1.0) * 127.5).round() as u8
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes_and_bytes_span_minus_one_to_one() {
        let picture = RgbImage::from_raw(2, 1, vec![255, 0, 51, 0, 255, 204]).unwrap();
        let pixels = Pixels::from_rgb(&picture);
        assert_eq!((pixels.width, pixels.height), (2, 1));
        assert_eq!(pixels.data[..4], [1.0, -1.0, -1.0, 1.0]);
        assert!((pixels.data[4] + 0.6).abs() < 1e-6 && (pixels.data[5] - 0.6).abs() < 1e-6);
        assert_eq!(pixels.to_rgb(), picture);
    }
}
