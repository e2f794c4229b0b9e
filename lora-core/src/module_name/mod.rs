//! Names of adapted layers: kohya's, with underscores, and diffusers', with dots.
//!
//! A kohya name such as `lora_unet_down_blocks_0_attentions_0_proj_in` is a module path whose dots became underscores,
//! behind the name of its network. SDXL's UNet is named after the modules of Stability AI's own code ("SGM"), all other
//! networks after those of diffusers and transformers. Since path segments contain underscores themselves, the dots are
//! found again by knowing every segment that an adaptable layer's path can have.

mod candidates;
mod segments;
mod sgm;

use std::fmt;

use crate::{Family, adapter::Target, weights::Component};

/// What kohya's files call the networks' adapters, each with its component.
const KOHYA_PREFIXES: [(&str, Component); 4] = [
    ("lora_unet_", Component::UNet),
    ("lora_te_", Component::TextEncoder),
    ("lora_te1_", Component::TextEncoder),
    ("lora_te2_", Component::TextEncoder2),
];

/// The networks that LoRAs adapt.
const COMPONENTS: [Component; 3] = [
    Component::UNet,
    Component::TextEncoder,
    Component::TextEncoder2,
];

/// The path of the projection of a text encoder's pooled state.
const TEXT_PROJECTION: &str = "text_projection";

/// First segments of the UNet's layers outside its blocks.
const OUTSIDE_THE_BLOCKS: [&str; 4] = ["conv_in", "conv_out", "time_embedding", "add_embedding"];

/// The name of one adaptable layer, free of any file's spelling.
///
/// Displays as diffusers and PEFT write it: `unet.down_blocks.0.attentions.0.proj_in`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleName {
    component: Component,
    path: String,
}

impl ModuleName {
    /// The layer at `path` of a network, such as `down_blocks.0.attentions.0.proj_in` of the UNet.
    pub fn new(component: Component, path: impl Into<String>) -> Self {
        Self {
            component,
            path: path.into(),
        }
    }

    /// Reads a kohya name of any family; SGM and diffusers names of UNet layers are told apart by their first segment.
    ///
    /// `None` when it is no such name, or names a layer that is no linear layer or convolution of these networks.
    pub fn from_kohya(name: &str) -> Option<Self> {
        let (rest, component) = KOHYA_PREFIXES
            .iter()
            .find_map(|&(prefix, component)| Some((name.strip_prefix(prefix)?, component)))?;
        let path = match component {
            Component::UNet => match segments::of_unet(rest) {
                Some(path) => path,
                None => sgm::to_diffusers(&segments::of_sgm(rest)?)?,
            },
            _ => segments::of_text_encoder(rest)?,
        };
        Some(Self { component, path })
    }

    /// Reads a diffusers path with its component in front, such as `text_encoder.text_model.encoder.layers.0.mlp.fc1`.
    pub fn from_diffusers(name: &str) -> Option<Self> {
        let (component, path) = name.split_once('.')?;
        let component = COMPONENTS
            .into_iter()
            .find(|known| known.folder() == component)?;
        (!path.is_empty()).then(|| Self::new(component, path))
    }

    /// kohya's name of the layer in a file for `family`.
    ///
    /// A path that SDXL's UNet does not have keeps its diffusers form.
    pub fn kohya(&self, family: Family) -> String {
        let prefixes = family.text_prefixes();
        let prefix = match self.component {
            Component::TextEncoder => prefixes[0],
            Component::TextEncoder2 => "lora_te2",
            _ => "lora_unet",
        };
        let sgm = (family == Family::Sdxl && self.component == Component::UNet)
            .then(|| sgm::from_diffusers(&self.path))
            .flatten();
        let path = sgm.as_deref().unwrap_or(&self.path);
        format!("{prefix}_{}", path.replace('.', "_"))
    }

    /// Which part of the model the layer belongs to.
    pub fn target(&self) -> Target {
        match self.component {
            Component::UNet if self.path.contains("attentions.") => Target::Attention,
            Component::UNet if OUTSIDE_THE_BLOCKS.contains(&self.first()) => {
                Target::OutsideTheBlocks
            }
            Component::UNet => Target::Convolution,
            _ if self.path == TEXT_PROJECTION => Target::TextProjection,
            _ => Target::TextEncoder,
        }
    }

    /// Whether this program can adapt the layer, where a model has it.
    ///
    /// The projection of the first text encoder, whose pooled state no model uses, has a name but no place for an adapter.
    pub fn is_adapted(&self) -> bool {
        self.component != Component::TextEncoder || self.first() != TEXT_PROJECTION
    }

    /// Whether sd-scripts adapts the layer, where a model has it.
    pub(crate) fn is_kohyas(&self) -> bool {
        let foreign = [Target::TextProjection, Target::OutsideTheBlocks];
        self.is_adapted() && !foreign.contains(&self.target())
    }

    /// The first segment of the path.
    fn first(&self) -> &str {
        self.path.split('.').next().unwrap_or_default()
    }

    /// The number of the text encoder's layer that it is in, from 0.
    pub(crate) fn text_layer(&self) -> Option<usize> {
        let inside = self.path.strip_prefix("text_model.encoder.layers.")?;
        inside.split('.').next()?.parse().ok()
    }

    /// The network that the layer belongs to.
    pub fn component(&self) -> Component {
        self.component
    }

    /// The layer's path inside its network, in the diffusers layout.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.component.folder(), self.path)
    }
}
