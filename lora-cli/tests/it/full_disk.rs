//! A disk that really fills up: a small one in memory, in a namespace of its own.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{self, Write},
    process::{Command, Output},
};

use crate::{program::text, small_run::Place};

/// Runs `script` in the place with a disk of so many KiB at `small`, whose files are in `kept` afterwards. The last line
/// that it prints is the script's exit code.
fn on_a_small_disk(place: &Place, kib: u32, kept: &str, script: &str) -> Output {
    let whole = format!(
        "mount -t tmpfs -o size={kib}k tmpfs small || exit 99; {script}; code=$?; \
         cp -r small '{kept}' || exit 98; exit $code"
    );
    Command::new("unshare")
        .current_dir(place.path())
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &whole])
        .output()
        .expect("unshare starts")
}

/// Whether a program may have a disk of its own here; where it may not, that is told and nothing is tested.
fn may_mount(place: &Place) -> bool {
    let tried = Command::new("unshare")
        .current_dir(place.path())
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=64k tmpfs small")
        .status();
    tried.is_ok_and(|status| status.success())
}

/// The disk is full at many moments: before the first checkpoint, in checkpoints, in files, in the log.
#[test]
fn a_small_disk_that_fills_up_is_told_and_what_was_good_stays_so() {
    let place = Place::new();
    fs::create_dir(place.path().join("small")).expect("a folder");
    if !may_mount(&place) {
        // There is no third result, and what `eprintln!` prints is kept back.
        let told = "SKIPPED: this system lets nobody mount a disk (unshare --user --mount)";
        writeln!(io::stderr(), "{told}").expect("written");
        return;
    }
    assert!(place.run("whole").status.success());
    let expected = place.files("whole");
    let train = format!(
        "{} train run.toml --resume latest --set output.folder=small",
        env!("CARGO_BIN_EXE_lora")
    );
    let (mut failed, mut with_checkpoint, mut with_files) = (0, 0, 0);
    for kib in [
        8, 40, 200, 800, 1000, 1700, 1900, 2350, 2500, 2620, 2700, 8000,
    ] {
        let kept = format!("kept {kib}");
        let ended = on_a_small_disk(&place, kib, &kept, &train);
        let errors = text(&ended.stderr);
        if kib == 8000 {
            assert!(ended.status.success(), "{errors}");
            assert_eq!(place.files(&kept), expected);
            continue;
        }
        if !ended.status.success() {
            failed += 1;
            assert_eq!(ended.status.code(), Some(1), "{kib}: {errors}");
            let names_it = errors.lines().any(|line| {
                line.starts_with("error: small") && line.contains("No space left on device")
            });
            assert!(names_it, "{kib}: {errors}");
        }
        // What was written is whole, and the run goes on from it where there is room.
        for file in place.files(&kept) {
            with_files += 1;
            assert!(expected.contains(&file), "{kib}: {}", file.0);
        }
        with_checkpoint += u32::from(place.progress(&kept).0 > 0);
        assert_eq!(place.unfinished(&kept), 0, "{kib}");
        let again = place.run(&kept);
        assert!(again.status.success(), "{kib}: {}", text(&again.stderr));
        assert_eq!(place.files(&kept), expected, "{kib}");
    }
    assert!(
        failed >= 8 && with_checkpoint >= 3 && with_files >= 3,
        "{failed} {with_checkpoint} {with_files}"
    );
}
