//! Row samplers: which rows of a data set to use next.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{check, Error, Result};
use crate::handle::{self, noun};
use crate::index::Index;
use crate::matrix::{rows_of, with_inputs, Input};
use crate::open::{c_path, c_string, OpenOptions};
use crate::runtime::Runtime;
use crate::spec::Spec;
use sonde_sys as sys;
use std::ffi::c_char;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

/// A source of row ids with weights, such as `weighted(replace=no)` or `adore(index=ivf(nlist=512), depth=200)`.
///
/// `dim` may be 0: it is then taken from what is fitted.
///
/// ```
/// use sonde::{Input, RowSampler};
/// let mut sampler = RowSampler::new("random(replace=no)", 0)?;
/// sampler.fit(&[Input::column("ids", &[10i64, 20, 30])])?;
/// let mut rows = sampler.draw(3)?;
/// rows.ids.sort();
/// assert_eq!((rows.ids, rows.last), (vec![10, 20, 30], true));
/// # Ok::<(), sonde::Error>(())
/// ```
pub struct RowSampler {
    raw: NonNull<sys::sonde_row_sampler>,
    _runtime: Option<Runtime>,
    attached: Option<Arc<Index>>,
}

noun! {RowSampler is sys::sonde_row_sampler, create: sys::sonde_row_sampler_create, spec: sys::sonde_row_sampler_spec,
dim: sys::sonde_row_sampler_dim, save: sys::sonde_row_sampler_save, save_buffer: sys::sonde_row_sampler_save_buffer,
open: sys::sonde_row_sampler_open, open_buffer: sys::sonde_row_sampler_open_buffer,
free: sys::sonde_row_sampler_free, also: attached}

/// What one draw gave.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rows {
    /// The rows; -1 = none.
    pub ids: Vec<i64>,
    /// What the method says about the importance of each.
    pub weights: Vec<f32>,
    /// The stratum, cluster, bucket or query of each, where the method has them.
    pub groups: Option<Vec<i64>>,
    /// The pass that they belong to, from 0.
    pub pass: i64,
    /// Whether the pass ends with them.
    pub last: bool,
}

/// One more column of a draw.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Column {
    /// Values in a row.
    pub cols: usize,
    /// Row by row.
    pub values: Values,
}

/// The values of a column, by their type.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// `f32`
    F32(Vec<f32>),
    /// `i64`
    I64(Vec<i64>),
    /// `i32`
    I32(Vec<i32>),
    /// `u8`
    U8(Vec<u8>),
}

/// Where the derivative by an input of [`RowSampler::loss`] goes.
#[derive(Debug)]
pub struct Gradient<'a> {
    name: &'a str,
    values: &'a mut [f32],
}

impl<'a> Gradient<'a> {
    /// The name of the input, and as many numbers as it has.
    pub fn new(name: &'a str, values: &'a mut [f32]) -> Self {
        Self { name, values }
    }
}

/// # Safety
/// `data` is NULL or points to `count` values.
pub(crate) unsafe fn copied<T: Copy>(data: *const T, count: usize) -> Vec<T> {
    if data.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: what the caller promises.
    unsafe { std::slice::from_raw_parts(data, count) }.to_vec()
}

/// The values of a view, whose rows may lie apart.
///
/// # Safety
/// The array is one that the library gave, it is valid now, and its elements are of type `T`.
unsafe fn copied_rows<T: Copy>(array: &sys::sonde_array) -> Vec<T> {
    let (first, stride) = (array.data.cast::<u8>(), array.stride as usize);
    // SAFETY: what the caller promises; row `i` begins `i * stride` bytes behind the first.
    let row = |i| unsafe { copied(first.add(i * stride).cast::<T>(), array.cols as usize) };
    (0..rows_of(array)).flat_map(row).collect()
}

/// # Safety
/// The array is one that the library gave, and it is valid now.
unsafe fn column_of(array: &sys::sonde_array) -> Result<Column> {
    // SAFETY: what the caller promises; the dtype says what the memory holds.
    let values = unsafe {
        match array.dtype {
            sys::SONDE_DTYPE_F32 => Values::F32(copied_rows(array)),
            sys::SONDE_DTYPE_I64 => Values::I64(copied_rows(array)),
            sys::SONDE_DTYPE_I32 => Values::I32(copied_rows(array)),
            sys::SONDE_DTYPE_U8 => Values::U8(copied_rows(array)),
            other => return Err(Error::invalid(format!("output: a column of dtype {other} is newer than this crate"))),
        }
    };
    Ok(Column { cols: array.cols as usize, values })
}

/// The output of that name, by one of the functions sonde_*_output.
///
/// # Safety
/// The array that `output` gives stays valid until this returns.
pub(crate) unsafe fn output_of(
    name: &str,
    output: impl FnOnce(*const c_char, *mut sys::sonde_array) -> sys::sonde_status,
) -> Result<Column> {
    let name = c_string("the name", name)?;
    let mut array = sys::sonde_array { data: std::ptr::null_mut(), rows: 0, cols: 0, stride: 0, dtype: 0, reserved: 0 };
    check(output(name.as_ptr(), &mut array))?;
    // SAFETY: what the caller promises.
    unsafe { column_of(&array) }
}

