//! Preparing many large pictures takes no more memory than preparing a few.

use std::{fs, num::NonZeroUsize, ops::ControlFlow};

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{
    Resolution,
    prepare::{CropMode, DuplicatePolicy, Preparation, PrepareOptions, Target},
};

use crate::{ALONE, MEMORY};

/// The most memory that was held at a time while so many pictures of 2000 × 1500 were prepared, in MB.
fn peak(pictures: usize, threads: usize) -> f32 {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    fs::create_dir(&input).unwrap();
    let first = input.join("0.jpg");
    let picture = RgbImage::from_fn(2000, 1500, |x, y| {
        Rgb([(x % 251) as u8, (y % 241) as u8, (x * y % 239) as u8])
    });
    picture.save_with_format(&first, ImageFormat::Jpeg).unwrap();
    drop(picture);
    for index in 1..pictures {
        fs::hard_link(&first, input.join(format!("{index}.jpg"))).unwrap();
    }
    let options = PrepareOptions {
        target: Target::Size(Resolution::square(256)),
        crop: CropMode::Smart,
        duplicates: DuplicatePolicy::Report,
        thumbnails: true,
        threads: NonZeroUsize::new(threads),
        ..PrepareOptions::default()
    };
    let preparation = Preparation::open(&input, &folder.path().join("out"), options).unwrap();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage_as_mb();
    let report = preparation.run(None, &mut |_| ControlFlow::Continue(()));
    let peak = MEMORY.peak_usage_as_mb() - before;
    assert_eq!(report.unwrap().pictures.len(), pictures);
    peak
}

#[test]
fn memory_does_not_grow_with_the_number_of_pictures() {
    let _alone = ALONE.lock().unwrap();
    // A decoded picture has 2000 × 1500 × 3 bytes, 8.6 MB.
    let (few, many) = (peak(2, 1), peak(12, 1));
    assert!(
        many < few + 4.0,
        "{few} MB for 2 pictures, {many} MB for 12"
    );
    let two_at_a_time = peak(12, 2);
    assert!(
        two_at_a_time < 2.0 * few + 4.0,
        "{few} MB, {two_at_a_time} MB for two at a time"
    );
}
