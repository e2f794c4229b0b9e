use regex::{Regex, RegexBuilder};

/// Letters with `*` for any others, or a regular expression; capitals do not count.
#[derive(Clone, Debug)]
pub(super) struct TextPattern {
    regex: Regex,
}

impl TextPattern {
    /// Texts that hold these letters.
    ///
    /// # Errors
    /// When there are too many letters.
    pub(super) fn part(letters: &str) -> Result<Self, regex::Error> {
        Self::expression(&starred(letters))
    }

    /// Texts that are these letters.
    ///
    /// # Errors
    /// When there are too many letters.
    pub(super) fn whole(letters: &str) -> Result<Self, regex::Error> {
        Self::expression(&format!("^(?:{})$", starred(letters)))
    }

    /// Texts in which this regular expression finds something.
    ///
    /// # Errors
    /// When it is malformed.
    pub(super) fn expression(source: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(source).case_insensitive(true).build()?;
        Ok(Self { regex })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

fn starred(letters: &str) -> String {
    let parts: Vec<String> = letters.split('*').map(regex::escape).collect();
    parts.join(".*")
}
