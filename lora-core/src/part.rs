use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::weights::CheckpointError;

/// A network that can leave the device while it is not needed, and be read again from its checkpoint.
///
/// Reads as the network itself; it is the caller's part to [restore](Self::restore) one that was
/// [released](Self::release) before using it.
pub struct Part<T> {
    network: Option<T>,
    read: Option<Read<T>>,
    hash: Option<Read<Option<[u8; 32]>>>,
}

type Read<T> = Arc<dyn Fn() -> Result<T, CheckpointError> + Send + Sync>;

impl<T> Part<T> {
    /// A network that can be read again by `read`.
    pub(crate) fn reread(
        network: T,
        read: impl Fn() -> Result<T, CheckpointError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            network: Some(network),
            read: Some(Arc::new(read)),
            hash: None,
        }
    }

    /// The same, with a way to hash what it computes with.
    pub(crate) fn hashed(
        self,
        hash: impl Fn() -> Result<Option<[u8; 32]>, CheckpointError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            hash: Some(Arc::new(hash)),
            ..self
        }
    }

    /// A SHA-256 over the network's config, number format and tensors, read anew from where they came from: equal
    /// hashes mean equal results.
    ///
    /// `None` where that is not known: the network is none of a checkpoint, or may have been changed since it was read,
    /// as by adapters.
    ///
    /// # Errors
    /// When the checkpoint cannot be read any more.
    pub fn hash(&self) -> Result<Option<[u8; 32]>, CheckpointError> {
        self.hash.as_ref().map_or(Ok(None), |hash| hash())
    }

    /// Frees the network's memory, unless there is no checkpoint to read it from again.
    pub fn release(&mut self) {
        if self.read.is_some() {
            self.network = None;
        }
    }

    /// Reads a released network again, as it is in the checkpoint: without adapters.
    ///
    /// # Errors
    /// When the checkpoint cannot be read any more.
    pub fn restore(&mut self) -> Result<(), CheckpointError> {
        if let (None, Some(read)) = (&self.network, &self.read) {
            self.network = Some(read()?);
        }
        Ok(())
    }

    /// Whether the network is there.
    pub fn is_present(&self) -> bool {
        self.network.is_some()
    }
}

impl<T> From<T> for Part<T> {
    /// A network that never leaves.
    fn from(network: T) -> Self {
        Self {
            network: Some(network),
            read: None,
            hash: None,
        }
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    /// # Panics
    /// When the network was released.
    fn deref(&self) -> &T {
        let Some(network) = &self.network else {
            panic!("a released network was used before it was restored");
        };
        network
    }
}

impl<T> DerefMut for Part<T> {
    /// # Panics
    /// When the network was released.
    fn deref_mut(&mut self) -> &mut T {
        self.hash = None;
        let Some(network) = &mut self.network else {
            panic!("a released network was used before it was restored");
        };
        network
    }
}

impl<T: Clone> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            read: self.read.clone(),
            hash: self.hash.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Part").field(&self.network).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_network_comes_back_as_it_was_read() {
        let mut part = Part::reread(vec![1, 2], || Ok(vec![1]));
        assert_eq!(*part, [1, 2]);
        part.release();
        assert!(!part.is_present());
        part.restore().unwrap();
        assert_eq!(*part, [1]);
        part.push(5);
        part.restore().unwrap();
        assert_eq!(*part, [1, 5], "what is there is left alone");
    }

    #[test]
    fn a_network_that_may_have_been_changed_has_no_hash() {
        let mut part = Part::reread(vec![1], || Ok(vec![1])).hashed(|| Ok(Some([7; 32])));
        assert_eq!(part.hash().unwrap(), Some([7; 32]));
        assert_eq!(part.clone().hash().unwrap(), Some([7; 32]));
        part.push(2);
        assert_eq!(part.hash().unwrap(), None);
    }

    #[test]
    fn a_network_without_a_checkpoint_stays() {
        let mut part = Part::from(7);
        part.release();
        assert_eq!(*part, 7);
    }
}
