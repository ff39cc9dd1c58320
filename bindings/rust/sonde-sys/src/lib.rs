//! The declarations of the C library Sonde, as its headers have them. The crate `sonde` is the safe layer over them.
//!
//! Enums of C are integers here, because a newer library may hand back values that this crate does not know.
//! README.md tells which library is linked.
//!
//! SPDX-License-Identifier: MIT

#![no_std]
#![allow(non_camel_case_types)]

#[rustfmt::skip] // as bindings/generate writes it
mod bindings;

pub use bindings::*;
