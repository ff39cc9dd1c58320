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

    /// The words of the key `adv`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Adv {
        /// `code`
        Code,
        /// `exact`
        Exact,
    }

    impl fmt::Display for Adv {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Code => "code",
                Self::Exact => "exact",
            })
        }
    }

    /// The words of the key `allocation`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Allocation {
        /// `proportional`
        Proportional,
        /// `equal`
        Equal,
        /// `weights`
        Weights,
    }

    impl fmt::Display for Allocation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Proportional => "proportional",
                Self::Equal => "equal",
                Self::Weights => "weights",
            })
        }
    }

    /// The words of the key `balance`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Balance {
        /// `none`
        None,
        /// `sinkhorn`
        Sinkhorn,
        /// `capacity`
        Capacity,
        /// `soft`
        Soft,
        /// `hierarchical`
        Hierarchical,
        /// `prices`
        Prices,
        /// `onerec`
        Onerec,
    }

    impl fmt::Display for Balance {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::None => "none",
                Self::Sinkhorn => "sinkhorn",
                Self::Capacity => "capacity",
                Self::Soft => "soft",
                Self::Hierarchical => "hierarchical",
                Self::Prices => "prices",
                Self::Onerec => "onerec",
            })
        }
    }

    /// The words of the key `base`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Base {
        /// `itq`
        Itq,
        /// `pca`
        Pca,
        /// `random`
        Random,
    }

    impl fmt::Display for Base {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Itq => "itq",
                Self::Pca => "pca",
                Self::Random => "random",
            })
        }
    }

    /// The words of the key `betas`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Betas {
        /// `linear`
        Linear,
        /// `scaled_linear`
        ScaledLinear,
        /// `cosine`
        Cosine,
    }

    impl fmt::Display for Betas {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Linear => "linear",
                Self::ScaledLinear => "scaled_linear",
                Self::Cosine => "cosine",
            })
        }
    }

    /// The words of the key `bh`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Bh {
        /// `bh1`
        Bh1,
        /// `bh2`
        Bh2,
        /// `exact`
        Exact,
    }

    impl fmt::Display for Bh {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Bh1 => "bh1",
                Self::Bh2 => "bh2",
                Self::Exact => "exact",
            })
        }
    }

    /// The words of the key `center`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Center {
        /// `mean`
        Mean,
        /// `none`
        None,
    }

    impl fmt::Display for Center {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Mean => "mean",
                Self::None => "none",
            })
        }
    }

    /// The words of the key `clusterweight`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ClusterWeight {
        /// `uniform`
        Uniform,
        /// `size`
        Size,
    }

    impl fmt::Display for ClusterWeight {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Uniform => "uniform",
                Self::Size => "size",
            })
        }
    }

    /// The words of the key `coarse`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Coarse {
        /// `auto`
        Auto,
        /// `exact`
        Exact,
        /// `i8`
        I8,
    }

    impl fmt::Display for Coarse {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Exact => "exact",
                Self::I8 => "i8",
            })
        }
    }

    /// The words of the key `corr`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Corr {
        /// `langevin`
        Langevin,
        /// `none`
        None,
    }

    impl fmt::Display for Corr {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Langevin => "langevin",
                Self::None => "none",
            })
        }
    }

    /// The words of the key `cost`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Cost {
        /// `linear`
        Linear,
        /// `quadratic`
        Quadratic,
    }

    impl fmt::Display for Cost {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Linear => "linear",
                Self::Quadratic => "quadratic",
            })
        }
    }

    /// The words of the key `cov`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Cov {
        /// `diag`
        Diag,
        /// `full`
        Full,
    }

    impl fmt::Display for Cov {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Diag => "diag",
                Self::Full => "full",
            })
        }
    }

    /// The words of the key `draft`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Draft {
        /// `auto`
        Auto,
        /// `iid`
        Iid,
        /// `gumbel_topk`
        GumbelTopk,
        /// `sbs`
        Sbs,
        /// `greedy`
        Greedy,
    }

    impl fmt::Display for Draft {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Iid => "iid",
                Self::GumbelTopk => "gumbel_topk",
                Self::Sbs => "sbs",
                Self::Greedy => "greedy",
            })
        }
    }

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
        /// `keep`
        Keep,
    }

    impl fmt::Display for Duplicates {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Replace => "replace",
                Self::Refuse => "refuse",
                Self::Keep => "keep",
            })
        }
    }

    /// The words of the key `encode`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Encode {
        /// `argmin`
        Argmin,
        /// `prices`
        Prices,
    }

    impl fmt::Display for Encode {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Argmin => "argmin",
                Self::Prices => "prices",
            })
        }
    }

    /// The words of the key `final`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Final {
        /// `auto`
        Auto,
        /// `t_end`
        TEnd,
        /// `zero`
        Zero,
        /// `denoise`
        Denoise,
    }

    impl fmt::Display for Final {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::TEnd => "t_end",
                Self::Zero => "zero",
                Self::Denoise => "denoise",
            })
        }
    }

    /// The words of the key `first`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum First {
        /// `auto`
        Auto,
        /// `none`
        None,
        /// `i8`
        I8,
    }

    impl fmt::Display for First {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::None => "none",
                Self::I8 => "i8",
            })
        }
    }

    /// The words of the key `fit`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Fit {
        /// `auto`
        Auto,
        /// `exact`
        Exact,
        /// `fast`
        Fast,
    }

    impl fmt::Display for Fit {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Exact => "exact",
                Self::Fast => "fast",
            })
        }
    }

    /// The words of the key `form`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Form {
        /// `exact`
        Exact,
        /// `surrogate`
        Surrogate,
        /// `likelihood`
        Likelihood,
    }

    impl fmt::Display for Form {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Exact => "exact",
                Self::Surrogate => "surrogate",
                Self::Likelihood => "likelihood",
            })
        }
    }

    /// The words of the key `grid`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Grid {
        /// `auto`
        Auto,
        /// `uniform_t`
        UniformT,
        /// `quadratic`
        Quadratic,
        /// `uniform_lambda`
        UniformLambda,
        /// `edm`
        Edm,
        /// `linspace`
        Linspace,
        /// `leading`
        Leading,
        /// `trailing`
        Trailing,
    }

    impl fmt::Display for Grid {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::UniformT => "uniform_t",
                Self::Quadratic => "quadratic",
                Self::UniformLambda => "uniform_lambda",
                Self::Edm => "edm",
                Self::Linspace => "linspace",
                Self::Leading => "leading",
                Self::Trailing => "trailing",
            })
        }
    }

    /// The words of the key `input`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Input {
        /// `logits`
        Logits,
        /// `probs`
        Probs,
    }

    impl fmt::Display for Input {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Logits => "logits",
                Self::Probs => "probs",
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

    /// The words of the key `levels`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Levels {
        /// `uniform`
        Uniform,
        /// `lloyd`
        Lloyd,
    }

    impl fmt::Display for Levels {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Uniform => "uniform",
                Self::Lloyd => "lloyd",
            })
        }
    }

    /// The words of the key `lists`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Lists {
        /// `codes`
        Codes,
        /// `lorann`
        Lorann,
    }

    impl fmt::Display for Lists {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Codes => "codes",
                Self::Lorann => "lorann",
            })
        }
    }

    /// The words of the key `loss`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Loss {
        /// `mse`
        Mse,
        /// `score`
        Score,
        /// `moment`
        Moment,
        /// `auto`
        Auto,
        /// `squared`
        Squared,
        /// `log`
        Log,
    }

    impl fmt::Display for Loss {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Mse => "mse",
                Self::Score => "score",
                Self::Moment => "moment",
                Self::Auto => "auto",
                Self::Squared => "squared",
                Self::Log => "log",
            })
        }
    }

    /// The words of the key `mode`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Mode {
        /// `multi`
        Multi,
        /// `single`
        Single,
    }

    impl fmt::Display for Mode {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Multi => "multi",
                Self::Single => "single",
            })
        }
    }

    /// The words of the key `norm`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Norm {
        /// `level`
        Level,
        /// `batch`
        Batch,
        /// `row`
        Row,
    }

    impl fmt::Display for Norm {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Level => "level",
                Self::Batch => "batch",
                Self::Row => "row",
            })
        }
    }

    /// The words of the key `order`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Order {
        /// `regret`
        Regret,
        /// `auction`
        Auction,
        /// `onerec`
        Onerec,
        /// `hf`
        Hf,
        /// `llama`
        Llama,
    }

    impl fmt::Display for Order {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Regret => "regret",
                Self::Auction => "auction",
                Self::Onerec => "onerec",
                Self::Hf => "hf",
                Self::Llama => "llama",
            })
        }
    }

    /// The words of the key `pairs`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Pairs {
        /// `bins`
        Bins,
        /// `random`
        Random,
    }

    impl fmt::Display for Pairs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Bins => "bins",
                Self::Random => "random",
            })
        }
    }

    /// The words of the key `per`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Per {
        /// `batch`
        Batch,
        /// `epoch`
        Epoch,
    }

    impl fmt::Display for Per {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Batch => "batch",
                Self::Epoch => "epoch",
            })
        }
    }

    /// The words of the key `poly`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Poly {
        /// `t`
        T,
        /// `rho`
        Rho,
        /// `logrho`
        Logrho,
    }

    impl fmt::Display for Poly {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::T => "t",
                Self::Rho => "rho",
                Self::Logrho => "logrho",
            })
        }
    }

    /// The words of the key `pred`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Pred {
        /// `em`
        Em,
        /// `reverse`
        Reverse,
        /// `ancestral`
        Ancestral,
    }

    impl fmt::Display for Pred {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Em => "em",
                Self::Reverse => "reverse",
                Self::Ancestral => "ancestral",
            })
        }
    }

    /// The words of the key `prediction`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Prediction {
        /// `auto`
        Auto,
        /// `noise`
        Noise,
        /// `data`
        Data,
        /// `score`
        Score,
        /// `v`
        V,
        /// `flow`
        Flow,
        /// `edm`
        Edm,
    }

    impl fmt::Display for Prediction {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Noise => "noise",
                Self::Data => "data",
                Self::Score => "score",
                Self::V => "v",
                Self::Flow => "flow",
                Self::Edm => "edm",
            })
        }
    }

    /// The words of the key `probe`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Probe {
        /// `auto`
        Auto,
        /// `weight`
        Weight,
        /// `logit`
        Logit,
    }

    impl fmt::Display for Probe {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Weight => "weight",
                Self::Logit => "logit",
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

    /// The words of the key `rerank`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Rerank {
        /// `auto`
        Auto,
        /// `code`
        Code,
        /// `f16`
        F16,
        /// `f32`
        F32,
    }

    impl fmt::Display for Rerank {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Code => "code",
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

    /// The words of the key `rotation`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Rotation {
        /// `fht`
        Fht,
        /// `none`
        None,
    }

    impl fmt::Display for Rotation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Fht => "fht",
                Self::None => "none",
            })
        }
    }

    /// The words of the key `rule`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Rule {
        /// `ffd`
        Ffd,
        /// `greedy`
        Greedy,
        /// `best_fit`
        BestFit,
        /// `ros`
        Ros,
        /// `soft`
        Soft,
    }

    impl fmt::Display for Rule {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Ffd => "ffd",
                Self::Greedy => "greedy",
                Self::BestFit => "best_fit",
                Self::Ros => "ros",
                Self::Soft => "soft",
            })
        }
    }

    /// The words of the key `scale`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Scale {
        /// `column`
        Column,
        /// `shared`
        Shared,
    }

    impl fmt::Display for Scale {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Column => "column",
                Self::Shared => "shared",
            })
        }
    }

    /// The words of the key `schedule`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Schedule {
        /// `constant`
        Constant,
        /// `alternate`
        Alternate,
    }

    impl fmt::Display for Schedule {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Constant => "constant",
                Self::Alternate => "alternate",
            })
        }
    }

    /// The words of the key `space`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Space {
        /// `auto`
        Auto,
        /// `rho`
        Rho,
        /// `flow`
        Flow,
    }

    impl fmt::Display for Space {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Auto => "auto",
                Self::Rho => "rho",
                Self::Flow => "flow",
            })
        }
    }

    /// The words of the key `spill`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Spill {
        /// `none`
        None,
        /// `soar`
        Soar,
    }

    impl fmt::Display for Spill {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::None => "none",
                Self::Soar => "soar",
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

    /// The words of the key `tab`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Tab {
        /// `heun2`
        Heun2,
        /// `mid2`
        Mid2,
        /// `kutta3`
        Kutta3,
        /// `rk4`
        Rk4,
    }

    impl fmt::Display for Tab {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Heun2 => "heun2",
                Self::Mid2 => "mid2",
                Self::Kutta3 => "kutta3",
                Self::Rk4 => "rk4",
            })
        }
    }

    /// The words of the key `threshold`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Threshold {
        /// `none`
        None,
        /// `static`
        Static,
        /// `dynamic`
        Dynamic,
    }

    impl fmt::Display for Threshold {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::None => "none",
                Self::Static => "static",
                Self::Dynamic => "dynamic",
            })
        }
    }

    /// The words of the key `ties`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Ties {
        /// `id`
        Id,
        /// `all`
        All,
    }

    impl fmt::Display for Ties {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Id => "id",
                Self::All => "all",
            })
        }
    }

    /// The words of the key `toolong`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum TooLong {
        /// `one`
        One,
        /// `fail`
        Fail,
    }

    impl fmt::Display for TooLong {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::One => "one",
                Self::Fail => "fail",
            })
        }
    }

    /// The words of the key `variant`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Variant {
        /// `midpoint`
        Midpoint,
        /// `exact`
        Exact,
    }

    impl fmt::Display for Variant {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Midpoint => "midpoint",
                Self::Exact => "exact",
            })
        }
    }

    /// The words of the key `verify`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Verify {
        /// `single`
        Single,
        /// `rrs`
        Rrs,
        /// `recursive`
        Recursive,
        /// `kseq`
        Kseq,
        /// `greedy`
        Greedy,
    }

    impl fmt::Display for Verify {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Single => "single",
                Self::Rrs => "rrs",
                Self::Recursive => "recursive",
                Self::Kseq => "kseq",
                Self::Greedy => "greedy",
            })
        }
    }

    /// The words of the key `walk`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Walk {
        /// `random_walk`
        RandomWalk,
        /// `snowball`
        Snowball,
    }

    impl fmt::Display for Walk {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::RandomWalk => "random_walk",
                Self::Snowball => "snowball",
            })
        }
    }

    /// The words of the key `warmup`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Warmup {
        /// `low`
        Low,
        /// `single`
        Single,
    }

    impl fmt::Display for Warmup {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Low => "low",
                Self::Single => "single",
            })
        }
    }

    /// The words of the key `zero`; a method may take only some of them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Zero {
        /// `refuse`
        Refuse,
        /// `code`
        Code,
    }

    impl fmt::Display for Zero {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Refuse => "refuse",
                Self::Code => "code",
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

    /// a first pass over 8-bit images of the rows (dim + 8 bytes more a row), whose bound tells which rows matter; the
    /// answers are the same. auto: i8 for f32 from dim=64 on; default: auto
    pub fn first(self, value: word::First) -> Self {
        Self(self.0.with("first", value))
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

    /// code x - centroid instead of x; auto: for l2, where the code is pq, opq, rq, rabitq or of bits; default: auto
    pub fn residual(self, value: word::Residual) -> Self {
        Self(self.0.with("residual", value))
    }

    /// keep rows, or finer codes of them, to score the best candidates again; default: none
    pub fn refine(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("refine", value.into()))
    }

    /// how lists are scored: by codes of their rows, or by a product of low rank for each list (LoRANN); default: codes
    pub fn lists(self, value: word::Lists) -> Self {
        Self(self.0.with("lists", value))
    }

    /// lorann: numbers kept of a row; auto: 32, or half of dims; 1 to 1024; default: auto
    pub fn rank(self, value: u64) -> Self {
        Self(self.0.with("rank", value))
    }

    /// `rank=auto`
    pub fn rank_auto(self) -> Self {
        Self(self.0.with("rank", "auto"))
    }

    /// lorann: axes of the rows that are looked at; auto: 256, or dim; 1 to 4096; default: auto
    pub fn dims(self, value: u64) -> Self {
        Self(self.0.with("dims", value))
    }

    /// `dims=auto`
    pub fn dims_auto(self) -> Self {
        Self(self.0.with("dims", "auto"))
    }

    /// 4-bit codes: keep for each row what makes up for the length that its code loses (4 bytes); default: yes
    pub fn unbias(self, value: bool) -> Self {
        Self(self.0.with("unbias", if value { "yes" } else { "no" }))
    }

    /// store each row in a second list too, chosen so that its difference from the first centroid tells little there
    /// (SOAR); default: none
    pub fn spill(self, value: word::Spill) -> Self {
        Self(self.0.with("spill", value))
    }

    /// soar: weight of what both differences have in common; 0 to 1000; default: 1
    pub fn lambda(self, value: f64) -> Self {
        Self(self.0.with("lambda", value))
    }

    /// how lists are chosen: by exact products with the centroids, or in 8-bit integers; auto: i8 from 256 lists on;
    /// default: auto
    pub fn coarse(self, value: word::Coarse) -> Self {
        Self(self.0.with("coarse", value))
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

/// index `hamming`: semantic hashing: rows in buckets by the first bits of a binary code; a search visits the buckets
/// whose bits differ least; multi-index hashing of longer codes.
///
/// Source: Salakhutdinov and Hinton 2009; Norouzi, Punjani and Fleet 2012; Grzegorczyk and Kurdziel 2017
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hamming(Keys);

impl Hamming {
    /// `hamming` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// binary code of the rows: lsh, itq, bernoulli, bebr(loops=0); default: lsh
    pub fn code(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("code", value.into()))
    }

    /// leading bits of the code that are its address; auto: 28, or all of a shorter code; 1 to 64; default: auto
    pub fn key_bits(self, value: u64) -> Self {
        Self(self.0.with("key_bits", value))
    }

    /// `key_bits=auto`
    pub fn key_bits_auto(self) -> Self {
        Self(self.0.with("key_bits", "auto"))
    }

    /// leading bits of the key that choose one of 2^bits lists; auto: about 64 of the training rows a list, at most 18
    /// bits; 0 to 20; default: auto
    pub fn bucket_bits(self, value: u64) -> Self {
        Self(self.0.with("bucket_bits", value))
    }

    /// `bucket_bits=auto`
    pub fn bucket_bits_auto(self) -> Self {
        Self(self.0.with("bucket_bits", "auto"))
    }

    /// search all buckets whose keys differ in at most so many bits; auto: as many buckets as the wanted recall needs;
    /// 0 to 64; default: auto
    pub fn radius(self, value: u64) -> Self {
        Self(self.0.with("radius", value))
    }

    /// `radius=auto`
    pub fn radius_auto(self) -> Self {
        Self(self.0.with("radius", "auto"))
    }

    /// 1: lists are buckets; more: exact search by tables of so many substrings of the code; auto: bits / log2(training
    /// rows), rounded up, for metric=hamming, codes of 48 bits or more and 2^18 rows or more, if that is at most 4,
    /// else 1; 1 to 16; default: auto
    pub fn chunks(self, value: u64) -> Self {
        Self(self.0.with("chunks", value))
    }

    /// `chunks=auto`
    pub fn chunks_auto(self) -> Self {
        Self(self.0.with("chunks", "auto"))
    }

    /// what decides among the rows found: whole codes (metric=hamming), or rows that are stored for it; auto: code for
    /// metric=hamming, else f32; default: auto
    pub fn rerank(self, value: word::Rerank) -> Self {
        Self(self.0.with("rerank", value))
    }

    /// order of the buckets: by the bits that differ from the query's, or by what flipping them costs of the query's
    /// score; auto: logit; default: auto
    pub fn probe(self, value: word::Probe) -> Self {
        Self(self.0.with("probe", value))
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

prints_as!(Hamming, "hamming");

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

/// quantizer `sq`: scalar quantization: every column rounded to 1 to 8 bits, or to f16.
///
/// Source: quantizing for minimum distortion (Max 1960, Lloyd 1982)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sq(Keys);

impl Sq {
    /// `sq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits a column, or f16 (half precision, nothing learned); 1 to 8; default: 8
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// `bits=f16`
    pub fn bits_f16(self) -> Self {
        Self(self.0.with("bits", "f16"))
    }

    /// what codes stand for: evenly spaced values, or those of least squared error on the sample; default: uniform
    pub fn levels(self, value: word::Levels) -> Self {
        Self(self.0.with("levels", value))
    }

    /// a range for each column, or one for all; default: column
    pub fn scale(self, value: word::Scale) -> Self {
        Self(self.0.with("scale", value))
    }

    /// of a column: clipped for the least squared error, or all that training saw; lloyd starts there; default: best
    pub fn range(self, value: word::Range) -> Self {
        Self(self.0.with("range", value))
    }

    /// precision of the query in scans; auto: i16 for 8 bits, else i8, f32 for lloyd, and fast scan of 1, 2 and 4 bits;
    /// default: auto
    pub fn query(self, value: word::Query) -> Self {
        Self(self.0.with("query", value))
    }

    /// rows that range=best and lloyd look at; 1 to 1000000000; default: 16384
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

    /// bits of a part: 2^bits centroids each; 1 to 16; default: 8
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

    /// centroids that stand for nearly (sinkhorn) or exactly (capacity) as many training rows each; default: none
    pub fn balance(self, value: word::Balance) -> Self {
        Self(self.0.with("balance", value))
    }

    /// what codes keep small: the distance of a row from its reconstruction; the same with errors along the row, which
    /// move high scores, counted more; the error of the scores of the queries given; or what half of these choose;
    /// default: mse
    pub fn loss(self, value: word::Loss) -> Self {
        Self(self.0.with("loss", value))
    }

    /// loss=score: the cosine t from which on scores matter; errors along the row count (dim - 1) t^2 / (1 - t^2)
    /// times; 0 to 0.999; default: 0.2
    pub fn threshold(self, value: f64) -> Self {
        Self(self.0.with("threshold", value))
    }
}

prints_as!(Pq, "pq");

/// quantizer `opq`: product quantization behind a learned rotation.
///
/// Source: Ge, He, Ke, Sun: Optimized product quantization (CVPR 2013)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opq(Keys);

impl Opq {
    /// `opq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// parts of a row; auto: the m of code; 1 to 65536; default: auto
    pub fn m(self, value: u64) -> Self {
        Self(self.0.with("m", value))
    }

    /// `m=auto`
    pub fn m_auto(self) -> Self {
        Self(self.0.with("m", "auto"))
    }

    /// bits of a part; auto: the bits of code; 1 to 16; default: auto
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// `bits=auto`
    pub fn bits_auto(self) -> Self {
        Self(self.0.with("bits", "auto"))
    }

    /// rounds of codebooks and rotation; 0: the principal directions dealt out to the parts; 0 to 1000; default: 20
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// pq(...) with everything else: what stands there for m and bits serves where they are auto here; default: pq
    pub fn code(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("code", value.into()))
    }
}

prints_as!(Opq, "opq");

/// quantizer `rq`: residual quantization: sums of codewords, encoded by beam.
///
/// Source: Chen, Guan, Wang: Approximate nearest neighbor search by residual vector quantization (Sensors 2010)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rq(Keys);

impl Rq {
    /// `rq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// levels: codewords that are added up; 1 to 1024; default: 8
    pub fn m(self, value: u64) -> Self {
        Self(self.0.with("m", value))
    }

    /// bits of a level: 2^bits codewords each; 1 to 12; default: 8
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// sums that are followed at once while encoding; 1: the nearest codeword at each level; 1 to 32; default: 5
    pub fn beam(self, value: u64) -> Self {
        Self(self.0.with("beam", value))
    }

    /// 1: fit all codebooks together in the end, by least squares; 0 to 1; default: 1
    pub fn refit(self, value: u64) -> Self {
        Self(self.0.with("refit", value))
    }

    /// 1: k-means along the first principal directions, then along more, up to all (at most 2048 columns); 0 to 1;
    /// default: 1
    pub fn widen(self, value: u64) -> Self {
        Self(self.0.with("widen", value))
    }

    /// k-means iterations, each time; 1 to 1000; default: 10
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
}

prints_as!(Rq, "rq");

/// quantizer `rabitq`: rotated codes of 1 to 8 bits a column, unbiased, with an error bound.
///
/// Source: Gao, Long: RaBitQ (2024); Gao et al.: multi-bit RaBitQ (2025)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rabitq(Keys);

impl Rabitq {
    /// `rabitq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits a column; 1 to 8; default: 1
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// fast random rotation, or none for columns that are alike already (then the bound is no promise); default: fht
    pub fn rotation(self, value: word::Rotation) -> Self {
        Self(self.0.with("rotation", value))
    }

    /// the scale of a row before rounding: the best of many, or one for all; auto: exact from 6 bits on; default: auto
    pub fn fit(self, value: word::Fit) -> Self {
        Self(self.0.with("fit", value))
    }

    /// standard errors in the bound: 3.3 holds for 99.9 % of all pairs, 1.9 for 94 %; 0 to 1000; default: 3.3
    pub fn eps0(self, value: f64) -> Self {
        Self(self.0.with("eps0", value))
    }

    /// what is subtracted first: the mean of the training rows, or nothing; default: mean
    pub fn center(self, value: word::Center) -> Self {
        Self(self.0.with("center", value))
    }

    /// which rotation; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Rabitq, "rabitq");

/// quantizer `lsh`: signs of random projections, orthonormal ones unless told otherwise.
///
/// Source: Charikar: Similarity estimation techniques from rounding algorithms (2002)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lsh(Keys);

impl Lsh {
    /// `lsh` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits of a code: random directions; 1 to 65536; default: 128
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// subtract the mean of the training rows; default: yes
    pub fn center(self, value: bool) -> Self {
        Self(self.0.with("center", if value { "yes" } else { "no" }))
    }

    /// orthonormal directions, in blocks of the number of columns; default: yes
    pub fn orth(self, value: bool) -> Self {
        Self(self.0.with("orth", if value { "yes" } else { "no" }))
    }

    /// of the directions and of the sample; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Lsh, "lsh");

/// quantizer `itq`: signs of the principal components after the rotation that loses least.
///
/// Source: Gong, Lazebnik: Iterative quantization (2011)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Itq(Keys);

impl Itq {
    /// `itq` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits of a code; at most the columns of the vectors; 1 to 65536; default: 64
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// rounds; 0: a random rotation of the principal components; 0 to 10000; default: 50
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// most rows to train on; auto: 100 a bit, 16384 at least; 1 to 1000000000; default: auto
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// `sample=auto`
    pub fn sample_auto(self) -> Self {
        Self(self.0.with("sample", "auto"))
    }

    /// of the sample and of the first rotation; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Itq, "itq");

/// quantizer `bernoulli`: bits of a learned linear encoder with its own linear decoder.
///
/// Source: Wang et al.: Binary latent diffusion (2023)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bernoulli(Keys);

impl Bernoulli {
    /// `bernoulli` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits of a code; 1 to 65536; default: 64
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// passes over the training rows; 1 to 100000; default: 20
    pub fn epochs(self, value: u64) -> Self {
        Self(self.0.with("epochs", value))
    }

    /// rate of Adam at the start; it falls to 0; 0 to 1; default: 0.01
    pub fn lr(self, value: f64) -> Self {
        Self(self.0.with("lr", value))
    }

    /// weight of mean p (1 - p) beside the squared error; 0 to 1000; default: 0.1
    pub fn sharp(self, value: f64) -> Self {
        Self(self.0.with("sharp", value))
    }

    /// rows of a step; 1 to 65536; default: 256
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of the start, the sample, the batches and the draws; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Bernoulli, "bernoulli");

/// quantizer `bebr`: recurrent binary embedding: a direction in 1 to 8 bits a dimension.
///
/// Source: Gan et al.: Binary embedding-based retrieval at Tencent (2023)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bebr(Keys);

impl Bebr {
    /// `bebr` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// digits of a code, at most the columns of the vectors; auto: as many as those, 4096 at most; 1 to 4096; default:
    /// auto
    pub fn dim(self, value: u64) -> Self {
        Self(self.0.with("dim", value))
    }

    /// `dim=auto`
    pub fn dim_auto(self) -> Self {
        Self(self.0.with("dim", "auto"))
    }

    /// bits of a digit beyond the first; 0 to 7; default: 3
    pub fn loops(self, value: u64) -> Self {
        Self(self.0.with("loops", value))
    }

    /// directions: principal ones turned so that signs lose less, turned at random; or random ones; default: itq
    pub fn base(self, value: word::Base) -> Self {
        Self(self.0.with("base", value))
    }

    /// rows without a direction: refused, or the code 0; default: refuse
    pub fn zero(self, value: word::Zero) -> Self {
        Self(self.0.with("zero", value))
    }

    /// of the directions and of the sample; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Bebr, "bebr");

/// quantizer `bpv`: bits of a document, learned from the counts of its words.
///
/// Source: Grzegorczyk, Kurdziel: Binary paragraph vectors (2017)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bpv(Keys);

impl Bpv {
    /// `bpv` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// bits of a code; 1 to 65536; default: 128
    pub fn bits(self, value: u64) -> Self {
        Self(self.0.with("bits", value))
    }

    /// numbers of a document that its bits are made of by a learned map, such as 300; 0: the bits' own logits; 0 to
    /// 65536; default: 0
    pub fn real(self, value: u64) -> Self {
        Self(self.0.with("real", value))
    }

    /// passes over the documents in training; 1 to 100000; default: 20
    pub fn epochs(self, value: u64) -> Self {
        Self(self.0.with("epochs", value))
    }

    /// words drawn beside a document in each pass; 1 to 65536; default: 64
    pub fn negatives(self, value: u64) -> Self {
        Self(self.0.with("negatives", value))
    }

    /// rate of Adagrad for the words; 0 to 100; default: 0.02
    pub fn lr(self, value: f64) -> Self {
        Self(self.0.with("lr", value))
    }

    /// steps that encode a document; 1 to 100000; default: 30
    pub fn passes(self, value: u64) -> Self {
        Self(self.0.with("passes", value))
    }

    /// of the start and of the words drawn; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Bpv, "bpv");

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

    /// sizes of the groups: free, dearer when large, near given masses, within limits, or limited by splits; default:
    /// none
    pub fn balance(self, value: word::Balance) -> Self {
        Self(self.0.with("balance", value))
    }

    /// capacity: cheapest chains from Sinkhorn's prices, bids, or group by group as published; default: regret
    pub fn order(self, value: word::Order) -> Self {
        Self(self.0.with("order", value))
    }

    /// capacity: fewest rows of a group; auto: floor(n / k), or 0 beside high; 0 to 1000000000000; default: auto
    pub fn low(self, value: u64) -> Self {
        Self(self.0.with("low", value))
    }

    /// `low=auto`
    pub fn low_auto(self) -> Self {
        Self(self.0.with("low", "auto"))
    }

    /// most rows of a group; auto: ceil(n / k), or n beside low; hierarchical and soft: twice ceil(n / k); 1 to
    /// 1000000000000; default: auto
    pub fn high(self, value: u64) -> Self {
        Self(self.0.with("high", value))
    }

    /// `high=auto`
    pub fn high_auto(self) -> Self {
        Self(self.0.with("high", "auto"))
    }

    /// sinkhorn, capacity: blur, relative to half the range of distances; 0.0001 to 100; default: 0.01
    pub fn eps(self, value: f64) -> Self {
        Self(self.0.with("eps", value))
    }

    /// sinkhorn, capacity: most iterations for prices; 0 to 100000; default: 100
    pub fn sk_iters(self, value: u64) -> Self {
        Self(self.0.with("sk_iters", value))
    }

    /// soft: price of a row in a group; auto: the least that keeps sizes near high; 0 to
    /// 1000000000000000019884624838656; default: auto
    pub fn lambda(self, value: f64) -> Self {
        Self(self.0.with("lambda", value))
    }

    /// `lambda=auto`
    pub fn lambda_auto(self) -> Self {
        Self(self.0.with("lambda", "auto"))
    }

    /// later rows: the nearest centroid, or the cheapest under the prices of balance; default: argmin
    pub fn encode(self, value: word::Encode) -> Self {
        Self(self.0.with("encode", value))
    }
}

prints_as!(Kmeans, "kmeans");

/// quantizer `rkmeans`: document ids by residual k-means, with groups of equal size where wanted.
///
/// Source: Deng, Wang, Cai, Ren, Hu, Ding, Luo, Zhou: OneRec (2025)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rkmeans(Keys);

impl Rkmeans {
    /// `rkmeans` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// numbers of an id; 1 to 64; default: 3
    pub fn levels(self, value: u64) -> Self {
        Self(self.0.with("levels", value))
    }

    /// centroids a level; 1 to 65536; default: 256
    pub fn codes(self, value: u64) -> Self {
        Self(self.0.with("codes", value))
    }

    /// groups of equal size at each level: by prices and repair, or filled one after the other as published; default:
    /// none
    pub fn balance(self, value: word::Balance) -> Self {
        Self(self.0.with("balance", value))
    }

    /// rows take the nearest centroid, or the nearest after the prices that balance=prices found; default: prices
    pub fn encode(self, value: word::Encode) -> Self {
        Self(self.0.with("encode", value))
    }

    /// sums that are followed at once while encoding; 1 to 32; default: 1
    pub fn beam(self, value: u64) -> Self {
        Self(self.0.with("beam", value))
    }

    /// k-means iterations; 1 to 1000; default: 25
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// of k-means; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Rkmeans, "rkmeans");

/// quantizer `idtree`: document ids by hierarchical k-means: a path through a tree of clusters.
///
/// Source: Tay et al.: Transformer Memory as a Differentiable Search Index (NeurIPS 2022)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Idtree(Keys);

impl Idtree {
    /// `idtree` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// groups that a group is cut into; 2 to 65536; default: 10
    pub fn branch(self, value: u64) -> Self {
        Self(self.0.with("branch", value))
    }

    /// most rows of a group that is not cut; 1 to 1000000000; default: 100
    pub fn leaf(self, value: u64) -> Self {
        Self(self.0.with("leaf", value))
    }

    /// capacity: groups of equal size at each cut; default: none
    pub fn balance(self, value: word::Balance) -> Self {
        Self(self.0.with("balance", value))
    }

    /// k-means iterations; 1 to 1000; default: 25
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// of k-means; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Idtree, "idtree");

/// quantizer `ppp`: clustering that chooses the number of groups and checks them with a Gaussian mixture.
///
/// Source: after Sultan: Probabilistic partitive partitioning (2020)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ppp(Keys);

impl Ppp {
    /// `ppp` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// fewest groups; 1 lets the rows be one group; 1 to 65536; default: 2
    pub fn k_min(self, value: u64) -> Self {
        Self(self.0.with("k_min", value))
    }

    /// most groups; 1 to 65536; default: 50
    pub fn k_max(self, value: u64) -> Self {
        Self(self.0.with("k_max", value))
    }

    /// Gaussians with variances along the axes, or with covariances; default: diag
    pub fn cov(self, value: word::Cov) -> Self {
        Self(self.0.with("cov", value))
    }

    /// share of the variance that the principal axes keep; 1: the columns themselves; 0.01 to 1; default: 0.95
    pub fn reduce(self, value: f64) -> Self {
        Self(self.0.with("reduce", value))
    }

    /// adjusted Rand index from which on groups are structure; 0 to 1; default: 0.9
    pub fn agree(self, value: f64) -> Self {
        Self(self.0.with("agree", value))
    }

    /// most iterations of the mixture; 1 to 100000; default: 100
    pub fn em_iters(self, value: u64) -> Self {
        Self(self.0.with("em_iters", value))
    }

    /// diagnosis: agreement with so many k-means from random starts, in the scores; 0 to 1000; default: 0
    pub fn restarts(self, value: u64) -> Self {
        Self(self.0.with("restarts", value))
    }

    /// most rows that groups are sought in; 1 to 1000000000; default: 100000
    pub fn sample(self, value: u64) -> Self {
        Self(self.0.with("sample", value))
    }

    /// of the restarts; nothing else is random; 0 to 9007199254740992; default: 0
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Ppp, "ppp");

/// trie `trie`: sequences that name documents, for decoders that generate ids.
///
/// Source: Fredkin: Trie memory (CACM 1960)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trie(Keys);

impl Trie {
    /// `trie` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// one more than the largest code that add accepts; 1 to 2147483647; default: 2147483647
    pub fn codes(self, value: u64) -> Self {
        Self(self.0.with("codes", value))
    }

    /// whether a sequence may have several documents; default: keep
    pub fn duplicates(self, value: word::Duplicates) -> Self {
        Self(self.0.with("duplicates", value))
    }
}

prints_as!(Trie, "trie");

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

/// row_sampler `random`: rows at random, each with the same chance.
///
/// Source: shuffle: Durstenfeld 1964
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Random(Keys);

impl Random {
    /// `random` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// draw from 0..rows-1 without fitting; 0: fit gives ids; 0 to 4294967295; default: 0
    pub fn rows(self, value: u64) -> Self {
        Self(self.0.with("rows", value))
    }

    /// whether a row can come again within a pass; default: no
    pub fn replace(self, value: bool) -> Self {
        Self(self.0.with("replace", if value { "yes" } else { "no" }))
    }

    /// rows of a draw that does not say how many; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Random, "random");

/// row_sampler `weighted`: rows in proportion to weights, with or without replacement.
///
/// Source: alias table: Walker 1977, Vose 1991; keys: Efraimidis & Spirakis 2006; Cohen & Kaplan 2007
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted(Keys);

impl Weighted {
    /// `weighted` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// whether a row can come again within a pass; default: no
    pub fn replace(self, value: bool) -> Self {
        Self(self.0.with("replace", if value { "yes" } else { "no" }))
    }

    /// keep a sample of this many rows only; 0: all rows; 0 to 4294967294; default: 0
    pub fn keep(self, value: u64) -> Self {
        Self(self.0.with("keep", value))
    }

    /// rows of a draw that does not say how many; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Weighted, "weighted");

/// row_sampler `stratified`: rows by strata, each in step with its share at every moment.
///
/// Source: Tijdeman 1980; Steiner & Yeomans 1993
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stratified(Keys);

impl Stratified {
    /// `stratified` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// shares: by the rows of a stratum, all alike, or by the input shares; default: proportional
    pub fn allocation(self, value: word::Allocation) -> Self {
        Self(self.0.with("allocation", value))
    }

    /// rows of a draw that does not say how many; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Stratified, "stratified");

/// row_sampler `batches`: batches of rows of like length, with sizes that follow the length.
///
/// Source: Zelasko et al. 2025 (2503.05931)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batches(Keys);

impl Batches {
    /// `batches` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// how many buckets by length; equal edges fall together; 1 to 4096; default: 30
    pub fn buckets(self, value: u64) -> Self {
        Self(self.0.with("buckets", value))
    }

    /// parts of a bucket by lengths_out; 1 to 64; default: 1
    pub fn sub_(self, value: u64) -> Self {
        Self(self.0.with("sub", value))
    }

    /// what a batch may cost, padding included; 0: no bound; 0 to 9007199254740992; default: 0
    pub fn max_tokens(self, value: u64) -> Self {
        Self(self.0.with("max_tokens", value))
    }

    /// most rows of a batch; 0: no bound, or 32 without max_tokens; 0 to 4294967295; default: 0
    pub fn max_batch(self, value: u64) -> Self {
        Self(self.0.with("max_batch", value))
    }

    /// units of a row: in + out, or in + out + in^2 / q; default: linear
    pub fn cost(self, value: word::Cost) -> Self {
        Self(self.0.with("cost", value))
    }

    /// length at which the quadratic part of the cost equals the linear one; 1e-06 to 1000000000000000000; default:
    /// 1024
    pub fn q(self, value: f64) -> Self {
        Self(self.0.with("q", value))
    }

    /// rows above max_tokens: batches of one, or fit fails; default: one
    pub fn too_long(self, value: word::TooLong) -> Self {
        Self(self.0.with("too_long", value))
    }

    /// rows read ahead in their own order; 0: all; 0 to 4294967295; default: 0
    pub fn shuffle_window(self, value: u64) -> Self {
        Self(self.0.with("shuffle_window", value))
    }

    /// leave out batches that are not full; default: no
    pub fn drop_last(self, value: bool) -> Self {
        Self(self.0.with("drop_last", if value { "yes" } else { "no" }))
    }

    /// leave out rows with lengths_out / lengths above this; 0: none; 0 to 1000000000; default: 0
    pub fn max_ratio(self, value: f64) -> Self {
        Self(self.0.with("max_ratio", value))
    }

    /// which of `ranks` processes this one is; 0 to 65535; default: 0
    pub fn rank(self, value: u64) -> Self {
        Self(self.0.with("rank", value))
    }

    /// processes that share the rows of each pass; 1 to 65536; default: 1
    pub fn ranks(self, value: u64) -> Self {
        Self(self.0.with("ranks", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Batches, "batches");

/// row_sampler `pack`: several short rows in one line, with offsets.
///
/// Source: first fit decreasing: Johnson 1973; Lv et al. 2024
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pack(Keys);

impl Pack {
    /// `pack` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// tokens of a line; batch_max: those of the longest row; 1 to 2147483647; default: batch_max
    pub fn cap(self, value: u64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=batch_max`
    pub fn cap_batch_max(self) -> Self {
        Self(self.0.with("cap", "batch_max"))
    }

    /// what is packed: the rows of a draw, or all rows once; default: batch
    pub fn per(self, value: word::Per) -> Self {
        Self(self.0.with("per", value))
    }

    /// the line a row goes to: the first with room, the last, the fullest; default: ffd
    pub fn rule(self, value: word::Rule) -> Self {
        Self(self.0.with("rule", value))
    }

    /// rows (per=epoch: lines) of a draw that does not say how many; 1 to 4294967294; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Pack, "pack");

/// row_sampler `tas_balanced`: queries of one topic a batch, with pairs of evenly spread margins.
///
/// Source: Hofstaetter et al. 2021
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TasBalanced(Keys);

impl TasBalanced {
    /// `tas_balanced` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// rows of a batch; 1 to 16777216; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// clusters that a batch is shared between; 1 to 16777216; default: 1
    pub fn clusters_per_batch(self, value: u64) -> Self {
        Self(self.0.with("clusters_per_batch", value))
    }

    /// bins of a query's margins; 1 to 65536; default: 10
    pub fn bins(self, value: u64) -> Self {
        Self(self.0.with("bins", value))
    }

    /// a bin first and then a pair in it, or any pair; default: bins
    pub fn pairs(self, value: word::Pairs) -> Self {
        Self(self.0.with("pairs", value))
    }

    /// clusters of the queries; 1 to 16777216; default: 2000
    pub fn clusters(self, value: u64) -> Self {
        Self(self.0.with("clusters", value))
    }

    /// of the clustering; ip has centroids of length 1; default: ip
    pub fn metric(self, value: Metric) -> Self {
        Self(self.0.with("metric", value))
    }

    /// iterations of the clustering; 1 to 1000; default: 10
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// whether a query may be only once in a batch; default: no
    pub fn dedup(self, value: bool) -> Self {
        Self(self.0.with("dedup", if value { "yes" } else { "no" }))
    }

    /// how a batch's clusters are drawn; default: uniform
    pub fn cluster_weight(self, value: word::ClusterWeight) -> Self {
        Self(self.0.with("cluster_weight", value))
    }

    /// loss: weight of the in-batch part; 0 to 1000000; default: 0.75
    pub fn alpha(self, value: f64) -> Self {
        Self(self.0.with("alpha", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(TasBalanced, "tas_balanced");

/// row_sampler `star`: negatives of queries: some of a searched list, some at random.
///
/// Source: Zhan et al. 2021, STAR
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Star(Keys);

impl Star {
    /// `star` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// what searches the documents; default: flat(metric=ip)
    pub fn index_(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("index", value.into()))
    }

    /// negatives of a query that are searched for; 1 to 32768; default: 200
    pub fn depth(self, value: u64) -> Self {
        Self(self.0.with("depth", value))
    }

    /// of the search, where the index is not exact; 0.01 to 1; default: 0.95
    pub fn recall(self, value: f64) -> Self {
        Self(self.0.with("recall", value))
    }

    /// queries of a draw that does not say how many rows; 1 to 1048576; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// negatives of a query from its searched list; 0 to 32768; default: 1
    pub fn hard(self, value: u64) -> Self {
        Self(self.0.with("hard", value))
    }

    /// negatives of a query from all other documents; 0 to 1048576; default: 0
    pub fn random(self, value: u64) -> Self {
        Self(self.0.with("random", value))
    }

    /// draws after which the lists are searched anew; 0: when something is observed; 0 to 4294967295; default: 0
    pub fn refresh(self, value: u64) -> Self {
        Self(self.0.with("refresh", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Star, "star");

/// row_sampler `adore`: negatives that queries meet now, searched at every draw.
///
/// Source: Zhan et al. 2021, ADORE
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adore(Keys);

impl Adore {
    /// `adore` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// what searches the documents; default: flat(metric=ip)
    pub fn index_(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("index", value.into()))
    }

    /// negatives of a query that are searched for; 1 to 32768; default: 200
    pub fn depth(self, value: u64) -> Self {
        Self(self.0.with("depth", value))
    }

    /// of the search, where the index is not exact; 0.01 to 1; default: 0.95
    pub fn recall(self, value: f64) -> Self {
        Self(self.0.with("recall", value))
    }

    /// queries of a draw that does not say how many rows; 1 to 1048576; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// the last rank that counts in a pair's weight; 1 to 65536; default: none
    pub fn cut(self, value: u64) -> Self {
        Self(self.0.with("cut", value))
    }

    /// `cut=none`
    pub fn cut_none(self) -> Self {
        Self(self.0.with("cut", "none"))
    }

    /// steepness of the loss of a pair; 1e-06 to 1000000; default: 1
    pub fn sigma(self, value: f64) -> Self {
        Self(self.0.with("sigma", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Adore, "adore");

/// row_sampler `ar2`: negatives from the retriever's own distribution.
///
/// Source: Zhang et al. 2022, AR2
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ar2(Keys);

impl Ar2 {
    /// `ar2` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// what searches the documents; default: flat(metric=ip)
    pub fn index_(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("index", value.into()))
    }

    /// negatives of a query that are searched for; 1 to 32768; default: 100
    pub fn depth(self, value: u64) -> Self {
        Self(self.0.with("depth", value))
    }

    /// of the search, where the index is not exact; 0.01 to 1; default: 0.95
    pub fn recall(self, value: f64) -> Self {
        Self(self.0.with("recall", value))
    }

    /// queries of a draw that does not say how many rows; 1 to 1048576; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// negatives of a query; 1 to 32768; default: 15
    pub fn negatives(self, value: u64) -> Self {
        Self(self.0.with("negatives", value))
    }

    /// steepness of the retriever's distribution; 0: uniform; 0 to 1000000; default: 1
    pub fn tau(self, value: f64) -> Self {
        Self(self.0.with("tau", value))
    }

    /// share of the adversarial part of the loss; 0 to 1; default: 0.5
    pub fn lambda(self, value: f64) -> Self {
        Self(self.0.with("lambda", value))
    }

    /// its form: the authors' program's, or the expected reward; default: code
    pub fn adv(self, value: word::Adv) -> Self {
        Self(self.0.with("adv", value))
    }

    /// of the ranker's distribution, which is imitated; 0.001 to 1000000; default: 1
    pub fn temperature(self, value: f64) -> Self {
        Self(self.0.with("temperature", value))
    }

    /// draws after which the lists are searched anew; 0: when something is observed; 0 to 4294967295; default: 0
    pub fn refresh(self, value: u64) -> Self {
        Self(self.0.with("refresh", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Ar2, "ar2");

/// row_sampler `cet`: weights against pooling bias: the inverse chance that a labelled row was selected.
///
/// Source: Cai et al., CIKM 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cet(Keys);

impl Cet {
    /// `cet` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// least chance that a weight divides by; below 1 / rows of a group; 1e-06 to 1; default: 0.1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// scale the weights of a batch to a mean of 1; default: yes
    pub fn normalise(self, value: bool) -> Self {
        Self(self.0.with("normalise", if value { "yes" } else { "no" }))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Cet, "cet");

/// row_sampler `nbpo`: weights for votes of which some are missing: releases rows that look like positives.
///
/// Source: Yu, Qin, SIGIR 2020
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nbpo(Keys);

impl Nbpo {
    /// `nbpo` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// gradient: of the log-likelihood, the authors' update rule, or of the likelihood; default: exact
    pub fn form(self, value: word::Form) -> Self {
        Self(self.0.with("form", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Nbpo, "nbpo");

/// row_sampler `mnar`: weights by the inverse chance of exposure, for votes missing not at random.
///
/// Source: Saito et al., WSDM 2020
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mnar(Keys);

impl Mnar {
    /// `mnar` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// least propensity; 1: plain training; 1e-06 to 1; default: 0.1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// exponent of (count / largest count); 1 where counts follow exposure alone; 0 to 10; default: 0.5
    pub fn eta(self, value: f64) -> Self {
        Self(self.0.with("eta", value))
    }

    /// loss of a row; log has no lower bound here; default: squared
    pub fn loss(self, value: word::Loss) -> Self {
        Self(self.0.with("loss", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Mnar, "mnar");

/// row_sampler `lemon`: corrupted triples by entities of the same cluster of text embeddings, never a known one.
///
/// Source: Rony et al., 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lemon(Keys);

impl Lemon {
    /// `lemon` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// clusters of entities, at most one each; auto: the root of their number; 1 to 10000000; default: auto
    pub fn clusters(self, value: u64) -> Self {
        Self(self.0.with("clusters", value))
    }

    /// `clusters=auto`
    pub fn clusters_auto(self) -> Self {
        Self(self.0.with("clusters", "auto"))
    }

    /// of the clustering; default: l2
    pub fn metric(self, value: Metric) -> Self {
        Self(self.0.with("metric", value))
    }

    /// most rounds of k-means; 1 to 10000; default: 20
    pub fn iters(self, value: u64) -> Self {
        Self(self.0.with("iters", value))
    }

    /// cluster on so many principal components; 0: on all; 0 to 65536; default: 0
    pub fn pca(self, value: u64) -> Self {
        Self(self.0.with("pca", value))
    }

    /// share of corruptions by any entity; 0 to 1; default: 0
    pub fn mix(self, value: f64) -> Self {
        Self(self.0.with("mix", value))
    }

    /// rows of a draw that does not say how many, or corruptions of each given triple; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Lemon, "lemon");

/// row_sampler `sracl`: positives and views from the neighbours by text, weighed by attention.
///
/// Source: Cui et al., 2025
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sracl(Keys);

impl Sracl {
    /// `sracl` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// neighbours of a row, itself excluded; 1 to 1000; default: 10
    pub fn k(self, value: u64) -> Self {
        Self(self.0.with("k", value))
    }

    /// chance that an attention weight is 0; 0: off; 0 to 0.99; default: 0.5
    pub fn dropout(self, value: f64) -> Self {
        Self(self.0.with("dropout", value))
    }

    /// rows of the projection of the attention network; 1 to 4096; default: 64
    pub fn width(self, value: u64) -> Self {
        Self(self.0.with("width", value))
    }

    /// share of a sequence's items that a view replaces; 0 to 1; default: 0.2
    pub fn share(self, value: f64) -> Self {
        Self(self.0.with("share", value))
    }

    /// of the loss; 0.001 to 1000; default: 1
    pub fn temperature(self, value: f64) -> Self {
        Self(self.0.with("temperature", value))
    }

    /// finds the neighbours; default: flat(metric=cosine)
    pub fn index_(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("index", value.into()))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Sracl, "sracl");

/// row_sampler `locality`: batches of queries that are near each other in a retrieval graph.
///
/// Source: Xiao et al. 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Locality(Keys);

impl Locality {
    /// `locality` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// which of the found queries comes next; default: random_walk
    pub fn walk(self, value: word::Walk) -> Self {
        Self(self.0.with("walk", value))
    }

    /// negatives of a query; 1 to 1024; default: 1
    pub fn hard(self, value: u64) -> Self {
        Self(self.0.with("hard", value))
    }

    /// first rank that negatives come from; 0 to 4294967295; default: 0
    pub fn band_low(self, value: u64) -> Self {
        Self(self.0.with("band_low", value))
    }

    /// the rank behind the last; 1 to 4294967295; default: 200
    pub fn band_high(self, value: u64) -> Self {
        Self(self.0.with("band_high", value))
    }

    /// first rank by which a document leads back to a query; 0 to 4294967295; default: 200
    pub fn back_low(self, value: u64) -> Self {
        Self(self.0.with("back_low", value))
    }

    /// the rank behind the last; 1 to 4294967295; default: 400
    pub fn back_high(self, value: u64) -> Self {
        Self(self.0.with("back_high", value))
    }

    /// walks of a batch, at least; 1 to 16777216; default: 1
    pub fn patches(self, value: u64) -> Self {
        Self(self.0.with("patches", value))
    }

    /// rows of a batch; 1 to 16777216; default: 32
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// how many there are; 0: as far as the ids of fit go; 0 to 4294967295; default: 0
    pub fn documents(self, value: u64) -> Self {
        Self(self.0.with("documents", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Locality, "locality");

/// row_sampler `anchor`: clients of a federated round, split into anchors and miners.
///
/// Source: FedAMD: Wu et al. 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Anchor(Keys);

impl Anchor {
    /// `anchor` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// draw from clients 0..clients-1 without fitting; 0: fit gives ids; 0 to 4294967295; default: 0
    pub fn clients(self, value: u64) -> Self {
        Self(self.0.with("clients", value))
    }

    /// clients of a round; 1 to 16777216; default: 1
    pub fn participate(self, value: u64) -> Self {
        Self(self.0.with("participate", value))
    }

    /// schedule=constant: chance that a client is an anchor; 0 to 1; default: 0.5
    pub fn p(self, value: f64) -> Self {
        Self(self.0.with("p", value))
    }

    /// p in every round, or rounds of anchors alone and of miners alone; default: constant
    pub fn schedule(self, value: word::Schedule) -> Self {
        Self(self.0.with("schedule", value))
    }

    /// schedule=alternate: rounds from one of anchors to the next; 1 to 4294967295; default: 2
    pub fn period(self, value: u64) -> Self {
        Self(self.0.with("period", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Anchor, "anchor");

/// row_sampler `props`: actions that a policy's data lacks.
///
/// Source: ROS: Zhong et al. 2022; PROPS: Corrado, Hanna 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Props(Keys);

impl Props {
    /// `props` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// the action with the largest deficit, or a draw that leans to it; default: ros
    pub fn rule(self, value: word::Rule) -> Self {
        Self(self.0.with("rule", value))
    }

    /// rule=soft: how much it leans; 0: the policy itself; 0 to 1000000; default: 10
    pub fn alpha(self, value: f64) -> Self {
        Self(self.0.with("alpha", value))
    }

    /// rows of a draw that does not say how many; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// loss: a ratio below 1 - eps is low enough; 0 to 1; default: 0.2
    pub fn eps(self, value: f64) -> Self {
        Self(self.0.with("eps", value))
    }

    /// loss: weight of the divergence from the target; 0 to 1000000; default: 0.1
    pub fn lambda(self, value: f64) -> Self {
        Self(self.0.with("lambda", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Props, "props");

/// row_sampler `reusable_holdout`: a holdout that answers many questions without being overfitted.
///
/// Source: Thresholdout: Dwork et al. 2015
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReusableHoldout(Keys);

impl ReusableHoldout {
    /// `reusable_holdout` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// split 0..rows-1 without fitting; 0: fit gives ids; 0 to 4294967295; default: 0
    pub fn rows(self, value: u64) -> Self {
        Self(self.0.with("rows", value))
    }

    /// of the rows, for the holdout; 0 to 1; default: 0.5
    pub fn share(self, value: f64) -> Self {
        Self(self.0.with("share", value))
    }

    /// difference of the means that counts as overfitting; 0 to 1; default: 0.04
    pub fn threshold(self, value: f64) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// scale of the noise: 2 sigma, 4 sigma and sigma; 0 to 1; default: 0.01
    pub fn sigma(self, value: f64) -> Self {
        Self(self.0.with("sigma", value))
    }

    /// overfit answers until there are no more; 0 to 9007199254740992; default: 100
    pub fn budget(self, value: u64) -> Self {
        Self(self.0.with("budget", value))
    }

    /// rows of a draw that does not say how many; 1 to 4294967295; default: 1
    pub fn batch(self, value: u64) -> Self {
        Self(self.0.with("batch", value))
    }

    /// of all that is random; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(ReusableHoldout, "reusable_holdout");

/// token_sampler `chain`: stages in a row, as in chain(top_k(k=40), temperature(value=0.8)), then a draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain(Keys);

impl Chain {
    /// `chain` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Chain, "chain");

/// token_sampler `sample`: the usual stages in the usual order.
///
/// Source: transformers, llama.cpp
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample(Keys);

impl Sample {
    /// `sample` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// hf: temperature before the filters; llama: after them; default: hf
    pub fn order(self, value: word::Order) -> Self {
        Self(self.0.with("order", value))
    }

    /// 0 = the most likely token; 0 to 1000000; default: 1
    pub fn temperature(self, value: f64) -> Self {
        Self(self.0.with("temperature", value))
    }

    /// 0 = all; 0 to 16777216; default: 0
    pub fn top_k(self, value: u64) -> Self {
        Self(self.0.with("top_k", value))
    }

    /// mass of the nucleus; 1 = all; 0 to 1; default: 1
    pub fn top_p(self, value: f64) -> Self {
        Self(self.0.with("top_p", value))
    }

    /// share of the largest probability; 0 = all; 0 to 1; default: 0
    pub fn min_p(self, value: f64) -> Self {
        Self(self.0.with("min_p", value))
    }

    /// mass of the typical tokens; 1 = all; 0 to 1; default: 1
    pub fn typical(self, value: f64) -> Self {
        Self(self.0.with("typical", value))
    }

    /// least probability; 0 = all; 0 to 1; default: 0
    pub fn epsilon(self, value: f64) -> Self {
        Self(self.0.with("epsilon", value))
    }

    /// least probability, lowered by the entropy; 0 = all; 0 to 1; default: 0
    pub fn eta(self, value: f64) -> Self {
        Self(self.0.with("eta", value))
    }

    /// deviations below the largest logit; 0 = all; 0 to 1000; default: 0
    pub fn top_n_sigma(self, value: f64) -> Self {
        Self(self.0.with("top_n_sigma", value))
    }

    /// probability of a top choice; 0 to 1; default: 0.1
    pub fn xtc_threshold(self, value: f64) -> Self {
        Self(self.0.with("xtc_threshold", value))
    }

    /// chance that top choices are excluded; 0 to 1; default: 0
    pub fn xtc_probability(self, value: f64) -> Self {
        Self(self.0.with("xtc_probability", value))
    }

    /// penalty that scales past tokens; 1 = none; 0.01 to 100; default: 1
    pub fn repetition(self, value: f64) -> Self {
        Self(self.0.with("repetition", value))
    }

    /// subtracted for each time that a token occurs; -100 to 100; default: 0
    pub fn frequency(self, value: f64) -> Self {
        Self(self.0.with("frequency", value))
    }

    /// subtracted once if a token occurs; -100 to 100; default: 0
    pub fn presence(self, value: f64) -> Self {
        Self(self.0.with("presence", value))
    }

    /// how many past tokens count; 1 to 1073741824; default: 64
    pub fn window(self, value: u64) -> Self {
        Self(self.0.with("window", value))
    }

    /// `window=all`
    pub fn window_all(self) -> Self {
        Self(self.0.with("window", "all"))
    }

    /// multiplier of the penalty on repeated runs; 0 = none; 0 to 1000; default: 0
    pub fn dry(self, value: f64) -> Self {
        Self(self.0.with("dry", value))
    }

    /// what each further token multiplies it by; 1 to 100; default: 1.75
    pub fn dry_base(self, value: f64) -> Self {
        Self(self.0.with("dry_base", value))
    }

    /// shortest run that is penalised; 1 to 1000000; default: 2
    pub fn dry_allowed_length(self, value: u64) -> Self {
        Self(self.0.with("dry_allowed_length", value))
    }

    /// past tokens in which runs are sought; 1 to 1073741824; default: all
    pub fn dry_window(self, value: u64) -> Self {
        Self(self.0.with("dry_window", value))
    }

    /// `dry_window=all`
    pub fn dry_window_all(self) -> Self {
        Self(self.0.with("dry_window", "all"))
    }

    /// at the border smaller ids go first, or all ties stay; default: id
    pub fn ties(self, value: word::Ties) -> Self {
        Self(self.0.with("ties", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Sample, "sample");

/// token_sampler `temperature`: divides the logits: below 1 sharper, above 1 flatter, 0 greedy.
///
/// Source: Ackley, Hinton, Sejnowski 1985
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Temperature(Keys);

impl Temperature {
    /// `temperature` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// logits are divided by it; 0 = the most likely token; 0 to 1000000; default: 1
    pub fn value(self, value: f64) -> Self {
        Self(self.0.with("value", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Temperature, "temperature");

/// token_sampler `dynamic_temperature`: a temperature that follows the entropy of the law.
///
/// Source: llama.cpp
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DynamicTemperature(Keys);

impl DynamicTemperature {
    /// `dynamic_temperature` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// temperature of a law without entropy; 0 to 1000000; default: 0.5
    pub fn low(self, value: f64) -> Self {
        Self(self.0.with("low", value))
    }

    /// temperature of a uniform law; 0 to 1000000; default: 1.5
    pub fn high(self, value: f64) -> Self {
        Self(self.0.with("high", value))
    }

    /// how the share of the entropy is bent between them; 0.01 to 100; default: 1
    pub fn exponent(self, value: f64) -> Self {
        Self(self.0.with("exponent", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(DynamicTemperature, "dynamic_temperature");

/// token_sampler `top_k`: keeps the k most likely tokens.
///
/// Source: Fan, Lewis, Dauphin 2018
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopK(Keys);

impl TopK {
    /// `top_k` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// candidates to keep; 0 = all; 0 to 16777216; default: 40
    pub fn k(self, value: u64) -> Self {
        Self(self.0.with("k", value))
    }

    /// at the border smaller ids go first, or all ties stay; default: id
    pub fn ties(self, value: word::Ties) -> Self {
        Self(self.0.with("ties", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(TopK, "top_k");

/// token_sampler `top_p`: keeps the nucleus: the fewest tokens with this much probability.
///
/// Source: Holtzman, Buys, Du, Forbes, Choi 2020
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopP(Keys);

impl TopP {
    /// `top_p` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// probability that the kept tokens have at least; 1 = all; 0 to 1; default: 0.95
    pub fn mass(self, value: f64) -> Self {
        Self(self.0.with("mass", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(TopP, "top_p");

/// token_sampler `min_p`: keeps tokens with a share of the largest probability.
///
/// Source: Nguyen et al. 2024
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinP(Keys);

impl MinP {
    /// `min_p` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// least probability, as a share of the largest; 0 = all; 0 to 1; default: 0.05
    pub fn ratio(self, value: f64) -> Self {
        Self(self.0.with("ratio", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(MinP, "min_p");

/// token_sampler `typical`: keeps tokens whose surprisal is nearest to the entropy.
///
/// Source: Meister, Pimentel, Wiher, Cotterell 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Typical(Keys);

impl Typical {
    /// `typical` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// probability that the kept tokens have at least; 1 = all; 0 to 1; default: 0.9
    pub fn mass(self, value: f64) -> Self {
        Self(self.0.with("mass", value))
    }

    /// at the border smaller ids go first, or all ties stay; default: id
    pub fn ties(self, value: word::Ties) -> Self {
        Self(self.0.with("ties", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Typical, "typical");

/// token_sampler `epsilon`: keeps tokens with at least this probability.
///
/// Source: Hewitt, Manning, Liang 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epsilon(Keys);

impl Epsilon {
    /// `epsilon` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// least probability; 0 = all; 0 to 1; default: 0.0003
    pub fn cutoff(self, value: f64) -> Self {
        Self(self.0.with("cutoff", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Epsilon, "epsilon");

/// token_sampler `eta`: keeps tokens above a probability that falls with the entropy.
///
/// Source: Hewitt, Manning, Liang 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Eta(Keys);

impl Eta {
    /// `eta` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// least probability, lowered by the entropy; 0 = all; 0 to 1; default: 0.0003
    pub fn cutoff(self, value: f64) -> Self {
        Self(self.0.with("cutoff", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Eta, "eta");

/// token_sampler `top_n_sigma`: keeps logits within n standard deviations of the largest.
///
/// Source: Tang et al. 2024
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopNSigma(Keys);

impl TopNSigma {
    /// `top_n_sigma` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// standard deviations below the largest logit; 0 = all; 0 to 1000; default: 1
    pub fn n(self, value: f64) -> Self {
        Self(self.0.with("n", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(TopNSigma, "top_n_sigma");

/// token_sampler `xtc`: sometimes excludes all top choices but the least likely.
///
/// Source: Weidmann 2024
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Xtc(Keys);

impl Xtc {
    /// `xtc` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// probability from which a token is a top choice; 0 to 1; default: 0.1
    pub fn threshold(self, value: f64) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// chance that top choices are excluded at all; 0 to 1; default: 0.5
    pub fn probability(self, value: f64) -> Self {
        Self(self.0.with("probability", value))
    }

    /// candidates that always stay, the first in its order; 1 to 16777216; default: 1
    pub fn min_keep(self, value: u64) -> Self {
        Self(self.0.with("min_keep", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Xtc, "xtc");

/// token_sampler `repetition`: scales down the logits of past tokens.
///
/// Source: Keskar et al. 2019
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repetition(Keys);

impl Repetition {
    /// `repetition` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// above 1 past tokens lose, below 1 they gain; 0.01 to 100; default: 1.1
    pub fn penalty(self, value: f64) -> Self {
        Self(self.0.with("penalty", value))
    }

    /// how many past tokens count; 1 to 1073741824; default: 64
    pub fn window(self, value: u64) -> Self {
        Self(self.0.with("window", value))
    }

    /// `window=all`
    pub fn window_all(self) -> Self {
        Self(self.0.with("window", "all"))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Repetition, "repetition");

/// token_sampler `penalties`: subtracts from the logits of past tokens, by how often they occur.
///
/// Source: OpenAI
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Penalties(Keys);

impl Penalties {
    /// `penalties` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// subtracted for each time that a token occurs; -100 to 100; default: 0
    pub fn frequency(self, value: f64) -> Self {
        Self(self.0.with("frequency", value))
    }

    /// subtracted once if a token occurs; -100 to 100; default: 0
    pub fn presence(self, value: f64) -> Self {
        Self(self.0.with("presence", value))
    }

    /// how many past tokens count; 1 to 1073741824; default: 64
    pub fn window(self, value: u64) -> Self {
        Self(self.0.with("window", value))
    }

    /// `window=all`
    pub fn window_all(self) -> Self {
        Self(self.0.with("window", "all"))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Penalties, "penalties");

/// token_sampler `dry`: penalises tokens that would prolong a repetition.
///
/// Source: Weidmann 2024
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dry(Keys);

impl Dry {
    /// `dry` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// subtracted for a run of the allowed length; 0 to 1000; default: 0.8
    pub fn multiplier(self, value: f64) -> Self {
        Self(self.0.with("multiplier", value))
    }

    /// what each further token multiplies it by; 1 to 100; default: 1.75
    pub fn base(self, value: f64) -> Self {
        Self(self.0.with("base", value))
    }

    /// shortest run that is penalised; 1 to 1000000; default: 2
    pub fn allowed_length(self, value: u64) -> Self {
        Self(self.0.with("allowed_length", value))
    }

    /// how many past tokens count; 1 to 1073741824; default: all
    pub fn window(self, value: u64) -> Self {
        Self(self.0.with("window", value))
    }

    /// `window=all`
    pub fn window_all(self) -> Self {
        Self(self.0.with("window", "all"))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Dry, "dry");

/// token_sampler `dist`: draws from the law of the survivors by inversion.
///
/// Source: Devroye 1986
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dist(Keys);

impl Dist {
    /// `dist` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Dist, "dist");

/// token_sampler `gumbel`: draws the largest of logit + Gumbel noise, keyed by token.
///
/// Source: Gumbel 1954
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gumbel(Keys);

impl Gumbel {
    /// `gumbel` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Gumbel, "gumbel");

/// token_sampler `greedy`: takes the most likely token.
///
/// Source: beam of width one
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Greedy(Keys);

impl Greedy {
    /// `greedy` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Greedy, "greedy");

/// token_sampler `mirostat`: draws so that the surprise of the text stays near a target.
///
/// Source: Basu, Ramachandran, Keskar, Varshney 2021
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mirostat(Keys);

impl Mirostat {
    /// `mirostat` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// 1: Zipf estimate and top-k; 2: cut-off by surprisal; 1 to 2; default: 2
    pub fn version(self, value: u64) -> Self {
        Self(self.0.with("version", value))
    }

    /// wanted surprise in bits; 0 to 100; default: 5
    pub fn tau(self, value: f64) -> Self {
        Self(self.0.with("tau", value))
    }

    /// how fast the bound follows; 0 to 1; default: 0.1
    pub fn eta(self, value: f64) -> Self {
        Self(self.0.with("eta", value))
    }

    /// version 1: tokens that the exponent is estimated from; 2 to 100000; default: 100
    pub fn m(self, value: u64) -> Self {
        Self(self.0.with("m", value))
    }

    /// of the random numbers; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Mirostat, "mirostat");

/// token_sampler `speculative`: drafts that another model verifies, without a change of its law.
///
/// Source: Leviathan 2023; Sun 2023 (SpecTr); Jeon 2024 (RSD); Hu 2025
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Speculative(Keys);

impl Speculative {
    /// `speculative` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// the rule that accepts drafts: one draft; several, iid; without replacement; SpecTr; the optimum for greedy
    /// drafts; default: recursive
    pub fn verify(self, value: word::Verify) -> Self {
        Self(self.0.with("verify", value))
    }

    /// how a node's drafts are drawn; auto: as the rule wants it; default: auto
    pub fn draft(self, value: word::Draft) -> Self {
        Self(self.0.with("draft", value))
    }

    /// levels of the tree; 1 to 16; default: 4
    pub fn depth(self, value: u64) -> Self {
        Self(self.0.with("depth", value))
    }

    /// drafts at the root, one child each from there on; sbs: nodes of a level; auto: 4, for single 1; 1 to 256;
    /// default: auto
    pub fn width(self, value: u64) -> Self {
        Self(self.0.with("width", value))
    }

    /// `width=auto`
    pub fn width_auto(self) -> Self {
        Self(self.0.with("width", "auto"))
    }

    /// children of a node on each level as digits, such as 4211 for depth=4; auto: width, then 1; 1 to
    /// 10000000000000000; default: auto
    pub fn branch(self, value: u64) -> Self {
        Self(self.0.with("branch", value))
    }

    /// `branch=auto`
    pub fn branch_auto(self) -> Self {
        Self(self.0.with("branch", "auto"))
    }

    /// what the rows of both models are; default: logits
    pub fn input(self, value: word::Input) -> Self {
        Self(self.0.with("input", value))
    }

    /// the chain that the laws of both models go through, such as top_k(k=40); default: none
    pub fn stages(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("stages", value.into()))
    }

    /// kseq: how near to the best factor; 1e-12 to 0.1; default: 1e-6
    pub fn rho_tol(self, value: f64) -> Self {
        Self(self.0.with("rho_tol", value))
    }

    /// of drafts and verification; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Speculative, "speculative");

/// path_sampler `ddim`: first-order steps, deterministic or with noise.
///
/// Source: Song, Meng, Ermon 2021 (DDIM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ddim(Keys);

impl Ddim {
    /// `ddim` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// fresh noise: 0 none (the ODE), 1 as much as DDPM; 0 to 1; default: 0
    pub fn eta(self, value: f64) -> Self {
        Self(self.0.with("eta", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Ddim, "ddim");

/// path_sampler `rhork`: Heun's and other Runge-Kutta methods.
///
/// Source: Zhang and Chen 2023 (DEIS)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rhork(Keys);

impl Rhork {
    /// `rhork` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// the tableau: order 2, 2, 3 or 4; default: heun2
    pub fn tab(self, value: word::Tab) -> Self {
        Self(self.0.with("tab", value))
    }

    /// variable of the ODE; auto: flow for rf, else rho; default: auto
    pub fn space(self, value: word::Space) -> Self {
        Self(self.0.with("space", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Rhork, "rhork");

/// path_sampler `edm`: Heun's method, with noise stirred in if wanted.
///
/// Source: Karras et al. 2022 (EDM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdmPathSampler(Keys);

impl EdmPathSampler {
    /// `edm` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// noise stirred in over the whole run; 0 to 1000000; default: 0
    pub fn churn(self, value: f64) -> Self {
        Self(self.0.with("churn", value))
    }

    /// only where sigma/alpha is at least this; 0 to 1000000000; default: 0
    pub fn stmin(self, value: f64) -> Self {
        Self(self.0.with("stmin", value))
    }

    /// ... and at most this; 0 to 1000000000; default: inf
    pub fn stmax(self, value: f64) -> Self {
        Self(self.0.with("stmax", value))
    }

    /// `stmax=inf`
    pub fn stmax_inf(self) -> Self {
        Self(self.0.with("stmax", "inf"))
    }

    /// standard deviation of that noise; 0 to 10; default: 1
    pub fn snoise(self, value: f64) -> Self {
        Self(self.0.with("snoise", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(EdmPathSampler, "edm");

/// path_sampler `dpm`: DPM-Solver: orders 1 to 3 in the noise form.
///
/// Source: Lu et al., NeurIPS 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dpm(Keys);

impl Dpm {
    /// `dpm` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// order of the steps; 1 to 3; default: 2
    pub fn order(self, value: u64) -> Self {
        Self(self.0.with("order", value))
    }

    /// multi: a prediction a step, and those before it; single: all predictions inside the step; default: single
    pub fn mode(self, value: word::Mode) -> Self {
        Self(self.0.with("mode", value))
    }

    /// multistep of order 2: the value at the step's middle, or its line integrated exactly; default: midpoint
    pub fn variant(self, value: word::Variant) -> Self {
        Self(self.0.with("variant", value))
    }

    /// the last steps are of order 2 and 1, which helps below about 15 steps; default: yes
    pub fn lower_order_final(self, value: bool) -> Self {
        Self(self.0.with("lower_order_final", if value { "yes" } else { "no" }))
    }

    /// the first multistep steps: of order 1, 2, or singlestep of full order; default: low
    pub fn warmup(self, value: word::Warmup) -> Self {
        Self(self.0.with("warmup", value))
    }

    /// multistep of order 3 as in published code, where a factor 2 is missing; default: no
    pub fn compat(self, value: bool) -> Self {
        Self(self.0.with("compat", if value { "yes" } else { "no" }))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Dpm, "dpm");

/// path_sampler `dpmpp`: DPM-Solver++: orders 1 to 3 in the data form, ODE and SDE.
///
/// Source: Lu et al., 2022
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dpmpp(Keys);

impl Dpmpp {
    /// `dpmpp` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// order of the steps; 1 to 3; default: 2
    pub fn order(self, value: u64) -> Self {
        Self(self.0.with("order", value))
    }

    /// multi: a prediction a step, and those before it; single: all predictions inside the step; default: multi
    pub fn mode(self, value: word::Mode) -> Self {
        Self(self.0.with("mode", value))
    }

    /// multistep of order 2: the value at the step's middle, or its line integrated exactly; default: midpoint
    pub fn variant(self, value: word::Variant) -> Self {
        Self(self.0.with("variant", value))
    }

    /// the last steps are of order 2 and 1, which helps below about 15 steps; default: yes
    pub fn lower_order_final(self, value: bool) -> Self {
        Self(self.0.with("lower_order_final", if value { "yes" } else { "no" }))
    }

    /// the first multistep steps: of order 1, 2, or singlestep of full order; default: low
    pub fn warmup(self, value: word::Warmup) -> Self {
        Self(self.0.with("warmup", value))
    }

    /// multistep of order 3 as in published code, where a factor 2 is missing; default: no
    pub fn compat(self, value: bool) -> Self {
        Self(self.0.with("compat", if value { "yes" } else { "no" }))
    }

    /// follow the reverse SDE instead of the ODE; order=3 then wants 15 steps or more; default: no
    pub fn sde(self, value: bool) -> Self {
        Self(self.0.with("sde", if value { "yes" } else { "no" }))
    }

    /// with sde=yes: the share of the SDE's noise; 0 to 1; default: 1
    pub fn tau(self, value: f64) -> Self {
        Self(self.0.with("tau", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Dpmpp, "dpmpp");

/// path_sampler `deis`: DEIS: exponential Adams-Bashforth on noise estimates, degrees 0 to 3.
///
/// Source: Zhang and Chen, ICLR 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deis(Keys);

impl Deis {
    /// `deis` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// degree of the polynomial; 0 is ddim; 0 to 3; default: 3
    pub fn order(self, value: u64) -> Self {
        Self(self.0.with("order", value))
    }

    /// what the polynomial is in: time, sigma / alpha, or its logarithm; default: t
    pub fn poly(self, value: word::Poly) -> Self {
        Self(self.0.with("poly", value))
    }

    /// the last steps are of lower degree, which helps below about 15 steps; default: yes
    pub fn lower_order_final(self, value: bool) -> Self {
        Self(self.0.with("lower_order_final", if value { "yes" } else { "no" }))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Deis, "deis");

/// path_sampler `unipc`: UniPC: predictor and corrector of one form, orders 1 to 3.
///
/// Source: Zhao et al., NeurIPS 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unipc(Keys);

impl Unipc {
    /// `unipc` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// values that predict; with the corrector the order is one more; 1 to 3; default: 2
    pub fn order(self, value: u64) -> Self {
        Self(self.0.with("order", value))
    }

    /// weights that stand alone: by one of the paper's two conventions, or solved like the others; default: bh2
    pub fn bh(self, value: word::Bh) -> Self {
        Self(self.0.with("bh", value))
    }

    /// work on estimates of the data; no: of the noise; default: yes
    pub fn data(self, value: bool) -> Self {
        Self(self.0.with("data", if value { "yes" } else { "no" }))
    }

    /// correct each state by the prediction made there; default: yes
    pub fn corrector(self, value: bool) -> Self {
        Self(self.0.with("corrector", if value { "yes" } else { "no" }))
    }

    /// the last steps are of lower order, which helps below about 15 steps; default: yes
    pub fn lower_order_final(self, value: bool) -> Self {
        Self(self.0.with("lower_order_final", if value { "yes" } else { "no" }))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Unipc, "unipc");

/// path_sampler `sde`: Score-SDE: predictor-corrector on the reverse SDE.
///
/// Source: Song et al., ICLR 2021
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sde(Keys);

impl Sde {
    /// `sde` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// predictor: Euler-Maruyama, the reversed chain, or its posterior mean; only em for rf and subvp; default: em
    pub fn pred(self, value: word::Pred) -> Self {
        Self(self.0.with("pred", value))
    }

    /// corrector; default: langevin
    pub fn corr(self, value: word::Corr) -> Self {
        Self(self.0.with("corr", value))
    }

    /// signal to noise ratio of a corrector step; 0 to 10; default: 0.16
    pub fn snr(self, value: f64) -> Self {
        Self(self.0.with("snr", value))
    }

    /// corrector steps a node, a prediction each; 1 to 1023; default: 1
    pub fn ncorr(self, value: u64) -> Self {
        Self(self.0.with("ncorr", value))
    }

    /// the corrector's step size: by the noise level, or by norms over the batch or of the row; default: level
    pub fn norm(self, value: word::Norm) -> Self {
        Self(self.0.with("norm", value))
    }

    /// predict along the ODE, without noise; default: no
    pub fn probability_flow(self, value: bool) -> Self {
        Self(self.0.with("probability_flow", if value { "yes" } else { "no" }))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Sde, "sde");

/// path_sampler `pf_ode`: the probability-flow ODE at a tolerance, by adaptive Dormand-Prince steps.
///
/// Source: Song et al., ICLR 2021; Dormand and Prince, 1980
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PfOde(Keys);

impl PfOde {
    /// `pf_ode` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// relative tolerance of a step; 1e-06 to 0.1; default: 1e-5
    pub fn rtol(self, value: f64) -> Self {
        Self(self.0.with("rtol", value))
    }

    /// absolute tolerance of a step; 1e-07 to 10; default: 1e-5
    pub fn atol(self, value: f64) -> Self {
        Self(self.0.with("atol", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(PfOde, "pf_ode");

/// path_sampler `likelihood`: log-likelihood of data, along the probability-flow ODE to noise.
///
/// Source: Song et al., ICLR 2021
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Likelihood(Keys);

impl Likelihood {
    /// `likelihood` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// relative tolerance of a step; 1e-06 to 0.1; default: 1e-5
    pub fn rtol(self, value: f64) -> Self {
        Self(self.0.with("rtol", value))
    }

    /// absolute tolerance of a step; 1e-07 to 10; default: 1e-5
    pub fn atol(self, value: f64) -> Self {
        Self(self.0.with("atol", value))
    }

    /// take the trace by dim unit probes; no: estimate it by random ones; default: no
    pub fn exact(self, value: bool) -> Self {
        Self(self.0.with("exact", if value { "yes" } else { "no" }))
    }

    /// random probes, two predictions a stage for each; 1 to 1024; default: 1
    pub fn probes(self, value: u64) -> Self {
        Self(self.0.with("probes", value))
    }

    /// distance of the differences, in sigma; 0.0001 to 1; default: 0.02
    pub fn delta(self, value: f64) -> Self {
        Self(self.0.with("delta", value))
    }

    /// noise levels of the model, steps and grid; default: vp
    pub fn schedule(self, value: impl Into<Spec>) -> Self {
        Self(self.0.with("schedule", value.into()))
    }

    /// what the model predicts; auto: flow for rf, data for edm and karras, else noise; default: auto
    pub fn prediction(self, value: word::Prediction) -> Self {
        Self(self.0.with("prediction", value))
    }

    /// weight of the condition; two predictions unless it is 0 or 1; -1000000 to 1000000; default: none
    pub fn guidance(self, value: f64) -> Self {
        Self(self.0.with("guidance", value))
    }

    /// `guidance=none`
    pub fn guidance_none(self) -> Self {
        Self(self.0.with("guidance", "none"))
    }

    /// keeps predicted data in its range; default: none
    pub fn threshold(self, value: word::Threshold) -> Self {
        Self(self.0.with("threshold", value))
    }

    /// threshold=static: largest magnitude; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn clip(self, value: f64) -> Self {
        Self(self.0.with("clip", value))
    }

    /// threshold=dynamic: of the magnitudes in a row; 1e-09 to 1; default: 0.995
    pub fn quantile(self, value: f64) -> Self {
        Self(self.0.with("quantile", value))
    }

    /// threshold=dynamic: smallest bound; 1e-30 to 1000000000000000019884624838656; default: 1
    pub fn floor(self, value: f64) -> Self {
        Self(self.0.with("floor", value))
    }

    /// threshold=dynamic: largest bound; 1e-30 to 1000000000000000019884624838656; default: none
    pub fn cap(self, value: f64) -> Self {
        Self(self.0.with("cap", value))
    }

    /// `cap=none`
    pub fn cap_none(self) -> Self {
        Self(self.0.with("cap", "none"))
    }

    /// of the noise; 0 to 9007199254740992; default: 1
    pub fn seed(self, value: u64) -> Self {
        Self(self.0.with("seed", value))
    }
}

prints_as!(Likelihood, "likelihood");

/// schedule `vp`: variance preserving, with a linear rate of noise.
///
/// Source: Song et al. 2021 (Score-SDE)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vp(Keys);

impl Vp {
    /// `vp` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// rate of the noise at t = 0; 1e-06 to 1000; default: 0.1
    pub fn beta0(self, value: f64) -> Self {
        Self(self.0.with("beta0", value))
    }

    /// rate of the noise at t = 1; 1e-06 to 1000; default: 20
    pub fn beta1(self, value: f64) -> Self {
        Self(self.0.with("beta1", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(Vp, "vp");

/// schedule `vp_cosine`: variance preserving, with alpha a cosine of time.
///
/// Source: Nichol and Dhariwal 2021 (improved DDPM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VpCosine(Keys);

impl VpCosine {
    /// `vp_cosine` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// keeps the noise near the data from vanishing; 0 to 1; default: 0.008
    pub fn s(self, value: f64) -> Self {
        Self(self.0.with("s", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(VpCosine, "vp_cosine");

/// schedule `vp_discrete`: variance preserving, by a table of noise levels.
///
/// Source: Ho et al. 2020 (DDPM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VpDiscrete(Keys);

impl VpDiscrete {
    /// `vp_discrete` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// how the noise of a step grows; default: linear
    pub fn betas(self, value: word::Betas) -> Self {
        Self(self.0.with("betas", value))
    }

    /// noise levels that the model was trained with; 2 to 100000; default: 1000
    pub fn n(self, value: u64) -> Self {
        Self(self.0.with("n", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(VpDiscrete, "vp_discrete");

/// schedule `subvp`: as vp, with the smaller variance sigma = 1 - alpha^2.
///
/// Source: Song et al. 2021 (Score-SDE)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subvp(Keys);

impl Subvp {
    /// `subvp` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// rate of the noise at t = 0; 1e-06 to 1000; default: 0.1
    pub fn beta0(self, value: f64) -> Self {
        Self(self.0.with("beta0", value))
    }

    /// rate of the noise at t = 1; 1e-06 to 1000; default: 20
    pub fn beta1(self, value: f64) -> Self {
        Self(self.0.with("beta1", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(Subvp, "subvp");

/// schedule `ve`: variance exploding, sigma growing by the same factor in equal times.
///
/// Source: Song et al. 2021 (Score-SDE)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ve(Keys);

impl Ve {
    /// `ve` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// sigma at t = 0; 1e-06 to 1000000; default: 0.01
    pub fn smin(self, value: f64) -> Self {
        Self(self.0.with("smin", value))
    }

    /// sigma at t = 1; 1e-06 to 1000000; default: 50
    pub fn smax(self, value: f64) -> Self {
        Self(self.0.with("smax", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(Ve, "ve");

/// schedule `edm`: variance exploding, with sigma as the time.
///
/// Source: Karras et al. 2022 (EDM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdmSchedule(Keys);

impl EdmSchedule {
    /// `edm` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// sigma of the last node above 0; 1e-06 to 1000000; default: 0.002
    pub fn smin(self, value: f64) -> Self {
        Self(self.0.with("smin", value))
    }

    /// sigma of the first node; 1e-06 to 1000000; default: 80
    pub fn smax(self, value: f64) -> Self {
        Self(self.0.with("smax", value))
    }

    /// standard deviation of the data, for prediction=edm of the solver; 1e-06 to 1000000; default: 0.5
    pub fn sdata(self, value: f64) -> Self {
        Self(self.0.with("sdata", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(EdmSchedule, "edm");

/// schedule `karras`: edm on the grid of its paper, with a last step to sigma = 0.
///
/// Source: Karras et al. 2022 (EDM)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Karras(Keys);

impl Karras {
    /// `karras` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// sigma of the last node above 0; 1e-06 to 1000000; default: 0.002
    pub fn smin(self, value: f64) -> Self {
        Self(self.0.with("smin", value))
    }

    /// sigma of the first node; 1e-06 to 1000000; default: 80
    pub fn smax(self, value: f64) -> Self {
        Self(self.0.with("smax", value))
    }

    /// standard deviation of the data, for prediction=edm of the solver; 1e-06 to 1000000; default: 0.5
    pub fn sdata(self, value: f64) -> Self {
        Self(self.0.with("sdata", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(Karras, "karras");

/// schedule `rf`: rectified flow: a straight line from noise to data.
///
/// Source: Liu et al. 2023
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rf(Keys);

impl Rf {
    /// `rf` with every default.
    pub fn new() -> Self {
        Self::default()
    }

    /// above 1: more steps near the noise; 0.001 to 1000; default: 1
    pub fn shift(self, value: f64) -> Self {
        Self(self.0.with("shift", value))
    }

    /// the model is called with t_scale t; 1e-06 to 1000000; default: 1
    pub fn t_scale(self, value: f64) -> Self {
        Self(self.0.with("t_scale", value))
    }

    /// steps from noise to data; 1 to 100000; default: 20
    pub fn steps(self, value: u64) -> Self {
        Self(self.0.with("steps", value))
    }

    /// where the nodes lie; the last three for vp_discrete only; default: auto
    pub fn grid(self, value: word::Grid) -> Self {
        Self(self.0.with("grid", value))
    }

    /// grid=edm: larger puts more nodes near the data; 1 to 100; default: 7
    pub fn rho(self, value: f64) -> Self {
        Self(self.0.with("rho", value))
    }

    /// grid=leading: added to each index; 0 to 100000; default: 0
    pub fn offset(self, value: u64) -> Self {
        Self(self.0.with("offset", value))
    }

    /// time of the first node; 0 to 1000000; default: auto
    pub fn t_start(self, value: f64) -> Self {
        Self(self.0.with("t_start", value))
    }

    /// `t_start=auto`
    pub fn t_start_auto(self) -> Self {
        Self(self.0.with("t_start", "auto"))
    }

    /// time of the last node; 0 to 1000000; default: auto
    pub fn t_end(self, value: f64) -> Self {
        Self(self.0.with("t_end", value))
    }

    /// `t_end=auto`
    pub fn t_end_auto(self) -> Self {
        Self(self.0.with("t_end", "auto"))
    }

    /// stop at t_end, let the last step end at sigma = 0, or add such a step; default: auto
    pub fn r#final(self, value: word::Final) -> Self {
        Self(self.0.with("final", value))
    }
}

prints_as!(Rf, "rf");
