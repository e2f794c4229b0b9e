//! What a person looks at to judge a run: the comparison grid, the loss curve, the film strip of previews, and the
//! HTML pages that hold them. Every function returns pixels or bytes, or writes where the caller says.
//!
//! Text inside pictures is set in DejaVu Sans, which knows Latin, Greek, Cyrillic and more, but no Chinese, Japanese
//! or Korean: such characters appear there as empty boxes. The HTML pages carry the true text and use the reader's
//! fonts.

mod canvas;
mod chart;
mod choosing_chart;
mod contact_sheet;
mod contact_words;
pub mod curve;
mod data_uri;
pub mod film_strip;
pub mod grid;
mod label;
mod layout;
pub mod page;
mod palette;
pub mod png;
mod rate_chart;
mod series;
pub mod sheet;
mod smooth;
mod stroke;
mod surface;
mod tile;
mod timestep_chart;
mod typeface;

pub use choosing_chart::ChoosingChart;
pub use contact_sheet::write_contact_sheet;
pub use curve::{CurveError, LossCurve};
pub use film_strip::{FilmStrip, Frame};
pub use grid::{CellError, Grid, GridPicture};
pub use page::{PageError, Report, contact_page, grid_page, plan_page, report_page};
pub use png::PngError;
pub use rate_chart::RateChart;
pub use sheet::{SheetError, SheetFacts, SheetLimits};
pub use timestep_chart::TimestepChart;
