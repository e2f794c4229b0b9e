//! Runs with each form of adapters.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel, ModelSource,
    adapter::{LoraSpec, SpecError},
    lora_file::{AdapterKind, FileDtype, LoraFile},
    lora_tools::Norms,
};
use lora_train::{Event, TrainError, Trainer, config::TrainConfig};

use crate::{config, run, tiny};

const ALL: &str = "targets = ['text-encoder', 'attention', 'convolution']";

/// Three steps of the tiny model.
fn with(folder: &Path, lora: &str) -> TrainConfig {
    let mut config = config(folder);
    let text = format!("rank = 2\nalpha = 2.0\n{lora}");
    config.lora = toml::from_str::<LoraSpec>(&text).expect("a spec");
    config.train.epochs = 1;
    (config.train.unet_lr, config.train.text_lr) = (1e-2, 1e-2);
    config.preview.prompts.clear();
    config.output.folder = folder.join("out");
    config.output.overwrite = true;
    config
}

fn trained(config: &TrainConfig) -> LoraFile {
    run(config.clone(), &mut |_: &Event<'_>| {
        ControlFlow::Continue(())
    });
    LoraFile::read_any(config.output.folder.join("thing.safetensors")).expect("a file")
}

fn bare() -> BaseModel {
    BaseModel::load(&ModelSource::new(tiny()), &Device::flex()).expect("a model")
}

type Values = BTreeMap<String, Vec<f32>>;

fn values(model: &mut BaseModel) -> Values {
    let factors = model.factors().into_iter();
    let values = |matrix: Tensor<2>| matrix.into_data().iter::<f32>().collect();
    factors.map(|(key, matrix)| (key, values(matrix))).collect()
}

/// The matrices of a file's modules as they are in a model.
fn end(file: &LoraFile) -> Values {
    let mut model = bare();
    model.attach(file, 1.0, &Device::flex()).expect("it fits");
    values(&mut model)
}

/// The matrices that a run begins with.
fn start(config: &TrainConfig) -> Values {
    let mut model = bare();
    let (spec, seed) = (config.adapters(), config.train.seed);
    model
        .inject(&spec, seed, &Device::flex())
        .expect("a good spec");
    values(&mut model)
}

/// The middle of a network sees pictures of this size as one pixel, which need not choose where to look.
fn learns(key: &str) -> bool {
    let chooses = key.contains("attn1_to_q.") || key.contains("attn1_to_k.");
    !(chooses && key.contains("mid_block"))
}

#[test]
fn every_form_trains_all_of_its_matrices_and_is_told_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (lora, kind) in [
        ("algorithm = 'loha'", AdapterKind::LoHa),
        ("algorithm = 'lokr'", AdapterKind::LoKr),
        (
            "algorithm = 'lokr'\ndecompose_both = true\nfactor = 4",
            AdapterKind::LoKr,
        ),
        ("dora = true", AdapterKind::Dora),
        ("algorithm = 'loha'\ndora = true", AdapterKind::Dora),
    ] {
        let config = with(folder.path(), &format!("{lora}\n{ALL}"));
        let file = trained(&config);
        assert!(file.modules.is_empty(), "{lora}");
        assert!(file.lycoris.len() > 200, "{lora}");
        let sound = |module: &lora_core::lora_file::LycorisModule| {
            module.kind() == kind && module.is_finite()
        };
        assert!(file.lycoris.values().all(sound), "{lora}");
        assert_eq!(file.metadata["ss_network_module"], "lycoris.kohya");
        let (start, end) = (start(&config), end(&file));
        assert!(start.keys().eq(end.keys()), "{lora}");
        for (key, before) in start.into_iter().filter(|(key, _)| learns(key)) {
            assert_ne!(before, end[&key], "{lora}: {key}");
        }
    }
}

#[test]
fn frozen_down_factors_stay_as_they_were_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(folder.path(), "freeze_down = true");
    let end = end(&trained(&config));
    for (key, before) in start(&config).into_iter().filter(|(key, _)| learns(key)) {
        let is_down = key.ends_with("lora_down.weight");
        assert_eq!(before == end[&key], is_down, "{key}");
    }
}

#[test]
fn a_start_at_principal_components_saves_what_was_learnt_at_twice_the_rank() {
    let folder = tempfile::tempdir().unwrap();
    let file = trained(&with(folder.path(), "start = 'pissa'"));
    let mut modules = file.modules.values();
    assert!(modules.all(|module| (module.rank(), module.alpha) == (4, 4.0)));
    assert_eq!(file.metadata["ss_network_dim"], "4");
    assert_eq!(file.metadata["ss_network_alpha"], "4.0");
    // As far as three steps at this rate go, and not as far as the weights themselves.
    let total = Norms::of(&file).total();
    assert!((1e-3..10.0).contains(&total), "{total}");
}

