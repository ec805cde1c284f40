//! Numbered datagrams between two ports, at a steady rate, for as long as something else goes on.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

const FRAME_BYTES: usize = 200;

/// Where the number stands in a frame, behind the addresses and the type.
const NUMBER_AT: usize = 14;

/// How long the greatest rate is looked for.
const MEASURED: Duration = Duration::from_millis(500);

/// The sender does not get further ahead of the receiver: on two processors with four emulated
/// machines a reader may have none for long, and a switch must not wait for it for ever.
const AHEAD_MAX: u64 = 128;

/// How long a frame may take.
const UNDER_WAY_MAX: Duration = Duration::from_secs(10);

/// What a [`Steady`] flow came to.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) out_of_order: u64,
    pub(super) took: Duration,
}

/// Two ends at two ports, and a flow from the one to the other.
#[derive(Debug)]
pub(super) struct Steady {
    is_over: Arc<AtomicBool>,
    sender: JoinHandle<Result<(u64, Duration)>>,
    receiver: JoinHandle<Result<(u64, u64)>>,
    /// Frames per second.
    pub(super) rate: u64,
}

impl Steady {
    /// Measures the greatest rate at which frames come through, and starts to send at half of it.
    pub(super) fn start(directory: &Path, ports: [&Path; 2]) -> Result<Self> {
        let ends = [0, 1].map(|end| plug(&directory.join(format!("steady{end}")), ports[end]));
        let [sender, receiver] = ends;
        let (sender, receiver) = (sender?, receiver?);
        // Who they are; the switch floods the first.
        greet(&sender, &receiver)?;
        let seen = Arc::new(AtomicU64::new(0));
        let greatest = greatest_rate(&sender, &receiver)?;
        let rate = greatest / 2;
        let is_over = Arc::new(AtomicBool::new(false));
        let receiver = {
            let seen = Arc::clone(&seen);
            thread::spawn(move || receive(&receiver, &seen))
        };
        let sender = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || send(&sender, rate, &seen, &is_over))
        };
        Ok(Self { is_over, sender, receiver, rate })
    }

    /// Ends it.
    pub(super) fn end(self) -> Result<Flow> {
        self.is_over.store(true, Ordering::Relaxed);
        let panicked = |_| Failure::new("the steady flow", "one of its ends panicked");
        let (sent, took) = self.sender.join().map_err(panicked)??;
        let (received, out_of_order) = self.receiver.join().map_err(panicked)??;
        Ok(Flow { sent, received, out_of_order, took })
    }
}

fn fail(what: &str) -> impl Fn(std::io::Error) -> Failure {
    let what = format!("the steady flow: {what}");
    move |error| Failure::new(&what, error)
}

fn plug(own: &Path, port: &Path) -> Result<UnixDatagram> {
    let socket = UnixDatagram::bind(own).map_err(fail("bind"))?;
    socket.connect(port).map_err(fail("connect"))?;
    socket.set_read_timeout(Some(UNDER_WAY_MAX)).map_err(fail("set a time limit"))?;
    socket.send(b"VFKT").map_err(fail("say who it is"))?;
    Ok(socket)
}

const STATIONS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 0], [2, 0, 0, 0, 1, 1]];

fn frame(number: u64) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[..6].copy_from_slice(&STATIONS[1]);
    frame[6..12].copy_from_slice(&STATIONS[0]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&number.to_be_bytes());
    frame
}

/// The number of a frame that is one of these.
fn number(bytes: &[u8]) -> Option<u64> {
    let is_ours = bytes.len() == FRAME_BYTES && bytes[12..14] == [0x88, 0xb5];
    let number = bytes.get(NUMBER_AT..NUMBER_AT + 8)?.try_into().ok()?;
    is_ours.then(|| u64::from_be_bytes(number))
}

/// Has the switch learn both stations.
fn greet(sender: &UnixDatagram, receiver: &UnixDatagram) -> Result<()> {
    let mut buffer = [0; 2000];
    let end = Instant::now() + UNDER_WAY_MAX;
    receiver.set_read_timeout(Some(Duration::from_millis(100))).map_err(fail("set a limit"))?;
    loop {
        sender.send(&frame(u64::MAX)).map_err(fail("send"))?;
        if receiver.recv(&mut buffer).is_ok_and(|len| number(&buffer[..len]) == Some(u64::MAX)) {
            break;
        }
        if Instant::now() > end {
            return Err(Failure::new("the steady flow", "its first frame never came"));
        }
    }
    let mut back = frame(u64::MAX);
    back[..12].rotate_left(6);
    receiver.send(&back).map_err(fail("send"))?;
    while receiver.recv(&mut buffer).is_ok() {}
    receiver.set_read_timeout(Some(UNDER_WAY_MAX)).map_err(fail("set a limit"))
}

/// As many frames per second as come through when they are sent as fast as they are taken.
fn greatest_rate(sender: &UnixDatagram, receiver: &UnixDatagram) -> Result<u64> {
    let is_over = AtomicBool::new(false);
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        let heard = scope.spawn(|| receive(receiver, &seen));
        let sent = send(sender, u64::MAX, &seen, {
            scope.spawn(|| {
                thread::sleep(MEASURED);
                is_over.store(true, Ordering::Relaxed);
            });
            &is_over
        });
        let panicked = |_| Failure::new("the steady flow", "a thread panicked");
        let (heard, _) = heard.join().map_err(panicked)??;
        let (_, took) = sent?;
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        Ok(heard * 1_000_000 / micros)
    })
}

/// Sends numbered frames until it is over, and then the one that says so.
fn send(
    socket: &UnixDatagram,
    rate: u64,
    seen: &AtomicU64,
    is_over: &AtomicBool,
) -> Result<(u64, Duration)> {
    let started = Instant::now();
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        let due = match rate {
            u64::MAX => u64::MAX,
            rate => {
                let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                micros.saturating_mul(rate) / 1_000_000
            }
        };
        // What could not be sent in time is not made up for by a burst.
        let most = due.min(seen.load(Ordering::Acquire) + AHEAD_MAX);
        if sent >= most {
            if rate == u64::MAX {
                thread::yield_now()
            } else {
                thread::sleep(PAUSE)
            }
            continue;
        }
        while sent < most {
            socket.send(&frame(sent)).map_err(fail("send"))?;
            sent += 1;
        }
    }
    let took = started.elapsed();
    socket.send(&frame(u64::MAX)).map_err(fail("send"))?;
    Ok((sent, took))
}

/// How long the sender rests when nothing is due.
const PAUSE: Duration = Duration::from_micros(500);

/// Counts frames, and those that came out of order, up to the last.
fn receive(socket: &UnixDatagram, seen: &AtomicU64) -> Result<(u64, u64)> {
    let (mut received, mut out_of_order, mut expected) = (0, 0, 0);
    let mut buffer = [0; 2000];
    loop {
        let len = socket.recv(&mut buffer).map_err(fail("receive"))?;
        match number(&buffer[..len]) {
            Some(u64::MAX) => return Ok((received, out_of_order)),
            Some(number) => {
                received += 1;
                out_of_order += u64::from(number != expected);
                expected = number + 1;
                seen.store(expected, Ordering::Release);
            }
            // Somebody's broadcast.
            None => {}
        }
    }
}
