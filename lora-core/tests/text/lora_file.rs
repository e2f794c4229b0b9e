//! LoRA files of sd-scripts, read and written back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use half::f16;
use lora_core::lora_file::{
    FileDtype, LoraFile, LoraFileError, LoraModule, LoraProblem, LoraWriteError, file_size,
};
use lora_core::safetensors_file::SafetensorsFile;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::{golden_json, repository};

const GOLDEN: &str = "testdata/golden/lora/tiny-sd15-lora.safetensors";
const GOLDEN_WITH_CONVOLUTIONS: &str = "testdata/golden/lora/tiny-sd15-locon.safetensors";

fn in_folder(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("a.safetensors")
}

/// Writes tensors of ones: `(key, type, shape)`.
fn write_tensors(path: &Path, tensors: &[(&str, Dtype, &[usize])]) {
    let ones = |dtype: Dtype, count: usize| match dtype {
        Dtype::F16 => f16::ONE.to_le_bytes().repeat(count),
        Dtype::F32 => 1f32.to_le_bytes().repeat(count),
        _ => vec![1; count * dtype.bitsize() / 8],
    };
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(_, dtype, shape)| ones(*dtype, shape.iter().product()))
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((key, dtype, shape), bytes)| {
            (
                *key,
                TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
            )
        });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn problems_of(tensors: &[(&str, Dtype, &[usize])]) -> Vec<LoraProblem> {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    write_tensors(&path, tensors);
    let error = LoraFile::read(&path).unwrap_err();
    assert!(error.to_string().contains("a.safetensors"), "{error}");
    match error {
        LoraFileError::Problems { problems, .. } => problems.0,
        LoraFileError::File(error) => panic!("{error}"),
    }
}

#[test]
fn every_value_of_a_stored_file_is_read() {
    for golden in [GOLDEN, GOLDEN_WITH_CONVOLUTIONS] {
        let path = repository(golden);
        let lora = LoraFile::read(&path).unwrap();
        let stored = fs::read(&path).unwrap();
        let stored = safetensors::SafeTensors::deserialize(&stored).unwrap();
        assert_eq!(3 * lora.modules.len(), stored.len());
        for (name, module) in &lora.modules {
            let alpha = TensorData::new(vec![module.alpha], Vec::<usize>::new());
            let parts = [
                ("lora_down.weight", &module.down),
                ("lora_up.weight", &module.up),
                ("alpha", &alpha),
            ];
            for (part, found) in parts {
                let expected = stored.tensor(&format!("{name}.{part}")).unwrap();
                let values = expected.data().as_chunks::<2>().0.iter();
                let values: Vec<f32> = values
                    .map(|&bytes| f16::from_le_bytes(bytes).to_f32())
                    .collect();
                assert_eq!(
                    *found,
                    TensorData::new(values, expected.shape().to_vec()),
                    "{name}.{part}"
                );
            }
        }
    }
}

#[test]
fn a_written_file_is_the_one_that_was_read() {
    for golden in [GOLDEN, GOLDEN_WITH_CONVOLUTIONS] {
        let folder = tempfile::tempdir().unwrap();
        let path = in_folder(&folder);
        let lora = LoraFile::read(repository(golden)).unwrap();
        let written = lora.write(&path, FileDtype::F16).unwrap();

        // The metadata holds sd-scripts' own hashes, so this compares ours with them, too.
        assert_eq!(LoraFile::read(&path).unwrap(), lora);
        assert_eq!(lora.metadata["sshs_model_hash"], written.model_hash);
        assert_eq!(lora.metadata["sshs_legacy_hash"], written.legacy_hash);
        assert_eq!(written.bytes, fs::metadata(&path).unwrap().len());
        let (ours, theirs) = (
            SafetensorsFile::open(&path),
            SafetensorsFile::open(repository(golden)),
        );
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours.names(), theirs.names());
        for name in ours.names() {
            assert_eq!(
                ours.read(&name).unwrap(),
                theirs.read(&name).unwrap(),
                "{name}"
            );
        }
    }
}

#[test]
fn equal_contents_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let lora = LoraFile::read(repository(GOLDEN)).unwrap();
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        lora.clone().write(&path, FileDtype::F16).unwrap();
        fs::read(path).unwrap()
    };
    assert!(bytes("a.safetensors") == bytes("b.safetensors"));
}

