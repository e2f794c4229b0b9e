use super::{
    super::python_text::{float, optional},
    Entries,
};

/// Measuring on pictures that were held back from training.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ValidationFacts {
    /// Pictures held back.
    pub images: u64,
    /// Share of the training pictures that was held back; 0 when they come from a folder of their own.
    pub split: f64,
    /// Seed of the choice, when it is another than the run's.
    pub seed: Option<u64>,
    /// Most batches of one measurement, when limited.
    pub max_steps: Option<u64>,
    /// Measured every so many epochs.
    pub every_n_epochs: Option<u64>,
    /// Measured every so many steps.
    pub every_n_steps: Option<u64>,
}

impl ValidationFacts {
    pub(in super::super) fn entries(self) -> Entries {
        let count = |count: Option<u64>| optional(count, |count| count.to_string());
        vec![
            ("max_validation_steps", count(self.max_steps)),
            ("num_validation_images", self.images.to_string()),
            ("validate_every_n_epochs", count(self.every_n_epochs)),
            ("validate_every_n_steps", count(self.every_n_steps)),
            ("validation_seed", count(self.seed)),
            ("validation_split", float(self.split)),
        ]
    }
}
