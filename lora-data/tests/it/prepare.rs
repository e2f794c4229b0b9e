//! Preparing pictures: which part is kept, at which size, and what comes along.

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage, imageops};
use lora_data::{
    AlphaPolicy, BucketConfig, CaptionConfig, Dataset, DatasetConfig, FolderConfig, ImageFolders,
    MaskConfig, MaskSource, Pixels, Resolution, View,
    faces::face_set::CropFrame,
    prepare::{CropMode, CutMethod, OutputFormat, PrepareError, SmallPolicy, Target},
};

use crate::{
    folder::{encoded, encoded_dynamic},
    pictures::with_orientation,
    prepare_folder::{Place, is_written, of, problem, varied},
};

const UPRIGHT: Resolution = Resolution {
    width: 64,
    height: 96,
};

fn frame(left: u32, top: u32, width: u32, height: u32) -> CropFrame {
    CropFrame {
        left,
        top,
        width,
        height,
    }
}

/// How training sees the pictures of a folder.
fn trained(place: &Place, folder: &str, config: DatasetConfig) -> Vec<Pixels> {
    let caption = CaptionConfig {
        allow_missing: true,
        ..CaptionConfig::default()
    };
    let config = DatasetConfig {
        folders: vec![FolderConfig::new(place.path(folder))],
        caption,
        ..config
    };
    let dataset = ImageFolders::open(&config).unwrap();
    let pixels = (0..dataset.entries().len()).map(|index| dataset.pixels(index, &View::plain()));
    pixels.map(Result::unwrap).collect()
}

#[test]
fn training_sees_the_same_pixels_as_in_the_originals() {
    let mut place = Place::squares(64);
    place
        .picture("in/a.png", &varied(300, 200))
        .picture("in/b.png", &varied(150, 400))
        .picture("in/c.png", &varied(64, 64));
    let buckets = BucketConfig {
        min: 32,
        max: 128,
        step: 16,
        no_upscale: false,
    };
    for (target, config) in [
        (
            Target::Size(UPRIGHT),
            DatasetConfig {
                resolution: UPRIGHT,
                ..DatasetConfig::default()
            },
        ),
        (
            Target::Buckets {
                resolution: Resolution::square(64),
                config: buckets,
            },
            DatasetConfig {
                resolution: Resolution::square(64),
                buckets: Some(buckets),
                ..DatasetConfig::default()
            },
        ),
    ] {
        place.options.target = target;
        place.options.small = SmallPolicy::Upscale;
        place.run();
        let before = trained(&place, "in", config.clone());
        let after = trained(&place, "out", config);
        assert_eq!(before.len(), 3);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!((before.width, before.height), (after.width, after.height));
            assert_eq!(before.data, after.data);
        }
    }
}

#[test]
fn each_way_of_cropping_keeps_its_part() {
    // Flat on the left, chequered from 220 on; a face at 130, 50.
    let mut picture = RgbImage::from_fn(300, 100, |x, y| {
        let is_dark = x >= 220 && (x / 20 + y / 20) % 2 == 0;
        Rgb([if is_dark { 0 } else { 120 }; 3])
    });
    picture.put_pixel(130, 50, Rgb([255, 0, 255]));
    let mut place = Place::squares(100);
    place.picture("in/a.png", &picture);
    for (crop, left, method) in [
        (CropMode::Centre, 100..=100, CutMethod::Centre),
        // The last edge is at 280; a window that holds the first one too begins before 220.
        (CropMode::Smart, 180..=215, CutMethod::Smart),
        // The middle of the face is 130; half a window before it is 80.
        (CropMode::Face, 80..=80, CutMethod::Face { faces: 1 }),
    ] {
        place.options.crop = crop;
        let report = place.run();
        let cut = of(&report, "a.png").cut.as_ref().unwrap();
        let found = cut.frame.left;
        assert_eq!((cut.method, cut.frame), (method, frame(found, 0, 100, 100)));
        assert!(left.contains(&found), "{crop:?}: {found}");
        let expected = imageops::crop_imm(&picture, found, 0, 100, 100).to_image();
        assert_eq!(place.decoded("out/a.png"), expected, "{crop:?}");
    }
    place.options.crop = CropMode::None;
    let report = place.run();
    assert_eq!(of(&report, "a.png").cut.as_ref().unwrap().size, (300, 100));
    assert_eq!(place.decoded("out/a.png"), picture);
}

