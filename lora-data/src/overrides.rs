use serde::{Deserialize, Serialize};

use crate::{AugmentConfig, CaptionConfig};

/// Makes a struct of optional values and lays them over the settings that they belong to.
macro_rules! overrides {
    ($(#[$meta:meta])* $name:ident over $target:ident { $($field:ident: $kind:ty),* $(,)? }
     optional { $($optional:ident: $optional_kind:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $(
                #[doc = concat!("Another [`", stringify!($field), "`](", stringify!($target), "::", stringify!($field), ").")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )*
            $(
                #[doc = concat!("Another [`", stringify!($optional), "`](", stringify!($target), "::", stringify!($optional), ").")]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$optional_kind>,
            )*
        }

        impl $name {
            /// Whether nothing is different.
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            /// The settings with what is different here.
            pub fn over(&self, general: &$target) -> $target {
                $target {
                    $($field: self.$field.clone().unwrap_or_else(|| general.$field.clone()),)*
                    $($optional: self.$optional.clone().or_else(|| general.$optional.clone()),)*
                }
            }
        }
    };
}

overrides! {
    /// What a folder does differently with its captions; what is unset stays as the dataset's.
    CaptionOverrides over CaptionConfig {
        extensions: Vec<String>,
        allow_missing: bool,
        prefix: String,
        suffix: String,
        dropout: f64,
        dropout_every_epochs: u64,
        wildcards: bool,
        separator: String,
        keep_tokens: usize,
        warmup_min: usize,
        warmup_steps: f64,
        shuffle: bool,
        tag_dropout: f64,
    } optional {
        keep_tokens_separator: String,
        secondary_separator: String,
    }
}

overrides! {
    /// What a folder does differently in varying its pictures; what is unset stays as the dataset's.
    AugmentOverrides over AugmentConfig {
        flip: bool,
        color: bool,
        random_crop: bool,
    } optional {}
}
