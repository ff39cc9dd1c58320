//! A builder for each method, and the words that its keys take.
//!
//! Written by bindings/generate from the public headers and the method tables: change those, then `make generate`.
//!
//! SPDX-License-Identifier: MIT

use super::{Keys, Spec};
use crate::Metric;

/// The words that keys take.
pub mod word {
    use std::fmt;

    /// The words of the key `dtype`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Dtype {
        /// `f32`
        F32,
        /// `f16`
        F16,
        /// `bf16`
        Bf16,
        /// `i8`
        I8,
        /// `u8`
        U8,
        /// `bits`
        Bits,
    }

    impl fmt::Display for Dtype {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::F32 => "f32",
                Self::F16 => "f16",
                Self::Bf16 => "bf16",
                Self::I8 => "i8",
                Self::U8 => "u8",
                Self::Bits => "bits",
            })
        }
    }

    /// The words of the key `duplicates`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Duplicates {
        /// `replace`
        Replace,
        /// `refuse`
        Refuse,
    }

    impl fmt::Display for Duplicates {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Replace => "replace",
                Self::Refuse => "refuse",
            })
        }
    }

    /// The words of the key `kind`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Kind {
        /// `dense`
        Dense,
        /// `fht`
        Fht,
    }

    impl fmt::Display for Kind {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Dense => "dense",
                Self::Fht => "fht",
            })
        }
    }

    /// The words of the key `query`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Query {
        /// `auto`
        Auto,
        /// `i8`
        I8,
        /// `i16`
        I16,
        /// `f32`
        F32,
    }

    impl fmt::Display for Query {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::I8 => "i8",
                Self::I16 => "i16",
                Self::F32 => "f32",
            })
        }
    }

    /// The words of the key `range`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Range {
        /// `best`
        Best,
        /// `minmax`
        Minmax,
    }

    impl fmt::Display for Range {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Best => "best",
                Self::Minmax => "minmax",
            })
        }
    }

    /// The words of the key `refine`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Refine {
        /// `none`
        None,
        /// `f16`
        F16,
        /// `f32`
        F32,
    }

    impl fmt::Display for Refine {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::None => "none",
                Self::F16 => "f16",
                Self::F32 => "f32",
            })
        }
    }

    /// The words of the key `residual`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Residual {
        /// `auto`
        Auto,
        /// `yes`
        Yes,
        /// `no`
        No,
    }

    impl fmt::Display for Residual {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Yes => "yes",
                Self::No => "no",
            })
        }
    }

    /// The words of the key `start`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Start {
        /// `random`
        Random,
        /// `plusplus`
        Plusplus,
    }

    impl fmt::Display for Start {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Random => "random",
                Self::Plusplus => "plusplus",
            })
        }
    }
}

/// index `flat`: exact search: every row is scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat(Keys);

impl Flat {
    /// `flat` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// what a stored element is; default: f32
    pub fn dtype(self, value: word::Dtype) -> Self {
        Self(self.0.with("dtype", value))
    }

    /// what near means; l2 is the squared distance; default: l2
    pub fn metric(self, value: Metric) -> Self {
        Self(self.0.with("metric", value))
    }

    /// what add does with an id that is stored; default: replace
    pub fn duplicates(self, value: word::Duplicates) -> Self {
        Self(self.0.with("duplicates", value))
    }
}

prints_as!(Flat, "flat");

/// index `ivf`: inverted file: rows in lists by nearest centroid; a search visits the nearest lists.
///
/// Source: Sivic and Zisserman 2003; Jegou, Douze, Schmid 2011
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ivf(Keys);

impl Ivf {
    /// `ivf` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// number of lists; auto: 4 sqrt(n) of the training rows; 1 to 134217727; default: auto
    pub fn nlist(self, value: u64) -> Self {
        Self(self.0.with("nlist", value))
    }

    /// `nlist=auto`
    pub fn nlist_auto(self) -> Self {
        Self(self.0.with("nlist", "auto"))
    }

    /// how rows are stored; flat: f32 as they are; default: flat
    pub fn code(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("code", value.into()))
    }

    /// code x - centroid instead of x; auto: for pq; default: auto
    pub fn residual(self, value: word::Residual) -> Self {
        Self(self.0.with("residual", value))
    }

    /// keep rows to score the best candidates again; default: none
    pub fn refine(self, value: word::Refine) -> Self {
        Self(self.0.with("refine", value))
    }

    /// k-means iterations; 1 to 1000; default: 10
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// training rows for each list, at most; 39 to 65536; default: 256
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// of the random choices in training; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }

    /// what near means; l2 is the squared distance; default: l2
    pub fn metric(self, value: Metric) -> Self {
        Self(self.0.with("metric", value))
    }

    /// what add does with an id that is stored; default: replace
    pub fn duplicates(self, value: word::Duplicates) -> Self {
        Self(self.0.with("duplicates", value))
    }
}

prints_as!(Ivf, "ivf");

/// quantizer `raw`: no compression: the f32 values as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw(Keys);

impl Raw {
    /// `raw` with every default.
    pub fn new() -> Self {
        Self::default()
    }
}

