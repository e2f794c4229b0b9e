//! How large a LoRA file becomes.

use std::collections::BTreeMap;

use super::layout::{byte_len, header};
use super::{FileDtype, LoraModule};

/// Bytes of a file without metadata, from each module's name and the shapes of its down and up factor.
pub fn file_size<'a>(
    modules: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [usize])>,
    dtype: FileDtype,
) -> u64 {
    let mut tensors: Vec<(String, &[usize])> = modules
        .into_iter()
        .flat_map(|(name, down, up)| {
            LoraModule::keys(name)
                .into_iter()
                .zip([down, up, &[] as &[usize]])
        })
        .collect();
    // In the order of the file: offsets have more digits further on.
    tensors.sort();
    let dtype = dtype.stored();
    let entries = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), dtype, *shape));
    // Strings and numbers cannot fail to become JSON.
    let header = header(entries, &BTreeMap::new()).map_or(0, |header| header.len());
    let data: usize = tensors
        .iter()
        .map(|(_, shape)| byte_len(dtype, shape))
        .sum();
    (header + data) as u64
}
