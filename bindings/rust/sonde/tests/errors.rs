//! Bad input: an error of the right kind whose message is that of C, never a panic, and nothing is changed.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::scratch;
use sonde::{Error, ErrorKind, Filter, HitsMut, Index, MatrixView, OpenOptions, Quantizer, Runtime, Search, Transform};
use sonde_sys as sys;
use std::ffi::{CStr, CString};

/// What C itself says about a spec.
fn message_of_c(spec: &str, dim: i64) -> String {
    let (spec, mut index) = (CString::new(spec).unwrap(), std::ptr::null_mut());
    unsafe {
        let status = sys::sonde_index_create(spec.as_ptr(), dim, std::ptr::null_mut(), &mut index);
        assert_ne!(status, sys::SONDE_OK);
        CStr::from_ptr(sys::sonde_error_message()).to_str().unwrap().to_owned()
    }
}

fn small() -> Index {
    let index = Index::new("flat", 4).unwrap();
    index.add(&[0.0f32; 8], None).unwrap();
    index
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: ErrorKind, word: &str) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(word), "{error}");
}

#[test]
fn the_message_is_that_of_c() {
    for (spec, dim) in [("ivf(nlists=4)", 4), ("flta", 4), ("ivf(code=pq(m=3))", 4), ("flat(", 4), ("flat", 0)] {
        let error = Index::new(spec, dim as usize).unwrap_err();
        assert_eq!(error.message(), message_of_c(spec, dim));
        assert_eq!(error.to_string(), error.message());
    }
}

#[test]
fn kinds_have_the_names_of_c() {
    assert_eq!(ErrorKind::InvalidArgument.name(), "INVALID_ARGUMENT");
    assert_eq!(ErrorKind::NotFound.to_string(), "NOT_FOUND");
    assert!(ErrorKind::Corrupt.text().contains("damaged"));
    assert_eq!(ErrorKind::Other(12345).name(), "UNKNOWN");
    fn assert_error<E: std::error::Error + Send + Sync + 'static>() {}
    assert_error::<Error>();
}

#[test]
fn specs_and_dimensions() {
    refused(Index::new("nothing", 4), ErrorKind::NotFound, "nothing");
    refused(Index::new("flat\0", 4), ErrorKind::InvalidArgument, "zero byte");
    refused(Index::new("flat", usize::MAX), ErrorKind::InvalidArgument, "dim");
    refused(Quantizer::new("pq(m=5)", 12), ErrorKind::InvalidArgument, "m=5");
    refused(Transform::new("pca(dim=x)", 12), ErrorKind::InvalidArgument, "dim");
    refused(Index::estimate("flat", 0, 10), ErrorKind::InvalidArgument, "dim");
    refused(sonde::describe("index", "ivff"), ErrorKind::NotFound, "ivf");
}

#[test]
fn shapes() {
    let index = small();
    refused(index.add(&[0.0f32; 7], None), ErrorKind::InvalidArgument, "7");
    refused(index.add(&[0.0f32; 8], Some(&[1])), ErrorKind::InvalidArgument, "1 ids for 2 rows");
    refused(index.add(&[f32::NAN; 4], None), ErrorKind::InvalidArgument, "");
    refused(index.add(&[0.0f32; 8], Some(&[1, 1])), ErrorKind::InvalidArgument, "");
    refused(index.search(&[0.0f32; 3], Search::new()), ErrorKind::InvalidArgument, "3");
    let narrow = [0.0f32; 6];
    let narrow = MatrixView::new(&narrow, 3).unwrap();
    refused(index.search(&narrow, Search::new()), ErrorKind::InvalidArgument, "3 columns");
    refused(MatrixView::new(&[0.0f32; 6], 4), ErrorKind::InvalidArgument, "whole rows");
    refused(MatrixView::new(&[0.0f32; 6], 0), ErrorKind::InvalidArgument, "whole rows");
    assert_eq!(index.len(), 2);
}

#[test]
fn nothing_at_all_is_not_an_error() {
    let index = small();
    let none: [f32; 0] = [];
    index.add(&none, None).unwrap();
    assert_eq!(index.search(&none, Search::new()).unwrap().queries(), 0);
    assert_eq!(index.range_search(&none, 1.0, Search::new()).unwrap().len(), 0);
    assert_eq!(index.remove(&[]).unwrap(), 0);
    assert!(index.get(&[]).unwrap().is_empty());
}

