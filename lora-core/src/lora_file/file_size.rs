//! How large a LoRA file becomes.

use std::collections::BTreeMap;

use super::layout::{byte_len, header};
use super::{FileDtype, LEGACY_HASH, LoraModule, MODEL_HASH};

/// Bytes of a file without metadata, from each module's name and the shapes of its down and up factor.
pub fn file_size<'a>(
    modules: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [usize])>,
    dtype: FileDtype,
) -> u64 {
    let tensors = modules.into_iter().flat_map(|(name, down, up)| {
        let shapes = [down, up, &[]].map(<[usize]>::to_vec);
        LoraModule::keys(name).into_iter().zip(shapes)
    });
    bytes(tensors.collect(), dtype, &BTreeMap::new())
}

/// Bytes of the file that [`LoraFile::write`](super::LoraFile::write) will write, from the keys and shapes of its tensors,
/// alphas included, and the metadata that it is given.
pub fn written_size(
    tensors: Vec<(String, Vec<usize>)>,
    dtype: FileDtype,
    mut metadata: BTreeMap<String, String>,
) -> u64 {
    // Hashes have always as many digits.
    metadata.insert(MODEL_HASH.to_owned(), "0".repeat(64));
    metadata.insert(LEGACY_HASH.to_owned(), "0".repeat(8));
    bytes(tensors, dtype, &metadata)
}

fn bytes(
    mut tensors: Vec<(String, Vec<usize>)>,
    dtype: FileDtype,
    metadata: &BTreeMap<String, String>,
) -> u64 {
    // In the order of the file: offsets have more digits further on.
    tensors.sort();
    let dtype = dtype.stored();
    let entries = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), dtype, shape.as_slice()));
    // Strings and numbers cannot fail to become JSON.
    let header = header(entries, metadata).map_or(0, |header| header.len());
    let data: usize = tensors
        .iter()
        .map(|(_, shape)| byte_len(dtype, shape))
        .sum();
    (header + data) as u64
}
