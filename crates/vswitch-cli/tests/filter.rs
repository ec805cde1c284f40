//! `vswitch filter` as a person runs it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const MAC: &str = "52:54:00:00:00:01";

fn vswitch(arguments: &[&str]) -> Output {
    vswitch_with(arguments, b"")
}

/// Runs `vswitch filter ARGUMENTS` with `input` on stdin.
fn vswitch_with(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .arg("filter")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vswitch starts");
    // One that fails early does not read it.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("vswitch ends")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// The message of a command that failed with exit code `code`.
fn stderr(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn frame(to: [u8; 6], ethertype: [u8; 2], len: usize) -> Vec<u8> {
    let mut frame = [&to, [2; 6].as_slice(), &ethertype].concat();
    frame.resize(len, 0);
    frame
}

/// To the address, ARP to all, IPv4 to all, and to another address.
fn frames() -> [Vec<u8>; 4] {
    [
        frame([0x52, 0x54, 0, 0, 0, 1], [8, 0], 80),
        frame([0xff; 6], [8, 6], 60),
        frame([0xff; 6], [8, 0], 300),
        frame([0x52, 0x54, 0, 0, 0, 2], [8, 6], 60),
    ]
}

/// A pcap file of [`frames`].
fn capture() -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut bytes: Vec<u8> = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1]);
    for frame in frames() {
        let len = u32::try_from(frame.len()).expect("short");
        bytes.extend::<Vec<u8>>(words(&[0, 0, len, len]));
        bytes.extend(frame);
    }
    bytes
}

#[test]
fn a_description_compiles_to_every_form_of_the_same_program() {
    let compile = |form: &[&str]| {
        let arguments = [&["compile", "--mac", MAC, "--group", "--ethertype", "arp,0x86dd"], form];
        stdout(&vswitch(&arguments.concat()))
    };
    let text = compile(&[]);
    assert!(text.contains("jset #0x1") && text.contains("#0x86dd"), "{text}");
    let c = compile(&["--format", "c"]);
    assert!(c.starts_with("{ 0x30, 0, 0, 0x00000000 },\n"), "{c}");
    let decimal = compile(&["--format", "decimal"]);
    assert_eq!(decimal.lines().count(), 1);
    let count: usize = decimal.split(',').next().expect("a count").parse().expect("a number");
    assert_eq!(count, text.lines().count());
    for form in [&text, &c, &decimal] {
        assert_eq!(stdout(&vswitch_with(&["disasm", "-"], form.as_bytes())), text);
        let back = vswitch_with(&["compile", "-", "--format", "decimal"], form.as_bytes());
        assert_eq!(stdout(&back), decimal);
    }
    let json: Value = serde_json::from_str(&compile(&["--json"])).expect("JSON");
    assert_eq!(json["valid"], json!({"linux": true, "xnu": true}));
    assert_eq!(json["instructions"].as_array().map(Vec::len), Some(count));
    let first = json!({"code": 0x30, "jt": 0, "jf": 0, "k": 0, "text": "ldb [0]"});
    assert_eq!(json["instructions"][0], first);
}

#[test]
fn golden_listing_of_tcpdump_numbers() {
    let numbers = "4\n40 0 0 12\n21 0 1 2054\n6 0 0 262144\n6 0 0 0\n";
    let text = "        ldh [12]\n        jneq #0x806, l3\n        ret #0x40000\nl3:     ret #0\n";
    assert_eq!(stdout(&vswitch_with(&["disasm", "-"], numbers.as_bytes())), text);
    let json = stdout(&vswitch_with(&["disasm", "-", "--json"], numbers.as_bytes()));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let last = json!({"code": 6, "jt": 0, "jf": 0, "k": 0, "label": "l3", "text": "ret #0"});
    assert_eq!(json[3], last);
}

#[test]
fn check_answers_for_each_kernel() {
    let program = b"ld M[3]\nret a\n";
    let xnu = vswitch_with(&["check", "-", "--dialect", "xnu"], program);
    assert_eq!(stdout(&xnu), "stdin: valid for xnu, 2 of at most 512 instructions\n");
    let linux = vswitch_with(&["check", "-", "--dialect", "linux"], program);
    let message = stderr(&linux, 1);
    let expected = "vswitch: stdin for linux: instruction 0: scratch word 3 is loaded";
    assert!(message.starts_with(expected), "{message}");

    let linux = vswitch_with(&["check", "-", "--dialect", "linux", "--json"], program);
    assert_eq!(linux.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&linux.stdout).expect("JSON");
    assert_eq!((&json["valid"], &json["instruction"]), (&json!(false), &json!(0)));
    let too_long = "ret #0\n".repeat(513);
    let json = vswitch_with(&["check", "-", "--dialect", "xnu", "--json"], too_long.as_bytes());
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["reason"], "513 instructions are more than 512");
}

