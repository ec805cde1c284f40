//! `vswitch run` as a person starts and ends it.
#![cfg(unix)]

mod common;

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
#[cfg(target_os = "linux")]
use std::process::Stdio;
use std::time::Duration;

#[cfg(target_os = "linux")]
use common::{Guard, Running};
use common::{PATIENCE, failure, frame, start, vswitch};
use nix::sys::signal::Signal;
#[cfg(target_os = "linux")]
use nix::{sys::signal::kill, unistd::Pid};
use serde_json::json;

/// A VM on the datagram port at `port`.
fn vm(dir: &Path, port: &str) -> UnixDatagram {
    let own = dir.join(format!("{port}.vm"));
    let _ = std::fs::remove_file(&own);
    let socket = UnixDatagram::bind(own).unwrap();
    // Where another VM was before, the switch takes a moment to see that it went.
    let connected = testkit::wait_until(PATIENCE, || socket.connect(dir.join(port)).is_ok());
    assert!(connected && socket.send(b"VFKT").is_ok());
    socket
}

/// A frame goes from the VM on port `a` to the one on port `b`.
fn carries(dir: &Path) {
    let (a, b) = (vm(dir, "a"), vm(dir, "b"));
    let mut buffer = [0; 2000];
    a.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    b.set_read_timeout(Some(PATIENCE)).unwrap();
    // A is reached as soon as the switch has taken its handshake.
    let heard = testkit::wait_until(PATIENCE, || {
        b.send(&frame(1, 2, 60)).unwrap();
        a.recv(&mut buffer).is_ok()
    });
    assert!(heard, "B reaches A");
    let sent = frame(2, 1, 1514);
    a.send(&sent).unwrap();
    let len = b.recv(&mut buffer).expect("a frame comes through");
    assert_eq!(buffer[..len], sent);
}

fn two_ports(dir: &Path) -> String {
    let dir = dir.display();
    format!("run --uplink none --port a=unixgram:{dir}/a --port b=unixgram:{dir}/b")
}

#[test]
fn ready_is_one_line_and_each_signal_a_clean_end() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let arguments = format!(
            "{} --port c=stream:{d}/c,mac=52:54:00:00:00:01 --port d=stream-connect:{d}/q \
             --network lab",
            two_ports(dir.path())
        );
        let running = start(dir.path(), vswitch(&arguments));
        let ready = &running.ready;
        assert_eq!((&ready["event"], &ready["network"]), (&json!("ready"), &json!("lab")));
        assert_eq!(ready["pid"], running.pid().as_raw());
        assert_eq!((&ready["uplink"], &ready["interfaces"]), (&json!("none"), &json!([])));
        assert_eq!(ready["ports"][0]["name"], "a");
        assert_eq!(ready["ports"][1]["attachment"], format!("unixgram:{d}/b"));
        assert_eq!(ready["ports"][2]["mac"], "52:54:00:00:00:01");
        for path in ["a", "b", "c"] {
            let kind = std::fs::metadata(dir.path().join(path)).unwrap().file_type();
            assert!(kind.is_socket(), "{path} is there when the line is");
        }
        carries(dir.path());
        let ended = running.end(signal);
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.stderr);
        assert_eq!(ended.stopped["event"], "stopped");
        let a = &ended.stopped["ports"][0];
        assert_eq!((&a["name"], &a["received_frames"]), (&json!("a"), &json!(1)));
        assert_eq!(a["received_bytes"], 1514);
        assert!(ended.stderr.contains("PORT"), "the table for a person: {}", ended.stderr);
        for path in ["a", "b", "c"] {
            assert!(!dir.path().join(path).exists(), "{path} is left behind");
        }
    }
}

/// Two threads: both carry, both end, and what passed between them is told apart from the ports.
#[cfg(target_os = "linux")]
#[test]
fn threads_share_the_ports() {
    let dir = testkit::scratch_dir();
    let one = start(dir.path(), vswitch(&two_ports(dir.path())));
    assert_eq!(one.ready.get("threads"), None);
    let ended = one.end(Signal::SIGTERM);
    assert_eq!(ended.stopped.get("trunks"), None);
    let running = start(dir.path(), vswitch(&format!("{} --threads 2", two_ports(dir.path()))));
    assert_eq!(running.ready["threads"], 2);
    carries(dir.path());
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (ports, trunks) = (&ended.stopped["ports"], &ended.stopped["trunks"]);
    assert_eq!((&ports[0]["name"], &ports[1]["name"]), (&json!("a"), &json!("b")));
    assert_eq!(ports.as_array().unwrap().len(), 2);
    assert!(trunks["sent_frames"].as_u64() >= Some(2), "there and back: {trunks}");
    assert_eq!(
        (&trunks["sent_frames"], &trunks["queued_frames"]),
        (&trunks["received_frames"], &json!(0))
    );
    assert!(ended.stderr.contains("\ntrunks "), "{}", ended.stderr);
    for wrong in ["0", "65", "-1", "many"] {
        let said = failure(vswitch(&format!("{} --threads={wrong}", two_ports(dir.path()))), 2);
        assert!(said.contains("a number from 1 to 64 is expected"), "{said}");
    }
}

