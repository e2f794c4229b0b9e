//! Optimisers that estimate their step size, where parts of the network have rates of their own.

use burn::tensor::Device;
use lora_optim::{Matrices, Optimizer, OptimizerConfig, OptimizerError, Rates};

use super::{bits, quadratic::Quadratic};

const KINDS: [&str; 4] = ["dadapt-adam", "dadapt-lion", "dadapt-sgd", "prodigy"];

fn build(kind: &str) -> Box<dyn Optimizer> {
    let config: OptimizerConfig = toml::from_str(&format!("kind = '{kind}'\nd0 = 0.001")).unwrap();
    assert!(config.finds_its_rate());
    config.build().unwrap()
}

/// The place after some steps with these rates, beginning with those of the matrices `keys`.
fn walked(kind: &str, rates: &Rates, keys: &[&str]) -> Matrices {
    let problem = Quadratic::new(10.0);
    let mut params = problem.start();
    params.retain(|key, _| keys.contains(&key.as_str()));
    problem.walk(build(kind).as_mut(), &mut params, rates, 20);
    params
}

#[test]
fn each_rate_has_an_estimate_of_its_own() {
    for kind in KINDS {
        let rates = Rates::new(1.0).with_prefix("up", 0.5);
        let mut alone = walked(kind, &Rates::new(1.0), &["down"]);
        alone.append(&mut walked(kind, &Rates::new(0.5), &["up"]));
        assert_eq!(
            bits(&walked(kind, &rates, &["down", "up"])),
            bits(&alone),
            "{kind}"
        );
    }
}

#[test]
fn one_rate_is_one_estimate_whatever_it_is_called() {
    for kind in KINDS {
        let together = walked(kind, &Rates::new(1.0), &["down", "up"]);
        let prefixed = Rates::new(1.0).with_prefix("up", 1.0);
        assert_eq!(
            bits(&walked(kind, &prefixed, &["down", "up"])),
            bits(&together),
            "{kind}"
        );
        let apart = walked(kind, &Rates::new(1.0), &["down"]);
        assert_ne!(
            bits(&together)[0],
            bits(&apart)[0],
            "{kind}: the other matrix has no part in the estimate"
        );
    }
}

#[test]
fn a_rate_of_zero_rests_and_forgets_nothing() {
    let problem = Quadratic::new(10.0);
    for kind in KINDS {
        let rates = Rates::new(1.0).with_prefix("up", 0.5);
        let (mut params, mut optimizer) = (problem.start(), build(kind));
        for (factor, steps) in [(0.0, 1), (1.0, 12), (0.0, 3), (1.0, 8)] {
            let before = bits(&params).into_iter().map(|(_, bits)| bits);
            let before: Vec<_> = before.collect();
            problem.walk(
                optimizer.as_mut(),
                &mut params,
                &rates.scaled(factor),
                steps,
            );
            let after: Vec<_> = bits(&params).into_iter().map(|(_, bits)| bits).collect();
            assert_eq!(after == before, factor == 0.0, "{kind}");
        }
        assert_eq!(
            bits(&params),
            bits(&walked(kind, &rates, &["down", "up"])),
            "{kind}"
        );
    }
}

#[test]
fn other_groups_than_those_of_the_state_are_refused_by_name() {
    let problem = Quadratic::new(10.0);
    for kind in KINDS {
        let two = Rates::new(1.0).with_prefix("up", 0.5);
        let (mut params, mut optimizer) = (problem.start(), build(kind));
        problem.walk(optimizer.as_mut(), &mut params, &two, 3);
        let mut resumed = build(kind);
        resumed.restore(optimizer.state(), &Device::flex()).unwrap();

        let mut moved = params.clone();
        let refused = resumed.step(&mut moved, problem.grads(&params), &Rates::new(1.0));
        assert_eq!(
            refused,
            Err(OptimizerError::RateGroups {
                rates: vec![String::new()],
                state: vec![String::new(), "up".into()],
            }),
            "{kind}"
        );
        assert_eq!(bits(&moved), bits(&params), "{kind}");

        problem.walk(optimizer.as_mut(), &mut params, &two, 3);
        problem.walk(resumed.as_mut(), &mut moved, &two, 3);
        assert_eq!(bits(&moved), bits(&params), "{kind}");
    }
}
