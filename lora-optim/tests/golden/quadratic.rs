//! A problem whose solution is known.

use lora_optim::{Matrices, Optimizer, Rates};

use super::matrix;

/// The loss `sum(curvature * (x - target)^2) / 2` over two matrices, with curvatures from 1 to `worst`.
pub(super) struct Quadratic {
    pub(super) target: Matrices,
    pub(super) curvature: Matrices,
}

impl Quadratic {
    pub(super) fn new(worst: f32) -> Self {
        let fill = |of: &dyn Fn(usize) -> f32| -> Matrices {
            let first = (0..12).map(of).collect();
            let second = (12..20).map(of).collect();
            [
                ("down".into(), matrix(first, [3, 4])),
                ("up".into(), matrix(second, [4, 2])),
            ]
            .into()
        };
        let target = fill(&|i| (i as f32 * 0.7).sin() + 0.3);
        let curvature = fill(&|i| worst.powf(i as f32 / 19.0));
        Self { target, curvature }
    }

    pub(super) fn start(&self) -> Matrices {
        self.target
            .iter()
            .map(|(key, target)| (key.clone(), target.zeros_like()))
            .collect()
    }

    pub(super) fn grads(&self, at: &Matrices) -> Matrices {
        let grad = |key: &String| {
            (at[key].clone() - self.target[key].clone()) * self.curvature[key].clone()
        };
        at.keys().map(|key| (key.clone(), grad(key))).collect()
    }

    pub(super) fn loss(&self, at: &Matrices) -> f32 {
        let of = |(key, grad)| {
            (at[&key].clone() - self.target[&key].clone())
                .mul(grad)
                .sum()
                .into_scalar::<f32>()
        };
        self.grads(at).into_iter().map(of).sum::<f32>() / 2.0
    }

    pub(super) fn walk(
        &self,
        optimizer: &mut dyn Optimizer,
        params: &mut Matrices,
        rates: &Rates,
        steps: u64,
    ) {
        for _ in 0..steps {
            optimizer.step(params, self.grads(params), rates).unwrap();
        }
    }
}