impl RowSampler {
    /// Takes the method's inputs in, replaces what was fitted before and goes back to the first pass.
    pub fn fit(&mut self, inputs: &[Input<'_>]) -> Result<()> {
        let (raw, dim) = (self.raw.as_ptr(), self.dim());
        // SAFETY: class C, and we are borrowed for change; the inputs live during the call.
        with_inputs(inputs, dim, |inputs, count| unsafe { sys::sonde_row_sampler_fit(raw, inputs, count) })
    }

    /// Searches this index in place of one that [`fit`](Self::fit) would build; `None` gives it back.
    pub fn attach(&mut self, index: Option<Arc<Index>>) -> Result<()> {
        let raw = index.as_ref().map_or(std::ptr::null(), |index| index.raw());
        // SAFETY: class C, and we are borrowed for change; the index is kept as long as it is attached.
        check(unsafe { sys::sonde_row_sampler_attach(self.raw.as_ptr(), raw) })?;
        self.attached = index;
        Ok(())
    }

    /// The next `count` rows; 0 = as many as the spec says.
    pub fn draw(&mut self, count: usize) -> Result<Rows> {
        let mut rows = sys::SONDE_ROWS_INIT;
        // SAFETY: class S, and we are borrowed for change.
        check(unsafe { sys::sonde_row_sampler_draw(self.raw.as_ptr(), count as i64, &mut rows) })?;
        Ok(taken(&rows))
    }

    /// The same for what the inputs name, such as the queries of this training step.
    pub fn draw_for(&mut self, inputs: &[Input<'_>], count: usize) -> Result<Rows> {
        let (raw, dim) = (self.raw.as_ptr(), self.dim());
        let mut rows = sys::SONDE_ROWS_INIT;
        // SAFETY: class S, and we are borrowed for change; the inputs live during the call.
        with_inputs(inputs, dim, |inputs, inputs_count| unsafe {
            sys::sonde_row_sampler_draw_for(raw, inputs, inputs_count, count as i64, &mut rows)
        })?;
        Ok(taken(&rows))
    }

    /// One more column of the last draw or observation, such as `"ranks"`.
    pub fn output(&self, name: &str) -> Result<Column> {
        // SAFETY: class A; what comes is valid until the next draw, which needs &mut self.
        unsafe { output_of(name, |name, array| sys::sonde_row_sampler_output(self.raw(), name, array)) }
    }

    /// Tells what came of the draws, or that the data has changed.
    pub fn observe(&mut self, inputs: &[Input<'_>]) -> Result<()> {
        let (raw, dim) = (self.raw.as_ptr(), self.dim());
        // SAFETY: class S, and we are borrowed for change; the inputs live during the call.
        with_inputs(inputs, dim, |inputs, count| unsafe { sys::sonde_row_sampler_observe(raw, inputs, count) })
    }

    /// The loss of the method's paper on one batch, and its derivatives by the inputs that the gradients name.
    pub fn loss(&self, inputs: &[Input<'_>], gradients: &mut [Gradient<'_>]) -> Result<f64> {
        let names = gradients.iter().map(|one| c_string("a gradient's name", one.name)).collect::<Result<Vec<_>>>()?;
        let arrays = gradients.iter_mut().map(|one| self.gradient(inputs, one)).collect::<Result<Vec<_>>>()?;
        let wanted: Vec<_> =
            names.iter().zip(&arrays).map(|(name, array)| sys::sonde_input { name: name.as_ptr(), array }).collect();
        let mut loss = 0.0;
        // SAFETY: class A; inputs and gradients live during the call, and the latter have the shapes of their inputs.
        with_inputs(inputs, self.dim(), |inputs, count| unsafe {
            sys::sonde_row_sampler_loss(self.raw(), inputs, count, wanted.as_ptr(), wanted.len(), &mut loss)
        })?;
        Ok(loss)
    }

    /// The memory of a gradient in the shape of its input.
    fn gradient(&self, inputs: &[Input<'_>], gradient: &mut Gradient<'_>) -> Result<sys::sonde_array> {
        let missing = || Error::invalid(format!("loss: gradient '{}' is none of the inputs given", gradient.name));
        let input = inputs.iter().find(|input| input.name == gradient.name).ok_or_else(missing)?;
        let array = input.array(self.dim())?;
        crate::matrix::output("loss", gradient.values, rows_of(&array), array.cols as usize)
    }

    /// Joins the sampler of another shard into this one, which then draws from the rows of both.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        // SAFETY: class C on us, who are borrowed for change, and A on the other.
        check(unsafe { sys::sonde_row_sampler_merge(self.raw.as_ptr(), other.raw()) })
    }

    /// Goes to the beginning of a pass, 0 = the first.
    pub fn seek(&mut self, pass: i64) -> Result<()> {
        // SAFETY: class S, and we are borrowed for change.
        check(unsafe { sys::sonde_row_sampler_seek(self.raw.as_ptr(), pass) })
    }

    /// Whether it can be drawn from.
    pub fn is_fitted(&self) -> bool {
        // SAFETY: class A.
        unsafe { sys::sonde_row_sampler_fitted(self.raw()) }
    }
}

/// Copies: the arrays of C go with the next draw.
fn taken(rows: &sys::sonde_rows) -> Rows {
    let count = rows.count as usize;
    // SAFETY: C has just filled the struct, and its arrays hold `count` values.
    unsafe {
        Rows {
            ids: copied(rows.ids, count),
            weights: copied(rows.weights, count),
            groups: (!rows.groups.is_null()).then(|| copied(rows.groups, count)),
            pass: rows.pass,
            last: rows.last != 0,
        }
    }
}
