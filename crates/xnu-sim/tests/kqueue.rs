//! Kqueues: each behaviour by its row of the contract.

mod common;

use std::time::Duration;

use common::{
    address, apply, change, events, fill, nonblocking, pair, readers, receive, roomy_pair, set,
    socket, wait, writer,
};
use xnu_sim::{BootOptions, MacOs, SimFd, SimKernel};
use xnu_sys::sys_event::{
    EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_DISPATCH, EV_ENABLE, EV_EOF, EV_ERROR, EV_ONESHOT,
    EV_RECEIPT, EV_UDATA_SPECIFIC, EV_VANISHED, EVFILT_READ, EVFILT_USER, EVFILT_WRITE,
    KEVENT_FLAG_ERROR_EVENTS, KEVENT_FLAG_IMMEDIATE, NOTE_FFCOPY, NOTE_LOWAT, NOTE_TRIGGER,
    kevent64_s,
};
use xnu_sys::sys_fcntl::O_RDWR;
use xnu_sys::sys_socket::{PF_NDRV, SO_SNDBUF, SO_SNDLOWAT, SOCK_RAW};
use xnu_sys::{Descriptor, Errno, Kernel, Messages, UnixSocket};

fn boot() -> SimKernel {
    SimKernel::boot(MacOs::V15, 1)
}

fn queue(kernel: &SimKernel) -> SimFd {
    kernel.kqueue().expect("kqueue")
}

/// What events say: their data.
fn data(events: &[kevent64_s]) -> Vec<i64> {
    events.iter().map(|event| event.data).collect()
}

/// §8: a level-triggered reader is told of data until it has taken them.
#[test]
fn a_level_triggered_reader_is_told_until_it_has_read() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    assert_eq!(events(&kernel, &queue), []);
    kernel.write(&one, b"abc").expect("write");
    for _ in 0..3 {
        assert_eq!(data(&events(&kernel, &queue)), [3]);
    }
    receive(&kernel, &other).expect("read");
    assert_eq!(events(&kernel, &queue), []);
}

/// §7: `EVFILT_READ` says the payload of all datagrams, addresses left out.
#[test]
fn a_reader_is_told_all_payload() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    kernel.write(&one, &[0; 100]).expect("write");
    kernel.write(&one, &[0; 50]).expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [150]);
}

/// M23: a datagram of no bytes is told, with no bytes.
#[test]
fn a_reader_is_told_of_a_datagram_of_no_bytes() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    kernel.write(&one, &[]).expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [0]);
}

/// §8: with `EV_CLEAR` each arrival is told once, read or not.
#[test]
fn an_edge_triggered_reader_is_told_of_each_arrival_once() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    apply(&kernel, &queue, change(&other, EVFILT_READ, EV_ADD | EV_CLEAR)).expect("EV_ADD");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [3]);
    assert_eq!(events(&kernel, &queue), []);
    kernel.write(&one, b"de").expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [5]);
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: a knote is looked at again when it is processed: what was taken meanwhile is not told.
#[test]
fn what_was_taken_meanwhile_is_not_told() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    kernel.write(&one, b"abc").expect("write");
    receive(&kernel, &other).expect("read");
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: `EV_ONESHOT` is told once, and the knote is gone.
#[test]
fn a_one_shot_reader_is_told_once() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    apply(&kernel, &queue, change(&other, EVFILT_READ, EV_ADD | EV_ONESHOT)).expect("EV_ADD");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [3]);
    assert_eq!(events(&kernel, &queue), []);
    let deleted = apply(&kernel, &queue, change(&other, EVFILT_READ, EV_DELETE));
    assert_eq!(deleted, Err(Errno::ENOENT));
}

