//! Capture files, pcap and pcapng, as a row of Ethernet frames.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};

use super::source::shown;
use crate::failure::Failure;

/// A capture being read.
pub(super) struct Capture {
    name: String,
    reader: Reader,
    frames: u64,
}

/// One frame of it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// What was captured.
    pub(super) bytes: Vec<u8>,
    /// How long it was on the wire.
    pub(super) wire_len: u32,
}

enum Reader {
    Pcap(PcapReader<Box<dyn Read>>),
    PcapNg(PcapNgReader<Box<dyn Read>>),
}

impl Capture {
    /// Opens the capture at `path` (`-`: stdin) and reads its head.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let name = shown(path);
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(path);
            Box::new(file.map_err(|error| Failure::new(format!("open {name}"), error))?)
        };
        Self::new(name, input)
    }

    fn new(name: String, mut input: Box<dyn Read>) -> Result<Self, Failure> {
        let no_capture = |why: String| {
            Failure::new(format!("read the capture {name}"), why)
                .to_do("it must be a pcap or pcapng file of Ethernet frames")
        };
        let mut magic = [0; 4];
        input.read_exact(&mut magic).map_err(|error| no_capture(error.to_string()))?;
        let whole: Box<dyn Read> = Box::new(io::Cursor::new(magic).chain(input));
        let reader = if magic == PCAPNG_MAGIC {
            PcapNgReader::new(whole).map(Reader::PcapNg)
        } else {
            PcapReader::new(whole).map(Reader::Pcap)
        };
        let reader = reader.map_err(|error| no_capture(reason(&error)))?;
        if let Reader::Pcap(reader) = &reader {
            ethernet(reader.header().datalink).map_err(no_capture)?;
        }
        Ok(Self { name, reader, frames: 0 })
    }

    /// The next frame; `None` at the end.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Failure> {
        self.frames += 1;
        let frame = match &mut self.reader {
            Reader::Pcap(reader) => pcap_frame(reader),
            Reader::PcapNg(reader) => pcapng_frame(reader),
        };
        let what = || format!("read the capture {}: frame {}", self.name, self.frames);
        frame.map_err(|why| Failure::new(what(), why))
    }
}

fn pcap_frame(reader: &mut PcapReader<Box<dyn Read>>) -> Result<Option<Frame>, String> {
    // Raw, since the library refuses frames that were longer on the wire than captures hold.
    match reader.next_raw_packet() {
        None => Ok(None),
        Some(Ok(packet)) => {
            Ok(Some(Frame { bytes: packet.data.into_owned(), wire_len: packet.orig_len }))
        }
        Some(Err(error)) => Err(reason(&error)),
    }
}

fn pcapng_frame(reader: &mut PcapNgReader<Box<dyn Read>>) -> Result<Option<Frame>, String> {
    loop {
        let (interface, bytes, wire_len) = match reader.next_block() {
            None => return Ok(None),
            Some(Err(error)) => return Err(reason(&error)),
            Some(Ok(Block::EnhancedPacket(packet))) => {
                (packet.interface_id, packet.data.into_owned(), packet.original_len)
            }
            Some(Ok(Block::SimplePacket(packet))) => {
                (0, packet.data.into_owned(), packet.original_len)
            }
            Some(Ok(Block::Packet(packet))) => {
                (packet.interface_id.into(), packet.data.into_owned(), packet.original_len)
            }
            Some(Ok(_)) => continue,
        };
        let interface = usize::try_from(interface).ok().and_then(|id| reader.interfaces().get(id));
        let interface = interface.ok_or("it belongs to no interface")?;
        ethernet(interface.linktype)?;
        return Ok(Some(Frame { bytes, wire_len }));
    }
}

fn ethernet(link: DataLink) -> Result<(), String> {
    match link {
        DataLink::ETHERNET => Ok(()),
        other => Err(format!("its link type is {other:?}, not Ethernet")),
    }
}

/// What the library says of an error, with what the system said.
fn reason(error: &PcapError) -> String {
    match error {
        PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it ends in the middle, or is too long".to_owned()
        }
        PcapError::IoError(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The block type of a section header, the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, Failure> {
        let input: Box<dyn Read> = Box::new(io::Cursor::new(bytes.to_vec()));
        let mut capture = Capture::new("test".to_owned(), input)?;
        let mut frames = Vec::new();
        while let Some(frame) = capture.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// One frame of 4 bytes that had 9, of link type `link`.
    fn pcap(link: u32) -> Vec<u8> {
        let head = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 4, link]);
        [head, words(&[1, 2, 4, 9]), vec![1, 2, 3, 4]].concat()
    }

    /// The same as an enhanced and as a simple packet block.
    fn pcapng(link: u32) -> Vec<u8> {
        let section = words(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28]);
        let interface = words(&[1, 20, link, 65535, 20]);
        let enhanced = words(&[6, 36, 0, 0, 0, 4, 9, 0x0403_0201, 36]);
        let simple = words(&[3, 20, 4, 0x0403_0201, 20]);
        [section, interface, enhanced, simple].concat()
    }

    fn frame(wire_len: u32) -> Frame {
        Frame { bytes: vec![1, 2, 3, 4], wire_len }
    }

    #[test]
    fn both_formats_are_read() {
        assert_eq!(read(&pcap(1)).expect("pcap"), [frame(9)]);
        assert_eq!(read(&pcapng(1)).expect("pcapng"), [frame(9), frame(4)]);
    }

    #[test]
    fn other_links_are_refused() {
        for capture in [pcap(113), pcapng(113)] {
            let failure = read(&capture).expect_err("no Ethernet").to_string();
            assert!(failure.contains("link type is LINUX_SLL, not Ethernet"), "{failure}");
        }
    }

    #[test]
    fn cut_and_damaged_captures_are_no_panic() {
        for capture in [pcap(1), pcapng(1)] {
            for len in 0..capture.len() {
                let _ = read(&capture[..len]);
            }
            for at in 0..capture.len() {
                for value in [0, 1, 3, 0x7f, 0x80, 0xff, capture[at].wrapping_add(1)] {
                    let mut damaged = capture.clone();
                    damaged[at] = value;
                    let _ = read(&damaged);
                }
            }
        }
        let cut = read(&pcap(1)[..42]).expect_err("cut").to_string();
        assert!(cut.contains("frame 1: it ends in the middle"), "{cut}");
    }
}