#[test]
fn all_number_formats_are_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    let values = vec![1.0 / 3.0, -1e-3, 0.0, 12.5];
    let module = LoraModule {
        down: TensorData::new(values.clone(), [2, 2]),
        up: TensorData::new(values.clone(), [2, 2]),
        alpha: 2.0,
    };
    let lora = LoraFile {
        modules: BTreeMap::from([("lora_unet_a".to_owned(), module)]),
        ..LoraFile::default()
    };
    for (dtype, tolerance) in [
        (FileDtype::F32, 0.0),
        (FileDtype::F16, 2f32.powi(-11)),
        (FileDtype::Bf16, 2f32.powi(-8)),
    ] {
        lora.write(&path, dtype).unwrap();
        let read = &LoraFile::read(&path).unwrap().modules["lora_unet_a"];
        assert!((read.scale() - 1.0).abs() < f32::EPSILON);
        for (found, expected) in read.down.as_slice::<f32>().unwrap().iter().zip(&values) {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs(),
                "{dtype:?}: {found} {expected}"
            );
        }
    }
}

#[test]
fn a_missing_alpha_is_the_rank() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    let factors: [(&str, Dtype, &[usize]); 2] = [
        ("a.lora_down.weight", Dtype::F32, &[4, 3]),
        ("a.lora_up.weight", Dtype::F16, &[5, 4]),
    ];
    write_tensors(&path, &factors);
    let module = &LoraFile::read(&path).unwrap().modules["a"];
    assert_eq!(
        (module.rank(), module.alpha.to_bits(), module.parameters()),
        (4, 4f32.to_bits(), 32)
    );
}

/// sd-scripts stores the number that its command line gave it.
#[test]
fn alphas_of_any_number_format_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    let (down, up) = (1f32.to_le_bytes().repeat(12), 1f32.to_le_bytes().repeat(20));
    for (dtype, bytes, expected) in [
        (Dtype::I64, 8i64.to_le_bytes().to_vec(), 8f32),
        (Dtype::I32, (-3i32).to_le_bytes().to_vec(), -3.0),
        (Dtype::F64, 0.5f64.to_le_bytes().to_vec(), 0.5),
        (Dtype::U8, vec![200], 200.0),
        (Dtype::F16, f16::from_f32(2.5).to_le_bytes().to_vec(), 2.5),
    ] {
        for shape in [vec![], vec![1]] {
            let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).unwrap();
            let tensors = [
                ("a.lora_down.weight", view(Dtype::F32, vec![4, 3], &down)),
                ("a.lora_up.weight", view(Dtype::F32, vec![5, 4], &up)),
                ("a.alpha", view(dtype, shape, &bytes)),
            ];
            fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
            let alpha = LoraFile::read(&path).unwrap().modules["a"].alpha;
            assert_eq!(alpha.to_bits(), expected.to_bits(), "{dtype}");
        }
    }
    let problems = problems_of(&[
        ("a.lora_down.weight", Dtype::F32, &[4, 3]),
        ("a.lora_up.weight", Dtype::F32, &[5, 4]),
        ("a.alpha", Dtype::BOOL, &[]),
    ]);
    assert!(
        matches!(&problems[..], [LoraProblem::AlphaDtype { key, .. }] if key == "a.alpha"),
        "{problems:?}"
    );
}

