//! Classifier-free guidance (Ho & Salimans 2022): a picture is drawn towards its prompt and away from its negative one.

use burn::tensor::{DType, Tensor};
use lora_core::{
    BaseModel, TextConditioner, TextStates,
    unet::{Conditions, UNet},
};

use crate::{DrawSettings, Prompt, PromptError};

/// How many rows of tokens the two texts of a prompt fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenRowCounts {
    positive: usize,
    negative: usize,
}

impl TokenRowCounts {
    pub(crate) fn of(prompt: &Prompt, text: &TextConditioner) -> Result<Self, PromptError> {
        let positive = text.rows_of(&prompt.positive()?.segments);
        let negative = text.rows_of(&prompt.negative()?);
        Ok(Self {
            positive,
            negative: if is_silenced(prompt, text) {
                positive
            } else {
                negative
            },
        })
    }
}

/// What the network is told about a batch of pictures.
pub(crate) enum Guidance {
    /// The prompts alone.
    None(Conditions),
    /// The negative prompts, then the prompts, in one batch.
    Together(Conditions, f64),
    /// Negative prompts and prompts of different length, one after the other, as A1111 takes them: none is filled up.
    Apart(Box<[Conditions; 2]>, f64),
}

impl Guidance {
    /// Encodes the texts of prompts that agree in size, guidance and rows of tokens; there must be one.
    ///
    /// SDXL is told zeros where there is no negative prompt, as diffusers and A1111 do it; other families get the states
    /// of the empty text.
    pub(crate) fn of(
        model: &BaseModel,
        prompts: &[Prompt],
        settings: DrawSettings,
    ) -> Result<Self, PromptError> {
        let encode = |segments: &[_]| model.text.encode_weighted(segments, settings.clip_skip);
        let mut positives = Vec::with_capacity(prompts.len());
        let mut negatives = Vec::with_capacity(prompts.len());
        let scale = prompts[0].guidance;
        let guided = (scale - 1.0).abs() > f64::EPSILON;
        for prompt in prompts {
            let positive = encode(&prompt.positive()?.segments);
            if guided {
                negatives.push(if is_silenced(prompt, &model.text) {
                    positive.zeros_like()
                } else {
                    encode(&prompt.negative()?)
                });
            }
            positives.push(positive);
        }
        let conditions = |texts: Vec<TextStates>| {
            let sizes = vec![conditioned_size(&prompts[0], settings, model); texts.len()];
            Conditions::new(TextStates::cat(texts), &sizes)
        };
        let tokens = |texts: &[TextStates]| texts[0].states.dims()[1];
        Ok(if !guided {
            Self::None(conditions(positives))
        } else if tokens(&positives) == tokens(&negatives) {
            negatives.extend(positives);
            Self::Together(conditions(negatives), scale)
        } else {
            let texts = [conditions(negatives), conditions(positives)];
            Self::Apart(Box::new(texts), scale)
        })
    }

    /// The network's guided answer to `input`, `[batch, channels, height, width]` in f32.
    pub(crate) fn predict(&self, unet: &UNet, input: Tensor<4>, timestep: f32) -> Tensor<4> {
        let answer = |input: Tensor<4>, conditions: &Conditions| {
            let timesteps = vec![timestep; input.dims()[0]];
            let input = input.cast(conditions.text.dtype());
            unet.forward(input, &timesteps, conditions).cast(DType::F32)
        };
        let towards = |positive: Tensor<4>, negative: Tensor<4>, scale: f64| {
            negative.clone() + (positive - negative) * scale
        };
        match self {
            Self::None(positive) => answer(input, positive),
            Self::Together(both, scale) => {
                let [count, ..] = input.dims();
                let both = answer(Tensor::cat(vec![input; 2], 0), both);
                let part = |from| both.clone().narrow(0, from, count);
                towards(part(count), part(0), *scale)
            }
            Self::Apart(texts, scale) => {
                let [negative, positive] = texts.as_ref();
                towards(
                    answer(input.clone(), positive),
                    answer(input, negative),
                    *scale,
                )
            }
        }
    }
}

