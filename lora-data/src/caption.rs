use rand::{RngExt, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{
    Problem,
    random_stream::{Purpose, random_stream},
};

/// How captions are found beside the pictures, and what becomes of them each time a picture is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionConfig {
    /// Extensions of caption files, with or without the dot; where a picture has several, the first named here counts.
    pub extensions: Vec<String>,
    /// Whether pictures without a caption and without class tokens are trained with an empty one.
    pub allow_missing: bool,
    /// Whether the comma-separated tags change places at each showing.
    pub shuffle: bool,
    /// How many tags at the front keep their place when shuffling.
    pub keep_tokens: usize,
    /// The probability, 0 to 1, that a showing goes without its whole caption.
    pub dropout: f64,
}

impl Default for CaptionConfig {
    fn default() -> Self {
        Self {
            extensions: ["txt", "caption"].map(String::from).into(),
            allow_missing: false,
            shuffle: false,
            keep_tokens: 0,
            dropout: 0.0,
        }
    }
}

impl CaptionConfig {
    /// The words trained at one showing: a pure function of the caption, the seed, the epoch and the showing's ordinal.
    ///
    /// The stages and their order are kohya's: whole-caption dropout, split on ",", keep the first
    /// [`keep_tokens`](Self::keep_tokens), shuffle the others, join with ", ". Without shuffling the caption stays as
    /// written.
    pub fn render(&self, caption: &str, seed: u64, epoch: u64, ordinal: u64) -> String {
        if self.is_dropped(seed, epoch, ordinal) {
            return String::new();
        }
        if !self.shuffle {
            return caption.to_owned();
        }
        let mut tags: Vec<&str> = tags(caption).collect();
        let kept = self.keep_tokens.min(tags.len());
        tags[kept..].shuffle(&mut random_stream(
            Purpose::CaptionShuffle,
            seed,
            epoch,
            ordinal,
        ));
        tags.join(", ")
    }

    fn is_dropped(&self, seed: u64, epoch: u64, ordinal: u64) -> bool {
        random_stream(Purpose::CaptionDropout, seed, epoch, ordinal).random::<f64>() < self.dropout
    }

    /// What is wrong with these settings by themselves.
    pub(crate) fn problem(&self) -> Option<Problem> {
        (!(0.0..=1.0).contains(&self.dropout)).then(|| Problem::Setting {
            setting: "caption.dropout",
            value: self.dropout.to_string(),
            expected: "a probability from 0 to 1",
        })
    }
}

/// The comma-separated tags of a caption, trimmed; empty ones are left out.
pub(crate) fn tags(caption: &str) -> impl Iterator<Item = &str> {
    caption
        .split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTION: &str = "sks dog, grass ,sky,, red collar,ball";

    #[test]
    fn without_shuffle_and_dropout_the_caption_stays_as_written() {
        assert_eq!(CaptionConfig::default().render(CAPTION, 1, 2, 3), CAPTION);
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
            assert_eq!(always.render(CAPTION, 7, 0, ordinal), "");
            assert_eq!(never.render(CAPTION, 7, 0, ordinal), CAPTION);
        }
    }

    #[test]
    fn dropout_takes_its_share() {
        let config = CaptionConfig {
            dropout: 0.3,
            ..CaptionConfig::default()
        };
        let dropped = (0..2000)
            .filter(|&ordinal| config.render(CAPTION, 7, 4, ordinal).is_empty())
            .count();
        // Binomial(2000, 0.3): the mean is 600, four standard deviations are 82.
        assert!((518..=682).contains(&dropped), "{dropped}");
    }

    #[test]
    fn the_dropout_rate_does_not_change_the_order_of_captions_that_stay() {
        let plain = CaptionConfig {
            shuffle: true,
            keep_tokens: 1,
            ..CaptionConfig::default()
        };
        let dropping = CaptionConfig {
            dropout: 0.5,
            ..plain.clone()
        };
        let kept: Vec<_> = (0..64)
            .map(|n| (n, dropping.render(CAPTION, 3, 0, n)))
            .filter(|(_, words)| !words.is_empty())
            .collect();
        assert!(kept.len() > 10);
        assert!(
            kept.iter()
                .all(|(n, words)| *words == plain.render(CAPTION, 3, 0, *n))
        );
    }

    /// The draws are part of what makes a run reproducible: changing them changes results.
    #[test]
    fn draws_are_pinned() {
        let config = CaptionConfig {
            shuffle: true,
            keep_tokens: 1,
            ..CaptionConfig::default()
        };
        let drawn: Vec<_> = (0..3)
            .map(|ordinal| config.render(CAPTION, 5, 1, ordinal))
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
    fn a_dropout_that_is_no_probability_is_a_problem() {
        for dropout in [-0.1, 1.1, f64::NAN] {
            assert!(
                CaptionConfig {
                    dropout,
                    ..CaptionConfig::default()
                }
                .problem()
                .is_some(),
                "{dropout}"
            );
        }
        assert!(
            CaptionConfig {
                dropout: 1.0,
                ..CaptionConfig::default()
            }
            .problem()
            .is_none()
        );
    }
}
