use std::path::{Path, PathBuf};

use lora_data::FolderConfig;
use lora_optim::{OptimizerConfig, ScheduleKind};

use super::{PictureSurvey, Preset, RunFileText};
use crate::config::TrainConfig;

/// What a run begins with: a preset, a model, pictures and the word that is to call what they show.
#[derive(Clone, Debug)]
pub struct StartingPoint {
    /// The settings.
    pub preset: Preset,
    /// The base model; relative paths are from the working directory, as those of the pictures.
    pub model: PathBuf,
    /// The folder of pictures.
    pub pictures: PathBuf,
    /// The word.
    pub trigger: String,
    /// What is in the folder.
    pub survey: PictureSurvey,
}

impl StartingPoint {
    /// The config of the run.
    pub fn config(&self) -> TrainConfig {
        let mut config = self.preset.config();
        let trigger = self.trigger.trim();
        config.model.path.clone_from(&self.model);
        config.dataset.folders.push(FolderConfig {
            repeats: (!self.names_say_repeats()).then(|| self.preset.repeats()),
            class_tokens: (!self.names_say_repeats()).then(|| trigger.to_owned()),
            ..FolderConfig::new(&self.pictures)
        });
        if config.dataset.caption.keep_tokens > 0 {
            // A trigger of several tags stays whole.
            let tags = trigger.split(',').filter(|tag| !tag.trim().is_empty());
            config.dataset.caption.keep_tokens = tags.count().max(1);
        }
        config.output.name = file_name(trigger);
        config.output.folder = Path::new("output").join(&config.output.name);
        trigger.clone_into(&mut config.output.trigger);
        config.preview.prompts = self.preset.subject.prompts(trigger).into();
        config
    }

    /// The commented text of a run file that is to lie in `folder`.
    pub fn text(&self, folder: &Path) -> String {
        let own = self.config();
        let config = TrainConfig {
            // What the run writes lies beside its file, wherever that is.
            output: own.output.clone(),
            cache: own.cache.clone(),
            ..own.seen_from(folder)
        };
        let memory = if self.preset.low_memory {
            ", to go easy on memory"
        } else {
            ""
        };
        let mut text = RunFileText::explained(&config)
            .headed(format!(
                "\"{}\": settings of the preset {} for {}{memory}.",
                self.trigger.trim(),
                self.preset.subject,
                self.preset.family
            ))
            .headed("")
            .headed("Lines behind a # are the defaults, or examples of settings that are off.")
            .headed("All settings: docs/guide.md, or docs/guide.zh.md in Chinese.")
            .with_comment(
                "dataset.folders.path",
                "the folder, or a parent of N_words folders",
            )
            .with_comment(
                "optimizer.kind",
                format!("one of {}", OptimizerConfig::KINDS.join(", ")),
            )
            .with_comment(
                "schedule.kind",
                format!(
                    "one of {}",
                    ScheduleKind::ALL.map(ScheduleKind::name).join(", ")
                ),
            );
        text = if self.names_say_repeats() {
            let names: Vec<&str> = self.survey.named.keys().map(String::as_str).collect();
            text.with_comment(
                "dataset.folders.repeats",
                format!("the folder's name says them: {}", names.join(", ")),
            )
        } else {
            text.with_comment(
                "dataset.folders.repeats",
                "how often an epoch shows each picture",
            )
            .with_comment(
                "dataset.folders.class_tokens",
                "caption of pictures that have none",
            )
        };
        text.text()
    }

    fn names_say_repeats(&self) -> bool {
        !self.survey.named.is_empty()
    }
}

/// `sks dog` as a plain file name, `sks_dog`: letters and digits of any script stay.
fn file_name(trigger: &str) -> String {
    let words = trigger.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    match words.join("_") {
        name if name.is_empty() => TrainConfig::default().output.name,
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Subject;

    fn point(trigger: &str, named: &[(&str, u32)]) -> StartingPoint {
        StartingPoint {
            preset: Preset {
                subject: Subject::Anime,
                ..Preset::default()
            },
            model: "models/base.safetensors".into(),
            pictures: "pictures".into(),
            trigger: trigger.to_owned(),
            survey: PictureSurvey {
                pictures: 3,
                named: named
                    .iter()
                    .map(|&(name, repeats)| (name.to_owned(), repeats))
                    .collect(),
                ..PictureSurvey::default()
            },
        }
    }

    #[test]
    fn the_text_is_the_config() {
        for named in [&[][..], &[("10_sks dog", 10)]] {
            let point = point("sks (dog), red", named);
            let text = point.text(Path::new("."));
            let config: TrainConfig =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(config, point.config(), "{text}");
            assert!(
                crate::plan::problems(&config).is_empty(),
                "{:?}",
                crate::plan::problems(&config)
            );
        }
    }

    #[test]
    fn a_trigger_of_two_tags_is_kept_in_front_whole_and_names_the_files() {
        let config = point("sks (dog), red", &[]).config();
        assert_eq!(config.dataset.caption.keep_tokens, 2);
        assert_eq!(config.output.name, "sks_dog_red");
        assert!(config.preview.prompts[0].starts_with("sks \\(dog\\), red, "));
        assert_eq!(file_name("初音ミク"), "初音ミク");
        assert_eq!(file_name("..."), "lora");
    }

    #[test]
    fn repeats_are_said_once() {
        let repeats =
            |named: &[(&str, u32)]| point("sks", named).config().dataset.folders[0].repeats;
        assert_eq!(repeats(&[]), Some(30));
        assert_eq!(repeats(&[("10_sks dog", 10)]), None);
    }

    #[test]
    fn a_file_elsewhere_finds_the_same_model_and_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = point("sks", &[]).text(folder.path());
        let config: TrainConfig = toml::from_str(&text).expect("valid");
        assert!(
            config.model.path.is_absolute()
                && config.model.path.ends_with("models/base.safetensors")
        );
        assert!(config.dataset.folders[0].path.is_absolute());
        let config: TrainConfig =
            toml::from_str(&point("sks", &[]).text(Path::new("models"))).expect("valid");
        assert_eq!(config.model.path, Path::new("base.safetensors"));
    }
}
