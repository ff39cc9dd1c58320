//! Every declaration of the C headers.
//!
//! Written by bindings/generate from the public headers and the method tables: change those, then `make generate`.
//!
//! SPDX-License-Identifier: MIT

use core::ffi::{c_char, c_int, c_void};
use core::marker::{PhantomData, PhantomPinned};
use core::mem::size_of;

/// The version of the headers that these declarations were made from.
pub const SONDE_HEADER_VERSION: &str = "1.0.0";

pub type sonde_status = u32;
/// success
pub const SONDE_OK: sonde_status = 0;
/// an argument is outside what the function accepts
pub const SONDE_INVALID_ARGUMENT: sonde_status = 1;
/// the allocator returned no memory
pub const SONDE_OUT_OF_MEMORY: sonde_status = 2;
/// a limit given by the caller would be exceeded
pub const SONDE_LIMIT: sonde_status = 3;
/// the operating system reported an input or output error
pub const SONDE_IO: sonde_status = 4;
/// the file, method, key or id does not exist
pub const SONDE_NOT_FOUND: sonde_status = 5;
/// the data is damaged or is not what it claims to be
pub const SONDE_CORRUPT: sonde_status = 6;
/// this method or build does not offer the operation
pub const SONDE_UNSUPPORTED: sonde_status = 7;
/// the two things do not fit together
pub const SONDE_INCOMPATIBLE: sonde_status = 8;
/// the handle is not in a state that allows the call
pub const SONDE_STATE: sonde_status = 9;
/// the caller cancelled the work
pub const SONDE_CANCELLED: sonde_status = 10;
/// a function supplied by the caller failed
pub const SONDE_CALLBACK: sonde_status = 11;
/// a defect in the library
pub const SONDE_INTERNAL: sonde_status = 12;
/// fixes the width of the enum; never returned
pub const SONDE_STATUS_MAX: sonde_status = 2147483647;

/// Element types. BITS packs eight columns into a byte, column 0 in the lowest bit of byte 0.
pub type sonde_dtype = u32;
pub const SONDE_DTYPE_F32: sonde_dtype = 1;
/// IEEE 754 binary16
pub const SONDE_DTYPE_F16: sonde_dtype = 2;
/// upper half of an f32
pub const SONDE_DTYPE_BF16: sonde_dtype = 3;
pub const SONDE_DTYPE_I8: sonde_dtype = 4;
pub const SONDE_DTYPE_U8: sonde_dtype = 5;
pub const SONDE_DTYPE_BITS: sonde_dtype = 6;
pub const SONDE_DTYPE_I32: sonde_dtype = 7;
pub const SONDE_DTYPE_I64: sonde_dtype = 8;

/// Distances and similarities. Scores come best first: L2 (squared) and HAMMING smaller is nearer, IP and COSINE larger
/// is nearer. The cosine with a zero vector is 0. docs/metrics.md has the definitions.
pub type sonde_metric = u32;
pub const SONDE_METRIC_L2: sonde_metric = 1;
pub const SONDE_METRIC_IP: sonde_metric = 2;
pub const SONDE_METRIC_COSINE: sonde_metric = 3;
pub const SONDE_METRIC_HAMMING: sonde_metric = 4;

pub type sonde_log_level = u32;
pub const SONDE_LOG_INFO: sonde_log_level = 1;
pub const SONDE_LOG_WARNING: sonde_log_level = 2;

pub type sonde_open_mode = u32;
/// copy into memory; the handle can be changed
pub const SONDE_OPEN_READ: sonde_open_mode = 1;
/// map the file; instant, shared between processes, read-only
pub const SONDE_OPEN_MMAP: sonde_open_mode = 2;

pub type sonde_verify = u32;
/// every checksum, every structure (the default)
pub const SONDE_VERIFY_FULL: sonde_verify = 1;
/// header, table of contents, sizes and structure; bulk data is not summed
pub const SONDE_VERIFY_FAST: sonde_verify = 2;

/// What the scores are.
pub type sonde_trie_scale = u32;
/// added up as they are
pub const SONDE_TRIE_LOG_PROBS: sonde_trie_scale = 1;
/// log-softmax over the whole vocabulary first
pub const SONDE_TRIE_LOGITS: sonde_trie_scale = 2;
/// log-softmax over what can follow
pub const SONDE_TRIE_MASKED: sonde_trie_scale = 3;

pub type sonde_unique_mode = u32;
/// rows with equal sequences get one code more: 0, 1, 2, ... in their order
pub const SONDE_UNIQUE_SUFFIX: sonde_unique_mode = 1;
/// of such rows the nearest keeps its sequence, the others get the free sequence that costs the
/// least distance in the last two codes; what is left gets a suffix
pub const SONDE_UNIQUE_RESOLVE: sonde_unique_mode = 2;

/// Which ids a search may return. Filters act inside the scan: k hits come back whenever k allowed rows exist.
pub type sonde_filter_kind = u32;
/// id i is allowed if bit i is set (bit i % 8 of byte i / 8); ids \>= count are not
pub const SONDE_FILTER_BITMAP: sonde_filter_kind = 1;
/// ids\[0..count), ascending
pub const SONDE_FILTER_IDS: sonde_filter_kind = 2;
/// first \<= id \< last
pub const SONDE_FILTER_RANGE: sonde_filter_kind = 3;
/// accept(id, user) != 0; called on the calling thread only, so the search is serial
pub const SONDE_FILTER_CALLBACK: sonde_filter_kind = 4;

/// Why a query's list of hits ended.
pub type sonde_stop = u32;
/// every allowed row was scored: these are the k best
pub const SONDE_STOP_EXACT: sonde_stop = 1;
/// the wanted effort or recall was reached
pub const SONDE_STOP_EFFORT: sonde_stop = 2;
/// every allowed row was scored and there are fewer than k
pub const SONDE_STOP_FEWER: sonde_stop = 3;

/// What a model predicts; all are affine in each other given the state. docs/samplers.md has the formulas.
pub type sonde_prediction = u32;
/// eps: the noise
pub const SONDE_PREDICTION_NOISE: sonde_prediction = 1;
/// x0: the data
pub const SONDE_PREDICTION_DATA: sonde_prediction = 2;
/// gradient of the log density of the noisy data, -eps / sigma
pub const SONDE_PREDICTION_SCORE: sonde_prediction = 3;
/// alpha eps - sigma x0
pub const SONDE_PREDICTION_V: sonde_prediction = 4;
/// velocity dx/dt; for rf: eps - x0
pub const SONDE_PREDICTION_FLOW: sonde_prediction = 5;
/// the raw network of EDM, wrapped by its preconditioning
pub const SONDE_PREDICTION_EDM: sonde_prediction = 6;

