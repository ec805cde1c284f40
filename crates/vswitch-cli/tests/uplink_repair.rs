//! What an uplink stands on is destroyed, taken apart and changed under a running switch: it is
//! repaired, that is told, and ports that have nothing to do with it lose no datagram meanwhile.
#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::capture::Capture;
use support::card::Card;
use support::events::Events;
use support::flow::Flow;
use support::frame::{Mac, guest_mac, numbered};
use support::host::Host;
use support::lab::{self, Room, ip, link, members, snapshot};
use support::switch::Switch;
use support::wait_for;

const FAR_IP: &str = "192.0.2.9/24";
const A: Mac = guest_mac(1);

/// A switch with a guest, a listener to its events, and a flow between two other guests.
struct Setting {
    switch: Switch,
    events: Events,
    card: Card,
    flow: Flow,
    room: Room,
}

impl Setting {
    fn start(uplink: &str) -> Self {
        let mut text = format!(
            "[control]\nsocket = \"control\"\n[[network]]\nname = \"lan\"\nuplink = \"{uplink}\"\n"
        );
        for name in ["vm1", "vm2", "vm3"] {
            let port = format!("[[network.port]]\nname = \"{name}\"\nattach = \"unixgram:{name}\"");
            text += &format!("{port}\n");
        }
        let room = Room::new();
        let switch = Switch::configured(&room, &text);
        let events = Events::listen(&room.path("control"));
        let card = room.card("vm1");
        let flow = Flow::start((room.card("vm2"), guest_mac(2)), (room.card("vm3"), guest_mac(3)));
        Self { switch, events, card, flow, room }
    }

    /// Waits until a guest and a host hear each other.
    #[track_caller]
    fn reaches(&self, host: &Host, number: u32) {
        let far = host.mac("far");
        let arrivals = host.run(|| Capture::incoming("far", "ether proto 0x88b5"));
        let (up, down) = (numbered(far, A, number, 400), numbered(A, far, number, 400));
        wait_for("a guest's frame at the host", || {
            self.card.send(&up);
            arrivals.frames().contains(&up)
        });
        let sender = host.sender("far");
        wait_for("the host's frame at a guest", || {
            sender.send(&down);
            self.card.listen(Duration::from_millis(50)).contains(&down)
        });
    }

    /// Does something and waits until it is undone, which is told; prints how long that took.
    #[track_caller]
    fn repairs(&self, what: &str, told: &str, is_undone: impl Fn() -> bool) {
        let before = self.events.count("repaired", told);
        let start = Instant::now();
        ip(what);
        wait_for(&format!("{what} is undone"), &is_undone);
        let took = start.elapsed();
        self.events.expect(before + 1, "repaired", told);
        println!("ip {what}: repaired after {took:?}");
    }

    /// The network, as the control socket tells of it.
    fn network(&self) -> serde_json::Value {
        let client = vswitchd::api::client::Client::new(self.room.path("control"));
        let network = client.get("/v1/networks/lan");
        network.expect("an answer")
    }

    #[track_caller]
    fn expect_state(&self, state: &str) {
        wait_for(&format!("the uplink is {state}"), || self.network()["uplink_state"] == state);
    }

    /// No datagram of the flow was lost, and the switch ends well.
    #[track_caller]
    fn stop(self) {
        self.flow.stop();
        self.switch.stop();
    }
}

fn is_up(name: &str) -> bool {
    link(name).is_some_and(|link| link["flags"].to_string().contains("\"UP\""))
}

fn has_mtu(name: &str, mtu: u32) -> bool {
    link(name).is_some_and(|link| link["mtu"] == mtu)
}

fn is_member(bridge: &str, member: &str) -> bool {
    members(bridge).iter().any(|of| of == member)
}

/// Makes `br0` again, with the host behind it as before.
fn restore_bridge() {
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("link set lan master br0");
}

#[test]
fn a_bridge_that_was_destroyed_is_joined_when_it_comes_back() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let setting = Setting::start("bridge:br0");
    assert_eq!(setting.switch.ready["uplink_state"], "up");
    setting.reaches(&host, 1);
    for round in 1..=3 {
        ip("link del br0");
        setting.events.expect(round, "uplink_waiting", "no interface br0");
        setting.expect_state("waiting");
        let start = Instant::now();
        restore_bridge();
        wait_for("the pair joins the bridge", || is_member("br0", "vsw0m"));
        println!("joined after {:?}", start.elapsed());
        let number = u32::try_from(round).expect("small");
        setting.reaches(&host, 10 + number);
        setting.events.expect(round, "repaired", "is a member of br0 again");
        setting.events.expect(round, "uplink_there", "bridge:br0");
        setting.expect_state("up");
    }
    setting.stop();
}

