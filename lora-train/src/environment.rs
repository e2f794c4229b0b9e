use std::{env, num::NonZeroUsize, thread};

use serde::{Deserialize, Serialize};

use crate::{DeviceChoice, list_devices};

/// What beside config, model and pictures may change the last bits of what a run computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name and version of the program.
    pub program: String,
    /// The device, and for a GPU what its driver calls it.
    pub device: String,
    /// Threads that the CPU's part is computed with.
    pub threads: usize,
    /// Operating system and architecture.
    pub system: String,
    /// What the processor knows of the instructions that kernels are chosen by.
    pub instructions: String,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentDifference {
    /// What it is.
    pub what: &'static str,
    /// What it was.
    pub before: String,
    /// What it is now.
    pub now: String,
}

impl Environment {
    /// What there is here. Opens GPUs to ask for their names only where one of them is meant.
    pub fn here(device: DeviceChoice) -> Self {
        let name = device.to_string();
        let described = || {
            let mut listed = list_devices().into_iter();
            let device = listed.find(|listed| listed.name == name)?;
            Some(format!("{name}, {}", device.description))
        };
        let description = match device {
            DeviceChoice::Cpu => None,
            _ => described(),
        };
        Self {
            program: concat!("lora ", env!("CARGO_PKG_VERSION")).to_owned(),
            device: description.unwrap_or(name),
            threads: threads(),
            system: format!("{} {}", env::consts::OS, env::consts::ARCH),
            instructions: instructions().join(" "),
        }
    }

    /// All that differs.
    pub fn differences(&self, now: &Self) -> Vec<EnvironmentDifference> {
        let threads = [self.threads.to_string(), now.threads.to_string()];
        let pairs = [
            ("program", [&self.program, &now.program]),
            ("device", [&self.device, &now.device]),
            ("threads", [&threads[0], &threads[1]]),
            ("system", [&self.system, &now.system]),
            ("instructions", [&self.instructions, &now.instructions]),
        ];
        let pairs = pairs.into_iter().filter(|(_, [before, now])| before != now);
        pairs
            .map(|(what, [before, now])| EnvironmentDifference {
                what,
                before: before.clone(),
                now: now.clone(),
            })
            .collect()
    }
}

/// As rayon counts them.
fn threads() -> usize {
    let told = env::var("RAYON_NUM_THREADS").ok();
    let told = told.and_then(|text| text.parse().ok());
    let here = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    told.filter(|threads| *threads > 0).unwrap_or_else(here)
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    let known = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("fma", std::arch::is_x86_feature_detected!("fma")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
    ];
    let known = known.into_iter().filter(|(_, is_there)| *is_there);
    known.map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_with_both_values() {
        let here = Environment::here(DeviceChoice::Cpu);
        assert!(here.differences(&here).is_empty());
        let other = Environment {
            device: "cuda:0, some card".to_owned(),
            threads: here.threads + 1,
            ..here.clone()
        };
        let told: Vec<_> = here
            .differences(&other)
            .into_iter()
            .map(|difference| (difference.what, difference.now))
            .collect();
        let threads = (here.threads + 1).to_string();
        assert_eq!(told, [("device", other.device), ("threads", threads)]);
    }
}
