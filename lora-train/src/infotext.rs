use std::fmt::Write;

use lora_core::adapter::Strength;

use crate::{DrawSettings, Prompt, Provenance, UsedLora};

/// The text that A1111 writes into a picture's `parameters` and reads back from it.
///
/// LoRAs that the prompt does not name itself are appended to it as tags. The version is this program's, which A1111
/// takes for none of its own and so for a recent one.
pub fn infotext(
    prompt: &Prompt,
    settings: DrawSettings,
    (width, height): (u32, u32),
    provenance: &Provenance,
) -> String {
    let mut text = prompt.text.clone();
    for lora in provenance.loras.iter().filter(|lora| !lora.in_prompt) {
        text.push(' ');
        text.push_str(&tag(lora));
    }
    if !prompt.negative.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\nNegative prompt: {}", prompt.negative);
    }
    let fields = fields(prompt, settings, [width, height], provenance);
    let fields = fields
        .iter()
        .map(|(key, value)| format!("{key}: {}", quoted(value)));
    text.push('\n');
    text.push_str(&fields.collect::<Vec<_>>().join(", "));
    text
}

/// In A1111's order.
fn fields(
    prompt: &Prompt,
    settings: DrawSettings,
    [width, height]: [u32; 2],
    provenance: &Provenance,
) -> Vec<(&'static str, String)> {
    let sampler = settings.sampler_of(prompt);
    let Provenance { model, vae, loras } = provenance;
    let hash = |file: &Option<crate::SourceFile>| file.as_ref()?.hash.clone();
    let name = |file: &Option<crate::SourceFile>| Some(file.as_ref()?.name.clone());
    let fields = [
        ("Steps", Some(prompt.steps.to_string())),
        ("Sampler", Some(sampler.label().to_owned())),
        ("Schedule type", Some(sampler.schedule_label().to_owned())),
        ("CFG scale", Some(prompt.guidance.to_string())),
        ("Seed", Some(prompt.seed.to_string())),
        ("Size", Some(format!("{width}x{height}"))),
        ("Model hash", hash(model)),
        ("Model", name(model)),
        ("VAE hash", hash(vae)),
        ("VAE", name(vae)),
        (
            "Clip skip",
            (settings.clip_skip > 1).then(|| settings.clip_skip.to_string()),
        ),
        ("Lora hashes", lora_hashes(loras)),
        (
            "Version",
            Some(concat!("lora ", env!("CARGO_PKG_VERSION")).to_owned()),
        ),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    fields.collect()
}

fn tag(lora: &UsedLora) -> String {
    let Strength { text, unet } = lora.strength;
    if text.to_bits() == unet.to_bits() {
        format!("<lora:{}:{text}>", lora.name)
    } else {
        format!("<lora:{}:{text}:{unet}>", lora.name)
    }
}

/// Names and hashes of those that have one; colons and commas, which part them, are left out of names.
fn lora_hashes(loras: &[UsedLora]) -> Option<String> {
    let mut listed: Vec<String> = Vec::new();
    for lora in loras {
        if let Some(hash) = &lora.hash {
            let entry = format!("{}: {hash}", lora.name.replace([':', ','], ""));
            if !listed.contains(&entry) {
                listed.push(entry);
            }
        }
    }
    (!listed.is_empty()).then(|| listed.join(", "))
}

/// A value in quotation marks where A1111 could not tell its end without.
fn quoted(value: &str) -> String {
    if value.contains([',', '\n', ':']) {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lora_core::diffusion::SamplerKind;
    use regex::Regex;

    use super::*;
    use crate::{SourceFile, config::PreviewConfig};

    const SETTINGS: DrawSettings = DrawSettings {
        sampler: SamplerKind::EulerA,
        clip_skip: 2,
        size: [512; 2],
    };

    fn prompt(line: &str) -> Prompt {
        Prompt::parse(line, &PreviewConfig::default()).expect("valid")
    }

    fn lora(name: &str, text: f32, unet: f32, hash: Option<&str>, in_prompt: bool) -> UsedLora {
        UsedLora {
            name: name.to_owned(),
            strength: Strength { text, unet },
            hash: hash.map(str::to_owned),
            in_prompt,
        }
    }

    #[test]
    fn is_written_as_a1111_writes_it() {
        let provenance = Provenance {
            model: Some(SourceFile {
                name: "sd15".to_owned(),
                hash: Some("0123456789".to_owned()),
            }),
            vae: Some(SourceFile {
                name: "mse.safetensors".to_owned(),
                hash: Some("9876543210".to_owned()),
            }),
            loras: vec![
                lora("style-000003", 0.8, 0.8, Some("1a2b3c4d5e6f"), false),
                lora("fox", 0.0, 1.0, Some("6f5e4d3c2b1a"), false),
                lora("own", 1.0, 1.0, None, true),
            ],
        };
        let prompt =
            prompt("a cat <lora:own:1> --n blurry --s 20 --l 7 --d 1 --ss dpmpp-2m-karras");
        assert_eq!(
            infotext(&prompt, SETTINGS, (512, 768), &provenance),
            format!(
                "a cat <lora:own:1> <lora:style-000003:0.8> <lora:fox:0:1>\nNegative prompt: blurry\n\
                 Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x768, \
                 Model hash: 0123456789, Model: sd15, VAE hash: 9876543210, VAE: mse.safetensors, Clip skip: 2, \
                 Lora hashes: \"style-000003: 1a2b3c4d5e6f, fox: 6f5e4d3c2b1a\", Version: lora {}",
                env!("CARGO_PKG_VERSION")
            )
        );
        let plain = infotext(&prompt, SETTINGS, (8, 8), &Provenance::default());
        assert!(!plain.contains("Model") && !plain.contains("hash"));
    }

    /// A1111's `parse_generation_parameters`: the last line is keys and values if it has three or more.
    fn parse_back(text: &str) -> (String, String, BTreeMap<String, String>) {
        let pair = Regex::new(r#"\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)"#).unwrap();
        let (body, last) = text.trim().rsplit_once('\n').unwrap();
        assert!(pair.captures_iter(last).count() >= 3);
        let fields = pair.captures_iter(last).map(|found| {
            let value = serde_json::from_str(&found[2]).unwrap_or_else(|_| found[2].to_owned());
            (found[1].to_owned(), value)
        });
        let (prompt, negative) = body.split_once("\nNegative prompt:").unwrap_or((body, ""));
        let negative = negative.trim().to_owned();
        (prompt.trim().to_owned(), negative, fields.collect())
    }

    #[test]
    fn is_read_back_as_a1111_reads_it() {
        let provenance = Provenance {
            model: Some(SourceFile {
                name: "mix: a, \"b\"".to_owned(),
                hash: None,
            }),
            vae: None,
            loras: vec![
                lora("a:b,c", 1.0, 1.0, Some("1a2b3c4d5e6f"), true),
                lora("fox", 1.0, 1.0, Some("6f5e4d3c2b1a"), true),
            ],
        };
        let prompt =
            prompt("(一只猫:1.2), \\(x\\) --n [dark], Steps: 3 --l 3.5 --d 18446744073709551615");
        let text = infotext(&prompt, SETTINGS, (512, 768), &provenance);
        let (positive, negative, fields) = parse_back(&text);
        assert_eq!((positive, negative), (prompt.text, prompt.negative));
        for (key, value) in [
            ("Steps", "20"),
            ("Sampler", "Euler a"),
            ("Schedule type", "Uniform"),
            ("CFG scale", "3.5"),
            ("Seed", "18446744073709551615"),
            ("Size", "512x768"),
            ("Model", "mix: a, \"b\""),
            ("Clip skip", "2"),
            ("Lora hashes", "abc: 1a2b3c4d5e6f, fox: 6f5e4d3c2b1a"),
        ] {
            assert_eq!(fields[key], value);
        }
    }
}
