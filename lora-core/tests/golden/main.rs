//! Parity with PyTorch on the tiny SD1.5 model: see `testdata/golden/README.md` for where the numbers come from.

#![cfg(test)]

mod adapters;
mod diffusion;
mod forward;
mod full_size;
mod fused;
mod golden;
mod layouts;
mod loading;
mod lora;
mod lycoris;
mod marks;
mod model_files;
mod recognising;
mod recompute;
mod samplers;
mod spare_tensors;
mod vae_files;
mod weighted_text;
