//! Token samplers: logits to token ids, and the verification of drafts.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::error::{check, Error, Result};
use crate::handle::{self, noun};
use crate::matrix::{rows_of, Bits, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::row_sampler::copied;
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

/// A chain of filters with a draw at its end, or a rule that verifies drafts. [`dim`](Self::dim) is the vocabulary.
///
/// ```
/// let mut chain = sonde::TokenSampler::new("chain(top_k(k=2), temperature(value=0.8))", 4)?;
/// let tokens = chain.next(&[0.1f32, 3.0, 2.5, -1.0])?;
/// assert!(tokens[0] == 1 || tokens[0] == 2);
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct TokenSampler {
    raw: NonNull<sys::sonde_token_sampler>,
    _runtime: Option<Runtime>,
}

noun! {TokenSampler is sys::sonde_token_sampler, create: sys::sonde_token_sampler_create,
spec: sys::sonde_token_sampler_spec, dim: sys::sonde_token_sampler_vocabulary, save: sys::sonde_token_sampler_save,
save_buffer: sys::sonde_token_sampler_save_buffer, open: sys::sonde_token_sampler_open,
open_buffer: sys::sonde_token_sampler_open_buffer, free: sys::sonde_token_sampler_free}

/// For whom to draw, and what is forbidden.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct TokenOptions<'a> {
    sequences: Option<&'a [i64]>,
    allowed: Option<&'a [Bits]>,
    threads: u32,
}

impl<'a> TokenOptions<'a> {
    /// All defaults: row i belongs to sequence i, every token is allowed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sequence of each row.
    pub fn sequences(mut self, sequences: &'a [i64]) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// A mask for all rows, or one for each; a zero bit forbids the token.
    pub fn allowed(mut self, allowed: &'a [Bits]) -> Self {
        self.allowed = Some(allowed);
        self
    }

    /// Most threads for this call; 0 = the runtime's.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Calls with the options in the form of C, which may point to the stack of this function.
    fn with_raw(
        &self,
        rows: usize,
        vocabulary: usize,
        call: impl FnOnce(&sys::sonde_token_options) -> sys::sonde_status,
    ) -> Result<()> {
        let mut raw = sys::SONDE_TOKEN_OPTIONS_INIT;
        raw.threads = self.threads;
        if let Some(sequences) = self.sequences {
            if sequences.len() != rows {
                return Err(Error::invalid(format!("{} sequences for {rows} rows of logits", sequences.len())));
            }
            raw.sequences = sequences.as_ptr();
        }
        let allowed =
            self.allowed.map(|bits| crate::matrix::AsArray::array_for(bits, "allowed", vocabulary)).transpose()?;
        raw.allowed = allowed.as_ref().map_or(std::ptr::null(), |array| array);
        check(call(&raw))
    }
}

/// What [`TokenSampler::sample`] knows of each draw; each array has one element a row of logits.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Drawn {
    /// The tokens.
    pub ids: Vec<i32>,
    /// Their log-probabilities under the law that they were drawn from.
    pub log_probs: Vec<f32>,
    /// Their log-probabilities under the logits as they came.
    pub raw_log_probs: Vec<f32>,
    /// Candidates that were left at each draw.
    pub survivors: Vec<i64>,
    /// Entropies of the laws that were drawn from, in nats.
    pub entropies: Vec<f32>,
}

/// A token that may be drawn, and its log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: i32,
    /// Its log-probability.
    pub log_prob: f32,
}

/// Drafted tokens. Parents come before their children; -1 is the text so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftTree {
    /// The token of each node.
    pub tokens: Vec<i32>,
    /// The parent of each node.
    pub parents: Vec<i64>,
    /// While drafting: the nodes whose logits are wanted next.
    pub frontier: Vec<i64>,
}

/// What verification decided.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The accepted nodes from the root on.
    pub path: Vec<i64>,
    /// The token that follows them.
    pub token: i32,
    /// Its log-probability under the target law of its place.
    pub log_prob: f32,
}

type DraftModel<'a> = &'a mut dyn FnMut(&DraftTree, &mut [f32]) -> bool;

