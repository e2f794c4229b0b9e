use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{
    Problem, Showing,
    random_stream::{Purpose, random_stream},
    wildcard,
};

/// How captions are found beside the pictures, and what becomes of them each time a picture is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionConfig {
    /// Extensions of caption files, with or without the dot; where a picture has several, the first named here counts.
    pub extensions: Vec<String>,
    /// Whether pictures without a caption and without class tokens are trained with an empty one.
    pub allow_missing: bool,
    /// Words before every caption, with a space between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Words after every caption, with a space between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// The probability, 0 to 1, that a showing goes without its whole caption.
    pub dropout: f64,
    /// Every so many epochs go without any caption; 0 means none.
    pub dropout_every_epochs: u64,
    /// Whether `{a|b}` stands for one of its words, and a caption of several lines for one of them.
    pub wildcards: bool,
    /// What stands between two tags.
    pub separator: String,
    /// How many tags at the front keep their place when shuffling, and are never dropped.
    pub keep_tokens: usize,
    /// A mark in the caption, as `|||`: tags before it, and after a second one, keep their place. Where it is found,
    /// `keep_tokens` does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_tokens_separator: Option<String>,
    /// How many of the other tags are used at the first step, growing to all of them over `warmup_steps`.
    pub warmup_min: usize,
    /// Steps until all tags are used: below 1 a fraction of the run, 0 means from the start.
    pub warmup_steps: f64,
    /// Whether the tags change places at each showing.
    pub shuffle: bool,
    /// The probability, 0 to 1, that a tag is left out at a showing.
    pub tag_dropout: f64,
    /// A mark within a tag, as `;;;`, that ties words together while shuffling and becomes a separator at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_separator: Option<String>,
}

impl Default for CaptionConfig {
    fn default() -> Self {
        Self {
            extensions: ["txt", "caption"].map(String::from).into(),
            allow_missing: false,
            prefix: String::new(),
            suffix: String::new(),
            dropout: 0.0,
            dropout_every_epochs: 0,
            wildcards: false,
            separator: ",".to_owned(),
            keep_tokens: 0,
            keep_tokens_separator: None,
            warmup_min: 1,
            warmup_steps: 0.0,
            shuffle: false,
            tag_dropout: 0.0,
            secondary_separator: None,
        }
    }
}

impl CaptionConfig {
    /// The words trained at one showing: a pure function of the caption and the showing.
    ///
    /// The stages and their order are those of kohya's `process_caption`: prefix and suffix, whole-caption dropout,
    /// wildcards, split, keep the first [`keep_tokens`](Self::keep_tokens), warm-up, shuffle the others, per-tag
    /// dropout, join with ", ", secondary separator. Where nothing rearranges tags the caption stays as written.
    /// Unlike there, prefix and suffix belong to each line of a caption, and empty tags are left out.
    pub fn render(&self, caption: &str, at: &Showing) -> String {
        if self.is_dropped(at) {
            return String::new();
        }
        let line = if self.wildcards {
            wildcard::choose_line(caption, at)
        } else {
            caption.lines().next().unwrap_or_default()
        };
        let mut words = self.affixed(line);
        if self.wildcards {
            words = wildcard::resolve(&words, at);
        }
        if self.rearranges() {
            words = self.rearranged(&words, at);
        }
        match &self.secondary_separator {
            Some(mark) if !mark.is_empty() => words.replace(mark.as_str(), &self.separator),
            _ => words,
        }
    }

    /// Everything that [`render`](Self::render) can make of a caption, where that is one thing, or one and nothing;
    /// `None` where it changes from showing to showing.
    pub fn renderings(&self, caption: &str) -> Option<Vec<String>> {
        let varies = self.wildcards && wildcard::has_choice(&self.affixed(caption));
        if varies || self.shuffle || self.tag_dropout > 0.0 || self.warmup_steps > 0.0 {
            return None;
        }
        let dropped = (self.dropout > 0.0 || self.dropout_every_epochs > 0).then(String::new);
        Some([self.settled(caption)].into_iter().chain(dropped).collect())
    }

