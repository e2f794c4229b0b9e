//! The pictures of one cell, side by side and large enough to be seen.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};

use super::canvas::Canvas;

/// Pictures with a shorter side than this many pixels are enlarged to at least that.
pub(super) const LEAST_SIDE: u32 = 128;

/// Room between two pictures of one cell, in pixels.
const GAP: u32 = 4;

/// The side on the sheet of what has `side` pixels there at full scale.
pub(super) fn shown_side(side: u32, scale: f64) -> u32 {
    ((f64::from(side) * scale).round() as u32).max(1)
}

/// The size in which a picture is shown: enlarged by a whole number where it is small, so that all its pixels keep one
/// size, then scaled.
fn shown(size: [u32; 2], scale: f64) -> [u32; 2] {
    let factor = LEAST_SIDE.div_ceil(size[0].min(size[1]).max(1)).max(1);
    size.map(|side| shown_side(side * factor, scale))
}

/// A picture in the size in which it is shown.
fn resized(picture: &RgbImage, scale: f64) -> RgbImage {
    let size = [picture.width(), picture.height()];
    let [width, height] = shown(size, scale);
    if [width, height] == size {
        return picture.clone();
    }
    resize(picture, width, height, FilterType::CatmullRom)
}

/// The way in which the pictures of one cell follow each other.
#[derive(Clone, Copy)]
pub(super) enum Direction {
    /// From left to right.
    Across,
    /// From top to bottom.
    Down,
}

/// The size of the tile of pictures of these sizes; `None` where there is nothing to show.
pub(super) fn tile_size(
    sizes: &[[u32; 2]],
    direction: Direction,
    scale: f64,
) -> Option<(u32, u32)> {
    let parts = sizes
        .iter()
        .filter(|size| !size.contains(&0))
        .map(|&size| shown(size, scale));
    extent(parts, direction)
}

/// The pictures in one row or column, centred on its axis and scaled down by `scale`; `None` where there is nothing to
/// show.
pub(super) fn tile(
    pictures: &[RgbImage],
    direction: Direction,
    paper: Rgb<u8>,
    scale: f64,
) -> Option<RgbImage> {
    let parts: Vec<RgbImage> = pictures
        .iter()
        .filter(|picture| !picture.is_empty())
        .map(|picture| resized(picture, scale))
        .collect();
    let sizes = parts.iter().map(|part| [part.width(), part.height()]);
    let (width, height) = extent(sizes, direction)?;
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

/// The size of parts that follow each other.
fn extent(parts: impl Iterator<Item = [u32; 2]>, direction: Direction) -> Option<(u32, u32)> {
    let join = |along: u32, other: u32| along + GAP + other;
    parts
        .map(|[width, height]| (width, height))
        .reduce(|(width, height), part| match direction {
            Direction::Across => (join(width, part.0), height.max(part.1)),
            Direction::Down => (width.max(part.0), join(height, part.1)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::palette::PAPER;

    fn size(pictures: &[RgbImage]) -> Option<(u32, u32)> {
        tile(pictures, Direction::Across, PAPER, 1.0).map(|tile| tile.dimensions())
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
            tile(&two, Direction::Down, PAPER, 1.0).map(|tile| tile.dimensions()),
            Some((200, 304))
        );
    }

    #[test]
    fn the_size_is_known_before_the_pictures_are() {
        for scale in [1.0, 0.7, 0.01] {
            for direction in [Direction::Across, Direction::Down] {
                let sizes = [[64, 48], [200, 150], [0, 3]];
                let pictures = sizes.map(|[width, height]| RgbImage::new(width, height));
                let tile = tile(&pictures, direction, PAPER, scale);
                assert_eq!(
                    tile_size(&sizes, direction, scale),
                    tile.map(|tile| tile.dimensions())
                );
            }
        }
    }

    #[test]
    fn nothing_to_show_is_none() {
        assert_eq!(size(&[]), None);
        assert_eq!(size(&[RgbImage::new(0, 0)]), None);
        assert!(tile(&[], Direction::Down, PAPER, 1.0).is_none());
    }
}
