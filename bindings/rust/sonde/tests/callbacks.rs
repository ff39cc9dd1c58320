//! Closures: they are called, they can stop the work, and a panic in one becomes an error.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::numbers;
use sonde::{ErrorKind, Filter, Index, OpenOptions, Quantizer, Runtime, Search};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const DIM: usize = 8;

/// Work that is long enough to be interrupted, on an index whose runtime calls `progress`.
fn train(progress: impl Fn(&str, u64, u64) -> ControlFlow<()> + Send + Sync + 'static) -> (Index, sonde::Result<()>) {
    let runtime = Runtime::builder().threads(1).progress(progress).build().unwrap();
    let mut index = Index::with_runtime("ivf(nlist=16)", DIM, &runtime).unwrap();
    let result = index.train(&numbers(2000 * DIM, 1));
    (index, result)
}

#[test]
fn progress_is_told_and_ends_with_all() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&told);
    let (index, result) = train(move |stage, done, total| {
        into.lock().unwrap().push((stage.to_owned(), done, total));
        ControlFlow::Continue(())
    });
    result.unwrap();
    assert!(index.stats().unwrap().trained);
    let told = told.lock().unwrap();
    assert!(!told.is_empty());
    assert!(told.iter().all(|(stage, done, total)| !stage.is_empty() && done <= total && *total >= 1));
}

#[test]
fn a_break_cancels() {
    let (index, result) = train(|_, _, _| ControlFlow::Break(()));
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!index.stats().unwrap().trained);
}

#[test]
fn a_panic_cancels_and_its_text_stands_in_the_error() {
    let angry = Arc::new(AtomicBool::new(true));
    let mood = Arc::clone(&angry);
    let (mut index, result) = train(move |_, _, _| {
        assert!(!mood.load(Ordering::Relaxed), "no more of this");
        ControlFlow::Continue(())
    });
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.message().ends_with("a closure panicked: no more of this"), "{error}");
    assert!(!index.stats().unwrap().trained);

    angry.store(false, Ordering::Relaxed);
    index.train(&numbers(2000 * DIM, 1)).unwrap();
    let plain = index.search(&[0.0f32; 3], Search::new()).unwrap_err();
    assert!(!plain.message().contains("panicked"), "{plain}");
}

#[test]
fn a_panic_in_a_filter_ends_the_search() {
    let index = Index::new("flat", DIM).unwrap();
    index.add(&numbers(500 * DIM, 2), None).unwrap();
    let calls = AtomicUsize::new(0);
    let accept = |id: i64| {
        calls.fetch_add(1, Ordering::Relaxed);
        if id == 20 {
            std::panic::panic_any(format!("id {id} is bad"));
        }
        true
    };
    let query = numbers(DIM, 3);
    let error = index.search(&query, Search::new().filter(Filter::accept(&accept))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Callback);
    assert!(error.message().ends_with("a closure panicked: id 20 is bad"), "{error}");
    assert!(calls.load(Ordering::Relaxed) < 500);
    assert_eq!(index.search(&query, Search::new()).unwrap().len(), 10);
}

#[test]
fn a_filter_may_use_the_index_that_is_searched() {
    let index = Index::new("flat", DIM).unwrap();
    let rows = numbers(50 * DIM, 4);
    index.add(&rows, None).unwrap();
    let accept = |id: i64| {
        let row = index.get(&[id]).unwrap();
        index.search(&row, Search::new().k(1)).unwrap().ids()[0] == id && id % 2 == 0
    };
    let hits = index.search(&rows[..DIM], Search::new().k(5).filter(Filter::accept(&accept))).unwrap();
    assert_eq!(hits.ids(), common::nearest(&rows, &rows[..DIM], 5, |id| id % 2 == 0));
}

#[test]
fn cancel_stays_until_resume() {
    let runtime = Runtime::builder().build().unwrap();
    let index = Index::with_runtime("flat", DIM, &runtime).unwrap();
    index.add(&numbers(10 * DIM, 5), None).unwrap();
    let other = runtime.clone();
    std::thread::spawn(move || other.cancel()).join().unwrap();
    let error = index.search(&numbers(DIM, 6), Search::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    runtime.resume();
    index.search(&numbers(DIM, 6), Search::new()).unwrap();
}

#[test]
fn handles_keep_the_closures_of_their_runtime() {
    let alive = Arc::new(());
    let inside = Arc::clone(&alive);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let runtime = Runtime::builder()
        .log(|_, line| panic!("{line}"))
        .progress(move |_, _, _| {
            let _keep = &inside;
            counter.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .build()
        .unwrap();
    let mut pq = Quantizer::with_runtime("pq(m=2, bits=4)", DIM, &runtime).unwrap();
    drop(runtime);
    assert_eq!(Arc::strong_count(&alive), 2);
    pq.train(&numbers(2000 * DIM, 7)).unwrap();
    assert!(calls.load(Ordering::Relaxed) > 0);
    drop(pq);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn opened_handles_use_the_runtime_that_is_given() {
    let index = Index::new("flat", DIM).unwrap();
    index.add(&numbers(1000 * DIM, 8), None).unwrap();
    let runtime = Runtime::builder().build().unwrap();
    let options = OpenOptions::new().runtime(&runtime);
    let copy = Index::from_bytes_with(&index.to_bytes().unwrap(), &options).unwrap();
    let held = runtime.memory().unwrap().used_bytes;
    assert!(held > 1000 * DIM as u64 * 4);
    drop(copy);
    let memory = runtime.memory().unwrap();
    assert!(memory.used_bytes < held && memory.peak_bytes >= held);
}
