use std::path::PathBuf;

use serde::Deserialize;

/// Where in kohya's file a table stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// `[general]`.
    General,
    /// `[[datasets]]`.
    Dataset,
    /// `[[datasets.subsets]]`.
    Subset,
}

use Level::{Dataset, General, Subset};

/// Makes the struct of all keys that are honoured, each with the levels that it may stand on.
macro_rules! keys {
    ($($name:ident: $kind:ty, $from:ident to $to:ident;)*) => {
        /// All keys of `config_util.py`'s schemas. Every level is read with all of them; [`Keys::refused`] tells which
        /// are out of place.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Keys {
            $(pub(crate) $name: Option<$kind>,)*
            pub(crate) subsets: Option<Vec<Keys>>,
            // Known and refused.
            pub(crate) cache_info: Option<bool>,
            pub(crate) conditioning_data_dir: Option<toml::Value>,
            pub(crate) custom_attributes: Option<toml::Value>,
            pub(crate) debug_dataset: Option<toml::Value>,
            pub(crate) face_crop_aug_range: Option<toml::Value>,
            pub(crate) max_token_length: Option<toml::Value>,
            pub(crate) network_multiplier: Option<f64>,
            pub(crate) prior_loss_weight: Option<toml::Value>,
            pub(crate) resize_interpolation: Option<String>,
            pub(crate) validation_seed: Option<toml::Value>,
            pub(crate) validation_split: Option<f64>,
        }

        impl Keys {
            /// These keys, and where one is not set the one above.
            pub(crate) fn over(&self, above: &Self) -> Self {
                Self {
                    $($name: self.$name.clone().or_else(|| above.$name.clone()),)*
                    ..Self::default()
                }
            }

            /// Keys that are set and may not stand at `level`.
            fn misplaced(&self, level: Level) -> Vec<&'static str> {
                let order = |level: Level| level as u8;
                let allowed = |from: Level, to: Level| {
                    (order(from)..=order(to)).contains(&order(level))
                };
                [$((stringify!($name), self.$name.is_some() && !allowed($from, $to)),)*]
                    .into_iter()
                    .filter_map(|(name, misplaced)| misplaced.then_some(name))
                    .collect()
            }
        }
    };
}

keys! {
    batch_size: usize, General to Dataset;
    bucket_no_upscale: bool, General to Dataset;
    bucket_reso_steps: u32, General to Dataset;
    enable_bucket: bool, General to Dataset;
    max_bucket_reso: u32, General to Dataset;
    min_bucket_reso: u32, General to Dataset;
    resolution: Side, General to Dataset;
    color_aug: bool, General to Subset;
    flip_aug: bool, General to Subset;
    num_repeats: u32, General to Subset;
    random_crop: bool, General to Subset;
    shuffle_caption: bool, General to Subset;
    keep_tokens: usize, General to Subset;
    keep_tokens_separator: String, General to Subset;
    secondary_separator: String, General to Subset;
    caption_separator: String, General to Subset;
    enable_wildcard: bool, General to Subset;
    token_warmup_min: usize, General to Subset;
    token_warmup_step: f64, General to Subset;
    caption_prefix: String, General to Subset;
    caption_suffix: String, General to Subset;
    caption_dropout_every_n_epochs: u64, General to Subset;
    caption_dropout_rate: f64, General to Subset;
    caption_tag_dropout_rate: f64, General to Subset;
    caption_extension: String, General to Subset;
    class_tokens: String, General to Subset;
    image_dir: PathBuf, Subset to Subset;
    is_reg: bool, Subset to Subset;
    alpha_mask: bool, Subset to Subset;
    metadata_file: PathBuf, Subset to Subset;
}

/// A side of a square, or width and height.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a side in pixels, as 512, or [width, height]"
)]
pub(crate) enum Side {
    Square(u32),
    Sides([u32; 2]),
}

impl From<Side> for crate::Resolution {
    fn from(side: Side) -> Self {
        match side {
            Side::Square(side) => Self::square(side),
            Side::Sides([width, height]) => Self { width, height },
        }
    }
}

impl Keys {
    /// Every key that is set and cannot be followed, with the reason.
    pub(crate) fn refused(&self, level: Level) -> Vec<String> {
        let mut reasons: Vec<String> = self
            .misplaced(level)
            .into_iter()
            .map(|key| format!("`{key}` does not belong here"))
            .collect();
        let mut refuse = |is_set: bool, reason: &str| {
            if is_set {
                reasons.push(reason.to_owned());
            }
        };
        refuse(
            level != Level::Dataset && self.subsets.is_some(),
            "`subsets` belongs to [[datasets]]",
        );
        refuse(
            self.batch_size == Some(0),
            "`batch_size` is 0; use at least 1",
        );
        refuse(
            level == Level::Subset && self.image_dir.is_none() && self.metadata_file.is_none(),
            "`image_dir` is missing",
        );
        refuse(
            self.metadata_file.is_some() && (self.is_reg == Some(true)),
            "`is_reg` does not go with `metadata_file`",
        );
        refuse(
            self.cache_info == Some(true),
            "`cache_info` is not supported: pictures are looked at anew each time; leave it out",
        );
        refuse(
            self.conditioning_data_dir.is_some(),
            "`conditioning_data_dir` is not supported: it is for ControlNet; masks are files named NAME-masklabel.png with dataset.mask.source = \"file\"",
        );
        refuse(
            self.custom_attributes.is_some(),
            "`custom_attributes` is not supported: nothing here reads them",
        );
        refuse(
            self.face_crop_aug_range.is_some(),
            "`face_crop_aug_range` is not supported: make face crops with `lora faces`",
        );
        refuse(
            self.network_multiplier
                .is_some_and(|factor| (factor - 1.0).abs() > f64::EPSILON),
            "`network_multiplier` is not supported: it is for sliders trained at several strengths",
        );
        refuse(
            self.resize_interpolation
                .as_deref()
                .is_some_and(|kind| !kind.starts_with("lanczos")),
            "`resize_interpolation` other than \"lanczos\" is not supported",
        );
        refuse(
            self.validation_split.is_some_and(|part| part != 0.0),
            "`validation_split` is not supported in this file: set heldout.split in the run's",
        );
        refuse(
            self.validation_seed.is_some(),
            "`validation_seed` is not supported: which pictures heldout.split takes depends on train.seed",
        );
        for (is_set, key, ours) in [
            (
                self.debug_dataset.is_some(),
                "debug_dataset",
                "`lora plan` shows what is trained",
            ),
            (
                self.max_token_length.is_some(),
                "max_token_length",
                "set model.max_tokens",
            ),
            (
                self.prior_loss_weight.is_some(),
                "prior_loss_weight",
                "set dataset.prior_loss_weight",
            ),
        ] {
            refuse(
                is_set,
                &format!("`{key}` belongs to kohya's command line and not to this file; {ours}"),
            );
        }
        reasons
    }
}
