//! Files of PyTorch's own format, which are programs and are not run.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::CheckpointError;

/// How PyTorch's files begin: a ZIP archive since 1.6, a pickle of protocol 2 before.
const BEGINNINGS: [&[u8]; 2] = [b"PK\x03\x04", b"\x80\x02"];

/// Refuses `path` when it is in PyTorch's format, by its extension or by how it begins.
///
/// Unpickling can run any code that the file's maker put in, so no such file is opened. A header length of 640 bytes
/// would begin a safetensors file like a pickle, so that the brace after the length is asked for too.
///
/// # Errors
/// [`CheckpointError::PyTorch`], with the command that converts the file.
pub(super) fn refuse(path: &Path) -> Result<(), CheckpointError> {
    let by_name = path.extension().is_some_and(|extension| {
        ["ckpt", "pt", "pth", "bin"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    });
    if by_name || begins_like_pytorch(path) {
        return Err(CheckpointError::PyTorch {
            path: path.to_path_buf(),
            converted: path.with_extension("safetensors"),
        });
    }
    Ok(())
}

/// The file that PyTorch would have written where `<stem>.safetensors` is looked for.
pub(super) fn beside(folder: &Path, stem: &str) -> Option<PathBuf> {
    [format!("pytorch_{stem}.bin"), format!("{stem}.bin")]
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

fn begins_like_pytorch(path: &Path) -> bool {
    let mut beginning = [0; 9];
    // What cannot be read here is named when it is opened.
    let read = File::open(path).and_then(|mut file| file.read(&mut beginning));
    let beginning = &beginning[..read.unwrap_or(0)];
    let is_safetensors = beginning.get(2..) == Some(b"\0\0\0\0\0\0{");
    !is_safetensors && BEGINNINGS.iter().any(|known| beginning.starts_with(known))
}
