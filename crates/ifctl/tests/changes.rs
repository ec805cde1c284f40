//! Making, changing and destroying, compared with iproute2.
#![cfg(target_os = "linux")]

mod common;

use std::process::Command;

use common::{interfaces_in_own_namespace, ip, named};
use ifctl::{Error, Flags, Interfaces, Kind, NameFault, OperState, OwnedInterface, PairOptions};

#[test]
fn a_pair_has_its_mtu_on_both_ends_from_the_start() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let mut monitor = Monitor::start();
    interfaces
        .create_pair("v0", "v1", PairOptions { mtu: Some(9000), ..PairOptions::default() })
        .unwrap();
    for name in ["v0", "v1"] {
        let found = interfaces.find(name).unwrap();
        assert_eq!((found.mtu, &found.kind), (9000, &Kind::Veth));
        assert!(!found.is_up());
        assert_eq!(named(&ip("link"), "ifname", name)["mtu"], 9000);
    }
    // Everything that the kernel ever said about them.
    let said = monitor.stop_after("v0");
    assert!(said.contains("mtu 9000") && !said.contains("mtu 1500"), "{said}");
}

#[test]
fn a_pair_without_options_is_the_kernels() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "a-name-of-15-by", PairOptions::default()).unwrap();
    let (a, b) = (interfaces.find("v0").unwrap(), interfaces.find("a-name-of-15-by").unwrap());
    assert_eq!((a.mtu, b.mtu), (1500, 1500));
    assert_eq!((a.peer_index, b.peer_index), (Some(b.index), Some(a.index)));
    assert_ne!(a.mac, b.mac);
    interfaces.destroy("v0").unwrap();
    assert_eq!(ip("link").len(), 1, "both ends are gone");
}

#[test]
fn up_and_down_and_mtu() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    for name in ["v0", "v1"] {
        interfaces.set_up(name, true).unwrap();
        interfaces.set_up(name, true).unwrap();
    }
    assert!(testkit::wait_until(std::time::Duration::from_secs(5), || {
        interfaces.find("v0").unwrap().state == OperState::Up
    }));
    let flags = interfaces.find("v0").unwrap().flags;
    assert!(flags.contains(Flags::UP | Flags::RUNNING | Flags::LOWER_UP | Flags::BROADCAST));

    interfaces.set_up("v1", false).unwrap();
    let found = interfaces.find("v1").unwrap();
    assert!(!found.is_up() && found.state == OperState::Down);
    assert!(interfaces.find("v0").unwrap().is_up());

    interfaces.set_mtu("v0", 65535).unwrap();
    assert_eq!(named(&ip("link"), "ifname", "v0")["mtu"], 65535);
    assert_eq!(interfaces.find("v1").unwrap().mtu, 1500);
}

#[test]
fn an_mtu_out_of_range_names_the_range() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    for mtu in [0, 67, 65536, u32::MAX] {
        let error = interfaces
            .create_pair("v0", "v1", PairOptions { mtu: Some(mtu), ..PairOptions::default() })
            .unwrap_err();
        assert!(matches!(error, Error::MtuRejected { min: 68, max: 65535, .. }), "{error:?}");
        assert_eq!(ip("link").len(), 1, "nothing was made");
    }
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    for mtu in [67, 65536, u32::MAX] {
        let error = interfaces.set_mtu("v0", mtu).unwrap_err();
        let text = format!("set the MTU of v0 to {mtu}: v0 takes an MTU from 68 to 65535");
        assert_eq!(error.to_string(), text);
        assert_eq!(error.to_do().as_deref(), Some("choose an MTU from 68 to 65535"));
    }
    assert_eq!(interfaces.find("v0").unwrap().mtu, 1500);
}

#[test]
fn what_exists_is_not_made_again_and_named() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    let before = ip("link");
    let existing = |error: Error| match error {
        Error::Exists { name, .. } => name,
        other => panic!("{other:?}"),
    };
    let mut pair = |a, b| interfaces.create_pair(a, b, PairOptions::default()).unwrap_err();
    assert_eq!(existing(pair("v0", "new")), "v0");
    assert_eq!(existing(pair("new", "v1")), "v1");
    assert!(matches!(pair("new", "new"), Error::SameName { .. }));
    assert_eq!(existing(interfaces.create_bridge("v0").unwrap_err()), "v0");
    assert_eq!(ip("link"), before);
}

