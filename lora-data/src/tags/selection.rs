use super::CaptionSet;

/// Some of the pictures of a [`CaptionSet`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Places in the set, in order, each once.
    indices: Vec<usize>,
}

impl Selection {
    /// The pictures at these places of [`CaptionSet::captions`].
    pub fn new(mut indices: Vec<usize>) -> Self {
        indices.sort_unstable();
        indices.dedup();
        Self { indices }
    }

    /// All pictures.
    pub fn all(set: &CaptionSet) -> Self {
        Self::new((0..set.captions().len()).collect())
    }

    /// The places of the pictures, in order.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Those of these that are among the others too.
    pub fn and(mut self, other: &Self) -> Self {
        self.indices
            .retain(|index| other.indices.binary_search(index).is_ok());
        self
    }
}
