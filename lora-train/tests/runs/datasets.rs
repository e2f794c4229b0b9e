//! Runs over datasets of mixed proportions, masks, regularisation pictures and varied views.

use std::{fs, ops::ControlFlow, path::Path};

use burn::tensor::Tensor;
use image::{GrayImage, Luma, Rgb, RgbImage};
use lora_core::{BaseModel, lora_file::LoraFile};
use lora_data::{
    BucketConfig, Dataset, FolderConfig, ImageFolders, MaskConfig, MaskSource, View, epoch_plan,
};
use lora_train::{
    Batch, BatchText, Denoising, Difference, EpochListing, Event, Feed, FeedAt, LatentCache,
    Objective, Plan, ResumeError, TrainError, Trainer, config::TrainConfig,
};

use crate::resume::{LATEST, run_until};

fn picture(path: &Path, (width, height): (u32, u32), tint: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 2) as u8, (y * 2) as u8, tint])
    });
    picture.save(path).unwrap();
}

/// The config of the other runs over pictures of three proportions.
fn mixed(folder: &Path) -> TrainConfig {
    let mut config = super::config(folder);
    let pictures = folder.join("mixed/2_sks thing");
    for (number, size) in [(64, 64), (140, 64), (64, 140), (100, 100)]
        .into_iter()
        .enumerate()
    {
        picture(&pictures.join(format!("{number}.png")), size, 10);
    }
    config.dataset.folders = vec![FolderConfig::new(folder.join("mixed"))];
    config.dataset.buckets = Some(BucketConfig {
        min: 32,
        max: 128,
        step: 32,
        no_upscale: false,
    });
    config.preview.every = 0;
    config.train.log_every = std::num::NonZeroUsize::MIN;
    config
}

/// The losses of a run, and the factors of its last file in order.
fn trained(mut config: TrainConfig, name: &str) -> (Vec<f64>, Vec<f32>, LoraFile) {
    config.output.folder = config.output.folder.with_file_name(name);
    let mut losses = Vec::new();
    let outcome = Trainer::open(config)
        .unwrap()
        .run(&mut |event: &Event<'_>| {
            if let Event::Stepped(report) = event {
                losses.push(report.loss);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let file = LoraFile::read(outcome.last.unwrap()).unwrap();
    let factors = file
        .modules
        .values()
        .flat_map(|module| module.up.try_to_vec::<f32>().unwrap())
        .collect();
    (losses, factors, file)
}

#[test]
fn pictures_of_all_proportions_are_trained_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    config.dataset.augment.flip = true;
    config.dataset.augment.random_crop = true;
    config.dataset.augment.color = true;
    config.model.offload = true;
    config.heldout.folder = Some(folder.path().join("mixed/2_sks thing"));
    let (losses, _, file) = trained(config, "varied");
    // Two showings each: two batches of squares, one of each other bucket; two epochs.
    assert_eq!(losses.len(), 8);
    assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0));
    let told = |key: &str| file.metadata[key].as_str();
    assert_eq!(
        [
            told("ss_enable_bucket"),
            told("ss_flip_aug"),
            told("ss_random_crop"),
            told("ss_color_aug")
        ],
        ["True"; 4]
    );
    let buckets: serde_json::Value = serde_json::from_str(told("ss_bucket_info")).unwrap();
    let counts: Vec<u64> = (0..3)
        .map(|number| {
            buckets["buckets"][number.to_string()]["count"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 8);
    assert_eq!(counts.iter().max(), Some(&4));
}

#[test]
fn a_mask_weighs_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    config.dataset.buckets = None;
    config.train.epochs = 1;
    let first = |config: &TrainConfig, name: &str| trained(config.clone(), name).0[0];
    let whole = first(&config, "whole");
    for (number, size) in [(64, 64), (140, 64), (64, 140), (100, 100)]
        .into_iter()
        .enumerate()
    {
        let grey = GrayImage::from_pixel(size.0, size.1, Luma([51]));
        let pictures = folder.path().join("mixed/2_sks thing");
        grey.save(pictures.join(format!("{number}-masklabel.png")))
            .unwrap();
    }
    assert!((first(&config, "unused") - whole).abs() < f64::EPSILON);
    config.dataset.mask = MaskConfig {
        source: MaskSource::File,
        unmasked_weight: 0.0,
    };
    // A fifth everywhere; the losses are f32.
    let masked = first(&config, "masked");
    assert!((masked / whole - 0.2).abs() < 1e-5, "{masked} {whole}");
    config.dataset.mask.unmasked_weight = 0.5;
    let eased = first(&config, "eased");
    assert!((eased / whole - 0.6).abs() < 1e-5, "{eased} {whole}");
}