#[test]
fn without_a_face_it_is_the_smart_crop_and_that_is_told() {
    let picture = RgbImage::from_fn(300, 100, |x, y| {
        Rgb([if x < 80 && (x / 20 + y / 20) % 2 == 0 {
            0
        } else {
            120
        }; 3])
    });
    let mut place = Place::squares(100);
    place
        .picture("in/a.png", &picture)
        .picture("in/square.png", &varied(100, 100));
    place.options.crop = CropMode::Face;
    let report = place.run();
    let cut = of(&report, "a.png").cut.as_ref().unwrap();
    assert_eq!(cut.method, CutMethod::SmartWithoutFace);
    // The first edge is at 20, and a window that holds it begins before.
    assert!(cut.frame.left <= 20, "{}", cut.frame.left);
    assert_eq!(
        of(&report, "square.png").cut.as_ref().unwrap().method,
        CutMethod::Whole
    );
    let refused = place
        .open()
        .unwrap()
        .run(None, &mut |_| std::ops::ControlFlow::Continue(()));
    assert!(matches!(
        refused,
        Err(PrepareError::Option { option: "crop", .. })
    ));
}

#[test]
fn boxes_are_cut_out_of_the_picture_as_it_is_shown() {
    // The file holds it lying on its side: orientation 6 turns it clockwise to 60 × 100.
    let upright = varied(60, 100);
    let lying = imageops::rotate270(&upright);
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
    DynamicImage::from(lying)
        .write_with_encoder(encoder)
        .unwrap();
    let mut place = Place::squares(20);
    place
        .write("in/turned.jpg", with_orientation(&jpeg, 6))
        .picture("in/10_狐/plain.png", &varied(60, 100))
        .picture("in/beyond.png", &varied(60, 100));
    place.write(
        "boxes.csv",
        "name,x,y,width,height\nturned.jpg,10,50,20,20\n10_狐/plain.png,4,6,40,20\nbeyond.png,50,0,20,20\nnobody.png,0,0,1,1\n",
    );
    place.options.boxes = Some(place.path("boxes.csv"));
    place.options.recursive = true;
    let opened = place.open().unwrap();
    let notes = opened.notes().join("\n");
    assert!(
        notes.contains("boxes of pictures that are not there: nobody.png"),
        "{notes}"
    );
    let report = place.run();
    let turned = of(&report, "turned.jpg");
    assert_eq!(turned.survey.as_ref().unwrap().size, (60, 100));
    let cut = turned.cut.as_ref().unwrap();
    assert_eq!(
        (cut.method, cut.frame),
        (CutMethod::Box, frame(10, 50, 20, 20))
    );
    let expected = imageops::crop_imm(&upright, 10, 50, 20, 20).to_image();
    let found = place.decoded("out/turned.png");
    let far = expected
        .as_raw()
        .iter()
        .zip(found.as_raw())
        .filter(|(a, b)| a.abs_diff(**b) > 24);
    // JPEG's blocks blur what was noise in blue.
    assert!(far.count() < 60);
    // 40 × 20 covers 20 × 20 as it is: the middle 20 columns are kept.
    let plain = of(&report, "10_狐/plain.png").cut.as_ref().unwrap();
    assert_eq!((plain.frame, plain.size), (frame(14, 6, 20, 20), (20, 20)));
    let expected = imageops::crop_imm(&varied(60, 100), 14, 6, 20, 20).to_image();
    assert_eq!(place.decoded("out/10_狐/plain.png"), expected);
    let told = problem(&report, "beyond.png");
    assert!(
        told.ends_with("beyond.png: its box reaches to 70, 20, but the picture is 60×100"),
        "{told}"
    );
}

#[test]
fn a_box_without_a_size_is_cut_as_it_is() {
    let mut place = Place::squares(20);
    place.picture("in/a.png", &varied(60, 100));
    place.write(
        "boxes.jsonl",
        "{\"name\":\"a.png\",\"x\":1,\"y\":2,\"width\":30,\"height\":40}",
    );
    place.options.boxes = Some(place.path("boxes.jsonl"));
    place.options.target = Target::Whole { max_side: None };
    place.run();
    let expected = imageops::crop_imm(&varied(60, 100), 1, 2, 30, 40).to_image();
    assert_eq!(place.decoded("out/a.png"), expected);
}

