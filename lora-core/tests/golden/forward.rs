//! Text encoders, VAE and UNet against transformers and diffusers, for every family.
//!
//! f32 rounding alone moves these outputs by up to 4e-6 (`forward/report.json`); another order of summation may double
//! that, so 2e-5 leaves no room for a wrong epsilon or activation.

use burn::tensor::Tensor;
use lora_core::{
    BaseModel, Family,
    unet::{AddedConditions, Conditions},
};

use crate::golden::{Golden, assert_close, tiny};

const LIMIT: f32 = 2e-5;

const MODELS: [(&str, Family); 3] = [
    ("tiny-sd15", Family::Sd1),
    ("tiny-sd21", Family::Sd2),
    ("tiny-sdxl", Family::Sdxl),
];

/// Compares all networks of a model with `forward/<name>.safetensors`.
pub fn assert_equals_reference(model: &BaseModel, name: &str) {
    let golden = Golden::open(&format!("forward/{name}.safetensors"));
    match model.family {
        Family::Sd1 | Family::Sd2 => one_tower(model, &golden),
        Family::Sdxl => two_towers(model, &golden),
    }
    vae(model, &golden);
    unet(model, &golden);
}

#[test]
fn every_family_equals_transformers_and_diffusers() {
    for (name, family) in MODELS {
        let model = tiny(name);
        assert_eq!(model.family, family);
        assert_equals_reference(&model, name);
    }
}

fn one_tower(model: &BaseModel, golden: &Golden) {
    let ids = golden.ids(&["text.input_ids"], 1);
    let last = model.text.encode(&ids, 1);
    assert_close(last.states, golden, "text.last_hidden_state", LIMIT);
    assert!(last.pooled.is_none());
    let skipped = model.text.encode(&ids, 2);
    assert_close(skipped.states, golden, "text.clip_skip_2", LIMIT);
    let long = golden.ids(&["text.long.input_ids_3x77"], 3);
    let states = model.text.encode(&long, 1).states;
    assert_close(states, golden, "text.long.hidden_227", LIMIT);
}

fn two_towers(model: &BaseModel, golden: &Golden) {
    let ids = golden.ids(&["text.input_ids", "text2.input_ids"], 1);
    let text = model.text.encode(&ids, 1);
    let halves = text.states.split_with_sizes(vec![8, 12], 2);
    assert_close(halves[0].clone(), golden, "text.hidden_penultimate", LIMIT);
    assert_close(halves[1].clone(), golden, "text2.hidden_penultimate", LIMIT);
    assert_close(text.pooled.unwrap(), golden, "text2.pooled", LIMIT);
    let names = ["text.long.input_ids_3x77", "text2.long.input_ids_3x77"];
    let long = model.text.encode(&golden.ids(&names, 3), 1);
    let halves = long.states.split_with_sizes(vec![8, 12], 2);
    assert_close(halves[0].clone(), golden, "text.long.hidden_227", LIMIT);
    assert_close(halves[1].clone(), golden, "text2.long.hidden_227", LIMIT);
    // The pooled vector is that of the first row.
    let first = golden.rows("text2.long.input_ids_3x77").rows()[0];
    let alone = model.text.towers()[1]
        .encoder
        .penultimate_and_pooled(&vec![first].into());
    let [pooled, alone] = [long.pooled.unwrap(), alone.1.unwrap()];
    pooled.into_data().assert_eq(&alone.into_data(), true);
}

fn vae(model: &BaseModel, golden: &Golden) {
    let posterior = model.vae.encode(golden.tensor("vae.image"));
    assert_close(posterior.mean.clone(), golden, "vae.mean", LIMIT);
    let logvar = posterior.logvar.clone();
    assert_close(logvar, golden, "vae.logvar_clamped", LIMIT);
    let sample = posterior.sample(golden.tensor("vae.sample_noise"));
    assert_close(sample.clone(), golden, "vae.sample", LIMIT);
    let scaled: Tensor<4> = sample * model.vae.scaling_factor();
    assert_close(scaled, golden, "vae.scaled_latents", LIMIT);
    let picture = model.vae.decode(golden.tensor("vae.decode_in_scaled"));
    assert_close(picture, golden, "vae.decode_out", LIMIT);
}

fn unet(model: &BaseModel, golden: &Golden) {
    let added = (model.family == Family::Sdxl).then(|| AddedConditions {
        pooled: golden.tensor("unet.pooled"),
        sizes: golden.sizes("unet.time_ids"),
    });
    let conditions = Conditions {
        text: golden.tensor("unet.context"),
        added,
    };
    let latents = golden.tensor("unet.latents");
    let timesteps = golden.timesteps("unet.timesteps");
    let out = model.unet.forward(latents, &timesteps, &conditions);
    assert_close(out, golden, "unet.out", LIMIT);
}
