//! Safetensors files read one tensor at a time: the one door through which checkpoints and LoRA files come in.

mod error;
mod header;
mod raw_tensor;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use safetensors::tensor::TensorInfo;

pub use error::SafetensorsFileError;
use header::Header;
pub use header::LayoutProblem;
pub use raw_tensor::RawTensor;

/// Bytes of the little-endian header length with which every safetensors file begins.
const LENGTH_BYTES: usize = 8;
/// The longest header that is read, in bytes.
///
/// A tenth of what the format allows, and some twenty times that of SDXL: a hostile header becomes up to a dozen times
/// as large in memory.
const MAX_HEADER_BYTES: u64 = 10_000_000;
/// How much [`SafetensorsFile::visit_data`] holds at a time, in bytes.
const DATA_BLOCK: u64 = 1 << 20;

/// A safetensors file whose header has been checked and whose tensors are read when they are asked for.
///
/// Nothing but the header stays in memory: a memory map would be simpler to use, but its pages count as resident and
/// so as much memory as the file is long. All offsets are checked against the file's length on opening.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    /// Behind a lock, because reading at a place moves the file's cursor.
    file: Mutex<File>,
    len: u64,
    header: Header,
    data_start: u64,
}

impl SafetensorsFile {
    /// Opens `path` and checks its header.
    ///
    /// # Errors
    /// A [`SafetensorsFileError`] that names the file, when it cannot be opened, is no regular file, is truncated, or
    /// carries a header that the format forbids. Allocates no more than a small multiple of the header's real bytes,
    /// whatever length the file claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SafetensorsFileError> {
        let path = path.as_ref().to_path_buf();
        let (mut file, len) = open(&path)?;
        let header = header_bytes(&path, &mut file, len)?;
        let data_start = (LENGTH_BYTES + header.len()) as u64;
        let header: Header = match serde_json::from_slice(&header) {
            Ok(header) => header,
            Err(source) => return Err(SafetensorsFileError::Header { path, source }),
        };
        let declared = match header.check() {
            Ok(bytes) => bytes as u64,
            Err(problem) => return Err(SafetensorsFileError::Layout { path, problem }),
        };
        if declared != len - data_start {
            return Err(SafetensorsFileError::WrongLength {
                path,
                declared,
                found: len - data_start,
            });
        }
        Ok(Self {
            path,
            file: Mutex::new(file),
            len,
            header,
            data_start,
        })
    }

    /// The file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, in the order of their bytes in the file.
    pub fn names(&self) -> Vec<String> {
        let tensors = self.header.in_order().into_iter();
        tensors.map(|(name, _)| name.to_owned()).collect()
    }

    /// Type, shape and place of the tensor called `name`, or `None` when the file has no such tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.tensors.get(name)
    }

    /// Reads the tensor called `name`.
    ///
    /// # Errors
    /// [`SafetensorsFileError::NoTensor`] and [`SafetensorsFileError::Tensor`], naming file and tensor.
    pub fn read(&self, name: &str) -> Result<RawTensor, SafetensorsFileError> {
        let info = self.info_of(name)?;
        let (start, end) = info.data_offsets;
        Ok(RawTensor {
            dtype: info.dtype,
            shape: info.shape.clone(),
            bytes: self.bytes(name, start..end)?,
        })
    }

    /// Reads some rows, counted along the first dimension, of the tensor called `name`.
    ///
    /// # Errors
    /// As [`Self::read`]; rows that the tensor does not have are an unexpected end of file.
    pub fn read_rows(
        &self,
        name: &str,
        rows: Range<usize>,
    ) -> Result<RawTensor, SafetensorsFileError> {
        let info = self.info_of(name)?;
        let (start, end) = info.data_offsets;
        let height = info.shape.first().copied().unwrap_or(0);
        if rows.start > rows.end || rows.end > height {
            return Err(self.tensor_error(name, io::ErrorKind::UnexpectedEof.into()));
        }
        let row_bytes = (end - start) / height.max(1);
        let mut shape = info.shape.clone();
        shape[0] = rows.len();
        Ok(RawTensor {
            dtype: info.dtype,
            shape,
            bytes: self.bytes(
                name,
                start + rows.start * row_bytes..start + rows.end * row_bytes,
            )?,
        })
    }

    /// The value of `key` in the header's `__metadata__`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(String::as_str)
    }

    /// All entries of the header's `__metadata__`, by name.
    pub fn metadata_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.header.metadata.iter();
        entries.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The length of the whole file in bytes.
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// Shows all bytes after the header to `visit`, block by block: what `sshs_model_hash` is taken over.
    ///
    /// # Errors
    /// [`SafetensorsFileError::Io`] when the file cannot be read to its end.
    pub fn visit_data(&self, mut visit: impl FnMut(&[u8])) -> Result<(), SafetensorsFileError> {
        let all = self.len - self.data_start;
        let mut block = vec![0; all.min(DATA_BLOCK) as usize];
        let mut place = 0;
        while place < all {
            let block = &mut block[..(all - place).min(DATA_BLOCK) as usize];
            self.read_at(place, block)
                .map_err(|source| SafetensorsFileError::Io {
                    path: self.path.clone(),
                    source,
                })?;
            visit(block);
            place += block.len() as u64;
        }
        Ok(())
    }

    fn info_of(&self, name: &str) -> Result<&TensorInfo, SafetensorsFileError> {
        self.info(name)
            .ok_or_else(|| SafetensorsFileError::NoTensor {
                path: self.path.clone(),
                key: name.to_owned(),
            })
    }

    /// Bytes of the tensor `name`, at `place` after the header.
    fn bytes(&self, name: &str, place: Range<usize>) -> Result<Vec<u8>, SafetensorsFileError> {
        let mut bytes = vec![0; place.len()];
        self.read_at(place.start as u64, &mut bytes)
            .map_err(|source| self.tensor_error(name, source))?;
        Ok(bytes)
    }

    fn read_at(&self, place: u64, bytes: &mut [u8]) -> io::Result<()> {
        // The cursor is set before each reading, so what a panicking reader left behind does no harm.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.data_start + place))?;
        file.read_exact(bytes)
    }

    fn tensor_error(&self, name: &str, source: io::Error) -> SafetensorsFileError {
        SafetensorsFileError::Tensor {
            path: self.path.clone(),
            key: name.to_owned(),
            source,
        }
    }
}

