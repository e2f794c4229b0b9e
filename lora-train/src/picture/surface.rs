//! The canvas as a backend of plotters: smooth lines and our typeface in place of its own rasteriser and fonts.

use std::convert::Infallible;

use image::Rgb;
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, rasterizer,
};

use super::canvas::Canvas;
use super::stroke;
use super::typeface::Typeface;

/// Lets plotters draw on a canvas.
pub(super) struct Surface<'a> {
    pub(super) canvas: &'a mut Canvas,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Surface<'_> {
    fn stroke(&mut self, path: &[BackendCoord], width: f32, colour: BackendColor) {
        let (rgb, opacity) = (Rgb::from(<[u8; 3]>::from(colour.rgb)), colour.alpha as f32);
        let size = self.canvas.size();
        stroke::cover(path, width, size, |x, y, coverage| {
            self.canvas.blend(x, y, rgb, coverage * opacity);
        });
    }
}

impl DrawingBackend for Surface<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.canvas.size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, colour: BackendColor) -> Drawn {
        self.canvas.blend(
            x,
            y,
            Rgb::from(<[u8; 3]>::from(colour.rgb)),
            colour.alpha as f32,
        );
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.stroke(&[from, to], style.stroke_width() as f32, style.color());
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let path: Vec<_> = path.into_iter().collect();
        self.stroke(&path, style.stroke_width() as f32, style.color());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        centre: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if fill {
            self.stroke(&[centre], 2.0 * radius as f32, style.color());
            return Ok(());
        }
        rasterizer::draw_circle(self, centre, radius, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        position: BackendCoord,
    ) -> Drawn {
        let (face, colour, turn) = (typeface(style), style.color(), style.transform());
        let (width, height) = (
            face.width(text).round() as i32,
            face.height().round() as i32,
        );
        let across = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let down = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let rgb = Rgb::from(<[u8; 3]>::from(colour.rgb));
        face.cover(text, 0.0, |x, y, coverage| {
            let (x, y) = turn.transform(x + across, y + down);
            self.canvas.blend(
                position.0 + x,
                position.1 + y,
                rgb,
                coverage * colour.alpha as f32,
            );
        });
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let face = typeface(style);
        Ok((face.width(text).ceil() as u32, face.height().ceil() as u32))
    }
}

fn typeface<S: BackendTextStyle>(style: &S) -> Typeface {
    match style.style() {
        FontStyle::Bold => Typeface::bold(style.size() as f32),
        _ => Typeface::regular(style.size() as f32),
    }
}
