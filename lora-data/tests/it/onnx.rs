//! Loading ONNX models: what runs, and what is refused with which words.

use std::{fs, path::Path};

use lora_data::onnx::{OnnxError, OnnxModel};
use proptest::prelude::*;
use prost::Message;
use tract_onnx::pb::{
    ModelProto, StringStringEntryProto,
    tensor_proto::{DataLocation, DataType},
};

use crate::onnx_model_builder::{Attribute, OnnxModelBuilder};

/// `[N, 3]` → sums `[N, 2]` = x · w, and the softmax of them.
fn two_outputs() -> OnnxModelBuilder {
    OnnxModelBuilder::default()
        .input("picture", &[-1, 3])
        .weight("w", &[3, 2], &[1.0, 10.0, 2.0, 20.0, 3.0, 30.0])
        .node("MatMul", &["picture", "w"], "sums", &[])
        .node("Neg", &["sums"], "negated", &[])
        .output("sums", &[-1, 2])
        .output("negated", &[-1, 2])
}

fn from_model(model: ModelProto) -> Result<OnnxModel, OnnxError> {
    OnnxModel::from_bytes("m.onnx", &model.encode_to_vec())
}

#[test]
fn a_model_runs_at_any_batch_and_gives_its_outputs_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("模型 one.onnx");
    two_outputs().write(&path);
    let model = OnnxModel::load(&path).unwrap();
    assert_eq!(model.input().name, "picture");
    assert_eq!(model.input().shape, [None, Some(3)]);
    assert_eq!(model.outputs(), ["sums", "negated"]);
    for batch in [1, 2] {
        let runner = model.at_shape(&[batch, 3]).unwrap();
        assert_eq!(runner.shape(), [batch, 3]);
        let outputs = runner.run(&[1.0, 1.0, 2.0].repeat(batch)).unwrap();
        assert_eq!(outputs[0].name, "sums");
        assert_eq!(outputs[0].shape, [batch, 2]);
        assert_eq!(outputs[0].values, [9.0, 90.0].repeat(batch));
        assert_eq!(outputs[1].name, "negated");
        assert_eq!(outputs[1].values, [-9.0, -90.0].repeat(batch));
    }
}

#[test]
fn a_declared_size_does_not_bind_a_model_that_works_at_any() {
    let model = OnnxModelBuilder::default()
        .input("picture", &[1, 1, 4, 4])
        .node("Relu", &["picture"], "positive", &[])
        .node(
            "MaxPool",
            &["positive"],
            "halved",
            &[
                ("kernel_shape", Attribute::Ints(&[2, 2])),
                ("strides", Attribute::Ints(&[2, 2])),
            ],
        )
        .output("halved", &[1, 1, 2, 2])
        .into_bytes();
    let model = OnnxModel::from_bytes("pool.onnx", &model).unwrap();
    let outputs = model.at_shape(&[1, 1, 2, 6]).unwrap().run(&[
        1.0, 2.0, 3.0, 4.0, -5.0, -6.0, //
        7.0, 0.0, 1.0, 1.0, -7.0, -8.0,
    ]);
    let outputs = outputs.unwrap();
    assert_eq!(outputs[0].shape, [1, 1, 1, 3]);
    assert_eq!(outputs[0].values, [7.0, 4.0, 0.0]);
}

#[test]
fn another_rank_and_another_count_are_refused() {
    let model = from_model(two_outputs().into_model()).unwrap();
    let error = model.at_shape(&[1, 3, 1]).unwrap_err().to_string();
    assert!(
        error.contains("shape [1, 3, 1]") && error.contains("2 dimensions"),
        "{error}"
    );
    let error = model.at_shape(&[1, 4]).unwrap_err();
    assert!(matches!(error, OnnxError::Shape { .. }), "{error}");
    let error = model.at_shape(&[1, 3]).unwrap().run(&[0.0; 4]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("4 numbers for an input of shape [1, 3]"),
        "{error}"
    );
}

#[test]
fn what_is_no_onnx_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = two_outputs().into_bytes();
    for path in [
        write("empty.onnx", b""),
        write(
            "text.onnx",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        ),
        write("zeros.onnx", &[0; 400]),
        write("half.onnx", &whole[..whole.len() / 2]),
    ] {
        let error = OnnxModel::load(&path).unwrap_err();
        assert!(matches!(error, OnnxError::NotOnnx { .. }), "{error}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
    }
    for path in [folder.path(), Path::new("no such.onnx")] {
        let error = OnnxModel::load(path).unwrap_err();
        assert!(matches!(error, OnnxError::Read { .. }), "{error}");
    }
}

