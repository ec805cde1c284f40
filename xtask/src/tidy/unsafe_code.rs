//! Where `unsafe` may stand.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{code_only, line_of, words};
use super::{Finding, SourceFile};
use crate::workspace::Package;

/// The files that may contain `unsafe`, each with why. Every other crate forbids it at its root.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/afpacket/src/mapping.rs", "mmap(2) gives addresses"),
    ("crates/afpacket/src/sys.rs", "system calls on packet sockets, with arrays of pointers"),
    ("crates/afpacket/src/xdp/calls.rs", "requests of AF_XDP sockets go by pointer"),
    ("crates/afpacket/tests/allocations.rs", "a global allocator that counts"),
    ("crates/afpacket/tests/ring/tap.rs", "TUNSETIFF takes a pointer"),
    ("crates/bench/src/system/mapping.rs", "mmap(2) gives addresses"),
    ("crates/bench/src/system/mmsg.rs", "recvmmsg(2) and sendmmsg(2) take arrays of pointers"),
    ("crates/bench/src/system/ring.rs", "memory that two processes share is mapped"),
    ("crates/bench/src/system/rx_ring.rs", "a ring that the kernel fills is reached by pointer"),
    ("crates/bench/src/system/socket.rs", "socket addresses, options and TUNSETIFF go by pointer"),
    ("crates/bench/src/system/xdp.rs", "AF_XDP: bpf(2), rings and requests go by pointer"),
    ("crates/bpf/tests/linux_packet.rs", "a socket address of the packet family"),
    ("crates/ifctl/src/linux/ioctl.rs", "ioctl(2) takes a pointer"),
    ("crates/probe/src/link/inherited.rs", "a descriptor known by its number is adopted"),
    ("crates/probe/tests/common/tap.rs", "TUNSETIFF takes a pointer"),
    ("crates/vswitch/src/poller/epoll/sys.rs", "epoll(7) and eventfd(2)"),
    ("crates/vswitch/src/port/linux/mmsg.rs", "recvmmsg(2) and sendmmsg(2) take pointers"),
    (
        "crates/vswitch/src/port/linux/sys.rs",
        "peers' addresses, how much a socket holds, requests to a TAP",
    ),
    ("crates/vswitch/src/port/unix/descriptor.rs", "a descriptor known by its number is adopted"),
    ("crates/vswitch/tests/allocations/counting.rs", "a global allocator that counts"),
    ("crates/vswitch/tests/allocations/outside.rs", "passes on calls that take pointers"),
    ("crates/xnu-sim/src/calls.rs", "the kernel's face has calls that take pointers"),
    ("crates/xnu-sim/src/copyio.rs", "copyin and copyout: callers hand in pointers"),
    ("crates/xnu-sim/tests/messages.rs", "recvmsg_x and sendmsg_x with headers of all kinds"),
    ("crates/xnu-sim/tests/support/bpf.rs", "a raw ioctl takes a pointer"),
    ("crates/xnu-sim/tests/support/events.rs", "a raw ioctl takes a pointer"),
    ("crates/xnu-sim/tests/support/mod.rs", "a raw ioctl takes a pointer"),
    ("crates/xnu-sim/tests/support/taps.rs", "a raw ioctl takes a pointer"),
    ("crates/xnu-sys/src/descriptor.rs", "a request's argument goes by pointer"),
    ("crates/xnu-sys/src/descriptor/lists.rs", "the kernel writes lists behind pointers"),
    ("crates/xnu-sys/src/host/addresses.rs", "getifaddrs(3) gives a list linked by pointers"),
    ("crates/xnu-sys/src/host/elsewhere.rs", "has the face's unsafe methods, never callable"),
    ("crates/xnu-sys/src/host/groups.rs", "initgroups(3) and setgroups(2) take pointers"),
    ("crates/xnu-sys/src/host/macos.rs", "system calls take pointers and give descriptors"),
    ("crates/xnu-sys/src/host/message_calls.rs", "a symbol becomes the function that it is"),
    ("crates/xnu-sys/src/host/process.rs", "proc_pidinfo(3) writes by pointer"),
    ("crates/xnu-sys/src/kernel.rs", "declares calls that take pointers"),
    ("crates/xnu-sys/src/messages.rs", "recvmsg_x and sendmsg_x take arrays of pointers"),
    ("crates/xnu-sys/src/request.rs", "says which types are plain data"),
    ("crates/xnu-sys/tests/calls/fake.rs", "a kernel follows the pointers that it is given"),
];

