use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tract_onnx::prelude::{
    Datum, DatumType, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TractResult, TypedRunnableModel, tvec,
};

use super::{OnnxError, model::guarded};

/// A tensor that a model gave.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxOutput {
    /// Its name in the model.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, the last dimension running fastest.
    pub values: Vec<f32>,
}

/// A model ready to run on inputs of one shape. Cheap to clone; threads may run one at the same time.
#[derive(Clone)]
pub struct OnnxRunner {
    path: PathBuf,
    shape: Vec<usize>,
    outputs: Vec<String>,
    plan: Arc<TypedRunnableModel>,
}

impl OnnxRunner {
    pub(super) fn new(
        path: &Path,
        graph: &InferenceModel,
        shape: &[usize],
        outputs: &[String],
    ) -> Result<Self, String> {
        let plan = guarded(|| {
            let fact = InferenceFact::dt_shape(DatumType::F32, shape);
            let graph = graph.clone().with_input_fact(0, fact)?;
            graph.into_optimized()?.into_runnable()
        })?;
        Ok(Self {
            path: path.into(),
            shape: shape.into(),
            outputs: outputs.into(),
            plan,
        })
    }

    /// The input's shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Runs the model on one input, the last dimension running fastest, and gives all outputs in the file's order.
    ///
    /// # Errors
    /// When `values` are not as many as the shape holds, or the arithmetic fails.
    pub fn run(&self, values: &[f32]) -> Result<Vec<OnnxOutput>, OnnxError> {
        if values.len() != self.shape.iter().product::<usize>() {
            return Err(OnnxError::Count {
                path: self.path.clone(),
                shape: self.shape.clone(),
                found: values.len(),
            });
        }
        guarded(|| {
            let input = Tensor::from_shape(&self.shape, values)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            self.outputs
                .iter()
                .zip(outputs.iter())
                .map(|(name, tensor)| named(name, tensor))
                .collect()
        })
        .map_err(|reason| OnnxError::Run {
            path: self.path.clone(),
            reason,
        })
    }
}

fn named(name: &str, tensor: &Tensor) -> TractResult<OnnxOutput> {
    let tensor = tensor.cast_to_dt(f32::datum_type())?;
    Ok(OnnxOutput {
        name: name.to_owned(),
        shape: tensor.shape().to_vec(),
        values: tensor
            .to_plain_array_view::<f32>()?
            .iter()
            .copied()
            .collect(),
    })
}

impl fmt::Debug for OnnxRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxRunner")
            .field("path", &self.path)
            .field("shape", &self.shape)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}
