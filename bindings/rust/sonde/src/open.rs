//! Files: how they are opened, and what stands in them.
//!
//! SPDX-License-Identifier: MIT

use crate::enums::Verify;
use crate::error::{check, text, Error, Result};
use crate::runtime::Runtime;
use sonde_sys as sys;
use std::ffi::CString;
use std::path::Path;

/// How a file is opened: by default it is read into memory and all of it is verified.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OpenOptions {
    mmap: bool,
    verify: Option<Verify>,
    max_bytes: u64,
    runtime: Option<Runtime>,
}

impl OpenOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps the file: instant, shared between processes, read-only. The handle owns the map.
    pub fn mmap(mut self, yes: bool) -> Self {
        self.mmap = yes;
        self
    }

    /// How much is checked; by default everything, or for a mapped file all but the bulk data.
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = Some(verify);
        self
    }

    /// Refuses larger files; 0 = no limit.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The runtime of the handle.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    pub(crate) fn given_runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    pub(crate) fn raw(&self) -> sys::sonde_open_options {
        let mut raw = sys::SONDE_OPEN_OPTIONS_INIT;
        raw.mode = if self.mmap { sys::SONDE_OPEN_MMAP } else { sys::SONDE_OPEN_READ };
        raw.verify = self.verify.map_or(0, Verify::raw);
        raw.max_bytes = self.max_bytes;
        raw
    }

    /// For bytes that the caller may drop after the call: they must be copied.
    pub(crate) fn raw_for_bytes(&self) -> Result<sys::sonde_open_options> {
        if self.mmap {
            return Err(Error::invalid("from_bytes: mmap is for files; bytes in memory are copied"));
        }
        Ok(self.raw())
    }
}

/// A section of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// name
    pub tag: String,
    /// the child handle it belongs to; `""` = the file's own
    pub path: String,
    /// bytes from the start of the file
    pub offset: u64,
    /// length
    pub bytes: u64,
    /// bytes of one element
    pub element_size: u32,
    /// the stored CRC-32C
    pub checksum: u64,
    /// whether the bytes match the checksum
    pub intact: bool,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSections {
    /// the kind of handle, such as `"index"`
    pub noun: String,
    /// in the order of the file
    pub sections: Vec<Section>,
}

/// Lists the sections of a file and verifies each checksum.
pub fn file_sections(path: impl AsRef<Path>) -> Result<FileSections> {
    let path = c_path(path.as_ref())?;
    let mut noun = [0; 16];
    let mut sections: Vec<sys::sonde_section_info> = Vec::new();
    loop {
        let (capacity, mut count) = (sections.len(), 0);
        let first = sections.as_mut_ptr();
        // SAFETY: `first` has room for `capacity` elements, `noun` for 16 bytes.
        check(unsafe {
            sys::sonde_file_sections(path.as_ptr(), first, capacity as i64, &mut count, noun.as_mut_ptr())
        })?;
        if count as usize <= capacity {
            sections.truncate(count as usize);
            break;
        }
        sections = vec![sys::SONDE_SECTION_INFO_INIT; count as usize];
    }
    // SAFETY: C ends the noun with a zero byte.
    let noun = unsafe { text(noun.as_ptr()) }.into_owned();
    Ok(FileSections { noun, sections: sections.iter().map(Section::from_raw).collect() })
}

impl Section {
    fn from_raw(raw: &sys::sonde_section_info) -> Self {
        // SAFETY: C ends both names with a zero byte.
        let (tag, path) = unsafe { (text(raw.tag.as_ptr()).into_owned(), text(raw.path.as_ptr()).into_owned()) };
        Self {
            tag,
            path,
            offset: raw.offset,
            bytes: raw.bytes,
            element_size: raw.element_size,
            checksum: raw.checksum,
            intact: raw.intact != 0,
        }
    }
}

/// A string for C.
pub(crate) fn c_string(what: &str, text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{what} has a zero byte in it")))
}

#[cfg(unix)]
pub(crate) fn c_path(path: &Path) -> Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    c_string("the path", path.as_os_str().as_bytes())
}

#[cfg(not(unix))]
pub(crate) fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().ok_or_else(|| Error::invalid("the path is not Unicode"))?;
    c_string("the path", text)
}
