use std::cmp::Reverse;

use super::{Duplicate, DuplicateGroup, survey::Survey};

/// A picture among others of which it may be a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked<'a> {
    pub(super) picture: &'a str,
    /// The digest of its file.
    pub(super) content: &'a str,
    pub(super) survey: &'a Survey,
    /// Whether it is left out for other reasons: then another one is kept.
    pub(super) is_out: bool,
}

/// The groups of copies, in the order of the names of what is kept.
///
/// The picture with the most pixels comes first, then the sharper one, then the first by name. Each picture is a copy of
/// the first one kept so far that differs in at most `near` bits, else it is kept itself: so every copy resembles what
/// is kept of it, and not only another copy.
pub(super) fn duplicate_groups(mut pictures: Vec<Looked<'_>>, near: u32) -> Vec<DuplicateGroup> {
    pictures.sort_by_key(|one| {
        let survey = one.survey;
        (
            one.is_out,
            Reverse(survey.pixels()),
            Reverse(survey.sharpness),
            one.picture,
        )
    });
    let mut kept: Vec<(Looked<'_>, Vec<Duplicate>)> = Vec::new();
    for one in pictures {
        let bits = |other: &Looked<'_>| one.survey.hash.distance(&other.survey.hash);
        match kept.iter_mut().find(|(first, _)| bits(first) <= near) {
            Some((first, copies)) => copies.push(Duplicate {
                picture: one.picture.to_owned(),
                bits: bits(first),
                same_bytes: one.content == first.content,
            }),
            None => kept.push((one, Vec::new())),
        }
    }
    kept.retain(|(_, copies)| !copies.is_empty());
    kept.sort_by_key(|(first, _)| first.picture);
    let group = |(first, mut copies): (Looked<'_>, Vec<Duplicate>)| {
        copies.sort_by(|a, b| a.picture.cmp(&b.picture));
        DuplicateGroup {
            kept: first.picture.to_owned(),
            copies,
        }
    };
    kept.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(width: u32, hash: &str) -> Survey {
        serde_json::from_value(serde_json::json!({
            "size": [width, 100],
            "sharpness": 9,
            "hash": format!("{hash:0>64}"),
        }))
        .unwrap()
    }

    #[test]
    fn every_copy_resembles_what_is_kept_of_it() {
        // Bits 0, 3 and 6: the ends of the chain differ by 6 bits, each from the middle by 3.
        let surveys = [
            survey(100, "0"),
            survey(90, "7"),
            survey(80, "3f"),
            survey(70, "ffff"),
        ];
        let looked = |is_out: [bool; 4]| {
            let pictures = ["a", "b", "c", "d"].into_iter().zip(&surveys).zip(is_out);
            pictures
                .map(|((picture, survey), is_out)| Looked {
                    picture,
                    content: picture,
                    survey,
                    is_out,
                })
                .collect::<Vec<_>>()
        };
        let groups = |is_out, near| {
            let groups = duplicate_groups(looked(is_out), near).into_iter();
            groups
                .map(|group| {
                    let copies = group
                        .copies
                        .into_iter()
                        .map(|copy| (copy.picture, copy.bits));
                    (group.kept, copies.collect::<Vec<_>>())
                })
                .collect::<Vec<_>>()
        };
        let in_none = [false; 4];
        let group = |kept: &str, copies: &[(&str, u32)]| {
            let copies = copies
                .iter()
                .map(|(name, bits)| ((*name).to_owned(), *bits));
            (kept.to_owned(), copies.collect::<Vec<_>>())
        };
        assert_eq!(groups(in_none, 3), [group("a", &[("b", 3)])]);
        assert_eq!(groups(in_none, 6), [group("a", &[("b", 3), ("c", 6)])]);
        assert_eq!(groups(in_none, 2), []);
        // The largest is out for another reason: the next one is kept, and the chain hangs on it.
        let first_out = [true, false, false, false];
        assert_eq!(groups(first_out, 3), [group("b", &[("a", 3), ("c", 3)])]);
    }
}
