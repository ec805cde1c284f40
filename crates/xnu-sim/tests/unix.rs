//! `AF_UNIX` datagram sockets: each behaviour by its row of the contract.

mod common;

use std::time::Duration;

use common::{address, fill, get, nonblocking, pair, receive, set, socket};
use xnu_sim::{BootOptions, MacOs, SimFd, SimKernel};
use xnu_sys::sys_filio::FIONREAD;
use xnu_sys::sys_socket::{
    AF_LOCAL, MSG_DONTWAIT, MSG_PEEK, SO_ERROR, SO_NOSIGPIPE, SO_NREAD, SO_NUMRCVPKT, SO_NWRITE,
    SO_RCVBUF, SO_RCVLOWAT, SO_SNDBUF, SO_SNDLOWAT, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
};
use xnu_sys::{Descriptor, Errno, Kernel, SocketAddress, UnixSocket};

fn boot() -> SimKernel {
    SimKernel::boot(MacOs::V15, 1)
}

/// Receives one datagram with its sender's address.
fn receive_from(kernel: &SimKernel, fd: &SimFd) -> Result<(Vec<u8>, Vec<u8>), Errno> {
    let (mut buffer, mut sender) = ([0; 256], SocketAddress::EMPTY);
    let len = kernel.recvfrom(fd, &mut buffer, MSG_DONTWAIT, Some(&mut sender))?;
    Ok((buffer[..len].to_vec(), sender.as_bytes().to_vec()))
}

/// §7: one datagram is one write and one read, both ways.
#[test]
fn a_pair_carries_datagrams_both_ways() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        assert_eq!(kernel.write(&one, b"ping"), Ok(4));
        assert_eq!(kernel.write(&one, b"again"), Ok(5));
        assert_eq!(kernel.write(&other, b"pong"), Ok(4));
        assert_eq!(receive(&kernel, &other), Ok(b"ping".to_vec()));
        assert_eq!(receive(&kernel, &other), Ok(b"again".to_vec()));
        assert_eq!(receive(&kernel, &one), Ok(b"pong".to_vec()));
    }
}

/// §7 defaults: 2,048 to send and 4,096 to receive, which is two frames and no jumbo.
#[test]
fn a_new_socket_sends_2048_and_holds_4096() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    assert_eq!(get(&kernel, &one, SO_SNDBUF), 2048);
    assert_eq!(get(&kernel, &one, SO_RCVBUF), 4096);
    assert_eq!(get(&kernel, &one, SO_SNDLOWAT), 1);
    assert_eq!(get(&kernel, &one, SO_RCVLOWAT), 1);
    assert_eq!(fill(&kernel, &one, 1514), (2, Errno::ENOBUFS));
    assert_eq!(kernel.write(&one, &[0; 2049]), Err(Errno::EMSGSIZE));
    assert_eq!(receive(&kernel, &other).map(|bytes| bytes.len()), Ok(1514));
}

/// §7 max datagram: the sender's `SO_SNDBUF`, whatever the receiver has; it holds nothing itself.
#[test]
fn the_senders_buffer_is_the_biggest_datagram() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    set(&kernel, &one, SO_SNDBUF, 9014).expect("SO_SNDBUF");
    assert_eq!(kernel.write(&one, &[0; 9015]), Err(Errno::EMSGSIZE));
    assert_eq!(kernel.write(&one, &[0; 9014]), Err(Errno::ENOBUFS), "no room for it yet");
    set(&kernel, &other, SO_RCVBUF, 1 << 20).expect("SO_RCVBUF");
    assert_eq!(kernel.write(&one, &[0; 9014]), Ok(9014));
    assert_eq!(fill(&kernel, &one, 9014).1, Errno::ENOBUFS);
    assert_eq!(get(&kernel, &one, SO_NWRITE), 0);
}

/// M21: payload and 16 bytes of address against what is left of `SO_RCVBUF`, to the byte.
#[test]
fn a_datagram_is_charged_its_bytes_and_sixteen() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    assert_eq!(fill(&kernel, &one, 1000), (4, Errno::ENOBUFS));
    // 4,096 less 4 times 1,016 is 32: 17 bytes do not go, 16 do, and then not even none.
    assert_eq!(kernel.write(&one, &[0; 17]), Err(Errno::ENOBUFS));
    assert_eq!(kernel.write(&one, &[0; 16]), Ok(16));
    assert_eq!(kernel.write(&one, &[]), Err(Errno::ENOBUFS));
    assert_eq!(receive(&kernel, &other).map(|bytes| bytes.len()), Ok(1000));
    assert_eq!(kernel.write(&one, &[0; 1000]), Ok(1000));
}

