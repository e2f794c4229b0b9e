use lora_core::adapter::Algorithm;
use toml::Value;

use super::{blocks, importer::Importer, options::Given, values};

/// Algorithms that are here, by LyCORIS' names.
const ALGORITHMS: [(&str, &str); 4] = [
    ("lora", "lora"),
    ("locon", "lora"),
    ("loha", "loha"),
    ("lokr", "lokr"),
];

/// kohya's `network_dim` where none is given.
const USUAL_RANK: i64 = 4;

const PLAIN: &str = "a plain LoRA is trained instead";
const CONVOLUTIONS: &str = "convolutions have plain pairs here";

/// Parts of `network_args` that are there for algorithms or layers that are not here, with what that means.
const NOT_SUPPORTED: [(&str, &str); 12] = [
    ("use_tucker", CONVOLUTIONS),
    ("use_cp", CONVOLUTIONS),
    ("use_conv_cp", CONVOLUTIONS),
    ("use_scalar", "there is no trained scalar beside each pair"),
    ("train_norm", "norms are not trained"),
    (
        "rank_dropout_scale",
        "what stays of the ranks is not scaled up",
    ),
    (
        "full_matrix",
        "the large factor is whole where lora.rank is half its channels or more",
    ),
    (
        "unbalanced_factorization",
        "channels are split with the smaller factor first",
    ),
    (
        "rs_lora",
        "set lora.alpha to alpha × √rank, which is the same",
    ),
    ("train_t5xxl", "there is no T5"),
    ("train_llm_adapter", "there is no such adapter"),
    ("ggpo_sigma", "the weights are not perturbed"),
];

/// Parts that mean nothing to the algorithms that are here, or nothing for the result.
const NOT_NEEDED: [(&str, &str); 8] = [
    ("bypass_mode", "it computes the same another way"),
    ("block_size", "it is for DyLoRA"),
    ("unit", "it is for DyLoRA"),
    ("constraint", "it is for OFT"),
    ("rescaled", "it is for OFT"),
    ("train_on_input", "it is for (IA)³"),
    ("ggpo_beta", "it does nothing without ggpo_sigma"),
    ("verbose", "-v tells more"),
];

/// Rank, algorithm, targets and all that `network_args` says.
pub(super) fn read(importer: &mut Importer) {
    let is_lycoris = module(importer);
    sizes(importer);
    let preset = importer.take_network("preset");
    let convolutions = convolutions(importer, is_lycoris, preset);
    dropouts(importer);
    details(importer);
    blocks::read(importer, convolutions);
    for (part, reason) in NOT_SUPPORTED {
        if let Some(given) = importer.take_network(part) {
            importer.not_supported(&given, reason);
        }
    }
    for (part, reason) in NOT_NEEDED {
        if let Some(given) = importer.take_network(part) {
            importer.not_needed(&given, reason);
        }
    }
}

/// Sets the algorithm; whether LyCORIS makes the network.
fn module(importer: &mut Importer) -> bool {
    let algorithm = importer.options.network.remove("algo");
    let Some(given) = importer.take("network_module") else {
        if let Some(given) = algorithm {
            importer.not_needed(&given, "without network_module it is a LoRA");
        }
        return false;
    };
    let module = values::text(&given.value);
    let set = |kind: &str| [("lora.algorithm", Value::from(kind))];
    match module.as_str() {
        "" | "networks.lora" => importer.map(&given, set("lora")),
        "networks.lora_fa" => importer.map(&given, [("lora.freeze_down", true.into())]),
        "networks.loha" => importer.map(&given, set("loha")),
        "networks.lokr" => importer.map(&given, set("lokr")),
        "lycoris.kohya" => {
            // The GUI has no such field: its kind of network is told by the algorithm.
            if !given.origin.is_empty() {
                importer.not_needed(&given, "algorithms of LyCORIS are lora.algorithm");
            }
            let algorithm = algorithm.unwrap_or_else(|| Given::new("algo", "lora"));
            let name = values::text(&algorithm.value).to_lowercase();
            match ALGORITHMS.iter().find(|(theirs, _)| *theirs == name) {
                Some((_, ours)) => importer.map(&algorithm, set(ours)),
                None => importer.replace(
                    &algorithm,
                    &format!("there is no {name}; {PLAIN}"),
                    set("lora"),
                ),
            }
            return true;
        }
        _ => importer.replace(
            &given,
            &format!("there is no {module}; {PLAIN}"),
            set("lora"),
        ),
    }
    if let Some(given) = algorithm {
        importer.not_needed(&given, "it is for lycoris.kohya");
    }
    false
}

fn sizes(importer: &mut Importer) {
    let rank = if let Some(given) = importer.take_on("network_dim") {
        let rank = values::whole(&given.value).filter(|rank| *rank > 0);
        match rank {
            Some(rank) => importer.map(&given, [("lora.rank", rank.into())]),
            None => importer.not_a(&given, "a whole number from 1 up"),
        }
        rank
    } else {
        importer.default_of_kohya("network_dim", [("lora.rank", USUAL_RANK.into())]);
        None
    };
    match importer.take("network_alpha") {
        // As there, 0 is the rank.
        Some(given) if values::is_off(&given.value) => {
            let alpha = rank.unwrap_or(USUAL_RANK) as f64;
            importer.map(&given, [("lora.alpha", alpha.into())]);
        }
        Some(given) => map_number(importer, &given, "lora.alpha"),
        None => importer.default_of_kohya("network_alpha", [("lora.alpha", 1.0.into())]),
    }
}