#[test]
fn names_are_refused_as_the_kernel_would() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    for name in ["", ".", "..", "a/b", "a:b", "a b", "all", "default", "sixteen-bytes-xx", "à"] {
        let error = interfaces.create_bridge(name).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
        let mut kernel = Command::new("ip");
        kernel.args(["link", "add", "name", name, "type", "bridge"]);
        assert!(!kernel.output().unwrap().status.success(), "{name:?}");
    }
    // The kernel would choose a number.
    let error = interfaces.create_bridge("br%d").unwrap_err();
    let fault = NameFault::Character { character: '%' };
    assert!(matches!(error, Error::InvalidName { fault: found, .. } if found == fault));
    for name in ["é", "a@b", "fifteen-bytes-x", "-"] {
        interfaces.create_bridge(name).unwrap();
        interfaces.destroy(name).unwrap();
    }
    assert_eq!(ip("link").len(), 1);
}

#[test]
fn what_was_not_made_by_software_cannot_be_destroyed() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let error = interfaces.destroy("lo").unwrap_err();
    assert!(error.to_string().starts_with("destroy lo: Operation not supported"), "{error}");
    assert!(error.to_do().unwrap().contains("made by software"));
    assert!(matches!(interfaces.destroy("lo2"), Err(Error::NotFound { .. })));
}

#[test]
fn addresses_are_usable_at_once() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.set_up("v0", true).unwrap();
    interfaces.set_up("v1", true).unwrap();
    interfaces.add_address("v0", "192.0.2.1".parse().unwrap(), 24).unwrap();
    interfaces.add_address("v0", "192.0.2.9".parse().unwrap(), 32).unwrap();
    interfaces.add_address("v0", "fd00::1".parse().unwrap(), 64).unwrap();
    let link = ip("addr show dev v0");
    let infos = link[0]["addr_info"].as_array().unwrap();
    let v4 = named(infos, "local", "192.0.2.1");
    assert_eq!((&v4["prefixlen"], &v4["broadcast"]), (&24.into(), &"192.0.2.255".into()));
    assert!(named(infos, "local", "192.0.2.9")["broadcast"].is_null());
    let v6 = named(infos, "local", "fd00::1");
    assert_eq!((&v6["prefixlen"], &v6["nodad"]), (&64.into(), &true.into()));
    // A tentative address cannot be bound.
    std::net::UdpSocket::bind("[fd00::1]:0").unwrap();

    let mut add = |address: &str, prefix| {
        interfaces.add_address("v0", address.parse().unwrap(), prefix).unwrap_err()
    };
    assert!(matches!(add("192.0.2.2", 33), Error::InvalidPrefix { max: 32, .. }));
    assert!(matches!(add("fd00::2", 129), Error::InvalidPrefix { max: 128, .. }));
    let again = add("192.0.2.1", 24);
    assert_eq!(again.to_do().as_deref(), Some("it has that address already"));
    common::ip_does("addr flush dev v1");
    interfaces.mute("v1").unwrap();
    let error = interfaces.add_address("v1", "fd00::3".parse().unwrap(), 64).unwrap_err();
    assert!(error.to_do().unwrap().contains("disable_ipv6=0"), "{error}");
}

#[test]
fn an_owner_takes_its_interfaces_away() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let before = ip("link");
    {
        let pair = OwnedInterface::pair("v0", "v1", PairOptions::default()).unwrap();
        let _bridge = OwnedInterface::bridge("br0").unwrap();
        assert_eq!((pair.name(), pair.index()), ("v0", interfaces.find("v0").unwrap().index));
        interfaces.add_member("br0", "v0").unwrap();
        assert_eq!(ip("link").len(), 4);
    }
    assert_eq!(ip("link"), before);

    OwnedInterface::bridge("br0").unwrap().release();
    assert_eq!(ip("link").len(), 2, "released, it stays");
    OwnedInterface::adopt("br0").unwrap().destroy().unwrap();
    assert_eq!(ip("link"), before);
    assert!(matches!(OwnedInterface::adopt("br0"), Err(Error::NotFound { .. })));
}

#[test]
fn an_owner_destroys_no_other_of_the_same_name() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let dropped = OwnedInterface::bridge("br0").unwrap();
    let destroyed = OwnedInterface::bridge("br1").unwrap();
    for name in ["br0", "br1"] {
        interfaces.destroy(name).unwrap();
        interfaces.create_bridge(name).unwrap();
    }
    destroyed.destroy().unwrap();
    drop(dropped);
    assert!(interfaces.find("br0").is_ok() && interfaces.find("br1").is_ok());
}

