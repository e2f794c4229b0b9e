use std::fmt;

use lora_core::adapter::LoraSpec;
use lora_optim::ScheduleKind;
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;

/// What the pictures show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A person, 人物.
    #[default]
    Portrait,
    /// Places, 风景.
    Landscape,
    /// Drawn characters and styles, 二次元.
    Anime,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Portrait, Self::Landscape, Self::Anime];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::Landscape => "landscape",
            Self::Anime => "anime",
        }
    }

    /// How often an epoch shows each picture, for about 20 to 30 of them.
    pub(super) fn repeats(self) -> u32 {
        match self {
            Self::Portrait => 100,
            Self::Landscape => 25,
            Self::Anime => 30,
        }
    }

    /// What to draw on the way: the trigger word at a place that is not in the pictures. The second has no trigger word and
    /// shows what becomes of everything else.
    pub(super) fn prompts(self, trigger: &str) -> [String; 2] {
        // Brackets would weigh words: in prompts they are written with a backslash.
        let trigger = trigger.replace('(', "\\(").replace(')', "\\)");
        let trigger = trigger.replace('[', "\\[").replace(']', "\\]");
        match self {
            Self::Portrait => [
                format!("photo of {trigger} on a beach, smiling --n blurry, deformed"),
                "photo of a person on a beach, smiling --n blurry, deformed".to_owned(),
            ],
            Self::Landscape => [
                format!("{trigger}, mountains by a lake, sunrise --n blurry, people"),
                "mountains by a lake, sunrise --n blurry, people".to_owned(),
            ],
            Self::Anime => [
                format!("{trigger}, on a beach, smile, looking at viewer --n lowres, bad anatomy"),
                "1girl, on a beach, smile, looking at viewer --n lowres, bad anatomy".to_owned(),
            ],
        }
    }

    pub(super) fn set(self, config: &mut TrainConfig) {
        let (rank, alpha) = match self {
            Self::Portrait => (64, 32.0),
            Self::Landscape => (128, 64.0),
            Self::Anime => (32, 16.0),
        };
        config.lora = LoraSpec {
            rank,
            alpha,
            ..LoraSpec::default()
        };
        if self == Self::Anime {
            // The models that anime checkpoints descend from were trained on the last layer but one, and on lists of tags.
            config.model.clip_skip = 2;
            config.dataset.caption.keep_tokens = 1;
            config.dataset.caption.shuffle = true;
            config.schedule.kind = ScheduleKind::CosineWithRestarts;
            // As hollowstrawberry's trainer, which many anime LoRAs were made with. With one there is no restart.
            config.schedule.cycles = 3;
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
