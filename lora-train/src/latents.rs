use burn::tensor::{Device, Tensor, TensorData};
use lora_core::vae::{Posterior, Vae};
use lora_data::{AugmentConfig, DataError, Dataset, Pixels, View};

use crate::{
    Flow, LatentStore,
    config::LatentDraw,
    random::{Purpose, normal_tensor},
};

/// The latent distribution of every picture in its fixed views, computed once: showings of these never run the VAE again.
#[derive(Clone, Debug)]
pub struct LatentCache {
    pictures: Vec<FixedViews>,
    scale: f64,
}

/// A picture as it is and mirrored, where some showings look at it so.
#[derive(Clone, Debug)]
struct FixedViews {
    plain: Option<Moments>,
    flipped: Option<Moments>,
}

/// What the VAE says of one view, with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    /// Of `[1, channels, height, width]`, before the scaling factor.
    pub(crate) posterior: Posterior,
    /// What SDXL is told about the picture's size.
    pub(crate) sizes: [f32; 6],
    /// The weight of each latent's error, `[1, 1, height, width]`; `None` means 1.
    pub(crate) mask: Option<Tensor<4>>,
}

/// Mean and standard deviation of one view's scaled latents, each `[1, channels, height, width]`, with what belongs to
/// them.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    mean: Tensor<4>,
    deviation: Tensor<4>,
    /// What SDXL is told about the picture's size.
    pub(crate) sizes: [f32; 6],
    /// The weight of each latent's error, `[1, 1, height, width]`; `None` means 1.
    pub(crate) mask: Option<Tensor<4>>,
}

impl LatentCache {
    /// Encodes all pictures of `data`, or reads from `disk` what is there; `told` hears after each how many are done
    /// and how many of their views were found on the disk, and may end it, which leaves the rest out.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn compute(
        data: &dyn Dataset,
        vae: &Vae,
        device: &Device,
        disk: Option<&LatentStore>,
        mut told: impl FnMut(usize, usize) -> Flow,
    ) -> Result<Self, DataError> {
        let scale = vae.scaling_factor();
        let mut pictures = Vec::with_capacity(data.entries().len());
        for (index, entry) in data.entries().iter().enumerate() {
            let augment = data
                .subsets()
                .get(entry.subset)
                .map(|subset| &subset.augment);
            let [plain, flipped] = fixed_views(augment.copied().unwrap_or_default());
            let kept = |view: View| {
                let encoded = encoded_once(data, index, &view, vae, device, disk)?;
                Ok(encoded.scaled(scale))
            };
            pictures.push(FixedViews {
                plain: plain.map(kept).transpose()?,
                flipped: flipped.map(kept).transpose()?,
            });
            let found = disk.map_or(0, |disk| disk.count().found);
            if told(index + 1, found).is_break() {
                break;
            }
        }
        Ok(Self { pictures, scale })
    }

    /// The distribution of a view of picture `index`, where it is kept.
    pub(crate) fn get(&self, index: usize, view: &View) -> Option<&Moments> {
        let views = &self.pictures[index];
        match (view.is_fixed(), view.flip) {
            (true, false) => views.plain.as_ref(),
            (true, true) => views.flipped.as_ref(),
            (false, _) => None,
        }
    }

    /// The factor that the latents were multiplied by.
    pub fn scaling_factor(&self) -> f64 {
        self.scale
    }
}

/// The fixed views among those that showings have: plain and mirrored. A random crop is never one.
fn fixed_views(augment: AugmentConfig) -> [Option<View>; 2] {
    let fixed = !augment.random_crop;
    [
        fixed.then(View::plain),
        (fixed && augment.flip).then(View::flipped),
    ]
}

/// What the VAE says of a fixed view: from the disk if it is there, else computed and kept there.
pub(crate) fn encoded_once(
    data: &dyn Dataset,
    index: usize,
    view: &View,
    vae: &Vae,
    device: &Device,
    disk: Option<&LatentStore>,
) -> Result<Encoded, DataError> {
    let compute = || Ok(encode(&data.pixels(index, view)?, vae, device));
    match disk {
        Some(disk) => disk.encoded(data, index, view, compute),
        None => compute(),
    }
}

impl Encoded {
    /// The distribution of the latents as the UNet sees them.
    pub(crate) fn scaled(self, scale: f64) -> Moments {
        Moments {
            mean: self.posterior.mean * scale,
            deviation: (self.posterior.logvar * 0.5).exp() * scale,
            sizes: self.sizes,
            mask: self.mask,
        }
    }
}

