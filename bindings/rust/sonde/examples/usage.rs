//! The program that users want to write: an index of vectors, a question, a file.
//!
//! SPDX-License-Identifier: MIT

use sonde::Search;

#[rustfmt::skip] // as it stands in the guide
fn main() -> sonde::Result<()> {
    let vectors: Vec<f32> = (0..384 * 500).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
    let query = vectors[384 * 3..384 * 4].to_vec();

    let index = sonde::Index::new("ivf(metric=cosine)", 384)?;
    index.add(&vectors, None)?;
    for hit in index.search(&query, Search::new().k(10).recall(0.95))? { println!("{} {:.3}", hit.id, hit.score); }
    index.save("glosses.sonde")?;
    Ok(())
}
