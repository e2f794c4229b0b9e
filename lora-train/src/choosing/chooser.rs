use image::RgbImage;
use lora_data::{Dataset, EmbedderError, PictureEmbedder, View};

use super::{
    Comparison, captions::prompts, histogram::Histogram, lab::LabPicture, structure::Structure,
};
use crate::{PlanError, Prompt, TrainError, config::TrainConfig};

/// A drawn picture is a copy if it is nearer to a training picture than this part of the distance that training pictures
/// usually have from the nearest other one.
const COPY: f64 = 0.5;
/// So many training pictures are enough to tell how far they are from one another.
const ASKED: usize = 200;

/// What pictures drawn with a file are compared with, and what is drawn.
pub(crate) struct Chooser {
    prompts: Vec<Prompt>,
    embedder: Option<PictureEmbedder>,
    training: Looks,
    copy_threshold: Option<f64>,
}

/// What some pictures look like.
#[derive(Default)]
struct Looks {
    colours: Vec<Histogram>,
    edges: Vec<Histogram>,
    /// Of training pictures also mirrored, where they are shown so.
    structures: Vec<Vec<Structure>>,
    /// The sum of all embeddings.
    embedding: Vec<f64>,
}

impl Chooser {
    /// Looks at the training pictures, unless nothing is to be compared.
    ///
    /// # Errors
    /// A picture or a network that cannot be read; captions of which none can be drawn.
    pub(crate) fn of(
        config: &TrainConfig,
        data: &dyn Dataset,
        heldout: Option<&dyn Dataset>,
    ) -> Result<Option<Self>, TrainError> {
        let choose = &config.choose;
        if !choose.similarity {
            return Ok(None);
        }
        let embedder = choose.embedding.as_ref().map(PictureEmbedder::load);
        let embedder = embedder.transpose()?;
        let prompts = prompts(config, data, heldout);
        let mut training = Looks::default();
        for (index, entry) in data.entries().iter().enumerate() {
            let subset = data.subsets().get(entry.subset);
            if subset.is_none_or(|subset| !subset.regularisation) {
                let picture = data.pixels(index, &View::plain())?.to_rgb();
                let flipped = subset.is_some_and(|subset| subset.augment.flip);
                training.add(&picture, flipped, embedder.as_ref())?;
            }
        }
        if prompts.is_empty() || training.colours.is_empty() {
            let problem = "choose.similarity: there is no caption that can be drawn, or no picture to compare with";
            return Err(TrainError::Plan(PlanError {
                problems: vec![problem.to_owned()],
            }));
        }
        Ok(Some(Self {
            prompts,
            embedder,
            copy_threshold: training.usual_distance().map(|usual| COPY * usual),
            training,
        }))
    }

    /// What is to be drawn.
    pub(crate) fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// Compares what was drawn with the training pictures.
    ///
    /// # Errors
    /// When the network does not run.
    pub(crate) fn compare(&self, drawn: &[RgbImage]) -> Result<Comparison, EmbedderError> {
        let mut looks = Looks::default();
        for picture in drawn {
            looks.add(picture, false, self.embedder.as_ref())?;
        }
        let (colours, edges) = looks.shared_with(&self.training);
        let embedding = self.embedder.as_ref().map(|_| looks.cosine(&self.training));
        let training = || self.training.structures.iter().flatten();
        let distances: Vec<f64> = looks
            .structures
            .iter()
            .flatten()
            .filter_map(|structure| structure.nearest(training()))
            .collect();
        let is_copy = |distance: &&f64| self.copy_threshold.is_some_and(|most| **distance < most);
        Ok(Comparison {
            pictures: drawn.len(),
            similarity: embedding.unwrap_or(f64::midpoint(colours, edges)),
            colours,
            edges,
            embedding,
            copy_distance: distances.iter().sum::<f64>() / distances.len().max(1) as f64,
            copy_threshold: self.copy_threshold,
            copies: distances.iter().filter(is_copy).count(),
        })
    }
}

impl Looks {
    fn add(
        &mut self,
        picture: &RgbImage,
        flipped: bool,
        embedder: Option<&PictureEmbedder>,
    ) -> Result<(), EmbedderError> {
        let small = LabPicture::of(picture);
        self.colours.push(Histogram::of_colours(&small));
        self.edges.push(Histogram::of_edges(&small));
        let mut structures = vec![Structure::of(picture)];
        if flipped {
            structures.push(structures[0].flipped());
        }
        self.structures.push(structures);
        if let Some(embedder) = embedder {
            let embedding = embedder.embed(picture)?;
            self.embedding.resize(embedding.len(), 0.0);
            for (sum, value) in self.embedding.iter_mut().zip(embedding) {
                *sum += f64::from(value);
            }
        }
        Ok(())
    }

    /// How much of colours and edges both have, as wholes.
    fn shared_with(&self, other: &Self) -> (f64, f64) {
        let shared = |one: &[Histogram], other: &[Histogram]| {
            Histogram::mean(one.iter()).intersection(&Histogram::mean(other.iter()))
        };
        (
            shared(&self.colours, &other.colours),
            shared(&self.edges, &other.edges),
        )
    }

    /// The mean cosine of one's pictures with the other's, all of whose embeddings have the length 1.
    fn cosine(&self, other: &Self) -> f64 {
        let products = self.embedding.iter().zip(&other.embedding);
        let sum: f64 = products.map(|(one, other)| one * other).sum();
        sum / (self.colours.len() * other.colours.len()).max(1) as f64
    }

    /// The median distance of a picture from the nearest other one; `None` for fewer than two pictures.
    fn usual_distance(&self) -> Option<f64> {
        let all = self.structures.len();
        let asked = all.min(ASKED);
        let nearest = |index: usize| {
            let others = self.structures.iter().enumerate();
            let others = others.filter(|(other, _)| *other != index);
            self.structures[index][0].nearest(others.flat_map(|(_, structures)| structures))
        };
        let distances = (0..asked).filter_map(|place| nearest(place * all / asked));
        let mut distances: Vec<f64> = distances.collect();
        distances.sort_by(f64::total_cmp);
        distances.get(distances.len() / 2).copied()
    }
}
