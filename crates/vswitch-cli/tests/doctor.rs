//! `vswitch doctor`, in namespaces where something is wrong, or nothing. What it says is to be done
//! is done, and helps.
#![cfg(target_os = "linux")]

mod common;
mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};

use common::{VSWITCH, as_nobody};
use serde_json::{Value, json};
use support::host::Host;
use support::lab::{self, Room, ip};
use support::switch::Switch;
use support::wait_for;
use testkit::command::output;

/// A shell in which what the doctor says can be pasted: `vswitch` is there, and `sudo` does what it
/// is told.
struct Shell(tempfile::TempDir);

impl Shell {
    fn new() -> Self {
        let dir = testkit::scratch_dir();
        symlink(VSWITCH, dir.path().join("vswitch")).expect("a link");
        let sudo = dir.path().join("sudo");
        std::fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n").expect("a script");
        std::fs::set_permissions(&sudo, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        Self(dir)
    }

    fn run(&self, command: &str, dir: &Path) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}:/usr/sbin:/sbin", self.0.path().display());
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]).env("PATH", path).current_dir(dir);
        shell.env_remove("SUDO_UID").env_remove("SUDO_GID");
        shell.output().expect("run a shell")
    }

    /// Does what a finding says.
    #[track_caller]
    fn paste(&self, finding: &Value) {
        let command = finding["command"].as_str().unwrap_or_else(|| panic!("none: {finding}"));
        let done = self.run(command, self.0.path());
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// What the doctor found.
struct Found {
    code: i32,
    report: Value,
}

fn doctor(arguments: &str) -> Found {
    examined(common::vswitch(&format!("doctor --json {arguments}")))
}

#[track_caller]
fn examined(command: Command) -> Found {
    let output = common::output(command);
    let code = output.status.code().expect("it ends by itself");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    let found = Found { code, report };
    assert_eq!(found.code, found.expected_code(), "{}", found.report);
    found
}

impl Found {
    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.report["findings"].as_array().expect("findings").iter()
    }

    fn expected_code(&self) -> i32 {
        let is = |severity: &str| self.findings().any(|finding| finding["severity"] == severity);
        if is("error") { 2 } else { i32::from(is("warning")) }
    }

    /// The finding of this check about this object.
    #[track_caller]
    fn of(&self, id: &str, object: &str) -> &Value {
        let is_it = |finding: &&Value| finding["id"] == id && finding["object"] == object;
        self.findings()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {id} of {object}: {}", self.report))
    }

    /// Its severity.
    #[track_caller]
    fn severity(&self, id: &str, object: &str) -> &str {
        self.of(id, object)["severity"].as_str().expect("a severity")
    }

    /// All that is worse than a note, but what this machine's own limits are.
    fn faults(&self) -> Vec<(String, String)> {
        let of_machine = ["socket-send-buffer", "socket-receive-buffer", "descriptor-limit"];
        let is_bad = |finding: &&Value| {
            let is_worse = finding["severity"] == "warning" || finding["severity"] == "error";
            is_worse && !of_machine.iter().any(|id| finding["id"] == *id)
        };
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let bad = self.findings().filter(is_bad);
        bad.map(|finding| (text(&finding["id"]), text(&finding["object"]))).collect()
    }

    #[track_caller]
    fn one_fault(&self, id: &str, object: &str) -> &Value {
        assert_eq!(self.faults(), [(id.to_owned(), object.to_owned())], "{}", self.report);
        self.of(id, object)
    }
}

