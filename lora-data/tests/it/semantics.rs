//! What a folder of mixed pictures becomes: buckets, groups, views, digests.

use std::num::NonZeroUsize;

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{
    AugmentConfig, BucketConfig, CaptionOverrides, ColorShift, Dataset, DatasetConfig, Exposure,
    FolderConfig, ImageFolders, Resolution, View, epoch_plan,
};
use proptest::prelude::*;

use crate::folder::{Folder, encoded};

const SMALL: BucketConfig = BucketConfig {
    min: 8,
    max: 64,
    step: 8,
    no_upscale: false,
};

/// Red at the left, blue at the right.
fn gradient(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            (255 - 255 * x / width) as u8,
            (7 * y) as u8,
            (255 * x / width) as u8,
        ])
    });
    encoded(&picture, ImageFormat::Png)
}

fn bucketed(folder: &Folder) -> DatasetConfig {
    DatasetConfig {
        resolution: Resolution::square(32),
        buckets: Some(SMALL),
        ..folder.config(&["set"])
    }
}

fn mixed(sizes: &[(u32, u32)]) -> Folder {
    let folder = Folder::new();
    for ((width, height), number) in sizes.iter().zip(0..) {
        folder
            .write(&format!("set/{number}.png"), gradient(*width, *height))
            .write(&format!("set/{number}.txt"), "a");
    }
    folder
}

#[test]
fn pictures_go_to_the_bucket_of_their_proportions_and_fill_it() {
    let folder = mixed(&[(100, 100), (100, 50), (50, 100), (33, 31)]);
    let opened = ImageFolders::open(&bucketed(&folder)).unwrap();
    let targets: Vec<_> = opened
        .entries()
        .iter()
        .map(|entry| (entry.target.width, entry.target.height))
        .collect();
    assert_eq!(targets, [(32, 32), (40, 24), (24, 40), (32, 32)]);
    for (index, target) in targets.iter().enumerate() {
        let pixels = opened.pixels(index, &View::plain()).unwrap();
        assert_eq!((pixels.width, pixels.height), *target);
        assert_eq!(
            pixels.data.len(),
            3 * (pixels.width * pixels.height) as usize
        );
    }
    assert_eq!(opened.resized(1), (48, 24));
    let plain = opened.pixels(1, &View::plain()).unwrap();
    assert_eq!(plain.framing.crop, (4, 0));
}

#[test]
fn a_picture_below_a_step_is_a_problem_where_nothing_is_enlarged() {
    let folder = mixed(&[(100, 100), (100, 7)]);
    let keep = DatasetConfig {
        buckets: Some(BucketConfig {
            no_upscale: true,
            ..SMALL
        }),
        ..bucketed(&folder)
    };
    let error = ImageFolders::open(&keep).unwrap_err().to_string();
    assert!(
        error.contains("1.png: is 100×7 pixels, less than a bucket's step of 8"),
        "{error}"
    );
}

#[test]
fn folders_have_settings_of_their_own() {
    let folder = Folder::new();
    folder
        .captioned("a/1.png")
        .captioned("b/1.png")
        .captioned("reg/1.png")
        .captioned("reg/2.png");
    let mut config = folder.config(&["a", "b", "reg"]);
    config.prior_loss_weight = 0.5;
    config.caption.keep_tokens = 2;
    config.folders[0].repeats = Some(6);
    config.folders[1] = FolderConfig {
        batch_size: NonZeroUsize::new(3),
        resolution: Some(Resolution::square(16)),
        caption: CaptionOverrides {
            shuffle: Some(true),
            ..CaptionOverrides::default()
        },
        ..config.folders[1].clone()
    };
    config.folders[2].regularisation = true;
    let text = toml::to_string(&config).unwrap();
    assert_eq!(
        toml::from_str::<DatasetConfig>(&text).unwrap(),
        config,
        "{text}"
    );
    let opened = ImageFolders::open(&config).unwrap();
    let subsets = opened.subsets();
    assert!(subsets[1].caption.shuffle && !subsets[0].caption.shuffle);
    assert_eq!(subsets[1].caption.keep_tokens, 2);
    assert_eq!(opened.entries()[1].target, Resolution::square(16));
    assert_eq!((subsets[0].loss_weight, subsets[2].loss_weight), (1.0, 0.5));
    // 7 showings of the others: 4 of the first regularisation picture, 3 of the second.
    let repeats: Vec<u32> = opened.entries().iter().map(|entry| entry.repeats).collect();
    assert_eq!(repeats, [6, 1, 4, 3]);
}

#[test]
fn regularisation_pictures_alone_are_a_problem() {
    let folder = Folder::new();
    folder.captioned("reg/1.png");
    let mut config = folder.config(&["reg"]);
    config.folders[0].regularisation = true;
    let error = ImageFolders::open(&config).unwrap_err().to_string();
    assert!(
        error.contains("regularisation = true: expected other pictures"),
        "{error}"
    );
}

