//! ONNX models on the CPU, run by tract: one picture tensor in, named tensors out.

mod error;
mod model;
mod proto_check;
mod runner;

pub use error::OnnxError;
pub use model::{OnnxInput, OnnxModel};
pub use runner::{OnnxOutput, OnnxRunner};
