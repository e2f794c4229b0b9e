//! A dense matrix whose columns lie one behind the other.

/// Partial sums of a dot product, so that the compiler can use whole vector registers.
const LANES: usize = 8;

/// `[rows, columns]` numbers, column by column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// From numbers that lie row by row, as in files and tensors.
    pub(crate) fn from_rows(rows: usize, columns: usize, values: &[f32]) -> Self {
        Self::from_columns(columns, rows, values).transposed()
    }

    /// The transpose of what [`Self::from_rows`] makes: rows of `values` become columns.
    pub(crate) fn from_columns(rows: usize, columns: usize, values: &[f32]) -> Self {
        debug_assert_eq!(values.len(), rows * columns);
        Self {
            rows,
            columns,
            values: values.iter().copied().map(f64::from).collect(),
        }
    }

    /// The numbers row by row.
    pub(crate) fn to_rows(&self) -> Vec<f32> {
        self.transposed().to_columns()
    }

    /// The numbers column by column.
    pub(crate) fn to_columns(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn column(&self, index: usize) -> &[f64] {
        &self.values[index * self.rows..(index + 1) * self.rows]
    }

    pub(crate) fn column_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.values[index * self.rows..(index + 1) * self.rows]
    }

    /// Two different columns, `first < second`.
    pub(crate) fn two_columns_mut(&mut self, first: usize, second: usize) -> [&mut [f64]; 2] {
        let rows = self.rows;
        let (before, from) = self.values.split_at_mut(second * rows);
        [
            &mut before[first * rows..(first + 1) * rows],
            &mut from[..rows],
        ]
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[column * self.rows + row]
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: f64) {
        self.values[column * self.rows + row] = value;
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut transposed = Self::zeros(self.columns, self.rows);
        for column in 0..self.columns {
            for (row, &value) in self.column(column).iter().enumerate() {
                transposed.set(column, row, value);
            }
        }
        transposed
    }

    /// The first `count` columns.
    pub(crate) fn first_columns(mut self, count: usize) -> Self {
        self.columns = count.min(self.columns);
        self.values.truncate(self.columns * self.rows);
        self
    }

    /// `self · other`.
    pub(crate) fn times(&self, other: &Self) -> Self {
        debug_assert_eq!(self.columns, other.rows);
        let mut product = Self::zeros(self.rows, other.columns);
        for column in 0..other.columns {
            for (inner, &factor) in other.column(column).iter().enumerate() {
                add_scaled(product.column_mut(column), factor, self.column(inner));
            }
        }
        product
    }

    /// `selfᵀ · other`.
    pub(crate) fn transpose_times(&self, other: &Self) -> Self {
        debug_assert_eq!(self.rows, other.rows);
        let mut product = Self::zeros(self.columns, other.columns);
        for column in 0..other.columns {
            for row in 0..self.columns {
                product.set(row, column, dot(self.column(row), other.column(column)));
            }
        }
        product
    }

    /// Sum of the squares of all numbers.
    pub(crate) fn squared_norm(&self) -> f64 {
        dot(&self.values, &self.values)
    }
}

/// `Σ aᵢ·bᵢ`.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `target += factor · source`.
pub(super) fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += factor * source;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let a = Matrix::from_rows(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b = Matrix::from_rows(3, 2, &[7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
        let product = [58.0, 64.0, 139.0, 154.0];
        assert_eq!(a.times(&b).to_rows(), product);
        assert_eq!(a.transposed().transpose_times(&b).to_rows(), product);
        assert_eq!(a.to_columns(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert!((a.squared_norm() - 91.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_dot_product_covers_all_lanes_and_the_rest() {
        let values: Vec<f64> = (1..=19).map(f64::from).collect();
        assert!((dot(&values, &values) - 2470.0).abs() < f64::EPSILON);
    }
}
