use super::Target;

/// How strongly a LoRA file is applied, for each side of the model: A1111's `<lora:name:text:unet>`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// To the text encoders.
    pub text: f32,
    /// To the UNet.
    pub unet: f32,
}

impl Strength {
    /// Whether it leaves the model as it is.
    pub fn is_off(self) -> bool {
        self.text.abs() < f32::EPSILON && self.unet.abs() < f32::EPSILON
    }

    /// To the layers of `target`.
    pub fn of(self, target: Target) -> f32 {
        match target {
            Target::TextEncoder | Target::TextProjection => self.text,
            Target::Attention | Target::Convolution | Target::OutsideTheBlocks => self.unet,
        }
    }
}

impl From<f32> for Strength {
    fn from(both: f32) -> Self {
        Self {
            text: both,
            unet: both,
        }
    }
}
