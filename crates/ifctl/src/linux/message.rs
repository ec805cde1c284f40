//! What one datagram from the kernel holds: netlink messages one behind the other
//! (include/uapi/linux/netlink.h, `struct nlmsghdr`).

use std::io;

use netlink_packet_core::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP,
    NLMSG_OVERRUN, NetlinkBuffer,
};

use super::attributes::{find, text_in, u32_in};

/// One message, by what it means for who waits for an answer.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// A piece of the answer.
    Piece { kind: u16, payload: &'a [u8] },
    /// The answer is complete, or there is none to wait for.
    End(Result<(), Refusal>),
    /// The kernel lost messages.
    Lost,
    /// Nothing.
    Noop,
}

/// A "no" of the kernel.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) errno: io::Error,
    /// The kernel's own words (`NLMSGERR_ATTR_MSG`).
    pub(super) detail: Option<String>,
}

/// A message's header beside its meaning.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) sequence: u32,
    /// The dump that this message belongs to missed a change, and must be made again.
    pub(super) is_interrupted: bool,
    pub(super) message: Message<'a>,
}

/// The messages in `datagram`; an error ends the walk.
pub(super) fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

/// Iterator of [`messages`].
#[derive(Debug)]
pub(super) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Received<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Ok(buffer) = NetlinkBuffer::new_checked(rest) else {
            return Some(Err("a message's length is wrong"));
        };
        let len = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        self.rest = rest.get(len.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        Some(received(&buffer))
    }
}

fn received<'a>(buffer: &NetlinkBuffer<&'a [u8]>) -> Result<Received<'a>, &'static str> {
    let (flags, payload) = (buffer.flags(), buffer.payload());
    let message = match buffer.message_type() {
        NLMSG_NOOP => Message::Noop,
        NLMSG_OVERRUN => Message::Lost,
        NLMSG_DONE => Message::End(outcome(payload, flags, DONE_LEN)?),
        NLMSG_ERROR => Message::End(outcome(payload, flags, error_len(payload, flags))?),
        kind => Message::Piece { kind, payload },
    };
    Ok(Received {
        sequence: buffer.sequence_number(),
        is_interrupted: flags & NLM_F_DUMP_INTR != 0,
        message,
    })
}

/// Reads the code that an error or the end of a dump begins with, and the words behind
/// `words_offset`. The code is zero for "done", or a negative errno.
fn outcome(
    payload: &[u8],
    flags: u16,
    words_offset: usize,
) -> Result<Result<(), Refusal>, &'static str> {
    let code = u32_in(payload).ok_or("an answer without a code")?.cast_signed();
    if code >= 0 {
        return Ok(Ok(()));
    }
    let words = payload.get(words_offset..).filter(|_| flags & NLM_F_ACK_TLVS != 0);
    let detail = words.and_then(|words| find(words, NLMSGERR_ATTR_MSG)).map(text_in);
    let errno = io::Error::from_raw_os_error(code.saturating_neg());
    Ok(Err(Refusal { errno, detail: detail.filter(|text| !text.is_empty()) }))
}

/// Where the words begin in an error: behind the code and the refused request, of which only the
/// header is sent back when the answer is capped.
fn error_len(payload: &[u8], flags: u16) -> usize {
    let request = match payload.get(DONE_LEN..).and_then(u32_in) {
        Some(len) if flags & NLM_F_CAPPED == 0 => usize::try_from(len).unwrap_or(usize::MAX),
        _ => REQUEST_HEADER_LEN,
    };
    request.saturating_add(DONE_LEN)
}

