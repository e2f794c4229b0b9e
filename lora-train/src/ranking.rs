use std::{fmt::Write as _, path::PathBuf};

use serde::{Deserialize, Serialize};

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
}

/// The files as lines of `rank,file,epoch,step,heldout_loss`, the lowest loss first; those without one come last, in order
/// of their epochs.
pub(crate) fn to_csv(files: &[RankedFile]) -> String {
    let mut sorted: Vec<&RankedFile> = files.iter().collect();
    let key = |file: &RankedFile| file.heldout_loss.unwrap_or(f64::INFINITY);
    sorted.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.epoch.cmp(&b.epoch)));
    let mut csv = "rank,file,epoch,step,heldout_loss\n".to_owned();
    for (index, file) in sorted.into_iter().enumerate() {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        // Only quotes and commas have a meaning in a field.
        let name = if name.contains([',', '"']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.into_owned()
        };
        let loss = file.heldout_loss.map(|loss| loss.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            csv,
            "{},{name},{},{},{}",
            index + 1,
            file.epoch,
            file.step,
            loss.unwrap_or_default()
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_loss_comes_first_and_files_without_one_last() {
        let file = |epoch, name: &str, heldout_loss| RankedFile {
            epoch,
            step: 10 * epoch,
            path: PathBuf::from("out").join(name),
            heldout_loss,
        };
        let files = [
            file(1, "a-000001.safetensors", Some(0.3)),
            file(2, "a, b-000002.safetensors", None),
            file(3, "a-000003.safetensors", Some(0.1)),
        ];
        assert_eq!(
            to_csv(&files),
            "rank,file,epoch,step,heldout_loss\n\
             1,a-000003.safetensors,3,30,0.1\n\
             2,a-000001.safetensors,1,10,0.3\n\
             3,\"a, b-000002.safetensors\",2,20,\n"
        );
    }
}
