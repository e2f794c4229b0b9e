use std::{collections::BTreeMap, num::NonZeroUsize};

use rand::RngExt;

use crate::{
    Dataset, Entry,
    random_stream::{Purpose, random_stream},
};

/// One showing of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exposure {
    /// The picture's index in the dataset.
    pub index: usize,
    /// Which of the picture's repeats this is, from 0.
    pub copy: u32,
    /// The showing's place in its epoch, from 0: with the seed and the epoch it determines every random draw about it.
    pub ordinal: u64,
}

/// The batches of one epoch: a pure function of the entries, the batch sizes, the seed and the epoch.
///
/// Each picture is shown `repeats` times. The shuffle is stratified: an epoch is cut into as many equal stretches as the
/// picture has repeats, and each copy falls at random within its own stretch, so a picture is neither clustered nor long
/// unseen. The batch size cuts the order and does not change it.
///
/// Only pictures of one bucket and one batch size share a batch; the last batch of each such group may be smaller. Batches
/// follow one another by their first showing, so that groups are mixed over the whole epoch.
pub fn epoch_plan(
    data: &dyn Dataset,
    batch_size: NonZeroUsize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<Exposure>> {
    let mut order = placed_copies(data.entries(), seed, epoch);
    order.sort_unstable();
    let mut groups: BTreeMap<Group, Vec<Exposure>> = BTreeMap::new();
    for (Placed { index, copy, .. }, ordinal) in order.into_iter().zip(0..) {
        let exposure = Exposure {
            index,
            copy,
            ordinal,
        };
        groups
            .entry(group(data, index, batch_size))
            .or_default()
            .push(exposure);
    }
    let mut batches: Vec<Vec<Exposure>> = groups
        .iter()
        .flat_map(|((_, batch_size), exposures)| exposures.chunks(*batch_size))
        .map(<[_]>::to_vec)
        .collect();
    batches.sort_unstable_by_key(|batch| batch[0].ordinal);
    batches
}

/// What pictures of one batch have in common: width and height they are trained at, and pictures of a batch.
type Group = ((u32, u32), usize);

fn group(data: &dyn Dataset, index: usize, batch_size: NonZeroUsize) -> Group {
    let entry = &data.entries()[index];
    let own = data
        .subsets()
        .get(entry.subset)
        .and_then(|subset| subset.batch_size);
    (
        (entry.target.width, entry.target.height),
        own.unwrap_or(batch_size).get(),
    )
}

/// How many pictures an epoch shows, each counted once per repeat.
pub fn exposures_per_epoch(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.repeats)).sum()
}

/// The number of batches of [`epoch_plan()`]: `ceil(images × repeats / batch size)` of each bucket, added up.
pub fn steps_per_epoch(data: &dyn Dataset, batch_size: NonZeroUsize) -> u64 {
    let mut groups: BTreeMap<Group, u64> = BTreeMap::new();
    for (index, entry) in data.entries().iter().enumerate() {
        *groups.entry(group(data, index, batch_size)).or_default() += u64::from(entry.repeats);
    }
    groups
        .iter()
        .map(|((_, batch_size), showings)| showings.div_ceil(*batch_size as u64))
        .sum()
}

/// One copy of a picture at its place in the epoch. The order of the fields is the order of sorting.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    place: u64,
    index: usize,
    copy: u32,
}

fn placed_copies(entries: &[Entry], seed: u64, epoch: u64) -> Vec<Placed> {
    let mut random = random_stream(Purpose::EpochPlan, seed, epoch, 0);
    let copies = entries.iter().enumerate().flat_map(|(index, entry)| {
        (0..entry.repeats).map(move |copy| (index, copy, entry.repeats))
    });
    copies
        .map(|(index, copy, repeats)| Placed {
            place: place(copy, repeats, random.random()),
            index,
            copy,
        })
        .collect()
}

/// `(copy + within) / repeats` of the epoch, in units of 2⁻⁶⁴, for `within` in units of 2⁻³² of the copy's stretch.
///
/// Whole numbers keep copies of one picture strictly apart and in order, on every machine.
fn place(copy: u32, repeats: u32, within: u32) -> u64 {
    let stretch = (u128::from(copy) << 32) | u128::from(within);
    ((stretch << 32) / u128::from(repeats)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataError, Pixels, Resolution, View};

    struct Pictures(Vec<Entry>);

    impl Dataset for Pictures {
        fn entries(&self) -> &[Entry] {
            &self.0
        }

        fn pixels(&self, _: usize, _: &View) -> Result<Pixels, DataError> {
            unreachable!("a plan looks at no pixels")
        }
    }

    #[test]
    fn copies_stay_within_their_stretch() {
        for repeats in [2, 3, 7, 1000, u32::MAX] {
            for copy in [0, repeats / 2 - 1, repeats - 2] {
                assert!(
                    place(copy, repeats, u32::MAX) < place(copy + 1, repeats, 0),
                    "{copy} of {repeats}"
                );
                assert!(
                    place(copy, repeats, 0) < place(copy, repeats, u32::MAX),
                    "{copy} of {repeats}"
                );
            }
        }
        assert_eq!(place(0, 9, 0), 0);
        assert_eq!(place(1, 2, 0), 1 << 63);
        assert_eq!(place(2, 3, u32::MAX), u64::MAX - u64::from(u32::MAX) / 3);
    }

    /// The order is part of what makes a run reproducible: changing it changes results.
    #[test]
    fn order_is_pinned() {
        let pictures = Pictures([2, 1, 3].map(entry).into());
        let batch_size = NonZeroUsize::new(4).unwrap();
        let shown: Vec<Vec<_>> = epoch_plan(&pictures, batch_size, 5, 1)
            .iter()
            .map(|batch| {
                batch
                    .iter()
                    .map(|exposure| (exposure.index, exposure.copy))
                    .collect()
            })
            .collect();
        assert_eq!(
            shown,
            [vec![(2, 0), (0, 0), (2, 1), (0, 1)], vec![(2, 2), (1, 0)]]
        );
    }

    fn entry(repeats: u32) -> Entry {
        Entry {
            image: "a.png".into(),
            caption: String::new(),
            folder: String::new(),
            repeats,
            size: (1, 1),
            target: Resolution::default(),
            subset: 0,
        }
    }
}
