//! Matrices that the library reads: slices, views with a stride, arrays of the crate `ndarray`.
//!
//! Nothing is copied: each becomes a `sonde_array` for the duration of one call.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{Error, Result};
use sonde_sys as sys;

pub(crate) mod sealed {
    use super::*;

    /// # Safety
    /// `Self` has no padding and no invalid bits, and is one unit of `DTYPE`, which holds `COLUMNS` columns.
    pub unsafe trait Unit: Copy {
        const DTYPE: sys::sonde_dtype;
        const COLUMNS: usize = 1;
    }

    /// # Safety
    /// The array that comes out describes memory that stays readable as long as `self` is borrowed.
    pub unsafe trait AsArray {
        /// `verb` and `cols` are those of the call: a plain slice has as many columns as the call wants.
        fn array_for(&self, verb: &str, cols: usize) -> Result<sys::sonde_array>;
    }
}

pub(crate) use sealed::{AsArray, Unit};

/// The types of elements: `f32`, `i8`, `u8`, `i32` and `i64` (ids, labels, counts), [`F16`], [`Bf16`], [`Bits`], and
/// those of the crate `half` with the feature of that name.
pub trait Element: Unit {}

/// Rows of vectors that a call reads: `[T]`, `Vec<T>`, `[T; N]` (packed rows, as many columns as the call wants),
/// [`MatrixView`], and two-dimensional arrays of the crate `ndarray` with the feature of that name.
pub trait Matrix: AsArray {}

/// A 16-bit floating point number (IEEE 754 binary16) by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The upper half of an `f32` by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

/// Eight columns of one bit each; column 0 is the lowest bit of the first byte of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bits(pub u8);

macro_rules! element {
    ($type:ty, $dtype:ident, $columns:expr) => {
        // SAFETY: a number, or a transparent wrapper of one, of the size that the dtype has.
        unsafe impl Unit for $type {
            const DTYPE: sys::sonde_dtype = sys::$dtype;
            const COLUMNS: usize = $columns;
        }
        impl Element for $type {}
    };
}

element!(f32, SONDE_DTYPE_F32, 1);
element!(i8, SONDE_DTYPE_I8, 1);
element!(u8, SONDE_DTYPE_U8, 1);
element!(F16, SONDE_DTYPE_F16, 1);
element!(Bf16, SONDE_DTYPE_BF16, 1);
element!(Bits, SONDE_DTYPE_BITS, 8);
element!(i32, SONDE_DTYPE_I32, 1);
element!(i64, SONDE_DTYPE_I64, 1);
#[cfg(feature = "half")]
element!(half::f16, SONDE_DTYPE_F16, 1);
#[cfg(feature = "half")]
element!(half::bf16, SONDE_DTYPE_BF16, 1);

macro_rules! wrapper_of {
    ($type:ident, $bits:ty) => {
        impl $type {
            /// Sees numbers as elements, without a copy.
            pub fn slice(bits: &[$bits]) -> &[Self] {
                // SAFETY: the wrapper is transparent.
                unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
            }
        }
    };
}

wrapper_of!(F16, u16);
wrapper_of!(Bf16, u16);
wrapper_of!(Bits, u8);

/// Elements of a slice that one packed row takes.
pub(crate) fn units_of<T: Unit>(cols: usize) -> usize {
    cols / T::COLUMNS + usize::from(cols % T::COLUMNS != 0)
}

/// A borrowed matrix: rows one after the other, perhaps with a gap between them.
#[derive(Clone, Copy)]
pub struct MatrixView<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a, T: Element> MatrixView<'a, T> {
    /// Packed rows of `cols` columns. The length must be a multiple of a row's.
    pub fn new(data: &'a [T], cols: usize) -> Result<Self> {
        let rows = packed_rows("MatrixView", data.len(), units_of::<T>(cols))?;
        Ok(Self { data, rows, cols, stride: units_of::<T>(cols) })
    }

    /// `rows` rows of `cols` columns; row `i` begins at element `i * stride` of `data`.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Result<Self> {
        let row = units_of::<T>(cols);
        let needed = rows.saturating_sub(1).checked_mul(stride).and_then(|before| before.checked_add(row));
        if stride < row || (rows > 0 && needed.map_or(true, |needed| needed > data.len())) {
            return Err(Error::invalid(format!(
                "MatrixView: {rows} rows of {row} elements, {stride} apart, do not fit into {} elements",
                data.len()
            )));
        }
        Ok(Self { data, rows, cols, stride })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }
}

impl<T> std::fmt::Debug for MatrixView<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MatrixView({} x {}, stride {})", self.rows, self.cols, self.stride)
    }
}

fn packed_rows(verb: &str, length: usize, row: usize) -> Result<usize> {
    if row == 0 || length % row != 0 {
        return Err(Error::invalid(format!("{verb}: a slice of {length} elements is not whole rows of {row}")));
    }
    Ok(length / row)
}

fn raw_array<T: Unit>(data: *const T, rows: usize, cols: usize, stride: usize) -> sys::sonde_array {
    sys::sonde_array {
        data: data.cast_mut().cast(),
        rows: rows as i64,
        cols: cols as i64,
        stride: (stride * std::mem::size_of::<T>()) as i64,
        dtype: T::DTYPE,
        reserved: 0,
    }
}

