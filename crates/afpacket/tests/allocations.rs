//! Receiving and sending allocate nothing.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use afpacket::{Options, Outgoing, Slot};
use common::{TYPE_TEST, frame, open_with, pair};

#[test]
fn none_per_batch() {
    if !pair(1500) {
        return;
    }
    for (vnet_hdr, xdp_send) in [(false, false), (true, false), (true, true)] {
        let options = Options { vnet_hdr, xdp_send, ..Options::default() };
        let (mut one, mut other) = (open_with("v0", &options), open_with("v1", &options));
        let mut tagged = frame(600, TYPE_TEST, 1);
        tagged.splice(12..12, [0x81, 0, 0, 9]);
        let too_big = frame(3000, TYPE_TEST, 2);
        let outgoing = [Outgoing::new(&tagged); 8];
        let mut buffers = [[0; 512]; 8];
        let mut spills = [[0; 512]; 8];
        let before = ALLOCATIONS.get();
        for _ in 0..100 {
            let sent = one.send(&outgoing).0;
            let refused = one.send(&[Outgoing::new(&too_big)]).1.is_some();
            let mut rooms = buffers.iter_mut().zip(&mut spills);
            let mut slots = [(); 8].map(|()| {
                let (buffer, spill) = rooms.next().expect("eight of each");
                Slot::new(buffer).with_spill(spill)
            });
            let mut received = 0;
            while received < 8 {
                received += other.receive(&mut slots).unwrap_or(0); // an error costs nothing too
            }
            assert!(sent == 8 && refused);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0);
    }
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator; the counter is a plain
// thread-local cell without destructor, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
