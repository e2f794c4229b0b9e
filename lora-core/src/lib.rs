//! Stable Diffusion networks, the LoRA adapters in them, diffusion mathematics and file formats, on burn.
//!
//! Knows neither datasets nor optimisers; the crate `lora-train` brings them together.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

pub mod activation;
pub mod adapter;
pub mod attention;
mod base_model;
pub mod diffusion;
mod family;
mod frozen_weight;
pub mod fused;
pub mod layer;
mod linear_algebra;
pub mod lora_file;
pub mod lora_tools;
mod model_configs;
mod model_source;
mod model_tensors;
mod module_name;
mod part;
mod precision;
pub mod prompt_syntax;
mod recompute;
mod resample;
mod resnet;
pub mod safetensors_file;
mod size_limits;
mod text_conditioner;
pub mod text_encoder;
pub mod tokenizer;
pub mod unet;
pub mod vae;
mod weight_format;
pub mod weights;

pub use base_model::BaseModel;
pub use family::Family;
pub use frozen_weight::{EightBit, FrozenWeight};
pub use model_configs::ModelConfigs;
pub use model_source::ModelSource;
pub use model_tensors::TensorShapes;
pub use module_name::ModuleName;
pub use part::Part;
pub use precision::Precision;
pub use recompute::ActivationCheckpointing;
pub use text_conditioner::{TextConditioner, TextStates, TextTower, TokenIds};
pub use weight_format::WeightFormat;

/// Every trainable factor, by the key it has in a file. Always rank 2: convolutions reshape when they are applied.
pub type Matrices = BTreeMap<String, Tensor<2>>;
