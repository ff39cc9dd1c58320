//! Tries: sequences of small numbers that name documents, for decoders that generate ids.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::error::{check, Error, Result};
use crate::handle::{self, noun};
use crate::matrix::{output, rows_of, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::quantizer::Quantizer;
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

/// Sequences of up to `dim` codes, each with the ids of its documents.
///
/// In matrices, sequences are rows of `i32`, padded with -1 at their ends; a plain slice has rows of [`dim`](Self::dim).
///
/// ```
/// let mut trie = sonde::Trie::new("trie", 2)?;
/// trie.add(&[3i32, 1, 3, 2, 5, -1], Some(&[10, 20, 30]))?;
/// assert_eq!((trie.children(&[])?, trie.children(&[3])?), (vec![3, 5], vec![1, 2]));
/// assert_eq!((trie.lookup(&[5])?, trie.lookup(&[3])?), (vec![30], vec![]));
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct Trie {
    raw: NonNull<sys::sonde_trie>,
    _runtime: Option<Runtime>,
}

noun! {Trie is sys::sonde_trie, create: sys::sonde_trie_create, spec: sys::sonde_trie_spec,
dim: sys::sonde_trie_length, save: sys::sonde_trie_save, save_buffer: sys::sonde_trie_save_buffer,
open: sys::sonde_trie_open, open_buffer: sys::sonde_trie_open_buffer, free: sys::sonde_trie_free}

/// What the scores of a beam search are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Logarithms of probabilities, added up as they are.
    #[default]
    LogProbs,
    /// Logits: log-softmax over the whole vocabulary first.
    Logits,
    /// Logits: log-softmax over what can follow.
    Masked,
}

/// How to search: [`Trie::search`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Beam {
    width: u32,
    scale: Scale,
    end: Option<i64>,
    vocabulary: i64,
}

impl Beam {
    /// Follows `width` prefixes at once, and gives as many sequences.
    pub fn new(width: u32) -> Self {
        Self { width, scale: Scale::default(), end: None, vocabulary: 0 }
    }

    /// What the scores are.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// The column of the scores that stands for the end of a sequence; without one the end costs nothing.
    pub fn end(mut self, column: i64) -> Self {
        self.end = Some(column);
        self
    }

    /// Columns of the scores; 0 = the largest code stored + 1.
    pub fn vocabulary(mut self, columns: i64) -> Self {
        self.vocabulary = columns;
        self
    }

    fn raw(&self) -> sys::sonde_trie_search_options {
        let mut raw = sys::SONDE_TRIE_SEARCH_OPTIONS_INIT;
        raw.width = self.width;
        raw.scale = match self.scale {
            Scale::LogProbs => sys::SONDE_TRIE_LOG_PROBS,
            Scale::Logits => sys::SONDE_TRIE_LOGITS,
            Scale::Masked => sys::SONDE_TRIE_MASKED,
        };
        (raw.has_end, raw.end) = (u32::from(self.end.is_some()), self.end.unwrap_or(0));
        raw.vocabulary = self.vocabulary;
        raw
    }
}

/// Prefixes whose continuations are to be scored.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Prefixes<'a> {
    /// Row by row, `length` codes each.
    pub codes: &'a [i32],
    /// How many there are.
    pub count: usize,
    /// Codes of each; 0 at first.
    pub length: usize,
    /// Scores that are wanted after each.
    pub vocabulary: usize,
}

/// A sequence that a search found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its codes.
    pub sequence: Vec<i32>,
    /// Its first document.
    pub id: i64,
    /// The sum of its scores.
    pub score: f32,
}

