//! `CLIPTokenizer`'s ids on 169 prompts, and the vocabulary folder of the mini model.

use lora_core::tokenizer::{ROW_LENGTH, Row, Tokenizer, TokenizerFolderError};
use serde_json::Value;

use crate::{golden_json, repository};

const BEGIN: u32 = 49406;
const END: u32 = 49407;

fn golden_rows() -> Vec<Value> {
    let golden = golden_json("tokenizer_golden.json");
    golden["rows"].as_array().unwrap().clone()
}

fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A stored row lacks its trailing pads.
fn row(value: &Value, pad: u32) -> Row {
    let mut row = [pad; ROW_LENGTH];
    let ids = ids(value);
    row[..ids.len()].copy_from_slice(&ids);
    row
}

/// Compares `found(text)` with the field `name` of every golden row that has it, and says how many those were.
fn compare<T: PartialEq + std::fmt::Debug>(
    name: &str,
    expected: impl Fn(&Value) -> T,
    found: impl Fn(&str) -> T,
) -> usize {
    let rows = golden_rows();
    let with_field = rows.iter().filter(|row| row[name].is_array());
    with_field
        .map(|row| {
            let text = row["text"].as_str().unwrap();
            assert_eq!(found(text), expected(&row[name]), "{name} of {text:?}");
        })
        .count()
}

fn padding_with_0() -> Tokenizer {
    Tokenizer::clip().with_pad_token("!").unwrap()
}

#[test]
fn ids_of_all_golden_prompts() {
    let tokenizer = Tokenizer::clip();
    let compared = compare("ids", ids, |text| {
        [vec![BEGIN], tokenizer.encode(text), vec![END]].concat()
    });
    assert_eq!(compared, 169);
}

#[test]
fn rows_of_77() {
    let tokenizer = Tokenizer::clip();
    assert!(
        compare(
            "pad77",
            |stored| row(stored, END),
            |text| tokenizer.row(text)
        ) > 20
    );
    let tokenizer = padding_with_0();
    assert!(
        compare(
            "pad77_pad0",
            |stored| row(stored, 0),
            |text| tokenizer.row(text)
        ) > 20
    );
}

#[test]
fn rows_of_longer_texts() {
    let rows = |stored: &Value, pad| -> Vec<Row> {
        let rows = stored.as_array().unwrap().iter();
        rows.map(|stored| row(stored, pad)).collect()
    };
    for (chunks, name) in [(2, "kohya150"), (3, "kohya225")] {
        let tokenizer = Tokenizer::clip();
        let compared = compare(
            name,
            |stored| rows(stored, END),
            |text| tokenizer.rows(text, chunks),
        );
        assert!(compared > 20);
        let tokenizer = padding_with_0();
        let name = format!("{name}_pad0");
        let compared = compare(
            &name,
            |stored| rows(stored, 0),
            |text| tokenizer.rows(text, chunks),
        );
        assert!(compared > 20);
    }
}

#[test]
fn one_chunk_is_one_row() {
    let tokenizer = padding_with_0();
    for text in ["!", "a cat", &"word ".repeat(100)] {
        assert_eq!(tokenizer.rows(text, 1), [tokenizer.row(text)]);
    }
}

#[test]
fn a_folder_with_a_vocabulary_gives_the_built_in_ids() {
    let folder = Tokenizer::from_folder(repository("assets/mini/base/tokenizer")).unwrap();
    let built_in = Tokenizer::clip();
    assert_eq!(
        (folder.vocabulary_size(), built_in.vocabulary_size()),
        (49408, 49408)
    );
    for golden in golden_rows() {
        let text = golden["text"].as_str().unwrap();
        assert_eq!(folder.row(text), built_in.row(text), "{text:?}");
    }
}

/// Each entry of the stored vocabulary that is one word by itself must be encoded as just its number.
#[test]
fn the_built_in_vocabulary_is_the_stored_one() {
    let path = repository("assets/mini/base/tokenizer/vocab.json");
    let vocabulary: std::collections::HashMap<String, u32> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let tokenizer = Tokenizer::clip();
    let mut words = 0;
    for (name, &id) in &vocabulary {
        let word = name.strip_suffix("</w>").unwrap_or_default();
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            assert_eq!(tokenizer.encode(word), [id], "{name:?}");
            words += 1;
        }
    }
    assert!(words > 20_000, "{words}");
}

#[test]
fn a_folder_without_a_vocabulary_gives_its_pad_token_only() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("special_tokens_map.json");
    std::fs::write(map, r#"{"pad_token": {"content": "!"}}"#).unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.row("a")[..4], [BEGIN, 320, END, 0]);
}

#[test]
fn folder_errors_name_the_culprit() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Tokenizer::from_folder(folder.path()).unwrap_err();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();

    write("tokenizer_config.json", r#"{"pad_token": "<pad>"}"#);
    assert!(matches!(open(), TokenizerFolderError::UnknownToken { token, .. } if token == "<pad>"));
    write("tokenizer_config.json", "{");
    assert!(open().to_string().contains("tokenizer_config.json"));
    write("merges.txt", "#version\n");
    assert!(
        matches!(open(), TokenizerFolderError::HalfVocabulary { path } if path.ends_with("vocab.json"))
    );
    write("vocab.json", r#"{"a": 0}"#);
    assert!(
        matches!(open(), TokenizerFolderError::UnknownToken { token, .. } if token == "<|endoftext|>")
    );

    let missing = folder.path().join("missing");
    let error = Tokenizer::from_folder(&missing).unwrap_err();
    assert!(matches!(error, TokenizerFolderError::Io { path, .. } if path == missing));
}
