//! A switch that was killed and is started again, with the same words: who was plugged into it is
//! served again, and nothing of the dead one's is left over.
#![cfg(target_os = "linux")]

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use support::frame::{BROADCAST, Mac, guest_mac, numbered};
use support::host::{FrameSender, Host};
use support::lab::{self, Room, ip, link, members, snapshot};
use support::switch::Switch;
use support::{SOON, wait_for};

/// The guest that tells whether others are served: it stays as it is, bound and not connected, as
/// QEMU's `-netdev dgram` is.
struct Teller {
    socket: UnixDatagram,
    port: std::path::PathBuf,
}

const TELLER: Mac = guest_mac(1);
const OTHER: Mac = guest_mac(2);

impl Teller {
    fn new(room: &Room) -> Self {
        let socket = UnixDatagram::bind(room.path("teller.card")).expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        Self { socket, port: room.path("teller") }
    }

    /// Sends, if somebody is there: no action of the guest's, which sends as it always does.
    fn send(&self, frame: &[u8]) {
        let _ = self.socket.send_to(frame, &self.port);
    }

    /// Whether this frame comes within a moment.
    fn hears(&self, frame: &[u8]) -> bool {
        let mut buffer = [0; 2048];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            if buffer[..len] == *frame {
                return true;
            }
        }
        false
    }
}

/// Kills a switch and starts the same again; prints how long it took until `is_served` held.
#[track_caller]
fn restart(
    room: &Room,
    (uplink, ports): (&str, &[&str]),
    dead: Switch,
    who: &str,
    mut is_served: impl FnMut() -> bool,
) -> Switch {
    dead.kill();
    let start = Instant::now();
    let switch = Switch::start(room, uplink, ports);
    let ready = start.elapsed();
    wait_for(&format!("{who} is served again"), &mut is_served);
    println!("{who}: ready {ready:?} after the start, served {:?} after it", start.elapsed());
    switch
}

/// Whether the teller and another guest hear each other.
fn hear_each_other(
    teller: &Teller,
    number: &mut u32,
    send: &mut dyn FnMut(&[u8]),
    next: &mut dyn FnMut() -> Option<Vec<u8>>,
) -> bool {
    *number += 1;
    let (there, back) =
        (numbered(TELLER, OTHER, *number, 300), numbered(OTHER, TELLER, *number, 300));
    send(&there);
    let heard = teller.hears(&there);
    teller.send(&back);
    let is_heard = std::iter::from_fn(&mut *next).any(|frame| frame == back);
    heard && is_heard
}

fn next_of(socket: &UnixDatagram) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    let len = socket.recv(&mut buffer).ok()?;
    Some(buffer[..len].to_vec())
}

/// Three rounds of it: what comes back once must come back again.
const ROUNDS: u32 = 3;

#[test]
fn an_unconnected_guest_goes_on_as_if_nothing_had_been() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let ports: &[&str] = &["teller", "vm2"];
    let teller = Teller::new(&room);
    let qemu = UnixDatagram::bind(room.path("vm2.card")).expect("bind");
    qemu.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let port = room.path("vm2");
    let mut number = 0;
    let mut served = || {
        hear_each_other(
            &teller,
            &mut number,
            &mut |frame| drop(qemu.send_to(frame, &port)),
            &mut || next_of(&qemu),
        )
    };
    let mut switch = Switch::start(&room, "none", ports);
    wait_for("they hear each other", &mut served);
    for _ in 0..ROUNDS {
        switch = restart(&room, ("none", ports), switch, "unconnected", &mut served);
    }
    // Also one that says nothing.
    switch.kill();
    let switch = Switch::start(&room, "none", ports);
    let frame = numbered(BROADCAST, TELLER, 9000, 300);
    wait_for("a silent guest hears", || {
        teller.send(&frame);
        std::iter::from_fn(|| next_of(&qemu)).any(|heard| heard == frame)
    });
    switch.stop();
}