/// M21: a bound sender's name is charged with the length that it was given.
#[test]
fn a_named_senders_address_is_charged_as_long_as_it_is() {
    let kernel = boot();
    let (one, other) = (socket(&kernel), socket(&kernel));
    let mut name = address("/var/run/vm");
    name.resize(106, 0);
    kernel.bind(&one, &name).expect("bind");
    kernel.bind(&other, &address("/b")).expect("bind");
    kernel.connect(&one, &address("/b")).expect("connect");
    assert_eq!(fill(&kernel, &one, 1000), (3, Errno::ENOBUFS));
    assert_eq!(kernel.write(&one, &[0; 4096 - 3 * 1106 - 106 + 1]), Err(Errno::ENOBUFS));
    assert_eq!(kernel.write(&one, &[0; 4096 - 3 * 1106 - 106]), Ok(672));
}

/// M21: mbufs count too, 256 bytes each and clusters besides, up to 8 times `SO_RCVBUF`: datagrams
/// just too long for one mbuf fill a buffer with a twentieth of the bytes that it could hold.
#[test]
fn memory_of_mbufs_bounds_small_datagrams() {
    let kernel = boot();
    // 8 x 4,096 / (256 + 256), and 8 x 4,096 / (256 + 256 + 2,048).
    for (len, count) in [(1, 64), (80, 42), (81, 13), (300, 12)] {
        let (one, other) = pair(&kernel);
        assert_eq!(fill(&kernel, &one, len), (count, Errno::ENOBUFS), "{len} bytes");
        drop(other);
    }
}

/// `bsd/sys/mbuf.h`: on Apple silicon an mbuf has 512 bytes since macOS 14.0.
#[test]
fn mbufs_are_bigger_on_apple_silicon_since_14() {
    let held = |version, is_apple_silicon| {
        let options = BootOptions { version, is_apple_silicon, ..BootOptions::default() };
        let kernel = SimKernel::boot_with(options);
        let (one, _other) = pair(&kernel);
        fill(&kernel, &one, 1).0
    };
    assert_eq!([held(MacOs::V13, false), held(MacOs::V13, true)], [64, 64]);
    assert_eq!([held(MacOs::V14_0, false), held(MacOs::V14_0, true)], [64, 32]);
}

/// §7 and M21: up to 14.3 the memory of mbufs is also bounded by 8 MiB, some 3,270 full frames.
#[test]
fn up_to_14_3_a_big_buffer_holds_3277_full_frames() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        set(&kernel, &other, SO_RCVBUF, 7 << 20).expect("SO_RCVBUF");
        let held = if version < MacOs::V14_4 { 3277 } else { (7 << 20) / (1514 + 16) };
        assert_eq!(fill(&kernel, &one, 1514), (held, Errno::ENOBUFS), "{version}");
    }
}

/// §7 `SO_*BUF` > limit, up to 14.3: `ENOBUFS` above 7,456,540, and the value stays.
#[test]
fn up_to_14_3_a_buffer_over_the_limit_is_refused() {
    for version in [MacOs::V12, MacOs::V13, MacOs::V14_0] {
        let kernel = SimKernel::boot(version, 1);
        let (one, _other) = pair(&kernel);
        for name in [SO_SNDBUF, SO_RCVBUF] {
            set(&kernel, &one, name, 1 << 20).expect("a megabyte");
            assert_eq!(set(&kernel, &one, name, 8 << 20), Err(Errno::ENOBUFS));
            assert_eq!(set(&kernel, &one, name, 7_456_541), Err(Errno::ENOBUFS));
            assert_eq!(get(&kernel, &one, name), 1 << 20);
            assert_eq!(set(&kernel, &one, name, 7_456_540), Ok(()));
            assert_eq!(get(&kernel, &one, name), 7_456_540);
        }
    }
}

