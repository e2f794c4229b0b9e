//! Going on from the matrices of a file.

use burn::tensor::{Device, Tensor};

use super::{Adapter, Sites, SpecError, inject::visit_named, lora_file_bridge::to_adapter};
use crate::lora_file::{LoraFile, ModuleInFile};

/// The parts of which one takes a difference of scales: what they are factors of grows with any one of them.
const SCALED: [&str; 4] = ["lora_up.weight", "hada_w1_a", "lokr_w1", "lokr_w1_a"];

/// Gives adapters that were just [injected](super::inject) the matrices that `file` has for them, so that they change what the file
/// changes. They keep their own scale: where the file's is another, its matrices make up for it.
///
/// Gives the names of the file's modules for which there is no adapter. Adapters that the file has nothing for stay fresh.
///
/// # Errors
/// [`SpecError::OtherAdapter`] where the file has another kind, rank or factor for a layer, [`SpecError::Misfit`] where its matrices are
/// for another layer; then some adapters have taken theirs over.
pub fn take_over(
    networks: &mut [&mut dyn Sites],
    file: &LoraFile,
    device: &Device,
) -> Result<Vec<String>, SpecError> {
    let mut left: Vec<String> = file.names().map(str::to_owned).collect();
    let mut failed = None;
    for network in networks {
        visit_named(*network, |_, name, site| {
            let Some(module) = ModuleInFile::of(file, name) else {
                return;
            };
            let shape = site.shape();
            let [adapter] = site.slot.as_mut_slice() else {
                return;
            };
            left.retain(|left| left != name);
            let frozen = || site.weight.matrix();
            let taken = to_adapter(name, module, shape, frozen, device)
                .and_then(|stored| take(name, adapter, stored));
            failed = failed.take().or(taken.err());
        });
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(left),
    }
}

fn take(name: &str, adapter: &mut Adapter, mut stored: Adapter) -> Result<(), SpecError> {
    let [in_file, in_run] = [&mut stored, &mut *adapter].map(parts);
    let shapes = |parts: &[(&'static str, Tensor<2>)]| -> Vec<(&'static str, Vec<usize>)> {
        let parts = parts.iter();
        parts
            .map(|(part, matrix)| (*part, matrix.dims().to_vec()))
            .collect()
    };
    if shapes(&in_file) != shapes(&in_run) {
        return Err(SpecError::OtherAdapter {
            module: name.to_owned(),
            file: shapes(&in_file),
            run: shapes(&in_run),
        });
    }
    let ratio = stored.scale() / adapter.scale();
    let mut values = in_file.into_iter();
    adapter.each_part(&mut |part, matrix| {
        if let Some((_, value)) = values.next() {
            let is_scaled = SCALED.contains(&part) && ratio.to_bits() != 1f32.to_bits();
            *matrix = if is_scaled { value * ratio } else { value };
        }
    });
    Ok(())
}

fn parts(adapter: &mut Adapter) -> Vec<(&'static str, Tensor<2>)> {
    let mut parts = Vec::new();
    adapter.each_part(&mut |part, matrix| parts.push((part, matrix.clone())));
    parts
}
