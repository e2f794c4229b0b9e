//! Grids: what changes from cell to cell in any two or three respects, and nothing else.
//!
//! [`GridRequest`] (axes, files, prompts) → [`GridCells`] (checked, every cell worked out) → [`GridPlan`] (each picture
//! once, named by a digest of all that decides it) → [`CellFolder`] (what is there is not drawn again) → sheets and page of
//! [`crate::picture`]. Only one batch of pictures is in memory at a time, however large the grid.

mod axis;
mod cell_folder;
mod drawer;
mod drawing;
mod drawing_loop;
#[cfg(test)]
mod example;
mod files;
mod fingerprint;
mod grids;
mod level;
mod plan;
mod request;
mod request_error;
mod saved_files;
mod values;

pub use axis::{Axis, AxisError};
pub use cell_folder::{CellFolder, CellFolderError};
pub use drawer::{DrawError, Drawer, ModelDrawer};
pub use drawing::Drawing;
pub use drawing_loop::{GridError, GridProgress};
pub(crate) use files::write_sheet;
pub use files::{GridFiles, cells_of};
pub use fingerprint::{FingerprintError, Fingerprints};
pub use plan::{GridPlan, SheetPlan};
pub use request::{GridCells, GridRequest, LoraUse, STRENGTHS};
pub use request_error::RequestError;
pub use saved_files::{SavedFile, SavedFiles, SavedFilesError};
pub use values::ValuesError;
