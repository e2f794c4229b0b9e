//! HTML pages that stand alone: one file with its pictures, style and script inside, which loads nothing from anywhere.
//!
//! The templates in `page/` are filled by minijinja, which escapes all text. Clicking a picture enlarges it; the arrow
//! keys then go to its neighbours, so that two files or two strengths can be compared in the same place.

mod view;

use minijinja::{Environment, context};

use super::curve::{CurveError, LossCurve};
use super::film_strip::FilmStrip;
use super::grid::Grid;
use super::png::PngError;
use view::{FilmStripView, GridView};

/// Why no page could be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A small picture or a drawing could not be embedded.
    #[error(transparent)]
    Png(#[from] PngError),
    /// A large picture could not be embedded.
    #[error("a picture could not be encoded as JPEG")]
    Jpeg(#[from] image::ImageError),
    /// The loss curve could not be drawn.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A template could not be filled.
    #[error("the page's template could not be filled")]
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
    /// The previews made while training.
    pub previews: FilmStrip,
    /// The comparison of the saved files.
    pub grid: Option<Grid>,
    /// The resolved settings, as text.
    pub settings: String,
}

/// The page of a comparison grid.
///
/// # Errors
/// [`PageError`] when a picture cannot be embedded.
pub fn grid_page(grid: &Grid) -> Result<String, PageError> {
    let title = if grid.title.is_empty() {
        "Comparison"
    } else {
        &grid.title
    };
    fill(
        "grid.html",
        context! { title, grid => GridView::new(grid)? },
    )
}

/// The page about a run.
///
/// # Errors
/// [`PageError`] when a picture cannot be embedded or the loss curve not be drawn.
pub fn report_page(report: &Report) -> Result<String, PageError> {
    let curve = report.curve.as_ref().map(view::curve).transpose()?;
    let grid = report.grid.as_ref().map(GridView::new).transpose()?;
    fill(
        "report.html",
        context! {
            title => &report.title,
            lead => &report.lead,
            numbers => &report.numbers,
            previews => FilmStripView::new(&report.previews)?,
            settings => &report.settings,
            curve,
            grid,
        },
    )
}

fn fill(name: &str, values: minijinja::Value) -> Result<String, PageError> {
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("page/page.html"))?;
    templates.add_template("grid.html", include_str!("page/grid.html"))?;
    templates.add_template("grid_table.html", include_str!("page/grid_table.html"))?;
    templates.add_template("report.html", include_str!("page/report.html"))?;
    templates.add_global("style", include_str!("page/style.css"));
    templates.add_global("script", include_str!("page/zoom.js"));
    Ok(templates.get_template(name)?.render(values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::film_strip::Frame;
    use image::RgbImage;

    const HOSTILE: &str = "<script>alert('1')</script> & \"猫\" https://example.org/x.png";

    fn picture() -> RgbImage {
        RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 4) as u8, 90])
        })
    }

    fn grid() -> Grid {
        Grid {
            title: HOSTILE.into(),
            subtitle: HOSTILE.into(),
            columns: vec![HOSTILE.into(), "two".into()],
            rows: vec!["0".into(), HOSTILE.into()],
            cells: vec![
                vec![vec![picture(), picture()], vec![picture()]],
                vec![vec![picture()], vec![]],
            ],
        }
    }

    fn report() -> Report {
        Report {
            title: HOSTILE.into(),
            lead: HOSTILE.into(),
            numbers: vec![(HOSTILE.into(), HOSTILE.into())],
            curve: Some(LossCurve {
                points: vec![(1, 0.2), (2, 0.1)],
                ..LossCurve::default()
            }),
            previews: FilmStrip {
                frames: vec![Frame {
                    step: 50,
                    pictures: vec![picture()],
                }],
            },
            grid: Some(grid()),
            settings: HOSTILE.into(),
        }
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
        for page in [
            grid_page(&grid()).expect("a page"),
            report_page(&report()).expect("a page"),
        ] {
            assert!(
                !page.contains("<script>alert") && !page.contains("\"猫\""),
                "text got through as markup"
            );
            assert!(page.contains("&lt;script&gt;alert") && page.contains('猫'));
        }
    }

    #[test]
    fn pages_stand_alone() {
        assert_stands_alone(&grid_page(&grid()).expect("a page"));
        assert_stands_alone(&report_page(&report()).expect("a page"));
    }

    #[test]
    fn every_picture_is_there() {
        let count = |page: &str| page.matches("src=\"data:image/").count();
        assert_eq!(count(&grid_page(&grid()).expect("a page")), 4);
        let page = report_page(&report()).expect("a page");
        assert_eq!(count(&page), 6);
        assert!(page.contains("step 50"));
    }

    #[test]
    fn empty_parts_are_left_out() {
        let page = report_page(&Report {
            title: "run".into(),
            ..Report::default()
        })
        .expect("a page");
        assert!(
            page.contains("<h1>run</h1>")
                && !page.contains("<section")
                && !page.contains("<img class")
        );
        assert!(
            grid_page(&Grid::default())
                .expect("a page")
                .contains("<h1>Comparison</h1>")
        );
    }

    #[test]
    fn neighbours_in_the_grid_are_neighbours_in_the_zoom() {
        let page = grid_page(&grid()).expect("a page");
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
}
