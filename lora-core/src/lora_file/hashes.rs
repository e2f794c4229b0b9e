//! The hashes by which other programs recognise models and LoRA files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::layout::Layout;

/// The 64 KiB at 1 MiB that the old, short hash of web interfaces looks at.
const LEGACY_RANGE: Range<usize> = 0x10_0000..0x11_0000;
/// How many hexadecimal digits of that hash are used.
const LEGACY_DIGITS: usize = 8;

/// Both hashes of a model's file: of a base model for `ss_sd_model_hash` and `ss_new_sd_model_hash`, of a VAE for
/// `ss_vae_hash` and `ss_new_vae_hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelHashes {
    /// First 8 digits of the SHA-256 of the 64 KiB at 1 MiB.
    pub legacy: String,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
}

impl ModelHashes {
    /// Reads the whole file at `path` once, in blocks.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn of_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut block = vec![0; 1 << 20];
        let (mut whole, mut legacy) = (Sha256::new(), Slice::new(LEGACY_RANGE));
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                break;
            }
            whole.update(&block[..read]);
            legacy.update(&block[..read]);
        }
        Ok(Self {
            legacy: legacy_digits(legacy),
            sha256: hexadecimal(whole),
        })
    }
}

/// `sshs_model_hash` and `sshs_legacy_hash` of a LoRA file.
///
/// As in sd-scripts, the legacy hash is that of a file with the `ss_*` entries of the metadata only.
pub(super) fn of(
    layout: &Layout,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> serde_json::Result<(String, String)> {
    let metadata = metadata
        .into_iter()
        .filter(|(key, _)| key.starts_with("ss_"))
        .collect();
    let header = layout.header(&metadata)?;
    let file = std::iter::once(header.as_slice()).chain(layout.data());
    Ok((model_hash(layout.data()), legacy_hash(file)))
}

/// `sshs_model_hash`: SHA-256 of the tensors' bytes in file order. Metadata can be edited without changing it.
fn model_hash<'a>(data: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    data.for_each(|bytes| hash.update(bytes));
    hexadecimal(hash)
}

/// `sshs_legacy_hash`, of a file given in pieces.
fn legacy_hash<'a>(file: impl Iterator<Item = &'a [u8]>) -> String {
    let mut slice = Slice::new(LEGACY_RANGE);
    file.for_each(|bytes| slice.update(bytes));
    legacy_digits(slice)
}

/// The hash of a range of a stream; of nothing, where the stream ends before it.
struct Slice {
    range: Range<usize>,
    position: usize,
    hash: Sha256,
}

impl Slice {
    fn new(range: Range<usize>) -> Self {
        Self {
            range,
            position: 0,
            hash: Sha256::new(),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        let within = |place: usize| place.saturating_sub(self.position).min(bytes.len());
        self.hash
            .update(&bytes[within(self.range.start)..within(self.range.end)]);
        self.position += bytes.len();
    }
}

fn legacy_digits(slice: Slice) -> String {
    let mut digits = hexadecimal(slice.hash);
    digits.truncate(LEGACY_DIGITS);
    digits
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::Dtype;

    use super::super::layout::EncodedTensor;
    use super::*;

    const VECTORS: &str = include_str!("../../../testdata/golden/lora/hash_vectors.json");

    fn tensors(n: usize) -> Vec<EncodedTensor> {
        let halves = (0..n).flat_map(|i| half::f16::from_f32((i % 997) as f32).to_le_bytes());
        let singles = (0..7u8).flat_map(|i| f32::from(i).to_le_bytes());
        let tensor = |name: &str, dtype, shape: &[usize], bytes| EncodedTensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            bytes,
        };
        let four = half::f16::from_f32(4.0).to_le_bytes().to_vec();
        vec![
            tensor(
                "lora_unet_b.lora_down.weight",
                Dtype::F16,
                &[n],
                halves.collect(),
            ),
            tensor("lora_unet_a.alpha", Dtype::F16, &[], four),
            tensor(
                "lora_unet_a.lora_up.weight",
                Dtype::F32,
                &[7],
                singles.collect(),
            ),
        ]
    }

    #[test]
    fn layout_and_hashes_are_those_of_sd_scripts() {
        let golden: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        for vector in golden["vectors"].as_array().unwrap() {
            let layout = Layout::new(tensors(vector["n"].as_u64().unwrap() as usize));
            let metadata = BTreeMap::from([("ss_network_dim".to_owned(), "4".to_owned())]);
            let header = layout.header(&metadata).unwrap();

            assert_eq!(
                header[..8],
                vector["header_bytes"].as_u64().unwrap().to_le_bytes()
            );
            let json = std::str::from_utf8(&header[8..]).unwrap();
            assert_eq!(json.trim_end(), vector["header"].as_str().unwrap());
            assert_eq!(
                model_hash(layout.data()),
                vector["sshs_model_hash"].as_str().unwrap()
            );
            let file = std::iter::once(header.as_slice()).chain(layout.data());
            assert_eq!(
                legacy_hash(file),
                vector["sshs_legacy_hash"].as_str().unwrap()
            );
        }
    }

    #[test]
    fn a_slice_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..=255).collect();
        let hash = |size| {
            let mut slice = Slice::new(10..100);
            bytes.chunks(size).for_each(|piece| slice.update(piece));
            hexadecimal(slice.hash)
        };
        let expected = hexadecimal(Sha256::new_with_prefix(&bytes[10..100]));
        for size in [1, 7, 10, 64, 90, 256] {
            assert_eq!(hash(size), expected);
        }
    }
}
