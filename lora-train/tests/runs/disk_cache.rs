//! Latents and text states on the disk: they change no bit of a run, are found by what they are made of, and survive
//! whatever happens to their files.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use burn::tensor::Device;
use image::{GrayImage, Luma, Rgb, RgbImage};
use lora_core::{BaseModel, ModelSource, Precision, lora_file::LoraFile};
use lora_data::{FolderConfig, ImageFolders, MaskConfig, MaskSource, Resolution};
use lora_train::{CacheUse, DiskCache, Event, PruneConfig, Trainer, UseCount, config::TrainConfig};

use super::golden;

/// The config of the other runs, with a cache, a mask, mirrored views and held-out pictures.
fn cached(folder: &Path) -> TrainConfig {
    let mut config = super::config(folder);
    config.preview.every = 0;
    config.train.text_lr = 0.0;
    config.dataset.augment.flip = true;
    config.dataset.mask = MaskConfig {
        source: MaskSource::File,
        ..MaskConfig::default()
    };
    let mask = GrayImage::from_fn(64, 64, |x, _| Luma([x as u8 * 4]));
    mask.save(folder.join("pictures/2_sks thing/0-masklabel.png"))
        .expect("written");
    config.heldout.folder = Some(folder.join("pictures/2_sks thing"));
    config.cache.folder = Some(folder.join("cache"));
    config
}

fn fill(config: &TrainConfig) -> CacheUse {
    let mut config = config.clone();
    config.output.overwrite = true;
    let mut observer = |_: &Event<'_>| ControlFlow::Continue(());
    let trainer = Trainer::open(config).expect("a run");
    trainer.fill_cache(&mut observer).expect("filled")
}

/// Latents and text states that were found, and those that were made.
fn counts(used: CacheUse) -> [UseCount; 2] {
    [used.latents, used.text].map(|count| count.expect("kept"))
}

fn count(found: usize, made: usize) -> UseCount {
    UseCount { found, made }
}

/// The bits of all factors after a run, its losses, and the views that the cache had.
fn trained(config: &TrainConfig) -> (Vec<u32>, Vec<u64>, usize) {
    let mut config = config.clone();
    config.output.overwrite = true;
    let (mut numbers, mut views) = (Vec::new(), 0);
    let outcome = super::run(config, &mut |event| {
        match event {
            Event::Stepped(report) => numbers.push(report.loss.to_bits()),
            Event::Measured { heldout_loss, .. } => numbers.push(heldout_loss.to_bits()),
            Event::Cached { found, .. } => views = *found,
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let file = LoraFile::read(outcome.last.expect("a file")).expect("sound");
    let factors = file.modules.values().flat_map(|module| {
        [&module.up, &module.down].map(|factor| factor.try_to_vec::<f32>().expect("f32"))
    });
    let bits = factors.flatten().map(f32::to_bits).collect();
    (bits, numbers, views)
}

/// All files of a cache, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn entries(config: &TrainConfig) -> Vec<PathBuf> {
    let mut all = files(config.cache.folder.as_deref().expect("a cache"));
    all.retain(|path| path.extension().is_some_and(|end| end == "safetensors"));
    all
}

#[test]
fn a_cache_changes_no_bit_of_a_run() {
    for model in ["tiny-sd15", "tiny-sdxl"] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = cached(folder.path());
        config.model.path = golden(model);
        let mut without = config.clone();
        without.cache.folder = None;
        let plain = trained(&without);
        // Three pictures, plain and mirrored; the held-out pictures are the same three.
        let first = trained(&config);
        let second = trained(&config);
        assert_eq!((first.2, second.2), (0, 6), "{model}");
        assert_eq!(
            (&plain.0, &plain.1),
            (&first.0, &first.1),
            "{model}: written"
        );
        assert_eq!(
            (&plain.0, &plain.1),
            (&second.0, &second.1),
            "{model}: read"
        );
        assert!(plain.1.len() > 3);
    }
}

#[test]
fn what_is_the_same_is_found_and_what_changes_is_computed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    // Six views, of which the held-out measure finds the three plain ones; one caption.
    assert_eq!(counts(fill(&config)), [count(3, 6), count(0, 1)]);
    assert_eq!(counts(fill(&config)), [count(9, 0), count(1, 0)]);
    let changed = |change: &dyn Fn(&mut TrainConfig)| {
        let mut config = config.clone();
        change(&mut config);
        counts(fill(&config))
    };
    // The same model by other means, and settings that the numbers do not depend on.
    let all = [count(9, 0), count(1, 0)];
    assert_eq!(changed(&|config| config.train.seed = 9), all);
    assert_eq!(changed(&|config| config.model.offload = true), all);
    assert_eq!(
        changed(&|config| config.dataset.folders[0].repeats = Some(7)),
        all
    );
    // Another size, another crop.
    let smaller = Resolution {
        width: 64,
        height: 32,
    };
    let latents = |change: &dyn Fn(&mut TrainConfig)| changed(change)[0];
    assert_eq!(
        latents(&|config| config.dataset.resolution = smaller),
        count(3, 6)
    );
    // Other masks.
    let unmasked = |config: &mut TrainConfig| config.dataset.mask = MaskConfig::default();
    assert_eq!(latents(&unmasked), count(7, 2));
    // The VAE is in f32 at any precision, text encoders are not.
    let half = |config: &mut TrainConfig| config.model.precision = Precision::Bf16;
    assert_eq!(changed(&half), [count(9, 0), count(0, 1)]);
    let skip = |config: &mut TrainConfig| config.model.clip_skip = 2;
    assert_eq!(changed(&skip), [count(9, 0), count(0, 1)]);
    let longer = |config: &mut TrainConfig| config.model.max_tokens = 150;
    assert_eq!(changed(&longer), [count(9, 0), count(0, 1)]);
    // Another VAE.
    let vae = |config: &mut TrainConfig| config.model.vae = Some(golden("tiny-sdxl/vae"));
    assert_eq!(changed(&vae), [count(3, 6), count(1, 0)]);
    // The same pixels under other names.
    let pictures = folder.path().join("pictures/2_sks thing");
    fs::rename(pictures.join("1.png"), pictures.join("renamed.png")).unwrap();
    assert_eq!(counts(fill(&config)), all);
    // One pixel of one picture, in both views and held out.
    let path = pictures.join("2.png");
    let mut picture = image::open(&path).unwrap().into_rgb8();
    picture.put_pixel(5, 5, Rgb([1, 2, 3]));
    picture.save(&path).unwrap();
    assert_eq!(counts(fill(&config)), [count(7, 2), count(1, 0)]);
    // Another caption for one of the three.
    fs::write(pictures.join("2.txt"), "sks thing, blue").unwrap();
    assert_eq!(counts(fill(&config)), [count(9, 0), count(1, 1)]);
    let cache = DiskCache::open(folder.path().join("cache")).unwrap();
    let check = cache.check(|_, _| ControlFlow::Continue(())).unwrap();
    assert!(check.complete && check.damaged.is_empty());
    assert_eq!(
        check.latents.entries + check.text.entries,
        entries(&config).len()
    );
}

