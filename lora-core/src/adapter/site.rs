use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Adapter, Naming};
use crate::frozen_weight::FrozenWeight;

/// Which part of the model a site belongs to; kohya trains the first two by default and the third as LoCon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Linear layers of the text encoder's attention and MLP.
    TextEncoder,
    /// Everything inside the UNet's transformers: projections, attention, feed-forward.
    Attention,
    /// Convolutions and time projections of the UNet's resnets, down- and upsamplers.
    Convolution,
    /// The projection of the pooled text state: never trained, but LoRAs from elsewhere change it.
    #[serde(skip)]
    TextProjection,
    /// The UNet's first and last convolution and its embeddings of timestep and size: never trained, but LyCORIS changes them
    /// unless it is told otherwise.
    #[serde(skip)]
    OutsideTheBlocks,
}

/// The frozen weight of a site.
#[derive(Debug)]
pub enum SiteWeight<'a> {
    /// `[out, in]`.
    Linear(&'a mut FrozenWeight<2>),
    /// `[out, in, kernel_height, kernel_width]`.
    Conv2d(&'a mut FrozenWeight<4>),
}

/// Shape of a site's frozen weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteShape {
    /// Output channels.
    pub outputs: usize,
    /// Input channels.
    pub inputs: usize,
    /// `[height, width]` of a convolution's kernel; `None` for a linear layer.
    pub kernel: Option<[usize; 2]>,
}

impl SiteShape {
    /// `[out, in]`, or `[out, in, kernel height, kernel width]`.
    pub fn weight(&self) -> Vec<usize> {
        let kernel = self.kernel.iter().flatten();
        [self.outputs, self.inputs]
            .iter()
            .chain(kernel)
            .copied()
            .collect()
    }

    /// Columns of the down matrix: input channels times kernel area.
    pub fn receptive(&self) -> usize {
        self.inputs * self.kernel.map_or(1, |[height, width]| height * width)
    }

    /// Shape of the down factor in files.
    pub fn down_in_file(&self, rank: usize) -> Vec<usize> {
        match self.kernel {
            Some([height, width]) => vec![rank, self.inputs, height, width],
            None => vec![rank, self.inputs],
        }
    }

    /// Shape of the up factor in files.
    pub fn up_in_file(&self, rank: usize) -> Vec<usize> {
        match self.kernel {
            Some(_) => vec![self.outputs, rank, 1, 1],
            None => vec![self.outputs, rank],
        }
    }
}

/// A frozen layer's adapters, whose corrections add up: one while training, any number while drawing.
pub type Slot = Vec<Adapter>;

/// A frozen layer's place for adapters.
#[derive(Debug)]
pub struct Site<'a> {
    /// Module path in the diffusers layout, such as `down_blocks.0.attentions.0.proj_in`.
    pub path: &'a str,
    /// The frozen weight.
    pub weight: SiteWeight<'a>,
    /// Where the adapters sit.
    pub slot: &'a mut Slot,
}

impl SiteWeight<'_> {
    /// The weight as a matrix, `[out, in · kernel_height · kernel_width]`.
    pub fn matrix(&self) -> Tensor<2> {
        match self {
            Self::Linear(weight) => weight.tensor(),
            Self::Conv2d(weight) => weight.tensor().flatten(1, 3),
        }
    }
}

impl Site<'_> {
    /// Shape of the frozen weight.
    pub fn shape(&self) -> SiteShape {
        match &self.weight {
            SiteWeight::Linear(weight) => {
                let [outputs, inputs] = weight.dims();
                SiteShape {
                    outputs,
                    inputs,
                    kernel: None,
                }
            }
            SiteWeight::Conv2d(weight) => {
                let [outputs, inputs, height, width] = weight.dims();
                SiteShape {
                    outputs,
                    inputs,
                    kernel: Some([height, width]),
                }
            }
        }
    }
}

/// A network whose layers can take adapters.
pub trait Sites {
    /// What kohya's files call the adapters.
    fn naming(&self) -> Naming;

    /// Offers every adaptable layer, in the order of the forward pass.
    fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>));
}