#[test]
fn views_show_what_they_say() {
    let folder = mixed(&[(64, 32)]);
    let config = DatasetConfig {
        resolution: Resolution::square(32),
        ..folder.config(&["set"])
    };
    let opened = ImageFolders::open(&config).unwrap();
    let red = |view: View| opened.pixels(0, &view).unwrap().data[..32].to_vec();
    let crop = |x| View {
        crop: Some([x, 0.0]),
        ..View::plain()
    };
    let (left, middle, right) = (red(crop(0.0)), red(View::plain()), red(crop(1.0)));
    assert!(left[0] > middle[0] && middle[0] > right[0]);
    let mut mirrored = red(View::flipped());
    mirrored.reverse();
    assert_eq!(mirrored, middle);
    let turned = View {
        color: Some(ColorShift {
            hue: 16.0,
            gamma: 1.0,
        }),
        ..View::plain()
    };
    assert_ne!(
        opened.pixels(0, &turned).unwrap().data,
        opened.pixels(0, &View::plain()).unwrap().data
    );
}

#[test]
fn a_digest_names_the_pixels() {
    let folder = mixed(&[(64, 32)]);
    let digest = |config: &DatasetConfig, view: View| {
        ImageFolders::open(config)
            .unwrap()
            .digest(0, &view)
            .unwrap()
    };
    let config = bucketed(&folder);
    let first = digest(&config, View::plain()).unwrap();
    assert_eq!(digest(&config, View::plain()), Some(first));
    assert_ne!(digest(&config, View::flipped()), Some(first));
    let square = DatasetConfig {
        buckets: None,
        ..config.clone()
    };
    assert_ne!(digest(&square, View::plain()), Some(first));
    let shifting = View {
        crop: Some([0.0, 0.0]),
        ..View::plain()
    };
    assert_eq!(digest(&config, shifting), None);
    folder.write("set/0.png", gradient(64, 33));
    assert_ne!(digest(&config, View::plain()), Some(first));
}

/// The plan with names instead of numbers: what the user is promised.
fn named_plan(opened: &ImageFolders, epoch: u64) -> Vec<Vec<(String, u64)>> {
    let named = |exposure: &Exposure| {
        let image = &opened.entries()[exposure.index].image;
        let name = image.file_name().unwrap().to_string_lossy().into_owned();
        (name, exposure.ordinal)
    };
    epoch_plan(opened, NonZeroUsize::new(3).unwrap(), 7, epoch)
        .iter()
        .map(|batch| batch.iter().map(named).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_plan_does_not_depend_on_threads_or_on_the_order_of_files(
        order in Just((0..9_usize).collect::<Vec<_>>()).prop_shuffle(), epoch in 1..5_u64,
    ) {
        let sizes = [(100, 100), (100, 50), (50, 100), (33, 31), (90, 40), (40, 90), (64, 64), (20, 64), (99, 50)];
        let straight = mixed(&sizes);
        let shuffled = Folder::new();
        for index in order {
            let (width, height) = sizes[index];
            shuffled
                .write(&format!("set/{index}.txt"), "a")
                .write(&format!("set/{index}.png"), gradient(width, height));
        }
        let plan = |folder: &Folder, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut config = bucketed(folder);
                config.folders[0].repeats = Some(3);
                config.augment = AugmentConfig { flip: true, ..AugmentConfig::default() };
                named_plan(&ImageFolders::open(&config).unwrap(), epoch)
            })
        };
        let expected = plan(&straight, 1);
        prop_assert_eq!(&plan(&straight, 4), &expected);
        prop_assert_eq!(&plan(&shuffled, 2), &expected);
    }

    #[test]
    fn batches_stay_within_a_bucket_and_show_every_picture_its_repeats(epoch in 1..100_u64) {
        let folder = mixed(&[(100, 100), (100, 50), (50, 100), (33, 31), (90, 40)]);
        let mut config = bucketed(&folder);
        config.folders[0].repeats = Some(4);
        let opened = ImageFolders::open(&config).unwrap();
        let plan = epoch_plan(&opened, NonZeroUsize::new(3).unwrap(), 1, epoch);
        let mut shown = vec![0; 5];
        for batch in &plan {
            let target = opened.entries()[batch[0].index].target;
            prop_assert!(batch.len() <= 3);
            for exposure in batch {
                prop_assert_eq!(opened.entries()[exposure.index].target, target);
                shown[exposure.index] += 1;
            }
        }
        prop_assert_eq!(shown, vec![4; 5]);
        prop_assert_eq!(
            plan.len() as u64,
            lora_data::steps_per_epoch(&opened, NonZeroUsize::new(3).unwrap())
        );
    }
}
