//! Requests to the kernel over one rtnetlink socket, and their answers (rtnetlink(7), netlink(7)).

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::message::{Message, Refusal, messages};
use super::namespace::Namespace;
use crate::{Call, Error};

/// An rtnetlink socket. One request at a time; its answer is read to the end, so that the next
/// request starts clean.
#[derive(Debug)]
pub(super) struct RouteSocket {
    socket: Socket,
    namespace: Option<Namespace>,
    sequence: u32,
    received: Vec<u8>,
    /// An answer may still be under way: a socket in that state is not used again.
    is_unclean: bool,
}

impl RouteSocket {
    /// Opens one in the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let namespace = Namespace::of_this_thread();
        let received = Vec::with_capacity(RECEIVED_LEN_MAX);
        Ok(Self { socket: connected()?, namespace, sequence: 0, received, is_unclean: false })
    }

    /// The socket, for ioctls that are to meet the same namespace.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the calling thread is in the namespace of this socket, as far as can be told.
    pub(super) fn is_in_this_thread(&self) -> bool {
        self.namespace == Namespace::of_this_thread()
    }

    /// Asks for a change, with `flags` beside the usual ones.
    pub(super) fn change(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), Failure> {
        self.exchange(request, NLM_F_ACK | flags, &mut |_, _| ()).map(|_| ())
    }

    /// Asks for one object; `decode` gets its message's type and payload.
    pub(super) fn one<T>(
        &mut self,
        request: RouteNetlinkMessage,
        mut decode: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut found = None;
        self.exchange(request, NLM_F_ACK, &mut |kind, payload| {
            found = found.take().or_else(|| decode(kind, payload));
        })?;
        found.ok_or(Failure::Malformed("it confirms, but has no object"))
    }

    /// Asks for all objects of a sort, those of one moment: a dump that was overtaken by changes
    /// is made again, a bounded number of times.
    pub(super) fn all<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        mut decode: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Failure> {
        until_whole(|| {
            let mut found = Vec::new();
            let whole = self.exchange(request.clone(), NLM_F_DUMP, &mut |kind, payload| {
                found.extend(decode(kind, payload));
            })?;
            Ok((whole, found))
        })
    }

    fn exchange(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        each: &mut dyn FnMut(u16, &[u8]),
    ) -> Result<Whole, Failure> {
        if self.is_unclean {
            self.reopen()?;
        }
        self.is_unclean = true;
        let outcome = self.send(request, flags).and_then(|()| self.answer(each));
        self.is_unclean = !matches!(outcome, Ok(_) | Err(Failure::Refused(_)));
        outcome
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        if !self.is_in_this_thread() {
            return Err(Failure::OtherNamespace);
        }
        self.socket = connected().map_err(Failure::Io)?;
        self.is_unclean = false;
        Ok(())
    }

    fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<(), Failure> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        retried(|| self.socket.send_to(&bytes, &SocketAddr::new(KERNEL_PORT, 0), 0))
            .map_err(Failure::Io)?;
        Ok(())
    }

    fn answer(&mut self, each: &mut dyn FnMut(u16, &[u8])) -> Result<Whole, Failure> {
        let mut whole = Whole::Yes;
        loop {
            self.receive()?;
            if digest(&self.received, self.sequence, each, &mut whole)? {
                return Ok(whole);
            }
        }
    }

    /// Fills `received` with the next datagram that the kernel itself sent.
    fn receive(&mut self) -> Result<(), Failure> {
        loop {
            self.received.clear();
            let (len, sender) =
                retried(|| self.socket.recv_from(&mut self.received, libc::MSG_TRUNC)).map_err(
                    |error| match error.raw_os_error() {
                        Some(libc::ENOBUFS) => Failure::Lost,
                        _ => Failure::Io(error),
                    },
                )?;
            if len > self.received.len() {
                return Err(Failure::Malformed("a message is longer than netlink permits"));
            }
            if sender.port_number() == KERNEL_PORT {
                return Ok(());
            }
        }
    }
}

