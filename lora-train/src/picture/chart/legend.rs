//! The heading of a loss curve: the title at the left and the legend at the right.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::pen::{HEADING, LABEL, MARGIN, anchored, bold, faint, line, px, rate, size};
use super::{Area, Drawn};
use crate::picture::palette::{BALANCED, HELD_OUT, INK, LOSS};
use crate::picture::series::Series;
use crate::picture::typeface::Typeface;

/// The length of the line before each name.
const SWATCH: u32 = 26;

/// How a series looks in the chart.
pub(super) enum Mark {
    Line,
    Dashes,
    Points,
}

/// Draws both on one line. Series without points are left out of the legend.
pub(super) fn draw(area: &Area, series: &Series) -> Drawn {
    let middle = px(MARGIN + HEADING / 2);
    let title = TextStyle {
        font: bold(HEADING),
        ..anchored(HEADING, INK, HPos::Left, VPos::Center)
    };
    area.draw(&Text::new("Training loss", (px(MARGIN), middle), title))?;

    let entries = [
        ("learning rate", &series.rate, rate(), Mark::Dashes),
        (
            "held-out",
            &series.held_out,
            line(HELD_OUT, 2),
            Mark::Points,
        ),
        ("balanced", &series.balanced, line(BALANCED, 3), Mark::Line),
        ("smoothed", &series.smoothed, line(LOSS, 4), Mark::Line),
        ("training", &series.raw, faint(LOSS), Mark::Line),
    ];
    let mut right = area.dim_in_pixel().0 as i32 - px(MARGIN);
    for (name, points, style, mark) in entries {
        if !points.is_empty() {
            right = entry(area, (right, middle), name, style, mark)? - px(26);
        }
    }
    Ok(())
}

/// Draws one entry that ends at `(right, middle)`, and returns where it begins.
pub(super) fn entry(
    area: &Area,
    (right, middle): (i32, i32),
    name: &str,
    style: ShapeStyle,
    mark: Mark,
) -> Drawn<i32> {
    let left = right - Typeface::regular(size(LABEL)).width(name) as i32;
    area.draw(&Text::new(
        name,
        (left, middle),
        anchored(LABEL, INK, HPos::Left, VPos::Center),
    ))?;
    let (start, end) = (left - px(SWATCH + 8), left - px(8));
    let piece = |from: i32, to: i32| PathElement::new([(from, middle), (to, middle)], style);
    match mark {
        Mark::Line => area.draw(&piece(start, end))?,
        Mark::Dashes => {
            area.draw(&piece(start, start + px(10)))?;
            area.draw(&piece(end - px(10), end))?;
        }
        Mark::Points => {
            area.draw(&piece(start, end))?;
            area.draw(&Circle::new(
                (i32::midpoint(start, end), middle),
                px(6),
                style.filled(),
            ))?;
        }
    }
    Ok(start)
}
