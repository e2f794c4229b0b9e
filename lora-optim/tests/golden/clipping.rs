//! Clipping by the norm of all gradients together, against PyTorch's formula computed in f64.

use burn::tensor::Tensor;
use lora_optim::{Matrices, clip_global_norm, global_norm};

use super::{bits, matrix, values};

/// Two matrices whose joint norm is 13, while their own are 5 and 12.
fn grads() -> Matrices {
    [
        ("a".into(), matrix(vec![3.0, 0.0, -4.0], [3, 1])),
        ("b".into(), matrix(vec![0.0, 12.0], [1, 2])),
    ]
    .into()
}

fn read(norm: Option<Tensor<1>>) -> f32 {
    norm.unwrap().into_scalar()
}

#[test]
fn the_norm_is_that_of_all_matrices_together() {
    assert_eq!(read(global_norm(&grads())).to_bits(), 13.0_f32.to_bits());
}

#[test]
fn a_long_gradient_is_scaled_as_a_whole() {
    let mut clipped = grads();
    assert_eq!(
        read(clip_global_norm(&mut clipped, 2.0)).to_bits(),
        13.0_f32.to_bits(),
        "the norm before clipping"
    );
    let factor = 2.0 / (13.0 + 1e-6);
    for (key, grad) in grads() {
        for (before, after) in values(&grad).into_iter().zip(values(&clipped[&key])) {
            assert!(
                (f64::from(before) * factor - f64::from(after)).abs() <= 1e-6,
                "{key}: {before} became {after}"
            );
        }
    }
    assert!((read(global_norm(&clipped)) - 2.0).abs() < 1e-6);
}

#[test]
fn a_short_gradient_stays_bit_for_bit() {
    let mut clipped = grads();
    clip_global_norm(&mut clipped, 13.1);
    assert_eq!(bits(&clipped), bits(&grads()));
}

#[test]
fn no_gradients_have_no_norm() {
    assert!(clip_global_norm(&mut Matrices::new(), 1.0).is_none());
}

#[test]
fn a_gradient_that_is_not_finite_shows_in_the_norm() {
    for poison in [f32::NAN, f32::INFINITY] {
        let mut clipped = grads();
        clipped.insert("c".into(), matrix(vec![poison], [1, 1]));
        assert!(!read(clip_global_norm(&mut clipped, 1.0)).is_finite());
    }
}
