//! The film strip: the previews of a run in the order in which they were made.

use image::RgbImage;

use super::canvas::Canvas;
use super::palette::{MUTED, PAPER};
use super::tile::{Direction, LEAST_SIDE, tile};
use super::typeface::Typeface;

/// Room between two frames, and twice that around the strip, in pixels.
const GAP: u32 = 8;
/// The strip wraps after so many frames.
const FRAMES_ACROSS: usize = 10;

/// The previews of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The training step after which they were drawn.
    pub step: u64,
    /// One picture for each preview prompt; they stand under each other.
    pub pictures: Vec<RgbImage>,
}

/// Previews by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilmStrip {
    /// The frames, first step first.
    pub frames: Vec<Frame>,
    /// What each row of pictures was drawn from; empty where it is not to be told.
    pub prompts: Vec<String>,
}

impl FilmStrip {
    /// At most `count` of the frames, evenly spaced, with the first and the last among them.
    pub fn thinned(mut self, count: usize) -> Self {
        let length = self.frames.len();
        if length > count {
            let gaps = count.saturating_sub(1).max(1);
            let kept: Vec<usize> = (0..count)
                .map(|index| index * (length - 1) / gaps)
                .collect();
            let mut index = 0..;
            self.frames
                .retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
        }
        self
    }

    /// Draws the frames side by side, ten to a line, with the step below each. Small pictures are enlarged as in
    /// [`Grid::write_sheet`](super::Grid::write_sheet).
    pub fn render(&self) -> RgbImage {
        let tiles: Vec<_> = self
            .frames
            .iter()
            .map(|frame| tile(&frame.pictures, Direction::Down, PAPER, 1.0))
            .collect();
        let present = || tiles.iter().flatten();
        let width = present().map(RgbImage::width).max().unwrap_or(LEAST_SIDE);
        let height = present().map(RgbImage::height).max().unwrap_or(LEAST_SIDE);
        let face = Typeface::regular((width as f32 * 0.1).clamp(15.0, 30.0));
        let caption = (face.height() * 1.6).ceil() as u32;
        let (across, down) = (
            tiles.len().min(FRAMES_ACROSS),
            tiles.len().div_ceil(FRAMES_ACROSS),
        );

        let span = |length: u32, count: usize| (length + GAP) * count as u32 + 3 * GAP;
        let mut canvas = Canvas::new(span(width, across), span(height + caption, down), PAPER);
        for (index, (tile, frame)) in tiles.iter().zip(&self.frames).enumerate() {
            let left = 2 * GAP + (width + GAP) * (index % FRAMES_ACROSS) as u32;
            let top = 2 * GAP + (height + caption + GAP) * (index / FRAMES_ACROSS) as u32;
            if let Some(tile) = tile {
                canvas.paste(tile, left + (width - tile.width()) / 2, top);
            }
            let middle = left as f32 + width as f32 / 2.0;
            let below = (top + height) as f32 + face.height() * 0.25;
            canvas.centred(face, &format!("step {}", frame.step), middle, below, MUTED);
        }
        canvas.into_image()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn strip(count: u64) -> FilmStrip {
        let picture = RgbImage::from_pixel(64, 64, Rgb([0, 160, 0]));
        let frame = |step| Frame {
            step: step * 50,
            pictures: vec![picture.clone()],
        };
        FilmStrip {
            frames: (0..count).map(frame).collect(),
            ..FilmStrip::default()
        }
    }

    #[test]
    fn each_frame_is_drawn_with_its_step_below() {
        let image = strip(3).render();
        assert_eq!(image.width(), 3 * (128 + GAP) + 3 * GAP);
        let count =
            |image: &RgbImage, wanted| image.pixels().filter(|&&pixel| pixel == wanted).count();
        assert_eq!(count(&image, Rgb([0, 160, 0])), 3 * 128 * 128);
        let below = 2 * GAP + 128;
        for frame in 0..3 {
            let left = 2 * GAP + (128 + GAP) * frame;
            let caption =
                image::imageops::crop_imm(&image, left, below, 128, image.height() - below)
                    .to_image();
            let ink = caption.pixels().filter(|&&pixel| pixel != PAPER).count();
            assert!(ink > 50, "no step below frame {frame}");
        }
    }

    #[test]
    fn long_strips_wrap() {
        let (ten, eleven) = (strip(10).render(), strip(11).render());
        assert_eq!(eleven.width(), ten.width());
        assert!(eleven.height() > 2 * 128 && ten.height() < 2 * 128);
    }

    #[test]
    fn thinning_keeps_both_ends() {
        let steps = |strip: FilmStrip| {
            strip
                .frames
                .iter()
                .map(|frame| frame.step)
                .collect::<Vec<_>>()
        };
        assert_eq!(steps(strip(9).thinned(3)), [0, 200, 400]);
        assert_eq!(steps(strip(100).thinned(7)).len(), 7);
        assert_eq!(steps(strip(100).thinned(7)).last(), Some(&4950));
        assert_eq!(steps(strip(2).thinned(9)), [0, 50]);
        assert_eq!(steps(strip(5).thinned(1)), [0]);
        assert!(steps(strip(5).thinned(0)).is_empty());
    }

    #[test]
    fn frames_without_pictures_do_not_panic() {
        assert!(!FilmStrip::default().render().is_empty());
        assert!(
            !FilmStrip {
                frames: vec![Frame {
                    step: 1,
                    pictures: vec![]
                }],
                ..FilmStrip::default()
            }
            .render()
            .is_empty()
        );
    }
}
