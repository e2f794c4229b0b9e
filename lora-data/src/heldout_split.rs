use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Entry, Problem, Subset,
    findings::{Findings, file_name},
    folder_listing::stem,
    prepare::{COPY_BITS, PerceptualHash},
};

/// How many pictures are kept out of training: a whole number is pictures, a number with a point a part of all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number of pictures such as 4, or a part of all such as 0.1"
)]
pub enum SplitSize {
    /// So many pictures.
    Pictures(usize),
    /// This part of all, between 0 and 1, rounded to whole pictures and at least one.
    Part(f64),
}

impl SplitSize {
    /// Of `all` pictures so many.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Pictures(count) => count,
            Self::Part(part) => ((part * all as f64).round() as usize).max(1),
        }
    }

    /// Whether it can be followed at all: some pictures, and not all of them.
    pub fn is_sound(self) -> bool {
        match self {
            Self::Pictures(count) => count > 0,
            Self::Part(part) => part > 0.0 && part < 1.0,
        }
    }
}

/// Which pictures are taken out of a dataset to measure by.
///
/// Each picture has a number of its own, the SHA-256 of the seed, its folder's name and its file's name, and those with
/// the lowest are taken: so a picture more or less changes little about the others, and where the folders lie does not
/// matter. Copies of one another, and the crops that `lora faces` cut of a picture, stay on one side. Each folder keeps
/// at least one picture, and regularisation pictures are left where they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldoutSplit {
    /// How many.
    pub size: SplitSize,
    /// The seed of the choice.
    pub seed: u64,
}

/// Pictures that stay together, by their place among all entries.
struct Unit {
    members: Vec<usize>,
    key: [u8; 32],
}

impl HeldoutSplit {
    /// Takes the pictures out of `entries`; `looks` has what each looks like, where it could be read.
    pub(crate) fn take_out(
        &self,
        entries: &mut Vec<Entry>,
        looks: &[Option<PerceptualHash>],
        subsets: &[Subset],
        findings: &mut Findings,
    ) -> Vec<Entry> {
        let own: Vec<usize> = (0..entries.len())
            .filter(|&index| !subsets[entries[index].subset].regularisation)
            .collect();
        let wanted = self.size.of(own.len());
        if !self.size.is_sound() || wanted >= own.len() {
            findings.problems.push(self.problem(
                "a part between 0 and 1 of the training pictures, or fewer than all of them",
            ));
            return Vec::new();
        }
        let taken = chosen(&units(&own, entries, looks, self.seed), entries, wanted);
        if taken.is_empty() {
            findings.problems.push(self.problem(
                "pictures that can be spared: each folder keeps at least one, and copies stay together; name other \
                 pictures as heldout.folder",
            ));
        }
        if !taken.is_empty() && taken.len() != wanted {
            findings.notes.push(format!(
                "heldout.split asks for {wanted} pictures and takes {}: each folder keeps at least one, and copies and \
                 face crops stay with their picture",
                taken.len()
            ));
        }
        let mut index = 0;
        let is_taken = |_: &mut Entry| {
            index += 1;
            taken.contains(&(index - 1))
        };
        entries.extract_if(.., is_taken).collect()
    }

    fn problem(&self, expected: &'static str) -> Problem {
        let value = match self.size {
            SplitSize::Pictures(count) => count.to_string(),
            SplitSize::Part(part) => part.to_string(),
        };
        Problem::Setting {
            setting: "heldout.split",
            value,
            expected,
        }
    }
}

/// The places of the pictures to take.
fn chosen(units: &[Unit], entries: &[Entry], wanted: usize) -> Vec<usize> {
    let concept = |&index: &usize| (entries[index].subset, entries[index].folder.as_str());
    let mut left: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for member in units.iter().flat_map(|unit| &unit.members) {
        *left.entry(concept(member)).or_default() += 1;
    }
    let mut taken: Vec<usize> = Vec::new();
    let mut spared: Vec<&Unit> = Vec::new();
    for unit in units {
        let mut after = left.clone();
        for member in &unit.members {
            // Every member was counted above.
            *after.entry(concept(member)).or_default() -= 1;
        }
        if after.values().any(|&pictures| pictures == 0) {
            continue;
        }
        if taken.len() + unit.members.len() <= wanted {
            left = after;
            taken.extend(&unit.members);
        } else {
            spared.push(unit);
        }
    }
    // All have copies: then a few more are taken than were asked for, rather than none.
    if taken.is_empty() {
        let smallest = spared.iter().min_by_key(|unit| unit.members.len());
        taken.extend(smallest.iter().flat_map(|unit| &unit.members));
    }
    taken
}

