//! Multiplying a scale into two factors.

/// Two factors whose product is `scale`, for the down and the up factor; the first is a power of two.
///
/// Scales down to a quarter go into the up factor. Smaller ones are shared, because F16 would lose digits of very small
/// numbers.
pub(crate) fn split_scale(scale: f32) -> (f32, f32) {
    let (mut down, mut up) = (1.0, scale);
    while up != 0.0 && up.abs() * 4.0 < down {
        down /= 2.0;
        up *= 2.0;
    }
    (down, up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_scales_are_shared_by_both_factors() {
        for (scale, expected) in [
            (1.0, (1.0, 1.0)),
            (0.5, (1.0, 0.5)),
            (0.25, (1.0, 0.25)),
            (0.125, (0.5, 0.25)),
            (-0.125, (0.5, -0.25)),
            (1.0 / 128.0, (0.125, 0.0625)),
            (3.0, (1.0, 3.0)),
            (0.0, (1.0, 0.0)),
        ] {
            assert_eq!(split_scale(scale), expected, "{scale}");
        }
    }
}
