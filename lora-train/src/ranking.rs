use std::{cmp::Ordering, fmt::Write as _, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::Comparison;

/// The file of an epoch and how it did on pictures that it was not trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedFile {
    /// Epochs finished, the last of which may have been cut.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// The file.
    pub path: PathBuf,
    /// Its held-out loss, where there are held-out pictures.
    pub heldout_loss: Option<f64>,
    /// How pictures drawn with it compare with the training pictures, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// The files from the best to the worst.
///
/// The held-out loss comes first: files whose loss lies above the lowest by no more than the part `tolerance` of it count
/// as equally good, and all of them are better than the others, which follow by their loss. Among equally good ones, and
/// where there is no held-out loss among all, those come last whose pictures are mostly copies of training pictures;
/// then the higher similarity counts, then the lower loss, then the earlier epoch. Files that were not measured come
/// last.
pub(crate) fn ranked(files: &[RankedFile], tolerance: f64) -> Vec<&RankedFile> {
    let losses = files.iter().filter_map(|file| file.heldout_loss);
    let lowest = losses.min_by(f64::total_cmp);
    let is_good = |file: &RankedFile| match (file.heldout_loss, lowest) {
        (Some(loss), Some(lowest)) => loss <= lowest * (1.0 + tolerance),
        (None, Some(_)) => false,
        (_, None) => true,
    };
    let loss = |file: &RankedFile| file.heldout_loss.unwrap_or(f64::INFINITY);
    let mut sorted: Vec<&RankedFile> = files.iter().collect();
    sorted.sort_by(|a, b| {
        let by_loss = loss(a).total_cmp(&loss(b));
        let alike = match (is_good(a), is_good(b)) {
            (true, true) => by_similarity(a, b),
            (a, b) => b.cmp(&a),
        };
        alike.then(by_loss).then(a.epoch.cmp(&b.epoch))
    });
    sorted
}

fn by_similarity(a: &RankedFile, b: &RankedFile) -> Ordering {
    match (&a.comparison, &b.comparison) {
        (Some(a), Some(b)) => {
            let copies = a.mostly_copies().cmp(&b.mostly_copies());
            copies.then(b.similarity.total_cmp(&a.similarity))
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The file that comes first, if anything was measured of it.
pub(crate) fn best(files: &[RankedFile], tolerance: f64) -> Option<&RankedFile> {
    let first = ranked(files, tolerance).into_iter().next();
    first.filter(|file| file.heldout_loss.is_some() || file.comparison.is_some())
}

/// The columns of [`to_csv`].
const COLUMNS: &str = "rank,file,epoch,step,heldout_loss,similarity,colours,edges,embedding,copy_distance,\
                       copy_threshold,copies,pictures\n";

/// The files as lines, the best first. What was not measured is left empty.
pub(crate) fn to_csv(files: &[RankedFile], tolerance: f64) -> String {
    let mut csv = COLUMNS.to_owned();
    for (index, file) in ranked(files, tolerance).into_iter().enumerate() {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        // Only quotes and commas have a meaning in a field.
        let name = if name.contains([',', '"']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.into_owned()
        };
        let compared = file.comparison.as_ref();
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let measured = [
            number(file.heldout_loss),
            number(compared.map(|compared| compared.similarity)),
            number(compared.map(|compared| compared.colours)),
            number(compared.map(|compared| compared.edges)),
            number(compared.and_then(|compared| compared.embedding)),
            number(compared.map(|compared| compared.copy_distance)),
            number(compared.and_then(|compared| compared.copy_threshold)),
            number(compared.map(|compared| compared.copies as f64)),
            number(compared.map(|compared| compared.pictures as f64)),
        ];
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "{},{name},{},{},{}",
            index + 1,
            file.epoch,
            file.step,
            measured.join(",")
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(epoch: u64, heldout_loss: Option<f64>, compared: Option<(f64, usize)>) -> RankedFile {
        RankedFile {
            epoch,
            step: 10 * epoch,
            path: format!("out/a-{epoch:06}.safetensors").into(),
            heldout_loss,
            comparison: compared.map(|(similarity, copies)| Comparison {
                pictures: 8,
                similarity,
                colours: 0.75,
                edges: 0.5,
                embedding: None,
                copy_distance: 0.25,
                copy_threshold: Some(0.125),
                copies,
            }),
        }
    }

    fn order(files: &[RankedFile]) -> Vec<u64> {
        let ranked = ranked(files, 0.01).into_iter();
        ranked.map(|file| file.epoch).collect()
    }

    #[test]
    fn the_lowest_loss_comes_first_and_files_without_one_last() {
        let files = [
            file(1, Some(0.3), None),
            file(2, None, None),
            file(3, Some(0.1), None),
            // As good within the tolerance, but nothing speaks for it.
            file(4, Some(0.1005), None),
        ];
        assert_eq!(order(&files), [3, 4, 1, 2]);
        assert_eq!(best(&files, 0.01).map(|file| file.epoch), Some(3));
        assert_eq!(best(&files[1..2], 0.01), None);
    }

    #[test]
    fn similarity_decides_among_files_of_equal_loss_only() {
        let files = [
            file(1, Some(0.1), Some((0.5, 0))),
            file(2, Some(0.1005), Some((0.7, 4))),
            file(3, Some(0.1008), Some((0.9, 5))),
            file(4, Some(0.2), Some((1.0, 0))),
            file(5, Some(0.1009), None),
        ];
        assert_eq!(order(&files), [2, 1, 3, 5, 4]);
    }

    #[test]
    fn without_a_loss_similarity_decides_alone() {
        let files = [
            file(1, None, Some((0.5, 0))),
            file(2, None, Some((0.9, 8))),
            file(3, None, Some((0.8, 1))),
            file(4, None, Some((0.8, 0))),
        ];
        assert_eq!(order(&files), [3, 4, 1, 2]);
        assert_eq!(best(&files, 0.01).map(|file| file.epoch), Some(3));
    }

    #[test]
    fn lines_have_all_that_was_measured() {
        let mut files = [file(1, Some(0.3), Some((0.625, 1))), file(2, None, None)];
        files[1].path = "out/a, b-000002.safetensors".into();
        assert_eq!(
            to_csv(&files, 0.01),
            "rank,file,epoch,step,heldout_loss,similarity,colours,edges,embedding,copy_distance,copy_threshold,copies,\
             pictures\n\
             1,a-000001.safetensors,1,10,0.3,0.625,0.75,0.5,,0.25,0.125,1,8\n\
             2,\"a, b-000002.safetensors\",2,20,,,,,,,,,\n"
        );
    }
}
