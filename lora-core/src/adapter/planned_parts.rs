//! What adapters will hold, told from shapes alone.

use super::{
    Algorithm, LoraSpec, LoraStart, ResolvedLayer, SiteShape, Sites,
    fresh::{FactorShape, kronecker_shapes},
    inject::visit_named,
};

/// A trained matrix of an adapter that is not made yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMatrix {
    /// The key that it has in a file.
    pub key: String,
    /// Rows and columns while it is trained.
    pub dims: [usize; 2],
    /// Its shape in a file.
    pub in_file: Vec<usize>,
}

/// Adapters that are not made yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedAdapters {
    /// Their names in a file, each of which has an alpha there, too.
    pub modules: Vec<String>,
    /// Their matrices.
    pub matrices: Vec<PlannedMatrix>,
}

impl PlannedAdapters {
    /// Keys and shapes of all tensors in a file.
    pub fn in_file(&self) -> Vec<(String, Vec<usize>)> {
        let alphas = self
            .modules
            .iter()
            .map(|name| (format!("{name}.alpha"), Vec::new()));
        let matrices = self.matrices.iter();
        let matrices = matrices.map(|matrix| (matrix.key.clone(), matrix.in_file.clone()));
        matrices.chain(alphas).collect()
    }
}

/// Adds the adapters that [`inject`](super::inject) would put into `network`.
pub fn plan_adapters(network: &mut dyn Sites, spec: &LoraSpec, planned: &mut PlannedAdapters) {
    let naming = network.naming();
    visit_named(network, |target, name, site| {
        let shape = site.shape();
        let layer = spec.layer(&naming, site.path, shape);
        if !spec.targets.contains(&target) || layer.lr == 0.0 {
            return;
        }
        planned.modules.push(name.to_owned());
        let is_pair = spec.algorithm == Algorithm::Lora;
        // A pair that did not start from nothing has what it started from in the file, too.
        let in_file_twice = is_pair && spec.start == LoraStart::Pissa;
        let parts = parts(spec, layer, shape).into_iter();
        planned.matrices.extend(parts.map(|(part, dims)| {
            let [rows, columns] = dims;
            let stored = match (part, in_file_twice) {
                ("lora_down.weight", true) => [2 * rows, columns],
                ("lora_up.weight", true) => [rows, 2 * columns],
                _ => dims,
            };
            PlannedMatrix {
                key: format!("{name}.{part}"),
                dims,
                in_file: part_in_file(part, stored, shape),
            }
        }));
    });
}

/// Names and sizes of a fresh adapter's matrices; what [`fresh`](super::fresh::fresh) makes.
fn parts(
    spec: &LoraSpec,
    layer: ResolvedLayer,
    shape: SiteShape,
) -> Vec<(&'static str, [usize; 2])> {
    let (outputs, receptive, rank) = (shape.outputs, shape.receptive(), layer.rank);
    let mut parts = match spec.algorithm {
        Algorithm::Lora => vec![
            ("lora_down.weight", [rank, receptive]),
            ("lora_up.weight", [outputs, rank]),
        ],
        Algorithm::Loha => vec![
            ("hada_w1_a", [outputs, rank]),
            ("hada_w1_b", [rank, receptive]),
            ("hada_w2_a", [outputs, rank]),
            ("hada_w2_b", [rank, receptive]),
        ],
        Algorithm::Lokr => {
            let [w1, w2] = kronecker_shapes(spec, shape, rank);
            let names = [
                ["lokr_w1", "lokr_w1_a", "lokr_w1_b"],
                ["lokr_w2", "lokr_w2_a", "lokr_w2_b"],
            ];
            let factors = [w1, w2].into_iter().zip(names);
            factors
                .flat_map(|(factor, [whole, first, second])| match factor {
                    FactorShape::Whole(dims) => vec![(whole, dims)],
                    FactorShape::Pair([rows, columns]) => {
                        vec![(first, [rows, rank]), (second, [rank, columns])]
                    }
                })
                .collect()
        }
    };
    if spec.dora {
        parts.push(("dora_scale", [outputs, 1]));
    }
    parts
}

/// The shape that a matrix has in a file, as LyCORIS writes it.
pub(super) fn part_in_file(
    part: &str,
    [rows, columns]: [usize; 2],
    shape: SiteShape,
) -> Vec<usize> {
    match (part, shape.kernel) {
        ("lora_down.weight", _) => shape.down_in_file(rows),
        ("lora_up.weight", _) => shape.up_in_file(columns),
        ("dora_scale", Some(_)) => vec![rows, 1, 1, 1],
        ("lokr_w2", Some([height, width])) => {
            vec![rows, columns / (height * width), height, width]
        }
        _ => vec![rows, columns],
    }
}
