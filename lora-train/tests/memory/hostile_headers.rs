//! Small files that would like to be large in memory.

use std::{fs, path::Path};

use burn::tensor::TensorData;
use lora_core::{
    lora_file::{LoraFile, LycorisModule},
    lora_tools::Norms,
    weights::Checkpoint,
};

use crate::HEAP;

/// What reading a file may take, whatever it says of itself.
const LIMIT: usize = 200 << 20;
/// Just below the longest header that is read.
const LONGEST: usize = 9_999_000;

/// Headers as long as can be, of what costs most memory for its length.
fn headers() -> [Box<dyn Fn() -> String>; 6] {
    fn repeated(begin: &str, piece: impl Fn(usize) -> String, end: &str) -> String {
        let mut header = begin.to_owned();
        let mut index = 0;
        while header.len() < LONGEST {
            header += &piece(index);
            index += 1;
        }
        header + end
    }
    let tensor =
        |name: &str| format!(r#""{name}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    [
        // Texts, tensors, dimensions, nesting, an escaped text where there should be none, one endless name.
        Box::new(|| {
            repeated(
                r#"{"__metadata__":{"":"""#,
                |i| format!(r#","{i:x}":"""#),
                "}}",
            )
        }),
        Box::new(move || {
            let last = tensor("last") + "}";
            repeated("{", |i| tensor(&format!("{i:x}")) + ",", &last)
        }),
        Box::new(|| {
            let (begin, end) = (
                r#"{"a":{"dtype":"U8","shape":[1"#,
                r#"],"data_offsets":[0,1]}}"#,
            );
            repeated(begin, |_| ",1".to_owned(), end)
        }),
        Box::new(|| repeated(r#"{"a":"#, |_| "[".to_owned(), "")),
        Box::new(|| repeated(r#"{"a":""#, |_| r"\u0041".to_owned(), r#""}"#)),
        Box::new(|| {
            let end = r#"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#;
            repeated(r#"{""#, |_| "a".to_owned(), end)
        }),
    ]
}

/// A file of a few bytes that declares a long header, or tensors that would fill any memory.
fn boasts() -> [Vec<u8>; 2] {
    let tensor = r#"{"a.alpha":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,18446744073709551615]}}"#;
    [
        [&(LONGEST as u64).to_le_bytes(), &b"{"[..]].concat(),
        [&(tensor.len() as u64).to_le_bytes(), tensor.as_bytes()].concat(),
    ]
}

pub fn take_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.safetensors");
    for header in headers() {
        let header = header();
        fs::write(
            &path,
            [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat(),
        )
        .unwrap();
        drop(header);
        read(&path, LIMIT);
    }
    for bytes in boasts() {
        fs::write(&path, bytes).unwrap();
        read(&path, 1 << 20);
    }
}

/// A layer that would have gigabytes, of which the file has thin factors: its norm is told without making it.
pub fn norms_of_large_layers_take_little_memory() {
    const SIDE: usize = 12_000;
    let part = |shape: [usize; 2]| TensorData::ones::<f32, _>(shape);
    let parts: [&[(&'static str, [usize; 2])]; 2] = [
        &[
            ("lokr_w1", [1, 1]),
            ("lokr_w2_a", [SIDE, 1]),
            ("lokr_w2_b", [1, SIDE]),
        ],
        &[
            ("hada_w1_a", [SIDE, 1]),
            ("hada_w1_b", [1, SIDE]),
            ("hada_w2_a", [SIDE, 1]),
            ("hada_w2_b", [1, SIDE]),
        ],
    ];
    for parts in parts {
        let parts = parts.iter().map(|&(name, shape)| (name, part(shape)));
        let module = LycorisModule {
            parts: parts.collect(),
            alpha: 1.0,
        };
        let file = LoraFile {
            lycoris: [("lora_unet_a".to_owned(), module)].into(),
            ..LoraFile::default()
        };
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let total = Norms::of(&file).total();
        let taken = HEAP.peak_usage() - before;
        // A square of ones: its norm is its side.
        assert!((total / SIDE as f64 - 1.0).abs() < 1e-3, "{total}");
        assert!(taken < LIMIT, "{taken} bytes");
    }
}

/// None of them is a LoRA or a base model, though nearly all are valid safetensors.
fn read(path: &Path, limit: usize) {
    let peak = |read: &dyn Fn() -> String| {
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let message = read();
        assert!(message.contains("hostile.safetensors"), "{message}");
        assert!(message.len() < 4000, "a message of {} bytes", message.len());
        HEAP.peak_usage() - before
    };
    let lora = peak(&|| LoraFile::read(path).unwrap_err().to_string());
    let base = peak(&|| Checkpoint::open(path, None).unwrap_err().to_string());
    assert!(
        lora.max(base) < limit,
        "{lora} bytes as a LoRA, {base} as a base model"
    );
}
