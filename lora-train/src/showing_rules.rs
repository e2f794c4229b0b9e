//! How a showing looks at its picture and what it says: pure functions of (config, data, seed, epoch, showing).

use lora_data::{CaptionConfig, Dataset, Exposure, Showing, Subset, View};

use crate::FeedAt;

/// The group of a showing's picture, where the dataset has groups.
pub(crate) fn subset<'a>(data: &'a dyn Dataset, showing: &Exposure) -> Option<&'a Subset> {
    data.subsets().get(data.entries()[showing.index].subset)
}

/// How a showing looks at its picture.
pub(crate) fn view(data: &dyn Dataset, seed: u64, epoch: u64, showing: &Exposure) -> View {
    subset(data, showing).map_or(View::plain(), |subset| {
        View::draw(&subset.augment, seed, epoch, showing.ordinal)
    })
}

/// The words of a showing; `general` are the rules of pictures whose dataset has none of its own.
pub(crate) fn caption(
    general: &CaptionConfig,
    data: &dyn Dataset,
    seed: u64,
    at: FeedAt,
    showing: &Exposure,
) -> String {
    let rules = subset(data, showing).map_or(general, |subset| &subset.caption);
    let FeedAt { epoch, step, steps } = at;
    let at = Showing {
        seed,
        epoch,
        ordinal: showing.ordinal,
        step,
        steps,
    };
    rules.render(&data.entries()[showing.index].caption, &at)
}
