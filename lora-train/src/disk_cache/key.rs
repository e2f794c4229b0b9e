use std::fmt;

use sha2::{Digest, Sha256};

/// Counts up whenever the same inputs give other numbers, or an entry is laid out anew.
const VERSION: u32 = 1;

/// The name of an entry: a hash of everything that its numbers depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hashes the parts of a [`Key`]; a copy that has some of them can be gone on with many times.
#[derive(Clone, Debug)]
pub(crate) struct KeyMaker(Sha256);

impl KeyMaker {
    /// A key of `purpose`, in this version.
    pub(crate) fn new(purpose: &str) -> Self {
        Self(Sha256::new())
            .with(VERSION.to_le_bytes())
            .with(purpose)
    }

    /// Adds a part. Its length goes before it, so that no two lists of parts read the same.
    pub(crate) fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    pub(crate) fn finish(self) -> Key {
        Key(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_one_another() {
        let key = |parts: &[&str]| {
            let maker = KeyMaker::new("test");
            parts.iter().fold(maker, KeyMaker::with).finish()
        };
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["ab", "c"]), key(&["abc"]));
        assert_eq!(key(&[]).to_string().len(), 64);
    }
}
