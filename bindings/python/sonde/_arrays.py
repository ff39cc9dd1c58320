"""Arrays for C: views of what the caller has, without a copy wherever dtype and layout allow.

NumPy arrays, the buffer protocol, __array_interface__, DLPack (bfloat16 too) and lists come in; every other dtype is
converted once to float32, with a note in the log, or refused where copy=False.

SPDX-License-Identifier: MIT
"""

import logging
from ctypes import Structure, addressof, c_char, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p, py_object
from ctypes import POINTER, cast, pythonapi
from typing import Any

import numpy as np
import numpy.typing as npt

from ._api import Dtype, sonde_array, sonde_input
from ._errors import InvalidArgument

Ids = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_logger = logging.getLogger("sonde")

# What C reads as it is. Bool and the wider types are not among them.
_NATIVE: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): int(Dtype.F32), np.dtype(np.float16): int(Dtype.F16),
    np.dtype(np.int8): int(Dtype.I8), np.dtype(np.uint8): int(Dtype.U8)}


class View(sonde_array):
    """A sonde_array that keeps alive what it points into."""

    owner: Any
    single = False  # whether the caller gave one vector, not a matrix


def address(array: npt.NDArray[Any]) -> int:
    """Where the elements begin. Through the buffer protocol it takes half the time, but not all arrays offer that."""
    try:
        return addressof(c_char.from_buffer(array))  # type: ignore[arg-type]  # no buffer for stubs before 3.12
    except (TypeError, ValueError):  # read-only, empty or strided
        return array.ctypes.data


def _view(array: npt.NDArray[Any], dtype: int, single: bool, columns: int | None = None) -> View:
    rows = array.shape[0]
    view = View(address(array), rows, columns or array.shape[1], array.strides[0] if rows > 1 else 0, dtype)
    view.owner = array
    if single:
        view.single = True
    return view


# ---- DLPack ----------------------------------------------------------------------------------------------------------


