use std::fmt;

use super::CaptionOptions;
use crate::wildcard;

/// The tags of a caption together with all that stands between them, so that what is not edited stays as it was written.
///
/// A separator within a wildcard, `{a, b|c}`, separates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TagLine {
    items: Vec<Item>,
    /// What stands before each item, and behind the last: one more than items.
    gaps: Vec<String>,
    separator: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Tag(String),
    /// kohya's `|||`.
    Mark(String),
}

impl TagLine {
    pub(super) fn parse(caption: &str, options: &CaptionOptions) -> Self {
        let mut parser = Parser {
            line: Self {
                items: Vec::new(),
                gaps: Vec::new(),
                separator: options.separator.clone(),
            },
            gap: String::new(),
        };
        let mut wildcards = wildcard::choices(caption).into_iter().peekable();
        let mark = options.keep_tokens_separator.as_deref();
        let (mut start, mut at) = (0, 0);
        while let Some(next) = caption[at..].chars().next() {
            let rest = &caption[at..];
            if let Some(wildcard) = wildcards.next_if(|wildcard| wildcard.start == at) {
                at = wildcard.end;
            } else if let Some(mark) = mark.filter(|mark| rest.starts_with(mark)) {
                parser.words(&caption[start..at]);
                parser.item(Item::Mark(mark.to_owned()));
                at += mark.len();
                start = at;
            } else if rest.starts_with(&options.separator) {
                parser.words(&caption[start..at]);
                parser.gap.push_str(&options.separator);
                at += options.separator.len();
                start = at;
            } else {
                at += next.len_utf8();
            }
        }
        parser.words(&caption[start..]);
        parser.line.gaps.push(parser.gap);
        parser.line
    }

