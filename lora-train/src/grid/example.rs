//! A request and a drawer to test with, without files and without a model.

use std::path::Path;

use image::{Rgb, RgbImage};
use lora_core::diffusion::SamplerKind;

use super::{
    Axis, DrawError, Drawer, Fingerprints, GridPlan, GridRequest, LoraUse, SavedFile,
    fingerprint::digest,
};
use crate::{DrawSettings, Prompt, config::PreviewConfig};

/// Files × strengths 0, 0.5 and 1 of two epochs, with one prompt.
pub(super) fn request() -> GridRequest {
    GridRequest {
        x: Axis::Files,
        y: Axis::Strength(vec![0.0, 0.5, 1.0]),
        z: Axis::Nothing,
        files: vec![file("dog-000001", "epoch 1"), file("dog-000002", "epoch 2")],
        strengths: vec![1.0],
        prompts: vec![prompt("a fox, sitting --n blurry")],
    }
}

/// One cell; set the axes to taste.
pub(super) fn plain(x: Axis, y: Axis) -> GridRequest {
    GridRequest {
        x,
        y,
        files: Vec::new(),
        ..request()
    }
}

pub(super) fn file(name: &str, label: &str) -> SavedFile {
    SavedFile {
        path: format!("{name}.safetensors").into(),
        name: name.to_owned(),
        run: "dog".to_owned(),
        label: label.to_owned(),
        hash: None,
    }
}

pub(super) fn prompt(line: &str) -> Prompt {
    Prompt::parse_template(line, &PreviewConfig::default()).expect("a prompt")
}

/// Settings of 8 × 8 pixels.
pub(super) fn settings() -> DrawSettings {
    DrawSettings {
        sampler: SamplerKind::Ddim,
        clip_skip: 1,
        size: [8; 2],
    }
}

pub(super) fn plan(request: &GridRequest) -> GridPlan {
    let cells = request.cells().expect("a sound request");
    cells.plan(&Fingerprints::default(), settings(), |_| [8; 2])
}

/// Paints each picture in a colour of its own, and takes notes.
#[derive(Debug, Default)]
pub(super) struct Painter {
    /// How often the LoRAs changed.
    pub(super) changes: usize,
    /// The prompts of each call.
    pub(super) calls: Vec<usize>,
    /// The names and strengths of each call.
    pub(super) loras: Vec<Vec<(String, f32)>>,
    /// The files that were checked.
    pub(super) checked: usize,
    last: Vec<LoraUse>,
}

impl Drawer for Painter {
    fn check(&mut self, files: &[&Path]) -> Result<(), DrawError> {
        self.checked += files.len();
        Ok(())
    }

    fn draw(
        &mut self,
        loras: &[LoraUse],
        prompts: &[Prompt],
        settings: DrawSettings,
    ) -> Result<Vec<RgbImage>, DrawError> {
        if self.last != loras {
            self.changes += 1;
            self.last = loras.to_vec();
        }
        self.calls.push(prompts.len());
        let named = loras
            .iter()
            .map(|lora| (lora.name.clone(), lora.strength.unet));
        self.loras.push(named.collect());
        let paint = |prompt: &Prompt| {
            let text = format!("{loras:?}{prompt:?}{settings:?}");
            let hash = u32::from_str_radix(&digest(text.as_bytes())[..6], 16).unwrap_or(0);
            let [_, red, green, blue] = hash.to_be_bytes();
            let [width, height] = prompt.size.map(|side| side.unwrap_or(8));
            RgbImage::from_pixel(width, height, Rgb([red, green, blue]))
        };
        Ok(prompts.iter().map(paint).collect())
    }
}