/// §8: `EV_DISPATCH` disables the knote with the event, `EV_ENABLE` enables it again.
#[test]
fn a_dispatched_reader_is_told_once_for_each_enabling() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    apply(&kernel, &queue, change(&other, EVFILT_READ, EV_ADD | EV_DISPATCH)).expect("EV_ADD");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [3]);
    assert_eq!(events(&kernel, &queue), []);
    kernel.write(&one, b"de").expect("write");
    assert_eq!(events(&kernel, &queue), []);
    apply(&kernel, &queue, change(&other, EVFILT_READ, EV_ENABLE)).expect("EV_ENABLE");
    assert_eq!(data(&events(&kernel, &queue)), [5]);
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: a disabled knote is not told of, and is when it is enabled. `EV_ADD` alone does not enable
/// one that is there, and `EV_DISABLE` wins over `EV_ENABLE`.
#[test]
fn a_disabled_reader_is_told_when_enabled() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    let make = |flags| apply(&kernel, &queue, change(&other, EVFILT_READ, flags)).expect("change");
    make(EV_ADD | EV_DISABLE);
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(events(&kernel, &queue), []);
    make(EV_ADD);
    assert_eq!(events(&kernel, &queue), []);
    make(EV_ENABLE);
    assert_eq!(data(&events(&kernel, &queue)), [3]);
    make(EV_DISABLE | EV_ENABLE);
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: a deleted knote is not told of; deleting twice is `ENOENT`, and so is changing none.
#[test]
fn a_deleted_reader_is_not_told() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(apply(&kernel, &queue, change(&other, EVFILT_READ, EV_DELETE)), Ok(()));
    assert_eq!(events(&kernel, &queue), []);
    for flags in [EV_DELETE, EV_ADD | EV_DELETE, EV_ENABLE, 0] {
        let changed = apply(&kernel, &queue, change(&other, EVFILT_READ, flags));
        assert_eq!(changed, Err(Errno::ENOENT), "{flags:#x}");
    }
}

/// §8: no such descriptor is `EBADF`; a filter that does not fit, or is not modelled, `EINVAL`.
#[test]
fn wrong_changes_are_refused() {
    let kernel = boot();
    let queue = queue(&kernel);
    let (one, _other) = pair(&kernel);
    let bad = kevent64_s { ident: 77, filter: EVFILT_READ, flags: EV_ADD, ..kevent64_s::default() };
    assert_eq!(apply(&kernel, &queue, bad), Err(Errno::EBADF));
    for filter in [0, 1, -3, -19] {
        assert_eq!(apply(&kernel, &queue, change(&one, filter, EV_ADD)), Err(Errno::EINVAL));
    }
    for filter in [EVFILT_READ, EVFILT_WRITE] {
        let on_itself = apply(&kernel, &queue, change(&queue, filter, EV_ADD));
        assert_eq!(on_itself, Err(Errno::EINVAL));
    }
    let vanished = change(&one, EVFILT_READ, EV_ADD | EV_VANISHED);
    assert_eq!(apply(&kernel, &queue, vanished), Err(Errno::EINVAL));
    let not_a_queue = kernel.kevent64(&one, &[], &mut [], 0, None);
    assert_eq!(not_a_queue, Err(Errno::EBADF));
    let workq = kernel.kevent64(&queue, &[], &mut [], 0x20, None);
    assert_eq!(workq, Err(Errno::EINVAL), "not modelled");
}

/// §8: errors of changes are events with `EV_ERROR` and the number, and the other changes are made.
#[test]
fn errors_of_changes_are_events_where_there_is_room() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"abc").expect("write");
    let queue = queue(&kernel);
    let changes = [
        kevent64_s { udata: 1, ..change(&one, EVFILT_READ, EV_DELETE) },
        kevent64_s { udata: 2, ..change(&other, EVFILT_READ, EV_ADD) },
        kevent64_s { ident: 77, udata: 3, ..change(&one, EVFILT_READ, EV_ADD) },
    ];
    let mut told = [kevent64_s::default(); 4];
    let count = kernel.kevent64(&queue, &changes, &mut told, 0, Some(Duration::ZERO));
    assert_eq!(count, Ok(2), "no events besides errors");
    let said: Vec<_> = told[..2].iter().map(|e| (e.udata, e.flags & EV_ERROR, e.data)).collect();
    let (noent, badf) = (i64::from(Errno::ENOENT.0), i64::from(Errno::EBADF.0));
    assert_eq!(said, [(1, EV_ERROR, noent), (3, EV_ERROR, badf)]);
    assert_eq!(data(&events(&kernel, &queue)), [3], "the good change was made");
}

