//! Indexes through the safe layer, against exact search written down in common/mod.rs.
//!
//! SPDX-License-Identifier: MIT

mod common;

use common::{l2, nearest, numbers, scratch};
use sonde::{
    Bf16, Bits, Calibration, ErrorKind, Filter, Hits, HitsMut, Index, MatrixView, Metric, OpenOptions, Runtime, Search,
    Stop, Tune, Verify, F16,
};

const DIM: usize = 12;
const ROWS: usize = 300;

fn filled(spec: &str) -> (Index, Vec<f32>) {
    let rows = numbers(ROWS * DIM, 1);
    let index = Index::new(spec, DIM).unwrap();
    index.add(&rows, None).unwrap();
    (index, rows)
}

fn exact() -> Search<'static> {
    Search::new().k(7).recall(1.0)
}

fn ids_of(hits: &Hits, query: usize) -> Vec<i64> {
    hits.row(query).unwrap().iter().map(|hit| hit.id).collect()
}

#[test]
fn search_gives_the_nearest_rows_and_their_scores() {
    for spec in ["flat", "ivf(nlist=8)"] {
        let (index, rows) = filled(spec);
        let queries = numbers(5 * DIM, 2);
        let hits = index.search(&queries, exact()).unwrap();
        assert_eq!((hits.queries(), hits.k(), hits.len()), (5, 7, 35));
        for (at, query) in queries.chunks(DIM).enumerate() {
            assert_eq!(ids_of(&hits, at), nearest(&rows, query, 7, |_| true), "{spec}");
            for hit in hits.row(at).unwrap() {
                let row = &rows[hit.id as usize * DIM..][..DIM];
                assert!((f64::from(hit.score) - l2(row, query)).abs() < 1e-4);
            }
            assert_eq!(hits.stop(at), Some(Stop::Exact));
        }
        assert_eq!(hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), hits.ids());
        assert_eq!(hits.clone().into_iter().count(), 35);
        assert_eq!((hits.row(5), hits.row(usize::MAX), hits.stop(5)), (None, None, None));
    }
}

#[test]
fn search_into_writes_what_search_gives() {
    let (index, _) = filled("flat");
    let queries = numbers(3 * DIM, 3);
    let hits = index.search(&queries, exact()).unwrap();
    let (mut ids, mut scores, mut counts, mut stops) = ([0; 21], [0.0; 21], [0; 3], [0; 3]);
    let room = HitsMut::new(&mut ids, &mut scores).counts(&mut counts).stops(&mut stops);
    index.search_into(&queries, exact(), room).unwrap();
    assert_eq!((&ids[..], &scores[..], counts), (hits.ids(), hits.scores(), [7; 3]));
    assert_eq!(stops.map(u32::from), [Stop::Exact.raw(); 3]);
}

#[test]
fn fewer_rows_than_k_end_early() {
    let index = Index::new("flat", 2).unwrap();
    index.add(&[0.0f32, 0.0, 1.0, 1.0], Some(&[5, 9])).unwrap();
    let hits = index.search(&[0.9f32, 0.9, 0.1, 0.1], Search::new().k(4)).unwrap();
    assert_eq!((ids_of(&hits, 0), ids_of(&hits, 1)), (vec![9, 5], vec![5, 9]));
    assert_eq!((hits.len(), hits.stop(0)), (4, Some(Stop::Fewer)));
    assert_eq!(hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>(), [9, 5, 5, 9]);
    let none = Index::new("flat", 2).unwrap().search(&[0.0f32; 2], Search::new()).unwrap();
    assert!(none.is_empty() && none.queries() == 1);
}

#[test]
fn filters_name_what_may_be_found() {
    let (index, rows) = filled("ivf(nlist=8)");
    let query = numbers(DIM, 4);
    let bits: Vec<u8> = vec![0b0100_1001; ROWS / 8];
    let ids: Vec<i64> = (0..ROWS as i64).step_by(11).collect();
    let odd = |id: i64| id % 2 == 1;
    let in_bits = |id: i64| id < ROWS as i64 / 8 * 8 && (0b0100_1001 >> (id % 8)) & 1 == 1;
    let cases: [(Filter, &dyn Fn(i64) -> bool); 4] = [
        (Filter::bitmap(&bits), &in_bits),
        (Filter::ids(&ids), &|id| id % 11 == 0),
        (Filter::range(20..40), &|id| (20..40).contains(&id)),
        (Filter::accept(&odd), &odd),
    ];
    for (filter, allowed) in cases {
        let found = index.search(&query, exact().filter(filter)).unwrap();
        assert_eq!(ids_of(&found, 0), nearest(&rows, &query, 7, allowed), "{filter:?}");
        let others = index.search(&query, exact().filter(filter.exclude())).unwrap();
        assert_eq!(ids_of(&others, 0), nearest(&rows, &query, 7, |id| !allowed(id)), "{filter:?}");
    }
}

