//! The settings of a search: they belong to the call, never to the index.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::error::{Error, Result};
use sonde_sys as sys;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::ops::Range;

/// Hits a query where [`Search::k`] is not called, as in C.
const DEFAULT_K: usize = 10;

/// Which ids a search may return. It acts inside the scan: k hits come back whenever k allowed rows exist.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Filter<'a> {
    named: Named<'a>,
    exclude: bool,
}

#[derive(Clone, Copy)]
enum Named<'a> {
    Bitmap(&'a [u8]),
    Ids(&'a [i64]),
    Range(i64, i64),
    Accept(&'a dyn Fn(i64) -> bool),
}

impl<'a> Filter<'a> {
    fn of(named: Named<'a>) -> Self {
        Self { named, exclude: false }
    }

    /// Id `i` is allowed if bit `i % 8` of byte `i / 8` is set.
    pub fn bitmap(bits: &'a [u8]) -> Self {
        Self::of(Named::Bitmap(bits))
    }

    /// These ids, which must ascend.
    pub fn ids(ids: &'a [i64]) -> Self {
        Self::of(Named::Ids(ids))
    }

    /// The ids of a range.
    pub fn range(ids: Range<i64>) -> Self {
        Self::of(Named::Range(ids.start, ids.end))
    }

    /// Asks a closure about each id, on the calling thread, so that the search is serial. A panic in it ends the search
    /// with [`Callback`](crate::ErrorKind::Callback), and its text stands in the error.
    pub fn accept(closure: &'a dyn Fn(i64) -> bool) -> Self {
        Self::of(Named::Accept(closure))
    }

    /// The same names, but of what is forbidden.
    pub fn exclude(mut self) -> Self {
        self.exclude = !self.exclude;
        self
    }

    /// The form of C; it points to `self`.
    fn raw(&self) -> sys::sonde_filter {
        let mut raw = sys::SONDE_FILTER_INIT;
        raw.exclude = u32::from(self.exclude);
        match self.named {
            Named::Bitmap(bits) => {
                raw.kind = sys::SONDE_FILTER_BITMAP;
                raw.bits = bits.as_ptr();
                raw.count = bits.len() as i64 * 8;
            }
            Named::Ids(ids) => {
                raw.kind = sys::SONDE_FILTER_IDS;
                raw.ids = ids.as_ptr();
                raw.count = ids.len() as i64;
            }
            Named::Range(first, last) => {
                raw.kind = sys::SONDE_FILTER_RANGE;
                (raw.first, raw.last) = (first, last);
            }
            Named::Accept(ref closure) => {
                raw.kind = sys::SONDE_FILTER_CALLBACK;
                raw.accept = Some(on_accept);
                let user: *const &dyn Fn(i64) -> bool = closure;
                raw.user = user.cast_mut().cast();
            }
        }
        raw
    }
}

impl fmt::Debug for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bitmap(bits) => write!(f, "Bitmap({} bits)", bits.len() * 8),
            Self::Ids(ids) => write!(f, "Ids({})", ids.len()),
            Self::Range(first, last) => write!(f, "Range({first}..{last})"),
            Self::Accept(_) => f.write_str("Accept"),
        }
    }
}

/// A negative answer ends the search with a failure.
unsafe extern "C" fn on_accept(id: i64, user: *mut c_void) -> c_int {
    // SAFETY: `user` is what Filter::raw gave: a reference to a closure that is borrowed for longer than the call.
    let closure = unsafe { *user.cast::<&dyn Fn(i64) -> bool>() };
    callback::guard(-1, || c_int::from(closure(id)))
}

#[derive(Clone, Copy, Debug, Default)]
enum Filters<'a> {
    #[default]
    None,
    All(Filter<'a>),
    Each(&'a [Filter<'a>]),
}

/// How to search. Everything has a default: the 10 nearest with a recall of 0.95 over all rows.
///
/// ```
/// use sonde::{Filter, Search};
/// let even = |id: i64| id % 2 == 0;
/// let how = Search::new().k(5).recall(0.99).filter(Filter::accept(&even));
/// # let _ = how;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Search<'a> {
    k: Option<usize>,
    recall: Option<f32>,
    effort: u32,
    refine: u32,
    threads: u32,
    filters: Filters<'a>,
}

impl<'a> Search<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hits a query.
    pub fn k(mut self, k: usize) -> Self {
        self.k = Some(k);
        self
    }

    /// Share of the true k nearest that is wanted, in (0, 1]; 1 = exact over what is stored.
    pub fn recall(mut self, recall: f32) -> Self {
        self.recall = Some(recall);
        self
    }

    /// A fixed effort instead of a recall (ivf: lists visited); 0 = by recall.
    pub fn effort(mut self, effort: u32) -> Self {
        self.effort = effort;
        self
    }

    /// With an effort: candidates a hit that are scored again; 0 = the method's own.
    pub fn refine(mut self, refine: u32) -> Self {
        self.refine = refine;
        self
    }

    /// Most threads for this call; 0 = the runtime's.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// One filter for all queries.
    pub fn filter(mut self, filter: Filter<'a>) -> Self {
        self.filters = Filters::All(filter);
        self
    }

    /// One filter for each query.
    pub fn filters(mut self, filters: &'a [Filter<'a>]) -> Self {
        self.filters = Filters::Each(filters);
        self
    }

    pub(crate) fn wanted(&self) -> usize {
        self.k.unwrap_or(DEFAULT_K)
    }

    /// Calls with the options in the form of C, which may point to `self` and to the stack of this function.
    pub(crate) fn with_raw<R>(
        &self,
        queries: usize,
        call: impl FnOnce(&sys::sonde_search_options) -> Result<R>,
    ) -> Result<R> {
        let mut raw = self.raw_settings()?;
        match &self.filters {
            Filters::None => call(&raw),
            Filters::All(filter) => {
                let filter = filter.raw();
                (raw.filter, raw.filter_count) = (&filter, 1);
                call(&raw)
            }
            Filters::Each(filters) if filters.len() != queries => {
                Err(Error::invalid(format!("search: {} filters for {queries} queries", filters.len())))
            }
            Filters::Each(filters) => {
                let filters: Vec<_> = filters.iter().map(Filter::raw).collect();
                (raw.filter, raw.filter_count) = (filters.as_ptr(), filters.len() as i64);
                call(&raw)
            }
        }
    }

    /// Zero means the default in C, so a zero that was asked for is refused here.
    fn raw_settings(&self) -> Result<sys::sonde_search_options> {
        if self.k == Some(0) || self.recall == Some(0.0) {
            return Err(Error::invalid("search: k and recall must be larger than 0"));
        }
        let mut raw = sys::SONDE_SEARCH_OPTIONS_INIT;
        raw.k = u32::try_from(self.wanted()).unwrap_or(u32::MAX);
        raw.recall = self.recall.unwrap_or(0.0);
        (raw.effort, raw.refine, raw.threads) = (self.effort, self.refine, self.threads);
        Ok(raw)
    }
}