/// Whether zeros stand for the negative prompt.
fn is_silenced(prompt: &Prompt, text: &TextConditioner) -> bool {
    let pools = text.towers().len() > 1;
    pools && prompt.negative.trim().is_empty()
}

/// What SDXL is told of the picture's size: as if it had been trained in just this size and not been cut.
fn conditioned_size(prompt: &Prompt, settings: DrawSettings, model: &BaseModel) -> [f32; 6] {
    let [width, height] = settings.size_of(prompt, model).map(|side| side as f32);
    [height, width, 0.0, 0.0, height, width]
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lora_core::{ModelSource, diffusion::SamplerKind};

    use super::*;
    use crate::config::PreviewConfig;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden");
    const SETTINGS: DrawSettings = DrawSettings {
        sampler: SamplerKind::Ddim,
        clip_skip: 1,
        size: [64; 2],
    };

    fn tiny(name: &str) -> BaseModel {
        let source = ModelSource::new(format!("{GOLDEN}/{name}"));
        BaseModel::load(&source, &Device::flex()).expect("a model")
    }

    fn guidance(model: &BaseModel, line: &str) -> Guidance {
        let prompt = Prompt::parse(line, &PreviewConfig::default()).expect("valid");
        Guidance::of(model, &[prompt], SETTINGS).expect("guidance")
    }

    fn answer(model: &BaseModel, guidance: &Guidance) -> Tensor<4> {
        let input = Tensor::ones([1, 4, 8, 8], &Device::flex()) * 0.5;
        guidance.predict(&model.unet, input, 500.0)
    }

    fn conditions(model: &BaseModel, line: &str) -> Conditions {
        match guidance(model, &format!("{line} --l 1")) {
            Guidance::None(conditions) => conditions,
            _ => panic!("guided"),
        }
    }

    /// Both ways lead to the same: away from the negative prompt, towards the prompt.
    #[test]
    fn texts_of_unequal_length_guide_as_those_of_equal_length() {
        for name in ["tiny-sd15", "tiny-sdxl"] {
            let model = tiny(name);
            let together = guidance(&model, "a fox --n blurry --l 4");
            assert!(matches!(together, Guidance::Together(..)));
            let texts = ["blurry", "a fox"].map(|text| conditions(&model, text));
            let apart = Guidance::Apart(Box::new(texts), 4.0);
            let [together, apart] = [&together, &apart].map(|way| answer(&model, way));
            let largest = |values: Tensor<4>| values.abs().max().into_scalar::<f32>();
            let deviation = largest(together.clone() - apart) / largest(together);
            // A batch of two goes through other blocks of the matrix products than two of one.
            assert!(deviation < 1e-5, "{name}: {deviation:e}");

            let unequal = guidance(&model, "a fox --n a BREAK b --l 4");
            let Guidance::Apart(texts, _) = unequal else {
                panic!("{name}: in one batch");
            };
            let tokens = texts.map(|told| told.text.dims()[1]);
            assert_eq!(tokens, [154, 77]);
        }
    }

    #[test]
    fn only_sdxl_is_told_zeros_where_there_is_no_negative_prompt() {
        for (name, zeros) in [("tiny-sd15", false), ("tiny-sdxl", true)] {
            let model = tiny(name);
            let Guidance::Together(both, _) = guidance(&model, "a BREAK fox") else {
                // The empty text of other families is one row.
                assert!(!zeros, "{name}");
                continue;
            };
            assert!(zeros, "{name}");
            let negative = both.text.narrow(0, 0, 1);
            assert!(negative.abs().max().into_scalar::<f32>() == 0.0);
            let added = both.added.expect("SDXL is told its pooled text");
            let pooled = added.pooled.narrow(0, 0, 1);
            assert!(pooled.abs().max().into_scalar::<f32>() == 0.0);
            assert_eq!(added.sizes, [[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]; 2]);
        }
    }
}