/// Every `unsafe` outside the table, every stale line of the table, and every crate root that
/// neither forbids unsafe code nor has a file in the table.
pub(super) fn check(packages: &[Package], files: &[SourceFile]) -> Vec<Finding> {
    check_against(ALLOWED, packages, files)
}

fn check_against(
    allowed: &[(&str, &str)],
    packages: &[Package],
    files: &[SourceFile],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for file in files {
        let Some(line) = first_unsafe(&file.text) else { continue };
        match allowed.iter().find(|(path, _)| Path::new(path) == file.path) {
            Some((path, _)) => drop(used.insert(*path)),
            None => findings.push(Finding::at(
                &file.path,
                line,
                "unsafe code in a file that is not in the table (tidy/unsafe_code.rs)",
            )),
        }
    }
    let stale = allowed.iter().filter(|(path, _)| !used.contains(path));
    findings.extend(stale.map(|(path, _)| {
        Finding::new(Path::new(path), "in the table of tidy/unsafe_code.rs, but has no unsafe code")
    }));
    findings.extend(packages.iter().flat_map(|package| check_roots(allowed, package, files)));
    findings
}

fn check_roots(allowed: &[(&str, &str)], package: &Package, files: &[SourceFile]) -> Vec<Finding> {
    let sources = package.manifest.with_file_name("src");
    if allowed.iter().any(|(path, _)| Path::new(path).starts_with(&sources)) {
        return Vec::new();
    }
    let roots = files.iter().filter(|file| package.roots.contains(&file.path));
    let open = roots.filter(|file| !code_only(&file.text).contains("#![forbid(unsafe_code)]"));
    open.map(|file| Finding::new(&file.path, "the crate's root lacks #![forbid(unsafe_code)]"))
        .collect()
}

/// The line of the first `unsafe` in the code of `text`, or of a lint attribute that allows it.
fn first_unsafe(text: &str) -> Option<usize> {
    let code = code_only(text);
    let keyword = words(&code, "unsafe").next();
    let lints = ["allow(unsafe_code", "expect(unsafe_code", "warn(unsafe_code"];
    let attribute = lints.iter().filter_map(|lint| code.find(lint)).min();
    keyword.into_iter().chain(attribute).min().map(|at| line_of(&code, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&str, &str)] = &[("crates/a/src/sys.rs", "the only system calls")];

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    fn package(name: &str) -> Package {
        Package {
            name: name.into(),
            manifest: format!("crates/{name}/Cargo.toml").into(),
            dependencies: vec![],
            roots: vec![format!("crates/{name}/src/lib.rs").into()],
            has_library: true,
        }
    }

    #[test]
    fn unsafe_outside_the_table_is_found_with_its_line() {
        let files = [
            file("crates/a/src/sys.rs", "unsafe {}"),
            file("crates/a/src/lib.rs", "// unsafe\nfn f() { unsafe {} }"),
        ];
        let found = check_against(TABLE, &[package("a")], &files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
        assert_eq!(first_unsafe("#![allow(unsafe_code, reason = \"x\")]"), Some(1));
    }

    #[test]
    fn a_stale_line_of_the_table_is_found() {
        let found = check_against(TABLE, &[], &[file("crates/a/src/sys.rs", "fn f() {}")]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_root_must_forbid_unless_its_crate_is_in_the_table() {
        let open = file("crates/b/src/lib.rs", "// #![forbid(unsafe_code)]\n");
        let closed = file("crates/c/src/lib.rs", "#![forbid(unsafe_code)]\n");
        let listed = [file("crates/a/src/sys.rs", "unsafe {}"), file("crates/a/src/lib.rs", "")];
        let files = [vec![open, closed], listed.into()].concat();
        let found = check_against(TABLE, &[package("a"), package("b"), package("c")], &files);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, Path::new("crates/b/src/lib.rs"));
    }
}
