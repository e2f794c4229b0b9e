//! The vocabulary and the merge rules.

use std::collections::HashMap;

/// Marks the last symbol of a word, so that "cat" and the "cat" of "category" differ.
const END_OF_WORD: &str = "</w>";
/// Merges of CLIP's vocabulary; the published list goes on, but the model was trained on these.
const CLIP_MERGES: usize = 49152 - 256 - 2;

/// A rule that joins two neighbouring symbols.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Place in the merge list: the lowest rank in a word is applied first.
    rank: u32,
    /// The symbol that replaces the pair.
    joined: u32,
}

/// Byte pair encoding of single words over a vocabulary of numbered symbols.
#[derive(Debug)]
pub(super) struct BytePairEncoding {
    /// Symbol of each byte within a word.
    inner: [u32; 256],
    /// Symbol of each byte at a word's end.
    last: [u32; 256],
    merges: HashMap<(u32, u32), Merge>,
    vocabulary: HashMap<String, u32>,
}

impl BytePairEncoding {
    /// The vocabulary that a merge list implies: 256 byte symbols, the same at a word's end, one symbol per merge, then
    /// the `special` tokens.
    ///
    /// `merges` is the text of a `merges.txt`: a version line, then one pair per line, most frequent first.
    pub(super) fn from_merges(merges: &str, special: &[&str]) -> Self {
        let mut names = byte_names().to_vec();
        // CLIP numbers the bytes in the order of their names, not of their values.
        names.sort_unstable();
        let mut vocabulary = HashMap::new();
        for end in ["", END_OF_WORD] {
            for name in &names {
                vocabulary.insert(format!("{name}{end}"), vocabulary.len() as u32);
            }
        }
        for (first, second) in merge_lines(merges) {
            vocabulary.insert(format!("{first}{second}"), vocabulary.len() as u32);
        }
        for token in special {
            vocabulary.insert((*token).to_owned(), vocabulary.len() as u32);
        }
        // The vocabulary above holds every symbol by construction, so nothing is ever unknown.
        Self::from_vocabulary(vocabulary, merges, 0)
    }

    /// A vocabulary with numbers of its own; `unknown` stands for symbols that it lacks.
    pub(super) fn from_vocabulary(
        vocabulary: HashMap<String, u32>,
        merges: &str,
        unknown: u32,
    ) -> Self {
        let symbol = |name: &str| vocabulary.get(name).copied();
        let names = byte_names();
        let bytes = |end: &str| {
            std::array::from_fn(|byte| symbol(&format!("{}{end}", names[byte])).unwrap_or(unknown))
        };
        let merges = merge_lines(merges)
            .zip(0..)
            .filter_map(|((first, second), rank)| {
                let joined = symbol(&format!("{first}{second}"))?;
                Some(((symbol(first)?, symbol(second)?), Merge { rank, joined }))
            })
            .collect();
        Self {
            inner: bytes(""),
            last: bytes(END_OF_WORD),
            merges,
            vocabulary,
        }
    }

    /// The id of a symbol or special token by its name in `vocab.json`.
    pub(super) fn symbol(&self, name: &str) -> Option<u32> {
        self.vocabulary.get(name).copied()
    }

    /// Number of symbols and special tokens.
    pub(super) fn size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The highest id of them all; a vocabulary may leave ids out.
    pub(super) fn highest_id(&self) -> u32 {
        self.vocabulary.values().copied().max().unwrap_or(0)
    }

    /// Appends the symbols of one word (no white space) to `ids`.
    pub(super) fn encode_word(&self, word: &str, ids: &mut Vec<u32>) {
        let Some((&last, inner)) = word.as_bytes().split_last() else {
            return;
        };
        let mut symbols: Vec<u32> = inner
            .iter()
            .map(|&byte| self.inner[usize::from(byte)])
            .collect();
        symbols.push(self.last[usize::from(last)]);
        while let Some((pair, merge)) = self.best_merge(&symbols) {
            apply(pair, merge.joined, &mut symbols);
        }
        ids.extend(symbols);
    }

    fn best_merge(&self, symbols: &[u32]) -> Option<((u32, u32), Merge)> {
        let pairs = symbols.windows(2).map(|pair| (pair[0], pair[1]));
        pairs
            .filter_map(|pair| Some((pair, *self.merges.get(&pair)?)))
            .min_by_key(|(_, merge)| merge.rank)
    }
}

/// Replaces every occurrence of `pair`, from the left, by `joined`.
fn apply((first, second): (u32, u32), joined: u32, symbols: &mut Vec<u32>) {
    let mut kept = 0;
    let mut next = 0;
    while next < symbols.len() {
        let matches = symbols[next] == first && symbols.get(next + 1) == Some(&second);
        symbols[kept] = if matches { joined } else { symbols[next] };
        next += if matches { 2 } else { 1 };
        kept += 1;
    }
    symbols.truncate(kept);
}

/// The pairs of a `merges.txt`, without its version line.
fn merge_lines(merges: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = merges.trim().lines().skip(1).take(CLIP_MERGES);
    lines.filter_map(|line| line.split_once(' '))
}

/// The printable character that stands for each byte in `vocab.json` and `merges.txt` (GPT-2's `bytes_to_unicode`):
/// itself where Latin-1 prints it, otherwise the next character from U+0100 on.
fn byte_names() -> [char; 256] {
    let mut stand_ins = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        byte @ (b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF) => char::from(byte),
        byte => stand_ins.next().unwrap_or(char::from(byte)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_ranked_pair_is_merged_first_and_everywhere() {
        let merges = "#version\nb c\na b\na bc</w>\n";
        let bpe = BytePairEncoding::from_merges(merges, &[]);
        let names = ["a", "bc", "ab"].map(|name| {
            let mut ids = Vec::new();
            bpe.encode_word(&format!("{name}z"), &mut ids);
            ids[0]
        });
        let mut ids = Vec::new();
        bpe.encode_word("abcabcz", &mut ids);
        assert_eq!(ids[..4], [names[0], names[1], names[0], names[1]]);
        assert_eq!(names[1..], [512, 513]);
    }

    #[test]
    fn bytes_are_numbered_by_their_names() {
        let names = byte_names();
        assert_eq!(
            (names[usize::from(b'!')], names[0], names[0xAD]),
            ('!', 'Ā', 'Ń')
        );
        let mut distinct = names.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 256);
    }
}
