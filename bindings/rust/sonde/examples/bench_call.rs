//! What one search of one query costs through the safe layer, beside the same call of C on an index of the same rows.
//!
//! Run it with `cargo run --release --example bench_call`. Rounds of the three take turns, and the
//! fastest round of each counts: whatever else the machine does can only add.
//!
//! SPDX-License-Identifier: MIT

use sonde::{HitsMut, Index, Search};
use sonde_sys as sys;
use std::time::Instant;

const DIM: usize = 8;
const K: usize = 10;
const CALLS: u32 = 2_000;
const ROUNDS: usize = 200;

fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..CALLS).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// The same rows in a handle of C.
fn raw_index(rows: &[f32]) -> *mut sys::sonde_index {
    let (rows, mut index) = (array(rows), std::ptr::null_mut());
    // SAFETY: the spec ends with a zero byte, the rows live during the call.
    unsafe {
        assert_eq!(sys::sonde_index_create(b"flat\0".as_ptr().cast(), DIM as i64, std::ptr::null_mut(), &mut index), 0);
        assert_eq!(sys::sonde_index_add(index, &rows, std::ptr::null()), 0);
    }
    index
}

fn array(values: &[f32]) -> sys::sonde_array {
    let data = values.as_ptr().cast_mut().cast();
    let (rows, cols) = ((values.len() / DIM) as i64, DIM as i64);
    sys::sonde_array { data, rows, cols, stride: 0, dtype: sys::SONDE_DTYPE_F32, reserved: 0 }
}

fn main() -> sonde::Result<()> {
    let rows: Vec<f32> = (0..64 * DIM).map(|i| (i % 17) as f32).collect();
    let query = rows[..DIM].to_vec();
    let index = Index::new("flat", DIM)?;
    index.add(&rows, None)?;
    let raw = raw_index(&rows);
    let how = Search::new().k(K).threads(1);

    let (mut ids, mut scores) = ([0i64; K], [0f32; K]);
    let mut in_c = || {
        let (query, mut options, mut hits) = (array(&query), sys::SONDE_SEARCH_OPTIONS_INIT, sys::SONDE_HITS_INIT);
        (options.k, options.threads) = (K as u32, 1);
        (hits.ids, hits.scores) = (ids.as_mut_ptr(), scores.as_mut_ptr());
        // SAFETY: the index is live, the hits have room for one query.
        assert_eq!(unsafe { sys::sonde_index_search(raw, &query, &options, &mut hits) }, 0);
    };
    let (mut ids, mut scores) = ([0i64; K], [0f32; K]);
    let mut into = || index.search_into(&query, how, HitsMut::new(&mut ids, &mut scores)).unwrap();
    let owned = || drop(index.search(&query, how).unwrap());

    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(nanoseconds(&mut in_c));
        best[1] = best[1].min(nanoseconds(&mut into));
        best[2] = best[2].min(nanoseconds(owned));
    }
    let [in_c, into, owned] = best;
    println!("sonde_index_search  {in_c:7.1} ns");
    println!("search_into         {into:7.1} ns  {:+.1}", into - in_c);
    println!("search              {owned:7.1} ns  {:+.1}", owned - in_c);
    // SAFETY: nobody uses it any more.
    unsafe { sys::sonde_index_free(raw) };
    Ok(())
}