#[test]
fn a_connected_guest_hears_after_its_first_frame_and_is_heard_when_it_connects_again() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let ports: &[&str] = &["teller", "vm2"];
    let teller = Teller::new(&room);
    let mut switch = Switch::start(&room, "none", ports);
    let card = UnixDatagram::bind(room.path("vm2.card")).expect("bind");
    card.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    card.connect(room.path("vm2")).expect("connect");
    card.send(b"VFKT").expect("the handshake");
    for round in 0..ROUNDS {
        let frame = numbered(BROADCAST, TELLER, round, 300);
        let hears = || {
            teller.send(&frame);
            std::iter::from_fn(|| next_of(&card)).any(|heard| heard == frame)
        };
        wait_for("the guest hears", hears);
        // Its first frame the kernel refuses, which frees the socket from the one that is no more:
        // until then nobody else may send to it (net/unix/af_unix.c, `unix_may_send`).
        let mut is_refused = false;
        switch = restart(&room, ("none", ports), switch, "connected, hearing", || {
            if !is_refused {
                let refused = card.send(&numbered(TELLER, OTHER, 99, 300)).expect_err("nobody");
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
                is_refused = true;
            }
            hears()
        });
        card.connect(room.path("vm2")).expect("connect again");
        let frame = numbered(TELLER, OTHER, 100 + round, 300);
        wait_for("the guest is heard", || {
            card.send(&frame).expect("connected");
            teller.hears(&frame)
        });
    }
    switch.stop();
}

/// A stream's end in a guest that reads and writes whole frames.
struct StreamGuest(UnixStream);

impl StreamGuest {
    fn new(stream: UnixStream) -> Self {
        stream.set_nonblocking(false).expect("a blocking socket");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Self(stream)
    }

    /// Whether the stream still stood.
    fn send(&mut self, frame: &[u8]) -> bool {
        let len = u32::try_from(frame.len()).expect("short").to_be_bytes();
        self.0.write_all(&[&len, frame].concat()).is_ok()
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).ok()?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(len)).expect("short")];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame)
    }
}

/// Whether a guest on a stream, made by `join` whenever there is none, and the teller hear each
/// other.
fn stream_served(
    teller: &Teller,
    number: &mut u32,
    guest: &mut Option<StreamGuest>,
    join: impl FnOnce() -> Option<UnixStream>,
) -> bool {
    if guest.is_none() {
        *guest = join().map(StreamGuest::new);
    }
    let Some(stream) = guest.as_mut() else { return false };
    *number += 1;
    let (there, back) =
        (numbered(TELLER, OTHER, *number, 300), numbered(OTHER, TELLER, *number, 300));
    let is_sent = stream.send(&there);
    let heard = teller.hears(&there);
    teller.send(&back);
    let is_heard = std::iter::from_fn(|| stream.next()).any(|frame| frame == back);
    if !is_sent {
        *guest = None;
    }
    heard && is_heard
}

#[test]
fn a_stream_client_that_connects_again_is_served() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let (teller, path) = (Teller::new(&room), room.path("s"));
    let port = format!("vm2=stream:{}", path.display());
    let ports: &[&str] = &["teller", &port];
    let (mut number, mut guest) = (0, None);
    let mut served =
        || stream_served(&teller, &mut number, &mut guest, || UnixStream::connect(&path).ok());
    let mut switch = Switch::start(&room, "none", ports);
    wait_for("they hear each other", &mut served);
    for _ in 0..ROUNDS {
        switch = restart(&room, ("none", ports), switch, "stream client", &mut served);
    }
    switch.stop();
}

#[test]
fn a_guest_that_listens_is_connected_to_again() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let (teller, path) = (Teller::new(&room), room.path("s"));
    let listener = UnixListener::bind(&path).expect("listen");
    listener.set_nonblocking(true).expect("not blocking");
    let port = format!("vm2=stream-connect:{}", path.display());
    let ports: &[&str] = &["teller", &port];
    let (mut number, mut guest) = (0, None);
    let mut served =
        || stream_served(&teller, &mut number, &mut guest, || Some(listener.accept().ok()?.0));
    let mut switch = Switch::start(&room, "none", ports);
    wait_for("they hear each other", &mut served);
    for _ in 0..ROUNDS {
        switch = restart(&room, ("none", ports), switch, "listening guest", &mut served);
    }
    switch.stop();
}

