//! Where handles get threads and memory from, and whom they tell.
//!
//! SPDX-License-Identifier: MIT

use crate::callback;
use crate::enums::LogLevel;
use crate::error::{check, text, Result};
use sonde_sys as sys;
use std::ffi::{c_char, c_int, c_void};
use std::fmt;
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::Arc;

type Progress = dyn Fn(&str, u64, u64) -> ControlFlow<()> + Send + Sync;
type Log = dyn Fn(LogLevel, &str) + Send + Sync;

/// The closures of a runtime. Their address is what C hands back, so they live in a box as long as the runtime.
#[derive(Default)]
struct Callbacks {
    progress: Option<Box<Progress>>,
    log: Option<Box<Log>>,
}

struct Inner {
    raw: NonNull<sys::sonde_runtime>,
    _callbacks: Box<Callbacks>,
}

// SAFETY: sonde_runtime_cancel, _resume and _memory are of class A (any number of calls at once), sonde_runtime_free of
// class C runs in Drop, which is exclusive. The closures are Send + Sync.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the last handle of this runtime is gone, for each holds an Arc of it.
        unsafe { sys::sonde_runtime_free(self.raw.as_ptr()) }
    }
}

/// Threads, memory, progress and log for the handles that are made with it. A clone is the same runtime.
///
/// ```
/// use std::ops::ControlFlow;
/// let runtime = sonde::Runtime::builder()
///     .threads(2)
///     .memory_limit(1 << 30)
///     .progress(|stage, done, total| {
///         println!("{stage}: {done} of {total}");
///         ControlFlow::Continue(())
///     })
///     .build()?;
/// let index = sonde::Index::with_runtime("flat", 4, &runtime)?;
/// index.add(&[0.0f32; 8], None)?;
/// assert!(runtime.memory()?.used_bytes > 0);
/// # Ok::<(), sonde::Error>(())
/// ```
///
/// A closure may be called on any thread that uses a handle of this runtime, so it must be `Send + Sync`:
///
/// ```compile_fail,E0277
/// let counter = std::rc::Rc::new(std::cell::Cell::new(0));
/// let runtime = sonde::Runtime::builder().log(move |_, _| counter.set(counter.get() + 1)).build();
/// ```
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

/// Bytes that the handles of a runtime hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// now
    pub used_bytes: u64,
    /// the most so far
    pub peak_bytes: u64,
}

impl Runtime {
    /// A runtime with all defaults, to be changed.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    pub(crate) fn raw(runtime: Option<&Self>) -> *mut sys::sonde_runtime {
        runtime.map_or(std::ptr::null_mut(), |runtime| runtime.inner.raw.as_ptr())
    }

    /// Asks all work of this runtime to stop: each call that runs returns [`Cancelled`](crate::ErrorKind::Cancelled)
    /// soon. Any thread may call it. It stays in force until [`resume`](Self::resume).
    pub fn cancel(&self) {
        // SAFETY: class A on a live runtime.
        unsafe { sys::sonde_runtime_cancel(self.inner.raw.as_ptr()) }
    }

    /// Takes [`cancel`](Self::cancel) back.
    pub fn resume(&self) {
        // SAFETY: class A on a live runtime.
        unsafe { sys::sonde_runtime_resume(self.inner.raw.as_ptr()) }
    }

    /// What its handles hold, memory kept for later calls included.
    pub fn memory(&self) -> Result<Memory> {
        let (mut used_bytes, mut peak_bytes) = (0, 0);
        // SAFETY: class A on a live runtime; both outputs are ours.
        check(unsafe { sys::sonde_runtime_memory(self.inner.raw.as_ptr(), &mut used_bytes, &mut peak_bytes) })?;
        Ok(Memory { used_bytes, peak_bytes })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("memory", &self.memory().ok()).finish()
    }
}

/// Settings of a [`Runtime`].
#[derive(Default)]
#[must_use = "nothing happens before build()"]
pub struct RuntimeBuilder {
    threads: u32,
    memory_limit: u64,
    callbacks: Callbacks,
}

impl RuntimeBuilder {
    /// Most threads a call may use; 0 = the processors that this process may run on.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Most bytes that its handles may hold together; 0 = no limit.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Called with (stage, done, total) on the thread that called the library, several times a second during long work.
    /// `Break` cancels the call, which then returns [`Cancelled`](crate::ErrorKind::Cancelled) and leaves everything as
    /// it was. So does a panic, whose text then stands in the error.
    pub fn progress(mut self, closure: impl Fn(&str, u64, u64) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        self.callbacks.progress = Some(Box::new(closure));
        self
    }

    /// Called with each line of the log on the thread that called the library. Without it the library is silent. A
    /// panic in it stops there.
    pub fn log(mut self, closure: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.callbacks.log = Some(Box::new(closure));
        self
    }

    /// Makes the runtime.
    pub fn build(self) -> Result<Runtime> {
        let callbacks = Box::new(self.callbacks);
        let user: *const Callbacks = &*callbacks;
        let mut options = sys::SONDE_RUNTIME_OPTIONS_INIT;
        options.threads = self.threads;
        options.memory_limit = self.memory_limit;
        if callbacks.progress.is_some() {
            options.progress = Some(on_progress);
            options.progress_user = user.cast_mut().cast();
        }
        if callbacks.log.is_some() {
            options.log = Some(on_log);
            options.log_user = user.cast_mut().cast();
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: the options are complete; what they point to lives as long as the runtime.
        check(unsafe { sys::sonde_runtime_create(&options, &mut raw) })?;
        Ok(Runtime { inner: Arc::new(Inner { raw: crate::handle::made(raw)?, _callbacks: callbacks }) })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("threads", &self.threads)
            .field("memory_limit", &self.memory_limit)
            .finish_non_exhaustive()
    }
}

/// Gives nonzero, which cancels, where the closure breaks or panics.
unsafe extern "C" fn on_progress(stage: *const c_char, done: u64, total: u64, user: *mut c_void) -> c_int {
    // SAFETY: `user` is what build() gave, and lives as long as the runtime that calls.
    let callbacks = unsafe { &*user.cast::<Callbacks>() };
    // SAFETY: C gives a string that lives during this call.
    let stage = unsafe { text(stage) };
    callback::guard(1, || match &callbacks.progress {
        Some(closure) => c_int::from(closure(&stage, done, total).is_break()),
        None => 0,
    })
}

unsafe extern "C" fn on_log(level: u32, line: *const c_char, user: *mut c_void) {
    // SAFETY: `user` is what build() gave, and lives as long as the runtime that calls.
    let callbacks = unsafe { &*user.cast::<Callbacks>() };
    // SAFETY: C gives a string that lives during this call.
    let line = unsafe { text(line) };
    callback::shield(|| {
        if let Some(closure) = &callbacks.log {
            closure(LogLevel::from_raw(level), &line);
        }
    });
}
