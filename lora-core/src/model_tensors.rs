//! The tensors that a model of given configs has, by name and shape, without a number in memory.

use std::{cell::RefCell, collections::BTreeMap};

use burn::tensor::Device;

use crate::{
    ModelConfigs, Precision,
    base_model::text_encoder,
    unet::UNet,
    vae::Vae,
    weights::{
        Component, Layout, StoredTensor, TensorProblem, TensorSource, WeightReader, Weights,
    },
};

/// Shapes by name.
pub type TensorShapes = BTreeMap<String, Vec<usize>>;

/// Has no tensor, so that a reader puts stand-ins that take no memory, and notes what it is asked for.
#[derive(Default)]
struct Recorder(RefCell<TensorShapes>);

impl TensorSource for Recorder {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        self.0.borrow_mut().insert(key.to_owned(), shape.to_vec());
        Err(TensorProblem::Missing {
            key: key.to_owned(),
            file: "nowhere".into(),
        })
    }
}

impl ModelConfigs {
    /// The tensors of one network, by their keys in the diffusers layout; none for a network that the family lacks.
    pub fn tensors(&self, component: Component) -> TensorShapes {
        match component {
            Component::UNet => recorded(|weights| drop(UNet::new(&self.unet, weights))),
            Component::Vae => recorded(|weights| drop(Vae::new(&self.vae, weights))),
            Component::TextEncoder => self.text_tensors(0),
            Component::TextEncoder2 => self.text_tensors(1),
            Component::Scheduler => TensorShapes::new(),
        }
    }

    fn text_tensors(&self, index: usize) -> TensorShapes {
        let Some(config) = self.text.get(index) else {
            return TensorShapes::new();
        };
        recorded(|weights| drop(text_encoder(self.family, index, config, weights)))
    }

    /// Numbers in one network.
    pub fn parameters(&self, component: Component) -> usize {
        let tensors = self.tensors(component);
        tensors
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum()
    }

    /// The tensors of all networks as a single file in the original layout keeps them: packed, transposed, and the
    /// VAE's attention as 1×1 convolutions. What such files hold beside that and no network needs is left out.
    pub fn single_file_tensors(&self) -> TensorShapes {
        let exists = |name: &str| self.names_a_landmark(name);
        let mut stored = TensorShapes::new();
        for component in Component::WITH_TENSORS {
            let Some(layout) = Layout::of_single_file(self.family, component) else {
                continue;
            };
            for (key, mut shape) in self.tensors(component) {
                if component == Component::Vae && shape.len() == 2 {
                    shape.extend([1, 1]);
                }
                // Every layout has a name for every key.
                if let Some(name) = layout.names(&key, &exists).into_iter().next() {
                    let shape = name.stored_shape(&shape);
                    stored.insert(name.key, shape);
                }
            }
        }
        stored
    }

    /// Whether a single file would have `name`, of those names that the translation of layouts looks for to know how
    /// its blocks are numbered.
    fn names_a_landmark(&self, name: &str) -> bool {
        let stage = self.unet.layers_per_block + 1;
        let attends = self.unet.up_block_types.iter();
        let attends: Vec<bool> = attends.map(|kind| kind.contains("CrossAttn")).collect();
        let downsampler = format!("model.diffusion_model.input_blocks.{stage}.0.op.weight");
        let upsampler = |level| {
            let block = (level + 1) * stage - 1;
            format!("model.diffusion_model.output_blocks.{block}.1.conv.weight")
        };
        let norm = |level| format!("first_stage_model.encoder.down.{level}.block.0.norm1.weight");
        name == downsampler
            || (0..attends.len()).any(|level| !attends[level] && name == upsampler(level))
            || (0..self.vae.block_out_channels.len()).any(|level| name == norm(level))
    }
}

/// What `build` asks for.
fn recorded(build: impl FnOnce(&Weights<'_>)) -> TensorShapes {
    let recorder = Recorder::default();
    // A stand-in is one number whatever its shape; the processor's memory is always there.
    let device = Device::flex();
    let reader = WeightReader::new(&recorder, &device, Precision::F32);
    build(&reader.root());
    drop(reader);
    recorder.0.into_inner()
}
