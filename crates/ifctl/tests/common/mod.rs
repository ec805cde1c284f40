//! What the tests on a real kernel share: a namespace of the test's own, and other people's tools
//! to compare with.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod capture;

use std::process::{Command, Stdio};

use ifctl::Interfaces;
use serde_json::Value;
pub(crate) use testkit::command::output;

/// A handle in a fresh namespace; nothing if the test cannot run here (which was said).
pub(crate) fn interfaces_in_own_namespace() -> Option<Interfaces> {
    let is_ready = testkit::tool_or_skip("ip", "iproute2") && testkit::netns::enter_or_skip();
    is_ready.then(|| Interfaces::open().expect("open a handle"))
}

/// Runs `ip -j -d ARGUMENTS` (iproute2) and reads its answer.
pub(crate) fn ip(arguments: &str) -> Vec<Value> {
    json("ip", &format!("-j -d {arguments}"))
}

/// Runs `ip ARGUMENTS`, which changes something.
pub(crate) fn ip_does(arguments: &str) {
    output("ip", arguments);
}

/// Runs `ip ARGUMENTS`, and tells whether it could: not every kernel has every kind of interface.
pub(crate) fn ip_can(arguments: &str) -> bool {
    let mut ip = Command::new("ip");
    ip.args(arguments.split_whitespace()).stderr(Stdio::null());
    ip.status().expect("run ip").success()
}

/// Runs `bridge -j -d ARGUMENTS` (iproute2) and reads its answer.
pub(crate) fn bridge(arguments: &str) -> Vec<Value> {
    json("bridge", &format!("-j -d {arguments}"))
}

/// The object of `list` whose `key` is `name`.
pub(crate) fn named<'a>(list: &'a [Value], key: &str, name: &str) -> &'a Value {
    let found = list.iter().find(|value| value[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list:#?}"))
}

fn json(program: &str, arguments: &str) -> Vec<Value> {
    let text = output(program, arguments);
    if text.trim().is_empty() {
        return Vec::new();
    }
    let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    // iproute2 prints an empty object for what its filter left out.
    list.into_iter().filter(|value| value.as_object().is_none_or(|o| !o.is_empty())).collect()
}
