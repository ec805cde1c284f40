//! `PF_NDRV` sockets. Each behaviour by its row of the contract.

mod support;

use support::events::{Events, PROTO_ATTACHED, PROTO_DETACHED};
use support::frames::{GUEST, OTHER_GUEST, frame};
use support::taps::Tap;
use support::{Control, Result, let_frames_through, machine, put, settle, u32_at};
use xnu_sim::{Fault, FaultAction, MacOs, SimFd, SimKernel};
use xnu_sys::{Descriptor, Errno, Kernel, Messages, Ndrv as NdrvKind};

const PF_NDRV: i32 = 27;
const SOCK_DGRAM: i32 = 2;
const SOCK_RAW: i32 = 3;
const SOL_SOCKET: i32 = 0xffff;
const SOL_NDRVPROTO: i32 = 0;
const SO_SNDBUF: i32 = 0x1001;
const SO_RCVBUF: i32 = 0x1002;
const SO_TYPE: i32 = 0x1008;
const SO_NOSIGPIPE: i32 = 0x1022;
const NDRV_DELDMXSPEC: i32 = 2;
const NDRV_SETDMXSPEC: i32 = 4;
const NDRV_ADDMULTICAST: i32 = 5;
const NDRV_DELMULTICAST: i32 = 6;

struct Socket {
    kernel: SimKernel,
    fd: SimFd,
}

impl Socket {
    fn open(kernel: &SimKernel) -> Result<Self> {
        let fd = kernel.socket(PF_NDRV, SOCK_RAW, 0)?;
        Ok(Self { kernel: kernel.clone(), fd })
    }

    fn bind(&self, interface: &str) -> Result<()> {
        self.kernel.bind(&self.fd, &address(interface))
    }

    fn connect(&self) -> Result<()> {
        self.kernel.connect(&self.fd, &address(""))
    }

    fn send(&self, frame: &[u8]) -> Result<usize> {
        self.kernel.write(&self.fd, frame)
    }

    fn set(&self, level: i32, name: i32, value: &[u8]) -> Result<()> {
        self.kernel.setsockopt(&self.fd, level, name, value)
    }

    fn set_number(&self, name: i32, value: u32) -> Result<()> {
        self.set(SOL_SOCKET, name, &value.to_le_bytes())
    }

    fn number(&self, name: i32) -> u32 {
        let mut value = [0; 4];
        assert_eq!(self.kernel.getsockopt(&self.fd, SOL_SOCKET, name, &mut value), Ok(4));
        u32_at(&value, 0)
    }
}

/// A `sockaddr_ndrv`.
fn address(interface: &str) -> [u8; 18] {
    let mut address = [0; 18];
    put(&mut address, 0, &[18, 27]);
    put(&mut address, 2, interface.as_bytes());
    address
}

/// A machine with `feth0` and `feth1`, each other's peers, a socket that sends by `feth0`, and what
/// comes in at `feth1`.
fn wired(version: MacOs) -> (SimKernel, Control, Socket, Tap) {
    let (kernel, control) = machine(version);
    control.pair("feth0", "feth1");
    let socket = Socket::open(&kernel).unwrap();
    socket.bind("feth0").unwrap();
    socket.connect().unwrap();
    let far = Tap::on(&kernel, "feth1").only_in();
    (kernel, control, socket, far)
}

fn arrived(kernel: &SimKernel, far: &Tap) -> Vec<Vec<u8>> {
    let_frames_through(kernel);
    far.frames()
}

fn frame_of_len(len: usize) -> Vec<u8> {
    let mut bytes = frame(OTHER_GUEST, GUEST, "");
    bytes.resize(len, 0x5a);
    bytes
}

/// §6 socket: root makes them; after that nobody asks.
#[test]
fn root_makes_them() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    assert_eq!(Socket::open(&kernel.spawn(false)).err(), Some(Errno::EPERM));
    let socket = Socket::open(&kernel).unwrap();
    kernel.drop_privileges();
    assert_eq!((socket.bind("feth0"), socket.connect()), (Ok(()), Ok(())));
    assert_eq!(socket.send(&frame_of_len(60)), Ok(60));
    assert_eq!(Socket::open(&kernel).err(), Some(Errno::EPERM));
}

