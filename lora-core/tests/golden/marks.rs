//! What a single file says of its own training, and who is followed where several say something.

use lora_core::{
    Family, ModelConfigs,
    diffusion::PredictionType::{self, Epsilon, VPrediction},
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::Checkpoint,
};

use crate::{
    golden::path,
    model_files::{published, single_file, write_with, zeros},
};

/// Prediction, whether the noise ends in pure noise, native side.
type Settings = (PredictionType, bool, u32);

/// A family, a file's tensors beside the weights and its metadata, and what is made of them.
type Case<'a> = (Family, &'a [&'a str], &'a [(&'a str, &'a str)], Settings);

/// What a file of a published shape with these marks is taken for.
fn taken_for(family: Family, tensors: &[&str], metadata: &[(&str, &str)]) -> Settings {
    let mut all = published(family);
    all.extend(tensors.iter().map(|name| zeros(name, &[0])));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    write_with(&file, &all, metadata);
    settings(&Checkpoint::open(&file, None).unwrap())
}

fn settings(checkpoint: &Checkpoint) -> Settings {
    let configs = ModelConfigs::read(checkpoint).unwrap();
    let scheduler = &configs.scheduler;
    (
        scheduler.prediction_type,
        scheduler.rescale_betas_zero_snr,
        configs.native_side(),
    )
}

#[test]
fn a_file_of_published_shape_is_believed() {
    use Family::{Sd1, Sd2, Sdxl};
    let v = ("modelspec.prediction_type", "v");
    let epsilon = ("modelspec.prediction_type", "epsilon");
    let cases: [Case<'_>; 11] = [
        (Sd1, &[], &[], (Epsilon, false, 512)),
        (Sd1, &[], &[v], (VPrediction, false, 512)),
        (Sdxl, &[], &[], (Epsilon, false, 1024)),
        (Sdxl, &["v_pred"], &[], (VPrediction, false, 1024)),
        (Sdxl, &["v_pred", "ztsnr"], &[], (VPrediction, true, 1024)),
        // A merge keeps the metadata of one model and the marks of another; loaders look at the marks.
        (Sdxl, &["v_pred"], &[epsilon], (VPrediction, false, 1024)),
        (
            Sdxl,
            &[],
            &[("modelspec.prediction_type", "w")],
            (Epsilon, false, 1024),
        ),
        (Sd2, &[], &[], (VPrediction, false, 768)),
        (Sd2, &[], &[epsilon], (Epsilon, false, 512)),
        (
            Sd2,
            &[],
            &[v, ("modelspec.resolution", "512x512")],
            (VPrediction, false, 512),
        ),
        (
            Sd2,
            &[],
            &[epsilon, ("modelspec.resolution", "768x768")],
            (Epsilon, false, 768),
        ),
    ];
    for (family, tensors, metadata, expected) in cases {
        let found = taken_for(family, tensors, metadata);
        assert_eq!(found, expected, "{family} {tensors:?} {metadata:?}");
    }
}

#[test]
fn configs_of_its_own_are_believed_more_than_a_file() {
    for (model, prediction, side) in [
        ("tiny-sd15", Epsilon, 128),
        ("tiny-sd21", VPrediction, 192),
        ("tiny-sdxl", Epsilon, 128),
    ] {
        let file = SafetensorsFile::open(single_file(model)).unwrap();
        let names = file.names().into_iter();
        let mut tensors: Vec<(String, RawTensor)> = names
            .map(|name| (name.clone(), file.read(&name).unwrap()))
            .collect();
        tensors.extend(["v_pred", "ztsnr"].map(|name| zeros(name, &[0])));
        let folder = tempfile::tempdir().unwrap();
        let marked = folder.path().join("marked.safetensors");
        write_with(&marked, &tensors, &[("modelspec.resolution", "512x512")]);
        let checkpoint = Checkpoint::open(&marked, Some(&path(model))).unwrap();
        assert_eq!(settings(&checkpoint), (prediction, false, side), "{model}");
    }
}
