use std::collections::BTreeSet;

use crate::{Entry, Problem, Subset, findings::Findings};

/// Gives regularisation pictures as many showings as all others have together, as kohya's sd-scripts do
/// (`DreamBoothDataset`): each keeps its repeats in the first round, then each gets one more in turn until the numbers
/// are equal. Pictures whose turn never came are left out.
///
/// `datasets` has the dataset of each subset: every dataset is balanced by itself.
pub(crate) fn balance(
    entries: &mut Vec<Entry>,
    subsets: &[Subset],
    datasets: &[usize],
    findings: &mut Findings,
) {
    let all: BTreeSet<usize> = datasets.iter().copied().collect();
    for dataset in all {
        let is_of_it = |entry: &Entry| datasets[entry.subset] == dataset;
        balance_one(entries, subsets, &is_of_it, findings);
    }
}

fn balance_one(
    entries: &mut Vec<Entry>,
    subsets: &[Subset],
    is_of_it: &dyn Fn(&Entry) -> bool,
    findings: &mut Findings,
) {
    let is_regularisation = |entry: &Entry| subsets[entry.subset].regularisation;
    let places: Vec<usize> = (0..entries.len())
        .filter(|&index| is_of_it(&entries[index]) && is_regularisation(&entries[index]))
        .collect();
    if places.is_empty() {
        return;
    }
    let wanted: u64 = entries
        .iter()
        .filter(|entry| is_of_it(entry) && !is_regularisation(entry))
        .map(|entry| u64::from(entry.repeats))
        .sum();
    if wanted == 0 {
        findings.problems.push(Problem::Setting {
            setting: "regularisation",
            value: "true".to_owned(),
            expected: "other pictures beside those for regularisation, which only go along with them",
        });
        return;
    }
    let (used, shown) = first_round(entries, &places, wanted);
    even_out(entries, &places[..used], wanted.saturating_sub(shown));
    let unused = places.len() - used;
    if unused > 0 {
        findings.notes.push(format!(
            "{unused} of {} regularisation pictures are not used: the {wanted} showings of the others are reached before",
            places.len()
        ));
    }
    findings.notes.push(format!(
        "{used} regularisation pictures are shown {} times in an epoch, beside {wanted} of the others",
        wanted.max(shown)
    ));
    let left_out = &places[used..];
    let mut index = 0;
    entries.retain(|_| {
        index += 1;
        left_out.binary_search(&(index - 1)).is_err()
    });
}

/// How many pictures are reached with their own repeats, and how many showings that makes.
fn first_round(entries: &[Entry], places: &[usize], wanted: u64) -> (usize, u64) {
    let mut shown = 0;
    for (count, &place) in places.iter().enumerate() {
        if shown >= wanted {
            return (count, shown);
        }
        shown += u64::from(entries[place].repeats);
    }
    (places.len(), shown)
}

/// One more showing for each in turn, `missing` times.
fn even_out(entries: &mut [Entry], places: &[usize], missing: u64) {
    let count = places.len() as u64;
    if count == 0 {
        return;
    }
    for (place, turn) in places.iter().zip(0..) {
        let more = missing / count + u64::from(turn < missing % count);
        let repeats = &mut entries[*place].repeats;
        *repeats = repeats.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AugmentConfig, CaptionConfig, Resolution};

    fn subset() -> Subset {
        Subset {
            caption: CaptionConfig::default(),
            augment: AugmentConfig::default(),
            regularisation: false,
            loss_weight: 1.0,
            buckets: None,
            batch_size: None,
        }
    }

    fn entry(subset: usize, repeats: u32) -> Entry {
        Entry {
            image: "a.png".into(),
            caption: String::new(),
            folder: String::new(),
            repeats,
            size: (1, 1),
            target: Resolution::default(),
            subset,
        }
    }

    fn balanced(training: &[u32], regularisation: &[u32]) -> Vec<u32> {
        let subset = |regularisation| Subset {
            regularisation,
            ..subset()
        };
        let training = training.iter().map(|repeats| entry(0, *repeats));
        let regularisation = regularisation.iter().map(|repeats| entry(1, *repeats));
        let mut entries: Vec<Entry> = training.chain(regularisation).collect();
        balance(
            &mut entries,
            &[subset(false), subset(true)],
            &[0, 0],
            &mut Findings::default(),
        );
        let regularisation = entries.iter().filter(|entry| entry.subset == 1);
        regularisation.map(|entry| entry.repeats).collect()
    }

    #[test]
    fn every_dataset_is_balanced_by_itself() {
        let subset = |regularisation| Subset {
            regularisation,
            ..subset()
        };
        let mut entries = vec![entry(0, 5), entry(1, 1), entry(2, 3), entry(3, 1)];
        balance(
            &mut entries,
            &[subset(false), subset(true), subset(false), subset(true)],
            &[1, 1, 2, 2],
            &mut Findings::default(),
        );
        let repeats: Vec<u32> = entries.iter().map(|entry| entry.repeats).collect();
        assert_eq!(repeats, [5, 5, 3, 3]);
    }

    /// The numbers are those of kohya's loop, worked out by hand.
    #[test]
    fn showings_are_evened_out_in_turn() {
        assert_eq!(balanced(&[5, 5], &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(balanced(&[4], &[2, 2]), [2, 2]);
        assert_eq!(balanced(&[3], &[2, 2, 2]), [2, 2]);
        assert_eq!(balanced(&[10], &[]), [0_u32; 0]);
    }
}
