//! Draws pictures and writes what they were drawn from, for `docs/interop/check_pictures.py` to draw them again.
//!
//! `cargo run --release -p lora-train --example draw_pictures -- BASE FOLDER`

use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel, ModelSource,
    diffusion::SamplerKind,
    prompt_syntax::{Segment, parse_emphasis},
};
use lora_train::{DrawSettings, Prompt, config::PreviewConfig, draw, picture::png, starting_noise};
use serde::Serialize;

/// Width and height: latents that the UNet cannot halve evenly.
const SIZE: [u32; 2] = [48, 32];
/// The pictures, by name; all from the same noise.
const PICTURES: [(&str, &str); 7] = [
    ("ddim", "a red fox on a hill --n blurry, dark --ss ddim"),
    ("ddim-no-negative", "a red fox on a hill --ss ddim"),
    ("euler", "a red fox on a hill --n blurry, dark --ss euler"),
    (
        "euler-karras",
        "a red fox on a hill --n blurry, dark --ss euler-karras",
    ),
    (
        "dpmpp-2m",
        "a red fox on a hill --n blurry, dark --ss dpmpp-2m",
    ),
    (
        "dpmpp-2m-karras",
        "a red fox on a hill --n blurry, dark --ss dpmpp-2m-karras",
    ),
    ("unipc", "a red fox on a hill --n blurry, dark --ss unipc"),
];
/// Prompts whose text states are written besides.
const TEXTS: [&str; 4] = [
    "a red fox on a hill",
    "a (red:1.4) fox, [dark] ((forest))",
    "a (red fox:1.2) BREAK on a hill",
    "a (fox:0.7) in the rain, drawn by hand with a soft pencil on old brown paper, and beside it a bear, a wolf, an owl, \
     a deer, a hare, a badger, a lynx, a mouse, a heron, a crow, a swan, a goose, a duck, a frog, a newt, a toad, a bee, \
     a wasp, a moth, a fly, a gnat, an ant (under the moon:1.3)",
];

/// Everything that another program needs to draw the same.
#[derive(Serialize)]
struct Dump {
    size: [u32; 2],
    pictures: BTreeMap<&'static str, Prompt>,
    /// What all pictures begin with.
    noise: Array,
    texts: Vec<Text>,
}

/// A prompt taken apart, and its states.
#[derive(Serialize)]
struct Text {
    prompt: &'static str,
    /// Words and weights; no words for a break.
    segments: Vec<(Option<String>, f64)>,
    states: Array,
    pooled: Option<Array>,
}

#[derive(Serialize)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            values: tensor.into_data().iter::<f32>().collect(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [base, folder] = arguments.as_slice() else {
        return Err("give BASE FOLDER".into());
    };
    fs::create_dir_all(folder)?;
    let device = Device::flex();
    let model = BaseModel::load(&ModelSource::new(base), &device)?;
    let settings = DrawSettings {
        sampler: SamplerKind::Ddim,
        clip_skip: 1,
        size: SIZE,
    };
    let defaults = PreviewConfig {
        steps: 12,
        guidance: 5.0,
        seed: 42,
        ..PreviewConfig::default()
    };
    let mut pictures = BTreeMap::new();
    for (name, line) in PICTURES {
        let prompt = Prompt::parse(line, &defaults)?;
        let drawn = draw(&model, std::slice::from_ref(&prompt), settings, &device)?;
        let path = Path::new(folder).join(format!("{name}.png"));
        fs::write(path, png::encode(&drawn[0], None)?)?;
        pictures.insert(name, prompt);
    }
    let noise = starting_noise(&model, &pictures["ddim"], settings, &device);
    let dump = Dump {
        size: SIZE,
        pictures,
        noise: Array::of(noise),
        texts: TEXTS.map(|prompt| text(&model, prompt)).into(),
    };
    let path = Path::new(folder).join("pictures.json");
    fs::write(path, serde_json::to_vec(&dump)?)?;
    Ok(())
}

fn text(model: &BaseModel, prompt: &'static str) -> Text {
    let segments = parse_emphasis(prompt);
    let states = model.text.encode_weighted(&segments, 1);
    let segments = segments.into_iter().map(|segment| match segment {
        Segment::Text { text, weight } => (Some(text), weight),
        Segment::Break => (None, 1.0),
    });
    Text {
        prompt,
        segments: segments.collect(),
        states: Array::of(states.states),
        pooled: states.pooled.map(Array::of),
    }
}
