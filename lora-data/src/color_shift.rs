use image::{Rgb, RgbImage};

use crate::ColorShift;

/// Turns the hue of a picture and bends its brightness.
///
/// kohya's `color_aug` shifts the hue in OpenCV's HSV, whose saturation and value this keeps too, or raises bytes to the
/// power of gamma; here gamma applies to values in [0, 1], so that white stays white.
pub(crate) fn shift(picture: &mut RgbImage, shift: ColorShift) {
    for pixel in picture.pixels_mut() {
        let [red, green, blue] = pixel.0.map(|byte| f64::from(byte) / 255.0);
        let turned = turned([red, green, blue], shift.hue);
        *pixel = Rgb(turned.map(|value| (value.powf(shift.gamma) * 255.0).round() as u8));
    }
}

/// The same saturation and value at a hue turned by `degrees`.
fn turned(rgb: [f64; 3], degrees: f64) -> [f64; 3] {
    let [red, green, blue] = rgb;
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    let chroma = most - least;
    if chroma == 0.0 || degrees == 0.0 {
        return rgb;
    }
    // `most` is one of the three, bit for bit.
    let sextant = if red >= most {
        (green - blue) / chroma
    } else if green >= most {
        (blue - red) / chroma + 2.0
    } else {
        (red - green) / chroma + 4.0
    };
    let hue = (sextant + degrees / 60.0).rem_euclid(6.0);
    // Smith 1978, in its closed form: each channel lies on a trapezium around its own hue.
    [5.0, 3.0, 1.0].map(|offset| {
        let place = (offset + hue) % 6.0;
        most - chroma * place.min(4.0 - place).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(color: [u8; 3], hue: f64, gamma: f64) -> [u8; 3] {
        let mut picture = RgbImage::from_pixel(1, 1, Rgb(color));
        shift(&mut picture, ColorShift { hue, gamma });
        picture.get_pixel(0, 0).0
    }

    #[test]
    fn hues_turn_and_greys_stay() {
        assert_eq!(shifted([255, 0, 0], 120.0, 1.0), [0, 255, 0]);
        assert_eq!(shifted([200, 100, 50], 120.0, 1.0), [50, 200, 100]);
        assert_eq!(shifted([200, 100, 50], 360.0, 1.0), [200, 100, 50]);
        assert_eq!(shifted([200, 100, 50], -60.0, 1.0), [200, 50, 150]);
        assert_eq!(shifted([77, 77, 77], 8.0, 1.0), [77, 77, 77]);
    }

    #[test]
    fn gamma_keeps_black_and_white() {
        assert_eq!(shifted([0, 255, 128], 0.0, 1.05)[..2], [0, 255]);
        // 255 · (128/255)^1.05 = 123.6.
        assert_eq!(shifted([0, 255, 128], 0.0, 1.05)[2], 124);
    }
}
