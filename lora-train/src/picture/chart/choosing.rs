//! The chart that a file is chosen by: losses above, likeness to the training pictures below.

use std::ops::Range;

use image::Rgb;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Mark};
use super::pen::{HEADING, LABEL, MARGIN, anchored, bold, faint, line, px, rgb, size, text};
use super::{Area, Drawn, decimals};
use crate::picture::choosing_chart::ChoosingChart;
use crate::picture::curve::LossCurve;
use crate::picture::label::elide_middle;
use crate::picture::palette::{CURVES, HELD_OUT, INK, LOSS, MUTED, RULE};
use crate::picture::series::Series;
use crate::picture::typeface::Typeface;

const SIMILARITY: Rgb<u8> = CURVES[2];
const COPY_DISTANCE: Rgb<u8> = CURVES[3];

/// The name of the file that ranks first is cut to this width.
const NAME_WIDTH: u32 = 300;

type Panel<'a, 'b> = ChartContext<
    'a,
    crate::picture::surface::Surface<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type Points = Vec<(f64, f64)>;

/// Draws the whole picture.
pub(in crate::picture) fn draw_choosing(area: &Area, chart: &ChoosingChart) -> Drawn {
    let compared = |value: fn(&crate::Comparison) -> f64| -> Points {
        let values = chart.compared.iter();
        let values = values.map(|(step, compared)| (*step as f64, value(compared)));
        values.filter(|(_, value)| value.is_finite()).collect()
    };
    let curve = LossCurve {
        points: chart.points.clone(),
        heldout: chart.heldout.clone(),
        // The axis reaches to every file.
        saved: chart
            .compared
            .iter()
            .map(|(step, _)| *step)
            .chain(chart.best.iter().map(|(step, _)| *step))
            .map(|step| (step, String::new()))
            .collect(),
        ..LossCurve::default()
    };
    let series = Series::new(&curve);
    let (above, below) = if chart.compared.is_empty() {
        (area.clone(), None)
    } else {
        let (above, below) = area.split_vertically(px(500));
        (above, Some(below))
    };
    losses(&above, &series, chart)?;
    if let Some(below) = below {
        let similarity = compared(|compared| compared.similarity);
        let distance = compared(|compared| compared.copy_distance);
        let threshold = chart.compared.last();
        let threshold = threshold.and_then(|(_, compared)| compared.copy_threshold);
        likeness(
            &below,
            series.steps(),
            (similarity, distance, threshold),
            chart,
        )?;
    }
    Ok(())
}

fn losses(area: &Area, series: &Series, chart: &ChoosingChart) -> Drawn {
    let entries = [
        (
            "held-out",
            &series.held_out,
            line(HELD_OUT, 2),
            Mark::Points,
        ),
        ("smoothed", &series.smoothed, line(LOSS, 4), Mark::Line),
        ("training", &series.raw, faint(LOSS), Mark::Line),
    ];
    let entries = entries.into_iter().filter(|entry| !entry.1.is_empty());
    heading(
        area,
        "Losses",
        entries.map(|(name, _, style, mark)| (name, style, mark)),
    )?;
    let range = series.losses();
    let decimals = decimals(range.end - range.start);
    let label = |loss: &f64| format!("{loss:.decimals$}");
    let mut panel = panel(area, series.steps(), range.clone(), "loss", &label)?;
    let within = |&(step, loss): &(f64, f64)| (step, loss.clamp(range.start, range.end));
    panel.draw_series(LineSeries::new(series.raw.iter().map(within), faint(LOSS)))?;
    panel.draw_series(LineSeries::new(
        series.smoothed.iter().copied(),
        line(LOSS, 4),
    ))?;
    dotted(&mut panel, &series.held_out, HELD_OUT)?;
    mark_best(area, &mut panel, range, chart, true)
}

