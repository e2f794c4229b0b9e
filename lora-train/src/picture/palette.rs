//! The colours of every picture: dark ink on white paper, and a blue and an orange that colour-blind readers can tell
//! apart.

use image::Rgb;

/// The background.
pub(super) const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
/// Text that is read first.
pub(super) const INK: Rgb<u8> = Rgb([24, 28, 37]);
/// Text that is read second: axis labels, subtitles.
pub(super) const MUTED: Rgb<u8> = Rgb([99, 107, 122]);
/// Grid lines, and the ground of a cell that has no picture.
pub(super) const RULE: Rgb<u8> = Rgb([228, 231, 237]);
/// The training loss.
pub(super) const LOSS: Rgb<u8> = Rgb([37, 99, 235]);
/// The training loss in which all timesteps count the same.
pub(super) const BALANCED: Rgb<u8> = Rgb([147, 51, 173]);
/// The held-out loss.
pub(super) const HELD_OUT: Rgb<u8> = Rgb([217, 83, 15]);
/// The learning rate.
pub(super) const RATE: Rgb<u8> = Rgb([20, 140, 118]);
/// Curves that are compared with one another, in turn.
pub(super) const CURVES: [Rgb<u8>; 6] = [LOSS, HELD_OUT, RATE, BALANCED, Rgb([161, 118, 0]), MUTED];
/// Stretches of timesteps, from the least noise to the most: viridis (van der Walt and Smith, CC0), whose yellow end is left
/// out because it cannot be seen on paper.
pub(super) const TIMESTEPS: [Rgb<u8>; 10] = [
    Rgb([68, 1, 84]),
    Rgb([72, 33, 115]),
    Rgb([67, 62, 133]),
    Rgb([56, 88, 140]),
    Rgb([45, 112, 142]),
    Rgb([37, 133, 142]),
    Rgb([30, 155, 138]),
    Rgb([42, 176, 127]),
    Rgb([82, 197, 105]),
    Rgb([134, 213, 73]),
];
