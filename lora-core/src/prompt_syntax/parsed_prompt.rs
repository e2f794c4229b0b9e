use super::{
    LoraTag, PromptSyntaxError, Segment, emphasis::parse_emphasis, refused::refuse_schedules,
};

/// A prompt taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedPrompt {
    /// Its words with their weights, and its breaks.
    pub segments: Vec<Segment>,
    /// The LoRAs that it asks for, in order.
    pub loras: Vec<LoraTag>,
}

impl ParsedPrompt {
    /// Cuts the tags out, then cuts what is left at brackets and breaks.
    ///
    /// # Errors
    /// [`PromptSyntaxError`] for the first thing that is wrong or not supported.
    pub fn parse(prompt: &str) -> Result<Self, PromptSyntaxError> {
        let (text, loras) = LoraTag::take_all(prompt)?;
        refuse_schedules(&text)?;
        Ok(Self {
            segments: parse_emphasis(&text),
            loras,
        })
    }
}
