//! Errors: the status and the message of the C library, unchanged.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::enums::ErrorKind;
use sonde_sys as sys;
use std::ffi::{c_char, CStr};
use std::fmt;

/// The result of whatever can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong: a kind, and the sentence of the library that names the value and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// What the last call of this thread said; what a closure that panicked meanwhile said stands behind it.
    #[cold]
    fn last(status: sys::sonde_status) -> Self {
        // SAFETY: the message is never NULL and stays until the next call of this thread that fails.
        let mut message = unsafe { text(sys::sonde_error_message()) }.into_owned();
        if let Some(panic) = callback::take_panic() {
            message = format!("{message}; a closure panicked: {panic}");
        }
        Self::new(ErrorKind::from_raw(status), message)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence of the library.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl ErrorKind {
    /// Its name in C, such as `"INVALID_ARGUMENT"`.
    pub fn name(self) -> &'static str {
        // SAFETY: any number is allowed; the name is static.
        unsafe { static_text(sys::sonde_status_name(self.raw())) }
    }

    /// One general sentence about it.
    pub fn text(self) -> &'static str {
        // SAFETY: any number is allowed; the text is static.
        unsafe { static_text(sys::sonde_status_text(self.raw())) }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Turns a status into a `Result`.
#[inline]
pub(crate) fn check(status: sys::sonde_status) -> Result<()> {
    if status != sys::SONDE_OK {
        return Err(Error::last(status));
    }
    callback::forget_panic();
    Ok(())
}

/// # Safety
/// `text` is NULL or points to a string that ends with a zero byte and lives for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> std::borrow::Cow<'a, str> {
    if text.is_null() {
        return "".into();
    }
    // SAFETY: what the caller promises.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// # Safety
/// `text` is NULL or points to a static string that ends with a zero byte.
pub(crate) unsafe fn static_text(text: *const c_char) -> &'static str {
    if text.is_null() {
        return "";
    }
    // SAFETY: what the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
}
