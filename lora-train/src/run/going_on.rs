//! Putting down what a run needs to go on, and taking it up.

use super::Run;
use crate::{
    Outcome, Resume, RunFolder, TrainError,
    checkpoint::{self, Checkpoint, Record, Sources, Standing},
    config::TrainConfig,
};

impl Run<'_> {
    /// Puts down everything that is needed to go on from here. Waits for the device.
    pub(super) fn put_down(&mut self) -> Result<(), TrainError> {
        let keep = self.config.checkpoint.keep;
        if keep == 0 {
            return Ok(());
        }
        let checkpoint = self.checkpoint()?;
        let step = self.outcome.steps;
        checkpoint::write(self.folder.path(), step, checkpoint)?;
        self.marks.put_down_at = step;
        checkpoint::remove_others(&std::mem::take(&mut self.marks.left_way), step)?;
        checkpoint::prune(self.folder.path(), keep)?;
        Ok(())
    }

    /// Everything that is needed to go on from here, in host memory. Waits for the device.
    pub(super) fn checkpoint(&mut self) -> Result<Checkpoint, TrainError> {
        // What is broken already must not take the place of what is not.
        self.settle()?;
        self.outcome.seconds = self.seconds();
        let standing = Standing {
            outcome: self.outcome.clone(),
            epoch: self.position.0,
            steps_of_epoch: self.position.1,
            started_at: self.facts.training_started_at,
            logs: self.folder.log_lengths()?,
            meter: self.meter.record_of(),
            rate_factor: self.rate_factor,
            bad_in_a_row: self.marks.bad_in_a_row,
        };
        let [params, optimizer, ema] = self.learner.states();
        Ok(Checkpoint {
            record: Record::new(standing, self.sources.clone()),
            params: params.unwrap_or_default(),
            optimizer: optimizer.unwrap_or_default(),
            ema,
        })
    }

    /// Seconds that the run has taken, those before it went on included.
    pub(super) fn seconds(&self) -> f64 {
        self.marks.seconds_before + self.started.elapsed().as_secs_f64()
    }

    /// Takes everything up where a checkpoint left it.
    pub(super) fn go_on(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let Checkpoint {
            record,
            params,
            optimizer,
            ema,
        } = checkpoint;
        self.learner.restore(params, optimizer, ema, &self.device)?;
        let standing = record.standing;
        self.meter.restore(standing.meter);
        self.position = (standing.epoch, standing.steps_of_epoch);
        self.facts.training_started_at = standing.started_at;
        self.marks.seconds_before = standing.outcome.seconds;
        self.rate_factor = standing.rate_factor;
        self.outcome = Outcome {
            stopped: false,
            ended_early: false,
            ..standing.outcome.seen_in(self.folder.path())
        };
        self.marks.left_way = checkpoint::later_than(self.folder.path(), self.outcome.steps);
        self.marks.put_down_at = self.outcome.steps;
        self.marks.bad_in_a_row = standing.bad_in_a_row;
        self.ledger.started_at = standing.started_at;
        let ledger = self.ledger.clone();
        self.ledger = ledger.going_on(self.folder.path(), self.outcome.steps);
        // Asked anew, for the patience may be another one now.
        self.outcome.ended_early = self.has_stopped_falling();
        Ok(())
    }
}

/// A run folder, and the checkpoint to go on from if there is any.
pub(super) type Opened = Result<(RunFolder, Option<Checkpoint>), TrainError>;

/// The run folder, and the checkpoint to go on from if there is any.
pub(super) fn open(config: &TrainConfig, resume: Option<&Resume>, sources: &Sources) -> Opened {
    let Some(resume) = resume else {
        return Ok((RunFolder::create(config)?, None));
    };
    let checkpoint = found(config, resume, sources)?;
    let folder = match &checkpoint {
        Some(checkpoint) => RunFolder::resume(config, &checkpoint.record.standing.logs)?,
        None => RunFolder::begin_again(config)?,
    };
    Ok((folder, checkpoint))
}

/// The checkpoint to go on from, if there is any. Newer ones that cannot be read are told and passed over.
fn found(
    config: &TrainConfig,
    resume: &Resume,
    sources: &Sources,
) -> Result<Option<Checkpoint>, TrainError> {
    let (found, passed_over) = checkpoint::find(&config.output.folder, resume, sources)?;
    for error in passed_over {
        tracing::warn!("{error}");
    }
    let Some((path, checkpoint)) = found else {
        tracing::warn!("no checkpoint to go on from; beginning anew");
        return Ok(None);
    };
    tracing::info!(path = %path.display(), steps = checkpoint.record.standing.outcome.steps, "going on");
    Ok(Some(checkpoint))
}
