//! One file of each format, and what it means here.

use lora_core::{
    ActivationCheckpointing, Precision,
    adapter::{Algorithm, Target},
    lora_file::FileDtype,
};
use lora_data::Resolution;
use lora_train::{
    config::{OptimizerConfig, ScheduleKind, Warmup},
    import::{Fate, ForeignFormat},
};

use crate::{imported, is_mapped, opened, recorded, told};

#[test]
fn a_training_config_of_kohyas() {
    let import = opened(&recorded("kohya.toml"));
    assert_eq!(import.format, ForeignFormat::KohyaTraining);
    let config = &import.config;
    assert_eq!((config.lora.rank, config.lora.alpha), (32, 16.0));
    assert_eq!(
        (config.lora.conv_rank, config.lora.conv_alpha),
        (Some(8), Some(4.0))
    );
    assert!(config.lora.targets.contains(&Target::Convolution));
    let rules: Vec<(Vec<&str>, Option<f64>)> = config
        .lora
        .blocks
        .iter()
        .map(|rule| {
            (
                rule.layers.iter().map(|layer| layer.0.as_str()).collect(),
                rule.lr,
            )
        })
        .collect();
    // IN00 is the first convolution, which nobody trains.
    assert_eq!(
        rules,
        [(vec!["IN01"], Some(0.0)), (vec!["IN02", "MID"], Some(0.5))]
    );
    let train = &config.train;
    assert_eq!(
        (train.unet_lr, train.text_lr, train.epochs, train.seed),
        (1e-4, 5e-5, 8, 1337)
    );
    let OptimizerConfig::Adamw8bit(optimizer) = &config.optimizer else {
        panic!("{:?}", config.optimizer)
    };
    assert_eq!(
        (optimizer.weight_decay, optimizer.betas),
        (0.1, [0.9, 0.99])
    );
    assert_eq!(
        (config.schedule.kind, config.schedule.cycles),
        (ScheduleKind::CosineWithRestarts, 3)
    );
    assert_eq!(config.schedule.warmup, Warmup::Fraction(0.05));
    assert_eq!(
        (config.model.precision, config.model.clip_skip),
        (Precision::F16, 2)
    );
    assert_eq!(
        config.dataset.resolution,
        Resolution {
            width: 512,
            height: 768
        }
    );
    assert_eq!(
        config
            .dataset
            .buckets
            .map(|buckets| (buckets.min, buckets.no_upscale)),
        Some((320, true))
    );
    assert_eq!(
        config
            .dataset
            .folders
            .iter()
            .map(|folder| folder.regularisation)
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(config.preview.every, 100);
    assert_eq!(config.objective.min_snr_gamma, Some(5.0));
    let unknown = &told(&import, "network_dims").fate;
    assert_eq!(
        *unknown,
        Fate::Unknown {
            meant: Some("network_dim".to_owned())
        }
    );
    assert!(matches!(
        told(&import, "optimizer_args: percentile_clipping").fate,
        Fate::NotSupported { .. }
    ));
    assert_eq!(
        config.train.gradient_checkpointing,
        ActivationCheckpointing::Block
    );
}

#[test]
fn a_config_of_akegarasus() {
    let import = opened(&recorded("akegarasu.toml"));
    assert_eq!(import.format, ForeignFormat::Akegarasu);
    let config = &import.config;
    assert_eq!(
        (config.lora.algorithm, config.lora.factor),
        (Algorithm::Lokr, Some(8))
    );
    assert_eq!((config.train.unet_lr, config.train.text_lr), (1e-4, 0.0));
    let OptimizerConfig::Prodigy(optimizer) = &config.optimizer else {
        panic!("{:?}", config.optimizer)
    };
    assert_eq!(
        (optimizer.d_coef, optimizer.use_bias_correction),
        (2.0, true)
    );
    assert_eq!(config.model.max_tokens, 225);
    assert_eq!(
        config.preview.prompts,
        ["masterpiece, 1girl, solo --n lowres, bad hands --w 512 --h 768 --l 7 --s 24 --d 2333"]
    );
    assert!(config.cache.folder.is_some());
    assert!(matches!(
        told(&import, "train_norm").fate,
        Fate::NotSupported { .. }
    ));
    assert!(is_mapped(&import, "lycoris_algo"));
}

#[test]
fn a_config_of_the_gui() {
    let import = opened(&recorded("kohya_ss.json"));
    assert_eq!(import.format, ForeignFormat::KohyaGui);
    let config = &import.config;
    assert_eq!(
        (config.lora.algorithm, config.lora.dora),
        (Algorithm::Loha, true)
    );
    assert_eq!((config.lora.rank, config.lora.conv_rank), (8, Some(8)));
    assert!((config.lora.dropout.module - 0.1).abs() < 1e-6);
    assert_eq!((config.train.unet_lr, config.train.text_lr), (1e-4, 0.0));
    assert_eq!(
        (config.train.epochs, config.train.accumulation.get()),
        (8, 2)
    );
    assert!((config.train.max_grad_norm - 0.5).abs() < 1e-12);
    assert_eq!(config.schedule.warmup, Warmup::Fraction(0.1));
    assert_eq!(config.output.dtype, FileDtype::F16);
    assert_eq!(config.dataset.resolution, Resolution::square(1024));
    let OptimizerConfig::Adamw8bit(optimizer) = &config.optimizer else {
        panic!("{:?}", config.optimizer)
    };
    assert_eq!(
        (optimizer.weight_decay, optimizer.betas),
        (0.1, [0.9, 0.99])
    );
    assert_eq!(told(&import, "huggingface_token").value, "…");
    for key in [
        "network_dropout",
        "use_tucker",
        "sample_sampler",
        "huggingface_token",
    ] {
        assert!(
            matches!(told(&import, key).fate, Fate::NotSupported { .. }),
            "{key}"
        );
    }
    assert!(matches!(
        told(&import, "multires_noise_iterations").fate,
        Fate::NotNeeded { .. }
    ));
}

#[test]
fn a_dataset_config_is_named_and_its_keys_are_followed_or_refused() {
    let import = opened(&recorded("dataset.toml"));
    assert_eq!(import.format, ForeignFormat::KohyaDataset);
    assert_eq!(
        import.config.dataset.kohya.as_deref(),
        Some(recorded("dataset.toml").as_path())
    );
    assert!(is_mapped(&import, "num_repeats") && is_mapped(&import, "shuffle_caption"));
    assert!(matches!(
        told(&import, "validation_split").fate,
        Fate::NotSupported { .. }
    ));
    assert_eq!(import.keys.len(), 7, "{:?}", import.keys);
}

#[test]
fn what_a_config_leaves_out_is_kohyas_default() {
    let import = imported("config.toml", "network_module = 'networks.lora'");
    let config = &import.config;
    assert_eq!((config.lora.rank, config.lora.alpha), (4, 1.0));
    assert_eq!((config.train.unet_lr, config.train.text_lr), (2e-6, 2e-6));
    assert_eq!(
        (config.train.max_steps, config.train.epochs),
        (Some(1600), 1600)
    );
    assert_eq!(
        (config.output.name.as_str(), config.output.dtype),
        ("last", FileDtype::F32)
    );
    assert_eq!(config.output.save_every_epochs, 1600);
    for option in [
        "network_dim",
        "network_alpha",
        "learning_rate",
        "max_train_steps",
        "save_precision",
    ] {
        let said = format!("{option} is not there");
        assert!(
            import.notes.iter().any(|note| note.starts_with(&said)),
            "{option}"
        );
    }
}

/// Pairs of options and what they come to.
#[test]
fn options_that_depend_on_one_another() {
    let rates = |text: &str| {
        let train = imported("config.toml", &format!("network_dim = 8\n{text}"))
            .config
            .train;
        (train.unet_lr, train.text_lr, train.text_lr_2)
    };
    assert_eq!(rates("learning_rate = 1e-3"), (1e-3, 1e-3, None));
    assert_eq!(
        rates("learning_rate = 1e-3\ntext_encoder_lr = [1e-4, 2e-4]"),
        (1e-3, 1e-4, Some(2e-4))
    );
    assert_eq!(
        rates("unet_lr = '1e-3'\nnetwork_train_unet_only = true"),
        (1e-3, 0.0, None)
    );
    assert_eq!(
        rates("learning_rate = 1e-3\nnetwork_train_text_encoder_only = true"),
        (0.0, 1e-3, None)
    );
    assert_eq!(
        rates("unet_lr = 1e-3\noptimizer_type = 'AdaFactor'"),
        (1.0, 1.0, None)
    );
    let fixed = "unet_lr = 1e-3\ntext_encoder_lr = 0\noptimizer_type = 'AdaFactor'\noptimizer_args = ['relative_step=False']";
    assert_eq!(rates(fixed), (1e-3, 0.0, None));

    let epochs = imported("config.toml", "max_train_epochs = 3\nmax_train_steps = 500")
        .config
        .train;
    assert_eq!((epochs.epochs, epochs.max_steps), (3, None));
    let schedule = |text: &str| imported("config.toml", text).config.schedule;
    assert_eq!(
        schedule("lr_scheduler = 'cosine'\nlr_warmup_steps = 100").warmup,
        Warmup::Steps(100)
    );
    assert_eq!(
        schedule("lr_scheduler = 'constant'\nlr_warmup_steps = 100").warmup,
        Warmup::Steps(0)
    );
    assert_eq!(
        schedule("lr_scheduler = 'cosine'\nlr_scheduler_num_cycles = 4").cycles,
        1
    );
    let least = schedule("lr_scheduler = 'cosine_with_min_lr'\nlr_scheduler_min_lr_ratio = 0.1");
    assert!((least.min_factor - 0.1).abs() < 1e-12);
    let noise = imported(
        "config.toml",
        "noise_offset = 0.0\nadaptive_noise_scale = 0.1",
    )
    .config
    .objective;
    assert_eq!(noise.noise_offset, None);
}

#[test]
fn lists_of_blocks_are_as_long_as_the_family_has_them() {
    let rules = |text: &str| imported("config.toml", text).config.lora.blocks.len();
    let sd1 = format!("network_args = ['block_dims=2,{}4']", "4,".repeat(23));
    // All blocks that are trained have the same rank.
    assert_eq!(rules(&sd1), 1);
    assert_eq!(rules("network_args = ['block_dims=1,2,3']"), 0);
    let sdxl = format!(
        "model_train_type = 'sdxl-lora'\nnetwork_args = ['block_dims={}8']",
        "4,".repeat(22)
    );
    assert_eq!(rules(&sdxl), 1);
    let middle = "model_train_type = 'sdxl-lora'\nnetwork_args = ['mid_lr_weight=0,1,1']";
    assert_eq!(rules(middle), 0);
}
