//! Configuration files, as a person uses them.
#![cfg(unix)]

mod common;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use common::{PATIENCE, failure, frame, output, start, vswitch};
use nix::sys::signal::{Signal, kill};
use serde_json::json;

const PAIR: &str = "\
[[network]]
name = \"lan\"
port = [
  { name = \"a\", attach = \"unixgram:a\" },
  { name = \"b\", attach = \"unixgram:b\", mac = \"02:00:00:00:00:02\" },
]
";

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("vswitch.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A VM on the datagram port at `port`.
fn vm(dir: &Path, port: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(dir.join(format!("{port}.vm"))).unwrap();
    socket.connect(dir.join(port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(b"VFKT").unwrap();
    socket
}

#[test]
fn the_example_passes_its_check() {
    let dir = testkit::scratch_dir();
    let example = output(vswitch("config example"));
    assert!(example.status.success());
    let path = write(dir.path(), std::str::from_utf8(&example.stdout).unwrap());
    let checked = output(vswitch(&format!("config check {path}")));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let told = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(told, format!("{path}: 2 networks and 3 ports\n"));
}

#[test]
fn a_mistake_is_told_with_file_line_and_what_was_expected() {
    let dir = testkit::scratch_dir();
    let path = write(dir.path(), &PAIR.replace("unixgram:b", "unixgrma:b"));
    for command in ["config check", "run --config"] {
        let told = failure(vswitch(&format!("{command} {path}")), 1);
        let place = format!("vswitch: configuration: {path}:5:26: ");
        assert!(told.starts_with(&place), "{told}");
        assert!(told.contains("unixgrma") && told.contains("unixgram:PATH"), "{told}");
    }
    let told = failure(vswitch(&format!("run --config {path} --uplink none")), 2);
    assert!(told.contains("cannot be used with"), "{told}");
    let told = failure(vswitch("run --uplink none"), 2);
    assert!(told.contains("--port"), "{told}");
}

#[test]
fn a_hang_up_has_the_file_read_again_and_touches_nothing_else() {
    let dir = testkit::scratch_dir();
    let path = write(dir.path(), PAIR);
    let mut running = start(dir.path(), vswitch(&format!("run --config {path}")));
    assert_eq!(running.ready["networks"][0]["network"], "lan");
    let (a, b) = (vm(dir.path(), "a"), vm(dir.path(), "b"));
    let mut buffer = [0; 2000];
    // A is reached as soon as the switch has taken its handshake.
    a.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(testkit::wait_until(PATIENCE, || {
        b.send(&frame(1, 2, 60)).unwrap();
        a.recv(&mut buffer).is_ok()
    }));
    let more = format!(
        "{PAIR}[[network]]\nname = \"lab\"\nport = [{{ name = \"a\", attach = \"stream:c\" }}]\n"
    );
    write(dir.path(), &more);
    kill(running.pid(), Signal::SIGHUP).unwrap();
    let expected = json!({
        "event": "reloaded", "added": ["lab", "lab/a"], "removed": [], "changed": [], "failed": []
    });
    assert_eq!(running.line(), expected);
    assert!(dir.path().join("c").exists());
    // A mistake changes nothing, and the switch goes on.
    write(dir.path(), "[[network]]\n");
    kill(running.pid(), Signal::SIGHUP).unwrap();
    assert!(testkit::wait_until(PATIENCE, || running.log().contains("nothing was reloaded")));
    assert!(running.log().contains("vswitch.toml:1:1: missing field `name`"), "{}", running.log());
    a.send(&frame(2, 1, 100)).unwrap();
    let len = b.recv(&mut buffer).expect("a frame comes through");
    assert_eq!(buffer[..len], frame(2, 1, 100));
    write(dir.path(), PAIR);
    kill(running.pid(), Signal::SIGHUP).unwrap();
    assert_eq!(running.line()["removed"], json!(["lab"]));
    assert!(!dir.path().join("c").exists());
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stopped["ports"][1]["name"], "b");
}
