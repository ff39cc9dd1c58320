//! Quantizers and transforms through the safe layer.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::{l2, numbers, scratch};
use sonde::{ErrorKind, Input, Metric, Quantizer, Transform, Values};

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
fn rows_that_come_in_pieces_train_as_one() {
    let rows = numbers(500 * DIM, 6);
    let mut whole = Quantizer::new("pq(m=4, bits=4)", DIM).unwrap();
    whole.train(&rows).unwrap();
    let mut pieces = Quantizer::new("pq(m=4, bits=4)", DIM).unwrap();
    for piece in rows.chunks(170 * DIM) {
        pieces.observe(piece).unwrap();
    }
    pieces.train_observed().unwrap();
    assert_eq!(pieces.to_bytes().unwrap(), whole.to_bytes().unwrap()); // all fit into the sample
    assert!(whole.train_observed().is_err());
    assert_eq!(whole.to_bytes().unwrap(), pieces.to_bytes().unwrap());
}

#[test]
fn groups_keep_their_limits() {
    let rows: Vec<f32> = numbers(400 * DIM, 7).iter().map(|value| value.powi(3)).collect();
    let mut kmeans = Quantizer::new("kmeans(k=8, balance=capacity)", DIM).unwrap();
    let labels = kmeans.cluster(&rows, &[]).unwrap();
    assert!((0..8).all(|group| labels.iter().filter(|&&label| label == group).count() == 50));
    let centroids = kmeans.output("centroids").unwrap();
    let Values::F32(values) = centroids.values else { panic!("{centroids:?}") };
    assert_eq!((centroids.cols, values.len()), (DIM, 8 * DIM));
    assert_eq!(kmeans.decode(&(0..8).collect::<Vec<u8>>()).unwrap(), values); // the code of a row is its group
    assert_eq!(kmeans.output("sizes").unwrap().values, Values::I64(vec![50; 8]));
    assert_eq!(kmeans.output("centres").unwrap_err().kind(), ErrorKind::NotFound);

    let masses = [0.3f32, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
    let mut sinkhorn = Quantizer::new("kmeans(k=8, balance=sinkhorn)", DIM).unwrap();
    let labels = sinkhorn.cluster(&rows, &[Input::column("masses", &masses)]).unwrap();
    assert!((labels.iter().filter(|&&label| label == 0).count() as f64 / 400.0 - 0.3).abs() < 0.05);
    let mut sq = Quantizer::new("sq", DIM).unwrap();
    assert_eq!(sq.cluster(&rows, &[]).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn codes_are_compared_with_codes() {
    let rows = numbers(300 * DIM, 8);
    let mut pq = Quantizer::new("pq(m=4, bits=4)", DIM).unwrap();
    pq.train(&rows).unwrap();
    let (codes, bytes) = (pq.encode(&rows).unwrap(), pq.code_bytes());
    let back = pq.decode(&codes).unwrap();
    let scores = pq.code_distances(Metric::L2, &codes[..5 * bytes], &codes).unwrap();
    for (at, score) in scores.iter().enumerate() {
        let (one, other) = (&back[at / 300 * DIM..][..DIM], &back[at % 300 * DIM..][..DIM]);
        assert!((f64::from(*score) - l2(one, other)).abs() < 1e-3);
    }

    let mut lsh = Quantizer::new("lsh(bits=32)", DIM).unwrap();
    lsh.train(&rows).unwrap();
    let codes = lsh.encode(&rows).unwrap();
    let bits = |i: usize| u32::from_le_bytes(codes[4 * i..][..4].try_into().unwrap());
    let scores = lsh.code_distances(Metric::Hamming, &codes[..4], &codes).unwrap();
    assert!(scores.iter().enumerate().all(|(i, &score)| score == (bits(0) ^ bits(i)).count_ones() as f32));
}

#[test]
fn bounds_hold() {
    let (rows, queries) = (numbers(1000 * DIM, 9), numbers(20 * DIM, 10));
    let mut rabitq = Quantizer::new("rabitq(bits=2)", DIM).unwrap();
    rabitq.train(&rows).unwrap();
    let codes = rabitq.encode(&rows).unwrap();
    let bounds = rabitq.bounds(Metric::L2, &queries, &codes).unwrap();
    let held = (0..20_000).filter(|&at| {
        let truth = l2(&queries[at / 1000 * DIM..][..DIM], &rows[at % 1000 * DIM..][..DIM]);
        (f64::from(bounds.scores[at]) - truth).abs() <= f64::from(bounds.errors[at])
    });
    assert!(held.count() > 19_960);
    let mut pq = Quantizer::new("pq(m=4, bits=4)", DIM).unwrap();
    pq.train(&rows).unwrap();
    let codes = pq.encode(&rows).unwrap();
    assert_eq!(pq.bounds(Metric::L2, &queries, &codes).unwrap_err().kind(), ErrorKind::Unsupported);
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
