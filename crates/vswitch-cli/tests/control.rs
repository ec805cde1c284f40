//! The commands that ask and change a running switch, as a person uses them.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Guard, PATIENCE, Running, failure, frame, output, prepared, start, vswitch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const TWO_NETWORKS: &str = "\
[control]
socket = \"c\"
[[network]]
name = \"lan\"
port = [
  { name = \"a\", attach = \"unixgram:a\" },
  { name = \"b\", attach = \"unixgram:b\", mac = \"02:00:00:00:00:02\" },
]
[[network]]
name = \"lab\"
port = [{ name = \"a\", attach = \"stream:s\" }]
";

/// A switch with the file `vswitch.toml` and a control socket `c`.
fn switch(dir: &Path, text: &str) -> Running {
    let file = dir.join("vswitch.toml");
    std::fs::write(&file, text).unwrap();
    start(dir, vswitch(&format!("run --config {}", file.display())))
}

fn ask(dir: &Path, arguments: &str) -> Command {
    vswitch(&format!("{arguments} --control {}/c", dir.display()))
}

/// What a command prints that succeeds.
fn told(dir: &Path, arguments: &str) -> String {
    let done = output(ask(dir, arguments));
    let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments}: {complaint}");
    assert_eq!(complaint, "", "{arguments}");
    String::from_utf8(done.stdout).unwrap()
}

fn json_of(dir: &Path, arguments: &str) -> Value {
    serde_json::from_str(&told(dir, &format!("{arguments} --json"))).expect("JSON")
}

/// The cells of a table's rows, which are parted by two blanks or more.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let cells = |line| -> Vec<&str> {
        let cells = str::split(line, "  ").map(str::trim);
        cells.filter(|cell| !cell.is_empty()).collect()
    };
    table.lines().map(cells).collect()
}

/// VMs on the ports `a` and `b`; frames pass between them.
fn two_vms(dir: &Path) -> (UnixDatagram, UnixDatagram) {
    let vm = |port: &str| {
        let socket = UnixDatagram::bind(dir.join(format!("{port}.vm"))).unwrap();
        socket.connect(dir.join(port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        socket.send(b"VFKT").unwrap();
        socket
    };
    let (a, b) = (vm("a"), vm("b"));
    for (from, to, frame) in [(&b, &a, frame(1, 2, 60)), (&a, &b, frame(2, 1, 1000))] {
        let mut buffer = [0; 2000];
        let passes = testkit::wait_until(PATIENCE, || {
            from.send(&frame).unwrap();
            to.recv(&mut buffer).is_ok()
        });
        assert!(passes);
    }
    (a, b)
}

#[test]
fn networks_ports_and_addresses_are_shown() {
    let dir = testkit::scratch_dir();
    let (d, running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let _vms = two_vms(d);
    let networks = told(d, "networks");
    assert_eq!(rows(&networks)[0][..2], ["NETWORK", "UPLINK"]);
    assert_eq!(rows(&networks)[1][..2], ["lan", "none"]);
    let networks = json_of(d, "networks");
    assert_eq!((&networks[0]["name"], &networks[0]["ports"]), (&json!("lan"), &json!(["a", "b"])));
    assert_eq!((&networks[1]["uplink"], &networks[1]["interfaces"]), (&json!("none"), &json!([])));

    let ports = told(d, "ports");
    assert_eq!(rows(&ports)[0], ["PORT", "ATTACHED TO", "ADDRESS", "STATE", "FROM"]);
    let attached = format!("unixgram:{}/b", d.display());
    assert_eq!(
        rows(&ports)[2],
        ["lan/b", &*attached, "02:00:00:00:00:02", "up", "configuration"],
        "{ports}"
    );
    assert_eq!(rows(&told(d, "ports --network lab")).len(), 2, "the head and one port");
    let b = &json_of(d, "ports")[1];
    assert_eq!(
        (&b["network"], &b["name"], &b["mac"]),
        (&json!("lan"), &json!("b"), &json!("02:00:00:00:00:02"))
    );
    assert_eq!((&b["origin"], &b["is_link_up"]), (&json!("configuration"), &json!(true)));

    let addresses = told(d, "fdb --network lan");
    assert_eq!(rows(&addresses)[0], ["ADDRESS", "PORT", "LAST SEEN"]);
    assert_eq!(rows(&addresses)[1][..2], ["02:00:00:00:00:01", "lan/a"]);
    assert_eq!(rows(&addresses)[2], ["02:00:00:00:00:02", "lan/b", "static"]);
    let addresses = json_of(d, "fdb");
    assert_eq!(addresses[0]["mac"], "02:00:00:00:00:01");
    assert!(addresses[0]["age_ms"].is_u64() && addresses[1]["is_static"] == true, "{addresses}");
    assert_eq!(running.end(Signal::SIGTERM).code, Some(0));
}

#[test]
fn counters_are_shown_once_or_again_and_again() {
    let dir = testkit::scratch_dir();
    let (d, _running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let (a, b) = two_vms(d);
    let stats = json_of(d, "stats");
    assert!(stats["unix_ms"].is_u64());
    let port = &stats["ports"][0];
    assert_eq!((&port["network"], &port["name"]), (&json!("lan"), &json!("a")));
    let frames = port["received_frames"].as_u64().expect("a number");
    assert_eq!(port["received_bytes"].as_u64(), Some(frames * 1000));
    let table = told(d, "stats");
    let head = ["PORT", "RECEIVED", "BYTES", "SENT", "BYTES", "DROPPED", "WHY"];
    assert_eq!(rows(&table)[0], head);
    assert_eq!(rows(&table)[1][..2], ["lan/a", &*frames.to_string()], "{table}");
    assert!(table.contains("\nlab/a "), "which network's is told: {table}");

    let mut command = ask(d, "stats --interval 1 --count 2 --json");
    let mut child = Guard(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut heard = [0; 2000];
    let mut rates = Vec::new();
    for _ in 0..2 {
        for _ in 0..50 {
            a.send(&frame(2, 1, 1000)).unwrap();
            b.recv(&mut heard).unwrap();
        }
        rates.push(serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap());
    }
    assert_eq!((&rates[0][0]["network"], &rates[0][0]["port"]), (&json!("lan"), &json!("a")));
    let some = |of: &Value| of[0]["received_frames_per_s"].as_f64() > Some(0.0);
    assert!(rates.iter().any(some), "{rates:?}");
    assert!(common::has_ended(&mut child.0, PATIENCE), "twice was asked for");
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn ports_come_and_go_and_links_go_down_and_up() {
    let dir = testkit::scratch_dir();
    let (d, _running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let (a, b) = two_vms(d);
    let told_of = told(d, &format!("port add c=unixgram:{}/n --network lan", d.display()));
    assert_eq!(rows(&told_of)[1][0], "lan/c");
    assert_eq!(rows(&told_of)[1][4], "control");
    assert!(d.join("n").exists());
    // A path is the caller's, not the switch's.
    let mut relative = ask(d, "port add r=stream:r --network lab --json");
    relative.current_dir(d);
    let added: Value = serde_json::from_slice(&output(relative).stdout).unwrap();
    let attached = format!("stream:{}/r", d.canonicalize().unwrap().display());
    assert_eq!((&added["attachment"], &added["clients"]), (&json!(attached), &json!([])));

    assert_eq!(told(d, "port down lan/b"), "");
    assert_eq!(rows(&told(d, "ports"))[2][3], "down");
    a.send(&frame(2, 1, 60)).unwrap();
    assert!(b.recv(&mut [0; 2000]).is_err(), "its cable is pulled");
    told(d, "port up lan/b");
    a.send(&frame(2, 1, 60)).unwrap();
    b.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(b.recv(&mut [0; 2000]).unwrap(), 60);

    told(d, "port remove lan/c");
    told(d, "port remove lab/r");
    assert!(!d.join("n").exists() && !d.join("r").exists());
    assert_eq!(json_of(d, "ports").as_array().map(Vec::len), Some(3));
}

#[test]
fn a_reload_says_what_it_did() {
    let dir = testkit::scratch_dir();
    let (d, mut running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    assert_eq!(told(d, "reload"), "nothing has changed\n");
    assert_eq!(running.line()["event"], "reloaded", "the switch says it, too");
    let file = d.join("vswitch.toml");
    let more = "[[network]]\nname = \"more\"\nuplink = \"iface:no-such\"\n";
    std::fs::write(&file, format!("{TWO_NETWORKS}{more}")).unwrap();
    let partly = output(ask(d, "reload"));
    assert_eq!(partly.status.code(), Some(1), "not everything could be had");
    let said = String::from_utf8(partly.stdout).unwrap();
    assert!(said.contains("failed") && said.contains("no-such"), "{said}");
    running.line();
    std::fs::write(&file, TWO_NETWORKS.replace("stream:s", "stream:t")).unwrap();
    let applied = json_of(d, "reload");
    assert_eq!((&applied["changed"], &applied["failed"]), (&json!(["lab/a"]), &json!([])));
    std::fs::write(&file, "[[network]]\nnmae = \"x\"\n").unwrap();
    let wrong = failure(ask(d, "reload"), 1);
    assert!(wrong.contains("vswitch.toml:2:1") && wrong.contains("nmae"), "{wrong}");
}

/// A command whose lines come as long as it runs.
struct Listening(Guard, std::io::Lines<BufReader<std::process::ChildStdout>>);

impl Listening {
    fn start(mut command: Command) -> Self {
        let mut child = Guard(command.stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        Self(child, lines)
    }

    fn line(&mut self) -> String {
        self.1.next().expect("a line").unwrap()
    }
}

#[test]
fn events_are_told_as_they_happen() {
    let dir = testkit::scratch_dir();
    let (d, running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let mut people = Listening::start(ask(d, "events"));
    let mut programs = Listening::start(ask(d, "events --json"));
    assert!(people.line().contains("listening to vswitch"));
    let first: Value = serde_json::from_str(&programs.line()).unwrap();
    assert_eq!(first["event"], "listening");
    told(d, &format!("port add c=stream:{}/n --network lan", d.display()));
    told(d, "port down lan/c");
    told(d, "port remove lan/c");
    for words in ["port lan/c added", "link of lan/c is down", "port lan/c removed"] {
        let line = people.line();
        assert!(line.ends_with(words), "{line}");
    }
    for event in ["port_added", "link_changed", "port_removed"] {
        let told: Value = serde_json::from_str(&programs.line()).unwrap();
        assert_eq!((&told["event"], &told["port"]), (&json!(event), &json!("c")));
        assert!(told["unix_ms"].is_u64());
    }
    running.end(Signal::SIGTERM);
    assert!(people.line().ends_with("the switch ends"));
    assert!(common::has_ended(&mut people.0.0, PATIENCE));
    assert!(people.0.0.wait().unwrap().success(), "the end of the switch is no failure");
}

#[test]
fn an_uplink_is_changed() {
    if !common::bridge_or_skip() {
        return;
    }
    let dir = testkit::scratch_dir();
    let (d, _running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    assert_eq!(told(d, "uplink set bridge:br0 --network lab"), "lab: bridge:br0\n");
    let networks = json_of(d, "networks");
    let roles: Vec<&Value> =
        networks[1]["interfaces"].as_array().unwrap().iter().map(|of| &of["role"]).collect();
    assert_eq!(roles, ["bridge", "member", "switch_end"]);
    assert!(common::interfaces().contains(&"vsw0".to_owned()));
    let missing = failure(ask(d, "uplink set bridge:br7 --network lab"), 1);
    assert!(missing.contains("br7"), "{missing}");
    told(d, "uplink set none --network lab");
    assert!(!common::interfaces().contains(&"vsw0".to_owned()));
}

#[test]
fn what_is_wrong_is_told() {
    let dir = testkit::scratch_dir();
    let (d, running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    for (arguments, words) in [
        ("port remove lan/nobody", "network lan has no port nobody"),
        ("port down nowhere/a", "there is no network nowhere"),
        ("port remove a", "there are 2: lan, lab (say which one: NETWORK/PORT"),
        ("uplink set none", "or --network NETWORK"),
        ("fdb --network nowhere", "there is no network nowhere"),
        ("ports --network nowhere", "there is no network nowhere"),
        ("port add a=stream:/tmp/x --network lan", "two ports named a"),
        ("port add c=fd:0 --network lan", "with .fd"),
        ("top", "this is no terminal (use `vswitch stats --interval 1`)"),
    ] {
        let told = failure(ask(d, arguments), 1);
        assert!(told.starts_with("vswitch: ") && told.contains(words), "{arguments}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let without = failure(vswitch("ports"), 2);
    assert!(without.contains("--control <PATH>"), "{without}");
    let mut named = vswitch("ports");
    named.env("VSWITCH_CONTROL", d.join("c"));
    assert!(output(named).status.success(), "the environment names the switch, too");
    running.end(Signal::SIGTERM);
    for arguments in ["ports", "events", "stats --interval 1"] {
        let nobody = failure(ask(d, arguments), 1);
        assert!(nobody.contains("is a switch running with --control"), "{nobody}");
    }
}

#[test]
fn who_has_no_right_is_told_who_has() {
    let dir = testkit::scratch_dir();
    let Some(nobody) = common::as_nobody(dir.path()) else { return };
    let d = dir.path().display();
    let arguments = format!(
        "run --uplink none --port a=stream:{d}/a --control {d}/c --control-group {}",
        nix::unistd::getegid()
    );
    let running = start(dir.path(), vswitch(&arguments));
    let refused = failure(prepared(nobody, &format!("ports --control {d}/c")), 1);
    assert!(refused.contains("the owner or root may ask"), "{refused}");
    running.end(Signal::SIGTERM);
    // Who may look may not change.
    let arguments =
        format!("run --uplink none --port a=stream:{d}/a --control {d}/c --control-group 65534");
    let running = start(dir.path(), vswitch(&arguments));
    let as_nobody = || common::as_nobody(dir.path()).expect("as before");
    assert!(output(prepared(as_nobody(), &format!("ports --control {d}/c"))).status.success());
    let refused = failure(prepared(as_nobody(), &format!("port remove a --control {d}/c")), 1);
    assert!(refused.contains("remove port a: "), "{refused}");
    running.end(Signal::SIGTERM);
}

/// A terminal of a test's own, by util-linux's script(1).
fn in_a_terminal(command: &Command) -> Option<Child> {
    if !testkit::tool_or_skip("script", "bsdutils") {
        return None;
    }
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &words.join(" "), "/dev/null"]).env("TERM", "xterm");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(script.spawn().expect("script starts"))
}

#[test]
fn top_fills_a_terminal_until_q() {
    let dir = testkit::scratch_dir();
    let (d, _running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let Some(child) = in_a_terminal(&ask(d, "top --interval 1")) else { return };
    let mut child = Guard(child);
    let mut screen = child.0.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut piece = [0; 4096];
    // Rates need two looks.
    while !String::from_utf8_lossy(&shown).contains("lab/a") {
        let length = screen.read(&mut piece).unwrap();
        assert!(length > 0, "it ended: {}", String::from_utf8_lossy(&shown));
        shown.extend_from_slice(&piece[..length]);
    }
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert!(text.contains("\x1b[?1049h"), "a screen of its own: {text:?}");
    assert!(text.contains("IN bit/s") && text.contains("(q ends this)"), "{text:?}");
    child.0.stdin.as_mut().unwrap().write_all(b"q").unwrap();
    assert!(common::has_ended(&mut child.0, PATIENCE));
    assert!(child.0.wait().unwrap().success());
    screen.read_to_end(&mut shown).unwrap();
    let left = String::from_utf8_lossy(&shown).into_owned();
    assert!(left.contains("\x1b[?1049l"), "the screen is as it was: {left:?}");
}

#[test]
fn top_ends_with_its_switch_and_says_why() {
    let dir = testkit::scratch_dir();
    let (d, running) = (dir.path(), switch(dir.path(), TWO_NETWORKS));
    let Some(child) = in_a_terminal(&ask(d, "top")) else { return };
    let mut child = Guard(child);
    let mut screen = child.0.stdout.take().unwrap();
    let mut shown = vec![0; 16];
    screen.read_exact(&mut shown).unwrap();
    kill(Pid::from_raw(running.pid().as_raw()), Signal::SIGTERM).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let text = String::from_utf8_lossy(&shown).into_owned();
    assert_eq!(child.0.wait().unwrap().code(), Some(1), "{text:?}");
    let (_, after) = text.rsplit_once("\x1b[?1049l").expect("the screen is left first");
    assert!(after.contains("ask for the counters"), "{text:?}");
}
