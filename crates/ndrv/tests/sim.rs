//! NDRV sockets on every version of the simulated XNU.

use ndrv::{Error, Options, Socket};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::{Errno, MESSAGES_MAX};

#[macro_use]
mod socket;
#[path = "../../bpf/tests/xnu/mod.rs"]
#[allow(dead_code, reason = "shared with another crate's tests")]
mod xnu;

use socket::{Reader, open};
use xnu::{Pair, frame};

fn pair(version: MacOs) -> Pair<SimKernel> {
    let kernel = SimKernel::boot(version, 1);
    Pair::create(&kernel).expect("a pair of feths")
}

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                for version in MacOs::ALL {
                    socket::$name(&pair(version));
                }
            }
        )*
    };
}

contract!(tests);

/// So many calls of a name go well, then one goes wrong.
fn fault(pair: &Pair<SimKernel>, call: &'static str, after: u64, action: FaultAction) {
    pair.kernel().add_fault(Fault { call, object: None, after, times: 1, action });
}

fn fail(pair: &Pair<SimKernel>, call: &'static str, errno: Errno) {
    fault(pair, call, 0, FaultAction::Fail(errno));
}

fn frames(count: u16) -> Vec<Vec<u8>> {
    (0..count).map(|number| frame(number, 60)).collect()
}

fn slices(frames: &[Vec<u8>]) -> Vec<&[u8]> {
    frames.iter().map(Vec::as_slice).collect()
}

#[test]
fn only_root_may_and_only_when_it_is_opened() {
    let pair = pair(MacOs::V15);
    let guest = pair.kernel().spawn(false);
    let denied = Socket::open_on(guest, pair.v, &Options::default());
    assert_eq!(denied.err(), Some(Error::NotPermitted { interface: pair.v }));
    let (mut socket, mut reader) = (open(&pair), Reader::on(pair.kernel(), pair.b));
    pair.kernel().drop_privileges();
    socket.send(&frame(1, 60)).expect("sent");
    socket.refresh_mtu().expect("an MTU");
    pair.settle();
    assert_eq!(reader.drain(), [frame(1, 60)]);
}

/// Nobody's programs inherit a socket, and none is left open by what fails.
#[test]
fn descriptors() {
    let pair = pair(MacOs::V15);
    let before = pair.kernel().open_descriptors();
    let socket = open(&pair);
    let open = pair.kernel().open_descriptors();
    let new: Vec<_> = open.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(new.len(), 1);
    assert_eq!((new[0].0, new[0].2), (socket.descriptor(), true));
    drop(socket);
    for call in ["socket", "fcntl", "setsockopt", "bind", "connect", "SIOCGIFMTU", "getsockopt"] {
        fail(&pair, call, Errno::EIO);
        let failed = Socket::open_on(pair.kernel().clone(), pair.v, &Options::default());
        assert_eq!(failed.expect_err(call).errno(), Some(Errno::EIO), "{call}");
        assert_eq!(pair.kernel().open_descriptors(), before, "{call}");
    }
}

#[test]
fn calls_per_batch() {
    for version in MacOs::ALL {
        let pair = pair(version);
        let mut socket = open(&pair);
        let frames = frames(256);
        let before = pair.kernel().counters();
        assert_eq!(socket.send_batch(&slices(&frames)), (256, None));
        let calls = pair.kernel().counters().since(&before);
        assert_eq!(calls.of("sendmsg_x"), 256 / MESSAGES_MAX as u64);
        assert_eq!(calls.total_calls(), calls.of("sendmsg_x"));
    }
}

/// A kernel without `sendmsg_x`, or that has it not for such sockets, is asked once.
#[test]
fn without_sendmsg_x() {
    for errno in [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EINVAL] {
        let pair = pair(MacOs::V15);
        let (mut socket, mut reader) = (open(&pair), Reader::on(pair.kernel(), pair.b));
        let frames = frames(10);
        fail(&pair, "sendmsg_x", errno);
        let before = pair.kernel().counters();
        assert!(socket.sends_batches());
        assert_eq!(socket.send_batch(&slices(&frames)), (10, None));
        assert!(!socket.sends_batches());
        let calls = pair.kernel().counters().since(&before);
        assert_eq!((calls.of("sendmsg_x"), calls.of("write")), (1, 10));
        pair.settle();
        assert_eq!(reader.drain(), frames);
    }
    let pair = pair(MacOs::V15);
    let options = Options { batch: false };
    let mut socket = Socket::open_on(pair.kernel().clone(), pair.v, &options).expect("a socket");
    let before = pair.kernel().counters();
    assert_eq!(socket.send_batch(&slices(&frames(3))), (3, None));
    assert_eq!(pair.kernel().counters().since(&before).of("write"), 3);
}

