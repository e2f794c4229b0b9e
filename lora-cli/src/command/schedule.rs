use std::{io::Write, path::PathBuf};

use anyhow::bail;
use atomic_file::write_atomically;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use lora_train::{
    Plan,
    config::{Schedule as _, ScheduleConfig, ScheduleKind, TrainConfig, Warmup},
    picture::{RateChart, png},
};
use serde::Serialize;

use crate::{cli::End, plan_text, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora schedule run.toml --plot schedule.png
  lora schedule --kind cosine,rex,linear --warmup 0.05 --steps 1000 --plot compare.png
  lora schedule --kind cosine_with_restarts --cycles 3 --restart-decay 0.7 --min-factor 0.1
  lora schedule run.toml --json | jq '.schedules[0].rates[0]'

The rate of a step is the one that the step is made with. What is not given is taken from run.toml, or
else is the default of [schedule].";

/// So many rows of the table.
const ROWS: u64 = 10;

/// Show the learning rate of each step, as a table or a picture
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Schedule {
    /// A run's config, whose schedule and number of steps are taken
    #[arg(value_name = "RUN.toml")]
    path: Option<PathBuf>,
    /// Shapes to show, one or several
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind())]
    kind: Vec<ScheduleKind>,
    /// Steps of the run [default: the config's, or 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    steps: Option<u64>,
    /// The base rate [default: the config's train.unet_lr]
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    #[command(flatten)]
    shape: Shape,
    /// Draw the curves into a PNG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print the rate of every step as one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Settings of [schedule]")]
struct Shape {
    /// Steps of the warm-up, or with a point the fraction of the run
    #[arg(long, value_name = "N|FRACTION", value_parser = warmup)]
    warmup: Option<Warmup>,
    /// How many times cosine_with_restarts falls
    #[arg(long, value_name = "N")]
    cycles: Option<u32>,
    /// The part of its last peak that each fall of cosine_with_restarts begins at
    #[arg(long, value_name = "PART")]
    restart_decay: Option<f64>,
    /// Exponent of polynomial
    #[arg(long, value_name = "POWER")]
    power: Option<f64>,
    /// Fraction of the base rate at which polynomial ends
    #[arg(long, value_name = "FRACTION")]
    end_factor: Option<f64>,
    /// Fraction of the base rate at which the other falling kinds end
    #[arg(long, value_name = "FRACTION")]
    min_factor: Option<f64>,
    /// Steps at which inverse_sqrt has fallen to the root of a half
    #[arg(long, value_name = "N")]
    timescale: Option<u64>,
}

#[derive(Serialize)]
struct Document {
    steps: u64,
    base_rate: f64,
    schedules: Vec<Rates>,
}

#[derive(Serialize)]
struct Rates {
    #[serde(flatten)]
    settings: ScheduleConfig,
    rates: Vec<f64>,
}

impl Schedule {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let (config, steps) = self.base()?;
        let base_rate = self.rate.unwrap_or(config.train.unet_lr);
        if !base_rate.is_finite() || base_rate < 0.0 {
            bail!("--rate must be a number from 0 up, usually 1e-4");
        }
        let settings = self.shape.over(config.schedule);
        let kinds = match self.kind.as_slice() {
            [] => vec![settings.kind],
            kinds => kinds.to_vec(),
        };
        let mut schedules = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let settings = ScheduleConfig {
                kind,
                ..settings.clone()
            };
            schedules.push(rates(settings, steps, base_rate)?);
        }
        if let Some(path) = &self.plot {
            let chart = RateChart {
                curves: schedules.iter().map(curve).collect(),
            };
            let picture = png::encode(&chart.render()?, None)?;
            write_atomically(path, |file| file.write_all(&picture))?;
            printer.note(&format!("picture {}", path.display()));
        }
        if self.json {
            printer.document(&Document {
                steps,
                base_rate,
                schedules,
            });
        } else {
            printer.result(&table(&schedules).join("\n"));
        }
        Ok(End::Done)
    }

    /// The config and the steps of its run.
    fn base(&self) -> anyhow::Result<(TrainConfig, u64)> {
        let Some(path) = &self.path else {
            return Ok((TrainConfig::default(), self.steps.unwrap_or(1000)));
        };
        let config = TrainConfig::read(path, &[])?;
        let steps = match self.steps {
            Some(steps) => steps,
            None => Plan::open(&config)?.steps,
        };
        Ok((config, steps))
    }
}

impl Shape {
    fn over(&self, settings: ScheduleConfig) -> ScheduleConfig {
        ScheduleConfig {
            kind: settings.kind,
            warmup: self.warmup.unwrap_or(settings.warmup),
            cycles: self.cycles.unwrap_or(settings.cycles),
            restart_decay: self.restart_decay.unwrap_or(settings.restart_decay),
            power: self.power.unwrap_or(settings.power),
            end_factor: self.end_factor.unwrap_or(settings.end_factor),
            min_factor: self.min_factor.unwrap_or(settings.min_factor),
            timescale: self.timescale.or(settings.timescale),
        }
    }
}

fn rates(settings: ScheduleConfig, steps: u64, base_rate: f64) -> anyhow::Result<Rates> {
    let curve = match settings.build(steps) {
        Ok(curve) => curve,
        Err(problems) => {
            let problems: Vec<String> = problems
                .iter()
                .map(|problem| format!("schedule: {problem}"))
                .collect();
            bail!(problems.join("\n"));
        }
    };
    Ok(Rates {
        settings,
        rates: (0..steps).map(|step| base_rate * curve.at(step)).collect(),
    })
}

fn curve(rates: &Rates) -> (String, Vec<(u64, f64)>) {
    let points = (1..).zip(rates.rates.iter().copied());
    (rates.settings.kind.name().to_owned(), points.collect())
}

/// Some steps, from the first to the last.
fn table(schedules: &[Rates]) -> Vec<String> {
    let steps = schedules
        .first()
        .map_or(0, |first| first.rates.len() as u64);
    let rows = ROWS.min(steps.saturating_sub(1)).max(1);
    let mut shown: Vec<u64> = (0..=rows)
        .map(|row| row * steps.saturating_sub(1) / rows)
        .collect();
    shown.dedup();
    let title = ["step".to_owned()].into_iter();
    let names = schedules
        .iter()
        .map(|rates| rates.settings.kind.name().to_owned());
    let mut lines = vec![title.chain(names).collect::<Vec<_>>()];
    lines.extend(shown.into_iter().map(|step| {
        let rates = schedules
            .iter()
            .filter_map(|one| one.rates.get(step as usize));
        let rates = rates.map(|rate| format!("{rate:.3e}"));
        [(step + 1).to_string()].into_iter().chain(rates).collect()
    }));
    plan_text::table(lines)
}

fn kind() -> impl TypedValueParser<Value = ScheduleKind> {
    let named = |name: String| {
        ScheduleKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
    };
    PossibleValuesParser::new(ScheduleKind::ALL.map(ScheduleKind::name))
        .try_map(move |name| named(name).ok_or("no such kind"))
}

/// As in a config: a whole number is steps, one with a point a fraction.
fn warmup(text: &str) -> anyhow::Result<Warmup> {
    match (text.parse(), text.parse()) {
        (Ok(steps), _) => Ok(Warmup::Steps(steps)),
        (_, Ok(fraction)) => Ok(Warmup::Fraction(fraction)),
        _ => bail!("write a number of steps such as 100, or a fraction of the run such as 0.05"),
    }
}
