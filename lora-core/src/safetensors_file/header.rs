//! The JSON header of a safetensors file.

use std::{collections::BTreeMap, fmt};

use safetensors::{Dtype, tensor::TensorInfo};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

/// The longest name of a tensor that is read, in bytes: five times those of the deepest models.
const MAX_NAME_BYTES: usize = 1000;
/// The key that is no tensor.
const METADATA: &str = "__metadata__";

/// Tensors whose descriptions contradict one another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutProblem {
    /// The offsets of a tensor do not span as many bytes as its type and shape need.
    #[error("{key}, {dtype} of shape {shape:?}, cannot lie in bytes {start}..{end}")]
    Size {
        /// The tensor.
        key: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// Where it begins after the header.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// Two tensors share bytes.
    #[error("{key} begins at byte {start}, before the end of {before} at {end}")]
    Overlap {
        /// The later tensor.
        key: String,
        /// Where it begins after the header.
        start: usize,
        /// The earlier tensor.
        before: String,
        /// Where that ends.
        end: usize,
    },
    /// No tensor uses the bytes before this one, which the format forbids.
    #[error("{key} begins at byte {start}, and no tensor uses the bytes from {end} to there")]
    Hole {
        /// The tensor after the hole.
        key: String,
        /// Where it begins after the header.
        start: usize,
        /// Where the hole begins.
        end: usize,
    },
}

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// The free texts.
    pub(super) metadata: BTreeMap<String, String>,
    /// Type, shape and place of each tensor.
    pub(super) tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// The tensors in the order of their bytes.
    pub(super) fn in_order(&self) -> Vec<(&str, &TensorInfo)> {
        let named = |(name, info)| (String::as_str(name), info);
        let mut tensors: Vec<_> = self.tensors.iter().map(named).collect();
        // A tensor without elements may stand at the start of another, and comes before it.
        tensors.sort_by_key(|(_, info)| info.data_offsets);
        tensors
    }

    /// Checks that the tensors lie one behind the other from byte 0, as the format asks, and gives their length in
    /// bytes.
    ///
    /// # Errors
    /// The first tensor that does not.
    pub(super) fn check(&self) -> Result<usize, LayoutProblem> {
        let mut before = "";
        let mut reached = 0;
        for (key, info) in self.in_order() {
            let (start, end) = info.data_offsets;
            if byte_len(info).is_none_or(|len| start.checked_add(len) != Some(end)) {
                return Err(LayoutProblem::Size {
                    key: key.to_owned(),
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start,
                    end,
                });
            }
            if start < reached {
                return Err(LayoutProblem::Overlap {
                    key: key.to_owned(),
                    start,
                    before: before.to_owned(),
                    end: reached,
                });
            }
            if start > reached {
                return Err(LayoutProblem::Hole {
                    key: key.to_owned(),
                    start,
                    end: reached,
                });
            }
            (before, reached) = (key, end);
        }
        Ok(reached)
    }
}

/// Bytes of a tensor's elements; `None` where they are no whole bytes or more than can be counted.
fn byte_len(info: &TensorInfo) -> Option<usize> {
    let elements = info
        .shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))?;
    let bits = elements.checked_mul(info.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// The beginning of a message: what it quotes from a hostile header can be megabytes long.
fn shortened(mut message: String) -> String {
    const LONGEST: usize = 400;
    if let Some((end, _)) = message.char_indices().nth(LONGEST) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// Not derived, so that errors name the tensor, and one that is described twice is an error instead of the last word.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;

        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key.len() > MAX_NAME_BYTES {
                        let text = format!("a tensor's name of {} bytes: {key}", key.len());
                        return Err(A::Error::custom(shortened(text)));
                    }
                    let of_key = |error| A::Error::custom(shortened(format!("{key}: {error}")));
                    if key == METADATA {
                        let metadata: Option<_> = map.next_value().map_err(of_key)?;
                        header.metadata = metadata.unwrap_or_default();
                        continue;
                    }
                    let info = map.next_value().map_err(of_key)?;
                    if header.tensors.insert(key.clone(), info).is_some() {
                        return Err(A::Error::custom(shortened(format!(
                            "{key} is described twice"
                        ))));
                    }
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(Tensors)
    }
}
