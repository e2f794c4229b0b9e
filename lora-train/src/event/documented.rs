//! Holds `docs/events.md` against what events serialise to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::{
    BadStep, EVENT_FORMAT, Event,
    tests::{origin, report},
};
use crate::{Comparison, Outcome, RankedFile, StepReport};

const PAGE: &str = include_str!("../../../docs/events.md");

/// Every field of an outcome, none of them empty.
fn outcome() -> Outcome {
    Outcome {
        steps: 1,
        skipped: 0,
        epochs: 1,
        stopped: false,
        seconds: 1.0,
        training_seconds: 1.0,
        loss: 0.1,
        heldout: vec![(0, 0.2)],
        ended_early: false,
        files: vec!["a".into()],
        ranked: vec![RankedFile {
            epoch: 1,
            step: 1,
            path: "a".into(),
            heldout_loss: Some(0.2),
            comparison: Some(comparison()),
        }],
        last: Some("a".into()),
        best: Some("a".into()),
        best_loss: Some(0.2),
    }
}

fn comparison() -> Comparison {
    Comparison {
        pictures: 1,
        similarity: 0.5,
        colours: 0.5,
        edges: 0.5,
        embedding: Some(0.5),
        copy_distance: 0.5,
        copy_threshold: Some(0.25),
        copies: 0,
    }
}

fn bad_step() -> BadStep {
    BadStep {
        step: 1,
        in_a_row: 1,
        loss: "NaN".to_owned(),
        grad_norm: "NaN".to_owned(),
        layer: Some("a".to_owned()),
        pictures: vec!["a.png".into()],
        timesteps: vec![1],
    }
}

/// Calls back with an event of each kind, with all its fields.
fn each(mut told: impl FnMut(&Event<'_>)) {
    let (origin, bad, outcome) = (origin(), bad_step(), outcome());
    let report = StepReport {
        text_learning_rate: Some(1e-5),
        ..report()
    };
    let (path, sha256, step) = (Path::new("a"), "f", 1);
    let mut kinds = 0;
    for event in [
        Event::Started {
            format: EVENT_FORMAT,
            origin: &origin,
            steps: 1,
            done: 0,
            modules: 1,
            parameters: 1,
        },
        Event::Cached {
            done: 1,
            found: 1,
            total: 1,
        },
        Event::Stepped(&report),
        Event::Paused { step },
        Event::Resumed { step },
        Event::RatesScaled { step, factor: 0.5 },
        Event::Skipped(&bad),
        Event::Measured {
            step,
            heldout_loss: 0.1,
        },
        Event::Compared {
            step,
            comparison: &comparison(),
        },
        Event::Sampled {
            step,
            prompt: 0,
            image: path,
        },
        Event::Saved {
            step,
            epoch: 1,
            path,
            sha256,
        },
        Event::Finished(&outcome),
    ] {
        // Whoever adds a kind is asked here to add it above, too.
        kinds += match event {
            Event::Started { .. }
            | Event::Cached { .. }
            | Event::Stepped(_)
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RatesScaled { .. }
            | Event::Skipped(_)
            | Event::Measured { .. }
            | Event::Compared { .. }
            | Event::Sampled { .. }
            | Event::Saved { .. }
            | Event::Finished(_) => 1,
        };
        told(&event);
    }
    assert_eq!(kinds, 12);
}

/// The names of all fields; those inside others as `outer.inner`, those of a list of objects as `list[].inner`.
fn fields(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, name: &str, fields: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    let name = if name.is_empty() {
                        key.clone()
                    } else {
                        format!("{name}.{key}")
                    };
                    walk(value, &name, fields);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let name = format!("{name}[]");
                for item in items {
                    walk(item, &name, fields);
                }
            }
            _ => {
                fields.insert(name.to_owned());
            }
        }
    }
    let mut fields_of_it = BTreeSet::new();
    walk(value, "", &mut fields_of_it);
    fields_of_it.remove("event");
    fields_of_it
}

/// The page's section of each event.
fn sections() -> BTreeMap<&'static str, &'static str> {
    let sections = PAGE.split("\n## `").skip(1);
    sections
        .filter_map(|section| section.split_once('`'))
        .collect()
}

/// Fields with a type and a meaning, and no others, are in the table of the event's section.
fn documented(section: &str) -> BTreeSet<String> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            let [name, kind, meaning, ..] = &cells[..] else {
                panic!("{cells:?}");
            };
            assert!(!kind.is_empty() && !meaning.is_empty(), "{cells:?}");
            name.trim_end_matches('`').to_owned()
        })
        .collect()
}

#[test]
fn every_event_and_field_is_on_the_page_and_the_page_has_no_other() {
    let sections = sections();
    let mut told = BTreeSet::new();
    each(|event| {
        let value = serde_json::to_value(event).expect("JSON");
        let name = value["event"].as_str().expect("a name").to_owned();
        let section = sections
            .get(name.as_str())
            .unwrap_or_else(|| panic!("docs/events.md has no section `{name}`"));
        assert_eq!(documented(section), fields(&value), "`{name}`");
        told.insert(name);
    });
    let on_the_page: BTreeSet<String> = sections.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(on_the_page, told);
    assert!(PAGE.contains(&format!("**Format {EVENT_FORMAT}.**")));
}

#[test]
fn each_event_has_an_example_with_all_its_fields() {
    for (name, section) in sections() {
        let mut examples = section.split("```json\n").skip(1);
        let example = examples.next().and_then(|text| text.lines().next());
        let example: Value = serde_json::from_str(example.unwrap_or_default())
            .unwrap_or_else(|error| panic!("`{name}`: {error}"));
        assert_eq!(example["event"], name);
        assert_eq!(fields(&example), documented(section), "`{name}`");
    }
}
