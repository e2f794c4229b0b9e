//! Attention in blocks of queries: scores are computed, used and forgotten (Rabe and Staats 2021; the backward pass as in
//! FlashAttention, Dao et al. 2022). A block's scores stay in the processor's cache, and none are kept.

use pulp::Arch;
use rayon::prelude::*;

use super::{
    super::backend::Heads,
    exp::exp,
    gemm::{Into, Layout, Threads, multiply},
    softmax::{dot, largest, sum},
};

/// Scores that are computed at once: 512 KiB, half of a usual second-level cache.
const SCORES_AT_ONCE: usize = 1 << 17;

/// Queries of a block.
fn rows_at_once(heads: Heads) -> usize {
    (SCORES_AT_ONCE / heads.context.max(1)).clamp(16, 256)
}

impl Heads {
    fn channels(self) -> usize {
        self.heads * self.width
    }

    /// The columns of one head in `rows` rows of `[.., channels]`, from row `first`.
    fn head(self, first: usize, rows: usize, head: usize) -> Layout {
        let channels = self.channels();
        Layout::rows(
            first * channels + head * self.width,
            [rows, self.width],
            channels,
        )
    }

    /// How many keys the query at `token` sees.
    fn seen(self, token: usize) -> usize {
        if self.causal {
            (token + 1).min(self.context)
        } else {
            self.context
        }
    }
}

/// `softmax(q·kᵀ·scale)·v`, with the logarithm of each row's sum of exponentials.
///
/// `query` is `[batch, tokens, channels]`, `key` and `value` are `[batch, context, channels]`; gives
/// `[batch, tokens, channels]` and `[batch, tokens, heads]`.
pub(in super::super) fn forward(
    query: &[f32],
    key: &[f32],
    value: &[f32],
    heads: Heads,
) -> (Vec<f32>, Vec<f32>) {
    let channels = heads.channels();
    let mut out = vec![0.0; query.len()];
    let mut logs = vec![0.0; query.len() / heads.width.max(1)];
    let rows = rows_at_once(heads);
    let items = out
        .par_chunks_mut(heads.tokens * channels)
        .zip(logs.par_chunks_mut(heads.tokens * heads.heads));
    items.enumerate().for_each(|(item, (out, logs))| {
        let blocks = out
            .par_chunks_mut(rows * channels)
            .zip(logs.par_chunks_mut(rows * heads.heads));
        blocks
            .enumerate()
            .for_each_init(Vec::new, |scores, (block, (out, logs))| {
                let at = Block {
                    item,
                    first: block * rows,
                    rows: out.len() / channels,
                };
                for head in 0..heads.heads {
                    heads.scores(query, key, at, head, scores);
                    Arch::new().dispatch(
                        #[inline(always)]
                        || exponentials(scores, logs, heads, at, head),
                    );
                    multiply(
                        (out, heads.head(0, at.rows, head)),
                        Into::Fresh,
                        (
                            scores,
                            Layout::rows(0, [at.rows, heads.context], heads.context),
                        ),
                        (value, heads.head(item * heads.context, heads.context, head)),
                        1.0,
                        Threads::One,
                    );
                }
            });
    });
    (out, logs)
}

/// Some queries of an item of the batch.
#[derive(Clone, Copy)]
struct Block {
    item: usize,
    first: usize,
    rows: usize,
}

impl Heads {
    /// `q·kᵀ·scale` of one block and head.
    fn scores(self, query: &[f32], key: &[f32], at: Block, head: usize, scores: &mut Vec<f32>) {
        scores.resize(at.rows * self.context, 0.0);
        let from = at.item * self.tokens + at.first;
        let keys = self.head(at.item * self.context, self.context, head);
        multiply(
            (
                scores,
                Layout::rows(0, [at.rows, self.context], self.context),
            ),
            Into::Fresh,
            (query, self.head(from, at.rows, head)),
            (key, keys.transposed()),
            self.scale,
            Threads::One,
        );
    }
}

/// Makes weights of a block's scores and notes the logarithms of their sums before.
#[inline(always)]
fn exponentials(scores: &mut [f32], logs: &mut [f32], heads: Heads, at: Block, head: usize) {
    let rows = scores.chunks_exact_mut(heads.context);
    let rows = rows.zip(logs.chunks_exact_mut(heads.heads));
    for (row, (scores, logs)) in rows.enumerate() {
        let (seen, hidden) = scores.split_at_mut(heads.seen(at.first + row));
        hidden.fill(0.0);
        let largest = largest(seen);
        for score in &mut *seen {
            *score = exp(*score - largest);
        }
        let sum = sum(seen);
        for score in seen {
            *score /= sum;
        }
        logs[head] = largest + sum.ln();
    }
}

