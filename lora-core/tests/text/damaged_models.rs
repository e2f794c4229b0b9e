//! Damaged and hostile base models: an error that names the file, never a panic.

use std::fs;

use lora_core::weights::{Checkpoint, Component, StoredTensor};
use proptest::prelude::*;

use crate::repository;

const NAME: &str = "damaged-model.safetensors";

/// The header of [`small`]: what makes a file one of SD 2.x, and one tensor of each network.
const HEADER: &str = concat!(
    r#"{"model.diffusion_model.input_blocks.0.0.weight":{"dtype":"F16","shape":[2,4,1,1],"data_offsets":[0,16]},"#,
    r#""cond_stage_model.model.transformer.resblocks.0.attn.in_proj_bias":"#,
    r#"{"dtype":"F32","shape":[6],"data_offsets":[16,40]},"#,
    r#""first_stage_model.quant_conv.bias":{"dtype":"BF16","shape":[2],"data_offsets":[40,44]}}"#,
);

/// The tensors that are asked for.
const TENSORS: [(Component, &str, &[usize]); 3] = [
    (Component::UNet, "conv_in.weight", &[2, 4, 1, 1]),
    (
        Component::TextEncoder,
        "text_model.encoder.layers.0.self_attn.v_proj.bias",
        &[2],
    ),
    (Component::Vae, "quant_conv.bias", &[2]),
];

fn with_header(header: &str) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &[0; 44]].concat()
}

fn small() -> Vec<u8> {
    with_header(HEADER)
}

/// Opens `bytes` as a base model and reads its tensors; an error must name the file.
fn read(bytes: &[u8]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    fs::write(&path, bytes).unwrap();
    let config = repository("testdata/golden/tiny-sd21");
    let named = |message: String| {
        assert!(message.contains(NAME), "{message}");
        message
    };
    Checkpoint::open(&path, Some(&config))
        .map_err(|error| named(error.to_string()))
        .and_then(|checkpoint| {
            TENSORS.iter().try_for_each(|(component, key, shape)| {
                let tensors = checkpoint.tensors(*component).unwrap();
                let found = tensors.find(key, shape);
                let StoredTensor::Raw(raw) = found.map_err(|problem| named(problem.to_string()))?
                else {
                    panic!("a file holds no values of another kind");
                };
                let elements: usize = shape.iter().product();
                assert_eq!(raw.bytes.len(), elements * raw.dtype.bitsize() / 8);
                Ok(())
            })
        })
}

#[test]
fn the_undamaged_model_is_read() {
    read(&small()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_truncated_model_is_an_error(keep in 0.0..1.0f64) {
        let bytes = small();
        prop_assert!(read(&bytes[..(keep * bytes.len() as f64) as usize]).is_err());
    }

    #[test]
    fn any_header_length_but_the_right_one_is_an_error(length in prop_oneof![any::<u64>(), 0..500u64]) {
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
        let _ = read(&bytes);
    }

    /// Digits of keys, types, shapes and offsets alike.
    #[test]
    fn changed_numbers_never_panic(place in any::<prop::sample::Index>(), number in prop_oneof![any::<u64>(), 0..50u64]) {
        let digits: Vec<_> = HEADER.match_indices(|c: char| c.is_ascii_digit()).collect();
        let (at, digit) = digits[place.index(digits.len())];
        let header = format!("{}{number}{}", &HEADER[..at], &HEADER[at + digit.len()..]);
        let _ = read(&with_header(&header));
    }

    #[test]
    fn another_type_is_an_error(tensor in 0..3usize, dtype in prop::sample::select(vec!["F64", "I64", "U8", "F8_E4M3", "BOOL", "C64", "F4"])) {
        let (at, _) = HEADER.match_indices(r#""dtype":""#).nth(tensor).unwrap();
        let start = at + r#""dtype":""#.len();
        let end = start + HEADER[start..].find('"').unwrap();
        let header = format!("{}{dtype}{}", &HEADER[..start], &HEADER[end..]);
        prop_assert!(read(&with_header(&header)).is_err());
    }
}
