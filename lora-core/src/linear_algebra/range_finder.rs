//! Truncated decomposition of large matrices.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::jacobi::jacobi_svd;
use super::qr::thin_qr;
use super::{Matrix, Svd, svd_of_product};

/// Directions looked for beyond those asked for.
const OVERSAMPLING: usize = 16;
/// How often the subspace is sharpened by multiplying with the matrix and its transpose.
const POWER_ITERATIONS: usize = 6;
/// Up to this smaller side, and wherever most directions are asked for anyway, the decomposition is exact.
const EXACT_BELOW: usize = 192;

/// The `rank` largest singular triples of `values`, a matrix `[rows, columns]` row by row.
///
/// Small matrices are decomposed exactly. Large ones are first projected onto a subspace of `rank + 16` dimensions, found
/// by multiplying random directions with the matrix and back (Halko, Martinsson & Tropp 2011, with orthonormalisation
/// after each product). A matrix whose rank is no larger than the subspace comes out exactly. Otherwise what is left over,
/// in the Frobenius norm, is more than the best possible by less than 1e-5 where singular values fall by a few percent
/// each, and by less than 2e-3 where there is nothing but noise. The large products run on `device` in f32, the rest on
/// the host in f64.
pub(crate) fn truncated_svd(
    values: &[f32],
    [rows, columns]: [usize; 2],
    rank: usize,
    device: &Device,
) -> Svd {
    let smaller = rows.min(columns);
    let width = rank + OVERSAMPLING;
    if smaller <= EXACT_BELOW || 2 * width >= smaller {
        return exact_svd(values, [rows, columns]).truncated(rank);
    }
    let a = Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, columns]), device);
    let mut basis = random(columns, width);
    for _ in 0..POWER_ITERATIONS {
        let range = orthonormal(&product(a.clone(), &basis));
        basis = orthonormal(&product(a.clone().transpose(), &range));
    }
    // a ≈ (a·basis)·basisᵀ
    svd_of_product(product(a, &basis), basis).truncated(rank)
}

/// All singular triples, by rotations of the smaller side.
fn exact_svd(values: &[f32], [rows, columns]: [usize; 2]) -> Svd {
    if rows >= columns {
        let (q, r) = thin_qr(Matrix::from_rows(rows, columns, values));
        let inner = jacobi_svd(r);
        Svd {
            u: q.times(&inner.u),
            ..inner
        }
    } else {
        // The rows of the matrix are the columns of its transpose.
        let (q, r) = thin_qr(Matrix::from_columns(columns, rows, values));
        let inner = jacobi_svd(r);
        Svd {
            u: inner.v,
            singular_values: inner.singular_values,
            v: q.times(&inner.u),
        }
    }
}

/// `a · b`.
fn product(a: Tensor<2>, b: &Matrix) -> Matrix {
    let shape = [b.rows(), b.columns()];
    let b = Tensor::from_data(TensorData::new(b.to_rows(), shape), &a.device());
    let product = a.matmul(b);
    let [rows, columns] = product.dims();
    let values: Vec<f32> = product.into_data().iter::<f32>().collect();
    Matrix::from_rows(rows, columns, &values)
}

fn orthonormal(a: &Matrix) -> Matrix {
    thin_qr(a.clone()).0
}

/// The same directions each time, so that equal inputs give equal files.
fn random(rows: usize, columns: usize) -> Matrix {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let values: Vec<f32> = (0..rows * columns)
        .map(|_| random.random_range(-1.0..1.0))
        .collect();
    Matrix::from_columns(rows, columns, &values)
}
