use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::tokenizer::{ROW_LENGTH, Row};

/// Rows of 77 token ids, on the host: what a text encoder takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRows(Vec<Row>);

impl TokenRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.0
    }

    /// For each row, where `token` first stands; the first place where it does not.
    pub(super) fn first_places_of(&self, token: u32) -> impl Iterator<Item = usize> {
        let place = move |row: &Row| row.iter().position(|&id| id == token).unwrap_or(0);
        self.0.iter().map(place)
    }

    /// `[rows, 77]` on `device`.
    pub(super) fn on(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i32> = self.0.iter().flatten().map(|&id| id as i32).collect();
        Tensor::from_data(TensorData::new(ids, [self.0.len(), ROW_LENGTH]), device)
    }
}

impl From<Vec<Row>> for TokenRows {
    fn from(rows: Vec<Row>) -> Self {
        Self(rows)
    }
}

impl FromIterator<Row> for TokenRows {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Self(rows.into_iter().collect())
    }
}
