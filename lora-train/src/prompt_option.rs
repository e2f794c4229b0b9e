//! The options at the end of a line of kohya's sample files.

use lora_core::diffusion::SamplerKind;

use crate::Prompt;

/// Options of kohya's that a Stable Diffusion picture has no use for, and why.
const FOR_OTHERS: [(&str, &str); 6] = [
    (
        "g",
        "is the guidance of distilled models such as FLUX; here it is --l",
    ),
    ("cn", "asks for a ControlNet, which is not supported"),
    ("ctr", "is for Lumina models"),
    ("rcfg", "is for Lumina models"),
    ("fs", "is for flow matching models such as SD 3"),
    (
        "am",
        "sets strengths of LoRAs; write <lora:NAME:STRENGTH> into the prompt",
    ),
];

/// Sets what `--option value` says.
///
/// # Errors
/// What is wrong with it, to follow its name.
pub(crate) fn set_option(prompt: &mut Prompt, option: &str, value: &str) -> Result<(), String> {
    match option.to_ascii_lowercase().as_str() {
        "n" => value.clone_into(&mut prompt.negative),
        "w" => prompt.size[0] = Some(side(number(value)?)?),
        "h" => prompt.size[1] = Some(side(number(value)?)?),
        "s" => prompt.steps = steps(number(value)?)?,
        "l" => prompt.guidance = guidance(number(value)?)?,
        "d" => prompt.seed = number(value)?,
        "ss" => prompt.sampler = Some(sampler(value)?),
        other => {
            let known = FOR_OTHERS.iter().find(|(name, _)| *name == other);
            let reason = known.map_or(
                "is unknown; there are --n --w --h --s --l --d --ss",
                |(_, reason)| reason,
            );
            return Err(reason.to_owned());
        }
    }
    Ok(())
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("needs a number, found `{value}`"))
}

pub(crate) fn side(side: u32) -> Result<u32, String> {
    match side {
        8..=8192 => Ok(side),
        side => Err(format!("needs 8 to 8192 pixels, found {side}")),
    }
}

pub(crate) fn steps(steps: usize) -> Result<usize, String> {
    match steps {
        1..=1000 => Ok(steps),
        steps => Err(format!("needs 1 to 1000 steps, found {steps}")),
    }
}

pub(crate) fn guidance(scale: f64) -> Result<f64, String> {
    if scale.is_finite() {
        Ok(scale)
    } else {
        Err("needs a finite number".to_owned())
    }
}

/// A sampler by our name or by kohya's.
pub(crate) fn sampler(name: &str) -> Result<SamplerKind, String> {
    match name {
        "k_euler" => Ok(SamplerKind::Euler),
        "euler_a" | "k_euler_a" => Ok(SamplerKind::EulerA),
        "dpmsolver++" => Ok(SamplerKind::Dpmpp2m),
        _ => name
            .parse()
            .map_err(|error: lora_core::diffusion::UnknownSampler| {
                format!("cannot be followed: {error}")
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PreviewConfig;

    #[test]
    fn options_of_other_models_are_refused_with_the_reason() {
        let mut prompt = Prompt::new("a cat", &PreviewConfig::default());
        for (option, _) in FOR_OTHERS {
            let reason = set_option(&mut prompt, option, "1").expect_err("refused");
            assert!(!reason.contains("unknown"), "--{option} {reason}");
        }
        let reason = set_option(&mut prompt, "ss", "heun").expect_err("refused");
        assert!(reason.contains("no sampler `heun`; there are ddim"));
        assert_eq!(prompt, Prompt::new("a cat", &PreviewConfig::default()));
    }

    #[test]
    fn samplers_go_by_our_names_and_by_those_of_kohya() {
        for (name, kind) in [
            ("ddim", SamplerKind::Ddim),
            ("euler", SamplerKind::Euler),
            ("k_euler", SamplerKind::Euler),
            ("euler_a", SamplerKind::EulerA),
            ("euler-a", SamplerKind::EulerA),
            ("dpmsolver++", SamplerKind::Dpmpp2m),
            ("dpmpp-2m-karras", SamplerKind::Dpmpp2mKarras),
        ] {
            assert_eq!(sampler(name), Ok(kind));
        }
    }
}
