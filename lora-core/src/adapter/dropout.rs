use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How much of the adapters is left out of each step of training, each a share from 0 to below 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropoutRates {
    /// Of the values between the two factors of a pair, kohya's `network_dropout`.
    pub hidden: f64,
    /// Of the ranks of a pair, for each picture of its own, kohya's `rank_dropout`; of the outputs of LoHa, LoKr and DoRA,
    /// LyCORIS' `rank_dropout`.
    pub rank: f64,
    /// Of the modules, kohya's `module_dropout`.
    pub module: f64,
}

impl DropoutRates {
    /// Whether anything is left out at all.
    pub fn is_off(&self) -> bool {
        [self.hidden, self.rank, self.module]
            .iter()
            .all(|rate| *rate <= 0.0)
    }
}

/// What one forward pass leaves out of one module: a pure function of seed, pass and module, so that a pass that is
/// computed again, or a run that goes on, leaves out the same.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    rates: DropoutRates,
    key: [u8; 32],
}

/// The draws of one pass, each from a stream of its own.
#[derive(Clone, Copy)]
enum Draw {
    Module,
    Rank,
    Hidden,
}

impl Dropout {
    /// The draws of the `pass`-th forward pass of a run for the module called `module`.
    pub fn new(rates: DropoutRates, seed: u64, pass: u64, module: &str) -> Self {
        let key = Sha256::new()
            .chain_update(seed.to_le_bytes())
            .chain_update(pass.to_le_bytes())
            .chain_update(module);
        Self {
            rates,
            key: key.finalize().into(),
        }
    }

    /// Whether the whole module is left out.
    pub fn skips_module(&self) -> bool {
        self.rates.module > 0.0 && self.keeps(Draw::Module, self.rates.module, 1)[0] < 0.5
    }

    /// The values between the factors of a pair, less what is dropped, and the rest scaled up, as kohya's
    /// `LoRAModule.forward` does; the first axis is the batch.
    pub(super) fn of_hidden<const D: usize>(
        &self,
        hidden: Tensor<D>,
        rank_axis: usize,
    ) -> Tensor<D> {
        let dims = hidden.dims();
        let mut dropped = hidden;
        for (draw, rate, shape) in [
            (Draw::Hidden, self.rates.hidden, dims),
            (Draw::Rank, self.rates.rank, of_ranks(dims, rank_axis)),
        ] {
            if rate > 0.0 {
                let mut keeps = self.keeps(draw, rate, shape.iter().product());
                for keep in &mut keeps {
                    *keep /= (1.0 - rate) as f32;
                }
                let mask: Tensor<D> =
                    Tensor::from_data(TensorData::new(keeps, shape), &dropped.device());
                dropped = dropped.clone() * mask.cast(dropped.dtype());
            }
        }
        dropped
    }

    /// 1 for each output whose change is kept, else 0, as LyCORIS' modules do; `None` where none is dropped.
    pub(super) fn of_outputs(&self, outputs: usize, device: &Device) -> Option<Tensor<1>> {
        (self.rates.rank > 0.0).then(|| {
            let keeps = self.keeps(Draw::Rank, self.rates.rank, outputs);
            Tensor::from_data(TensorData::new(keeps, [outputs]), device)
        })
    }

    /// 0 with the probability `rate`, else 1.
    fn keeps(&self, draw: Draw, rate: f64, count: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::from_seed(self.key);
        random.set_stream(draw as u64);
        let limit = (rate * f64::from(u32::MAX)) as u32;
        (0..count)
            .map(|_| f32::from(u8::from(random.next_u32() >= limit)))
            .collect()
    }
}

/// One value for each item and rank.
fn of_ranks<const D: usize>(dims: [usize; D], rank_axis: usize) -> [usize; D] {
    let mut shape = [1; D];
    (shape[0], shape[rank_axis]) = (dims[0], dims[rank_axis]);
    shape
}
