//! The enums of C that this crate shows.
//!
//! Written by bindings/generate from the public headers and the method tables: change those, then `make generate`.
//!
//! SPDX-License-Identifier: MIT

use sonde_sys as sys;
use std::fmt;

/// What kind of failure an [`Error`](crate::Error) is: the status that the C library returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// an argument is outside what the function accepts
    InvalidArgument,
    /// the allocator returned no memory
    OutOfMemory,
    /// a limit given by the caller would be exceeded
    Limit,
    /// the operating system reported an input or output error
    Io,
    /// the file, method, key or id does not exist
    NotFound,
    /// the data is damaged or is not what it claims to be
    Corrupt,
    /// this method or build does not offer the operation
    Unsupported,
    /// the two things do not fit together
    Incompatible,
    /// the handle is not in a state that allows the call
    State,
    /// the caller cancelled the work
    Cancelled,
    /// a function supplied by the caller failed
    Callback,
    /// a defect in the library
    Internal,
    /// A value that is newer than this crate.
    Other(u32),
}

impl ErrorKind {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::InvalidArgument => sys::SONDE_INVALID_ARGUMENT,
            Self::OutOfMemory => sys::SONDE_OUT_OF_MEMORY,
            Self::Limit => sys::SONDE_LIMIT,
            Self::Io => sys::SONDE_IO,
            Self::NotFound => sys::SONDE_NOT_FOUND,
            Self::Corrupt => sys::SONDE_CORRUPT,
            Self::Unsupported => sys::SONDE_UNSUPPORTED,
            Self::Incompatible => sys::SONDE_INCOMPATIBLE,
            Self::State => sys::SONDE_STATE,
            Self::Cancelled => sys::SONDE_CANCELLED,
            Self::Callback => sys::SONDE_CALLBACK,
            Self::Internal => sys::SONDE_INTERNAL,
            Self::Other(raw) => raw,
        }
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            sys::SONDE_INVALID_ARGUMENT => Self::InvalidArgument,
            sys::SONDE_OUT_OF_MEMORY => Self::OutOfMemory,
            sys::SONDE_LIMIT => Self::Limit,
            sys::SONDE_IO => Self::Io,
            sys::SONDE_NOT_FOUND => Self::NotFound,
            sys::SONDE_CORRUPT => Self::Corrupt,
            sys::SONDE_UNSUPPORTED => Self::Unsupported,
            sys::SONDE_INCOMPATIBLE => Self::Incompatible,
            sys::SONDE_STATE => Self::State,
            sys::SONDE_CANCELLED => Self::Cancelled,
            sys::SONDE_CALLBACK => Self::Callback,
            sys::SONDE_INTERNAL => Self::Internal,
            _ => Self::Other(raw),
        }
    }
}

/// What near means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// `l2`
    L2,
    /// `ip`
    Ip,
    /// `cosine`
    Cosine,
    /// `hamming`
    Hamming,
    /// A value that is newer than this crate.
    Other(u32),
}

impl Metric {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::L2 => sys::SONDE_METRIC_L2,
            Self::Ip => sys::SONDE_METRIC_IP,
            Self::Cosine => sys::SONDE_METRIC_COSINE,
            Self::Hamming => sys::SONDE_METRIC_HAMMING,
            Self::Other(raw) => raw,
        }
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            sys::SONDE_METRIC_L2 => Self::L2,
            sys::SONDE_METRIC_IP => Self::Ip,
            sys::SONDE_METRIC_COSINE => Self::Cosine,
            sys::SONDE_METRIC_HAMMING => Self::Hamming,
            _ => Self::Other(raw),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L2 => "l2",
            Self::Ip => "ip",
            Self::Cosine => "cosine",
            Self::Hamming => "hamming",
            Self::Other(raw) => return write!(f, "{raw}"),
        })
    }
}

/// Why the hits of a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// every allowed row was scored: these are the k best
    Exact,
    /// the wanted effort or recall was reached
    Effort,
    /// every allowed row was scored and there are fewer than k
    Fewer,
    /// A value that is newer than this crate.
    Other(u32),
}

impl Stop {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::Exact => sys::SONDE_STOP_EXACT,
            Self::Effort => sys::SONDE_STOP_EFFORT,
            Self::Fewer => sys::SONDE_STOP_FEWER,
            Self::Other(raw) => raw,
        }
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            sys::SONDE_STOP_EXACT => Self::Exact,
            sys::SONDE_STOP_EFFORT => Self::Effort,
            sys::SONDE_STOP_FEWER => Self::Fewer,
            _ => Self::Other(raw),
        }
    }
}

/// How serious a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// `info`
    Info,
    /// `warning`
    Warning,
    /// A value that is newer than this crate.
    Other(u32),
}

impl LogLevel {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::Info => sys::SONDE_LOG_INFO,
            Self::Warning => sys::SONDE_LOG_WARNING,
            Self::Other(raw) => raw,
        }
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            sys::SONDE_LOG_INFO => Self::Info,
            sys::SONDE_LOG_WARNING => Self::Warning,
            _ => Self::Other(raw),
        }
    }
}

/// How much of a file is checked when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verify {
    /// every checksum, every structure (the default)
    Full,
    /// header, table of contents, sizes and structure; bulk data is not summed
    Fast,
}

impl Verify {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::Full => sys::SONDE_VERIFY_FULL,
            Self::Fast => sys::SONDE_VERIFY_FAST,
        }
    }
}

/// What a model of a path sampler predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Prediction {
    /// eps: the noise
    Noise,
    /// x0: the data
    Data,
    /// gradient of the log density of the noisy data, -eps / sigma
    Score,
    /// alpha eps - sigma x0
    V,
    /// velocity dx/dt; for rf: eps - x0
    Flow,
    /// the raw network of EDM, wrapped by its preconditioning
    Edm,
    /// A value that is newer than this crate.
    Other(u32),
}

impl Prediction {
    /// The number that stands for it in C.
    pub fn raw(self) -> u32 {
        match self {
            Self::Noise => sys::SONDE_PREDICTION_NOISE,
            Self::Data => sys::SONDE_PREDICTION_DATA,
            Self::Score => sys::SONDE_PREDICTION_SCORE,
            Self::V => sys::SONDE_PREDICTION_V,
            Self::Flow => sys::SONDE_PREDICTION_FLOW,
            Self::Edm => sys::SONDE_PREDICTION_EDM,
            Self::Other(raw) => raw,
        }
    }

    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            sys::SONDE_PREDICTION_NOISE => Self::Noise,
            sys::SONDE_PREDICTION_DATA => Self::Data,
            sys::SONDE_PREDICTION_SCORE => Self::Score,
            sys::SONDE_PREDICTION_V => Self::V,
            sys::SONDE_PREDICTION_FLOW => Self::Flow,
            sys::SONDE_PREDICTION_EDM => Self::Edm,
            _ => Self::Other(raw),
        }
    }
}