/// Opens a regular file and tells its length.
fn open(path: &Path) -> Result<(File, u64), SafetensorsFileError> {
    let io_error = |source| SafetensorsFileError::Io {
        path: path.to_path_buf(),
        source,
    };
    // Asked before opening: opening a named pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(io_error)?.is_file() {
        return Err(SafetensorsFileError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    let file = File::open(path).map_err(io_error)?;
    let len = file.metadata().map_err(io_error)?.len();
    Ok((file, len))
}

/// The header of a file of `len` bytes, its length checked against the format's limit and the file's length.
fn header_bytes(path: &Path, file: &mut File, len: u64) -> Result<Vec<u8>, SafetensorsFileError> {
    let owned = || path.to_path_buf();
    let io_error = |source| SafetensorsFileError::Io {
        path: owned(),
        source,
    };
    if len < LENGTH_BYTES as u64 {
        return Err(SafetensorsFileError::TooShort { path: owned(), len });
    }
    let mut prefix = [0; LENGTH_BYTES];
    file.read_exact(&mut prefix).map_err(io_error)?;
    let declared = u64::from_le_bytes(prefix);
    if declared > MAX_HEADER_BYTES {
        return Err(SafetensorsFileError::HeaderTooLong {
            path: owned(),
            declared,
        });
    }
    if declared > len - LENGTH_BYTES as u64 {
        return Err(SafetensorsFileError::HeaderTruncated {
            path: owned(),
            declared,
            len,
        });
    }
    let mut header = vec![0; declared as usize];
    file.read_exact(&mut header).map_err(io_error)?;
    Ok(header)
}
