//! Tries through the safe layer.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::{numbers, scratch};
use sonde::{unique_sequences, Beam, ErrorKind, MatrixView, Quantizer, Scale, Trie, Unique, Values};
use std::collections::HashSet;

const ROWS: [i32; 12] = [3, 1, 4, 3, 1, -1, 3, 1, 4, 2, 7, -1];
const IDS: [i64; 4] = [10, 11, 12, 13];

fn filled() -> Trie {
    let mut trie = Trie::new("trie", 3).unwrap();
    trie.add(&ROWS, Some(&IDS)).unwrap();
    trie
}

#[test]
fn what_can_follow_and_what_is_there() {
    let trie = filled();
    assert_eq!((trie.len(), trie.dim(), trie.is_empty()), (4, 3, false));
    assert_eq!(trie.children(&[]).unwrap(), [2, 3]);
    assert_eq!(trie.children(&[3, 1]).unwrap(), [4]);
    assert_eq!(trie.children(&[9]).unwrap(), []);
    assert_eq!(trie.lookup(&[3, 1, 4]).unwrap(), [10, 12]);
    assert_eq!(trie.lookup(&[3]).unwrap(), []);

    let mut counted = Trie::new("trie", 3).unwrap();
    counted.add(&MatrixView::new(&[5i32, 6], 1).unwrap(), None).unwrap();
    assert_eq!(counted.lookup(&[6]).unwrap(), [1]);
}

#[test]
fn masks_leave_what_can_follow() {
    let mut logits = [0.0f32; 16];
    filled().mask(&[3, 1, -1, -1, -1, -1], &mut logits, Some(6)).unwrap();
    let left: Vec<_> = logits.iter().enumerate().filter(|(_, &value)| value == 0.0).map(|(at, _)| at).collect();
    assert_eq!(left, [4, 6, 8 + 2, 8 + 3]);
    assert!(filled().mask(&ROWS, &mut [0.0; 7], None).is_err());
}

#[test]
fn beam_search_finds_the_best_sums() {
    let trie = filled();
    let best = trie
        .search(&Beam::new(10), |prefixes, out| {
            assert_eq!((prefixes.codes.len(), out.len()), (prefixes.count * prefixes.length, prefixes.count * 8));
            out.iter_mut().enumerate().for_each(|(at, score)| *score = -((at % prefixes.vocabulary) as f32));
            true
        })
        .unwrap();
    let found: Vec<_> = best.iter().map(|one| (&one.sequence[..], one.id, one.score)).collect();
    assert_eq!(found, [(&[3, 1][..], 11, -4.0), (&[3, 1, 4], 10, -8.0), (&[2, 7], 13, -9.0)]);

    let flat = |_: &sonde::Prefixes<'_>, out: &mut [f32]| {
        out.fill(0.0);
        true
    };
    let masked = trie.search(&Beam::new(1).scale(Scale::Masked), flat).unwrap();
    assert_eq!(masked.len(), 1);
    assert!((masked[0].score - 0.5f32.ln()).abs() < 1e-6);
    let ended = trie.search(&Beam::new(9).scale(Scale::Logits).end(8).vocabulary(9), flat).unwrap();
    for one in ended {
        assert!((one.score + (one.sequence.len() + 1) as f32 * 9f32.ln()).abs() < 1e-5);
    }
    assert_eq!(Trie::new("trie", 3).unwrap().search(&Beam::new(5), flat).unwrap(), []);
}

#[test]
fn models_that_fail_end_the_search() {
    let trie = filled();
    let stopped = trie.search(&Beam::new(2), |_, _| false).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Callback);
    let panicked = trie.search(&Beam::new(2), |_, _| panic!("in the model")).unwrap_err();
    assert!(panicked.kind() == ErrorKind::Callback && panicked.message().contains("in the model"), "{panicked}");
    assert!(trie.search(&Beam::new(0), |_, _| true).is_err());
}

#[test]
fn bad_sequences_change_nothing() {
    let mut trie = filled();
    let before = trie.to_bytes().unwrap();
    assert!(trie.add(&[1i32, -1, 2], None).is_err());
    assert!(trie.add(&[1i32, 2], None).is_err());
    assert!(trie.add(&[1.0f32, 2.0, 3.0], None).is_err());
    assert!(trie.add(&[1i32, 2, 3], Some(&[1, 2])).unwrap_err().message().contains("2 ids for 1 sequences"));
    assert_eq!(trie.to_bytes().unwrap(), before);
    let mut single = Trie::new("trie(duplicates=refuse)", 3).unwrap();
    assert!(single.add(&ROWS, None).is_err() && single.is_empty());
}

#[test]
fn a_trie_travels_as_file_and_bytes() {
    let (trie, path) = (filled(), scratch("trie.sonde"));
    trie.save(&path).unwrap();
    for again in [Trie::open(&path).unwrap(), Trie::from_bytes(&trie.to_bytes().unwrap()).unwrap()] {
        assert_eq!(again.lookup(&[3, 1, 4]).unwrap(), [10, 12]);
        assert_eq!(again.to_bytes().unwrap(), trie.to_bytes().unwrap());
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn ids_of_rows_become_unique() {
    let rows = numbers(600 * 8, 11);
    let mut rkmeans = Quantizer::new("rkmeans(levels=2, codes=16)", 8).unwrap();
    rkmeans.train(&rows).unwrap();
    let Values::I32(sequences) = rkmeans.output("sequences").unwrap().values else { panic!("of another type") };
    let resolve = Unique::Resolve { quantizer: &rkmeans, vectors: &rows, tries: 0 };
    for how in [Unique::Suffix, resolve] {
        let unique = unique_sequences(&sequences, 2, &how).unwrap();
        assert_eq!(unique.chunks(3).collect::<HashSet<_>>().len(), 600, "{how:?}");
    }
    assert!(unique_sequences(&sequences[1..], 2, &Unique::Suffix).is_err());
}
