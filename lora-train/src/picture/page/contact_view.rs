//! What the template of a contact sheet sees: pictures come into being one by one, when the template gets there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use lora_data::prepare::{Duplicate, PrepareReport, PreparedPicture, PreparedState};
use minijinja::{Value, context};

use crate::picture::{
    contact_words::{fate, method},
    data_uri::jpeg_uri,
};

/// So many pictures, and so many groups of copies, a page shows; browsers do not scroll well through more.
const MOST: usize = 2000;
/// So many copies of one picture are shown; the others are counted.
const COPIES: usize = 7;

/// What the page needs of a report.
pub(super) fn contact_view(report: &PrepareReport, title: &str) -> Value {
    let of_state = |test: fn(&PreparedState) -> bool| {
        let pictures = report.pictures.iter();
        pictures.filter(|one| test(&one.state)).count()
    };
    let copies: usize = report
        .duplicates
        .iter()
        .map(|group| group.copies.len())
        .sum();
    let made = report
        .pictures
        .iter()
        .filter(|one| one.cut.is_some())
        .count();
    let counted =
        |test: fn(&PreparedPicture) -> bool| report.pictures.iter().filter(|one| test(one)).count();
    let numbers: Vec<(&str, usize)> = [
        ("pictures", report.pictures.len()),
        ("made", made),
        ("copies", copies),
        ("small", counted(|one| one.small)),
        ("blurred", counted(|one| one.blurred)),
        (
            "left out",
            of_state(|state| matches!(state, PreparedState::Skipped { .. })),
        ),
        (
            "failed",
            of_state(|state| matches!(state, PreparedState::Failed { .. })),
        ),
    ]
    .into_iter()
    .filter(|(name, count)| *count > 0 || matches!(*name, "pictures" | "made"))
    .collect();
    let failed: Vec<&str> = report.pictures.iter().filter_map(problem).collect();
    let shown = Arc::new(Shown::of(report));
    let (for_groups, for_pictures) = (Arc::clone(&shown), shown);
    let (groups, pictures) = (report.duplicates.len(), for_pictures.report.pictures.len());
    context! {
        title,
        lead => format!("{} → {}", report.input.display(), report.output.display()),
        numbers,
        failed,
        groups => Value::make_iterable(move || {
            let shown = Arc::clone(&for_groups);
            (0..groups.min(MOST)).map(move |index| shown.group(index))
        }),
        has_groups => groups > 0,
        groups_left_out => groups.saturating_sub(MOST),
        pictures => Value::make_iterable(move || {
            let shown = Arc::clone(&for_pictures);
            (0..pictures.min(MOST)).map(move |index| shown.picture(index))
        }),
        pictures_left_out => pictures.saturating_sub(MOST),
    }
}

fn problem(picture: &PreparedPicture) -> Option<&str> {
    match &picture.state {
        PreparedState::Failed { problem } => Some(problem),
        _ => None,
    }
}

struct Shown {
    report: PrepareReport,
    /// Where each picture stands in the report.
    places: BTreeMap<String, usize>,
    copies: BTreeSet<String>,
}

impl Shown {
    /// A picture that failed has nothing to be shown.
    fn of(report: &PrepareReport) -> Self {
        let mut report = report.clone();
        report.pictures.retain(|one| problem(one).is_none());
        let names = report.pictures.iter().enumerate();
        let copies = report.duplicates.iter().flat_map(|group| &group.copies);
        Self {
            places: names
                .map(|(index, one)| (one.picture.clone(), index))
                .collect(),
            copies: copies.map(|copy| copy.picture.clone()).collect(),
            report,
        }
    }

    fn group(&self, index: usize) -> Value {
        let group = &self.report.duplicates[index];
        let shown = group.copies.iter().take(COPIES);
        let copies: Vec<Value> = shown
            .map(|copy| self.member(&copy.picture, &alikeness(copy)))
            .collect();
        let more = group.copies.len() - copies.len();
        let kept = self.member(&group.kept, "the most pixels");
        context! { kept, copies, more }
    }

    fn member(&self, name: &str, facts: &str) -> Value {
        let picture = self
            .places
            .get(name)
            .map(|&index| &self.report.pictures[index]);
        let size = picture
            .and_then(|picture| picture.survey.as_ref())
            .map(|survey| survey.size);
        let size = size.map_or(String::new(), |(width, height)| {
            format!("{width}×{height}, ")
        });
        let uri = picture.and_then(|picture| embedded(picture.before.as_deref()));
        context! { name, uri, facts => format!("{size}{facts}") }
    }

    fn picture(&self, index: usize) -> Value {
        let picture = &self.report.pictures[index];
        let Some(survey) = &picture.survey else {
            return context! { name => &picture.picture };
        };
        let percent = |part: u32, whole: u32| {
            let share = f64::from(part) / f64::from(whole.max(1));
            (share * 10_000.0).round() / 100.0
        };
        let (width, height) = survey.size;
        let frame = picture.cut.as_ref().map(|cut| {
            let frame = cut.frame;
            context! {
                left => percent(frame.left, width),
                top => percent(frame.top, height),
                right => percent(width.saturating_sub(frame.left + frame.width), width),
                bottom => percent(height.saturating_sub(frame.top + frame.height), height),
            }
        });
        let made = picture
            .cut
            .as_ref()
            .map(|cut| format!("{}×{}, {}", cut.size.0, cut.size.1, method(cut.method)));
        let mut marks = Vec::new();
        marks.extend(fate(&picture.state));
        if picture.small {
            marks.push("small".to_owned());
        }
        if picture.blurred {
            marks.push(format!("blurred: sharpness {}", survey.sharpness));
        }
        if self.copies.contains(&picture.picture) {
            marks.push("a copy".to_owned());
        }
        context! {
            name => &picture.picture,
            before => embedded(picture.before.as_deref()),
            after => embedded(picture.after.as_deref()),
            size => format!("{width}×{height}"),
            is_out => matches!(picture.state, PreparedState::Skipped { .. }),
            made,
            frame,
            marks,
        }
    }
}

fn alikeness(copy: &Duplicate) -> String {
    match copy.bits {
        _ if copy.same_bytes => "the same file".to_owned(),
        0 => "looks the same".to_owned(),
        bits => format!("{bits} bits of 256 differ"),
    }
}

/// A thumbnail; a picture without one is shown by its name.
fn embedded(path: Option<&Path>) -> Option<String> {
    fs::read(path?).ok().map(|bytes| jpeg_uri(&bytes))
}
