//! What a search finds.
//!
//! SPDX-License-Identifier: MIT

use crate::enums::{Metric, Stop};
use crate::error::{check, Error, Result};
use crate::runtime::Runtime;
use sonde_sys as sys;
use std::iter::Zip;
use std::ptr::NonNull;
use std::{slice, vec};

/// One row that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// its id
    pub id: i64,
    /// its score; whether small or large is near depends on the [`Metric`]
    pub score: f32,
}

/// The hits of one query, best first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    ids: &'a [i64],
    scores: &'a [f32],
}

impl<'a> Row<'a> {
    /// The ids, best first.
    pub fn ids(&self) -> &'a [i64] {
        self.ids
    }

    /// The scores, best first.
    pub fn scores(&self) -> &'a [f32] {
        self.scores
    }

    /// Number of hits.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The hits, best first.
    pub fn iter(&self) -> Iter<'a> {
        Iter(self.ids.iter().zip(self.scores))
    }
}

impl<'a> IntoIterator for Row<'a> {
    type Item = Hit;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over hits that are borrowed.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Zip<slice::Iter<'a, i64>, slice::Iter<'a, f32>>);

impl Iterator for Iter<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        self.0.find(|(id, _)| **id >= 0).map(|(&id, &score)| Hit { id, score })
    }
}

/// Iterates over hits that are owned.
#[derive(Clone, Debug)]
pub struct IntoIter(Zip<vec::IntoIter<i64>, vec::IntoIter<f32>>);

impl Iterator for IntoIter {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        self.0.find(|(id, _)| *id >= 0).map(|(id, score)| Hit { id, score })
    }
}

/// The k nearest rows of each query. Iterating gives all hits, query after query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hits {
    k: usize,
    ids: Vec<i64>,
    scores: Vec<f32>,
    counts: Vec<i32>,
    stops: Vec<u8>,
}

impl Hits {
    /// Room for the hits of `queries`.
    pub(crate) fn with_room(queries: usize, k: usize) -> Result<Self> {
        let room = queries.checked_mul(k).filter(|room| *room <= isize::MAX as usize / 8);
        let room = room.ok_or_else(|| Error::invalid(format!("search: {queries} x {k} hits are too many")))?;
        Ok(Self { k, ids: vec![-1; room], scores: vec![0.0; room], counts: vec![0; queries], stops: vec![0; queries] })
    }

    /// The form of C, for C to fill.
    pub(crate) fn raw(&mut self) -> sys::sonde_hits {
        let mut raw = sys::SONDE_HITS_INIT;
        (raw.ids, raw.scores) = (self.ids.as_mut_ptr(), self.scores.as_mut_ptr());
        (raw.count, raw.reason) = (self.counts.as_mut_ptr(), self.stops.as_mut_ptr());
        raw
    }

    /// The form of C, for C to read only, as it promises for the parts of sonde_topk_merge.
    fn raw_to_read(&self) -> sys::sonde_hits {
        let mut raw = sys::SONDE_HITS_INIT;
        (raw.ids, raw.scores) = (self.ids.as_ptr().cast_mut(), self.scores.as_ptr().cast_mut());
        (raw.count, raw.reason) = (self.counts.as_ptr().cast_mut(), self.stops.as_ptr().cast_mut());
        raw
    }

    /// Hits that were asked for a query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.counts.len()
    }

    /// Number of hits of all queries.
    pub fn len(&self) -> usize {
        self.counts.iter().map(|count| *count as usize).sum()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids as a matrix, queries x k; -1 where there are fewer than k.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }

    /// The scores as a matrix, queries x k.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The hits of one query.
    pub fn row(&self, query: usize) -> Option<Row<'_>> {
        let first = query.checked_mul(self.k)?;
        let found = first..first + *self.counts.get(query)? as usize;
        Some(Row { ids: self.ids.get(found.clone())?, scores: self.scores.get(found)? })
    }

    /// The hits of each query.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.queries()).filter_map(|query| self.row(query))
    }

    /// Why the hits of a query ended.
    pub fn stop(&self, query: usize) -> Option<Stop> {
        self.stops.get(query).map(|stop| Stop::from_raw((*stop).into()))
    }

    /// All hits, query after query.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.ids.iter().zip(&self.scores))
    }
}

impl IntoIterator for Hits {
    type Item = Hit;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.ids.into_iter().zip(self.scores))
    }
}

impl<'a> IntoIterator for &'a Hits {
    type Item = Hit;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Room of yours for hits: the search then allocates nothing.
#[derive(Debug)]
pub struct HitsMut<'a> {
    ids: &'a mut [i64],
    scores: &'a mut [f32],
    counts: Option<&'a mut [i32]>,
    stops: Option<&'a mut [u8]>,
}

impl<'a> HitsMut<'a> {
    /// Both queries x k; missing hits will have the id -1.
    pub fn new(ids: &'a mut [i64], scores: &'a mut [f32]) -> Self {
        Self { ids, scores, counts: None, stops: None }
    }

    /// Number of hits of each query.
    pub fn counts(mut self, counts: &'a mut [i32]) -> Self {
        self.counts = Some(counts);
        self
    }