class _DLTensor(Structure):
    """struct DLTensor of DLPack; a managed tensor begins with it."""

    _fields_ = [("data", c_void_p), ("device_type", c_int32), ("device_id", c_int32), ("ndim", c_int32),
                ("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16), ("shape", POINTER(c_int64)),
                ("strides", POINTER(c_int64)), ("byte_offset", c_uint64)]


_DLPACK_CPU = 1
_DLPACK_BFLOAT = 4
_DLPACK = {(2, 32): np.float32, (2, 16): np.float16, (2, 64): np.float64, (0, 8): np.int8, (0, 16): np.int16,
           (0, 32): np.int32, (0, 64): np.int64, (1, 8): np.uint8, (1, 16): np.uint16, (1, 32): np.uint32,
           (1, 64): np.uint64, (6, 8): np.bool_}

_capsule_pointer = pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = c_void_p
_capsule_pointer.argtypes = [py_object, c_void_p]
_CAPSULE_NAME = b"dltensor"


class _Borrowed:
    """A DLPack tensor as __array_interface__; the capsule, never consumed, frees the tensor when it goes."""

    def __init__(self, source: Any, name: str) -> None:
        self.capsule = source.__dlpack__()
        tensor = cast(_capsule_pointer(self.capsule, _CAPSULE_NAME), POINTER(_DLTensor)).contents
        if tensor.device_type != _DLPACK_CPU:
            raise InvalidArgument(f"{name}: the tensor is on device type {tensor.device_type}, move it to the CPU")
        self.bfloat16 = (tensor.code, tensor.bits) == (_DLPACK_BFLOAT, 16)
        kind = np.uint16 if self.bfloat16 else _DLPACK.get((tensor.code, tensor.bits))
        if kind is None or tensor.lanes != 1:
            raise InvalidArgument(f"{name}: a tensor of DLPack type {tensor.code} with {tensor.bits} bits is not known")
        self.__array_interface__ = self._interface(tensor, np.dtype(kind))

    @staticmethod
    def _interface(tensor: _DLTensor, dtype: np.dtype[Any]) -> dict[str, Any]:
        shape = tuple(tensor.shape[:tensor.ndim])
        strides = tuple(step * dtype.itemsize for step in tensor.strides[:tensor.ndim]) if tensor.strides else None
        data = (tensor.data or 0) + tensor.byte_offset
        return {"version": 3, "shape": shape, "typestr": dtype.str, "data": (data, True), "strides": strides}


# ---- Matrices --------------------------------------------------------------------------------------------------------


def _as_numpy(source: Any, name: str, copy: bool | None) -> tuple[npt.NDArray[Any], bool]:
    """As a NumPy array over the same memory where there is some; whether its 16-bit words are bfloat16."""
    if hasattr(source, "__dlpack__") and not isinstance(source, np.ndarray):
        tensor = _Borrowed(source, name)
        return np.asarray(tensor), tensor.bfloat16
    array = np.asarray(source)
    if copy is False and isinstance(source, (list, tuple)):
        raise InvalidArgument(f"{name}: a {type(source).__name__} needs a copy, and copy=False forbids it")
    if array.dtype.name == "bfloat16":  # ml_dtypes; NumPy itself has none
        return array.view(np.uint16), True
    return array, False


def _convert(array: npt.NDArray[Any], name: str, copy: bool | None, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    layout = f"{array.dtype} with strides {array.strides}"
    if array.dtype.kind not in "biuf":
        raise InvalidArgument(f"{name}: {array.dtype} is no numeric dtype; f32 f16 bf16 i8 u8 are used as they are")
    if copy is False:
        raise InvalidArgument(f"{name}: {layout} needs a copy as packed {dtype}, and copy=False forbids it")
    _logger.info("%s: %s was copied as packed %s", name, layout, dtype)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which C refuses by row
        return np.ascontiguousarray(array, dtype)


def _matrix(array: npt.NDArray[Any], name: str) -> tuple[npt.NDArray[Any], bool]:
    if array.ndim == 1:
        return array[None, :], True
    if array.ndim != 2:
        raise InvalidArgument(f"{name}: {array.ndim} dimensions, expected a matrix of one vector a row, or a vector")
    return array, False


def _rows_in_place(array: npt.NDArray[Any]) -> bool:
    """Elements of a row side by side, rows in order and not overlapping."""
    if array.flags.c_contiguous:
        return True
    rows, columns = array.shape
    row_bytes = columns * array.itemsize
    return (columns <= 1 or array.strides[1] == array.itemsize) and (rows <= 1 or array.strides[0] >= row_bytes)


def matrix(source: Any, name: str, copy: bool | None = None) -> View:
    """Vectors for C; one vector is a matrix of one row."""
    dtype: int | None
    if type(source) is np.ndarray and source.dtype in _NATIVE:
        array, dtype = source, _NATIVE[source.dtype]
    else:
        array, bfloat16 = _as_numpy(source, name, copy)
        dtype = Dtype.BF16 if bfloat16 else _NATIVE.get(array.dtype)
    array, single = _matrix(array, name)
    if dtype is None or not _rows_in_place(array):
        packed = array.dtype if dtype is not None else np.dtype(np.float32)
        array, dtype = _convert(array, name, copy, packed), dtype or Dtype.F32
    return _view(array, dtype, single)


def bit_matrix(source: Any, name: str, bits: int, copy: bool | None = None) -> View:
    """Bits for C: uint8 packed with column 0 in the lowest bit (np.packbits(..., bitorder="little")), or booleans."""
    array, single = _matrix(_as_numpy(source, name, copy)[0], name)
    if array.dtype == np.bool_:
        if copy is False:
            raise InvalidArgument(f"{name}: bool needs a copy as packed bits, and copy=False forbids it")
        columns = array.shape[1]
        array = np.packbits(array, axis=1, bitorder="little")
    else:
        columns = bits if array.shape[1] == (bits + 7) // 8 else 8 * array.shape[1]
    if array.dtype != np.uint8:
        raise InvalidArgument(f"{name}: {array.dtype} holds no bits; expected bool, or uint8 packed lowest bit first")
    if not _rows_in_place(array):
        array = _convert(array, name, copy, array.dtype)
    return _view(array, Dtype.BITS, single, columns)


def inputs(named: dict[str, View]) -> Any:
    """The list of named inputs that train takes."""
    pairs = [sonde_input(name.encode(), POINTER(sonde_array)(view)) for name, view in named.items()]
    return (sonde_input * len(pairs))(*pairs)


# ---- Identifiers -----------------------------------------------------------------------------------------------------


def identifiers(source: Any, name: str = "ids") -> Ids:
    """Packed int64; other integers are converted."""
    array = np.asarray(source)
    if array.size == 0 and array.dtype.kind == "f":  # an empty list
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InvalidArgument(f"{name}: {array.dtype} values, expected integers")
    if array.ndim > 1:
        raise InvalidArgument(f"{name}: {array.ndim} dimensions, expected one")
    return np.ascontiguousarray(array.reshape(-1), np.int64)


# ---- Outputs ---------------------------------------------------------------------------------------------------------


def output(out: npt.NDArray[Any] | None, shape: tuple[int, ...], dtype: type, name: str = "out") -> npt.NDArray[Any]:
    """A new array, or the caller's if it is exactly what is needed."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype or out.shape != shape:
        got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InvalidArgument(f"{name}: {got}, expected an array of {np.dtype(dtype)} {shape}")
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise InvalidArgument(f"{name}: the array must be C-contiguous and writeable")
    return out


def target(array: npt.NDArray[Any], dtype: int, columns: int | None = None) -> View:
    """An output array of packed rows for C to fill."""
    return _view(array[None, :] if array.ndim == 1 else array, dtype, array.ndim == 1, columns)


class _Foreign:
    """Memory of the library as __array_interface__; the owner goes with the last array over it."""

    def __init__(self, owner: Any, data: int, count: int, dtype: np.dtype[Any]) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "shape": (count,), "typestr": dtype.str, "data": (data, False)}


def foreign(owner: Any, data: int | None, count: int, dtype: type) -> npt.NDArray[Any]:
    """An array over memory that `owner` frees."""
    if count == 0 or data is None:
        return np.empty(0, dtype)
    return np.asarray(_Foreign(owner, data, count, np.dtype(dtype)))


_COLUMNS: dict[int, type] = {
    int(Dtype.F32): np.float32, int(Dtype.I64): np.int64, int(Dtype.I32): np.int32, int(Dtype.U8): np.uint8,
    int(Dtype.I8): np.int8}


def column_of(column: sonde_array) -> npt.NDArray[Any]:
    """A copy of a view that C gave, whose rows may lie apart: a vector where it has one column."""
    dtype = np.dtype(_COLUMNS[column.dtype])
    row_bytes = column.cols * dtype.itemsize
    stride = column.stride or row_bytes
    memory = foreign(None, column.data, max(0, (column.rows - 1) * stride + row_bytes), np.uint8)
    view: npt.NDArray[Any] = np.ndarray((column.rows, column.cols), dtype, memory, strides=(stride, dtype.itemsize))
    return view[:, 0].copy() if column.cols == 1 else view.copy()
