use burn::{backend::DispatchTensor, tensor::Tensor};

use super::transformer::Transformer;
use crate::{
    adapter::{Site, Target},
    recompute::{ActivationCheckpointing, Piece, recomputed},
    resample::{Downsample, Upsample},
    resnet::Resnet,
};

/// What a block does with the stack of skip connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Its output is kept for the way up.
    Leave,
    /// It joins the newest one to its input.
    Take,
    /// It looks at the newest one's size.
    Look,
    /// It does not touch the stack.
    Ignore,
}

/// What every block is told besides the hidden states.
#[derive(Clone, Debug)]
pub struct Conditioning {
    /// Activated timestep embedding, `[batch, time channels]`.
    pub time: Tensor<2>,
    /// Text states, `[batch, tokens, cross_attention_dim]`.
    pub text: Tensor<3>,
    /// What the block may keep for the backward pass.
    pub checkpointing: ActivationCheckpointing,
}

/// One step of the UNet: a pure function of hidden states, skip connection and conditioning.
///
/// The network is a plain sequence of these, so whatever wraps one ([`Self::forward_again`], timing, offloading) wraps any of
/// them.
#[derive(Clone, Debug)]
pub struct Block(pub(super) Kind);

#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a network has a few dozen blocks; their tensors live elsewhere"
)]
pub(super) enum Kind {
    Down(Resnet, Option<Transformer>),
    Downsample(Downsample),
    Middle(Resnet, Option<Transformer>, Resnet),
    Up(Resnet, Option<Transformer>),
    Upsample(Upsample),
}

impl Block {
    /// How the block uses the skip connections.
    pub fn skip(&self) -> Skip {
        match self.0 {
            Kind::Down(..) | Kind::Downsample(_) => Skip::Leave,
            Kind::Middle(..) => Skip::Ignore,
            Kind::Up(..) => Skip::Take,
            Kind::Upsample(_) => Skip::Look,
        }
    }

    /// `hidden [batch, in, height, width]` to `[batch, out, height', width']`.
    ///
    /// `skip` is the newest skip connection for blocks that [take](Skip::Take) or [look at](Skip::Look) it.
    pub fn forward(
        &self,
        hidden: Tensor<4>,
        skip: Option<Tensor<4>>,
        conditioning: &Conditioning,
    ) -> Tensor<4> {
        let within = conditioning.checkpointing == ActivationCheckpointing::Aggressive;
        let shape = |resnet: &Resnet, hidden| {
            if within {
                resnet.forward_again(hidden, &conditioning.time)
            } else {
                resnet.forward(hidden, Some(&conditioning.time))
            }
        };
        let attend = |transformer: &Option<Transformer>, hidden| match transformer {
            Some(transformer) => transformer.forward(hidden, conditioning.text.clone(), within),
            None => hidden,
        };
        match &self.0 {
            Kind::Down(resnet, transformer) => attend(transformer, shape(resnet, hidden)),
            Kind::Downsample(downsample) => downsample.forward(hidden),
            Kind::Middle(first, transformer, second) => {
                let hidden = attend(transformer, shape(first, hidden));
                shape(second, hidden)
            }
            Kind::Up(resnet, transformer) => {
                let joined = match skip {
                    Some(skip) => Tensor::cat(vec![hidden, skip], 1),
                    None => hidden,
                };
                attend(transformer, shape(resnet, joined))
            }
            Kind::Upsample(upsample) => {
                let [_, _, height, width] = hidden.dims();
                let size = skip.map_or([2 * height, 2 * width], |skip| {
                    let [_, _, height, width] = skip.dims();
                    [height, width]
                });
                upsample.forward(hidden, size)
            }
        }
    }

    /// As [`Self::forward`], keeping nothing for the backward pass but what it is given: the block is computed again then.
    pub fn forward_again(
        &self,
        hidden: Tensor<4>,
        skip: Option<Tensor<4>>,
        conditioning: &Conditioning,
    ) -> Tensor<4> {
        let checkpointing = conditioning.checkpointing;
        let mut inputs = vec![
            hidden.into_dispatch(),
            conditioning.time.clone().into_dispatch(),
            conditioning.text.clone().into_dispatch(),
        ];
        inputs.extend(skip.map(Tensor::into_dispatch));
        let forward = move |block: &Self, inputs: Vec<DispatchTensor>| {
            let mut inputs = inputs.into_iter();
            let mut next = || {
                inputs
                    .next()
                    .unwrap_or_else(|| unreachable!("three inputs"))
            };
            let hidden = Tensor::from_dispatch(next());
            let conditioning = Conditioning {
                time: Tensor::from_dispatch(next()),
                text: Tensor::from_dispatch(next()),
                checkpointing,
            };
            let skip = inputs.next().map(Tensor::from_dispatch);
            block.forward(hidden, skip, &conditioning).into_dispatch()
        };
        Tensor::from_dispatch(recomputed(self, inputs, forward))
    }

    pub(super) fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>)) {
        let resnet_sites = |resnet: &mut Resnet, visit: &mut dyn FnMut(Target, Site<'_>)| {
            resnet.sites(&mut |site| visit(Target::Convolution, site));
        };
        match &mut self.0 {
            Kind::Down(resnet, transformer) | Kind::Up(resnet, transformer) => {
                resnet_sites(resnet, visit);
                if let Some(transformer) = transformer {
                    transformer.sites(&mut |site| visit(Target::Attention, site));
                }
            }
            Kind::Middle(first, transformer, second) => {
                resnet_sites(first, visit);
                if let Some(transformer) = transformer {
                    transformer.sites(&mut |site| visit(Target::Attention, site));
                }
                resnet_sites(second, visit);
            }
            Kind::Downsample(downsample) => visit(Target::Convolution, downsample.site()),
            Kind::Upsample(upsample) => visit(Target::Convolution, upsample.site()),
        }
    }
}

impl Piece for Block {
    fn each_site(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        self.sites(&mut |_, site| visit(site));
    }
}
