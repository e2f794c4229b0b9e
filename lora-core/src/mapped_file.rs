//! Memory-mapped safetensors files: the one door through which checkpoints and LoRA files are read.

use std::fs::File;
use std::path::{Path, PathBuf};

use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

/// Bytes of the little-endian header length with which every safetensors file begins.
const LENGTH_BYTES: usize = 8;
/// The longest header that the safetensors format allows, in bytes.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Why a file could not be opened as safetensors.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsFileError {
    /// The file cannot be opened, or its pages cannot be mapped.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// The path names a folder, a device or a pipe.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is too short for even the header length.
    #[error("{}: not a safetensors file, it has only {len} bytes", path.display())]
    TooShort {
        /// The file asked for.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// The declared header length is beyond what the format allows: some other kind of file.
    #[error("{}: not a safetensors file, its first 8 bytes declare a header of {declared} bytes (limit {MAX_HEADER_BYTES})", path.display())]
    HeaderTooLong {
        /// The file asked for.
        path: PathBuf,
        /// Declared header length in bytes.
        declared: u64,
    },
    /// The file ends within its header.
    #[error("{}: truncated, the header needs {declared} bytes but the file has {len}", path.display())]
    HeaderTruncated {
        /// The file asked for.
        path: PathBuf,
        /// Declared header length in bytes.
        declared: u64,
        /// The file's length in bytes.
        len: u64,
    },
    /// The bytes after the header are not as many as its tensors need.
    #[error("{}: truncated or overlong, its tensors need {declared} bytes after the header but there are {found}", path.display())]
    WrongLength {
        /// The file asked for.
        path: PathBuf,
        /// Bytes that the header's tensors need.
        declared: u64,
        /// Bytes that follow the header.
        found: u64,
    },
    /// The header is no JSON of the prescribed form, or its offsets, shapes and types contradict one another.
    #[error("{}: bad safetensors header: {source}", path.display())]
    Header {
        /// The file asked for.
        path: PathBuf,
        /// What is wrong with it; names the tensor where one is to blame.
        source: serde_json::Error,
    },
}

/// A safetensors file whose header has been checked and whose tensors are read straight from the page cache.
///
/// Opening costs the header only; the bytes of a tensor are paged in when they are looked at. All offsets are checked
/// against the file's length on opening, so [`MappedSafetensors::view`] cannot fail on a name that exists.
#[derive(Debug)]
pub struct MappedSafetensors {
    path: PathBuf,
    mmap: Mmap,
    header: Metadata,
    data_start: usize,
}

/// One tensor of a [`MappedSafetensors`], borrowed from the mapping.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Type of the stored elements.
    pub dtype: Dtype,
    /// Extent of each dimension, outermost first; empty for a scalar.
    pub shape: &'a [usize],
    /// The elements, little-endian and contiguous; not necessarily aligned.
    pub bytes: &'a [u8],
}

impl MappedSafetensors {
    /// Maps `path` and checks its header.
    ///
    /// # Errors
    /// A [`SafetensorsFileError`] that names the file, when it cannot be opened, is no regular file, is truncated, or
    /// carries a header that the format forbids. Allocates no more than a small multiple of the header's real bytes,
    /// whatever length the file claims.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SafetensorsFileError> {
        let path = path.as_ref().to_path_buf();
        let mmap = map(&path)?;
        let data_start = LENGTH_BYTES + header_length(&path, &mmap)?;
        // Not `SafeTensors::read_metadata`: its sum of lengths overflows on hostile offsets.
        let header: Metadata = match serde_json::from_slice(&mmap[LENGTH_BYTES..data_start]) {
            Ok(header) => header,
            Err(source) => return Err(SafetensorsFileError::Header { path, source }),
        };
        if header.data_len() != mmap.len() - data_start {
            return Err(SafetensorsFileError::WrongLength {
                path,
                declared: header.data_len() as u64,
                found: (mmap.len() - data_start) as u64,
            });
        }
        Ok(Self {
            path,
            mmap,
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
        self.header.offset_keys()
    }

    /// The tensor called `name`, or `None` when the file has no such tensor.
    pub fn view(&self, name: &str) -> Option<TensorView<'_>> {
        let info = self.header.info(name)?;
        let (start, end) = info.data_offsets;
        Some(TensorView {
            dtype: info.dtype,
            shape: &info.shape,
            bytes: &self.data()[start..end],
        })
    }

