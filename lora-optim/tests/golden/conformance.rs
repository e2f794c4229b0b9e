//! What every optimiser that a config can name must keep, one test per promise, each over the whole table.

use burn::{
    optim::AdanConfig,
    tensor::{Device, TensorData},
};
use lora_optim::{
    BurnOptimizer, Curve, Decay, Matrices, Optimizer, OptimizerConfig, OptimizerError, Rates,
    Schedule, State, StateError,
};

use super::{bits, matrix, quadratic::Quadratic, values};

const WEIGHT_DECAY: f32 = 0.1;
const STEPS: u64 = 200;
/// Behind the name of a rule that takes the matrices as vectors.
const JOINED: &str = ", joined";

/// One optimiser of the table.
pub(super) struct Row {
    pub(super) name: String,
    build: Box<dyn Fn() -> Box<dyn Optimizer>>,
    traits: Traits,
}

/// What differs between optimisers, all of them right.
#[derive(Clone, Copy)]
struct Traits {
    /// A rate at which it solves the problems below, whose solutions are about 1 away.
    rate: f64,
    /// Settings that the tests need, as lines of a config.
    settings: &'static str,
    /// The largest curvature, beside one of 1, that it copes with at that rate.
    steepest: f32,
    /// What the first step takes of a matrix whose gradient is zero, as a multiple of the weight decay.
    decay: f64,
}

impl Traits {
    /// Of an optimiser that looks at each element alone and decays weights as AdamW does.
    fn at(rate: f64) -> Self {
        Self {
            rate,
            settings: "",
            steepest: 1e4,
            decay: rate,
        }
    }
}

/// Every kind of [`OptimizerConfig`], and one of burn's own to prove the adapter.
pub(super) fn table(weight_decay: f32) -> Vec<Row> {
    let adan = AdanConfig::new()
        .with_weight_decay(weight_decay)
        .with_no_prox(true)
        .build();
    let mut rows = vec![Row {
        name: "burn's Adan".to_owned(),
        build: Box::new(move || Box::new(BurnOptimizer::new(adan.clone()))),
        traits: Traits::at(0.1),
    }];
    for name in OptimizerConfig::KINDS {
        let parse = |settings: &str| -> OptimizerConfig {
            toml::from_str(&format!(
                "kind = '{name}'\nweight_decay = {weight_decay:?}\n{settings}"
            ))
            .unwrap()
        };
        let traits = traits(&parse(""));
        let config = parse(traits.settings);
        if config.joins() {
            let config = config.clone();
            rows.push(Row {
                name: format!("{name}{JOINED}"),
                build: Box::new(move || config.build_joined().unwrap()),
                traits,
            });
        }
        rows.push(Row {
            name: name.to_owned(),
            build: Box::new(move || config.build().unwrap()),
            traits,
        });
    }
    rows
}

/// A new kind does not compile until it has its row here.
fn traits(config: &OptimizerConfig) -> Traits {
    match config {
        OptimizerConfig::Adamw(_)
        | OptimizerConfig::Adafactor(_)
        | OptimizerConfig::AdamwScheduleFree(_) => Traits::at(0.1),
        // The matrices here are small, and are to be kept in eight bits all the same.
        OptimizerConfig::Adamw8bit(_) => Traits {
            settings: "min_8bit_size = 0",
            ..Traits::at(0.1)
        },
        OptimizerConfig::Lion(_) => Traits::at(0.03),
        OptimizerConfig::Lion8bit(_) => Traits {
            settings: "min_8bit_size = 0",
            ..Traits::at(0.03)
        },
        // One rate for all elements: a gradient a hundred times as steep needs a rate a hundred times as small. Weight
        // decay is part of the gradient, which Nesterov's momentum counts 1.9 times at first.
        OptimizerConfig::Sgd(_) => Traits {
            steepest: 10.0,
            decay: 1.9 * 0.05,
            ..Traits::at(0.05)
        },
        // While no gradient has been anything but zero, the distance is the first guess, 1e-6, and decay goes by it.
        OptimizerConfig::DadaptAdam(_) => Traits {
            settings: "decouple = true",
            decay: 1e-6,
            ..Traits::at(1.0)
        },
        OptimizerConfig::DadaptLion(_) | OptimizerConfig::Prodigy(_) => Traits {
            decay: 1e-6,
            ..Traits::at(1.0)
        },
        OptimizerConfig::DadaptSgd(_) => Traits {
            steepest: 10.0,
            decay: 0.0,
            ..Traits::at(1.0)
        },
    }
}

