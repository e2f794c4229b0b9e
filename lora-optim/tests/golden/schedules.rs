//! The rate of each step, against diffusers' table.

use std::fs;

use lora_optim::{Schedule, ScheduleConfig, ScheduleKind, Warmup};

use super::golden;

const BASE: f64 = 1e-4;
const TOTAL: u64 = 1000;

/// Both sides compute in f64 with formulas of the same few operations; the table holds every digit.
const TOLERANCE: f64 = 1e-12 * BASE;

#[test]
fn every_rate_equals_diffusers() {
    let table = fs::read_to_string(golden("schedules/lr.csv")).unwrap();
    let mut lines = table.lines().map(|line| line.split(','));
    let columns: Vec<_> = lines
        .next()
        .unwrap()
        .skip(1)
        .map(|name| (name, schedule(name)))
        .collect();
    assert_eq!(columns.len(), 16);
    let mut rows = 0;
    for mut row in lines {
        let step = row.next().unwrap().parse().unwrap();
        for ((name, schedule), cell) in columns.iter().zip(row) {
            let (ours, theirs) = (BASE * schedule.at(step), cell.parse::<f64>().unwrap());
            assert!(
                (ours - theirs).abs() <= TOLERANCE,
                "{name} at step {step}: {ours:e}, expected {theirs:e}"
            );
        }
        rows += 1;
    }
    assert_eq!(rows, 202);
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
