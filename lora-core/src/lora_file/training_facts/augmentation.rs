use super::{
    super::python_text::{boolean, optional},
    Entries,
};

/// What was done to the training pictures at random each time they were shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AugmentationFacts {
    /// Whether hue and brightness were changed.
    pub color: bool,
    /// Whether pictures were mirrored.
    pub flip: bool,
    /// Whether the crop was placed at random.
    pub random_crop: bool,
    /// By how much faces were enlarged, as `1.0,2.0`, when they were cropped out.
    pub face_crop_range: Option<String>,
    /// Name of the filter that pictures were resized with, when it was chosen.
    pub resize_interpolation: Option<String>,
}

impl AugmentationFacts {
    pub(in super::super) fn entries(&self) -> Entries {
        let named = |name: &Option<String>| optional(name.clone(), |name| name);
        vec![
            ("color_aug", boolean(self.color)),
            ("face_crop_aug_range", named(&self.face_crop_range)),
            ("flip_aug", boolean(self.flip)),
            ("random_crop", boolean(self.random_crop)),
            ("resize_interpolation", named(&self.resize_interpolation)),
        ]
    }
}