    /// The value of `key` in the header's `__metadata__`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata_entries()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// All entries of the header's `__metadata__`, in no particular order.
    pub fn metadata_entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header
            .metadata()
            .iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The length of the whole file in bytes.
    pub fn file_len(&self) -> u64 {
        self.mmap.len() as u64
    }

    /// All bytes after the header: what `sshs_model_hash` is taken over.
    pub fn data(&self) -> &[u8] {
        &self.mmap[self.data_start..]
    }
}

impl TensorView<'_> {
    /// The elements as f32, exactly; `None` unless they are stored as F16, BF16 or F32.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self.dtype {
            Dtype::F16 => Some(widen_f16(self.bytes)),
            Dtype::BF16 => Some(
                elements(self.bytes)
                    .map(|bytes| bf16::from_le_bytes(bytes).to_f32())
                    .collect(),
            ),
            Dtype::F32 => Some(elements(self.bytes).map(f32::from_le_bytes).collect()),
            _ => None,
        }
    }
}

/// Cuts `bytes` into elements of `N` bytes.
fn elements<const N: usize>(bytes: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Widens F16 in blocks, because the CPU's conversion instructions take whole slices of aligned `f16`.
fn widen_f16(bytes: &[u8]) -> Vec<f32> {
    const BLOCK: usize = 1024;
    let mut halves = [f16::ZERO; BLOCK];
    let mut wide = vec![0.0; bytes.len() / 2];
    for (stored, wide) in bytes.chunks(2 * BLOCK).zip(wide.chunks_mut(BLOCK)) {
        let halves = &mut halves[..wide.len()];
        for (half, bytes) in halves.iter_mut().zip(elements(stored)) {
            *half = f16::from_le_bytes(bytes);
        }
        halves.convert_to_f32_slice(wide);
    }
    wide
}

fn map(path: &Path) -> Result<Mmap, SafetensorsFileError> {
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
    map_file(&file).map_err(io_error)
}

/// Maps a file read-only: the only unsafe code of this crate.
///
/// The mapping is sound as long as nobody shortens or rewrites the file in place while it is open. Our own writers
/// never do that: they write a new file and rename it over the old one (see [`crate::atomic_file`]), which leaves an
/// existing mapping on the old bytes. Another program that truncates a model while it is read would end the process
/// with a bus error, as it would in every other memory-mapping loader. No `&mut` to the mapping ever exists.
#[expect(
    unsafe_code,
    reason = "a memory map is unsafe by nature; see the contract above"
)]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: read-only and private to this module; in-place changes by others are excluded by the contract above.
    unsafe { Mmap::map(file) }
}

/// The length of the header in bytes, checked against the format's limit and the file's length.
fn header_length(path: &Path, bytes: &[u8]) -> Result<usize, SafetensorsFileError> {
    let path = || path.to_path_buf();
    let len = bytes.len() as u64;
    let Some(prefix) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Err(SafetensorsFileError::TooShort { path: path(), len });
    };
    let declared = u64::from_le_bytes(*prefix);
    if declared > MAX_HEADER_BYTES {
        return Err(SafetensorsFileError::HeaderTooLong {
            path: path(),
            declared,
        });
    }
    if declared > len - LENGTH_BYTES as u64 {
        return Err(SafetensorsFileError::HeaderTruncated {
            path: path(),
            declared,
            len,
        });
    }
    Ok(declared as usize)
}
