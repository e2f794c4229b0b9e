//! The program as a user meets it: what it prints, which files it leaves and how it ends.

mod bench;
mod cache;
mod crash;
mod devices;
mod errors;
mod faces;
mod full_disk;
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
mod queue;
mod quickstart;
mod reproduce;
mod sample;
mod schedule;
mod small_run;
mod tag;
mod tags;
