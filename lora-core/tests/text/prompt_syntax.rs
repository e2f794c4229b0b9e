//! Weights and chunks against sd-scripts and A1111, and any text at all.

use lora_core::{
    prompt_syntax::{
        COMMA_BACKTRACK, LoraTag, ParsedPrompt, Segment, WeightedRow, parse_emphasis, weighted_rows,
    },
    tokenizer::{CHUNK_LENGTH, ROW_LENGTH, Tokenizer},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::golden_json;

const BEGIN: u32 = 49406;
const END: u32 = 49407;

fn rows_of(file: &str) -> Vec<Value> {
    golden_json(file)["rows"].as_array().unwrap().clone()
}

fn text_of(row: &Value) -> &str {
    row["text"].as_str().unwrap()
}

/// Stored ids without the end tokens behind them, stored weights without the ones behind them.
fn stored_row(ids: &Value, weights: &Value) -> WeightedRow {
    let mut row = WeightedRow {
        ids: [END; ROW_LENGTH],
        weights: [1.0; ROW_LENGTH],
    };
    for (place, id) in row.ids.iter_mut().zip(ids.as_array().unwrap()) {
        *place = id.as_u64().unwrap() as u32;
    }
    for (place, weight) in row.weights.iter_mut().zip(weights.as_array().unwrap()) {
        *place = weight.as_f64().unwrap() as f32;
    }
    row
}

fn stored_rows(ids: &Value, weights: &Value) -> Vec<WeightedRow> {
    let ids = ids.as_array().unwrap().iter();
    let weights = weights.as_array().unwrap().iter();
    ids.zip(weights)
        .map(|(ids, weights)| stored_row(ids, weights))
        .collect()
}

#[test]
fn segments_and_weights_are_those_of_sd_scripts() {
    let rows = rows_of("prompt_weights_golden.json");
    assert_eq!(rows.len(), 31);
    for row in rows {
        let prompt = text_of(&row);
        let found = parse_emphasis(prompt);
        let expected = row["parsed"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{prompt:?}");
        for (segment, pair) in found.iter().zip(expected) {
            let Segment::Text { text, weight } = segment else {
                panic!("{prompt:?} has no break");
            };
            assert_eq!(text, pair[0].as_str().unwrap(), "{prompt:?}");
            // The reader of JSON gets the last bit wrong.
            let expected = pair[1].as_f64().unwrap();
            assert!(
                (weight - expected).abs() <= 2.0 * f64::EPSILON,
                "{prompt:?}: {weight} {expected}"
            );
        }
    }
}

#[test]
fn the_first_77_ids_and_weights_are_those_of_sd_scripts() {
    for row in rows_of("prompt_weights_golden.json") {
        let segments = parse_emphasis(text_of(&row));
        let found = &weighted_rows(&Tokenizer::clip(), &segments, 0)[0];
        let expected = stored_row(&row["ids77"], &row["weights77"]);
        assert_eq!(*found, expected, "{:?}", text_of(&row));
    }
}

#[test]
fn three_rows_are_those_of_sd_scripts() {
    let mut compared = 0;
    for row in rows_of("prompt_weights_golden.json") {
        if row["weights225"].is_null() {
            continue;
        }
        let segments = parse_emphasis(text_of(&row));
        let mut found = weighted_rows(&Tokenizer::clip(), &segments, 0);
        found.resize(found.len().max(3), WeightedRow::empty(&Tokenizer::clip()));
        let expected = stored_rows(&row["ids225"], &row["weights225"]);
        assert_eq!(found[..3], expected, "{:?}", text_of(&row));
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[test]
fn chunks_are_cut_where_a1111_cuts_them() {
    let rows = rows_of("prompt_chunks_golden.json");
    assert_eq!(rows.len(), 20);
    for row in rows {
        let segments = parse_emphasis(text_of(&row));
        let found = weighted_rows(&Tokenizer::clip(), &segments, COMMA_BACKTRACK);
        let expected = stored_rows(&row["ids"], &row["weights"]);
        assert_eq!(found, expected, "{:?}", text_of(&row));
    }
}

#[test]
fn a_tokenizer_that_pads_with_0_closes_its_rows_first() {
    let tokenizer = Tokenizer::clip().with_pad_token("!").unwrap();
    let rows = weighted_rows(&tokenizer, &parse_emphasis("a BREAK (b)"), COMMA_BACKTRACK);
    assert_eq!(rows[0].ids[..4], [BEGIN, 320, END, 0]);
    assert_eq!(rows[1].ids[..4], [BEGIN, 321, END, 0]);
    assert_eq!(rows[1].weights[..4], [1.0, 1.1, 1.0, 1.0]);
    assert_eq!(WeightedRow::empty(&tokenizer).ids[..3], [BEGIN, END, 0]);
}

#[test]
fn a_prompt_is_taken_apart() {
    let parsed = ParsedPrompt::parse("a (cat:1.2) <lora:x:0.5:0> BREAK <lyco:y>").unwrap();
    let text = |text: &str, weight| Segment::Text {
        text: text.to_owned(),
        weight,
    };
    assert_eq!(
        parsed.segments,
        [
            text("a ", 1.0),
            text("cat", 1.2),
            text("", 1.0),
            Segment::Break,
            text("", 1.0)
        ]
    );
    let tag = |name: &str, text_strength, unet_strength| LoraTag {
        name: name.to_owned(),
        text_strength,
        unet_strength,
    };
    assert_eq!(parsed.loras, [tag("x", 0.5, 0.0), tag("y", 1.0, 1.0)]);
}

/// All that means something, thickly.
const SYNTAX: &str = r"(\(|\)|\[|\]|:|\\|\||<|>|=|,|BREAK|AND|lora|te|[0-9.+-]|[a-z ]|é|画){0,80}";

proptest! {
    #[test]
    fn any_text_is_read_or_refused(prompt in prop_oneof![".{0,200}", SYNTAX]) {
        let tokenizer = Tokenizer::clip();
        let segments = parse_emphasis(&prompt);
        prop_assert!(!segments.is_empty());
        let rows = weighted_rows(&tokenizer, &segments, COMMA_BACKTRACK);
        prop_assert!(rows.iter().all(|row| row.ids[0] == BEGIN && row.ids[ROW_LENGTH - 1] == END));
        if let Ok(parsed) = ParsedPrompt::parse(&prompt) {
            prop_assert!(parsed.loras.iter().all(|tag| tag.unet_strength.is_finite()));
        }
    }

    #[test]
    fn plain_text_is_one_segment_as_it_was(prompt in r"[a-z0-9 ,.'é画_-]{0,300}") {
        let parsed = ParsedPrompt::parse(&prompt).unwrap();
        prop_assert_eq!(&parsed.segments, &[Segment::Text { text: prompt.clone(), weight: 1.0 }]);
    }

    #[test]
    fn escaped_text_is_the_text(text in r"[a-z()\[\]\\: ]{0,60}") {
        let escaped: String = text
            .chars()
            .flat_map(|mark| if "()[]\\".contains(mark) { vec!['\\', mark] } else { vec![mark] })
            .collect();
        let segments = parse_emphasis(&escaped);
        prop_assert_eq!(segments, [Segment::Text { text, weight: 1.0 }]);
    }

    #[test]
    fn no_token_is_lost_or_doubled(words in prop::collection::vec("(cat|dog|,|sky)", 0..300)) {
        let tokenizer = Tokenizer::clip();
        let prompt = words.join(" ");
        let rows = weighted_rows(&tokenizer, &parse_emphasis(&prompt), COMMA_BACKTRACK);
        let kept: Vec<u32> = rows
            .iter()
            .flat_map(|row| row.ids[1..=CHUNK_LENGTH].iter().copied().filter(|&id| id != END))
            .collect();
        prop_assert_eq!(kept, tokenizer.encode(&prompt));
    }
}
