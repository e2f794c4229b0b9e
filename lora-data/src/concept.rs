use std::path::{Path, PathBuf};

use crate::{
    KohyaName, Problem,
    findings::{Findings, file_name, file_names},
    folder_listing::FolderListing,
    group::Group,
};

/// A folder of pictures that share repeats and class tokens.
#[derive(Debug)]
pub(crate) struct Concept {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) repeats: u32,
    pub(crate) class_tokens: Option<String>,
    pub(crate) listing: FolderListing,
}

/// The folders of pictures that `config` means: itself, or the `N_class` folders in it.
///
/// A folder is a parent when it holds `N_class` folders, unless it is named `N_class` itself and holds pictures.
pub(crate) fn concepts(config: &Group, findings: &mut Findings) -> Vec<Concept> {
    let caption_extensions = &config.rules.caption.extensions;
    let Some(listing) = list(&config.path, caption_extensions, findings) else {
        return Vec::new();
    };
    let (children, others): (Vec<PathBuf>, Vec<PathBuf>) = listing
        .subfolders
        .iter()
        .cloned()
        .partition(|path| KohyaName::parse(&file_name(path)).is_some());
    let is_leaf =
        KohyaName::parse(&folder_name(&config.path)).is_some() && !listing.pictures.is_empty();
    if children.is_empty() || is_leaf || config.is_leaf {
        return leaf(config, &config.path, listing, findings)
            .into_iter()
            .collect();
    }
    findings.note(
        &config.path,
        format!("read as the parent of {}", file_names(&children).join(", ")),
    );
    findings.note_names(
        &config.path,
        "not used, for they are not named N_class",
        &file_names(&others),
    );
    findings.note_names(
        &config.path,
        "pictures not used, for they are beside the N_class folders and not in them",
        &file_names(&listing.pictures),
    );
    children
        .iter()
        .filter_map(|child| {
            let listing = list(child, caption_extensions, findings)?;
            leaf(config, child, listing, findings)
        })
        .collect()
}

fn list(
    path: &Path,
    caption_extensions: &[String],
    findings: &mut Findings,
) -> Option<FolderListing> {
    let listing = FolderListing::read(path, caption_extensions);
    let problem = |cause| Problem::Folder {
        path: path.into(),
        cause,
    };
    listing
        .map_err(|cause| findings.problems.push(problem(cause)))
        .ok()
}

fn leaf(
    config: &Group,
    path: &Path,
    listing: FolderListing,
    findings: &mut Findings,
) -> Option<Concept> {
    if listing.pictures.is_empty() {
        let subfolders = file_names(&listing.subfolders);
        findings.problems.push(Problem::NoPictures {
            path: path.into(),
            subfolders,
        });
        return None;
    }
    let name = folder_name(path);
    let said = KohyaName::parse(&name);
    let repeats = config
        .repeats
        .or(said.as_ref().map(|said| said.repeats))
        .unwrap_or(1);
    if repeats == 0 {
        findings
            .problems
            .push(Problem::ZeroRepeats { path: path.into() });
    }
    let class_tokens = config
        .class_tokens
        .clone()
        .or_else(|| said.as_ref()?.class_tokens.clone());
    let concept = Concept {
        path: path.into(),
        name,
        repeats,
        class_tokens,
        listing,
    };
    note_what_was_inferred(&concept, config, said.as_ref(), findings);
    Some(concept)
}

fn note_what_was_inferred(
    concept: &Concept,
    config: &Group,
    said: Option<&KohyaName>,
    findings: &mut Findings,
) {
    let origin = match (config.repeats, said) {
        (Some(_), Some(said)) => format!(
            "repeats from the config, not the {} of the folder's name",
            said.repeats
        ),
        (Some(_), None) => "repeats from the config".to_owned(),
        (None, Some(_)) => "repeats from the folder's name".to_owned(),
        (None, None) => "repeats not set".to_owned(),
    };
    let class_tokens = match &concept.class_tokens {
        Some(words) => format!("; class tokens \"{words}\""),
        None => String::new(),
    };
    let Concept {
        path,
        repeats,
        listing,
        ..
    } = concept;
    let pictures = match listing.pictures.len() {
        1 => "1 picture".to_owned(),
        count => format!("{count} pictures"),
    };
    findings.note(
        path,
        format!("{pictures} × {repeats} ({origin}){class_tokens}"),
    );
    findings.note_names(
        path,
        "folders in it are not entered",
        &file_names(&listing.subfolders),
    );
    findings.note_names(
        path,
        "pictures of a format that is not read",
        &file_names(&listing.other_pictures),
    );
    let masks = file_names(listing.masks_without_picture());
    findings.note_names(path, "masks without a picture of that name", &masks);
    let strays = file_names(listing.captions_without_picture());
    findings.note_names(
        path,
        "caption files without a picture of that name",
        &strays,
    );
}

/// The folder's own name, also for paths such as `.` that do not tell it.
fn folder_name(path: &Path) -> String {
    match path.file_name() {
        Some(_) => file_name(path),
        None => path
            .canonicalize()
            .map_or_else(|_| file_name(path), |path| file_name(&path)),
    }
}
