//! Networks that make a vector of a picture.

use image::{Rgb, RgbImage};
use lora_data::{
    EmbedderConfig, EmbedderError, PictureEmbedder,
    onnx::OnnxModel,
    tagger::{ChannelOrder, PixelScale},
};

use crate::onnx_model_builder::{Attribute, OnnxModelBuilder};

/// A network that gives the mean of each channel, and beside it all pixels.
fn means(input: &[i64]) -> OnnxModel {
    let axes: &[i64] = if input[1] == 3 { &[2, 3] } else { &[1, 2] };
    let bytes = OnnxModelBuilder::default()
        .input("pixel_values", input)
        .output("last_hidden_state", input)
        .output("image_embeds", &[-1, 3])
        .node("Relu", &["pixel_values"], "last_hidden_state", &[])
        .node(
            "ReduceMean",
            &["pixel_values"],
            "image_embeds",
            &[
                ("axes", Attribute::Ints(axes)),
                ("keepdims", Attribute::Int(0)),
            ],
        )
        .into_bytes();
    OnnxModel::from_bytes("means.onnx", &bytes).unwrap()
}

fn unit_scale() -> EmbedderConfig {
    EmbedderConfig {
        scale: Some(PixelScale::Unit),
        ..EmbedderConfig::default()
    }
}

#[test]
fn a_vector_of_length_one_comes_of_either_layout_and_any_size() {
    // Twice as wide as high: the middle square is blue and a little red.
    let picture = RgbImage::from_fn(64, 32, |x, _| match x {
        16..48 => Rgb([153, 0, 204]),
        _ => Rgb([0, 255, 0]),
    });
    for input in [[-1, 3, 8, 8], [-1, 8, 8, 3], [1, 3, -1, -1]] {
        let embedder = PictureEmbedder::new(&means(&input), &unit_scale()).unwrap();
        assert_eq!(embedder.size(), if input[3] == -1 { 224 } else { 8 });
        let vector = embedder.embed(&picture).unwrap();
        for (value, expected) in vector.iter().zip([0.6, 0.0, 0.8]) {
            assert!((value - expected).abs() < 0.02, "{input:?}: {vector:?}");
        }
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    let bgr = EmbedderConfig {
        channels: Some(ChannelOrder::Bgr),
        ..unit_scale()
    };
    let turned = PictureEmbedder::new(&means(&[-1, 3, 8, 8]), &bgr).unwrap();
    let vector = turned.embed(&picture).unwrap();
    assert!(vector[0] > vector[2], "{vector:?}");
}

#[test]
fn what_gives_no_vector_is_refused_with_what_it_gives() {
    let model = means(&[-1, 3, 8, 8]);
    let refused = |config: EmbedderConfig| PictureEmbedder::new(&model, &config).unwrap_err();
    let output = |name: &str| EmbedderConfig {
        output: Some(name.to_owned()),
        ..EmbedderConfig::default()
    };
    for name in ["last_hidden_state", "nothing"] {
        let told = refused(output(name)).to_string();
        assert!(
            told.contains("`image_embeds` [1, 3]") && told.contains(name),
            "{told}"
        );
    }
    let sized = EmbedderConfig {
        size: Some(16),
        ..EmbedderConfig::default()
    };
    let told = refused(sized).to_string();
    assert!(
        told.contains("[?, 3, 8, 8]") && told.contains("16"),
        "{told}"
    );
    let odd = OnnxModelBuilder::default()
        .input("x", &[-1, 3, 8, 4])
        .output("y", &[-1, 3, 8, 4])
        .node("Relu", &["x"], "y", &[])
        .into_bytes();
    let odd = OnnxModel::from_bytes("odd.onnx", &odd).unwrap();
    let told = PictureEmbedder::new(&odd, &EmbedderConfig::default()).unwrap_err();
    assert!(matches!(told, EmbedderError::Input { .. }), "{told}");
    // A black picture is all zeros to this network: there is no direction.
    let embedder = PictureEmbedder::new(&model, &unit_scale()).unwrap();
    let told = embedder.embed(&RgbImage::new(8, 8)).unwrap_err();
    assert!(matches!(told, EmbedderError::NoDirection { .. }), "{told}");
}
