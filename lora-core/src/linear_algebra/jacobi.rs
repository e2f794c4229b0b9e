//! Singular value decomposition of small matrices by rotations.

use std::cmp::Ordering;

use super::matrix::dot;
use super::{Matrix, Svd};

/// Two columns count as orthogonal when the cosine of their angle is below this.
const ORTHOGONAL: f64 = 1e-15;
/// Sweeps converge quadratically; a dozen is plenty, and this only bounds the work on broken numbers.
const MOST_SWEEPS: usize = 40;

/// Decomposes `a`, `[rows, columns]`, by one-sided Jacobi rotations (Hestenes 1958).
///
/// Columns are rotated in pairs until all are orthogonal; their lengths then are the singular values. Every value comes
/// out with a small relative error, however small it is beside the largest (Demmel & Veselić 1992).
pub(crate) fn jacobi_svd(mut a: Matrix) -> Svd {
    let count = a.columns();
    let mut v = Matrix::zeros(count, count);
    (0..count).for_each(|index| v.set(index, index, 1.0));
    for _ in 0..MOST_SWEEPS {
        let mut rotated = false;
        for first in 0..count {
            for second in first + 1..count {
                rotated |= orthogonalise(&mut a, &mut v, first, second);
            }
        }
        if !rotated {
            break;
        }
    }
    sorted(&a, &v)
}

/// Rotates two columns of `a` until they are orthogonal, and those of `v` along; false when they already were.
fn orthogonalise(a: &mut Matrix, v: &mut Matrix, first: usize, second: usize) -> bool {
    let [x, y] = a.two_columns_mut(first, second);
    let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
    if xy.abs() <= ORTHOGONAL * (xx * yy).sqrt() || xy.is_nan() {
        return false;
    }
    let half_cotangent = (yy - xx) / (2.0 * xy);
    let tangent = half_cotangent.signum() / (half_cotangent.abs() + half_cotangent.hypot(1.0));
    let cosine = tangent.hypot(1.0).recip();
    rotate(x, y, cosine, cosine * tangent);
    let [x, y] = v.two_columns_mut(first, second);
    rotate(x, y, cosine, cosine * tangent);
    true
}

fn rotate(x: &mut [f64], y: &mut [f64], cosine: f64, sine: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

/// Puts the longest column first and makes them unit vectors.
fn sorted(a: &Matrix, v: &Matrix) -> Svd {
    let lengths: Vec<f64> = (0..a.columns())
        .map(|index| dot(a.column(index), a.column(index)).sqrt())
        .collect();
    let mut order: Vec<usize> = (0..a.columns()).collect();
    order.sort_by(|&i, &j| {
        lengths[j]
            .partial_cmp(&lengths[i])
            .unwrap_or(Ordering::Equal)
    });
    let mut svd = Svd {
        u: Matrix::zeros(a.rows(), a.columns()),
        singular_values: order.iter().map(|&index| lengths[index]).collect(),
        v: Matrix::zeros(v.rows(), v.columns()),
    };
    for (place, &index) in order.iter().enumerate() {
        svd.v.column_mut(place).copy_from_slice(v.column(index));
        if lengths[index] > 0.0 {
            for (unit, value) in svd.u.column_mut(place).iter_mut().zip(a.column(index)) {
                *unit = value / lengths[index];
            }
        }
    }
    svd
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Hilbert matrix: its smallest singular value is ten digits below the largest.
    #[test]
    fn small_singular_values_keep_their_digits() {
        let size = 8;
        let mut a = Matrix::zeros(size, size);
        for row in 0..size {
            for column in 0..size {
                a.set(row, column, ((row + column + 1) as f64).recip());
            }
        }
        let svd = jacobi_svd(a);
        // From 50-digit arithmetic.
        for (index, expected) in [(0, 1.695_938_996_921_949_5), (7, 1.111_538_966_372_442e-10)] {
            let relative = (svd.singular_values[index] - expected).abs() / expected;
            assert!(relative < 1e-6, "{index}: {}", svd.singular_values[index]);
        }
    }

    #[test]
    fn numbers_that_are_none_come_to_an_end() {
        let mut a = Matrix::zeros(3, 3);
        a.set(0, 0, f64::NAN);
        a.set(1, 1, 2.0);
        assert_eq!(jacobi_svd(a).singular_values.len(), 3);
    }
}
