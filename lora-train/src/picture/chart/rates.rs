//! A chart of learning rates: heading and legend above, rate over steps below.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Mark};
use super::pen::{HEADING, LABEL, MARGIN, anchored, bold, line, px, text};
use super::{Area, Drawn, scientific};
use crate::picture::palette::{CURVES, INK, MUTED, RULE};

/// Draws the whole picture.
pub(in crate::picture) fn draw_rates(area: &Area, curves: &[(String, Vec<(u64, f64)>)]) -> Drawn {
    heading(area, curves)?;
    let points = || curves.iter().flat_map(|(_, points)| points);
    let last = points().map(|point| point.0).max().unwrap_or(0).max(1) as f64;
    let most = points()
        .map(|point| point.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let body = area.margin(
        px(MARGIN + HEADING + 16),
        px(MARGIN / 2),
        px(MARGIN / 2),
        px(MARGIN),
    );
    let mut chart = ChartBuilder::on(&body)
        .x_label_area_size(px(62))
        .y_label_area_size(px(98))
        .build_cartesian_2d(0.0..last, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line(RULE, 1))
        .axis_style(line(MUTED, 1))
        .label_style(text(LABEL, MUTED))
        .axis_desc_style(text(LABEL, INK))
        .x_desc("step")
        .y_desc("learning rate")
        .x_labels((last as usize).clamp(1, 12))
        .y_labels(6)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|rate| scientific(*rate))
        .draw()?;
    for ((_, points), colour) in curves.iter().zip(CURVES.into_iter().cycle()) {
        let points = points.iter().map(|&(step, rate)| (step as f64, rate));
        chart.draw_series(LineSeries::new(points, line(colour, 3)))?;
    }
    Ok(())
}

fn heading(area: &Area, curves: &[(String, Vec<(u64, f64)>)]) -> Drawn {
    let middle = px(MARGIN + HEADING / 2);
    let title = TextStyle {
        font: bold(HEADING),
        ..anchored(HEADING, INK, HPos::Left, VPos::Center)
    };
    area.draw(&Text::new("Learning rate", (px(MARGIN), middle), title))?;
    let mut right = area.dim_in_pixel().0 as i32 - px(MARGIN);
    let named: Vec<_> = curves.iter().zip(CURVES.into_iter().cycle()).collect();
    for ((name, _), colour) in named.into_iter().rev() {
        right = legend::entry(area, (right, middle), name, line(colour, 3), Mark::Line)? - px(26);
    }
    Ok(())
}
