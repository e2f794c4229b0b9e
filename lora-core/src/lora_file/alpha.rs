//! The one number of an alpha tensor.

use safetensors::Dtype;

use super::LoraProblem;
use crate::safetensors_file::RawTensor;

/// Reads an alpha of any shape with one element, such as `[]` or, from some trainers, `[1]`.
///
/// sd-scripts stores what its command line gave it, so an alpha may also be a whole number or of 64 bits.
///
/// # Errors
/// [`LoraProblem::Alpha`] for another number of elements, [`LoraProblem::AlphaDtype`] for a type that holds no such number.
pub(super) fn alpha(stored: &RawTensor, key: &str) -> Result<f32, LoraProblem> {
    if stored.shape.iter().product::<usize>() != 1 {
        return Err(LoraProblem::Alpha {
            key: key.to_owned(),
            found: format!("of shape {:?}", stored.shape),
        });
    }
    number(stored).ok_or_else(|| LoraProblem::AlphaDtype {
        key: key.to_owned(),
        dtype: stored.dtype,
    })
}

/// The first element, rounded to f32.
fn number(stored: &RawTensor) -> Option<f32> {
    let bytes = stored.bytes.as_slice();
    let wide = match stored.dtype {
        Dtype::F64 => f64::from_le_bytes(bytes.try_into().ok()?),
        Dtype::I64 => i64::from_le_bytes(bytes.try_into().ok()?) as f64,
        Dtype::U64 => u64::from_le_bytes(bytes.try_into().ok()?) as f64,
        Dtype::I32 => f64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        Dtype::U32 => f64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        Dtype::I16 => f64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        Dtype::U16 => f64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
        Dtype::I8 => f64::from(i8::from_le_bytes(bytes.try_into().ok()?)),
        Dtype::U8 => f64::from(*bytes.first()?),
        _ => return stored.to_f32()?.first().copied(),
    };
    Some(wide as f32)
}
