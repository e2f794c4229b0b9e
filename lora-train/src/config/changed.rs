//! What a config says beyond the defaults.

use serde::Serialize;

/// The settings of a section that are not at their default, as `key = value` in the order of the keys.
pub fn changed_settings<T: Default + Serialize>(section: &T) -> Vec<String> {
    let table = |section: &T| toml::Table::try_from(section).unwrap_or_default();
    let usual = table(&T::default());
    let changed = table(section).into_iter();
    let changed = changed.filter(|(key, value)| usual.get(key) != Some(value));
    changed
        .map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ObjectiveConfig;

    #[test]
    fn only_what_differs_is_told() {
        assert!(changed_settings(&ObjectiveConfig::default()).is_empty());
        let text =
            "huber_c = 0.1\nloss_type = 'huber'\nweight_table = { by = 'snr', points = [[1, 2]] }";
        let config: ObjectiveConfig = toml::from_str(text).expect("valid");
        let told = changed_settings(&config);
        assert_eq!(told[0], "loss_type = \"huber\"");
        assert_eq!(
            told[1],
            "weight_table = { by = \"snr\", points = [[1.0, 2.0]] }"
        );
        assert_eq!(told.len(), 2);
    }
}
