//! `vswitch` in the place of the programs whose users have conventions of their own: each command
//! of docs/drop-in.md, with the real client where Debian has it.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use common::{Guard, PATIENCE, Running, frame, pxe, start, vswitch};
use nix::sys::signal::Signal;

/// Longer than an emulated machine needs to ask for an address and to take it.
const BOOT_MAX: Duration = Duration::from_secs(60);

/// vfkit's end of the port at `dir/NAME` (`gvproxy --listen-vfkit`, `vmnet-helper --socket`): bound
/// beside it, connected, with its word first.
fn vfkit(dir: &Path, name: &str) -> UnixDatagram {
    let socket = UnixDatagram::bind(dir.join(format!("vfkit-{name}.sock"))).unwrap();
    assert!(testkit::wait_until(PATIENCE, || socket.connect(dir.join(name)).is_ok()));
    socket.send(b"VFKT").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket
}

fn receive(socket: &UnixDatagram) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 70_000];
    let len = socket.recv(&mut buffer).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

/// The machine gets an address of `host`'s, which is at another port.
fn is_served(host: &UnixDatagram, mac: u8) {
    let until = Instant::now() + BOOT_MAX;
    let send = |frame: &[u8]| host.send(frame).map(drop).unwrap();
    let served = pxe::serve(mac, until, || receive(host), send);
    assert_eq!(served, Ok(()));
}

/// A switch with a port `h` for the host's end, and `port`, whose path or directory is `dir/v`.
fn switch(dir: &Path, port: &str) -> (Running, UnixDatagram) {
    let d = dir.display();
    let arguments = format!("run --uplink none --port h=unixgram:{d}/h --port {port}");
    let running = start(dir, vswitch(&arguments));
    (running, vfkit(dir, "h"))
}

/// Ends it: with success, and nothing left but what the test made.
fn ends(dir: &Path, running: Running) {
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!dir.join("v").exists());
}

// --- VDE --------------------------------------------------------------------------------------

#[test]
fn qemu_by_vde() {
    let Some(qemu) = pxe::qemu_or_skip() else { return };
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    let (running, host) = switch(dir.path(), &format!("v=vde:{d}/v"));
    let machine = pxe::boot(qemu, &format!("vde,id=n,sock={d}/v"), 7);
    is_served(&host, 7);
    drop(machine);
    ends(dir.path(), running);
}

/// A `vde_plug` whose frames go by its standard input and output, two bytes of length before each.
struct Plug(Guard);

impl Plug {
    fn into(dir: &Path) -> Self {
        let mut command = Command::new("vde_plug");
        command.arg(format!("vde://{}", dir.display()));
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(Guard(child.expect("vde_plug starts")))
    }

    fn child(&mut self) -> &mut Child {
        &mut self.0.0
    }

    fn send(&mut self, frame: &[u8]) {
        let len = u16::try_from(frame.len()).unwrap().to_be_bytes();
        let bytes = [&len[..], frame].concat();
        self.child().stdin.as_mut().unwrap().write_all(&bytes).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let output = self.child().stdout.as_mut().unwrap();
        let mut len = [0; 2];
        output.read_exact(&mut len).expect("a frame");
        let mut frame = vec![0; usize::from(u16::from_be_bytes(len))];
        output.read_exact(&mut frame).unwrap();
        frame
    }
}

/// A frame from the plug comes to `host`, and the answer to the plug.
fn plug_and_host(plug: &mut Plug, host: &UnixDatagram, mac: u8) {
    let heard = testkit::wait_until(PATIENCE, || {
        plug.send(&frame(1, mac, 60));
        receive(host).is_some_and(|got| got == frame(1, mac, 60))
    });
    assert!(heard, "the host hears the plug");
    for size in [60, 1514] {
        host.send(&frame(mac, 1, size)).unwrap();
        assert_eq!(plug.receive(), frame(mac, 1, size));
    }
}