/// §8: without room an error is the call's, and the changes after it are not made.
#[test]
fn an_error_without_room_ends_the_call() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"abc").expect("write");
    let queue = queue(&kernel);
    let wrong = change(&one, EVFILT_READ, EV_DELETE);
    let right = change(&other, EVFILT_READ, EV_ADD);
    let mut room = [kevent64_s::default(); 1];
    let told = kernel.kevent64(&queue, &[wrong, wrong, right], &mut room, 0, None);
    assert_eq!(told, Err(Errno::ENOENT));
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: `EV_RECEIPT` has each change answered, with 0 if it went well, and no events come with them.
#[test]
fn receipts_answer_each_change() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"abc").expect("write");
    let queue = queue(&kernel);
    let changes = [
        change(&other, EVFILT_READ, EV_ADD | EV_RECEIPT),
        kevent64_s { ident: 77, ..change(&other, EVFILT_READ, EV_ADD | EV_RECEIPT) },
    ];
    let mut told = [kevent64_s::default(); 4];
    assert_eq!(kernel.kevent64(&queue, &changes, &mut told, 0, None), Ok(2));
    let errors: Vec<_> =
        told[..2].iter().map(|event| (event.flags & EV_ERROR, event.data)).collect();
    assert_eq!(errors, [(EV_ERROR, 0), (EV_ERROR, i64::from(Errno::EBADF.0))]);
    // Without room a receipt is left out.
    let made = kernel.kevent64(&queue, &changes[..1], &mut [], 0, None);
    assert_eq!(made, Ok(0));
}

/// §8: `KEVENT_FLAG_ERROR_EVENTS` gives errors alone, and does not wait.
#[test]
fn error_events_alone_can_be_asked_for() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    kernel.write(&one, b"abc").expect("write");
    let queue = queue(&kernel);
    let add = [change(&other, EVFILT_READ, EV_ADD)];
    let mut told = [kevent64_s::default(); 4];
    let flags = KEVENT_FLAG_ERROR_EVENTS;
    assert_eq!(kernel.kevent64(&queue, &add, &mut told, flags, None), Ok(0));
    assert_eq!(data(&events(&kernel, &queue)), [3]);
}

/// §8: `KEVENT_FLAG_IMMEDIATE` does not wait, whatever the timeout; without room for events nobody
/// waits either.
#[test]
fn some_calls_do_not_wait() {
    let kernel = boot();
    let queue = queue(&kernel);
    let before = kernel.now();
    let mut told = [kevent64_s::default(); 4];
    let hour = Some(Duration::from_secs(3600));
    let flags = KEVENT_FLAG_IMMEDIATE;
    assert_eq!(kernel.kevent64(&queue, &[], &mut told, flags, hour), Ok(0));
    assert_eq!(kernel.kevent64(&queue, &[], &mut told, flags, None), Ok(0));
    assert_eq!(kernel.kevent64(&queue, &[], &mut [], 0, None), Ok(0));
    assert!(kernel.now() - before < Duration::from_micros(10));
    assert_eq!(kernel.kevent64(&queue, &[], &mut told, 0, Some(Duration::from_secs(1))), Ok(0));
    assert!(kernel.now() - before >= Duration::from_secs(1));
}

/// §8: an event says ident, filter, flags of the knote's making, and `udata`.
#[test]
fn an_event_says_whose_it_is() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    let add = kevent64_s {
        udata: 0xfeed,
        ext: [5, 6],
        ..change(&other, EVFILT_READ, EV_ADD | EV_ENABLE | EV_CLEAR)
    };
    // Flags that are the kernel's own are left out.
    let flags = add.flags | EV_ERROR | EV_EOF | 0x3000;
    apply(&kernel, &queue, kevent64_s { flags, ..add }).expect("EV_ADD");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(events(&kernel, &queue), [kevent64_s { data: 3, ..add }]);
}