/// Where a handle gets threads and memory from, and whom it tells. Optional everywhere: NULL gives each handle a
/// private one with the defaults. A handle keeps the runtime alive, so the order of the two frees does not matter.
#[repr(C)]
pub struct sonde_runtime {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A learned or fixed map from vectors of `dim` columns to vectors of `dim_out` columns.
#[repr(C)]
pub struct sonde_transform {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A learned or fixed map from vectors of `dim` columns to codes of a fixed number of bytes.
#[repr(C)]
pub struct sonde_quantizer {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Sequences, each with the ids of one or more documents.
#[repr(C)]
pub struct sonde_trie {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Writes out\[i \* vocabulary + c\] = the score of code c after prefix i, for `count` prefixes of `length` codes
/// each (prefixes\[i \* length\], never NULL, also where length is 0). Returns nonzero to stop.
#[repr(C)]
pub struct sonde_trie_score {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Rows of `dim` columns under 64-bit ids, and what it takes to find the nearest of them.
#[repr(C)]
pub struct sonde_index {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// All rows within `radius`: l2 and hamming score \<= radius, ip and cosine score \>= radius. options-\>k is not used;
/// recall, effort and filters are as in search (exact by default: recall 0 means 1 here). The result is yours. Class A.
#[repr(C)]
pub struct sonde_range_hits {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A source of row ids with weights.
#[repr(C)]
pub struct sonde_row_sampler {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A chain of filters with a draw at its end, or a rule that verifies drafts.
#[repr(C)]
pub struct sonde_token_sampler {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A solver with its schedule, its state and its history.
#[repr(C)]
pub struct sonde_path_sampler {
    _opaque: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// A borrowed view of a row-major matrix. The library never keeps it. `data` is not const because the same struct
/// describes outputs; inputs are never written. Frozen: this struct will not change.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_array {
    /// first byte of row 0; no alignment is needed; NULL only if rows is 0
    pub data: *mut c_void,
    /// \>= 0
    pub rows: i64,
    /// elements in a row, \>= 1; for BITS the number of bits
    pub cols: i64,
    /// bytes from one row to the next; 0 = rows are packed
    pub stride: i64,
    /// a sonde_dtype
    pub dtype: u32,
    /// 0
    pub reserved: u32,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_array>() == 40);

/// A named input of train, fit, draw, observe or loss: sonde_input inputs\[\] = {{"vectors", &x}, {"queries", &q}};
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_input {
    /// a name from the method's table (sonde list, or sonde_input_at)
    pub name: *const c_char,
    /// borrowed for the call
    pub array: *const sonde_array,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_input>() == 16);

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_runtime_options {
    /// sizeof(sonde_runtime_options), set by SONDE_RUNTIME_OPTIONS_INIT
    pub size: u32,
    /// most threads a call may use; 0 = the processors this process may run on
    pub threads: u32,
    /// most bytes that handles of this runtime may hold together, scratch that is kept for later
    /// calls included; 0 = no limit
    pub memory_limit: u64,
    /// Both or neither. alloc returns memory aligned to `align` (a power of two \<= 2 MiB) or NULL. They are called
    /// from
    /// several threads at once.
    pub alloc: Option<unsafe extern "C" fn(usize, usize, *mut c_void) -> *mut c_void>,
    pub release: Option<unsafe extern "C" fn(*mut c_void, usize, usize, *mut c_void)>,
    pub memory_user: *mut c_void,
    /// Called on the thread that called the library, several times a second during long work. done \<= total, total \>=
    /// 1.
    /// Return nonzero to cancel. It must not call back into the handle that is working.
    pub progress: Option<unsafe extern "C" fn(*const c_char, u64, u64, *mut c_void) -> c_int>,
    pub progress_user: *mut c_void,
    /// Called on the thread that called the library; level is a sonde_log_level. Without it the library is silent.
    pub log: Option<unsafe extern "C" fn(u32, *const c_char, *mut c_void)>,
    pub log_user: *mut c_void,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_runtime_options>() == 72);
/// A [`sonde_runtime_options`] with every default.
pub const SONDE_RUNTIME_OPTIONS_INIT: sonde_runtime_options = sonde_runtime_options {
    size: size_of::<sonde_runtime_options>() as u32,
    threads: 0,
    memory_limit: 0,
    alloc: None,
    release: None,
    memory_user: core::ptr::null_mut(),
    progress: None,
    progress_user: core::ptr::null_mut(),
    log: None,
    log_user: core::ptr::null_mut(),
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_method_info {
    /// set by SONDE_METHOD_INFO_INIT
    pub size: u32,
    /// keys, those common to the noun included
    pub key_count: u32,
    pub input_count: u32,
    pub output_count: u32,
    /// "index", "quantizer", "row_sampler", ...
    pub noun: *const c_char,
    /// "ivf"
    pub name: *const c_char,
    /// one sentence
    pub summary: *const c_char,
    /// the paper or practice it comes from
    pub source: *const c_char,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_method_info>() == 48);
/// A [`sonde_method_info`] with every default.
pub const SONDE_METHOD_INFO_INIT: sonde_method_info = sonde_method_info {
    size: size_of::<sonde_method_info>() as u32,
    key_count: 0,
    input_count: 0,
    output_count: 0,
    noun: core::ptr::null(),
    name: core::ptr::null(),
    summary: core::ptr::null(),
    source: core::ptr::null(),
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_key_info {
    /// set by SONDE_KEY_INFO_INIT
    pub size: u32,
    pub reserved: u32,
    pub name: *const c_char,
    /// "int", "real", "word", "spec"
    pub kind: *const c_char,
    /// the default as text; "" = the key must be given
    pub fallback: *const c_char,
    /// words that are accepted, separated by '|', or ""
    pub words: *const c_char,
    /// for "spec": the noun of the nested spec, else ""
    pub noun: *const c_char,
    /// one line
    pub help: *const c_char,
    /// for "int" and "real"
    pub min: f64,
    pub max: f64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_key_info>() == 72);
/// A [`sonde_key_info`] with every default.
pub const SONDE_KEY_INFO_INIT: sonde_key_info = sonde_key_info {
    size: size_of::<sonde_key_info>() as u32,
    reserved: 0,
    name: core::ptr::null(),
    kind: core::ptr::null(),
    fallback: core::ptr::null(),
    words: core::ptr::null(),
    noun: core::ptr::null(),
    help: core::ptr::null(),
    min: 0.0,
    max: 0.0,
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_input_info {
    /// set by SONDE_INPUT_INFO_INIT
    pub size: u32,
    /// 1 or 0
    pub required: u32,
    pub name: *const c_char,
    /// in words, such as "n x dim"
    pub shape: *const c_char,
    /// such as "f32 f16 bf16 i8 u8"
    pub dtypes: *const c_char,
    pub help: *const c_char,
    /// the function that takes it: "train", "fit", "draw", "observe", "loss"
    pub verb: *const c_char,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_input_info>() == 48);
/// A [`sonde_input_info`] with every default.
pub const SONDE_INPUT_INFO_INIT: sonde_input_info = sonde_input_info {
    size: size_of::<sonde_input_info>() as u32,
    required: 0,
    name: core::ptr::null(),
    shape: core::ptr::null(),
    dtypes: core::ptr::null(),
    help: core::ptr::null(),
    verb: core::ptr::null(),
};

/// A named result beside those that a noun's structs have.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_output_info {
    /// set by SONDE_OUTPUT_INFO_INIT
    pub size: u32,
    pub reserved: u32,
    pub name: *const c_char,
    /// in words, such as "count x 1"
    pub shape: *const c_char,
    /// such as "i64"
    pub dtype: *const c_char,
    pub help: *const c_char,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_output_info>() == 40);
/// A [`sonde_output_info`] with every default.
pub const SONDE_OUTPUT_INFO_INIT: sonde_output_info = sonde_output_info {
    size: size_of::<sonde_output_info>() as u32,
    reserved: 0,
    name: core::ptr::null(),
    shape: core::ptr::null(),
    dtype: core::ptr::null(),
    help: core::ptr::null(),
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_open_options {
    /// set by SONDE_OPEN_OPTIONS_INIT
    pub size: u32,
    /// a sonde_open_mode; 0 = READ
    pub mode: u32,
    /// a sonde_verify; 0 = FULL in READ mode, FAST in MMAP mode
    pub verify: u32,
    pub reserved: u32,
    /// refuse larger files with LIMIT; 0 = no limit
    pub max_bytes: u64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_open_options>() == 24);
/// A [`sonde_open_options`] with every default.
pub const SONDE_OPEN_OPTIONS_INIT: sonde_open_options = sonde_open_options {
    size: size_of::<sonde_open_options>() as u32,
    mode: 0,
    verify: 0,
    reserved: 0,
    max_bytes: 0,
};

/// One section of a container file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_section_info {
    /// set by SONDE_SECTION_INFO_INIT in the first element; the others are set by the call
    pub size: u32,
    /// bytes of one element
    pub element_size: u32,
    /// name, zero-terminated
    pub tag: [c_char; 16],
    /// the child handle it belongs to, "" = the file's own, such as "code"
    pub path: [c_char; 64],
    /// bytes from the start of the file
    pub offset: u64,
    pub bytes: u64,
    /// stored CRC-32C
    pub checksum: u64,
    /// 1 if the bytes match the checksum
    pub intact: u32,
    pub reserved: u32,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_section_info>() == 120);
/// A [`sonde_section_info`] with every default.
pub const SONDE_SECTION_INFO_INIT: sonde_section_info = sonde_section_info {
    size: size_of::<sonde_section_info>() as u32,
    element_size: 0,
    tag: [0; 16],
    path: [0; 64],
    offset: 0,
    bytes: 0,
    checksum: 0,
    intact: 0,
    reserved: 0,
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_trie_search_options {
    /// sizeof(sonde_trie_search_options), set by SONDE_TRIE_SEARCH_OPTIONS_INIT
    pub size: u32,
    /// prefixes that are followed at once, and sequences that are returned; 1..1048576
    pub width: u32,
    /// a sonde_trie_scale; 0 = LOG_PROBS
    pub scale: u32,
    /// 1: sequences end by a code of their own, `end`; 0: the end costs nothing
    pub has_end: u32,
    /// its column of the scores
    pub end: i64,
    /// columns of the scores; 0 = the largest code stored + 1. Codes beyond cannot be
    /// reached
    pub vocabulary: i64,
    /// required; called on the calling thread only
    pub score: Option<unsafe extern "C" fn(*const c_int, i64, i64, i64, *mut f32, *mut c_void) -> c_int>,
    pub user: *mut c_void,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_trie_search_options>() == 48);
/// A [`sonde_trie_search_options`] with every default.
pub const SONDE_TRIE_SEARCH_OPTIONS_INIT: sonde_trie_search_options = sonde_trie_search_options {
    size: size_of::<sonde_trie_search_options>() as u32,
    width: 0,
    scale: 0,
    has_end: 0,
    end: 0,
    vocabulary: 0,
    score: None,
    user: core::ptr::null_mut(),
};

/// Where results go, best first, yours: `width` rows each. Equal scores come in the order of sequences.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_trie_hits {
    /// sizeof(sonde_trie_hits), set by SONDE_TRIE_HITS_INIT
    pub size: u32,
    pub reserved: u32,
    /// width x length of the trie, padded with -1; or NULL
    pub sequences: *mut i32,
    /// the first document of each sequence; or NULL
    pub ids: *mut i64,
    /// or NULL
    pub scores: *mut f32,
    /// written: how many were found
    pub count: i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_trie_hits>() == 40);
/// A [`sonde_trie_hits`] with every default.
pub const SONDE_TRIE_HITS_INIT: sonde_trie_hits = sonde_trie_hits {
    size: size_of::<sonde_trie_hits>() as u32,
    reserved: 0,
    sequences: core::ptr::null_mut(),
    ids: core::ptr::null_mut(),
    scores: core::ptr::null_mut(),
    count: 0,
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_unique_options {
    /// sizeof(sonde_unique_options), set by SONDE_UNIQUE_OPTIONS_INIT
    pub size: u32,
    /// a sonde_unique_mode; 0 = SUFFIX
    pub mode: u32,
    /// RESOLVE: codes of each of the last two levels that are tried, 0 = 8; at most 64
    pub tries: u32,
    pub reserved: u32,
    /// RESOLVE: the trained rq or rkmeans that made the sequences
    pub quantizer: *const sonde_quantizer,
    /// RESOLVE: n x dim, any numeric dtype: the rows themselves
    pub vectors: *const sonde_array,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_unique_options>() == 32);
/// A [`sonde_unique_options`] with every default.
pub const SONDE_UNIQUE_OPTIONS_INIT: sonde_unique_options = sonde_unique_options {
    size: size_of::<sonde_unique_options>() as u32,
    mode: 0,
    tries: 0,
    reserved: 0,
    quantizer: core::ptr::null(),
    vectors: core::ptr::null(),
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_filter {
    /// sizeof(sonde_filter), set by SONDE_FILTER_INIT
    pub size: u32,
    /// a sonde_filter_kind
    pub kind: u32,
    /// 1 = the filter names what is forbidden instead
    pub exclude: u32,
    pub reserved: u32,
    /// BITMAP: (count + 7) / 8 bytes
    pub bits: *const u8,
    /// IDS
    pub ids: *const i64,
    /// BITMAP: bits; IDS: ids
    pub count: i64,
    /// RANGE
    pub first: i64,
    /// RANGE
    pub last: i64,
    /// CALLBACK
    pub accept: Option<unsafe extern "C" fn(i64, *mut c_void) -> c_int>,
    pub user: *mut c_void,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_filter>() == 72);
/// A [`sonde_filter`] with every default.
pub const SONDE_FILTER_INIT: sonde_filter = sonde_filter {
    size: size_of::<sonde_filter>() as u32,
    kind: 0,
    exclude: 0,
    reserved: 0,
    bits: core::ptr::null(),
    ids: core::ptr::null(),
    count: 0,
    first: 0,
    last: 0,
    accept: None,
    user: core::ptr::null_mut(),
};

/// Settings belong to the call, never to the index.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_search_options {
    /// sizeof(sonde_search_options), set by SONDE_SEARCH_OPTIONS_INIT
    pub size: u32,
    /// hits a query, 0 = 10; at most 65536
    pub k: u32,
    /// share of the true k nearest that is wanted, in (0, 1\]; 0 = 0.95; 1 = exact over what is stored
    pub recall: f32,
    /// instead of recall: a fixed effort (ivf: lists visited); 0 = by recall
    pub effort: u32,
    /// with effort: candidates a hit that are scored again on the refine tier; 0 = the method's own
    pub refine: u32,
    /// most threads for this call; 0 = the runtime's
    pub threads: u32,
    /// NULL = all rows
    pub filter: *const sonde_filter,
    /// 0 or 1: one filter for all queries; else one for each query (= rows of queries)
    pub filter_count: i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_search_options>() == 40);
/// A [`sonde_search_options`] with every default.
pub const SONDE_SEARCH_OPTIONS_INIT: sonde_search_options = sonde_search_options {
    size: size_of::<sonde_search_options>() as u32,
    k: 0,
    recall: 0.0,
    effort: 0,
    refine: 0,
    threads: 0,
    filter: core::ptr::null(),
    filter_count: 0,
};

/// Where hits go: row-major nq x k, best first, yours. Missing hits have id -1 and the worst score of the metric
/// (+infinity for l2 and hamming, -infinity for ip and cosine). Equal scores come in ascending order of id.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_hits {
    /// sizeof(sonde_hits), set by SONDE_HITS_INIT
    pub size: u32,
    pub reserved: u32,
    /// nq x k, required
    pub ids: *mut i64,
    /// nq x k, or NULL
    pub scores: *mut f32,
    /// nq: hits found, or NULL
    pub count: *mut i32,
    /// nq: a sonde_stop, or NULL
    pub reason: *mut u8,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_hits>() == 40);
/// A [`sonde_hits`] with every default.
pub const SONDE_HITS_INIT: sonde_hits = sonde_hits {
    size: size_of::<sonde_hits>() as u32,
    reserved: 0,
    ids: core::ptr::null_mut(),
    scores: core::ptr::null_mut(),
    count: core::ptr::null_mut(),
    reason: core::ptr::null_mut(),
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_tune_options {
    /// sizeof(sonde_tune_options), set by SONDE_TUNE_OPTIONS_INIT
    pub size: u32,
    /// 0 = the runtime's
    pub threads: u32,
    /// time budget, 0 = none; at least one pass is made
    pub seconds: f64,
    /// of the choice of rows when queries is NULL
    pub seed: u64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_tune_options>() == 24);
/// A [`sonde_tune_options`] with every default.
pub const SONDE_TUNE_OPTIONS_INIT: sonde_tune_options = sonde_tune_options {
    size: size_of::<sonde_tune_options>() as u32,
    threads: 0,
    seconds: 0.0,
    seed: 0,
};

/// One point of the calibrated curve.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_operating_point {
    /// set by SONDE_OPERATING_POINT_INIT
    pub size: u32,
    pub k: u32,
    pub effort: u32,
    /// candidates a hit that are scored again; grows with the recall
    pub refine: u32,
    /// mean over the calibration queries
    pub recall: f32,
    /// lower end of a one-sided 95 % confidence interval of the mean
    pub recall_low: f32,
    /// recall of the worst 5 %
    pub recall_p05: f32,
    /// share of the rows that were scored
    pub cost: f32,
    /// ivf: effort is the mean; each query visits the lists that score at most this below the mean of its
    /// ten nearest ones. 0: the same number for all
    pub gap: f32,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_operating_point>() == 36);
/// A [`sonde_operating_point`] with every default.
pub const SONDE_OPERATING_POINT_INIT: sonde_operating_point = sonde_operating_point {
    size: size_of::<sonde_operating_point>() as u32,
    k: 0,
    effort: 0,
    refine: 0,
    recall: 0.0,
    recall_low: 0.0,
    recall_p05: 0.0,
    cost: 0.0,
    gap: 0.0,
};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_index_stats {
    /// set by SONDE_INDEX_STATS_INIT
    pub size: u32,
    /// a sonde_metric
    pub metric: u32,
    pub dim: i64,
    /// live rows
    pub count: i64,
    /// rows removed but not yet given back
    pub removed: i64,
    /// partitions (flat: 1)
    pub lists: i64,
    /// rows
    pub largest_list: i64,
    pub empty_lists: i64,
    /// held by the handle; mapped bytes are not in it
    pub memory_bytes: u64,
    pub mapped_bytes: u64,
    /// bytes stored for a row: code, refine tier, factors, id
    pub row_bytes: u64,
    /// grows by 1 with each add, remove, compact or merge that changed something
    pub version: u64,
    /// 1 or 0
    pub trained: u32,
    /// 0 no, 1 on stored rows, 2 on given queries
    pub calibrated: u32,
    /// live rows at calibration
    pub calibrated_at: i64,
    /// ivf: mean distance of stored rows to their centroids (a sample of 2,048), over that of the
    /// training rows: 1 = none; 0 = not known
    pub drift: f32,
    /// 0 no list is too long; 1 compact would split some; 2 some are, but cannot be split: lists of low
    /// rank, and residual codes without a refine tier
    pub split: u32,
    /// with more than four times the rows of the average list, and 64 or more. Those of equal rows stay
    /// so after compact
    pub long_lists: i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_index_stats>() == 120);
/// A [`sonde_index_stats`] with every default.
pub const SONDE_INDEX_STATS_INIT: sonde_index_stats = sonde_index_stats {
    size: size_of::<sonde_index_stats>() as u32,
    metric: 0,
    dim: 0,
    count: 0,
    removed: 0,
    lists: 0,
    largest_list: 0,
    empty_lists: 0,
    memory_bytes: 0,
    mapped_bytes: 0,
    row_bytes: 0,
    version: 0,
    trained: 0,
    calibrated: 0,
    calibrated_at: 0,
    drift: 0.0,
    split: 0,
    long_lists: 0,
};

/// What one draw gave. The arrays belong to the sampler and stay until its next draw, fit, merge or free.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_rows {
    /// set by SONDE_ROWS_INIT
    pub size: u32,
    /// 1: the pass ends with these rows; 0: more follow, or the stream is endless
    pub last: u32,
    /// rows that were drawn
    pub count: i64,
    /// the pass they belong to, from 0
    pub pass: i64,
    /// count; -1 = none (such as a query with too few negatives)
    pub ids: *const i64,
    /// count; what the method says about the row's importance, 1 where it says nothing
    pub weights: *const f32,
    /// count: the stratum, cluster, bucket or query of each row; NULL where the method has none
    pub groups: *const i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_rows>() == 48);
/// A [`sonde_rows`] with every default.
pub const SONDE_ROWS_INIT: sonde_rows = sonde_rows {
    size: size_of::<sonde_rows>() as u32,
    last: 0,
    count: 0,
    pass: 0,
    ids: core::ptr::null(),
    weights: core::ptr::null(),
    groups: core::ptr::null(),
};

/// How to draw, for next_with and filter.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_token_options {
    /// set by SONDE_TOKEN_OPTIONS_INIT
    pub size: u32,
    /// most threads of this call; 0 = the runtime's number
    pub threads: u32,
    /// the sequence (\>= 0) of each row, all different; NULL: row i belongs to sequence i
    pub sequences: *const i64,
    /// BITS, 1 x V or B x V: a zero bit forbids the token; NULL: all are allowed
    pub allowed: *const sonde_array,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_token_options>() == 24);
/// A [`sonde_token_options`] with every default.
pub const SONDE_TOKEN_OPTIONS_INIT: sonde_token_options = sonde_token_options {
    size: size_of::<sonde_token_options>() as u32,
    threads: 0,
    sequences: core::ptr::null(),
    allowed: core::ptr::null(),
};

/// What was drawn. Each array has one element a row of logits and is yours; all but ids may be NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_tokens {
    /// set by SONDE_TOKENS_INIT
    pub size: u32,
    pub reserved: u32,
    /// the token
    pub ids: *mut i32,
    /// its log-probability under the law that it was drawn from, that of the survivors
    pub log_probs: *mut f32,
    /// its log-probability under softmax of the logits as they came
    pub raw_log_probs: *mut f32,
    /// candidates that were left at the draw
    pub survivors: *mut i64,
    /// of the law that was drawn from, in nats
    pub entropies: *mut f32,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_tokens>() == 48);
/// A [`sonde_tokens`] with every default.
pub const SONDE_TOKENS_INIT: sonde_tokens = sonde_tokens {
    size: size_of::<sonde_tokens>() as u32,
    reserved: 0,
    ids: core::ptr::null_mut(),
    log_probs: core::ptr::null_mut(),
    raw_log_probs: core::ptr::null_mut(),
    survivors: core::ptr::null_mut(),
    entropies: core::ptr::null_mut(),
};

/// A tree of drafted tokens. Node i stands for the prefix that leads to it; the root, the text so far, is -1. Parents
/// come before their children, siblings in the order in which they were drawn.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_draft_tree {
    /// set by SONDE_DRAFT_TREE_INIT
    pub size: u32,
    pub reserved: u32,
    /// nodes
    pub count: i64,
    /// count
    pub tokens: *const i32,
    /// count; each less than its own number, -1 = the root
    pub parents: *const i64,
    /// while drafting: the nodes whose logits are wanted next; 0 = the tree is ready
    pub frontier_count: i64,
    /// their numbers, -1 = the root
    pub frontier: *const i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_draft_tree>() == 48);
/// A [`sonde_draft_tree`] with every default.
pub const SONDE_DRAFT_TREE_INIT: sonde_draft_tree = sonde_draft_tree {
    size: size_of::<sonde_draft_tree>() as u32,
    reserved: 0,
    count: 0,
    tokens: core::ptr::null(),
    parents: core::ptr::null(),
    frontier_count: 0,
    frontier: core::ptr::null(),
};

/// What verification decided.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_verdict {
    /// set by SONDE_VERDICT_INIT
    pub size: u32,
    /// the token that follows the accepted ones: from the residual law, or a bonus at a leaf
    pub token: i32,
    /// log-probability of `token` under the target law of its place
    pub log_prob: f32,
    pub reserved: u32,
    /// drafted tokens that were accepted
    pub accepted: i64,
    /// in: elements of `path`; the depth of the tree is always enough
    pub capacity: i64,
    /// the accepted nodes from the root on; yours; NULL if capacity is 0
    pub path: *mut i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_verdict>() == 40);
/// A [`sonde_verdict`] with every default.
pub const SONDE_VERDICT_INIT: sonde_verdict = sonde_verdict {
    size: size_of::<sonde_verdict>() as u32,
    token: 0,
    log_prob: 0.0,
    reserved: 0,
    accepted: 0,
    capacity: 0,
    path: core::ptr::null_mut(),
};

/// Where a prediction is wanted. The arrays belong to the sampler, until tell.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_ask {
    /// set by SONDE_ASK_INIT
    pub size: u32,
    /// 1: the state is final, nothing is wanted; the other members say where it stands
    pub done: u32,
    /// rows x dim, f32: what the model sees (scaled, if its preconditioning says so)
    pub x: sonde_array,
    /// the time that the model is called with
    pub t: f64,
    /// of that time
    pub alpha: f64,
    /// of that time
    pub sigma: f64,
    /// a sonde_prediction: what tell must bring
    pub prediction: u32,
    /// guidance: 1 = with the condition, 0 = without; 1 where there is no guidance
    pub condition: u32,
    /// of the plan, from 0
    pub step: i64,
    /// predictions told so far
    pub evaluation: i64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_ask>() == 96);
/// A [`sonde_ask`] with every default.
pub const SONDE_ASK_INIT: sonde_ask = sonde_ask {
    size: size_of::<sonde_ask>() as u32,
    done: 0,
    x: sonde_array { data: core::ptr::null_mut(), rows: 0, cols: 0, stride: 0, dtype: 0, reserved: 0 },
    t: 0.0,
    alpha: 0.0,
    sigma: 0.0,
    prediction: 0,
    condition: 0,
    step: 0,
    evaluation: 0,
};

/// One node of the plan.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sonde_path_node {
    /// what the model is called with
    pub t: f64,
    /// x = alpha x0 + sigma noise
    pub alpha: f64,
    /// x = alpha x0 + sigma noise
    pub sigma: f64,
    /// log(alpha / sigma); -inf or inf at the ends of some schedules
    pub lambda: f64,
}
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<sonde_path_node>() == 32);

extern "C" {
    /// The version of the library that is running, as "1.0.0". Static storage. Class A. Since 1.0.
    pub fn sonde_version() -> *const c_char;

    /// How this library was built and what it chose on this machine: one line of key=value pairs, such as
    /// "version=1.0.0 isa=avx512 cpu=generic,avx2,avx512 blas=openblas threads=libomp".
    /// isa is the instruction set in use (SONDE_ISA in the environment can lower it: generic|avx2|avx512 on x86-64,
    /// generic|neon|crc32|dotprod on AArch64).
    /// Static storage. Class A. Since 1.0.
    pub fn sonde_build_info() -> *const c_char;

    /// The name of a status, such as "INVALID_ARGUMENT"; "UNKNOWN" for a value that is none. Static storage. Class A.
    pub fn sonde_status_name(status: sonde_status) -> *const c_char;

    /// One general sentence about a status. Static storage. Class A.
    pub fn sonde_status_text(status: sonde_status) -> *const c_char;

    /// What went wrong in the last call of this thread that failed: which argument, its value, what was expected, and
    /// what
    /// to change. Never NULL; "" before the first failure. Valid until the next failing call of this thread. Class A.
    pub fn sonde_error_message() -> *const c_char;

    /// Makes a runtime. options NULL = defaults. INVALID_ARGUMENT, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_runtime_create(
        options: *const sonde_runtime_options,
        runtime: *mut *mut sonde_runtime,
    ) -> sonde_status;