/// §7 `SO_*BUF` > limit, since 14.4: clamped, but `ENOBUFS` for who is at the limit already.
#[test]
fn since_14_4_a_buffer_over_the_limit_is_clamped_once() {
    for version in [MacOs::V14_4, MacOs::V15] {
        let kernel = SimKernel::boot(version, 1);
        let (one, _other) = pair(&kernel);
        for name in [SO_SNDBUF, SO_RCVBUF] {
            assert_eq!(set(&kernel, &one, name, 100 << 20), Ok(()));
            assert_eq!(get(&kernel, &one, name), 8 << 20);
            assert_eq!(set(&kernel, &one, name, 100 << 20), Err(Errno::ENOBUFS));
            assert_eq!(set(&kernel, &one, name, 8 << 20), Ok(()));
            assert_eq!(get(&kernel, &one, name), 8 << 20);
        }
    }
}

/// `sosetoptlock`: sizes below 1 and values of too few bytes are `EINVAL`, unknown options
/// `ENOPROTOOPT`; marks are cut to their buffer's size.
#[test]
fn options_are_checked() {
    let kernel = boot();
    let (one, _other) = pair(&kernel);
    for name in [SO_SNDBUF, SO_RCVBUF, SO_SNDLOWAT, SO_RCVLOWAT] {
        assert_eq!(set(&kernel, &one, name, 0), Err(Errno::EINVAL));
        assert_eq!(set(&kernel, &one, name, -1), Err(Errno::EINVAL));
        assert_eq!(kernel.setsockopt(&one, SOL_SOCKET, name, &[1, 2, 3]), Err(Errno::EINVAL));
    }
    assert_eq!(set(&kernel, &one, 0x7777, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(kernel.setsockopt(&one, 6, SO_SNDBUF, &[0; 4]), Err(Errno::ENOPROTOOPT));
    assert_eq!(kernel.setsockopt(&one, 0, 2, &[0; 4]), Err(Errno::EOPNOTSUPP));
    assert_eq!(kernel.getsockopt(&one, SOL_SOCKET, 0x7777, &mut [0; 4]), Err(Errno::ENOPROTOOPT));
    set(&kernel, &one, SO_SNDLOWAT, 1 << 20).expect("SO_SNDLOWAT");
    set(&kernel, &one, SO_RCVLOWAT, 1 << 20).expect("SO_RCVLOWAT");
    assert_eq!(get(&kernel, &one, SO_SNDLOWAT), 2048);
    assert_eq!(get(&kernel, &one, SO_RCVLOWAT), 4096);
    set(&kernel, &one, SO_SNDBUF, 100).expect("SO_SNDBUF");
    assert_eq!(get(&kernel, &one, SO_SNDLOWAT), 100);
    assert_eq!(get(&kernel, &one, SO_NOSIGPIPE), 0);
    set(&kernel, &one, SO_NOSIGPIPE, 7).expect("SO_NOSIGPIPE");
    assert_eq!(get(&kernel, &one, SO_NOSIGPIPE), 1);
    assert_eq!(get(&kernel, &one, SO_TYPE), SOCK_DGRAM);
    let mut short = [0xff; 2];
    assert_eq!(kernel.getsockopt(&one, SOL_SOCKET, SO_SNDBUF, &mut short), Ok(2));
    assert_eq!(short, [100, 0]);
}

/// §7 `EVFILT_READ` data, `SO_NREAD`, and M22: the next datagram's bytes, how many there are, and
/// all bytes with 16 for each address.
#[test]
fn what_waits_is_said_in_three_ways() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let other = Descriptor::<_, UnixSocket>::new(kernel.clone(), other);
    let number = |name| get(&kernel, other.fd(), name);
    let bytes_to_read = || {
        let mut count = 0;
        other.request(FIONREAD, &mut count).expect("FIONREAD");
        count
    };
    assert_eq!(number(SO_NREAD), 0);
    kernel.write(&one, &[0; 100]).expect("write");
    kernel.write(&one, &[0; 50]).expect("write");
    assert_eq!([number(SO_NREAD), number(SO_NUMRCVPKT)], [100, 2]);
    assert_eq!(bytes_to_read(), 100 + 50 + 2 * 16);
    receive(&kernel, other.fd()).expect("read");
    assert_eq!([number(SO_NREAD), number(SO_NUMRCVPKT)], [50, 1]);
    assert_eq!(bytes_to_read(), 50 + 16);
}

/// M23: a datagram of no bytes is one.
#[test]
fn a_datagram_of_no_bytes_is_a_datagram() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    nonblocking(&kernel, &other);
    assert_eq!(kernel.write(&one, &[]), Ok(0));
    assert_eq!(get(&kernel, &other, SO_NUMRCVPKT), 1);
    assert_eq!(kernel.read(&other, &mut [0; 8]), Ok(0));
    assert_eq!(kernel.read(&other, &mut [0; 8]), Err(Errno::EAGAIN));
}