#[test]
fn each_query_may_have_its_filter() {
    let (index, rows) = filled("flat");
    let queries = numbers(2 * DIM, 5);
    let odd = |id: i64| id % 2 == 1;
    let filters = [Filter::range(0..50), Filter::accept(&odd)];
    let hits = index.search(&queries, exact().filters(&filters)).unwrap();
    assert_eq!(ids_of(&hits, 0), nearest(&rows, &queries[..DIM], 7, |id| id < 50));
    assert_eq!(ids_of(&hits, 1), nearest(&rows, &queries[DIM..], 7, odd));
    let error = index.search(&queries, exact().filters(&filters[..1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn range_search_gives_all_rows_within_the_radius() {
    let (index, rows) = filled("ivf(nlist=8)");
    let queries = numbers(3 * DIM, 6);
    let found = index.range_search(&queries, 5.0, Search::new()).unwrap();
    assert_eq!(found.queries(), 3);
    for (query, row) in queries.chunks(DIM).zip(found.rows()) {
        let within = rows.chunks(DIM).filter(|row| l2(row, query) <= 5.0).count();
        assert!(within > 0 && row.scores().windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(row.ids(), nearest(&rows, query, within, |_| true));
    }
    assert_eq!(found.iter().count(), found.len());
    assert!(found.row(3).is_none());
    assert!(index.range_search(&queries, -1.0, Search::new()).unwrap().is_empty());
}

#[test]
fn rows_come_and_go() {
    let (index, rows) = filled("ivf(nlist=4)");
    assert_eq!((index.len(), index.dim(), index.metric()), (ROWS, DIM, Metric::L2));
    assert_eq!(index.remove(&[3, 4, 100_000]).unwrap(), 2);
    assert!(!index.contains(3) && index.contains(5));
    index.add(&rows[..DIM], Some(&[3])).unwrap();
    assert_eq!(index.get(&[3, 0]).unwrap(), [&rows[..DIM], &rows[..DIM]].concat());
    index.compact().unwrap();
    index.check().unwrap();
    let mut ids = index.ids().unwrap();
    ids.sort_unstable();
    assert_eq!(ids, (0..ROWS as i64).filter(|id| *id != 4).collect::<Vec<_>>());
    let stats = index.stats().unwrap();
    assert_eq!((stats.count, stats.removed, stats.lists, stats.trained), (ROWS - 1, 0, 4, true));
}

#[test]
fn every_kind_of_element_arrives() {
    let values = [0.0f32, 1.0, 2.0, -3.0, 0.5, 4.0];
    let half = [0u16, 0x3c00, 0x4000, 0xc200, 0x3800, 0x4400];
    let upper: Vec<u16> = values.iter().map(|value| (value.to_bits() >> 16) as u16).collect();
    let index = Index::new("flat", 3).unwrap();
    index.add(&values, None).unwrap();
    index.add(F16::slice(&half), None).unwrap();
    index.add(Bf16::slice(&upper), None).unwrap();
    index.add(&[0i8, 1, 2, -3, 0, 4], None).unwrap();
    index.add(&[0u8, 1, 2, 3, 0, 4], None).unwrap();
    let stored = index.get(&(0..10).collect::<Vec<_>>()).unwrap();
    assert_eq!((&stored[..6], &stored[6..12], &stored[12..18]), (&values[..], &values[..], &values[..]));
    assert_eq!(stored[18..], [0.0, 1.0, 2.0, -3.0, 0.0, 4.0, 0.0, 1.0, 2.0, 3.0, 0.0, 4.0]);
}

#[test]
fn bits_have_eight_columns_a_byte() {
    let index = Index::new("flat(dtype=bits, metric=hamming)", 20).unwrap();
    let rows = [0x00, 0x00, 0x00, 0xff, 0xff, 0x0f];
    index.add(Bits::slice(&rows), None).unwrap();
    assert_eq!(index.len(), 2);
    let query = MatrixView::new(Bits::slice(&[0xff, 0x0f, 0x00]), 20).unwrap();
    let found = index.search(&query, Search::new().k(2)).unwrap();
    assert_eq!((found.ids(), found.scores()), (&[1, 0][..], &[8.0, 12.0][..]));
    assert_eq!(index.get_bits(&[1]).unwrap(), Bits::slice(&[0xff, 0xff, 0x0f]));
}

#[test]
fn views_step_over_gaps() {
    let wide = numbers(10 * 20, 7);
    let view = MatrixView::with_stride(&wide[3..], 11, DIM, 20).unwrap_err();
    assert!(view.message().contains("do not fit"), "{view}");
    let view = MatrixView::with_stride(&wide[3..], 10, DIM, 20).unwrap();
    let index = Index::new("flat", DIM).unwrap();
    index.add(&view, None).unwrap();
    let packed: Vec<f32> = (0..10).flat_map(|row| wide[3 + row * 20..][..DIM].to_vec()).collect();
    assert_eq!(index.get(&(0..10).collect::<Vec<_>>()).unwrap(), packed);
    assert!(MatrixView::with_stride(&wide, 2, DIM, DIM - 1).is_err());
    assert!(MatrixView::with_stride(&wide, usize::MAX, DIM, usize::MAX).is_err());
}

#[test]
fn files_and_bytes_hold_the_same_index() {
    let (index, _) = filled("ivf(nlist=8, code=sq(bits=8))");
    let query = numbers(DIM, 8);
    let expected = index.search(&query, exact()).unwrap();
    let path = scratch("same.sonde");
    index.save(&path).unwrap();
    let bytes = index.to_bytes().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let mapped = Index::open_with(&path, &OpenOptions::new().mmap(true).verify(Verify::Full)).unwrap();
    for again in [Index::open(&path).unwrap(), Index::from_bytes(&bytes).unwrap()] {
        assert_eq!(again.search(&query, exact()).unwrap(), expected);
        assert_eq!((again.spec(), again.len()), (index.spec(), ROWS));
    }
    assert_eq!(mapped.search(&query, exact()).unwrap(), expected);
    assert_eq!(mapped.add(&query, None).unwrap_err().kind(), ErrorKind::State);
    assert!(mapped.stats().unwrap().mapped_bytes > 0);

    let sections = sonde::file_sections(&path).unwrap();
    assert_eq!(sections.noun, "index");
    assert!(sections.sections.len() > 1 && sections.sections.iter().all(|section| section.intact));
    let limit = Index::open_with(&path, &OpenOptions::new().max_bytes(10)).unwrap_err();
    assert_eq!(limit.kind(), ErrorKind::Limit);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn shards_merge() {
    let rows = numbers(200 * DIM, 9);
    let whole = Index::new("flat", DIM).unwrap();
    whole.add(&rows, None).unwrap();
    let ids: Vec<i64> = (0..200).collect();
    let halves = [0, 100].map(|first| {
        let half = Index::new("flat", DIM).unwrap();
        half.add(&rows[first * DIM..][..100 * DIM], Some(&ids[first..][..100])).unwrap();
        half
    });
    let queries = numbers(4 * DIM, 10);
    let expected = whole.search(&queries, exact()).unwrap();
    let parts = [0, 1].map(|at: usize| halves[at].search(&queries, exact()).unwrap());
    let merged = sonde::topk_merge(Metric::L2, &[&parts[0], &parts[1]], 7).unwrap();
    assert_eq!(merged, expected);
    halves[0].merge(&halves[1]).unwrap();
    assert_eq!(halves[0].search(&queries, exact()).unwrap(), expected);
}

#[test]
fn tuning_gives_a_curve() {
    let rows = numbers(1500 * DIM, 11);
    let mut index = Index::new("ivf(nlist=16)", DIM).unwrap();
    index.train(&rows).unwrap();
    assert!(index.is_empty() && index.stats().unwrap().trained);
    index.add(&rows, None).unwrap();
    assert_eq!(index.stats().unwrap().calibrated, Calibration::StoredRows);
    index.tune_with(Some(&numbers(60 * DIM, 12)), Tune::new().threads(1).seed(1).seconds(1.0)).unwrap();
    assert_eq!(index.stats().unwrap().calibrated, Calibration::Queries);
    let points = index.operating_points().unwrap();
    assert!(points.iter().all(|point| (0.0..=1.0).contains(&point.recall)));
    assert!(points.windows(2).all(|pair| (pair[0].k, pair[0].effort) < (pair[1].k, pair[1].effort)));
    assert!(points.iter().any(|point| point.k == 10 && point.recall > 0.9));
}

#[test]
fn an_estimate_tells_what_will_be_held() {
    let runtime = Runtime::builder().build().unwrap();
    let index = Index::with_runtime("flat", DIM, &runtime).unwrap();
    index.add(&numbers(20_000 * DIM, 13), None).unwrap();
    let estimate = Index::estimate("flat", DIM, 20_000).unwrap();
    assert!(estimate.memory_bytes >= 20_000 * DIM as u64 * 4);
    assert!(estimate.build_bytes >= estimate.memory_bytes);
    assert!(index.stats().unwrap().memory_bytes <= estimate.memory_bytes * 5 / 4);
}

#[test]
fn threads_search_while_one_adds_and_removes() {
    let (index, rows) = filled("ivf(nlist=8)");
    let more = numbers(ROWS * DIM, 14);
    std::thread::scope(|scope| {
        let searchers = [0, 1].map(|first| {
            let (index, rows) = (&index, &rows);
            scope.spawn(move || {
                for query in rows.chunks(DIM).skip(first).step_by(2) {
                    let hits = index.search(&query, Search::new().k(1).recall(1.0)).unwrap();
                    assert_eq!(hits.scores(), [0.0]);
                }
            })
        });
        let ids: Vec<i64> = (1000..1000 + ROWS as i64).collect();
        for _ in 0..5 {
            index.add(&more, Some(&ids)).unwrap();
            assert_eq!(index.remove(&ids).unwrap(), ROWS);
        }
        searchers.into_iter().for_each(|searcher| searcher.join().unwrap());
    });
    assert_eq!(index.len(), ROWS);
}

#[cfg(feature = "ndarray")]
mod with_ndarray {
    use super::*;
    use ndarray::{Array2, ArrayView2, ShapeBuilder};

    #[test]
    fn row_major_arrays_arrive_and_others_are_refused() {
        let rows = numbers(10 * DIM, 15);
        let array = ArrayView2::from_shape((10, DIM), &rows).unwrap();
        let index = Index::new("flat", DIM).unwrap();
        index.add(&array, None).unwrap();
        assert_eq!(index.get(&[9]).unwrap(), rows[9 * DIM..]);
        let every_second = array.slice(ndarray::s![..;2, ..]);
        index.add(&every_second, None).unwrap();
        assert_eq!(index.get(&[14]).unwrap(), rows[8 * DIM..9 * DIM]);
        for wrong in [array.slice(ndarray::s![..;-1, ..]), array.slice(ndarray::s![.., ..;-1])] {
            assert!(index.add(&wrong, None).unwrap_err().message().contains("as_standard_layout()"));
        }
        let columns = Array2::<f32>::zeros((10, DIM).f());
        assert_eq!(index.add(&columns, None).unwrap_err().kind(), ErrorKind::InvalidArgument);
        index.add(&columns.as_standard_layout(), None).unwrap();
        assert_eq!(index.len(), 25);
        let narrow = Array2::<f32>::zeros((2, DIM - 1));
        assert!(index.add(&narrow, None).unwrap_err().message().contains("columns"));
    }
}

#[cfg(feature = "half")]
#[test]
fn halves_of_the_crate_half_arrive() {
    let index = Index::new("flat", 2).unwrap();
    index.add(&[half::f16::from_f32(0.5), half::f16::from_f32(-2.0)], None).unwrap();
    index.add(&[half::bf16::from_f32(0.5), half::bf16::from_f32(-2.0)], None).unwrap();
    assert_eq!(index.get(&[0, 1]).unwrap(), [0.5, -2.0, 0.5, -2.0]);
}