    /// Every text that this caption can become before its tags are kept, shuffled or dropped: its line or lines, with prefix
    /// and suffix and each alternative of wildcards. Of more than 256 combinations only some are given, which hold every
    /// alternative.
    pub fn possible(&self, caption: &str) -> Vec<String> {
        if self.wildcards && !caption.is_empty() {
            let lines = caption.lines().map(|line| self.affixed(line));
            return lines.flat_map(|line| wildcard::every(&line)).collect();
        }
        vec![self.affixed(caption.lines().next().unwrap_or_default())]
    }

    /// The tags of such a text, trimmed, whichever separators and marks stand between them.
    pub fn tags<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let marks = [&self.keep_tokens_separator, &self.secondary_separator];
        let marks: Vec<&str> = marks
            .into_iter()
            .filter_map(|mark| mark.as_deref().filter(|mark| !mark.is_empty()))
            .chain([self.separator.as_str()])
            .collect();
        let mut parts = vec![text];
        for mark in marks {
            parts = parts
                .into_iter()
                .flat_map(|part| part.split(mark))
                .collect();
        }
        parts
            .into_iter()
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
    }

    /// The caption as it stands, with prefix and suffix but nothing left to chance: what a measure goes by.
    pub fn settled(&self, caption: &str) -> String {
        let still = Self {
            dropout: 0.0,
            dropout_every_epochs: 0,
            warmup_steps: 0.0,
            shuffle: false,
            tag_dropout: 0.0,
            ..self.clone()
        };
        still.render(caption, &Showing::default())
    }

    fn is_dropped(&self, at: &Showing) -> bool {
        let every = self.dropout_every_epochs;
        (every > 0 && at.epoch.is_multiple_of(every))
            || random_stream(Purpose::CaptionDropout, at.seed, at.epoch, at.ordinal).random::<f64>()
                < self.dropout
    }

    fn affixed(&self, line: &str) -> String {
        let parts = [self.prefix.as_str(), line, self.suffix.as_str()];
        // An empty prefix or suffix leaves no space behind; an empty line between two stays, as in kohya's.
        match (self.prefix.is_empty(), self.suffix.is_empty()) {
            (true, true) => line.to_owned(),
            (true, false) => parts[1..].join(" "),
            (false, true) => parts[..2].join(" "),
            (false, false) => parts.join(" "),
        }
    }

    fn rearranges(&self) -> bool {
        self.shuffle || self.tag_dropout > 0.0 || self.warmup_steps > 0.0
    }

    fn rearranged(&self, words: &str, at: &Showing) -> String {
        let [front, mut free, back] = self.divided(words);
        free.truncate(self.warm_tags(free.len(), at));
        if self.shuffle {
            free.shuffle(&mut random_stream(
                Purpose::CaptionShuffle,
                at.seed,
                at.epoch,
                at.ordinal,
            ));
        }
        if self.tag_dropout > 0.0 {
            let mut random = random_stream(Purpose::TagDropout, at.seed, at.epoch, at.ordinal);
            free.retain(|_| random.random::<f64>() >= self.tag_dropout);
        }
        [front, free, back].concat().join(", ")
    }

    /// Tags that stay in front, those that are free, and those that stay at the end.
    fn divided<'a>(&self, words: &'a str) -> [Vec<&'a str>; 3] {
        let tags = |words: &'a str| tags_between(words, &self.separator).collect::<Vec<_>>();
        let mark = self
            .keep_tokens_separator
            .as_deref()
            .filter(|mark| !mark.is_empty());
        if let Some(mark) = mark
            && let Some((front, rest)) = words.split_once(mark)
        {
            let (free, back) = rest.split_once(mark).unwrap_or((rest, ""));
            return [tags(front), tags(free), tags(back)];
        }
        let mut front = tags(words);
        let free = front.split_off(self.keep_tokens.min(front.len()));
        [front, free, Vec::new()]
    }

    /// How many of `count` free tags are used at a step.
    fn warm_tags(&self, count: usize, at: &Showing) -> usize {
        let steps = if self.warmup_steps < 1.0 {
            (self.warmup_steps * at.steps as f64).floor()
        } else {
            self.warmup_steps
        };
        if at.step as f64 >= steps {
            return count;
        }
        // With fewer tags than the least number this falls from it, which truncation hides.
        let grown = (at.step as f64 * (count as f64 - self.warmup_min as f64) / steps).floor();
        (self.warmup_min as f64 + grown).max(0.0) as usize
    }

    /// What is wrong with these settings by themselves.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let probability = |setting, value: f64| {
            (!(0.0..=1.0).contains(&value)).then(|| Problem::Setting {
                setting,
                value: value.to_string(),
                expected: "a probability from 0 to 1",
            })
        };
        let warmup = (!(self.warmup_steps >= 0.0 && self.warmup_steps.is_finite())).then(|| {
            Problem::Setting {
                setting: "caption.warmup_steps",
                value: self.warmup_steps.to_string(),
                expected: "a number of steps, or a fraction of the run below 1",
            }
        });
        let separator = self.separator.is_empty().then(|| Problem::Setting {
            setting: "caption.separator",
            value: "\"\"".to_owned(),
            expected: "what stands between two tags, usually \",\"",
        });
        [
            probability("caption.dropout", self.dropout),
            probability("caption.tag_dropout", self.tag_dropout),
            warmup,
            separator,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The comma-separated tags of a caption, trimmed; empty ones are left out.
pub(crate) fn tags(caption: &str) -> impl Iterator<Item = &str> {
    tags_between(caption, ",")
}

fn tags_between<'a>(caption: &'a str, separator: &str) -> impl Iterator<Item = &'a str> {
    caption
        .split(separator)
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: &str = "sks dog, grass ,sky,, red collar,ball";

    fn shuffling() -> CaptionConfig {
        CaptionConfig {
            shuffle: true,
            keep_tokens: 1,
            ..CaptionConfig::default()
        }
    }

    fn at(seed: u64, epoch: u64, ordinal: u64) -> Showing {
        Showing {
            seed,
            epoch,
            ordinal,
            ..Showing::default()
        }
    }

    #[test]
    fn without_shuffle_and_dropout_the_caption_stays_as_written() {
        let config = CaptionConfig::default();
        assert_eq!(config.render(CAPTION, &at(1, 2, 3)), CAPTION);
        assert_eq!(config.render("first\nsecond", &at(1, 2, 3)), "first");
    }

    #[test]
    fn dropout_of_one_always_drops_and_of_zero_never() {
        let always = CaptionConfig {
            dropout: 1.0,
            ..CaptionConfig::default()
        };
        let never = CaptionConfig {
            dropout: 0.0,
            ..CaptionConfig::default()
        };
        for ordinal in 0..200 {
            assert_eq!(always.render(CAPTION, &at(7, 0, ordinal)), "");
            assert_eq!(never.render(CAPTION, &at(7, 0, ordinal)), CAPTION);
        }
    }

    #[test]
    fn dropout_takes_its_share() {
        let config = CaptionConfig {
            dropout: 0.3,
            ..CaptionConfig::default()
        };
        let dropped = (0..2000)
            .filter(|&ordinal| config.render(CAPTION, &at(7, 4, ordinal)).is_empty())
            .count();
        // Binomial(2000, 0.3): the mean is 600, four standard deviations are 82.
        assert!((518..=682).contains(&dropped), "{dropped}");
    }

    #[test]
    fn every_second_epoch_can_go_without_captions() {
        let config = CaptionConfig {
            dropout_every_epochs: 2,
            ..CaptionConfig::default()
        };
        let words = [1, 2, 3, 4].map(|epoch| config.render("a", &at(1, epoch, 0)));
        assert_eq!(words, ["a", "", "a", ""]);
    }

    #[test]
    fn the_dropout_rate_does_not_change_the_order_of_captions_that_stay() {
        let plain = shuffling();
        let dropping = CaptionConfig {
            dropout: 0.5,
            ..plain.clone()
        };
        let kept: Vec<_> = (0..64)
            .map(|n| (n, dropping.render(CAPTION, &at(3, 0, n))))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        assert!(kept.len() > 10);
        assert!(
            kept.iter()
                .all(|(n, words)| *words == plain.render(CAPTION, &at(3, 0, *n)))
        );
    }

    /// The draws are part of what makes a run reproducible: changing them changes results.
    #[test]
    fn draws_are_pinned() {
        let drawn: Vec<_> = (0..3)
            .map(|ordinal| shuffling().render(CAPTION, &at(5, 1, ordinal)))
            .collect();
        assert_eq!(
            drawn,
            [
                "sks dog, grass, ball, red collar, sky",
                "sks dog, grass, red collar, sky, ball",
                "sks dog, ball, grass, red collar, sky"
            ]
        );
    }

    #[test]
    fn tag_dropout_spares_kept_tags_and_takes_its_share_of_the_others() {
        let config = CaptionConfig {
            tag_dropout: 0.25,
            keep_tokens: 1,
            ..CaptionConfig::default()
        };
        let count = |ordinal| {
            let words = config.render("keep, a, b, c, d", &at(3, 1, ordinal));
            assert!(words.starts_with("keep"), "{words}");
            words.split(", ").count() - 1
        };
        let stayed: usize = (0..1000).map(count).sum();
        // Binomial(4000, 0.75): the mean is 3000, four standard deviations are 110.
        assert!((2890..=3110).contains(&stayed), "{stayed}");
    }

    #[test]
    fn only_captions_that_never_change_have_renderings() {
        let plain = CaptionConfig {
            prefix: "a".to_owned(),
            ..CaptionConfig::default()
        };
        assert_eq!(plain.renderings("b"), Some(vec!["a b".to_owned()]));
        let dropping = CaptionConfig {
            dropout: 0.1,
            ..plain.clone()
        };
        assert_eq!(
            dropping.renderings("b"),
            Some(vec!["a b".to_owned(), String::new()])
        );
        assert_eq!(shuffling().renderings("b"), None);
        let wild = CaptionConfig {
            wildcards: true,
            ..plain
        };
        assert_eq!(wild.renderings("b"), Some(vec!["a b".to_owned()]));
        assert_eq!(wild.renderings("{b|c}"), None);
        assert_eq!(wild.renderings("b\nc"), None);
    }

    #[test]
    fn all_that_can_be_shown_is_known() {
        let config = CaptionConfig {
            prefix: "sks dog,".to_owned(),
            keep_tokens_separator: Some("|||".to_owned()),
            secondary_separator: Some(";;;".to_owned()),
            ..CaptionConfig::default()
        };
        assert_eq!(config.possible("a {b|c}\nd"), ["sks dog, a {b|c}"]);
        let wild = CaptionConfig {
            wildcards: true,
            ..config
        };
        assert_eq!(
            wild.possible("a {b|c}\nd"),
            ["sks dog, a b", "sks dog, a c", "sks dog, d"]
        );
        let tags: Vec<&str> = wild.tags("sks dog ||| a;;;b, c,, ||| d").collect();
        assert_eq!(tags, ["sks dog", "a", "b", "c", "d"]);
        assert_eq!(wild.possible(""), ["sks dog, "]);
    }

    #[test]
    fn settings_out_of_range_are_problems() {
        let usual = CaptionConfig::default();
        for config in [
            CaptionConfig {
                dropout: -0.1,
                ..usual.clone()
            },
            CaptionConfig {
                dropout: f64::NAN,
                ..usual.clone()
            },
            CaptionConfig {
                tag_dropout: 1.1,
                ..usual.clone()
            },
            CaptionConfig {
                warmup_steps: -1.0,
                ..usual.clone()
            },
            CaptionConfig {
                separator: String::new(),
                ..usual.clone()
            },
        ] {
            assert_eq!(config.problems().len(), 1, "{config:?}");
        }
        assert!(usual.problems().is_empty());
    }
}
