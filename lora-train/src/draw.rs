//! Pictures from a model: prompt in, RGB out.

use burn::tensor::{Device, Tensor};
use image::RgbImage;
use lora_core::{BaseModel, diffusion::SamplerKind};

use crate::{
    Prompt, PromptError,
    config::TrainConfig,
    guidance::{Guidance, TokenRowCounts},
    random::{Purpose, normal_tensor},
};

/// How all pictures of a set are drawn, where a prompt does not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawSettings {
    /// The sampler.
    pub sampler: SamplerKind,
    /// As in [`lora_core::TextConditioner::encode`].
    pub clip_skip: usize,
    /// Width and height in pixels.
    pub size: [u32; 2],
}

impl DrawSettings {
    /// How the previews of a run are drawn.
    pub fn of_run(config: &TrainConfig) -> Self {
        let resolution = config.dataset.resolution;
        Self {
            sampler: config.preview.sampler,
            clip_skip: config.model.clip_skip,
            size: [resolution.width, resolution.height],
        }
    }

    /// The pixels that a prompt's picture will have: rounded down to whole latents.
    pub fn size_of(&self, prompt: &Prompt, model: &BaseModel) -> [u32; 2] {
        let unit = model.vae.reduction() as u32;
        [0, 1].map(|axis| (prompt.size[axis].unwrap_or(self.size[axis]) / unit).max(1) * unit)
    }

    /// The sampler that a prompt's picture will be drawn by.
    pub fn sampler_of(&self, prompt: &Prompt) -> SamplerKind {
        prompt.sampler.unwrap_or(self.sampler)
    }
}

/// Draws the prompts; gives the pictures in their order.
///
/// Prompts are read as [`lora_core::prompt_syntax`] says and may be of any length. The adapters are those that `model`
/// holds: LoRA tags are [`PromptLoras`](crate::PromptLoras)' business and passed over here.
///
/// # Errors
/// [`PromptError`] for a prompt that cannot be followed; then nothing is drawn.
pub fn draw(
    model: &BaseModel,
    prompts: &[Prompt],
    settings: DrawSettings,
    device: &Device,
) -> Result<Vec<RgbImage>, PromptError> {
    let mut pictures = Vec::with_capacity(prompts.len());
    for batch in batches(model, prompts, settings)? {
        pictures.extend(draw_batch(model, batch, settings, device)?);
    }
    Ok(pictures)
}

/// Cuts prompts into the sets that [`draw`] draws at once: neighbours that differ in words, noise and nothing else, as
/// many as make up one picture of 512 × 512.
///
/// # Errors
/// [`PromptError`] for a prompt that cannot be followed.
pub fn batches<'a>(
    model: &BaseModel,
    prompts: &'a [Prompt],
    settings: DrawSettings,
) -> Result<Vec<&'a [Prompt]>, PromptError> {
    let walks = prompts
        .iter()
        .map(|prompt| Walk::of(prompt, settings, model));
    let walks: Vec<Walk> = walks.collect::<Result<_, _>>()?;
    let mut batches = Vec::new();
    let mut rest = prompts;
    for alike in walks.chunk_by(PartialEq::eq) {
        let (these, others) = rest.split_at(alike.len());
        batches.extend(these.chunks(alike[0].at_once()));
        rest = others;
    }
    Ok(batches)
}

/// What pictures must have in common to be drawn in one batch.
#[derive(PartialEq)]
struct Walk {
    size: [u32; 2],
    sampler: SamplerKind,
    steps: usize,
    guidance: f64,
    rows: TokenRowCounts,
}

impl Walk {
    fn of(prompt: &Prompt, settings: DrawSettings, model: &BaseModel) -> Result<Self, PromptError> {
        Ok(Self {
            size: settings.size_of(prompt, model),
            sampler: settings.sampler_of(prompt),
            steps: prompt.steps,
            guidance: prompt.guidance,
            rows: TokenRowCounts::of(prompt, &model.text)?,
        })
    }

    /// Large pictures would not fit into memory many at a time.
    fn at_once(&self) -> usize {
        let pixels = self.size.map(u64::from).iter().product::<u64>();
        (512 * 512 / pixels).max(1) as usize
    }
}

/// The standard normal noise that a prompt's picture begins with, `[1, channels, height, width]`.
pub fn starting_noise(
    model: &BaseModel,
    prompt: &Prompt,
    settings: DrawSettings,
    device: &Device,
) -> Tensor<4> {
    noise(model, prompt, settings, 0, device)
}

/// The noise that step `draw − 1` of a prompt's walk adds; draw 0 is what it begins with.
fn noise(
    model: &BaseModel,
    prompt: &Prompt,
    settings: DrawSettings,
    draw: u64,
    device: &Device,
) -> Tensor<4> {
    let unit = model.vae.reduction();
    let [width, height] = settings
        .size_of(prompt, model)
        .map(|side| side as usize / unit);
    let shape = [model.vae.latent_channels(), height, width];
    normal_tensor(Purpose::Sampling, prompt.seed, draw, shape, device)
}

fn draw_batch(
    model: &BaseModel,
    prompts: &[Prompt],
    settings: DrawSettings,
    device: &Device,
) -> Result<Vec<RgbImage>, PromptError> {
    let Some(first) = prompts.first() else {
        return Ok(Vec::new());
    };
    let guidance = Guidance::of(model, prompts, settings)?;
    let noise = |draw: u64| {
        let draws = prompts
            .iter()
            .map(|prompt| noise(model, prompt, settings, draw, device));
        Tensor::cat(draws.collect(), 0)
    };
    let sampler = settings.sampler_of(first);
    let mut sampler = sampler.build(&model.scheduler, first.steps);
    let mut latents = noise(0) * sampler.initial_scale();
    for index in 0..sampler.timesteps().len() {
        let input = sampler.scale_input(index, latents.clone());
        let prediction = guidance.predict(&model.unet, input, sampler.timesteps()[index]);
        let fresh = sampler.needs_noise(index).then(|| noise(index as u64 + 1));
        latents = sampler.step(index, prediction, latents, fresh);
    }
    Ok(to_pictures(model.vae.decode(latents)))
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