/// §7: too small a buffer cuts a datagram, and nobody says so; the rest is gone.
#[test]
fn a_small_buffer_cuts_a_datagram_in_silence() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"abcdef").expect("write");
    kernel.write(&one, b"next").expect("write");
    let mut buffer = [0; 3];
    assert_eq!(kernel.read(&other, &mut buffer), Ok(3));
    assert_eq!(&buffer, b"abc");
    assert_eq!(receive(&kernel, &other), Ok(b"next".to_vec()));
}

/// `soreceive`: who has room for nothing gets nothing from an empty queue, and loses a datagram
/// else.
#[test]
fn a_read_of_no_bytes() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    assert_eq!(kernel.read(&other, &mut []), Ok(0), "even of a blocking socket");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(kernel.read(&other, &mut []), Ok(0));
    assert_eq!(get(&kernel, &other, SO_NUMRCVPKT), 0);
}

/// §7 full peer: `ENOBUFS` at once, also on a blocking socket; `EAGAIN` never means full.
#[test]
fn a_full_peer_is_enobufs_at_once() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        assert_eq!(fill(&kernel, &one, 1514), (2, Errno::ENOBUFS));
        let before = kernel.now();
        assert_eq!(kernel.write(&one, &[0; 1514]), Err(Errno::ENOBUFS));
        assert!(kernel.now() - before < Duration::from_micros(1));
        receive(&kernel, &other).expect("read");
        assert_eq!(kernel.write(&one, &[0; 1514]), Ok(1514));
    }
}

/// §7 peer closed, C26: a write gives `ECONNRESET` once and at once, then `EDESTADDRREQ`; reads
/// then give `EAGAIN`.
#[test]
fn a_closed_peer_resets_once_by_write() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    nonblocking(&kernel, &one);
    drop(other);
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::ECONNRESET));
    for _ in 0..3 {
        assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
        assert_eq!(kernel.read(&one, &mut [0; 8]), Err(Errno::EAGAIN));
    }
}

/// C26: a read first gives what is queued, then `ECONNRESET` once.
#[test]
fn a_closed_peer_resets_once_by_read_after_what_it_sent() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    nonblocking(&kernel, &one);
    kernel.write(&other, b"last").expect("write");
    kernel.write(&other, b"words").expect("write");
    drop(other);
    assert_eq!(receive(&kernel, &one), Ok(b"last".to_vec()));
    assert_eq!(receive(&kernel, &one), Ok(b"words".to_vec()));
    assert_eq!(receive(&kernel, &one), Err(Errno::ECONNRESET));
    assert_eq!(receive(&kernel, &one), Err(Errno::EAGAIN));
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
}

/// §7: `MSG_PEEK` shows a datagram and leaves it, and shows the error and leaves it.
#[test]
fn a_peek_leaves_datagrams_and_errors() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    nonblocking(&kernel, &one);
    let peek = || kernel.recvfrom(&one, &mut [0; 8], MSG_PEEK, None);
    assert_eq!(peek(), Err(Errno::EAGAIN));
    kernel.write(&other, b"abc").expect("write");
    assert_eq!([peek(), peek()], [Ok(3), Ok(3)]);
    drop(other);
    assert_eq!(receive(&kernel, &one), Ok(b"abc".to_vec()));
    assert_eq!([peek(), peek()], [Err(Errno::ECONNRESET); 2]);
    assert_eq!(receive(&kernel, &one), Err(Errno::ECONNRESET));
    assert_eq!(peek(), Err(Errno::EAGAIN));
}

/// `sogetoptlock`: `SO_ERROR` takes the error that waits.
#[test]
fn so_error_takes_the_error() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    drop(other);
    assert_eq!(get(&kernel, &one, SO_ERROR), Errno::ECONNRESET.0);
    assert_eq!(get(&kernel, &one, SO_ERROR), 0);
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
}

