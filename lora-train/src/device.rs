//! Where to compute: the names that users type, and the devices that the compiled-in backends find.
//!
//! This is the one place of the workspace that asks which backends were compiled in.

use std::{fmt, num::NonZeroUsize, str::FromStr, thread};

use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "wgpu-untuned"))]
use burn::tensor::DeviceType;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where to compute, as a user names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU that was compiled in and is there, else the CPU.
    #[default]
    Auto,
    /// The CPU (burn's flex backend).
    Cpu,
    /// A GPU through wgpu, by its number.
    Wgpu(usize),
    /// A GPU through Vulkan with SPIR-V kernels, by its number.
    Vulkan(usize),
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The name is none of the known.
    #[error(
        "device `{given}` is unknown; use auto, cpu, wgpu, vulkan or cuda, with :n for the n-th, as in cuda:1"
    )]
    Unknown {
        /// What was given.
        given: String,
    },
    /// The backend was left out when the program was built.
    #[error(
        "this program was built without {feature}; build it with `cargo build --release --features {feature}`"
    )]
    NotCompiled {
        /// The cargo feature.
        feature: &'static str,
    },
    /// There is no such device on this machine.
    #[error("there is no device {device}; {}", listed(.found))]
    NotFound {
        /// What was asked for.
        device: String,
        /// The devices of that backend that are there.
        found: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "its driver finds none on this machine".to_owned(),
        names => format!("this machine has {}", names.join(", ")),
    }
}

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceListing {
    /// What to pass to `--device`.
    pub name: String,
    /// What the driver calls it.
    pub description: String,
    /// Whether `auto` takes it.
    pub auto: bool,
}

/// A way to reach GPUs, named like its cargo feature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Cuda,
    Vulkan,
    Wgpu,
}

impl Backend {
    /// In the order in which [`DeviceChoice::Auto`] tries them.
    const ALL: [Self; 3] = [Self::Cuda, Self::Vulkan, Self::Wgpu];

    const fn feature(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
        }
    }

    const fn choice(self, number: usize) -> DeviceChoice {
        match self {
            Self::Cuda => DeviceChoice::Cuda(number),
            Self::Vulkan => DeviceChoice::Vulkan(number),
            Self::Wgpu => DeviceChoice::Wgpu(number),
        }
    }

    /// The devices that are there, in the order of their numbers; opens none.
    ///
    /// burn panics in a thread of its own when a device is used that is not there, so only listed ones are ever made.
    fn devices(self) -> Result<Vec<Device>, DeviceError> {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::enumerate(DeviceType::Cuda).to_vec()),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Ok(Device::enumerate(DeviceType::Vulkan).to_vec()),
            #[cfg(feature = "wgpu-untuned")]
            Self::Wgpu => Ok(Device::enumerate(DeviceType::Wgpu).to_vec()),
            #[allow(unreachable_patterns, reason = "reached where a backend is left out")]
            _ => Err(DeviceError::NotCompiled {
                feature: self.feature(),
            }),
        }
    }
}

impl DeviceChoice {
    /// The device that is meant by name: [`Self::Auto`] turned into what it takes here, any other checked to be there.
    ///
    /// # Errors
    /// [`DeviceError`]; there is no silent fallback to another device.
    pub fn settle(self) -> Result<Self, DeviceError> {
        match self {
            Self::Auto => Ok(first_gpu().unwrap_or(Self::Cpu)),
            named => named.resolve().map(|_| named),
        }
    }

    /// The device itself.
    ///
    /// # Errors
    /// [`DeviceError`]; there is no silent fallback to another device.
    pub fn resolve(self) -> Result<Device, DeviceError> {
        let (backend, number) = match self {
            Self::Auto => return self.settle()?.resolve(),
            Self::Cpu => return Ok(Device::flex()),
            Self::Wgpu(number) => (Backend::Wgpu, number),
            Self::Vulkan(number) => (Backend::Vulkan, number),
            Self::Cuda(number) => (Backend::Cuda, number),
        };
        let devices = backend.devices()?;
        devices
            .get(number)
            .cloned()
            .ok_or_else(|| DeviceError::NotFound {
                device: self.to_string(),
                found: (0..devices.len())
                    .map(|number| backend.choice(number).to_string())
                    .collect(),
            })
    }
}

/// The first device that is a GPU and no imitation of one.
fn first_gpu() -> Option<DeviceChoice> {
    Backend::ALL.into_iter().find_map(|backend| {
        let number = backend
            .devices()
            .ok()?
            .iter()
            .position(|device| !is_software(device))?;
        Some(backend.choice(number))
    })
}

