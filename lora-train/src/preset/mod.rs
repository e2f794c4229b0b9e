//! Settings to begin with: kinds of subjects, families of base models, amounts of memory; and run files made of them.

mod comparison;
mod kind;
mod picture_survey;
mod run_file_text;
mod setting_words;
mod starting_point;
mod subject;

pub use comparison::ComparedSetting;
pub use kind::Preset;
pub use picture_survey::PictureSurvey;
pub use run_file_text::RunFileText;
pub use setting_words::{SettingWords, setting_words};
pub use starting_point::StartingPoint;
pub use subject::Subject;

pub(crate) use run_file_text::written;
