use safetensors::Dtype;

/// Why nothing can be added to a weight of a base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeightFault {
    /// Its numbers are of another kind.
    #[error("stored as {dtype}; only F32, F16 and BF16 weights can be merged into")]
    Dtype {
        /// How it is stored.
        dtype: Dtype,
    },
    /// A number of the base model is none.
    #[error("the base model itself holds infinite values or NaN there")]
    Base,
    /// A number of a LoRA is none, or too large for f32.
    #[error("a LoRA's correction of it is infinite or NaN")]
    Lora,
    /// A sum is too large.
    #[error("a merged value is more than {dtype} can hold; use lower strengths")]
    Overflow {
        /// How the weight is stored.
        dtype: Dtype,
    },
}
