//! Noise of several sizes at once (pyramid or multi-resolution noise; Whitaker 2023, sd-scripts' `pyramid_noise_like`).

use crate::random::{Purpose, normal, uniform};

/// Coarser and coarser noises, each enlarged to the latents' size and weaker than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PyramidNoise {
    /// Most levels.
    pub(crate) iterations: u32,
    /// A level's strength over that of the one before.
    pub(crate) discount: f64,
}

/// One noise, `[channels, height, width]`.
struct Level {
    size: [usize; 2],
    values: Vec<f32>,
}

impl PyramidNoise {
    /// The sum of all levels for one showing, `[channels, height, width]`.
    ///
    /// The first level has the latents' own size. Each further one is smaller by a power of a factor between 2 and 4 that
    /// is drawn for it; a side of one latent ends the pyramid.
    pub(crate) fn draw(
        self,
        seed: u64,
        showing: u64,
        [channels, height, width]: [usize; 3],
    ) -> Vec<f32> {
        let factor = |level: u32| uniform(Purpose::PyramidFactor, seed, showing, level.into());
        let sizes = self.sizes([height, width], factor);
        let levels = sizes.into_iter().zip(0..).map(|(size, level)| {
            let count = channels * size[0] * size[1];
            let values = normal(Purpose::PyramidNoise, seed, showing, level, count);
            Level { size, values }
        });
        self.sum(levels, channels, [height, width])
    }

    /// Height and width of each level, for factors drawn between 0 and 1.
    fn sizes(self, [height, width]: [usize; 2], factor: impl Fn(u32) -> f64) -> Vec<[usize; 2]> {
        let mut sizes = Vec::new();
        for level in 0..self.iterations {
            let shrink = (factor(level) * 2.0 + 2.0).powi(level as i32);
            let size = [height, width].map(|side| ((side as f64 / shrink) as usize).max(1));
            sizes.push(size);
            if size.contains(&1) {
                break;
            }
        }
        sizes
    }

    fn sum(self, levels: impl Iterator<Item = Level>, channels: usize, to: [usize; 2]) -> Vec<f32> {
        let area = to[0] * to[1];
        let mut sum = vec![0.0; channels * area];
        for (level, power) in levels.zip(0..) {
            let strength = self.discount.powi(power) as f32;
            let [height, width] = level.size;
            let channels = level.values.chunks_exact(height * width);
            for (values, sum) in channels.zip(sum.chunks_exact_mut(area)) {
                add_enlarged(values, level.size, sum, to, strength);
            }
        }
        sum
    }
}

/// Adds `strength` times a channel of size `from`, enlarged to `to` bilinearly: PyTorch's `Upsample(mode="bilinear")`
/// without aligned corners.
fn add_enlarged(values: &[f32], from: [usize; 2], sum: &mut [f32], to: [usize; 2], strength: f32) {
    let columns: Vec<Between> = (0..to[1])
        .map(|column| Between::new(column, from[1], to[1]))
        .collect();
    for (row, sum) in sum.chunks_exact_mut(to[1]).enumerate() {
        let rows = Between::new(row, from[0], to[0]);
        for (columns, sum) in columns.iter().zip(sum) {
            let at = |row: usize| columns.mix(|column| values[row * from[1] + column]);
            *sum += rows.mix(at) * strength;
        }
    }
}

/// Two neighbouring places and how much of the second.
struct Between {
    places: [usize; 2],
    second: f32,
}

impl Between {
    /// Where place `index` of `to` lies among `from`, middle over middle.
    fn new(index: usize, from: usize, to: usize) -> Self {
        let place = ((index as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        Self {
            places: [first, (first + 1).min(from - 1)],
            second: place - first as f32,
        }
    }

    fn mix(&self, value: impl Fn(usize) -> f32) -> f32 {
        let [first, second] = self.places.map(value);
        first * (1.0 - self.second) + second * self.second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::{Recorded, tensors};

    #[test]
    fn a_pyramid_of_given_draws_equals_kohyas() {
        let data = tensors("objective/objective.safetensors");
        let factors = Recorded::read().pyramid_factors;
        let pyramid = PyramidNoise {
            iterations: factors.len() as u32,
            discount: 0.4,
        };
        let to = [24, 15];
        let sizes = pyramid.sizes(to, |level| factors[level as usize]);
        let levels: Vec<Level> = (0..sizes.len())
            .map(|level| {
                let name = format!("pyramid.long.level{level}");
                assert_eq!(data.shape(&name), [1, 4, sizes[level][0], sizes[level][1]]);
                Level {
                    size: sizes[level],
                    values: data.values(&name),
                }
            })
            .collect();
        assert_eq!(sizes.len(), 3);
        let found = pyramid.sum(levels.into_iter(), 4, to);
        let expected = data.values("pyramid.long.sum");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            // A few roundings of numbers up to 4.
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn one_level_is_noise_of_the_same_size() {
        let pyramid = PyramidNoise {
            iterations: 1,
            discount: 0.3,
        };
        let found = pyramid.draw(5, 9, [2, 3, 4]);
        assert_eq!(found, normal(Purpose::PyramidNoise, 5, 9, 0, 24));
        assert_ne!(found, pyramid.draw(5, 10, [2, 3, 4]));
    }
}
