//! Fresh adapters: what is made for which layer, and what a step leaves out.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;
use lora_core::{
    BaseModel,
    adapter::{
        Algorithm, BlockRule, Dropout, DropoutRates, LayerPattern, LoraSpec, LoraStart, SpecError,
        Target,
    },
    lora_file::LoraFile,
    unet::Conditions,
};

use crate::golden::{self, Golden, deviation, device, tiny, tiny_sd15};

const SEED: u64 = 7;

fn spec(algorithm: Algorithm) -> LoraSpec {
    LoraSpec {
        algorithm,
        rank: 2,
        alpha: 1.0,
        conv_rank: Some(1),
        conv_alpha: Some(1.0),
        targets: vec![Target::TextEncoder, Target::Attention, Target::Convolution],
        ..LoraSpec::default()
    }
}

fn answer(model: &BaseModel) -> Vec<f32> {
    let given = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    let text = model.text.encode(&given.ids(&["input_ids"], 1), 1);
    let conditions = Conditions::new(text, &[]);
    let (latents, timesteps) = (given.tensor("latents"), given.timesteps("timesteps"));
    values(model.unet.forward(latents, &timesteps, &conditions))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn injected(model: &str, spec: &LoraSpec) -> BaseModel {
    let mut model = tiny(model);
    model.inject(spec, SEED, &device()).expect("a good spec");
    model
}

/// Shapes of all tensors by key, without what lies outside the UNet's blocks, which is never trained.
fn shapes(file: &LoraFile) -> BTreeMap<String, Vec<usize>> {
    let outside = ["conv_in", "conv_out", "time_embedding"];
    let modules = file.lycoris.iter();
    modules
        .filter(|(name, _)| !outside.iter().any(|part| name.contains(part)))
        .flat_map(|(name, module)| {
            let parts = module.parts.iter();
            parts.map(move |(part, data)| (format!("{name}.{part}"), data.shape().to_vec()))
        })
        .collect()
}

#[test]
fn fresh_adapters_have_lycoris_names_and_shapes_and_change_nothing() {
    let base = answer(&tiny_sd15());
    let dora = LoraSpec {
        dora: true,
        ..spec(Algorithm::Lora)
    };
    let lokr = LoraSpec {
        factor: Some(4),
        ..spec(Algorithm::Lokr)
    };
    for (case, spec) in [
        ("loha", spec(Algorithm::Loha)),
        ("lokr", lokr),
        ("dora", dora),
    ] {
        let mut model = injected("tiny-sd15", &spec);
        // DoRA divides by norms that it has just multiplied by.
        let found = deviation(&answer(&model), &base);
        assert!(
            found <= if case == "dora" { 5e-6 } else { 0.0 },
            "{case}: {found:e}"
        );
        let ours = model.to_lora_file();
        let path = golden::path(&format!("../adapters/tiny-sd15-{case}.safetensors"));
        assert_eq!(
            shapes(&ours),
            shapes(&LoraFile::read_any(path).unwrap()),
            "{case}"
        );
        let same = injected("tiny-sd15", &spec).to_lora_file();
        assert_eq!(ours, same, "{case}: the same seed draws the same");
    }
}

#[test]
fn a_start_at_principal_components_leaves_what_pytorch_leaves() {
    let mut model = tiny_sd15();
    let start = LoraSpec {
        start: LoraStart::Pissa,
        rank: 3,
        alpha: 1.5,
        ..spec(Algorithm::Lora)
    };
    let base = answer(&model);
    model.inject(&start, SEED, &device()).unwrap();
    let found = deviation(&answer(&model), &base);
    assert!(found <= 1e-5, "{found:e}");
    // The file takes away what the pair was at the start.
    let file = model.to_lora_file();
    let module = &file.modules["lora_unet_mid_block_attentions_0_proj_in"];
    assert_eq!((module.rank(), module.alpha), (6, 3.0));

    // Once the pair is gone, so are the principal components.
    let mut factors = model.factors();
    for (key, matrix) in &mut factors {
        if key.ends_with("lora_up.weight") {
            *matrix = matrix.zeros_like();
        }
    }
    model.set_factors(&factors);
    let without = answer(&model);
    assert!(deviation(&without, &base) > 0.1);
    let file = model.to_lora_file();
    let mut attached = tiny_sd15();
    attached.attach(&file, 1.0, &device()).unwrap();
    let found = deviation(&answer(&attached), &without);
    assert!(found <= 2e-5, "{found:e}");
}

fn rule(layers: &[&str]) -> BlockRule {
    let layers = layers.iter().map(|layer| LayerPattern((*layer).to_owned()));
    BlockRule {
        layers: layers.collect(),
        ..BlockRule::default()
    }
}

#[test]
fn blocks_have_ranks_alphas_and_rates_of_their_own() {
    let spec = LoraSpec {
        blocks: vec![
            BlockRule {
                rank: Some(5),
                conv_rank: Some(3),
                ..rule(&["unet"])
            },
            BlockRule {
                alpha: Some(4.0),
                lr: Some(0.5),
                ..rule(&["MID", "IN01-IN02"])
            },
            BlockRule {
                lr: Some(0.0),
                ..rule(&["unet.*.attn1", "BASE"])
            },
        ],
        ..spec(Algorithm::Lora)
    };
    let mut model = injected("tiny-sd15", &spec);
    let file = model.to_lora_file();
    let of = |name: &str| {
        let module = file.modules.get(&format!("lora_unet_{name}"))?;
        Some((module.rank(), module.alpha))
    };
    assert_eq!(of("mid_block_attentions_0_proj_in"), Some((5, 4.0)));
    assert_eq!(of("mid_block_resnets_0_conv1"), Some((3, 1.0)));
    assert_eq!(of("down_blocks_0_attentions_0_proj_in"), Some((5, 4.0)));
    assert_eq!(of("up_blocks_3_attentions_0_proj_in"), Some((5, 1.0)));
    assert_eq!(
        of("mid_block_attentions_0_transformer_blocks_0_attn2_to_q"),
        Some((5, 4.0))
    );
    assert_eq!(
        of("mid_block_attentions_0_transformer_blocks_0_attn1_to_q"),
        None
    );
    assert!(file.names().all(|name| !name.starts_with("lora_te")));

    let factors = model.rate_factors(&spec);
    let of = |name: &str| factors.get(&format!("lora_unet_{name}")).copied();
    assert_eq!(of("mid_block_attentions_0_proj_in"), Some(0.5));
    assert_eq!(of("up_blocks_3_attentions_0_proj_in"), None);
    assert_eq!(
        of("up_blocks_3_attentions_0_transformer_blocks_0_attn1_to_q"),
        Some(0.0)
    );
    let networks: BTreeSet<&str> = factors.keys().map(|name| &name[..7]).collect();
    assert_eq!(networks, BTreeSet::from(["lora_te", "lora_un"]));
}

#[test]
fn patterns_that_mean_no_layer_are_all_named() {
    let spec = LoraSpec {
        blocks: vec![
            rule(&["IN01", "IN12"]),
            rule(&["unet.dwon_blocks.1", "text_encoder_2"]),
        ],
        ..spec(Algorithm::Lora)
    };
    let refused = tiny_sd15().inject(&spec, SEED, &device()).unwrap_err();
    assert!(
        matches!(&refused, SpecError::NoSuchLayers { patterns }
            if *patterns == ["IN12", "unet.dwon_blocks.1", "text_encoder_2"]),
        "{refused}"
    );
    let refused = tiny("tiny-sdxl").check_spec(&spec).unwrap_err();
    assert!(
        matches!(&refused, SpecError::NoSuchLayers { patterns }
            if *patterns == ["IN12", "unet.dwon_blocks.1"]),
        "{refused}"
    );
}

fn parsed(text: &str) -> LoraSpec {
    toml::from_str(text).expect("a spec")
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (text, told) in [
        (
            "algorithm = 'loha'\nfreeze_down = true",
            "only LoRA has a down factor",
        ),
        ("algorithm = 'loha'\nstart = 'pissa'", "only LoRA can start"),
        ("start = 'pissa'\ndora = true", "dora = true"),
        ("start = 'pissa'\nfreeze_down = true", "freeze_down"),
        ("start = 'pissa'\nmax_norm = 1.0", "max_norm"),
        ("factor = 8", "lora.factor"),
        (
            "algorithm = 'loha'\ndecompose_both = true",
            "lora.decompose_both",
        ),
        ("algorithm = 'lokr'\nfactor = 0", "lora.factor is 0"),
        ("max_norm = 0.0", "lora.max_norm is 0"),
        ("dropout.hidden = 1.0", "lora.dropout.hidden is 1"),
        ("dropout.rank = -0.1", "lora.dropout.rank is -0.1"),
        ("dropout.module = nan", "lora.dropout.module is NaN"),
        (
            "algorithm = 'loha'\ndropout.hidden = 0.1",
            "nothing between two factors",
        ),
        ("dora = true\ndropout.hidden = 0.1", "dora = true"),
        (
            "blocks = [{ layers = [] }]",
            "lora.blocks[0].layers is empty",
        ),
        ("blocks = [{ layers = ['MID', 'a[b'] }]", "\"a[b\""),
        (
            "blocks = [{ layers = ['MID'] }, { layers = ['MID'], rank = 0 }]",
            "lora.blocks[1].rank is 0",
        ),
        (
            "blocks = [{ layers = ['MID'], lr = -1.0 }]",
            "lora.blocks[0].lr is -1",
        ),
        (
            "blocks = [{ layers = ['MID'], alpha = 0.0 }]",
            "lora.blocks[0].alpha is 0",
        ),
        (
            "blocks = [{ layers = ['MID'], conv_rank = 4 }]",
            "add \"convolution\"",
        ),
    ] {
        let refused = parsed(text).check().expect_err(text).to_string();
        assert!(refused.contains(told), "{text}: {refused}");
    }
    let all =
        "dropout = { hidden = 0.1, rank = 0.2, module = 0.3 }\nmax_norm = 1.0\nfreeze_down = true";
    parsed(all).check().expect("these go together");
}

/// A model whose adapters are far from nothing.
fn trained(spec: &LoraSpec) -> BaseModel {
    let mut model = injected("tiny-sd15", spec);
    let mut factors = model.factors();
    for matrix in factors.values_mut() {
        *matrix = matrix.clone() + 0.1;
    }
    model.set_factors(&factors);
    model
}

#[test]
fn what_is_dropped_depends_on_seed_and_pass_alone_and_drawing_drops_nothing() {
    let rates = [
        DropoutRates {
            hidden: 0.3,
            ..DropoutRates::default()
        },
        DropoutRates {
            rank: 0.3,
            ..DropoutRates::default()
        },
        DropoutRates {
            module: 0.3,
            ..DropoutRates::default()
        },
    ];
    let dora = LoraSpec {
        dora: true,
        ..spec(Algorithm::Lora)
    };
    for (spec, rates) in [
        (spec(Algorithm::Lora), &rates[..]),
        (dora, &rates[1..]),
        (spec(Algorithm::Loha), &rates[1..]),
        (spec(Algorithm::Lokr), &rates[1..]),
    ] {
        let mut model = trained(&spec);
        let whole = answer(&model);
        for &rates in rates {
            let mut at = |pass| {
                model.set_dropout(rates, pass);
                answer(&model)
            };
            let first = at(Some([1, 5]));
            assert_ne!(first, whole, "{rates:?}");
            assert_ne!(first, at(Some([1, 6])), "{rates:?}: another pass");
            assert_ne!(first, at(Some([2, 5])), "{rates:?}: another seed");
            assert_eq!(first, at(Some([1, 5])), "{rates:?}: the same again");
            assert_eq!(whole, at(None), "{rates:?}: nothing is left out");
        }
    }
}

#[test]
fn the_share_that_is_dropped_is_the_rate() {
    let rates = DropoutRates {
        module: 0.25,
        ..DropoutRates::default()
    };
    let skipped =
        (0..4000).filter(|pass| Dropout::new(rates, 3, *pass, "lora_unet_a").skips_module());
    let share = skipped.count() as f64 / 4000.0;
    // Five standard deviations of a binomial share are 0.034.
    assert!((share - 0.25).abs() < 0.034, "{share}");
    let names = ["lora_unet_a", "lora_unet_b"].map(|name| {
        let skips = |pass| Dropout::new(rates, 3, pass, name).skips_module();
        (0..200).map(skips).collect::<Vec<bool>>()
    });
    assert_ne!(names[0], names[1]);
}