impl Row {
    pub(super) fn build(&self) -> Box<dyn Optimizer> {
        (self.build)()
    }

    /// The name of the rule alone.
    fn rule(&self) -> &str {
        self.name.trim_end_matches(JOINED)
    }

    pub(super) fn rates(&self) -> Rates {
        Rates::new(self.traits.rate)
    }
}

#[test]
fn falls_on_a_quadratic_however_it_is_conditioned() {
    for (worst, row) in [1.0, 1e4]
        .into_iter()
        .flat_map(|worst| table(0.0).into_iter().map(move |row| (worst, row)))
    {
        let worst = row.traits.steepest.min(worst);
        let problem = Quadratic::new(worst);
        let (mut params, mut optimizer) = (problem.start(), row.build());
        let before = problem.loss(&params);
        let schedule = Curve {
            decay: Decay::Linear,
            warmup: 0,
            total: STEPS,
            min_factor: 0.0,
        };
        for step in 0..STEPS {
            problem.walk(
                optimizer.as_mut(),
                &mut params,
                &row.rates().scaled(schedule.at(step)),
                1,
            );
        }
        let after = problem.loss(&params);
        assert!(
            after < 1e-3 * before,
            "{}, curvature up to {worst}: {before} became {after}",
            row.name
        );
    }
}

#[test]
fn resumes_bit_for_bit_from_saved_bytes() {
    let problem = Quadratic::new(100.0);
    for row in table(WEIGHT_DECAY) {
        let (mut params, mut optimizer) = (problem.start(), row.build());
        problem.walk(optimizer.as_mut(), &mut params, &row.rates(), 7);

        let bytes = optimizer.state().to_bytes().unwrap();
        let (mut resumed_params, mut resumed) = (params.clone(), row.build());
        resumed
            .restore(State::from_bytes(&bytes).unwrap(), &Device::flex())
            .unwrap();

        problem.walk(optimizer.as_mut(), &mut params, &row.rates(), 5);
        problem.walk(resumed.as_mut(), &mut resumed_params, &row.rates(), 5);
        assert_eq!(bits(&resumed_params), bits(&params), "{}", row.name);
        assert_eq!(resumed.state(), optimizer.state(), "{}", row.name);

        let mut forgetful_params = problem.start();
        problem.walk(row.build().as_mut(), &mut forgetful_params, &row.rates(), 7);
        problem.walk(row.build().as_mut(), &mut forgetful_params, &row.rates(), 5);
        assert_ne!(
            bits(&forgetful_params),
            bits(&params),
            "{}: here the state would not matter",
            row.name
        );
    }
}

/// A map is walked in key order; other keys mean another order, and must not mean other steps.
#[test]
fn the_order_of_the_keys_does_not_matter() {
    let problem = Quadratic::new(100.0);
    let renamed = |matrices: &Matrices| -> Matrices {
        [
            ("z".into(), matrices["down"].clone()),
            ("a".into(), matrices["up"].clone()),
        ]
        .into()
    };
    for row in table(WEIGHT_DECAY) {
        let (mut params, mut optimizer) = (problem.start(), row.build());
        let (mut other_params, mut other) = (renamed(&params), row.build());
        for _ in 0..5 {
            let grads = problem.grads(&params);
            other
                .step(&mut other_params, renamed(&grads), &row.rates())
                .unwrap();
            optimizer.step(&mut params, grads, &row.rates()).unwrap();
        }
        if row.name.ends_with(JOINED) {
            // A vector is summed in the order of its matrices.
            for (expected, found) in params_and(&renamed(&params), &other_params) {
                let off = (expected - found).abs();
                assert!(off <= 1e-6 * expected.abs(), "{}: {off:e}", row.name);
            }
            continue;
        }
        assert_eq!(bits(&other_params), bits(&renamed(&params)), "{}", row.name);
    }
}

