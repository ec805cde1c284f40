//! Plugs into a running switch by a descriptor, and asks who has an address, as a VM would.
//!
//! ```sh
//! vswitch run --uplink none --control /tmp/control.sock --port vm1=unixgram:/tmp/vm1.sock
//! vswitch probe --connect unixgram:/tmp/vm1.sock --ip 192.0.2.1/24 listen
//! cargo run -p vswitchd --example plug_in -- /tmp/control.sock 192.0.2.1
//! ```

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use std::{env, io};

use vswitchd::api::wire::PassRequest;
use vswitchd::config::descriptor_socket;

/// This station's addresses.
const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 0x77];
const IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

/// How often it asks, and how long it waits for an answer each time.
const TRIES: u32 = 20;
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [control, target] = &words[..] else {
        return Err("usage: plug_in CONTROL-SOCKET IPV4-ADDRESS".into());
    };
    let target = target.parse()?;
    let mac = who_has(Path::new(control), target)?;
    println!("{target} is at {mac:02x?}");
    Ok(())
}

/// Has a port of its own while it asks; it goes with the connection.
pub(crate) fn who_has(control: &Path, target: Ipv4Addr) -> io::Result<[u8; 6]> {
    let request = PassRequest {
        name: Some("plug-in".to_owned()),
        mac: Some("52:54:00:00:00:77".to_owned()),
        hold: true,
        ..PassRequest::default()
    };
    let passed = vswitchd::api::pass(&descriptor_socket(control), &request, None)?;
    let card = passed.card.ok_or_else(|| io::Error::other("no descriptor came"))?;
    // One datagram is one frame, without a checksum behind it.
    let card = UnixDatagram::from(card);
    card.set_read_timeout(Some(PATIENCE))?;
    let mut frame = [0; 2048];
    for _ in 0..TRIES {
        card.send(&arp_request(target))?;
        // What is for all comes, too.
        while let Ok(length) = card.recv(&mut frame) {
            if let Some(mac) = arp_reply(&frame[..length], target) {
                return Ok(mac);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("nobody says that he has {target}")))
}

/// "Who has `target`?" (RFC 826), to all.
fn arp_request(target: Ipv4Addr) -> [u8; 42] {
    let mut frame = [0; 42];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&MAC);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&MAC);
    frame[28..32].copy_from_slice(&IP.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

/// The address that an answer tells.
fn arp_reply(frame: &[u8], target: Ipv4Addr) -> Option<[u8; 6]> {
    let is_reply = frame.get(12..14)? == [8, 6] && frame.get(20..22)? == [0, 2];
    let is_of_target = frame.get(28..32)? == target.octets();
    if is_reply && is_of_target { frame.get(22..28)?.try_into().ok() } else { None }
}
