//! Who may look, who may change, and who may do neither.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::common::controlled::Controlled;

/// What `curl` is answered, as a user and group of these numbers.
fn status_as(of: &Controlled, (uid, gid): (u32, u32), method: &str, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--unix-socket"])
        .arg(of.path("c"))
        .arg(format!("http://vswitch{path}"))
        .uid(uid)
        .gid(gid)
        .output()
        .expect("curl");
    String::from_utf8(output.stdout).expect("a status")
}

#[test]
fn the_mode_the_group_and_the_owner_decide() {
    if !testkit::tool_or_skip("curl", "curl") {
        return;
    }
    if !nix::unistd::Uid::effective().is_root() {
        testkit::skip("to become other users takes root");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let open = |of: &Controlled| {
        std::fs::set_permissions(of.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Everybody may connect; root's group, number 0, may look.
    let of = Controlled::start_with(1, &["p0=unixgram:DIR/p0"], "0666", None);
    open(&of);
    let (ports, p0) = ("/v1/ports", "/v1/networks/test/ports/p0");
    let (reader, stranger) = ((4_000_001, 0), (4_000_001, 4_000_001));
    assert_eq!(status_as(&of, reader, "GET", ports), "200");
    assert_eq!(status_as(&of, reader, "DELETE", p0), "403");
    assert_eq!(status_as(&of, reader, "GET", "/v1/capture"), "403", "what is in frames");
    assert_eq!(status_as(&of, stranger, "GET", ports), "403");
    assert_eq!(status_as(&of, stranger, "DELETE", p0), "403");
    assert_eq!(of.ports(), ["p0"]);
    assert_eq!(status_as(&of, (0, 0), "DELETE", p0), "204");
    assert_eq!(of.ports(), Vec::<String>::new());

    // The mode keeps out whoever is neither owner nor in the group: there is no answer at all.
    let closed = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    open(&closed);
    assert_eq!(status_as(&closed, stranger, "GET", ports), "000");
    assert_eq!(status_as(&closed, reader, "GET", ports), "200");
}