#[test]
fn taps_are_attached_to_again() {
    if !lab::enter() {
        return;
    }
    ip("link set lo up");
    ip("tuntap add kept mode tap");
    ip("link set kept addrgenmode none");
    ip("link set kept up");
    let before = snapshot();
    let room = Room::new();
    let teller = Teller::new(&room);
    let ports: &[&str] = &["teller", "vm2=tap:kept", "vm3=tap:made"];
    // Whatever uses the host's interface: it sends when that is there and up.
    let served = |name: &'static str, number: &mut u32| {
        *number += 1;
        let frame = numbered(TELLER, OTHER, *number, 300);
        if !link(name).is_some_and(|link| link["flags"].to_string().contains("LOWER_UP")) {
            return false;
        }
        FrameSender::open(name).send(&frame);
        teller.send(&numbered(OTHER, TELLER, *number, 300));
        teller.hears(&frame)
    };
    let mut number = 0;
    let mut switch = Switch::start(&room, "none", ports);
    let index = |name: &str| link(name).expect("there")["ifindex"].clone();
    let kept = index("kept");
    for _ in 0..ROUNDS {
        for name in ["kept", "made"] {
            let again = |number: &mut u32| {
                let mut number = std::mem::replace(number, *number + 1000);
                move || served(name, &mut number)
            };
            switch = restart(&room, ("none", ports), switch, name, again(&mut number));
        }
    }
    assert_eq!(index("kept"), kept, "the host's own stays, with all that is set on it");
    switch.stop();
    wait_for("the switch's own is gone", || link("made").is_none());
    lab::expect_as_before(&before);
}

#[test]
fn a_bridge_with_a_lent_card_is_joined_again_and_given_back() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    ip("link add card type veth peer name wall");
    for end in ["card", "wall"] {
        ip(&format!("link set {end} addrgenmode none"));
    }
    ip("link set wall up");
    for (uplink, bridge) in
        [("bridge:br0,member=card", "br0"), ("bridge:br9,create,member=card", "br9")]
    {
        for state in ["down", "up"] {
            ip(&format!("link set card {state}"));
            let before = snapshot();
            let room = Room::new();
            let mut switch = Switch::start(&room, uplink, &["vm1"]);
            for _ in 0..ROUNDS {
                let whole = || {
                    let members = members(bridge);
                    ["card", "vsw0m"].iter().all(|of| members.iter().any(|member| member == of))
                };
                switch = restart(&room, (uplink, &["vm1"]), switch, uplink, whole);
                switch.expect_log("lent by a dead switch: freed");
            }
            // Given back as it was before the first of them.
            switch.stop();
            lab::expect_as_before(&before);
            // Or by hand.
            Switch::start(&room, uplink, &["vm1"]).kill();
            assert_eq!(link("card").expect("there")["master"], bridge);
            let told = lab::output(env!("CARGO_BIN_EXE_vswitch"), "clean --json");
            assert!(told.contains("vsw0") && !told.contains("lent"), "{told}");
            lab::expect_as_before(&before);
        }
    }
    drop(host);
}

#[test]
fn a_card_that_another_took_over_meanwhile_is_left_to_it() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    ip("link add card type veth peer name wall");
    ip("link add br7 type bridge");
    let room = Room::new();
    Switch::start(&room, "bridge:br0,member=card", &["vm1"]).kill();
    ip("link set card nomaster");
    ip("link set card master br7");
    lab::output(env!("CARGO_BIN_EXE_vswitch"), "clean");
    assert_eq!(members("br7"), ["card"]);
    let flags = link("card").expect("there")["flags"].to_string();
    assert!(flags.contains("\"UP\""), "{flags}");
    assert!(testkit::wait_until(SOON, || link("vsw0").is_none()));
}
