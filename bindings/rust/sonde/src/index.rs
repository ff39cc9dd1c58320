//! Indexes: they find the nearest stored vectors.
//!
//! SPDX-License-Identifier: MIT

use crate::enums::Metric;
use crate::error::{check, Error, Result};
use crate::handle::{self, noun, trains};
use crate::hits::{Hits, HitsMut, RangeHits};
use crate::matrix::{output, rows_of, units_of, with_inputs, Bits, Element, Input, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::runtime::Runtime;
use crate::search::Search;
use crate::spec::Spec;
use crate::stats::{Estimate, OperatingPoint, Stats};
use crate::ErrorKind;
use sonde_sys as sys;
use std::path::Path;
use std::ptr::NonNull;

/// More hits a query than this are asked of C without room for any, so that C refuses them before room is made.
const MANY_HITS: usize = 65536;

/// Rows of `dim` columns under 64-bit ids, and what it takes to find the nearest of them.
///
/// Any number of threads may search while others add and remove, so all of that takes `&self`; each search sees the
/// index as it was after one whole change. Only training and tuning need the index for themselves:
///
/// ```compile_fail,E0502
/// # let vectors = vec![0.0f32; 64 * 4];
/// let mut index = sonde::Index::new("ivf(nlist=4)", 4)?;
/// let spec = index.spec();
/// index.train(&vectors)?; // the index is borrowed by `spec`
/// println!("{spec}");
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct Index {
    raw: NonNull<sys::sonde_index>,
    _runtime: Option<Runtime>,
}

noun! {Index is sys::sonde_index, create: sys::sonde_index_create, spec: sys::sonde_index_spec,
dim: sys::sonde_index_dim, save: sys::sonde_index_save, save_buffer: sys::sonde_index_save_buffer,
open: sys::sonde_index_open, open_buffer: sys::sonde_index_open_buffer, free: sys::sonde_index_free}
trains! {Index, sys::sonde_index_train}

/// Settings of [`Index::tune_with`].
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Tune {
    threads: u32,
    seconds: f64,
    seed: u64,
}

impl Tune {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Most threads; 0 = the runtime's.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// A budget of time; 0 = none. At least one pass is made.
    pub fn seconds(mut self, seconds: f64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Seed of the choice of rows where no queries are given.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn raw(self) -> sys::sonde_tune_options {
        let mut raw = sys::SONDE_TUNE_OPTIONS_INIT;
        (raw.threads, raw.seconds, raw.seed) = (self.threads, self.seconds, self.seed);
        raw
    }
}

/// Filling and emptying.
impl Index {
    /// Adds rows. Without ids they get the numbers that follow the largest id so far. A stored id is replaced. All rows
    /// or none.
    pub fn add(&self, vectors: &(impl Matrix + ?Sized), ids: Option<&[i64]>) -> Result<()> {
        let vectors = vectors.array_for("add", self.dim())?;
        if let Some(ids) = ids.filter(|ids| ids.len() != rows_of(&vectors)) {
            return Err(Error::invalid(format!("add: {} ids for {} rows", ids.len(), vectors.rows)));
        }
        let ids = ids.map_or(std::ptr::null(), <[i64]>::as_ptr);
        // SAFETY: class B; the vectors are borrowed for the call, and there is an id for each.
        check(unsafe { sys::sonde_index_add(self.raw.as_ptr(), &vectors, ids) })
    }

    /// Removes the rows of these ids and gives how many there were.
    pub fn remove(&self, ids: &[i64]) -> Result<usize> {
        let mut removed = 0;
        // SAFETY: class B.
        check(unsafe { sys::sonde_index_remove(self.raw.as_ptr(), ids.as_ptr(), ids.len() as i64, &mut removed) })?;
        Ok(removed as usize)
    }

    /// Rewrites what holds removed rows and gives all spare memory back. Answers do not change.
    pub fn compact(&self) -> Result<()> {
        // SAFETY: class B.
        check(unsafe { sys::sonde_index_compact(self.raw.as_ptr()) })
    }

    /// Adds every row of another index with the same spec and the same trained parts.
    pub fn merge(&self, from: &Index) -> Result<()> {
        // SAFETY: class B on self, A on from.
        check(unsafe { sys::sonde_index_merge(self.raw.as_ptr(), from.raw()) })
    }

    /// Measures which effort reaches which recall, on sample queries or, without, on disturbed stored rows.
    pub fn tune(&mut self, queries: Option<&dyn Matrix>) -> Result<()> {
        self.tune_with(queries, Tune::new())
    }

    /// As [`tune`](Self::tune), with settings.
    pub fn tune_with(&mut self, queries: Option<&dyn Matrix>, how: Tune) -> Result<()> {
        let queries = queries.map(|queries| queries.array_for("tune", self.dim())).transpose()?;
        let queries = queries.as_ref().map_or(std::ptr::null(), |array| array as *const _);
        // SAFETY: class C, and we are borrowed for change.
        check(unsafe { sys::sonde_index_tune(self.raw.as_ptr(), queries, &how.raw()) })
    }
}

/// Searching.
impl Index {
    /// The k nearest rows of each query.
    pub fn search(&self, queries: &(impl Matrix + ?Sized), how: Search<'_>) -> Result<Hits> {
        let queries = queries.array_for("search", self.dim())?;
        how.with_raw(rows_of(&queries), |options| {
            if how.wanted() > MANY_HITS {
                self.search_raw(&sys::sonde_array { rows: 0, ..queries }, options, Hits::with_room(0, 1)?.raw())?;
            }
            let mut hits = Hits::with_room(rows_of(&queries), how.wanted())?;
            self.search_raw(&queries, options, hits.raw())?;
            Ok(hits)
        })
    }

    /// As [`search`](Self::search), into room of yours; it allocates nothing.
    pub fn search_into(&self, queries: &(impl Matrix + ?Sized), how: Search<'_>, mut hits: HitsMut<'_>) -> Result<()> {
        let queries = queries.array_for("search", self.dim())?;
        let raw = hits.raw(rows_of(&queries), how.wanted())?;
        how.with_raw(rows_of(&queries), |options| self.search_raw(&queries, options, raw))
    }

    fn search_raw(
        &self,
        queries: &sys::sonde_array,
        options: &sys::sonde_search_options,
        mut hits: sys::sonde_hits,
    ) -> Result<()> {
        // SAFETY: class A; the hits have room for the rows of the queries times k of the options.
        check(unsafe { sys::sonde_index_search(self.raw(), queries, options, &mut hits) })
    }

    /// All rows within `radius` of each query; exact unless a recall or effort is asked for.
    pub fn range_search(&self, queries: &(impl Matrix + ?Sized), radius: f32, how: Search<'_>) -> Result<RangeHits> {
        let queries = queries.array_for("range_search", self.dim())?;
        how.with_raw(rows_of(&queries), |options| {
            let mut raw = std::ptr::null_mut();
            // SAFETY: class A; the result is ours.
            check(unsafe { sys::sonde_index_range_search(self.raw(), &queries, radius, options, &mut raw) })?;
            Ok(RangeHits::new(handle::made(raw)?, rows_of(&queries), self._runtime.clone()))
        })
    }
}

/// Looking inside.
impl Index {
    /// Rows stored.
    pub fn len(&self) -> usize {
        // SAFETY: class A.
        unsafe { sys::sonde_index_count(self.raw()) as usize }
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What near means.
    pub fn metric(&self) -> Metric {
        // SAFETY: class A.
        Metric::from_raw(unsafe { sys::sonde_index_metric(self.raw()) })
    }

    /// Whether the id is stored.
    pub fn contains(&self, id: i64) -> bool {
        // SAFETY: class A.
        unsafe { sys::sonde_index_contains(self.raw(), id) }
    }

    /// The ids stored, in no particular order.
    pub fn ids(&self) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        loop {
            let (capacity, mut count) = (ids.len(), 0);
            // SAFETY: class A; there is room for `capacity` ids.
            check(unsafe { sys::sonde_index_ids(self.raw(), ids.as_mut_ptr(), capacity as i64, &mut count) })?;
            ids.resize(count as usize, 0);
            if count as usize <= capacity {
                return Ok(ids);
            }
        }
    }

    /// Reconstructs stored rows, `dim` numbers each.
    pub fn get(&self, ids: &[i64]) -> Result<Vec<f32>> {
        self.reconstruct(ids, 0.0)
    }

    /// As [`get`](Self::get), for an index of bits: (`dim` + 7) / 8 bytes each.
    pub fn get_bits(&self, ids: &[i64]) -> Result<Vec<Bits>> {
        self.reconstruct(ids, Bits(0))
    }

    fn reconstruct<T: Element>(&self, ids: &[i64], zero: T) -> Result<Vec<T>> {
        let dim = self.dim();
        let mut rows = vec![zero; ids.len() * units_of::<T>(dim)];
        let mut out = output("get", &mut rows, ids.len(), dim)?;
        // SAFETY: class A; `out` has a row for each id.
        check(unsafe { sys::sonde_index_get(self.raw(), ids.as_ptr(), ids.len() as i64, &mut out) })?;
        Ok(rows)
    }

    /// What the index holds now.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = sys::SONDE_INDEX_STATS_INIT;
        // SAFETY: class A.
        check(unsafe { sys::sonde_index_stats_get(self.raw(), &mut raw) })?;
        Ok(Stats::from_raw(&raw))
    }

    /// The calibrated curve, ordered by k, then effort.
    pub fn operating_points(&self) -> Result<Vec<OperatingPoint>> {
        let mut points = Vec::new();
        loop {
            let mut raw = sys::SONDE_OPERATING_POINT_INIT;
            // SAFETY: class A.
            let status = unsafe { sys::sonde_index_operating_point(self.raw(), points.len() as u32, &mut raw) };
            match check(status) {
                Ok(()) => points.push(OperatingPoint::from_raw(&raw)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(points),
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes that an index of this spec would hold with so many rows, and the most it needs while it is built.
    pub fn estimate(spec: impl Into<Spec>, dim: usize, rows: usize) -> Result<Estimate> {
        let spec = c_string("the spec", spec.into().to_string())?;
        let (dim, rows) = (i64::try_from(dim).unwrap_or(i64::MAX), i64::try_from(rows).unwrap_or(i64::MAX));
        let (mut memory_bytes, mut build_bytes) = (0, 0);
        // SAFETY: class A.
        check(unsafe { sys::sonde_index_estimate(spec.as_ptr(), dim, rows, &mut memory_bytes, &mut build_bytes) })?;
        Ok(Estimate { memory_bytes, build_bytes })
    }

    /// Proves the structure: counts, ids, locations, codes in range.
    pub fn check(&self) -> Result<()> {
        // SAFETY: class A.
        check(unsafe { sys::sonde_index_check(self.raw()) })
    }
}
