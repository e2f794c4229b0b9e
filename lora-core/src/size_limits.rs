//! What sizes a config may ask for, checked before anything is built: no number in a file shall make the program fail or
//! ask for memory that nobody has.
//!
//! The limits lie well above all published models and far below where shapes overflow.

use std::ops::RangeInclusive;

/// A field that cannot be followed, and its value as it is told to the user.
pub(crate) type Refused = (&'static str, String);

/// Channels, or the width of states.
pub(crate) const WIDTH: RangeInclusive<usize> = 1..=1 << 16;
/// Resolutions of a network. The original layout's names are known for as many.
const LEVELS: RangeInclusive<usize> = 1..=8;
/// Resnets of a level. The original layout's names are known for as many.
pub(crate) const LAYERS_PER_BLOCK: RangeInclusive<usize> = 1..=8;
/// Transformer blocks one behind the other.
pub(crate) const TRANSFORMER_LAYERS: RangeInclusive<usize> = 1..=128;

/// The first size outside its range.
pub(crate) fn outside<const N: usize>(
    sizes: [(&'static str, usize, RangeInclusive<usize>); N],
) -> Option<Refused> {
    let found = sizes
        .into_iter()
        .find(|(_, size, range)| !range.contains(size));
    found.map(|(field, size, _)| (field, size.to_string()))
}

/// Too many levels, none, one without width, or one whose width the groups of its norms do not divide.
pub(crate) fn unfit_levels(widths: &[usize], groups: usize) -> Option<Refused> {
    let fit = LEVELS.contains(&widths.len()) && widths.iter().all(|width| WIDTH.contains(width));
    if !fit {
        return Some(("block_out_channels", format!("{widths:?}")));
    }
    let mut widths = widths.iter();
    widths.find_map(|&width| undivided("norm_num_groups", groups, width))
}

/// `parts` of `width` channels that are none, or not of the same size.
pub(crate) fn undivided(field: &'static str, parts: usize, width: usize) -> Option<Refused> {
    (parts == 0 || !width.is_multiple_of(parts))
        .then(|| (field, format!("{parts} for {width} channels")))
}
