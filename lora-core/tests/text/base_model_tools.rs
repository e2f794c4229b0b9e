//! Tools over a LoRA and a base model: merge, extract, verify, in both layouts of all families.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, TensorData};
use half::f16;
use lora_core::adapter::Target;
use lora_core::lora_file::{FileDtype, LoraFile, LoraModule, Program};
use lora_core::lora_tools::{
    ExtractChoice, ExtractError, MergeError, Misfit, RankChoice, RankRule, Verification,
    WeightedLora, extract, merge_into, resize,
};
use lora_core::safetensors_file::{RawTensor, SafetensorsFile};
use lora_core::weights::{Checkpoint, Component};
use lora_core::{BaseModel, Family, ModelSource, ModuleName};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::repository;

const TINY: [&str; 3] = ["tiny-sd15", "tiny-sd21", "tiny-sdxl"];

fn folder(model: &str) -> PathBuf {
    repository(&format!("testdata/golden/{model}"))
}

fn lora(name: &str) -> LoraFile {
    LoraFile::read(repository(&format!(
        "testdata/golden/lora/{name}.safetensors"
    )))
    .unwrap()
}

fn weighted<'a>(name: &'a str, file: &'a LoraFile, strength: f32) -> WeightedLora<'a> {
    WeightedLora {
        name,
        file,
        strength: strength.into(),
    }
}