#[test]
fn a_failed_start_leaves_nothing() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_bridge("taken").unwrap();
    let before = ip("link");
    assert!(OwnedInterface::pair("v0", "taken", PairOptions::default()).is_err());
    let panicked = std::panic::catch_unwind(|| {
        let _pair = OwnedInterface::pair("v0", "v1", PairOptions::default()).unwrap();
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(ip("link"), before);
}

#[test]
fn two_threads_with_a_handle_each_do_not_meet() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    std::thread::scope(|scope| {
        for side in ["x", "y"] {
            // A thread starts in its parent's namespace.
            scope.spawn(move || {
                let mut interfaces = Interfaces::open().unwrap();
                for n in 0..60 {
                    let (a, b) = (format!("{side}a{n}"), format!("{side}b{n}"));
                    interfaces
                        .create_pair(
                            &a,
                            &b,
                            PairOptions { mtu: Some(1400), ..PairOptions::default() },
                        )
                        .unwrap();
                    // Dumps, while the other thread changes what is dumped.
                    let all = interfaces.list().unwrap();
                    let own = all.iter().filter(|found| found.name.starts_with(side));
                    assert_eq!(own.filter(|found| found.mtu == 1400).count(), 2 + n % 2 * 2);
                    if n % 2 == 1 {
                        interfaces.destroy(&a).unwrap();
                        interfaces.destroy(&format!("{side}b{}", n - 1)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(interfaces.list().unwrap().len(), 1);
}

#[test]
fn a_handle_serves_on_another_thread() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let made = std::thread::spawn(move || interfaces.create_bridge("br0")).join().unwrap();
    made.unwrap();
    assert_eq!(ip("link").len(), 2);
}

#[test]
fn without_privilege_reading_works_and_changing_says_what_is_needed() {
    if std::env::var_os(HAS_NO_PRIVILEGE).is_some() {
        return is_refused_without_privilege();
    }
    let Some(_root) = interfaces_in_own_namespace() else { return };
    if !testkit::tool_or_skip("setpriv", "util-linux") {
        return;
    }
    // This test again, as a process without capabilities.
    let this = std::env::current_exe().unwrap();
    let name = "without_privilege_reading_works_and_changing_says_what_is_needed";
    let done = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"])
        .arg(&this)
        .args(["--exact", name, "--nocapture"])
        .env(HAS_NO_PRIVILEGE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("refused as expected"), "{text}");
}

/// Set for a process in which the test above runs a second time.
const HAS_NO_PRIVILEGE: &str = "IFCTL_TEST_HAS_NO_PRIVILEGE";

fn is_refused_without_privilege() {
    let mut interfaces = Interfaces::open().unwrap();
    assert_eq!(interfaces.list().unwrap().len(), 1);
    let errors = [
        interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap_err(),
        interfaces.create_bridge("br0").unwrap_err(),
        interfaces.set_up("lo", true).unwrap_err(),
        interfaces.set_mtu("lo", 1500).unwrap_err(),
        interfaces.destroy("lo").unwrap_err(),
        interfaces.mute("lo").unwrap_err(),
        interfaces.disable_offloads("lo").unwrap_err(),
        interfaces.add_address("lo", [127, 0, 0, 2].into(), 8).unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.errno(), Some(EPERM), "{error}");
        let to_do = error.to_do();
        assert_eq!(to_do.as_deref(), Some("run as root, or give it CAP_NET_ADMIN"), "{error}");
    }
    println!("refused as expected");
}

/// `ip monitor link`, which prints every change.
struct Monitor {
    process: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Monitor {
    fn start() -> Self {
        use std::io::BufRead as _;
        let mut process = Command::new("ip")
            .args(["-o", "monitor", "link"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        // It says nothing when it listens; so make changes until it tells of one.
        let is_listening = testkit::wait_until(std::time::Duration::from_secs(5), || {
            common::ip_does("link set lo up");
            common::ip_does("link set lo down");
            lines.try_recv().is_ok()
        });
        assert!(is_listening, "ip monitor says nothing");
        Self { process, lines }
    }

    /// Waits until it has told of `name`, and gives all that it told.
    fn stop_after(&mut self, name: &str) -> String {
        let mut said = String::new();
        let limit = std::time::Duration::from_secs(5);
        while !said.contains(&format!("{name}@")) {
            said += &self.lines.recv_timeout(limit).expect("it tells of the pair");
            said.push('\n');
        }
        said
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const EPERM: i32 = 1;
