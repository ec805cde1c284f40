//! `vswitch filter run`.

use std::path::PathBuf;
use std::process::ExitCode;

use bpf::{Metadata, Program, Verdict};
use clap::ArgGroup;
use serde::Serialize;

use super::Dialect;
use super::capture::{Capture, Frame};
use super::source::{self, DESCRIPTION, DETAILS, Description};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Run a filter over a capture and count what it accepts.
///
/// Frames are taken to be received ones on an Ethernet interface: on Linux their protocol and kind
/// of address come from their bytes, other facts beside the bytes are 0.
#[derive(clap::Args, Debug)]
#[command(
    after_help = EXAMPLE,
    group(ArgGroup::new("source").args(["filter"]).args(DESCRIPTION).required(true).multiple(true)),
)]
pub(super) struct Arguments {
    /// The capture, pcap or pcapng, of Ethernet frames; - is stdin
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// The filter, in any form; - is stdin
    #[arg(
        long,
        short,
        value_name = "FILE",
        conflicts_with_all = DETAILS.iter().chain(&DESCRIPTION)
    )]
    filter: Option<PathBuf>,
    #[command(flatten)]
    description: Description,
    /// Whose filter machine
    #[arg(long, value_enum, default_value_t = Dialect::HOST)]
    dialect: Dialect,
    /// Print the verdict on each frame
    #[arg(long)]
    verdicts: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Default)]
struct Outcome {
    frames: u64,
    accepted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<Vec<OneVerdict>>,
}

#[derive(Serialize)]
struct OneVerdict {
    frame: u64,
    bytes: usize,
    accepted_bytes: usize,
}

pub(super) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let program = match &arguments.filter {
        Some(file) if file == &arguments.capture && file.as_os_str() == "-" => {
            let why = "both the filter and the capture are stdin";
            return Err(Failure::new("run the filter", why).to_do("give one of them as a file"));
        }
        Some(file) => source::read(file)?,
        None => arguments.description.compile(arguments.dialect)?,
    };
    source::verify(&program, arguments.dialect)?;
    let mut capture = Capture::open(&arguments.capture)?;
    let listed = arguments.verdicts && arguments.json;
    let mut outcome = Outcome { verdicts: listed.then(Vec::new), ..Outcome::default() };
    while let Some(frame) = capture.next_frame()? {
        let verdict = judge(&program, arguments.dialect, &frame)?;
        outcome.frames += 1;
        outcome.accepted += u64::from(verdict.accepts());
        let one = OneVerdict {
            frame: outcome.frames,
            bytes: frame.bytes.len(),
            accepted_bytes: verdict.taken_len(frame.bytes.len()),
        };
        match &mut outcome.verdicts {
            Some(verdicts) => verdicts.push(one),
            None if arguments.verdicts => print_text(&one.line(verdict))?,
            None => {}
        }
    }
    if arguments.json {
        print_json(&outcome)?;
    } else {
        print_text(&format!("{} of {} frames accepted\n", outcome.accepted, outcome.frames))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(program: &Program, dialect: Dialect, frame: &Frame) -> Result<Verdict, Failure> {
    let mut metadata = Metadata::ethernet(&frame.bytes);
    metadata.wire_len = Some(frame.wire_len);
    bpf::run(dialect.into(), program.words(), &frame.bytes, &metadata)
        .map_err(|fault| Failure::new("run the filter", fault))
}

impl OneVerdict {
    fn line(&self, verdict: Verdict) -> String {
        let Self { frame, bytes, accepted_bytes } = self;
        match (verdict.accepts(), accepted_bytes < bytes) {
            (false, _) => format!("frame {frame}: dropped\n"),
            (true, true) => format!("frame {frame}: accepted, {accepted_bytes} of {bytes} bytes\n"),
            (true, false) => format!("frame {frame}: accepted, {bytes} bytes\n"),
        }
    }
}

const EXAMPLE: &str = "\
Example:
  vswitch filter run --mac 52:54:00:00:00:01 --group capture.pcap --verdicts";