/// §6 socket: of type raw and protocol 0 only.
#[test]
fn there_is_one_type_and_one_protocol() {
    let (kernel, _control) = machine(MacOs::V15);
    let errno = |kind, protocol| kernel.socket(PF_NDRV, kind, protocol).err();
    assert_eq!(errno(SOCK_DGRAM, 0), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(errno(SOCK_RAW, 7), Some(Errno::EPROTONOSUPPORT));
    assert_eq!(kernel.socketpair(PF_NDRV, SOCK_RAW, 0).err(), Some(Errno::EOPNOTSUPP));
}

/// §6 bind: `EADDRNOTAVAIL` for a name that is none, `EINVAL` for an empty one; there is no second
/// bind, not even after one that failed.
#[test]
fn a_failed_bind_spoils_the_socket() {
    for (name, errno) in [("feth9", Errno::EADDRNOTAVAIL), ("", Errno::EINVAL)] {
        let (kernel, control) = machine(MacOs::V15);
        control.pair("feth0", "feth1");
        let socket = Socket::open(&kernel).unwrap();
        assert_eq!(socket.bind(name), Err(errno));
        assert_eq!(socket.bind("feth0"), Err(Errno::EINVAL));
    }
    let (_kernel, _control, socket, _far) = wired(MacOs::V15);
    assert_eq!(socket.bind("feth0"), Err(Errno::EINVAL));
}

/// §6 bind: names are compared as they are (the number in a request's name as a number).
#[test]
fn names_are_compared_as_they_are() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    assert!(control.flags("feth00").is_ok());
    assert_eq!(Socket::open(&kernel).unwrap().bind("feth00"), Err(Errno::EADDRNOTAVAIL));
}

/// §6 connect: an address of at least 18 bytes, whatever is in it; a second is `EISCONN`.
#[test]
fn connecting_looks_at_the_length_alone() {
    let (kernel, _control) = machine(MacOs::V15);
    let socket = Socket::open(&kernel).unwrap();
    assert_eq!(kernel.connect(&socket.fd, &address("")[..17]), Err(Errno::EINVAL));
    assert_eq!(kernel.connect(&socket.fd, &[0xff; 18]), Ok(()));
    assert_eq!(socket.connect(), Err(Errno::EISCONN));
}

/// §6 send path: the frame goes as it is.
#[test]
fn a_frame_goes_as_it_is() {
    for version in MacOs::ALL {
        let (kernel, _control, socket, far) = wired(version);
        let sent = frame(OTHER_GUEST, GUEST, "as it is");
        assert_eq!(socket.send(&sent), Ok(60));
        assert_eq!(arrived(&kernel, &far), [sent], "{version:?}");
    }
}

/// §6 connect, C29: without a connection a write is `EDESTADDRREQ`, and `sendto` with any address
/// goes.
#[test]
fn an_unconnected_socket_wants_an_address() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let far = Tap::on(&kernel, "feth1").only_in();
    let socket = Socket::open(&kernel).unwrap();
    let sent = frame_of_len(60);
    assert_eq!(socket.send(&sent), Err(Errno::EDESTADDRREQ));
    socket.bind("feth0").unwrap();
    assert_eq!(socket.send(&sent), Err(Errno::EDESTADDRREQ));
    assert_eq!(kernel.sendto(&socket.fd, &sent, 0, None), Err(Errno::EDESTADDRREQ));
    assert_eq!(kernel.sendto(&socket.fd, &sent, 0, Some(&[0xff; 18])), Ok(60));
    assert_eq!(arrived(&kernel, &far), [sent]);
}

/// §6 errors: `EINVAL` when it is not bound; the connection and the size are looked at before.
#[test]
fn an_unbound_socket_sends_nothing() {
    let (kernel, _control) = machine(MacOs::V15);
    let socket = Socket::open(&kernel).unwrap();
    socket.connect().unwrap();
    assert_eq!(socket.send(&frame_of_len(60)), Err(Errno::EINVAL));
    assert_eq!(socket.send(&frame_of_len(8193)), Err(Errno::EMSGSIZE));
}

