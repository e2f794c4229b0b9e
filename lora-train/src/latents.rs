use burn::tensor::{Device, Tensor, TensorData};
use lora_core::vae::Vae;
use lora_data::{DataError, Dataset, Pixels, View};

use crate::{
    Flow,
    config::LatentDraw,
    random::{Purpose, normal_tensor},
};

/// The latent distribution of every picture, computed once: training never runs the VAE again.
#[derive(Clone, Debug)]
pub struct LatentCache {
    pictures: Vec<Moments>,
}

/// Mean and standard deviation of one picture's scaled latents, each `[1, channels, height, width]`, and its sizes.
#[derive(Clone, Debug)]
struct Moments {
    mean: Tensor<4>,
    deviation: Tensor<4>,
    sizes: [f32; 6],
}

impl LatentCache {
    /// Encodes all pictures of `data`; `told` hears the number done after each and may end it, which leaves
    /// the rest out.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn compute(
        data: &dyn Dataset,
        vae: &Vae,
        device: &Device,
        mut told: impl FnMut(usize) -> Flow,
    ) -> Result<Self, DataError> {
        let scale = vae.scaling_factor();
        let mut pictures = Vec::with_capacity(data.entries().len());
        for index in 0..data.entries().len() {
            let pixels = data.pixels(index, &View::plain())?;
            let shape = [1, 3, pixels.height as usize, pixels.width as usize];
            let sizes = sizes(&pixels);
            let posterior = vae.encode(Tensor::from_data(
                TensorData::new(pixels.data, shape),
                device,
            ));
            pictures.push(Moments {
                mean: posterior.mean * scale,
                deviation: (posterior.logvar * 0.5).exp() * scale,
                sizes,
            });
            if told(index + 1).is_break() {
                break;
            }
        }
        Ok(Self { pictures })
    }

    /// The latents of picture `index` at one showing.
    pub(crate) fn draw(
        &self,
        index: usize,
        draw: LatentDraw,
        seed: u64,
        showing: u64,
    ) -> Tensor<4> {
        let Moments {
            mean, deviation, ..
        } = &self.pictures[index];
        match draw {
            LatentDraw::Mode => mean.clone(),
            LatentDraw::Sample => {
                let [_, channels, height, width] = mean.dims();
                let shape = [channels, height, width];
                let noise = normal_tensor(Purpose::Latents, seed, showing, shape, &mean.device());
                mean.clone() + deviation.clone() * noise
            }
        }
    }

    /// What SDXL is told about the size of picture `index`.
    pub(crate) fn sizes(&self, index: usize) -> [f32; 6] {
        self.pictures[index].sizes
    }

    /// `[channels, height, width]` of the latents.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.pictures.first().map_or([0; 3], |moments| {
            let [_, channels, height, width] = moments.mean.dims();
            [channels, height, width]
        })
    }
}

/// Original height and width, top and left of the crop, target height and width, in pixels: SDXL's size conditioning in
/// diffusers' order.
fn sizes(pixels: &Pixels) -> [f32; 6] {
    let (width, height) = pixels.framing.original;
    let (left, top) = pixels.framing.crop;
    [height, width, top, left, pixels.height, pixels.width].map(|pixels| pixels as f32)
}