/// §8: `EV_ADD` of a knote that is there is an update: `udata` and the mark are replaced, the flags
/// that it was made with stay.
#[test]
fn adding_again_updates() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    let lowat = kevent64_s {
        udata: 7,
        fflags: NOTE_LOWAT,
        data: 50,
        ..change(&other, EVFILT_READ, EV_ADD | EV_CLEAR)
    };
    apply(&kernel, &queue, lowat).expect("EV_ADD");
    kernel.write(&one, &[0; 10]).expect("write");
    assert_eq!(events(&kernel, &queue), [], "26 bytes with the address are below 50");
    kernel.write(&one, &[0; 10]).expect("write");
    for _ in 0..2 {
        // Level-triggered as before.
        let told = events(&kernel, &queue);
        assert_eq!((told[0].udata, told[0].data, told[0].flags & EV_CLEAR), (7, 20, 0));
    }
    receive(&kernel, &other).expect("read");
    assert_eq!(events(&kernel, &queue), []);
    // A change without NOTE_LOWAT takes the mark away, and touches.
    apply(&kernel, &queue, change(&other, EVFILT_READ, EV_ENABLE)).expect("EV_ENABLE");
    assert_eq!(data(&events(&kernel, &queue)), [10]);
}

/// §8: with `EV_UDATA_SPECIFIC` a descriptor has a knote for each `udata`.
#[test]
fn knotes_can_be_told_apart_by_udata() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    let add =
        |udata| kevent64_s { udata, ..change(&other, EVFILT_READ, EV_ADD | EV_UDATA_SPECIFIC) };
    apply(&kernel, &queue, add(1)).expect("EV_ADD");
    apply(&kernel, &queue, add(2)).expect("EV_ADD");
    apply(&kernel, &queue, add(2)).expect("the same again");
    kernel.write(&one, b"abc").expect("write");
    let told: Vec<u64> = events(&kernel, &queue).iter().map(|event| event.udata).collect();
    assert_eq!(told, [2, 1, 0], "the last one made is woken first");
    let delete = kevent64_s { flags: EV_DELETE | EV_UDATA_SPECIFIC, ..add(3) };
    assert_eq!(apply(&kernel, &queue, delete), Err(Errno::ENOENT));
}

/// `EV_DISPATCH2`: deleting a disabled knote waits until it is enabled, which tells of the
/// deletion.
#[test]
fn a_deletion_can_wait() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = queue(&kernel);
    let both = EV_DISPATCH | EV_UDATA_SPECIFIC;
    let make = |flags| apply(&kernel, &queue, change(&other, EVFILT_READ, flags | both));
    make(EV_ADD).expect("EV_ADD");
    make(EV_DELETE).expect("it is enabled: at once");
    make(EV_ADD).expect("EV_ADD");
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(data(&events(&kernel, &queue)), [3]);
    assert_eq!(make(EV_DELETE), Err(Errno(36)), "EINPROGRESS");
    assert_eq!(events(&kernel, &queue), []);
    make(EV_ENABLE).expect("EV_ENABLE");
    let told = events(&kernel, &queue);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].flags, both | EV_ONESHOT | EV_DELETE);
    assert_eq!(make(EV_ENABLE), Err(Errno::ENOENT));
}

/// §8: closing a descriptor removes its knotes, also those that were about to be told; a new
/// descriptor of its number has none.
#[test]
fn closing_a_descriptor_removes_its_knotes() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = readers(&kernel, &[&other]);
    kernel.write(&one, b"abc").expect("write");
    let number = SimKernel::number(&other);
    drop(other);
    assert_eq!(events(&kernel, &queue), []);
    let (third, fourth) = pair(&kernel);
    assert_eq!(SimKernel::number(&third), number);
    kernel.write(&fourth, b"abc").expect("write");
    assert_eq!(events(&kernel, &queue), []);
}

/// `EV_VANISHED`: who asked is told that its descriptor was closed.
#[test]
fn a_vanished_descriptor_can_be_told() {
    let kernel = boot();
    let (_one, other) = pair(&kernel);
    let queue = queue(&kernel);
    let flags = EV_ADD | EV_DISPATCH | EV_UDATA_SPECIFIC | EV_VANISHED;
    apply(&kernel, &queue, change(&other, EVFILT_READ, flags)).expect("EV_ADD");
    drop(other);
    let told = events(&kernel, &queue);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].flags & EV_VANISHED, EV_VANISHED);
    assert_eq!(events(&kernel, &queue), []);
}

