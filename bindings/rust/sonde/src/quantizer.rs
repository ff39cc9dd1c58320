//! Quantizers: vectors to codes and back, and scores on codes.
//!
//! SPDX-License-Identifier: MIT

use crate::enums::Metric;
use crate::error::{check, Result};
use crate::handle::{self, noun, trains};
use crate::matrix::{output, rows_of, with_inputs, Input, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::row_sampler::{output_of, Column};
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::path::Path;
use std::ptr::NonNull;

/// A map from vectors to codes of a fixed number of bytes, such as `pq(m=48, bits=8)` or `sq(bits=4)`.
///
/// ```
/// let mut sq = sonde::Quantizer::new("sq(bits=8)", 2)?;
/// let vectors = [0.0f32, 0.0, 0.5, 0.5, 1.0, 1.0];
/// sq.train(&vectors)?;
/// let codes = sq.encode(&vectors)?;
/// assert_eq!(codes.len(), 3 * sq.code_bytes());
/// assert!((sq.decode(&codes)?[2] - 0.5).abs() < 0.01);
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct Quantizer {
    raw: NonNull<sys::sonde_quantizer>,
    _runtime: Option<Runtime>,
}

noun! {Quantizer is sys::sonde_quantizer, create: sys::sonde_quantizer_create, spec: sys::sonde_quantizer_spec,
dim: sys::sonde_quantizer_dim, save: sys::sonde_quantizer_save, save_buffer: sys::sonde_quantizer_save_buffer,
open: sys::sonde_quantizer_open, open_buffer: sys::sonde_quantizer_open_buffer, free: sys::sonde_quantizer_free}
trains! {Quantizer, sys::sonde_quantizer_train}

/// What [`Quantizer::bounds`] gives; both row by row of the queries.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Bounds {
    /// The scores.
    pub scores: Vec<f32>,
    /// The true scores lie within `scores` plus or minus these.
    pub errors: Vec<f32>,
}

type ScoreFunction = unsafe extern "C" fn(
    *const sys::sonde_quantizer,
    u32,
    *const sys::sonde_array,
    *const sys::sonde_array,
    *mut sys::sonde_array,
) -> sys::sonde_status;

impl Quantizer {
    /// Shows rows to learn from that come piece by piece: a uniform sample of all that were seen is kept for
    /// [`train_observed`](Self::train_observed).
    pub fn observe(&mut self, vectors: &(impl Matrix + ?Sized)) -> Result<()> {
        let (raw, dim) = (self.raw.as_ptr(), self.dim());
        // SAFETY: class C, and we are borrowed for change; the inputs live during the call.
        with_inputs(&[Input::new("vectors", &vectors)], dim, |inputs, count| unsafe {
            sys::sonde_quantizer_observe(raw, inputs, count)
        })
    }

    /// Learns from what [`observe`](Self::observe) has kept, and lets it go.
    pub fn train_observed(&mut self) -> Result<()> {
        self.train_inputs(&[])
    }