    /// The tags, trimmed; marks are none.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|item| match item {
            Item::Tag(tag) => Some(tag.as_str()),
            Item::Mark(_) => None,
        })
    }

    pub(super) fn has_marks(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Mark(_)))
    }

    /// Keeps the tags that `keep` wants; `keep` sees them in order.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let goes: Vec<bool> = self
            .items
            .iter()
            .map(|item| matches!(item, Item::Tag(tag) if !keep(tag)))
            .collect();
        for at in (0..goes.len()).rev().filter(|&at| goes[at]) {
            self.remove(at);
        }
    }

    /// Puts `tags` where the tag with this number is, counted from 0; at the end, if there are not so many.
    pub(super) fn insert(&mut self, number: usize, tags: impl IntoIterator<Item = String>) {
        let at = self.places().nth(number).unwrap_or(self.items.len());
        for (ahead, tag) in tags.into_iter().enumerate() {
            self.insert_item(at + ahead, tag);
        }
    }

    /// Puts `tags` at the front, before marks too.
    pub(super) fn insert_first(&mut self, tags: impl IntoIterator<Item = String>) {
        for (at, tag) in tags.into_iter().enumerate() {
            self.insert_item(at, tag);
        }
    }

    /// Rewrites each tag as what `rewrite` gives for it; several come one after the other, none removes it.
    pub(super) fn rewrite(&mut self, mut rewrite: impl FnMut(&str) -> Option<Vec<String>>) {
        let rewritten: Vec<(usize, Vec<String>)> = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(at, item)| match item {
                Item::Tag(tag) => Some((at, rewrite(tag)?)),
                Item::Mark(_) => None,
            })
            .collect();
        for (at, tags) in rewritten.into_iter().rev() {
            let mut tags = tags.into_iter();
            match tags.next() {
                None => self.remove(at),
                Some(first) => {
                    self.items[at] = Item::Tag(first);
                    for (ahead, tag) in tags.enumerate() {
                        self.insert_item(at + 1 + ahead, tag);
                    }
                }
            }
        }
    }

    /// Sorts the tags by `key`, stably, except the first `kept`; each stays on its side of every mark.
    pub(super) fn sort_by_key<K: Ord>(&mut self, kept: usize, key: impl Fn(&str) -> K) {
        let mut left = kept;
        let sorted = self
            .items
            .split_mut(|item| matches!(item, Item::Mark(_)))
            .filter_map(|run| {
                let skipped = left.min(run.len());
                left -= skipped;
                run.get_mut(skipped..)
            });
        for run in sorted {
            run.sort_by_cached_key(|item| match item {
                Item::Tag(tag) | Item::Mark(tag) => key(tag),
            });
        }
    }

    /// Where the tags are among the items.
    fn places(&self) -> impl Iterator<Item = usize> {
        let items = self.items.iter().enumerate();
        items.filter_map(|(at, item)| matches!(item, Item::Tag(_)).then_some(at))
    }

    fn is_mark(&self, at: Option<usize>) -> bool {
        at.and_then(|at| self.items.get(at))
            .is_some_and(|item| matches!(item, Item::Mark(_)))
    }

    fn remove(&mut self, at: usize) {
        let (is_first, is_last) = (at == 0, at + 1 == self.items.len());
        let after_mark = self.is_mark(at.checked_sub(1));
        let is_between_tags = !after_mark && !self.is_mark(Some(at + 1));
        let keeps_gap_before = is_first
            || after_mark
            || (is_between_tags && self.gaps[at].len() < self.gaps[at + 1].len());
        self.items.remove(at);
        if is_first && is_last {
            self.gaps = vec![String::new()];
        } else if keeps_gap_before && !is_last {
            self.gaps.remove(at + 1);
        } else {
            self.gaps.remove(at);
        }
    }

    fn insert_item(&mut self, at: usize, tag: String) {
        let (is_first, is_last) = (at == 0, at == self.items.len());
        let gap_to = |is_mark| {
            if is_mark {
                " ".to_owned()
            } else {
                self.joint()
            }
        };
        match (is_first, is_last) {
            (true, true) => self.gaps = vec![String::new(); 2],
            (true, false) => self.gaps.insert(1, gap_to(self.is_mark(Some(0)))),
            (false, _) => {
                let after_mark = self.is_mark(at.checked_sub(1));
                if is_last || !after_mark {
                    self.gaps.insert(at, gap_to(after_mark));
                } else {
                    let before_mark = self.is_mark(Some(at));
                    self.gaps.insert(at + 1, gap_to(before_mark));
                }
            }
        }
        self.items.insert(at, Item::Tag(tag));
    }

    /// What the line puts between two tags: the first such gap that is no more than a separator and spaces.
    fn joint(&self) -> String {
        let inner = self
            .gaps
            .iter()
            .skip(1)
            .take(self.items.len().saturating_sub(1));
        let mut plain = inner.filter(|gap| {
            let parts: Vec<&str> = gap.split(&self.separator).collect();
            parts.len() == 2 && parts.iter().all(|part| part.trim().is_empty())
        });
        if let Some(gap) = plain.next() {
            return gap.clone();
        }
        let ends_in_space = self.separator.ends_with(char::is_whitespace);
        format!("{}{}", self.separator, if ends_in_space { "" } else { " " })
    }
}

impl fmt::Display for TagLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (gap, item) in self.gaps.iter().zip(&self.items) {
            let (Item::Tag(text) | Item::Mark(text)) = item;
            write!(f, "{gap}{text}")?;
        }
        f.write_str(self.gaps.last().map_or("", String::as_str))
    }
}

struct Parser {
    line: TagLine,
    /// What was passed since the last item.
    gap: String,
}

impl Parser {
    fn words(&mut self, words: &str) {
        let tag = words.trim();
        let Some(before) = words.find(tag).filter(|_| !tag.is_empty()) else {
            self.gap.push_str(words);
            return;
        };
        self.gap.push_str(&words[..before]);
        self.item(Item::Tag(tag.to_owned()));
        self.gap.push_str(&words[before + tag.len()..]);
    }