#[test]
fn trained_text_encoders_and_changing_captions_keep_no_states() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = cached(folder.path());
    config.train.text_lr = 1e-4;
    assert!(fill(&config).text.is_none());
    let mut config = cached(folder.path());
    config.dataset.caption.shuffle = true;
    fs::write(
        folder.path().join("pictures/2_sks thing/0.txt"),
        "one, two, three, four, five, six, seven, eight, nine, ten, eleven",
    )
    .unwrap();
    assert!(fill(&config).text.is_none());
}

#[test]
fn a_model_that_was_changed_in_memory_is_not_taken_for_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    fill(&config);
    let device = Device::flex();
    let mut model = BaseModel::load(&ModelSource::new(golden("tiny-sd15")), &device).unwrap();
    let spec = config.adapters();
    model.inject(&spec, 1, &device).unwrap();
    model.merge_adapters();
    let data = ImageFolders::open(&config.dataset).unwrap();
    let trainer = Trainer::new(config, model, Box::new(data), device).unwrap();
    let used = trainer
        .fill_cache(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!((used.latents, used.text), (Some(count(6, 0)), None));
}

#[test]
fn damaged_entries_are_told_computed_anew_and_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    let plain = trained(&config);
    let all = entries(&config);
    assert_eq!(all.len(), 7);
    let whole: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).unwrap()).collect();
    let cache = DiskCache::open(folder.path().join("cache")).unwrap();
    let damaged = || {
        let check = cache.check(|_, _| ControlFlow::Continue(())).unwrap();
        check
            .damaged
            .into_iter()
            .map(|fault| fault.path)
            .collect::<Vec<_>>()
    };
    assert!(damaged().is_empty());
    fs::write(&all[0], "").unwrap();
    fs::write(&all[1], &whole[1][..whole[1].len() - 1]).unwrap();
    let mut flipped = whole[2].clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&all[2], flipped).unwrap();
    // Another entry under this one's name.
    fs::write(&all[3], &whole[4]).unwrap();
    assert_eq!(damaged(), all[..4]);
    let again = trained(&config);
    assert_eq!((plain.0, plain.1), (again.0, again.1));
    assert!(damaged().is_empty());
    for (path, whole) in all.iter().zip(&whole) {
        assert_eq!(&fs::read(path).unwrap(), whole, "{}", path.display());
    }
}