#[test]
fn a_zero_gradient_leaves_only_weight_decay() {
    let problem = Quadratic::new(1.0);
    for row in table(WEIGHT_DECAY) {
        let mut params = problem.target.clone();
        let zero = problem.start();
        row.build().step(&mut params, zero, &row.rates()).unwrap();
        for (before, after) in params_and(&problem.target, &params) {
            let expected = f64::from(before) * (1.0 - row.traits.decay * f64::from(WEIGHT_DECAY));
            assert!(
                (f64::from(after) - expected).abs() <= 1e-7,
                "{}: {before} became {after}",
                row.name
            );
        }
    }
}

fn params_and(before: &Matrices, after: &Matrices) -> Vec<(f32, f32)> {
    before
        .iter()
        .flat_map(|(key, matrix)| values(matrix).into_iter().zip(values(&after[key])))
        .collect()
}

#[test]
fn a_key_without_a_gradient_is_untouched() {
    let problem = Quadratic::new(1.0);
    for row in table(WEIGHT_DECAY) {
        let (mut params, mut optimizer) = (problem.target.clone(), row.build());
        for _ in 0..3 {
            let grads = [("up".into(), params["up"].ones_like())].into();
            optimizer.step(&mut params, grads, &row.rates()).unwrap();
        }
        assert_eq!(
            values(&params["down"]),
            values(&problem.target["down"]),
            "{}",
            row.name
        );
        assert_ne!(
            values(&params["up"]),
            values(&problem.target["up"]),
            "{}",
            row.name
        );
        assert!(
            optimizer
                .state()
                .tensors
                .keys()
                .all(|name| !name.starts_with("down/")),
            "{}",
            row.name
        );
    }
}

#[test]
fn each_key_moves_at_its_own_rate() {
    let problem = Quadratic::new(1.0);
    for row in table(0.0) {
        let mut params = problem.start();
        let rates = row.rates().with_prefix("up", 0.0);
        problem.walk(row.build().as_mut(), &mut params, &rates, 1);
        assert_eq!(values(&params["up"]), [0.0; 8], "{}", row.name);
        assert_ne!(values(&params["down"]), [0.0; 12], "{}", row.name);
    }
}

#[test]
fn gradients_that_do_not_fit_move_nothing() {
    let problem = Quadratic::new(1.0);
    for row in table(WEIGHT_DECAY) {
        let (mut params, mut optimizer) = (problem.target.clone(), row.build());
        let mut stray = problem.curvature.clone();
        stray.insert("elsewhere".into(), matrix(vec![1.0], [1, 1]));
        let unknown = optimizer.step(&mut params, stray, &row.rates());
        assert_eq!(
            unknown,
            Err(OptimizerError::UnknownKeys {
                keys: vec!["elsewhere".into()]
            }),
            "{}",
            row.name
        );

        let mut turned = problem.curvature.clone();
        turned.insert("up".into(), turned["up"].clone().transpose());
        let misshapen = optimizer.step(&mut params, turned, &row.rates());
        let expected = OptimizerError::GradientShape {
            key: "up".into(),
            parameter: [4, 2],
            gradient: [2, 4],
        };
        assert_eq!(misshapen, Err(expected), "{}", row.name);
        assert_eq!(bits(&params), bits(&problem.target), "{}", row.name);
    }
}

