//! `vswitch capture`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Switch, failed, word};
use crate::failure::Failure;
use crate::filter::source;

/// Capture frames of a running switch as pcapng, which tcpdump, tshark and Wireshark read.
///
/// Each port is an interface of the file. A frame stands there where it came in and where it went
/// out, and where it was dropped, with the reason. The switch never waits for a capture: what one
/// cannot take is lost to it, and told in its statistics; one that takes nothing for 30 s is ended.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    /// Frames of this network only
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,

    /// Frames at this port only; `uplink` is the network's uplink
    #[arg(long, value_name = "PORT")]
    port: Option<String>,

    /// Frames that this filter accepts only: a file as `vswitch filter compile` or `tcpdump -ddd`
    /// write it; - is stdin
    #[arg(long, value_name = "FILE")]
    filter: Option<PathBuf>,

    /// Keep so many bytes of each frame
    #[arg(long, value_name = "BYTES")]
    snap_bytes: Option<u32>,

    /// Let so many bytes wait for this program before frames are lost to it
    #[arg(long, value_name = "BYTES")]
    ring_bytes: Option<usize>,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,

    /// Where to write; - is stdout
    #[arg(short, value_name = "FILE", default_value = "-")]
    write: PathBuf,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (mut out, shown) = output(&arguments.write)?;
    let pieces =
        arguments.switch.client().stream(&path(arguments)?).map_err(failed("capture frames"))?;
    let mut blocks = WholeBlocks::default();
    for piece in pieces {
        let piece = piece.map_err(failed("capture frames"))?;
        let written = out.write_all(blocks.take(&piece)).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written
                .map_err(|error| Failure::new(format!("write the capture to {shown}"), error))?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(arguments: &Arguments) -> Result<String, Failure> {
    let filter = match &arguments.filter {
        Some(file) => Some(bpf::words::to_decimal(source::read(file)?.words())),
        None => None,
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let words = [
        ("network", arguments.network.clone()),
        ("port", arguments.port.clone()),
        ("filter", filter),
        ("snap_bytes", number(arguments.snap_bytes.map(u64::from))),
        ("ring_bytes", arguments.ring_bytes.map(|bytes| bytes.to_string())),
        ("seconds", number(arguments.seconds.map(u64::from))),
    ];
    let words: Vec<String> = words
        .into_iter()
        .filter_map(|(name, text)| Some(format!("{name}={}", word(text?.trim()))))
        .collect();
    Ok(format!("/v1/capture?{}", words.join("&")))
}

fn output(path: &Path) -> Result<(Box<dyn Write>, String), Failure> {
    if path == Path::new("-") {
        if io::stdout().is_terminal() {
            return Err(Failure::new("write the capture", "stdout is a terminal")
                .to_do("say where with -w, or pipe it into tcpdump -r -"));
        }
        return Ok((Box::new(io::stdout()), "stdout".to_owned()));
    }
    let shown = path.display().to_string();
    let file = File::create(path)
        .map_err(|error| Failure::new(format!("write the capture to {shown}"), error))?;
    Ok((Box::new(file), shown))
}

/// Holds back a block that did not come whole yet, so that a capture that is ended at any moment is
/// a file that can be read.
#[derive(Default)]
struct WholeBlocks {
    held: Vec<u8>,
    /// So many of the held bytes were taken before.
    taken: usize,
}

impl WholeBlocks {
    /// The whole blocks so far that were not taken yet. (pcapng: a block begins with its type and
    /// its length, four bytes each.)
    fn take(&mut self, piece: &[u8]) -> &[u8] {
        self.held.drain(..self.taken);
        self.held.extend_from_slice(piece);
        self.taken = 0;
        while let Some(length) = self.held.get(self.taken + 4..self.taken + 8) {
            let length = length.try_into().map_or(0, u32::from_ne_bytes);
            // What is no length is passed on as it is: whoever reads it says what is wrong.
            let length = usize::try_from(length).map_or(usize::MAX, |length| length.max(12));
            match self.taken.checked_add(length) {
                Some(end) if end <= self.held.len() => self.taken = end,
                _ => break,
            }
        }
        &self.held[..self.taken]
    }
}

const EXAMPLES: &str = "\
Examples:
  vswitch capture --network lan -w lan.pcapng
  vswitch capture --port vm1 | tcpdump -n -r -
  tcpdump -y EN10MB -ddd 'tcp port 80' | vswitch capture --filter - -w http.pcapng";

#[cfg(test)]
mod tests {
    use super::*;

    fn block(length: u32) -> Vec<u8> {
        let mut block = vec![6, 0, 0, 0];
        block.extend(length.to_ne_bytes());
        block.resize(length as usize, 7);
        block
    }

    #[test]
    fn only_whole_blocks_are_passed_on_however_they_come() {
        let all = [block(28), block(12), block(200)].concat();
        for piece_bytes in 1..=all.len() {
            let (mut blocks, mut passed) = (WholeBlocks::default(), Vec::new());
            for piece in all.chunks(piece_bytes) {
                passed.extend_from_slice(blocks.take(piece));
                assert!([0, 28, 40, 240].contains(&passed.len()), "{}", passed.len());
            }
            assert_eq!(passed, all);
        }
    }
}
