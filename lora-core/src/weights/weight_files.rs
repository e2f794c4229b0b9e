//! The weight files of one folder of a diffusers model.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;

use super::{CheckpointError, pytorch_file};
use crate::safetensors_file::SafetensorsFile;

/// What `*.safetensors.index.json` says: the shard of each tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens `<stem>.safetensors` of `folder`, its `.fp16` variant, or the shards that an index names.
///
/// # Errors
/// None of them is there, the index cannot be parsed, or a file has a broken header.
pub(super) fn open(
    folder: &Path,
    stem: &str,
) -> Result<Vec<Arc<SafetensorsFile>>, CheckpointError> {
    for name in [
        format!("{stem}.safetensors"),
        format!("{stem}.fp16.safetensors"),
    ] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(vec![Arc::new(SafetensorsFile::open(path)?)]);
        }
    }
    for name in [
        format!("{stem}.safetensors.index.json"),
        format!("{stem}.safetensors.index.fp16.json"),
    ] {
        let path = folder.join(name);
        if let Ok(text) = fs::read_to_string(&path) {
            let shards = shards(&text).map_err(|source| CheckpointError::Json { path, source })?;
            if !shards.is_empty() {
                let open = |shard: String| Ok(Arc::new(SafetensorsFile::open(folder.join(shard))?));
                return shards.into_iter().map(open).collect();
            }
        }
    }
    if let Some(pickled) = pytorch_file::beside(folder, stem) {
        return Err(CheckpointError::PyTorch {
            converted: folder.join(format!("{stem}.safetensors")),
            path: pickled,
        });
    }
    Err(CheckpointError::NotAModel {
        path: folder.to_path_buf(),
        missing: format!("{stem}.safetensors"),
    })
}

fn shards(index: &str) -> serde_json::Result<BTreeSet<String>> {
    let index: Index = serde_json::from_str(index)?;
    Ok(index.weight_map.into_values().collect())
}
