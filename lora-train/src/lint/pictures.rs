use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{Finding, Severity, Subject};
use crate::framing_plan::FramingPlan;

/// Fewer pictures teach little beside themselves.
const FEW: usize = 8;

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = framings(subject);
    findings.extend(duplicates(subject));
    let count = subject.own().count();
    if count < FEW {
        let pictures = if count == 1 {
            "1 picture is"
        } else {
            &format!("{count} pictures are")
        };
        let message = format!("{pictures} few: 20 to 30 that vary are usual");
        findings.push(Finding::new(Severity::Info, "few-pictures", message));
    }
    findings
}

fn framings(subject: &Subject<'_>) -> Vec<Finding> {
    let limits = &subject.config.lint;
    let mut findings = Vec::new();
    for (index, entry) in subject.data.entries().iter().enumerate() {
        let framing = FramingPlan::of(subject.data, index);
        if framing.cut() > limits.max_crop {
            let message = format!(
                "{:.0} % of it is cut off for its size of {}: crop it yourself, or use [dataset.buckets]",
                100.0 * framing.cut(),
                entry.target
            );
            findings
                .push(Finding::new(Severity::Warning, "heavy-crop", message).about(&entry.image));
        }
        if framing.scale > limits.max_enlargement {
            let (width, height) = entry.size;
            let message = format!(
                "{width}×{height} pixels are enlarged {:.1} times for its size of {}: what it lacks in detail is learnt",
                framing.scale, entry.target
            );
            findings.push(Finding::new(Severity::Warning, "enlarged", message).about(&entry.image));
        }
    }
    findings
}

/// Pictures whose files are the same byte for byte. Only files of one length are read.
fn duplicates(subject: &Subject<'_>) -> Vec<Finding> {
    let entries = subject.data.entries();
    let mut lengths: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        if let Ok(facts) = fs::metadata(&entry.image) {
            lengths.entry(facts.len()).or_default().push(index);
        }
    }
    let mut first: BTreeMap<[u8; 32], &Path> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut candidates: Vec<usize> = lengths
        .into_values()
        .filter(|same| same.len() > 1)
        .flatten()
        .collect();
    candidates.sort_unstable();
    for index in candidates {
        let image = entries[index].image.as_path();
        // A file that went away has no duplicates.
        let Ok(digest) = file_digest(image) else {
            continue;
        };
        if let Some(other) = first.get(&digest) {
            let message = format!(
                "is the same picture as {}: remove one, and use repeats to show it more often",
                other.display()
            );
            findings
                .push(Finding::new(Severity::Warning, "duplicate-picture", message).about(image));
        } else {
            first.insert(digest, image);
        }
    }
    findings
}

/// SHA-256 of a file's bytes, read in pieces.
fn file_digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use lora_data::{DatasetConfig, FolderConfig, ImageFolders, Resolution};

    use super::*;
    use crate::lint::example::{captioned, found, settings};

    #[test]
    fn cut_and_enlarged_pictures_are_named() {
        let mut data = captioned(&["sks dog, a", "sks dog, b", "sks dog, c"]);
        data.0[1].size = (1024, 512);
        data.0[2].size = (200, 200);
        assert_eq!(
            found(&settings(), &data),
            [
                ("enlarged", Some("2.png".to_owned())),
                ("heavy-crop", Some("1.png".to_owned()))
            ]
        );
        let framing = FramingPlan::of(&data, 1);
        assert!((framing.cut_width - 0.5).abs() < 1e-9 && framing.cut_height.abs() < 1e-9);
        assert!((framing.scale - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_same_picture_twice_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let picture = |value: u8| image::RgbImage::from_pixel(8, 8, image::Rgb([value; 3]));
        for (name, value) in [("a.png", 1), ("b.png", 2), ("c.png", 1)] {
            picture(value).save(folder.path().join(name)).unwrap();
            let caption = folder.path().join(name).with_extension("txt");
            fs::write(caption, format!("sks dog, {name}")).unwrap();
        }
        let data = ImageFolders::open(&DatasetConfig {
            folders: vec![FolderConfig::new(folder.path())],
            resolution: Resolution::square(8),
            ..DatasetConfig::default()
        })
        .unwrap();
        let config = settings();
        let tokenizer = lora_core::tokenizer::Tokenizer::clip();
        let findings = duplicates(&Subject {
            config: &config,
            data: &data,
            tokenizer: &tokenizer,
        });
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].path.as_deref(),
            Some(folder.path().join("c.png").as_path())
        );
        assert!(
            findings[0].message.contains("a.png"),
            "{}",
            findings[0].message
        );
    }
}
