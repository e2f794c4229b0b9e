use burn::tensor::Tensor;

use crate::TextStates;

/// What the UNet is told beside the latents and the timestep.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Text states, `[batch, tokens, cross_attention_dim]`.
    pub text: Tensor<3>,
    /// What SDXL is told besides; a UNet without an added embedding passes it over.
    pub added: Option<AddedConditions>,
}

/// SDXL's conditioning on the whole text and on the picture's size.
#[derive(Clone, Debug)]
pub struct AddedConditions {
    /// Pooled text, `[batch, projection]`.
    pub pooled: Tensor<2>,
    /// For each item, in pixels: original height and width, top and left of the crop, target height and width.
    pub sizes: Vec<[f32; 6]>,
}

impl Conditions {
    /// The text states, with `sizes` where the model pools its text.
    pub fn new(text: TextStates, sizes: &[[f32; 6]]) -> Self {
        let added = text.pooled.map(|pooled| AddedConditions {
            pooled,
            sizes: sizes.to_vec(),
        });
        Self {
            text: text.states,
            added,
        }
    }
}

impl From<Tensor<3>> for Conditions {
    fn from(text: Tensor<3>) -> Self {
        Self { text, added: None }
    }
}
