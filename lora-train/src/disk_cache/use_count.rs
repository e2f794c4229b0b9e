use std::cell::Cell;

use serde::Serialize;

/// How often a cache had what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UseCount {
    /// Entries that were there.
    pub found: usize,
    /// Entries that were computed and kept.
    pub made: usize,
}

/// Counts through a shared reference.
#[derive(Debug, Default)]
pub(super) struct Counter(Cell<UseCount>);

impl Counter {
    pub(super) fn found(&self) {
        let count = self.0.get();
        self.0.set(UseCount {
            found: count.found + 1,
            ..count
        });
    }

    pub(super) fn made(&self) {
        let count = self.0.get();
        self.0.set(UseCount {
            made: count.made + 1,
            ..count
        });
    }

    pub(super) fn get(&self) -> UseCount {
        self.0.get()
    }
}
