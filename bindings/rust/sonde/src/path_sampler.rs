//! Path samplers: a state along the ODE or SDE of a diffusion or flow model.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::enums::Prediction;
use crate::error::{check, Result};
use crate::handle::{self, noun};
use crate::matrix::{output, rows_of, Matrix};
use crate::open::{c_path, c_string, OpenOptions};
use crate::row_sampler::{output_of, Column};
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

/// A solver with its schedule and its state; rows of `dim` values are samples.
///
/// ```
/// let mut solver = sonde::PathSampler::new("ddim(schedule=vp(steps=10), prediction=data)", 2)?;
/// solver.start(&[1.0f32, -1.0])?;
/// while let Some(ask) = solver.ask()? {
///     let prediction = vec![0.5f32; ask.x.len()]; // a model that always sees 0.5
///     solver.tell(&prediction)?;
/// }
/// assert_eq!(solver.state()?.len(), 2);
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct PathSampler {
    raw: NonNull<sys::sonde_path_sampler>,
    _runtime: Option<Runtime>,
}

noun! {PathSampler is sys::sonde_path_sampler, create: sys::sonde_path_sampler_create,
spec: sys::sonde_path_sampler_spec, dim: sys::sonde_path_sampler_dim, save: sys::sonde_path_sampler_save,
save_buffer: sys::sonde_path_sampler_save_buffer, open: sys::sonde_path_sampler_open,
open_buffer: sys::sonde_path_sampler_open_buffer, free: sys::sonde_path_sampler_free}

/// Where a prediction is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// What the model sees, row by row.
    pub x: &'a [f32],
    /// The time that the model is called with.
    pub t: f64,
    /// `x = alpha x0 + sigma noise`
    pub alpha: f64,
    /// See `alpha`.
    pub sigma: f64,
    /// What is to be predicted.
    pub prediction: Prediction,
    /// With guidance: whether the model sees its condition.
    pub condition: bool,
    /// Of the plan, from 0.
    pub step: i64,
    /// Predictions told so far.
    pub evaluation: i64,
}

/// One node of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PathNode {
    /// What the model is called with.
    pub t: f64,
    /// `x = alpha x0 + sigma noise`
    pub alpha: f64,
    /// See `alpha`.
    pub sigma: f64,
    /// `log(alpha / sigma)`
    pub lambda: f64,
}

impl<'a> Ask<'a> {
    /// # Safety
    /// C has filled the struct, and its array stays valid for `'a`.
    unsafe fn of(raw: &sys::sonde_ask) -> Self {
        let count = rows_of(&raw.x) * raw.x.cols as usize;
        Self {
            // SAFETY: what the caller promises; rows are packed.
            x: unsafe { std::slice::from_raw_parts(raw.x.data.cast(), count) },
            t: raw.t,
            alpha: raw.alpha,
            sigma: raw.sigma,
            prediction: Prediction::from_raw(raw.prediction),
            condition: raw.condition != 0,
            step: raw.step,
            evaluation: raw.evaluation,
        }
    }
}

type Model<'a> = &'a mut dyn FnMut(&Ask<'_>, &mut [f32]) -> bool;

/// # Safety
/// C calls it with structs of its own and with the `user` that run passed.
unsafe extern "C" fn on_ask(ask: *const sys::sonde_ask, prediction: *mut sys::sonde_array, user: *mut c_void) -> c_int {
    // SAFETY: what the caller promises; rows are packed.
    let (ask, out, model) = unsafe {
        let count = rows_of(&*prediction) * (*prediction).cols as usize;
        let out = std::slice::from_raw_parts_mut((*prediction).data.cast::<f32>(), count);
        (Ask::of(&*ask), out, &mut *user.cast::<Model<'_>>())
    };
    callback::guard(1, || c_int::from(!model(&ask, out)))
}

impl PathSampler {
    /// Begins at the state of the first node.
    pub fn start(&mut self, x: &(impl Matrix + ?Sized)) -> Result<()> {
        let x = x.array_for("start", self.dim())?;
        // SAFETY: class S, and we are borrowed for change; the state lives during the call.
        check(unsafe { sys::sonde_path_sampler_start(self.raw.as_ptr(), &x) })
    }

    /// Where a prediction is wanted next; `None` when the state is final.
    pub fn ask(&mut self) -> Result<Option<Ask<'_>>> {
        let mut ask = sys::SONDE_ASK_INIT;
        // SAFETY: class S, and we are borrowed for change as long as the answer lives, so that no tell can come.
        unsafe {
            check(sys::sonde_path_sampler_ask(self.raw.as_ptr(), &mut ask))?;
            Ok((ask.done == 0).then(|| Ask::of(&ask)))
        }
    }

    /// Brings what [`ask`](Self::ask) wanted.
    pub fn tell(&mut self, prediction: &(impl Matrix + ?Sized)) -> Result<()> {
        let prediction = prediction.array_for("tell", self.dim())?;
        // SAFETY: class S, and we are borrowed for change; the prediction lives during the call.
        check(unsafe { sys::sonde_path_sampler_tell(self.raw.as_ptr(), &prediction) })
    }

    /// start, ask and tell until done; `x` becomes the final state. The model fills the prediction; `false` ends the run
    /// with an error.
    pub fn run(&mut self, x: &mut [f32], mut model: impl FnMut(&Ask<'_>, &mut [f32]) -> bool) -> Result<()> {
        let (cols, length) = (self.dim(), x.len());
        let mut array = output("run", x, length.checked_div(cols).unwrap_or(0), cols)?;
        let mut closure: Model<'_> = &mut model;
        let user: *mut Model<'_> = &mut closure;
        // SAFETY: class S, and we are borrowed for change; state and closure live during the call.
        check(unsafe { sys::sonde_path_sampler_run(self.raw.as_ptr(), &mut array, Some(on_ask), user.cast()) })
    }

    /// What the run has made: `"state"`, or what the method's table has, such as `"log_likelihood"`.
    pub fn output(&self, name: &str) -> Result<Column> {
        // SAFETY: class A; what comes is valid until the next tell, which needs &mut self.
        unsafe { output_of(name, |name, array| sys::sonde_path_sampler_output(self.raw(), name, array)) }
    }

    /// Where the run stands, row by row.
    pub fn state(&self) -> Result<Vec<f32>> {
        match self.output("state")?.values {
            crate::row_sampler::Values::F32(values) => Ok(values),
            _ => Ok(Vec::new()),
        }
    }

    /// The plan, noise first.
    pub fn nodes(&self) -> Result<Vec<PathNode>> {
        let mut count = 0;
        // SAFETY: class A; with a capacity of 0 nothing is written but the number.
        check(unsafe { sys::sonde_path_sampler_nodes(self.raw(), std::ptr::null_mut(), 0, &mut count) })?;
        let mut raw = vec![sys::sonde_path_node { t: 0.0, alpha: 0.0, sigma: 0.0, lambda: 0.0 }; count as usize];
        // SAFETY: class A; there is room for `count` nodes.
        check(unsafe { sys::sonde_path_sampler_nodes(self.raw(), raw.as_mut_ptr(), count, &mut count) })?;
        let node = |node: &sys::sonde_path_node| PathNode {
            t: node.t,
            alpha: node.alpha,
            sigma: node.sigma,
            lambda: node.lambda,
        };
        Ok(raw.iter().map(node).collect())
    }
}
