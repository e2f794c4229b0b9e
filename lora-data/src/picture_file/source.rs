use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom, Take},
    path::Path,
};

use super::{PictureFlaw, PictureLimits, format::Format};
use crate::DataError;

/// How many bytes of a file are read at once.
const BUFFER: usize = 64 << 10;

/// How many bytes at a file's start are looked at to tell what it is.
const HEAD: u64 = 512;

/// A picture file, opened, of which a small piece at a time is in memory.
pub(super) struct Source<'call> {
    pub(super) path: &'call Path,
    pub(super) limits: &'call PictureLimits,
    pub(super) format: Format,
    /// The file's length in bytes.
    pub(super) length: u64,
    pub(super) reader: BufReader<File>,
}

impl<'call> Source<'call> {
    /// Opens a file and tells its format by its first bytes. What is no file is not opened, for opening a pipe would
    /// wait until somebody writes to it.
    pub(super) fn open(path: &'call Path, limits: &'call PictureLimits) -> Result<Self, DataError> {
        let length = length(path, limits)?;
        let file = File::open(path).map_err(|cause| DataError::read(path, cause))?;
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let head = head(&mut reader).map_err(|cause| DataError::read(path, cause))?;
        let format = Format::recognise(&head).map_err(|flaw| DataError::picture(path, flaw))?;
        Ok(Self {
            path,
            limits,
            format,
            length,
            reader,
        })
    }

    /// The bytes before `end`, for a decoder to read from the start.
    pub(super) fn up_to(mut self, end: u64) -> Result<Take<BufReader<File>>, DataError> {
        self.reader
            .rewind()
            .map_err(|cause| DataError::read(self.path, cause))?;
        Ok(self.reader.take(end))
    }

    /// Goes to a place in the file, cheaply when it is in the buffer.
    pub(super) fn go_to(&mut self, place: u64) -> io::Result<()> {
        let here = self.reader.stream_position()?;
        match i64::try_from(place.abs_diff(here)) {
            Ok(step) if place >= here => self.reader.seek_relative(step),
            _ => self.reader.seek(SeekFrom::Start(place)).map(drop),
        }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next bytes, at most `most` of them and no more than there are.
    pub(super) fn some_bytes(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn length(path: &Path, limits: &PictureLimits) -> Result<u64, DataError> {
    let metadata = fs::metadata(path).map_err(|cause| match fs::read_link(path) {
        Ok(target) if cause.kind() == io::ErrorKind::NotFound => {
            DataError::picture(path, PictureFlaw::LinkToNothing { target })
        }
        _ => DataError::read(path, cause),
    })?;
    let refuse = |flaw| Err(DataError::picture(path, flaw));
    let (bytes, most) = (metadata.len(), limits.max_memory);
    if metadata.is_dir() {
        return refuse(PictureFlaw::NoFile { what: "a folder" });
    }
    if !metadata.is_file() {
        return refuse(PictureFlaw::NoFile {
            what: "a pipe, socket or device",
        });
    }
    if bytes == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    if bytes > most {
        return refuse(PictureFlaw::TooLong { bytes, most });
    }
    Ok(bytes)
}

fn head(reader: &mut BufReader<File>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD).read_to_end(&mut head)?;
    reader.rewind()?;
    Ok(head)
}

/// What `read` makes of a file of these bytes, whatever their format.
#[cfg(test)]
pub(super) fn test_source<T, E: std::fmt::Debug>(
    bytes: &[u8],
    read: impl FnOnce(&mut Source<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    read(&mut Source {
        path: file.path(),
        limits: &PictureLimits::default(),
        format: Format::Png,
        length: bytes.len() as u64,
        reader: BufReader::new(File::open(file.path()).unwrap()),
    })
}
