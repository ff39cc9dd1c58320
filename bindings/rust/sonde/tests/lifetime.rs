//! Handles that come and go leave no memory behind. One test alone, because it watches the whole process.
//!
//! SPDX-License-Identifier: MIT

#![cfg(target_os = "linux")]

use sonde::{Index, Quantizer, Runtime, Search, Transform};
use std::ops::ControlFlow;

fn resident_pages() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Makes, uses and frees each kind of handle; errors too must leave nothing.
fn cycle() {
    let runtime = Runtime::builder().threads(1).progress(|_, _, _| ControlFlow::Continue(())).build().unwrap();
    let index = Index::with_runtime("flat", 2, &runtime).unwrap();
    index.add(&[0.0f32, 1.0], None).unwrap();
    assert_eq!(index.search(&[0.0f32; 2], Search::new().k(1)).unwrap().len(), 1);
    drop(index.range_search(&[0.0f32; 2], 2.0, Search::new()).unwrap());
    drop(Quantizer::new("sq", 2).unwrap());
    drop(Transform::new("normalise", 2).unwrap());
    assert!(Index::new("flta", 2).is_err());
}

#[test]
fn a_hundred_thousand_cycles_hold_no_more_memory_than_the_first_thousand() {
    (0..1000).for_each(|_| cycle());
    let before = resident_pages();
    (0..100_000).for_each(|_| cycle());
    let grown = (resident_pages() - before) * 4096;
    assert!(grown < 1 << 20, "{grown} bytes more after 100,000 cycles: more than 10 bytes a cycle");
}
