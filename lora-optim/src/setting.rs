//! A setting that no optimiser or schedule can be built with.

/// A number of a config that lies outside its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{setting}` must be {expected}, found {found}")]
pub struct SettingError {
    /// The setting's name in the config file.
    pub setting: &'static str,
    /// The range it must lie in, in words.
    pub expected: &'static str,
    /// Its value.
    pub found: f64,
}

/// A problem if `found` is not `valid`.
pub(crate) fn require(
    valid: bool,
    setting: &'static str,
    expected: &'static str,
    found: f64,
) -> Option<SettingError> {
    (!valid).then_some(SettingError {
        setting,
        expected,
        found,
    })
}

/// The problems among `checks`, or `built` if there are none.
pub(crate) fn build<T>(
    problems: Vec<SettingError>,
    built: impl FnOnce() -> T,
) -> Result<T, Vec<SettingError>> {
    if problems.is_empty() {
        Ok(built())
    } else {
        Err(problems)
    }
}