    /// Asks all work of this runtime to stop; each call that is running returns CANCELLED soon. Safe from any thread
    /// and
    /// from a signal handler. It stays in force until sonde_runtime_resume. Class A. Since 1.0.
    pub fn sonde_runtime_cancel(runtime: *mut sonde_runtime);

    /// Takes sonde_runtime_cancel back. Class A. Since 1.0.
    pub fn sonde_runtime_resume(runtime: *mut sonde_runtime);

    /// Bytes that handles of this runtime hold now (scratch kept for later calls included), and the most they held.
    /// Either
    /// output may be NULL. Class A. Since 1.0.
    pub fn sonde_runtime_memory(
        runtime: *const sonde_runtime,
        used_bytes: *mut u64,
        peak_bytes: *mut u64,
    ) -> sonde_status;

    /// Gives the caller's share up; memory goes when the last handle that uses it is freed. Class C. Since 1.0.
    pub fn sonde_runtime_free(runtime: *mut sonde_runtime);

    /// The position-th method over all nouns, in a fixed order. NOT_FOUND past the end. Class A. Since 1.0.
    pub fn sonde_method_at(position: u32, info: *mut sonde_method_info) -> sonde_status;

    /// The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the
    /// nearest)
    /// and past the end. Class A. Since 1.0.
    pub fn sonde_key_at(
        noun: *const c_char,
        method: *const c_char,
        position: u32,
        info: *mut sonde_key_info,
    ) -> sonde_status;

