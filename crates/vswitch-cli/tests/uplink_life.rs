//! Interfaces that go down, come up and go away under a running switch.
#![cfg(target_os = "linux")]

mod support;

use std::time::{Duration, Instant};

use support::capture::Capture;
use support::card::Card;
use support::frame::{BROADCAST, Mac, guest_mac, numbered};
use support::host::Host;
use support::lab::{self, Room, expect_as_before, ip, link, snapshot};
use support::switch::{Stopped, Switch};
use support::wait_for;

const FAR_IP: &str = "192.0.2.9/24";

/// A switch with a host behind its uplink and two guests, who know each other.
struct Setting {
    host: Host,
    far: Mac,
    switch: Switch,
    cards: [Card; 2],
    _room: Room,
}

const A: Mac = guest_mac(1);
const B: Mac = guest_mac(2);

impl Setting {
    fn by_bridge() -> Self {
        lab::bridge(1500);
        Self::new(Host::behind("br0", "lan", "far", FAR_IP), "bridge:br0")
    }

    fn by_interface() -> Self {
        Self::new(Host::on_cable("card", "far", FAR_IP, 1500), "iface:card")
    }

    fn new(host: Host, uplink: &str) -> Self {
        let room = Room::new();
        let switch = Switch::start(&room, uplink, &["vm1", "vm2"]);
        let cards = [room.card("vm1"), room.card("vm2")];
        let this = Self { far: host.mac("far"), host, switch, cards, _room: room };
        this.check_guests(0);
        this
    }

    /// The guests hear each other, at once and each frame.
    #[track_caller]
    fn check_guests(&self, number: u32) {
        for (from, to, (source, target)) in [(0, 1, (A, B)), (1, 0, (B, A))] {
            for number in number..number + 20 {
                let frame = numbered(target, source, number, 300);
                self.cards[from].send(&frame);
                self.cards[to].expect("the other guest's frame", |seen| *seen == frame);
            }
        }
    }

    /// Host and guests hear each other, after a while.
    #[track_caller]
    fn check_uplink(&self, number: u32) {
        let arrivals = self.host.run(|| Capture::incoming("far", "ether proto 0x88b5"));
        let (up, down) = (numbered(self.far, A, number, 400), numbered(A, self.far, number, 400));
        wait_for("a guest's frame at the host", || {
            self.cards[0].send(&up);
            arrivals.frames().contains(&up)
        });
        let sender = self.host.sender("far");
        wait_for("the host's frame at a guest", || {
            sender.send(&down);
            self.cards[0].next(Duration::from_millis(50)).is_some_and(|frame| frame == down)
        });
    }

    /// Sends frames to the host that cannot arrive.
    fn send_in_vain(&self, frames: u32) {
        (0..frames).for_each(|n| self.cards[0].send(&numbered(self.far, A, 5000 + n, 100)));
    }

    /// The switch sleeps, apart from looking four times a second.
    #[track_caller]
    fn check_that_it_rests(&self) {
        let (before, since) = (self.switch.processor_time(), Instant::now());
        std::thread::sleep(Duration::from_millis(1500));
        let used = self.switch.processor_time() - before;
        assert!(used * 10 < since.elapsed(), "{used:?}: {}", self.switch.log());
    }

    /// A clean end; at most 100 lines were said of all that.
    fn stop(self) -> Stopped {
        let stopped = self.switch.stop();
        assert!(stopped.log.lines().count() < 100, "{}", stopped.log);
        stopped
    }
}

#[test]
fn each_end_of_the_pair_goes_down_and_is_set_up() {
    if !lab::enter() {
        return;
    }
    let setting = Setting::by_bridge();
    setting.check_uplink(1);
    for (round, end) in (0..).zip(["vsw0", "vsw0m", "vsw0"]) {
        ip(&format!("link set {end} down"));
        setting.check_guests(100 * round);
        setting.check_that_it_rests();
        setting.check_uplink(10 + round);
    }
    let stopped = setting.stop();
    assert_eq!(stopped.log.matches("was down, and is up again").count(), 3, "{}", stopped.log);
}

#[test]
fn the_interface_goes_down_and_comes_up() {
    if !lab::enter() {
        return;
    }
    down_and_up(Setting::by_interface(), "card", "the uplink is down");
}