type Score<'a> = &'a mut dyn FnMut(&Prefixes<'_>, &mut [f32]) -> bool;

/// # Safety
/// C calls it with arrays of its own, and with the `user` that search passed.
unsafe extern "C" fn on_score(
    prefixes: *const i32,
    count: i64,
    length: i64,
    vocabulary: i64,
    out: *mut f32,
    user: *mut c_void,
) -> c_int {
    let (count, length, vocabulary) = (count as usize, length as usize, vocabulary as usize);
    // SAFETY: what the caller promises; the prefixes are never NULL.
    let (codes, out, score) = unsafe {
        (
            std::slice::from_raw_parts(prefixes, count * length),
            std::slice::from_raw_parts_mut(out, count * vocabulary),
            &mut *user.cast::<Score<'_>>(),
        )
    };
    callback::guard(1, || c_int::from(!score(&Prefixes { codes, count, length, vocabulary }, out)))
}

impl Trie {
    /// Adds a document for each sequence; without ids they go on counting: 0, 1, 2, ... All of them or none.
    pub fn add(&mut self, sequences: &(impl Matrix + ?Sized), ids: Option<&[i64]>) -> Result<()> {
        let sequences = sequences.array_for("add", self.dim())?;
        let (rows, given) = (rows_of(&sequences), ids.map_or(rows_of(&sequences), <[i64]>::len));
        if given != rows {
            return Err(Error::invalid(format!("add: {given} ids for {rows} sequences")));
        }
        let ids = ids.map_or(std::ptr::null(), <[i64]>::as_ptr);
        // SAFETY: class C, and we are borrowed for change; there is an id for each sequence, or NULL.
        check(unsafe { sys::sonde_trie_add(self.raw.as_ptr(), &sequences, ids) })
    }

    /// Documents.
    pub fn len(&self) -> usize {
        // SAFETY: class A.
        unsafe { sys::sonde_trie_count(self.raw()) as usize }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes that can follow a prefix, ascending.
    pub fn children(&self, prefix: &[i32]) -> Result<Vec<i32>> {
        let (raw, codes, length) = (self.raw(), prefix.as_ptr(), prefix.len() as i64);
        // SAFETY: class A; C writes at most `capacity` codes.
        listed(|out, capacity, count| unsafe { sys::sonde_trie_children(raw, codes, length, out, capacity, count) })
    }

    /// The documents of exactly this sequence, in the order of adding.
    pub fn lookup(&self, sequence: &[i32]) -> Result<Vec<i64>> {
        let (raw, codes, length) = (self.raw(), sequence.as_ptr(), sequence.len() as i64);
        // SAFETY: class A; C writes at most `capacity` ids.
        listed(|out, capacity, count| unsafe { sys::sonde_trie_lookup(raw, codes, length, out, capacity, count) })
    }

    /// Sets logits to -infinity for all codes that cannot follow, one row of logits for each prefix. `end`: the column
    /// that stands for the end of a sequence.
    pub fn mask(&self, prefixes: &(impl Matrix + ?Sized), logits: &mut [f32], end: Option<i64>) -> Result<()> {
        let prefixes = prefixes.array_for("mask", self.dim())?;
        let (rows, length) = (rows_of(&prefixes), logits.len());
        let mut logits = output("mask", logits, rows, length.checked_div(rows).unwrap_or(0))?;
        // SAFETY: class A; both arrays are borrowed for the call.
        check(unsafe { sys::sonde_trie_mask(self.raw(), &prefixes, end.unwrap_or(-1), &mut logits) })
    }

    /// Beam search: the best stored sequences by the sums of their scores, best first. `score` fills a row of scores for
    /// each prefix; `false` ends the search with an error.
    pub fn search(&self, how: &Beam, mut score: impl FnMut(&Prefixes<'_>, &mut [f32]) -> bool) -> Result<Vec<Found>> {
        let mut closure: Score<'_> = &mut score;
        let user: *mut Score<'_> = &mut closure;
        let mut options = how.raw();
        options.width = how.width.min(u32::try_from(self.len().max(1)).unwrap_or(u32::MAX)); // more cannot be found
        options.score = Some(on_score);
        options.user = user.cast();
        let (width, length) = (options.width as usize, self.dim());
        let (mut sequences, mut ids, mut scores) = (vec![0; width * length], vec![0; width], vec![0.0; width]);
        let mut hits = sys::SONDE_TRIE_HITS_INIT;
        (hits.sequences, hits.ids, hits.scores) = (sequences.as_mut_ptr(), ids.as_mut_ptr(), scores.as_mut_ptr());
        // SAFETY: class A; each array has `width` rows, and the closure lives during the call.
        check(unsafe { sys::sonde_trie_search(self.raw(), &options, &mut hits) })?;
        let codes = |i: usize| sequences[i * length..][..length].iter().copied().take_while(|&code| code >= 0);
        Ok((0..hits.count as usize)
            .map(|i| Found { sequence: codes(i).collect(), id: ids[i], score: scores[i] })
            .collect())
    }
}

/// All of a list: asks how long it is, then for that many.
fn listed<T: Copy + Default>(ask: impl Fn(*mut T, i64, *mut i64) -> sys::sonde_status) -> Result<Vec<T>> {
    let mut count = 0;
    check(ask(std::ptr::null_mut(), 0, &mut count))?;
    let mut found = vec![T::default(); count as usize];
    check(ask(found.as_mut_ptr(), count, &mut count))?;
    Ok(found)
}

/// How [`unique_sequences`] tells rows with equal sequences apart.
#[derive(Clone, Copy)]
pub enum Unique<'a> {
    /// They get one code more: 0, 1, 2, ... in their order.
    Suffix,
    /// They move to free sequences near by; what is left gets a suffix.
    Resolve {
        /// The trained rq or rkmeans that made the sequences.
        quantizer: &'a Quantizer,
        /// The rows themselves.
        vectors: &'a dyn Matrix,
        /// Codes of each of the last two levels that are tried; 0 = 8.
        tries: u32,
    },
}

impl std::fmt::Debug for Unique<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Suffix) { "Suffix" } else { "Resolve" })
    }
}

/// Makes sequences of `length` codes different from each other: row by row, `length + 1` codes each, of which the last is
/// a suffix, or -1 where none is needed.
pub fn unique_sequences(sequences: &(impl Matrix + ?Sized), length: usize, how: &Unique<'_>) -> Result<Vec<i32>> {
    let sequences = sequences.array_for("unique", length)?;
    let mut options = sys::SONDE_UNIQUE_OPTIONS_INIT;
    options.mode = sys::SONDE_UNIQUE_SUFFIX;
    let rows;
    if let Unique::Resolve { quantizer, vectors, tries } = how {
        rows = vectors.array_for("unique", quantizer.dim())?;
        (options.mode, options.tries) = (sys::SONDE_UNIQUE_RESOLVE, *tries);
        (options.quantizer, options.vectors) = (quantizer.raw(), &rows);
    }
    let mut unique = vec![0; rows_of(&sequences) * (length + 1)];
    let mut out = output("unique", &mut unique, rows_of(&sequences), length + 1)?;
    // SAFETY: class A; all that the options point to is borrowed for the call.
    check(unsafe { sys::sonde_sequences_unique(&sequences, &options, std::ptr::null_mut(), &mut out) })?;
    Ok(unique)
}
