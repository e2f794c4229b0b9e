use burn::{backend::DispatchTensor, tensor::Tensor};

use crate::{
    activation::Activation,
    adapter::Site,
    layer::{Conv2d, GroupNorm, Linear},
    recompute::{Piece, recomputed},
    weights::Weights,
};

/// A residual block, in the UNet shifted by the timestep embedding (diffusers' `ResnetBlock2D`).
#[derive(Clone, Debug)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    activation: Activation,
}

/// What all resnets of a network have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResnetConfig {
    /// Groups of the norms.
    pub groups: usize,
    /// Epsilon of the norms.
    pub epsilon: f64,
    /// Width of the timestep embedding; `None` in the VAE.
    pub time: Option<usize>,
    /// Activation after each norm.
    pub activation: Activation,
}

impl Resnet {
    pub(crate) fn new(
        config: ResnetConfig,
        weights: &Weights<'_>,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let norm = |name: &str, channels| {
            GroupNorm::new(&weights.at(name), config.groups, channels, config.epsilon)
        };
        let shortcut = || Conv2d::new(&weights.at("conv_shortcut"), inputs, outputs, 1);
        Self {
            norm1: norm("norm1", inputs),
            conv1: Conv2d::new(&weights.at("conv1"), inputs, outputs, 3),
            time_emb_proj: config
                .time
                .map(|time| Linear::new(&weights.at("time_emb_proj"), time, outputs)),
            norm2: norm("norm2", outputs),
            conv2: Conv2d::new(&weights.at("conv2"), outputs, outputs, 3),
            conv_shortcut: (inputs != outputs).then(shortcut),
            activation: config.activation,
        }
    }

    /// `[batch, in, height, width]` to `[batch, out, height, width]`.
    ///
    /// `time` is the activated timestep embedding `[batch, time channels]`, given if and only if the config has one.
    pub(crate) fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        let hidden = self.activation.forward(self.norm1.forward(x.clone()));
        let mut hidden = self.conv1.forward(hidden);
        if let (Some(projection), Some(time)) = (&self.time_emb_proj, time) {
            let shift: Tensor<2> = projection.forward(time.clone());
            let [batch, outputs] = shift.dims();
            hidden = hidden + shift.reshape([batch, outputs, 1, 1]);
        }
        let hidden = self.activation.forward(self.norm2.forward(hidden));
        let hidden = self.conv2.forward(hidden);
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x) + hidden,
            None => x + hidden,
        }
    }

    /// As [`Self::forward`] with a time, keeping nothing for the backward pass but what it is given.
    pub(crate) fn forward_again(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let inputs = vec![x.into_dispatch(), time.clone().into_dispatch()];
        let forward = |resnet: &Self, inputs: Vec<DispatchTensor>| {
            let [x, time] = inputs
                .try_into()
                .unwrap_or_else(|_| unreachable!("two inputs"));
            let time = Tensor::from_dispatch(time);
            resnet
                .forward(Tensor::from_dispatch(x), Some(&time))
                .into_dispatch()
        };
        Tensor::from_dispatch(recomputed(self, inputs, forward))
    }

    pub(crate) fn sites(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        visit(self.conv1.site());
        if let Some(projection) = &mut self.time_emb_proj {
            visit(projection.site());
        }
        visit(self.conv2.site());
        if let Some(shortcut) = &mut self.conv_shortcut {
            visit(shortcut.site());
        }
    }
}

impl Piece for Resnet {
    fn each_site(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        self.sites(visit);
    }
}
