//! Tells the program the commit that it is built from, where it is built from a clone.
#![allow(
    clippy::print_stdout,
    reason = "a build script speaks to cargo by printing"
)]

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A copy of the sources inside somebody else's repository is not of that repository's commit.
    let workspace = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let workspace = Path::new(&workspace).parent().map(Path::to_path_buf);
    let top = git(&["rev-parse", "--show-toplevel"]);
    if top.map(Into::into) != workspace {
        return;
    }
    // Grows with every commit and every checkout.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        println!("cargo:rerun-if-changed={log}");
    }
    if let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) {
        println!("cargo:rustc-env=LORA_COMMIT={commit}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
