//! Filters by example, and against an evaluator that knows nothing of theirs.

use lora_data::tags::{Caption, CaptionOptions, CaptionSet, Filter};
use proptest::prelude::*;

use crate::{
    folder::Folder,
    tags_folder::{folder_of, letters, set},
};

/// The names of the pictures that a filter wants.
fn found(set: &CaptionSet, filter: &str) -> Vec<String> {
    let filter: Filter = filter
        .parse()
        .unwrap_or_else(|error| panic!("{filter}: {error}"));
    let selection = set.select(&filter, &letters);
    let indices = selection.indices().iter();
    indices
        .map(|&index| set.captions()[index].name().to_owned())
        .collect()
}

#[test]
fn every_kind_of_test_finds_what_it_is_for() {
    let folder = Folder::new();
    for (name, text) in [
        (
            "10_cat/fox one.png",
            Some("1girl, long_hair, smile, saber \\(fate\\)"),
        ),
        (
            "10_cat/two.png",
            Some("1girl, open mouth, solo, re:zero, and, tags"),
        ),
        (
            "5_dog/three.jpg",
            Some("A dog on the grass, {red, x|blue} hat, ^_^"),
        ),
        ("5_dog/four.png", Some("\n")),
        ("5_dog/五.png", None),
    ] {
        folder.write(name, "");
        if let Some(text) = text {
            let stem = name.rsplit_once('.').expect("an ending").0;
            folder.write(&format!("{stem}.txt"), text);
        }
    }
    let set = CaptionSet::open(&folder.path(""), &CaptionOptions::default()).unwrap();
    let (one, two, three, four, five) = (
        "10_cat/fox one.png",
        "10_cat/two.png",
        "5_dog/three.jpg",
        "5_dog/four.png",
        "5_dog/五.png",
    );
    for (filter, expected) in [
        ("1girl", &[one, two][..]),
        ("long hair", &[one]),
        ("Long_Hair", &[one]),
        ("\"long hair\"", &[one]),
        ("*hair", &[one]),
        ("/^(smile|solo)$/", &[one, two]),
        ("1girl AND (smile OR \"open mouth\") AND NOT solo", &[one]),
        ("1girl, NOT solo", &[one]),
        ("smile OR 1girl AND solo", &[one, two]),
        ("NOT(1girl)", &[three, four, five]),
        ("NOT NOT solo", &[two]),
        ("saber_(fate)", &[one]),
        ("saber \\(fate\\)", &[one]),
        ("^_^", &[three]),
        ("re:zero", &[two]),
        ("and", &[two]),
        ("tags", &[two]),
        ("tag:tags", &[two]),
        ("tag:long hair, smile", &[one]),
        ("\"{red, x|blue} hat\"", &[three]),
        ("text:grass", &[three]),
        ("text:\"on the\"", &[three]),
        ("text:a*grass", &[three]),
        ("text:/^a .og/", &[three]),
        ("name:two", &[two]),
        ("name:TWO.png", &[two]),
        ("file:10_cat/*", &[one, two]),
        ("name:\"fox one\"", &[one]),
        ("name:fox", &[]),
        ("name:*.jpg OR name:五", &[three, five]),
        ("name:/^t/", &[two, three]),
        ("folder:5_dog", &[three, four, five]),
        ("folder:*dog AND caption:none", &[five]),
        ("caption:empty", &[four, five]),
        ("tags>4", &[two]),
        ("tags >= 4", &[one, two]),
        ("tags=3", &[three]),
        ("tags!=0", &[one, two, three]),
        ("tags<1", &[four, five]),
        ("tags <= 3", &[three, four, five]),
        ("tokens>41", &[two]),
        ("NOT tokens<=41", &[two]),
    ] {
        let mut expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        expected.sort_by_key(|name| set.captions().iter().position(|one| one.name() == name));
        if filter.contains("tokens") {
            let counted: Vec<usize> = set
                .captions()
                .iter()
                .map(|one| one.tokens(&letters))
                .collect();
            expected = set
                .captions()
                .iter()
                .zip(counted)
                .filter(|(_, count)| *count > 41)
                .map(|(caption, _)| caption.name().to_owned())
                .collect();
        }
        assert_eq!(found(&set, filter), expected, "{filter}");
    }
}

