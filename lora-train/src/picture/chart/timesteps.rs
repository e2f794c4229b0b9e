//! A chart of the losses of stretches of timesteps: heading and legend above, loss over steps below.

use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::legend::{self, Mark};
use super::pen::{HEADING, LABEL, MARGIN, anchored, bold, line, px, text};
use super::{Area, Drawn, scientific};
use crate::picture::palette::{INK, MUTED, RULE, TIMESTEPS};

/// Draws the whole picture: one curve for each stretch, by the first of its timesteps in a schedule of 1,000. Losses lie
/// above 0.
pub(in crate::picture) fn draw_timesteps(area: &Area, curves: &[Vec<(f64, f64)>]) -> Drawn {
    heading(area, curves)?;
    let points = || curves.iter().flatten();
    let steps = points().map(|point| point.0);
    let losses = points().map(|point| point.1);
    let (first, last) = (
        steps.clone().reduce(f64::min).unwrap_or(0.0),
        steps.reduce(f64::max).unwrap_or(1.0),
    );
    let (low, high) = (
        losses.clone().reduce(f64::min).unwrap_or(0.1),
        losses.reduce(f64::max).unwrap_or(1.0),
    );
    let losses = low * 0.9..high * 1.1;
    let body = area.margin(
        px(MARGIN + HEADING + 16),
        px(MARGIN / 2),
        px(MARGIN / 2),
        px(MARGIN),
    );
    let mut chart = ChartBuilder::on(&body)
        .x_label_area_size(px(62))
        .y_label_area_size(px(98))
        .build_cartesian_2d(
            first..last.max(first + 1.0),
            losses.clone().log_scale().with_key_points(round(&losses)),
        )?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line(RULE, 1))
        .axis_style(line(MUTED, 1))
        .label_style(text(LABEL, MUTED))
        .axis_desc_style(text(LABEL, INK))
        .x_desc("step")
        .y_desc("loss, logarithmic")
        .x_labels(((last - first) as usize).clamp(1, 12))
        .y_labels(8)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|loss| rounded(*loss))
        .draw()?;
    for (points, colour) in curves.iter().zip(TIMESTEPS) {
        chart.draw_series(LineSeries::new(points.iter().copied(), line(colour, 3)))?;
    }
    Ok(())
}

/// The legend names those that have points, from the least noise to the most.
fn heading(area: &Area, curves: &[Vec<(f64, f64)>]) -> Drawn {
    let middle = px(MARGIN + HEADING / 2);
    let title = TextStyle {
        font: bold(HEADING),
        ..anchored(HEADING, INK, HPos::Left, VPos::Center)
    };
    area.draw(&Text::new("Loss by timestep", (px(MARGIN), middle), title))?;
    let mut right = area.dim_in_pixel().0 as i32 - px(MARGIN);
    let named = curves.iter().zip(TIMESTEPS).enumerate();
    let seen = named.filter(|(_, (points, _))| !points.is_empty());
    for (bin, (_, colour)) in seen.collect::<Vec<_>>().into_iter().rev() {
        let from = format!("{}", bin * 100);
        right = legend::entry(area, (right, middle), &from, line(colour, 3), Mark::Line)? - px(18);
    }
    Ok(())
}

/// 1, 2 and 5 times the powers of ten in a range above 0; of very many, the powers alone.
fn round(range: &std::ops::Range<f64>) -> Vec<f64> {
    let (first, last) = (range.start.log10().floor(), range.end.log10().ceil());
    let factors: &[f64] = if last - first > 4.0 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let powers = first as i32..=last as i32;
    let points = powers.flat_map(|power| factors.iter().map(move |by| by * 10f64.powi(power)));
    points.filter(|point| range.contains(point)).collect()
}

/// Short, whatever the size.
fn rounded(loss: f64) -> String {
    if (0.001..1000.0).contains(&loss) {
        let digits = (2.0 - loss.log10().floor()).clamp(0.0, 5.0) as usize;
        let text = format!("{loss:.digits$}");
        if digits == 0 {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        scientific(loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_labelled_at_round_losses_within_it() {
        let told = |range| -> Vec<String> { round(&range).into_iter().map(rounded).collect() };
        assert_eq!(
            told(0.004..0.3),
            ["0.005", "0.01", "0.02", "0.05", "0.1", "0.2"]
        );
        assert_eq!(told(1e-7..0.9).len(), 7);
    }

    #[test]
    fn losses_are_said_in_a_few_digits() {
        for (loss, text) in [
            (0.5, "0.5"),
            (0.0123, "0.0123"),
            (12.0, "12"),
            (100.0, "100"),
        ] {
            assert_eq!(rounded(loss), text);
        }
    }
}