    /// Why the hits of each query ended: the numbers of [`Stop`].
    pub fn stops(mut self, stops: &'a mut [u8]) -> Self {
        self.stops = Some(stops);
        self
    }

    /// The form of C, if there is room for that many.
    pub(crate) fn raw(&mut self, queries: usize, k: usize) -> Result<sys::sonde_hits> {
        let room = queries.checked_mul(k);
        let mut raw = sys::SONDE_HITS_INIT;
        raw.ids = fitting("ids", self.ids, room)?;
        raw.scores = fitting("scores", self.scores, room)?;
        if let Some(counts) = &mut self.counts {
            raw.count = fitting("counts", counts, Some(queries))?;
        }
        if let Some(stops) = &mut self.stops {
            raw.reason = fitting("stops", stops, Some(queries))?;
        }
        Ok(raw)
    }
}

fn fitting<T>(name: &str, given: &mut [T], needed: Option<usize>) -> Result<*mut T> {
    match needed {
        Some(needed) if needed == given.len() => Ok(given.as_mut_ptr()),
        _ => Err(Error::invalid(format!(
            "search_into: {name} holds {} values, {} are needed",
            given.len(),
            needed.map_or("more than there can be".to_owned(), |needed| needed.to_string())
        ))),
    }
}

/// All rows within a radius of each query.
pub struct RangeHits {
    raw: NonNull<sys::sonde_range_hits>,
    queries: usize,
    _runtime: Option<Runtime>,
}

// SAFETY: sonde_range_hits_view is of class A and reads only; freeing runs in Drop, which is exclusive.
unsafe impl Send for RangeHits {}
unsafe impl Sync for RangeHits {}

impl RangeHits {
    pub(crate) fn new(raw: NonNull<sys::sonde_range_hits>, queries: usize, runtime: Option<Runtime>) -> Self {
        Self { raw, queries, _runtime: runtime }
    }

    /// Where the hits of each query begin in the ids and scores, the end of the last included.
    fn view(&self) -> (&[i64], *const i64, *const f32) {
        let (mut offsets, mut ids, mut scores) = (std::ptr::null(), std::ptr::null(), std::ptr::null());
        // SAFETY: class A; the arrays live as long as the result, and there are queries + 1 offsets.
        unsafe {
            sys::sonde_range_hits_view(self.raw.as_ptr(), &mut offsets, &mut ids, &mut scores);
            (slice::from_raw_parts(offsets, self.queries + 1), ids, scores)
        }
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Number of hits of all queries.
    pub fn len(&self) -> usize {
        self.view().0[self.queries] as usize
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hits of one query.
    pub fn row(&self, query: usize) -> Option<Row<'_>> {
        let (offsets, ids, scores) = self.view();
        let (first, end) = (*offsets.get(query)? as usize, *offsets.get(query + 1)? as usize);
        if first == end {
            return Some(Row { ids: &[], scores: &[] }); // of nothing at all C may give no address
        }
        // SAFETY: offsets ascend and end with the length of both arrays.
        unsafe {
            let (ids, scores) = (ids.add(first), scores.add(first));
            Some(Row {
                ids: slice::from_raw_parts(ids, end - first),
                scores: slice::from_raw_parts(scores, end - first),
            })
        }
    }

    /// The hits of each query.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.queries).filter_map(|query| self.row(query))
    }

    /// All hits, query after query.
    pub fn iter(&self) -> impl Iterator<Item = Hit> + '_ {
        self.rows().flatten()
    }
}

impl Drop for RangeHits {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sys::sonde_range_hits_free(self.raw.as_ptr()) }
    }
}

impl std::fmt::Debug for RangeHits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rows()).finish()
    }
}

/// Joins what several searches found for the same queries (shards of one data set, replicas): the `k` best of all. An
/// id that several parts found comes once, with its best score.
pub fn topk_merge(metric: Metric, parts: &[&Hits], k: usize) -> Result<Hits> {
    let queries = parts.first().map_or(0, |part| part.queries());
    if let Some(other) = parts.iter().find(|part| part.queries() != queries) {
        let found = other.queries();
        return Err(Error::invalid(format!("topk_merge: one part has {queries} queries, another {found}")));
    }
    let raw: Vec<_> = parts.iter().map(|part| part.raw_to_read()).collect();
    let widths: Vec<_> = parts.iter().map(|part| part.k as u32).collect();
    let merge = |queries: usize, room: &mut Hits| {
        let (count, k, mut out) = (raw.len(), u32::try_from(k).unwrap_or(u32::MAX), room.raw());
        let (parts, widths, runtime) = (raw.as_ptr(), widths.as_ptr(), std::ptr::null_mut());
        // SAFETY: each part holds queries x its width, `room` queries x k; C reads the parts only.
        check(unsafe {
            sys::sonde_topk_merge(metric.raw(), parts, widths, count, queries as i64, k, runtime, &mut out)
        })
    };
    merge(0, &mut Hits::with_room(0, k)?)?; // C checks k before room is made for it
    let mut merged = Hits::with_room(queries, k)?;
    merge(queries, &mut merged)?;
    Ok(merged)
}