/// # Safety
/// C calls it with a tree and an array of its own, and with the `user` that draft_run passed.
unsafe extern "C" fn on_draft(
    tree: *const sys::sonde_draft_tree,
    logits: *mut sys::sonde_array,
    user: *mut c_void,
) -> c_int {
    // SAFETY: what the caller promises; rows are packed.
    let (tree, out, model) = unsafe {
        let count = rows_of(&*logits) * (*logits).cols as usize;
        let out = std::slice::from_raw_parts_mut((*logits).data.cast::<f32>(), count);
        (DraftTree::copied(&*tree), out, &mut *user.cast::<DraftModel<'_>>())
    };
    callback::guard(1, || c_int::from(!model(&tree, out)))
}

impl DraftTree {
    /// # Safety
    /// C has filled the struct, and its arrays are valid.
    unsafe fn copied(tree: &sys::sonde_draft_tree) -> Self {
        let count = tree.count as usize;
        // SAFETY: what the caller promises.
        unsafe {
            Self {
                tokens: copied(tree.tokens, count),
                parents: copied(tree.parents, count),
                frontier: copied(tree.frontier, tree.frontier_count as usize),
            }
        }
    }

    fn raw(&self) -> Result<sys::sonde_draft_tree> {
        if self.tokens.len() != self.parents.len() {
            return Err(Error::invalid("a draft tree has one parent for each token"));
        }
        let mut raw = sys::SONDE_DRAFT_TREE_INIT;
        raw.count = self.tokens.len() as i64;
        (raw.tokens, raw.parents) = (self.tokens.as_ptr(), self.parents.as_ptr());
        Ok(raw)
    }
}

impl TokenSampler {
    /// The next token of sequences 0, 1, ..., one for each row of logits.
    pub fn next(&mut self, logits: &(impl Matrix + ?Sized)) -> Result<Vec<i32>> {
        let logits = logits.array_for("next", self.dim())?;
        let mut tokens = vec![0; rows_of(&logits)];
        // SAFETY: class S, and we are borrowed for change; there is a token for each row.
        check(unsafe { sys::sonde_token_sampler_next(self.raw.as_ptr(), &logits, tokens.as_mut_ptr()) })?;
        Ok(tokens)
    }

    /// The same with options, and with what else is known about each draw.
    pub fn sample(&mut self, logits: &(impl Matrix + ?Sized), how: &TokenOptions<'_>) -> Result<Drawn> {
        let logits = logits.array_for("sample", self.dim())?;
        let rows = rows_of(&logits);
        let mut drawn = Drawn {
            ids: vec![0; rows],
            log_probs: vec![0.0; rows],
            raw_log_probs: vec![0.0; rows],
            survivors: vec![0; rows],
            entropies: vec![0.0; rows],
        };
        let mut raw = sys::SONDE_TOKENS_INIT;
        raw.ids = drawn.ids.as_mut_ptr();
        raw.log_probs = drawn.log_probs.as_mut_ptr();
        raw.raw_log_probs = drawn.raw_log_probs.as_mut_ptr();
        raw.survivors = drawn.survivors.as_mut_ptr();
        raw.entropies = drawn.entropies.as_mut_ptr();
        let sampler = self.raw.as_ptr();
        // SAFETY: class S, and we are borrowed for change; every array has an element for each row.
        how.with_raw(rows, self.dim(), |how| unsafe {
            sys::sonde_token_sampler_next_with(sampler, &logits, how, &mut raw)
        })?;
        Ok(drawn)
    }

    /// The candidates that a draw would be made from, the most likely first, at most `capacity` for each row.
    pub fn filter(
        &mut self,
        logits: &(impl Matrix + ?Sized),
        how: &TokenOptions<'_>,
        capacity: usize,
    ) -> Result<Vec<Vec<Candidate>>> {
        let logits = logits.array_for("filter", self.dim())?;
        let (rows, room) = (rows_of(&logits), capacity.min(self.dim()));
        let (mut ids, mut log_probs, mut counts) = (vec![0; rows * room], vec![0.0; rows * room], vec![0; rows]);
        let (sampler, places) = (self.raw.as_ptr(), (ids.as_mut_ptr(), log_probs.as_mut_ptr()));
        let filled = counts.as_mut_ptr();
        // SAFETY: class S, and we are borrowed for change; each row has `room` places.
        how.with_raw(rows, self.dim(), |how| unsafe {
            sys::sonde_token_sampler_filter(sampler, &logits, how, room as i64, places.0, places.1, filled)
        })?;
        let candidates = ids.iter().zip(&log_probs).map(|(&id, &log_prob)| Candidate { id, log_prob });
        let all: Vec<_> = candidates.collect();
        Ok(counts.iter().enumerate().map(|(i, &n)| all[i * room..][..room.min(n as usize)].to_vec()).collect())
    }

    /// Appends tokens that were not drawn here, such as a prompt, to the past of a sequence.
    pub fn accept(&mut self, sequence: i64, tokens: &[i32]) -> Result<()> {
        let (raw, count) = (self.raw.as_ptr(), tokens.len() as i64);
        // SAFETY: class S, and we are borrowed for change.
        check(unsafe { sys::sonde_token_sampler_accept(raw, sequence, tokens.as_ptr(), count) })
    }

    /// Forgets a sequence, or all of them.
    pub fn reset(&mut self, sequence: Option<i64>) -> Result<()> {
        // SAFETY: class S, and we are borrowed for change.
        check(unsafe { sys::sonde_token_sampler_reset(self.raw.as_ptr(), sequence.unwrap_or(-1)) })
    }

    /// Begins a draft; its frontier is the root.
    pub fn draft_start(&mut self) -> Result<DraftTree> {
        self.drafted(std::ptr::null())
    }

    /// Grows the draft by the logits of its frontier, one row a node; it is ready when the new frontier is empty.
    pub fn draft(&mut self, logits: &(impl Matrix + ?Sized)) -> Result<DraftTree> {
        let logits = logits.array_for("draft", self.dim())?;
        self.drafted(&logits)
    }

    fn drafted(&mut self, logits: *const sys::sonde_array) -> Result<DraftTree> {
        let mut tree = sys::SONDE_DRAFT_TREE_INIT;
        // SAFETY: class S, and we are borrowed for change; the logits live during the call or are NULL.
        unsafe {
            check(sys::sonde_token_sampler_draft(self.raw.as_ptr(), logits, &mut tree))?;
            Ok(DraftTree::copied(&tree))
        }
    }

    /// The whole of a draft: the model fills the logits of the frontier, one row a node; `false` ends it with an error.
    pub fn draft_run(&mut self, mut model: impl FnMut(&DraftTree, &mut [f32]) -> bool) -> Result<DraftTree> {
        let mut tree = sys::SONDE_DRAFT_TREE_INIT;
        let mut closure: DraftModel<'_> = &mut model;
        let user: *mut DraftModel<'_> = &mut closure;
        // SAFETY: class S, and we are borrowed for change; the closure lives during the call.
        unsafe {
            let raw = self.raw.as_ptr();
            check(sys::sonde_token_sampler_draft_run(raw, Some(on_draft), user.cast(), &mut tree))?;
            Ok(DraftTree::copied(&tree))
        }
    }

    /// Verifies the last draft by the target's laws: a row for the root, then one for each node.
    pub fn verify(&mut self, target: &(impl Matrix + ?Sized)) -> Result<Verdict> {
        let target = target.array_for("verify", self.dim())?;
        self.verified(&target, std::ptr::null(), std::ptr::null())
    }

    /// The same for a tree of yours, and for the laws that its nodes' children were drawn from, in the same rows.
    pub fn verify_tree(
        &mut self,
        target: &(impl Matrix + ?Sized),
        draft: &(impl Matrix + ?Sized),
        tree: &DraftTree,
    ) -> Result<Verdict> {
        let target = target.array_for("verify", self.dim())?;
        let draft = draft.array_for("verify", self.dim())?;
        let tree = tree.raw()?;
        self.verified(&target, &draft, &tree)
    }

    fn verified(
        &mut self,
        target: &sys::sonde_array,
        draft: *const sys::sonde_array,
        tree: *const sys::sonde_draft_tree,
    ) -> Result<Verdict> {
        let mut path = vec![0; rows_of(target)];
        let mut raw = sys::SONDE_VERDICT_INIT;
        (raw.capacity, raw.path) = (path.len() as i64, path.as_mut_ptr());
        // SAFETY: class S, and we are borrowed for change; what is not NULL lives during the call.
        check(unsafe { sys::sonde_token_sampler_verify(self.raw.as_ptr(), target, draft, tree, &mut raw) })?;
        path.truncate(raw.accepted as usize);
        Ok(Verdict { path, token: raw.token, log_prob: raw.log_prob })
    }

    /// The exact chance that one of `width` drafts from the law `q` is accepted by the target law `p`.
    pub fn accept_rate(
        &self,
        rule: &str,
        p: &(impl Matrix + ?Sized),
        q: &(impl Matrix + ?Sized),
        width: usize,
    ) -> Result<f64> {
        let rule = c_string("the rule", rule)?;
        let (p, q) = (p.array_for("accept_rate", self.dim())?, q.array_for("accept_rate", self.dim())?);
        let mut rate = 0.0;
        // SAFETY: class A; both laws live during the call.
        check(unsafe {
            sys::sonde_token_sampler_accept_rate(self.raw(), rule.as_ptr(), &p, &q, width as i64, &mut rate)
        })?;
        Ok(rate)
    }
}