#[test]
fn a_bridge_of_its_own_is_made_again_with_its_card() {
    if !lab::enter() {
        return;
    }
    let host = Host::on_cable("card", "far", FAR_IP, 1500);
    let before = snapshot();
    let setting = Setting::start("bridge:br9,create,member=card");
    setting.reaches(&host, 1);
    for number in 2..4 {
        setting.repairs("link del br9", "the bridge was made again", || {
            is_up("br9") && is_member("br9", "card") && is_member("br9", "vsw0m")
        });
        setting.reaches(&host, number);
    }
    setting.repairs("link set br9 down", "was down, and is up again", || is_up("br9"));
    setting
        .repairs("link set card nomaster", "is a member of br9 again", || is_member("br9", "card"));
    setting.repairs("link set card down", "was down, and is up again", || is_up("card"));
    setting.reaches(&host, 9);
    setting.stop();
    lab::expect_as_before(&before);
}

#[test]
fn a_pair_is_joined_set_up_and_made_again() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let before = snapshot();
    let setting = Setting::start("bridge:br0");
    let joins = || is_member("br0", "vsw0m");
    let again = "is a member of br0 again";
    setting.repairs("link set vsw0m nomaster", again, joins);
    setting.reaches(&host, 1);
    ip("link add br7 type bridge");
    setting.repairs("link set vsw0m master br7", again, joins);
    ip("link del br7");
    setting.reaches(&host, 2);
    for (number, end) in [(3, "vsw0"), (4, "vsw0m")] {
        let up = "was down, and is up again";
        setting.repairs(&format!("link set {end} down"), up, || is_up(end));
        setting.reaches(&host, number);
    }
    for (number, end) in [(5, "vsw0"), (6, "vsw0m")] {
        let old = link(end).expect("there")["ifindex"].clone();
        let there = "the uplink is there again";
        setting.repairs(&format!("link del {end}"), there, || {
            joins() && link(end).is_some_and(|of| of["ifindex"] != old)
        });
        setting.reaches(&host, number);
    }
    let interfaces = setting.network()["interfaces"].to_string();
    assert!(interfaces.contains("\"vsw0\"") && interfaces.contains("\"vsw0m\""), "{interfaces}");
    setting.stop();
    lab::expect_as_before(&before);
}

#[test]
fn bridge_card_and_pair_agree_on_the_mtu() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let setting = Setting::start("bridge:br0");
    let all_have = |mtu| ["br0", "vsw0", "vsw0m"].iter().all(|name| has_mtu(name, mtu));
    // A member's, which its bridge follows.
    setting.repairs("link set lan mtu 1400", "has the bridge's MTU 1400", || all_have(1400));
    setting.repairs("link set lan mtu 1500", "has the bridge's MTU 1500", || all_have(1500));
    for end in ["vsw0", "vsw0m"] {
        let what = format!("link set {end} mtu 1000");
        setting.repairs(&what, "has the bridge's MTU 1500", || all_have(1500));
    }
    setting.reaches(&host, 1);
    // The bridge's own, which from then on follows nobody.
    setting.repairs("link set br0 mtu 1300", "has the bridge's MTU 1300", || all_have(1300));
    setting.reaches(&host, 2);
    // It settles: nothing is changed back and forth.
    let told = setting.events.told().len();
    std::thread::sleep(support::QUIET);
    assert_eq!(setting.events.told().len(), told, "{:#?}", setting.events.told());
    assert!(all_have(1300));
    setting.stop();
}

#[test]
fn what_gets_another_name_is_kept_until_there_is_one_of_the_old() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let setting = Setting::start("bridge:br0");
    let rename = |from: &str, to: &str| {
        ip(&format!("link set {from} down"));
        ip(&format!("link set {from} name {to}"));
        ip(&format!("link set {to} up"));
    };
    rename("br0", "br7");
    setting.reaches(&host, 1);
    assert!(is_member("br7", "vsw0m"));
    // Another br0, to which the host moves: that is the one that was asked for.
    restore_bridge_of("lan");
    wait_for("the pair moves to the new br0", || is_member("br0", "vsw0m"));
    setting.reaches(&host, 2);
    ip("link del br7");
    setting.reaches(&host, 3);
    setting.stop();
}

fn restore_bridge_of(member: &str) {
    ip(&format!("link set {member} nomaster"));
    restore_bridge();
}

#[test]
fn an_interface_that_comes_back_is_used_again() {
    if !lab::enter() {
        return;
    }
    let host = Host::on_cable("card", "far", FAR_IP, 1500);
    let setting = Setting::start("iface:card");
    setting.reaches(&host, 1);
    let mut host = Some(host);
    for round in 1..=2 {
        ip("link del card");
        host.take();
        setting.events.expect(round, "uplink_waiting", "no interface card");
        setting.expect_state("waiting");
        let start = Instant::now();
        let back = Host::on_cable("card", "far", FAR_IP, 1500);
        setting.events.expect(round, "repaired", "the uplink is there again");
        println!("card is used again after {:?}", start.elapsed());
        setting.events.expect(round, "uplink_there", "iface:card");
        setting.reaches(&back, 10);
        setting.expect_state("up");
        host = Some(back);
    }
    // By another name it is used on; another of its name takes its place.
    ip("link set card down");
    ip("link set card name away");
    ip("link set away up");
    setting.reaches(host.as_ref().expect("there"), 20);
    let other = Host::on_cable("card", "far", FAR_IP, 1500);
    setting.reaches(&other, 21);
    setting.stop();
}

