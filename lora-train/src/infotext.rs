use std::fmt::Write;

use crate::{DrawSettings, Prompt};

/// The text that A1111 writes into a picture's `parameters` and reads back from it.
///
/// `loras` are names and strengths of the adapters in use; they stand in the prompt as A1111 writes them.
pub fn infotext(
    prompt: &Prompt,
    settings: DrawSettings,
    (width, height): (u32, u32),
    loras: &[(String, f32)],
) -> String {
    let mut text = prompt.text.clone();
    for (name, strength) in loras {
        // Writing to a String cannot fail.
        let _ = write!(text, " <lora:{name}:{strength}>");
    }
    if !prompt.negative.is_empty() {
        let _ = write!(text, "\nNegative prompt: {}", prompt.negative);
    }
    let _ = write!(
        text,
        "\nSteps: {}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {width}x{height}",
        prompt.steps,
        settings.sampler.label(),
        prompt.guidance,
        prompt.seed,
    );
    if settings.clip_skip > 1 {
        let _ = write!(text, ", Clip skip: {}", settings.clip_skip);
    }
    text
}

#[cfg(test)]
mod tests {
    use lora_core::diffusion::SamplerKind;

    use super::*;
    use crate::config::PreviewConfig;

    #[test]
    fn is_written_as_a1111_writes_it() {
        let prompt = Prompt::parse(
            "a cat --n blurry --s 20 --l 7 --d 1",
            &PreviewConfig::default(),
        )
        .expect("valid");
        let settings = DrawSettings {
            sampler: SamplerKind::EulerA,
            clip_skip: 2,
            chunks: 1,
            size: [512; 2],
        };
        assert_eq!(
            infotext(
                &prompt,
                settings,
                (512, 768),
                &[("style-000003".to_owned(), 0.8)]
            ),
            "a cat <lora:style-000003:0.8>\nNegative prompt: blurry\n\
             Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768, Clip skip: 2"
        );
    }
}
