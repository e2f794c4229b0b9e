use image::RgbImage;
use serde::{Deserialize, Serialize};

/// In which order a network takes a picture's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelLayout {
    /// `[N, height, width, 3]`: the channels of a pixel together (TensorFlow's, NHWC).
    Pixels,
    /// `[N, 3, height, width]`: one plane for each channel (PyTorch's, NCHW).
    Planes,
}

/// In which order a network takes a pixel's channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Blue first, as OpenCV has it and WD14 taggers take it.
    #[default]
    Bgr,
    /// Red first.
    Rgb,
}

/// What a network takes for a byte of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelScale {
    /// 0 to 255.
    Bytes,
    /// 0 to 1.
    Unit,
    /// -1 to 1.
    Signed,
    /// ImageNet's mean and deviation taken off, as torchvision's networks have it.
    ImageNet,
    /// CLIP's mean and deviation taken off.
    Clip,
}

impl PixelScale {
    /// Mean and deviation, in 0 to 1, of red, green and blue.
    fn mean_and_deviation(self) -> [(f32, f32); 3] {
        match self {
            Self::Bytes => [(0.0, 1.0 / 255.0); 3],
            Self::Unit => [(0.0, 1.0); 3],
            Self::Signed => [(0.5, 0.5); 3],
            Self::ImageNet => [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)],
            Self::Clip => [
                (0.481_454_66, 0.268_629_54),
                (0.457_827_5, 0.261_302_6),
                (0.408_210_73, 0.275_777_1),
            ],
        }
    }

    /// What each byte of a channel (0 red, 1 green, 2 blue) becomes.
    fn table(self, channel: usize) -> [f32; 256] {
        let (mean, deviation) = self.mean_and_deviation()[channel];
        std::array::from_fn(|byte| match self {
            // Exactly, where the detour would round.
            Self::Bytes => byte as f32,
            _ => (byte as f32 / 255.0 - mean) / deviation,
        })
    }
}

/// A picture's numbers in the form that a network takes: `3 × width × height` of them.
pub(crate) fn pixel_input(
    picture: &RgbImage,
    layout: PixelLayout,
    order: ChannelOrder,
    scale: PixelScale,
) -> Vec<f32> {
    let channels = match order {
        ChannelOrder::Bgr => [2, 1, 0],
        ChannelOrder::Rgb => [0, 1, 2],
    };
    let tables = channels.map(|channel| (channel, scale.table(channel)));
    let value =
        |pixel: &[u8], (channel, table): &(usize, [f32; 256])| table[usize::from(pixel[*channel])];
    let pixels = picture.as_raw().chunks_exact(3);
    match layout {
        PixelLayout::Pixels => pixels
            .flat_map(|pixel| tables.each_ref().map(|table| value(pixel, table)))
            .collect(),
        PixelLayout::Planes => tables
            .iter()
            .flat_map(|table| pixels.clone().map(move |pixel| value(pixel, table)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pixels() -> RgbImage {
        RgbImage::from_raw(2, 1, vec![10, 20, 30, 40, 50, 255]).unwrap()
    }

    #[test]
    fn layouts_and_orders() {
        for (layout, order, expected) in [
            (
                PixelLayout::Pixels,
                ChannelOrder::Bgr,
                [30.0, 20.0, 10.0, 255.0, 50.0, 40.0],
            ),
            (
                PixelLayout::Pixels,
                ChannelOrder::Rgb,
                [10.0, 20.0, 30.0, 40.0, 50.0, 255.0],
            ),
            (
                PixelLayout::Planes,
                ChannelOrder::Bgr,
                [30.0, 255.0, 20.0, 50.0, 10.0, 40.0],
            ),
            (
                PixelLayout::Planes,
                ChannelOrder::Rgb,
                [10.0, 40.0, 20.0, 50.0, 30.0, 255.0],
            ),
        ] {
            let input = pixel_input(&two_pixels(), layout, order, PixelScale::Bytes);
            assert_eq!(input, expected, "{layout:?} {order:?}");
        }
    }

    #[test]
    fn scales() {
        let of = |scale| pixel_input(&two_pixels(), PixelLayout::Pixels, ChannelOrder::Bgr, scale);
        for (scale, blue) in [
            (PixelScale::Bytes, 255.0),
            (PixelScale::Unit, 1.0),
            (PixelScale::Signed, 1.0),
            (PixelScale::ImageNet, (1.0 - 0.406) / 0.225),
            (PixelScale::Clip, (1.0 - 0.408_210_73) / 0.275_777_1),
        ] {
            assert!((of(scale)[3] - blue).abs() < 1e-6, "{scale:?}");
        }
        // Red keeps red's mean when blue comes first.
        let red = (10.0 / 255.0 - 0.485) / 0.229;
        assert!((of(PixelScale::ImageNet)[2] - red).abs() < 1e-6);
        assert!((of(PixelScale::Signed)[2] - (10.0 / 127.5 - 1.0)).abs() < 1e-6);
    }
}