/// §8: with room for fewer events than there are, the others come first the next time.
#[test]
fn a_small_list_starves_nobody() {
    let kernel = boot();
    let pairs: Vec<_> = (0..5).map(|_| pair(&kernel)).collect();
    let all: Vec<&SimFd> = pairs.iter().map(|(_, other)| other).collect();
    let queue = readers(&kernel, &all);
    for (one, _) in &pairs {
        kernel.write(one, b"abc").expect("write");
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut room = [kevent64_s::default(); 2];
        let count = kernel.kevent64(&queue, &[], &mut room, 0, None).expect("kevent64");
        seen.extend(room[..count].iter().map(|event| event.ident));
    }
    let idents: Vec<u64> =
        all.iter().map(|fd| SimKernel::number(fd).unsigned_abs().into()).collect();
    assert_eq!(seen, [idents.clone(), idents].concat());
}

/// §7 peer closed, §8: nobody is told; a touch tells with data 0 and without `EV_EOF`, again and
/// again until the error is taken.
#[test]
fn a_peers_death_is_seen_only_by_a_touch() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        nonblocking(&kernel, &one);
        let queue = readers(&kernel, &[&one]);
        drop(other);
        assert_eq!(wait(&kernel, &queue, Duration::from_secs(10)), []);
        apply(&kernel, &queue, change(&one, EVFILT_READ, EV_ADD)).expect("EV_ADD");
        for _ in 0..3 {
            let told = events(&kernel, &queue);
            assert_eq!(data(&told), [0], "who takes this for nothing spins");
            assert_eq!(told[0].flags & EV_EOF, 0);
        }
        assert_eq!(receive(&kernel, &one), Err(Errno::ECONNRESET));
        assert_eq!(events(&kernel, &queue), []);
    }
}

/// §7 `EVFILT_WRITE`: up to 12 a full peer is writable all the same.
#[test]
fn up_to_12_a_full_peer_is_writable() {
    let kernel = SimKernel::boot(MacOs::V12, 1);
    let (one, _other) = pair(&kernel);
    fill(&kernel, &one, 1514);
    let queue = writer(&kernel, &one);
    for _ in 0..3 {
        assert_eq!(data(&events(&kernel, &queue)), [2048]);
        assert_eq!(kernel.write(&one, &[0; 1514]), Err(Errno::ENOBUFS));
    }
}

/// §7 `EVFILT_WRITE`: on 13 and 14 the peer's room counts, but its reader wakes nobody: only a
/// touch sees that there is room again.
#[test]
fn on_13_and_14_a_reader_does_not_wake_the_writer() {
    for version in [MacOs::V13, MacOs::V14_0, MacOs::V14_4] {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        let queue = writer(&kernel, &one);
        assert_eq!(data(&events(&kernel, &queue)), [2048], "the smaller of 2,048 and 4,096");
        kernel.write(&one, &[0; 2000]).expect("write");
        assert_eq!(data(&events(&kernel, &queue)), [2048]);
        kernel.write(&one, &[0; 2000]).expect("write");
        assert_eq!(data(&events(&kernel, &queue)), [4096 - 2 * 2016]);
        kernel.write(&one, &[0; 48]).expect("write");
        assert_eq!(events(&kernel, &queue), []);
        receive(&kernel, &other).expect("read");
        assert_eq!(wait(&kernel, &queue, Duration::from_secs(10)), []);
        apply(&kernel, &queue, change(&one, EVFILT_WRITE, EV_ADD)).expect("EV_ADD");
        assert_eq!(data(&events(&kernel, &queue)), [2016]);
    }
}

