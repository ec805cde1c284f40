//! `<sys/event.h>`: kqueues (XNU `bsd/sys/event.h`).

header! {
    header "sys/event.h", public;

    /// A change to, or an event of, a kqueue.
    struct kevent64_s: 48, 8, () {
        /// What it is about: a descriptor's number, for the filters of descriptors.
        ident: u64 = 0,
        /// `EVFILT_READ` and the like.
        filter: i16 = 8,
        /// `EV_ADD` and the like.
        flags: u16 = 10,
        /// Flags of the filter.
        fflags: u32 = 12,
        /// Data of the filter.
        data: i64 = 16,
        /// The user's own.
        udata: u64 = 24,
        /// Extensions of the filter.
        ext: [u64; 2] = 32,
    }
}
