//! Rank and alpha in the metadata of a file that a tool made.

use std::collections::{BTreeMap, BTreeSet};

use crate::lora_file::LoraModule;

/// `ss_network_dim` and `ss_network_alpha`: the one value of all linear layers and 1×1 convolutions, or kohya's `Dynamic`.
pub(super) fn network_entries(
    modules: &BTreeMap<String, LoraModule>,
) -> impl Iterator<Item = (&'static str, String)> {
    let plain = |module: &&LoraModule| !matches!(module.down.shape()[..], [_, _, height, width] if height * width > 1);
    let values = |value: &dyn Fn(&LoraModule) -> String| {
        let values: BTreeSet<String> = modules.values().filter(plain).map(value).collect();
        match values.first() {
            Some(value) if values.len() == 1 => value.clone(),
            _ => "Dynamic".to_owned(),
        }
    };
    [
        (
            "ss_network_alpha",
            values(&|module| format!("{:?}", module.alpha)),
        ),
        (
            "ss_network_dim",
            values(&|module| module.rank().to_string()),
        ),
    ]
    .into_iter()
}
