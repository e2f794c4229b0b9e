//! What a run puts on the disk beside its metrics: LoRA files, previews and held-out measures.

use std::{fs, io, path::Path};

use atomic_file::WriteError;
use image::RgbImage;
use lora_core::lora_file::{ModelHashes, Privacy, SideFile};

use crate::{
    Comparison, Event, Outcome, Prompt, Provenance, RankedFile, SourceFile, TrainError, draw,
    facts::now, infotext::infotext, network_entries::network_entries, picture::png, ranking,
    run::Run, run_folder::best_file, short_hash,
};

impl Run<'_> {
    /// Writes the file of a finished (or, at the end, cut) epoch.
    ///
    /// Measures it as well, so that the best of the files is known, and writes which that is.
    pub(crate) fn save_epoch(&mut self, epoch: u64) -> Result<(), TrainError> {
        self.measure_last()?;
        let path = self.folder.epoch_file(epoch);
        let sha256 = self.save(&path, epoch)?;
        self.enter(&path, sha256)?;
        let comparison = self.compare()?;
        let heldout_loss = self.outcome.heldout.last().map(|(_, loss)| *loss);
        let step = self.outcome.steps;
        let Outcome { ranked, files, .. } = &mut self.outcome;
        ranked.retain(|file| file.path != path);
        files.push(path.clone());
        ranked.push(RankedFile {
            epoch,
            step,
            path,
            heldout_loss,
            comparison,
        });
        self.save_ranking()
    }

    /// Draws pictures with the present adapters and compares them with the training pictures, if that was asked for.
    fn compare(&mut self) -> Result<Option<Comparison>, TrainError> {
        let Some(prompts) = self
            .chooser
            .as_ref()
            .map(|chooser| chooser.prompts().to_vec())
        else {
            return Ok(None);
        };
        let drawn = self.draw(&prompts)?;
        for (index, picture) in drawn.iter().enumerate() {
            let path = self.folder.choosing_file(self.outcome.steps, index);
            self.write_picture(&path, picture, &prompts[index])?;
        }
        let comparison = self.chooser.as_ref().map(|chooser| chooser.compare(&drawn));
        let comparison = comparison.transpose()?;
        if let Some(comparison) = &comparison {
            let step = self.outcome.steps;
            self.tell(&Event::Compared { step, comparison })?;
        }
        Ok(comparison)
    }

    /// Writes a file in the middle of an epoch.
    pub(crate) fn save_step(&mut self) -> Result<(), TrainError> {
        let path = self.folder.step_file(self.outcome.steps);
        self.save(&path, self.outcome.epochs.saturating_sub(1))?;
        self.outcome.last = Some(path);
        Ok(())
    }

    /// Writes the run's last file and, beside it, what A1111 shows about it.
    pub(crate) fn save_last(&mut self) -> Result<(), TrainError> {
        let path = self.folder.last_file();
        let sha256 = self.save(&path, self.outcome.epochs)?;
        self.enter(&path, sha256)?;
        let card = SideFile {
            description: self.config.output.comment.clone().unwrap_or_default(),
            family: self.model().family,
            activation_text: self.config.output.trigger.clone(),
            ..SideFile::default()
        };
        card.write(&path, self.privacy())?;
        self.outcome.last = Some(path);
        Ok(())
    }

    /// Enters a file that was just saved in the run's ledger.
    fn enter(&mut self, path: &Path, sha256: String) -> Result<(), TrainError> {
        let saved_at = self.facts.training_finished_at;
        let step = self.outcome.steps;
        self.ledger.note(path, step, saved_at, sha256);
        self.ledger.write(&self.folder)?;
        Ok(())
    }

    fn privacy(&self) -> Privacy {
        if self.config.output.private {
            Privacy::Private
        } else {
            Privacy::Open
        }
    }

    /// Writes a file; gives the SHA-256 of its bytes, in hexadecimal.
    fn save(&mut self, path: &Path, epoch: u64) -> Result<String, TrainError> {
        // A file of broken weights must not take the place of a good one.
        self.settle()?;
        self.facts.epoch = epoch;
        self.facts.steps = self.outcome.steps;
        let other = self.times_of.as_ref();
        let other = other.and_then(|other| other.saved_at(path));
        self.facts.training_finished_at = other.unwrap_or_else(now);
        let mut file = self.learner.model_mut().to_lora_file();
        file.metadata = self.facts.metadata(self.privacy());
        let entries = network_entries(&self.config.lora, &self.config.train);
        file.metadata.extend(entries);
        file.write(path, self.config.output.dtype)?;
        let hashes = ModelHashes::of_file(path).map_err(|source| WriteError {
            path: path.to_path_buf(),
            source,
        })?;
        self.tell(&Event::Saved {
            step: self.outcome.steps,
            epoch,
            path,
            sha256: &hashes.sha256,
        })?;
        Ok(hashes.sha256)
    }

    /// Draws prompts with the present adapters. Parts of the model that have left the device come back for it.
    fn draw(&mut self, prompts: &[Prompt]) -> Result<Vec<RgbImage>, TrainError> {
        self.settle()?;
        let model = self.learner.model_mut();
        let (text, vae) = (model.text.is_present(), model.vae.is_present());
        model.text.restore()?;
        model.vae.restore()?;
        let pictures = draw(self.model(), prompts, self.drawing, &self.device)?;
        let model = self.learner.model_mut();
        if !text {
            model.text.release();
        }
        if !vae {
            model.vae.release();
        }
        Ok(pictures)
    }

    /// Writes a drawn picture with what A1111 tells about it.
    fn write_picture(
        &self,
        path: &Path,
        picture: &RgbImage,
        prompt: &Prompt,
    ) -> Result<(), TrainError> {
        let size = picture.dimensions();
        let text = infotext(prompt, self.drawing, size, &self.provenance());
        let bytes = png::encode(picture, Some(&text))?;
        Ok(self.folder.write_at(path, &bytes)?)
    }

    /// Draws all preview prompts after the last step, unless that was just done.
    pub(crate) fn preview_last(&mut self) -> Result<(), TrainError> {
        if self.marks.drawn_at == Some(self.outcome.steps) {
            return Ok(());
        }
        self.preview()
    }

    /// Draws all preview prompts with the present adapters.
    pub(crate) fn preview(&mut self) -> Result<(), TrainError> {
        self.marks.drawn_at = Some(self.outcome.steps);
        let pictures = self.draw_previews()?;
        for (index, picture) in pictures.iter().enumerate() {
            let step = self.outcome.steps;
            let path = self.folder.preview_file(step, index);
            let prompt = self.prompts[index].clone();
            self.write_picture(&path, picture, &prompt)?;
            self.tell(&Event::Sampled {
                step,
                prompt: index,
                image: &path,
            })?;
        }
        Ok(())
    }

    /// Draws all preview prompts with the present adapters.
    pub(crate) fn draw_previews(&mut self) -> Result<Vec<RgbImage>, TrainError> {
        let prompts = self.prompts.clone();
        self.draw(&prompts)
    }

    /// What a preview's text tells of the base model.
    fn provenance(&self) -> Provenance {
        let hashes = self.facts.sd_model_hashes.as_ref();
        let model = SourceFile {
            hash: hashes.map(short_hash::of_hashes),
            ..SourceFile::model(&self.config.model.path, false)
        };
        Provenance {
            model: (!self.config.output.private).then_some(model),
            ..Provenance::default()
        }
    }

    /// Measures the held-out loss of the present adapters, if there are held-out pictures.
    pub(crate) fn measure(&mut self) -> Result<(), TrainError> {
        self.settle()?;
        let step = self.outcome.steps;
        if let Some(heldout) = &self.heldout {
            let heldout_loss = heldout.measure(self.model());
            self.outcome.heldout.push((step, heldout_loss));
            self.outcome.ended_early = self.has_stopped_falling();
            self.tell(&Event::Measured { step, heldout_loss })?;
        }
        Ok(())
    }

    /// Whether the config's patience with the held-out loss is at its end.
    pub(crate) fn has_stopped_falling(&self) -> bool {
        let losses = self.outcome.heldout.iter().map(|(_, loss)| *loss);
        let best = losses
            .clone()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map_or(0, |(index, _)| index);
        let since_best = losses.len().saturating_sub(best + 1);
        let patience = self.config.heldout.patience;
        patience.is_some_and(|patience| since_best >= patience.get())
    }

    /// Writes `ranking.csv` and, where something was measured to go by, the copy of the best.
    fn save_ranking(&mut self) -> Result<(), TrainError> {
        let (files, tolerance) = (&self.outcome.ranked, self.config.choose.tolerance);
        let csv = ranking::to_csv(files, tolerance);
        self.folder.write("ranking.csv", csv.as_bytes())?;
        let Some(RankedFile {
            path, heldout_loss, ..
        }) = ranking::best(files, tolerance).cloned()
        else {
            return Ok(());
        };
        match fs::read(&path) {
            Ok(bytes) => self
                .folder
                .write(best_file(&self.config.output.name), &bytes)?,
            // Whoever tidied up meanwhile shall not lose the run for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!("{} ranks first, but it is gone", path.display());
            }
            Err(source) => return Err(WriteError { path, source }.into()),
        }
        (self.outcome.best, self.outcome.best_loss) = (Some(path), heldout_loss);
        Ok(())
    }

    /// Measures after the last step, unless that was just done.
    pub(crate) fn measure_last(&mut self) -> Result<(), TrainError> {
        if self
            .outcome
            .heldout
            .last()
            .is_none_or(|(step, _)| *step != self.outcome.steps)
        {
            self.measure()?;
        }
        Ok(())
    }
}
