//! Any bytes as what a client of the socket for descriptors sends.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::{World, piece_bytes, right_of};
use crate::api::descriptors::{LINE_BYTES_MAX, receive_piece, send_flags, serve};
use crate::api::right::Right;
use crate::api::wire::{ErrorReply, PassReply, PassRequest};

/// How many descriptors an input can bring; that is more than are taken.
const BROUGHT_MAX: usize = 6;

/// Any bytes as a connection to the socket for descriptors.
///
/// The first byte says who asks, and in pieces of which length the rest comes; the second with
/// which piece how many descriptors come. The answer is one line or none, there is at most one port
/// more, and none if it was held or if who asked may not change anything.
pub fn descriptors(bytes: &[u8]) {
    let [first, second, bytes @ ..] = bytes else { return };
    let right = right_of(*first);
    let world = World::take();
    let brought = usize::from(second & 7).min(BROUGHT_MAX);
    let plan = Plan { piece: piece_bytes(*first, bytes.len()), at: usize::from(second >> 3) };
    let (answer, came) = world.runtime.block_on(async {
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        let client = tokio::spawn(client(near, bytes.to_vec(), plan, brought));
        serve(far, right, &world.api).await;
        client.await.expect("the client does not panic")
    });
    let added = world.list.added();
    match serde_json::from_slice(&answer) {
        _ if answer.is_empty() => assert_eq!((came, added), (0, 0)),
        Ok(ErrorReply { .. }) => assert_eq!((came, added), (0, 0)),
        Err(_) => {
            let PassReply { network, port } = serde_json::from_slice(&answer).expect("an answer");
            assert!(right == Right::Change && ["lan", "dmz"].contains(&&*network), "{port}");
            assert!(came == 1 || came == 0 && brought > 0);
            // One that was held is gone with its connection.
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let asked = serde_json::from_slice::<PassRequest>(line);
            assert!(added <= usize::from(!asked.is_ok_and(|asked| asked.hold)), "{port}");
        }
    }
    assert!(
        answer.is_empty()
            || answer
                .iter()
                .position(|byte| *byte == b'\n')
                .is_some_and(|at| { at + 1 == answer.len() && at <= 2 * LINE_BYTES_MAX })
    );
    world.check(right);
    world.list.clear();
}

/// How an input is sent.
struct Plan {
    /// In pieces of so many bytes.
    piece: usize,
    /// The descriptors with this one, if there are so many.
    at: usize,
}

/// Sends everything; gives the answer, and how many descriptors came with it.
async fn client(near: UnixStream, bytes: Vec<u8>, plan: Plan, brought: usize) -> (Vec<u8>, usize) {
    let (given, _theirs) = UnixDatagram::pair().expect("a pair of sockets");
    for (number, piece) in bytes.chunks(plan.piece).enumerate() {
        let with = if number == plan.at { brought } else { 0 };
        let send = || Ok(send(&near, piece, &vec![given.as_fd(); with])?);
        // The server may have what it wants and be gone.
        if near.async_io(Interest::WRITABLE, send).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = end_of_input(&near);
    let (mut answer, mut came) = (Vec::new(), 0);
    loop {
        let mut piece = [0; 1024];
        let received = near.async_io(Interest::READABLE, || receive_piece(&near, &mut piece)).await;
        match received {
            Ok((0, _)) | Err(_) => return (answer, came),
            Ok((len, descriptors)) => {
                answer.extend_from_slice(&piece[..len]);
                came += descriptors.len();
            }
        }
    }
}

fn send(socket: &UnixStream, bytes: &[u8], with: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BROUGHT_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !with.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(with));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, send_flags())
}

/// Nothing more is sent.
fn end_of_input(socket: &UnixStream) -> rustix::io::Result<()> {
    rustix::net::shutdown(socket, rustix::net::Shutdown::Write)
}
