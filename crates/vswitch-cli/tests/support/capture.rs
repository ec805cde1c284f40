//! tcpdump, the witness of what passes an interface.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};

use super::{frame, wait_for};

/// A tcpdump that runs on an interface of the calling thread's namespace.
#[derive(Debug)]
pub(crate) struct Capture {
    process: Child,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Captures what passes `interface` either way and `filter` (tcpdump's words) holds for.
    pub(crate) fn start(interface: &str, filter: &str) -> Self {
        Self::with(&["-i", interface, filter])
    }

    /// Captures only what comes in from `interface`.
    pub(crate) fn incoming(interface: &str, filter: &str) -> Self {
        Self::with(&["-i", interface, "-Q", "in", filter])
    }

    fn with(arguments: &[&str]) -> Self {
        let mut process = testkit::tcpdump::command()
            .args(["-U", "--immediate-mode", "-B", BUFFER_KIB, "-s", BYTES_MAX, "-w", "-"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run tcpdump");
        wait_until_it_listens(process.stderr.take().expect("piped"));
        let stdout = process.stdout.take().expect("piped");
        let frames = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&frames);
        let reader = std::thread::spawn(move || {
            let mut pcap = PcapReader::new(stdout).expect("a pcap header");
            // Raw: the other kind refuses packets that were cut.
            while let Some(Ok(packet)) = pcap.next_raw_packet() {
                to.lock().expect("no panic").push(packet.data.into_owned());
            }
        });
        Self { process, frames, reader: Some(reader) }
    }

    /// What was captured so far.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.frames.lock().expect("no panic").clone()
    }

    /// Waits for a frame that `wanted` holds for.
    #[track_caller]
    pub(crate) fn expect(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) {
        wait_for(what, || self.frames().iter().any(|frame| wanted(frame)));
    }

    /// Waits for exactly this frame.
    #[track_caller]
    pub(crate) fn expect_frame(&self, what: &str, frame: &[u8]) {
        self.expect(what, |seen| seen == frame);
    }

    /// How many frames came from `source`.
    pub(crate) fn from(&self, source: frame::Mac) -> usize {
        self.frames().iter().filter(|frame| frame[6..12] == source).count()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// How much of each frame is kept, and in how much memory: the kernel gives each frame a place
/// for the longest, so that longer ones would mean fewer.
const BYTES_MAX: &str = "10240";
const BUFFER_KIB: &str = "65536";

/// What tcpdump makes of `frames`, a line or more for each, with every checksum looked at.
pub(crate) fn describe(frames: &[Vec<u8>]) -> String {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("frames.pcap");
    let file = std::fs::File::create(&path).expect("create a file");
    let header = PcapHeader { snaplen: 70_000, ..PcapHeader::default() };
    let mut pcap = PcapWriter::with_header(file, header).expect("write a header");
    for frame in frames {
        let len = u32::try_from(frame.len()).expect("a frame's length");
        let packet = PcapPacket::new(std::time::Duration::ZERO, len, frame);
        pcap.write_packet(&packet).expect("write a packet");
    }
    drop(pcap);
    let mut tcpdump = testkit::tcpdump::command();
    let said = tcpdump.args(["-nvv", "-r"]).arg(&path).output().expect("run tcpdump");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// The packet socket is there as soon as tcpdump says so.
fn wait_until_it_listens(stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let mut said = Vec::new();
    let listens = lines.by_ref().any(|line| {
        let listens = line.contains("listening on");
        said.push(line);
        listens
    });
    assert!(listens, "tcpdump does not listen: {said:?}");
    // To its end: a pipe that nobody reads would kill tcpdump with its last words.
    std::thread::spawn(move || lines.for_each(drop));
}