    /// Trains, and gives the group of each row; limits on the sizes of groups hold for exactly these rows. `others` are
    /// further inputs of the method, such as `"masses"`.
    pub fn cluster(&mut self, vectors: &(impl Matrix + ?Sized), others: &[Input<'_>]) -> Result<Vec<i32>> {
        let (raw, dim) = (self.raw.as_ptr(), self.dim());
        let mut labels = vec![0; rows_of(&vectors.array_for("cluster", dim)?)];
        let mut named = vec![Input::new("vectors", &vectors)];
        named.extend_from_slice(others);
        // SAFETY: class C, and we are borrowed for change; the inputs live during the call, and each row has a label.
        with_inputs(&named, dim, |inputs, count| unsafe {
            sys::sonde_quantizer_cluster(raw, inputs, count, labels.as_mut_ptr())
        })?;
        Ok(labels)
    }

    /// One of the named results of training, such as the `"centroids"` of `kmeans`.
    pub fn output(&self, name: &str) -> Result<Column> {
        // SAFETY: class A; what comes is valid until the next training, which needs &mut self.
        unsafe { output_of(name, |name, array| sys::sonde_quantizer_output(self.raw(), name, array)) }
    }

    /// The code of each row, one after the other, [`code_bytes`](Self::code_bytes) each.
    pub fn encode(&self, vectors: &(impl Matrix + ?Sized)) -> Result<Vec<u8>> {
        let rows = rows_of(&vectors.array_for("encode", self.dim())?);
        let mut codes = vec![0; rows * self.code_bytes()];
        self.encode_into(vectors, &mut codes).map(|()| codes)
    }

    /// As [`encode`](Self::encode), into rows x `code_bytes` bytes of yours.
    pub fn encode_into(&self, vectors: &(impl Matrix + ?Sized), codes: &mut [u8]) -> Result<()> {
        let vectors = vectors.array_for("encode", self.dim())?;
        let mut codes = output("encode", codes, rows_of(&vectors), self.code_bytes())?;
        // SAFETY: class A; both arrays are borrowed for the call, and `codes` has the shape that C asks for.
        check(unsafe { sys::sonde_quantizer_encode(self.raw(), &vectors, &mut codes) })
    }

    /// The reconstruction of each code.
    pub fn decode(&self, codes: &(impl Matrix + ?Sized)) -> Result<Vec<f32>> {
        let rows = rows_of(&codes.array_for("decode", self.code_bytes())?);
        let mut vectors = vec![0.0; rows * self.dim()];
        self.decode_into(codes, &mut vectors).map(|()| vectors)
    }

    /// As [`decode`](Self::decode), into rows x `dim` numbers of yours.
    pub fn decode_into(&self, codes: &(impl Matrix + ?Sized), vectors: &mut [f32]) -> Result<()> {
        let codes = codes.array_for("decode", self.code_bytes())?;
        let mut vectors = output("decode", vectors, rows_of(&codes), self.dim())?;
        // SAFETY: class A; both arrays are borrowed for the call, and `vectors` has the shape that C asks for.
        check(unsafe { sys::sonde_quantizer_decode(self.raw(), &codes, &mut vectors) })
    }

    /// The score of each query with the reconstruction of each code, row by row of the queries.
    pub fn distances(
        &self,
        metric: Metric,
        queries: &(impl Matrix + ?Sized),
        codes: &(impl Matrix + ?Sized),
    ) -> Result<Vec<f32>> {
        let queries = queries.array_for("distances", self.dim())?;
        let codes = codes.array_for("distances", self.code_bytes())?;
        self.scored(sys::sonde_quantizer_distances, metric, &queries, &codes)
    }

    /// The score of the reconstruction of each code with that of each other one, row by row of the former.
    pub fn code_distances(
        &self,
        metric: Metric,
        from: &(impl Matrix + ?Sized),
        codes: &(impl Matrix + ?Sized),
    ) -> Result<Vec<f32>> {
        let from = from.array_for("code_distances", self.code_bytes())?;
        let codes = codes.array_for("code_distances", self.code_bytes())?;
        self.scored(sys::sonde_quantizer_code_distances, metric, &from, &codes)
    }

    fn scored(
        &self,
        function: ScoreFunction,
        metric: Metric,
        from: &sys::sonde_array,
        codes: &sys::sonde_array,
    ) -> Result<Vec<f32>> {
        let (rows, cols) = (rows_of(from), rows_of(codes));
        let mut scores = vec![0.0; rows * cols];
        let mut out = output("distances", &mut scores, rows, cols)?;
        // SAFETY: class A; all arrays are borrowed for the call, and `out` has the shape that C asks for.
        check(unsafe { function(self.raw(), metric.raw(), from, codes, &mut out) })?;
        Ok(scores)
    }

    /// The scores of [`distances`](Self::distances), and how far each may be from that of the row that the code was
    /// made from: the method's page says with what probability.
    pub fn bounds(
        &self,
        metric: Metric,
        queries: &(impl Matrix + ?Sized),
        codes: &(impl Matrix + ?Sized),
    ) -> Result<Bounds> {
        let queries = queries.array_for("bounds", self.dim())?;
        let codes = codes.array_for("bounds", self.code_bytes())?;
        let (rows, cols) = (rows_of(&queries), rows_of(&codes));
        let mut bounds = Bounds { scores: vec![0.0; rows * cols], errors: vec![0.0; rows * cols] };
        let mut scores = output("bounds", &mut bounds.scores, rows, cols)?;
        let mut errors = output("bounds", &mut bounds.errors, rows, cols)?;
        // SAFETY: class A; all arrays are borrowed for the call, and the last two have the shape that C asks for.
        check(unsafe {
            sys::sonde_quantizer_bounds(self.raw(), metric.raw(), &queries, &codes, &mut scores, &mut errors)
        })?;
        Ok(bounds)
    }

    /// Bytes of a code.
    pub fn code_bytes(&self) -> usize {
        // SAFETY: class A.
        unsafe { sys::sonde_quantizer_code_bytes(self.raw()) as usize }
    }

    /// Whether it can encode.
    pub fn is_trained(&self) -> bool {
        // SAFETY: class A.
        unsafe { sys::sonde_quantizer_trained(self.raw()) }
    }
}
