//! A real QEMU without a disk: its firmware (iPXE) asks the network for an address, which needs
//! frames both ways.

use std::process::{Command, Stdio};
use std::time::Instant;

use super::Guard;

/// The machine, with its card attached by these words of QEMU's `-netdev` (with `id=n`); `start`
/// is what starts QEMU, or QEMU itself.
pub(crate) fn boot(mut start: Command, netdev: &str, mac: u8) -> Guard {
    start.args(["-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none", "-boot", "n"]);
    start.args(["-netdev", netdev, "-device"]);
    start.arg(format!("virtio-net-pci,netdev=n,mac=02:00:00:00:00:{mac:02x}"));
    start.stdin(Stdio::null()).stdout(Stdio::null());
    Guard(start.spawn().expect("QEMU starts"))
}

/// The program, if it is here.
pub(crate) fn qemu_or_skip() -> Option<Command> {
    let is_here = testkit::tool_or_skip("qemu-system-x86_64", "qemu-system-x86");
    is_here.then(|| Command::new("qemu-system-x86_64"))
}

/// Has the machine with this address get a DHCP offer, and waits until it says that it takes it.
/// `receive` gives the next frame if one comes soon, `send` takes one.
pub(crate) fn serve(
    mac: u8,
    until: Instant,
    mut receive: impl FnMut() -> Option<Vec<u8>>,
    mut send: impl FnMut(&[u8]),
) -> Result<(), &'static str> {
    let mut why = "it never asked for an address";
    while Instant::now() < until {
        let Some(frame) = receive() else { continue };
        match message(&frame, mac) {
            Some(DISCOVER) => {
                why = "it never took what was offered";
                send(&offer(&frame, mac));
            }
            Some(REQUEST) => return Ok(()),
            _ => {}
        }
    }
    Err(why)
}

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;

/// Where the parts of a frame with a DHCP message are: Ethernet, IPv4 without options, UDP, BOOTP.
const UDP: usize = 14 + 20;
const BOOTP: usize = UDP + 8;
const OPTIONS: usize = BOOTP + 240;

/// The type of the DHCP message from this machine that a frame is.
fn message(frame: &[u8], mac: u8) -> Option<u8> {
    let is_it = frame.len() > OPTIONS
        && frame[6..12] == [2, 0, 0, 0, 0, mac]
        && frame[12..14] == [8, 0]
        && frame[23] == 17
        && frame[UDP + 2..UDP + 4] == 67_u16.to_be_bytes();
    if !is_it {
        return None;
    }
    // Each option: its number, its length, its bytes (RFC 2132).
    let mut options = &frame[OPTIONS..];
    while let [number, len, rest @ ..] = options {
        if *number == 53 {
            return rest.first().copied();
        }
        options = rest.get(usize::from(*len)..)?;
    }
    None
}

/// The answer to a machine that asks who has an address for it (RFC 2131).
fn offer(discover: &[u8], mac: u8) -> Vec<u8> {
    const SERVER: [u8; 4] = [192, 0, 2, 1];
    let client = [192, 0, 2, mac];
    let mut bootp = vec![0; 240];
    // A reply, Ethernet, addresses of six bytes; the question's number; who; and the magic number.
    bootp[..4].copy_from_slice(&[2, 1, 6, 0]);
    bootp[4..8].copy_from_slice(&discover[BOOTP + 4..BOOTP + 8]);
    bootp[16..20].copy_from_slice(&client);
    bootp[20..24].copy_from_slice(&SERVER);
    bootp[28..44].copy_from_slice(&discover[BOOTP + 28..BOOTP + 44]);
    bootp[236..240].copy_from_slice(&[99, 130, 83, 99]);
    bootp.extend([53, 1, OFFER, 54, 4]);
    bootp.extend(SERVER);
    bootp.extend([51, 4, 0, 0, 14, 16, 1, 4, 255, 255, 255, 0, 255]);

    let len = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let mut udp = [67_u16.to_be_bytes(), 68_u16.to_be_bytes()].concat();
    udp.extend(len(8 + bootp.len()));
    udp.extend([0, 0]);
    udp.extend(bootp);

    let mut ip = vec![0x45, 0];
    ip.extend(len(20 + udp.len()));
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(SERVER);
    ip.extend([255; 4]);
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16));
    ip[10..12].copy_from_slice(&sum.to_be_bytes()[2..]);

    let mut frame = vec![2, 0, 0, 0, 0, mac, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend(ip);
    frame.extend(udp);
    frame
}
