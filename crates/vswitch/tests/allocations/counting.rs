//! An allocator that counts, on each thread for itself, while it is told to.
#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static TOLD_AT: Cell<usize> = const { Cell::new(0) };
}

/// After so many more, an allocation is not expected: the first such is told of on stderr, with
/// the way to it.
pub(crate) fn tell_of_one_after(allowed: usize) {
    TOLD_AT.set(ALLOCATIONS.get() + allowed + 1);
}

/// Does `work`; how many allocations this thread made for it.
pub(crate) fn allocations_in(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    let counted = COUNTS.replace(true);
    work();
    COUNTS.set(counted);
    ALLOCATIONS.get() - before
}

/// Does `work`, whose allocations are not the caller's.
pub(crate) fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let counted = COUNTS.replace(false);
    let done = work();
    COUNTS.set(counted);
    done
}

struct Counting;

impl Counting {
    fn count() {
        if !COUNTS.get() {
            return;
        }
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        if ALLOCATIONS.get() == TOLD_AT.get() {
            uncounted(|| eprintln!("an allocation\n{}", Backtrace::force_capture()));
        }
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator. What counts allocates only
// while it does not count, so it ends; its cells are plain thread-locals without destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        Self::count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, new_len) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn what_is_allocated_is_counted_and_what_is_not_asked_for_is_not() {
    let growing = |vector: &mut Vec<u8>| vector.extend_from_slice(&[1; 100]);
    let mut vector = Vec::with_capacity(1);
    assert_eq!(allocations_in(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations_in(|| growing(&mut vector)), 1, "a realloc");
    assert_eq!(allocations_in(|| drop(std::hint::black_box(vec![0_u8; 100]))), 1, "zeroed");
    let outside = || drop(uncounted(|| std::hint::black_box(Box::new(1))));
    assert_eq!(allocations_in(outside), 0);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations_in(|| {}), 0);
}
