//! Text encoder, VAE and UNet against transformers and diffusers.
//!
//! f32 rounding alone moves these outputs by up to 4e-6 (`forward/report.json`); another order of summation may double
//! that, so 2e-5 leaves no room for a wrong epsilon or activation.

use burn::tensor::Tensor;

use crate::golden::{Golden, assert_close, tiny_sd15};

const LIMIT: f32 = 2e-5;

#[test]
fn text_encoder_equals_transformers() {
    let model = tiny_sd15();
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    let ids = golden.ids::<2>("text.input_ids");
    let last = model.text_encoder.forward(ids.clone(), 1);
    assert_close(last, &golden, "text.last_hidden_state", LIMIT);
    let skipped = model.text_encoder.forward(ids, 2);
    assert_close(skipped, &golden, "text.clip_skip_2", LIMIT);
}

#[test]
fn three_chunks_are_joined_as_kohya_does() {
    let model = tiny_sd15();
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    let ids = golden.ids::<2>("text.long.input_ids_3x77").unsqueeze::<3>();
    let states = model.text_encoder.forward_chunks(ids, 1);
    assert_close(states, &golden, "text.long.hidden_227", LIMIT);
}

#[test]
fn vae_encoder_equals_diffusers() {
    let model = tiny_sd15();
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    let posterior = model.vae.encode(golden.tensor("vae.image"));
    assert_close(posterior.mean.clone(), &golden, "vae.mean", LIMIT);
    assert_close(
        posterior.logvar.clone(),
        &golden,
        "vae.logvar_clamped",
        LIMIT,
    );
    let sample = posterior.sample(golden.tensor("vae.sample_noise"));
    assert_close(sample.clone(), &golden, "vae.sample", LIMIT);
    let scaled: Tensor<4> = sample * model.vae.scaling_factor();
    assert_close(scaled, &golden, "vae.scaled_latents", LIMIT);
}

#[test]
fn vae_decoder_equals_diffusers() {
    let model = tiny_sd15();
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    let picture = model.vae.decode(golden.tensor("vae.decode_in_scaled"));
    assert_close(picture, &golden, "vae.decode_out", LIMIT);
}

#[test]
fn unet_equals_diffusers() {
    let model = tiny_sd15();
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    let timesteps: Vec<f32> = golden
        .integers("unet.timesteps")
        .into_iter()
        .map(|timestep| timestep as f32)
        .collect();
    let out = model.unet.forward(
        golden.tensor("unet.latents"),
        &timesteps,
        golden.tensor("unet.context"),
    );
    assert_close(out, &golden, "unet.out", LIMIT);
}
