//! The yardsticks: relays between two ends, with nothing between receiving and sending. They learn
//! nothing, count nothing and wait for a full receiver; what they cost is what the calls cost.
//!
//! Each is a process of its own (`vswitch-bench relay`), so that it is measured as a switch is.

mod ready;
mod shared;
mod side;
mod stream;

use crate::failure::{Result, Trying as _};
use crate::system::mmsg::Batch;
use crate::system::socket::wait_readable;

use ready::Ready;
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
    /// Wait by epoll, as it does with many pairs, and not by poll
    #[arg(long)]
    pub(crate) epoll: bool,
}

/// What a relay says when its ends may plug in.
pub(crate) const READY: &str = "ready";

/// Relays until it is killed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let Arguments { a, b, batch, frame_bytes, pairs, epoll } = arguments;
    if let (SideSpec::Stream(a), SideSpec::Stream(b), 1) = (a, b, pairs) {
        return stream::relay(a, b);
    }
    let pairs: Vec<_> = (0..*pairs).map(|pair| (a.numbered(pair), b.numbered(pair))).collect();
    if let (SideSpec::Shared(_), SideSpec::Shared(_)) = (a, b) {
        return shared::relay(&pairs, *batch, *frame_bytes);
    }
    let mut open = Vec::new();
    for (a, b) in &pairs {
        open.push((side::open(a, *frame_bytes)?, side::open(b, *frame_bytes)?));
    }
    println!("{READY}");
    let mut sides = Vec::new();
    for (a, b) in open {
        sides.extend([Side::meet(a)?, Side::meet(b)?]);
    }
    let mut frames = Batch::new(*batch, *frame_bytes);
    match <[Side; 2]>::try_from(sides) {
        Ok(two) if !*epoll => relay_two(two, &mut frames),
        Ok(two) => relay_many(two.into(), &mut frames),
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
    let what = "wait for frames";
    let mut ready = Ready::of(sides.iter().map(Side::fd)).trying(what)?;
    loop {
        for number in ready.wait().trying(what)? {
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