/// Whenever it is told to end, also while it starts, it leaves nothing behind.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_at_any_moment_leaves_nothing() {
    if !common::bridge_or_skip() {
        return;
    }
    let dir = testkit::scratch_dir();
    let before = common::interfaces();
    let arguments = format!("run --uplink bridge:br0 --port a=unixgram:{}/a", dir.path().display());
    let mut ends = std::collections::BTreeSet::new();
    for step in 0..50 {
        let mut command = vswitch(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Guard(command.spawn().unwrap());
        std::thread::sleep(Duration::from_millis(step));
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(common::has_ended(&mut child.0, PATIENCE), "after {step} ms");
        ends.insert(child.0.wait().unwrap().code());
        assert_eq!(common::interfaces(), before, "killed after {step} ms");
        assert!(!dir.path().join("a").exists(), "killed after {step} ms");
    }
    assert!(ends.contains(&Some(0)), "none came up in time: {ends:?}");
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    std::fs::write(dir.path().join("file"), "precious").unwrap();
    std::fs::create_dir(dir.path().join("dir")).unwrap();
    for kind in ["unixgram", "stream"] {
        for name in ["file", "dir"] {
            // The port before it came up: its path goes with the failed start.
            let said = failure(
                vswitch(&format!(
                    "run --uplink none --port a=unixgram:{d}/a --port b={kind}:{d}/{name}"
                )),
                1,
            );
            assert_eq!(
                said,
                format!(
                    "vswitch: start the switch: port b ({kind}:{d}/{name}): bind \"{d}/{name}\": \
                     a file that is no socket is there (remove it, or choose another path)\n"
                )
            );
            assert!(!dir.path().join("a").exists(), "left behind");
        }
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "precious");
    assert!(dir.path().join("dir").is_dir());
}

#[test]
fn a_path_too_long_for_a_socket_is_told_with_its_limit() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    // As sockaddr_un has room for, without the closing zero.
    let most = if cfg!(target_os = "linux") { 107 } else { 103 };
    let long = "x".repeat(most + 1 - d.to_string().len() - 1);
    for kind in ["unixgram", "stream", "stream-connect"] {
        let said = failure(vswitch(&format!("run --uplink none --port a={kind}:{d}/{long}")), 1);
        assert!(said.contains(&format!("{} bytes are too long", most + 1)), "{said}");
        assert!(said.contains(&most.to_string()) && said.contains("shorter"), "{said}");
    }
    let said = failure(vswitch(&format!("run --uplink none --port a=unixgram:{d}/no/a")), 1);
    assert!(said.contains("No such file or directory"), "{said}");
}

#[test]
fn a_second_switch_on_a_live_path_is_refused_and_harms_nobody() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    let arguments = format!("{} --port c=stream:{d}/c", two_ports(dir.path()));
    let first = start(dir.path(), vswitch(&arguments));
    // With VMs and without, on each kind, and on the other kind.
    for with_vms in [false, true] {
        if with_vms {
            carries(dir.path());
        }
        for port in ["a=unixgram", "c=stream", "a=stream", "c=unixgram"] {
            let path = port.chars().next().unwrap();
            let said = failure(vswitch(&format!("run --uplink none --port {port}:{d}/{path}")), 1);
            assert!(said.contains("another process listens there already"), "{port}: {said}");
        }
    }
    carries(dir.path());
    assert!(UnixStream::connect(dir.path().join("c")).is_ok());
    assert_eq!(first.end(Signal::SIGTERM).code, Some(0));
    assert!(!dir.path().join("a").exists());
}

#[test]
fn what_a_crashed_switch_left_is_replaced() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    let arguments = format!("{} --port c=stream:{d}/c", two_ports(dir.path()));
    start(dir.path(), vswitch(&arguments)).crash();
    assert!(dir.path().join("a").exists() && dir.path().join("c").exists());
    let second = start(dir.path(), vswitch(&arguments));
    carries(dir.path());
    assert!(UnixStream::connect(dir.path().join("c")).is_ok());
    assert_eq!(second.end(Signal::SIGTERM).code, Some(0));
    assert!(!dir.path().join("c").exists());
}