fn down_and_up(setting: Setting, interface: &str, message: &str) {
    setting.check_uplink(1);
    for round in 0..3 {
        ip(&format!("link set {interface} down"));
        setting.send_in_vain(50);
        setting.switch.expect_log(message);
        setting.check_guests(100 * round);
        setting.check_that_it_rests();
        ip(&format!("link set {interface} up"));
        setting.check_uplink(10 + round);
    }
    let lines = setting.switch.log().matches(message).count();
    let stopped = setting.stop();
    assert_eq!(lines, 3, "once each time: {}", stopped.log);
    assert_eq!(stopped.drops("uplink", "no_peer"), 150, "{}", stopped.log);
}

#[test]
fn the_pair_is_deleted() {
    if !lab::enter() {
        return;
    }
    let setting = Setting::by_bridge();
    setting.check_uplink(1);
    ip(&format!("link del {}", setting.switch.switch_end()));
    setting.check_guests(100);
    setting.switch.expect_log("the uplink is there again");
    assert_eq!(lab::members("br0"), ["lan", "vsw0m"]);
    setting.check_uplink(2);
    setting.check_that_it_rests();
    setting.stop();
}

#[test]
fn the_bridge_is_deleted() {
    if !lab::enter() {
        return;
    }
    let setting = Setting::by_bridge();
    setting.check_uplink(1);
    ip("link del br0");
    setting.send_in_vain(50);
    setting.check_guests(100);
    setting.check_that_it_rests();
    setting.stop();
    for name in ["vsw0", "vsw0m"] {
        wait_for(&format!("{name} is gone"), || link(name).is_none());
    }
}

#[test]
fn a_bridge_of_its_own_is_deleted() {
    if !lab::enter() {
        return;
    }
    let host = Host::on_cable("card", "far", FAR_IP, 1500);
    let before = snapshot();
    let setting = Setting::new(host, "bridge:br9,create,member=card");
    setting.check_uplink(1);
    ip("link del br9");
    setting.check_guests(100);
    setting.switch.expect_log("the bridge was made again");
    setting.check_uplink(2);
    setting.check_that_it_rests();
    let host = stop_but_keep_host(setting);
    expect_as_before(&before);
    drop(host);
}

fn stop_but_keep_host(setting: Setting) -> Host {
    let Setting { host, switch, .. } = setting;
    switch.stop();
    host
}

#[test]
fn the_interface_is_deleted() {
    if !lab::enter() {
        return;
    }
    let mut setting = Setting::by_interface();
    is_waited_for(&setting, || drop(ip("link del card")));
    setting.host = Host::on_cable("card", "far", FAR_IP, 1500);
    setting.far = setting.host.mac("far");
    is_there_again(setting);
}

#[test]
fn the_interface_is_taken_to_another_namespace() {
    if !lab::enter() {
        return;
    }
    let other = Host::new();
    let setting = Setting::by_interface();
    is_waited_for(&setting, || other.take("card", "198.51.100.1/24"));
    let thread = std::fs::read_link("/proc/thread-self").expect("/proc is mounted");
    other.run(move || ip(&format!("link set card netns /proc/{}/ns/net", thread.display())));
    ip("link set card up");
    is_there_again(setting);
}

/// `remove` takes the switch's interface away: that is said, what is for it is counted, all else
/// goes on.
fn is_waited_for(setting: &Setting, remove: impl FnOnce()) {
    setting.check_uplink(1);
    remove();
    setting.switch.expect_log("the uplink is lost; waiting for it");
    setting.send_in_vain(50);
    setting.cards[0].send(&numbered(BROADCAST, A, 6000, 100));
    setting.cards[1].expect("the broadcast", |frame| *frame == numbered(BROADCAST, A, 6000, 100));
    setting.check_guests(100);
    setting.check_that_it_rests();
    let log = setting.switch.log();
    let said = log.lines().find(|line| line.contains("is lost")).expect("said above");
    assert!(said.contains("card") && said.contains("No such device"), "{said}");
}

/// What was waited for is used again.
fn is_there_again(setting: Setting) {
    setting.switch.expect_log("the uplink is there again");
    setting.check_uplink(2);
    let stopped = setting.stop();
    // And what was sent before the switch used it.
    assert!(stopped.drops("uplink", "no_peer") >= 51, "{}", stopped.log);
    assert_eq!(stopped.log.matches("is lost").count(), 1, "{}", stopped.log);
    assert_eq!(stopped.log.matches("port ended").count(), 0, "{}", stopped.log);
}
