//! What every optimiser of the table does with gradients that are no numbers, or of another float type than its own.

use burn::tensor::{DType, TensorData, bf16, f16};
use lora_optim::{Matrices, Optimizer, State, global_norm};

use super::{bits, conformance::table, quadratic::Quadratic, values};

const WEIGHT_DECAY: f32 = 0.1;

/// Whether any number of the matrices is none.
fn is_broken(matrices: &Matrices) -> bool {
    let mut all = matrices.values().flat_map(values);
    all.any(|value| !value.is_finite())
}

fn is_broken_state(state: &State) -> bool {
    let broken = |data: &TensorData| {
        data.dtype() == DType::F32 && data.iter::<f32>().any(|v| !v.is_finite())
    };
    state.tensors.values().any(broken)
}

/// Nothing is read back within a step, so that an optimiser cannot refuse such a gradient. What it must not do is to hide
/// it: whoever looks at the norm, at the parameters or at the state afterwards sees it, at once and from then on.
#[test]
fn a_gradient_that_is_not_finite_is_never_swallowed() {
    let problem = Quadratic::new(10.0);
    for row in table(WEIGHT_DECAY) {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (mut params, mut optimizer) = (problem.start(), row.build());
            problem.walk(optimizer.as_mut(), &mut params, &row.rates(), 2);
            let broken = |params: &Matrices, optimizer: &dyn Optimizer| {
                is_broken(params) || is_broken_state(&optimizer.state())
            };
            assert!(!broken(&params, optimizer.as_ref()), "{}", row.name);

            let mut grads = problem.grads(&params);
            let mut up = values(&grads["up"]);
            up[3] = poison;
            grads.insert("up".into(), super::matrix(up, [4, 2]));
            let norm: f32 = global_norm(&grads).unwrap().into_scalar();
            assert!(!norm.is_finite(), "{poison}");
            optimizer.step(&mut params, grads, &row.rates()).unwrap();
            assert!(
                broken(&params, optimizer.as_ref()),
                "{} hides {poison}",
                row.name
            );
            for _ in 0..3 {
                let grads = problem.grads(&problem.start());
                optimizer.step(&mut params, grads, &row.rates()).unwrap();
            }
            assert!(
                broken(&params, optimizer.as_ref()),
                "{} forgets {poison}",
                row.name
            );
        }
    }
}

/// Gradients of 16 bits are those numbers and no others: parameters and states stay f32, to the last bit as if the same
/// numbers had come in f32.
#[test]
fn the_float_type_of_gradients_does_not_matter() {
    let problem = Quadratic::new(10.0);
    for row in table(WEIGHT_DECAY) {
        for dtype in [DType::F16, DType::BF16, DType::F64] {
            let (mut params, mut optimizer) = (problem.start(), row.build());
            let (mut full_params, mut full) = (problem.start(), row.build());
            for _ in 0..4 {
                let narrow = problem.grads(&params).into_iter();
                let narrow: Matrices = narrow.map(|(key, grad)| (key, grad.cast(dtype))).collect();
                assert!(narrow.values().all(|grad| grad.dtype() == dtype));
                let same = narrow.iter();
                let same = same.map(|(key, grad)| (key.clone(), grad.clone().cast(DType::F32)));
                full.step(&mut full_params, same.collect(), &row.rates())
                    .unwrap();
                optimizer.step(&mut params, narrow, &row.rates()).unwrap();
            }
            assert!(params.values().all(|param| param.dtype() == DType::F32));
            assert_eq!(bits(&params), bits(&full_params), "{} {dtype:?}", row.name);
            assert_eq!(optimizer.state(), full.state(), "{} {dtype:?}", row.name);
        }
    }
}

/// 16 bits hold the sums of squares of this gradient no more than its squares.
#[test]
fn the_norm_of_narrow_gradients_is_summed_in_f32() {
    let big = [300.0_f32; 64];
    let expected = 300.0 * 8.0;
    for data in [
        TensorData::new(big.map(f16::from_f32).to_vec(), [8, 8]),
        TensorData::new(big.map(bf16::from_f32).to_vec(), [8, 8]),
    ] {
        let narrow = burn::tensor::Tensor::<2>::from_data(
            data.clone(),
            (&burn::tensor::Device::flex(), data.dtype()),
        );
        assert_eq!(narrow.dtype(), data.dtype());
        let mut grads = Matrices::from([("a".into(), narrow)]);
        let norm: f32 = global_norm(&grads).unwrap().into_scalar();
        assert!((norm - expected).abs() <= 1e-3, "{norm}");
        lora_optim::clip_global_norm(&mut grads, 1.0);
        let clipped: f32 = global_norm(&grads).unwrap().into_scalar();
        assert!((clipped - 1.0).abs() < 5e-3, "{clipped}");
    }
}
