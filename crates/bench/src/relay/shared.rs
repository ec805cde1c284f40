//! What a switch could have if its ports were memory that it shares with the guests, as those of
//! vhost-user are: a frame is copied once, and nobody calls the kernel as long as both are busy.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use socket2::Socket;

use super::READY;
use super::ready::Ready;
use super::side::{SideSpec, accept, listen};
use crate::failure::{Failure, Result, Trying as _};
use crate::system::ring::{Channel, Receiver, Sender, silence};

/// The sides of each pair are shared memory.
pub(super) fn relay(
    pairs: &[(SideSpec, SideSpec)],
    batch: usize,
    frame_bytes: usize,
) -> Result<()> {
    let mut listeners = Vec::new();
    for (a, b) in pairs {
        listeners.push([listen_at(a)?, listen_at(b)?]);
    }
    println!("{READY}");
    let (mut channels, mut clients) = (Vec::new(), Vec::new());
    for [a, b] in &listeners {
        let [(a, at_a), (b, at_b)] = [meet(a, frame_bytes)?, meet(b, frame_bytes)?];
        channels.push([a, b]);
        clients.push([at_a, at_b]);
    }
    let what = "wait for frames";
    let mut rung = Ready::of(channels.iter().flatten().map(Channel::bell)).trying(what)?;
    loop {
        let mut passed = 0;
        for [a, b] in &mut channels {
            passed += pass(&mut a.receiver, &mut b.sender, batch).trying("pass frames")?;
            passed += pass(&mut b.receiver, &mut a.sender, batch).trying("pass frames")?;
        }
        if passed == 0 && channels.iter().all(may_sleep) {
            for number in rung.wait().trying(what)? {
                silence(channels[number / 2][number % 2].bell()).trying(what)?;
            }
        }
    }
}

fn listen_at(side: &SideSpec) -> Result<Socket> {
    match side {
        SideSpec::Shared(path) => listen(path),
        _ => Err(Failure::new("open a side", "memory is shared on both sides or none")),
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

/// Says, both ways, that the relay sleeps until there are frames, or room for them.
fn may_sleep([a, b]: &[Channel; 2]) -> bool {
    let way = |from: &Receiver, to: &Sender| match from.ready() {
        0 => from.may_sleep(),
        _ => to.may_sleep(),
    };
    way(&a.receiver, &b.sender) && way(&b.receiver, &a.sender)
}