/// A filter as a person thinks of it.
#[derive(Clone, Debug)]
enum Wish {
    Tag(String),
    Part(String),
    MoreTags(usize),
    FewerLetters(usize),
    Empty,
    No(Box<Wish>),
    Both(Box<Wish>, Box<Wish>),
    Either(Box<Wish>, Box<Wish>),
}

impl Wish {
    /// In words, with brackets around everything.
    fn bracketed(&self) -> String {
        match self {
            Self::Tag(tag) if tag.contains(' ') => format!("\"{tag}\""),
            Self::Tag(tag) => tag.clone(),
            Self::Part(letters) => format!("text:{letters}"),
            Self::MoreTags(count) => format!("tags>{count}"),
            Self::FewerLetters(count) => format!("tokens < {count}"),
            Self::Empty => "caption:empty".to_owned(),
            Self::No(one) => format!("NOT ({})", one.bracketed()),
            Self::Both(one, other) => format!("({} AND {})", one.bracketed(), other.bracketed()),
            Self::Either(one, other) => format!("({} OR {})", one.bracketed(), other.bracketed()),
        }
    }

    /// In words, with no more brackets than needed: NOT binds closest, OR least.
    fn terse(&self, level: u8) -> String {
        let (own, text) = match self {
            Self::No(one) => (2, format!("NOT {}", one.terse(2))),
            Self::Both(one, other) => (1, format!("{}, {}", one.terse(1), other.terse(1))),
            Self::Either(one, other) => (0, format!("{} OR {}", one.terse(0), other.terse(0))),
            _ => return self.bracketed(),
        };
        if own < level {
            format!("({text})")
        } else {
            text
        }
    }

    fn is_fulfilled(&self, caption: &str) -> bool {
        let tags: Vec<&str> = caption.split(", ").filter(|tag| !tag.is_empty()).collect();
        match self {
            Self::Tag(tag) => tags.contains(&tag.as_str()),
            Self::Part(letters) => caption.contains(letters),
            Self::MoreTags(count) => tags.len() > *count,
            Self::FewerLetters(count) => caption.len() < *count,
            Self::Empty => tags.is_empty(),
            Self::No(one) => !one.is_fulfilled(caption),
            Self::Both(one, other) => one.is_fulfilled(caption) && other.is_fulfilled(caption),
            Self::Either(one, other) => one.is_fulfilled(caption) || other.is_fulfilled(caption),
        }
    }
}

fn wishes() -> impl Strategy<Value = Wish> {
    let leaf = prop_oneof![
        "[a-c]( [a-c])?".prop_map(Wish::Tag),
        "[a-c]{1,2}".prop_map(Wish::Part),
        (0_usize..4).prop_map(Wish::MoreTags),
        (0_usize..12).prop_map(Wish::FewerLetters),
        Just(Wish::Empty),
    ];
    leaf.prop_recursive(4, 20, 2, |inner| {
        let pair = (
            inner.clone().prop_map(Box::new),
            inner.clone().prop_map(Box::new),
        );
        prop_oneof![
            inner.prop_map(|one| Wish::No(Box::new(one))),
            pair.clone().prop_map(|(one, other)| Wish::Both(one, other)),
            pair.prop_map(|(one, other)| Wish::Either(one, other)),
        ]
    })
}

#[test]
fn filters_agree_with_a_plain_evaluator() {
    let captions: Vec<String> = (0..60_usize)
        .map(|number| {
            let tags = ["a", "b", "c", "a b", "c c", "b a"].iter().enumerate();
            let some = tags.filter(|(place, _)| (number * 37) >> place & 1 == 1);
            some.map(|(_, tag)| *tag).collect::<Vec<_>>().join(", ")
        })
        .collect();
    let texts: Vec<Option<&str>> = captions.iter().map(|text| Some(text.as_str())).collect();
    let folder = folder_of(&texts);
    let set = set(&folder);
    proptest!(|(wish in wishes())| {
        let wanted: Vec<&str> = set
            .captions()
            .iter()
            .filter(|one| wish.is_fulfilled(one.caption()))
            .map(Caption::name)
            .collect();
        prop_assert_eq!(found(&set, &wish.bracketed()), wanted.clone(), "{}", wish.bracketed());
        prop_assert_eq!(found(&set, &wish.terse(0)), wanted, "{}", wish.terse(0));
    });
}

proptest! {
    #[test]
    fn no_text_ends_the_program(text in "[a-z \"/(),:<>=*\\\\|{}狐ANDORT0-9]{0,30}") {
        let _ = text.parse::<Filter>();
    }
}
