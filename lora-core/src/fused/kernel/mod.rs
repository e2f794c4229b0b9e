//! Loops over f32 slices, written so that the compiler vectorises them, compiled for several instruction sets and chosen
//! at run time ([`pulp::Arch`]), and spread over the threads of rayon's pool.
#![expect(
    clippy::inline_always,
    reason = "a loop is compiled for an instruction set only where it is inlined into the dispatched closure"
)]

pub(super) mod activation;
pub(super) mod attention;
pub(super) mod convolution;
mod exp;
mod gemm;
pub(super) mod low_rank;
pub(super) mod norm;
mod parallel;
pub(super) mod softmax;
mod unfold;
