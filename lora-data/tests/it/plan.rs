//! The epoch plan and the caption draws, over many random datasets.

use std::{collections::HashMap, num::NonZeroUsize};

use lora_data::{
    CaptionConfig, DataError, Dataset, Entry, Exposure, Pixels, Resolution, Showing, View,
    epoch_plan, exposures_per_epoch, steps_per_epoch,
};
use proptest::prelude::*;

/// Pictures that nobody looks at.
struct Pictures(Vec<Entry>);

impl Dataset for Pictures {
    fn entries(&self) -> &[Entry] {
        &self.0
    }

    fn pixels(&self, _: usize, _: &View) -> Result<Pixels, DataError> {
        unreachable!("a plan looks at no pixels")
    }
}

fn at(seed: u64, epoch: u64, ordinal: u64) -> Showing {
    Showing {
        seed,
        epoch,
        ordinal,
        ..Showing::default()
    }
}

fn entries(repeats: &[u32]) -> Vec<Entry> {
    let entry = |&repeats| Entry {
        image: "a.png".into(),
        caption: "a".into(),
        folder: "set".into(),
        repeats,
        size: (8, 8),
        target: Resolution::default(),
        subset: 0,
    };
    repeats.iter().map(entry).collect()
}

fn order(repeats: &[u32], seed: u64, epoch: u64) -> Vec<Exposure> {
    epoch_plan(&Pictures(entries(repeats)), NonZeroUsize::MIN, seed, epoch).concat()
}

fn some_repeats() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(1..12_u32, 1..20)
}

fn some_batch_size() -> impl Strategy<Value = NonZeroUsize> {
    (1..9_usize).prop_map(|size| NonZeroUsize::new(size).unwrap())
}

