//! Thin QR factorisation.

use super::matrix::{Matrix, add_scaled, dot};

/// A column that is shorter than this share of its former self after projection lies in the span of those before it.
const DEPENDENT: f64 = 1e-14;

/// `a = q · r` with orthonormal columns of `q`, `[rows, columns]`, and upper triangular `r`, `[columns, columns]`.
///
/// Gram–Schmidt, each column projected twice, which keeps `q` orthonormal to rounding. Where a column depends on those
/// before it, that of `q` is zero, and so is the row of `r`.
pub(crate) fn thin_qr(mut a: Matrix) -> (Matrix, Matrix) {
    let mut r = Matrix::zeros(a.columns(), a.columns());
    for column in 0..a.columns() {
        let before = norm(a.column(column));
        for _ in 0..2 {
            for earlier in 0..column {
                let [basis, current] = a.two_columns_mut(earlier, column);
                let part = dot(basis, current);
                add_scaled(current, -part, basis);
                r.set(earlier, column, r.at(earlier, column) + part);
            }
        }
        let length = norm(a.column(column));
        let factor = if length > DEPENDENT * before {
            r.set(column, column, length);
            length.recip()
        } else {
            0.0
        };
        a.column_mut(column)
            .iter_mut()
            .for_each(|value| *value *= factor);
    }
    (a, r)
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of numbers without a pattern.
    pub(in super::super) fn numbers(rows: usize, columns: usize) -> Matrix {
        let values: Vec<f32> = (0..rows * columns)
            .map(|i| ((i * i * 37 + i * 11) % 1009) as f32 / 500.0 - 1.0)
            .collect();
        Matrix::from_rows(rows, columns, &values)
    }

    #[test]
    fn factors_are_orthonormal_triangular_and_give_the_matrix_back() {
        let a = numbers(40, 7);
        let (q, r) = thin_qr(a.clone());
        let gram = q.transpose_times(&q);
        for row in 0..7 {
            for column in 0..7 {
                let identity = f64::from(u8::from(row == column));
                assert!((gram.at(row, column) - identity).abs() < 1e-14);
                assert!(row <= column || r.at(row, column) == 0.0);
            }
        }
        let back = q.times(&r);
        for column in 0..7 {
            for row in 0..40 {
                assert!((back.at(row, column) - a.at(row, column)).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn dependent_columns_become_zero() {
        let a = Matrix::from_rows(3, 3, &[1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 5.0]);
        let (q, r) = thin_qr(a.clone());
        assert!(q.column(1).iter().all(|&value| value == 0.0));
        assert!(r.at(1, 1) == 0.0 && (r.at(2, 2) - 5.0).abs() < 1e-15);
        assert!((q.times(&r).at(0, 1) - 2.0).abs() < 1e-15);
    }
}
