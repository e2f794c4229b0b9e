use burn::tensor::{Device, Tensor, TensorData};

use super::UNetConfig;

/// Numbers to sines and cosines of many frequencies: diffusers' `get_timestep_embedding`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sinusoidal {
    channels: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
}

impl Sinusoidal {
    pub(super) fn new(config: &UNetConfig, channels: usize) -> Self {
        Self {
            channels,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
        }
    }

    /// `[numbers, channels]`.
    pub(super) fn embed(&self, numbers: &[f32], device: &Device) -> Tensor<2> {
        let half = self.channels / 2;
        let mut values = Vec::with_capacity(numbers.len() * self.channels);
        for &number in numbers {
            let angle = |index: usize| {
                let exponent = -(10_000f64.ln()) * index as f64 / (half as f64 - self.freq_shift);
                // The reference rounds the frequency and the product to f32 in turn.
                number * exponent.exp() as f32
            };
            let sines = (0..half).map(|index| angle(index).sin());
            let cosines = (0..half).map(|index| angle(index).cos());
            if self.flip_sin_to_cos {
                values.extend(cosines.chain(sines));
            } else {
                values.extend(sines.chain(cosines));
            }
        }
        Tensor::from_data(
            TensorData::new(values, [numbers.len(), self.channels]),
            device,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safetensors_file::SafetensorsFile;

    #[test]
    fn sizes_are_embedded_as_in_sd_scripts() {
        let golden = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/golden/schedules/noise.safetensors"
        );
        let golden = SafetensorsFile::open(golden).expect("golden data");
        let values = |name: &str| -> Vec<f32> {
            let stored = golden.read(name).expect("a tensor");
            stored.to_f32().expect("floats")
        };
        let waves = Sinusoidal {
            channels: 256,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
        };
        let sizes = values("sdxl_size_embedding.in");
        let found = waves.embed(&sizes, &Device::flex()).into_data();
        let expected = values("sdxl_size_embedding.out");
        assert_eq!(found.num_elements(), expected.len());
        for (found, expected) in found.iter::<f32>().zip(expected) {
            // An angle up to 1,024 in f32 is good to 6e-5.
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}
