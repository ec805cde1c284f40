//! `<sys/sys_domain.h>`: sockets of the kernel itself (XNU `bsd/sys/sys_domain.h`).

header! {
    header "sys/sys_domain.h", public;

    /// The protocol of kernel events, of `PF_SYSTEM`'s raw sockets.
    const SYSPROTO_EVENT: i32 = 1;
    /// The protocol of controls, of `PF_SYSTEM`'s sockets.
    const SYSPROTO_CONTROL: i32 = 2;
}
