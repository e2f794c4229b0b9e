//! What `lora prepare` did, in words.

use std::path::Path;

use lora_data::prepare::{
    CutMethod, DuplicateGroup, PrepareReport, PreparedPicture, PreparedState, SkipReason,
};

use crate::name_list::{counted, named, names};

/// So many groups of copies are spelled out.
const GROUPS: usize = 20;

/// One line for each picture that was read.
pub(crate) fn table(report: &PrepareReport) -> String {
    let lines: Vec<String> = report.pictures.iter().filter_map(line).collect();
    lines.join("\n")
}

fn line(picture: &PreparedPicture) -> Option<String> {
    let survey = picture.survey.as_ref()?;
    let (width, height) = survey.size;
    let cut = picture.cut.as_ref().map(|cut| {
        let (frame, size) = (cut.frame, cut.size);
        format!(
            " → {}, {}×{}, {} ({}×{} at {}, {})",
            cut.file,
            size.0,
            size.1,
            method(cut.method),
            frame.width,
            frame.height,
            frame.left,
            frame.top
        )
    });
    let state = match picture.state {
        PreparedState::Unchanged => ", there already",
        PreparedState::Skipped { .. } => ", left out",
        _ => "",
    };
    let small = if picture.small { ", small" } else { "" };
    let blurred = if picture.blurred {
        format!(", blurred ({})", survey.sharpness)
    } else {
        String::new()
    };
    let (name, cut) = (&picture.picture, cut.unwrap_or_default());
    Some(format!(
        "{name}: {width}×{height}{cut}{state}{small}{blurred}"
    ))
}

fn method(method: CutMethod) -> String {
    match method {
        CutMethod::Whole => "whole".to_owned(),
        CutMethod::Centre => "centre".to_owned(),
        CutMethod::Smart => "smart".to_owned(),
        CutMethod::Face { faces } => format!("around {}", counted(faces, "face")),
        CutMethod::SmartWithoutFace => "smart, for no face was found".to_owned(),
        CutMethod::Box => "box".to_owned(),
    }
}

/// How many pictures became what, what somebody should look at, and what could not be done.
pub(crate) fn summary(report: &PrepareReport, dry_run: bool) -> String {
    let mut lines = vec![counts(report, dry_run)];
    let lists = findings(report).into_iter().chain(files(report, dry_run));
    lines.extend(
        lists.filter_map(|(words, unit, found)| named(words, unit, found.iter().map(Path::new))),
    );
    lines.extend(groups(&report.duplicates));
    for picture in &report.pictures {
        if let PreparedState::Failed { problem } = &picture.state {
            lines.push(format!("not done: {problem}"));
        }
    }
    if report.left > 0 {
        lines.push(format!(
            "stopped with {} left; the same command goes on",
            counted(report.left, "picture")
        ));
    }
    lines.join("\n")
}

fn counts(report: &PrepareReport, dry_run: bool) -> String {
    let count = |test: fn(&PreparedState) -> bool| {
        let pictures = report.pictures.iter();
        pictures.filter(|one| test(&one.state)).count()
    };
    let written = if dry_run { "would be made" } else { "made" };
    let counts = [
        (count(|state| *state == PreparedState::Written), written),
        (
            count(|state| *state == PreparedState::Unchanged),
            "there already",
        ),
        (
            count(|state| matches!(state, PreparedState::Skipped { .. })),
            "left out",
        ),
        (
            count(|state| matches!(state, PreparedState::Failed { .. })),
            "could not be prepared",
        ),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let all = counted(report.pictures.len(), "picture");
    match told.as_slice() {
        [] => all,
        told => format!("{all}: {}", told.join(", ")),
    }
}

/// Words, what is counted, and which ones.
type List<'a> = (&'static str, &'static str, Vec<&'a str>);

/// Pictures that somebody should look at.
fn findings(report: &PrepareReport) -> Vec<List<'_>> {
    let of = |words, test: fn(&PreparedPicture) -> bool| {
        let found = report.pictures.iter().filter(|one| test(one));
        let names = found.map(|one| one.picture.as_str()).collect();
        (words, "picture", names)
    };
    vec![
        of("smaller than asked for:", |one| one.small),
        of("blurred:", |one| one.blurred),
        of("no face found in", |one| {
            let method = one.cut.as_ref().map(|cut| cut.method);
            method == Some(CutMethod::SmartWithoutFace)
        }),
        of("left out, for they are too small:", |one| {
            let reason = reason(one);
            matches!(
                reason,
                Some(SkipReason::TooSmall(_) | SkipReason::BelowBucket(_))
            )
        }),
        of("left out, for they are blurred:", |one| {
            reason(one) == Some(&SkipReason::Blurred)
        }),
        of("left out, for they are copies:", |one| {
            matches!(reason(one), Some(SkipReason::Duplicate(_)))
        }),
    ]
}

fn reason(picture: &PreparedPicture) -> Option<&SkipReason> {
    match &picture.state {
        PreparedState::Skipped { reason } => Some(reason),
        _ => None,
    }
}

/// Files that were left or removed.
fn files(report: &PrepareReport, dry_run: bool) -> Vec<List<'_>> {
    let of_pictures = |part: fn(&PreparedPicture) -> &Vec<String>| {
        let files = report.pictures.iter().flat_map(part);
        files.map(String::as_str).collect()
    };
    let removed = if dry_run {
        "would be removed, for nothing gives them any more:"
    } else {
        "removed, for nothing gives them any more:"
    };
    let gone = report.gone.iter().map(String::as_str).collect();
    let pruned = report.pruned.iter().map(String::as_str).collect();
    vec![
        (
            "changed by hand and left as they are (--force):",
            "file",
            of_pictures(|one| &one.left),
        ),
        (removed, "file", of_pictures(|one| &one.removed)),
        (
            "their picture is gone (--prune removes them):",
            "file",
            gone,
        ),
        ("removed, for their picture is gone:", "file", pruned),
    ]
}

fn groups(groups: &[DuplicateGroup]) -> Vec<String> {
    let mut lines: Vec<String> = groups
        .iter()
        .take(GROUPS)
        .map(|group| {
            let copies = group.copies.iter().map(|copy| Path::new(&copy.picture));
            format!("copies of {}: {}", group.kept, names(copies))
        })
        .collect();
    if groups.len() > GROUPS {
        let more = groups.len() - GROUPS;
        lines.push(format!(
            "… and {more} more groups of copies; --json and the contact sheet have all"
        ));
    }
    lines
}
