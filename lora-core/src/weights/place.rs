use std::{ops::Range, path::PathBuf};

/// Where a checkpoint keeps the numbers of one tensor of the diffusers layout.
///
/// The numbers are those of the tensor `key` in `file`, or its rows `rows`; transposed, if it says so. A linear layer
/// that the file keeps as a 1×1 convolution has the same numbers in the same order and needs no mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The safetensors file.
    pub file: PathBuf,
    /// The tensor's name in that file.
    pub key: String,
    /// The rows, along the first dimension, where several tensors are packed into one: query, key and value in
    /// OpenCLIP's `in_proj`.
    pub rows: Option<Range<usize>>,
    /// Whether the file keeps the matrix transposed: OpenCLIP's `text_projection` is `[in, out]`.
    pub transposed: bool,
}
