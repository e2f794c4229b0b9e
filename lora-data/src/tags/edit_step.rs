/// How far an edit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditStep {
    /// The journal holds all of it; from now on nothing can be lost.
    Recorded,
    /// So many of the caption files are written.
    Written {
        /// Files written.
        done: usize,
        /// Files of the edit.
        total: usize,
    },
    /// The journal says that it is done.
    Finished,
}
