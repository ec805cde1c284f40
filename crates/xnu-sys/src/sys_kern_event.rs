//! `<sys/kern_event.h>`: kernel events, which a `PF_SYSTEM` socket of the protocol
//! [`SYSPROTO_EVENT`] receives (XNU `bsd/sys/kern_event.h`).

pub use crate::sys_domain::SYSPROTO_EVENT;

use crate::KernelEvents;
use crate::sys_ioccom::{ior, iow, iowr};

header! {
    header "sys/kern_event.h", public;

    /// Any vendor.
    const KEV_ANY_VENDOR: u32 = 0;
    /// Any class.
    const KEV_ANY_CLASS: u32 = 0;
    /// Any subclass.
    const KEV_ANY_SUBCLASS: u32 = 0;
    /// Vendor: Apple.
    const KEV_VENDOR_APPLE: u32 = 1;
    /// Class: the network.
    const KEV_NETWORK_CLASS: u32 = 1;

    /// Bytes of an event before its data.
    const KEV_MSG_HEADER_SIZE: usize = 24;

    /// What an event begins with; its data follows, from offset 24 to its size.
    struct kern_event_msg: 28, 4, () {
        /// The whole event's size in bytes.
        total_size: u32 = 0,
        /// Who made it.
        vendor_code: u32 = 4,
        /// Its class.
        kev_class: u32 = 8,
        /// Its subclass.
        kev_subclass: u32 = 12,
        /// Counts up.
        id: u32 = 16,
        /// What happened: `KEV_DL_IF_DETACHED` and the like.
        event_code: u32 = 20,
        /// The data's first word.
        event_data: [u32; 1] = 24,
    }

    /// Which events a socket receives; none until it has said so.
    struct kev_request: 12, 4, () {
        /// Vendor.
        vendor_code: u32 = 0,
        /// Class.
        kev_class: u32 = 4,
        /// Subclass.
        kev_subclass: u32 = 8,
    }

    /// A vendor's number by its name.
    struct kev_vendor_code: 204, 4, () {
        /// Out: the number.
        vendor_code: u32 = 0,
        /// The name, and a zero.
        vendor_string: [u8; 200] = 4,
    }

    /// Gets the next event's number.
    request SIOCGKEVID(u32) on KernelEvents = ior::<u32>(b'e', 1), 0x4004_6501;
    /// Sets which events are received.
    request SIOCSKEVFILT(kev_request) on KernelEvents = iow::<kev_request>(b'e', 2), 0x800c_6502;
    /// Gets which events are received.
    request SIOCGKEVFILT(kev_request) on KernelEvents = ior::<kev_request>(b'e', 3), 0x400c_6503;
    /// Gets a vendor's number.
    request SIOCGKEVVENDOR(kev_vendor_code) on KernelEvents =
        iowr::<kev_vendor_code>(b'e', 4), 0xc0cc_6504;
}
