//! Frames through an uplink, byte for byte: sizes, tags, and that nobody hears himself.
#![cfg(target_os = "linux")]

mod support;

use serde_json::json;
use support::capture::Capture;
use support::frame::{
    BROADCAST, ETHERTYPE_EXPERIMENT, Mac, TPID_C, TPID_S, guest_mac, numbered, tagged,
};
use support::host::{FrameSender, Host};
use support::lab::{self, Room, link};
use support::switch::Switch;
use support::{QUIET, wait_for};

/// A switch with an uplink to a host in a namespace of its own, and two guests' cards.
struct Setting {
    room: Room,
    host: Host,
    far: Mac,
    switch: Switch,
}

const FAR_IP: &str = "192.0.2.9/24";

impl Setting {
    /// The host is behind the bridge that the uplink joins.
    fn by_bridge(mtu: u32) -> Self {
        Self::by(mtu, "bridge:br0")
    }

    /// The same, by an uplink with options.
    fn by(mtu: u32, uplink: &str) -> Self {
        lab::bridge(mtu);
        Self::new(Host::behind("br0", "lan", "far", FAR_IP), uplink)
    }

    /// The host is at the other end of the uplink's cable.
    fn by_interface(mtu: u32) -> Self {
        Self::new(Host::on_cable("card", "far", FAR_IP, mtu), "iface:card")
    }

    fn new(host: Host, uplink: &str) -> Self {
        let room = Room::new();
        let switch = Switch::start(&room, uplink, &["vm1", "vm2"]);
        Self { far: host.mac("far"), room, host, switch }
    }

    /// What arrives at the host.
    fn arrivals(&self) -> Capture {
        self.host.run(|| Capture::incoming("far", "not arp and not ip6"))
    }

    fn far_sender(&self) -> FrameSender {
        self.host.sender("far")
    }
}

#[test]
fn a_bridge_of_9000_bytes_keeps_them() {
    if !lab::enter() {
        return;
    }
    let setting = Setting::by_bridge(9000);
    for name in ["br0", "lan", "vsw0", "vsw0m"] {
        assert_eq!(link(name).expect("there")["mtu"], 9000, "{name}");
    }
    for interface in setting.switch.ready["interfaces"].as_array().expect("interfaces") {
        assert_eq!(interface["mtu"], json!(9000), "{interface}");
    }
    carries_both_ways(&setting, 9014);
    setting.switch.stop();
}

#[test]
fn an_interface_of_9000_bytes_carries_them() {
    if !lab::enter() {
        return;
    }
    let setting = Setting::by_interface(9000);
    carries_both_ways(&setting, 9014);
    assert_eq!(link("card").expect("there")["mtu"], 9000);
    setting.switch.stop();
}

/// Frames of every kind of size up to `len_max_bytes`, from the guest to the host and back.
fn carries_both_ways(setting: &Setting, len_max_bytes: usize) {
    let (vm1, sender) = (setting.room.card("vm1"), setting.far_sender());
    let arrivals = setting.arrivals();
    let sizes = [60, 61, 1513, 1514, 1515, 2049, 4097, len_max_bytes - 1, len_max_bytes];
    for (number, len_bytes) in (0..).zip(sizes) {
        let up = numbered(setting.far, guest_mac(1), number, len_bytes);
        vm1.send(&up);
        arrivals.expect_frame(&format!("{len_bytes} bytes at the host"), &up);
        let down = numbered(guest_mac(1), setting.far, number, len_bytes);
        sender.send(&down);
        vm1.expect(&format!("{len_bytes} bytes at the guest"), |frame| *frame == down);
    }
}

/// What goes by `AF_XDP` goes past captures at the switch's end; messages do not.
#[test]
fn into_its_own_pair_plain_frames_go_by_af_xdp_unless_it_is_told_otherwise() {
    for (uplink, seen_near) in [("bridge:br0", 1), ("bridge:br0,messages", 3), ("iface:card", 3)] {
        if !lab::enter() {
            return;
        }
        let setting = match uplink {
            "iface:card" => Setting::by_interface(9000),
            uplink => Setting::by(9000, uplink),
        };
        let near = Capture::start(&setting.switch.switch_end(), "not arp and not ip6");
        let arrivals = setting.arrivals();
        let a = guest_mac(1);
        let frames = [60, 1514, 5000].map(|len_bytes| numbered(setting.far, a, 1, len_bytes));
        let card = setting.room.card("vm1");
        frames.iter().for_each(|frame| card.send(frame));
        for frame in &frames {
            arrivals.expect_frame("at the host", frame);
        }
        near.expect_frame("the longest, a message", &frames[2]);
        assert_eq!((near.from(a), arrivals.from(a)), (seen_near, 3), "{uplink}");
    }
}

