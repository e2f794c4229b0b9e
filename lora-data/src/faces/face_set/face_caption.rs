use serde::Serialize;

use crate::caption::tags;

/// How a crop's caption comes from its picture's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaceCaption {
    /// What is put in front, as it stands: `close-up, `.
    pub prefix: String,
    /// Tags put behind, unless they are there already.
    pub add: Vec<String>,
    /// Tags that are taken out, for they are not true of a crop. Case does not count, and `_` is a space.
    pub remove: Vec<String>,
}

impl Default for FaceCaption {
    /// Adds `close-up`, so that a model does not take the framing for part of the subject, and takes out the framings of
    /// Danbooru that a crop of a face cannot have.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            add: vec!["close-up".to_owned()],
            remove: [
                "full body",
                "lower body",
                "upper body",
                "cowboy shot",
                "wide shot",
                "very wide shot",
                "full shot",
                "medium shot",
                "feet out of frame",
                "head out of frame",
                "from afar",
            ]
            .map(String::from)
            .into(),
        }
    }
}

impl FaceCaption {
    /// A crop's caption. Each line that has words is one, as wildcards choose among them.
    pub fn of(&self, caption: &str) -> String {
        let caption = caption.strip_prefix('\u{feff}').unwrap_or(caption);
        let mut lines: Vec<String> = caption
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| self.line(line))
            .filter(|line| !line.is_empty())
            .collect();
        if lines.is_empty() {
            lines.push(self.line(""));
        }
        lines.join("\n")
    }

    fn line(&self, line: &str) -> String {
        let is_removed = |tag: &str| self.remove.iter().any(|one| plain(one) == plain(tag));
        let mut kept: Vec<&str> = tags(line).filter(|tag| !is_removed(tag)).collect();
        for tag in self.add.iter().map(|tag| tag.trim()) {
            let mut there = kept.iter().copied().chain(tags(&self.prefix));
            if !tag.is_empty() && !there.any(|one| plain(one) == plain(tag)) {
                kept.push(tag);
            }
        }
        let line = format!("{}{}", self.prefix, kept.join(", "));
        line.trim().trim_end_matches(',').trim_end().to_owned()
    }
}

fn plain(tag: &str) -> String {
    tag.trim().replace('_', " ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(prefix: &str, add: &[&str], remove: &[&str]) -> FaceCaption {
        let list = |tags: &[&str]| tags.iter().map(ToString::to_string).collect();
        FaceCaption {
            prefix: prefix.to_owned(),
            add: list(add),
            remove: list(remove),
        }
    }

    #[test]
    fn tags_are_taken_out_and_put_in() {
        let rule = caption("close-up, ", &["face", "portrait"], &["full body", "boots"]);
        assert_eq!(
            rule.of("sks dog, Full_Body, red hat,boots , Portrait"),
            "close-up, sks dog, red hat, Portrait, face"
        );
    }

    #[test]
    fn a_tag_of_the_prefix_is_not_added_again() {
        let rule = caption("close-up, ", &["Close-up", "face"], &[]);
        assert_eq!(rule.of("sks dog"), "close-up, sks dog, face");
    }

    #[test]
    fn a_sentence_stays_as_it_is() {
        let rule = caption("", &[], &["full body"]);
        assert_eq!(
            rule.of("a full body photo of sks dog"),
            "a full body photo of sks dog"
        );
    }

    #[test]
    fn every_line_is_a_caption() {
        let rule = caption("face of ", &["x"], &["boots"]);
        assert_eq!(
            rule.of("\u{feff}a, boots\r\n\r\nb\n"),
            "face of a, x\nface of b, x"
        );
    }

    #[test]
    fn without_words_only_what_is_added_stays() {
        assert_eq!(caption("", &["face"], &[]).of(" \n"), "face");
        assert_eq!(caption("close-up, ", &[], &["a"]).of("a"), "close-up");
        assert_eq!(caption("", &[""], &[]).of(""), "");
    }
}
