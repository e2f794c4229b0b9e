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
    let mut line = format!("{}: {width}×{height}", picture.picture);
    if let Some(cut) = &picture.cut {
        let (frame, size) = (cut.frame, cut.size);
        line += &format!(
            " → {}, {}×{}, {} ({}×{} at {}, {})",
            cut.file,
            size.0,
            size.1,
            method(cut.method),
            frame.width,
            frame.height,
            frame.left,
            frame.top
        );
    }
    line += match picture.state {
        PreparedState::Unchanged => ", there already",
        PreparedState::Skipped { .. } => ", left out",
        _ => "",
    };
    if picture.small {
        line += ", small";
    }
    if picture.blurred {
        line += &format!(", blurred ({})", survey.sharpness);
    }
    Some(line)
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
    let pictures = || report.pictures.iter();
    let count =
        |test: fn(&PreparedState) -> bool| pictures().filter(|one| test(&one.state)).count();
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
    let mut lines = match told.as_slice() {
        [] => vec![all],
        told => vec![format!("{all}: {}", told.join(", "))],
    };
    let skipped = |test: fn(&SkipReason) -> bool| {
        pictures().filter(
            move |one| matches!(&one.state, PreparedState::Skipped { reason } if test(reason)),
        )
    };
    let path = |one: &'_ PreparedPicture| -> std::path::PathBuf { one.picture.clone().into() };
    let mut add = |words: &str, unit: &str, files: Vec<std::path::PathBuf>| {
        lines.extend(named(words, unit, files.iter().map(AsRef::as_ref)));
    };
    let of =
        |found: &mut dyn Iterator<Item = &PreparedPicture>| found.map(path).collect::<Vec<_>>();
    add(
        "smaller than asked for:",
        "picture",
        of(&mut pictures().filter(|one| one.small)),
    );
    add(
        "blurred:",
        "picture",
        of(&mut pictures().filter(|one| one.blurred)),
    );
    let no_face = |one: &&PreparedPicture| {
        one.cut
            .as_ref()
            .is_some_and(|cut| cut.method == CutMethod::SmartWithoutFace)
    };
    add(
        "no face found in",
        "picture",
        of(&mut pictures().filter(no_face)),
    );
    let too_small = |reason: &SkipReason| {
        matches!(reason, SkipReason::TooSmall(_) | SkipReason::BelowBucket(_))
    };
    add(
        "left out, for they are too small:",
        "picture",
        of(&mut skipped(too_small)),
    );
    add(
        "left out, for they are blurred:",
        "picture",
        of(&mut skipped(|reason| *reason == SkipReason::Blurred)),
    );
    let copies = |reason: &SkipReason| matches!(reason, SkipReason::Duplicate(_));
    add(
        "left out, for they are copies:",
        "picture",
        of(&mut skipped(copies)),
    );
    let files = |names: &[String]| names.iter().map(Into::into).collect::<Vec<_>>();
    let all = |part: fn(&PreparedPicture) -> &[String]| {
        let names = pictures().flat_map(part);
        names.map(Into::into).collect::<Vec<std::path::PathBuf>>()
    };
    let gone = if dry_run {
        "would be removed, for nothing gives them any more:"
    } else {
        "removed, for nothing gives them any more:"
    };
    add(
        "changed by hand and left as they are (--force):",
        "file",
        all(|one| &one.left),
    );
    add(gone, "file", all(|one| &one.removed));
    add(
        "their picture is gone (--prune removes them):",
        "file",
        files(&report.gone),
    );
    add(
        "removed, for their picture is gone:",
        "file",
        files(&report.pruned),
    );
    lines.extend(groups(&report.duplicates));
    for picture in pictures() {
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