/// `EINVAL` that is not about the call is what it is, and batches go on.
#[test]
fn an_einval_of_its_own() {
    let pair = pair(MacOs::V15);
    let mut socket = open(&pair);
    fail(&pair, "sendmsg_x", Errno::EINVAL);
    fail(&pair, "write", Errno::EINVAL);
    let (taken, error) = socket.send_batch(&slices(&frames(2)));
    assert_eq!((taken, error.expect("EINVAL").errno()), (0, Some(Errno::EINVAL)));
    assert!(socket.sends_batches());
    assert_eq!(socket.send_batch(&slices(&frames(2))), (2, None));
}

/// Each errno is what it means, for a frame and within a batch.
#[test]
fn failed_sends() {
    let pair = pair(MacOs::V15);
    let interface = pair.v;
    let (mut socket, mut reader) = (open(&pair), Reader::on(pair.kernel(), pair.b));
    let frames = frames(100);
    let cases = [
        (Errno::ENOBUFS, Error::Lost { interface }),
        (Errno::ENOMEM, Error::Lost { interface }),
        (Errno::EMSGSIZE, Error::TooLong { interface, len_bytes: 60, max_bytes: 1518 }),
        (Errno::ENETDOWN, Error::InterfaceDown { interface }),
        (Errno::ENXIO, Error::InterfaceGone { interface }),
    ];
    for (errno, error) in cases {
        fail(&pair, "write", errno);
        assert_eq!(socket.send(&frames[0]), Err(error.clone()));
        // The second call of a batch.
        fault(&pair, "sendmsg_x", 1, FaultAction::Fail(errno));
        assert_eq!(socket.send_batch(&slices(&frames)), (MESSAGES_MAX, Some(error)));
        pair.settle();
        assert_eq!(reader.drain(), frames[..MESSAGES_MAX]);
    }
    fail(&pair, "write", Errno::EIO);
    assert_eq!(socket.send(&frames[0]).unwrap_err().errno(), Some(Errno::EIO));
    assert_eq!(socket.send(&frames[0]), Ok(()));
}

/// A call that takes less than it was given is followed by one with the rest: the frame that was
/// not taken is tried once more, and tells by itself what is wrong.
#[test]
fn short_counts() {
    let pair = pair(MacOs::V15);
    let (mut socket, mut reader) = (open(&pair), Reader::on(pair.kernel(), pair.b));
    let frames = frames(20);
    fault(&pair, "sendmsg_x", 0, FaultAction::Short(5));
    let before = pair.kernel().counters();
    assert_eq!(socket.send_batch(&slices(&frames)), (20, None));
    assert_eq!(pair.kernel().counters().since(&before).of("sendmsg_x"), 2);
    pair.settle();
    assert_eq!(reader.drain(), frames);

    fault(&pair, "sendmsg_x", 0, FaultAction::Short(5));
    fault(&pair, "sendmsg_x", 0, FaultAction::Fail(Errno::ENOBUFS));
    let interface = pair.v;
    assert_eq!(socket.send_batch(&slices(&frames)), (5, Some(Error::Lost { interface })));
    pair.settle();
    assert_eq!(reader.drain(), frames[..5]);
}

/// The send buffer is raised when a frame would not fit, and else left as it is.
#[test]
fn the_send_buffer_is_never_made_smaller() {
    let pair = pair(MacOs::V15);
    let before = pair.kernel().counters();
    let mut socket = open(&pair);
    socket.refresh_mtu().expect("an MTU");
    // SO_NOSIGPIPE.
    assert_eq!(pair.kernel().counters().since(&before).of("setsockopt"), 1);
}

/// Up to macOS 13 a first frame that is lost is no error of `sendmsg_x` but a count of 0. It must
/// not be taken for a reason to try for ever.
#[test]
fn a_count_of_nothing_is_a_lost_frame() {
    let pair = pair(MacOs::V13);
    let mut socket = open(&pair);
    let interface = pair.v;
    fault(&pair, "sendmsg_x", 0, FaultAction::Short(0));
    let result = socket.send_batch(&slices(&frames(3)));
    assert_eq!(result, (0, Some(Error::Lost { interface })));
}

/// An interface that is down and whose queue is asked (`net.link.fake.txstart`): told, and up
/// again.
#[test]
fn an_interface_that_is_down() {
    let pair = pair(MacOs::V15);
    let (mut socket, mut reader) = (open(&pair), Reader::on(pair.kernel(), pair.b));
    let interface = pair.v;
    pair.set_up(interface, false).expect("down");
    assert_eq!(socket.send(&frame(1, 60)), Err(Error::InterfaceDown { interface }));
    pair.set_up(interface, true).expect("up");
    assert_eq!(socket.send(&frame(2, 60)), Ok(()));
    pair.settle();
    assert_eq!(reader.drain(), [frame(2, 60)]);
}
