use serde::{Deserialize, Serialize};

/// How the pictures drawn with a file compare with the training pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Pictures drawn.
    pub pictures: usize,
    /// How alike drawn and training pictures are as a whole, 0 to 1: the embedding's answer where there is one, else
    /// the mean of colours and edges.
    pub similarity: f64,
    /// How much of their colours they share, 0 to 1.
    pub colours: f64,
    /// How much of their edges they share, 0 to 1.
    pub edges: f64,
    /// The mean cosine of drawn and training pictures' embeddings, -1 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<f64>,
    /// How far the nearest training picture is from a drawn one on average: 0 is a copy, 1 has nothing in common.
    pub copy_distance: f64,
    /// The distance below which a drawn picture counts as a copy; `None` where there are too few training pictures to
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_threshold: Option<f64>,
    /// Drawn pictures that count as copies.
    pub copies: usize,
}

impl Comparison {
    /// Whether most of the pictures are copies of training pictures.
    pub fn mostly_copies(&self) -> bool {
        2 * self.copies > self.pictures
    }
}