#[test]
fn paths_belong_to_whom_they_are_given() {
    let dir = testkit::scratch_dir();
    if !common::is_real_root_or_skip(dir.path()) {
        return;
    }
    let access = |command: Command| {
        let running = start(dir.path(), command);
        let found = ["a", "c"].map(|path| {
            let metadata = std::fs::metadata(dir.path().join(path)).unwrap();
            (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o7777)
        });
        assert_eq!(running.end(Signal::SIGTERM).code, Some(0));
        assert_eq!(found[0], found[1], "both kinds are given alike");
        found[0]
    };
    let arguments =
        format!("{} --port c=stream:{}/c ", two_ports(dir.path()), dir.path().display());
    let with = |more: &str| vswitch(&(arguments.clone() + more));
    assert_eq!(access(with("")), (0, 0, 0o660));
    assert_eq!(access(with("--socket-owner 4321")), (4321, 4321, 0o660));
    assert_eq!(access(with("--socket-owner daemon")).0, 1);
    assert_eq!(access(with("--socket-group 77 --socket-mode 0600")), (0, 77, 0o600));
    assert_eq!(access(with("--socket-owner 1 --socket-group 2 --socket-mode 666")), (1, 2, 0o666));
    // Root on behalf of a user; what is said wins.
    let mut sudo = with("");
    sudo.envs([("SUDO_UID", "1234"), ("SUDO_GID", "5678")]);
    assert_eq!(access(sudo), (1234, 5678, 0o660));
    let mut sudo = with("--socket-owner 0 --socket-mode 0640");
    sudo.envs([("SUDO_UID", "1234"), ("SUDO_GID", "5678")]);
    assert_eq!(access(sudo), (0, 0, 0o640));
}

#[cfg(target_os = "linux")]
#[test]
fn a_user_who_is_not_root_keeps_the_paths_and_cannot_give_them_away() {
    let dir = testkit::scratch_dir();
    let Some(command) = common::as_nobody(dir.path()) else { return };
    let mut nobody = common::prepared(command, &two_ports(dir.path()));
    // A variable that anybody can set means nothing here.
    nobody.envs([("SUDO_UID", "0"), ("SUDO_GID", "0")]);
    let running = start(dir.path(), nobody);
    let metadata = std::fs::metadata(dir.path().join("a")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (65534, 65534));
    assert_eq!(running.end(Signal::SIGTERM).code, Some(0));

    let arguments = format!("{} --socket-owner root", two_ports(dir.path()));
    let command = common::as_nobody(dir.path()).unwrap();
    let said = failure(common::prepared(command, &arguments), 1);
    assert!(said.contains("change the owner of") && said.contains("not permitted"), "{said}");
    assert!(!dir.path().join("a").exists(), "left behind");
}

