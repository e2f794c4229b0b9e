use lora_data::{Dataset, Entry};

use crate::{Prompt, config::TrainConfig};

/// What is drawn with each saved file: half by captions of the held-out pictures, half by those of the training pictures,
/// evenly chosen, or all of the latter where there are no others. Each at its picture's size and from noise of its own,
/// always the same. Captions that would mean something else as prompts are passed over.
pub(super) fn prompts(
    config: &TrainConfig,
    data: &dyn Dataset,
    heldout: Option<&dyn Dataset>,
) -> Vec<Prompt> {
    let wanted = config.choose.pictures.get();
    let held_out = heldout
        .map(|data| captioned(config, data))
        .unwrap_or_default();
    let training = captioned(config, data);
    let held_out = spread(&held_out, wanted / 2);
    let training = spread(&training, wanted - held_out.len());
    // Fewer captions than pictures: some are drawn several times.
    let prompts = held_out.into_iter().chain(training).collect::<Vec<_>>();
    let prompts = prompts.into_iter().cycle().take(wanted).zip(0..);
    prompts
        .map(|(prompt, number)| Prompt {
            seed: config.preview.seed.wrapping_add(number),
            ..prompt
        })
        .collect()
}

/// The prompts of all pictures that are not for regularisation, no two of the same words.
fn captioned(config: &TrainConfig, data: &dyn Dataset) -> Vec<Prompt> {
    let prompt = |entry: &Entry| {
        let subset = data.subsets().get(entry.subset);
        if subset.is_some_and(|subset| subset.regularisation) {
            return None;
        }
        let rules = subset.map_or(&config.dataset.caption, |subset| &subset.caption);
        let text = literal(&rules.settled(&entry.caption));
        let prompt = Prompt {
            size: [Some(entry.target.width), Some(entry.target.height)],
            ..Prompt::new(text, &config.preview)
        };
        prompt.check().is_ok().then_some(prompt)
    };
    let mut prompts: Vec<Prompt> = Vec::new();
    for prompt in data.entries().iter().filter_map(prompt) {
        if !prompts.iter().any(|other| other.text == prompt.text) {
            prompts.push(prompt);
        }
    }
    prompts
}

/// A caption as a prompt: its brackets are brackets, as in training.
fn literal(caption: &str) -> String {
    let mut text = String::with_capacity(caption.len());
    for mark in caption.chars() {
        if ['(', ')', '[', ']', '\\'].contains(&mark) {
            text.push('\\');
        }
        text.push(mark);
    }
    text
}

/// At most `most` of them, evenly spread.
fn spread(prompts: &[Prompt], most: usize) -> Vec<Prompt> {
    let count = most.min(prompts.len());
    let picked = (0..count).map(|index| prompts[index * prompts.len() / count].clone());
    picked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::example::captioned as pictures;

    fn drawn(pictures_drawn: usize, training: &[&str], held_out: Option<&[&str]>) -> Vec<Prompt> {
        let mut config = TrainConfig::default();
        config.choose.pictures = pictures_drawn.try_into().expect("not 0");
        let held_out = held_out.map(pictures);
        let held_out = held_out.as_ref().map(|data| data as &dyn Dataset);
        prompts(&config, &pictures(training), held_out)
    }

    fn texts(prompts: &[Prompt]) -> Vec<&str> {
        prompts.iter().map(|prompt| prompt.text.as_str()).collect()
    }

    #[test]
    fn half_is_drawn_by_captions_of_held_out_pictures() {
        let training = ["a", "b", "c", "d", "e", "f"];
        let both = drawn(4, &training, Some(&["x", "y", "z"]));
        assert_eq!(texts(&both), ["x", "y", "a", "d"]);
        let seeds: Vec<u64> = both.iter().map(|prompt| prompt.seed).collect();
        assert_eq!(seeds, [1, 2, 3, 4]);
        assert_eq!(both[0].size, [Some(512), Some(512)]);
        // Too few of either: the others fill up.
        assert_eq!(
            texts(&drawn(6, &training, Some(&["x"]))),
            ["x", "a", "b", "c", "d", "e"]
        );
        assert_eq!(texts(&drawn(4, &["a", "b"], None)), ["a", "b", "a", "b"]);
        assert_eq!(texts(&drawn(3, &["a", "a", "a"], None)), ["a", "a", "a"]);
    }

    #[test]
    fn captions_are_taken_as_they_stand() {
        let prompts = drawn(2, &["a (b), [c] \\d", "a AND b", "plain"], None);
        assert_eq!(texts(&prompts), [r"a \(b\), \[c\] \\d", "plain"]);
        let parsed = prompts[0].positive().expect("a prompt");
        let [lora_core::prompt_syntax::Segment::Text { text, weight }] = &parsed.segments[..]
        else {
            panic!("{parsed:?}")
        };
        assert_eq!((text.as_str(), *weight), ("a (b), [c] \\d", 1.0));
    }
}
