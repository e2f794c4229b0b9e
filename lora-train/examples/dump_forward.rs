//! Writes what a base model answers with and without a LoRA, for `docs/interop/check_diffusers.py` to compare.
//!
//! `cargo run --release -p lora-train --example dump_forward -- BASE LORA.safetensors PROMPT OUT.json`

use std::{collections::BTreeMap, env, error::Error, fs};

use burn::tensor::{Device, Distribution, Tensor};
use lora_core::{
    BaseModel, ModelSource, TokenIds, diffusion::SamplerKind, lora_file::LoraFile, tokenizer::Row,
    unet::Conditions,
};
use serde::Serialize;

const SEED: u64 = 7;
/// One late and one early timestep.
const TIMESTEPS: [f32; 2] = [951.0, 37.0];
const STEPS: usize = 20;
const GUIDANCE: f64 = 3.0;

/// Everything that another program needs to repeat the computation, and what came out.
#[derive(Serialize)]
struct Dump {
    prompt: String,
    timesteps: [f32; 2],
    steps: usize,
    guidance: f64,
    /// Token ids of the empty prompt and of the prompt.
    ids: Vec<Vec<u32>>,
    tensors: BTreeMap<String, Array>,
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
    let [base, lora, prompt, out] = arguments.as_slice() else {
        return Err("give BASE LORA.safetensors PROMPT OUT.json".into());
    };
    let device = Device::flex();
    let mut model = BaseModel::load(&ModelSource::new(base), &device)?;
    device.seed(SEED);
    let side = model.native_side as usize / model.vae.reduction();
    let noise = Tensor::<4>::random([1, 4, side, side], Distribution::Normal(0.0, 1.0), &device);
    let ids = ["", prompt].map(|text| model.text.tokenizer().row(text));

    let mut tensors = BTreeMap::from([("noise".to_owned(), Array::of(noise.clone()))]);
    answer(&model, "base", &ids, &noise, &mut tensors);
    model.attach(&LoraFile::read(lora)?, 1.0, &device)?;
    answer(&model, "lora", &ids, &noise, &mut tensors);

    let dump = Dump {
        prompt: prompt.clone(),
        timesteps: TIMESTEPS,
        steps: STEPS,
        guidance: GUIDANCE,
        ids: ids.map(|row| row.to_vec()).to_vec(),
        tensors,
    };
    fs::write(out, serde_json::to_vec(&dump)?)?;
    Ok(())
}

/// Text states, one UNet answer for each of [`TIMESTEPS`], and a picture drawn from `noise` by guided DDIM.
fn answer(
    model: &BaseModel,
    label: &str,
    ids: &[Row; 2],
    noise: &Tensor<4>,
    tensors: &mut BTreeMap<String, Array>,
) {
    let ids = TokenIds {
        chunks: 1,
        towers: vec![ids.to_vec().into()],
    };
    let conditions = Conditions::new(model.text.encode(&ids, 1), &[]);
    let pair = |latents: Tensor<4>| Tensor::cat(vec![latents; 2], 0);
    let unet = model
        .unet
        .forward(pair(noise.clone()), &TIMESTEPS, &conditions);

    let mut sampler = SamplerKind::Ddim.build(&model.scheduler, STEPS);
    let mut latents = noise.clone() * sampler.initial_scale();
    for (index, timestep) in sampler.timesteps().to_vec().into_iter().enumerate() {
        let input = sampler.scale_input(index, latents.clone());
        let predicted = model.unet.forward(pair(input), &[timestep; 2], &conditions);
        let negative = predicted.clone().narrow(0, 0, 1);
        let positive = predicted.narrow(0, 1, 1);
        let guided = negative.clone() + (positive - negative) * GUIDANCE;
        latents = sampler.step(index, guided, latents, None);
    }
    let mut keep = |name: &str, array| tensors.insert(format!("{label}.{name}"), array);
    keep("text", Array::of(conditions.text));
    keep("unet", Array::of(unet));
    keep("picture", Array::of(model.vae.decode(latents.clone())));
    keep("latents", Array::of(latents));
}
