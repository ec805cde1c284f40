//! `<sys/event_private.h>`: what the SDK does not have of kqueues (XNU `bsd/sys/event_private.h`;
//! up to macOS 12 `bsd/sys/event.h`).

header! {
    header "sys/event_private.h", private;

    /// A change or an event of `kevent_qos`.
    struct kevent_qos_s: 72, 8, () {
        /// What it is about.
        ident: u64 = 0,
        /// The filter.
        filter: i16 = 8,
        /// `EV_ADD` and the like.
        flags: u16 = 10,
        /// Quality of service.
        qos: i32 = 12,
        /// The user's own.
        udata: u64 = 16,
        /// Flags of the filter.
        fflags: u32 = 24,
        /// Further flags of the filter.
        xflags: u32 = 28,
        /// Data of the filter.
        data: i64 = 32,
        /// Extensions of the filter.
        ext: [u64; 4] = 40,
    }
}
