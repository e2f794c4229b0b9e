use crate::weights::OriginalUNetNames;

/// What files and people call a network's layers.
#[derive(Clone, Debug)]
pub struct Naming {
    /// `lora_unet`, `lora_te`, `lora_te1` or `lora_te2`.
    pub prefix: &'static str,
    /// `unet`, `text_encoder` or `text_encoder_2`, as in diffusers' folders.
    pub folder: &'static str,
    /// Module paths of the original code, which a UNet has.
    pub original: Option<OriginalUNetNames>,
    /// Whether kohya's files follow [`Self::original`] instead of diffusers' paths: SDXL's UNet.
    pub files_are_original: bool,
}

impl Naming {
    /// Names of a text encoder, by diffusers' module paths.
    pub fn text_encoder(prefix: &'static str) -> Self {
        Self {
            prefix,
            folder: match prefix {
                "lora_te2" => "text_encoder_2",
                _ => "text_encoder",
            },
            original: None,
            files_are_original: false,
        }
    }

    /// kohya's name of the module that diffusers calls `path`: the prefix, then the path with dots turned into underscores.
    pub fn kohya_name(&self, path: &str) -> String {
        let path = match &self.original {
            Some(original) if self.files_are_original => original.module(path),
            _ => path.to_owned(),
        };
        format!("{}_{}", self.prefix, path.replace('.', "_"))
    }

    /// diffusers' name with its folder in front, such as `unet.down_blocks.0.attentions.0.proj_in`.
    pub fn diffusers_name(&self, path: &str) -> String {
        format!("{}.{path}", self.folder)
    }

    /// The block as tools for block weights count them: `IN00` to `IN11`, `MID`, `OUT00` to `OUT11`, and `BASE` for text
    /// encoders; `OTHER` for what is in none.
    pub fn block(&self, path: &str) -> String {
        let Some(original) = &self.original else {
            return "BASE".to_owned();
        };
        let module = original.module(path);
        let mut segments = module.split('.');
        let (kind, number) = (segments.next(), segments.next().unwrap_or_default());
        match kind {
            Some("input_blocks") => format!("IN{number:0>2}"),
            Some("output_blocks") => format!("OUT{number:0>2}"),
            Some("middle_block") => "MID".to_owned(),
            _ => "OTHER".to_owned(),
        }
    }
}