#[test]
fn a_state_of_another_run_is_refused() {
    let problem = Quadratic::new(1.0);
    for row in table(WEIGHT_DECAY) {
        let (mut params, mut optimizer) = (problem.start(), row.build());
        problem.walk(optimizer.as_mut(), &mut params, &row.rates(), 2);
        let saved = optimizer.state();

        for name in saved.tensors.keys() {
            let mut torn = saved.clone();
            torn.tensors.remove(name);
            let refused = row.build().restore(torn, &Device::flex());
            assert!(
                matches!(refused, Err(StateError::Foreign { .. })),
                "{} without {name}",
                row.name
            );
            for damage in [
                TensorData::zeros::<f32, _>([7, 9]),
                TensorData::zeros::<f32, _>([3]),
            ] {
                let mut damaged = saved.clone();
                damaged.tensors.insert(name.clone(), damage);
                let refused = row.build().restore(damaged, &Device::flex());
                assert!(
                    matches!(refused, Err(StateError::Foreign { .. })),
                    "{} with another {name}",
                    row.name
                );
            }
        }
        for other in table(WEIGHT_DECAY)
            .into_iter()
            // Joined or not, a rule's state is the same.
            .filter(|other| other.rule() != row.rule())
        {
            let refused = other.build().restore(saved.clone(), &Device::flex());
            assert!(
                matches!(refused, Err(StateError::Foreign { .. })),
                "{} as {}",
                row.name,
                other.name
            );
        }

        let mut fuller = saved.clone();
        fuller.scalars.insert("down/warmth".into(), 1.0.into());
        let refused = optimizer.restore(fuller, &Device::flex());
        assert!(
            matches!(refused, Err(StateError::Foreign { .. })),
            "{} with more than it saved",
            row.name
        );
        assert_eq!(
            optimizer.state(),
            saved,
            "{}: a refused state changes nothing",
            row.name
        );

        // The same keys at another rank, which is what resuming under a changed config looks like.
        let mut wider: Matrices = params
            .keys()
            .map(|key| (key.clone(), matrix(vec![0.0; 25], [5, 5])))
            .collect();
        let grads = wider.clone();
        let refused = optimizer.step(&mut wider, grads, &row.rates());
        assert!(
            matches!(refused, Err(OptimizerError::StateShape { .. })),
            "{}",
            row.name
        );
        assert_eq!(optimizer.state(), saved, "{}", row.name);
    }
}

/// What is computed of each element alone is the same to the last bit; sums over a group are made in another order. A run can be
/// stopped with matrices joined and go on without, or the other way round.
#[test]
fn joined_matrices_move_like_single_ones() {
    let problem = Quadratic::new(10.0);
    for kind in OptimizerConfig::KINDS {
        let config: OptimizerConfig = toml::from_str(&format!("kind = '{kind}'")).unwrap();
        if !config.joins() {
            continue;
        }
        let (single, joined) = (
            || config.build().unwrap(),
            || config.build_joined().unwrap(),
        );
        let rates = Rates::new(traits(&config).rate).with_prefix("up", traits(&config).rate / 2.0);
        for rates in [rates, Rates::new(traits(&config).rate)] {
            let walk = |first: &dyn Fn() -> Box<dyn Optimizer>,
                        then: &dyn Fn() -> Box<dyn Optimizer>| {
                let (mut params, mut optimizer) = (problem.start(), first());
                problem.walk(optimizer.as_mut(), &mut params, &rates, 6);
                // A matrix rests for a step.
                let mut grads = problem.grads(&params);
                grads.remove("up");
                optimizer.step(&mut params, grads, &rates).unwrap();
                problem.walk(optimizer.as_mut(), &mut params, &rates, 2);
                let state = optimizer.state();
                let mut optimizer = then();
                optimizer.restore(state, &Device::flex()).unwrap();
                let averaged = |optimizer: &dyn Optimizer, params: &Matrices| {
                    optimizer.averaged(params).unwrap_or_else(|| params.clone())
                };
                // Shown before the next step as well as after it.
                let at_once = averaged(optimizer.as_ref(), &params);
                problem.walk(optimizer.as_mut(), &mut params, &rates, 3);
                let shown = [at_once, averaged(optimizer.as_ref(), &params)];
                let state = optimizer.state();
                let names: Vec<String> = state
                    .tensors
                    .into_keys()
                    .chain(state.scalars.into_keys())
                    .collect();
                (shown, names)
            };
            let (expected, names) = walk(&single, &single);
            for (first, then) in [
                (
                    &joined as &dyn Fn() -> Box<dyn Optimizer>,
                    &joined as &dyn Fn() -> Box<dyn Optimizer>,
                ),
                (&single, &joined),
                (&joined, &single),
            ] {
                let (found, found_names) = walk(first, then);
                assert_eq!(found_names, names, "{kind}");
                let shown = expected.iter().zip(&found);
                for (expected, found) in shown.flat_map(|(one, other)| params_and(one, other)) {
                    let limit = if config.finds_its_rate() { 1e-5 } else { 0.0 };
                    let off = (expected - found).abs();
                    assert!(off <= limit, "{kind}: {found} instead of {expected}");
                }
            }
        }
    }
}
