use std::{collections::BTreeMap, path::Path};

use crate::{Entry, Problem, exposures_per_epoch, findings::Findings};

/// Most exposures of an epoch. Its plan holds all of them in memory, and more come of a slip in a folder's name only:
/// at ten steps a second it would go on for four months.
const MOST: u64 = 100_000_000;

/// Refuses repeats that make an epoch absurdly long, before a plan is made of them.
pub(crate) fn check(entries: &[Entry], findings: &mut Findings) {
    let exposures = exposures_per_epoch(entries);
    if exposures <= MOST {
        return;
    }
    let mut folders: BTreeMap<&Path, u64> = BTreeMap::new();
    for entry in entries {
        let folder = entry.image.parent().unwrap_or(&entry.image);
        *folders.entry(folder).or_default() += u64::from(entry.repeats);
    }
    if let Some((path, in_folder)) = folders.into_iter().max_by_key(|(_, count)| *count) {
        findings.problems.push(Problem::TooManyExposures {
            path: path.into(),
            in_folder,
            exposures,
            most: MOST,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resolution;

    fn problems(repeats: &[(&str, u32)]) -> Vec<String> {
        let entries: Vec<Entry> = repeats
            .iter()
            .map(|(image, repeats)| Entry {
                image: image.into(),
                caption: String::new(),
                folder: String::new(),
                repeats: *repeats,
                size: (8, 8),
                target: Resolution::square(8),
                subset: 0,
            })
            .collect();
        let mut findings = Findings::default();
        check(&entries, &mut findings);
        findings.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_longest_epoch_is_allowed_and_the_next_names_the_longest_folder() {
        assert!(problems(&[("a/1.png", 60_000_000), ("b/1.png", 40_000_000)]).is_empty());
        assert_eq!(
            problems(&[
                ("a/1.png", 60_000_000),
                ("b/1.png", 40_000_000),
                ("b/2.png", 30_000_001),
            ]),
            [
                "b: 70000001 exposures an epoch by its repeats, 130000001 with all folders; more than 100000000 are not \
                 planned; use fewer repeats"
            ]
        );
    }
}
