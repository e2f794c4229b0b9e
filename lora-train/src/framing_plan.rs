use lora_data::Dataset;
use serde::Serialize;

/// What becomes of a picture's frame: how much it is scaled, and what is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FramingPlan {
    /// Size after resizing over size before: above 1 it is enlarged.
    pub scale: f64,
    /// Part of the width that is cut off, left and right together, 0 to 1.
    pub cut_width: f64,
    /// Part of the height that is cut off, top and bottom together, 0 to 1.
    pub cut_height: f64,
}

impl FramingPlan {
    /// The frame of the picture at `index`.
    pub fn of(data: &dyn Dataset, index: usize) -> Self {
        let entry = &data.entries()[index];
        let (width, height) = data.resized(index);
        let cut = |target: u32, resized: u32| 1.0 - f64::from(target) / f64::from(resized.max(1));
        Self {
            scale: f64::from(width) / f64::from(entry.size.0.max(1)),
            cut_width: cut(entry.target.width, width),
            cut_height: cut(entry.target.height, height),
        }
    }

    /// Part of the picture's area that is cut off, 0 to 1.
    pub fn cut(&self) -> f64 {
        1.0 - (1.0 - self.cut_width) * (1.0 - self.cut_height)
    }
}
