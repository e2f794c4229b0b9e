//! Damaged and hostile files: an error that names the file, never a panic.

use std::fs;

use lora_core::lora_file::LoraFile;
use lora_core::safetensors_file::{LayoutProblem, SafetensorsFile, SafetensorsFileError};
use proptest::prelude::*;

use crate::repository;

const NAME: &str = "damaged.safetensors";

/// Opens and reads `bytes` as a file, and says what came of it; an error must name the file.
fn read(bytes: &[u8]) -> Result<LoraFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    fs::write(&path, bytes).unwrap();
    let result = LoraFile::read(&path).map_err(|error| error.to_string());
    if let Err(message) = &result {
        assert!(message.contains(NAME), "{message}");
    }
    result
}

fn open(bytes: &[u8]) -> Result<SafetensorsFile, SafetensorsFileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    fs::write(&path, bytes).unwrap();
    SafetensorsFile::open(path)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length, header.as_bytes(), data].concat()
}

fn golden() -> Vec<u8> {
    fs::read(repository(
        "testdata/golden/lora/tiny-sd15-lora.safetensors",
    ))
    .unwrap()
}

/// The header of [`small`].
const HEADER: &str = concat!(
    r#"{"__metadata__":{"ss_v2":"False"},"#,
    r#""a.alpha":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#,
    r#""a.lora_down.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]},"#,
    r#""a.lora_up.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[12,20]}}"#,
);

/// The tensors of [`small`]: five ones.
fn data() -> Vec<u8> {
    1f32.to_le_bytes().repeat(5)
}

/// A small valid file, in which a random change is likely to hit something that matters.
fn small() -> Vec<u8> {
    with_header(HEADER, &data())
}

#[test]
fn the_undamaged_file_is_read() {
    let lora = read(&small()).unwrap();
    assert_eq!(lora.metadata["ss_v2"], "False");
    assert_eq!(lora.modules["a"].rank(), 1);
}

#[test]
fn each_kind_of_damage_has_its_error() {
    let length = |length: u64| [&length.to_le_bytes(), &small()[8..]].concat();
    assert!(matches!(
        open(b""),
        Err(SafetensorsFileError::TooShort { len: 0, .. })
    ));
    assert!(matches!(
        open(b"\x02\0\0\0\0\0\0"),
        Err(SafetensorsFileError::TooShort { len: 7, .. })
    ));
    assert!(matches!(
        open(&length(u64::MAX)),
        Err(SafetensorsFileError::HeaderTooLong { .. })
    ));
    assert!(matches!(
        open(b"<!DOCTYPE html><html>"),
        Err(SafetensorsFileError::HeaderTooLong { .. })
    ));
    assert!(matches!(
        open(&length(10_000_001)),
        Err(SafetensorsFileError::HeaderTooLong { .. })
    ));
    assert!(matches!(
        open(&length(9_000_000)),
        Err(SafetensorsFileError::HeaderTruncated { .. })
    ));
    assert!(matches!(
        open(&with_header("{]", b"")),
        Err(SafetensorsFileError::Header { .. })
    ));
    let mut bytes = small();
    bytes.pop();
    assert!(matches!(
        open(&bytes),
        Err(SafetensorsFileError::WrongLength {
            declared: 20,
            found: 19,
            ..
        })
    ));
    bytes.extend([0; 2]);
    assert!(matches!(
        open(&bytes),
        Err(SafetensorsFileError::WrongLength {
            declared: 20,
            found: 21,
            ..
        })
    ));
}

#[test]
fn a_folder_and_a_missing_file_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = SafetensorsFile::open(folder.path()).unwrap_err();
    assert!(matches!(error, SafetensorsFileError::NotAFile { .. }));
    let error = SafetensorsFile::open(folder.path().join(NAME)).unwrap_err();
    assert!(matches!(error, SafetensorsFileError::Io { .. }) && error.to_string().contains(NAME));
}

#[test]
fn a_file_shortened_after_it_was_opened_names_the_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    fs::write(&path, small()).unwrap();
    let file = SafetensorsFile::open(&path).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(small().len() as u64 - 1)
        .unwrap();
    assert!(file.read("a.lora_down.weight").is_ok());
    let error = file.read("a.lora_up.weight").unwrap_err();
    assert!(matches!(error, SafetensorsFileError::Tensor { .. }));
    let message = error.to_string();
    assert!(message.contains("a.lora_up.weight") && message.contains(NAME));
}