#[cfg(target_os = "linux")]
#[test]
fn without_privilege_a_bridge_is_refused_in_words_and_nothing_is_left() {
    let dir = testkit::scratch_dir();
    if !common::bridge_or_skip() {
        return;
    }
    let before = common::interfaces();
    for uplink in ["bridge:br0", "bridge:br7,create", "iface:br0"] {
        let Some(command) = common::as_nobody(dir.path()) else { return };
        let arguments =
            format!("run --uplink {uplink} --port a=unixgram:{}/a", dir.path().display());
        let said = failure(common::prepared(command, &arguments), 1);
        let head = format!("vswitch: start the switch: uplink {uplink}: ");
        assert!(said.starts_with(&head), "{said}");
        assert!(said.contains("root") || said.contains("CAP_NET"), "what to do: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(common::interfaces(), before);
        assert!(!dir.path().join("a").exists());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_uplink_that_is_not_there_is_named() {
    if !common::bridge_or_skip() {
        return;
    }
    let dir = testkit::scratch_dir();
    let before = common::interfaces();
    for (uplink, why) in [
        ("bridge:br7", "br7"),
        ("bridge:lo", "lo"),
        ("bridge:br0,create", "br0 exists already"),
        ("bridge:br0,member=nosuch", "nosuch"),
        ("bridge:br9,create,member=nosuch", "nosuch"),
        ("iface:nosuch", "nosuch"),
    ] {
        let arguments =
            format!("run --uplink {uplink} --port a=unixgram:{}/a", dir.path().display());
        let said = failure(vswitch(&arguments), 1);
        let (head, rest) = said.split_once(&format!("uplink {uplink}: ")).expect(&said);
        assert_eq!(head, "vswitch: start the switch: ");
        assert!(rest.contains(why), "{said}");
        assert_eq!(common::interfaces(), before, "{uplink}");
    }
    // A port that fails after the uplink came up takes the uplink with it.
    std::fs::write(dir.path().join("a"), "").unwrap();
    for uplink in ["bridge:br0", "bridge:br9,create"] {
        let arguments =
            format!("run --uplink {uplink} --port a=unixgram:{}/a", dir.path().display());
        assert!(failure(vswitch(&arguments), 1).contains("no socket is there"));
        assert_eq!(common::interfaces(), before, "{uplink}");
    }
}

#[test]
fn words_that_are_wrong_are_usage_errors() {
    for (arguments, why) in [
        ("run --uplink none", "--port"),
        ("run --port a=fd:3", "--uplink"),
        ("run --uplink none --port unixgram:/x", "no '='"),
        ("run --uplink none --port a=carrier-pigeon:3", "no kind \"carrier-pigeon\""),
        ("run --uplink none --port a=unixgram:", "nothing behind unixgram:"),
        ("run --uplink none --port a=fd:three", "no descriptor's number"),
        ("run --uplink none --port a=fd:3,mac=banana", "not a MAC address"),
        ("run --uplink none --port a=fd:3,mac=01:00:00:00:00:01", "no station's address"),
        ("run --uplink wifi:en0 --port a=fd:3", "no kind \"wifi\""),
        ("run --uplink none --network /x --port a=fd:3", "a name has"),
        ("run --uplink none --log-format xml --port a=fd:3", "json"),
        ("exec --uplink none", "CMD"),
    ] {
        let said = failure(vswitch(arguments), 2);
        assert!(said.contains(why), "{arguments}: {said}");
    }
    for (arguments, why) in [
        ("--socket-mode 0999", "\"0999\" is no mode"),
        ("--socket-owner no-such-user", "there is no user \"no-such-user\""),
        ("--socket-group no-such-group", "there is no group \"no-such-group\""),
        ("--port a=fd:99", "two ports named a"),
        ("--port uplink=fd:99", "two ports named uplink"),
    ] {
        let dir = testkit::scratch_dir();
        let said = failure(vswitch(&format!("{} {arguments}", two_ports(dir.path()))), 1);
        assert!(said.contains(why), "{arguments}: {said}");
        assert!(!dir.path().join("a").exists());
    }
}

/// Waits until a listener's port has so many clients: descriptors beyond `idle`.
#[cfg(target_os = "linux")]
fn has_clients(running: &Running, idle: usize, clients: usize) -> bool {
    testkit::wait_until(PATIENCE, || running.descriptors() == idle + clients)
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_clients_leave_no_descriptor_open() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("c");
    let arguments = format!("run --uplink none --port c=stream:{}", path.display());
    let running = start(dir.path(), vswitch(&arguments));
    let idle = running.descriptors();
    for _ in 0..1000 {
        UnixStream::connect(&path).unwrap();
    }
    assert!(has_clients(&running, idle, 0), "{} of {idle}", running.descriptors());
    let ended = running.end(Signal::SIGTERM);
    let c = &ended.stopped["ports"][0];
    let sum = c["clients_accepted"].as_u64().unwrap() + c["clients_turned_away"].as_u64().unwrap();
    assert_eq!(sum, 1000);
    // Each comes and goes with a line; a client may not fill the log.
    assert!(ended.stderr.lines().count() < 500, "{} lines", ended.stderr.lines().count());
}

#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_the_listener_rests_and_goes_on() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("c");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 24; exec \"$0\" \"$@\"", common::VSWITCH]);
    let arguments = format!("run --uplink none --port c=stream:{}", path.display());
    let running = start(dir.path(), common::prepared(limited, &arguments));
    let idle = running.descriptors();
    let mut clients: Vec<_> = (0..60).map(|_| UnixStream::connect(&path).unwrap()).collect();
    assert!(testkit::wait_until(PATIENCE, || running.descriptors() >= 24), "all are in use");
    let before = running.busy();
    std::thread::sleep(Duration::from_millis(1500));
    let used = running.busy() - before;
    assert!(used < Duration::from_millis(300), "it spins: {used:?} of 1.5 s");
    // The others of the first 60 are let in as these go.
    clients.drain(..50);
    assert!(has_clients(&running, idle, 10), "{} of {idle}", running.descriptors());
    drop(clients);
    assert!(has_clients(&running, idle, 0));
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.stopped["ports"][0]["clients_accepted"], 60);
    assert!(ended.stderr.contains("Too many open files"), "{}", ended.stderr);
}