/// C26: who is blocked in a read when the peer closes is not woken by that; only the next datagram,
/// from whoever sends one, wakes it.
#[test]
fn a_blocked_reader_sleeps_through_the_peers_death() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.bind(&one, &address("/one")).expect("bind");
    kernel.schedule(Duration::from_millis(1), move |_| drop(other));
    kernel.schedule(Duration::from_millis(5), |kernel| {
        let third = socket(kernel);
        kernel.sendto(&third, b"hello", 0, Some(&address("/one"))).expect("sendto");
    });
    let before = kernel.now();
    assert_eq!(receive(&kernel, &one), Ok(b"hello".to_vec()));
    assert!(kernel.now() - before >= Duration::from_millis(5));
    // The error is still there.
    assert_eq!(receive(&kernel, &one), Err(Errno::ECONNRESET));
}

/// §7 fd ownership: the pair breaks only when the last descriptor of an end is closed.
#[test]
fn a_pair_breaks_with_the_last_descriptor_of_an_end() {
    let kernel = boot();
    let vm = kernel.spawn(false);
    let (one, other) = pair(&kernel);
    let of_vm = kernel.share(&other, &vm).expect("share");
    drop(of_vm);
    assert_eq!(kernel.write(&one, b"x"), Ok(1), "our copy of the VM's end keeps it");
    drop(other);
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::ECONNRESET));
}

/// `uipc_send`: nothing tells a connected receiver's senders apart: it receives from anybody.
#[test]
fn a_connected_socket_receives_from_others_too() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.bind(&one, &address("/one")).expect("bind");
    let third = socket(&kernel);
    kernel.bind(&third, &address("/third")).expect("bind");
    kernel.sendto(&third, b"stranger", 0, Some(&address("/one"))).expect("sendto");
    kernel.write(&other, b"peer").expect("write");
    let from_third = receive_from(&kernel, &one).expect("recvfrom");
    assert_eq!(from_third, (b"stranger".to_vec(), address("/third")));
    assert_eq!(receive(&kernel, &one), Ok(b"peer".to_vec()));
}

