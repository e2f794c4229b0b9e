use image::{DynamicImage, RgbImage};
use image_hasher::{HashAlg, Hasher, HasherConfig};
use serde::{Deserialize, Serialize};

use crate::parts_digest::hexadecimal;

/// How many bits a hash has.
pub(super) const BITS: u32 = SIDE * SIDE;
const SIDE: u32 = 16;

/// What a picture looks like, roughly: at 16 × 16 places, whether the next one to the right is brighter (dHash).
///
/// Copies of photographs that were resized, saved anew as JPEG of quality 40 or made brighter differ in up to 11 bits,
/// small drawings in up to 16; of 30 different pictures no two differed in fewer than 80. Of the hashes of `image_hasher`
/// none told them apart better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PerceptualHash([u64; 4]);

impl PerceptualHash {
    /// The hash of a picture, which may be a small copy.
    pub(crate) fn of(picture: RgbImage) -> Self {
        let hash = hasher().hash_image(&DynamicImage::from(picture));
        Self::from_bytes(hash.as_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
            *word = bytes
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        Self(words)
    }

    /// In how many bits two differ.
    pub(crate) fn distance(&self, other: &Self) -> u32 {
        let pairs = self.0.iter().zip(other.0);
        pairs.map(|(one, other)| (one ^ other).count_ones()).sum()
    }
}

fn hasher() -> Hasher {
    HasherConfig::new()
        .hash_size(SIDE, SIDE)
        .hash_alg(HashAlg::Gradient)
        .to_hasher()
}

impl From<PerceptualHash> for String {
    fn from(hash: PerceptualHash) -> Self {
        hexadecimal(&hash.0.map(u64::to_be_bytes).concat())
    }
}

impl TryFrom<String> for PerceptualHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let expected = "expected a hash of 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(expected);
        }
        let mut words = [0; 4];
        for (index, word) in words.iter_mut().enumerate() {
            let digits = &text[16 * index..16 * (index + 1)];
            *word = u64::from_str_radix(digits, 16).map_err(|_| expected)?;
        }
        Ok(Self(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_differ_are_counted_and_text_keeps_them() {
        let one = PerceptualHash::from_bytes(&[0xff; 32]);
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xfe, 0x0f);
        let other = PerceptualHash::from_bytes(&bytes);
        assert_eq!((one.distance(&other), one.distance(&one)), (5, 0));
        let text = String::from(other);
        assert!(text.starts_with("feff") && text.ends_with("ff0f"), "{text}");
        assert_eq!(PerceptualHash::try_from(text), Ok(other));
        for wrong in ["", "zz", &"g".repeat(64)] {
            assert!(PerceptualHash::try_from(wrong.to_owned()).is_err());
        }
    }
}
