//! What the fuzz targets call; ordinary tests call it too (`tests/fuzz_entries.rs`).

use vswitch::FRAME_MAX_BYTES;
use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings, Verdict};
use vswitch::{MacAddr, Nanos};

/// Any bytes as a stream into a port, cut as their first byte says: the frames that are whole come
/// out, however they were cut, and the first length that cannot be ends the port.
#[cfg(unix)]
pub(crate) fn stream(bytes: &[u8]) {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use vswitch::framing::whole_frames;
    use vswitch::pool::Pool;
    use vswitch::port::unix::StreamPort;
    use vswitch::port::{Gone, Inbox, InboxBuffers, Port as _, Received};

    let Some((cut, bytes)) = bytes.split_first() else { return };
    let whole: Vec<_> = whole_frames(bytes).collect();
    let frames = whole.iter().map_while(|frame| frame.as_ref().ok());
    frames.clone().for_each(|frame| assert!((1..=FRAME_MAX_BYTES).contains(&frame.len())));
    let (mut near, far) = UnixStream::pair().expect("a pair of sockets");
    let mut port = StreamPort::new(far.into());
    // Each frame may keep a buffer of 64 KiB, since nobody takes them out of the inbox.
    let (mut buffers, mut pool) = (InboxBuffers::default(), Pool::new(1 << 30));
    let mut inbox = Inbox::new(&mut buffers, &mut pool);
    for piece in bytes.chunks(usize::from(*cut) + 1) {
        near.write_all(piece).expect("the port reads");
        loop {
            match port.receive(&mut inbox) {
                Received::More => {}
                Received::Drained => break,
                Received::Gone(Gone::Framing { .. }) => {
                    assert!(whole.last().is_some_and(Result::is_err));
                    assert_eq!(inbox.len_frames(), frames.count());
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(inbox.len_frames(), whole.len());
}

/// Any bytes as what a VDE client asks: what is read of them stays the same when more comes, and an
/// answer to its path, where there can be one, has that path.
#[cfg(unix)]
pub(crate) fn vde_request(bytes: &[u8]) {
    use vswitch::port::unix::vde::request::{
        ADDRESS_BYTES, REQUEST_BYTES_MIN, Request, answer, parse,
    };

    let whole = parse(bytes);
    for len in 0..bytes.len() {
        match (parse(&bytes[..len]), &whole) {
            (Ok(None), _) => {}
            (Ok(Some(part)), Ok(Some(whole))) => {
                let Request { port, data_socket, .. } = *whole;
                assert_eq!((part.port, part.data_socket), (port, data_socket));
                assert!(whole.description.starts_with(part.description));
            }
            (part, whole) => assert_eq!(part, *whole),
        }
    }
    let Ok(Some(request)) = whole else { return };
    assert_eq!(request.description.len(), bytes.len() - REQUEST_BYTES_MIN);
    assert!(request.data_socket.is_absolute());
    let told: [u8; ADDRESS_BYTES] = answer(request.data_socket).expect("it came in an address");
    let again = [&bytes[..12], &told].concat();
    let again = parse(&again).expect("an address").expect("a whole one");
    assert_eq!((again.port, again.data_socket), (request.port, request.data_socket));
}

/// Any bytes as frames into a fabric of three ports; what is forwarded goes to another port.
pub(crate) fn fabric(bytes: &[u8]) {
    let mut fabric = Fabric::new(Settings::default());
    let named = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    for (port, mac) in [(0, named), (1, None), (2, None)] {
        let policy = PortPolicy { mac, addresses_max: 4, ..PortPolicy::default() };
        fabric.add_port(PortIndex(port), policy).expect("a free address");
    }
    for (place, frame) in bytes.chunks(16).enumerate() {
        let port = PortIndex(u16::from(frame[0] % 3));
        let now = Nanos(place as u64 * 1_000_000_000 * u64::from(frame[frame.len() - 1]));
        match fabric.ingress(port, &frame[1..], now) {
            Verdict::Forward(target) => assert_ne!(target, port),
            Verdict::Flood | Verdict::Drop(_) => {}
        }
        assert!(fabric.entry_count() <= 1 + 3 * 4);
        if frame[0] & 0x80 != 0 {
            fabric.expire(now);
        }
    }
}
