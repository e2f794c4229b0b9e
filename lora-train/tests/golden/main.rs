//! Whole training runs and pictures against PyTorch: see `testdata/golden/README.md` for where the numbers come from.
#![cfg(test)]

mod averaged;
mod devices;
mod ema;
mod frozen;
mod objective;
mod optimizer_runs;
mod pictures;
mod precision;
mod prompt_loras;
mod reference_run;
mod training;
