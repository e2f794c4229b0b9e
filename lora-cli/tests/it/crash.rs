//! Runs that are killed, and disks that fill up.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::small_run::{EVERY, Place};

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
        .current_dir(place.path())
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
