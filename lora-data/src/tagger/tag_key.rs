/// Tags that are faces, whose underscores are part of them. The list is that of SmilingWolf's space wd-tagger.
const KAOMOJI: [&str; 19] = [
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o",
    "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||",
];

/// The tag with spaces for underscores, unless it is a face such as `^_^`.
pub(crate) fn spaced(tag: &str) -> String {
    if KAOMOJI.contains(&tag) {
        tag.to_owned()
    } else {
        tag.replace('_', " ")
    }
}

/// What tags that mean the same have in common: case, underscores and escaped brackets do not count.
pub(crate) fn tag_key(tag: &str) -> String {
    let plain = tag.trim().replace("\\(", "(").replace("\\)", ")");
    spaced(&plain).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_become_spaces_except_in_faces() {
        for (tag, expected) in [
            ("long_hair", "long hair"),
            ("saber_(fate)", "saber (fate)"),
            ("^_^", "^_^"),
            ("||_||", "||_||"),
            ("<|>_<|>", "<|>_<|>"),
            ("o_o_o", "o o o"),
            (":d", ":d"),
        ] {
            assert_eq!(spaced(tag), expected);
        }
    }

    #[test]
    fn tags_that_mean_the_same_have_one_key() {
        for (one, other) in [
            ("Long_Hair", " long hair"),
            ("saber \\(fate\\)", "saber_(fate)"),
            ("^_^", "^_^ "),
        ] {
            assert_eq!(tag_key(one), tag_key(other));
        }
        assert_ne!(tag_key("^_^"), tag_key("^ ^"));
    }
}
