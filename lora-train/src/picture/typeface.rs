//! The shipped typeface at one size: measures text and turns it into coverage.
//!
//! DejaVu Sans (Bitstream Vera licence) travels inside the `dejavu` crate, so that pictures need no font of the system
//! and look the same everywhere.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont, point};

// The bytes are compiled in and the tests of this file draw with both: neither can fail to parse in a build that passed.
static REGULAR: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::regular()).expect("the shipped font parses")
});
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(dejavu::sans::bold()).expect("the shipped font parses")
});

/// DejaVu Sans at one weight and size.
#[derive(Clone, Copy)]
pub(super) struct Typeface {
    font: &'static FontRef<'static>,
    scale: PxScale,
}

impl Typeface {
    /// The regular weight, `size` pixels from the highest ascender to the lowest descender.
    pub(super) fn regular(size: f32) -> Self {
        Self {
            font: &REGULAR,
            scale: PxScale::from(size),
        }
    }

    /// The bold weight, `size` pixels from the highest ascender to the lowest descender.
    pub(super) fn bold(size: f32) -> Self {
        Self {
            font: &BOLD,
            scale: PxScale::from(size),
        }
    }

    /// The height of a line in pixels, without leading.
    pub(super) fn height(&self) -> f32 {
        self.scale.y
    }

    /// The advance of `text` in pixels, kerned.
    pub(super) fn width(&self, text: &str) -> f32 {
        self.place(text).last().map_or(0.0, |(glyph, left)| {
            left + self.font.as_scaled(self.scale).h_advance(glyph)
        })
    }

    /// Calls `pixel(x, y, coverage)` for each pixel that `text` touches; `(0, 0)` is the upper left corner of its line
    /// and coverage lies in `(0, 1]`. A character that the font lacks is drawn as its box for missing glyphs.
    pub(super) fn cover(&self, text: &str, left: f32, mut pixel: impl FnMut(i32, i32, f32)) {
        let ascent = self.font.as_scaled(self.scale).ascent();
        for (id, x) in self.place(text) {
            let glyph = id.with_scale_and_position(self.scale, point(left + x, ascent));
            let Some(outline) = self.font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, coverage| {
                if coverage > 0.0 {
                    let (x, y) = (
                        bounds.min.x as i32 + dx as i32,
                        bounds.min.y as i32 + dy as i32,
                    );
                    pixel(x, y, coverage.min(1.0));
                }
            });
        }
    }

    /// The glyphs of `text` with the left end of each, in pixels.
    fn place(&self, text: &str) -> impl Iterator<Item = (GlyphId, f32)> {
        let font = self.font.as_scaled(self.scale);
        text.chars().filter(|&c| !is_invisible(c)).scan(
            (0.0, None),
            move |(end, before), character| {
                let glyph = font.glyph_id(character);
                let left = *end + before.map_or(0.0, |before| font.kern(before, glyph));
                (*end, *before) = (left + font.h_advance(glyph), Some(glyph));
                Some((glyph, left))
            },
        )
    }
}

/// Whether a character takes no room: control characters, joiners, direction marks and variation selectors.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(face: Typeface, text: &str) -> f32 {
        let mut sum = 0.0;
        face.cover(text, 0.0, |_, _, coverage| sum += coverage);
        sum
    }

    #[test]
    fn bold_covers_more_than_regular() {
        let regular = ink(Typeface::regular(20.0), "strength");
        assert!(regular > 50.0, "only {regular} pixels of ink");
        assert!(ink(Typeface::bold(20.0), "strength") > 1.2 * regular);
    }

    #[test]
    fn ink_stays_within_the_measured_box() {
        let face = Typeface::regular(24.0);
        let width = face.width("Ångström fjord");
        face.cover("Ångström fjord", 0.0, |x, y, _| {
            assert!(
                (-1..=width.ceil() as i32 + 1).contains(&x),
                "x = {x} of {width}"
            );
            assert!((0..24).contains(&y), "y = {y}");
        });
    }

    #[test]
    fn missing_glyphs_are_boxes_and_controls_take_no_room() {
        let face = Typeface::regular(20.0);
        assert!(ink(face, "猫") > 5.0);
        assert!((face.width("a\u{200d}\u{fe0f}\u{7}b") - face.width("ab")).abs() < 1e-3);
    }
}