    fn item(&mut self, item: Item) {
        self.line.gaps.push(std::mem::take(&mut self.gap));
        self.line.items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(caption: &str) -> TagLine {
        TagLine::parse(caption, &CaptionOptions::default())
    }

    fn tags(caption: &str) -> Vec<String> {
        parsed(caption).tags().map(str::to_owned).collect()
    }

    fn edited(caption: &str, edit: impl FnOnce(&mut TagLine)) -> String {
        let mut line = parsed(caption);
        edit(&mut line);
        line.to_string()
    }

    #[test]
    fn separators_in_wildcards_and_marks_are_none() {
        for (caption, expected) in [
            (
                "a dog, grass ,sky,,ball,",
                &["a dog", "grass", "sky", "ball"][..],
            ),
            (
                "a {red, x|blue, y} hat, sky",
                &["a {red, x|blue, y} hat", "sky"],
            ),
            ("a {b, c", &["a {b", "c"]),
            ("{{a, b}}", &["{{a", "b}}"]),
            ("sks ||| a, b|||c", &["sks", "a", "b", "c"]),
            ("{a|||b}, c", &["{a|||b}", "c"]),
            (
                "saber \\(fate\\), ^_^, ||_||",
                &["saber \\(fate\\)", "^_^", "||_||"],
            ),
            ("狐，犬, 猫", &["狐，犬", "猫"]),
            (" , ", &[]),
        ] {
            assert_eq!(tags(caption), expected, "{caption}");
        }
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_as_written() {
        for (caption, expected) in [
            ("x, a ,b", "a ,b"),
            ("a ,x,b", "a,b"),
            ("a,b,  x", "a,b"),
            ("a, x,", "a,"),
            ("a,, x, b", "a, b"),
            (" x ", ""),
            ("x, x", ""),
            ("x ||| a", "||| a"),
            ("a ||| x, b", "a ||| b"),
            ("a, x ||| b", "a ||| b"),
            ("a |||x", "a |||"),
            ("a ||| x||| b", "a ||| ||| b"),
        ] {
            let found = edited(caption, |line| line.retain(|tag| tag != "x"));
            assert_eq!(found, expected, "{caption}");
        }
    }

    #[test]
    fn what_comes_in_is_joined_as_the_line_joins() {
        let x = || ["x".to_owned()];
        for (caption, first, last, second) in [
            ("", "x", "x", "x"),
            ("a", "x, a", "a, x", "a, x"),
            ("a,b", "x,a,b", "a,b,x", "a,x,b"),
            ("a ,  b,", "x ,  a ,  b,", "a ,  b ,  x,", "a ,  x ,  b,"),
            ("a,,b", "x, a,,b", "a,,b, x", "a, x,,b"),
            ("a ||| b", "x, a ||| b", "a ||| b, x", "a ||| x, b"),
            ("a |||", "x, a |||", "a ||| x", "a ||| x"),
            ("||| a", "x ||| a", "||| a, x", "||| a, x"),
        ] {
            assert_eq!(edited(caption, |line| line.insert_first(x())), first);
            assert_eq!(edited(caption, |line| line.insert(usize::MAX, x())), last);
            assert_eq!(edited(caption, |line| line.insert(1, x())), second);
        }
    }

    #[test]
    fn sorting_keeps_gaps_marks_and_the_first() {
        let sorted = |caption, kept| edited(caption, |line| line.sort_by_key(kept, str::to_owned));
        assert_eq!(sorted("c ,b,  a", 0), "a ,b,  c");
        assert_eq!(sorted("c, b, a", 1), "c, a, b");
        assert_eq!(
            sorted("c, b ||| z, y ||| b, a", 0),
            "b, c ||| y, z ||| a, b"
        );
        assert_eq!(sorted("c, b ||| z, y, x", 3), "c, b ||| z, x, y");
        assert_eq!(sorted("b, a", 9), "b, a");
    }

    proptest! {
        #[test]
        fn parsing_loses_nothing(caption in "[a-c,{}|_ \\\\()狐\r\t]{0,24}") {
            prop_assert_eq!(parsed(&caption).to_string(), caption);
        }

        /// Of lines whose braces pair, what is read again is what was edited.
        #[test]
        fn edits_come_back_when_read(
            caption in proptest::collection::vec(
                prop_oneof!["[a-c]{1,2}", Just("{a, b|c}".to_owned()), Just(",".to_owned()),
                            Just(" ".to_owned()), Just("|||".to_owned())], 0..10),
            removed in "[a-c]",
            number in 0_usize..6,
        ) {
            let caption = caption.concat();
            let mut line = parsed(&caption);
            line.retain(|tag| tag != removed);
            let mut expected: Vec<String> = tags(&caption);
            expected.retain(|tag| *tag != removed);
            let place = number.min(expected.len());
            line.insert(number, ["x".to_owned(), "y".to_owned()]);
            expected.splice(place..place, ["x".to_owned(), "y".to_owned()]);
            prop_assert_eq!(tags(&line.to_string()), expected);
            let marks = |text: &str| parsed(text).items.iter().filter(|item| matches!(item, Item::Mark(_))).count();
            prop_assert_eq!(marks(&line.to_string()), marks(&caption));
        }
    }
}
