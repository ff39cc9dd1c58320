//! What every noun has: it is made from a spec, saved, opened and freed; and what those that train have.
//!
//! The nouns of C share no type, so one macro writes these functions for each, with the names of its C functions.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{Error, Result};
use crate::ErrorKind;
use std::ptr::NonNull;

/// What C gave as a new handle. It is never NULL after success; if it were, that would be a defect of the library.
pub(crate) fn made<T>(raw: *mut T) -> Result<NonNull<T>> {
    NonNull::new(raw).ok_or_else(|| Error::new(ErrorKind::Internal, "the library gave no handle and no error"))
}

/// Saves into memory; `save` is one of the functions sonde_*_save_buffer. What is saved may grow between measuring and
/// writing, because other threads may add.
pub(crate) fn to_bytes(mut save: impl FnMut(*mut u8, usize, &mut usize) -> Result<()>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut length = 0;
        save(std::ptr::null_mut(), 0, &mut length)?;
        let grown = length > bytes.len();
        bytes.resize(length, 0);
        match save(bytes.as_mut_ptr(), bytes.len(), &mut length) {
            Err(error) if error.kind() == ErrorKind::Limit && grown => continue,
            result => {
                bytes.truncate(length);
                return result.map(|()| bytes);
            }
        }
    }
}

macro_rules! noun {
    ($name:ident is $raw:path, create: $create:path, spec: $spec:path, dim: $dim:path, save: $save:path,
     save_buffer: $save_buffer:path, open: $open:path, open_buffer: $open_buffer:path, free: $free:path
     $(, also: $field:ident)?) => {
        // SAFETY: the functions of this handle are of class A (any number of calls at once) or B (one writer beside
        // them; writers wait for each other) and take &self, or of class C (exclusive) or S (not shared) and take
        // &mut self or run in Drop. No function ties a handle to the thread that made it.
        unsafe impl Send for $name {}
        unsafe impl Sync for $name {}

        impl $name {
            /// Makes one for rows of `dim` values from a spec.
            pub fn new(spec: impl Into<Spec>, dim: usize) -> Result<Self> {
                Self::create(spec.into(), dim, None)
            }

            /// As [`new`](Self::new), with a runtime of yours.
            pub fn with_runtime(spec: impl Into<Spec>, dim: usize, runtime: &Runtime) -> Result<Self> {
                Self::create(spec.into(), dim, Some(runtime))
            }

            fn create(spec: Spec, dim: usize, runtime: Option<&Runtime>) -> Result<Self> {
                let spec = c_string("the spec", spec.to_string())?;
                let dim = i64::try_from(dim).unwrap_or(i64::MAX);
                // SAFETY: the spec lives during the call; the runtime is live or NULL.
                Self::made(runtime, |raw| unsafe { $create(spec.as_ptr(), dim, Runtime::raw(runtime), raw) })
            }

            fn made(runtime: Option<&Runtime>, make: impl FnOnce(*mut *mut $raw) -> sys::sonde_status) -> Result<Self> {
                let mut raw = std::ptr::null_mut();
                check(make(&mut raw))?;
                Ok(Self { raw: handle::made(raw)?, _runtime: runtime.cloned() $(, $field: Default::default())? })
            }

            /// Opens a file; needs only its path.
            pub fn open(path: impl AsRef<Path>) -> Result<Self> {
                Self::open_with(path, &OpenOptions::new())
            }

            /// Opens a file in the way that is asked for.
            pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
                let (path, raw_options, runtime) = (c_path(path.as_ref())?, options.raw(), options.given_runtime());
                // SAFETY: path and options live during the call; the runtime is live or NULL.
                Self::made(runtime, |raw| unsafe { $open(path.as_ptr(), &raw_options, Runtime::raw(runtime), raw) })
            }

            /// Opens what [`to_bytes`](Self::to_bytes) gave.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
                Self::from_bytes_with(bytes, &OpenOptions::new())
            }

            /// As [`from_bytes`](Self::from_bytes), with options; `mmap` is not one of them.
            pub fn from_bytes_with(bytes: &[u8], options: &OpenOptions) -> Result<Self> {
                let (raw_options, runtime) = (options.raw_for_bytes()?, options.given_runtime());
                let (data, length) = (bytes.as_ptr().cast(), bytes.len());
                // SAFETY: the bytes live during the call, and the mode is to copy them; the runtime is live or NULL.
                Self::made(runtime, |raw| unsafe {
                    $open_buffer(data, length, &raw_options, Runtime::raw(runtime), raw)
                })
            }

            /// Writes one file, atomically: a crash or a full disk leaves the old file.
            pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
                let path = c_path(path.as_ref())?;
                // SAFETY: class A; the path lives during the call.
                check(unsafe { $save(self.raw(), path.as_ptr()) })
            }

            /// The bytes that [`save`](Self::save) writes.
            pub fn to_bytes(&self) -> Result<Vec<u8>> {
                handle::to_bytes(|buffer, capacity, length| {
                    // SAFETY: class A; the buffer has room for `capacity` bytes.
                    check(unsafe { $save_buffer(self.raw(), buffer.cast(), capacity, length) })
                })
            }

            /// Values of a row: the columns of a vector, the tokens of a vocabulary.
            pub fn dim(&self) -> usize {
                // SAFETY: class A.
                unsafe { $dim(self.raw()) as usize }
            }

            /// The full spec with every default filled in.
            pub fn spec(&self) -> &str {
                // SAFETY: class A; the string lives as long as the handle.
                unsafe { std::ffi::CStr::from_ptr($spec(self.raw())) }.to_str().unwrap_or("")
            }

            #[inline]
            pub(crate) fn raw(&self) -> *const $raw {
                self.raw.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: class C, and nobody else can have it any more.
                unsafe { $free(self.raw.as_ptr()) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({}, dim = {})", stringify!($name), self.spec(), self.dim())
            }
        }
    };
}

macro_rules! trains {
    ($name:ident, $train:path) => {
        impl $name {
            /// Learns from named inputs: the method's table ([`methods`](crate::methods)) says which. On failure or
            /// cancel nothing has changed.
            pub fn train_inputs(&mut self, inputs: &[Input<'_>]) -> Result<()> {
                let (raw, dim) = (self.raw.as_ptr(), self.dim());
                // SAFETY: class C, and we are borrowed for change; the inputs live during the call.
                with_inputs(inputs, dim, |inputs, count| unsafe { $train(raw, inputs, count) })
            }

            /// Learns from vectors. On failure or cancel nothing has changed.
            pub fn train(&mut self, vectors: &(impl Matrix + ?Sized)) -> Result<()> {
                self.train_inputs(&[Input::new("vectors", &vectors)])
            }
        }
    };
}

pub(crate) use {noun, trains};
