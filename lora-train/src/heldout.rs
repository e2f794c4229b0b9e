//! The held-out loss: how well the model denoises pictures that it was not trained on.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::{
    BaseModel,
    safetensors_file::{SafetensorsFile, SafetensorsFileError},
};
use lora_data::{DataError, Dataset, View};
use safetensors::Dtype;
use thiserror::Error;

use crate::{
    Batch, BatchText, Denoising, LatentStore, NoiseDraws,
    config::{HeldoutConfig, LatentDraw, ObjectiveConfig, TrainConfig},
    latents::{Moments, encoded_once},
    random::{Purpose, normal_tensor},
};

/// The mean squared error of the prediction over all held-out pictures and a fixed set of timesteps, at fixed noise;
/// unweighted, latents at the middle of the VAE's distribution.
pub struct HeldoutLoss {
    /// All pictures at each timestep, in batches of the training's size.
    batches: Vec<Batch>,
    objective: Denoising,
}

/// Why the held-out loss cannot be measured.
#[derive(Debug, Error)]
pub enum HeldoutError {
    /// A picture cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The noise file cannot be read.
    #[error(transparent)]
    File(#[from] SafetensorsFileError),
    /// The noise file has other contents than asked for.
    #[error("{}: {reason}", .path.display())]
    Noise {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl HeldoutLoss {
    /// Prepares the measure for the pictures of `data`; their masks and loss weights are not looked at. Latents that are on
    /// `disk` are read from there.
    ///
    /// # Errors
    /// A picture or the noise file that cannot be read.
    pub fn new(
        config: &TrainConfig,
        data: &dyn Dataset,
        model: &BaseModel,
        device: &Device,
        disk: Option<&LatentStore>,
    ) -> Result<Self, HeldoutError> {
        let scale = model.vae.scaling_factor();
        let latents = (0..data.entries().len()).map(|index| {
            let encoded = encoded_once(data, index, &View::plain(), &model.vae, device, disk)?;
            Ok(encoded.scaled(scale))
        });
        let latents: Vec<Moments> = latents.collect::<Result<_, DataError>>()?;
        // Pictures of one size share batches.
        let mut sizes: BTreeMap<[usize; 3], Vec<usize>> = BTreeMap::new();
        for (index, latents) in latents.iter().enumerate() {
            sizes.entry(latents.shape()).or_default().push(index);
        }
        let several = sizes.len() > 1;
        let mut batches = Vec::new();
        for ([channels, height, width], indices) in sizes {
            let all = model.scheduler.num_train_timesteps;
            let shape = [indices.len(), channels, height, width];
            let draws = match &config.heldout.noise {
                Some(path) if several => {
                    return Err(HeldoutError::Noise {
                        path: path.clone(),
                        reason: "holds noise of one size, but the held-out pictures have several; leave out \
                                 dataset.buckets, or heldout.noise"
                            .to_owned(),
                    });
                }
                Some(path) => stored_noise(path, shape, all, device)?,
                None => seeded_noise(&config.heldout, config.train.seed, all, shape, device),
            };
            batches.extend(batches_of_a_size(
                config, data, model, &latents, &indices, &draws,
            ));
        }
        let objective = Denoising::new(&ObjectiveConfig::default(), model, config.model.clip_skip);
        Ok(Self { batches, objective })
    }

    /// The loss of the model with its present adapters. Waits for the device.
    pub fn measure(&self, model: &BaseModel) -> f64 {
        let errors = self
            .batches
            .iter()
            .map(|batch| self.objective.errors(model, batch));
        Tensor::cat(errors.collect(), 0)
            .mean()
            .into_scalar::<f32>()
            .into()
    }
}

/// The batches of some pictures of one size, at each timestep.
fn batches_of_a_size(
    config: &TrainConfig,
    data: &dyn Dataset,
    model: &BaseModel,
    latents: &[Moments],
    indices: &[usize],
    draws: &[(usize, Tensor<4>)],
) -> Vec<Batch> {
    let at_once = config.train.batch_size.get();
    let texts: Vec<BatchText> = indices
        .chunks(at_once)
        .map(|indices| texts(config, data, model, indices))
        .collect();
    let batch = |timestep: usize, noise: &Tensor<4>, place: usize, indices: &[usize]| {
        let noise = noise.clone().narrow(0, place * at_once, indices.len());
        let pictures = indices
            .iter()
            .map(|&index| latents[index].draw(LatentDraw::Mode, 0, 0));
        let [_, channels, ..] = noise.dims();
        Batch {
            latents: Tensor::cat(pictures.collect(), 0),
            noise_offset: Tensor::zeros([indices.len(), channels, 1, 1], &noise.device()),
            noise,
            draws: NoiseDraws::default(),
            timesteps: vec![timestep; indices.len()],
            text: texts[place].clone(),
            sizes: indices.iter().map(|&index| latents[index].sizes).collect(),
            loss_weights: Vec::new(),
            mask: None,
        }
    };
    let places = || indices.chunks(at_once).enumerate();
    draws
        .iter()
        .flat_map(|(timestep, noise)| {
            places().map(|(place, indices)| batch(*timestep, noise, place, indices))
        })
        .collect()
}

/// The captions of some pictures, with nothing drawn about them. Frozen text encoders are asked once.
fn texts(
    config: &TrainConfig,
    data: &dyn Dataset,
    model: &BaseModel,
    indices: &[usize],
) -> BatchText {
    let caption = |&index: &usize| {
        let entry = &data.entries()[index];
        let rules = data.subsets().get(entry.subset);
        let rules = rules.map_or(&config.dataset.caption, |subset| &subset.caption);
        rules.settled(&entry.caption)
    };
    let captions: Vec<String> = indices.iter().map(caption).collect();
    let ids = model.text.tokenize(&captions, config.model.chunks());
    if config.trains_text() {
        BatchText::Ids(ids)
    } else {
        BatchText::States(model.text.encode(&ids, config.model.clip_skip))
    }
}

/// Noise of the run's seed at the middle of each of `timesteps` equal stretches.
fn seeded_noise(
    config: &HeldoutConfig,
    seed: u64,
    all: usize,
    [count, channels, height, width]: [usize; 4],
    device: &Device,
) -> Vec<(usize, Tensor<4>)> {
    let timesteps = config.timesteps.clamp(1, all);
    (0..timesteps)
        .map(|index| {
            let noise = |item: usize| {
                let key = (index * count + item) as u64;
                normal_tensor(
                    Purpose::Heldout,
                    seed,
                    key,
                    [channels, height, width],
                    device,
                )
            };
            let timestep = (2 * index + 1) * all / (2 * timesteps);
            (timestep, Tensor::cat((0..count).map(noise).collect(), 0))
        })
        .collect()
}

/// `noise [timesteps, pictures, channels, height, width]` and `timesteps` of a safetensors file.
fn stored_noise(
    path: &Path,
    shape: [usize; 4],
    all: usize,
    device: &Device,
) -> Result<Vec<(usize, Tensor<4>)>, HeldoutError> {
    let error = |reason: String| HeldoutError::Noise {
        path: path.to_path_buf(),
        reason,
    };
    let file = SafetensorsFile::open(path)?;
    let stored = |name: &str| match file.info(name) {
        Some(_) => Ok(file.read(name)?),
        None => Err(error(format!("there is no tensor `{name}`"))),
    };
    let (noise, steps) = (stored("noise")?, stored("timesteps")?);
    if noise.shape.get(1..) != Some(&shape[..]) || noise.shape[..1] != *steps.shape {
        return Err(error(format!(
            "noise is {:?} and timesteps {:?}; the held-out pictures ask for noise [timesteps, {}]",
            noise.shape,
            steps.shape,
            shape.map(|extent| extent.to_string()).join(", ")
        )));
    }
    let timesteps: Vec<i64> = match steps.dtype {
        Dtype::I64 => steps
            .bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i64::from_le_bytes(*bytes))
            .collect(),
        Dtype::I32 => steps
            .bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i32::from_le_bytes(*bytes).into())
            .collect(),
        other => return Err(error(format!("timesteps are {other:?}, not I64 or I32"))),
    };
    let timesteps: Vec<usize> = timesteps
        .iter()
        .filter_map(|&timestep| {
            usize::try_from(timestep)
                .ok()
                .filter(|&timestep| timestep < all)
        })
        .collect();
    if timesteps.is_empty() || timesteps.len() != steps.shape[0] {
        return Err(error(format!(
            "timesteps must be one or more numbers from 0 to {}",
            all - 1
        )));
    }
    let values = noise
        .to_f32()
        .ok_or_else(|| error("noise is not of a float type".to_owned()))?;
    let size = shape.iter().product::<usize>().max(1);
    Ok(timesteps
        .into_iter()
        .zip(values.chunks_exact(size))
        .map(|(timestep, values)| {
            (
                timestep,
                Tensor::from_data(TensorData::new(values.to_vec(), shape), device),
            )
        })
        .collect())
}
