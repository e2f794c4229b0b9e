//! Making runs again through the public API; the program's tests do so to the byte.

use std::ops::ControlFlow;

use lora_train::{Event, ReproduceError, Reproduction, Trainer};

use crate::config;

#[test]
fn a_run_with_parts_of_ones_own_is_not_made_again_by_its_config_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(folder.path());
    config.preview.every = 0;
    config.train.epochs = 1;
    let silent = &mut |_: &Event<'_>| ControlFlow::Continue(());
    for (name, has_own) in [("plain", false), ("own", true)] {
        config.output.folder = folder.path().join(name);
        let trainer = Trainer::open(config.clone()).expect("a trainer");
        let trainer = if has_own {
            trainer.with_schedule(|_: u64| 0.5)
        } else {
            trainer
        };
        trainer.run(silent).expect("a run");
        let again = folder.path().join(format!("{name} again"));
        match Reproduction::open(&config.output.folder, &again, None) {
            Ok(reproduction) if !has_own => {
                let (outcome, comparison) = reproduction.run(silent).expect("a run");
                assert_eq!(outcome.steps, 3);
                let comparison = comparison.expect("it was not stopped");
                assert!(comparison.equal, "{comparison:?}");
                assert!(comparison.environment.is_empty());
            }
            Err(ReproduceError::OwnParts { .. }) if has_own => {}
            other => panic!("{name}: {:?}", other.err()),
        }
    }
}