#[test]
fn a_good_setup_is_0_and_each_check_is_told() {
    if !lab::enter() {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    let room = Room::new();
    let path = room.path("vm1");
    let found = doctor(&format!("--uplink bridge:br0 --port vm1=unixgram:{}", path.display()));
    assert_eq!(found.faults(), [], "{}", found.report);
    for (id, object) in [
        ("packet-socket", "AF_PACKET"),
        ("bridge", "br0"),
        ("bridge-live-uplink", "br0"),
        ("bridge-mtu", "br0"),
        ("bridge-spanning-tree", "br0"),
        ("leftover", "interfaces"),
    ] {
        assert_eq!(found.severity(id, object), "ok", "{id}");
    }
    let object = format!("default/vm1 ({})", path.display());
    assert_eq!(found.of("socket-path", &object)["found"], "free");
    assert!(found.of("bridge-live-uplink", "br0")["found"].as_str().unwrap().contains("lan"));
    // The same of a switch that runs, without a word of what it is.
    let _switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    let found = doctor("");
    assert_eq!(found.faults(), [], "{}", found.report);
    assert_eq!(found.severity("offloads", "vsw0m"), "ok");
    assert_eq!(found.severity("bridge-mtu", "br0"), "ok");
}

#[test]
fn the_shape_of_the_json() {
    if !lab::enter() {
        return;
    }
    let found = doctor("--uplink bridge:nowhere");
    let report = found.report.as_object().expect("an object");
    assert_eq!(report.keys().collect::<Vec<_>>(), ["counts", "findings", "severity"]);
    assert_eq!((&report["severity"], found.code), (&json!("error"), 2));
    let mut counts = json!({ "ok": 0, "note": 0, "warning": 0, "error": 0 });
    for finding in found.findings() {
        let keys: Vec<&String> = finding.as_object().expect("an object").keys().collect();
        let expected = ["command", "figures", "found", "id", "object", "severity", "to_do", "why"];
        assert_eq!(keys, expected);
        let id = finding["id"].as_str().expect("an id");
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{id}");
        assert!(finding["figures"].as_object().expect("figures").values().all(Value::is_u64));
        let severity = finding["severity"].as_str().expect("a severity");
        counts[severity] = (counts[severity].as_u64().expect("one of four") + 1).into();
    }
    assert_eq!(report["counts"], counts);
    let bridge = found.of("bridge", "nowhere");
    let command = "sudo vswitch bridge create nowhere && sudo vswitch if up nowhere";
    assert_eq!((&bridge["severity"], &bridge["command"]), (&json!("error"), &json!(command)));
    Shell::new().paste(bridge);
    assert_eq!(doctor("--uplink bridge:nowhere").severity("bridge", "nowhere"), "ok");
}

#[test]
fn a_bridge_without_a_live_uplink() {
    if !lab::enter() {
        return;
    }
    ip("link add br0 type bridge");
    ip("link set br0 up");
    let found = doctor("--uplink bridge:br0");
    found.one_fault("bridge-live-uplink", "br0");
    // A host-only network, on purpose.
    ip("addr add 192.0.2.1/24 dev br0");
    assert_eq!(doctor("--uplink bridge:br0").severity("bridge-live-uplink", "br0"), "note");
    ip("link add eth1 type veth peer name far");
    ip("link set eth1 master br0");
    let found = doctor("--uplink bridge:br0");
    let fault = found.one_fault("bridge-live-uplink", "br0");
    assert_eq!(fault["figures"], json!({ "uplinks": 1, "live_uplinks": 0 }));
    Shell::new().paste(fault);
    // Now it is on, and its cable hangs in the air.
    let found = doctor("--uplink bridge:br0");
    let fault = found.one_fault("bridge-live-uplink", "br0");
    assert_eq!(fault["command"], Value::Null, "{fault}");
    let words = common::output(common::vswitch("doctor --uplink bridge:br0"));
    assert_eq!(words.status.code(), Some(1));
    let words = String::from_utf8(words.stdout).expect("UTF-8");
    assert!(words.contains("warning  bridge-live-uplink"), "{words}");
    assert!(words.contains("         do: plug in its cable"), "{words}");
    ip("link set far up");
    wait_for("its carrier", || doctor("--uplink bridge:br0").faults().is_empty());
}

#[test]
fn mtus_that_disagree_and_a_spanning_tree() {
    if !lab::enter() {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    let shell = Shell::new();
    // Set by a person, it does not follow its members' any more.
    ip("link set br0 mtu 1400");
    ip("link set br0 mtu 1500");
    ip("link set lan mtu 1400");
    let found = doctor("--uplink bridge:br0");
    let fault = found.one_fault("bridge-mtu", "lan");
    assert_eq!(fault["figures"], json!({ "mtu": 1400, "other_mtu": 1500 }));
    shell.paste(fault);
    assert_eq!(doctor("--uplink bridge:br0").faults(), []);
    ip("tuntap add tap0 mode tap");
    ip("link set tap0 mtu 9000");
    let found = doctor("--uplink bridge:br0 --port vm1=tap:tap0");
    let expected = [("tap-up", "tap0"), ("port-mtu", "tap0")];
    assert_eq!(found.faults(), expected.map(|(id, object)| (id.to_owned(), object.to_owned())));
    for (id, object) in expected {
        shell.paste(found.of(id, object));
    }
    assert_eq!(doctor("--uplink bridge:br0 --port vm1=tap:tap0").faults(), []);
    ip("link set br0 type bridge stp_state 1 forward_delay 1500");
    let found = doctor("--uplink bridge:br0");
    let fault = found.of("bridge-spanning-tree", "br0");
    assert_eq!(
        (&fault["severity"], &fault["figures"]["wait_ms"]),
        (&json!("warning"), &json!(30_000))
    );
    shell.paste(fault);
    let found = doctor("--uplink bridge:br0");
    assert_eq!(found.severity("bridge-spanning-tree", "br0"), "note");
    assert_eq!(found.of("bridge-spanning-tree", "br0")["figures"]["wait_ms"], 4000);
}

#[test]
fn what_a_killed_switch_left_is_found_and_taken_away_by_what_is_said() {
    if !lab::enter() {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    assert_eq!(doctor("").severity("leftover", "interfaces"), "ok");
    // As kill -9 does it.
    drop(switch);
    let path = room.path("vm1");
    let uplink = "--uplink bridge:br0";
    let found = doctor(&format!("{uplink} --port vm1=unixgram:{}", path.display()));
    let fault = found.one_fault("leftover", "vsw0");
    let object = format!("default/vm1 ({})", path.display());
    let socket = found.of("socket-path", &object)["found"].as_str().expect("text").to_owned();
    assert!(socket.contains("will be replaced"), "{socket}");
    // A port beside it is told of that socket.
    let beside = room.path("vm2");
    let told = doctor(&format!("{uplink} --port vm2=unixgram:{}", beside.display()));
    let dead = told.of("dead-socket", &path.display().to_string());
    let shell = Shell::new();
    shell.paste(dead);
    assert!(!path.exists());
    shell.paste(fault);
    let found = doctor(uplink);
    assert_eq!(found.faults(), []);
    assert!(lab::link("vsw0").is_none());
}

#[test]
fn offloads_that_somebody_turned_on_again() {
    if !lab::enter() || !testkit::tool_or_skip("ethtool", "ethtool") {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    let room = Room::new();
    let _switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    output("ethtool", "-K vsw0m gro on");
    let found = doctor("");
    let fault = found.one_fault("offloads", "vsw0m");
    assert!(fault["found"].as_str().expect("text").contains("rx-gro"), "{fault}");
    Shell::new().paste(fault);
    assert_eq!(doctor("").faults(), []);
}

#[test]
fn a_packet_filter_that_bridged_frames_go_through() {
    let setting = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if !lab::enter() {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    if !setting.exists() {
        // Without the module nothing goes through it.
        let found = doctor("--uplink bridge:br0");
        return assert_eq!(found.severity("bridge-netfilter", "br0"), "ok");
    }
    if !testkit::tool_or_skip("sysctl", "procps") {
        return;
    }
    std::fs::write(setting, "1").expect("the namespace's own setting");
    assert_eq!(doctor("--uplink bridge:br0").severity("bridge-netfilter", "br0"), "note");
    ip("link add docker0 type bridge");
    let found = doctor("--uplink bridge:br0");
    Shell::new().paste(found.one_fault("bridge-netfilter", "br0"));
    assert_eq!(doctor("--uplink bridge:br0").severity("bridge-netfilter", "br0"), "ok");
    ip("link set br0 type bridge nf_call_iptables 1");
    let found = doctor("--uplink bridge:br0");
    found.one_fault("bridge-netfilter", "br0");
}

#[test]
fn another_user_is_told_what_is_missing() {
    if !lab::enter() {
        return;
    }
    let _host = Host::behind_a_new_bridge();
    let dir = testkit::scratch_dir();
    let Some(_) = as_nobody(dir.path()) else { return };
    let doctor = |arguments: &str| {
        let command = as_nobody(dir.path()).expect("as before");
        examined(common::prepared(command, &format!("doctor --json {arguments}")))
    };
    let found = doctor("--uplink bridge:br0");
    let who = found.findings().find(|finding| finding["id"] == "interface-privilege");
    let who = who.expect("told").clone();
    assert_eq!((found.code, &who["severity"]), (2, &json!("error")));
    assert!(who["object"].as_str().expect("text").starts_with("user "), "{who}");
    assert!(who["found"].as_str().expect("text").contains("CAP_NET_ADMIN"), "{who}");
    assert!(who["command"].as_str().expect("text").starts_with("sudo setcap"), "{who}");
    assert_eq!(found.severity("packet-socket", "AF_PACKET"), "error");
    // All else is seen without privilege.
    assert_eq!(found.severity("bridge-live-uplink", "br0"), "ok");
    assert_eq!(doctor("").code, 1);
    // A guest needs no privilege.
    let nowhere = format!("unixgram:{}", dir.path().join("nowhere").display());
    let found = doctor(&format!("--port {nowhere}"));
    assert_eq!(found.severity("packet-socket", "AF_PACKET"), "note");
    let fault = found.one_fault("probe-port", &nowhere);
    assert!(fault["to_do"].as_str().expect("text").contains("start a switch"), "{fault}");
    let closed = format!("--port vm1=unixgram:{}", "/proc/vm1.sock");
    let found = doctor(&format!("--uplink none {closed}"));
    assert_eq!(found.severity("packet-socket", "AF_PACKET"), "note");
    found.one_fault("socket-directory", "default/vm1 (/proc/vm1.sock)");
}

#[test]
fn paths_that_are_no_place_for_a_socket() {
    let room = Room::new();
    let dir = room.path("");
    let at = |name: &str| format!("{}{name}", dir.display());
    std::fs::write(at("file"), "").expect("a file");
    let _alive = UnixDatagram::bind(at("alive")).expect("a socket");
    let long = "x".repeat(120);
    let ports: Vec<String> = [("a", "file"), ("b", "alive"), ("c", &long), ("d", "none/x")]
        .map(|(name, path)| format!("--port {name}=stream:{}", at(path)))
        .to_vec();
    let found = doctor(&format!("--uplink none {}", ports.join(" ")));
    let object = |name: &str, path: &str| format!("default/{name} ({})", at(path));
    assert_eq!(found.severity("socket-path", &object("a", "file")), "error");
    assert_eq!(found.severity("socket-path", &object("b", "alive")), "note");
    assert_eq!(found.severity("socket-path-length", &object("c", &long)), "error");
    assert_eq!(found.severity("socket-directory", &object("d", "none/x")), "error");
    Shell::new().paste(found.of("socket-directory", &object("d", "none/x")));
    let found = doctor(&format!("--uplink none {}", ports[3]));
    assert_eq!(found.severity("socket-path", &object("d", "none/x")), "ok");
}

#[test]
fn a_configuration_is_looked_at_and_a_wrong_one_is_a_finding() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let file = room.path("vswitch.toml");
    let text = "[[network]]\nname = \"lan\"\nuplink = \"iface:eth9\"\n\
                port = [{ name = \"vm1\", attach = \"unixgram:vm1\" }]\n";
    std::fs::write(&file, text).expect("write the file");
    let found = doctor(&format!("--config {}", file.display()));
    assert_eq!(found.code, 2);
    assert_eq!(found.severity("uplink-interface", "eth9"), "error");
    let path = room.path("vm1");
    assert_eq!(found.severity("socket-path", &format!("lan/vm1 ({})", path.display())), "ok");
    std::fs::write(&file, text.replace("uplink", "uplnik")).expect("write the file");
    let found = doctor(&format!("--config {}", file.display()));
    let wrong = found.of("configuration", "the file");
    assert_eq!((found.code, &wrong["severity"]), (2, &json!("error")));
    assert!(wrong["found"].as_str().expect("text").contains("vswitch.toml:3:1"), "{wrong}");
    assert_eq!(found.severity("packet-socket", "AF_PACKET"), "ok", "the rest is looked at");
}

/// The host behind the bridge, with an address of each family that a guest has none of.
fn neighbor() -> Host {
    let host = Host::behind_a_new_bridge();
    host.run(|| ip("-6 addr add 2001:db8::9/64 dev far nodad"));
    host
}

#[test]
fn a_probe_through_a_port_of_a_running_switch() {
    if !lab::enter() {
        return;
    }
    let host = neighbor();
    let room = Room::new();
    let text = "[[network]]\nname = \"lan\"\nuplink = \"bridge:br0\"\nport = [\n\
                { name = \"vm1\", attach = \"unixgram:vm1\", mac = \"52:54:00:00:00:01\" },\n\
                { name = \"vm2\", attach = \"unixgram:vm2\" },\n]\n";
    let _switch = Switch::configured(&room, text);
    let file = room.path("vswitch.toml").display().to_string();
    let ips = "--ip 192.0.2.50/24 --ip 2001:db8::50/64 --ping 192.0.2.9 --ping 2001:db8::9";
    let found = doctor(&format!("--config {file} --port lan/vm1 {ips}"));
    assert_eq!(found.faults(), [], "{}", found.report);
    let plugged = found.of("probe-port", "lan/vm1")["found"].as_str().expect("text").to_owned();
    assert!(plugged.ends_with("52:54:00:00:00:01"), "the port's own address: {plugged}");
    for object in ["192.0.2.9", "2001:db8::9"] {
        for id in ["probe-neighbor", "probe-ping", "probe-mtu"] {
            assert_eq!(found.severity(id, object), "ok", "{id}");
        }
        assert_eq!(found.of("probe-ping", object)["figures"]["lost"], 0);
    }
    assert_eq!(found.severity("probe-ipv6", "lan/vm1"), "ok");
    // A narrow place on the way, of which no interface here tells.
    let link = format!("--port unixgram:{}", room.path("vm1").display());
    let narrow = format!("{link} --mac 52:54:00:00:00:01 {ips}");
    host.run(|| ip("link set far mtu 1400"));
    let found = doctor(&narrow);
    let faults = [("probe-mtu", "192.0.2.9"), ("probe-mtu", "2001:db8::9")];
    assert_eq!(found.faults(), faults.map(|(id, object)| (id.to_owned(), object.to_owned())));
    // Nobody there; and no DHCP server.
    let found = doctor(&format!("{link} --mac 52:54:00:00:00:01 --timeout 0.5 --ping 192.0.2.77"));
    let port = format!("unixgram:{}", room.path("vm1").display());
    assert_eq!(found.severity("probe-dhcp", &port), "warning");
    assert_eq!(found.severity("probe-ping", "192.0.2.77"), "error");
    // A port whose guest is plugged in.
    let _card = room.card("vm2");
    let found = doctor(&format!("--config {file} --port vm2"));
    let fault = found.of("probe-port", "lan/vm2");
    assert_eq!((found.code, &fault["severity"]), (2, &json!("error")));
    assert!(fault["to_do"].as_str().expect("text").contains("has its guest already"), "{fault}");
}

#[test]
fn a_probe_gets_a_lease_and_pings_the_router() {
    if !lab::enter() || !testkit::tool_or_skip("busybox", "busybox-static") {
        return;
    }
    let host = neighbor();
    let room = Room::new();
    let _switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    let server = Dhcpd::start(&host, &room);
    let port = format!("unixgram:{}", room.path("vm1").display());
    let found = doctor(&format!("--port {port} --timeout 10"));
    assert_eq!(found.faults(), [], "{}", found.report);
    let lease = found.of("probe-dhcp", &port)["found"].as_str().expect("text").to_owned();
    assert!(lease.starts_with("192.0.2.100/24 from 192.0.2.9, router 192.0.2.9"), "{lease}");
    for id in ["probe-neighbor", "probe-ping", "probe-mtu"] {
        assert_eq!(found.severity(id, "192.0.2.9"), "ok", "{id}");
    }
    drop(server);
}

/// busybox's DHCP server on the interface `far` of a host.
struct Dhcpd(std::process::Child);

impl Dhcpd {
    fn start(host: &Host, room: &Room) -> Self {
        let file = |name: &str| room.path(name).display().to_string();
        let config = format!(
            "interface far\nstart 192.0.2.100\nend 192.0.2.100\nlease_file {}\npidfile {}\n\
             option subnet 255.255.255.0\noption router 192.0.2.9\noption lease 600\n",
            file("leases"),
            file("pid"),
        );
        std::fs::write(file("leases"), "").expect("write the leases");
        std::fs::write(file("udhcpd.conf"), config).expect("write the configuration");
        let config = file("udhcpd.conf");
        host.run(move || {
            let mut server = Command::new("busybox");
            server.args(["udhcpd", "-f", &config]).stderr(std::process::Stdio::null());
            Self(server.spawn().expect("run busybox"))
        })
    }
}

impl Drop for Dhcpd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The commands of docs/troubleshooting.md, in a place as it tells of.
#[test]
fn every_command_of_the_page_runs() {
    let is_ready = lab::enter() && testkit::tool_or_skip("sysctl", "procps");
    if !is_ready {
        return;
    }
    ip("link add br0 type bridge");
    ip("link set br0 up");
    ip("link add eth1 type veth peer name far");
    ip("link set eth1 master br0");
    let room = Room::new();
    let _switch = Switch::start(&room, "bridge:br0", &["vm1.sock"]);
    let dir = room.path("");
    let example = output(VSWITCH, "config example");
    std::fs::write(room.path("vswitch.toml"), example).expect("write the file");
    let page = include_str!("../../../docs/troubleshooting.md");
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let shell = Shell::new();
    let mut count = 0;
    for line in blocks.flat_map(str::lines) {
        let command = line.split(" # ").next().unwrap_or_default().trim();
        let command = command.replace("/tmp/", &dir.display().to_string());
        let done = shell.run(&command, &dir);
        let text = [done.stdout, done.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let code = done.status.code().unwrap_or(-1);
        let is_examination = command.contains("doctor");
        let is_good = if is_examination { (0..=2).contains(&code) } else { code == 0 };
        assert!(is_good, "{command}: {code}: {text}");
        assert!(!is_examination || text.contains(" ok\n"), "{command}: {text}");
        assert!(!command.contains("--port") || text.contains("a guest is plugged in"), "{text}");
        count += 1;
    }
    assert_eq!(count, 9);
}
