//! Sending by `AF_XDP`, on a real kernel: the same frames in the same order as by messages, and
//! what is answered when something is in the way.
#![cfg(target_os = "linux")]

mod common;

use afpacket::{NotByXdp, Options, Outgoing, PacketSocket, SendError, State, VnetHdr};
use common::{
    LIMIT, TYPE_TEST, add_pair, assert_silent, big, frame, ip, only_type, open, open_with, pair,
    receive, receive_all, send_all,
};
use testkit::command::output;
use testkit::netns::wait_until_active;

#[test]
fn every_size_arrives_in_order_by_whichever_way() {
    if !pair(9000) || !xdp_or_skip() {
        return;
    }
    let (mut one, mut other) = (by_xdp("v0"), big("v1"));
    let sizes = (14..=2049).chain([4096, 9014, 60, 1514]);
    let frames: Vec<_> = sizes.zip(0..).map(|(size, n)| frame(size, TYPE_TEST, n)).collect();
    let small = frames.iter().filter(|frame| frame.len() <= 2047).count();
    let (ascending, mixed) = frames.split_at(frames.len() - 4);
    for batch in ascending.chunks(64).chain(mixed.chunks(2)) {
        send_all(&mut one, batch);
        let arrived = receive_all(&mut other, batch.len());
        for (frame, arrived) in batch.iter().zip(&arrived) {
            let (sent, came) = (frame.len(), arrived.bytes.len());
            assert!(*frame == arrived.bytes, "{sent} bytes were sent, {came} came");
        }
    }
    assert_eq!(sent_by_xdp(&one), small as u64);
    assert_silent(&mut other);
}

#[test]
fn pieces_and_tags_arrive_whole_and_unfinished_frames_go_as_messages() {
    if !pair(1500) || !xdp_or_skip() {
        return;
    }
    let (mut one, mut other) = (by_xdp("v0"), big("v1"));
    let mut tagged = frame(600, TYPE_TEST, 1);
    tagged.splice(12..12, [0x81, 0, 0, 9]);
    let unfinished = VnetHdr {
        flags: VnetHdr::NEEDS_CSUM,
        csum_start: 34,
        csum_offset: 6,
        ..VnetHdr::default()
    };
    let plain = frame(100, TYPE_TEST, 2);
    let outgoing = [
        Outgoing::new(&tagged[..100]).with_tail(&tagged[100..]),
        Outgoing::new(&plain).with_vnet(unfinished),
        Outgoing::new(&tagged),
    ];
    let sent = one.send(&outgoing);
    assert!(matches!(sent, (3, None)), "{sent:?}");
    let arrived = receive_all(&mut other, 3);
    assert_eq!((&arrived[0].bytes, &arrived[2].bytes), (&tagged, &tagged));
    assert_eq!(arrived[1].bytes[..40], plain[..40]);
    assert_eq!(sent_by_xdp(&one), 1, "what follows an unfinished frame follows it");
    for len in [0, 13] {
        let short = one.send(&[Outgoing::new(&plain[..len])]);
        assert!(matches!(short, (0, Some(SendError::Invalid))), "{len} bytes: {short:?}");
    }
}

#[test]
fn frame_over_the_mtu_is_refused_also_when_that_has_changed() {
    if !pair(1500) || !xdp_or_skip() {
        return;
    }
    let (mut one, mut other) = (by_xdp("v0"), big("v1"));
    let whole = frame(1514, TYPE_TEST, 1);
    let over = frame(1519, TYPE_TEST, 2);
    send_all(&mut one, std::slice::from_ref(&whole));
    assert!(matches!(one.send(&[Outgoing::new(&over)]), (0, Some(SendError::TooBig))));
    ip("link set v0 mtu 1000");
    one.upkeep();
    assert!(matches!(one.send(&[Outgoing::new(&whole)]), (0, Some(SendError::TooBig))));
    ip("link set v0 mtu 2000");
    ip("link set v1 mtu 2000");
    one.upkeep();
    send_all(&mut one, std::slice::from_ref(&over));
    assert_eq!(receive_all(&mut other, 2)[1].bytes, over);
    assert_eq!(sent_by_xdp(&one), 2);
}

#[test]
fn down_is_told_and_up_goes_on() {
    if !pair(1500) || !xdp_or_skip() {
        return;
    }
    let (mut one, mut other) = (by_xdp("v0"), big("v1"));
    let frames: Vec<_> = (0..40).map(|n| frame(60, TYPE_TEST, n)).collect();
    let outgoing: Vec<Outgoing<'_>> = frames.iter().map(|frame| Outgoing::new(frame)).collect();
    for _ in 0..3 {
        ip("link set v0 down");
        for _ in 0..20 {
            let sent = one.send(&outgoing);
            assert!(matches!(sent, (0, Some(SendError::Down))), "{sent:?}");
            one.upkeep();
        }
        assert_eq!(one.state(), State::Present);
        ip("link set v0 up");
        wait_until_active(&["v0", "v1"]);
        let before = sent_by_xdp(&one);
        send_all(&mut one, &frames);
        assert_eq!(sent_by_xdp(&one), before, "nobody has looked yet");
        one.upkeep();
        send_all(&mut one, &frames);
        assert_eq!(sent_by_xdp(&one), before + 40);
        let _ = receive(&mut one, 1);
        let arrived = loop_past_errors(&mut other, 80);
        assert!(arrived.iter().map(|it| &it.bytes).eq(frames.iter().chain(&frames)));
        assert_silent(&mut other);
    }
    ip("link del v0");
    let gone = one.send(&outgoing);
    assert!(matches!(gone, (0, Some(SendError::Gone))), "{gone:?}");
    one.upkeep();
    assert_eq!(one.state(), State::Gone);
}

