//! Parity with PyTorch on the tiny SD1.5 model: see `testdata/golden/README.md` for where the numbers come from.

#![cfg(test)]

mod diffusion;
mod forward;
mod full_size;
mod fused;
mod golden;
mod layouts;
mod loading;
mod lora;
mod samplers;
mod weighted_text;
