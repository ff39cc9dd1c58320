//! The catalogue of methods: what specs may say.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{check, static_text, text, Result};
use crate::open::c_string;
use crate::spec::Spec;
use crate::ErrorKind;
use sonde_sys as sys;
use std::ffi::{c_char, CString};

/// A method that a spec can name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Method {
    /// `"index"`, `"quantizer"`, `"row_sampler"`, ...
    pub noun: &'static str,
    /// such as `"ivf"`
    pub name: &'static str,
    /// one sentence
    pub summary: &'static str,
    /// the paper or practice it comes from
    pub source: &'static str,
    /// what its spec may set
    pub keys: Vec<Key>,
    /// the arrays that it takes
    pub inputs: Vec<InputInfo>,
    /// the arrays that it gives beside those of its noun
    pub outputs: Vec<OutputInfo>,
}

/// A key of a spec.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Key {
    /// its name
    pub name: &'static str,
    /// `"int"`, `"real"`, `"word"` or `"spec"`
    pub kind: &'static str,
    /// the default as text; `""` = the key must be given
    pub fallback: &'static str,
    /// words that are accepted, separated by `|`, or `""`
    pub words: &'static str,
    /// for `"spec"`: the noun of the nested spec
    pub noun: &'static str,
    /// one line
    pub help: &'static str,
    /// for `"int"` and `"real"`: the smallest value
    pub min: f64,
    /// for `"int"` and `"real"`: the largest value
    pub max: f64,
}

/// An input of `train_inputs`, `fit`, `draw_for`, `observe` or `loss`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InputInfo {
    /// its name
    pub name: &'static str,
    /// whether it must be given
    pub required: bool,
    /// in words, such as `"n x dim"`
    pub shape: &'static str,
    /// such as `"f32 f16 bf16 i8 u8"`
    pub dtypes: &'static str,
    /// one line
    pub help: &'static str,
    /// `"train"`, `"fit"`, `"draw"`, `"observe"` or `"loss"`
    pub verb: &'static str,
}

/// A named output.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutputInfo {
    /// its name
    pub name: &'static str,
    /// in words, such as `"count x 1"`
    pub shape: &'static str,
    /// such as `"i64"`
    pub dtype: &'static str,
    /// one line
    pub help: &'static str,
}

/// All methods, in a fixed order.
pub fn methods() -> Result<Vec<Method>> {
    all(|position| {
        let mut raw = sys::SONDE_METHOD_INFO_INIT;
        // SAFETY: class A.
        check(unsafe { sys::sonde_method_at(position, &mut raw) })?;
        // SAFETY: all strings of the catalogue are static.
        let method = unsafe {
            Method {
                noun: static_text(raw.noun),
                name: static_text(raw.name),
                summary: static_text(raw.summary),
                source: static_text(raw.source),
                keys: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
            }
        };
        let (noun, name) = (c_string("noun", method.noun)?, c_string("method", method.name)?);
        let keys = all(|at| key_at(&noun, &name, at))?;
        let inputs = all(|at| input_at(&noun, &name, at))?;
        Ok(Method { keys, inputs, outputs: all(|at| output_at(&noun, &name, at))?, ..method })
    })
}

/// What `at` gives for 0, 1, 2, ... until it finds nothing.
fn all<T>(at: impl Fn(u32) -> Result<T>) -> Result<Vec<T>> {
    let mut found = Vec::new();
    loop {
        match at(found.len() as u32) {
            Ok(one) => found.push(one),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        }
    }
}

fn key_at(noun: &CString, method: &CString, position: u32) -> Result<Key> {
    let mut raw = sys::SONDE_KEY_INFO_INIT;
    // SAFETY: class A; all strings of the catalogue are static.
    unsafe {
        check(sys::sonde_key_at(noun.as_ptr(), method.as_ptr(), position, &mut raw))?;
        Ok(Key {
            name: static_text(raw.name),
            kind: static_text(raw.kind),
            fallback: static_text(raw.fallback),
            words: static_text(raw.words),
            noun: static_text(raw.noun),
            help: static_text(raw.help),
            min: raw.min,
            max: raw.max,
        })
    }
}

fn input_at(noun: &CString, method: &CString, position: u32) -> Result<InputInfo> {
    let mut raw = sys::SONDE_INPUT_INFO_INIT;
    // SAFETY: class A; all strings of the catalogue are static.
    unsafe {
        check(sys::sonde_input_at(noun.as_ptr(), method.as_ptr(), position, &mut raw))?;
        Ok(InputInfo {
            name: static_text(raw.name),
            required: raw.required != 0,
            shape: static_text(raw.shape),
            dtypes: static_text(raw.dtypes),
            help: static_text(raw.help),
            verb: static_text(raw.verb),
        })
    }
}

fn output_at(noun: &CString, method: &CString, position: u32) -> Result<OutputInfo> {
    let mut raw = sys::SONDE_OUTPUT_INFO_INIT;
    // SAFETY: class A; all strings of the catalogue are static.
    unsafe {
        check(sys::sonde_output_at(noun.as_ptr(), method.as_ptr(), position, &mut raw))?;
        Ok(OutputInfo {
            name: static_text(raw.name),
            shape: static_text(raw.shape),
            dtype: static_text(raw.dtype),
            help: static_text(raw.help),
        })
    }
}

/// A readable page about one method.
pub fn describe(noun: &str, method: &str) -> Result<String> {
    let (noun, method) = (c_string("the noun", noun)?, c_string("the method", method)?);
    measured(|page, capacity, length| {
        // SAFETY: class A; the text has room for `capacity` bytes.
        check(unsafe { sys::sonde_describe(noun.as_ptr(), method.as_ptr(), page, capacity, length) })
    })
}

/// Checks a spec without building anything, and gives it with every default filled in.
///
/// ```
/// let full = sonde::check_spec("quantizer", "sq(bits=4)")?;
/// assert!(full.as_str().starts_with("sq(bits=4, "));
/// let error = sonde::check_spec("quantizer", "pq(bit=4)").unwrap_err();
/// assert!(error.message().contains("did you mean 'bits'"));
/// # Ok::<(), sonde::Error>(())
/// ```
pub fn check_spec(noun: &str, spec: impl Into<Spec>) -> Result<Spec> {
    let (noun, spec) = (c_string("the noun", noun)?, c_string("the spec", spec.into().to_string())?);
    let full = measured(|full, capacity, length| {
        // SAFETY: class A; the text has room for `capacity` bytes.
        check(unsafe { sys::sonde_spec_check(noun.as_ptr(), spec.as_ptr(), full, capacity, length) })
    })?;
    Ok(full.into())
}

/// A text of C: `write` is asked for its length first.
fn measured(write: impl Fn(*mut c_char, usize, &mut usize) -> Result<()>) -> Result<String> {
    let mut length = 0;
    write(std::ptr::null_mut(), 0, &mut length)?;
    let mut bytes = vec![0 as c_char; length + 1];
    write(bytes.as_mut_ptr(), bytes.len(), &mut length)?;
    // SAFETY: C ends the text with a zero byte.
    Ok(unsafe { text(bytes.as_ptr()) }.into_owned())
}

/// The version of the library that is running, such as `"1.0.0"`.
pub fn version() -> &'static str {
    // SAFETY: class A; static.
    unsafe { static_text(sys::sonde_version()) }
}

/// How the library was built and what it chose on this machine, as key=value pairs in one line.
pub fn build_info() -> &'static str {
    // SAFETY: class A; static.
    unsafe { static_text(sys::sonde_build_info()) }
}