#[test]
fn a_cache_that_cannot_be_written_does_not_end_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    let cache = folder.path().join("cache");
    DiskCache::create(&cache).unwrap();
    for kind in ["latents", "text"] {
        fs::write(cache.join(kind), "no folder").unwrap();
    }
    assert_eq!(counts(fill(&config)), [count(0, 0), count(0, 0)]);
    let mut foreign = config;
    foreign.cache.folder = Some(folder.path().join("pictures"));
    let error = Trainer::open(foreign)
        .unwrap()
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cache.folder: ") && error.contains("is not a cache"),
        "{error}"
    );
}

#[test]
fn pruning_takes_what_it_is_told_to_and_nothing_foreign() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    fill(&config);
    let cache = DiskCache::open(folder.path().join("cache")).unwrap();
    let all = entries(&config);
    let shard = all[0].parent().unwrap();
    let day = Duration::from_hours(24);
    let used = |path: &Path, before: Duration| {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - before).unwrap();
    };
    let foreign = [
        cache.folder().join("notes.txt"),
        cache.folder().join("latents/notes.safetensors"),
        shard.join("notes.safetensors"),
        shard.join(format!("{}.txt", "0".repeat(64))),
    ];
    for path in &foreign {
        fs::write(path, "mine").unwrap();
        used(path, 1000 * day);
    }
    let (fresh, abandoned) = (shard.join(".writing-a"), shard.join(".writing-b"));
    for path in [&fresh, &abandoned] {
        fs::write(path, "half").unwrap();
    }
    used(&abandoned, day);
    for (place, path) in all.iter().enumerate() {
        used(path, place as u32 * 10 * day + Duration::from_mins(1));
    }
    let prune = |config: PruneConfig| cache.prune(&config).unwrap();
    // Entry n was used 10 n days ago.
    let unused = |days: u32| PruneConfig {
        unused: Some(days * day),
        ..PruneConfig::default()
    };
    let told = prune(PruneConfig {
        dry_run: true,
        ..unused(45)
    });
    assert_eq!(told.removed.len(), 3, "two entries and what was abandoned");
    assert!(all.iter().all(|path| path.exists()) && abandoned.exists());
    let done = prune(unused(45));
    assert_eq!(done, told);
    assert_eq!(
        (done.kept, abandoned.exists(), fresh.exists()),
        (5, false, true)
    );
    assert!(!all[5].exists() && !all[6].exists());
    // Of the five, the two used last fit.
    let sizes: u64 = all[..2]
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    let done = prune(PruneConfig {
        most_bytes: Some(sizes),
        ..PruneConfig::default()
    });
    assert_eq!((done.kept, done.kept_bytes), (2, sizes));
    assert!(all[0].exists() && all[1].exists() && !all[2].exists());
    fs::write(&all[0], "damaged").unwrap();
    assert_eq!(prune(PruneConfig::default()).removed, [all[0].clone()]);
    let everything = PruneConfig {
        all: true,
        ..PruneConfig::default()
    };
    assert_eq!(prune(everything).kept, 0);
    assert!(entries(&config).iter().all(|path| foreign.contains(path)));
    for path in &foreign {
        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }
}

#[test]
fn using_an_entry_keeps_it_from_being_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let config = cached(folder.path());
    fill(&config);
    let all = entries(&config);
    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
    for path in &all {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let mut plain = config.clone();
    plain.dataset.augment.flip = false;
    fill(&plain);
    let cache = DiskCache::open(folder.path().join("cache")).unwrap();
    let pruned = cache
        .prune(&PruneConfig {
            unused: Some(Duration::from_secs(100_000)),
            ..PruneConfig::default()
        })
        .unwrap();
    assert_eq!(
        (pruned.removed.len(), pruned.kept),
        (3, 4),
        "mirrored views go"
    );
}

#[test]
fn pictures_whose_crops_are_all_random_are_not_encoded_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = cached(folder.path());
    config.heldout.folder = None;
    config.dataset.augment.random_crop = true;
    let picture = RgbImage::from_pixel(90, 64, Rgb([9, 9, 9]));
    picture
        .save(folder.path().join("pictures/2_sks thing/0.png"))
        .unwrap();
    fs::remove_file(folder.path().join("pictures/2_sks thing/0-masklabel.png")).unwrap();
    config.dataset.folders = vec![FolderConfig::new(folder.path().join("pictures"))];
    assert_eq!(fill(&config).latents, Some(count(0, 0)));
    let (_, losses, _) = trained(&config);
    assert_eq!(losses.len(), 3);
}
