//! Text states of A1111's prompts, put together from those of plain ones, which are PyTorch's.

use burn::tensor::{Tensor, TensorData};
use lora_core::{
    TextConditioner, TextStates,
    prompt_syntax::{Segment, emphasise, parse_emphasis},
};

use crate::golden::tiny;

const MODELS: [&str; 3] = ["tiny-sd15", "tiny-sd21", "tiny-sdxl"];

fn plain(text: &TextConditioner, prompt: &str) -> TextStates {
    text.encode(&text.tokenize(&[prompt.to_owned()], 1), 2)
}

fn bits(states: &TextStates) -> (Vec<u32>, Option<Vec<u32>>) {
    let bits = |data: TensorData| data.iter::<f32>().map(f32::to_bits).collect();
    let states_bits = bits(states.states.to_data());
    let pooled = states.pooled.as_ref();
    (states_bits, pooled.map(|pooled| bits(pooled.to_data())))
}

#[test]
fn a_plain_prompt_has_the_very_states_of_a_caption() {
    for name in MODELS {
        let text = tiny(name).text;
        for prompt in ["", "a photo of a red fox, masterpiece!"] {
            let weighted = text.encode_weighted(&parse_emphasis(prompt), 2);
            assert_eq!(bits(&weighted), bits(&plain(&text, prompt)), "{name}");
        }
    }
}

#[test]
fn every_row_is_whole_and_the_first_is_pooled() {
    for name in MODELS {
        let text = tiny(name).text;
        let prompt = parse_emphasis("a red fox BREAK on a hill");
        assert_eq!(text.rows_of(&prompt), 2);
        let found = text.encode_weighted(&prompt, 2);
        let parts = ["a red fox", "on a hill"].map(|part| plain(&text, part));
        let rows = parts.clone().map(|part| part.states);
        let [first, _] = parts;
        let expected = TextStates {
            states: Tensor::cat(rows.to_vec(), 1),
            pooled: first.pooled,
        };
        assert_eq!(found.states.dims()[..2], [1, 154]);
        // Two rows at once go through other blocks of the matrix products than one.
        let difference = (found.states - expected.states).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-5, "{name}");
        if let (Some(found), Some(expected)) = (found.pooled, expected.pooled) {
            assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-5);
        }
    }
}

/// SDXL's towers are weighted each by itself: their means differ.
#[test]
fn weights_act_on_each_tower_by_itself() {
    let text = tiny("tiny-sdxl").text;
    let prompt = parse_emphasis("a (red:1.5) fox");
    let found = text.encode_weighted(&prompt, 1);
    let base = plain(&text, "a red fox");
    let mut weights = [[1.0_f32; 77]];
    weights[0][2] = 1.5;
    let weights = Tensor::<2>::from_floats(weights, &base.states.device());
    let widths = [8, 12];
    let towers = base.states.split_with_sizes(widths.to_vec(), 2);
    let towers = towers.into_iter();
    let expected = towers.map(|states| emphasise(states, weights.clone()));
    let expected = Tensor::cat(expected.collect(), 2);
    let difference = (found.states.clone() - expected).abs().max();
    assert!(difference.into_scalar::<f32>() < 1e-6);
    let whole = plain(&text, "a red fox").states;
    let effect = (found.states - whole).abs().max();
    assert!(effect.into_scalar::<f32>() > 0.1, "weights change nothing");
    let [found, expected] = [found.pooled, base.pooled].map(|pooled| {
        let data = pooled.expect("SDXL pools").into_data();
        data.iter::<f32>().collect::<Vec<_>>()
    });
    assert_eq!(found, expected, "the pooled vector is not weighted");
}

/// `!` is a token of its own where it pads, so the towers may cut a text at different places.
#[test]
fn towers_have_the_same_number_of_rows() {
    let text = tiny("tiny-sdxl").text;
    let shout = [Segment::Text {
        text: "!".repeat(100),
        weight: 1.1,
    }];
    let states = text.encode_weighted(&shout, 1).states;
    assert_eq!(states.dims(), [1, text.rows_of(&shout) * 77, 20]);
    assert!(text.rows_of(&shout) > 1);
}

#[test]
fn sets_are_stacked_and_emptied() {
    let text = tiny("tiny-sdxl").text;
    let one = plain(&text, "a fox");
    let both = TextStates::cat(vec![one.zeros_like(), one.clone()]);
    assert_eq!(both.states.dims(), [2, 77, 20]);
    let pooled = both.pooled.expect("SDXL pools");
    assert_eq!(pooled.dims(), [2, 12]);
    let sum = |set: Tensor<2>| set.abs().sum().into_scalar::<f32>();
    assert!(sum(pooled.clone().narrow(0, 0, 1)) == 0.0);
    assert!(sum(pooled.narrow(0, 1, 1)) > 0.0);
    assert!(both.states.narrow(0, 0, 1).abs().sum().into_scalar::<f32>() == 0.0);
}