#[test]
fn small_pictures_are_never_enlarged_unless_that_was_asked_for() {
    let mut place = Place::squares(100);
    place
        .picture("in/small.png", &varied(90, 60))
        .picture("in/large.png", &varied(200, 120));
    for (small, size) in [
        (SmallPolicy::Keep, Some((60, 60))),
        (SmallPolicy::Upscale, Some((100, 100))),
        (SmallPolicy::Skip, None),
    ] {
        place.options.small = small;
        let report = place.run();
        let told = of(&report, "small.png");
        assert_eq!(told.cut.as_ref().map(|cut| cut.size), size);
        assert!(told.small && !of(&report, "large.png").small);
        // What an earlier policy made goes with it.
        assert_eq!(place.path("out/small.png").is_file(), size.is_some());
        if let Some(size) = size {
            assert_eq!(place.decoded("out/small.png").dimensions(), size);
        }
    }
}

#[test]
fn transparency_is_laid_over_a_colour_or_becomes_a_mask_or_an_error() {
    let picture = RgbaImage::from_fn(120, 60, |x, _| {
        Rgba([10, 20, 30, if x < 60 { 0 } else { 255 }])
    });
    let mut place = Place::squares(60);
    place
        .write(
            "in/1_x/a.png",
            encoded_dynamic(&picture.into(), ImageFormat::Png),
        )
        .picture("in/1_x/opaque.png", &varied(60, 60));
    place.options.alpha = AlphaPolicy::Matte([200, 100, 0]);
    place.run();
    let laid = place.decoded("out/1_x/a.png");
    assert_eq!(laid.get_pixel(0, 0), &Rgb([200, 100, 0]));
    assert_eq!(laid.get_pixel(59, 0), &Rgb([10, 20, 30]));
    assert_eq!(place.made(), ["1_x/a.png", "1_x/opaque.png"]);

    place.options.alpha = AlphaPolicy::Mask;
    place.options.matte = [0, 0, 255];
    place.run();
    assert_eq!(
        place.decoded("out/1_x/a.png").get_pixel(0, 0),
        &Rgb([0, 0, 255])
    );
    assert_eq!(
        place.made(),
        ["1_x/a-masklabel.png", "1_x/a.png", "1_x/opaque.png"]
    );
    // Training reads it: the left half of the middle does not count.
    let masks = MaskConfig {
        source: MaskSource::File,
        unmasked_weight: 0.0,
    };
    let config = DatasetConfig {
        resolution: Resolution::square(60),
        mask: masks,
        ..DatasetConfig::default()
    };
    let pixels = trained(&place, "out/1_x", config);
    let mask = pixels[0].mask.as_ref().unwrap();
    assert_eq!(
        (mask[29].to_bits(), mask[30].to_bits()),
        (0.0_f32.to_bits(), 1.0_f32.to_bits())
    );
    assert!(pixels[1].mask.is_none());

    place.options.alpha = AlphaPolicy::Refuse;
    let report = place.run();
    let told = problem(&report, "1_x/a.png");
    assert!(
        told.contains("a.png: is transparent at 3600 of its pixels"),
        "{told}"
    );
    assert!(is_written(&report, "1_x/opaque.png") || place.path("out/1_x/opaque.png").is_file());
}

