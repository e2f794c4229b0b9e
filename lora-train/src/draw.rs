//! Pictures from a model: prompt in, RGB out.

use burn::tensor::{DType, Device, Tensor};
use image::RgbImage;
use lora_core::{
    BaseModel,
    diffusion::{Sampler, SamplerKind},
    unet::Conditions,
};

use crate::{
    Prompt,
    config::TrainConfig,
    random::{Purpose, normal_tensor},
};

/// How all pictures of a set are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawSettings {
    /// The sampler.
    pub sampler: SamplerKind,
    /// As in [`lora_core::TextConditioner::encode`].
    pub clip_skip: usize,
    /// Rows of 75 tokens that a prompt is cut into.
    pub chunks: usize,
    /// Width and height of prompts that do not say.
    pub size: [u32; 2],
}

impl DrawSettings {
    /// How the previews of a run are drawn.
    pub fn of_run(config: &TrainConfig) -> Self {
        let resolution = config.dataset.resolution;
        Self {
            sampler: config.preview.sampler,
            clip_skip: config.model.clip_skip,
            chunks: config.model.chunks(),
            size: [resolution.width, resolution.height],
        }
    }

    /// The pixels that a prompt's picture will have: rounded down to whole latents.
    pub fn size_of(&self, prompt: &Prompt, model: &BaseModel) -> [u32; 2] {
        let unit = model.vae.reduction() as u32;
        [0, 1].map(|axis| (prompt.size[axis].unwrap_or(self.size[axis]) / unit).max(1) * unit)
    }
}

/// Draws the prompts, those of equal size, steps and guidance together in one batch; gives them in order.
pub fn draw(
    model: &BaseModel,
    prompts: &[Prompt],
    settings: DrawSettings,
    device: &Device,
) -> Vec<RgbImage> {
    let mut pictures = Vec::with_capacity(prompts.len());
    let alike = |left: &Prompt, right: &Prompt| {
        settings.size_of(left, model) == settings.size_of(right, model)
            && left.steps == right.steps
            && (left.guidance - right.guidance).abs() < f64::EPSILON
    };
    for group in prompts.chunk_by(alike) {
        // Large pictures would not fit into memory many at a time.
        let [width, height] = settings.size_of(&group[0], model);
        let pixels = u64::from(width) * u64::from(height);
        let at_once = (512 * 512 / pixels).max(1) as usize;
        for batch in group.chunks(at_once) {
            pictures.extend(draw_batch(model, batch, settings, device));
        }
    }
    pictures
}

fn draw_batch(
    model: &BaseModel,
    prompts: &[Prompt],
    settings: DrawSettings,
    device: &Device,
) -> Vec<RgbImage> {
    let first = &prompts[0];
    let [width, height] = settings.size_of(first, model).map(|side| side as usize);
    let unit = model.vae.reduction();
    let shape = [model.vae.latent_channels(), height / unit, width / unit];
    let noise = |step: u64| {
        let draws = prompts
            .iter()
            .map(|prompt| normal_tensor(Purpose::Sampling, prompt.seed, step, shape, device));
        Tensor::cat(draws.collect(), 0)
    };
    let guided = (first.guidance - 1.0).abs() > f64::EPSILON;
    let texts = prompts.iter().map(|prompt| prompt.text.clone());
    let negatives = prompts
        .iter()
        .filter(|_| guided)
        .map(|prompt| prompt.negative.clone());
    let texts: Vec<String> = negatives.chain(texts).collect();
    let ids = model.text.tokenize(&texts, settings.chunks);
    let text = model.text.encode(&ids, settings.clip_skip);
    // Trained pictures of this very size, not cut.
    let sizes = [height, width, 0, 0, height, width].map(|pixels| pixels as f32);
    let conditions = Conditions::new(text, &vec![sizes; texts.len()]);

    let mut sampler = settings.sampler.build(&model.scheduler, first.steps);
    let mut latents = noise(0) * sampler.initial_scale();
    for index in 0..sampler.timesteps().len() {
        let prediction = predict(
            model,
            sampler.as_ref(),
            index,
            &latents,
            &conditions,
            first.guidance,
        );
        let fresh = sampler.needs_noise(index).then(|| noise(index as u64 + 1));
        latents = sampler.step(index, prediction, latents, fresh);
    }
    to_pictures(model.vae.decode(latents))
}

/// The network's answer under classifier-free guidance (Ho & Salimans 2022): negative and positive text in one batch.
fn predict(
    model: &BaseModel,
    sampler: &dyn Sampler,
    index: usize,
    latents: &Tensor<4>,
    conditions: &Conditions,
    guidance: f64,
) -> Tensor<4> {
    let input = sampler
        .scale_input(index, latents.clone())
        .cast(conditions.text.dtype());
    let [count, ..] = input.dims();
    let copies = conditions.text.dims()[0] / count;
    let input = Tensor::cat(vec![input; copies], 0);
    let timesteps = vec![sampler.timesteps()[index]; count * copies];
    let answer = model
        .unet
        .forward(input, &timesteps, conditions)
        .cast(DType::F32);
    if copies == 1 {
        return answer;
    }
    let negative = answer.clone().narrow(0, 0, count);
    let positive = answer.narrow(0, count, count);
    negative.clone() + (positive - negative) * guidance
}

/// `[batch, 3, height, width]` in about [-1, 1] to pictures.
fn to_pictures(pixels: Tensor<4>) -> Vec<RgbImage> {
    let [batch, channels, height, width] = pixels.dims();
    let plane = height * width;
    let values: Vec<f32> = pixels.into_data().iter::<f32>().collect();
    (0..batch)
        .map(|item| {
            RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let offset = item * channels * plane + y as usize * width + x as usize;
                let byte = |channel: usize| {
                    let value = values[offset + channel * plane].clamp(-1.0, 1.0);
                    ((value + 1.0) * 127.5).round() as u8
                };
                image::Rgb([byte(0), byte(1), byte(2)])
            })
        })
        .collect()
}
