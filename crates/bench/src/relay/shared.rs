//! What a switch could have if its ports were memory that it shares with the guests, as those of
//! vhost-user are: a frame is copied once, and nobody calls the kernel as long as both are busy.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use socket2::Socket;

use super::READY;
use super::side::{accept, listen};
use crate::failure::{Result, Trying as _};
use crate::system::ring::{Channel, Receiver, Sender, sleep};

pub(super) fn relay(a: &PathBuf, b: &PathBuf, batch: usize, frame_bytes: usize) -> Result<()> {
    let listeners = [listen(a)?, listen(b)?];
    println!("{READY}");
    let [(mut a, _at_a), (mut b, _at_b)] =
        [meet(&listeners[0], frame_bytes)?, meet(&listeners[1], frame_bytes)?];
    let what = "pass frames";
    loop {
        let there = pass(&mut a.receiver, &mut b.sender, batch).trying(what)?;
        let back = pass(&mut b.receiver, &mut a.sender, batch).trying(what)?;
        let has_rest = there + back > 0;
        if !has_rest && may_sleep(&a.receiver, &b.sender) && may_sleep(&b.receiver, &a.sender) {
            sleep([a.bell(), b.bell()], -1).trying("wait for frames")?;
        }
    }
}

/// Waits for a client and gives it memory and bells.
fn meet(listener: &Socket, frame_bytes: usize) -> Result<(Channel, Socket)> {
    let what = "share memory with a client";
    let client = accept(listener)?;
    let (channel, given) = Channel::create(frame_bytes).trying(what)?;
    let numbers = given.each_ref().map(|given| given.as_raw_fd());
    let message = [ControlMessage::ScmRights(&numbers)];
    sendmsg::<()>(
        client.as_fd().as_raw_fd(),
        &[IoSlice::new(&[0])],
        &message,
        MsgFlags::empty(),
        None,
    )
    .trying(what)?;
    Ok((channel, client))
}

/// One batch; how many frames.
fn pass(from: &mut Receiver, to: &mut Sender, batch: usize) -> io::Result<usize> {
    let frames = from.ready().min(to.free()).min(batch);
    for place in 0..frames {
        let frame = from.frame(place);
        to.frame_mut(place, frame.len()).copy_from_slice(frame);
    }
    if frames > 0 {
        to.publish(frames)?;
        from.release(frames)?;
    }
    Ok(frames)
}

/// Says that this side sleeps until there are frames, or room for them.
fn may_sleep(from: &Receiver, to: &Sender) -> bool {
    if from.ready() == 0 { from.may_sleep() } else { to.may_sleep() }
}
