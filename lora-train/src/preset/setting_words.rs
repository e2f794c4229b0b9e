/// What a run file says of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingWords {
    /// `section.key`.
    pub key: &'static str,
    /// What it means, in the words of the guide.
    pub words: &'static str,
    /// Whether a run file names it though it has its default; else it is offered behind a `#`, with this value where it has
    /// none.
    pub(super) line: Line,
}

/// How a setting that has its default stands in a run file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It is written all the same.
    Shown,
    /// It is offered.
    Offered,
    /// It is offered with this value, for it has none.
    Example(&'static str),
    /// It is left out.
    Silent,
}

use Line::{Example, Offered, Shown, Silent};

/// What is said of the setting `section.key`.
pub fn setting_words(key: &str) -> Option<&'static SettingWords> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

const fn says(key: &'static str, line: Line, words: &'static str) -> SettingWords {
    SettingWords { key, words, line }
}

/// The settings that matter, section by section in the order of the guide.
pub(super) const SETTINGS: &[SettingWords] = &[
    says(
        "model.path",
        Shown,
        "a diffusers folder, or a single `.safetensors` checkpoint",
    ),
    says(
        "model.vae",
        Example("\"vae.safetensors\""),
        "another VAE than the model's",
    ),
    says(
        "model.v_prediction",
        Example("true"),
        "whether the UNet predicts the velocity",
    ),
    says(
        "model.zero_terminal_snr",
        Example("true"),
        "whether the noise schedule ends in pure noise",
    ),
    says(
        "model.offload",
        Offered,
        "free the VAE, and text encoders that are not trained, while they are not needed",
    ),
    says(
        "model.precision",
        Offered,
        "number format of the frozen weights: `\"auto\"`, `\"f32\"`, `\"bf16\"` or `\"f16\"`",
    ),
    says(
        "model.eight_bit",
        Offered,
        "hold the UNet's frozen weights in eight bits; needs `gradient_checkpointing`",
    ),
    says(
        "model.clip_skip",
        Offered,
        "use the n-th last layer of the text encoder: 1 is the last, 2 is usual for anime models",
    ),
    says(
        "model.max_tokens",
        Offered,
        "tokens of a caption that are used: 75, 150 or 225",
    ),
    says(
        "dataset.resolution",
        Shown,
        "size of training, `512` or `[512, 768]` (width, height)",
    ),
    says(
        "dataset.kohya",
        Silent,
        "a `dataset_config` file of kohya's scripts, beside or instead of folders",
    ),
    says(
        "dataset.prior_loss_weight",
        Silent,
        "the factor of the loss of regularisation pictures",
    ),
    says(
        "dataset.buckets.min",
        Shown,
        "shortest and longest side of a bucket, in pixels",
    ),
    says(
        "dataset.buckets.max",
        Shown,
        "shortest and longest side of a bucket, in pixels",
    ),
    says(
        "dataset.buckets.step",
        Silent,
        "sides are multiples of this",
    ),
    says(
        "dataset.buckets.no_upscale",
        Offered,
        "never enlarge: buckets are made to fit the pictures",
    ),
    says(
        "dataset.augment.flip",
        Offered,
        "mirror half of the showings; not for faces that are not symmetric, or writing",
    ),
    says(
        "dataset.augment.color",
        Silent,
        "vary hue or gamma slightly at a third of the showings",
    ),
    says(
        "dataset.augment.random_crop",
        Silent,
        "cut another part each time, where a picture is larger than its bucket",
    ),
    says(
        "dataset.caption.shuffle",
        Offered,
        "let the tags change places at each showing",
    ),
    says(
        "dataset.caption.keep_tokens",
        Offered,
        "how many tags at the front stay: 1 for a trigger word",
    ),
    says(
        "dataset.caption.dropout",
        Offered,
        "probability that a showing goes without its caption; 0.05 helps guidance",
    ),
    says(
        "dataset.caption.tag_dropout",
        Offered,
        "probability that a tag that does not stay is left out",
    ),
    says(
        "lora.algorithm",
        Offered,
        "`\"lora\"`, `\"loha\"` or `\"lokr\"`",
    ),
    says("lora.rank", Shown, "size of the correction"),
    says(
        "lora.alpha",
        Shown,
        "the correction is scaled by alpha / rank; alpha = rank / 2 halves the effective rate",
    ),
    says(
        "lora.targets",
        Offered,
        "parts of the model; add `\"convolution\"` for a LoCon",
    ),
    says(
        "lora.dora",
        Silent,
        "train the length of each output's weights beside their change",
    ),
    says(
        "lora.max_norm",
        Example("1.0"),
        "scale each module's change down to this norm after each step",
    ),
    says(
        "lora.dropout.hidden",
        Silent,
        "share of the values between the two factors",
    ),
    says("train.epochs", Shown, "passes over the repeated pictures"),
    says(
        "train.max_steps",
        Example("1000"),
        "stop after so many steps, in the middle of an epoch if need be",
    ),
    says(
        "train.batch_size",
        Shown,
        "pictures of one batch; the loss is their mean",
    ),
    says(
        "train.gradient_checkpointing",
        Offered,
        "`\"block\"` keeps only the inputs of the UNet's blocks for the backward pass and computes the blocks twice",
    ),
    says(
        "train.accumulation",
        Offered,
        "batches of one step: their gradients are averaged, which makes a large batch out of small ones",
    ),
    says(
        "train.unet_lr",
        Shown,
        "learning rate of the UNet; 1e-4 to 1e-3",
    ),
    says(
        "train.text_lr",
        Shown,
        "learning rate of the text encoder: about a tenth of the UNet's",
    ),
    says(
        "train.max_grad_norm",
        Offered,
        "limit of the gradient's norm, over all matrices together; 0 means none",
    ),
    says(
        "train.seed",
        Offered,
        "of everything random: same seed, same run",
    ),
    says(
        "train.device",
        Offered,
        "`auto`, `cpu`, `wgpu[:n]`, `vulkan[:n]`, `cuda[:n]`",
    ),
    says("optimizer.kind", Shown, ""),
    says(
        "optimizer.weight_decay",
        Offered,
        "part of each matrix, times the learning rate, that a step takes away",
    ),
    says(
        "ema.decay",
        Example("0.999"),
        "the most that a step keeps of the average: 0.99 to 0.999, the higher the longer the run",
    ),
    says("schedule.kind", Shown, ""),
    says(
        "schedule.warmup",
        Offered,
        "a whole number is steps, a number with a point a fraction of the run",
    ),
    says(
        "schedule.cycles",
        Offered,
        "how many times `cosine_with_restarts` falls",
    ),
    says(
        "schedule.min_factor",
        Silent,
        "fraction of the base rate at which the other falling kinds end",
    ),
    says(
        "objective.min_snr_gamma",
        Example("5.0"),
        "limits the weight of easy timesteps; 5 is usual",
    ),
    says(
        "objective.noise_offset",
        Example("0.05"),
        "shifts the noise as a whole, for darker darks and lighter lights; 0.03 to 0.1",
    ),
    says("output.folder", Shown, "the run folder"),
    says(
        "output.name",
        Shown,
        "stem of the saved files, and their title",
    ),
    says(
        "output.trigger",
        Shown,
        "the word that calls what was learnt; A1111 shows it",
    ),
    says(
        "output.save_every_epochs",
        Shown,
        "epochs between two saved files",
    ),
    says(
        "output.save_every_steps",
        Silent,
        "steps between two files that are saved beside those of epochs; 0 means none",
    ),
    says(
        "output.dtype",
        Offered,
        "number format of the saved files: `\"f16\"`, `\"bf16\"` or `\"f32\"`",
    ),
    says(
        "output.private",
        Offered,
        "leave tags, folder names and the base model's file name out of the saved files",
    ),
    says(
        "preview.every",
        Shown,
        "steps between two previews; 0 means none",
    ),
    says(
        "preview.every_epochs",
        Example("1"),
        "draw after so many epochs as well",
    ),
    says(
        "preview.prompts",
        Shown,
        "what to draw, each with options at its end if you like",
    ),
    says("preview.sampler", Offered, ""),
    says("preview.steps", Offered, "steps of the sampler"),
    says(
        "preview.guidance",
        Offered,
        "classifier-free guidance; 1 means none",
    ),
    says(
        "heldout.split",
        Example("0.1"),
        "take this part of the training pictures, or so many of them, out of training to measure by",
    ),
    says(
        "heldout.folder",
        Example("\"heldout\""),
        "or measure by the pictures of this folder, with captions",
    ),
    says(
        "choose.similarity",
        Offered,
        "draw pictures with each saved file and compare them with the training pictures",
    ),
    says(
        "cache.folder",
        Example("\"cache\""),
        "a folder for latents and text states; unset, each run computes its own",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;

    /// The words are those of the row that the guide has for the key, in its section.
    #[test]
    fn settings_are_explained_in_the_words_of_the_guide() {
        let guide = include_str!("../../../docs/guide.md");
        for setting in SETTINGS {
            let (section, key) = setting.key.rsplit_once('.').expect("a section");
            let heading = if section == "lora.dropout" {
                "lora"
            } else {
                section
            };
            let text = guide
                .split("\n### ")
                .find(|text| text.starts_with(&format!("`[{heading}]`")))
                .unwrap_or_else(|| panic!("the guide has no [{heading}]"));
            let mut rows = text.lines().filter(|line| line.starts_with("| `"));
            let row = rows.find(|row| {
                let keys = row.split('|').nth(1).unwrap_or_default();
                keys.contains(&format!("`{key}`")) && row.contains(setting.words)
            });
            let is_prose = key == "kind";
            assert!(
                is_prose || row.is_some(),
                "{}: {}",
                setting.key,
                setting.words
            );
        }
    }

    #[test]
    fn examples_are_values_that_the_setting_takes() {
        for setting in SETTINGS {
            if let Example(value) = setting.line {
                let (section, key) = setting.key.rsplit_once('.').expect("a section");
                let text = format!("[{section}]\n{key} = {value}");
                let config: TrainConfig = toml::from_str(&text).expect("a value of its type");
                assert!(
                    config.differences().contains_key(setting.key),
                    "{}",
                    setting.key
                );
            }
        }
    }

    #[test]
    fn every_setting_is_one_and_those_without_an_example_have_a_default() {
        let defaults = TrainConfig::default().settings();
        for (index, setting) in SETTINGS.iter().enumerate() {
            let twice = SETTINGS[..index]
                .iter()
                .any(|other| other.key == setting.key);
            assert!(!twice, "{} twice", setting.key);
            if matches!(setting.line, Shown | Offered)
                && !setting.key.starts_with("dataset.buckets")
            {
                assert!(defaults.contains_key(setting.key), "{}", setting.key);
            }
        }
    }
}
