//! The pictures of one cell, side by side and large enough to be seen.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use super::canvas::Canvas;

/// Pictures with a shorter side than this many pixels are enlarged to at least that.
pub(super) const LEAST_SIDE: u32 = 128;

/// Room between two pictures of one cell, in pixels.
const GAP: u32 = 4;

/// The whole number by which a picture of this size is enlarged.
fn enlargement(picture: &RgbImage) -> u32 {
    LEAST_SIDE
        .div_ceil(picture.width().min(picture.height()).max(1))
        .max(1)
}

/// A picture, enlarged where it is small. The factor is a whole number, so that all its pixels keep one size.
fn enlarged(picture: &RgbImage) -> RgbImage {
    match enlargement(picture) {
        1 => picture.clone(),
        factor => resize(
            picture,
            picture.width() * factor,
            picture.height() * factor,
            FilterType::CatmullRom,
        ),
    }
}

/// The way in which the pictures of one cell follow each other.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    /// From left to right.
    Across,
    /// From top to bottom.
    Down,
}

/// The pictures in one row or column, centred on its axis; `None` where there is nothing to show.
pub(super) fn tile(
    pictures: &[RgbImage],
    direction: Direction,
    paper: Rgb<u8>,
) -> Option<RgbImage> {
    let parts: Vec<RgbImage> = pictures
        .iter()
        .filter(|picture| !picture.is_empty())
        .map(enlarged)
        .collect();
    let widths = parts.iter().map(RgbImage::width);
    let heights = parts.iter().map(RgbImage::height);
    let gaps = GAP * (parts.len() as u32).saturating_sub(1);
    let (width, height) = match direction {
        Direction::Across => (widths.sum::<u32>() + gaps, heights.max()?),
        Direction::Down => (widths.max()?, heights.sum::<u32>() + gaps),
    };
    let mut canvas = Canvas::new(width, height, paper);
    let mut start = 0;
    for part in &parts {
        let (left, top, length) = match direction {
            Direction::Across => (start, (height - part.height()) / 2, part.width()),
            Direction::Down => ((width - part.width()) / 2, start, part.height()),
        };
        canvas.paste(part, left, top);
        start += length + GAP;
    }
    Some(canvas.into_image())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::palette::PAPER;

    fn size(pictures: &[RgbImage]) -> Option<(u32, u32)> {
        tile(pictures, Direction::Across, PAPER).map(|tile| tile.dimensions())
    }

    #[test]
    fn small_pictures_grow_by_a_whole_number_and_large_ones_stay() {
        assert_eq!(size(&[RgbImage::new(64, 64)]), Some((128, 128)));
        assert_eq!(size(&[RgbImage::new(50, 60)]), Some((150, 180)));
        assert_eq!(size(&[RgbImage::new(512, 768)]), Some((512, 768)));
    }

    #[test]
    fn several_pictures_stand_beside_or_under_each_other() {
        let two = [RgbImage::new(200, 150), RgbImage::new(200, 150)];
        assert_eq!(size(&two), Some((404, 150)));
        assert_eq!(
            tile(&two, Direction::Down, PAPER).map(|tile| tile.dimensions()),
            Some((200, 304))
        );
    }

    #[test]
    fn nothing_to_show_is_none() {
        assert_eq!(size(&[]), None);
        assert_eq!(size(&[RgbImage::new(0, 0)]), None);
        assert!(tile(&[], Direction::Down, PAPER).is_none());
    }
}
