use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use serde::de::DeserializeOwned;

use super::{
    CheckpointError, Component, Marks, NetworkHash, OtherModel, Place, TensorProblem, TensorSource,
    WeightReader, Weights, component_files::ComponentFiles, layout::Layout, pytorch_file,
    recognise, weight_files,
};
use crate::{Family, WeightFormat, safetensors_file::SafetensorsFile};

/// A base model on disk: a diffusers folder, or a single file in the original layout.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    family: Family,
    configs: Configs,
    components: BTreeMap<Component, ComponentFiles>,
    marks: Option<Marks>,
}

/// Where the configs of the networks come from.
#[derive(Debug)]
enum Configs {
    /// `<component>/config.json` below a folder.
    Model(PathBuf),
    /// The one file of a VAE that stands alone.
    Vae(PathBuf),
    /// Those of the published model.
    Published(Family),
}

impl Checkpoint {
    /// Opens a diffusers folder or a single `.safetensors` file and tells what family it is of.
    ///
    /// `config` is a diffusers folder whose configs are used instead of the checkpoint's; a single file that has not
    /// the widths of a published model needs it, since heads, norm groups and the scheduler cannot be seen in its
    /// tensors. Reads the headers of all weight files and no tensor.
    ///
    /// # Errors
    /// [`CheckpointError`], naming the path; what cannot be a base model is called by its name.
    pub fn open(path: impl AsRef<Path>, config: Option<&Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        if path.is_dir() {
            Self::open_folder(path, config)
        } else {
            Self::open_file(path, config)
        }
    }

    fn open_folder(path: &Path, config: Option<&Path>) -> Result<Self, CheckpointError> {
        let configs = config.unwrap_or(path);
        let family = recognise::folder(configs)?;
        let components = of_family(family).map(|component| {
            let folder = component.folder();
            if !path.join(folder).is_dir() {
                return Err(CheckpointError::NotAModel {
                    path: path.to_path_buf(),
                    missing: format!("{folder} folder"),
                });
            }
            let files = weight_files::open(&path.join(folder), component.weights_stem())?;
            Ok((component, ComponentFiles::new(files, Layout::Diffusers)))
        });
        Ok(Self {
            path: path.to_path_buf(),
            family,
            configs: Configs::Model(configs.to_path_buf()),
            components: components.collect::<Result<_, _>>()?,
            marks: None,
        })
    }

    fn open_file(path: &Path, config: Option<&Path>) -> Result<Self, CheckpointError> {
        let file = Arc::new(open_safetensors(path)?);
        let found = recognise::single_file(&file).map_err(|found| CheckpointError::OtherModel {
            path: path.to_path_buf(),
            found,
        })?;
        let family = found.family;
        let configs = match config {
            Some(folder) => Configs::Model(config_of_family(folder, path, family)?),
            None if found.published => Configs::Published(family),
            None => {
                return Err(CheckpointError::ConfigNeeded {
                    path: path.to_path_buf(),
                    family,
                });
            }
        };
        let marks = matches!(configs, Configs::Published(_)).then(|| Marks::of(&file));
        let components = of_family(family).filter_map(|component| {
            let layout = Layout::of_single_file(family, component)?;
            Some((component, ComponentFiles::new(vec![file.clone()], layout)))
        });
        Ok(Self {
            path: path.to_path_buf(),
            family,
            configs,
            components: components.collect(),
            marks,
        })
    }