#[test]
fn settings_of_a_search() {
    let (index, query) = (small(), [0.0f32; 4]);
    for how in
        [Search::new().k(0), Search::new().recall(0.0), Search::new().recall(1.5), Search::new().recall(f32::NAN)]
    {
        refused(index.search(&query, how), ErrorKind::InvalidArgument, "");
    }
    for k in [65_537, u32::MAX as usize, usize::MAX] {
        refused(index.search(&query, Search::new().k(k)), ErrorKind::InvalidArgument, "at most");
    }
    refused(index.search(&query, Search::new().recall(0.5).effort(3)), ErrorKind::InvalidArgument, "effort");
    refused(index.search(&query, Search::new().filter(Filter::ids(&[2, 1]))), ErrorKind::InvalidArgument, "");
    let (mut ids, mut scores) = ([0; 9], [0.0; 10]);
    let room = HitsMut::new(&mut ids, &mut scores);
    refused(index.search_into(&query, Search::new(), room), ErrorKind::InvalidArgument, "ids holds 9 values, 10");
}

#[test]
fn results_that_do_not_fit_together() {
    let index = small();
    let one = index.search(&[0.0f32; 4], Search::new().k(2)).unwrap();
    let two = index.search(&[0.0f32; 8], Search::new().k(2)).unwrap();
    refused(sonde::topk_merge(sonde::Metric::L2, &[&one, &two], 2), ErrorKind::InvalidArgument, "queries");
    refused(sonde::topk_merge(sonde::Metric::L2, &[&one], usize::MAX), ErrorKind::InvalidArgument, "");
    refused(sonde::topk_merge(sonde::Metric::L2, &[&one], 0), ErrorKind::InvalidArgument, "");
    refused(sonde::topk_merge(sonde::Metric::Other(77), &[&one], 2), ErrorKind::InvalidArgument, "");
    refused(index.get(&[0, 5]), ErrorKind::NotFound, "5");
    let other = Index::new("flat", 5).unwrap();
    refused(index.merge(&other), ErrorKind::Incompatible, "");
    refused(index.merge(&index), ErrorKind::InvalidArgument, "into itself");
}

#[test]
fn files() {
    refused(Index::open("/no/such/file.sonde"), ErrorKind::NotFound, "/no/such/file.sonde");
    refused(Index::open("a\0b"), ErrorKind::InvalidArgument, "zero byte");
    refused(sonde::file_sections("/no/such/file.sonde"), ErrorKind::NotFound, "file");
    refused(small().save("/no/such/folder/file.sonde"), ErrorKind::NotFound, "directory");
    let mut bytes = small().to_bytes().unwrap();
    refused(Quantizer::from_bytes(&bytes), ErrorKind::Incompatible, "index");
    refused(Index::from_bytes(&bytes[..bytes.len() / 2]), ErrorKind::Corrupt, "");
    refused(Index::from_bytes(&[]), ErrorKind::Corrupt, "");
    let mmap = OpenOptions::new().mmap(true);
    refused(Index::from_bytes_with(&bytes, &mmap), ErrorKind::InvalidArgument, "mmap");
    let path = scratch("damaged.sonde");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    refused(Index::open(&path), ErrorKind::Corrupt, "damaged.sonde");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn handles_that_are_not_ready() {
    let pq = Quantizer::new("pq(m=2)", 4).unwrap();
    refused(pq.encode(&[0.0f32; 4]), ErrorKind::State, "train");
    let pca = Transform::new("pca(dim=2)", 4).unwrap();
    refused(pca.apply(&[0.0f32; 4]), ErrorKind::State, "train");
    refused(Index::new("ivf(nlist=4)", 4).unwrap().tune(None), ErrorKind::State, "");
    let mut index = Index::new("ivf(nlist=4)", 4).unwrap();
    let rows = [0.0f32; 8];
    refused(index.train_inputs(&[sonde::Input::new("vektors", &rows)]), ErrorKind::NotFound, "did you mean 'vectors'");
}

#[test]
fn limits_of_memory() {
    let runtime = Runtime::builder().memory_limit(1 << 20).build().unwrap();
    let index = Index::with_runtime("flat", 64, &runtime).unwrap();
    let error = index.add(&vec![0.0f32; 64 * 10_000], None).unwrap_err();
    assert!([ErrorKind::Limit, ErrorKind::OutOfMemory].contains(&error.kind()), "{error}");
    assert!(index.is_empty() && runtime.memory().unwrap().used_bytes <= 1 << 20);
}