#[test]
fn regularisation_pictures_teach_as_much_as_their_weight() {
    let folder = tempfile::tempdir().unwrap();
    let with_tint = |tint: u8, weight: f64| {
        let mut config = mixed(folder.path());
        picture(&folder.path().join("class/1_thing/a.png"), (64, 64), tint);
        config.dataset.folders.push(FolderConfig {
            regularisation: true,
            ..FolderConfig::new(folder.path().join("class"))
        });
        config.dataset.prior_loss_weight = weight;
        trained(config, &format!("{tint}-{weight}"))
    };
    let (_, still, file) = with_tint(0, 0.0);
    assert!(file.metadata["ss_reg_dataset_dirs"].contains("1_thing"));
    assert_eq!(file.metadata["ss_num_reg_images"], "8");
    assert_eq!(file.metadata["ss_num_train_images"], "8");
    assert_eq!(with_tint(250, 0.0).1, still);
    assert_ne!(with_tint(0, 1.0).1, with_tint(250, 1.0).1);
}

/// The loss is the sum of its parts: two masks that complete one another, and none at all where nothing counts.
#[test]
fn masks_lie_where_their_pictures_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    let pictures = folder.path().join("mixed/2_sks thing");
    for (number, size) in [(64, 64), (140, 64), (64, 140), (100, 100)]
        .into_iter()
        .enumerate()
    {
        let half = |x: u32, left: bool| Luma([if (x < size.0 / 2) == left { 255 } else { 0 }]);
        let mask = GrayImage::from_fn(size.0, size.1, |x, _| half(x, true));
        mask.save(pictures.join(format!("{number}-masklabel.png")))
            .unwrap();
    }
    config.dataset.buckets = None;
    config.dataset.augment.flip = true;
    config.dataset.mask.source = MaskSource::File;
    let device = config.train.device.resolve().unwrap();
    let model = BaseModel::load(&config.model.source(), &device).unwrap();
    let data = ImageFolders::open(&config.dataset).unwrap();
    let latents = LatentCache::compute(&data, &model.vae, &device, None, |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let feed = Feed::new(&config, latents, None, 1000, &device);
    let at = FeedAt {
        epoch: 1,
        step: 0,
        steps: 1,
    };
    let objective = Denoising::new(&config.objective, &model, 1);
    let loss = |batch: &Batch| -> f32 { objective.loss(&model, batch).mean().into_scalar() };
    let mut mirrored = [false, false];
    for batch in epoch_plan(&data, std::num::NonZeroUsize::MIN, config.train.seed, 1) {
        let seed = config.train.seed;
        let flip = View::draw(&data.subsets()[0].augment, seed, 1, batch[0].ordinal).flip;
        mirrored[usize::from(flip)] = true;
        let batch = feed.batch(&model, &data, at, &batch).unwrap();
        let mask = batch.mask.clone().unwrap();
        let [_, _, height, width] = mask.dims();
        let values = mask.clone().into_data().try_to_vec::<f32>().unwrap();
        for (place, value) in values.iter().enumerate() {
            let x = place % width;
            // Lanczos rings a little around the middle.
            if x.abs_diff(width / 2) > 1 {
                let expected = if (x < width / 2) == flip { 0.0 } else { 1.0 };
                assert!(
                    (value - expected).abs() < 0.05,
                    "{x} of {width}×{height}: {value}"
                );
            }
        }
        let with = |mask: Option<Tensor<4>>| {
            loss(&Batch {
                mask,
                ..batch.clone()
            })
        };
        let (one, other) = (with(Some(mask.clone())), with(Some(-mask.clone() + 1.0)));
        let whole = with(None);
        assert!(
            one > 0.0 && other > 0.0 && one < whole,
            "{one} {other} {whole}"
        );
        assert!(
            ((one + other) / whole - 1.0).abs() < 1e-5,
            "{one} {other} {whole}"
        );
        let nothing = with(Some(mask * 0.0));
        assert!(nothing.abs() < f32::MIN_POSITIVE, "{nothing}");
    }
    assert_eq!(mirrored, [true, true]);
}