/// §7 `EVFILT_WRITE`, M25: since 15.0 the reader wakes the writer, after each datagram, and once
/// for a whole `recvmsg_x`.
#[test]
fn since_15_a_reader_wakes_the_writer() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    assert_eq!(fill(&kernel, &one, 2032), (2, Errno::ENOBUFS));
    let queue = writer(&kernel, &one);
    assert_eq!(events(&kernel, &queue), []);
    let reader = kernel.share(&other, &kernel).expect("share");
    kernel.schedule(Duration::from_millis(2), move |kernel| {
        receive(kernel, &reader).expect("read");
    });
    assert_eq!(data(&wait(&kernel, &queue, Duration::from_secs(1))), [2048]);
    fill(&kernel, &one, 2032);
    assert_eq!(events(&kernel, &queue), []);
    let other = Descriptor::<_, UnixSocket>::new(kernel.clone(), other);
    let (mut head, mut spill) = ([0; 2048], []);
    let slots = [(&mut head[..], &mut spill[..])];
    assert_eq!(Messages::default().receive(&other, slots.into_iter()), Ok(1));
    assert_eq!(data(&events(&kernel, &queue)), [2048]);
}

/// `uipc_rcvd`: the writer that is woken is the one that the reader is connected to. A server that
/// is connected to nobody wakes none of its clients.
#[test]
fn a_reader_that_is_not_connected_wakes_nobody() {
    let kernel = boot();
    let (server, client) = (socket(&kernel), socket(&kernel));
    kernel.bind(&server, &address("/server")).expect("bind");
    kernel.connect(&client, &address("/server")).expect("connect");
    assert_eq!(fill(&kernel, &client, 2032), (2, Errno::ENOBUFS));
    let queue = writer(&kernel, &client);
    receive(&kernel, &server).expect("read");
    assert_eq!(wait(&kernel, &queue, Duration::from_secs(10)), []);
    assert_eq!(kernel.write(&client, &[0; 2032]), Ok(2032), "there is room");
}

/// C25: the mark of `NOTE_LOWAT` is cut to the sender's own `SO_SNDBUF`: with less than a frame and
/// its 16 bytes there, who waits for room for a frame is told without it.
#[test]
fn the_mark_is_cut_to_the_senders_buffer() {
    let told_with = |sndbuf: i32| {
        let kernel = boot();
        let (one, _other) = pair(&kernel);
        set(&kernel, &one, SO_SNDBUF, sndbuf).expect("SO_SNDBUF");
        // 4,096 less 2,582 leaves 1,514: no room for 1,514 and 16.
        kernel.write(&one, &[0; 1275]).expect("write");
        kernel.write(&one, &[0; 1275]).expect("write");
        assert_eq!(kernel.write(&one, &[0; 1514]), Err(Errno::ENOBUFS));
        let queue = queue(&kernel);
        let mark = kevent64_s {
            fflags: NOTE_LOWAT,
            data: 1514 + 16,
            ..change(&one, EVFILT_WRITE, EV_ADD)
        };
        apply(&kernel, &queue, mark).expect("EV_ADD");
        events(&kernel, &queue).len()
    };
    assert_eq!(told_with(1514 + 16), 0);
    assert_eq!(told_with(1514), 1, "and a write gives ENOBUFS: a spin");
}

/// §7 `EVFILT_WRITE`: "writable" is room for one byte; `SO_SNDLOWAT` asks for more, as `NOTE_LOWAT`
/// does.
#[test]
fn writable_is_room_for_a_byte() {
    let kernel = boot();
    let (one, _other) = pair(&kernel);
    kernel.write(&one, &[0; 2020]).expect("write");
    kernel.write(&one, &[0; 2020]).expect("write");
    let queue = writer(&kernel, &one);
    assert_eq!(data(&events(&kernel, &queue)), [24]);
    assert_eq!(kernel.write(&one, &[0; 1514]), Err(Errno::ENOBUFS));
    set(&kernel, &one, SO_SNDLOWAT, 1530).expect("SO_SNDLOWAT");
    assert_eq!(events(&kernel, &queue), []);
}

/// C26: after a peer's death the socket is writable for ever.
#[test]
fn a_socket_without_its_peer_is_writable_for_ever() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        fill(&kernel, &one, 1514);
        drop(other);
        let queue = writer(&kernel, &one);
        assert_eq!(data(&events(&kernel, &queue)), [2048]);
        assert_eq!(kernel.write(&one, b"x"), Err(Errno::ECONNRESET));
        for _ in 0..3 {
            assert_eq!(data(&events(&kernel, &queue)), [2048]);
            assert_eq!(kernel.write(&one, b"x"), Err(Errno::EDESTADDRREQ));
        }
    }
}

