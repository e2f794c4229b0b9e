//! Writing the layout of PEFT and diffusers.

use std::path::Path;

use burn::tensor::TensorData;

use super::adapter_config::METADATA_KEY;
use super::key::module_name;
use super::layout::EncodedTensor;
use super::write::{encode, write_file};
use super::{FileDtype, LoraFile, LoraModule, LoraProblem, LoraWriteError, Written, split_scale};

impl LoraFile {
    /// Writes the modules as PEFT and diffusers name them, without alphas: each module's scale is multiplied into its
    /// factors, so that the file means the same to every program, whether it looks for a configuration or not.
    ///
    /// The scale goes into the up factor. Where it is 1/8 or less, powers of two of it go into the down factor, because
    /// F16 would lose digits of very small numbers; so a scale that is a power of two changes no digit of any value.
    ///
    /// # Errors
    /// As [`Self::write`]; and each module whose path in the network is not known.
    pub fn write_peft(
        &self,
        path: impl AsRef<Path>,
        dtype: FileDtype,
    ) -> Result<Written, LoraWriteError> {
        let mut metadata = self.metadata.clone();
        // The alphas that stood there are in the factors now.
        metadata.remove(METADATA_KEY);
        metadata.insert("format".to_owned(), "pt".to_owned());
        let tensors = encode(&self.modules, |name, module| {
            encode_module(name, module, dtype)
        });
        write_file(path.as_ref(), tensors, metadata)
    }
}

fn encode_module(
    name: &str,
    module: &LoraModule,
    dtype: FileDtype,
) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>> {
    let mut problems = module.problems(name);
    let path = module_name(name).map(|path| path.to_string());
    if path.is_none() {
        problems.push(LoraProblem::NoPath {
            module: name.to_owned(),
        });
    }
    let path = path.unwrap_or_default();
    let (down_scale, up_scale) = split_scale(module.scale());
    let mut encode = |factor: &str, data: &TensorData, scale: f32| {
        let values: Vec<f32> = data.iter::<f32>().map(|value| value * scale).collect();
        let name = format!("{path}.{factor}.weight");
        let tensor = EncodedTensor::new(name, dtype, data.shape(), &values);
        tensor.map_err(|problem| problems.push(problem)).ok()
    };
    let tensors = [
        encode("lora_A", &module.down, down_scale),
        encode("lora_B", &module.up, up_scale),
    ];
    if problems.is_empty() {
        Ok(tensors.into_iter().flatten().collect())
    } else {
        Err(problems)
    }
}
