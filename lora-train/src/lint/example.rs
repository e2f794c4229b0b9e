//! Datasets for the tests of rules.

use std::num::NonZeroUsize;

use lora_data::{DataError, Pixels, Resolution, View};

use super::*;

/// Pictures that nobody decodes.
pub(crate) struct Pictures(pub(crate) Vec<Entry>);

impl Dataset for Pictures {
    fn entries(&self) -> &[Entry] {
        &self.0
    }

    fn pixels(&self, _: usize, _: &View) -> Result<Pixels, DataError> {
        unreachable!("rules look at no pixels")
    }
}

/// One picture of 512 × 512 for each caption.
pub(crate) fn captioned(captions: &[&str]) -> Pictures {
    let entry = |(number, caption): (usize, &&str)| Entry {
        image: format!("{number}.png").into(),
        caption: (*caption).to_owned(),
        folder: "set".to_owned(),
        repeats: 1,
        size: (512, 512),
        target: Resolution::square(512),
        subset: 0,
    };
    Pictures(captions.iter().enumerate().map(entry).collect())
}

/// Settings with a trigger word.
pub(crate) fn settings() -> TrainConfig {
    let mut config = TrainConfig::default();
    config.output.trigger = "sks dog".to_owned();
    config.train.batch_size = NonZeroUsize::MIN;
    config
}

/// The names of the rules that find something, with the files they name.
pub(crate) fn found(config: &TrainConfig, data: &Pictures) -> Vec<(&'static str, Option<String>)> {
    lint(config, data, &Tokenizer::clip())
        .into_iter()
        .filter(|finding| finding.rule != "few-pictures")
        .map(|finding| {
            let path = finding.path.map(|path| path.display().to_string());
            (finding.rule, path)
        })
        .collect()
}
