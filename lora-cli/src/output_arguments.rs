use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use lora_core::lora_file::{FileDtype, LoraFile, LoraLayout, Written};
use serde::Serialize;

/// How a LoRA file is written.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct LoraOutputArguments {
    /// Number format of the file; as before when left out
    #[arg(long, value_name = "FORMAT", value_parser = dtype())]
    pub(crate) dtype: Option<FileDtype>,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// What was written, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenLora {
    file: PathBuf,
    layout: String,
    dtype: FileDtype,
    modules: usize,
    parameters: usize,
    bytes: u64,
    sshs_model_hash: String,
}

impl WrittenLora {
    /// Writes `lora` to `path`.
    pub(crate) fn write(
        lora: &LoraFile,
        path: &Path,
        layout: LoraLayout,
        dtype: FileDtype,
    ) -> anyhow::Result<Self> {
        let written: Written = match layout {
            LoraLayout::Kohya => lora.write(path, dtype)?,
            LoraLayout::Peft | LoraLayout::OldDiffusers => lora.write_peft(path, dtype)?,
        };
        Ok(Self {
            file: path.to_path_buf(),
            layout: layout.to_string(),
            dtype,
            modules: lora.names().count(),
            parameters: lora.parameters(),
            bytes: written.bytes,
            sshs_model_hash: written.model_hash,
        })
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        format!(
            "{}: {} layout, {} modules, {} parameters, {}",
            self.file.display(),
            self.layout,
            self.modules,
            self.parameters,
            size(self.bytes)
        )
    }
}

/// Refuses to replace what is at `path` unless told to, and makes the folder that it is to be in.
pub(crate) fn prepare(path: &Path, force: bool) -> anyhow::Result<()> {
    if path.exists() && !force {
        bail!("{} is there already; --force replaces it", path.display());
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") => {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())
        }
        _ => Ok(()),
    }
}

/// `405.9 KiB`, `144.1 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1024.0 * 1024.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes => format!("{:.1} MiB", bytes / 1024.0 / 1024.0),
    }
}

fn dtype() -> impl TypedValueParser<Value = FileDtype> {
    PossibleValuesParser::new(["f16", "bf16", "f32"]).map(|name| match name.as_str() {
        "bf16" => FileDtype::Bf16,
        "f32" => FileDtype::F32,
        _ => FileDtype::F16,
    })
}