#[test]
fn rows_and_blocks_are_parts_of_the_whole() {
    let golden = repository("testdata/golden/lora/tiny-sd15-lora.safetensors");
    let file = SafetensorsFile::open(&golden).unwrap();
    let name = file
        .names()
        .into_iter()
        .find(|name| file.info(name).unwrap().shape.first() > Some(&8))
        .unwrap();
    let whole = file.read(&name).unwrap();
    let rows = file.read_rows(&name, 3..7).unwrap();
    let row = whole.bytes.len() / whole.shape[0];
    assert_eq!(rows.shape, [&[4], &whole.shape[1..]].concat());
    assert_eq!(rows.bytes, whole.bytes[3 * row..7 * row]);
    assert!(file.read_rows(&name, 0..whole.shape[0] + 1).is_err());

    let mut data = Vec::new();
    file.visit_data(|block| data.extend_from_slice(block))
        .unwrap();
    assert!(fs::read(&golden).unwrap().ends_with(&data));
    let sizes = file
        .names()
        .into_iter()
        .map(|name| file.read(&name).unwrap().bytes.len());
    assert_eq!(data.len(), sizes.sum::<usize>());
}

/// A header of tensors of bytes, each with its element count and offsets.
fn byte_tensors(tensors: &[(&str, u64, u64, u64)]) -> String {
    let describe = |(name, count, start, end): &(&str, u64, u64, u64)| {
        format!(r#""{name}":{{"dtype":"U8","shape":[{count}],"data_offsets":[{start},{end}]}}"#)
    };
    let tensors: Vec<_> = tensors.iter().map(describe).collect();
    format!("{{{}}}", tensors.join(","))
}

/// What is wrong with the layout of `header`'s tensors.
fn layout_problem(header: &str) -> LayoutProblem {
    match open(&with_header(header, &[0; 8])).unwrap_err() {
        SafetensorsFileError::Layout { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn tensors_that_contradict_one_another_are_named() {
    let overlap = byte_tensors(&[("a", 4, 0, 4), ("b", 4, 3, 7)]);
    assert_eq!(
        layout_problem(&overlap),
        LayoutProblem::Overlap {
            key: "b".to_owned(),
            start: 3,
            before: "a".to_owned(),
            end: 4,
        }
    );
    let hole = byte_tensors(&[("b", 3, 5, 8), ("a", 4, 0, 4)]);
    assert_eq!(
        layout_problem(&hole),
        LayoutProblem::Hole {
            key: "b".to_owned(),
            start: 5,
            end: 4,
        }
    );
    let sizes = [
        byte_tensors(&[("a", 4, 0, 5)]),
        byte_tensors(&[("a", 4, 4, 0)]),
        byte_tensors(&[("a", u64::MAX, 0, 8)]),
        byte_tensors(&[("a", 8, 0, 8)]).replace("U8", "F32"),
        byte_tensors(&[("a", 3, 0, 2)]).replace("U8", "F4"),
        byte_tensors(&[("a", 8, 0, 8)]).replace("[8]", "[4294967296,4294967296,4294967296]"),
    ];
    for header in sizes {
        let problem = layout_problem(&header);
        assert!(
            matches!(&problem, LayoutProblem::Size { key, .. } if key == "a"),
            "{problem}"
        );
    }
}

/// A file of f32 tensors, all of ones.
fn ones(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut header, mut end) = (Vec::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    with_header(&header, &1f32.to_le_bytes().repeat(end / 4))
}

#[test]
fn factors_of_lycoris_that_do_not_go_together_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        LoraFile::read_any(&path).map_err(|error| error.to_string())
    };
    let loha: [(&str, &[usize]); 4] = [
        ("a.hada_w1_a", &[6, 2]),
        ("a.hada_w1_b", &[2, 5]),
        ("a.hada_w2_a", &[6, 3]),
        ("a.hada_w2_b", &[3, 5]),
    ];
    let lokr: [(&str, &[usize]); 3] = [
        ("a.lokr_w1", &[2, 2]),
        ("a.lokr_w2_a", &[3, 2]),
        ("a.lokr_w2_b", &[2, 5]),
    ];
    read(&ones(&loha)).unwrap();
    read(&ones(&lokr)).unwrap();
    let broken = |good: &[(&'static str, &'static [usize])], part: &str, shape| {
        let mut tensors = good.to_vec();
        for (name, was) in &mut tensors {
            if name.ends_with(part) {
                *was = shape;
            }
        }
        read(&ones(&tensors)).unwrap_err()
    };
    let together = "do not go together";
    for (message, told) in [
        (broken(&loha, "w1_b", &[3, 5]), together),
        (broken(&loha, "w2_a", &[7, 3]), together),
        (broken(&loha, "w2_b", &[3, 4]), together),
        (broken(&lokr, "w2_b", &[1, 5]), together),
        (broken(&lokr, "lokr_w1", &[0, 2]), "a.lokr_w1 is empty"),
        // A shape whose product no number holds.
        (
            broken(&lokr, "lokr_w1", &[0, 1 << 40, 1 << 40]),
            "a.lokr_w1 is empty",
        ),
    ] {
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn a_tensor_that_is_badly_described_is_named() {
    let good = byte_tensors(&[("one", 8, 0, 8)]);
    let cases = [
        good.replace("U8", "U9"),
        good.replace(r#""shape":[8],"#, ""),
        good.replace("[8]", "[-8]"),
        good.replace("[8]", "8"),
        good.replace("[0,8]", "[0]"),
        good.replace("[0,8]", "[0,8.5]"),
        byte_tensors(&[("one", 8, 0, 8), ("one", 8, 0, 8)]),
    ];
    for header in cases {
        let error = open(&with_header(&header, &[0; 8])).unwrap_err();
        assert!(
            matches!(error, SafetensorsFileError::Header { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains(NAME) && message.contains("one"),
            "{message}"
        );
    }
}

#[test]
fn tensors_without_elements_may_stand_anywhere() {
    let header = byte_tensors(&[("end", 0, 8, 8), ("all", 8, 0, 8), ("start", 0, 0, 0)]);
    let file = open(&with_header(&header, &[0; 8])).unwrap();
    assert_eq!(file.names(), ["start", "all", "end"]);
    assert!(file.read("end").unwrap().bytes.is_empty());
}

/// Offsets that only fit into 64 bits must not overflow when lengths are added up.
#[test]
fn offsets_near_the_end_of_all_integers_are_an_error() {
    let size = u64::MAX / 8;
    let names: Vec<String> = (0..8).map(|i| format!("t{i}")).collect();
    let tensors: Vec<_> = names
        .iter()
        .zip(0..)
        .map(|(name, i)| (name.as_str(), size, i * size, (i + 1) * size))
        .collect();
    assert!(open(&with_header(&byte_tensors(&tensors), b"")).is_err());
}

#[test]
fn an_alpha_that_is_no_number_is_named() {
    let mut bytes = small();
    let data = bytes.len() - 20;
    bytes[data..data + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(read(&bytes).unwrap_err().contains("a.alpha is NaN"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_file_is_an_error(keep in 0.0..1.0f64) {
        for bytes in [small(), golden()] {
            let keep = (keep * bytes.len() as f64) as usize;
            prop_assert!(read(&bytes[..keep]).is_err());
        }
    }

    #[test]
    fn any_header_length_but_the_right_one_is_an_error(length in prop_oneof![any::<u64>(), 0..400u64]) {
        let mut bytes = small();
        prop_assume!(length.to_le_bytes() != bytes[..8]);
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = small();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        // A change may leave the file valid; what is read then must at least hang together.
        if let Ok(lora) = read(&bytes) {
            for module in lora.modules.values() {
                prop_assert!(module.rank() > 0 && module.alpha.is_finite());
            }
        }
    }

    #[test]
    fn changed_numbers_in_the_header_never_panic(place in any::<prop::sample::Index>(), number in any::<u64>()) {
        // Any text will do as metadata, so only the tensors' numbers are changed.
        let tensors = HEADER.find("a.alpha").unwrap();
        let numbers = HEADER.match_indices(|c: char| c.is_ascii_digit());
        let digits: Vec<_> = numbers.filter(|(at, _)| *at > tensors).collect();
        let (at, digit) = digits[place.index(digits.len())];
        let header = format!("{}{number}{}", &HEADER[..at], &HEADER[at + digit.len()..]);
        // A number can be the one that was there.
        prop_assert!(read(&with_header(&header, &data())).is_err() || digit == number.to_string());
    }
}
