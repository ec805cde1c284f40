//! `<sys/fcntl.h>`: opening descriptors and their flags (XNU `bsd/sys/fcntl.h`).

header! {
    header "sys/fcntl.h", public;

    /// Opens for reading alone.
    const O_RDONLY: i32 = 0;
    /// Opens for writing alone.
    const O_WRONLY: i32 = 1;
    /// Opens for reading and writing.
    const O_RDWR: i32 = 2;
    /// Calls do not wait.
    const O_NONBLOCK: i32 = 4;
    /// Not passed on to programs that this one starts.
    const O_CLOEXEC: i32 = 0x0100_0000;
    /// Gets the descriptor's flags.
    const F_GETFD: i32 = 1;
    /// Sets the descriptor's flags.
    const F_SETFD: i32 = 2;
    /// Gets the open file's flags.
    const F_GETFL: i32 = 3;
    /// Sets the open file's flags.
    const F_SETFL: i32 = 4;
    /// The descriptor is not passed on to programs that this one starts.
    const FD_CLOEXEC: i32 = 1;
}