#[test]
fn vde_plug_and_dpipe() {
    if !testkit::tool_or_skip("vde_plug", "vde2") || !testkit::tool_or_skip("dpipe", "vde2") {
        return;
    }
    let dir = testkit::scratch_dir();
    let path = dir.path().join("v");
    let (running, host) = switch(dir.path(), &format!("v=vde:{}", path.display()));
    let mut one = Plug::into(&path);
    plug_and_host(&mut one, &host, 2);
    // Killed and started again at once, and another beside it.
    drop(one);
    let (mut one, mut two) = (Plug::into(&path), Plug::into(&path));
    plug_and_host(&mut one, &host, 2);
    plug_and_host(&mut two, &host, 3);
    one.send(&frame(3, 2, 1514));
    assert_eq!(two.receive(), frame(3, 2, 1514));

    // Two of our switches, joined by a cable of VDE's.
    let other_dir = testkit::scratch_dir();
    let other_path = other_dir.path().join("v");
    let (other, other_host) = switch(other_dir.path(), &format!("v=vde:{}", other_path.display()));
    let mut cable = Command::new("dpipe");
    cable.arg("vde_plug").arg(&path).arg("=").arg("vde_plug").arg(&other_path);
    let cable = Guard(cable.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let crossed = testkit::wait_until(PATIENCE, || {
        host.send(&frame(9, 1, 1514)).unwrap();
        receive(&other_host).is_some_and(|got| got == frame(9, 1, 1514))
    });
    assert!(crossed, "from switch to switch");
    drop((cable, one, two));
    ends(other_dir.path(), other);
    ends(dir.path(), running);
}

/// Killed, its directory stays; the next switch takes it over and serves who plugs in.
#[test]
fn the_directory_of_a_killed_switch_is_taken_over() {
    if !testkit::tool_or_skip("vde_plug", "vde2") {
        return;
    }
    let dir = testkit::scratch_dir();
    let path = dir.path().join("v");
    let port = format!("v=vde:{}", path.display());
    let (running, host) = switch(dir.path(), &port);
    let mut plug = Plug::into(&path);
    plug_and_host(&mut plug, &host, 2);
    running.crash();
    drop((plug, host));
    assert!(std::fs::read_dir(&path).unwrap().count() >= 2, "ctl and a client's socket");
    std::fs::remove_file(dir.path().join("vfkit-h.sock")).unwrap();
    let (running, host) = switch(dir.path(), &port);
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "ctl alone");
    let mut plug = Plug::into(&path);
    plug_and_host(&mut plug, &host, 2);
    drop(plug);
    ends(dir.path(), running);
}

/// Root's switch, a user's VM: the directory and the sockets are the user's, who needs no more.
#[test]
fn a_user_plugs_into_roots_switch_and_nobody_else_does() {
    let dir = testkit::scratch_dir();
    if !testkit::tool_or_skip("vde_plug", "vde2")
        || !testkit::tool_or_skip("setpriv", "util-linux")
        || !common::is_real_root_or_skip(dir.path())
    {
        return;
    }
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let d = dir.path().display();
    let arguments = format!(
        "run --uplink none --socket-owner 65534 --port h=unixgram:{d}/h --port v=vde:{d}/v"
    );
    let running = start(dir.path(), vswitch(&arguments));
    let path = dir.path().join("v");
    for (name, mode) in [("", 0o1770), ("ctl", 0o660)] {
        let found = std::fs::metadata(path.join(name)).unwrap();
        assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (65534, 65534, mode));
    }
    let as_user = |user: u32| {
        let mut command = Command::new("setpriv");
        let ids = [format!("--reuid={user}"), format!("--regid={user}")];
        command.args(ids).args(["--clear-groups", "--", "vde_plug"]).arg(&path);
        command
    };
    let mut stranger = as_user(65533);
    let refused = common::output({
        stranger.stdin(Stdio::null());
        stranger
    });
    assert!(!refused.status.success());
    let host = vfkit(dir.path(), "h");
    // The user's, too: root's switch sends nothing to root's sockets for a port of the user's.
    std::os::unix::fs::chown(dir.path().join("vfkit-h.sock"), Some(65534), None).unwrap();
    host.send(b"VFKT").unwrap();
    let mut plug = Plug::of(as_user(65534));
    plug_and_host(&mut plug, &host, 2);
    drop(plug);
    ends(dir.path(), running);
}

// --- Lima, socket_vmnet -------------------------------------------------------------------------

/// QEMU with a socket on descriptor 3, as Lima (`networks: - socket:`) and `socket_vmnet_client`
/// start it: they connect, and pass on what they have.
fn with_descriptor_3(mut qemu: Command, socket: OwnedFd) -> Command {
    qemu.fd_mappings(vec![FdMapping { parent_fd: socket, child_fd: 3 }]).unwrap();
    qemu
}

