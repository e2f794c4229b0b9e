/// `eˣ` in f32 within two units in the last place, without branches, so that loops over it vectorise.
///
/// Splits `x = n·ln 2 + r` and takes a polynomial in r (Cephes' `expf`); n is added to the exponent's bits. Below −87 the
/// answer is the smallest normal number instead of a subnormal one, above 88 the largest power that is finite.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding and subtracting 1.5 · 2²³ rounds to whole numbers and leaves them in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let tail = ((((1.987_569_2e-4 * rest + 1.398_199_9e-3) * rest + 8.333_452e-3) * rest
        + 4.166_579_6e-2)
        * rest
        + 1.666_666_5e-1)
        * rest
        + 0.5;
    let power = tail * rest * rest + rest + 1.0;
    f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_within_two_units_of_the_exact_value() {
        for step in -870_000..880_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "{x}: {error:e}");
        }
        assert!(exp(f32::MIN) < 1e-37 && exp(200.0).is_finite());
        assert!((exp(0.0) - 1.0).abs() < f32::EPSILON);
    }
}
