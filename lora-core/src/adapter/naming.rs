use crate::weights::OriginalUNetNames;

/// What kohya's files call a network's adapters.
#[derive(Clone, Debug)]
pub struct Naming {
    /// `lora_unet`, `lora_te`, `lora_te1` or `lora_te2`.
    pub prefix: &'static str,
    /// Set where the names follow the original code's module paths instead of diffusers': SDXL's UNet.
    pub original: Option<OriginalUNetNames>,
}

impl Naming {
    /// Names by diffusers' module paths.
    pub fn diffusers(prefix: &'static str) -> Self {
        Self {
            prefix,
            original: None,
        }
    }

    /// The name of the module that diffusers calls `path`: the prefix, then the path with dots turned into underscores.
    pub fn kohya_name(&self, path: &str) -> String {
        let path = match &self.original {
            Some(original) => original.module(path),
            None => path.to_owned(),
        };
        format!("{}_{}", self.prefix, path.replace('.', "_"))
    }
}