/// §6 send path: no bound but SO_SNDBUF, which is 8,192; the MTU is none.
#[test]
fn frames_are_bound_by_the_send_buffer() {
    for version in MacOs::ALL {
        let (kernel, control, socket, far) = wired(version);
        assert_eq!(control.mtu("feth0"), Ok(1500));
        assert_eq!((socket.number(SO_SNDBUF), socket.number(SO_RCVBUF)), (8192, 8192));
        assert_eq!(socket.send(&frame_of_len(8192)), Ok(8192), "{version:?}");
        assert_eq!(socket.send(&frame_of_len(8193)), Err(Errno::EMSGSIZE), "{version:?}");
        socket.set_number(SO_SNDBUF, 9018).unwrap();
        assert_eq!(socket.send(&frame_of_len(9018)), Ok(9018), "{version:?}");
        let lens: Vec<usize> = arrived(&kernel, &far).iter().map(Vec::len).collect();
        assert_eq!(lens, [8192, 9018]);
    }
}

/// §7 SO_*BUF, which are those of all sockets: refused above the limit up to 14.3, clamped since.
#[test]
fn buffers_have_the_limits_of_sockets() {
    for version in MacOs::ALL {
        let (_kernel, _control, socket, _far) = wired(version);
        let big = socket.set_number(SO_SNDBUF, 16 << 20);
        if version < MacOs::V14_4 {
            assert_eq!((big, socket.number(SO_SNDBUF)), (Err(Errno::ENOBUFS), 8192));
            assert_eq!(socket.set_number(SO_SNDBUF, 7_456_541), Err(Errno::ENOBUFS));
            assert_eq!(socket.set_number(SO_SNDBUF, 7_456_540), Ok(()));
        } else {
            assert_eq!((big, socket.number(SO_SNDBUF)), (Ok(()), 8 << 20));
            assert_eq!(socket.set_number(SO_SNDBUF, 16 << 20), Err(Errno::ENOBUFS));
        }
        assert_eq!(socket.set_number(SO_RCVBUF, 0), Err(Errno::EINVAL));
        assert_eq!(socket.set(SOL_SOCKET, SO_RCVBUF, &[1]), Err(Errno::EINVAL));
        socket.set_number(SO_RCVBUF, 100_000).unwrap();
        assert_eq!(socket.number(SO_RCVBUF), 100_000);
    }
}

