use std::path::{Path, PathBuf};

use crate::{
    CaptionConfig, Entry, Problem, Resolution,
    caption_file::CaptionFile,
    concept::Concept,
    findings::{Findings, file_name, file_names},
    folder_listing::stem,
};

/// The pictures of a folder, each with its caption. Sizes are left at 0 × 0: no picture is decoded here.
pub(crate) fn captioned(
    concept: &Concept,
    config: &CaptionConfig,
    subset: usize,
    findings: &mut Findings,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut uncaptioned = Vec::new();
    for (image, caption_files) in with_caption_files(concept) {
        if caption_files.is_none() {
            uncaptioned.push(image);
        }
        let caption = match caption_files {
            Some(files) => from_files(files, config, findings),
            None => without_file(concept, image, config, findings),
        };
        entries.push(Entry {
            image: image.clone(),
            caption,
            folder: concept.name.clone(),
            repeats: concept.repeats,
            size: (0, 0),
            target: Resolution::default(),
            subset,
        });
    }
    note_uncaptioned(concept, config, &uncaptioned, findings);
    note_shared(concept, findings);
    entries
}

fn with_caption_files(
    concept: &Concept,
) -> impl Iterator<Item = (&PathBuf, Option<&Vec<PathBuf>>)> {
    concept
        .listing
        .pictures
        .iter()
        .map(|image| (image, concept.listing.captions.get(stem(image))))
}

/// The caption of the first file; the others are noted. A problem gives an empty one, for opening fails anyway.
fn from_files(files: &[PathBuf], config: &CaptionConfig, findings: &mut Findings) -> String {
    let Some((file, unused)) = files.split_first() else {
        return String::new();
    };
    findings.note_names(file, "used instead of", &file_names(unused));
    match CaptionFile::read(file, config.wildcards) {
        Ok(CaptionFile { caption, .. }) if caption.is_empty() && !config.allow_missing => {
            findings
                .problems
                .push(Problem::CaptionEmpty { path: file.clone() });
            caption
        }
        Ok(CaptionFile {
            caption,
            unused_lines,
        }) => {
            if unused_lines > 0 {
                findings.note(
                    file,
                    format!("only the first line is used; {unused_lines} more not"),
                );
            }
            caption
        }
        Err(problem) => {
            findings.problems.push(problem);
            String::new()
        }
    }
}

fn without_file(
    concept: &Concept,
    image: &Path,
    config: &CaptionConfig,
    findings: &mut Findings,
) -> String {
    if concept.class_tokens.is_none() && !config.allow_missing {
        findings.problems.push(Problem::CaptionMissing {
            image: image.into(),
            expected: expected_name(image, config),
            unread: unread_caption(image, config),
        });
    }
    concept.class_tokens.clone().unwrap_or_default()
}

fn expected_name(image: &Path, config: &CaptionConfig) -> String {
    let extension = config
        .extensions
        .first()
        .map_or("txt", |extension| extension.trim_start_matches('.'));
    file_name(&image.with_extension(extension))
}

fn note_uncaptioned(
    concept: &Concept,
    config: &CaptionConfig,
    images: &[&PathBuf],
    findings: &mut Findings,
) {
    let instead = match (&concept.class_tokens, config.allow_missing) {
        (Some(words), _) => format!("\"{words}\""),
        (None, true) => "an empty caption".to_owned(),
        (None, false) => return,
    };
    let names = file_names(images.iter().copied());
    findings.note_names(
        &concept.path,
        &format!("without a caption file, trained with {instead}"),
        &names,
    );
    let unread = images
        .iter()
        .filter_map(|image| unread_caption(image, config));
    let unread: Vec<PathBuf> = unread.collect();
    let extensions = config.extensions.join(" and ");
    findings.note_names(
        &concept.path,
        &format!("not read, for captions end in {extensions}"),
        &file_names(&unread),
    );
}

/// A file beside a picture that would be its caption if captions had another of the usual endings.
fn unread_caption(image: &Path, config: &CaptionConfig) -> Option<PathBuf> {
    let is_read = |ending: &str| {
        let mut endings = config.extensions.iter();
        endings.any(|own| own.trim_start_matches('.') == ending)
    };
    let others = ["txt", "caption"]
        .into_iter()
        .filter(|ending| !is_read(ending));
    let files = others.map(|ending| image.with_extension(ending));
    files.into_iter().find(|file| file.is_file())
}

fn note_shared(concept: &Concept, findings: &mut Findings) {
    for pictures in concept
        .listing
        .pictures
        .chunk_by(|a, b| stem(a) == stem(b))
        .filter(|same| same.len() > 1)
    {
        findings.note_names(
            &concept.path,
            "pictures of one name share one caption",
            &file_names(pictures),
        );
    }
}
