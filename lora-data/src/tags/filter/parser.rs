use super::{
    FilterError,
    expression::{Comparison, Expression},
    scanner::{JOINING, Scanner},
    text_pattern::TextPattern,
};
use crate::tagger::TagPattern;

const FIELDS: [&str; 6] = ["tag", "text", "name", "file", "folder", "caption"];
const NUMBERS: [&str; 2] = ["tags", "tokens"];

/// So deep may brackets and `NOT`s stand in one another.
const DEEPEST: usize = 100;

/// # Errors
/// When the text is no filter.
pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut parser = Parser {
        scanner: Scanner::new(text),
        depth: 0,
    };
    let expression = parser.any()?;
    parser.scanner.skip_spaces();
    match parser.scanner.rest().chars().next() {
        None => Ok(expression),
        Some(')') => Err(parser.scanner.error("this bracket was never opened")),
        Some(_) => Err(parser
            .scanner
            .expected("AND, OR, a comma or the end (quotes hold words with spaces together)")),
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.all()?];
        while self.joining("OR") {
            parts.push(self.all()?);
        }
        Ok(single_or(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, FilterError> {
        let mut parts = vec![self.not()?];
        while self.joining("AND") || self.scanner.takes(",") {
            parts.push(self.not()?);
        }
        Ok(single_or(parts, Expression::All))
    }

    fn joining(&mut self, word: &str) -> bool {
        self.scanner.skip_spaces();
        self.scanner.takes_joining(word)
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self
                .scanner
                .error("brackets and NOTs stand too deep in one another"));
        }
        let expression = if self.joining("NOT") {
            Expression::Not(Box::new(self.not()?))
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn test(&mut self) -> Result<Expression, FilterError> {
        self.scanner.skip_spaces();
        let start = self.scanner;
        if self.scanner.takes("(") {
            let inner = self.any()?;
            self.scanner.skip_spaces();
            if self.scanner.rest().is_empty() {
                return Err(start.error("this bracket is never closed"));
            }
            return if self.scanner.takes(")") {
                Ok(inner)
            } else {
                Err(self.scanner.expected("AND, OR, a comma or \")\""))
            };
        }
        if let Some(number) = self.number()? {
            return Ok(number);
        }
        if let Some(field) = self.field() {
            return self.test_of(field);
        }
        self.refuse_misspelt_field()?;
        self.tag()
    }

    /// `tags>30`, `tokens <= 75`.
    fn number(&mut self) -> Result<Option<Expression>, FilterError> {
        let start = self.scanner;
        let Some(name) = NUMBERS.into_iter().find(|name| self.scanner.takes(name)) else {
            return Ok(None);
        };
        self.scanner.skip_spaces();
        let comparison = Comparison::ALL
            .into_iter()
            .find(|(sign, _)| self.scanner.takes(sign));
        let Some((_, comparison)) = comparison else {
            self.scanner = start;
            return Ok(None);
        };
        self.scanner.skip_spaces();
        let word = self.scanner.peek_word();
        let number = word
            .parse()
            .map_err(|_| self.scanner.expected("a number"))?;
        self.scanner.at += word.len();
        Ok(Some(match name {
            "tags" => Expression::Tags(comparison, number),
            _ => Expression::Tokens(comparison, number),
        }))
    }

    fn field(&mut self) -> Option<&'static str> {
        let is_next = |field: &&str| {
            let rest = self.scanner.rest().strip_prefix(*field);
            rest.is_some_and(|rest| rest.starts_with(':'))
        };
        let field = FIELDS.iter().copied().find(is_next)?;
        self.scanner.at += field.len() + 1;
        Some(field)
    }

    fn test_of(&mut self, field: &str) -> Result<Expression, FilterError> {
        self.scanner.skip_spaces();
        Ok(match field {
            "tag" => return self.tag(),
            "text" => Expression::Text(
                self.pattern("letters to look for in captions", TextPattern::part)?,
            ),
            "folder" => Expression::Folder(self.pattern("a folder's name", TextPattern::whole)?),
            "caption" => match self.scanner.peek_word() {
                word @ "none" => self.past(word, Expression::NoFile),
                word @ "empty" => self.past(word, Expression::NoTag),
                _ => return Err(self.scanner.expected("none or empty")),
            },
            _ => Expression::Name(self.pattern("a picture's name", TextPattern::whole)?),
        })
    }

    fn past(&mut self, word: &str, expression: Expression) -> Expression {
        self.scanner.at += word.len();
        expression
    }

    fn pattern(
        &mut self,
        what: &str,
        of_letters: fn(&str) -> Result<TextPattern, regex::Error>,
    ) -> Result<TextPattern, FilterError> {
        let start = self.scanner;
        if let Some(source) = self.scanner.expression()? {
            return TextPattern::expression(source).map_err(|error| malformed(&start, &error));
        }
        let word = if let Some(words) = self.scanner.quoted()? {
            words
        } else {
            let word = self.scanner.peek_word();
            self.scanner.at += word.len();
            word.to_owned()
        };
        if word.is_empty() {
            return Err(start.expected(what));
        }
        of_letters(&word).map_err(|error| malformed(&start, &error))
    }

    fn tag(&mut self) -> Result<Expression, FilterError> {
        let start = self.scanner;
        let text = if let Some(source) = self.scanner.expression()? {
            format!("/{source}/")
        } else if let Some(words) = self.scanner.quoted()? {
            words
        } else {
            self.words()
        };
        if text.trim().is_empty() {
            return Err(start.expected("a tag, a field or a bracket"));
        }
        let pattern: TagPattern = text
            .parse()
            .map_err(|error| start.error(format!("{error}")))?;
        Ok(Expression::Tag(pattern))
    }

    /// Words with spaces between them: one tag.
    fn words(&mut self) -> String {
        let mut words: Vec<&str> = Vec::new();
        loop {
            let before = self.scanner;
            self.scanner.skip_spaces();
            let word = self.scanner.peek_word();
            let is_other = !words.is_empty() && self.starts_test();
            if word.is_empty() || JOINING.contains(&word) || is_other {
                self.scanner = before;
                return words.join(" ");
            }
            words.push(word);
            self.scanner.at += word.len();
        }
    }

    /// Whether something other than a word is next.
    fn starts_test(&mut self) -> bool {
        let start = self.scanner;
        let starts = start.rest().starts_with('/')
            || !matches!(self.number(), Ok(None))
            || self.field().is_some();
        self.scanner = start;
        starts
    }

    fn refuse_misspelt_field(&self) -> Result<(), FilterError> {
        let word = self.scanner.peek_word();
        let Some((name, _)) = word.split_once(':') else {
            return Ok(());
        };
        let near = |field: &&&str| name.len() > 2 && strsim::damerau_levenshtein(field, name) == 1;
        match FIELDS.iter().find(near) {
            None => Ok(()),
            Some(field) => Err(self.scanner.error(format!(
                "there is no field \"{name}:\"; did you mean {field}: (a tag named so needs quotes)"
            ))),
        }
    }
}