const ALIGNMENT: usize = 4;
const DONE_LEN: usize = 4;
const REQUEST_HEADER_LEN: usize = 16;
/// include/uapi/linux/netlink.h, `enum nlmsgerr_attrs`.
const NLMSGERR_ATTR_MSG: u16 = 1;

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded from Linux 6.18 (strace): the refusal of an MTU of 70000 on a veth end, with the
    /// kernel's words, capped as this crate asks for it.
    const CAPPED: &[u8] = b"\x48\0\0\0\x02\0\0\x03\x09\0\0\0\x97\x71\0\0\xea\xff\xff\xff\
        \x28\0\0\0\x13\0\x05\0\x09\0\0\0\0\0\0\0\
        \x24\0\x01\0mtu greater than device maximum\0";
    /// The same as iproute2 got it: behind the whole of its request.
    const WHOLE: &[u8] = b"\x60\0\0\0\x02\0\0\x02\xa6\xa8\x04\x6b\xb0\x71\0\0\xea\xff\xff\xff\
        \x28\0\0\0\x10\0\x05\0\xa6\xa8\x04\x6b\0\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\
        \x08\0\x04\0\x70\x11\x01\0\x24\0\x01\0mtu greater than device maximum\0";

    #[test]
    fn a_refusal_has_its_errno_and_words() {
        for (recorded, sequence) in [(CAPPED, 9), (WHOLE, 0x6b04_a8a6)] {
            let all: Vec<_> = messages(recorded).map(Result::unwrap).collect();
            let [Received { message: Message::End(Err(refusal)), .. }] = &all[..] else {
                panic!("{all:?}");
            };
            assert_eq!(all[0].sequence, sequence);
            assert_eq!(refusal.errno.raw_os_error(), Some(22));
            assert_eq!(refusal.detail.as_deref(), Some("mtu greater than device maximum"));
        }
    }

    #[test]
    fn an_acknowledgement_is_the_end() {
        let recorded = b"\x24\0\0\0\x02\0\0\x01\x0c\0\0\0\xb7\x71\0\0\0\0\0\0\
            \x30\0\0\0\x12\0\x05\0\x0c\0\0\0\0\0\0\0";
        let received = messages(recorded).next().unwrap().unwrap();
        assert!(matches!(received.message, Message::End(Ok(()))), "{received:?}");
    }

    #[test]
    fn a_dump_is_pieces_and_an_end_and_may_be_interrupted() {
        let piece = b"\x14\x00\x00\x00\x10\x00\x12\x00\x07\x00\x00\x00\x01\x00\x00\x00body";
        let done = b"\x14\x00\x00\x00\x03\x00\x02\x00\x07\x00\x00\x00\x01\x00\x00\x00\0\0\0\0";
        let datagram = [&piece[..], done].concat();
        let all: Vec<_> = messages(&datagram).map(Result::unwrap).collect();
        assert!(all.iter().all(|received| received.sequence == 7));
        assert!(all[0].is_interrupted && !all[1].is_interrupted);
        assert!(matches!(all[0].message, Message::Piece { kind: 16, payload: b"body" }));
        assert!(matches!(all[1].message, Message::End(Ok(()))));
    }

    #[test]
    fn a_dump_can_end_in_an_error() {
        let done =
            b"\x14\x00\x00\x00\x03\x00\x02\x00\x07\x00\x00\x00\x01\x00\x00\x00\xed\xff\xff\xff";
        let received = messages(done).next().unwrap().unwrap();
        let Message::End(Err(refusal)) = received.message else { panic!("{received:?}") };
        assert_eq!(refusal.errno.raw_os_error(), Some(19));
    }

    #[test]
    fn a_wrong_length_is_an_error_and_the_end() {
        for len in [0_u32, 15, 17, 0xffff_ffff] {
            let bytes = [&len.to_le_bytes()[..], &[0; 12]].concat();
            let all: Vec<_> = messages(&bytes).collect();
            assert!(matches!(&all[..], [Err(_)]), "{len}: {all:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16 + 1);
        }

        #[test]
        fn so_are_answers_that_are_nearly_right(
            at in 0..WHOLE.len(), byte: u8, len in 0..=WHOLE.len()
        ) {
            let mut bytes = WHOLE.to_vec();
            bytes[at] = byte;
            bytes.truncate(len);
            for received in messages(&bytes) {
                drop(received);
            }
        }
    }
}