/// `sun_noname`: who has no name is a socket address of 16 bytes, family 1, and nothing in it.
#[test]
fn a_sender_without_a_name_has_sixteen_bytes() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"x").expect("write");
    let (_, from) = receive_from(&kernel, &other).expect("recvfrom");
    assert_eq!(from, [16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/// `unp_bind`: one name for each socket, one socket for each name.
#[test]
fn names_are_unique() {
    let kernel = boot();
    let (one, other) = (socket(&kernel), socket(&kernel));
    assert_eq!(kernel.bind(&one, &address("/a")), Ok(()));
    assert_eq!(kernel.bind(&one, &address("/b")), Err(Errno::EINVAL));
    assert_eq!(kernel.bind(&other, &address("/a")), Err(Errno::EADDRINUSE));
    // The name outlives its socket, until it is unlinked.
    drop(one);
    assert_eq!(kernel.bind(&other, &address("/a")), Err(Errno::EADDRINUSE));
    assert_eq!(kernel.unlink("/a"), Ok(()));
    assert_eq!(kernel.unlink("/a"), Err(Errno::ENOENT));
    assert_eq!(kernel.bind(&other, &address("/a")), Ok(()));
}

/// `unp_bind`, `unp_connect`, `getsockaddr`: what addresses may be.
#[test]
fn addresses_are_checked() {
    let kernel = boot();
    let (one, other) = (socket(&kernel), socket(&kernel));
    kernel.bind(&one, &address("/one")).expect("bind");
    let inet = [&[6, 2], b"/one".as_slice()].concat();
    for (name, errno) in [
        (inet, Errno::EAFNOSUPPORT),
        (vec![2, 1], Errno::EINVAL),
        (vec![1], Errno::EINVAL),
        (vec![], Errno::EINVAL),
        (vec![1; 256], Errno::ENAMETOOLONG),
    ] {
        assert_eq!(kernel.bind(&other, &name), Err(errno), "bind to {name:?}");
        assert_eq!(kernel.connect(&other, &name), Err(errno), "connect to {name:?}");
        assert_eq!(kernel.sendto(&other, b"x", 0, Some(&name)), Err(errno), "sendto {name:?}");
    }
    // The length byte is the caller's length, the path ends at its zero.
    let zeros = [&[0, 1], b"/one\0\0rubbish".as_slice()].concat();
    assert_eq!(kernel.sendto(&other, b"x", 0, Some(&zeros)), Ok(1));
}

/// `unp_connect`: no name is `ENOENT`, a name without a socket `ECONNREFUSED`.
#[test]
fn connecting_to_nobody() {
    let kernel = boot();
    let (one, other) = (socket(&kernel), socket(&kernel));
    assert_eq!(kernel.connect(&one, &address("/a")), Err(Errno::ENOENT));
    assert_eq!(kernel.sendto(&one, b"x", 0, Some(&address("/a"))), Err(Errno::ENOENT));
    kernel.bind(&other, &address("/a")).expect("bind");
    drop(other);
    assert_eq!(kernel.connect(&one, &address("/a")), Err(Errno::ECONNREFUSED));
    assert_eq!(kernel.sendto(&one, b"x", 0, Some(&address("/a"))), Err(Errno::ECONNREFUSED));
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
}

/// `soconnectlock`: a connected socket connects anew; the connection before ends also when the new
/// one fails.
#[test]
fn a_socket_connects_anew() {
    let kernel = boot();
    let (one, a, b) = (socket(&kernel), socket(&kernel), socket(&kernel));
    kernel.bind(&a, &address("/a")).expect("bind");
    kernel.bind(&b, &address("/b")).expect("bind");
    kernel.connect(&one, &address("/a")).expect("connect");
    kernel.write(&one, b"1").expect("write");
    kernel.connect(&one, &address("/b")).expect("connect");
    kernel.write(&one, b"2").expect("write");
    assert_eq!(receive(&kernel, &a), Ok(b"1".to_vec()));
    assert_eq!(receive(&kernel, &a), Err(Errno::EAGAIN));
    assert_eq!(receive(&kernel, &b), Ok(b"2".to_vec()));
    assert_eq!(kernel.connect(&one, &address("/c")), Err(Errno::ENOENT));
    assert_eq!(kernel.write(&one, b"3"), Err(Errno::EDESTADDRREQ));
}

/// `connectit`: an error that waits comes out of `connect`, which connects nevertheless.
#[test]
fn connecting_after_a_reset_tells_the_reset_and_connects() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let a = socket(&kernel);
    kernel.bind(&a, &address("/a")).expect("bind");
    drop(other);
    assert_eq!(kernel.connect(&one, &address("/a")), Err(Errno::ECONNRESET));
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
    assert_eq!(receive(&kernel, &a), Ok(b"x".to_vec()));
}

/// `uipc_send`: an address on a connected socket is `EISCONN`; without a connection none is
/// `EDESTADDRREQ`, and `sendto` connects for one datagram alone.
#[test]
fn addresses_are_for_sockets_that_are_not_connected() {
    let kernel = boot();
    let (one, a) = (socket(&kernel), socket(&kernel));
    kernel.bind(&a, &address("/a")).expect("bind");
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
    assert_eq!(kernel.sendto(&one, b"x", 0, Some(&address("/a"))), Ok(1));
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
    kernel.connect(&one, &address("/a")).expect("connect");
    assert_eq!(kernel.sendto(&one, b"x", 0, Some(&address("/a"))), Err(Errno::EISCONN));
}

/// `unp_connect2`: a datagram socket may be connected to itself.
#[test]
fn a_socket_may_talk_to_itself() {
    let kernel = boot();
    let one = socket(&kernel);
    kernel.bind(&one, &address("/one")).expect("bind");
    kernel.connect(&one, &address("/one")).expect("connect");
    kernel.write(&one, b"me").expect("write");
    assert_eq!(receive(&kernel, &one), Ok(b"me".to_vec()));
}

/// `unp_detach`: everybody connected to a socket is reset when it closes, and nobody else.
#[test]
fn all_who_are_connected_are_reset() {
    let kernel = boot();
    let (server, a, b, c) = (socket(&kernel), socket(&kernel), socket(&kernel), socket(&kernel));
    kernel.bind(&server, &address("/server")).expect("bind");
    kernel.connect(&a, &address("/server")).expect("connect");
    kernel.connect(&b, &address("/server")).expect("connect");
    drop(server);
    assert_eq!(kernel.write(&a, b"x"), Err(Errno::ECONNRESET));
    assert_eq!(kernel.write(&b, b"x"), Err(Errno::ECONNRESET));
    assert_eq!(kernel.write(&c, b"x"), Err(Errno::EDESTADDRREQ));
}

/// M24: who shuts its writing gets `EPIPE`, and its peer is told nothing.
#[test]
fn the_peer_is_not_told_of_shut_writing() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    nonblocking(&kernel, &other);
    assert_eq!(kernel.shutdown(&one, 1), Ok(()));
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::EPIPE));
    assert_eq!(kernel.read(&other, &mut [0; 8]), Err(Errno::EAGAIN));
    assert_eq!(kernel.write(&other, b"still"), Ok(5));
    assert_eq!(receive(&kernel, &one), Ok(b"still".to_vec()));
    assert_eq!(kernel.shutdown(&one, 1), Err(Errno::ENOTCONN));
    assert_eq!(kernel.shutdown(&one, 3), Err(Errno::EINVAL));
    assert_eq!(kernel.shutdown(&socket(&kernel), 1), Err(Errno::ENOTCONN));
}