prints_as!(Raw, "raw");

/// quantizer `sq`: scalar quantization: every column rounded to 4, 6 or 8 bits, or to f16.
///
/// Source: uniform quantization with learned clipping (Max 1960)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sq(Keys);

impl Sq {
    /// `sq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits a column: 4, 6, 8, or f16 (half precision, nothing learned); 4 to 8; default: 8
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// `bits=f16`
    pub fn bits_f16(self) -> Self {
        Self(self.0.with("bits", "f16"))
    }

    /// range of a column: clipped for the least squared error, or all that training saw; default: best
    pub fn range(self, value: word::Range) -> Self {
        Self(self.0.with("range", value))
    }

    /// precision of the query in scans; auto: i16 for 8 bits, else i8; default: auto
    pub fn query(self, value: word::Query) -> Self {
        Self(self.0.with("query", value))
    }

    /// rows that range=best is chosen on; 1 to 1000000000; default: 16384
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// of the choice of those rows; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Sq, "sq");

/// quantizer `pq`: product quantization: k-means codebooks on parts of the row.
///
/// Source: Jegou, Douze, Schmid: Product quantization for nearest neighbor search (TPAMI 2011)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pq(Keys);

impl Pq {
    /// `pq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// parts of a row; auto: the divisor of dim whose parts have nearest to 8 columns; 1 to 65536; default: auto
    pub fn m(self, value: u64) -> Self {
        Self(self.0.with("m", value))
    }

    /// `m=auto`
    pub fn m_auto(self) -> Self {
        Self(self.0.with("m", "auto"))
    }

    /// bits of a part: 2^bits centroids each; 4 to 8; default: 8
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// k-means iterations; 1 to 1000; default: 25
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// most rows to train on; 1 to 1000000000; default: 65536
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// of the sample and of k-means; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }

    /// let m not divide dim: parts then differ by one column; default: no
    pub fn pad(self, value: bool) -> Self {
        Self(self.0.with("pad", if value { "yes" } else { "no" }))
    }
}

prints_as!(Pq, "pq");

/// quantizer `kmeans`: clustering: a code is the number of the nearest of k centroids.
///
/// Source: Lloyd: Least squares quantization in PCM (1982); Arthur, Vassilvitskii: k-means++ (2007)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kmeans(Keys);

impl Kmeans {
    /// `kmeans` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// centroids; 1 to 16777216; default: 256
    pub fn k(self, value: u64) -> Self {
        Self(self.0.with("k", value))
    }

    /// iterations; 1 to 1000; default: 25
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// most rows to train on; 1 to 1000000000; default: all
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// `sample=all`
    pub fn sample_all(self) -> Self {
        Self(self.0.with("sample", "all"))
    }

    /// of the start and of the sample; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }

    /// first centroids: random rows, or k-means++; default: random
    pub fn start(self, value: word::Start) -> Self {
        Self(self.0.with("start", value))
    }

    /// centroids of length 1, nearest by inner product; default: no
    pub fn spherical(self, value: bool) -> Self {
        Self(self.0.with("spherical", if value { "yes" } else { "no" }))
    }

    /// two levels of about sqrt(k); faster for large k; default: no
    pub fn hierarchical(self, value: bool) -> Self {
        Self(self.0.with("hierarchical", if value { "yes" } else { "no" }))
    }
}

prints_as!(Kmeans, "kmeans");

/// transform `rotation`: a random rotation: lengths and angles stay, columns become alike.
///
/// Source: QR of a Gaussian matrix; fast: Andoni et al. 2015, Jain, Pillai, Smith 2020
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rotation(Keys);

impl Rotation {
    /// `rotation` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// which rotation; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }

    /// any rotation, or a fast one that pads to a multiple of 64 columns; default: dense
    pub fn kind(self, value: word::Kind) -> Self {
        Self(self.0.with("kind", value))
    }
}

prints_as!(Rotation, "rotation");

/// transform `pca`: projection on the directions of largest variance.
///
/// Source: Pearson 1901; Hotelling 1933
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pca(Keys);

impl Pca {
    /// `pca` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// components to keep; auto: as many as columns; 1 to 65536; default: auto
    pub fn dim(self, value: u64) -> Self {
        Self(self.0.with("dim", value))
    }

    /// `dim=auto`
    pub fn dim_auto(self) -> Self {
        Self(self.0.with("dim", "auto"))
    }

    /// divide each component by its deviation; default: no
    pub fn whiten(self, value: bool) -> Self {
        Self(self.0.with("whiten", if value { "yes" } else { "no" }))
    }

    /// subtract the mean of the training rows; default: yes
    pub fn center(self, value: bool) -> Self {
        Self(self.0.with("center", if value { "yes" } else { "no" }))
    }

    /// most rows to train on; 1 to 1000000000; default: 65536
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// of the choice of those rows; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Pca, "pca");

/// transform `normalise`: scales rows to length 1; zero rows stay zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalise(Keys);

impl Normalise {
    /// `normalise` with every default.
    pub fn new() -> Self {
        Self::default()
    }
}

prints_as!(Normalise, "normalise");
