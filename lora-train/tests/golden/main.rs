//! Whole training runs against PyTorch: see `testdata/golden/README.md` for where the numbers come from.
#![cfg(test)]

mod frozen;
mod reference_run;
mod training;
