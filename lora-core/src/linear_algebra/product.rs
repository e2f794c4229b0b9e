//! Decompositions of a product of two thin matrices, without ever forming it.

use super::jacobi::jacobi_svd;
use super::qr::thin_qr;
use super::{Matrix, Svd};

/// Decomposes `a · bᵀ` with `a` `[rows, rank]` and `b` `[columns, rank]`: up to rounding exact, at most `rank` triples.
///
/// With `a = Qa·Ra` and `b = Qb·Rb`, the product is `Qa · (Ra·Rbᵀ) · Qbᵀ`, and only the small matrix in the middle needs
/// to be decomposed: the cost is `(rows + columns) · rank²`.
pub(crate) fn svd_of_product(a: Matrix, b: Matrix) -> Svd {
    let ((qa, ra), (qb, rb)) = (thin_qr(a), thin_qr(b));
    let inner = jacobi_svd(ra.times(&rb.transposed()));
    let rank = qa.rows().min(qb.rows());
    Svd {
        u: qa.times(&inner.u),
        singular_values: inner.singular_values,
        v: qb.times(&inner.v),
    }
    .truncated(rank)
}

/// The Frobenius norm of `a · bᵀ`: the root of the trace of `(aᵀa)·(bᵀb)`.
pub(crate) fn frobenius_of_product(a: &Matrix, b: &Matrix) -> f64 {
    let (a, b) = (a.transpose_times(a), b.transpose_times(b));
    let trace: f64 = (0..a.columns())
        .map(|column| super::matrix::dot(a.column(column), b.column(column)))
        .sum();
    // Rounding can make a product of zero slightly negative.
    trace.max(0.0).sqrt()
}