/// `filt_soread_common`, `filt_sowrite_common`: after `shutdown` both filters say `EV_EOF`; M24:
/// the peer's say nothing.
#[test]
fn shut_sockets_are_at_their_end() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let (reads, writes) = (readers(&kernel, &[&one]), writer(&kernel, &one));
    let peer = readers(&kernel, &[&other]);
    kernel.shutdown(&one, 2).expect("shutdown");
    for queue in [&reads, &writes] {
        let told = events(&kernel, queue);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].flags & EV_EOF, EV_EOF);
    }
    assert_eq!(events(&kernel, &peer), []);
}

/// §6: `EVFILT_WRITE` of an NDRV socket is always ready, `EVFILT_READ` never.
#[test]
fn an_ndrv_socket_is_writable_and_never_readable() {
    let kernel = boot();
    let ndrv = kernel.socket(PF_NDRV, SOCK_RAW, 0).expect("socket");
    let queue = readers(&kernel, &[&ndrv]);
    assert_eq!(events(&kernel, &queue), []);
    let queue = writer(&kernel, &ndrv);
    assert_eq!(data(&events(&kernel, &queue)), [8192]);
}

/// C14: a BPF device without an interface takes a knote only with `NOTE_LOWAT` and 1, and that one
/// is ready at once with data 6 for both filters, and stays no BPF knote.
#[test]
fn a_bpf_device_without_an_interface_is_always_ready() {
    let kernel = boot();
    let bpf = kernel.open(c"/dev/bpf0", O_RDWR).expect("open");
    for filter in [EVFILT_READ, EVFILT_WRITE] {
        let queue = queue(&kernel);
        let plain = change(&bpf, filter, EV_ADD);
        assert_eq!(apply(&kernel, &queue, plain), Err(Errno::EINVAL));
        let two = kevent64_s { fflags: NOTE_LOWAT, data: 2, ..plain };
        assert_eq!(apply(&kernel, &queue, two), Err(Errno::EINVAL));
        let one = kevent64_s { fflags: NOTE_LOWAT, data: 1, ..plain };
        assert_eq!(apply(&kernel, &queue, one), Ok(()));
        for _ in 0..2 {
            assert_eq!(data(&events(&kernel, &queue)), [6]);
        }
    }
}

/// §8 `EVFILT_USER` with `EV_CLEAR`: once for each trigger, several triggers at once are one.
#[test]
fn a_user_event_comes_once_for_each_trigger() {
    let kernel = boot();
    let queue = queue(&kernel);
    let user = kevent64_s { ident: 7, filter: EVFILT_USER, udata: 9, ..kevent64_s::default() };
    let trigger = kevent64_s { fflags: NOTE_TRIGGER, udata: 9, data: 4, ..user };
    apply(&kernel, &queue, kevent64_s { flags: EV_ADD | EV_CLEAR, ..user }).expect("EV_ADD");
    assert_eq!(events(&kernel, &queue), []);
    for _ in 0..3 {
        apply(&kernel, &queue, trigger).expect("trigger");
    }
    let told = events(&kernel, &queue);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].ident, told[0].udata, told[0].data), (7, 9, 4));
    assert_eq!(events(&kernel, &queue), []);
    apply(&kernel, &queue, trigger).expect("trigger");
    assert_eq!(events(&kernel, &queue).len(), 1);
}