    /// Opens a VAE alone, to stand in for that of a base model.
    ///
    /// `path` is a diffusers VAE folder, a model's folder, or a single file: a VAE in either layout, or a checkpoint
    /// with one. `config` is a diffusers model folder; a single file that has not the published widths needs it. What
    /// latents are multiplied by cannot be seen in a file: that is for the base model's config to say.
    ///
    /// [`Self::family`] says of a lone VAE what its file shows, and [`Family::Sd1`] where it shows nothing.
    ///
    /// # Errors
    /// [`CheckpointError`], naming the path.
    pub fn open_vae(
        path: impl AsRef<Path>,
        config: Option<&Path>,
    ) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        if path.is_dir() {
            Self::open_vae_folder(path)
        } else {
            Self::open_vae_file(path, config)
        }
    }

    fn open_vae_folder(path: &Path) -> Result<Self, CheckpointError> {
        let below = path.join(Component::Vae.folder());
        let folder = if below.is_dir() { &below } else { path };
        let files = weight_files::open(folder, Component::Vae.weights_stem())?;
        let configs = Configs::Vae(folder.join(Component::Vae.config_file()));
        let files = ComponentFiles::new(files, Layout::Diffusers);
        Ok(Self::of_vae(path, Family::default(), configs, files))
    }

    fn open_vae_file(path: &Path, config: Option<&Path>) -> Result<Self, CheckpointError> {
        let file = Arc::new(open_safetensors(path)?);
        let Some((layout, published)) = recognise::vae(&file) else {
            return Err(CheckpointError::OtherModel {
                path: path.to_path_buf(),
                found: OtherModel::NoVae,
            });
        };
        let family = recognise::single_file(&file).map_or(Family::default(), |found| found.family);
        let configs = match config {
            Some(folder) => Configs::Model(folder.to_path_buf()),
            None if published => Configs::Published(family),
            None => {
                return Err(CheckpointError::VaeConfigNeeded {
                    path: path.to_path_buf(),
                });
            }
        };
        let files = ComponentFiles::new(vec![file], layout);
        Ok(Self::of_vae(path, family, configs, files))
    }

    fn of_vae(path: &Path, family: Family, configs: Configs, files: ComponentFiles) -> Self {
        Self {
            path: path.to_path_buf(),
            family,
            configs,
            components: BTreeMap::from([(Component::Vae, files)]),
            marks: None,
        }
    }

    /// The path it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What family of models it is of.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What a single file says of itself where its configs are the published model's; `None` where configs of its own
    /// say it.
    pub fn marks(&self) -> Option<Marks> {
        self.marks
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
            Configs::Published(family) => component.published_config(*family).to_owned(),
            _ => fs::read_to_string(&path).map_err(|source| CheckpointError::Io {
                path: path.clone(),
                source,
            })?,
        };
        serde_json::from_str(&text).map_err(|source| CheckpointError::Json { path, source })
    }

    /// Where a component's config comes from, for messages.
    pub fn config_path(&self, component: Component) -> PathBuf {
        let below = |folder: &Path| {
            folder
                .join(component.folder())
                .join(component.config_file())
        };
        match &self.configs {
            Configs::Model(folder) => below(folder),
            Configs::Vae(file) => file.clone(),
            Configs::Published(family) => below(Path::new(&family.to_string())),
        }
    }

    /// Where the tensor `key` of `component`, named as in the diffusers layout, is kept in either layout; `None` when
    /// the checkpoint has no such tensor.
    pub fn locate(&self, component: Component, key: &str) -> Option<Place> {
        self.components.get(&component)?.locate(key)
    }

    /// The tensors of `component` by their diffusers keys, whatever the layout; `None` when there are none.
    pub fn tensors(&self, component: Component) -> Option<&dyn TensorSource> {
        let files = self.components.get(&component)?;
        Some(files)
    }

    /// Type and shape of every stored tensor of `component`, by its key in the file; nothing where there are none.
    pub fn stored(
        &self,
        component: Component,
    ) -> impl Iterator<Item = (String, &safetensors::tensor::TensorInfo)> {
        let files = self.components.get(&component);
        files.into_iter().flat_map(ComponentFiles::stored)
    }

    /// Builds a network from the tensors of `component`; problems are added to `problems`.
    ///
    /// # Errors
    /// The checkpoint has no such component.
    pub fn build<T>(
        &self,
        component: Component,
        device: &Device,
        format: impl Into<WeightFormat>,
        problems: &mut Vec<TensorProblem>,
        build: impl FnOnce(&Weights<'_>) -> T,
    ) -> Result<T, CheckpointError> {
        let files = self.files(component)?;
        let reader = WeightReader::new(files, device, format);
        let network = build(&reader.root());
        let (used, mut found) = reader.finish();
        files.report_unexpected(component, &used, &mut found);
        problems.append(&mut found);
        Ok(network)
    }

    /// Adds to `hash` the tensors of `component` that `build` asks for.
    ///
    /// # Errors
    /// The checkpoint has no such component, or a tensor cannot be read.
    pub(crate) fn hash<T>(
        &self,
        component: Component,
        device: &Device,
        hash: &NetworkHash,
        build: impl FnOnce(&Weights<'_>) -> T,
    ) -> Result<(), CheckpointError> {
        let hashed = hash.tensors(self.files(component)?, device, build);
        hashed.map_err(|problems| CheckpointError::Tensors {
            path: self.path.clone(),
            problems,
        })
    }

    fn files(&self, component: Component) -> Result<&ComponentFiles, CheckpointError> {
        let files = self.components.get(&component);
        files.ok_or_else(|| CheckpointError::NotAModel {
            path: self.path.clone(),
            missing: component.folder().to_owned(),
        })
    }
}

/// The components of a family that have tensors.
fn of_family(family: Family) -> impl Iterator<Item = Component> {
    Component::WITH_TENSORS
        .into_iter()
        .filter(move |component| *component != Component::TextEncoder2 || family == Family::Sdxl)
}

fn open_safetensors(path: &Path) -> Result<SafetensorsFile, CheckpointError> {
    if !path.exists() {
        return Err(CheckpointError::NotFound {
            path: path.to_path_buf(),
        });
    }
    pytorch_file::refuse(path)?;
    Ok(SafetensorsFile::open(path)?)
}

/// The folder of configs, when it is of the file's family.
fn config_of_family(
    folder: &Path,
    file: &Path,
    family: Family,
) -> Result<PathBuf, CheckpointError> {
    let found = recognise::folder(folder)?;
    if found == family {
        return Ok(folder.to_path_buf());
    }
    Err(CheckpointError::ConfigOfOtherFamily {
        path: file.to_path_buf(),
        family,
        config: folder.to_path_buf(),
        found,
    })
}
