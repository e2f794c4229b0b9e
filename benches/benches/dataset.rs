//! Pictures to pixels, and the plan of a large dataset.
//!
//! `cargo bench -p lora-bench --bench dataset -- decode_resize` runs one group. The pictures stay below `target/tmp`, where
//! `docs/interop/time_pictures.py` times Pillow on the same files.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::{
    fs,
    hint::black_box,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use image::{ImageFormat, Rgb, RgbImage, imageops::FilterType};
use lora_data::{
    BucketConfig, CaptionConfig, Dataset, DatasetConfig, FolderConfig, ImageFolders, View,
    epoch_plan,
};

/// A photograph, from the project's root.
const PHOTOGRAPH: &str = "lora-data/tests/pictures/astronaut.png";
/// Name, width and height of the files made from it.
const PICTURES: [(&str, u32, u32); 4] = [
    ("12-megapixels.jpg", 4000, 3000),
    ("3-megapixels.jpg", 2048, 1536),
    ("3-megapixels.png", 2048, 1536),
    ("3-megapixels.webp", 2048, 1536),
];
/// Pictures of the large dataset.
const MANY: usize = 100_000;

/// The photograph at each size, with the grain of a sensor: smooth pictures would decode too fast.
fn pictures() -> PathBuf {
    let folder = made("bench-pictures");
    let photograph = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(PHOTOGRAPH);
    let photograph = image::open(photograph).expect("a photograph").into_rgb8();
    for (name, width, height) in PICTURES {
        let path = folder.join(name);
        if path.exists() {
            continue;
        }
        let mut picture =
            image::imageops::resize(&photograph, width, height, FilterType::CatmullRom);
        let mut state = 1_u32;
        for Rgb(channels) in picture.pixels_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = (state >> 28) as u8;
            *channels = channels.map(|channel| channel.saturating_add(grain).saturating_sub(8));
        }
        picture.save(&path).expect("written");
    }
    folder
}

fn made(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What a run is shown: decoded, turned, resized to cover 512 × 512, cut, in planes of floats. On one thread.
fn decode_resize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_resize");
    group.sample_size(20).throughput(Throughput::Elements(1));
    let data = opened(&pictures(), None);
    for (index, entry) in data.entries().iter().enumerate() {
        let name = entry
            .image
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                data.pixels(black_box(index), &View::plain())
                    .expect("pixels")
            });
        });
    }
}

/// 100,000 pictures of one pixel, with captions: what it takes to open them, and the order of an epoch.
fn large_dataset(criterion: &mut Criterion) {
    let folder = many();
    let mut group = criterion.benchmark_group("large_dataset");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(MANY as u64));
    group.bench_function("open", |bencher| {
        bencher.iter_batched(
            || (),
            |()| opened(&folder, Some(BucketConfig::default())),
            BatchSize::PerIteration,
        );
    });
    let data = opened(&folder, Some(BucketConfig::default()));
    let batch_size = NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN);
    let mut epoch = 0;
    group.bench_function("epoch_plan", |bencher| {
        bencher.iter(|| {
            epoch += 1;
            epoch_plan(&data, batch_size, 1, epoch)
        });
    });
}

fn many() -> PathBuf {
    let folder = made("bench-many");
    let last = folder.join(format!("{:06}.txt", MANY - 1));
    if last.exists() {
        return folder;
    }
    let first = folder.join("000000.png");
    RgbImage::new(1, 1)
        .save_with_format(&first, ImageFormat::Png)
        .expect("written");
    let picture = fs::read(&first).expect("read");
    for number in 0..MANY {
        let caption = format!("sks thing, number {number}, tag {}", number % 97);
        fs::write(folder.join(format!("{number:06}.png")), &picture).expect("written");
        fs::write(folder.join(format!("{number:06}.txt")), caption).expect("written");
    }
    folder
}

fn opened(folder: &Path, buckets: Option<BucketConfig>) -> ImageFolders {
    let config = DatasetConfig {
        folders: vec![FolderConfig::new(folder)],
        buckets,
        caption: CaptionConfig {
            allow_missing: true,
            ..CaptionConfig::default()
        },
        ..DatasetConfig::default()
    };
    ImageFolders::open(&config).unwrap_or_else(|error| panic!("{error}"))
}

criterion_group!(benches, decode_resize, large_dataset);
criterion_main!(benches);
