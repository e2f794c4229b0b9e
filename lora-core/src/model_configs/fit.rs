//! Whether the networks of some configs fit one another.

use super::ModelConfigs;
use crate::{
    Family,
    size_limits::{Refused, WIDTH, outside},
    vae::VaeConfig,
    weights::Component,
};

/// Numbers about a picture's size that SDXL embeds.
const SIZES: usize = 6;

/// The first field whose value does not fit another network, with its component.
pub(super) fn misfit(configs: &ModelConfigs) -> Option<(Component, Refused)> {
    let of = |component| move |refused| (component, refused);
    unfit_text(configs)
        .map(of(Component::UNet))
        .or_else(|| unfit_pooled(configs))
        .or_else(|| unfit_latents(&configs.vae, configs.unet.in_channels).map(of(Component::Vae)))
}

/// The UNet looks at the states of all towers side by side.
fn unfit_text(configs: &ModelConfigs) -> Option<Refused> {
    let width: usize = configs.text.iter().map(|text| text.hidden_size).sum();
    let expected = configs.unet.cross_attention_dim;
    (width != expected).then(|| {
        let value = format!("{expected} for text of width {width}");
        ("cross_attention_dim", value)
    })
}

/// SDXL's UNet looks at the pooled text and the embedded sizes side by side.
fn unfit_pooled(configs: &ModelConfigs) -> Option<(Component, Refused)> {
    let tower = configs
        .text
        .get(1)
        .filter(|_| configs.family == Family::Sdxl)?;
    let pooled = tower.projection_dim;
    if let Some(refused) = outside([("projection_dim", pooled, WIDTH)]) {
        return Some((Component::TextEncoder2, refused));
    }
    let sizes = SIZES * configs.unet.addition_time_embed_dim.unwrap_or(0);
    let expected = configs
        .unet
        .projection_class_embeddings_input_dim
        .unwrap_or(0);
    (pooled + sizes != expected).then(|| {
        let value =
            format!("{expected} for pooled text of width {pooled} and sizes of width {sizes}");
        (
            Component::UNet,
            ("projection_class_embeddings_input_dim", value),
        )
    })
}

/// Whether a VAE makes other latents than a UNet of so many channels takes.
pub(super) fn unfit_latents(vae: &VaeConfig, channels: usize) -> Option<Refused> {
    let latent = vae.latent_channels;
    (latent != channels).then(|| {
        let value = format!("{latent} for a UNet of {channels} channels");
        ("latent_channels", value)
    })
}