proptest! {
    #[test]
    fn every_copy_of_every_picture_is_shown_once(repeats in some_repeats(), seed: u64, epoch: u64) {
        let mut shown: Vec<_> = order(&repeats, seed, epoch).iter().map(|one| (one.index, one.copy)).collect();
        shown.sort_unstable();
        let expected: Vec<_> =
            repeats.iter().enumerate().flat_map(|(index, &repeats)| (0..repeats).map(move |copy| (index, copy))).collect();
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn ordinals_count_the_epoch(repeats in some_repeats(), seed: u64, epoch: u64) {
        let shown = order(&repeats, seed, epoch);
        prop_assert!(shown.iter().map(|one| one.ordinal).eq(0..exposures_per_epoch(&entries(&repeats))));
    }

    #[test]
    fn batches_cut_the_order_without_changing_it(
        repeats in some_repeats(), batch_size in some_batch_size(), seed: u64, epoch: u64,
    ) {
        let entries = entries(&repeats);
        let plan = epoch_plan(&Pictures(entries.clone()), batch_size, seed, epoch);
        prop_assert_eq!(plan.len() as u64, steps_per_epoch(&Pictures(entries.clone()), batch_size));
        let (last, full) = plan.split_last().unwrap();
        prop_assert!(full.iter().all(|batch| batch.len() == batch_size.get()));
        prop_assert!((1..=batch_size.get()).contains(&last.len()));
        prop_assert_eq!(plan.concat(), order(&repeats, seed, epoch));
    }

    #[test]
    fn the_plan_is_a_function_of_seed_and_epoch(repeats in some_repeats(), seed: u64, epoch: u64) {
        prop_assert_eq!(order(&repeats, seed, epoch), order(&repeats, seed, epoch));
    }

    #[test]
    fn other_epochs_and_seeds_go_other_ways(seed: u64, epoch in 0..u64::MAX) {
        // 24 pictures: two equal orders by chance are one in 24!.
        let indices = |seed, epoch| order(&[1; 24], seed, epoch).iter().map(|one| one.index).collect::<Vec<_>>();
        prop_assert_ne!(indices(seed, epoch), indices(seed, epoch + 1));
        prop_assert_ne!(indices(seed, epoch), indices(seed ^ 1, epoch));
    }

    #[test]
    fn with_equal_repeats_every_stretch_shows_every_picture_once(
        pictures in 1..20_usize, repeats in 1..12_u32, seed: u64, epoch: u64,
    ) {
        for (copy, stretch) in order(&vec![repeats; pictures], seed, epoch).chunks(pictures).enumerate() {
            let mut indices: Vec<_> = stretch.iter().map(|one| one.index).collect();
            indices.sort_unstable();
            prop_assert!(indices.into_iter().eq(0..pictures));
            prop_assert!(stretch.iter().all(|one| one.copy as usize == copy));
        }
    }

    #[test]
    fn shuffling_keeps_the_first_tags_and_loses_none(
        tags in prop::collection::vec("[a-z]{1,6}( [a-z]{1,6})?", 0..10),
        keep_tokens in 0..12_usize, seed: u64, epoch: u64, ordinal: u64,
    ) {
        let config = CaptionConfig { shuffle: true, keep_tokens, ..CaptionConfig::default() };
        let caption = tags.join(",");
        let words = config.render(&caption, &at(seed, epoch, ordinal));
        prop_assert_eq!(&words, &config.render(&caption, &at(seed, epoch, ordinal)));
        let mut shuffled: Vec<_> = words.split(", ").filter(|tag| !tag.is_empty()).collect();
        let kept = keep_tokens.min(tags.len());
        prop_assert_eq!(&shuffled[..kept], &tags[..kept]);
        let mut all = tags.clone();
        all.sort_unstable();
        shuffled.sort_unstable();
        prop_assert_eq!(shuffled, all);
    }
}

#[test]
fn the_order_is_not_the_order_of_the_folder() {
    let unmoved = order(&[1; 100], 3, 0)
        .iter()
        .filter(|one| one.index as u64 == one.ordinal)
        .count();
    assert!(unmoved < 10, "{unmoved}");
}

/// Copies of a picture with few repeats are spread among those of one with many.
#[test]
fn unequal_repeats_are_spread_over_the_epoch() {
    let shown = order(&[100, 2], 11, 0);
    let places: Vec<_> = shown
        .iter()
        .filter(|one| one.index == 1)
        .map(|one| one.ordinal)
        .collect();
    assert!(places[0] <= 51 && places[1] >= 50, "{places:?}");
}

#[test]
fn every_place_in_the_epoch_is_as_likely_for_every_picture() {
    let mut first = HashMap::new();
    for epoch in 0..4000 {
        *first.entry(order(&[1; 4], 17, epoch)[0].index).or_insert(0) += 1;
    }
    // Binomial(4000, 1/4): the mean is 1000, four standard deviations are 110.
    assert!(
        (0..4).all(|index| (890..=1110).contains(&first[&index])),
        "{first:?}"
    );
}

#[test]
fn tags_move_and_showings_differ() {
    let config = CaptionConfig {
        shuffle: true,
        keep_tokens: 1,
        ..CaptionConfig::default()
    };
    let caption = "trigger, a, b, c, d, e, f, g, h";
    let drawn: std::collections::HashSet<_> = (0..50)
        .map(|ordinal| config.render(caption, &at(1, 0, ordinal)))
        .collect();
    assert!(drawn.len() > 45, "{}", drawn.len());
    assert_ne!(
        config.render(caption, &at(1, 0, 0)),
        config.render(caption, &at(1, 1, 0))
    );
}

#[test]
fn steps_are_the_ceiling_of_exposures_over_the_batch() {
    // 10 pictures × 150 repeats: 1,500 steps an epoch at batch 1, 300 at batch 5, 215 at batch 7.
    let entries = entries(&[150; 10]);
    for (batch_size, steps) in [(1, 1500), (5, 300), (7, 215)] {
        assert_eq!(
            steps_per_epoch(
                &Pictures(entries.clone()),
                NonZeroUsize::new(batch_size).unwrap()
            ),
            steps
        );
    }
}
