//! What files carry among a network's tensors that no network asks for.

use super::{Component, layout::Layout, open_clip_names};

/// Whether `key`, which no network asks for, may stand in a file of `component` all the same.
///
/// `is_used` tells whether a network asks for a key.
pub(super) fn is_spare(
    component: Component,
    layout: Layout,
    key: &str,
    is_used: &dyn Fn(&str) -> bool,
) -> bool {
    let Some(name) = key.strip_prefix(layout.prefix()) else {
        return true;
    };
    match component {
        Component::TextEncoder | Component::TextEncoder2 => {
            let is_used = |name: &str| is_used(&format!("{}{name}", layout.prefix()));
            is_spare_text(name)
                || matches!(layout, Layout::OpenClip(_))
                    && open_clip_names::is_unused_block(name, is_used)
        }
        // What the VAE was trained with, and its averaged copy.
        Component::Vae => name.starts_with("loss.") || name.starts_with("model_ema."),
        Component::UNet | Component::Scheduler => false,
    }
}

/// Counted positions, and what only CLIP's own training needs: the scale, and the projection where a tower has none.
///
/// Programs that load towers as transformers' write these in transformers' names, whatever the others are in.
fn is_spare_text(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last == Some("position_ids")
        || matches!(
            name,
            "text_projection" | "text_projection.weight" | "logit_scale"
        )
}
