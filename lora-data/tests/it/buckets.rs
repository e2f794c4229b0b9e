//! Buckets against what kohya's own code chose (testdata/buckets).

use std::fs;

use lora_data::{BucketConfig, Buckets, Resolution};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    resolution: [u32; 2],
    min: u32,
    max: u32,
    step: u32,
    no_upscale: bool,
    sizes: Vec<[u32; 2]>,
    /// Width and height of a picture, of its bucket, and before cutting.
    picks: Vec<[u32; 6]>,
}

fn sides(resolution: Resolution) -> [u32; 2] {
    [resolution.width, resolution.height]
}

#[test]
fn sizes_and_choices_are_kohyas() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/buckets/buckets.json"
    );
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut compared = 0;
    for case in cases {
        let [width, height] = case.resolution;
        let config = BucketConfig {
            min: case.min,
            max: case.max,
            step: case.step,
            no_upscale: case.no_upscale,
        };
        let buckets = Buckets::new(Resolution { width, height }, &config).unwrap();
        let sizes: Vec<[u32; 2]> = buckets.sizes().iter().copied().map(sides).collect();
        assert_eq!(sizes, case.sizes, "{config:?} {width}×{height}");
        for [
            w,
            h,
            bucket_width,
            bucket_height,
            resized_width,
            resized_height,
        ] in case.picks
        {
            let fit = buckets.select(w, h).unwrap();
            assert_eq!(
                (sides(fit.bucket), fit.resized),
                (
                    [bucket_width, bucket_height],
                    (resized_width, resized_height)
                ),
                "{w}×{h} at {width}×{height}, {config:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 3000, "{compared}");
}

proptest! {
    /// Independent of kohya's code: the bucket is in the list, none is nearer in proportions, and it is covered.
    #[test]
    fn the_nearest_proportions_are_chosen_and_covered(width in 1..9000_u32, height in 1..9000_u32) {
        let buckets = Buckets::new(Resolution::square(512), &BucketConfig::default()).unwrap();
        let fit = buckets.select(width, height).unwrap();
        let ratio = |size: Resolution| f64::from(size.width) / f64::from(size.height);
        let own = f64::from(width) / f64::from(height);
        let error = (ratio(fit.bucket) - own).abs();
        prop_assert!(buckets.sizes().contains(&fit.bucket));
        prop_assert!(buckets.sizes().iter().all(|&size| (ratio(size) - own).abs() >= error));
        prop_assert!(fit.resized.0 >= fit.bucket.width && fit.resized.1 >= fit.bucket.height);
        prop_assert!(fit.resized.0 == fit.bucket.width || fit.resized.1 == fit.bucket.height);
    }

    #[test]
    fn nothing_is_enlarged_where_that_is_not_wanted(width in 64..9000_u32, height in 64..9000_u32) {
        let config = BucketConfig { no_upscale: true, ..BucketConfig::default() };
        let buckets = Buckets::new(Resolution::square(512), &config).unwrap();
        // A very long picture may shrink to less than a step.
        if let Some(fit) = buckets.select(width, height) {
            prop_assert!(fit.resized.0 <= width.max(64) && fit.resized.1 <= height.max(64));
            prop_assert!(fit.bucket.width % 64 == 0 && fit.bucket.height % 64 == 0);
            prop_assert!(fit.bucket.width <= fit.resized.0 && fit.bucket.height <= fit.resized.1);
        }
    }
}