/// Sets the targets; whether convolutions are among them.
fn convolutions(importer: &mut Importer, is_lycoris: bool, preset: Option<Given>) -> bool {
    let rank = importer.take_network("conv_dim");
    let alpha = importer.take_network("conv_alpha");
    let targets = |names: &[&str]| {
        let names = names
            .iter()
            .map(|name| Value::from(*name))
            .collect::<Vec<_>>();
        [("lora.targets", Value::Array(names))]
    };
    let everything = ["text-encoder", "attention", "convolution"];
    let without = ["text-encoder", "attention"];
    let mut trained = if is_lycoris {
        preset.is_none()
    } else {
        rank.is_some()
    };
    if let Some(given) = preset {
        let name = values::text(&given.value);
        match name.as_str() {
            "full" => {
                importer.map(&given, targets(&everything));
                trained = true;
            }
            "attn-mlp" => importer.map(&given, targets(&without)),
            "unet-transformer-only" => importer.map(&given, targets(&["attention"])),
            "unet-convblock-only" => {
                importer.map(&given, targets(&["convolution"]));
                trained = true;
            }
            _ => importer.replace(
                &given,
                &format!("there is no such choice of layers as {name}; [[lora.blocks]] gives layers settings of their own"),
                targets(&without),
            ),
        }
    } else if trained {
        // A network of LyCORIS has them unless it is told otherwise; one of kohya's where they have a rank.
        let _ = importer.put("lora.targets", targets(&everything)[0].1.clone());
        if is_lycoris {
            importer.notes.push("LyCORIS trains convolutions too where no preset is named; its first and last convolution and the embeddings of timesteps are not trained here".to_owned());
        }
    }
    if !trained {
        for given in [rank, alpha].into_iter().flatten() {
            importer.not_needed(&given, "no convolutions are trained");
        }
        return false;
    }
    if let Some(given) = &rank {
        match values::whole(&given.value) {
            Some(number) => importer.map(given, [("lora.conv_rank", number.into())]),
            None => importer.not_a(given, "a whole number from 1 up"),
        }
    }
    match alpha {
        Some(given) => map_number(importer, &given, "lora.conv_alpha"),
        // kohya's default; LyCORIS' is that of the other layers.
        None if !is_lycoris => {
            importer.default_of_kohya("conv_alpha", [("lora.conv_alpha", 1.0.into())]);
        }
        None => {}
    }
    true
}

fn dropouts(importer: &mut Importer) {
    let lora = importer.config().lora;
    let is_dora = importer
        .options
        .network
        .get("dora_wd")
        .is_some_and(|given| !values::is_off(&given.value));
    let algorithm_drops = lora.algorithm == Algorithm::Lora && !is_dora;
    let of_lycoris = importer.take_network("dropout");
    for given in [importer.take_on("network_dropout"), of_lycoris]
        .into_iter()
        .flatten()
    {
        if algorithm_drops {
            map_number(importer, &given, "lora.dropout.hidden");
        } else {
            importer.not_supported(
                &given,
                "there is nothing between two factors to drop; use lora.dropout.rank or lora.dropout.module",
            );
        }
    }
    for (part, setting) in [
        ("rank_dropout", "lora.dropout.rank"),
        ("module_dropout", "lora.dropout.module"),
    ] {
        if let Some(given) = importer.take_network(part) {
            map_number(importer, &given, setting);
        }
    }
}

fn details(importer: &mut Importer) {
    if let Some(given) = importer.take_network("dora_wd") {
        importer.map(&given, [("lora.dora", true.into())]);
    }
    if let Some(given) = importer.options.network.remove("wd_on_output") {
        match values::flag(&given.value) {
            Some(true) => importer.not_needed(&given, "it is so here"),
            _ => importer.not_supported(&given, "DoRA's lengths are those of outputs"),
        }
    }
    let is_lokr = importer.config().lora.algorithm == Algorithm::Lokr;
    if let Some(given) = importer.take_network("factor") {
        match values::whole(&given.value) {
            _ if !is_lokr => importer.not_needed(&given, "it is for LoKr"),
            Some(-1) => {
                importer.not_needed(&given, "channels are split as evenly as possible, as here");
            }
            Some(factor) if factor > 0 => importer.map(&given, [("lora.factor", factor.into())]),
            _ => importer.not_a(&given, "a whole number from 1 up, or -1"),
        }
    }
    if let Some(given) = importer.take_network("decompose_both") {
        if is_lokr {
            importer.map(&given, [("lora.decompose_both", true.into())]);
        } else {
            importer.not_needed(&given, "it is for LoKr");
        }
    }
    for (part, setting) in [
        ("loraplus_lr_ratio", "train.loraplus_lr_ratio"),
        ("loraplus_unet_lr_ratio", "train.loraplus_unet_lr_ratio"),
        (
            "loraplus_text_encoder_lr_ratio",
            "train.loraplus_text_lr_ratio",
        ),
    ] {
        if let Some(given) = importer.take_network(part) {
            map_number(importer, &given, setting);
        }
    }
}

/// Maps an option that is a number.
pub(super) fn map_number(importer: &mut Importer, given: &Given, setting: &'static str) {
    match values::number(&given.value) {
        Some(number) => importer.map(given, [(setting, number.into())]),
        None => importer.not_a(given, "a number"),
    }
}