/// A view of packed rows for the library to write.
pub(crate) fn output<T: Unit>(verb: &str, out: &mut [T], rows: usize, cols: usize) -> Result<sys::sonde_array> {
    let row = units_of::<T>(cols);
    if rows.checked_mul(row) != Some(out.len()) {
        return Err(Error::invalid(format!(
            "{verb}: the output holds {} elements, {rows} x {row} are needed",
            out.len()
        )));
    }
    Ok(raw_array(out.as_mut_ptr(), rows, cols, row))
}

/// Rows of an array that came from `array_for`.
pub(crate) fn rows_of(array: &sys::sonde_array) -> usize {
    array.rows as usize
}

// SAFETY: the view lies within a slice that is borrowed for longer than the view.
unsafe impl<T: Element> AsArray for MatrixView<'_, T> {
    fn array_for(&self, _verb: &str, _cols: usize) -> Result<sys::sonde_array> {
        Ok(raw_array(self.data.as_ptr(), self.rows, self.cols, self.stride))
    }
}

// SAFETY: rows x row elements are the whole slice.
unsafe impl<T: Element> AsArray for [T] {
    fn array_for(&self, verb: &str, cols: usize) -> Result<sys::sonde_array> {
        let row = units_of::<T>(cols);
        Ok(raw_array(self.as_ptr(), packed_rows(verb, self.len(), row)?, cols, row))
    }
}

macro_rules! as_slice {
    ($type:ty, $($generics:tt)*) => {
        // SAFETY: that of the slice.
        unsafe impl<$($generics)*> AsArray for $type {
            fn array_for(&self, verb: &str, cols: usize) -> Result<sys::sonde_array> {
                self[..].array_for(verb, cols)
            }
        }
        impl<$($generics)*> Matrix for $type {}
    };
}

as_slice!(Vec<T>, T: Element);
as_slice!([T; N], T: Element, const N: usize);
impl<T: Element> Matrix for [T] {}
impl<T: Element> Matrix for MatrixView<'_, T> {}

// SAFETY: that of what is referred to, which is borrowed for longer.
unsafe impl<M: AsArray + ?Sized> AsArray for &M {
    fn array_for(&self, verb: &str, cols: usize) -> Result<sys::sonde_array> {
        (**self).array_for(verb, cols)
    }
}
impl<M: Matrix + ?Sized> Matrix for &M {}

// SAFETY: rows lie `stride` elements apart within the array, and the elements of a row one after the other.
#[cfg(feature = "ndarray")]
unsafe impl<S: ndarray::Data<Elem = T>, T: Element> AsArray for ndarray::ArrayBase<S, ndarray::Ix2> {
    fn array_for(&self, verb: &str, _cols: usize) -> Result<sys::sonde_array> {
        let (rows, units) = self.dim();
        let (row, column) = (self.strides()[0], self.strides()[1]);
        if (units > 1 && column != 1) || (rows > 1 && row < units as isize) {
            return Err(Error::invalid(format!(
                "{verb}: the elements of a row do not lie one after the other (strides {row}, {column}); \
                 as_standard_layout() makes such an array"
            )));
        }
        Ok(raw_array(self.as_ptr(), rows, units * T::COLUMNS, if rows > 1 { row as usize } else { units }))
    }
}
#[cfg(feature = "ndarray")]
impl<S: ndarray::Data<Elem = T>, T: Element> Matrix for ndarray::ArrayBase<S, ndarray::Ix2> {}

/// A named input of `train_inputs`, `fit`, `draw_for`, `observe` and `loss`.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub(crate) name: &'a str,
    matrix: &'a dyn Matrix,
    column: bool,
}

impl<'a> Input<'a> {
    /// The method's table (`sonde list`, or [`methods`](crate::methods)) has the names.
    pub fn new(name: &'a str, matrix: &'a impl Matrix) -> Self {
        Self { name, matrix, column: false }
    }

    /// As [`new`](Self::new), where a plain slice is one column: one value for each row.
    pub fn column(name: &'a str, values: &'a impl Matrix) -> Self {
        Self { name, matrix: values, column: true }
    }

    pub(crate) fn array(&self, cols: usize) -> Result<sys::sonde_array> {
        self.matrix.array_for(self.name, if self.column { 1 } else { cols })
    }
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Calls C with the inputs in its form. A plain slice among them has `cols` columns.
pub(crate) fn with_inputs(
    inputs: &[Input<'_>],
    cols: usize,
    call: impl FnOnce(*const sys::sonde_input, usize) -> sys::sonde_status,
) -> Result<()> {
    let names =
        inputs.iter().map(|one| crate::open::c_string("an input's name", one.name)).collect::<Result<Vec<_>>>()?;
    let arrays = inputs.iter().map(|one| one.array(cols)).collect::<Result<Vec<_>>>()?;
    let raw: Vec<_> =
        names.iter().zip(&arrays).map(|(name, array)| sys::sonde_input { name: name.as_ptr(), array }).collect();
    crate::error::check(call(raw.as_ptr(), raw.len()))
}
