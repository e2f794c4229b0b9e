//! The rate of each step, against the tables of diffusers, PyTorch and transformers.

use std::{fs, path::Path};

use lora_optim::{Schedule, ScheduleConfig, ScheduleKind, Warmup};

use super::golden;

const BASE: f64 = 1e-4;
const TOTAL: u64 = 1000;

/// Both sides compute in f64 with formulas of the same few operations; the table holds every digit.
const TOLERANCE: f64 = 1e-12 * BASE;

#[test]
fn every_rate_equals_diffusers() {
    assert_eq!(compare(&golden("schedules/lr.csv"), schedule), [202, 16]);
}

#[test]
fn one_cycle_equals_pytorchs_and_inverse_sqrt_transformers() {
    let table = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/optim/schedules.csv"
    );
    assert_eq!(compare(Path::new(table), cycle_or_root), [75, 7]);
}

/// Compares each cell of a table, whose columns `schedule` makes of their names; gives the numbers of rows and columns.
fn compare<S: Schedule>(table: &Path, schedule: impl Fn(&str) -> S) -> [usize; 2] {
    let table = fs::read_to_string(table).expect("a table");
    let mut lines = table.lines().map(|line| line.split(','));
    let title = lines.next().expect("a title");
    let columns: Vec<_> = title.skip(1).map(|name| (name, schedule(name))).collect();
    let mut rows = 0;
    for mut row in lines {
        let step = row.next().and_then(|step| step.parse().ok());
        let step = step.expect("a step");
        for ((name, schedule), cell) in columns.iter().zip(row) {
            let theirs: f64 = cell.parse().expect("a rate");
            let ours = BASE * schedule.at(step);
            assert!(
                (ours - theirs).abs() <= TOLERANCE,
                "{name} at step {step}: {ours:e}, expected {theirs:e}"
            );
        }
        rows += 1;
    }
    [rows, columns.len()]
}

/// What a column such as `one_cycle/300` or `inverse_sqrt/100/250` was made with.
fn cycle_or_root(column: &str) -> impl Schedule + use<> {
    let mut parts = column.split('/');
    let kind = match parts.next() {
        Some("one_cycle") => ScheduleKind::OneCycle,
        Some("inverse_sqrt") => ScheduleKind::InverseSqrt,
        other => panic!("an unknown column {other:?}"),
    };
    let mut number = || parts.next().and_then(|number| number.parse().ok());
    ScheduleConfig {
        kind,
        warmup: Warmup::Steps(number().expect("a warm-up")),
        timescale: number(),
        ..ScheduleConfig::default()
    }
    .build(TOTAL)
    .expect("settings in range")
}

/// What a column such as `polynomial_2/w100` was made with.
fn schedule(column: &str) -> impl Schedule + use<> {
    let (name, warmup) = column.split_once("/w").unwrap();
    let (kind, cycles, power) = match name {
        "constant" => (ScheduleKind::Constant, 1, 1.0),
        "constant_with_warmup" => (ScheduleKind::ConstantWithWarmup, 1, 1.0),
        "linear" => (ScheduleKind::Linear, 1, 1.0),
        "cosine" => (ScheduleKind::Cosine, 1, 1.0),
        "cosine_with_restarts_1" => (ScheduleKind::CosineWithRestarts, 1, 1.0),
        "cosine_with_restarts_3" => (ScheduleKind::CosineWithRestarts, 3, 1.0),
        "polynomial_1" => (ScheduleKind::Polynomial, 1, 1.0),
        "polynomial_2" => (ScheduleKind::Polynomial, 1, 2.0),
        other => panic!("an unknown column `{other}`"),
    };
    let warmup = Warmup::Steps(warmup.parse().unwrap());
    ScheduleConfig {
        kind,
        warmup,
        cycles,
        power,
        ..ScheduleConfig::default()
    }
    .build(TOTAL)
    .unwrap()
}

#[test]
fn a_closure_is_a_schedule() {
    let inverse: Box<dyn Schedule> = Box::new(|step: u64| 1.0 / (1 + step) as f64);
    assert!((inverse.at(3) - 0.25).abs() < f64::EPSILON);
}