/// `sorflush`: who shuts its reading reads nothing, and what is sent to it is `EINVAL`.
#[test]
fn shut_reading_takes_nothing() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"before").expect("write");
    assert_eq!(kernel.shutdown(&other, 0), Ok(()));
    assert_eq!(kernel.read(&other, &mut [0; 8]), Ok(0), "at once, though it blocks");
    assert_eq!(kernel.write(&one, b"after"), Err(Errno::EINVAL));
    assert_eq!(kernel.shutdown(&other, 1), Ok(()));
    assert_eq!(set(&kernel, &other, SO_RCVBUF, 4096), Err(Errno::EINVAL));
}

/// §7: `net.local.dgram.maxdgram` and `recvspace` are the sizes of sockets to come, and
/// `kern.ipc.maxsockbuf` is the limit, by version as it is or less.
#[test]
fn sizes_can_be_set_by_sysctl() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let before = socket(&kernel);
        let write = |name, value: u32| {
            kernel.sysctlbyname(name, &mut [], Some(&value.to_le_bytes())).map(drop)
        };
        write(c"net.local.dgram.maxdgram", 9014).expect("maxdgram");
        write(c"net.local.dgram.recvspace", 65_536).expect("recvspace");
        let after = socket(&kernel);
        let sizes = |fd| [SO_SNDBUF, SO_RCVBUF].map(|name| get(&kernel, fd, name));
        assert_eq!((sizes(&before), sizes(&after)), ([2048, 4096], [9014, 65_536]));
        assert_eq!(write(c"kern.ipc.maxsockbuf", 18_432), Err(Errno::ERANGE));
        write(c"kern.ipc.maxsockbuf", 1 << 20).expect("maxsockbuf");
        let granted =
            set(&kernel, &after, SO_RCVBUF, 1 << 20).map(|()| get(&kernel, &after, SO_RCVBUF));
        let clamps = version >= MacOs::V14_4;
        assert_eq!(granted, if clamps { Ok(1 << 20) } else { Err(Errno::ENOBUFS) });
        // Up to 14.3: 1 MiB x 2,048 / 2,304.
        assert_eq!(set(&kernel, &after, SO_SNDBUF, 932_067), Ok(()));
        let more = set(&kernel, &after, SO_SNDBUF, 932_068);
        assert_eq!(more.is_ok(), clamps);
    }
}

/// Streams are POSIX, and not modelled; nor are other families.
#[test]
fn sockets_of_other_kinds_are_refused() {
    let kernel = boot();
    let open = |domain, kind| kernel.socket(domain, kind, 0).map(drop);
    assert_eq!(open(AF_LOCAL, SOCK_STREAM), Err(Errno::EPROTONOSUPPORT), "not modelled");
    assert_eq!(open(2, SOCK_DGRAM), Err(Errno::EAFNOSUPPORT), "not modelled");
    assert_eq!(kernel.socketpair(2, SOCK_DGRAM, 0).map(drop), Err(Errno::EAFNOSUPPORT));
    assert_eq!(kernel.socketpair(27, 3, 0).map(drop), Err(Errno::EOPNOTSUPP));
}
