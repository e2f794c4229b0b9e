use burn::tensor::Tensor;

/// Walks from noise to latents in a fixed number of steps, once.
///
/// A sampler may remember earlier steps: build a new one for each walk, and take its steps in order.
pub trait Sampler {
    /// The timestep of each step.
    fn timesteps(&self) -> &[f32];

    /// What standard normal noise is multiplied by to start.
    fn initial_scale(&self) -> f64 {
        1.0
    }

    /// The latents as the network is to see them at step `index`.
    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        let _ = index;
        latents
    }

    /// Whether [`Self::step`] adds fresh noise at step `index`.
    fn needs_noise(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// The latents after step `index`.
    ///
    /// `prediction` is the network's answer to the scaled latents; `noise` is standard normal, given where it is
    /// [needed](Self::needs_noise).
    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4>;
}