    /// The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the
    /// nearest)
    /// and past the end. Class A. Since 1.0.
    pub fn sonde_input_at(
        noun: *const c_char,
        method: *const c_char,
        position: u32,
        info: *mut sonde_input_info,
    ) -> sonde_status;

    /// The position-th key, input or output of a method. NOT_FOUND for an unknown noun or method (the message names the
    /// nearest)
    /// and past the end. Class A. Since 1.0.
    pub fn sonde_output_at(
        noun: *const c_char,
        method: *const c_char,
        position: u32,
        info: *mut sonde_output_info,
    ) -> sonde_status;

    /// A readable page about one method: summary, source, keys with ranges and defaults, inputs. Writes at most
    /// `capacity`
    /// bytes, always ends with a zero byte if capacity \> 0, and gives the length of the whole text (without the zero)
    /// in
    /// \*length, so a call with capacity 0 measures. NOT_FOUND. Class A. Since 1.0.
    pub fn sonde_describe(
        noun: *const c_char,
        method: *const c_char,
        text: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// Checks a spec against the tables without building anything, and writes its canonical form with every default
    /// filled
    /// in (text, capacity, length as in sonde_describe). INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0.
    pub fn sonde_spec_check(
        noun: *const c_char,
        spec: *const c_char,
        text: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// Lists the sections of a container file and verifies each checksum. Fills at most `capacity` elements and gives
    /// the
    /// number of sections in \*count. sections may be NULL if capacity is 0. `noun` (may be NULL; at least 16 bytes)
    /// receives
    /// what kind of handle the file holds, such as "index". IO, NOT_FOUND, CORRUPT (header or table of contents). Class
    /// A.
    pub fn sonde_file_sections(
        path: *const c_char,
        sections: *mut sonde_section_info,
        capacity: i64,
        count: *mut i64,
        noun: *mut c_char,
    ) -> sonde_status;

    /// Makes a transform for vectors of `dim` columns (1..65536) from a spec ("sonde list transform" names the
    /// methods).
    /// A method that learns nothing is ready at once. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_transform_create(
        spec: *const c_char,
        dim: i64,
        runtime: *mut sonde_runtime,
        transform: *mut *mut sonde_transform,
    ) -> sonde_status;

    /// Learns from named inputs; every method that learns takes "vectors" (n x dim). Replaces what was learned before;
    /// on
    /// failure or cancel the old state stays. INVALID_ARGUMENT, CANCELLED, ... Class C. Since 1.0.
    pub fn sonde_transform_train(
        transform: *mut sonde_transform,
        inputs: *const sonde_input,
        count: usize,
    ) -> sonde_status;

    /// out\[i\] = T(in\[i\]). in: n x dim, any numeric dtype; out: n x sonde_transform_dim_out, f32, yours; it may be
    /// the same
    /// memory as `in` only if both are f32 of equal shape and stride. STATE if untrained. Time O(n dim dim_out) at
    /// most.
    /// Class A. Since 1.0.
    pub fn sonde_transform_apply(
        transform: *const sonde_transform,
        r#in: *const sonde_array,
        out: *mut sonde_array,
    ) -> sonde_status;

    /// The way back: in: n x dim_out, out: n x dim, f32. Exact for rotations, least squares for projections,
    /// UNSUPPORTED
    /// where there is none (normalise). Class A. Since 1.0.
    pub fn sonde_transform_apply_inverse(
        transform: *const sonde_transform,
        r#in: *const sonde_array,
        out: *mut sonde_array,
    ) -> sonde_status;

    /// Columns that go in and come out; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_transform_dim(transform: *const sonde_transform) -> i64;

    /// Columns that go in and come out; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_transform_dim_out(transform: *const sonde_transform) -> i64;

    /// true once it can be applied. Class A. Since 1.0.
    pub fn sonde_transform_trained(transform: *const sonde_transform) -> bool;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_transform_spec(transform: *const sonde_transform) -> *const c_char;

    /// Writes one file, atomically; opens it again (options NULL = defaults). IO, CORRUPT, INCOMPATIBLE (the file holds
    /// another noun), LIMIT. An untrained transform can be saved too. Class A. Since 1.0.
    pub fn sonde_transform_save(transform: *const sonde_transform, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically; opens it again (options NULL = defaults). IO, CORRUPT, INCOMPATIBLE (the file holds
    /// another noun), LIMIT. An untrained transform can be saved too. Class A. Since 1.0.
    pub fn sonde_transform_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        transform: *mut *mut sonde_transform,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_transform_save_buffer(
        transform: *const sonde_transform,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_transform_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        transform: *mut *mut sonde_transform,
    ) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_transform_free(transform: *mut sonde_transform);

    /// Makes a quantizer for vectors of `dim` columns (1..65536) from a spec ("sonde list quantizer" names the
    /// methods).
    /// INVALID_ARGUMENT (the message says what would fit, such as values of m that divide dim), NOT_FOUND,
    /// OUT_OF_MEMORY.
    /// Class A. Since 1.0.
    pub fn sonde_quantizer_create(
        spec: *const c_char,
        dim: i64,
        runtime: *mut sonde_runtime,
        quantizer: *mut *mut sonde_quantizer,
    ) -> sonde_status;

    /// Learns from named inputs; every method takes "vectors" (n x dim, any numeric dtype, n at least what the method
    /// asks
    /// for). count 0: learns from what sonde_quantizer_observe has kept, and lets it go. Replaces what was learned
    /// before; on
    /// failure or cancel the old state stays. The result depends on data, spec and instruction set, never on threads.
    /// Class C.
    /// Since 1.0.
    pub fn sonde_quantizer_train(
        quantizer: *mut sonde_quantizer,
        inputs: *const sonde_input,
        count: usize,
    ) -> sonde_status;

    /// Shows rows to learn from that come piece by piece: keeps a uniform sample of all rows seen so far, as many as
    /// training
    /// can use (the key `sample` where the method has one), for sonde_quantizer_train with count 0. inputs: "vectors"
    /// alone. The
    /// sample depends on the order of the rows, not on how they were cut into pieces. Class C. Since 1.0.
    pub fn sonde_quantizer_observe(
        quantizer: *mut sonde_quantizer,
        inputs: *const sonde_input,
        count: usize,
    ) -> sonde_status;

    /// Trains, and gives the group of each row of "vectors": labels: n, yours, 0..groups - 1. For methods that cluster
    /// (kmeans, ppp); with kmeans(balance=...) the sizes of the groups keep the limits of the spec on exactly these
    /// rows, which
    /// encoding them afterwards need not. UNSUPPORTED for other methods. Class C. Since 1.0.
    pub fn sonde_quantizer_cluster(
        quantizer: *mut sonde_quantizer,
        inputs: *const sonde_input,
        count: usize,
        labels: *mut i32,
    ) -> sonde_status;

    /// One of the named results of training, such as the centroids of kmeans ("sonde list quantizer NAME" names a
    /// method's
    /// outputs). A view of the quantizer's memory that stays until the next train, cluster or free. NOT_FOUND, STATE
    /// before
    /// training. Class A. Since 1.0.
    pub fn sonde_quantizer_output(
        quantizer: *const sonde_quantizer,
        name: *const c_char,
        view: *mut sonde_array,
    ) -> sonde_status;

    /// codes\[i\] = code of vectors\[i\]. vectors: n x dim; codes: n x sonde_quantizer_code_bytes, u8, yours. STATE if
    /// untrained,
    /// INVALID_ARGUMENT for NaN and infinities. Class A. Since 1.0.
    pub fn sonde_quantizer_encode(
        quantizer: *const sonde_quantizer,
        vectors: *const sonde_array,
        codes: *mut sonde_array,
    ) -> sonde_status;

    /// vectors\[i\] = reconstruction of codes\[i\]; vectors: n x dim, f32, yours. CORRUPT if a code is none of this
    /// quantizer's.
    /// Class A. Since 1.0.
    pub fn sonde_quantizer_decode(
        quantizer: *const sonde_quantizer,
        codes: *const sonde_array,
        vectors: *mut sonde_array,
    ) -> sonde_status;

    /// scores\[i\]\[j\] = score of query i with the reconstruction of code j, computed on the codes (asymmetric).
    /// metric: a
    /// sonde_metric; HAMMING for codes of bits only (lsh, itq, ...): the query is encoded first. queries: nq x dim;
    /// codes: n x
    /// code_bytes; scores: nq x n, f32, yours. Time O(nq (dim + n code_bytes)). UNSUPPORTED. Class A. Since 1.0.
    pub fn sonde_quantizer_distances(
        quantizer: *const sonde_quantizer,
        metric: u32,
        queries: *const sonde_array,
        codes: *const sonde_array,
        scores: *mut sonde_array,
    ) -> sonde_status;

    /// scores\[i\]\[j\] = score of the reconstructions of codes i and j (symmetric). from: nq x code_bytes; the rest as
    /// above.
    /// Class A. Since 1.0.
    pub fn sonde_quantizer_code_distances(
        quantizer: *const sonde_quantizer,
        metric: u32,
        from: *const sonde_array,
        codes: *const sonde_array,
        scores: *mut sonde_array,
    ) -> sonde_status;

    /// sonde_quantizer_distances with an error bound for each score: the score of the query with the row that the code
    /// was
    /// made from lies within scores\[i\]\[j\] +- errors\[i\]\[j\] with the probability that the method's page states
    /// (rabitq: 99.9 % of
    /// pairs, 3.3 standard errors, unless its key eps0 says otherwise). metric: l2 or ip. errors: nq x n, f32, yours.
    /// UNSUPPORTED for
    /// methods without a bound. Class A. Since 1.0.
    pub fn sonde_quantizer_bounds(
        quantizer: *const sonde_quantizer,
        metric: u32,
        queries: *const sonde_array,
        codes: *const sonde_array,
        scores: *mut sonde_array,
        errors: *mut sonde_array,
    ) -> sonde_status;

    /// Columns of a vector; bytes of a code; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_quantizer_dim(quantizer: *const sonde_quantizer) -> i64;

    /// Columns of a vector; bytes of a code; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_quantizer_code_bytes(quantizer: *const sonde_quantizer) -> i64;

    /// true once it can encode. Class A. Since 1.0.
    pub fn sonde_quantizer_trained(quantizer: *const sonde_quantizer) -> bool;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_quantizer_spec(quantizer: *const sonde_quantizer) -> *const c_char;

    /// Writes one file, atomically; opens it again (options NULL = defaults). Class A. Since 1.0.
    pub fn sonde_quantizer_save(quantizer: *const sonde_quantizer, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically; opens it again (options NULL = defaults). Class A. Since 1.0.
    pub fn sonde_quantizer_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        quantizer: *mut *mut sonde_quantizer,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_quantizer_save_buffer(
        quantizer: *const sonde_quantizer,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_quantizer_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        quantizer: *mut *mut sonde_quantizer,
    ) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_quantizer_free(quantizer: *mut sonde_quantizer);

    /// Makes an empty trie for sequences of up to `length` codes (1..65536). spec: "trie", or with keys: codes
    /// (one more than the largest code that add accepts), duplicates=keep|refuse (whether a sequence may have
    /// several documents). INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_trie_create(
        spec: *const c_char,
        length: i64,
        runtime: *mut sonde_runtime,
        trie: *mut *mut sonde_trie,
    ) -> sonde_status;

    /// Adds documents. sequences: n x (1..length), i32. ids: n values of any kind, or NULL for the numbers that
    /// follow (0, 1, 2, ... at first: the count of documents so far). All rows or none. New rows wait in a small
    /// sorted part that is merged when it has 10 % of the documents: time O(documents / 10 + n log n) a call.
    /// INVALID_ARGUMENT (a code out of range, -1 before a code, an empty sequence, a second document with
    /// duplicates=refuse; the message names the row), LIMIT, OUT_OF_MEMORY, CANCELLED. Class C. Since 1.0.
    pub fn sonde_trie_add(trie: *mut sonde_trie, sequences: *const sonde_array, ids: *const i64) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_trie_free(trie: *mut sonde_trie);

    /// Documents; the longest sequence that it takes; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_trie_count(trie: *const sonde_trie) -> i64;

    /// Documents; the longest sequence that it takes; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_trie_length(trie: *const sonde_trie) -> i64;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_trie_spec(trie: *const sonde_trie) -> *const c_char;

    /// The codes that can follow a prefix, ascending: writes at most `capacity`, gives how many there are in
    /// \*count. prefix: prefix_length codes; 0 of them ask for the first codes. A prefix of no sequence has none.
    /// INVALID_ARGUMENT. Time O(prefix_length log codes + count). Class A. Since 1.0.
    pub fn sonde_trie_children(
        trie: *const sonde_trie,
        prefix: *const i32,
        prefix_length: i64,
        codes: *mut i32,
        capacity: i64,
        count: *mut i64,
    ) -> sonde_status;

    /// The documents of exactly this sequence, in the order of adding: writes at most `capacity`, gives how many
    /// there are in \*count (0: the sequence is not stored). INVALID_ARGUMENT. Class A. Since 1.0.
    pub fn sonde_trie_lookup(
        trie: *const sonde_trie,
        sequence: *const i32,
        sequence_length: i64,
        ids: *mut i64,
        capacity: i64,
        count: *mut i64,
    ) -> sonde_status;

    /// For one step of a decoder: sets logits to -infinity for all codes that cannot follow. prefixes: n x any,
    /// i32, padded with -1 (all -1: the empty prefix); logits: n x vocabulary, f32, changed in place. end: the
    /// column that stands for the end of a sequence, allowed where the prefix is one; -1 = none. A row where
    /// nothing can follow is -infinity throughout. INVALID_ARGUMENT. Class A. Since 1.0.
    pub fn sonde_trie_mask(
        trie: *const sonde_trie,
        prefixes: *const sonde_array,
        end: i64,
        logits: *mut sonde_array,
    ) -> sonde_status;

    /// Beam search over the stored sequences: from the empty prefix, follows the `width` prefixes with the largest
    /// sums of scores, code by code; sequences that end on the way are candidates beside longer ones. Returns the
    /// best `width` sequences found: all of them in their order if width is at least their number. Codes with a
    /// score of -infinity are not taken. An empty trie gives no hits and OK. INVALID_ARGUMENT (width 0, no score,
    /// end outside the vocabulary), CALLBACK (score returned nonzero, or wrote NaN or +infinity), OUT_OF_MEMORY,
    /// CANCELLED. Class A. Since 1.0.
    pub fn sonde_trie_search(
        trie: *const sonde_trie,
        options: *const sonde_trie_search_options,
        hits: *mut sonde_trie_hits,
    ) -> sonde_status;

    /// Makes sequences different from each other. sequences: n x L, i32, all of full length; unique: n x (L + 1),
    /// i32, yours: the last column is the suffix, -1 where there is none. options NULL = defaults.
    /// INVALID_ARGUMENT, UNSUPPORTED (RESOLVE with another quantizer), STATE (it is untrained), OUT_OF_MEMORY,
    /// CANCELLED. Class A. Since 1.0.
    pub fn sonde_sequences_unique(
        sequences: *const sonde_array,
        options: *const sonde_unique_options,
        runtime: *mut sonde_runtime,
        unique: *mut sonde_array,
    ) -> sonde_status;

    /// Writes one file, atomically; opens it again (options NULL = defaults). The same documents, added in the
    /// same order, give the same bytes. Class A. Since 1.0.
    pub fn sonde_trie_save(trie: *const sonde_trie, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically; opens it again (options NULL = defaults). The same documents, added in the
    /// same order, give the same bytes. Class A. Since 1.0.
    pub fn sonde_trie_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        trie: *mut *mut sonde_trie,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_trie_save_buffer(
        trie: *const sonde_trie,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_trie_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        trie: *mut *mut sonde_trie,
    ) -> sonde_status;

    /// Makes an empty index for vectors of `dim` columns (1..65536; for dtype=bits the number of bits) from a spec.
    /// Every
    /// index kind has the keys metric (l2, ip, cosine; flat with dtype=bits: hamming) and duplicates (replace, refuse).
    /// INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_index_create(
        spec: *const c_char,
        dim: i64,
        runtime: *mut sonde_runtime,
        index: *mut *mut sonde_index,
    ) -> sonde_status;

    /// Learns what the method must learn (ivf: centroids and codes) from named inputs: "vectors" (n x dim). Without it
    /// the
    /// first add trains on what it is given. STATE if rows are stored already; on failure or cancel nothing has
    /// changed.
    /// Class C. Since 1.0.
    pub fn sonde_index_train(index: *mut sonde_index, inputs: *const sonde_input, count: usize) -> sonde_status;

    /// Adds rows. vectors: n x dim, any numeric dtype (dtype=bits: bits). ids: n values \>= 0 in any order, or NULL for
    /// the
    /// numbers that follow the largest id so far (0, 1, 2, ... at first). An id that is stored already is replaced
    /// (upsert;
    /// with the spec key duplicates=refuse it is INVALID_ARGUMENT); an id that is twice in `ids` is INVALID_ARGUMENT.
    /// All
    /// rows or none. NaN and infinities are INVALID_ARGUMENT, zero vectors are stored. Also LIMIT, OUT_OF_MEMORY,
    /// CANCELLED,
    /// STATE (opened mapped). Class B. Since 1.0.
    pub fn sonde_index_add(index: *mut sonde_index, vectors: *const sonde_array, ids: *const i64) -> sonde_status;

    /// Removes the rows of these ids; ids that are not stored are passed over. \*removed (may be NULL) is how many
    /// were.
    /// Space comes back as segments empty, and wholly with compact. Class B. Since 1.0.
    pub fn sonde_index_remove(index: *mut sonde_index, ids: *const i64, count: i64, removed: *mut i64) -> sonde_status;

    /// Rewrites what holds removed rows and gives all spare memory back. Answers do not change, unless rows have
    /// drifted (ivf;
    /// stats tell): lists that hold more than four times the average are then split in two, again and again, rows
    /// around them go
    /// to the lists that are now nearest, and the calibration is measured again on stored rows. Each split shows at
    /// once with its
    /// calibration; it holds the rows that it moves twice. Codes stay as they were trained. On failure or cancel all
    /// rows are
    /// there, and lists are as before or as after one of these steps. CANCELLED, OUT_OF_MEMORY, STATE (opened mapped).
    /// Class B.
    /// Since 1.0.
    pub fn sonde_index_compact(index: *mut sonde_index) -> sonde_status;

    /// Adds every row of `from` (upsert). Both must have the same spec and, where trained, the same trained parts (made
    /// by
    /// opening the same file, or from the same training, and split alike by compact if at all); else INCOMPATIBLE.
    /// Class B on
    /// index, A on from. Since 1.0.
    pub fn sonde_index_merge(index: *mut sonde_index, from: *const sonde_index) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_index_free(index: *mut sonde_index);

    /// The k nearest rows of each query. queries: nq x dim, any numeric dtype (dtype=bits: bits), finite. options NULL
    /// =
    /// defaults. An empty index gives no hits and OK. Many queries in one call share work and are much faster than one
    /// each.
    /// Up to 4 queries over less than 1e9 stored numbers tell no progress: that would be dearer than they are.
    /// INVALID_ARGUMENT, CANCELLED, CALLBACK, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_index_search(
        index: *const sonde_index,
        queries: *const sonde_array,
        options: *const sonde_search_options,
        hits: *mut sonde_hits,
    ) -> sonde_status;

    /// All rows within `radius`: l2 and hamming score \<= radius, ip and cosine score \>= radius. options-\>k is not
    /// used;
    /// recall, effort and filters are as in search (exact by default: recall 0 means 1 here). The result is yours.
    /// Class A.
    pub fn sonde_index_range_search(
        index: *const sonde_index,
        queries: *const sonde_array,
        radius: f32,
        options: *const sonde_search_options,
        hits: *mut *mut sonde_range_hits,
    ) -> sonde_status;

    /// The arrays inside: hits of query i are offsets\[i\] .. offsets\[i + 1\] of ids and scores, best first. They live
    /// until
    /// sonde_range_hits_free. Any output may be NULL. Class A. Since 1.0.
    pub fn sonde_range_hits_view(
        hits: *const sonde_range_hits,
        offsets: *mut *const i64,
        ids: *mut *const i64,
        scores: *mut *const f32,
    );

    /// The arrays inside: hits of query i are offsets\[i\] .. offsets\[i + 1\] of ids and scores, best first. They live
    /// until
    /// sonde_range_hits_free. Any output may be NULL. Class A. Since 1.0.
    pub fn sonde_range_hits_free(hits: *mut sonde_range_hits);

    /// Joins what several searches found for the same queries (shards of one data set, replicas, index kinds): the k
    /// best of
    /// all, in the order of sonde_hits. parts\[0..count): what searches with one metric wrote, best first; part p holds
    /// queries x widths\[p\], and its scores are needed. An id that several parts found comes once, with its best
    /// score; ids of
    /// -1 are passed over. merged: queries x k, yours; its reason needs the parts' reasons (EXACT or FEWER where every
    /// part
    /// says so, else EFFORT). INVALID_ARGUMENT (a part that is not best first is named), OUT_OF_MEMORY. Time
    /// O(queries k count). Class A. Since 1.0.
    pub fn sonde_topk_merge(
        metric: u32,
        parts: *const sonde_hits,
        widths: *const u32,
        count: usize,
        queries: i64,
        k: u32,
        runtime: *mut sonde_runtime,
        merged: *mut sonde_hits,
    ) -> sonde_status;

    /// Measures which effort reaches which recall for k = 1, 10 and 100 on sample queries (at least 50; 500 or more are
    /// better; real queries are best; NULL = disturbed stored rows), against exact search, and keeps the curve in the
    /// index
    /// and its file. The first add of at least 1,000 rows calibrates on stored rows by itself. flat: nothing to do, OK.
    /// INVALID_ARGUMENT, STATE (empty or untrained), CANCELLED (the old curve stays). Class C. Since 1.0.
    pub fn sonde_index_tune(
        index: *mut sonde_index,
        queries: *const sonde_array,
        options: *const sonde_tune_options,
    ) -> sonde_status;

    /// The position-th point, ordered by k, then effort. NOT_FOUND past the end. Class A. Since 1.0.
    pub fn sonde_index_operating_point(
        index: *const sonde_index,
        position: u32,
        point: *mut sonde_operating_point,
    ) -> sonde_status;

    /// Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    pub fn sonde_index_count(index: *const sonde_index) -> i64;

    /// Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    pub fn sonde_index_dim(index: *const sonde_index) -> i64;

    /// Rows stored; columns; metric (a sonde_metric). 0 for NULL. Class A. Since 1.0.
    pub fn sonde_index_metric(index: *const sonde_index) -> u32;

    /// true if the id is stored. Expected O(1) (the first call after opening may build a table). Class A. Since 1.0.
    pub fn sonde_index_contains(index: *const sonde_index, id: i64) -> bool;

    /// The ids stored, in no particular order: writes at most `capacity`, gives the number stored in \*count. Class A.
    pub fn sonde_index_ids(index: *const sonde_index, ids: *mut i64, capacity: i64, count: *mut i64) -> sonde_status;

    /// Reconstructs stored rows (exact for flat and where a refine=f32 tier is kept; cosine ivf keeps unit length).
    /// out: count x dim, f32 (dtype=bits: bits), yours. NOT_FOUND names the first id that is not stored. Class A. Since
    /// 1.0.
    pub fn sonde_index_get(
        index: *const sonde_index,
        ids: *const i64,
        count: i64,
        out: *mut sonde_array,
    ) -> sonde_status;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_index_spec(index: *const sonde_index) -> *const c_char;

    /// What the index holds now, as one search would see it. Class A. Since 1.0.
    pub fn sonde_index_stats_get(index: *const sonde_index, stats: *mut sonde_index_stats) -> sonde_status;

    /// Bytes of memory that an index of this spec would hold with `rows` rows, and the most it needs while it is built
    /// from
    /// them in one add. Either output may be NULL. INVALID_ARGUMENT, NOT_FOUND. Class A. Since 1.0.
    pub fn sonde_index_estimate(
        spec: *const c_char,
        dim: i64,
        rows: i64,
        memory_bytes: *mut u64,
        build_bytes: *mut u64,
    ) -> sonde_status;

    /// Proves the structure: counts, ids, locations, codes in range. CORRUPT names the first thing that is wrong. O(n).
    /// Class A. Since 1.0.
    pub fn sonde_index_check(index: *const sonde_index) -> sonde_status;

    /// Writes one file, atomically: a crash or a full disk leaves the old file. The same content gives the same bytes.
    /// It
    /// saves what one search would see; others may add meanwhile. IO, OUT_OF_MEMORY, CANCELLED. Class A. Since 1.0.
    pub fn sonde_index_save(index: *const sonde_index, path: *const c_char) -> sonde_status;

    /// Opens a file; needs only the path. options NULL = read into memory and verify everything. IO, NOT_FOUND,
    /// CORRUPT,
    /// INCOMPATIBLE, LIMIT. Class A. Since 1.0.
    pub fn sonde_index_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        index: *mut *mut sonde_index,
    ) -> sonde_status;

    /// The same bytes in memory. With capacity 0 it measures: \*length = bytes needed; else LIMIT if capacity is too
    /// small.
    /// Class A. Since 1.0.
    pub fn sonde_index_save_buffer(
        index: *const sonde_index,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory. With capacity 0 it measures: \*length = bytes needed; else LIMIT if capacity is too
    /// small.
    /// Class A. Since 1.0.
    pub fn sonde_index_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        index: *mut *mut sonde_index,
    ) -> sonde_status;

    /// Makes a sampler from a spec ("sonde list row_sampler" names the methods). dim: columns of the vectors it will
    /// see
    /// (1..65536), or 0 to take it from what it is fitted on. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A.
    /// Since 1.0.
    pub fn sonde_row_sampler_create(
        spec: *const c_char,
        dim: i64,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_row_sampler,
    ) -> sonde_status;

    /// Takes the data in: the inputs with the verb "fit" of the method's table. Replaces what was fitted before and
    /// goes
    /// back to the first pass; on failure or cancel the old state stays. INVALID_ARGUMENT (an input is missing, of a
    /// wrong
    /// shape or value), LIMIT, CANCELLED, ... Class C. Since 1.0.
    pub fn sonde_row_sampler_fit(
        sampler: *mut sonde_row_sampler,
        inputs: *const sonde_input,
        count: usize,
    ) -> sonde_status;

    /// Uses an index of the caller in place of one that fit would build from "documents", for the methods that search.
    /// Its
    /// ids are the ids of the draws. The index is borrowed: it must outlive the sampler, or be taken back with NULL; it
    /// is
    /// searched only, so others may search and change it meanwhile. It is not saved: what is opened answers STATE where
    /// it
    /// has to search, until an index is attached again. UNSUPPORTED for methods without an index. Class C. Since 1.0.
    pub fn sonde_row_sampler_attach(sampler: *mut sonde_row_sampler, index: *const sonde_index) -> sonde_status;

    /// Draws the next `count` rows (0 = as many as the method's spec says) into \*rows, and steps on. At the end of a
    /// pass
    /// the rest comes, which may be fewer. What a row is (a row of the data, a query's negative, a pair) the method's
    /// page
    /// says. STATE if the method needs to be fitted first, INVALID_ARGUMENT if it cannot choose by itself what to draw
    /// for.
    /// On failure nothing has moved, and the arrays of the draw before are gone. Class S. Since 1.0.
    pub fn sonde_row_sampler_draw(sampler: *mut sonde_row_sampler, count: i64, rows: *mut sonde_rows) -> sonde_status;

    /// The same for what the inputs name (the verb "draw" of the method's table), such as the queries of this
    /// training step. UNSUPPORTED for methods that take none. Class S. Since 1.0.
    pub fn sonde_row_sampler_draw_for(
        sampler: *mut sonde_row_sampler,
        inputs: *const sonde_input,
        input_count: usize,
        count: i64,
        rows: *mut sonde_rows,
    ) -> sonde_status;

    /// One more column of the last draw or observation, by the name that the method's table of outputs has, such as
    /// "pairs"
    /// or "ranks". A view of the sampler's memory that stays until the next draw, observe, fit, merge or free.
    /// NOT_FOUND,
    /// STATE before the first draw. Class S. Since 1.0.
    pub fn sonde_row_sampler_output(
        sampler: *const sonde_row_sampler,
        name: *const c_char,
        column: *mut sonde_array,
    ) -> sonde_status;

    /// Tells the sampler what came of its draws, or that the data has changed (the verb "observe" of the method's
    /// table):
    /// losses, counts, re-encoded documents. UNSUPPORTED for methods that learn nothing while they run. Class S. Since
    /// 1.0.
    pub fn sonde_row_sampler_observe(
        sampler: *mut sonde_row_sampler,
        inputs: *const sonde_input,
        count: usize,
    ) -> sonde_status;

    /// The loss that the method's paper trains with, on one batch (inputs with the verb "loss"). For each of
    /// `gradients`,
    /// named as the input whose derivative is wanted and of its shape (f32, yours), the array is filled. Mean over the
    /// batch unless the method's page says otherwise. UNSUPPORTED for methods without a loss; INVALID_ARGUMENT. Class
    /// A.
    /// Since 1.0.
    pub fn sonde_row_sampler_loss(
        sampler: *const sonde_row_sampler,
        inputs: *const sonde_input,
        count: usize,
        gradients: *const sonde_input,
        gradient_count: usize,
        loss: *mut f64,
    ) -> sonde_status;

    /// Joins samplers of two shards: `into` then draws from the rows of both, as if it had been fitted on them
    /// together,
    /// and is at the start of pass 0. Both have the same spec; ids that were given must differ, ids that were not are
    /// renumbered: those of `from` come behind those of `into`. INCOMPATIBLE, UNSUPPORTED (the method has no such
    /// summary).
    /// `from` stays as it is. Class C on `into`, A on `from`. Since 1.0.
    pub fn sonde_row_sampler_merge(into: *mut sonde_row_sampler, from: *const sonde_row_sampler) -> sonde_status;

    /// Goes to the beginning of a pass (0 = the first). For endless streams, passes are independent streams.
    /// INVALID_ARGUMENT for a negative one. Class S. Since 1.0.
    pub fn sonde_row_sampler_seek(sampler: *mut sonde_row_sampler, pass: i64) -> sonde_status;

    /// true once it can be drawn from. Class A. Since 1.0.
    pub fn sonde_row_sampler_fitted(sampler: *const sonde_row_sampler) -> bool;

    /// Columns of the vectors it sees, 0 while not known and for NULL. Class A. Since 1.0.
    pub fn sonde_row_sampler_dim(sampler: *const sonde_row_sampler) -> i64;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_row_sampler_spec(sampler: *const sonde_row_sampler) -> *const c_char;

    /// Writes one file, atomically, with the place in the pass, so that what is opened goes on with the next draw. An
    /// attached index is not part of it. Class A. Since 1.0.
    pub fn sonde_row_sampler_save(sampler: *const sonde_row_sampler, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically, with the place in the pass, so that what is opened goes on with the next draw. An
    /// attached index is not part of it. Class A. Since 1.0.
    pub fn sonde_row_sampler_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_row_sampler,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_row_sampler_save_buffer(
        sampler: *const sonde_row_sampler,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_row_sampler_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_row_sampler,
    ) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_row_sampler_free(sampler: *mut sonde_row_sampler);

    /// Makes a sampler for a vocabulary of V tokens (1..2^24) from a spec ("sonde list token_sampler" names the stages
    /// and
    /// samplers). A stage alone is a chain of one. The chain is checked here: unknown stages, two draws, a draw that is
    /// not
    /// last. INVALID_ARGUMENT, NOT_FOUND, OUT_OF_MEMORY. Class A. Since 1.0.
    pub fn sonde_token_sampler_create(
        spec: *const c_char,
        vocabulary: i64,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_token_sampler,
    ) -> sonde_status;

    /// Draws one token for each row of logits into tokens\[rows\], for sequences 0, 1, ..., and appends it to the past
    /// of its
    /// sequence. Fails as a whole: on failure no sequence has moved. INVALID_ARGUMENT names the row. O(V) a row. Class
    /// S.
    /// Since 1.0.
    pub fn sonde_token_sampler_next(
        sampler: *mut sonde_token_sampler,
        logits: *const sonde_array,
        tokens: *mut i32,
    ) -> sonde_status;

    /// The same with options, and with what else is known about each draw. Class S. Since 1.0.
    pub fn sonde_token_sampler_next_with(
        sampler: *mut sonde_token_sampler,
        logits: *const sonde_array,
        how: *const sonde_token_options,
        drawn: *mut sonde_tokens,
    ) -> sonde_status;

    /// The candidates that next would draw from, without drawing: for row i counts\[i\] survivors, of which the most
    /// likely
    /// `capacity` are written, most likely first: ids\[i \* capacity ...\] and their log-probabilities. The arrays are
    /// yours;
    /// log_probs may be NULL. Moves no sequence. Class S. Since 1.0.
    pub fn sonde_token_sampler_filter(
        sampler: *mut sonde_token_sampler,
        logits: *const sonde_array,
        how: *const sonde_token_options,
        capacity: i64,
        ids: *mut i32,
        log_probs: *mut f32,
        counts: *mut i64,
    ) -> sonde_status;

    /// Appends tokens that were not drawn here (a prompt, what another sampler chose) to the past of a sequence. Class
    /// S.
    /// Since 1.0.
    pub fn sonde_token_sampler_accept(
        sampler: *mut sonde_token_sampler,
        sequence: i64,
        tokens: *const i32,
        count: i64,
    ) -> sonde_status;

    /// Forgets a sequence, or all of them with -1. Class S. Since 1.0.
    pub fn sonde_token_sampler_reset(sampler: *mut sonde_token_sampler, sequence: i64) -> sonde_status;

    /// Grows a draft level by level from the draft model's logits. With logits NULL a new tree begins, whose frontier
    /// is
    /// the root; then each call takes the logits (or laws, by the spec) of the frontier, one row a node, and gives the
    /// next
    /// one. Ready when frontier_count is 0. The tree's arrays belong to the sampler, until the next draft or free.
    /// UNSUPPORTED for samplers that verify nothing. Class S. Since 1.0.
    pub fn sonde_token_sampler_draft(
        sampler: *mut sonde_token_sampler,
        logits: *const sonde_array,
        tree: *mut sonde_draft_tree,
    ) -> sonde_status;

    /// The whole of a draft by a callback: what draft gives, without the loop. The model fills logits (one row for each
    /// node of tree-\>frontier, f32); nonzero ends with CALLBACK. Class S. Since 1.0.
    pub fn sonde_token_sampler_draft_run(
        sampler: *mut sonde_token_sampler,
        model: Option<unsafe extern "C" fn(*const sonde_draft_tree, *mut sonde_array, *mut c_void) -> c_int>,
        user: *mut c_void,
        tree: *mut sonde_draft_tree,
    ) -> sonde_status;

    /// Accepts a path through the tree so that the emitted tokens (the accepted ones and verdict-\>token) are
    /// distributed as
    /// if drawn from the target model. target: (count + 1) x V, row 0 for the root, row i + 1 for node i. draft: the
    /// laws
    /// that the children of each node were drawn from, in the same rows (rows of leaves are not read); NULL: those of
    /// the
    /// last draft of this sampler. tree NULL: the tree of the last draft. Only rows that the walk reaches are read and
    /// checked. INVALID_ARGUMENT for rows that are no laws, drafts that the draft law excludes, repeated siblings where
    /// they
    /// must differ. Class S. Since 1.0.
    pub fn sonde_token_sampler_verify(
        sampler: *mut sonde_token_sampler,
        target: *const sonde_array,
        draft: *const sonde_array,
        tree: *const sonde_draft_tree,
        verdict: *mut sonde_verdict,
    ) -> sonde_status;

    /// The exact chance that one of `width` drafts is accepted at a node: p, q: 1 x V laws of target and draft. rule: a
    /// word of the key "verify", or "optimal_iid" or "optimal_wor", the best that any rule can reach with drafts drawn
    /// with
    /// or without replacement. UNSUPPORTED where no closed form is known. Class A. Since 1.0.
    pub fn sonde_token_sampler_accept_rate(
        sampler: *const sonde_token_sampler,
        rule: *const c_char,
        p: *const sonde_array,
        q: *const sonde_array,
        width: i64,
        rate: *mut f64,
    ) -> sonde_status;

    /// Tokens of the vocabulary; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_token_sampler_vocabulary(sampler: *const sonde_token_sampler) -> i64;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_token_sampler_spec(sampler: *const sonde_token_sampler) -> *const c_char;

    /// Writes one file, atomically, with the past of every sequence, so that what is opened draws the same tokens next.
    /// Drafts are not part of it. Class A. Since 1.0.
    pub fn sonde_token_sampler_save(sampler: *const sonde_token_sampler, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically, with the past of every sequence, so that what is opened draws the same tokens next.
    /// Drafts are not part of it. Class A. Since 1.0.
    pub fn sonde_token_sampler_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_token_sampler,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_token_sampler_save_buffer(
        sampler: *const sonde_token_sampler,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_token_sampler_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_token_sampler,
    ) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_token_sampler_free(sampler: *mut sonde_token_sampler);

    /// Makes a sampler for states of `dim` values a row (1..2^40) from a spec ("sonde list path_sampler" names the
    /// solvers,
    /// "sonde list schedule" the schedules). The plan is made and checked here. INVALID_ARGUMENT, NOT_FOUND,
    /// OUT_OF_MEMORY.
    /// Class A. Since 1.0.
    pub fn sonde_path_sampler_create(
        spec: *const c_char,
        dim: i64,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_path_sampler,
    ) -> sonde_status;

    /// Begins at x (rows x dim; f32, f16 or bf16, which is copied), the state at the first node: noise of standard
    /// deviation sigma of that node for variance-exploding schedules, 1 for the others. Drops a run that is under way.
    /// INVALID_ARGUMENT for NaN and infinities, rows \< 1. Class S. Since 1.0.
    pub fn sonde_path_sampler_start(sampler: *mut sonde_path_sampler, x: *const sonde_array) -> sonde_status;

    /// Says what is wanted next; the same answer until tell. STATE before start. Class S. Since 1.0.
    pub fn sonde_path_sampler_ask(sampler: *mut sonde_path_sampler, ask: *mut sonde_ask) -> sonde_status;

    /// Brings what ask wanted (rows x dim; f32, f16 or bf16; read during the call only) and moves on. INVALID_ARGUMENT
    /// for
    /// NaN and infinities, naming step and row: the run stands where it stood. STATE if nothing is wanted. O(rows dim).
    /// Class S. Since 1.0.
    pub fn sonde_path_sampler_tell(sampler: *mut sonde_path_sampler, prediction: *const sonde_array) -> sonde_status;

    /// start, then ask the model and tell, until done; the final state goes to x (rows x dim, f32) itself. The model
    /// fills
    /// prediction (rows x dim, f32) for ask; nonzero ends with CALLBACK. Progress and cancel once a step. On failure x
    /// is
    /// as it was, and ask and tell can go on from where the run stood. Class S. Since 1.0.
    pub fn sonde_path_sampler_run(
        sampler: *mut sonde_path_sampler,
        x: *mut sonde_array,
        model: Option<unsafe extern "C" fn(*const sonde_ask, *mut sonde_array, *mut c_void) -> c_int>,
        user: *mut c_void,
    ) -> sonde_status;

    /// What the run has made, by the name that the method's table of outputs has: "state" (rows x dim, f32: where it
    /// stands) for all, "log_likelihood" (rows x 1) for those that compute it. A view of the sampler's memory that
    /// stays
    /// until the next tell, start or free. NOT_FOUND, STATE before it is there. Class S. Since 1.0.
    pub fn sonde_path_sampler_output(
        sampler: *const sonde_path_sampler,
        name: *const c_char,
        column: *mut sonde_array,
    ) -> sonde_status;

    /// The plan: fills at most `capacity` nodes, noise first, and gives their number in \*count. nodes may be NULL if
    /// capacity is 0. Class A. Since 1.0.
    pub fn sonde_path_sampler_nodes(
        sampler: *const sonde_path_sampler,
        nodes: *mut sonde_path_node,
        capacity: i64,
        count: *mut i64,
    ) -> sonde_status;

    /// Values of a row; 0 for NULL. Class A. Since 1.0.
    pub fn sonde_path_sampler_dim(sampler: *const sonde_path_sampler) -> i64;

    /// The full spec with every default filled in. Lives as long as the handle. Class A. Since 1.0.
    pub fn sonde_path_sampler_spec(sampler: *const sonde_path_sampler) -> *const c_char;

    /// Writes one file, atomically, with the run that is under way: what is opened goes on with the next ask. Class A.
    /// Since 1.0.
    pub fn sonde_path_sampler_save(sampler: *const sonde_path_sampler, path: *const c_char) -> sonde_status;

    /// Writes one file, atomically, with the run that is under way: what is opened goes on with the next ask. Class A.
    /// Since 1.0.
    pub fn sonde_path_sampler_open(
        path: *const c_char,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_path_sampler,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_path_sampler_save_buffer(
        sampler: *const sonde_path_sampler,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> sonde_status;

    /// The same bytes in memory, as sonde_index_save_buffer and sonde_index_open_buffer do it. Class A. Since 1.0.
    pub fn sonde_path_sampler_open_buffer(
        buffer: *const c_void,
        length: usize,
        options: *const sonde_open_options,
        runtime: *mut sonde_runtime,
        sampler: *mut *mut sonde_path_sampler,
    ) -> sonde_status;

    /// Class C. Since 1.0.
    pub fn sonde_path_sampler_free(sampler: *mut sonde_path_sampler);
}