#[test]
fn frame_without_a_carrier_is_lost_and_said_to_be() {
    if !pair(1500) || !xdp_or_skip() {
        return;
    }
    let (mut one, mut other) = (by_xdp("v0"), big("v1"));
    ip("link set v1 down");
    let _ = receive(&mut other, 1);
    let frames: Vec<_> = (0..3).map(|n| frame(60, TYPE_TEST, n)).collect();
    let outgoing: Vec<Outgoing<'_>> = frames.iter().map(|frame| Outgoing::new(frame)).collect();
    let sent = one.send(&outgoing);
    assert!(matches!(sent, (0, Some(SendError::Lost))), "{sent:?}");
    ip("link set v1 up");
    wait_until_active(&["v0", "v1"]);
    one.upkeep();
    send_all(&mut one, &frames[1..]);
    let arrived = loop_past_errors(&mut other, 2);
    assert!(arrived.iter().map(|it| &it.bytes).eq(&frames[1..]), "each once, none from before");
    assert_eq!(sent_by_xdp(&one), 2);
    assert_silent(&mut other);
}

/// Frames that wait elsewhere, here at a slow interface behind a bridge, keep their memory.
#[test]
fn more_frames_than_there_is_memory_for_go_as_messages_in_order() {
    if !pair(1500) || !xdp_or_skip() || !testkit::tool_or_skip("tc", "iproute2") {
        return;
    }
    add_pair("slow", "end", 1500);
    ip("link add br0 type bridge");
    ip("link set br0 addrgenmode none up");
    for member in ["v1", "slow"] {
        ip(&format!("link set {member} master br0"));
    }
    wait_until_active(&["v0", "v1", "slow", "end", "br0"]);
    output("tc", "qdisc add dev slow root tbf rate 800kbit burst 2kb latency 20s");
    let (mut one, mut end) = (by_xdp("v0"), big("end"));
    // A bridge asks who is there.
    end.set_filter(&only_type(TYPE_TEST, u32::MAX)).expect("a filter");
    let frames: Vec<_> = (0..700).map(|n| frame(300, TYPE_TEST, n)).collect();
    for batch in frames.chunks(64) {
        send_all(&mut one, batch);
    }
    let by_xdp = sent_by_xdp(&one);
    assert!((512..700).contains(&by_xdp), "{by_xdp} of 700 by AF_XDP");
    let arrived = receive_all(&mut end, frames.len());
    assert!(arrived.iter().map(|it| &it.bytes).eq(&frames));
    send_all(&mut one, &frames[..64]);
    assert_eq!(sent_by_xdp(&one), by_xdp + 64, "the memory has not come back");
}

#[test]
fn second_socket_on_an_interface_sends_messages_and_says_why() {
    if !pair(1500) || !xdp_or_skip() {
        return;
    }
    let (first, mut second, mut other) = (by_xdp("v0"), by_xdp("v0"), big("v1"));
    assert!(first.by_xdp().is_ok());
    let why = second.by_xdp().expect_err("the queue is taken").to_string();
    assert!(why.starts_with("bind: ") && why.contains("first queue"), "{why}");
    let frames = [frame(60, TYPE_TEST, 1)];
    send_all(&mut second, &frames);
    assert_eq!(receive_all(&mut other, 1)[0].bytes, frames[0]);
    drop(first);
    assert!(testkit::wait_until(LIMIT, || by_xdp("v0").by_xdp().is_ok()), "the queue stays taken");
    assert!(matches!(open("v0").by_xdp(), Err(NotByXdp::NotAsked)));
}

/// Whether this kernel sends by `AF_XDP`.
fn xdp_or_skip() -> bool {
    add_pair("try0", "try1", 1500);
    let tried = by_xdp("try0");
    if let Err(why) = tried.by_xdp() {
        testkit::skip(&format!("nothing is sent by AF_XDP here: {why}"));
    }
    tried.by_xdp().is_ok()
}

fn by_xdp(interface: &str) -> PacketSocket {
    let megabytes = Some(4 << 20);
    let options = Options {
        vnet_hdr: true,
        send_buffer_bytes: megabytes,
        xdp_send: true,
        ..Options::default()
    };
    open_with(interface, &options)
}

/// Receives `count` frames at an interface that went down in between, which is told once.
fn loop_past_errors(socket: &mut PacketSocket, count: usize) -> Vec<common::Frame> {
    let mut frames = Vec::new();
    assert!(testkit::wait_until(LIMIT, || {
        frames.extend(receive(socket, count - frames.len()).unwrap_or_default());
        frames.len() == count
    }));
    frames
}

fn sent_by_xdp(socket: &PacketSocket) -> u64 {
    socket.by_xdp().expect("by AF_XDP")
}