#[test]
fn factors_of_mixed_forms_are_those_of_a_convolution() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    for (down, up) in [
        (&[4, 3][..], &[5, 4, 1, 1][..]),
        (&[4, 3, 1, 1], &[5, 4]),
        (&[4, 3, 1], &[5, 4, 1]),
    ] {
        write_tensors(
            &path,
            &[
                ("a.lora_down.weight", Dtype::F32, down),
                ("a.lora_up.weight", Dtype::F32, up),
            ],
        );
        let file = LoraFile::read(&path).unwrap();
        assert_eq!(file.modules["a"].down.shape()[..], [4, 3, 1, 1]);
        assert_eq!(file.modules["a"].up.shape()[..], [5, 4, 1, 1]);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = problems_of(&[
        ("a.lora_down.weight", Dtype::F32, &[4, 3]),
        ("b.lora_up.weight", Dtype::F32, &[5, 4]),
        ("c.lora_down.weight", Dtype::F32, &[4, 3]),
        ("c.lora_up.weight", Dtype::F32, &[5, 8]),
        ("c.alpha", Dtype::F32, &[2]),
        ("d.lora_down.weight", Dtype::I32, &[4, 3]),
        ("d.lora_up.weight", Dtype::F32, &[5, 4]),
        ("unet.x.weight", Dtype::F32, &[4, 3]),
    ]);
    let missing = |key: &str| LoraProblem::MissingKey {
        key: key.to_owned(),
    };
    let expected = [
        LoraProblem::UnknownKey {
            key: "unet.x.weight".to_owned(),
        },
        missing("a.lora_up.weight"),
        missing("b.lora_down.weight"),
        LoraProblem::Alpha {
            key: "c.alpha".to_owned(),
            found: "of shape [2]".to_owned(),
        },
        LoraProblem::Shapes {
            module: "c".to_owned(),
            down: vec![4, 3],
            up: vec![5, 8],
        },
        LoraProblem::Dtype {
            key: "d.lora_down.weight".to_owned(),
            dtype: Dtype::I32,
        },
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_file_without_any_lora_key_says_so() {
    let problems = problems_of(&[("conv_in.weight", Dtype::F32, &[4, 3])]);
    assert_eq!(problems[0], LoraProblem::NoModules);
}

#[test]
fn what_cannot_be_stored_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = in_folder(&folder);
    fs::write(&path, "before").unwrap();
    let mut lora = LoraFile::read(repository(GOLDEN)).unwrap();
    let names: Vec<_> = lora.modules.keys().take(3).cloned().collect();
    lora.modules.get_mut(&names[0]).unwrap().alpha = f32::NAN;
    lora.modules.get_mut(&names[1]).unwrap().up = TensorData::new(vec![1e9f32; 8], [2, 4]);
    lora.modules.get_mut(&names[2]).unwrap().up = TensorData::new(vec![1f32; 6], [2, 3]);

    let error = lora.write(&path, FileDtype::F16).unwrap_err();
    let LoraWriteError::Problems { problems, .. } = &error else {
        panic!("{error}")
    };
    let text = problems.to_string();
    for expected in [
        format!("{}.alpha is NaN", names[0]),
        format!("{}.lora_up.weight has a value", names[1]),
        format!("{}: lora_down", names[2]),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"before");
}

/// Like sd-scripts', the short hash is that of a file with `ss_*` metadata only; a title does not change it.
#[test]
fn the_legacy_hash_looks_at_training_metadata_only() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..600_000).map(|i| (i % 997) as f32).collect();
    let module = LoraModule {
        down: TensorData::new(values, [1, 600_000]),
        up: TensorData::new(vec![1f32], [1, 1]),
        alpha: 1.0,
    };
    let hash = |entries: &[(&str, &str)]| {
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let lora = LoraFile {
            modules: BTreeMap::from([("a".to_owned(), module.clone())]),
            metadata: entries.collect(),
            ..LoraFile::default()
        };
        lora.write(in_folder(&folder), FileDtype::F16)
            .unwrap()
            .legacy_hash
    };
    let plain = hash(&[("ss_seed", "1")]);
    assert_eq!(
        plain,
        hash(&[
            ("ss_seed", "1"),
            ("modelspec.title", "a title"),
            ("sshs_model_hash", "stale")
        ])
    );
    let written = LoraFile::read(in_folder(&folder)).unwrap();
    assert_ne!(written.metadata["sshs_model_hash"], "stale");
    assert_ne!(
        plain,
        hash(&[("ss_seed", "1"), ("ss_training_comment", "a comment")])
    );
}

/// What sd-scripts' files of SD 1.5 weigh: 144.1, 72.1 and 36.1 MiB at rank 128, 64 and 32 in F16.
#[test]
fn full_size_files_have_the_size_of_sd_scripts_files() {
    let counts = golden_json("lora/full_size_counts.json");
    let keys = golden_json("lora/full_size_keys.json");
    for (model, dim, mebibytes) in [
        ("sd15", 128, Some("144.1")),
        ("sd15", 64, Some("72.1")),
        ("sd15", 32, Some("36.1")),
        ("sdxl", 128, None),
        ("sdxl", 32, None),
    ] {
        let shapes: BTreeMap<String, [Vec<usize>; 2]> =
            serde_json::from_value(keys[model]["default"].clone()).unwrap();
        let at_rank = |(name, [mut down, mut up]): (String, [Vec<usize>; 2])| {
            (down[0], up[1]) = (dim, dim);
            (name, down, up)
        };
        let shapes: Vec<_> = shapes.into_iter().map(at_rank).collect();
        let modules = shapes
            .iter()
            .map(|(name, down, up)| (name.as_str(), down.as_slice(), up.as_slice()));
        let bytes = file_size(modules, FileDtype::F16);
        let expected = &counts[model][format!("dim{dim}")]["fp16_file_bytes_without_metadata"];
        assert_eq!(Some(bytes), expected.as_u64(), "{model} at rank {dim}");
        if let Some(mebibytes) = mebibytes {
            assert_eq!(format!("{:.1}", bytes as f64 / 1024.0 / 1024.0), mebibytes);
        }
    }
}