/// What stays together, in the order in which it is taken.
fn units(
    own: &[usize],
    entries: &[Entry],
    looks: &[Option<PerceptualHash>],
    seed: u64,
) -> Vec<Unit> {
    // The place of another member of the unit, or the own one at its root.
    let mut roots: BTreeMap<usize, usize> = own.iter().map(|&index| (index, index)).collect();
    for (place, &one) in own.iter().enumerate() {
        for &other in &own[..place] {
            if is_copy(looks[one].as_ref(), looks[other].as_ref())
                || is_crop_of(&entries[one], &entries[other])
            {
                let (a, b) = (root(&roots, one), root(&roots, other));
                roots.insert(a.max(b), a.min(b));
            }
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &index in own {
        members.entry(root(&roots, index)).or_default().push(index);
    }
    let mut units: Vec<Unit> = members
        .into_values()
        .map(|members| Unit {
            key: members
                .iter()
                .map(|&index| key(&entries[index], seed))
                .min()
                .unwrap_or_default(),
            members,
        })
        .collect();
    units.sort_by_key(|unit| (unit.key, unit.members[0]));
    units
}

fn root(roots: &BTreeMap<usize, usize>, mut index: usize) -> usize {
    while roots[&index] != index {
        index = roots[&index];
    }
    index
}

fn is_copy(one: Option<&PerceptualHash>, other: Option<&PerceptualHash>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| one.distance(other) <= COPY_BITS)
}

/// Whether either is a crop of the other by its name, `NAME_face1.png`, or both are crops of one picture.
fn is_crop_of(one: &Entry, other: &Entry) -> bool {
    let name = |entry: &Entry| stem(&entry.image).to_string_lossy().to_lowercase();
    let (one, other) = (name(one), name(other));
    let (uncut, others_uncut) = (without_face(&one), without_face(&other));
    uncut == others_uncut && (uncut != one || others_uncut != other)
}

/// A name without `_face1` at its end.
fn without_face(name: &str) -> &str {
    match name.rsplit_once("_face") {
        Some((before, number))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            before
        }
        _ => name,
    }
}

