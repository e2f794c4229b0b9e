//! Draws the series of a loss curve: heading and legend above, loss over steps below, learning rate on the right.

mod choosing;
mod legend;
mod pen;
mod rates;
mod timesteps;

use plotters::chart::DualCoordChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::label::elide_middle;
use super::palette::{BALANCED, HELD_OUT, INK, LOSS, MUTED, PAPER, RATE, RULE};
use super::series::Series;
use super::surface::Surface;
use super::typeface::Typeface;
pub(super) use choosing::draw_choosing;
pub(super) use pen::OVERSAMPLING;
use pen::{HEADING, LABEL, MARGIN, MARKER, anchored, bold, faint, line, px, rate, rgb, size, text};
pub(super) use rates::draw_rates;
pub(super) use timesteps::draw_timesteps;

/// The names of saved files are cut to this width.
const MARKER_WIDTH: u32 = 180;

type Area<'a> = DrawingArea<Surface<'a>, Shift>;
type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;
type Chart<'a, 'b> = DualCoordChartContext<'a, Surface<'b>, Plane, Plane>;
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::convert::Infallible>>;

/// Draws the whole picture.
pub(super) fn draw(area: &Area, series: &Series) -> Drawn {
    legend::draw(area, series)?;
    let body = area.margin(
        px(MARGIN + HEADING + 16),
        px(MARGIN / 2),
        px(MARGIN / 2),
        px(MARGIN),
    );
    let right = if series.rate.is_empty() { 0 } else { 90 };
    let mut chart = ChartBuilder::on(&body)
        .margin_top(px(MARKER * 2))
        .x_label_area_size(px(62))
        .y_label_area_size(px(78))
        .right_y_label_area_size(px(right))
        .build_cartesian_2d(series.steps(), series.losses())?
        .set_secondary_coord(series.steps(), series.rates());
    axes(&mut chart, series)?;
    saved_files(area, &mut chart, series)?;
    curves(&mut chart, series)?;
    best(area, &chart, series)
}

fn axes(chart: &mut Chart, series: &Series) -> Drawn {
    let decimals = decimals(series.losses().end - series.losses().start);
    let steps = series.steps().end - series.steps().start;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line(RULE, 1))
        .axis_style(line(MUTED, 1))
        .label_style(text(LABEL, MUTED))
        .axis_desc_style(text(LABEL, INK))
        .x_desc("step")
        .y_desc("loss")
        .x_labels((steps as usize).clamp(1, 12))
        .y_labels(8)
        .x_label_formatter(&|step| {
            if step.fract() == 0.0 {
                format!("{step:.0}")
            } else {
                String::new()
            }
        })
        .y_label_formatter(&|loss| format!("{loss:.decimals$}"))
        .draw()?;
    if series.rate.is_empty() {
        return Ok(());
    }
    chart
        .configure_secondary_axes()
        .axis_style(line(MUTED, 1))
        .label_style(text(LABEL, RATE))
        .axis_desc_style(text(LABEL, RATE))
        .y_desc("learning rate")
        .y_labels(6)
        .y_label_formatter(&|rate| scientific(*rate))
        .draw()
}

fn curves(chart: &mut Chart, series: &Series) -> Drawn {
    let losses = series.losses();
    let within = |&(step, loss): &(f64, f64)| (step, loss.clamp(losses.start, losses.end));
    chart.draw_secondary_series(DashedLineSeries::new(
        series.rate.iter().copied(),
        px(9),
        px(6),
        rate(),
    ))?;
    chart.draw_series(LineSeries::new(series.raw.iter().map(within), faint(LOSS)))?;
    chart.draw_series(LineSeries::new(
        series.smoothed.iter().copied(),
        line(LOSS, 4),
    ))?;
    chart.draw_series(LineSeries::new(
        series.balanced.iter().copied(),
        line(BALANCED, 3),
    ))?;
    chart.draw_series(LineSeries::new(
        series.held_out.iter().copied(),
        line(HELD_OUT, 2),
    ))?;
    for (colour, radius) in [(PAPER, 8), (HELD_OUT, 6)] {
        chart.draw_series(
            series
                .held_out
                .iter()
                .map(|&point| Circle::new(point, px(radius), rgb(colour).filled())),
        )?;
    }
    Ok(())
}

/// A dashed line at each saved file, with its name above where there is room, the last first.
fn saved_files(area: &Area, chart: &mut Chart, series: &Series) -> Drawn {
    let losses = series.losses();
    let face = Typeface::regular(size(MARKER));
    let end = (area.dim_in_pixel().0 as i32 - px(MARGIN)) as f32;
    let mut free = end;
    let hairline = rgb(MUTED).mix(0.6).stroke_width(OVERSAMPLING);
    for &(step, name) in series.saved.iter().rev() {
        let ends = [(step, losses.start), (step, losses.end)];
        chart.draw_series(DashedLineSeries::new(ends, px(3), px(4), hairline))?;
        let (x, y) = chart.backend_coord(&(step, losses.end));
        let name = elide_middle(face, name, px(MARKER_WIDTH) as f32);
        let width = face.width(&name);
        let left = (x as f32 - width / 2.0).min(end - width);
        if left + width <= free && left >= 0.0 {
            let position = (left as i32, y - px(MARKER / 2));
            area.draw(&Text::new(
                name,
                position,
                anchored(MARKER, MUTED, HPos::Left, VPos::Bottom),
            ))?;
            free = left - px(14) as f32;
        }
    }
    Ok(())
}

/// The value of the lowest held-out loss, on a plate above its point, or below it near the top.
fn best(area: &Area, chart: &Chart, series: &Series) -> Drawn {
    let Some((step, loss)) = series.best() else {
        return Ok(());
    };
    let (steps, losses) = (series.steps(), series.losses());
    let (left, top) = chart.backend_coord(&(steps.start, losses.end));
    let (right, _) = chart.backend_coord(&(steps.end, losses.end));
    let (x, y) = chart.backend_coord(&(step, loss));

    let label = format!("{loss:.4}");
    let (half, height) = (
        Typeface::bold(size(LABEL)).width(&label) as i32 / 2 + px(5),
        px(LABEL + 4),
    );
    let x = x.min(right - half - px(2)).max(left + half + px(2));
    let y = if y - height - px(14) > top {
        y - px(14) - height / 2
    } else {
        y + px(14) + height / 2
    };
    let corners = [(x - half, y - height / 2), (x + half, y + height / 2)];
    area.draw(&Rectangle::new(corners, rgb(PAPER).mix(0.85).filled()))?;
    let style = TextStyle {
        font: bold(LABEL),
        ..anchored(LABEL, HELD_OUT, HPos::Center, VPos::Center)
    };
    area.draw(&Text::new(label, (x, y), style))
}

/// How many decimals tell the labels of an axis of this length apart.
fn decimals(length: f64) -> usize {
    (1.0 - length.log10()).ceil().clamp(1.0, 6.0) as usize
}

/// `0`, `1e-4`, `2.5e-5`: as rates are written in settings.
fn scientific(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else {
        format!("{:e}", (value * 1e9).round() / 1e9)
    }
}