#[test]
fn run_counts_and_lists() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("capture.pcap");
    fs::write(&path, capture()).expect("write");
    let path = path.to_str().expect("UTF-8");

    let narrow = stdout(&vswitch(&["run", path, "--mac", MAC, "--group", "--verdicts"]));
    let expected = "frame 1: accepted, 80 bytes\nframe 2: accepted, 60 bytes\n\
                    frame 3: accepted, 300 bytes\nframe 4: dropped\n3 of 4 frames accepted\n";
    assert_eq!(narrow, expected);
    let arp = stdout(&vswitch(&["run", path, "--group", "--ethertype", "arp", "--json"]));
    let arp: Value = serde_json::from_str(&arp).expect("JSON");
    assert_eq!(arp, json!({"frames": 4, "accepted": 1}));

    let file = dir.path().join("filter.bpf");
    fs::write(&file, "ld #proto\njneq #0x800, drop\nret #100\ndrop: ret #0\n").expect("write");
    let file = file.to_str().expect("UTF-8");
    let cut = ["run", path, "--filter", file, "--dialect", "linux", "--verdicts", "--json"];
    let cut: Value = serde_json::from_str(&stdout(&vswitch(&cut))).expect("JSON");
    let third = json!({"frame": 3, "bytes": 300, "accepted_bytes": 100});
    assert_eq!((&cut["accepted"], &cut["verdicts"][2]), (&json!(2), &third));
    let xnu = stderr(&vswitch(&["run", path, "--filter", file, "--dialect", "xnu"]), 1);
    assert!(xnu.starts_with("vswitch: check the filter for xnu: instruction 0: load"), "{xnu}");

    let piped = vswitch_with(&["run", "-", "--filter", file, "--dialect", "linux"], &capture());
    assert_eq!(stdout(&piped), "2 of 4 frames accepted\n");
}

#[test]
fn run_agrees_with_tcpdump() {
    if !testkit::tcpdump::or_skip() {
        return;
    }
    let tcpdump = |arguments: &[&str]| {
        let output = testkit::tcpdump::command().args(arguments).output().expect("tcpdump starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let dir = testkit::scratch_dir();
    let path: PathBuf = dir.path().join("capture.pcap");
    fs::write(&path, capture()).expect("write");
    for (expression, accepted) in [("ether multicast", 2), ("arp", 2), ("len > 70", 2), ("ip6", 0)]
    {
        let capture = path.to_str().expect("UTF-8");
        let filter = tcpdump(&["-r", capture, "-dd", expression]);
        let answer = vswitch_with(&["run", capture, "--filter", "-"], filter.as_bytes());
        assert_eq!(stdout(&answer), format!("{accepted} of 4 frames accepted\n"), "{expression}");
    }
}

#[test]
fn wrong_input_is_named() {
    let bad = stderr(&vswitch_with(&["compile", "-"], b"ret #0\nfoo\n"), 1);
    assert!(bad.starts_with("vswitch: read the filter in stdin: line 2: unknown"), "{bad}");
    let invalid = vswitch_with(&["compile", "-", "--dialect", "linux"], b"ld #1\n");
    assert!(stderr(&invalid, 1).contains("the last instruction is no return"));
    let missing = stderr(&vswitch(&["check", "/nonexistent/filter"]), 1);
    assert!(missing.starts_with("vswitch: read /nonexistent/filter: No such file"), "{missing}");
    let huge = vec![b' '; (1 << 20) + 1];
    assert!(stderr(&vswitch_with(&["check", "-"], &huge), 1).contains("longer than 1048576 bytes"));
    let no_capture = stderr(&vswitch_with(&["run", "-", "--group"], b"no capture at all"), 1);
    assert!(no_capture.contains("it must be a pcap or pcapng file"), "{no_capture}");
    let cut = vswitch_with(&["run", "-", "--group"], &capture()[..150]);
    assert!(stderr(&cut, 1).contains("frame 2: it ends in the middle"));
    let both = stderr(&vswitch(&["run", "-", "--filter", "-"]), 1);
    assert!(both.contains("both the filter and the capture are stdin"), "{both}");

    let many: Vec<String> =
        (0..600).map(|n| format!("2:0:{:x}:{:x}:0:1", n / 256, n % 256)).collect();
    let many = ["compile", "--mac", &many.join(","), "--dialect", "xnu"];
    let many = stderr(&vswitch(&many), 1);
    assert!(many.starts_with("vswitch: compile the filter: the lists need 6"), "{many}");
}

#[test]
fn wrong_usage_is_code_two() {
    let cases: [&[&str]; 10] = [
        &[],
        &["compile"],
        &["compile", "-", "--group"],
        &["compile", "-", "--vlan"],
        &["compile", "--group", "--vlan"],
        &["compile", "--snap-len", "60"],
        &["compile", "--group", "--snap-len", "0"],
        &["compile", "--mac", "52:54:00:00:01"],
        &["compile", "--ethertype", "0x100"],
        &["run", "capture.pcap"],
    ];
    for arguments in cases {
        stderr(&vswitch(arguments), 2);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let big = "ret #0\n".repeat(8000);
    let mut child = Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(["filter", "disasm", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("vswitch starts");
    drop(child.stdout.take());
    child.stdin.take().expect("piped").write_all(big.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn every_help_has_an_example() {
    for command in [
        &["--help"] as &[_],
        &["compile", "--help"],
        &["disasm", "--help"],
        &["check", "--help"],
        &["run", "--help"],
    ] {
        let help = stdout(&vswitch(command));
        assert!(help.contains("Example") && help.contains("vswitch filter"), "{help}");
    }
}
