//! What files tell about the form of their adapters, as sd-scripts and LyCORIS write it.

use lora_core::adapter::{Algorithm, LoraSpec, LoraStart, Target};
use serde_json::{Map, Value};

use crate::config::LoopConfig;

/// How many ranks the file has for one that is trained: pairs that did not start from nothing take away what was there.
pub(crate) fn stored_ranks(spec: &LoraSpec) -> usize {
    match spec.start {
        LoraStart::Random => 1,
        LoraStart::Pissa => 2,
    }
}

/// `ss_network_module`, and `ss_network_args` where there is something to tell.
pub(crate) fn network_entries(spec: &LoraSpec, train: &LoopConfig) -> Vec<(String, String)> {
    let module = if is_lycoris(spec) {
        "lycoris.kohya"
    } else {
        "networks.lora"
    };
    let mut entries = vec![("ss_network_module".to_owned(), module.to_owned())];
    let args = network_args(spec, train);
    if !args.is_empty() {
        let args = Value::Object(args).to_string();
        entries.push(("ss_network_args".to_owned(), args));
    }
    entries
}

fn is_lycoris(spec: &LoraSpec) -> bool {
    spec.algorithm != Algorithm::Lora || spec.dora
}

/// All values are text, as on sd-scripts' command line.
fn network_args(spec: &LoraSpec, train: &LoopConfig) -> Map<String, Value> {
    let algorithm = match spec.algorithm {
        Algorithm::Lora => "locon",
        other => other.name(),
    };
    let convolutions = spec.targets.contains(&Target::Convolution);
    let (conv_rank, conv_alpha) = (
        spec.conv_rank.unwrap_or(spec.rank),
        spec.conv_alpha.unwrap_or(spec.alpha),
    );
    let yes = |is_on: bool| is_on.then(|| "True".to_owned());
    let share = |rate: f64| (rate > 0.0).then(|| rate.to_string());
    let ratio = |ratio: Option<f64>| ratio.map(|ratio| ratio.to_string());
    // Numbers and strings serialise without fail.
    let blocks = || serde_json::to_string(&spec.blocks).unwrap_or_default();
    let args = [
        ("algo", is_lycoris(spec).then(|| algorithm.to_owned())),
        ("conv_dim", convolutions.then(|| conv_rank.to_string())),
        ("conv_alpha", convolutions.then(|| conv_alpha.to_string())),
        ("dora_wd", yes(spec.dora)),
        ("decompose_both", yes(spec.decompose_both)),
        ("factor", spec.factor.map(|factor| factor.to_string())),
        ("freeze_down", yes(spec.freeze_down)),
        ("pissa", yes(spec.start == LoraStart::Pissa)),
        ("rank_dropout", share(spec.dropout.rank)),
        ("module_dropout", share(spec.dropout.module)),
        ("blocks", (!spec.blocks.is_empty()).then(blocks)),
        ("loraplus_lr_ratio", ratio(train.loraplus_lr_ratio)),
        (
            "loraplus_unet_lr_ratio",
            ratio(train.loraplus_unet_lr_ratio),
        ),
        (
            "loraplus_text_encoder_lr_ratio",
            ratio(train.loraplus_text_lr_ratio),
        ),
    ];
    let args = args.into_iter();
    args.filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(spec: &str, train: &str) -> String {
        let spec = toml::from_str(spec).expect("a spec");
        let train = toml::from_str(train).expect("a config");
        let entries = network_entries(&spec, &train).into_iter();
        let lines: Vec<String> = entries.map(|(_, value)| value).collect();
        lines.join(" ")
    }

    #[test]
    fn the_form_is_told_in_the_words_of_sd_scripts_and_lycoris() {
        assert_eq!(told("", ""), "networks.lora");
        let locon = "targets = ['attention', 'convolution']\nrank = 8\nconv_rank = 4\ndropout.module = 0.25";
        assert_eq!(
            told(locon, "loraplus_lr_ratio = 16.0"),
            r#"networks.lora {"conv_alpha":"16","conv_dim":"4","loraplus_lr_ratio":"16","module_dropout":"0.25"}"#
        );
        let lokr = "algorithm = 'lokr'\nfactor = 8\ndora = true\ntargets = ['attention']";
        assert_eq!(
            told(lokr, ""),
            r#"lycoris.kohya {"algo":"lokr","dora_wd":"True","factor":"8"}"#
        );
        assert!(told("[[blocks]]\nlayers = ['MID']\nlr = 0.5", "").contains("MID"));
    }
}
