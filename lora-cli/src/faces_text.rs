//! What `lora faces` did, in words.

use lora_data::faces::face_set::{
    FaceOutcome, FacePicture, FaceSetReport, FoundFace, PictureOutcome,
};

use crate::name_list::{counted, named, names};

/// One line for each face, and one for each picture without any.
pub(crate) fn table(report: &FaceSetReport) -> String {
    let mut lines = Vec::new();
    for picture in &report.pictures {
        let name = picture.image.display();
        if let PictureOutcome::Failed(_) = picture.outcome {
            lines.push(format!("{name}: cannot be read"));
        } else if picture.faces.is_empty() {
            lines.push(format!("{name}: no face"));
        }
        for face in &picture.faces {
            lines.push(format!("{name}: {}", face_line(face)));
        }
    }
    lines.join("\n")
}

fn face_line(found: &FoundFace) -> String {
    let face = &found.face;
    let place = format!(
        "face of {:.0}×{:.0} at {:.0}, {:.0}, score {:.2}",
        face.width, face.height, face.left, face.top, face.score
    );
    match (&found.file, found.size) {
        (Some(file), Some((width, height))) => {
            let caption = found.caption.as_deref().unwrap_or("none");
            let caption = caption.replace('\n', " | ");
            let state = outcome_word(found.outcome);
            format!("{place} → {file}, {width}×{height}{state}\n    caption: {caption}")
        }
        _ => format!("{place}: left out, {}", outcome_reason(found.outcome)),
    }
}

fn outcome_word(outcome: FaceOutcome) -> &'static str {
    match outcome {
        FaceOutcome::Kept => ", there already",
        FaceOutcome::RemovedByHand => ", removed by hand and not made again",
        FaceOutcome::InTheWay => ", but another file has that name",
        _ => "",
    }
}

fn outcome_reason(outcome: FaceOutcome) -> &'static str {
    match outcome {
        FaceOutcome::TooSmall => "too small",
        FaceOutcome::FillsPicture => "the picture shows little else",
        FaceOutcome::BeyondMost => "there are larger ones",
        _ => "no crop",
    }
}

/// The folders of crops, then what was left out and why, then what could not be read.
pub(crate) fn summary(report: &FaceSetReport, dry_run: bool) -> String {
    let would = if dry_run { " would be there" } else { "" };
    let mut lines: Vec<String> = report
        .folders
        .iter()
        .map(|folder| {
            let crops = counted(folder.crops, "crop");
            let path = folder.path.display();
            format!("{path}: {crops} × {}{would}", folder.repeats)
        })
        .collect();
    let searched = report
        .pictures
        .iter()
        .filter(|picture| !matches!(picture.outcome, PictureOutcome::Failed(_)));
    let faceless = searched.filter(|picture| picture.faces.is_empty());
    lines.extend(named(
        "no face found in",
        "picture",
        faceless.map(|one| one.image.as_path()),
    ));
    for (outcome, words) in [
        (FaceOutcome::TooSmall, "too small and left out (--min-size)"),
        (
            FaceOutcome::FillsPicture,
            "left out, for the picture shows little else (--max-share)",
        ),
        (
            FaceOutcome::BeyondMost,
            "left out, for there are larger ones (--max)",
        ),
        (
            FaceOutcome::RemovedByHand,
            "removed by hand and not made again (--force)",
        ),
        (
            FaceOutcome::InTheWay,
            "not written, for another file has the crop's name (--force)",
        ),
    ] {
        lines.extend(left_out(report, outcome, words));
    }
    let left = report.pictures.iter().flat_map(|picture| &picture.left);
    lines.extend(named(
        "edited by hand and left as they are:",
        "file",
        left.map(AsRef::as_ref),
    ));
    let removed = report.pictures.iter().flat_map(|picture| &picture.removed);
    let gone = if dry_run {
        "would be removed, for nothing gives them any more:"
    } else {
        "removed, for nothing gives them any more:"
    };
    lines.extend(named(gone, "file", removed.map(AsRef::as_ref)));
    let orphans = report.orphans.iter().map(AsRef::as_ref);
    lines.extend(named("their picture is gone:", "crop", orphans));
    for picture in &report.pictures {
        if let PictureOutcome::Failed(reason) = &picture.outcome {
            lines.push(format!("not done: {reason}"));
        }
    }
    if report.stopped {
        lines.push("stopped; run it again to go on".to_owned());
    }
    lines.join("\n")
}

fn left_out(report: &FaceSetReport, outcome: FaceOutcome, words: &str) -> Option<String> {
    let faces = |picture: &FacePicture| {
        let faces = picture.faces.iter();
        faces.filter(|face| face.outcome == outcome).count()
    };
    let count: usize = report.pictures.iter().map(faces).sum();
    let pictures = report.pictures.iter().filter(|picture| faces(picture) > 0);
    let names = names(pictures.map(|picture| picture.image.as_path()));
    (count > 0).then(|| format!("{} {words}: {names}", counted(count, "face")))
}