#[test]
fn a_file_past_protobufs_limit_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.onnx");
    // A sparse file: it takes no room on the disk.
    fs::File::create(&path).unwrap().set_len(3 << 30).unwrap();
    let error = OnnxModel::load(&path).unwrap_err();
    assert!(
        matches!(error, OnnxError::TooLarge { bytes, .. } if bytes == 3 << 30),
        "{error}"
    );
}

#[test]
fn unsupported_operators_are_all_named_also_those_of_other_domains() {
    let mut model = two_outputs()
        .node("Magic", &["sums"], "a", &[])
        .node("Fusion", &["a"], "b", &[])
        .node("Magic", &["b"], "c", &[])
        .into_model();
    let nodes = &mut model.graph.as_mut().unwrap().node;
    nodes[3].domain = "com.example".to_owned();
    let error = from_model(model).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("not supported: Magic, com.example.Fusion"),
        "{error}"
    );
}

#[test]
fn inputs_other_than_one_picture_of_f32_are_refused() {
    let none = OnnxModelBuilder::default()
        .weight("w", &[1], &[1.0])
        .node("Neg", &["w"], "out", &[])
        .output("out", &[1]);
    let error = from_model(none.into_model()).unwrap_err();
    assert!(error.to_string().contains("has 0 inputs"), "{error}");
    let two = two_outputs().input("mask", &[1]);
    let error = from_model(two.into_model()).unwrap_err();
    assert!(
        error.to_string().contains("has 2 inputs (picture, mask)"),
        "{error}"
    );
    let half = OnnxModelBuilder::default()
        .input_of_type("picture", DataType::Float16, &[1])
        .node("Neg", &["picture"], "out", &[])
        .output("out", &[1]);
    let error = from_model(half.into_model()).unwrap_err();
    assert!(
        error.to_string().contains("takes float16, not float32"),
        "{error}"
    );
}

#[test]
fn weights_that_are_listed_as_inputs_are_none() {
    // Old exporters list every weight as an input too.
    let model = two_outputs().input("w", &[3, 2]).into_model();
    assert_eq!(from_model(model).unwrap().input().name, "picture");
}

#[test]
fn a_graph_that_does_not_hang_together_is_refused() {
    let mut without_outputs = two_outputs().into_model();
    without_outputs.graph.as_mut().unwrap().output.clear();
    let undefined = two_outputs().output("nothing", &[1]).into_model();
    let gap = two_outputs().node("Neg", &["gap"], "x", &[]).into_model();
    for (model, words) in [
        (without_outputs, "no outputs"),
        (undefined, "nothing computes \"nothing\""),
        (gap, "nothing computes \"gap\""),
    ] {
        let error = from_model(model).unwrap_err();
        assert!(matches!(error, OnnxError::NotOnnx { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn weights_that_lie_about_their_size_are_refused() {
    let mut model = two_outputs().into_model();
    let weight = &mut model.graph.as_mut().unwrap().initializer[0];
    weight.float_data.clear();
    weight.raw_data = vec![0; 8];
    weight.dims = vec![1 << 40, 1 << 40];
    let error = from_model(model).unwrap_err();
    assert!(matches!(error, OnnxError::NotOnnx { .. }), "{error}");
}

#[test]
fn weights_in_other_files_are_refused_by_name() {
    let mut model = two_outputs().into_model();
    let weight = &mut model.graph.as_mut().unwrap().initializer[0];
    weight.float_data.clear();
    weight.data_location = Some(DataLocation::External as i32);
    weight.external_data = vec![StringStringEntryProto {
        key: "location".to_owned(),
        value: "/etc/passwd".to_owned(),
    }];
    let error = from_model(model).unwrap_err();
    assert!(
        matches!(&error, OnnxError::ExternalData { tensor, .. } if tensor == "w"),
        "{error}"
    );
}

#[test]
fn a_circle_of_nodes_is_an_error() {
    let circle = OnnxModelBuilder::default()
        .input("picture", &[2])
        .node("Add", &["picture", "b"], "a", &[])
        .node("Neg", &["a"], "b", &[])
        .output("b", &[2]);
    let result = from_model(circle.into_model()).and_then(|model| model.at_shape(&[2]));
    assert!(result.is_err());
}

proptest! {
    /// tract trusts what a file says; whatever it makes of a damaged one, the program goes on.
    #[test]
    fn a_damaged_model_is_an_error_or_runs_and_never_ends_the_program(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = two_outputs().into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let run = |model: OnnxModel| model.at_shape(&[1, 3])?.run(&[1.0, 2.0, 3.0]);
        let outputs = OnnxModel::from_bytes("damaged.onnx", &bytes).and_then(run);
        for output in outputs.into_iter().flatten() {
            prop_assert_eq!(output.values.len(), output.shape.iter().product::<usize>());
        }
    }
}
