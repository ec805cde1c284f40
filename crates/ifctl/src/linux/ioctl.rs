//! The ioctls on interfaces for which rtnetlink has no equal (netdevice(7)). They go through the
//! rtnetlink socket itself, since `sock_do_ioctl` (net/socket.c) hands to the device layer what
//! the protocol does not know: so they meet the same namespace as its messages.
#![allow(unsafe_code, reason = "ioctl takes a pointer, and there is no safe wrapper for these")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Makes the interface `member` a port of `bridge`. Unlike setting a link's master, which takes it
/// from the bridge it belongs to, this fails with EBUSY if it belongs to any.
pub(super) fn add_bridge_port(socket: BorrowedFd<'_>, bridge: &str, member: u32) -> io::Result<()> {
    bridge_port(socket, SIOCBRADDIF, bridge, member)
}

/// Takes the interface `member` out of `bridge`; fails with EINVAL if it is not in that one.
pub(super) fn remove_bridge_port(
    socket: BorrowedFd<'_>,
    bridge: &str,
    member: u32,
) -> io::Result<()> {
    bridge_port(socket, SIOCBRDELIF, bridge, member)
}

/// How many features an interface can have at all (`ETHTOOL_GSSET_INFO`): a constant of the kernel.
pub(super) fn feature_count(socket: BorrowedFd<'_>, name: &str) -> io::Result<usize> {
    // struct ethtool_sset_info: cmd, reserved, 64-bit mask of sets, a count for each set.
    let mask = (1_u64 << ETH_SS_FEATURES).to_ne_bytes();
    let [low, high] = [0, 4].map(|at| u32::from_ne_bytes([0, 1, 2, 3].map(|i| mask[at + i])));
    let mut buffer = [ETHTOOL_GSSET_INFO, 0, low, high, 0];
    // SAFETY: one set is asked for, so the kernel writes one count behind the mask.
    unsafe { ethtool(socket, name, &mut buffer) }?;
    usize::try_from(buffer[4]).map_err(io::Error::other)
}

/// The names of all features (`ETHTOOL_GSTRINGS`), in the order of their bits.
pub(super) fn feature_names(
    socket: BorrowedFd<'_>,
    name: &str,
    count: usize,
) -> io::Result<Vec<String>> {
    // struct ethtool_gstrings: cmd, set, count, strings of 32 bytes. The kernel writes as many as
    // it has, whatever the count says: the constant that `feature_count` read. Room is made for
    // far more than any kernel has, and a count beyond that is refused.
    if count > FEATURES_MAX {
        return Err(io::Error::other("more features than any kernel has"));
    }
    let mut buffer = vec![0; 3 + FEATURES_MAX * STRING_LEN / 4];
    buffer[0] = ETHTOOL_GSTRINGS;
    buffer[1] = ETH_SS_FEATURES;
    // SAFETY: see above; `count` of this kernel, for this set, fits in the buffer.
    unsafe { ethtool(socket, name, &mut buffer) }?;
    let bytes: Vec<u8> = buffer[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok(bytes.chunks_exact(STRING_LEN).take(count).map(super::attributes::text_in).collect())
}

/// 32 features of an interface, one per bit (`struct ethtool_get_features_block`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FeatureBlock {
    /// Can be changed.
    pub(super) available: u32,
    /// Is on.
    pub(super) active: u32,
}

/// What is on of `count` features, and what of it can be changed (`ETHTOOL_GFEATURES`).
pub(super) fn features(
    socket: BorrowedFd<'_>,
    name: &str,
    count: usize,
) -> io::Result<Vec<FeatureBlock>> {
    // struct ethtool_gfeatures: cmd, number of blocks, blocks of four words.
    let blocks = count.div_ceil(32);
    let mut buffer = vec![0; 2 + 4 * blocks];
    buffer[0] = ETHTOOL_GFEATURES;
    buffer[1] = u32::try_from(blocks).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most the number of blocks that it is told, and there is room
    // for them.
    unsafe { ethtool(socket, name, &mut buffer) }?;
    let block = |words: &[u32]| FeatureBlock { available: words[0], active: words[2] };
    Ok(buffer[2..].chunks_exact(4).map(block).collect())
}

/// Turns off the features whose bits are set in `off` (`ETHTOOL_SFEATURES`).
pub(super) fn turn_off(socket: BorrowedFd<'_>, name: &str, off: &[u32]) -> io::Result<()> {
    // struct ethtool_sfeatures: cmd, number of blocks, blocks of (valid, requested).
    let mut buffer = vec![ETHTOOL_SFEATURES];
    buffer.push(u32::try_from(off.len()).map_err(io::Error::other)?);
    buffer.extend(off.iter().flat_map(|&valid| [valid, 0]));
    // SAFETY: the kernel reads the blocks that it is told of, and writes none.
    unsafe { ethtool(socket, name, &mut buffer) }
}

fn bridge_port(
    socket: BorrowedFd<'_>,
    request: libc::Ioctl,
    bridge: &str,
    member: u32,
) -> io::Result<()> {
    let ifru_ifindex = i32::try_from(member).map_err(io::Error::other)?;
    let mut argument = libc::ifreq {
        ifr_name: name_field(bridge)?,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_ifindex },
    };
    // SAFETY: SIOCBRADDIF and SIOCBRDELIF read a name and an index from a `struct ifreq`, which
    // `argument` is, initialised (ifru_ifindex is what they read), for the time of the call.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut argument) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Gives the ethtool command in `buffer` to the interface `name`; the answer is in `buffer`.
///
/// # Safety
/// `buffer` begins with a command's number, and the kernel must write no more than fits in it for
/// that command and the lengths it holds.
unsafe fn ethtool(socket: BorrowedFd<'_>, name: &str, buffer: &mut [u32]) -> io::Result<()> {
    let ifru_data = buffer.as_mut_ptr().cast();
    let mut argument = libc::ifreq {
        ifr_name: name_field(name)?,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data },
    };
    // SAFETY: SIOCETHTOOL takes a `struct ifreq` with a pointer to the command, which `argument`
    // is; `buffer` is borrowed for the call, aligned for the kernel (which copies bytes), and big
    // enough by this function's contract.
    let outcome =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut argument) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `name`, terminated by a zero.
fn name_field(name: &str) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut field = [0; libc::IFNAMSIZ];
    if name.len() >= field.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(field)
}

// include/uapi/linux/sockios.h
const SIOCBRADDIF: libc::Ioctl = 0x89a2;
const SIOCBRDELIF: libc::Ioctl = 0x89a3;
// include/uapi/linux/ethtool.h
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETH_SS_FEATURES: u32 = 4;
const STRING_LEN: usize = 32;
/// Linux 6.18 has 64 or so; they are bits of one 64-bit number.
const FEATURES_MAX: usize = 1024;
