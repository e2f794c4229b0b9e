//! What is in a base model.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lora_core::{
    Family,
    weights::{Checkpoint, CheckpointError, Component},
};
use serde::Serialize;

use super::dtypes;

/// What can be told about a base model from the headers of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedBase {
    /// The file or folder.
    pub path: PathBuf,
    /// Its family.
    pub family: Family,
    /// `diffusers folder` or `single file`.
    pub layout: &'static str,
    /// Its networks.
    pub components: Vec<InspectedComponent>,
}

/// One network of a base model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedComponent {
    /// Its folder in the diffusers layout, such as `text_encoder`.
    pub name: &'static str,
    /// Tensors that are stored for it.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// Number formats of its tensors, with the number of tensors in each.
    pub dtypes: BTreeMap<String, usize>,
}

impl InspectedBase {
    /// Looks at the headers of a base model's files.
    ///
    /// # Errors
    /// See [`Checkpoint::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path, None)?;
        let components = [
            Component::TextEncoder,
            Component::TextEncoder2,
            Component::UNet,
            Component::Vae,
        ];
        Ok(Self {
            path: path.to_path_buf(),
            family: checkpoint.family(),
            layout: if path.is_dir() {
                "diffusers folder"
            } else {
                "single file"
            },
            components: components
                .into_iter()
                .map(|component| component_of(&checkpoint, component))
                .filter(|component| component.tensors > 0)
                .collect(),
        })
    }
}

fn component_of(checkpoint: &Checkpoint, component: Component) -> InspectedComponent {
    // Positions are counted, not learnt; only old files store them.
    let stored: Vec<_> = checkpoint
        .stored(component)
        .filter(|(name, _)| !name.ends_with("position_ids"))
        .map(|(_, info)| info)
        .collect();
    InspectedComponent {
        name: component.folder(),
        tensors: stored.len(),
        parameters: stored
            .iter()
            .map(|info| info.shape.iter().product::<usize>())
            .sum(),
        dtypes: dtypes(stored.iter().map(|info| info.dtype)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The count of the UNet is that of its diffusers file.
    #[test]
    fn networks_of_both_layouts_are_counted_alike() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sdxl");
        let base = InspectedBase::open(folder).expect("a model");
        assert_eq!(
            (base.family, base.layout),
            (Family::Sdxl, "diffusers folder")
        );
        let names: Vec<_> = base
            .components
            .iter()
            .map(|component| component.name)
            .collect();
        assert_eq!(names, ["text_encoder", "text_encoder_2", "unet", "vae"]);
        assert_eq!(base.components[2].parameters, 1_132_228);
        let file = format!("{folder}.safetensors");
        let single = Checkpoint::open(file, Some(Path::new(folder))).expect("a model");
        for component in [Component::TextEncoder, Component::UNet, Component::Vae] {
            let from_folder = base
                .components
                .iter()
                .find(|found| found.name == component.folder());
            let from_file = component_of(&single, component);
            assert_eq!(
                from_folder.map(|found| found.parameters),
                Some(from_file.parameters)
            );
        }
    }
}
