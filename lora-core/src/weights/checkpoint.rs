use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, FloatDType};
use safetensors::Dtype;
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    CheckpointError, Component, StoredTensor, TensorProblem, TensorSource, WeightReader, Weights,
    ldm_names::original_name,
};
use crate::{Family, safetensors_file::SafetensorsFile};

/// A base model on disk: a diffusers folder, or a single file in the original layout.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    /// The folder whose `<component>/config.json` describe the networks; `None` means SD1.5's own.
    configs: Option<PathBuf>,
    /// The single file; `None` for a diffusers folder.
    file: Option<SafetensorsFile>,
}

impl Checkpoint {
    /// Opens a diffusers folder or a single `.safetensors` file.
    ///
    /// `config` is a diffusers folder whose configs are used instead of the checkpoint's; a single file that is not
    /// SD1.5 needs it, since heads, norm groups and the scheduler cannot be seen in its tensors.
    ///
    /// # Errors
    /// [`CheckpointError`], naming the path.
    pub fn open(path: impl AsRef<Path>, config: Option<&Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref().to_path_buf();
        if path.is_dir() {
            for missing in ["unet", "vae", "text_encoder"] {
                if !path.join(missing).is_dir() {
                    return Err(CheckpointError::NotAModel {
                        path,
                        missing: format!("{missing} folder"),
                    });
                }
            }
            let configs = Some(config.unwrap_or(&path).to_path_buf());
            return Ok(Self {
                path,
                configs,
                file: None,
            });
        }
        if !path.exists() {
            return Err(CheckpointError::NotFound { path });
        }
        if path
            .extension()
            .is_none_or(|extension| !extension.eq_ignore_ascii_case("safetensors"))
        {
            return Err(CheckpointError::Format { path });
        }
        let file = SafetensorsFile::open(&path)?;
        if config.is_none() && !is_sd15(&file) {
            return Err(CheckpointError::ConfigNeeded { path });
        }
        Ok(Self {
            path,
            configs: config.map(Path::to_path_buf),
            file: Some(file),
        })
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the checkpoint's own tokenizer, if it carries one.
    pub fn tokenizer_folder(&self) -> Option<PathBuf> {
        let folder = self.path.join("tokenizer");
        folder.join("vocab.json").is_file().then_some(folder)
    }

    /// Reads the config of a component.
    ///
    /// # Errors
    /// A config that is missing or cannot be parsed, by file.
    pub fn config<T: DeserializeOwned>(&self, component: Component) -> Result<T, CheckpointError> {
        let path = self.config_path(component);
        let text = match &self.configs {
            Some(_) => fs::read_to_string(&path).map_err(|source| CheckpointError::Io {
                path: path.clone(),
                source,
            })?,
            None => component.published_config(Family::Sd1).to_owned(),
        };
        serde_json::from_str(&text).map_err(|source| CheckpointError::Json { path, source })
    }

    /// Where a component's config comes from, for messages.
    pub fn config_path(&self, component: Component) -> PathBuf {
        match &self.configs {
            Some(folder) => folder
                .join(component.folder())
                .join(component.config_file()),
            None => PathBuf::from("SD1.5")
                .join(component.folder())
                .join(component.config_file()),
        }
    }

    /// Builds a network from the tensors of `component`; problems are added to `problems`.
    ///
    /// # Errors
    /// A weight file that is missing or has a broken header.
    pub fn build<T>(
        &self,
        component: Component,
        device: &Device,
        dtype: FloatDType,
        problems: &mut Vec<TensorProblem>,
        build: impl FnOnce(&Weights<'_>) -> T,
    ) -> Result<T, CheckpointError> {
        let opened;
        let files: Vec<&SafetensorsFile> = if let Some(file) = &self.file {
            vec![file]
        } else {
            opened = open_component(&self.path.join(component.folder()), component)?;
            opened.iter().collect()
        };
        let source = ComponentFiles {
            files,
            original: self.file.is_some().then_some(component),
        };
        let reader = WeightReader::new(&source, device, dtype);
        let network = build(&reader.root());
        let (used, mut found) = reader.finish();
        source.report_unexpected(&used, &mut found);
        problems.append(&mut found);
        Ok(network)
    }
}

/// Whether a single file has the widths of SD1.5 (and so, in all likelihood, its heads and groups).
fn is_sd15(file: &SafetensorsFile) -> bool {
    let shape = |name: &str| file.info(name).map(|info| info.shape.clone());
    shape("model.diffusion_model.input_blocks.0.0.weight")
        .is_some_and(|shape| shape.first() == Some(&320))
        && shape("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight")
            == Some(vec![320, 768])
}

/// The weight files of one folder of a diffusers model: one file, or the shards that an index names.
fn open_component(
    folder: &Path,
    component: Component,
) -> Result<Vec<SafetensorsFile>, CheckpointError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let stem = component.weights_stem();
    for name in [
        format!("{stem}.safetensors"),
        format!("{stem}.fp16.safetensors"),
    ] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(vec![SafetensorsFile::open(path)?]);
        }
    }
    for name in [
        format!("{stem}.safetensors.index.json"),
        format!("{stem}.safetensors.index.fp16.json"),
    ] {
        let path = folder.join(name);
        if let Ok(text) = fs::read_to_string(&path) {
            let index: Index =
                serde_json::from_str(&text).map_err(|source| CheckpointError::Json {
                    path: path.clone(),
                    source,
                })?;
            let shards: BTreeSet<String> = index.weight_map.into_values().collect();
            if shards.is_empty() {
                break;
            }
            return shards
                .into_iter()
                .map(|shard| Ok(SafetensorsFile::open(folder.join(shard))?))
                .collect();
        }
    }
    Err(CheckpointError::NotAModel {
        path: folder.to_path_buf(),
        missing: format!("{stem}.safetensors"),
    })
}

