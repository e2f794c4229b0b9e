//! Runs that are killed, and disks that fill up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::program::{GOLDEN, lora};

/// Steps between two checkpoints of the runs below, all of which have twelve steps.
const EVERY: u64 = 2;

/// A small run whose files do not depend on when they are written.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pictures = folder.path().join("pictures/2_sks");
        fs::create_dir_all(&pictures).expect("a folder");
        for index in 0..3u8 {
            let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([80 * index, 100, 50]));
            let path = pictures.join(format!("{index}.png"));
            picture.save(path).expect("a picture");
        }
        let model = format!("{GOLDEN}/tiny-sd15");
        let text = format!(
            "[model]\npath = '{model}'\n[dataset]\nresolution = 64\n[[dataset.folders]]\npath = 'pictures'\n\
             [lora]\nrank = 2\ntargets = ['attention']\ndropout.rank = 0.1\n\
             [train]\nepochs = 2\nlog_every = 1\ndevice = 'cpu'\n\
             [checkpoint]\nevery = {EVERY}\n[output]\nname = 'thing'\n"
        );
        fs::write(folder.path().join("run.toml"), text).expect("a config");
        Self { folder }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, out: &str) -> Command {
        let mut command = lora(self.folder.path());
        command
            .env("SOURCE_DATE_EPOCH", "1000000000")
            .args(["train", "run.toml", "--resume", "latest", "--set"])
            .arg(format!("output.folder={out}"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, out: &str) -> Output {
        self.command(out).output().expect("a process")
    }

    /// All saved files by name, metadata included.
    fn files(&self, out: &str) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.out(out)).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "safetensors"))
            .map(|path| {
                let bytes = fs::read(&path).expect("a file");
                (
                    path.file_name()
                        .expect("a name")
                        .to_string_lossy()
                        .into_owned(),
                    bytes,
                )
            })
            .collect();
        files.sort();
        files
    }

    /// Files that were begun and never finished.
    fn unfinished(&self, out: &str) -> usize {
        let folders = [self.out(out), self.out(out).join("checkpoints")];
        let entries = folders.map(|folder| fs::read_dir(folder).expect("a folder"));
        let names = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(".writing"))
            .count()
    }

    /// Steps of the newest checkpoint, and of the last line of the log.
    fn progress(&self, out: &str) -> (u64, u64) {
        let checkpoints = fs::read_dir(self.out(out).join("checkpoints"));
        let names = checkpoints
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let steps = names.filter_map(|name| {
            name.strip_prefix("step")?
                .strip_suffix(".state")?
                .parse()
                .ok()
        });
        let log = fs::read_to_string(self.out(out).join("metrics.jsonl")).unwrap_or_default();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let told = events
            .filter(|event| event["event"] == "stepped")
            .filter_map(|event| event["step"].as_u64());
        (steps.max().unwrap_or(0), told.max().unwrap_or(0))
    }
}

fn is_done(folder: &Path) -> bool {
    folder.join("thing.safetensors").is_file()
}

/// A plain sequence of numbers below `end`, the same in every run of the tests.
fn drawn(state: &mut u64, end: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

/// Half of the kills come from outside at any moment, half at a point of writing a file.
#[test]
fn a_run_that_is_killed_a_hundred_times_ends_with_the_same_files() {
    let place = Place::new();
    let started = Instant::now();
    assert!(place.run("whole").status.success());
    let whole = started.elapsed();
    let expected = place.files("whole");
    assert_eq!(expected.len(), 3);

    let (mut state, mut kills, mut round, mut ends) = (7, 0, 0, 0);
    while kills < 100 {
        let out = format!("killed {round}");
        let mut command = place.command(&out);
        if kills % 2 == 0 {
            command.env(
                "ATOMIC_FILE_FAULT",
                format!("kill:{}", 1 + drawn(&mut state, 14)),
            );
        }
        let mut child = command.spawn().expect("a process");
        if kills % 2 == 1 {
            let wait = u64::try_from(whole.as_millis()).expect("a short run");
            std::thread::sleep(Duration::from_millis(drawn(&mut state, wait)));
            // It may have ended before.
            let _ = child.kill();
        }
        let ended = child.wait_with_output().expect("it ends");
        if ended.status.success() {
            assert_eq!(place.files(&out), expected, "round {round}");
            (round, ends) = (round + 1, ends + 1);
            continue;
        }
        kills += 1;
        let (kept, told) = place.progress(&out);
        assert!(
            told <= kept + EVERY,
            "{told} steps were done, {kept} are kept"
        );
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(!errors.contains("error:"), "{errors}");
        // The newest checkpoint could always be read; one that cannot is told and passed over.
        assert!(!errors.contains("no checkpoint to go on from:"), "{errors}");
        if is_done(&place.out(&out)) {
            // Killed behind its last file, in the report.
            assert_eq!(place.files(&out), expected, "round {round}");
            (round, ends) = (round + 1, ends + 1);
        }
    }
    let out = format!("killed {round}");
    assert!(place.run(&out).status.success());
    assert_eq!(place.files(&out), expected);
    assert!(ends > 0, "the run never came to its end");
    // The last run was killed, too, and went on: what was half written is gone.
    assert_eq!(place.unfinished(&out), 0);
}

/// At each point of writing files, one after the other, the disk is full from then on.
#[test]
fn a_full_disk_is_told_and_costs_nothing_that_was_there() {
    let place = Place::new();
    assert!(place.run("whole").status.success());
    let expected = place.files("whole");
    for fault in [1, 3, 5, 6, 8, 11, 16, 21, 23, 26, 31, 36, 41] {
        let out = format!("full {fault}");
        let mut command = place.command(&out);
        command.env("ATOMIC_FILE_FAULT", format!("fail:{fault}"));
        let ended = command.output().expect("a process");
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{fault}: {errors}");
        assert!(errors.contains("cannot write"), "{fault}: {errors}");
        let inside = fs::read_dir(place.out(&out)).expect("a folder");
        let inside = inside.map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        });
        let left: Vec<String> = inside.filter(|name| name.starts_with(".writing")).collect();
        assert!(left.is_empty(), "{fault}: {left:?}");
        let again = place.run(&out);
        let errors = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(again.status.success(), "{fault}: {errors}");
        assert_eq!(place.files(&out), expected, "{fault}");
    }
}

/// What the system itself says when a file must not grow: the signal is ignored, so that writing fails.
#[cfg(unix)]
#[test]
fn a_file_that_must_not_grow_is_named() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_lora");
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec {program} train run.toml --set output.folder=small"
    );
    let mut command = Command::new("sh");
    let ended = command
        .current_dir(place.folder.path())
        .args(["-c", &script])
        .output()
        .expect("a shell");
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(".state") && errors.contains("cannot write"),
        "{errors}"
    );
    let again = place.run("small");
    assert!(again.status.success());
}

#[test]
fn another_number_of_threads_gives_the_same_files() {
    let place = Place::new();
    assert!(place.run("whole").status.success());
    let expected = place.files("whole");
    for threads in ["1", "3"] {
        let out = format!("{threads} threads");
        let mut command = place.command(&out);
        command.env("RAYON_NUM_THREADS", threads);
        assert!(command.output().expect("a process").status.success());
        assert_eq!(place.files(&out), expected, "{threads}");
    }
}
