use std::collections::BTreeMap;

use lora_data::Dataset;
use serde::Serialize;

/// One folder of a plan: how much of an epoch its pictures take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FolderPlan {
    /// The folder's name, such as `10_sks dog`.
    pub folder: String,
    /// Whether its pictures show the class and not the subject.
    pub regularisation: bool,
    /// The factor of its pictures' loss.
    pub loss_weight: f64,
    /// Pictures.
    pub pictures: usize,
    /// Showings of one epoch.
    pub exposures: u64,
    /// The part of an epoch's showings that are of it, 0 to 1.
    pub share: f64,
}

/// The folders of a dataset, in the order of their first pictures.
pub fn folder_plans(data: &dyn Dataset) -> Vec<FolderPlan> {
    let mut places: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    let mut plans: Vec<FolderPlan> = Vec::new();
    for entry in data.entries() {
        let place = *places
            .entry((&entry.folder, entry.subset))
            .or_insert_with(|| {
                let subset = data.subsets().get(entry.subset);
                plans.push(FolderPlan {
                    folder: entry.folder.clone(),
                    regularisation: subset.is_some_and(|subset| subset.regularisation),
                    loss_weight: subset.map_or(1.0, |subset| subset.loss_weight),
                    pictures: 0,
                    exposures: 0,
                    share: 0.0,
                });
                plans.len() - 1
            });
        plans[place].pictures += 1;
        plans[place].exposures += u64::from(entry.repeats);
    }
    let all: u64 = plans.iter().map(|plan| plan.exposures).sum();
    for plan in &mut plans {
        plan.share = plan.exposures as f64 / all.max(1) as f64;
    }
    plans
}
