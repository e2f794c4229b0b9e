//! The captions of a folder as lists of tags that are looked through and edited, for the command line and for pages alike.
//!
//! [`CaptionSet`] reads: tags with counts, and pictures by a [`Filter`]. An [`Edit`] of a [`Selection`] is computed whole as
//! [`Changes`] before anything is written. A [`TagEditor`], of which a folder has one at a time, writes them as one
//! transaction that a journal in the folder makes whole or undone, whatever happens on the way, and that can be undone later.
//!
//! What an edit does not touch stays byte for byte: spaces and separators between tags, byte order marks, line ends,
//! further lines.

mod caption;
mod caption_options;
mod caption_set;
mod changes;
mod edit;
mod edit_step;
mod editor;
mod error;
mod filter;
mod history;
mod journal;
mod journal_contents;
mod journal_line;
mod selection;
mod tag_line;
mod transaction;

pub use caption::Caption;
pub use caption_options::CaptionOptions;
pub use caption_set::CaptionSet;
pub use changes::{Change, Changes};
pub use edit::{Edit, Place, SortOrder};
pub use edit_step::EditStep;
pub use editor::{Applied, TagEditor};
pub use error::TagsError;
pub use filter::{Filter, FilterError};
pub use history::{HistoryEntry, history};
pub use selection::Selection;