/// The files that hold one component's tensors.
struct ComponentFiles<'a> {
    files: Vec<&'a SafetensorsFile>,
    /// Set for a single file in the original layout.
    original: Option<Component>,
}

impl ComponentFiles<'_> {
    /// Names under which `key` may be stored, the usual one first.
    fn names(&self, key: &str) -> Vec<String> {
        match self.original {
            Some(component) => vec![self.original_name(component, key)],
            None => vec![key.to_owned(), old_vae_attention(key)],
        }
    }

    fn original_name(&self, component: Component, key: &str) -> String {
        original_name(component, key, &|name| self.files[0].info(name).is_some())
    }

    fn report_unexpected(&self, used: &BTreeSet<String>, problems: &mut Vec<TensorProblem>) {
        let known: BTreeSet<String> = used.iter().flat_map(|key| self.names(key)).collect();
        let prefix = self.original.map_or("", Component::original_prefix);
        for file in &self.files {
            for key in file.names() {
                let buffer = key.ends_with(".position_ids");
                if key.starts_with(prefix) && !buffer && !known.contains(&key) {
                    problems.push(TensorProblem::Unexpected {
                        key,
                        file: file.path().to_path_buf(),
                    });
                }
            }
        }
    }
}

impl TensorSource for ComponentFiles<'_> {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        let names = self.names(key);
        let found = self.files.iter().find_map(|file| {
            names
                .iter()
                .find_map(|name| Some((*file, file.info(name)?, name)))
        });
        let Some((file, info, name)) = found else {
            return Err(TensorProblem::Missing {
                key: names[0].clone(),
                file: self.files[0].path().to_path_buf(),
            });
        };
        let stored = file;
        let (key, file) = (name.clone(), stored.path().to_path_buf());
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(TensorProblem::Type {
                key,
                file,
                found: format!("{:?}", info.dtype),
            });
        }
        if without_trailing_ones(&info.shape) != without_trailing_ones(shape) {
            let (expected, found) = (shape.to_vec(), info.shape.clone());
            return Err(TensorProblem::Shape {
                key,
                file,
                expected,
                found,
            });
        }
        match stored.read(&key) {
            Ok(raw) => Ok(StoredTensor::Raw(raw)),
            Err(error) => Err(TensorProblem::Unreadable {
                key,
                file,
                reason: error.to_string(),
            }),
        }
    }
}

/// The original layout keeps some linear layers as 1×1 convolutions; the numbers are the same.
fn without_trailing_ones(shape: &[usize]) -> &[usize] {
    let kept = shape
        .iter()
        .rposition(|&extent| extent != 1)
        .map_or(0, |last| last + 1);
    &shape[..kept]
}

/// diffusers before 0.18 named the VAE's attention differently, and files of that time are still about.
fn old_vae_attention(key: &str) -> String {
    key.replace(".to_q.", ".query.")
        .replace(".to_k.", ".key.")
        .replace(".to_v.", ".value.")
        .replace(".to_out.0.", ".proj_attn.")
}