/// The gradients of [`forward`] in query, key and value, from its inputs and outputs.
pub(in super::super) fn backward(
    [query, key, value]: [&[f32]; 3],
    out: &[f32],
    logs: &[f32],
    grad: &[f32],
    heads: Heads,
) -> [Vec<f32>; 3] {
    let items = query.len() / (heads.tokens * heads.channels()).max(1);
    let pairs = items * heads.heads;
    // Each head's sums over the queries are one thread's; where there are too few heads, the products are shared out.
    let threads = if pairs < rayon::current_num_threads() {
        Threads::Pool
    } else {
        Threads::One
    };
    let of_head: Vec<[Vec<f32>; 3]> = (0..pairs)
        .into_par_iter()
        .map(|pair| {
            let (item, head) = (pair / heads.heads, pair % heads.heads);
            let pass = Pass {
                inputs: [query, key, value],
                out,
                logs,
                grad,
                heads,
                item,
                head,
                threads,
            };
            pass.gradients()
        })
        .collect();
    let lengths = [heads.tokens, heads.context, heads.context];
    [0, 1, 2].map(|which| {
        let parts: Vec<&[f32]> = of_head
            .iter()
            .map(|parts| parts[which].as_slice())
            .collect();
        interleaved(&parts, lengths[which], heads)
    })
}

/// The backward pass of one head of one item.
struct Pass<'a> {
    inputs: [&'a [f32]; 3],
    out: &'a [f32],
    logs: &'a [f32],
    grad: &'a [f32],
    heads: Heads,
    item: usize,
    head: usize,
    threads: Threads,
}

impl Pass<'_> {
    /// `[tokens, width]`, `[context, width]` and again: the gradients in the head's queries, keys and values.
    fn gradients(&self) -> [Vec<f32>; 3] {
        let Heads {
            tokens,
            context,
            width,
            ..
        } = self.heads;
        let [query, key, value] = self.inputs;
        let mut grads = [tokens, context, context].map(|length| vec![0.0; length * width]);
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        let keys = self.heads.head(self.item * context, context, self.head);
        let whole = |length| Layout::rows(0, [length, width], width);
        let rows = rows_at_once(self.heads);
        for first in (0..tokens).step_by(rows) {
            let at = Block {
                item: self.item,
                first,
                rows: rows.min(tokens - first),
            };
            let here = self
                .heads
                .head(self.item * tokens + first, at.rows, self.head);
            let block = Layout::rows(0, [at.rows, context], context);
            self.heads.scores(query, key, at, self.head, &mut weights);
            slopes.resize(at.rows * context, 0.0);
            multiply(
                (&mut slopes, block),
                Into::Fresh,
                (self.grad, here),
                (value, keys.transposed()),
                1.0,
                self.threads,
            );
            Arch::new().dispatch(
                #[inline(always)]
                || self.slopes(&mut weights, &mut slopes, at),
            );
            let [of_query, of_key, of_value] = &mut grads;
            multiply(
                (of_value, whole(context)),
                Into::Sum,
                (&weights, block.transposed()),
                (self.grad, here),
                1.0,
                self.threads,
            );
            multiply(
                (&mut of_query[first * width..], whole(at.rows)),
                Into::Fresh,
                (&slopes, block),
                (key, keys),
                self.heads.scale,
                self.threads,
            );
            multiply(
                (of_key, whole(context)),
                Into::Sum,
                (&slopes, block.transposed()),
                (query, here),
                self.heads.scale,
                self.threads,
            );
        }
        grads
    }

    /// Makes weights of scores again, and of their gradients the gradients of the scores.
    #[inline(always)]
    fn slopes(&self, weights: &mut [f32], slopes: &mut [f32], at: Block) {
        let Heads { context, width, .. } = self.heads;
        let rows = weights
            .chunks_exact_mut(context)
            .zip(slopes.chunks_exact_mut(context));
        for (row, (weights, slopes)) in rows.enumerate() {
            let token = self.item * self.heads.tokens + at.first + row;
            let log = self.logs[token * self.heads.heads + self.head];
            let from = token * self.heads.channels() + self.head * width;
            let mean = dot(
                &self.out[from..from + width],
                &self.grad[from..from + width],
            );
            let (seen, hidden) = weights.split_at_mut(self.heads.seen(at.first + row));
            hidden.fill(0.0);
            let (slopes, unseen) = slopes.split_at_mut(seen.len());
            unseen.fill(0.0);
            for (weight, slope) in seen.iter_mut().zip(slopes) {
                *weight = exp(*weight - log);
                *slope = *weight * (*slope - mean);
            }
        }
    }
}

/// `[length, width]` of each item and head to `[items, length, heads · width]`.
fn interleaved(parts: &[&[f32]], length: usize, heads: Heads) -> Vec<f32> {
    let (channels, width) = (heads.channels(), heads.width);
    let mut out = vec![0.0; parts.len() / heads.heads * length * channels];
    out.par_chunks_mut(channels)
        .enumerate()
        .for_each(|(row, out)| {
            let (item, token) = (row / length, row % length);
            for (head, out) in out.chunks_exact_mut(width).enumerate() {
                let part = parts[item * heads.heads + head];
                out.copy_from_slice(&part[token * width..(token + 1) * width]);
            }
        });
    out
}
