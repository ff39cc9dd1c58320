//! What an index tells about itself.
//!
//! SPDX-License-Identifier: MIT

use crate::enums::Metric;
use sonde_sys as sys;

/// On what the curve of recall was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// it was not
    None,
    /// on rows that are stored
    StoredRows,
    /// on queries that were given
    Queries,
}

/// What an index holds, as one search would see it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// what near means
    pub metric: Metric,
    /// columns
    pub dim: usize,
    /// live rows
    pub count: usize,
    /// rows removed but not yet given back
    pub removed: usize,
    /// partitions (flat: 1)
    pub lists: usize,
    /// rows of the largest list
    pub largest_list: usize,
    /// lists without a row
    pub empty_lists: usize,
    /// held by the handle; mapped bytes are not in it
    pub memory_bytes: u64,
    /// mapped from a file
    pub mapped_bytes: u64,
    /// bytes stored for a row
    pub row_bytes: u64,
    /// grows by 1 with each change
    pub version: u64,
    /// whether rows can be stored
    pub trained: bool,
    /// on what the curve of recall was measured
    pub calibrated: Calibration,
    /// live rows at that time
    pub calibrated_at: usize,
}

impl Stats {
    pub(crate) fn from_raw(raw: &sys::sonde_index_stats) -> Self {
        Self {
            metric: Metric::from_raw(raw.metric),
            dim: raw.dim as usize,
            count: raw.count as usize,
            removed: raw.removed as usize,
            lists: raw.lists as usize,
            largest_list: raw.largest_list as usize,
            empty_lists: raw.empty_lists as usize,
            memory_bytes: raw.memory_bytes,
            mapped_bytes: raw.mapped_bytes,
            row_bytes: raw.row_bytes,
            version: raw.version,
            trained: raw.trained != 0,
            calibrated: match raw.calibrated {
                0 => Calibration::None,
                1 => Calibration::StoredRows,
                _ => Calibration::Queries,
            },
            calibrated_at: raw.calibrated_at as usize,
        }
    }
}

/// One point of the calibrated curve.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperatingPoint {
    /// hits a query
    pub k: u32,
    /// the effort
    pub effort: u32,
    /// candidates a hit that are scored again
    pub refine: u32,
    /// mean recall over the calibration queries
    pub recall: f32,
    /// lower end of a one-sided 95 % confidence interval of the mean
    pub recall_low: f32,
    /// recall of the worst 5 %
    pub recall_p05: f32,
    /// share of the rows that were scored
    pub cost: f32,
}

impl OperatingPoint {
    pub(crate) fn from_raw(raw: &sys::sonde_operating_point) -> Self {
        Self {
            k: raw.k,
            effort: raw.effort,
            refine: raw.refine,
            recall: raw.recall,
            recall_low: raw.recall_low,
            recall_p05: raw.recall_p05,
            cost: raw.cost,
        }
    }
}

/// What an index would need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// bytes that it would hold
    pub memory_bytes: u64,
    /// the most bytes while it is built from all rows in one add
    pub build_bytes: u64,
}