fn single_or(
    mut parts: Vec<Expression>,
    join: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn malformed(at: &Scanner<'_>, error: &regex::Error) -> FilterError {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    at.error(format!("this is no regular expression: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text)
            .map(|found| format!("{found:?}"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn errors_name_column_and_expectation() {
        for (text, expected) in [
            (
                "",
                "column 1: expected a tag, a field or a bracket, found the end",
            ),
            (
                "smile AND",
                "column 10: expected a tag, a field or a bracket, found the end",
            ),
            (
                "a AND AND b",
                "column 7: expected a tag, a field or a bracket, found \"AND\"",
            ),
            (
                "a,,b",
                "column 3: expected a tag, a field or a bracket, found \",\"",
            ),
            ("(a OR b", "column 1: this bracket is never closed"),
            ("a OR b)", "column 7: this bracket was never opened"),
            (
                "狐 AND (b \"c\")",
                "column 10: expected AND, OR, a comma or \")\", found \"\"\"",
            ),
            (
                "a \"open mouth\"",
                "column 3: expected AND, OR, a comma or the end (quotes hold words with spaces together), found \"\"\"",
            ),
            (
                "saber (fate)",
                "column 7: expected AND, OR, a comma or the end (quotes hold words with spaces together), found \"(\"",
            ),
            ("a OR \"b", "column 6: this quote is never closed"),
            (
                "/a",
                "column 1: this regular expression is never closed; it ends with /",
            ),
            (
                "a, /b(/",
                "column 4: /b(/ is no regular expression: unclosed group",
            ),
            (
                "name:/b(/",
                "column 6: this is no regular expression: unclosed group",
            ),
            ("tags>many", "column 6: expected a number, found \"many\""),
            (
                "caption:nome",
                "column 9: expected none or empty, found \"nome\"",
            ),
            (
                "name:",
                "column 6: expected a picture's name, found the end",
            ),
            (
                "nmae:fox",
                "column 1: there is no field \"nmae:\"; did you mean name: (a tag named so needs quotes)",
            ),
        ] {
            assert_eq!(error(text), expected, "{text}");
        }
        assert!(error(&"(".repeat(100_000)).contains("too deep"));
        assert!(error(&"NOT ".repeat(100_000)).contains("too deep"));
    }
}
