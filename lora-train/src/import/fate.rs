use serde::Serialize;

/// A key of another trainer's config, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportedKey {
    /// The key as the file has it; parts of lists such as `network_args` are keys too.
    pub key: String,
    /// Its value, shortened; that of keys and tokens to services is not told.
    pub value: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// What becomes of a key of another trainer's config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fate", rename_all = "kebab-case")]
pub enum Fate {
    /// It is a setting here too.
    Mapped {
        /// The settings with their values, as `lora.rank = 32`.
        settings: Vec<String>,
    },
    /// Leaving it out changes nothing about the result.
    NotNeeded {
        /// Why.
        reason: String,
    },
    /// It asks for something that there is not here, so that the result is another.
    NotSupported {
        /// What is missing, and what that means or what to do.
        reason: String,
        /// Settings that come closest, as `optimizer.kind = "adamw"`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        instead: Vec<String>,
    },
    /// No option of that name is known.
    Unknown {
        /// The nearest name that is.
        #[serde(skip_serializing_if = "Option::is_none")]
        meant: Option<String>,
    },
}
