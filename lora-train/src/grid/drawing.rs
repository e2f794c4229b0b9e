use serde::Serialize;

use super::{Fingerprints, LoraUse, fingerprint::digest, request::CellPicture};
use crate::{DrawSettings, Prompt, infotext};

/// One picture, with everything that decides how it looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Changes with anything that decides how the picture looks; names its file.
    pub digest: String,
    /// The LoRAs, none of them off.
    pub loras: Vec<LoraUse>,
    /// What is drawn; its size and sampler are set.
    pub prompt: Prompt,
    /// How it is drawn.
    pub settings: DrawSettings,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// The text that A1111 writes into the picture.
    pub parameters: String,
}

/// What goes into a picture's digest, and into the plan file for whoever wants to know.
#[derive(Serialize)]
pub(super) struct Ingredients<'a> {
    /// A later version may draw otherwise.
    version: &'static str,
    model: &'a str,
    loras: Vec<LoraIngredient<'a>>,
    prompt: &'a Prompt,
    clip_skip: usize,
    size: [u32; 2],
    parameters: &'a str,
}

#[derive(Serialize)]
struct LoraIngredient<'a> {
    name: &'a str,
    sha256: &'a str,
    text: f32,
    unet: f32,
}

impl Drawing {
    pub(super) fn new(
        picture: &CellPicture,
        settings: DrawSettings,
        size: [u32; 2],
        fingerprints: &Fingerprints,
    ) -> Self {
        let prompt = Prompt {
            size: size.map(Some),
            sampler: Some(settings.sampler_of(&picture.prompt)),
            ..picture.prompt.clone()
        };
        let provenance = fingerprints.provenance(&picture.loras);
        let mut drawing = Self {
            digest: String::new(),
            loras: picture.loras.clone(),
            parameters: infotext(&prompt, settings, size.into(), &provenance),
            prompt,
            settings,
            size,
        };
        // Strings and finite numbers serialise without fail.
        let bytes = serde_json::to_vec(&drawing.ingredients(fingerprints)).unwrap_or_default();
        drawing.digest = digest(&bytes);
        drawing
    }

    pub(super) fn ingredients<'a>(&'a self, fingerprints: &'a Fingerprints) -> Ingredients<'a> {
        let loras = self.loras.iter().map(|lora| LoraIngredient {
            name: &lora.name,
            sha256: fingerprints
                .loras
                .get(&lora.path)
                .map_or("", |print| &print.sha256),
            text: lora.strength.text,
            unet: lora.strength.unet,
        });
        Ingredients {
            version: env!("CARGO_PKG_VERSION"),
            model: &fingerprints.model,
            loras: loras.collect(),
            prompt: &self.prompt,
            clip_skip: self.settings.clip_skip,
            size: self.size,
            parameters: &self.parameters,
        }
    }
}
