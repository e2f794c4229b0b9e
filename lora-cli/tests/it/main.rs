//! The program as a user meets it: what it prints, which files it leaves and how it ends.

mod bench;
mod cache;
mod crash;
mod devices;
mod errors;
mod faces;
mod grid;
mod help;
mod inspect;
mod interrupt;
mod lint;
mod lora_tools;
mod plan;
mod prepare;
mod presets;
mod program;
mod quickstart;
mod sample;
mod schedule;
mod tag;
mod tags;