#[test]
fn captions_come_along_byte_for_byte_and_masks_are_cut_the_same_way() {
    let mut place = Place::squares(50);
    let caption = "\u{feff}一只狐狸, sitting\r\n\r\nsecond line  \n";
    // A mask of half the size, white where x < 80 of 200.
    let mask = GrayImage::from_fn(100, 50, |x, _| Luma([if x < 40 { 255 } else { 0 }]));
    place
        .picture("in/10_sks 狐/狐狸 1.jpg", &varied(200, 100))
        .write("in/10_sks 狐/狐狸 1.txt", caption)
        .write("in/10_sks 狐/狐狸 1.caption", [0xff, 0xfe, 9])
        .write(
            "in/10_sks 狐/狐狸 1-masklabel.png",
            encoded_dynamic(&mask.into(), ImageFormat::Png),
        )
        .picture("in/5_other/b.bmp", &varied(50, 50))
        .picture("in/5_other/misfit.png", &varied(50, 50))
        .write(
            "in/5_other/misfit-masklabel.png",
            encoded(&varied(50, 90), ImageFormat::Png),
        )
        .write("in/5_other/notes.md", "no caption");
    place.options.format = OutputFormat::Webp;
    let report = place.run();
    assert_eq!(
        place.made(),
        [
            "10_sks 狐/狐狸 1-masklabel.png",
            "10_sks 狐/狐狸 1.caption",
            "10_sks 狐/狐狸 1.txt",
            "10_sks 狐/狐狸 1.webp",
            "5_other/b.webp"
        ]
    );
    assert_eq!(place.bytes("out/10_sks 狐/狐狸 1.txt"), caption.as_bytes());
    assert_eq!(place.bytes("out/10_sks 狐/狐狸 1.caption"), [0xff, 0xfe, 9]);
    // The middle of 200 is from 50 to 150: white up to 80, which is 30 of 100 and so 15 of 50.
    let mask = image::open(place.path("out/10_sks 狐/狐狸 1-masklabel.png"))
        .unwrap()
        .into_luma8();
    assert_eq!(mask.dimensions(), (50, 50));
    assert!(mask.get_pixel(12, 20).0[0] > 250 && mask.get_pixel(18, 20).0[0] < 5);
    assert_eq!(place.decoded("out/5_other/b.webp"), varied(50, 50));
    let told = problem(&report, "5_other/misfit.png");
    assert!(
        told.contains("is 50×90 pixels, but its picture is 50×50"),
        "{told}"
    );
}

#[test]
fn without_a_size_pictures_are_turned_and_at_most_scaled_down() {
    let mut place = Place::squares(1);
    place
        .picture("in/a.png", &varied(200, 100))
        .picture("in/b.png", &varied(50, 20));
    place.options.target = Target::Whole { max_side: Some(80) };
    place.options.format = OutputFormat::Jpeg { quality: 90 };
    let report = place.run();
    assert_eq!(place.decoded("out/a.jpg").dimensions(), (80, 40));
    assert_eq!(place.decoded("out/b.jpg").dimensions(), (50, 20));
    assert!(report.pictures.iter().all(|one| !one.small));
}

#[test]
fn what_cannot_go_well_is_refused_before_anything_is_written() {
    let mut place = Place::squares(50);
    place
        .picture("in/a.png", &varied(60, 60))
        .picture("in/A.jpg", &varied(60, 60));
    let error = place.open().unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, PrepareError::SameName { .. }));
    assert!(
        told.contains("A.jpg and ") && told.contains("a.png would both become a"),
        "{told}"
    );
    std::fs::remove_file(place.path("in/A.jpg")).unwrap();
    for (change, expected) in [
        (
            Box::new(|place: &mut Place| place.options.target = Target::Size(Resolution::square(0)))
                as Box<dyn Fn(&mut Place)>,
            "size is 0×0",
        ),
        (
            Box::new(|place| place.options.format = OutputFormat::Jpeg { quality: 0 }),
            "quality is 0",
        ),
        (Box::new(|place| place.options.near = 128), "near is 128"),
        (
            Box::new(|place| {
                place.options.target = Target::Buckets {
                    resolution: Resolution::square(512),
                    config: BucketConfig {
                        step: 12,
                        ..BucketConfig::default()
                    },
                };
            }),
            "buckets.step = 12",
        ),
        (
            Box::new(|place| place.options.boxes = Some(place.path("no.csv"))),
            "no.csv: cannot be read",
        ),
    ] {
        let before = place.options.clone();
        change(&mut place);
        let told = place.open().unwrap_err().to_string();
        assert!(told.contains(expected), "{told}");
        place.options = before;
    }
    let opened = lora_data::prepare::Preparation::open(
        &place.path("in"),
        &place.path("in/out"),
        place.options.clone(),
    );
    assert!(matches!(opened, Err(PrepareError::Nested { .. })));
    std::fs::create_dir(place.path("empty")).unwrap();
    let opened = lora_data::prepare::Preparation::open(
        &place.path("empty"),
        &place.path("out"),
        place.options.clone(),
    );
    assert!(matches!(opened, Err(PrepareError::NoPictures { .. })));
    assert!(!place.path("out").exists());
}