/// Makes a dump again while changes overtake it.
fn until_whole<T>(mut dump: impl FnMut() -> Result<(Whole, T), Failure>) -> Result<T, Failure> {
    for _ in 0..DUMP_ATTEMPTS_MAX {
        match dump() {
            Ok((Whole::Yes, found)) => return Ok(found),
            Ok((Whole::Interrupted, _)) | Err(Failure::Lost) => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Interrupted)
}

/// Takes in one datagram of the answer to request `sequence`; tells whether it was the last.
fn digest(
    datagram: &[u8],
    sequence: u32,
    each: &mut dyn FnMut(u16, &[u8]),
    whole: &mut Whole,
) -> Result<bool, Failure> {
    for received in messages(datagram) {
        let received = received.map_err(Failure::Malformed)?;
        if received.sequence != sequence {
            continue; // of a request that was given up
        }
        if received.is_interrupted {
            *whole = Whole::Interrupted;
        }
        match received.message {
            Message::Piece { kind, payload } => each(kind, payload),
            Message::End(Ok(())) => return Ok(true),
            Message::End(Err(refusal)) => return Err(Failure::Refused(refusal)),
            Message::Lost => return Err(Failure::Lost),
            Message::Noop => {}
        }
    }
    Ok(false)
}

/// Whether an answer shows one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    Interrupted,
}

/// Why a request had no good answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The kernel said no.
    Refused(Refusal),
    /// The socket failed.
    Io(io::Error),
    /// The kernel had no memory for (part of) the answer.
    Lost,
    /// Every dump was overtaken by changes.
    Interrupted,
    /// The answer is broken.
    Malformed(&'static str),
    /// The socket would have to be opened again, and this thread is elsewhere.
    OtherNamespace,
}

impl Failure {
    /// The kernel's or the socket's error number.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused(refusal) => refusal.errno.raw_os_error(),
            Self::Io(error) => error.raw_os_error(),
            _ => None,
        }
    }

    /// The error of `call`, of which this is the reason.
    pub(super) fn of(self, call: &Call) -> Error {
        let call = call.clone();
        match self {
            Self::Refused(Refusal { errno, detail }) => {
                Error::Refused { call, detail, source: errno }
            }
            Self::Io(source) => Error::Refused { call, detail: None, source },
            Self::Lost => Error::Refused {
                call,
                detail: Some("the answer was lost, so it may have been done".into()),
                source: io::Error::from_raw_os_error(libc::ENOBUFS),
            },
            Self::Interrupted => Error::Interrupted { call, attempts: DUMP_ATTEMPTS_MAX },
            Self::Malformed(reason) => Error::Malformed { call, reason },
            Self::OtherNamespace => Error::OtherNamespace { call },
        }
    }
}

fn connected() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    // The kernel answers within the send; a kernel that does not must not hang the caller.
    socket2::SockRef::from(&socket.as_fd()).set_read_timeout(Some(ANSWER_TIMEOUT))?;
    // Both make refusals better, and older kernels have neither.
    let _ = socket.set_ext_ack(true);
    let _ = socket.set_cap_ack(true);
    // With it the kernel (4.20) obeys the filter in a dump's request; without, it sends more.
    let _ = socket.set_netlink_get_strict_chk(true);
    Ok(socket)
}

fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