/// The single file of a small model with all its tensors in f32, so that sums are not rounded to f16.
fn single_file_in_f32(model: &str, to: &Path) {
    let file =
        SafetensorsFile::open(repository(&format!("testdata/golden/{model}.safetensors"))).unwrap();
    let tensors: Vec<_> = file
        .names()
        .into_iter()
        .map(|name| {
            let raw = file.read(&name).unwrap();
            match raw.to_f32() {
                Some(values) => {
                    let bytes: Vec<u8> = values
                        .iter()
                        .flat_map(|value| value.to_le_bytes())
                        .collect();
                    (name, Dtype::F32, raw.shape, bytes)
                }
                None => (name, raw.dtype, raw.shape, raw.bytes),
            }
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    fs::write(to, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A weight, by its diffusers name, in the shape that the checkpoint's file gives it; never transposed.
fn weight(checkpoint: &Checkpoint, name: &ModuleName) -> Option<(Vec<usize>, Vec<f32>)> {
    let place = checkpoint.locate(name.component(), &format!("{}.weight", name.path()))?;
    let file = SafetensorsFile::open(&place.file).unwrap();
    let raw = match place.rows {
        Some(rows) => file.read_rows(&place.key, rows).unwrap(),
        None => file.read(&place.key).unwrap(),
    };
    let values = raw.to_f32().unwrap();
    let [outputs, inputs] = match raw.shape[..] {
        [stored_rows, stored_columns] if place.transposed => [stored_columns, stored_rows],
        _ => return Some((raw.shape, values)),
    };
    let across = |index: usize| values[index % inputs * outputs + index / inputs];
    let values = (0..values.len()).map(across).collect();
    Some((vec![outputs, inputs], values))
}

/// All adaptable weights: those of the names that the folder in the diffusers layout has.
fn weights(checkpoint: &Checkpoint) -> BTreeMap<ModuleName, (Vec<usize>, Vec<f32>)> {
    let model = TINY[match checkpoint.family() {
        Family::Sd1 => 0,
        Family::Sd2 => 1,
        Family::Sdxl => 2,
    }];
    let names = Checkpoint::open(folder(model), None).unwrap();
    ModuleName::candidates()
        .filter(|name| weight(&names, name).is_some())
        .map(|name| (name.clone(), weight(checkpoint, &name).unwrap()))
        .collect()
}

/// A LoRA of rank 2 for every adaptable layer of a checkpoint, with numbers that depend on the layer's place.
fn lora_for(checkpoint: &Checkpoint) -> LoraFile {
    let module = |index: usize, shape: &[usize]| {
        let numbers = |count: usize, seed: usize| -> Vec<f32> {
            (0..count)
                .map(|i| ((i * i * 7 + i * (seed + 3) + seed) % 101) as f32 / 100.0 - 0.5)
                .collect()
        };
        let (down, up) = (
            [&[2], &shape[1..]].concat(),
            match shape.len() {
                4 => vec![shape[0], 2, 1, 1],
                _ => vec![shape[0], 2],
            },
        );
        let data =
            |shape: Vec<usize>, seed| TensorData::new(numbers(shape.iter().product(), seed), shape);
        LoraModule {
            down: data(down, index),
            up: data(up, index + 50),
            alpha: 1.0,
        }
    };
    let modules = weights(checkpoint).into_iter().enumerate();
    LoraFile {
        modules: modules
            .map(|(index, (name, (shape, _)))| {
                (name.kohya(checkpoint.family()), module(index, &shape))
            })
            .collect(),
        ..LoraFile::default()
    }
}

/// `alpha / rank · up · down`, flattened.
fn product(module: &LoraModule) -> Vec<f32> {
    let (rank, down, up) = (
        module.rank(),
        module.down.as_slice::<f32>().unwrap(),
        module.up.as_slice::<f32>().unwrap(),
    );
    let columns = down.len() / rank;
    up.chunks(rank)
        .flat_map(|row| {
            (0..columns).map(move |column| {
                row.iter()
                    .enumerate()
                    .map(|(inner, value)| value * down[inner * columns + column])
                    .sum::<f32>()
                    * module.scale()
            })
        })
        .collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0f32, |largest, (a, b)| largest.max((a - b).abs()))
}

/// The golden weights were merged by sd-scripts in f32; ours are rounded to the file's f16 at the end.
#[test]
fn merged_weights_are_those_of_sd_scripts() {
    let target = tempfile::tempdir().unwrap();
    for (model, name) in [
        ("tiny-sd15", "tiny-sd15-locon"),
        ("tiny-sd15", "tiny-sd15-lora"),
        ("tiny-sd21", "tiny-sd21-lora"),
        ("tiny-sdxl", "tiny-sdxl-lora"),
    ] {
        let golden = SafetensorsFile::open(repository(&format!(
            "testdata/golden/lora/{name}-outputs.safetensors"
        )))
        .unwrap();
        let (file, out) = (
            lora(name),
            target.path().join(format!("{name}.safetensors")),
        );
        let checkpoint = Checkpoint::open(
            repository(&format!("testdata/golden/{model}.safetensors")),
            Some(&folder(model)),
        )
        .unwrap();
        merge_into(
            &checkpoint,
            &[weighted(name, &file, 1.0)],
            &out,
            &Device::default(),
        )
        .unwrap();
        let merged = Checkpoint::open(&out, Some(&folder(model))).unwrap();
        let expected: Vec<String> = golden
            .names()
            .into_iter()
            .filter(|key| key.starts_with("merged_weight."))
            .collect();
        assert_eq!(expected.len(), 3);
        for key in expected {
            let module =
                ModuleName::from_kohya(key.strip_prefix("merged_weight.").unwrap()).unwrap();
            let (_, found) = weight(&merged, &module).unwrap();
            let expected = golden.read(&key).unwrap().to_f32().unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                // Half a unit in the last place of f16, and the rounding of the sum in f32.
                let tolerance = expected.abs() * (2f32.powi(-11) + 1e-6) + 3e-8;
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{key}: {found} {expected}"
                );
            }
            let exact = expected
                .iter()
                .filter(|value| (f16::from_f32(**value).to_f32() - **value).abs() > 0.0);
            assert!(
                exact.count() > 0,
                "the golden weights should not be f16 numbers already"
            );
        }
    }
}

#[test]
fn both_layouts_of_every_family_become_the_same_model() {
    let target = tempfile::tempdir().unwrap();
    for model in TINY {
        let from_folder = Checkpoint::open(folder(model), None).unwrap();
        let from_file = Checkpoint::open(
            repository(&format!("testdata/golden/{model}.safetensors")),
            Some(&folder(model)),
        )
        .unwrap();
        let file = lora_for(&from_folder);
        let layers = file.modules.len();
        let (out_folder, out_file) = (
            target.path().join(model),
            target.path().join(format!("{model}.safetensors")),
        );
        for (checkpoint, out) in [(&from_folder, &out_folder), (&from_file, &out_file)] {
            let merged = merge_into(
                checkpoint,
                &[weighted("all", &file, 0.5)],
                out,
                &Device::default(),
            )
            .unwrap();
            assert_eq!((merged.weights, merged.modules), (layers, layers));
        }
        let (in_folder, in_file) = (
            weights(&Checkpoint::open(&out_folder, None).unwrap()),
            weights(&Checkpoint::open(&out_file, Some(&folder(model))).unwrap()),
        );
        let before = weights(&from_folder);
        assert_eq!(in_folder.len(), layers);
        for (name, (_, values)) in &in_folder {
            assert_eq!(values, &in_file[name].1, "{name}");
            let delta = product(&file.modules[&name.kohya(from_folder.family())]);
            let expected: Vec<f32> = before[name]
                .1
                .iter()
                .zip(delta)
                .map(|(base, delta)| base + 0.5 * delta)
                .collect();
            let largest = expected
                .iter()
                .fold(0f32, |largest, value| largest.max(value.abs()));
            assert!(
                largest_difference(values, &expected) <= largest * 2f32.powi(-11) + 1e-6,
                "{name}"
            );
        }
    }
}

#[test]
fn everything_else_stays_to_the_bit() {
    let target = tempfile::tempdir().unwrap();
    let file = lora("tiny-sd15-lora");
    let path = repository("testdata/golden/tiny-sd15.safetensors");
    let checkpoint = Checkpoint::open(&path, Some(&folder("tiny-sd15"))).unwrap();
    let out = target.path().join("merged.safetensors");
    merge_into(
        &checkpoint,
        &[weighted("a", &file, 0.7), weighted("b", &file, -0.2)],
        &out,
        &Device::default(),
    )
    .unwrap();
    let (before, after) = (
        SafetensorsFile::open(&path).unwrap(),
        SafetensorsFile::open(&out).unwrap(),
    );
    assert_eq!(before.names(), after.names());
    let changed = before.names().into_iter().filter(|name| {
        let (before, after) = (before.read(name).unwrap(), after.read(name).unwrap());
        assert_eq!((before.dtype, &before.shape), (after.dtype, &after.shape));
        before.bytes != after.bytes
    });
    assert_eq!(changed.count(), file.modules.len());
    assert_eq!(
        after.metadata("modelspec.merged_from"),
        Some("tiny-sd15, a, b")
    );

    // A folder keeps its other files, but no second form of the weights, which would miss the change.
    let model = target.path().join("model");
    copy_folder(&folder("tiny-sd15"), &model);
    fs::copy(&path, model.join("whole.safetensors")).unwrap();
    fs::write(model.join("unet/diffusion_pytorch_model.bin"), "old").unwrap();
    fs::write(model.join("notes.txt"), "kept").unwrap();
    let out = target.path().join("merged");
    merge_into(
        &Checkpoint::open(&model, None).unwrap(),
        &[weighted("a", &file, 1.0)],
        &out,
        &Device::default(),
    )
    .unwrap();
    let there = |path: &str| out.join(path).exists();
    assert!(
        there("notes.txt")
            && there("vae/diffusion_pytorch_model.safetensors")
            && there("unet/config.json")
    );
    assert!(!there("whole.safetensors") && !there("unet/diffusion_pytorch_model.bin"));
    let names: Vec<_> = fs::read_dir(target.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_lora_of_another_model_is_refused_layer_by_layer() {
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("merged.safetensors");
    let checkpoint = Checkpoint::open(folder("tiny-sd15"), None).unwrap();
    let mut file = lora("tiny-sd15-lora");
    let (name, module) = file
        .modules
        .iter()
        .next()
        .map(|(name, module)| (name.clone(), module.clone()))
        .unwrap();
    let wide = TensorData::new(vec![1f32; 4 * 13], [4, 13]);
    file.modules.insert(
        name.clone(),
        LoraModule {
            down: wide,
            ..module.clone()
        },
    );
    file.modules.insert(
        "lora_unet_down_blocks_3_attentions_0_proj_in".to_owned(),
        module,
    );
    let error = merge_into(
        &checkpoint,
        &[weighted("other", &file, 1.0)],
        &out,
        &Device::default(),
    )
    .unwrap_err();
    let MergeError::Misfits { lora, misfits, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(lora, "other");
    assert!(
        matches!(&misfits.0[..], [Misfit::Shape { module, .. }, Misfit::NoLayer { .. }] if *module == name),
        "{misfits}"
    );
    let error = merge_into(
        &checkpoint,
        &[weighted("xl", &self::lora("tiny-sdxl-lora"), 1.0)],
        &out,
        &Device::default(),
    )
    .unwrap_err();
    assert!(
        error.to_string().starts_with("xl is a LoRA for SDXL, and "),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn what_the_number_format_cannot_hold_is_not_written() {
    let target = tempfile::tempdir().unwrap();
    let out = target.path().join("merged.safetensors");
    let path = repository("testdata/golden/tiny-sd15.safetensors");
    let checkpoint = Checkpoint::open(&path, Some(&folder("tiny-sd15"))).unwrap();
    let file = lora("tiny-sd15-lora");
    let error = merge_into(
        &checkpoint,
        &[weighted("strong", &file, 1e8)],
        &out,
        &Device::default(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a merged value is more than F16 can hold"),
        "{error}"
    );
    assert!(!out.exists());
}

/// Merges into the small SD 1.x file with its first adapted weight changed.
fn merge_error(lora: &LoraFile, change: impl Fn(&mut RawTensor)) -> String {
    let target = tempfile::tempdir().unwrap();
    let base = target.path().join("base.safetensors");
    let file = SafetensorsFile::open(repository("testdata/golden/tiny-sd15.safetensors")).unwrap();
    let changed = "model.diffusion_model.input_blocks.1.1.proj_in.weight";
    let tensors: Vec<_> = file
        .names()
        .into_iter()
        .map(|name| {
            let mut raw = file.read(&name).unwrap();
            if name == changed {
                change(&mut raw);
            }
            (name, raw)
        })
        .collect();
    let views = tensors.iter().map(|(name, raw)| {
        let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes);
        (name, view.unwrap())
    });
    fs::write(&base, safetensors::serialize(views, None).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(&base, Some(&folder("tiny-sd15"))).unwrap();
    let loras = [weighted("a", lora, 1.0)];
    let out = target.path().join("merged.safetensors");
    let error = merge_into(&checkpoint, &loras, &out, &Device::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("proj_in.weight: ") || text.contains(".weight: a LoRA"),
        "{text}"
    );
    text
}

#[test]
fn what_cannot_be_merged_is_told_by_its_cause() {
    let file = lora("tiny-sd15-lora");
    let none = merge_error(&file, |raw| {
        raw.bytes[..2].copy_from_slice(&f16::NAN.to_le_bytes());
    });
    assert!(none.contains("the base model itself holds"), "{none}");
    let whole = merge_error(&file, |raw| raw.dtype = Dtype::I16);
    assert!(whole.contains("stored as I16"), "{whole}");
    let mut broken = file;
    for module in broken.modules.values_mut() {
        module.up = TensorData::full(module.up.shape().clone(), f32::NAN);
    }
    let none = merge_error(&broken, |_| ());
    assert!(none.contains("a LoRA's correction of it"), "{none}");
}

#[test]
fn a_folder_is_not_merged_into_itself_and_its_history_stays_behind() {
    let target = tempfile::tempdir().unwrap();
    let model = target.path().join("model");
    copy_folder(&folder("tiny-sd15"), &model);
    fs::create_dir(model.join(".git")).unwrap();
    fs::write(model.join(".git/config"), "large").unwrap();
    let checkpoint = Checkpoint::open(&model, None).unwrap();
    let file = lora("tiny-sd15-lora");
    let merge = |out: &Path| {
        let loras = [weighted("a", &file, 1.0)];
        merge_into(&checkpoint, &loras, out, &Device::default())
    };
    for out in [model.join("merged"), target.path().to_path_buf()] {
        let error = merge(&out).unwrap_err();
        assert!(matches!(error, MergeError::Nested { .. }), "{error}");
    }
    assert!(!model.join("merged").exists() && model.join("unet").is_dir());
    let out = target.path().join("merged");
    merge(&out).unwrap();
    assert!(out.join("unet").is_dir() && !out.join(".git").exists());
}

/// The difference of a model and itself with a LoRA merged in is that LoRA, whichever layouts the two have.
#[test]
fn what_was_merged_is_extracted_again() {
    let target = tempfile::tempdir().unwrap();
    for model in TINY {
        let base = target.path().join(format!("{model}.safetensors"));
        single_file_in_f32(model, &base);
        let in_f32 = Checkpoint::open(&base, Some(&folder(model))).unwrap();
        let file = lora_for(&in_f32);
        let out = target.path().join("merged.safetensors");
        merge_into(
            &in_f32,
            &[weighted("all", &file, 1.0)],
            &out,
            &Device::default(),
        )
        .unwrap();
        let tuned = Checkpoint::open(&out, Some(&folder(model))).unwrap();
        let base = Checkpoint::open(folder(model), None).unwrap();
        let choice = ExtractChoice {
            rank: RankChoice::fixed(2),
            targets: vec![
                Target::TextEncoder,
                Target::Attention,
                Target::Convolution,
                Target::TextProjection,
                Target::OutsideTheBlocks,
            ],
        };
        let (found, told) =
            extract([&base, &tuned], &choice, &Device::default(), |_, _| ()).unwrap();
        assert_eq!(found.family(), Some(tuned.family()));
        assert!(found.modules.keys().eq(file.modules.keys()), "{model}");
        for (name, module) in &found.modules {
            let (found, expected) = (product(module), product(&file.modules[name]));
            let largest = expected
                .iter()
                .fold(0f32, |largest, value| largest.max(value.abs()));
            // The sum base + correction is rounded to f32; bases are of about the same size.
            assert!(
                largest_difference(&found, &expected) <= 2e-5 * largest,
                "{model} {name}"
            );
            assert!(told[name].kept > 0.999_999, "{name}: {:?}", told[name]);
        }
        let energy = ExtractChoice {
            rank: RankChoice::by(RankRule::Energy(0.5)),
            targets: vec![Target::Attention],
        };
        let (smaller, told) =
            extract([&base, &tuned], &energy, &Device::default(), |_, _| ()).unwrap();
        assert!(smaller.modules.len() < file.modules.len());
        assert!(
            told.values()
                .all(|told| told.kept * told.kept >= 0.5 && told.rank <= 2)
        );
    }
}

#[test]
fn models_without_a_difference_have_nothing_to_extract() {
    let base = Checkpoint::open(folder("tiny-sd15"), None).unwrap();
    let same = Checkpoint::open(
        repository("testdata/golden/tiny-sd15.safetensors"),
        Some(&folder("tiny-sd15")),
    )
    .unwrap();
    let other = Checkpoint::open(folder("tiny-sdxl"), None).unwrap();
    let attempt = |tuned: &Checkpoint| {
        extract(
            [&base, tuned],
            &ExtractChoice::default(),
            &Device::default(),
            |_, _| (),
        )
        .unwrap_err()
    };
    assert!(matches!(attempt(&same), ExtractError::Equal));
    let error = attempt(&other).to_string();
    assert!(
        error.contains("is SD 1.x and") && error.contains("is SDXL"),
        "{error}"
    );
}

#[test]
fn a_file_that_fits_is_told_so_and_what_it_leaves_out() {
    let golden = |name: &str| repository(&format!("testdata/golden/lora/{name}.safetensors"));
    for (name, model) in [
        ("tiny-sd15-locon", "tiny-sd15"),
        ("tiny-sd15-lora", "tiny-sd15"),
        ("tiny-sd21-lora", "tiny-sd21"),
        ("tiny-sdxl-lora", "tiny-sdxl"),
    ] {
        for (path, config) in [
            (folder(model), None),
            (
                repository(&format!("testdata/golden/{model}.safetensors")),
                Some(folder(model)),
            ),
        ] {
            let base = Checkpoint::open(path, config.as_deref()).unwrap();
            let told = Verification::of(golden(name), Some(&base)).unwrap();
            assert!(told.is_usable(), "{told:?}");
            let locon = name.ends_with("locon");
            assert_eq!(!told.misread.is_empty(), locon, "{:?}", told.misread);
            assert_eq!(told.base.unwrap().missing, [""; 0], "{name}");
            assert!(told.hashes.iter().all(|hash| hash.holds() == Some(true)));
        }
    }
    let sdxl = Checkpoint::open(folder("tiny-sdxl"), None).unwrap();
    let told = Verification::of(golden("tiny-sd15-locon"), Some(&sdxl)).unwrap();
    assert!(!told.is_usable());
    assert_eq!(
        (told.family, told.base.unwrap().family),
        (Some(Family::Sd1), Family::Sdxl)
    );
}

#[test]
fn broken_and_untrained_and_left_out_modules_are_named() {
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("a.safetensors");
    let mut file = lora("tiny-sd15-lora");
    let names: Vec<String> = file.modules.keys().take(2).cloned().collect();
    file.modules.remove(&names[0]);
    let module = file.modules.get_mut(&names[1]).unwrap();
    module.up = TensorData::zeros::<f32, _>(module.up.shape().clone());
    file.write(&path, FileDtype::F16).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last..].copy_from_slice(&f16::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();

    let base = Checkpoint::open(folder("tiny-sd15"), None).unwrap();
    let told = Verification::of(&path, Some(&base)).unwrap();
    assert!(!told.is_usable());
    assert_eq!(told.zero, names[1..]);
    assert_eq!(told.not_finite.len(), 1);
    assert_eq!(told.base.unwrap().missing, names[..1]);
    assert_eq!(told.hashes[0].holds(), Some(false));
}

/// The file of a LoRA that changes one layer, `[outputs, inputs]`.
fn write_module(path: &Path, name: &str, [outputs, inputs]: [usize; 2]) {
    let module = LoraModule {
        down: TensorData::ones::<f32, _>([1, inputs]),
        up: TensorData::ones::<f32, _>([outputs, 1]),
        alpha: 1.0,
    };
    let file = LoraFile {
        modules: BTreeMap::from([(name.to_owned(), module)]),
        ..LoraFile::default()
    };
    file.write(path, FileDtype::F16).unwrap();
}

#[test]
fn layers_that_are_known_but_not_adapted_are_not_called_missing() {
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("a.safetensors");
    let base = Checkpoint::open(folder("tiny-sdxl"), None).unwrap();
    write_module(&path, "lora_te1_text_projection", [8, 8]);
    let told = Verification::of(&path, Some(&base)).unwrap();
    let module = told.not_adapted[0].clone();
    assert!(!told.is_usable());
    assert_eq!(told.base.unwrap().misfits, [Misfit::NotAdapted { module }]);
    assert_eq!(misread(&path), [(Program::Kohya, 3)]);

    // Others adapt these, and so they can be drawn with.
    for (name, shape) in [
        ("lora_unet_conv_in", [32, 4 * 9]),
        ("lora_unet_out_2", [4, 32 * 9]),
        ("lora_unet_time_embed_0", [128, 32]),
        ("lora_unet_label_emb_0_2", [128, 128]),
    ] {
        write_module(&path, name, shape);
        let told = Verification::of(&path, Some(&base)).unwrap();
        assert!(told.not_adapted.is_empty(), "{name}");
        let misfits = told.base.unwrap().misfits;
        let of_kernel = name.ends_with("conv_in") || name.ends_with("out_2");
        // The file's factors are flat, which convolutions wider than one pixel are not.
        assert_eq!(misfits.len(), usize::from(of_kernel), "{misfits:?}");
        assert_eq!(misread(&path), [(Program::Kohya, 3)], "{name}");
    }
    let name = "lora_te2_text_projection";
    write_module(&path, name, [12, 12]);
    let told = Verification::of(&path, Some(&base)).unwrap();
    assert!(told.is_usable() && told.not_adapted.is_empty(), "{told:?}");
    assert_eq!(misread(&path), [(Program::Kohya, 3)]);
}

/// An SD 2.x single file holds one block of OpenCLIP more than the model uses.
#[test]
fn the_spare_block_of_a_single_file_is_no_layer() {
    let target = tempfile::tempdir().unwrap();
    let (base, tuned) = (
        repository("testdata/golden/tiny-sd21.safetensors"),
        target.path().join("tuned.safetensors"),
    );
    // Each value of the tuned file's blocks is another one, those of the spare block too.
    let file = SafetensorsFile::open(&base).unwrap();
    let tensors: Vec<_> = file
        .names()
        .into_iter()
        .map(|name| {
            let mut raw = file.read(&name).unwrap();
            if name.contains("resblocks") && name.ends_with("weight") {
                raw.bytes
                    .chunks_exact_mut(2)
                    .for_each(|value| value[0] ^= 0x80);
            }
            (name, raw)
        })
        .collect();
    let views = tensors.iter().map(|(name, raw)| {
        let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes);
        (name, view.unwrap())
    });
    fs::write(&tuned, safetensors::serialize(views, None).unwrap()).unwrap();

    let config = folder("tiny-sd21");
    let open = |path: &Path| Checkpoint::open(path, Some(&config)).unwrap();
    let (base, tuned) = (open(&base), open(&tuned));
    let choice = ExtractChoice {
        rank: RankChoice::fixed(2),
        ..ExtractChoice::default()
    };
    let device = Device::default();
    let (found, _) = extract([&base, &tuned], &choice, &device, |_, _| ()).unwrap();
    let mut model = BaseModel::load(&ModelSource::new(&config), &device).unwrap();
    let injected = model.attach(&found, 1.0, &device).unwrap();
    assert_eq!(injected.modules, found.modules.len());

    let path = target.path().join("a.safetensors");
    found.write(&path, FileDtype::F16).unwrap();
    let told = Verification::of(&path, Some(&base)).unwrap();
    let layers = BTreeSet::from_iter(told.base.unwrap().missing);
    assert!(layers.is_empty(), "{layers:?}");
}

fn misread(path: &Path) -> Vec<(Program, usize)> {
    let misread = LoraFile::misread(path).unwrap();
    misread
        .into_iter()
        .map(|found| (found.program, found.keys.len()))
        .collect()
}

#[test]
fn programs_pass_over_what_they_do_not_know() {
    let golden = |name: &str| repository(&format!("testdata/golden/lora/{name}.safetensors"));
    assert_eq!(misread(&golden("tiny-sdxl-lora")), []);
    let keys = 2 * lora("tiny-sd15-lora").modules.len();
    assert_eq!(
        misread(&golden("tiny-sd15-lora-peft")),
        [(Program::A1111, keys), (Program::Kohya, keys)]
    );

    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("a.safetensors");
    let mut file = lora("tiny-sd15-lora");
    let module = file.modules.values().next().unwrap().clone();
    file.modules.insert("lora_unet_nowhere".to_owned(), module);
    file.write(&path, FileDtype::F16).unwrap();
    assert_eq!(misread(&path), Program::ALL.map(|program| (program, 3)));
}

/// `checks.json` of the golden data has diffusers' answer to this file: it is off by 1.66.
#[test]
fn what_diffusers_applies_at_another_strength_is_known_and_can_be_helped() {
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("a.safetensors");
    let golden = repository("testdata/golden/lora/tiny-sd15-locon.safetensors");
    let file = lora("tiny-sd15-locon");
    let in_unet = file
        .modules
        .keys()
        .filter(|name| name.starts_with("lora_unet"))
        .count();
    assert_eq!(misread(&golden), [(Program::Diffusers, 3 * in_unet)]);
    file.clone()
        .with_portable_alphas()
        .write(&path, FileDtype::F16)
        .unwrap();
    assert_eq!(misread(&path), []);

    // Alphas of a text encoder: those of attention are not found.
    let mut file = lora("tiny-sd15-lora");
    for (name, module) in &mut file.modules {
        if name.contains("layers_0") {
            module.alpha = 4.0;
        }
    }
    file.write(&path, FileDtype::F16).unwrap();
    assert_eq!(misread(&path), [(Program::Diffusers, 3 * 4)]);
    file.with_portable_alphas()
        .write(&path, FileDtype::F16)
        .unwrap();
    assert_eq!(misread(&path), []);
}

#[test]
fn ranks_that_differ_are_made_equal_for_diffusers() {
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("a.safetensors");
    let (mut file, _) = resize(
        &lora("tiny-sd15-lora"),
        &RankChoice::by(RankRule::Energy(0.7)),
    );
    // One module of the UNet alone has another rank.
    let of_unet = |name: &str| name.starts_with("lora_unet");
    let unet = lora("tiny-sd15-lora")
        .modules
        .into_iter()
        .filter(|(name, _)| of_unet(name));
    let (small, _) = resize(&lora("tiny-sd15-lora"), &RankChoice::fixed(2));
    file.modules.extend(unet);
    let name = file
        .modules
        .keys()
        .rfind(|name| of_unet(name))
        .unwrap()
        .clone();
    file.modules
        .insert(name.clone(), small.modules[&name].clone());

    file.write_peft(&path, FileDtype::F32).unwrap();
    let ranks = |of_unet: bool| -> BTreeSet<usize> {
        let read = LoraFile::read(&path).unwrap();
        let modules = read
            .modules
            .iter()
            .filter(|(name, _)| name.starts_with("lora_unet") == of_unet);
        modules.map(|(_, module)| module.rank()).collect()
    };
    assert_eq!((ranks(true).len(), ranks(false).len()), (1, 1));
    assert!(
        misread(&path)
            .iter()
            .all(|(program, _)| *program != Program::Diffusers)
    );
    for (name, module) in LoraFile::read(&path).unwrap().modules {
        let (found, expected) = (product(&module), product(&file.modules[&name]));
        assert!(largest_difference(&found, &expected) < 1e-6, "{name}");
    }
}

/// The VAE and what is not adapted have no part in this.
#[test]
fn only_adapted_networks_have_layers() {
    for model in TINY {
        let checkpoint = Checkpoint::open(folder(model), None).unwrap();
        let components: Vec<Component> = weights(&checkpoint)
            .keys()
            .map(ModuleName::component)
            .collect();
        assert!(
            components.contains(&Component::UNet) && components.contains(&Component::TextEncoder)
        );
        assert_eq!(
            components.contains(&Component::TextEncoder2),
            model == "tiny-sdxl"
        );
    }
}

/// In F32, so that rounding to the base model's number format does not hide what is compared.
#[test]
fn lycoris_files_are_merged_into_a_base_model_as_they_are_drawn_with() {
    let device = Device::flex();
    let target = tempfile::tempdir().unwrap();
    let (base, out) = (
        target.path().join("base.safetensors"),
        target.path().join("merged.safetensors"),
    );
    single_file_in_f32("tiny-sd15", &base);
    let config = folder("tiny-sd15");
    let checkpoint = Checkpoint::open(&base, Some(&config)).unwrap();
    let open = |path: &Path| {
        let source = ModelSource {
            config: Some(config.clone()),
            ..ModelSource::new(path)
        };
        BaseModel::load(&source, &device).unwrap()
    };
    for case in ["loha", "lokr", "dora"] {
        let path = repository(&format!("testdata/adapters/tiny-sd15-{case}.safetensors"));
        let file = LoraFile::read_any(path).unwrap();
        let twice = [weighted("a", &file, 0.5), weighted("b", &file, 0.25)];
        let merged = merge_into(&checkpoint, &twice, &out, &device).unwrap();
        assert_eq!(merged.modules, 2 * file.names().count(), "{case}");
        let (mut found, mut expected) = (open(&out), open(&base));
        expected.attach(&file, 0.5, &device).unwrap();
        expected.add(&file, 0.25, &device).unwrap();
        expected.merge_adapters();
        let weights = |model: &mut BaseModel| {
            let mut weights = Vec::new();
            for network in model.networks() {
                network.sites(&mut |_, site| {
                    let values: Vec<f32> = site.weight.matrix().into_data().iter().collect();
                    weights.push((site.path.to_owned(), values));
                });
            }
            weights
        };
        let (found, expected) = (weights(&mut found), weights(&mut expected));
        assert_ne!(expected, weights(&mut open(&base)), "{case}");
        for ((path, found), (_, expected)) in found.iter().zip(&expected) {
            assert!(largest_difference(found, expected) < 1e-6, "{case} {path}");
        }
    }
}
