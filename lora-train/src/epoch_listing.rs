use std::path::PathBuf;

use lora_data::{Dataset, Exposure, epoch_plan};
use serde::Serialize;

use crate::{FeedAt, OpenedPictures, Plan, TrainError, config::TrainConfig, showing_rules};

/// What one epoch of a run shows, step by step and as it shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochListing {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Its batches in order.
    pub batches: Vec<ListedBatch>,
}

/// One batch of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedBatch {
    /// The step that it is of, from 1; several batches of a step are accumulated.
    pub step: u64,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// What it shows.
    pub showings: Vec<ListedShowing>,
}

/// One picture as a batch shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedShowing {
    /// The picture's file.
    pub image: PathBuf,
    /// The words, after all that is drawn about them.
    pub caption: String,
    /// Whether it is mirrored.
    pub flip: bool,
    /// Where a random crop lies, from 0 (left, top) to 1 (right, bottom) of what is left over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<[f64; 2]>,
    /// Whether its colours are varied.
    pub color: bool,
}

impl EpochListing {
    /// Epoch `epoch` of a config's run, from the files of its dataset.
    ///
    /// # Errors
    /// Problems of the settings, or of the pictures, each all at once; epochs that the run does not have.
    pub fn open(config: &TrainConfig, plan: &Plan, epoch: u64) -> Result<Self, TrainError> {
        let OpenedPictures { training, .. } = OpenedPictures::open(config)?;
        Ok(Self::new(config, &training, plan, epoch))
    }

    /// Epoch `epoch` of a run over `data`; steps beyond the run's end are left out.
    pub fn new(config: &TrainConfig, data: &dyn Dataset, plan: &Plan, epoch: u64) -> Self {
        let (batch_size, seed) = (config.train.batch_size, config.train.seed);
        let before = epoch.saturating_sub(1) * plan.steps_per_epoch;
        let batches = epoch_plan(data, batch_size, seed, epoch);
        let steps = batches.chunks(config.train.accumulation.get()).enumerate();
        let listed = steps
            .map(|(step, batches)| (before + step as u64, batches))
            .take_while(|(step, _)| *step < plan.steps)
            .flat_map(|(step, batches)| {
                let at = FeedAt {
                    epoch,
                    step,
                    steps: plan.steps,
                };
                batches.iter().map(move |batch| (at, batch))
            })
            .map(|(at, batch)| listed(config, data, at, batch));
        Self {
            epoch,
            batches: listed.collect(),
        }
    }
}

fn listed(config: &TrainConfig, data: &dyn Dataset, at: FeedAt, batch: &[Exposure]) -> ListedBatch {
    let seed = config.train.seed;
    let size = batch.first().map_or((0, 0), |showing| {
        let target = data.entries()[showing.index].target;
        (target.width, target.height)
    });
    let showing = |showing: &Exposure| {
        let view = showing_rules::view(data, seed, at.epoch, showing);
        ListedShowing {
            image: data.entries()[showing.index].image.clone(),
            caption: showing_rules::caption(&config.dataset.caption, data, seed, at, showing),
            flip: view.flip,
            crop: view.crop,
            color: view.color.is_some(),
        }
    };
    ListedBatch {
        step: at.step + 1,
        size,
        showings: batch.iter().map(showing).collect(),
    }
}
