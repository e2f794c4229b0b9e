use super::FilterError;

/// A place in the text of a filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

/// Words that join; any other spelling is a tag.
pub(super) const JOINING: [&str; 3] = ["AND", "OR", "NOT"];

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Goes past `part`, if it is next.
    pub(super) fn takes(&mut self, part: &str) -> bool {
        let is_next = self.rest().starts_with(part);
        if is_next {
            self.at += part.len();
        }
        is_next
    }

    /// Goes past a joining word, if it is next.
    pub(super) fn takes_joining(&mut self, word: &str) -> bool {
        let is_next = self.peek_word() == word;
        is_next && self.takes(word)
    }

    /// The word that is next: up to a space, a comma or a bracket that was not opened in it.
    pub(super) fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let mut open = 0_usize;
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            let ends = match letter {
                '(' if at == 0 || JOINING.contains(&&rest[..at]) => true,
                '(' => {
                    open += 1;
                    false
                }
                ')' if open == 0 => true,
                ')' => {
                    open -= 1;
                    false
                }
                '\\' => {
                    letters.next();
                    false
                }
                letter => letter == ',' || letter.is_whitespace() || (at == 0 && letter == '"'),
            };
            if ends {
                return &rest[..at];
            }
        }
        rest
    }

    /// What stands in quotes, if a quote is next; `\"` is a quote in it.
    ///
    /// # Errors
    /// When it is not closed.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, FilterError> {
        let start = *self;
        if !self.takes("\"") {
            return Ok(None);
        }
        let mut words = String::new();
        let mut letters = self.rest().char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += at + 1;
                    return Ok(Some(words));
                }
                '\\' if letters.peek().is_some_and(|(_, next)| *next == '"') => {
                    words.push('"');
                    letters.next();
                }
                letter => words.push(letter),
            }
        }
        Err(start.error("this quote is never closed"))
    }

    /// What stands between slashes, if one is next; `\/` is a slash in it.
    ///
    /// # Errors
    /// When it is not closed, or empty.
    pub(super) fn expression(&mut self) -> Result<Option<&'a str>, FilterError> {
        let start = *self;
        if !self.takes("/") {
            return Ok(None);
        }
        let rest = self.rest();
        let mut letters = rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => {
                    letters.next();
                }
                '/' if at == 0 => return Err(start.error("this regular expression is empty")),
                '/' => {
                    self.at += at + 1;
                    return Ok(Some(&rest[..at]));
                }
                _ => {}
            }
        }
        Err(start.error("this regular expression is never closed; it ends with /"))
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> FilterError {
        FilterError {
            column: self.text[..self.at].chars().count() + 1,
            reason: reason.into(),
        }
    }

    /// An error that says what is next instead.
    pub(super) fn expected(&self, what: &str) -> FilterError {
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(letter) => match self.peek_word() {
                "" => format!("\"{letter}\""),
                word => format!("\"{word}\""),
            },
        };
        self.error(format!("expected {what}, found {found}"))
    }
}
