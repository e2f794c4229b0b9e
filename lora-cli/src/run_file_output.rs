use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use atomic_file::write_atomically;
use clap::Args;

/// Where a new run file goes.
#[derive(Args, Debug)]
pub(crate) struct RunFileOutput {
    /// The run file to write
    #[arg(short, long, value_name = "RUN.toml", default_value = "run.toml")]
    pub(crate) out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl RunFileOutput {
    /// # Errors
    /// When the file is there, unless it may be replaced.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.out.exists() && !self.force {
            bail!(
                "{} is there already; choose another --out, or replace it with --force",
                self.out.display()
            );
        }
        Ok(())
    }

    /// The folder in which it lies.
    pub(crate) fn folder(&self) -> &Path {
        match self.out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, text: &str) -> anyhow::Result<()> {
        self.check()?;
        fs::create_dir_all(self.folder()).with_context(|| self.folder().display().to_string())?;
        write_atomically(&self.out, |file| file.write_all(text.as_bytes()))?;
        Ok(())
    }
}