/// The listing of an epoch against the batches that its run is fed.
#[test]
fn the_listing_of_an_epoch_is_what_the_run_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    let pictures = folder.path().join("mixed/2_sks thing");
    for number in 0..4 {
        let caption = format!("thing, {{red|blue}}, number {number}, tree, bush, house");
        fs::write(pictures.join(format!("{number}.txt")), caption).unwrap();
    }
    config.dataset.caption.shuffle = true;
    config.dataset.caption.wildcards = true;
    config.dataset.caption.tag_dropout = 0.3;
    config.dataset.caption.warmup_steps = 5.0;
    config.dataset.augment.flip = true;
    config.dataset.augment.random_crop = true;
    config.train.accumulation = std::num::NonZeroUsize::new(2).unwrap();
    let data = ImageFolders::open(&config.dataset).unwrap();
    let device = config.train.device.resolve().unwrap();
    let model = BaseModel::load(&config.model.source(), &device).unwrap();
    let plan = Plan::open(&config).unwrap();
    let latents = LatentCache::compute(&data, &model.vae, &device, None, |_, _| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let feed = Feed::new(&config, latents, None, 1000, &device);
    let mut captions = std::collections::BTreeSet::new();
    for epoch in 1..=2 {
        let listing = EpochListing::open(&config, &plan, epoch).unwrap();
        let batches = epoch_plan(&data, config.train.batch_size, config.train.seed, epoch);
        assert_eq!(listing.batches.len(), batches.len());
        assert_eq!(
            listing.batches[0].step,
            1 + (epoch - 1) * plan.steps_per_epoch
        );
        for (listed, showings) in listing.batches.iter().zip(&batches) {
            let at = FeedAt {
                epoch,
                step: listed.step - 1,
                steps: plan.steps,
            };
            let batch = feed.batch(&model, &data, at, showings).unwrap();
            let texts: Vec<String> = listed
                .showings
                .iter()
                .map(|showing| showing.caption.clone())
                .collect();
            let ids = model.text.tokenize(&texts, 1);
            assert!(matches!(&batch.text, BatchText::Ids(fed) if *fed == ids));
            for (listed, showing) in listed.showings.iter().zip(showings) {
                let entry = &data.entries()[showing.index];
                assert_eq!(listed.image, entry.image);
                let view = View {
                    flip: listed.flip,
                    crop: listed.crop,
                    color: None,
                };
                let framing = data.pixels(showing.index, &view).unwrap().framing;
                let place = showings.iter().position(|one| one == showing).unwrap();
                let [_, _, top, left, ..] = batch.sizes[place];
                assert_eq!((left as u32, top as u32), framing.crop);
            }
            let [_, _, height, width] = batch.latents.dims();
            let reduction = model.vae.reduction() as u32;
            assert_eq!(
                listed.size,
                (width as u32 * reduction, height as u32 * reduction)
            );
            captions.extend(texts);
        }
    }
    assert!(captions.len() > 8, "captions are drawn anew: {captions:?}");
    config.train.max_steps = Some(1);
    let plan = Plan::open(&config).unwrap();
    let listing = EpochListing::open(&config, &plan, 1).unwrap();
    assert!(listing.batches.iter().all(|batch| batch.step == 1));
    assert_eq!(listing.batches.len(), 2);
}

