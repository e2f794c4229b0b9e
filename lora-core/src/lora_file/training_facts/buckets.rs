use super::{
    super::python_text::{boolean, optional},
    Entries,
};

/// How pictures were sorted into buckets of equal aspect ratio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketFacts {
    /// Whether they were.
    pub enabled: bool,
    /// Whether small pictures kept their size.
    pub no_upscale: bool,
    /// Shortest side of a bucket in pixels, when buckets are used.
    pub min_resolution: Option<u32>,
    /// Longest side of a bucket in pixels, when buckets are used.
    pub max_resolution: Option<u32>,
}

impl BucketFacts {
    pub(in super::super) fn entries(self) -> Entries {
        let pixels = |pixels: Option<u32>| optional(pixels, |pixels| pixels.to_string());
        vec![
            ("bucket_no_upscale", boolean(self.no_upscale)),
            ("enable_bucket", boolean(self.enabled)),
            ("max_bucket_reso", pixels(self.max_resolution)),
            ("min_bucket_reso", pixels(self.min_resolution)),
        ]
    }
}
