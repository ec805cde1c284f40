//! The yardsticks: relays between two ends, with nothing between receiving and sending. They learn
//! nothing, count nothing and wait for a full receiver; what they cost is what the calls cost.
//!
//! Each is a process of its own (`vswitch-bench relay`), so that it is measured as a switch is.

mod shared;
mod side;
mod stream;

use std::os::fd::AsFd as _;

use crate::failure::{Result, Trying as _};
use crate::system::mmsg::Batch;
use crate::system::socket::wait_readable;

use side::Side;
pub(crate) use side::SideSpec;

/// A relay between two sides; what comes in at one goes out at the other.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// One side: gram:PATH, stream:PATH, shared:PATH, packet:IFNAME, ring:IFNAME, xdp:IFNAME,
    /// tap:IFNAME or vnet-tap:IFNAME
    pub(crate) a: SideSpec,
    /// The other
    pub(crate) b: SideSpec,
    /// How many frames one call takes
    #[arg(long, default_value_t = 32)]
    pub(crate) batch: usize,
    /// How long a frame may be
    #[arg(long, default_value_t = 65_550)]
    pub(crate) frame_bytes: usize,
    /// How many such relays at once, in one loop; `{}` in a path is the relay's number
    #[arg(long, default_value_t = 1)]
    pub(crate) pairs: usize,
}

/// What a relay says when its ends may plug in.
pub(crate) const READY: &str = "ready";

/// Relays until it is killed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let Arguments { a, b, batch, frame_bytes, pairs } = arguments;
    if let (SideSpec::Stream(a), SideSpec::Stream(b), 1) = (a, b, pairs) {
        return stream::relay(a, b);
    }
    if let (SideSpec::Shared(a), SideSpec::Shared(b), 1) = (a, b, pairs) {
        return shared::relay(a, b, *batch, *frame_bytes);
    }
    let mut open = Vec::new();
    for pair in 0..*pairs {
        open.push((
            side::open(&a.numbered(pair), *frame_bytes)?,
            side::open(&b.numbered(pair), *frame_bytes)?,
        ));
    }
    println!("{READY}");
    let mut sides = Vec::new();
    for (a, b) in open {
        sides.extend([Side::meet(a)?, Side::meet(b)?]);
    }
    let mut frames = Batch::new(*batch, *frame_bytes);
    match <[Side; 2]>::try_from(sides) {
        Ok(two) => relay_two(two, &mut frames),
        Err(many) => relay_many(many, &mut frames),
    }
}

fn relay_two([mut a, mut b]: [Side; 2], frames: &mut Batch) -> Result<()> {
    loop {
        let ready = wait_readable([a.fd(), b.fd()], -1).trying("wait for frames")?;
        if ready[0] {
            pass(&mut a, &mut b, frames)?;
        }
        if ready[1] {
            pass(&mut b, &mut a, frames)?;
        }
    }
}

/// Pairs stand side by side: 0 with 1, 2 with 3.
fn relay_many(mut sides: Vec<Side>, frames: &mut Batch) -> Result<()> {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
    let what = "wait for frames";
    let epoll = Epoll::new(EpollCreateFlags::empty()).trying(what)?;
    for (number, side) in sides.iter().enumerate() {
        epoll
            .add(side.fd().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, number as u64))
            .trying(what)?;
    }
    let mut events = vec![EpollEvent::empty(); sides.len()];
    loop {
        let count = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            count => count.trying(what)?,
        };
        for event in &events[..count] {
            let number = usize::try_from(event.data()).unwrap_or(0);
            let (low, high) = sides.split_at_mut(number | 1);
            let (a, b) = (&mut low[number & !1], &mut high[0]);
            match number % 2 {
                0 => pass(a, b, frames)?,
                _ => pass(b, a, frames)?,
            }
        }
    }
}

/// One batch.
fn pass(from: &mut Side, to: &mut Side, frames: &mut Batch) -> Result<()> {
    let count = from.receive(frames).trying("receive")?;
    if count > 0 {
        to.send(frames, count).trying("send")?;
    }
    Ok(())
}