fn likeness(
    area: &Area,
    steps: Range<f64>,
    (similarity, distance, threshold): (Points, Points, Option<f64>),
    chart: &ChoosingChart,
) -> Drawn {
    let dashes = threshold.map(|_| ("copies below", line(COPY_DISTANCE, 2), Mark::Dashes));
    let entries = [
        ("similarity", line(SIMILARITY, 2), Mark::Points),
        ("copy distance", line(COPY_DISTANCE, 2), Mark::Points),
    ];
    heading(
        area,
        "Drawn beside training pictures",
        dashes.into_iter().chain(entries),
    )?;
    let values = || similarity.iter().chain(&distance).map(|point| point.1);
    let range = values().fold(0.0, f64::min)..values().fold(1.0, f64::max);
    let mut panel = panel(area, steps.clone(), range.clone(), "0 to 1", &|value| {
        format!("{value:.1}")
    })?;
    if let Some(threshold) = threshold {
        let ends = [(steps.start, threshold), (steps.end, threshold)];
        let style = rgb(COPY_DISTANCE).mix(0.7).stroke_width(px(1) as u32);
        panel.draw_series(DashedLineSeries::new(ends, px(7), px(6), style))?;
    }
    dotted(&mut panel, &similarity, SIMILARITY)?;
    dotted(&mut panel, &distance, COPY_DISTANCE)?;
    mark_best(area, &mut panel, range, chart, false)
}

/// The title at the left, the legend at the right.
fn heading<'a>(
    area: &Area,
    title: &str,
    entries: impl Iterator<Item = (&'a str, ShapeStyle, Mark)>,
) -> Drawn {
    let middle = px(MARGIN + HEADING / 2);
    let style = TextStyle {
        font: bold(HEADING),
        ..anchored(HEADING, INK, HPos::Left, VPos::Center)
    };
    area.draw(&Text::new(title.to_owned(), (px(MARGIN), middle), style))?;
    let mut right = area.dim_in_pixel().0 as i32 - px(MARGIN);
    for (name, style, mark) in entries {
        right = legend::entry(area, (right, middle), name, style, mark)? - px(26);
    }
    Ok(())
}

/// The axes of a panel.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    steps: Range<f64>,
    values: Range<f64>,
    name: &str,
    label: &dyn Fn(&f64) -> String,
) -> Drawn<Panel<'a, 'b>> {
    let body = area.margin(
        px(MARGIN + HEADING + 34),
        px(MARGIN / 2),
        px(MARGIN / 2),
        px(MARGIN),
    );
    let length = steps.end - steps.start;
    let mut panel = ChartBuilder::on(&body)
        .x_label_area_size(px(62))
        .y_label_area_size(px(78))
        .build_cartesian_2d(steps, values)?;
    panel
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line(RULE, 1))
        .axis_style(line(MUTED, 1))
        .label_style(text(LABEL, MUTED))
        .axis_desc_style(text(LABEL, INK))
        .x_desc("step")
        .y_desc(name)
        .x_labels((length as usize).clamp(1, 12))
        .y_labels(6)
        .x_label_formatter(&|step| {
            if step.fract() == 0.0 {
                format!("{step:.0}")
            } else {
                String::new()
            }
        })
        .y_label_formatter(&|value| label(value))
        .draw()?;
    Ok(panel)
}

fn dotted(panel: &mut Panel, points: &[(f64, f64)], colour: Rgb<u8>) -> Drawn {
    panel.draw_series(LineSeries::new(points.iter().copied(), line(colour, 2)))?;
    let dots = points.iter();
    panel.draw_series(dots.map(|&point| Circle::new(point, px(5), rgb(colour).filled())))?;
    Ok(())
}

/// A line at the file that ranks first, with its name above if it is `named`.
fn mark_best(
    area: &Area,
    panel: &mut Panel,
    values: Range<f64>,
    chart: &ChoosingChart,
    named: bool,
) -> Drawn {
    let Some((step, name)) = &chart.best else {
        return Ok(());
    };
    let step = *step as f64;
    let ends = [(step, values.start), (step, values.end)];
    panel.draw_series(LineSeries::new(ends, line(INK, 2)))?;
    if named {
        let face = Typeface::bold(size(LABEL));
        let name = elide_middle(face, name, px(NAME_WIDTH) as f32);
        let (x, y) = panel.backend_coord(&(step, values.end));
        let half = face.width(&name) as i32 / 2;
        let end = area.dim_in_pixel().0 as i32 - px(MARGIN);
        let x = x.min(end - half).max(px(MARGIN) + half);
        let style = TextStyle {
            font: bold(LABEL),
            ..anchored(LABEL, INK, HPos::Center, VPos::Bottom)
        };
        area.draw(&Text::new(name, (x, y - px(4)), style))?;
    }
    Ok(())
}