/// At a rate of next to nothing the second run's files change what the first one's do, whatever its alpha.
#[test]
fn a_run_goes_on_from_the_matrices_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.safetensors");
    for lora in [
        "",
        "algorithm = 'loha'",
        "algorithm = 'lokr'",
        "dora = true",
    ] {
        let mut config = with(folder.path(), lora);
        config.output.dtype = FileDtype::F32;
        let file = trained(&config);
        fs::copy(config.output.folder.join("thing.safetensors"), &first).unwrap();
        config.lora.from = Some(first.clone());
        config.lora.alpha = 1.0;
        (config.train.unet_lr, config.train.text_lr) = (1e-12, 1e-12);
        let again = trained(&config);
        let (before, after) = (Norms::of(&file), Norms::of(&again));
        assert!(before.total() > 1e-3 && before.modules.len() == after.modules.len());
        for (before, after) in before.modules.iter().zip(&after.modules) {
            assert_eq!(before.module, after.module);
            let off = (before.norm - after.norm).abs() / before.norm;
            assert!(off < 1e-5, "{lora}: {} {off:e}", before.module);
        }
        for (key, before) in end(&file)
            .into_iter()
            .filter(|(key, _)| key.ends_with("lora_down.weight"))
        {
            let after = &end(&again)[&key];
            let off = before
                .iter()
                .zip(after)
                .map(|(one, other)| (one - other).abs());
            assert!(off.fold(0.0, f32::max) < 1e-9, "{lora}: {key}");
        }

        config.lora.rank = 3;
        let refused = Trainer::open(config)
            .unwrap()
            .run(&mut |_: &Event<'_>| ControlFlow::Continue(()));
        assert!(
            matches!(
                refused,
                Err(TrainError::Spec(SpecError::OtherAdapter { .. }))
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn no_module_grows_beyond_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let largest = |limit: &str| {
        let file = trained(&with(folder.path(), limit));
        Norms::of(&file).largest().expect("modules").norm
    };
    let (free, limited) = (largest(""), largest("max_norm = 0.002"));
    assert!(free > 0.004, "{free}");
    assert!((limited - 0.002).abs() < 1e-6, "{limited}");
}

#[test]
fn dropouts_change_the_run_and_the_same_seed_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let plain = end(&trained(&with(folder.path(), "")));
    for dropout in ["hidden", "rank", "module"] {
        let config = with(folder.path(), &format!("dropout.{dropout} = 0.4"));
        let dropped = end(&trained(&config));
        assert_ne!(dropped, plain, "{dropout}");
        assert_eq!(dropped, end(&trained(&config)), "{dropout}");
    }
}

/// Nothing is left that a gradient could be of.
#[test]
fn a_pass_may_drop_all_that_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(
        folder.path(),
        "dropout.module = 0.9999999
         blocks = [
            { layers = ['unet', 'BASE'], lr = 0.0 },
            { layers = ['unet.mid_block.attentions.0.proj_in'], lr = 1.0 },
         ]",
    );
    let file = trained(&config);
    assert_eq!(file.modules.len(), 1);
    assert_eq!(end(&file), start(&config));
}

#[test]
fn blocks_learn_at_their_own_rate_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = with(
        folder.path(),
        "blocks = [
            { layers = ['MID'], lr = 0.25 },
            { layers = ['OUT00-OUT11', 'BASE'], lr = 0.0 },
            { layers = ['IN01'], rank = 3, alpha = 1.5 },
         ]",
    );
    config.train.max_steps = Some(1);
    let file = trained(&config);
    let mut names = file.modules.keys();
    assert!(names.all(|name| !name.contains("up_blocks") && !name.starts_with("lora_te")));
    let longest = |part: &str| {
        let modules = file.modules.iter();
        let modules = modules.filter(|(name, _)| name.contains(part));
        let ups = modules.flat_map(|(_, module)| module.up.iter::<f32>().collect::<Vec<f32>>());
        ups.fold(0f32, |longest, value| longest.max(value.abs()))
    };
    // AdamW's first step moves an element by the rate, whatever its gradient.
    for (part, rate) in [("mid_block", 2.5e-3), ("down_blocks", 1e-2)] {
        let found = longest(part);
        assert!((found / rate - 1.0).abs() < 1e-3, "{part}: {found}");
    }
    let first = &file.modules["lora_unet_down_blocks_0_attentions_0_proj_in"];
    assert_eq!((first.rank(), first.alpha), (3, 1.5));
    assert!(file.metadata["ss_network_args"].contains("OUT00-OUT11"));
}

#[test]
fn a_rule_for_layers_that_are_not_there_is_told_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = with(folder.path(), "blocks = [{ layers = ['IN12'] }]");
    let out = config.output.folder.clone();
    let Err(TrainError::Plan(refused)) = Trainer::open(config) else {
        panic!("it should be refused")
    };
    assert!(refused.to_string().contains("IN12"), "{refused}");
    assert!(!out.exists());
}
