use pulp::Arch;
use rayon::prelude::*;

/// Elements below which threads cost more than they save.
const ALONE: usize = 1 << 15;

/// Makes a vector of `length` zeros and lets `fill` fill it in pieces: `fill(first element, piece)`.
///
/// Pieces start and end at multiples of `unit`. `fill` is compiled for each instruction set and must be inlined.
pub(super) fn fill<F>(length: usize, unit: usize, fill: F) -> Vec<f32>
where
    F: Fn(usize, &mut [f32]) + Sync,
{
    let mut out = vec![0.0; length];
    let arch = Arch::new();
    let units = length / unit.max(1);
    if length <= ALONE || units < 2 {
        arch.dispatch(
            #[inline(always)]
            || fill(0, &mut out),
        );
        return out;
    }
    let pieces = units.min(2 * rayon::current_num_threads());
    let size = units.div_ceil(pieces) * unit;
    out.par_chunks_mut(size)
        .enumerate()
        .for_each(|(piece, out)| {
            arch.dispatch(
                #[inline(always)]
                || fill(piece * size, out),
            );
        });
    out
}