/// §6 EPIPE/SIGPIPE: SO_NOSIGPIPE may be set; the type is raw.
#[test]
fn other_options() {
    let (_kernel, _control, socket, _far) = wired(MacOs::V15);
    assert_eq!(socket.number(SO_NOSIGPIPE), 0);
    socket.set_number(SO_NOSIGPIPE, 1).unwrap();
    assert_eq!(socket.number(SO_NOSIGPIPE), 1);
    assert_eq!(socket.number(SO_TYPE), 3);
    assert_eq!(socket.set_number(0x7fff, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(socket.set(SOL_NDRVPROTO, 1, &[]), Err(Errno::ENOTSUP));
}

/// §6 errors: `ENETDOWN` by an interface that is not up.
#[test]
fn a_down_interface_says_so() {
    let (_kernel, control, socket, _far) = wired(MacOs::V15);
    control.down("feth0");
    assert_eq!(socket.send(&frame_of_len(60)), Err(Errno::ENETDOWN));
    control.up("feth0");
    assert_eq!(socket.send(&frame_of_len(60)), Ok(60));
}

/// C28: made with `txstart` 0, a feth has no queue, and nobody asks whether it is up.
#[test]
fn without_a_queue_a_down_interface_sends() {
    let (kernel, control) = machine(MacOs::V15);
    kernel.sysctlbyname(c"net.link.fake.txstart", &mut [], Some(&[0; 4])).unwrap();
    control.pair("feth0", "feth1");
    let far = Tap::on(&kernel, "feth1").only_in();
    let socket = Socket::open(&kernel).unwrap();
    socket.bind("feth0").unwrap();
    socket.connect().unwrap();
    control.down("feth0");
    assert_eq!(socket.send(&frame_of_len(60)), Ok(60));
    assert_eq!(far.frames().len(), 1);
}

/// §6 errors: `ENOBUFS` says that this frame is gone; the next one may go.
#[test]
fn enobufs_is_one_lost_frame() {
    let (kernel, _control, socket, far) = wired(MacOs::V15);
    kernel.add_fault(Fault {
        call: "output",
        object: Some("feth0".to_owned()),
        after: 1,
        times: 1,
        action: FaultAction::Fail(Errno::ENOBUFS),
    });
    let sent = frame_of_len(60);
    let outcomes: Vec<_> = (0..3).map(|_| socket.send(&sent)).collect();
    assert_eq!(outcomes, [Ok(60), Err(Errno::ENOBUFS), Ok(60)]);
    assert_eq!(arrived(&kernel, &far).len(), 2);
}

/// §6 buffering: nothing is ever charged to the socket; what its interface cannot send waits in the
/// interface's queue, and the oldest go.
#[test]
fn a_stalled_interface_holds_nobody_up() {
    let (kernel, control, socket, far) = wired(MacOs::V15);
    let stall = |value: u32| {
        let mut request = [0; 160];
        put(&mut request, 32, &value.to_le_bytes());
        control.driver_set("feth0", 3, &mut request).unwrap();
    };
    stall(1);
    for _ in 0..3000 {
        assert_eq!(socket.send(&frame_of_len(60)), Ok(60));
    }
    stall(0);
    kernel.run_for(std::time::Duration::from_millis(1));
    assert_eq!(arrived(&kernel, &far).len(), 2048);
}

/// §4 no minimum length, §6: neither NDRV nor feth looks for a whole header; the simulator fails
/// the test.
#[test]
#[should_panic(expected = "XNU may panic")]
fn a_runt_fails_the_test() {
    let (_kernel, _control, socket, _far) = wired(MacOs::V15);
    let _ = socket.send(&[0; 13]);
}

/// §6 receive: off; reads find nothing.
#[test]
fn nothing_is_received() {
    let (kernel, _control, socket, _far) = wired(MacOs::V15);
    let other = Socket::open(&kernel).unwrap();
    other.bind("feth1").unwrap();
    other.connect().unwrap();
    kernel.fcntl(&socket.fd, 4, 4).unwrap();
    other.send(&frame_of_len(60)).unwrap();
    settle(&kernel);
    assert_eq!(kernel.read(&socket.fd, &mut [0; 2048]), Err(Errno::EAGAIN));
}

/// §6 receive: a demultiplexer needs a bound socket (`EBUSY`), a description of 24 bytes (`EINVAL`)
/// of version 1 (`ENOTSUP`), another family than NDRV, 1 to 10 of them; there is none to delete.
#[test]
fn demultiplexers_are_checked() {
    let (kernel, _control, socket, _far) = wired(MacOs::V15);
    let description = |version: u32, family: u32, count: u32| {
        let mut bytes = [0; 24];
        for (at, value) in [version, family, count].into_iter().enumerate() {
            put(&mut bytes, at * 4, &value.to_le_bytes());
        }
        bytes
    };
    let set = |socket: &Socket, value: &[u8]| socket.set(SOL_NDRVPROTO, NDRV_SETDMXSPEC, value);
    let unbound = Socket::open(&kernel).unwrap();
    assert_eq!(set(&unbound, &description(1, 99, 1)), Err(Errno::EBUSY));
    assert_eq!(set(&socket, &description(1, 99, 1)[..23]), Err(Errno::EINVAL));
    assert_eq!(set(&socket, &description(1, 27, 1)), Err(Errno::EINVAL));
    assert_eq!(set(&socket, &description(0, 99, 1)), Err(Errno::EINVAL));
    assert_eq!(set(&socket, &description(2, 99, 1)), Err(Errno::ENOTSUP));
    assert_eq!(set(&socket, &description(1, 99, 0)), Err(Errno::EINVAL));
    assert_eq!(set(&socket, &description(1, 99, 11)), Err(Errno::EINVAL));
    // The list itself is at no address.
    assert_eq!(set(&socket, &description(1, 99, 10)), Err(Errno::EFAULT));
    assert_eq!(socket.set(SOL_NDRVPROTO, NDRV_DELDMXSPEC, &[]), Err(Errno::EINVAL));
}

/// §6 (NDRV's options): groups are added once and deleted once, on a bound socket.
#[test]
fn groups_are_added_and_deleted() {
    let (kernel, _control, socket, _far) = wired(MacOs::V15);
    let group = [16, 0, 1, 0, 0x5e, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let add = |socket: &Socket, value: &[u8]| socket.set(SOL_NDRVPROTO, NDRV_ADDMULTICAST, value);
    let delete = |socket: &Socket| socket.set(SOL_NDRVPROTO, NDRV_DELMULTICAST, &group);
    let unbound = Socket::open(&kernel).unwrap();
    assert_eq!((add(&unbound, &group), delete(&unbound)), (Err(Errno::ENXIO), Err(Errno::ENXIO)));
    assert_eq!(delete(&socket), Err(Errno::ENXIO));
    assert_eq!(add(&socket, &group[..15]), Err(Errno::EINVAL));
    assert_eq!(add(&socket, &group[..1]), Err(Errno::EINVAL));
    assert_eq!((add(&socket, &group), add(&socket, &group)), (Ok(()), Err(Errno::EEXIST)));
    let mut other = group;
    other[7] = 2;
    assert_eq!(socket.set(SOL_NDRVPROTO, NDRV_DELMULTICAST, &other), Err(Errno::ENOENT));
    assert_eq!((delete(&socket), delete(&socket)), (Ok(()), Err(Errno::ENXIO)));
}

/// §6 interface destroyed, C13: `ENXIO` at once and from then on; no end, no `EPIPE`; a socket of a
/// destroyed interface sends by the one that is made under its name, once that is.
#[test]
fn a_stale_socket_sends_by_the_interface_made_again() {
    for version in MacOs::ALL {
        let (kernel, control, socket, far) = wired(version);
        control.destroy("feth0").unwrap();
        assert_eq!(socket.send(&frame_of_len(60)), Err(Errno::ENXIO), "{version:?}");
        settle(&kernel);
        assert_eq!(socket.send(&frame_of_len(60)), Err(Errno::ENXIO), "{version:?}");
        control.create("feth0").unwrap();
        control.set_peer("feth0", "feth1").unwrap();
        control.up("feth0");
        assert_eq!(socket.send(&frame_of_len(60)), Ok(60), "{version:?}");
        assert_eq!(arrived(&kernel, &far).len(), 1, "{version:?}");
    }
}

/// M12: the first bind to an interface attaches the protocol, and says so; further ones do not; the
/// last close takes it away.
#[test]
fn the_first_bind_attaches_and_the_last_close_detaches() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let events = Events::of_interfaces(&kernel);
    let first = Socket::open(&kernel).unwrap();
    first.bind("feth0").unwrap();
    assert_eq!(events.codes_of("feth0"), [PROTO_ATTACHED]);
    let second = Socket::open(&kernel).unwrap();
    second.bind("feth0").unwrap();
    drop(first);
    assert_eq!(events.codes_of("feth0"), []);
    drop(second);
    assert_eq!(events.codes_of("feth0"), [PROTO_DETACHED]);
}

/// §6 latent collision: sockets are told apart by family and unit: one of `bridge0` keeps `feth0`'s
/// protocol attached.
#[test]
fn interfaces_of_one_unit_are_taken_for_one() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    control.create("bridge0").unwrap();
    let events = Events::of_interfaces(&kernel);
    let of_feth = Socket::open(&kernel).unwrap();
    of_feth.bind("feth0").unwrap();
    let of_bridge = Socket::open(&kernel).unwrap();
    of_bridge.bind("bridge0").unwrap();
    events.take();
    drop(of_feth);
    assert_eq!(events.take(), []);
    // The next one finds it attached.
    let again = Socket::open(&kernel).unwrap();
    again.bind("feth0").unwrap();
    assert_eq!(events.take(), []);
    drop(of_bridge);
}

/// §6 batching, C24: `sendmsg_x` sends one by one; since 14.0 `ENOBUFS` after some were sent makes
/// the count short, with nothing before it the error is told. (How 12 and 13 count is a test of
/// messages.)
#[test]
fn many_frames_go_in_one_call() {
    for version in MacOs::ALL {
        let (kernel, _control, socket, far) = wired(version);
        let descriptor: Descriptor<SimKernel, NdrvKind> =
            Descriptor::new(kernel.clone(), socket.fd);
        let frames: Vec<Vec<u8>> = (60..65).map(frame_of_len).collect();
        let mut messages = Messages::default();
        let mut send = || messages.send(&descriptor, frames.iter().map(Vec::as_slice));
        assert_eq!(send(), Ok(5), "{version:?}");
        assert_eq!(arrived(&kernel, &far), frames, "{version:?}");
        if version < MacOs::V14_0 {
            continue;
        }
        for (after, outcome, gone) in [(2, Ok(2), 2), (0, Err(Errno::ENOBUFS), 0)] {
            kernel.add_fault(Fault {
                call: "output",
                object: Some("feth0".to_owned()),
                after,
                times: 1,
                action: FaultAction::Fail(Errno::ENOBUFS),
            });
            assert_eq!(send(), outcome, "{version:?}");
            assert_eq!(arrived(&kernel, &far).len(), gone, "{version:?}");
        }
    }
}
