//! Truncated singular value decompositions of LoRA-sized matrices, on the host, in f64.
//!
//! Small and exact: thin QR factorisations by Gram–Schmidt and one-sided Jacobi rotations, which find small singular
//! values to full relative precision. Published crates that do this would rebuild burn with other features of the crates
//! that they share with it. Large matrices are first narrowed down to their dominant subspace.

mod jacobi;
mod matrix;
mod product;
mod qr;
mod range_finder;
mod svd;

pub(crate) use matrix::Matrix;
pub(crate) use product::{frobenius_of_product, svd_of_product};
pub(crate) use range_finder::truncated_svd;
pub(crate) use svd::Svd;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::Device;

    use super::*;
    use crate::safetensors_file::SafetensorsFile;

    const GOLDEN: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/golden/lora/tools.safetensors"
    );

    /// `matrix()` of `gen_tools.py`.
    fn formula(rows: usize, columns: usize) -> Vec<f32> {
        let value = |row: usize, column: usize| {
            let number =
                (row * row * 31 + column * column * 17 + row * column * 7 + row + 3 * column)
                    % 1009;
            let fall = 0.985f64.powi(row as i32) * 0.985f64.powi(column as i32);
            ((number as f64 / 504.5 - 1.0) * fall) as f32
        };
        (0..rows * columns)
            .map(|index| value(index / columns, index % columns))
            .collect()
    }

    fn golden(key: &str) -> Vec<f64> {
        let file = SafetensorsFile::open(GOLDEN).unwrap();
        let values = file.read(key).unwrap().to_f32().unwrap();
        values.into_iter().map(f64::from).collect()
    }

    fn relative(found: &[f64], expected: &[f64]) -> f64 {
        assert_eq!(found.len(), expected.len());
        let largest = expected
            .iter()
            .fold(0f64, |largest, value| largest.max(value.abs()));
        let pairs = found.iter().zip(expected);
        pairs.fold(0f64, |difference, (a, b)| difference.max((a - b).abs())) / largest
    }

    /// The decomposed matrix times `cos(0), cos(1), …`, whatever the signs of the vectors are.
    fn times_cos(svd: &Svd) -> Vec<f64> {
        let [a, b] = svd.balanced_factors();
        let mut cos = Matrix::zeros(b.rows(), 1);
        (0..b.rows()).for_each(|row| cos.set(row, 0, (row as f64).cos()));
        a.times(&b.transpose_times(&cos)).column(0).to_vec()
    }

    /// 260 directions are too many for the exact way: the subspace is found at random, with values that fall slowly.
    #[test]
    fn the_range_finder_comes_close_to_torch() {
        for (name, shape) in [("tall", [520, 260]), ("wide", [260, 640])] {
            let values = formula(shape[0], shape[1]);
            let svd = truncated_svd(&values, shape, 16, &Device::default());
            let expected = golden(&format!("{name}.singular_values"));
            assert!(relative(&svd.singular_values, &expected) < 1e-4, "{name}");
            let product = relative(
                &times_cos(&svd),
                &golden(&format!("{name}.rank16_times_cos")),
            );
            assert!(product < 1e-2, "{name}: {product}");

            let total: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let kept: f64 = svd.singular_values.iter().map(|value| value * value).sum();
            let left = (total - kept).sqrt();
            let best = golden(&format!("{name}.left_of_rank16"))[0];
            assert!(left / best - 1.0 < 1e-5, "{name}: {left} {best}");
        }
    }

    #[test]
    fn the_exact_way_equals_torch() {
        // 200 directions of 260 are more than half: rotations of the whole.
        let svd = truncated_svd(&formula(260, 640), [260, 640], 200, &Device::default());
        let all = golden("rules.singular_values");
        // The reference is stored in f32.
        assert!(relative(&svd.singular_values, &all[..200]) < 1e-7);
        let svd = svd.truncated(16);
        assert!(relative(&times_cos(&svd), &golden("wide.rank16_times_cos")) < 1e-6);
    }

    #[test]
    fn a_matrix_of_low_rank_comes_out_whole() {
        let a = Matrix::from_rows(400, 5, &formula(400, 5));
        let b = Matrix::from_rows(300, 5, &formula(300, 5));
        let values = a.times(&b.transposed()).to_rows();
        let exact = svd_of_product(a.clone(), b.clone());
        let norm = frobenius_of_product(&a, &b);
        let by_values: f64 = exact
            .singular_values
            .iter()
            .map(|value| value * value)
            .sum();
        assert!((by_values.sqrt() / norm - 1.0).abs() < 1e-12);

        let found = truncated_svd(&values, [400, 300], 8, &Device::default());
        // Products in f32.
        assert!(relative(&found.singular_values[..5], &exact.singular_values) < 1e-6);
        assert!(
            found.singular_values[5..]
                .iter()
                .all(|value| value / norm < 1e-6)
        );
        assert!(relative(&times_cos(&found), &times_cos(&exact)) < 1e-5);
    }

    #[test]
    fn singular_values_of_lora_files_are_those_of_torch() {
        let lora = crate::lora_file::LoraFile::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/golden/lora/tiny-sd15-locon.safetensors"
        ))
        .unwrap();
        let mut checked = BTreeMap::new();
        for (name, module) in &lora.modules {
            let [a, b] = module.factors();
            let found = svd_of_product(a, b).singular_values;
            let scaled: Vec<f64> = found
                .iter()
                .map(|value| value * f64::from(module.scale()))
                .collect();
            let expected = golden(&format!("singular_values.{name}"));
            let count = scaled.len().min(4);
            assert!(
                relative(&scaled[..count], &expected[..count]) < 1e-6,
                "{name}"
            );
            checked.insert(name, count);
        }
        assert_eq!(checked.len(), 307);
    }
}
