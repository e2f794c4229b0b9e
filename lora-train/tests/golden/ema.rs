//! The average of trained matrices against diffusers' `EMAModel` (`testdata/optim/generate.py`).

use burn::tensor::Tensor;
use lora_core::Matrices;
use lora_optim::{Rates, State, StateError};
use lora_train::{
    Denoising, Ema,
    config::{EmaConfig, ObjectiveConfig},
};

use crate::reference_run::{Golden, Profile, batch, device, learner};

const SNAPSHOTS: [usize; 3] = [1, 10, 50];

/// Of values of about 0.1, after fifty roundings of each: a few last bits.
const ROUNDING: f32 = 3e-8;

fn cases() -> [(&'static str, EmaConfig); 2] {
    let config = |text: &str| toml::from_str(text).expect("a config");
    [
        ("plain", config("decay = 0.9")),
        (
            "power",
            config(
                "decay = 0.95\nmin_decay = 0.1\nupdate_after_step = 5\ninv_gamma = 2.0\npower = 0.75",
            ),
        ),
    ]
}

fn values(matrix: &Tensor<2>) -> Vec<f32> {
    matrix.clone().try_into_vec_as().expect("on the host")
}

/// The matrices whose name begins so.
fn matrices(golden: &Golden, prefix: &str) -> Matrices {
    let names = golden.names().into_iter();
    let found = names.filter_map(|name| {
        let key = name.strip_prefix(prefix)?.to_owned();
        Some((key, golden.matrix(&name)))
    });
    found.collect()
}

/// The decay of each step is diffusers', for both settings.
#[test]
fn decays_are_those_of_diffusers() {
    let golden = Golden::open("../optim/ema.safetensors");
    for (case, config) in cases() {
        let mut ema = Ema::new(config, Matrices::new());
        let expected = golden.doubles(&format!("{case}.decays"));
        assert_eq!(expected.len(), 50);
        for (step, expected) in expected.into_iter().enumerate() {
            ema.update(&Matrices::new());
            assert!((ema.decay() - expected).abs() < 1e-15, "{case} {step}");
        }
    }
}

#[test]
fn averages_are_those_of_diffusers() {
    let golden = Golden::open("../optim/ema.safetensors");
    let way = |step: usize| matrices(&golden, &format!("step{step}."));
    for (case, config) in cases() {
        let start = way(0);
        assert_eq!(start.len(), 2);
        let mut ema = Ema::new(config, start);
        for step in 1..=50 {
            ema.update(&way(step));
            if SNAPSHOTS.contains(&step) {
                let expected = matrices(&golden, &format!("{case}.average{step}."));
                assert_eq!(expected.len(), 2);
                for (key, average) in ema.averages() {
                    let pairs = values(average).into_iter().zip(values(&expected[key]));
                    let apart = pairs.map(|(ours, theirs)| (ours - theirs).abs());
                    let worst = apart.fold(0.0, f32::max);
                    assert!(worst <= ROUNDING, "{case} {key} after {step}: {worst:e}");
                }
            }
        }
    }
}

#[test]
fn an_average_goes_on_bit_for_bit_from_saved_bytes() {
    let golden = Golden::open("../optim/ema.safetensors");
    let way = |step: usize| matrices(&golden, &format!("step{step}."));
    for (case, config) in cases() {
        let begun = || Ema::new(config.clone(), way(0));
        let (mut whole, mut resumed) = (begun(), begun());
        (1..=20).for_each(|step| whole.update(&way(step)));
        let bytes = whole.state().to_bytes().unwrap();
        let saved = State::from_bytes(&bytes).unwrap();
        resumed.restore(saved.clone(), &device()).unwrap();
        for step in 21..=30 {
            whole.update(&way(step));
            resumed.update(&way(step));
        }
        assert_eq!(whole.state(), resumed.state(), "{case}");
        assert_ne!(whole.state(), saved, "{case}");

        // What is not its own is refused, and changes nothing.
        let kept = resumed.state();
        let mut foreign = vec![State::default()];
        for name in saved.tensors.keys() {
            let (mut less, mut other) = (saved.clone(), saved.clone());
            less.tensors.remove(name);
            other
                .tensors
                .insert(name.clone(), [[1.0_f32, 2.0], [3.0, 4.0]].into());
            foreign.extend([less, other]);
        }
        let (mut timeless, mut fuller) = (saved.clone(), saved);
        timeless.scalars.clear();
        let more = fuller.tensors["d_scalar/average"].clone();
        fuller.tensors.insert("elsewhere/average".into(), more);
        foreign.extend([timeless, fuller]);
        for state in foreign {
            let refused = resumed.restore(state, &device());
            assert!(
                matches!(refused, Err(StateError::Foreign { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(resumed.state(), kept);
    }
}

/// The model holds the average between steps, and what is trained is not touched by it.
#[test]
fn the_average_is_shown_and_not_trained() {
    let profile = Profile::read().train;
    let inputs = Golden::open("train/tiny-sd15-inputs.safetensors");
    let mut plain = learner("tiny-sd15", &profile, 1.0);
    let (_, config) = &cases()[0];
    let mut averaged = learner("tiny-sd15", &profile, 1.0).with_ema(config);
    let mut beside = Ema::new(config.clone(), plain.params().clone());
    let objective = Denoising::new(&ObjectiveConfig::default(), plain.model(), 1);
    let all = |matrices: &Matrices| -> Vec<Vec<f32>> { matrices.values().map(values).collect() };
    for step in 0..3 {
        let batch = batch(&profile, &plain, &inputs, step);
        for learner in [&mut plain, &mut averaged] {
            let _ = learner.accumulate(&objective, &batch, 1.0);
            learner.step(&Rates::new(1e-3)).unwrap();
        }
        beside.update(plain.params());
        assert_eq!(all(averaged.params()), all(plain.params()));
        assert_eq!(all(&averaged.model_mut().factors()), all(beside.averages()));
    }
    assert_ne!(all(beside.averages()), all(plain.params()));
}
