//! Where a filter comes from: a file in any form, or a short description.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bpf::Program;
use bpf::stock::FrameSelector;

use super::Dialect;
use crate::failure::Failure;

/// A filter in few words. Destinations and EtherTypes must both match; what is not given, matches.
#[derive(clap::Args, Debug)]
pub(super) struct Description {
    /// A destination address to accept; may be given several times, or several with commas
    #[arg(long, value_name = "MAC", value_delimiter = ',', value_parser = mac)]
    mac: Vec<Mac>,
    /// Accept group destinations (multicast and broadcast)
    #[arg(long)]
    group: bool,
    /// An EtherType to accept: a number, or arp, ip, ip6; may be given several times, or several
    /// with commas
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = ethertype)]
    ethertype: Vec<u16>,
    /// Accept the EtherType behind one VLAN tag as well
    #[arg(long, requires = "ethertype")]
    vlan: bool,
    /// Take at most this many bytes of an accepted frame
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    snap_len: Option<u32>,
}

/// The arguments that make a description on their own.
pub(super) const DESCRIPTION: [&str; 3] = ["mac", "group", "ethertype"];

/// The arguments that only add to one.
pub(super) const DETAILS: [&str; 2] = ["vlan", "snap_len"];

impl Description {
    /// The filter for this description, as `dialect` takes it.
    pub(super) fn compile(&self, dialect: Dialect) -> Result<Program, Failure> {
        let selector = FrameSelector {
            macs: self.mac.iter().map(|mac| mac.0).collect(),
            group: self.group,
            ethertypes: self.ethertype.clone(),
            vlan: self.vlan,
            snap_len: self.snap_len.unwrap_or(u32::MAX),
        };
        selector.compile(dialect.into()).map_err(|error| Failure::new("compile the filter", error))
    }
}

/// The filter in the file at `path` (`-`: on stdin), in any of its forms.
pub(crate) fn read(path: &Path) -> Result<Program, Failure> {
    let text = text(path).map_err(|error| Failure::new(format!("read {}", shown(path)), error))?;
    bpf::words::parse_any(&text).map_err(|error| {
        Failure::new(format!("read the filter in {}", shown(path)), error).to_do(
            "it may be assembler text, C initialisers or decimal numbers, as `vswitch filter \
             compile` prints them",
        )
    })
}

/// Takes `program` only when `dialect` does.
pub(super) fn verify(program: &Program, dialect: Dialect) -> Result<(), Failure> {
    let what = || format!("check the filter for {}", dialect.name());
    program.verify(dialect.into()).map_err(|error| Failure::new(what(), error))
}

/// A file's name in messages.
pub(super) fn shown(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let input: &mut dyn Read =
        if path == Path::new("-") { &mut io::stdin().lock() } else { &mut File::open(path)? };
    // One byte more than allowed tells a file that is too long from one that just fits.
    input.take(MAX_TEXT_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len <= MAX_TEXT_BYTES) {
        Ok(text)
    } else {
        Err(io::Error::other(format!("longer than {MAX_TEXT_BYTES} bytes, this is no filter")))
    }
}

/// One address; a type of its own, so that the command line takes several of them.
#[derive(Clone, Copy, Debug)]
struct Mac([u8; 6]);

fn mac(text: &str) -> Result<Mac, String> {
    let bad = || "a MAC address is six bytes in hexadecimal, like 52:54:00:12:34:56".to_owned();
    let mut bytes = text.split([':', '-']).map(|byte| match byte.len() {
        1 | 2 if byte.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u8::from_str_radix(byte, 16).map_err(|_| bad())
        }
        _ => Err(bad()),
    });
    let mut mac = [0; 6];
    for byte in &mut mac {
        *byte = bytes.next().ok_or_else(bad)??;
    }
    if bytes.next().is_none() { Ok(Mac(mac)) } else { Err(bad()) }
}

fn ethertype(text: &str) -> Result<u16, String> {
    let number = match text {
        "arp" => Some(0x0806),
        "ip" | "ipv4" => Some(0x0800),
        "ip6" | "ipv6" => Some(0x86dd),
        _ => match text.strip_prefix("0x") {
            Some(digits) if !digits.starts_with('+') => u16::from_str_radix(digits, 16).ok(),
            _ => text.parse().ok(),
        },
    };
    let number = number.ok_or("an EtherType is a number up to 0xffff, or arp, ip, ip6")?;
    if number < 0x600 {
        return Err("EtherTypes begin at 0x600, smaller numbers are lengths".to_owned());
    }
    Ok(number)
}

/// Far more than the longest program in its longest form.
const MAX_TEXT_BYTES: u64 = 1 << 20;