impl Moments {
    /// The latents of one showing.
    pub(crate) fn draw(&self, draw: LatentDraw, seed: u64, showing: u64) -> Tensor<4> {
        match draw {
            LatentDraw::Mode => self.mean.clone(),
            LatentDraw::Sample => {
                let noise = normal_tensor(
                    Purpose::Latents,
                    seed,
                    showing,
                    self.shape(),
                    &self.mean.device(),
                );
                self.mean.clone() + self.deviation.clone() * noise
            }
        }
    }

    /// `[channels, height, width]` of the latents.
    pub(crate) fn shape(&self) -> [usize; 3] {
        let [_, channels, height, width] = self.mean.dims();
        [channels, height, width]
    }
}

/// What the VAE says of a picture.
pub(crate) fn encode(pixels: &Pixels, vae: &Vae, device: &Device) -> Encoded {
    let shape = [1, 3, pixels.height as usize, pixels.width as usize];
    let picture = Tensor::from_data(TensorData::new(pixels.data.clone(), shape), device);
    let posterior = vae.encode(picture);
    let [_, _, height, width] = posterior.mean.dims();
    let mask = pixels.mask.as_ref().map(|mask| {
        let values = area_means(mask, pixels.width as usize, [height, width]);
        Tensor::from_data(TensorData::new(values, [1, 1, height, width]), device)
    });
    Encoded {
        posterior,
        sizes: sizes(pixels),
        mask,
    }
}

/// The mean of the pixels that each latent stands for, as PyTorch's `interpolate(mode="area")`: windows from
/// `floor(i · n / m)` to `ceil((i + 1) · n / m)`.
fn area_means(pixels: &[f32], stride: usize, [height, width]: [usize; 2]) -> Vec<f32> {
    let rows = pixels.len() / stride.max(1);
    let window =
        |index: usize, from: usize, to: usize| index * from / to..((index + 1) * from).div_ceil(to);
    let mut means = Vec::with_capacity(height * width);
    for row in 0..height {
        for column in 0..width {
            let (rows, columns) = (window(row, rows, height), window(column, stride, width));
            let count = rows.len() * columns.len();
            let sum: f32 = rows
                .flat_map(|y| columns.clone().map(move |x| pixels[y * stride + x]))
                .sum();
            means.push(sum / count as f32);
        }
    }
    means
}

/// Original height and width, top and left of the crop, target height and width, in pixels: SDXL's size conditioning in
/// diffusers' order.
fn sizes(pixels: &Pixels) -> [f32; 6] {
    let (width, height) = pixels.framing.original;
    let (left, top) = pixels.framing.crop;
    [height, width, top, left, pixels.height, pixels.width].map(|pixels| pixels as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::tensors;

    #[test]
    fn only_views_that_showings_have_are_kept() {
        for flip in [false, true] {
            for random_crop in [false, true] {
                for color in [false, true] {
                    let augment = AugmentConfig {
                        flip,
                        color,
                        random_crop,
                    };
                    let views = fixed_views(augment);
                    let [plain, flipped] = views.map(|view| view.is_some());
                    let shown = (0..200).map(|ordinal| View::draw(&augment, 1, 1, ordinal));
                    let fixed: Vec<View> = shown.filter(View::is_fixed).collect();
                    assert_eq!(plain, fixed.contains(&View::plain()), "{augment:?}");
                    assert_eq!(flipped, fixed.contains(&View::flipped()), "{augment:?}");
                }
            }
        }
    }

    #[test]
    fn masks_are_scaled_as_pytorch_does() {
        let data = tensors("objective/objective.safetensors");
        let found = area_means(&data.values("area.pixels"), 34, [4, 5]);
        for (found, expected) in found.iter().zip(data.values("area.means")) {
            // Sums of some 60 numbers below 1.
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn latents_are_masked_by_the_mean_of_their_pixels() {
        let pixels = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        assert_eq!(area_means(&pixels, 4, [1, 2]), [0.75, 0.0]);
        // Windows of 3 pixels over 2 places overlap in the middle one, as in PyTorch.
        assert_eq!(area_means(&[1.0, 0.0, 1.0], 3, [1, 2]), [0.5, 0.5]);
    }
}
