use std::fmt;

use serde::{Deserialize, Serialize};

/// The size in pixels that pictures are trained at.
///
/// A config writes a square as `512` and any other as `[width, height]`, as in `[512, 768]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Resolution {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Resolution {
    /// A square of `side` × `side` pixels.
    pub const fn square(side: u32) -> Self {
        Self {
            width: side,
            height: side,
        }
    }
}

impl Default for Resolution {
    /// What Stable Diffusion 1.x was trained at.
    fn default() -> Self {
        Self::square(512)
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a side in pixels, as 512, or [width, height], as [512, 768]"
)]
enum Written {
    Side(u32),
    Sides([u32; 2]),
}

impl From<Written> for Resolution {
    fn from(written: Written) -> Self {
        match written {
            Written::Side(side) => Self::square(side),
            Written::Sides([width, height]) => Self { width, height },
        }
    }
}

impl From<Resolution> for Written {
    fn from(Resolution { width, height }: Resolution) -> Self {
        if width == height {
            Self::Side(width)
        } else {
            Self::Sides([width, height])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_one_number_or_as_two() {
        for (text, resolution) in [
            ("512", Resolution::square(512)),
            (
                "[512,768]",
                Resolution {
                    width: 512,
                    height: 768,
                },
            ),
        ] {
            assert_eq!(
                serde_json::from_str::<Resolution>(text).unwrap(),
                resolution
            );
            assert_eq!(serde_json::to_string(&resolution).unwrap(), text);
        }
    }

    #[test]
    fn anything_else_says_what_was_expected() {
        let error = serde_json::from_str::<Resolution>("\"large\"").unwrap_err();
        assert!(error.to_string().contains("[width, height]"), "{error}");
    }
}
