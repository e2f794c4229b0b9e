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

/// The problems of decay rates of running means.
pub(crate) fn betas(values: &[f64]) -> Vec<SettingError> {
    let problem = |beta: &f64| {
        require(
            (0.0..1.0).contains(beta),
            "betas",
            "at least 0 and below 1",
            *beta,
        )
    };
    values.iter().filter_map(problem).collect()
}

/// A problem if `value` is negative or no finite number.
pub(crate) fn not_negative(setting: &'static str, value: f64) -> Vec<SettingError> {
    let valid = value >= 0.0 && value.is_finite();
    require(valid, setting, "0 or above", value)
        .into_iter()
        .collect()
}

/// A problem if `value` is not a finite number above 0.
pub(crate) fn positive(setting: &'static str, value: f64) -> Vec<SettingError> {
    let valid = value > 0.0 && value.is_finite();
    require(valid, setting, "above 0", value)
        .into_iter()
        .collect()
}

/// A problem if `value` is not from 0 to below 1.
pub(crate) fn part(setting: &'static str, value: f64) -> Vec<SettingError> {
    let valid = (0.0..1.0).contains(&value);
    require(valid, setting, "at least 0 and below 1", value)
        .into_iter()
        .collect()
}

/// A problem if there is a `factor` that would let nothing grow.
pub(crate) fn growth(setting: &'static str, factor: Option<f64>) -> Vec<SettingError> {
    factor
        .filter(|factor| !(*factor > 1.0 && factor.is_finite()))
        .and_then(|factor| require(false, setting, "above 1", factor))
        .into_iter()
        .collect()
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