#[test]
fn a_machine_of_limas() {
    let Some(qemu) = pxe::qemu_or_skip() else { return };
    let dir = testkit::scratch_dir();
    let (running, host) = switch(dir.path(), &format!("v=stream:{}/v", dir.path().display()));
    let socket = UnixStream::connect(dir.path().join("v")).unwrap();
    let machine = pxe::boot(with_descriptor_3(qemu, socket.into()), "socket,id=n,fd=3", 8);
    is_served(&host, 8);
    drop(machine);
    ends(dir.path(), running);
}

/// `vswitch exec` in the place of `socket_vmnet_client SOCKET`: a datagram socket, or a stream.
#[test]
fn a_command_with_its_card_on_descriptor_3() {
    if pxe::qemu_or_skip().is_none() {
        return;
    }
    for (option, mac) in [("", 9), ("--stream", 10)] {
        let dir = testkit::scratch_dir();
        let d = dir.path().display();
        let arguments = format!("exec --uplink none --port h=unixgram:{d}/h {option} --");
        let mut exec = vswitch(&arguments);
        exec.arg("qemu-system-x86_64").stderr(Stdio::null());
        let mut machine = pxe::boot(exec, "socket,id=n,fd=3", mac);
        let host = vfkit(dir.path(), "h");
        is_served(&host, mac);
        let pid = nix::unistd::Pid::from_raw(machine.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        assert!(common::has_ended(&mut machine.0, PATIENCE));
    }
}

// --- gvproxy, vmnet-helper ----------------------------------------------------------------------

/// As `gvproxy --listen-vfkit unixgram:///PATH --listen-qemu unix:///PATH`.
#[test]
fn addresses_as_gvproxy_takes_them() {
    let Some(qemu) = pxe::qemu_or_skip() else { return };
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    let ports = format!("f=unixgram://{d}/f --port v=stream://{d}/v");
    let (running, host) = switch(dir.path(), &ports);
    let f = vfkit(dir.path(), "f");
    let heard = testkit::wait_until(PATIENCE, || {
        host.send(&frame(2, 1, 60)).unwrap();
        receive(&f).is_some_and(|got| got == frame(2, 1, 60))
    });
    assert!(heard);
    let netdev = format!("stream,id=n,server=off,addr.type=unix,addr.path={d}/v");
    let machine = pxe::boot(qemu, &netdev, 11);
    is_served(&f, 11);
    drop(machine);
    ends(dir.path(), running);
}

/// As `vmnet-helper --fd N` and `--socket PATH`: one line of JSON when it is ready, with the
/// machine's address in it; then frames, on the descriptor or by vfkit's handshake.
#[test]
fn a_ready_line_as_vmnet_helpers() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    let mac = "02:00:00:00:00:02";
    let (near, far) = UnixDatagram::pair().unwrap();
    let mut command = vswitch(&format!("run --uplink none --port v=fd:4,mac={mac}"));
    command.fd_mappings(vec![FdMapping { parent_fd: far.into(), child_fd: 4 }]).unwrap();
    let running = start(dir.path(), command);
    assert_eq!(running.ready["vmnet_mac_address"], mac);
    near.send(&frame(1, 2, 60)).unwrap();
    assert_eq!(running.end(Signal::SIGTERM).stopped["ports"][0]["received_frames"], 1);

    let command = vswitch(&format!("run --uplink none --port v=unixgram:{d}/v,mac={mac}"));
    let running = start(dir.path(), command);
    assert_eq!(running.ready["vmnet_mac_address"], mac);
    let v = vfkit(dir.path(), "v");
    v.send(&frame(1, 2, 60)).unwrap();
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stopped["ports"][0]["received_frames"], 1);

    // Which machine's it would be, nobody could tell.
    for ports in [format!("v=unixgram:{d}/v"), format!("a=stream:{d}/a,mac={mac} --port b=fd:9")] {
        let (_near, far) = UnixDatagram::pair().unwrap();
        let mut command = vswitch(&format!("run --uplink none --port {ports}"));
        command.fd_mappings(vec![FdMapping { parent_fd: far.into(), child_fd: 9 }]).unwrap();
        let running = start(dir.path(), command);
        assert_eq!(running.ready.get("vmnet_mac_address"), None);
    }
}