#[test]
fn a_plan_tells_how_folders_share_an_epoch_and_how_full_batches_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    let class = folder.path().join("class/1_thing");
    for number in 0..3 {
        picture(&class.join(format!("{number}.png")), (64, 64), 90);
    }
    config.dataset.folders.push(FolderConfig {
        regularisation: true,
        ..FolderConfig::new(folder.path().join("class"))
    });
    config.dataset.prior_loss_weight = 0.5;
    let plan = Plan::open(&config).unwrap();
    let told: Vec<_> = plan
        .folders
        .iter()
        .map(|plan| {
            let share = (plan.share * 100.0).round();
            (
                plan.folder.as_str(),
                plan.pictures,
                plan.exposures,
                share,
                plan.loss_weight,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2_sks thing", 4, 8, 50.0, 1.0),
            ("1_thing", 3, 8, 50.0, 0.5)
        ]
    );
    assert!(plan.folders[1].regularisation && !plan.folders[0].regularisation);
    // Squares: two of the subject twice and eight showings of the class, in batches of two; the others are alone.
    let told: Vec<_> = plan
        .buckets
        .iter()
        .map(|bucket| (bucket.exposures, bucket.batches, bucket.last_batch))
        .collect();
    config.train.batch_size = std::num::NonZeroUsize::new(3).unwrap();
    let thirds = Plan::open(&config).unwrap();
    let thirds: Vec<_> = thirds
        .buckets
        .iter()
        .map(|bucket| (bucket.exposures, bucket.batches, bucket.last_batch))
        .collect();
    assert_eq!(told.iter().map(|bucket| bucket.0).sum::<u64>(), 16);
    for ((exposures, batches, last), size) in told
        .into_iter()
        .map(|told| (told, 2))
        .chain(thirds.into_iter().map(|told| (told, 3)))
    {
        assert_eq!((batches - 1) * size + last as u64, exposures);
        assert!(last > 0 && last as u64 <= size);
    }
}

#[test]
fn files_tell_the_settings_of_kohyas_dataset_config() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = mixed(folder.path());
    let kohya = format!(
        "[[datasets]]\nresolution = 64\nenable_bucket = true\nbucket_reso_steps = 32\nmin_bucket_reso = 32\n\
         max_bucket_reso = 128\n[[datasets.subsets]]\nimage_dir = '{}'\nclass_tokens = 'sks thing'\nshuffle_caption = true\n\
         keep_tokens = 1\n",
        folder.path().join("mixed/2_sks thing").display()
    );
    config.dataset.folders.clear();
    config.dataset.buckets = None;
    config.dataset.kohya = Some(folder.path().join("set.toml"));
    fs::write(folder.path().join("set.toml"), &kohya).unwrap();
    let (_, _, file) = trained(config.clone(), "kohya");
    let told = |key: &str| file.metadata[key].as_str();
    assert_eq!(
        [
            told("ss_enable_bucket"),
            told("ss_min_bucket_reso"),
            told("ss_shuffle_caption"),
            told("ss_keep_tokens")
        ],
        ["True", "32", "True", "1"]
    );
    assert!(told("ss_bucket_info").contains("resolution"));

    // The file's rules are part of what a run is made from, though the config has only its name.
    let edited = kohya.replace("keep_tokens = 1", "keep_tokens = 2");
    fs::write(folder.path().join("set.toml"), edited).unwrap();
    config.output.folder = folder.path().join("kohya");
    let goes_on = || run_until(&config, Some(LATEST), u64::MAX);
    let refused = goes_on().unwrap_err();
    assert!(
        matches!(&refused, TrainError::Resume(ResumeError::Changed { differences, .. })
            if differences[..] == [Difference::Data]),
        "{refused}"
    );
    fs::write(folder.path().join("set.toml"), kohya).unwrap();
    goes_on().unwrap();
}
