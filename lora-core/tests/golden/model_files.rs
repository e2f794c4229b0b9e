//! The tiny models' files, and files made up of zeros.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lora_core::{
    Family,
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::{Checkpoint, CheckpointError, Component, StoredTensor, Weights},
};
use safetensors::{
    Dtype,
    tensor::{TensorView, serialize_to_file},
};

use crate::golden::path;

/// A network, and its file in a diffusers folder.
pub type Network = (Component, &'static str);

/// The tiny models, with their families and components.
pub const MODELS: [(&str, Family, &[Network]); 3] = [
    ("tiny-sd15", Family::Sd1, &ONE_TEXT),
    ("tiny-sd21", Family::Sd2, &ONE_TEXT),
    ("tiny-sdxl", Family::Sdxl, &TWO_TEXTS),
];
pub const UNET: Network = (Component::UNet, "unet/diffusion_pytorch_model.safetensors");
pub const VAE: Network = (Component::Vae, "vae/diffusion_pytorch_model.safetensors");
pub const TEXT: Network = (Component::TextEncoder, "text_encoder/model.safetensors");
pub const TEXT_2: Network = (Component::TextEncoder2, "text_encoder_2/model.safetensors");
pub const ONE_TEXT: [Network; 3] = [UNET, VAE, TEXT];
pub const TWO_TEXTS: [Network; 4] = [UNET, VAE, TEXT, TEXT_2];

pub fn single_file(model: &str) -> PathBuf {
    path(&format!("{model}.safetensors"))
}

pub fn raw(checkpoint: &Checkpoint, component: Component, key: &str, shape: &[usize]) -> RawTensor {
    let tensors = checkpoint.tensors(component).unwrap();
    match tensors.find(key, shape) {
        Ok(StoredTensor::Raw(raw)) => raw,
        other => panic!("{key}: {other:?}"),
    }
}

/// Asks for every tensor of a diffusers file, as a network would.
pub fn ask_for_all(file: &SafetensorsFile, weights: &Weights<'_>) {
    for name in file.names() {
        let (module, tensor) = name.rsplit_once('.').unwrap();
        let at = weights.at(module);
        match *file.info(&name).unwrap().shape {
            [a] => drop(at.tensor(tensor, [a])),
            [a, b] => drop(at.tensor(tensor, [a, b])),
            [a, b, c, d] => drop(at.tensor(tensor, [a, b, c, d])),
            ref shape => panic!("{name}: {shape:?}"),
        }
    }
}

/// Writes tensors of zeros, or copies of a file's tensors under other names.
pub fn write(to: &Path, tensors: &[(String, RawTensor)]) {
    write_with(to, tensors, &[]);
}

/// As [`write`], with metadata.
pub fn write_with(to: &Path, tensors: &[(String, RawTensor)], metadata: &[(&str, &str)]) {
    let metadata = metadata.iter();
    let metadata = metadata.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let views = tensors.iter().map(|(name, tensor)| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (name, view.unwrap())
    });
    serialize_to_file(views, Some(metadata.collect()), to).unwrap();
}

pub fn zeros(name: &str, shape: &[usize]) -> (String, RawTensor) {
    let tensor = RawTensor {
        dtype: Dtype::F16,
        shape: shape.to_vec(),
        bytes: vec![0; 2 * shape.iter().product::<usize>()],
    };
    (name.to_owned(), tensor)
}

pub fn open(tensors: &[(String, RawTensor)]) -> Result<Checkpoint, CheckpointError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    write(&file, tensors);
    Checkpoint::open(&file, None)
}

/// The tensors by which a file is known to be of a family's published shape.
pub fn published(family: Family) -> Vec<(String, RawTensor)> {
    let (block, width, text) = match family {
        Family::Sd1 => (1, [320, 768], "cond_stage_model.transformer.text_model.a"),
        Family::Sd2 => (1, [320, 1024], "cond_stage_model.model.ln_final.bias"),
        Family::Sdxl => (
            4,
            [640, 2048],
            "conditioner.embedders.1.model.ln_final.bias",
        ),
    };
    vec![
        zeros(CONVOLUTION, &[320, 4, 3, 3]),
        zeros(&attention(block), &width),
        zeros(text, &[1]),
    ]
}

/// The first convolution, by whose inputs a UNet is known.
pub const CONVOLUTION: &str = "model.diffusion_model.input_blocks.0.0.weight";

/// The first weight of the cross-attention in a block, by whose width a family is known.
pub fn attention(block: usize) -> String {
    format!("model.diffusion_model.input_blocks.{block}.1.transformer_blocks.0.attn2.to_k.weight")
}

/// A copy of a tiny model's folder, without tokenizers, that may be damaged.
pub fn copy_of(model: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["unet", "vae", "text_encoder", "text_encoder_2", "scheduler"] {
        let (from, to) = (path(model).join(part), folder.path().join(part));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    folder
}