/// Every device that the compiled-in backends find, the CPU first.
///
/// Opens the GPUs to ask for their names.
pub fn list_devices() -> Vec<DeviceListing> {
    let taken = first_gpu().unwrap_or(DeviceChoice::Cpu);
    let listing = |choice: DeviceChoice, description| DeviceListing {
        name: choice.to_string(),
        description,
        auto: choice == taken,
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let cpu = listing(DeviceChoice::Cpu, format!("CPU, {threads} threads"));
    let gpus = Backend::ALL.into_iter().flat_map(|backend| {
        let devices = backend.devices().unwrap_or_default();
        devices
            .into_iter()
            .enumerate()
            .map(move |(number, device)| listing(backend.choice(number), description(&device)))
    });
    std::iter::once(cpu).chain(gpus).collect()
}

/// The cargo features of backends that this program was built without.
pub fn backends_left_out() -> Vec<&'static str> {
    let left_out = |backend: &Backend| backend.devices().is_err();
    Backend::ALL
        .into_iter()
        .filter(left_out)
        .map(Backend::feature)
        .collect()
}

/// Whether a device is the CPU in a GPU's clothes (lavapipe, WARP): slower than the CPU backend, so only for asking.
#[cfg(feature = "wgpu-untuned")]
fn is_software(device: &Device) -> bool {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
    matches!(
        device.as_dispatch(),
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) if device.kind == WgpuDeviceKind::Cpu
    )
}

#[cfg(not(feature = "wgpu-untuned"))]
fn is_software(_: &Device) -> bool {
    false
}

#[cfg(any(feature = "cuda", feature = "wgpu-untuned"))]
fn description(device: &Device) -> String {
    if is_software(device) {
        return "the CPU through a software rasteriser, slower than `cpu`".to_owned();
    }
    device
        .identity()
        .map_or_else(|| "GPU".to_owned(), |identity| identity.name)
}

#[cfg(not(any(feature = "cuda", feature = "wgpu-untuned")))]
fn description(_: &Device) -> String {
    "GPU".to_owned()
}

/// Whether every operation on the device costs time by itself, because it is told of it: on anything but the CPU.
pub(crate) fn is_told_of_operations(device: &Device) -> bool {
    !lora_core::fused::has_kernels(device)
}

/// A name for how a device computes: devices of one name give the same numbers, others may round differently.
pub(crate) fn arithmetic(device: &Device) -> String {
    #[cfg(any(feature = "cuda", feature = "wgpu-untuned"))]
    if let Some(identity) = device.identity() {
        return format!("{} {}", identity.name, identity.fingerprint);
    }
    let _ = device;
    "cpu".to_owned()
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown {
            given: text.to_owned(),
        };
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number.parse().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (kind, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("wgpu", number) => Ok(Self::Wgpu(number.unwrap_or(0))),
            ("vulkan", number) => Ok(Self::Vulkan(number.unwrap_or(0))),
            ("cuda", number) => Ok(Self::Cuda(number.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(number) => write!(f, "wgpu:{number}"),
            Self::Vulkan(number) => write!(f, "vulkan:{number}"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_are_written() {
        for name in ["auto", "cpu", "wgpu:0", "vulkan:1", "cuda:12"] {
            assert_eq!(
                name.parse::<DeviceChoice>()
                    .map(|choice| choice.to_string()),
                Ok(name.to_owned())
            );
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for name in ["", "gpu", "cpu:0", "auto:1", "cuda:", "cuda:x", "cuda:-1"] {
            let error = DeviceError::Unknown {
                given: name.to_owned(),
            };
            assert_eq!(name.parse::<DeviceChoice>(), Err(error));
        }
    }

    #[test]
    fn what_is_not_there_is_refused_and_never_replaced() {
        assert_eq!(DeviceChoice::Cpu.settle(), Ok(DeviceChoice::Cpu));
        for backend in Backend::ALL {
            let error = backend
                .choice(99)
                .settle()
                .expect_err("no machine has a hundred")
                .to_string();
            if backends_left_out().contains(&backend.feature()) {
                assert!(
                    error.contains(&format!("--features {}", backend.feature())),
                    "{error}"
                );
            } else {
                assert!(error.contains("there is no device"), "{error}");
            }
        }
    }

    #[test]
    fn auto_takes_a_listed_device() {
        let taken = DeviceChoice::Auto
            .settle()
            .expect("there is always a CPU")
            .to_string();
        let listed = list_devices();
        assert_eq!(listed[0].name, "cpu");
        let auto: Vec<_> = listed.iter().filter(|listing| listing.auto).collect();
        assert_eq!(auto.len(), 1);
        assert_eq!(auto[0].name, taken);
    }
}
