//! The crate's public face, held against PyTorch's and diffusers' numbers and against its own contracts.
#![allow(clippy::unwrap_used, missing_docs)]

mod clipping;
mod conformance;
mod numbers;
mod quadratic;
mod rate_groups;
mod schedules;
mod trajectories;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use lora_optim::Matrices;

/// A file of the golden data.
fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden")
        .join(path)
}

fn matrix(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The exact bits of every element, by key.
fn bits(matrices: &Matrices) -> Vec<(&str, Vec<u32>)> {
    let of = |matrix: &Tensor<2>| values(matrix).into_iter().map(f32::to_bits).collect();
    matrices
        .iter()
        .map(|(key, matrix)| (key.as_str(), of(matrix)))
        .collect()
}

fn values(matrix: &Tensor<2>) -> Vec<f32> {
    matrix.clone().try_into_vec_as().unwrap()
}
