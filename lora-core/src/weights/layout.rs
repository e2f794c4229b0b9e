use super::{Component, ldm_names, open_clip_names};
use crate::Family;

/// One name under which a file may keep a tensor of the diffusers layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The key in the file.
    pub(crate) key: String,
    /// Which third of the file's tensor it is, where query, key and value are packed into one.
    pub(super) third: Option<usize>,
    /// Whether the file keeps the matrix transposed.
    pub(super) transposed: bool,
}

impl Name {
    /// The shape in the file of a tensor that has `shape` in the diffusers layout.
    pub(crate) fn stored_shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        if self.transposed {
            shape.reverse();
        }
        if let (Some(_), Some(height)) = (self.third, shape.first_mut()) {
            *height *= 3;
        }
        shape
    }

    /// The whole tensor `key`, as it is.
    pub(super) fn plain(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            third: None,
            transposed: false,
        }
    }
}

/// How a file names the tensors of one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// By the keys that the networks ask for.
    Diffusers,
    /// A UNet in the names of CompVis' "LDM", after a prefix.
    LdmUNet(&'static str),
    /// A VAE in the names of CompVis' "LDM", after a prefix.
    LdmVae(&'static str),
    /// A text encoder in transformers' names, after a prefix.
    Clip(&'static str),
    /// A text encoder in OpenCLIP's names, after a prefix.
    OpenClip(&'static str),
}

impl Layout {
    /// How a single file of `family` keeps `component`; `None` where it does not.
    pub(crate) fn of_single_file(family: Family, component: Component) -> Option<Self> {
        Some(match (component, family) {
            (Component::UNet, _) => Self::LdmUNet("model.diffusion_model."),
            (Component::Vae, _) => Self::LdmVae("first_stage_model."),
            (Component::TextEncoder, Family::Sd1) => Self::Clip("cond_stage_model.transformer."),
            (Component::TextEncoder, Family::Sd2) => Self::OpenClip("cond_stage_model.model."),
            (Component::TextEncoder, Family::Sdxl) => {
                Self::Clip("conditioner.embedders.0.transformer.")
            }
            (Component::TextEncoder2, Family::Sdxl) => {
                Self::OpenClip("conditioner.embedders.1.model.")
            }
            (Component::TextEncoder2 | Component::Scheduler, _) => return None,
        })
    }

    /// The names under which `key` may be kept, the usual one first; `exists` tells whether a name is in the file.
    pub(crate) fn names(self, key: &str, exists: &dyn Fn(&str) -> bool) -> Vec<Name> {
        let has = |name: &str| exists(&format!("{}{name}", self.prefix()));
        let mut names = match self {
            Self::Diffusers => vec![Name::plain(key), Name::plain(old_vae_attention(key))],
            Self::LdmUNet(_) => vec![Name::plain(ldm_names::unet_name(key, &has))],
            Self::LdmVae(_) => vec![Name::plain(ldm_names::vae_name(key, &has))],
            // The first SD1 files were saved by a transformers that had no `text_model` level.
            Self::Clip(_) => vec![
                Name::plain(key),
                Name::plain(key.strip_prefix("text_model.").unwrap_or(key)),
            ],
            Self::OpenClip(_) => open_clip_names::names(key),
        };
        for name in &mut names {
            name.key.insert_str(0, self.prefix());
        }
        names
    }

    /// What stands before the component's names in a single file.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Diffusers => "",
            Self::LdmUNet(prefix)
            | Self::LdmVae(prefix)
            | Self::Clip(prefix)
            | Self::OpenClip(prefix) => prefix,
        }
    }
}

/// diffusers before 0.18 named the VAE's attention differently, and files of that time are still about.
fn old_vae_attention(key: &str) -> String {
    key.replace(".to_q.", ".query.")
        .replace(".to_k.", ".key.")
        .replace(".to_v.", ".value.")
        .replace(".to_out.0.", ".proj_attn.")
}
