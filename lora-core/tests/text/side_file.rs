//! The file beside a LoRA that A1111 reads.

use std::fs;

use lora_core::Family;
use lora_core::lora_file::{Privacy, SideFile};
use serde_json::{Value, json};

fn card() -> SideFile {
    SideFile {
        description: "a dog".to_owned(),
        family: Family::Sdxl,
        activation_text: "sks dog".to_owned(),
        preferred_weight: 0.75,
        negative_text: "cat".to_owned(),
        notes: "trained on 10_sks dog".to_owned(),
    }
}

fn written(privacy: Privacy) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let lora = folder.path().join("dog-v1.5.safetensors");
    let path = card().write(&lora, privacy).unwrap();
    assert_eq!(path, folder.path().join("dog-v1.5.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn it_has_the_keys_that_a1111_reads() {
    let expected = json!({
        "description": "a dog",
        "sd version": "SDXL",
        "activation text": "sks dog",
        "preferred weight": 0.75,
        "negative text": "cat",
        "notes": "trained on 10_sks dog",
    });
    assert_eq!(written(Privacy::Open), expected);
}

#[test]
fn a_private_one_tells_no_words_of_the_captions() {
    let private = written(Privacy::Private);
    assert_eq!(private["sd version"], "SDXL");
    assert_eq!(private["preferred weight"], 0.75);
    assert!(!private.to_string().contains("sks dog"), "{private}");
}