const KERNEL_PORT: u32 = 0;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A dump fills datagrams of up to 32 KiB (net/netlink/af_netlink.c, `netlink_dump`); one message
/// with all of an interface's virtual functions may be longer.
const RECEIVED_LEN_MAX: usize = 128 * 1024;
const DUMP_ATTEMPTS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_OVERRUN};

    use super::*;

    const PIECE: u16 = libc::RTM_NEWLINK;

    fn message(kind: u16, flags: u16, sequence: u32, payload: [u8; 4]) -> Vec<u8> {
        let mut bytes = 20_u32.to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        bytes.extend([sequence.to_ne_bytes(), [0; 4], payload].concat());
        bytes
    }

    /// Feeds `datagrams` as the answer to request 7: the outcome, and the pieces' first bytes.
    fn fed(datagrams: &[Vec<u8>]) -> (Result<Option<Whole>, Failure>, Vec<u8>) {
        let (mut whole, mut pieces) = (Whole::Yes, Vec::new());
        for datagram in datagrams {
            let each = &mut |_, payload: &[u8]| pieces.push(payload[0]);
            match digest(datagram, 7, each, &mut whole) {
                Ok(false) => {}
                Ok(true) => return (Ok(Some(whole)), pieces),
                Err(failure) => return (Err(failure), pieces),
            }
        }
        (Ok(None), pieces)
    }

    #[test]
    fn an_answer_may_come_in_many_datagrams_and_ends_with_done() {
        let first = [message(PIECE, 2, 7, [1; 4]), message(PIECE, 2, 7, [2; 4])].concat();
        let second = message(PIECE, 2, 7, [3; 4]);
        let done = message(NLMSG_DONE, 2, 7, [0; 4]);
        let (outcome, pieces) = fed(&[first.clone(), second.clone()]);
        assert!(matches!(outcome, Ok(None)), "more is to come");
        assert_eq!(pieces, [1, 2, 3]);
        let (outcome, _) = fed(&[first, second, done]);
        assert!(matches!(outcome, Ok(Some(Whole::Yes))));
    }

    #[test]
    fn what_belongs_to_an_earlier_request_is_not_taken() {
        let late = [message(PIECE, 2, 6, [1; 4]), message(NLMSG_DONE, 2, 6, [0; 4])].concat();
        let own = [message(PIECE, 2, 7, [2; 4]), message(NLMSG_DONE, 2, 7, [0; 4])].concat();
        let (outcome, pieces) = fed(&[late, own]);
        assert!(matches!(outcome, Ok(Some(Whole::Yes))));
        assert_eq!(pieces, [2]);
    }

    #[test]
    fn one_interrupted_message_spoils_the_dump_also_the_last() {
        let done = message(NLMSG_DONE, 2 | NLM_F_DUMP_INTR, 7, [0; 4]);
        assert!(matches!(fed(&[done]).0, Ok(Some(Whole::Interrupted))));
        let early = message(PIECE, 2 | NLM_F_DUMP_INTR, 7, [0; 4]);
        let done = message(NLMSG_DONE, 2, 7, [0; 4]);
        assert!(matches!(fed(&[early, done]).0, Ok(Some(Whole::Interrupted))));
    }

    #[test]
    fn lost_and_broken_answers_are_told_apart() {
        assert!(matches!(fed(&[message(NLMSG_OVERRUN, 0, 7, [0; 4])]).0, Err(Failure::Lost)));
        let broken = message(PIECE, 2, 7, [0; 4])[..19].to_vec();
        assert!(matches!(fed(&[broken]).0, Err(Failure::Malformed(_))));
    }

    #[test]
    fn a_dump_is_made_again_but_not_for_ever() {
        let mut tries = 0;
        let third = until_whole(|| {
            tries += 1;
            match tries {
                1 => Ok((Whole::Interrupted, 1)),
                2 => Err(Failure::Lost),
                _ => Ok((Whole::Yes, tries)),
            }
        });
        assert!(matches!(third, Ok(3)));

        let mut tries = 0;
        let never = until_whole(|| {
            tries += 1;
            Ok((Whole::Interrupted, ()))
        });
        assert!(matches!(never, Err(Failure::Interrupted)));
        assert_eq!(tries, DUMP_ATTEMPTS_MAX);
    }

    #[test]
    fn a_socket_whose_answer_was_not_read_is_opened_again() {
        let mut socket = RouteSocket::open().unwrap();
        let request = super::super::link::get_all();
        socket.send(request.clone(), NLM_F_DUMP).unwrap();
        socket.is_unclean = true;
        // On the old socket the kernel would say EBUSY, or the old answer would come first.
        let found = socket.all(&request, |_, _| Some(())).unwrap();
        assert!(!found.is_empty() && !socket.is_unclean);
    }
}