#[test]
fn what_is_missing_at_the_start_is_waited_for_if_that_is_asked_for() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    for uplink in ["bridge:br0", "iface:card", "bridge:br9,create,member=card"] {
        let said = Switch::refused(&room, uplink, &["vm1"]);
        assert!(said.contains("no interface "), "{said}");
    }
    let waits = |uplink: &str| {
        let setting = Setting::start(uplink);
        assert_eq!(setting.switch.ready["uplink_state"], "waiting", "{}", setting.switch.ready);
        assert_eq!(setting.switch.ready["uplink"], uplink);
        setting.switch.expect_log("waits: ");
        setting
    };
    let comes = |setting: Setting, host: Host, uplink: &str| {
        setting.events.expect(1, "uplink_there", uplink);
        setting.expect_state("up");
        setting.reaches(&host, 1);
        setting.stop();
    };
    let setting = waits("bridge:br0,wait");
    comes(setting, Host::behind_a_new_bridge(), "bridge:br0,wait");
    let setting = waits("iface:card,wait");
    comes(setting, Host::on_cable("card", "far", FAR_IP, 1500), "iface:card,wait");
    wait_for("its cable is gone with the host", || link("card").is_none());
    let setting = waits("bridge:br9,create,member=card,wait");
    assert!(is_member("br9", "vsw0m"), "what can be is made");
    comes(
        setting,
        Host::on_cable("card", "far", FAR_IP, 1500),
        "bridge:br9,create,member=card,wait",
    );
    assert!(link("br9").is_none());
}

/// A card that another bridge has: nobody undoes what was never done. It is lent as soon as it is
/// free, and given back at the end.
#[test]
fn a_card_that_another_bridge_has_is_lent_when_it_is_free() {
    if !lab::enter() {
        return;
    }
    ip("link add br8 type bridge");
    let setting = Setting::start("bridge:br9,create,member=card,wait");
    // Not for a moment is there a `card` that nobody has.
    let host = Host::on_cable("other", "far", FAR_IP, 1500);
    ip("link set other master br8");
    ip("link set other down");
    ip("link set other name card");
    ip("link set card up");
    wait_for("it is told who has the card", || {
        setting.events.told().iter().any(|told| told.to_string().contains("br8"))
    });
    // Longer than five attempts take.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(setting.events.count("contested", ""), 0, "{:?}", setting.events.told());
    ip("link set card nomaster");
    wait_for("the card is lent", || is_member("br9", "card"));
    setting.reaches(&host, 1);
    assert_eq!(setting.events.count("repaired", "card"), 0, "it is lent for the first time");
    setting.stop();
    assert!(link("card").is_some_and(|card| card["master"].is_null()), "it is given back");
}

#[test]
fn a_fight_with_another_manager_is_bounded_and_told() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let setting = Setting::start("bridge:br0");
    let (stop, before) = (AtomicBool::new(false), setting.switch.processor_time());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if is_member("br0", "vsw0m") {
                    ip("link set vsw0m nomaster");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        setting.events.expect(1, "contested", "vsw0m");
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
    });
    let repairs = setting.events.count("repaired", "is a member of br0 again");
    assert!((5..=8).contains(&repairs), "{repairs} repairs");
    assert_eq!(setting.events.count("contested", ""), 1, "{:#?}", setting.events.told());
    let used = setting.switch.processor_time() - before;
    println!("{repairs} repairs; the switch, with its flow, used {used:?} of processor time");
    // The next one holds.
    wait_for("the pair is a member again", || is_member("br0", "vsw0m"));
    setting.reaches(&host, 1);
    setting.stop();
}

#[test]
fn a_hundred_ends_of_a_bridge_leave_nothing() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let setting = Setting::start("bridge:br0");
    let descriptors = || {
        let of = format!("/proc/{}/fd", setting.switch.pid());
        std::fs::read_dir(of).expect("alive").count()
    };
    let links = || lab::ip_json("link").len();
    // From the moment that the bridge is whole again.
    let cycle = || {
        ip("link del br0");
        restore_bridge();
        let start = Instant::now();
        wait_for("the pair joins the bridge", || is_member("br0", "vsw0m"));
        start.elapsed()
    };
    cycle();
    let (had, were) = (descriptors(), links());
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        longest = longest.max(cycle());
    }
    setting.reaches(&host, 1);
    let is_other = |told: &&serde_json::Value| {
        told["event"] == "uplink_waiting" && !told.to_string().contains("no interface br0")
    };
    let others: Vec<_> = setting.events.told().iter().filter(is_other).cloned().collect();
    println!("waited for other reasons: {others:?}");
    wait_for("as many descriptors as before", || descriptors() <= had);
    assert_eq!(links(), were);
    println!(
        "100 cycles, {longest:?} at the longest; {had} descriptors and {were} interfaces, {} and \
         {} after",
        descriptors(),
        links()
    );
    setting.stop();
}