#[test]
fn what_is_too_big_for_the_uplink_is_counted_and_passes_between_guests() {
    if !lab::enter() {
        return;
    }
    for setting in [Setting::by_bridge(1500), Setting::by_interface(1500)] {
        let cards = [setting.room.card("vm1"), setting.room.card("vm2")];
        let arrivals = setting.arrivals();
        // The guests are known, the host too.
        let [a, b] = [guest_mac(1), guest_mac(2)];
        let hello = numbered(BROADCAST, b, 0, 60);
        cards[1].send(&hello);
        cards[0].expect("a broadcast", |frame| *frame == hello);
        let from_far = numbered(BROADCAST, setting.far, 1, 60);
        setting.far_sender().send(&from_far);
        cards[0].expect("a broadcast of the host", |frame| *frame == from_far);

        let too_big = [(setting.far, 9014), (setting.far, 1515), (BROADCAST, 9014)];
        for (number, (to, len_bytes)) in (10..).zip(too_big) {
            cards[0].send(&numbered(to, a, number, len_bytes));
        }
        let between = numbered(b, a, 20, 9014);
        cards[0].send(&between);
        let fits = numbered(setting.far, a, 21, 1514);
        cards[0].send(&fits);

        arrivals.expect_frame("the frame that fits", &fits);
        let to_b = cards[1].listen(QUIET);
        let to_b: Vec<_> = to_b.iter().filter(|frame| frame[6..12] == a).collect();
        // The broadcast went where it could.
        assert_eq!(to_b, [&numbered(BROADCAST, a, 12, 9014), &between]);
        let from_a = arrivals.frames().into_iter().filter(|frame| frame[6..12] == a);
        assert_eq!(from_a.collect::<Vec<_>>(), [fits]);
        let stopped = setting.switch.stop();
        assert_eq!(stopped.drops("uplink", "mtu"), 3);
        assert_eq!(stopped.count("uplink", "unsent_frames"), 3);
        assert_eq!(stopped.drops("vm2", "mtu"), 0);
    }
}

#[test]
fn nobody_hears_himself() {
    if !lab::enter() {
        return;
    }
    for setting in [Setting::by_bridge(1500), Setting::by_interface(1500)] {
        let cards = [setting.room.card("vm1"), setting.room.card("vm2")];
        let arrivals = setting.arrivals();
        let a = guest_mac(1);
        let nobody = guest_mac(99);
        let multicast = [0x01, 0, 0x5e, 1, 2, 3];
        let frames: Vec<_> = (0..)
            .zip([BROADCAST, nobody, multicast])
            .map(|(number, to)| numbered(to, a, number, 100))
            .collect();
        frames.iter().for_each(|frame| cards[0].send(frame));
        arrivals.expect_frame("the last at the host", &frames[2]);
        let back: Vec<_> =
            cards[0].listen(QUIET).into_iter().filter(|frame| frame[6..12] == a).collect();
        assert_eq!(back, Vec::<Vec<u8>>::new(), "it came back");
        let heard = cards[1].listen(QUIET).into_iter().filter(|frame| frame[6..12] == a);
        assert_eq!(heard.collect::<Vec<_>>(), frames, "each once, in order");
        assert_eq!(arrivals.from(a), 3);
        // Nor does the switch take in what the host itself sends out by the same interface.
        let of_host = numbered(BROADCAST, guest_mac(50), 9, 100);
        FrameSender::open(&setting.switch.switch_end()).send(&of_host);
        arrivals.expect_frame("the host's own", &of_host);
        assert!(!cards[0].listen(QUIET).contains(&of_host), "the switch took it in");
        let stopped = setting.switch.stop();
        // Had they come back into the switch, it would have taken the guest for moved.
        assert_eq!(stopped.drops("uplink", "hairpin"), 0);
        assert_eq!(stopped.count("vm1", "received_frames"), 3);
    }
}

