//! Sonde packs large sets of embeddings (quantizers), finds in them (nearest neighbour indexes) and draws from them
//! (samplers): the safe layer over the C library of that name.
//!
//! ```
//! # fn main() -> Result<(), sonde::Error> {
//! # std::env::set_current_dir(std::env::temp_dir()).unwrap();
//! # let vectors: Vec<f32> = (0..384 * 400).map(|i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5).collect();
//! # let query = &vectors[384 * 3..384 * 4];
//! use sonde::Search;
//!
//! let index = sonde::Index::new("ivf(metric=cosine)", 384)?;
//! index.add(&vectors, None)?;
//! for hit in index.search(&query, Search::new().k(10).recall(0.95))? { println!("{} {:.3}", hit.id, hit.score); }
//! index.save("glosses.sonde")?;
//! # std::fs::remove_file("glosses.sonde").unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! **Threads.** The comment of each C function names its class. What any number of threads may do at once, and what one
//! writer may do beside them, takes `&self`; what must be alone takes `&mut self`. So the compiler checks it, and
//! [`Index`], [`Quantizer`], [`Transform`], [`Trie`], the samplers and [`Runtime`] are `Send + Sync`.
//!
//! **Errors.** Whatever can fail gives a [`Result`] whose [`Error`] carries the status and the message of C unchanged.
//! Bad input never panics.
//!
//! **Closures.** A panic in a closure of yours does not cross C. It ends the call that the closure served with an error
//! of kind [`Cancelled`](ErrorKind::Cancelled) (progress) or [`Callback`](ErrorKind::Callback) (filters), which carries
//! the text of the panic; handles stay as they were and can be used on. With `panic = "abort"` the program ends.
//!
//! **Features.** `vendored` (default) compiles the library, `system` and `static` take an installed one (see
//! `sonde-sys`). `ndarray` and `half` let arrays and numbers of those crates in.
//!
//! The allocator of the C runtime is not shown here: a Rust program chooses one for itself.
//!
//! SPDX-License-Identifier: MIT

#![warn(missing_docs, missing_debug_implementations, unsafe_op_in_unsafe_fn)]

mod callback;
mod catalogue;
mod enums;
mod error;
mod handle;
mod hits;
mod index;
mod matrix;
mod open;
mod path_sampler;
mod quantizer;
mod row_sampler;
mod runtime;
mod search;
pub mod spec;
mod stats;
mod token_sampler;
mod transform;
mod trie;

pub use catalogue::{build_info, check_spec, describe, methods, version, InputInfo, Key, Method, OutputInfo};
pub use enums::{ErrorKind, LogLevel, Metric, Prediction, Stop, Verify};
pub use error::{Error, Result};
pub use hits::{topk_merge, Hit, Hits, HitsMut, IntoIter, Iter, RangeHits, Row};
pub use index::{Index, Tune};
pub use matrix::{Bf16, Bits, Element, Input, Matrix, MatrixView, F16};
pub use open::{file_sections, FileSections, OpenOptions, Section};
pub use path_sampler::{Ask, PathNode, PathSampler};
pub use quantizer::{Bounds, Quantizer};
pub use row_sampler::{Column, Gradient, RowSampler, Rows, Values};
pub use runtime::{Memory, Runtime, RuntimeBuilder};
pub use search::{Filter, Search};
pub use spec::Spec;
pub use stats::{Calibration, Estimate, OperatingPoint, Stats};
pub use token_sampler::{Candidate, DraftTree, Drawn, TokenOptions, TokenSampler, Verdict};
pub use transform::Transform;
pub use trie::{unique_sequences, Beam, Found, Prefixes, Scale, Trie, Unique};
