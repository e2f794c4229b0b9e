use burn::tensor::{Int, Tensor};

/// Everything that one forward pass needs, drawn and on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Scaled latents, `[batch, channels, height, width]`.
    pub latents: Tensor<4>,
    /// Standard normal, of the latents' shape.
    pub noise: Tensor<4>,
    /// Standard normal, `[batch, channels, 1, 1]`; used only where the objective has a noise offset.
    pub noise_offset: Tensor<4>,
    /// One timestep for each item.
    pub timesteps: Vec<usize>,
    /// Token ids, `[batch, chunks, 77]`.
    pub ids: Tensor<3, Int>,
}
