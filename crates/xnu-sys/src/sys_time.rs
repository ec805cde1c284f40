//! `<sys/time.h>`: spans and times (XNU `bsd/sys/time.h`, `bsd/sys/_types/_timeval.h`).

header! {
    header "sys/time.h", public;

    /// Seconds and microseconds.
    struct timeval: 16, 8, () {
        /// Seconds.
        tv_sec: i64 = 0,
        /// Microseconds.
        tv_usec: i32 = 8,
        /// Nothing.
        tv_pad0: u32 = 12,
    }

    /// Seconds and microseconds in 8 bytes, as BPF stamps packets.
    struct timeval32: 8, 4, () {
        /// Seconds.
        tv_sec: i32 = 0,
        /// Microseconds.
        tv_usec: i32 = 4,
    }
}
