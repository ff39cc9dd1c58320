//! What stands between C and the closures of the caller: a panic must not travel through frames of C.
//!
//! A closure that panics is answered for: the call that it served is told to stop, and what the panic said is kept for
//! the error that this call then returns. C calls closures on the thread that called it only, so a slot for each thread
//! is enough. In a thread that is ending the slot may be gone; the text is then lost, the error is not.
//!
//! SPDX-License-Identifier: MIT

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};

thread_local! {
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

/// Calls a closure; gives `on_panic` where it panics and keeps what it said.
///
/// Asserting unwind safety is right here: the caller gets an error, and state of his that the closure left half
/// changed is guarded by what he chose for it (a `Mutex` is poisoned, for example).
pub(crate) fn guard<R>(on_panic: R, closure: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(closure)).unwrap_or_else(|payload| {
        let _ = PANIC.try_with(|slot| slot.set(Some(said(payload.as_ref()))));
        // A payload whose drop panics would unwind into C; forgetting it is the only certain way out.
        std::mem::forget(payload);
        on_panic
    })
}

/// As `guard`, for a closure whose failure cannot stop anything: its panic is dropped.
pub(crate) fn shield(closure: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(closure)) {
        std::mem::forget(payload);
    }
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

pub(crate) fn take_panic() -> Option<String> {
    PANIC.try_with(Cell::take).unwrap_or(None)
}

/// A call that succeeded leaves nothing behind for the next error.
#[inline]
pub(crate) fn forget_panic() {
    let _ = PANIC.try_with(Cell::take);
}
