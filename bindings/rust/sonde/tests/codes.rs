//! Quantizers and transforms through the safe layer.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::{l2, numbers, scratch};
use sonde::{Metric, Quantizer, Transform};

const DIM: usize = 8;

#[test]
fn codes_come_back_near_to_what_they_were() {
    let rows = numbers(500 * DIM, 1);
    for spec in ["pq(m=4, bits=8)", "sq(bits=8)", "kmeans(k=64)", "raw"] {
        let mut quantizer = Quantizer::new(spec, DIM).unwrap();
        quantizer.train(&rows).unwrap();
        assert!(quantizer.is_trained() && quantizer.spec().starts_with(spec.split('(').next().unwrap()));
        let codes = quantizer.encode(&rows).unwrap();
        assert_eq!(codes.len(), 500 * quantizer.code_bytes());
        let back = quantizer.decode(&codes).unwrap();
        let energy: f64 = rows.iter().map(|value| f64::from(*value).powi(2)).sum();
        assert!(l2(&rows, &back) < energy / 2.0, "{spec}");

        let queries = numbers(3 * DIM, 2);
        let scores = quantizer.distances(Metric::L2, &queries, &codes).unwrap();
        for (at, score) in scores.iter().enumerate() {
            let (query, row) = (&queries[at / 500 * DIM..][..DIM], &back[at % 500 * DIM..][..DIM]);
            assert!((f64::from(*score) - l2(query, row)).abs() < 1e-3, "{spec}");
        }
    }
}

#[test]
fn outputs_of_the_wrong_size_are_refused() {
    let mut sq = Quantizer::new("sq(bits=8)", DIM).unwrap();
    let rows = numbers(20 * DIM, 3);
    sq.train(&rows).unwrap();
    let mut codes = vec![0; 20 * sq.code_bytes() - 1];
    let error = sq.encode_into(&rows, &mut codes).unwrap_err();
    assert!(error.message().contains("are needed"), "{error}");
    codes.push(0);
    sq.encode_into(&rows, &mut codes).unwrap();
    let mut back = vec![0.0; 20 * DIM];
    sq.decode_into(&codes, &mut back).unwrap();
    assert_eq!(back, sq.decode(&codes).unwrap());
    assert!(sq.decode_into(&codes[1..], &mut back).is_err());
}

#[test]
fn a_quantizer_travels_as_file_and_bytes() {
    let mut pq = Quantizer::new("pq(m=4, bits=4)", DIM).unwrap();
    let rows = numbers(400 * DIM, 4);
    pq.train(&rows).unwrap();
    let path = scratch("pq.sonde");
    pq.save(&path).unwrap();
    for again in [Quantizer::open(&path).unwrap(), Quantizer::from_bytes(&pq.to_bytes().unwrap()).unwrap()] {
        assert_eq!(again.encode(&rows).unwrap(), pq.encode(&rows).unwrap());
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn transforms_go_there_and_back() {
    let rows = numbers(100 * DIM, 5);
    let rotation = Transform::new("rotation(seed=3)", DIM).unwrap();
    assert!(rotation.is_trained());
    let there = rotation.apply(&rows).unwrap();
    assert!(l2(&rows, &rotation.apply_inverse(&there).unwrap()) < 1e-6);
    assert!((l2(&rows[..DIM], &rows[DIM..2 * DIM]) - l2(&there[..DIM], &there[DIM..2 * DIM])).abs() < 1e-4);

    let mut pca = Transform::new("pca(dim=3)", DIM).unwrap();
    pca.train(&rows).unwrap();
    assert_eq!((pca.dim(), pca.dim_out()), (DIM, 3));
    let mut out = vec![0.0; 100 * 3];
    pca.apply_into(&rows, &mut out).unwrap();
    assert_eq!(out, pca.apply(&rows).unwrap());
    let mut back = vec![0.0; 100 * DIM];
    pca.apply_inverse_into(&out, &mut back).unwrap();
    assert!(l2(&rows, &back) < l2(&rows, &vec![0.0; 100 * DIM]));
    let bytes = pca.to_bytes().unwrap();
    assert_eq!(Transform::from_bytes(&bytes).unwrap().apply(&rows).unwrap(), out);
}
