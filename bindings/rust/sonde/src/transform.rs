//! Transforms: learned or fixed maps from vectors to vectors.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{check, Result};
use crate::handle::{self, noun, trains};
use crate::matrix::{output, rows_of, with_inputs, Input, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::path::Path;
use std::ptr::NonNull;

/// A map from vectors of `dim` columns to vectors of `dim_out` columns, such as `rotation(seed=1)` or `pca(dim=128)`.
///
/// ```
/// let rotation = sonde::Transform::new("rotation", 4)?; // it learns nothing, so it is ready
/// let vector = [1.0f32, 2.0, 3.0, 4.0];
/// let back = rotation.apply_inverse(&rotation.apply(&vector)?)?;
/// assert!(back.iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-5));
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct Transform {
    raw: NonNull<sys::sonde_transform>,
    _runtime: Option<Runtime>,
}

noun! {Transform is sys::sonde_transform, create: sys::sonde_transform_create, spec: sys::sonde_transform_spec,
dim: sys::sonde_transform_dim, save: sys::sonde_transform_save, save_buffer: sys::sonde_transform_save_buffer,
open: sys::sonde_transform_open, open_buffer: sys::sonde_transform_open_buffer, free: sys::sonde_transform_free}
trains! {Transform, sys::sonde_transform_train}

impl Transform {
    /// The map of each row.
    pub fn apply(&self, vectors: &(impl Matrix + ?Sized)) -> Result<Vec<f32>> {
        let rows = rows_of(&vectors.array_for("apply", self.dim())?);
        let mut out = vec![0.0; rows * self.dim_out()];
        self.apply_into(vectors, &mut out).map(|()| out)
    }

    /// As [`apply`](Self::apply), into rows x `dim_out` numbers of yours.
    pub fn apply_into(&self, vectors: &(impl Matrix + ?Sized), out: &mut [f32]) -> Result<()> {
        let vectors = vectors.array_for("apply", self.dim())?;
        let mut out = output("apply", out, rows_of(&vectors), self.dim_out())?;
        // SAFETY: class A; both arrays are borrowed for the call, and `out` has the shape that C asks for.
        check(unsafe { sys::sonde_transform_apply(self.raw(), &vectors, &mut out) })
    }

    /// The way back: exact for rotations, least squares for projections.
    pub fn apply_inverse(&self, vectors: &(impl Matrix + ?Sized)) -> Result<Vec<f32>> {
        let rows = rows_of(&vectors.array_for("apply_inverse", self.dim_out())?);
        let mut out = vec![0.0; rows * self.dim()];
        self.apply_inverse_into(vectors, &mut out).map(|()| out)
    }

    /// As [`apply_inverse`](Self::apply_inverse), into rows x `dim` numbers of yours.
    pub fn apply_inverse_into(&self, vectors: &(impl Matrix + ?Sized), out: &mut [f32]) -> Result<()> {
        let vectors = vectors.array_for("apply_inverse", self.dim_out())?;
        let mut out = output("apply_inverse", out, rows_of(&vectors), self.dim())?;
        // SAFETY: class A; both arrays are borrowed for the call, and `out` has the shape that C asks for.
        check(unsafe { sys::sonde_transform_apply_inverse(self.raw(), &vectors, &mut out) })
    }

    /// Columns that come out.
    pub fn dim_out(&self) -> usize {
        // SAFETY: class A.
        unsafe { sys::sonde_transform_dim_out(self.raw()) as usize }
    }

    /// Whether it can be applied.
    pub fn is_trained(&self) -> bool {
        // SAFETY: class A.
        unsafe { sys::sonde_transform_trained(self.raw()) }
    }
}