fn key(entry: &Entry, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(&entry.folder);
    hash.update([0]);
    hash.update(file_name(&entry.image));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AugmentConfig, CaptionConfig, Resolution};

    fn entry(subset: usize, path: &str) -> Entry {
        let (folder, _) = path.split_once('/').unwrap_or_default();
        Entry {
            image: path.into(),
            caption: String::new(),
            folder: folder.to_owned(),
            repeats: 1,
            size: (64, 64),
            target: Resolution::square(64),
            subset,
        }
    }

    fn subset(regularisation: bool) -> Subset {
        Subset {
            caption: CaptionConfig::default(),
            augment: AugmentConfig::default(),
            regularisation,
            loss_weight: 1.0,
            buckets: None,
            batch_size: None,
        }
    }

    /// A hash that differs from those of other numbers in many bits, but for the last three of its bits.
    fn look(number: u8, near: u8) -> Option<PerceptualHash> {
        let text = format!("{:0>63}{near:x}", "").replace('0', &format!("{:x}", number % 16));
        PerceptualHash::try_from(text).ok()
    }

    fn taken_of(
        paths: &[(usize, &str)],
        looks: &[Option<PerceptualHash>],
        size: SplitSize,
        seed: u64,
    ) -> (Vec<String>, Findings) {
        let mut entries: Vec<Entry> = paths.iter().map(|(of, path)| entry(*of, path)).collect();
        let mut findings = Findings::default();
        let subsets = [subset(false), subset(true)];
        let taken =
            HeldoutSplit { size, seed }.take_out(&mut entries, looks, &subsets, &mut findings);
        assert_eq!(taken.len() + entries.len(), paths.len());
        let names = taken.iter().map(|entry| entry.image.display().to_string());
        (names.collect(), findings)
    }

    fn names(count: usize) -> Vec<String> {
        (0..count)
            .map(|number| format!("a/{number:02}.png"))
            .collect()
    }

    fn of_names(names: &[String], size: SplitSize, seed: u64) -> Vec<String> {
        let paths: Vec<(usize, &str)> = names.iter().map(|name| (0, name.as_str())).collect();
        taken_of(&paths, &vec![None; names.len()], size, seed).0
    }

    #[test]
    fn a_part_or_a_number_is_taken_by_seed() {
        let names = names(20);
        assert_eq!(of_names(&names, SplitSize::Part(0.1), 1).len(), 2);
        assert_eq!(of_names(&names, SplitSize::Part(0.01), 1).len(), 1);
        let three = of_names(&names, SplitSize::Pictures(3), 1);
        assert_eq!(three.len(), 3);
        assert_eq!(of_names(&names, SplitSize::Pictures(3), 1), three);
        let others = (2..12).map(|seed| of_names(&names, SplitSize::Pictures(3), seed));
        assert!(others.filter(|other| *other == three).count() < 3);
    }

    #[test]
    fn a_picture_more_changes_at_most_one_of_those_taken() {
        for seed in 0..20 {
            let before = of_names(&names(20), SplitSize::Pictures(4), seed);
            let after = of_names(&names(21), SplitSize::Pictures(4), seed);
            let stayed = before.iter().filter(|name| after.contains(name)).count();
            assert!(stayed >= 3, "{before:?} {after:?}");
        }
    }

    #[test]
    fn every_folder_keeps_a_picture_and_regularisation_stays() {
        let paths = [
            (0, "a/1.png"),
            (0, "b/1.png"),
            (0, "b/2.png"),
            (1, "class/1.png"),
            (1, "class/2.png"),
        ];
        for seed in 0..20 {
            let (taken, findings) = taken_of(&paths, &[None; 5], SplitSize::Pictures(2), seed);
            assert!(
                taken.len() == 1 && taken[0].starts_with("b/"),
                "seed {seed}: {taken:?}"
            );
            assert!(
                findings.notes[0].contains("takes 1"),
                "{:?}",
                findings.notes
            );
        }
    }

    #[test]
    fn copies_and_face_crops_stay_together() {
        let paths = [
            (0, "a/1.png"),
            (0, "a/1 again.png"),
            (0, "a/2.png"),
            (0, "a/3.png"),
            (0, "face/2_face1.png"),
            (0, "face/3_face1.png"),
            (0, "face/4_face1.png"),
        ];
        let looks = [
            look(1, 1),
            look(1, 2),
            look(2, 2),
            look(4, 4),
            look(8, 8),
            look(7, 7),
            look(11, 11),
        ];
        let together = [
            ["a/1.png", "a/1 again.png"],
            ["a/2.png", "face/2_face1.png"],
            ["a/3.png", "face/3_face1.png"],
        ];
        let mut pairs = 0;
        for seed in 0..20 {
            let (taken, _) = taken_of(&paths, &looks, SplitSize::Pictures(2), seed);
            for pair in together {
                let both = pair.map(|name| taken.iter().any(|taken| taken == name));
                assert_eq!(both[0], both[1], "seed {seed}: {taken:?}");
                pairs += usize::from(both[0]);
            }
        }
        assert!(pairs > 5, "{pairs}");
        // Nothing but pairs: one is taken although one picture was asked for.
        let (taken, findings) = taken_of(
            &[
                (0, "a/1.png"),
                (0, "a/1 b.png"),
                (0, "a/2.png"),
                (0, "a/2 b.png"),
            ],
            &[look(1, 1), look(1, 1), look(2, 2), look(2, 2)],
            SplitSize::Pictures(1),
            1,
        );
        assert_eq!((taken.len(), findings.notes.len()), (2, 1));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let names = ["a/1.png", "a/2.png"].map(|name| (0, name));
        for size in [
            SplitSize::Pictures(0),
            SplitSize::Pictures(2),
            SplitSize::Part(0.0),
            SplitSize::Part(1.0),
            SplitSize::Part(0.9),
            SplitSize::Part(f64::NAN),
        ] {
            let (taken, findings) = taken_of(&names, &[None; 2], size, 1);
            assert!(
                taken.is_empty() && findings.problems.len() == 1,
                "{size:?}: {taken:?}"
            );
        }
        let (_, findings) = taken_of(
            &[(0, "a/1.png"), (0, "b/1.png")],
            &[None; 2],
            SplitSize::Pictures(1),
            1,
        );
        assert!(
            findings.problems[0].to_string().contains("can be spared"),
            "{:?}",
            findings.problems
        );
    }
}
