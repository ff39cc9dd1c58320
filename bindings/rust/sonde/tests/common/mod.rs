//! What the tests share: vectors, and exact search written down independently of the library.
//!
//! SPDX-License-Identifier: MIT

#![allow(dead_code)] // no test takes everything

use std::path::PathBuf;

/// Numbers in -1..1 that look random and are the same everywhere.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The squared distance, summed in f64.
pub fn l2(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// The ids of the `k` rows nearest to `query` among those that `allowed` accepts.
pub fn nearest(rows: &[f32], query: &[f32], k: usize, allowed: impl Fn(i64) -> bool) -> Vec<i64> {
    let mut found: Vec<(f64, i64)> = rows
        .chunks(query.len())
        .enumerate()
        .filter(|(id, _)| allowed(*id as i64))
        .map(|(id, row)| (l2(row, query), id as i64))
        .collect();
    found.sort_by(|a, b| a.partial_cmp(b).unwrap());
    found.into_iter().take(k).map(|(_, id)| id).collect()
}

/// A path for a file of one test.
pub fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("sonde-{}-{name}", std::process::id()))
}
