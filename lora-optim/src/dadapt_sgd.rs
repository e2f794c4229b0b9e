//! D-Adaptation for gradient descent: the learning rate estimates itself.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, SettingError,
    distance::{grown, number, quotient, total},
    rate_groups::{GroupRule, Grouped, Members, RateGroups},
    setting,
};

/// D-Adapted SGD (Defazio and Mishchenko, arXiv:2301.07733) with the defaults of the package `dadaptation`.
///
/// The learning rate is a factor on the estimated one, and 1 is usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DadaptSgdConfig {
    /// Part of its present place that a matrix keeps, the rest being where gradient descent alone would be.
    pub momentum: f64,
    /// Times the matrix, added to the gradient.
    pub weight_decay: f64,
    /// The first estimate; rarely needs changing.
    pub d0: f64,
    /// How many times the estimate may grow in one step; no limit if unset.
    pub growth_rate: Option<f64>,
}

impl Default for DadaptSgdConfig {
    fn default() -> Self {
        Self {
            momentum: 0.0,
            weight_decay: 0.0,
            d0: 1e-6,
            growth_rate: None,
        }
    }
}

impl DadaptSgdConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::part("momentum", self.momentum),
            setting::not_negative("weight_decay", self.weight_decay),
            setting::positive("d0", self.d0),
            setting::growth("growth_rate", self.growth_rate),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Grouped::new(self.clone()))
        })
    }
}

/// Of one matrix.
#[derive(RecordState)]
pub(crate) struct Place {
    start: Tensor<2>,
    /// Sum of the gradients times the step sizes.
    way: Tensor<2>,
}

/// Of one group.
#[derive(RecordState)]
pub(crate) struct Estimate {
    d: Tensor<2>,
    numerator: Tensor<2>,
    /// Length of the first gradient that was not zero, which all step sizes are divided by.
    unit: Tensor<2>,
}

impl GroupRule for DadaptSgdConfig {
    type Matrix = Place;
    type Group = Estimate;

    fn group_step(
        &self,
        memory: &mut RateGroups<Place, Estimate>,
        name: &str,
        rate: f64,
        members: Members<'_>,
        grads: &mut Matrices,
        device: &Device,
    ) {
        let config = self;
        let old = memory.groups.take(name).unwrap_or_else(|| Estimate {
            d: number(config.d0, device),
            numerator: number(0.0, device),
            unit: number(0.0, device),
        });
        let squares = members
            .iter()
            .map(|(key, _)| grads[*key].clone().square().sum());
        let length = total(squares.collect()).sqrt();
        let unset = old.unit.clone().equal_elem(0.0);
        let unit = old.unit.mask_where(unset, length);
        let nothing = old.d.zeros_like();
        let step = quotient(old.d.clone() * rate, unit.clone(), nothing);

        let (mut products, mut squares) = (Vec::new(), Vec::new());
        for (key, param) in members {
            let Some(mut grad) = grads.remove(key) else {
                continue;
            };
            if config.weight_decay != 0.0 {
                grad = grad + param.clone() * config.weight_decay;
            }
            let old = memory.matrices.take(key).unwrap_or_else(|| Place {
                start: param.clone(),
                way: grad.zeros_like(),
            });
            products.push((grad.clone() * old.way.clone()).sum());
            let way = old.way + grad * step.clone();
            squares.push(way.clone().square().sum());
            let aim = old.start.clone() - way.clone();
            *param = param.clone() * config.momentum + aim * (1.0 - config.momentum);
            let place = Place {
                start: old.start,
                way,
            };
            memory.matrices.put(key, param.dims(), place);
        }

        let numerator = old.numerator + step * total(products);
        let estimate = quotient(
            numerator.clone() * 2.0,
            total(squares).sqrt(),
            old.d.clone(),
        );
        let d = grown(old.d, estimate, config.growth_rate);
        let estimate = Estimate { d, numerator, unit };
        memory.groups.put(name, [1, 1], estimate);
    }
}
