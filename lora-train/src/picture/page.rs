//! HTML pages that stand alone: one file with its pictures, style and script inside, which loads nothing from anywhere.
//!
//! The templates in `page/` are filled by minijinja, which escapes all text, and written as they are filled: the pictures
//! of a grid are read when their place comes up. Cells show small versions; clicking one enlarges it, and the arrow keys
//! then go to its neighbours, so that two files or two strengths can be compared in the same place.

mod contact_view;
mod grid_view;
mod plan_view;
mod view;

use std::io::Write;

use lora_data::prepare::PrepareReport;
use minijinja::{Environment, Value, context};

use super::choosing_chart::ChoosingChart;
use super::curve::{CurveError, LossCurve};
use super::film_strip::FilmStrip;
use super::grid::{CellError, Grid};
use super::png::PngError;
use super::timestep_chart::TimestepChart;
use crate::{BadStep, Plan, SavedFile};
use contact_view::contact_view;
use grid_view::{grid_view, scale_of};
use plan_view::PictureView;
use view::{TimestepView, bad_steps};

/// Why no page could be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A picture of the grid cannot be read.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A small picture or a drawing could not be embedded.
    #[error(transparent)]
    Png(#[from] PngError),
    /// A large picture could not be embedded.
    #[error("a picture could not be encoded as JPEG")]
    Jpeg(#[from] image::ImageError),
    /// The loss curve could not be drawn.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A template could not be filled, or the page not be written.
    #[error("the page could not be written")]
    Template(#[from] minijinja::Error),
}

/// What the page about a run shows. Empty parts are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The heading: the run's name.
    pub title: String,
    /// A sentence below the heading: what came out.
    pub lead: String,
    /// The numbers worth reading first: `(name, value)`, e.g. `("steps", "300")`.
    pub numbers: Vec<(String, String)>,
    /// The course of the loss.
    pub curve: Option<LossCurve>,
    /// What the saved files were measured by.
    pub choosing: Option<ChoosingChart>,
    /// The course of the loss by timestep.
    pub by_timestep: TimestepChart,
    /// The previews made while training.
    pub previews: FilmStrip,
    /// The comparison of the saved files.
    pub grid: Option<Grid>,
    /// Steps whose numbers went wrong.
    pub bad_steps: Vec<BadStep>,
    /// The files that were saved.
    pub files: Vec<SavedFile>,
    /// What it was made from, and where: `(name, value)`.
    pub origin: Vec<(String, String)>,
    /// The resolved settings, as text.
    pub settings: String,
}

/// Writes the page of a grid, sheet by sheet.
///
/// Gives the scale of what is enlarged: 1, or less where the page would become too large for a browser.
///
/// # Errors
/// [`PageError`] when a picture cannot be embedded or the page not be written.
pub fn grid_page(grids: &[Grid], writer: impl Write) -> Result<f64, PageError> {
    let title = grids.first().map_or("", |grid| grid.title.as_str());
    let title = if title.is_empty() {
        "Comparison"
    } else {
        title
    };
    let scale = scale_of(grids);
    let views = grids.iter().enumerate();
    let views: Vec<Value> = views
        .map(|(number, grid)| grid_view(grid, number, scale))
        .collect();
    let percent = (scale < 1.0).then(|| (scale * 100.0).round());
    fill(
        "grid.html",
        context! { title, grids => views, percent },
        writer,
    )?;
    Ok(scale)
}

/// Writes the page about a run.
///
/// # Errors
/// [`PageError`] when a picture cannot be embedded, the loss curve not be drawn or the page not be written.
pub fn report_page(report: &Report, writer: impl Write) -> Result<(), PageError> {
    let curve = report.curve.as_ref().map(view::curve).transpose()?;
    let choosing = report.choosing.as_ref().map(view::choosing).transpose()?;
    let grid = report.grid.as_ref();
    let grid = grid.map(|grid| grid_view(grid, 0, scale_of(std::slice::from_ref(grid))));
    fill(
        "report.html",
        context! {
            title => &report.title,
            lead => &report.lead,
            numbers => &report.numbers,
            previews => view::film_strip(&report.previews)?,
            by_timestep => TimestepView::new(&report.by_timestep)?,
            bad_steps => bad_steps(&report.bad_steps),
            files => &report.files,
            origin => &report.origin,
            settings => &report.settings,
            curve,
            choosing,
            grid,
        },
        writer,
    )
}

/// Writes the page about a plan: its numbers, what is odd about the dataset, and every picture with what is cut off.
///
/// Pictures are decoded one at a time; those that cannot be read any more are shown by name only.
///
/// # Errors
/// [`PageError`] when the page cannot be written.
pub fn plan_page(plan: &Plan, title: &str, writer: impl Write) -> Result<(), PageError> {
    let pictures: Vec<PictureView> = plan.pictures.iter().map(PictureView::new).collect();
    fill(
        "plan.html",
        context! {
            title,
            pictures,
            numbers => plan_view::numbers(plan),
            findings => &plan.findings,
            buckets => &plan.buckets,
            folders => &plan.folders,
            notes => &plan.notes,
        },
        writer,
    )
}

/// Writes the page about prepared pictures: what could not be read, copies, and every picture with what is cut off beside
/// what was made of it.
///
/// It shows the thumbnails that the preparation kept; a picture without is shown by name only.
///
/// # Errors
/// [`PageError`] when the page cannot be written.
pub fn contact_page(
    report: &PrepareReport,
    title: &str,
    writer: impl Write,
) -> Result<(), PageError> {
    fill("contact.html", contact_view(report, title), writer)
}

fn fill(name: &str, values: Value, writer: impl Write) -> Result<(), PageError> {
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("page/page.html"))?;
    templates.add_template("contact.html", include_str!("page/contact.html"))?;
    templates.add_template("grid.html", include_str!("page/grid.html"))?;
    templates.add_template("grid_table.html", include_str!("page/grid_table.html"))?;
    templates.add_template("plan.html", include_str!("page/plan.html"))?;
    templates.add_template("report.html", include_str!("page/report.html"))?;
    templates.add_global("style", include_str!("page/style.css"));
    templates.add_global("script", include_str!("page/zoom.js"));
    templates
        .get_template(name)?
        .render_captured_to(values, writer)?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use image::RgbImage;
    use lora_data::prepare::{
        Duplicate, DuplicateGroup, PreparedPicture, PreparedState, SkipReason,
    };
    use tempfile::TempDir;

    use super::*;
    use crate::picture::film_strip::Frame;
    use crate::picture::grid::tests::picture;

    const HOSTILE: &str = "<script>alert('1')</script> & \"猫\" https://example.org/x.png";

    /// Two by two cells, of which one holds two pictures and one none; the pictures lie in `folder`.
    fn grid(folder: &Path) -> Grid {
        let mut pictures = vec![picture(folder, "small", 64), picture(folder, "large", 300)];
        pictures[0].parameters = HOSTILE.into();
        let mut undrawn = picture(folder, "undrawn", 64);
        undrawn.path = folder.join("nowhere.png");
        pictures.push(undrawn);
        Grid {
            title: HOSTILE.into(),
            subtitle: HOSTILE.into(),
            columns: vec![HOSTILE.into(), "two".into()],
            rows: vec!["0".into(), HOSTILE.into()],
            cells: vec![vec![vec![0, 1], vec![1]], vec![vec![0], vec![2]]],
            pictures,
            parameters: None,
        }
    }

    fn report(folder: &Path) -> Report {
        Report {
            title: HOSTILE.into(),
            lead: HOSTILE.into(),
            numbers: vec![(HOSTILE.into(), HOSTILE.into())],
            curve: Some(LossCurve {
                points: vec![(1, 0.2), (2, 0.1)],
                ..LossCurve::default()
            }),
            choosing: Some(ChoosingChart {
                heldout: vec![(1, 0.2), (2, 0.1)],
                ..ChoosingChart::default()
            }),
            previews: FilmStrip {
                frames: vec![Frame {
                    step: 50,
                    pictures: vec![RgbImage::new(64, 64), RgbImage::new(64, 64)],
                }],
                prompts: vec![HOSTILE.into()],
            },
            by_timestep: TimestepChart {
                points: vec![(1, [Some(0.5); 10]), (2, [Some(0.25); 10])],
            },
            bad_steps: vec![BadStep {
                step: 7,
                in_a_row: 1,
                loss: "NaN".into(),
                grad_norm: "inf".into(),
                layer: Some(HOSTILE.into()),
                pictures: vec![Path::new("folder").join(HOSTILE)],
                timesteps: vec![321],
            }],
            files: vec![SavedFile {
                step: 50,
                name: HOSTILE.into(),
                sha256: "f".repeat(64),
            }],
            origin: vec![(HOSTILE.into(), HOSTILE.into())],
            grid: Some(grid(folder)),
            settings: HOSTILE.into(),
        }
    }

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), PageError>) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes).expect("a page");
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn grids_written(grids: &[Grid]) -> String {
        written(|bytes| grid_page(grids, bytes).map(|_| ()))
    }

    fn report_written(report: &Report) -> String {
        written(|bytes| report_page(report, bytes))
    }

    fn pages() -> (TempDir, [String; 2]) {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = grids_written(&[grid(folder.path())]);
        let report = report_written(&report(folder.path()));
        (folder, [grid, report])
    }

    /// The attributes and rules through which a page could load something. The text itself may name addresses.
    fn assert_stands_alone(page: &str) {
        for start in [
            "src=\"",
            "href=\"",
            "url(",
            "@import",
            "srcset=\"",
            "<link",
            "<iframe",
            "fetch(",
        ] {
            for (_, rest) in page
                .match_indices(start)
                .map(|(at, _)| page.split_at(at + start.len()))
            {
                assert!(
                    rest.starts_with("data:image/"),
                    "{start}{}",
                    rest.chars().take(60).collect::<String>()
                );
            }
        }
        assert!(
            page.contains("default-src 'none'"),
            "no content security policy"
        );
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn all_text_is_escaped() {
        for page in pages().1 {
            assert!(
                !page.contains("<script>alert") && !page.contains("\"猫\""),
                "text got through as markup"
            );
            assert!(page.contains("&lt;script&gt;alert") && page.contains('猫'));
        }
    }

    #[test]
    fn pages_stand_alone() {
        pages().1.iter().for_each(|page| assert_stands_alone(page));
    }

    #[test]
    fn every_picture_is_there_small_and_large_pictures_once_more() {
        let (_folder, [grid, report]) = pages();
        let count = |page: &str| page.matches("src=\"data:image/").count();
        assert_eq!(count(&grid), 4);
        // The grid, three charts, and a film strip for each of two prompts.
        assert_eq!(count(&report), 4 + 3 + 2);
        assert_eq!(report.matches("<figcaption>step 50").count(), 2);
        for told in ["−50 %", "321", "inf", &"f".repeat(64)] {
            assert!(report.contains(told), "no {told}");
        }
        // The small picture is whole in its cells; the large one, in two cells, is enlarged from one place.
        let large = grid.matches(">data:image/jpeg;base64,").count();
        assert_eq!((large, grid.matches(" id=\"grid-0-1\"").count()), (1, 1));
        assert!(grid.contains("id=\"grid-0-1-text\">large"));
        assert!(!grid.contains("grid-0-2"), "a picture that is not there");
    }

    #[test]
    fn empty_parts_are_left_out() {
        let page = report_written(&Report {
            title: "run".into(),
            ..Report::default()
        });
        assert!(
            page.contains("<h1>run</h1>")
                && !page.contains("<section")
                && !page.contains("<img class")
        );
        assert!(grids_written(&[]).contains("<h1>Comparison</h1>"));
    }

    #[test]
    fn neighbours_in_the_grid_are_neighbours_in_the_zoom() {
        let (_folder, [page, _]) = pages();
        // The first prompt's rows come first, then the second's: the arrow keys stay with one prompt.
        for place in [
            "data-x=\"0\" data-y=\"0\"",
            "data-x=\"1\" data-y=\"0\"",
            "data-x=\"0\" data-y=\"1\"",
            "data-x=\"0\" data-y=\"2\"",
        ] {
            assert_eq!(page.matches(place).count(), 1, "{place}");
        }
    }

    #[test]
    fn several_sheets_do_not_share_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = grids_written(&[grid(folder.path()), grid(folder.path())]);
        for name in [" id=\"grid-0-1\"", " id=\"grid-1-1\""] {
            assert_eq!(page.matches(name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_broken_picture_ends_the_page_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = grid(folder.path());
        std::fs::write(&grid.pictures[1].path, "broken").expect("written");
        let error = grid_page(&[grid], std::io::sink()).expect_err("broken");
        let told = format!("{error:?}");
        assert!(told.contains("large.png"), "{told}");
    }

    /// A picture of 80 × 40 of which the middle was cut out.
    pub(in crate::picture) fn prepared(name: &str) -> PreparedPicture {
        let value = serde_json::json!({
            "survey": {"size": [80, 40], "sharpness": 9, "hash": "0".repeat(64)},
            "cut": {
                "frame": {"left": 20, "top": 0, "width": 40, "height": 40},
                "method": "centre", "size": [40, 40], "file": format!("{name}.png"),
            },
        });
        let part = |key: &str| value[key].clone();
        PreparedPicture {
            picture: name.to_owned(),
            state: PreparedState::Written,
            survey: serde_json::from_value(part("survey")).expect("a survey"),
            small: true,
            blurred: true,
            cut: serde_json::from_value(part("cut")).expect("a cut"),
            removed: Vec::new(),
            left: Vec::new(),
            before: None,
            after: None,
        }
    }

    #[test]
    fn a_contact_sheet_shows_each_picture_its_frame_and_what_is_odd_about_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("small.jpg");
        std::fs::write(&path, "any bytes").expect("written");
        let mut made = prepared(HOSTILE);
        (made.before, made.after) = (Some(path.clone()), Some(path.clone()));
        let mut copy = prepared("copy");
        copy.state = PreparedState::Skipped {
            reason: SkipReason::Duplicate(HOSTILE.to_owned()),
        };
        (copy.cut, copy.before) = (None, Some(path));
        let mut failed = prepared("broken");
        failed.state = PreparedState::Failed {
            problem: format!("broken.png: {HOSTILE}"),
        };
        let copy_of_it = Duplicate {
            picture: "copy".to_owned(),
            bits: 3,
            same_bytes: false,
        };
        let report = PrepareReport {
            input: HOSTILE.into(),
            output: "out".into(),
            pictures: vec![made, copy, failed],
            duplicates: vec![DuplicateGroup {
                kept: HOSTILE.to_owned(),
                copies: vec![copy_of_it],
            }],
            gone: Vec::new(),
            pruned: Vec::new(),
            left: 0,
        };
        let page = written(|bytes| contact_page(&report, HOSTILE, bytes));
        assert_stands_alone(&page);
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
        // Twice in the group, then before and after, and before of the copy.
        assert_eq!(page.matches("src=\"data:image/").count(), 5);
        assert_eq!(
            page.matches("left: 25.0%; right: 25.0%; top: 0.0%; bottom: 0.0%")
                .count(),
            1
        );
        for told in [
            "3 bits of 256 differ",
            "left out: copy of",
            "blurred: sharpness 9",
            "80×40 → 40×40, centre",
        ] {
            assert!(page.contains(told), "{told}");
        }
        let names = page.matches("<strong>broken").count();
        assert_eq!((names, page.matches("broken.png: ").count()), (0, 1));
    }
}