#[test]
fn tags_pass_unchanged_both_ways() {
    if !lab::enter() {
        return;
    }
    for setting in [Setting::by_bridge(1500), Setting::by_interface(1500)] {
        let (vm1, sender) = (setting.room.card("vm1"), setting.far_sender());
        let arrivals = setting.arrivals();
        let (a, far) = (guest_mac(1), setting.far);
        for (number, tags) in (0..).zip(TAGS) {
            for len_bytes in [60, 700, 1514] {
                let what = format!("{len_bytes} bytes with tags {tags:04x?}");
                let inner_bytes = len_bytes + room_for_a_tag(tags) - 4 * tags.len();
                let up = tagged(&numbered(far, a, number, inner_bytes), tags);
                vm1.send(&up);
                arrivals.expect_frame(&format!("at the host: {what}"), &up);
                let down = tagged(&numbered(a, far, number, inner_bytes), tags);
                sender.send(&down);
                let got = vm1.expect("a frame of the host", |frame| {
                    frame[..12] == down[..12] && frame.ends_with(&down[14 + 4 * tags.len()..])
                });
                assert_eq!(got, down, "at the guest: {what}");
            }
        }
        let untagged = numbered(far, a, 99, 60);
        vm1.send(&untagged);
        arrivals.expect_frame("without any", &untagged);
        let seen = arrivals.frames();
        let ours = seen.iter().filter(|frame| frame[6..12] == a).count();
        assert_eq!(ours, TAGS.len() * 3 + 1, "each once");
        assert!(untagged[12..14] == ETHERTYPE_EXPERIMENT.to_be_bytes());
        setting.switch.stop();
    }
}

/// A packet socket lets an 802.1Q tag exceed the MTU, and no other (net/packet/af_packet.c,
/// `packet_extra_vlan_len_allowed`).
fn room_for_a_tag(tags: &[(u16, u16)]) -> usize {
    if tags[0].0 == TPID_C { 4 } else { 0 }
}

/// VLAN 5; priority 7 and no VLAN; the highest VLAN with DEI; 802.1ad alone; QinQ; 802.1Q twice;
/// three tags.
const TAGS: &[&[(u16, u16)]] = &[
    &[(TPID_C, 5)],
    &[(TPID_C, 0xe000)],
    &[(TPID_C, 0x1ffe)],
    &[(TPID_S, 7)],
    &[(TPID_S, 100), (TPID_C, 200)],
    &[(TPID_C, 1), (TPID_C, 2)],
    &[(TPID_S, 1), (TPID_S, 2), (TPID_C, 3)],
];

#[test]
fn a_burst_both_ways_is_whole_and_in_order() {
    if !lab::enter() {
        return;
    }
    const FRAMES: u32 = 2000;
    for setting in [Setting::by_bridge(1500), Setting::by_interface(1500)] {
        let (vm1, sender) = (setting.room.card("vm1"), setting.far_sender());
        let far = setting.far;
        let arrivals = setting.arrivals();
        let a = guest_mac(1);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..FRAMES).for_each(|n| vm1.send(&numbered(far, a, n, 200))));
            scope.spawn(|| {
                for number in 0..FRAMES {
                    sender.send(&numbered(a, far, number, 200));
                    if number % 32 == 0 {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                }
            });
            for number in 0..FRAMES {
                let is_of_burst = |frame: &[u8]| frame[6..14] == numbered(a, far, 0, 60)[6..14];
                let frame = vm1.expect("a frame of the host", is_of_burst);
                assert_eq!(frame, numbered(a, far, number, 200));
            }
        });
        wait_for("all at the host", || arrivals.from(a) == FRAMES as usize);
        let seen = arrivals.frames().into_iter().filter(|frame| frame[6..12] == a);
        assert!(seen.eq((0..FRAMES).map(|number| numbered(far, a, number, 200))));
        let stopped = setting.switch.stop();
        assert_eq!(stopped.count("uplink", "kernel_dropped_frames"), 0);
    }
}