/// §8: an `EVFILT_USER` without `EV_CLEAR` stays active; its flags are copied, combined or left.
#[test]
fn a_level_triggered_user_event_stays() {
    let kernel = boot();
    let queue = queue(&kernel);
    let user = kevent64_s { ident: 7, filter: EVFILT_USER, ..kevent64_s::default() };
    let touch = |fflags| apply(&kernel, &queue, kevent64_s { fflags, ..user }).expect("touch");
    apply(&kernel, &queue, kevent64_s { flags: EV_ADD, ..user }).expect("EV_ADD");
    touch(NOTE_TRIGGER | NOTE_FFCOPY | 0x0f);
    let flags = || {
        let told = events(&kernel, &queue);
        assert_eq!(told.len(), 1);
        told[0].fflags
    };
    assert_eq!([flags(), flags()], [0x0f, 0x0f]);
    touch(0x4000_0000 | 0x3c);
    assert_eq!(flags(), 0x0c, "NOTE_FFAND");
    touch(0x8000_0000 | 0x30);
    assert_eq!(flags(), 0x3c, "NOTE_FFOR");
    touch(0xff);
    assert_eq!(flags(), 0x3c, "NOTE_FFNOP");
}

/// §8: a kqueue is readable while it has something to tell.
#[test]
fn a_kqueue_in_a_kqueue() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let inner = readers(&kernel, &[&other]);
    let outer = readers(&kernel, &[&inner]);
    assert_eq!(events(&kernel, &outer), []);
    kernel.write(&one, b"abc").expect("write");
    assert_eq!(data(&events(&kernel, &outer)), [1]);
    receive(&kernel, &other).expect("read");
    assert_eq!(events(&kernel, &inner), []);
    assert_eq!(events(&kernel, &outer), []);
}

/// A closed kqueue takes its knotes along, and nothing is told to it.
#[test]
fn a_closed_kqueue_is_forgotten() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    drop(readers(&kernel, &[&other]));
    kernel.write(&one, b"abc").expect("write");
    let queue = readers(&kernel, &[&other]);
    assert_eq!(data(&events(&kernel, &queue)), [3]);
}

/// Changes, events and calls are counted.
#[test]
fn calls_changes_and_events_are_counted() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    let queue = queue(&kernel);
    kernel.write(&one, b"abc").expect("write");
    let before = kernel.counters();
    let changes = [change(&one, EVFILT_READ, EV_ADD), change(&other, EVFILT_READ, EV_ADD)];
    let mut told = [kevent64_s::default(); 4];
    kernel.kevent64(&queue, &changes, &mut told, 0, None).expect("kevent64");
    let since = kernel.counters().since(&before);
    assert_eq!((since.of("kevent64"), since.kevent_changes, since.kevent_events), (1, 2, 1));
    assert_eq!(since.total_calls(), 1);
    // What only touches a knote registers nothing; each of the others does.
    let flags = [0, EV_DISABLE, EV_ENABLE, EV_DELETE];
    let changes = flags.map(|flags| change(&other, EVFILT_READ, flags));
    kernel.kevent64(&queue, &changes, &mut told, 0, Some(Duration::ZERO)).expect("kevent64");
    let since = kernel.counters().since(&before);
    assert_eq!((since.kevent_changes, since.kevent_registrations), (6, 5));
}

/// §8: a thread that waits for ever is woken by another's `NOTE_TRIGGER`, on a machine with
/// threads.
#[test]
fn another_thread_wakes_a_kqueue() {
    let options = BootOptions { has_threads: true, ..BootOptions::default() };
    let kernel = SimKernel::boot_with(options);
    let queue = queue(&kernel);
    let user = kevent64_s { ident: 1, filter: EVFILT_USER, ..kevent64_s::default() };
    apply(&kernel, &queue, kevent64_s { flags: EV_ADD | EV_CLEAR, ..user }).expect("EV_ADD");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut told = [kevent64_s::default(); 1];
            kernel.kevent64(&queue, &[], &mut told, 0, None)
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiter.is_finished());
        let trigger = kevent64_s { fflags: NOTE_TRIGGER, ..user };
        apply(&kernel, &queue, trigger).expect("trigger");
        assert_eq!(waiter.join().expect("no panic"), Ok(1));
    });
}

/// A machine of one thread does not hang: who waits for ever, and for nothing, is told with the
/// last calls.
#[test]
#[should_panic(expected = "a process waits for ever, and nothing is to happen")]
fn waiting_for_ever_for_nothing_is_a_panic() {
    let kernel = boot();
    let queue = queue(&kernel);
    let _ = kernel.kevent64(&queue, &[], &mut [kevent64_s::default()], 0, None);
}
