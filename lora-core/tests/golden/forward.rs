//! Text encoders, VAE and UNet against transformers and diffusers, for every family.
//!
//! f32 rounding alone moves these outputs by up to 4e-6 (`forward/report.json`); another order of summation may double
//! that, so 2e-5 leaves no room for a wrong epsilon or activation.

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel, Family, Precision, WeightFormat,
    unet::{AddedConditions, Conditions},
};

use crate::golden::{Golden, assert_close, deviation, device, tiny, tiny_in};

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
    assert_close(unet_out(model, golden), golden, "unet.out", LIMIT);
}

fn unet_out(model: &BaseModel, golden: &Golden) -> Tensor<4> {
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
    model.unet.forward(latents, &timesteps, &conditions)
}

/// What the UNet predicts in other number formats. The limits are about twice what was measured, and a network in which a norm, a
/// softmax or a sum were not in f32 would be far outside.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "docs/performance.md has what it prints"
)]
fn number_formats_predict_nearly_the_same() {
    let eight = |precision| WeightFormat {
        precision,
        eight_bit: true,
    };
    let formats = [
        ("bf16", WeightFormat::from(Precision::Bf16), 6e-2),
        ("f16", Precision::F16.into(), 6e-3),
        ("f32, eight bits", eight(Precision::F32), 0.1),
        ("bf16, eight bits", eight(Precision::Bf16), 0.1),
    ];
    // The CPU sums in f32 whatever the format; a GPU may not.
    let widening = if device() == Device::flex() { 1.0 } else { 3.0 };
    for (name, _) in MODELS {
        let golden = Golden::open(&format!("forward/{name}.safetensors"));
        for (format, held, limit) in formats {
            if !held.precision.is_on(&device()) {
                continue;
            }
            let out = unet_out(&tiny_in(name, held), &golden);
            let out: Vec<f32> = out.into_data().iter().collect();
            let off = deviation(&out, &golden.values("unet.out"));
            println!("| {name} | {format} | {off:.1e} |");
            assert!(off < limit * widening, "{name} in {format}: {off:e}");
        }
    }
}
