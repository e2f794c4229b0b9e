//! What a run does when it is told to.

use super::Run;
use crate::{Event, TrainError};

impl Run<'_> {
    /// Obeys what was told since the last step, and waits as long as the run is paused.
    pub(super) fn obey(&mut self) -> Result<(), TrainError> {
        let step = self.outcome.steps;
        let paused = self.handle.is_paused() && !self.handle.is_stopping();
        if paused {
            self.tell(&Event::Paused { step })?;
        }
        while self.handle.is_paused() && !self.handle.is_stopping() && !self.stopping {
            self.handle.wait_a_moment();
            if self.handle.take_sample() {
                self.preview()?;
            }
            if self.handle.take_save() {
                self.save_step()?;
            }
        }
        if paused {
            self.tell(&Event::Resumed { step })?;
        }
        if let Some(factor) = self.handle.take_rate_factor() {
            self.rate_factor = factor;
            self.tell(&Event::RatesScaled { step, factor })?;
        }
        Ok(())
    }
}
