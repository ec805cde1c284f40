//! Every command of the README and of the pages in [`RUN`] is run as it stands there.
//!
//! A page's blocks of shell commands are run in their order, in a directory and a network
//! namespace of the page's own, with `vswitch` on `PATH`; `/tmp/` and `/run/` are in it.
//! The words behind ```` ```sh ```` say how, and `docs/testing.md` has them:
//!
//! - nothing: it must succeed;
//! - `fails`: it must not;
//! - `eventually`: it is run again until it prints what is expected;
//! - `background`: it goes on while the next ones run, to the end of the section (`##`);
//! - `mac-only`: a client that there is on macOS only; read by a shell, not run;
//! - `no-run: REASON`: the same, for another reason.
//!
//! A ```` ```text ```` block behind one is what it prints, with `…` for what varies. Another block
//! with a name (```` ```toml vswitch.toml ````) is a file. What a page takes for granted stands in
//! `<!-- run: COMMAND -->` and `<!-- env: NAME=VALUE -->`.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod page;
mod play;

use std::path::{Path, PathBuf};

use page::{How, Page, Part};

/// The pages whose commands are run here.
const RUN: &[&str] = &["README.md", "docs/start.md", "docs/attach.md", "docs/operate.md"];

/// Pages whose commands other tests prove, each in its way and not block by block.
const PROVEN_ELSEWHERE: &[(&str, &str)] = &[
    ("docs/performance.md", "`cargo xtask bench`, for hours"),
    ("docs/testing.md", "`cargo xtask` itself, by `.ci/run`"),
    ("docs/macos.md", "for a person at a Mac"),
    ("docs/install.md", "crates/vswitch-cli/tests/packaging.rs and `cargo xtask package`"),
    ("docs/troubleshooting.md", "crates/vswitch-cli/tests/doctor.rs"),
    ("docs/drop-in.md", "crates/vswitch-cli/tests/drop_in.rs"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).expect(path);
    Page::parse(path, &text)
}

/// Runs one page on a thread of its own, which takes the namespace with it.
fn run(path: &str) {
    if !testkit::tool_or_skip("ip", "iproute2")
        || !testkit::tool_or_skip("curl", "curl")
        || !testkit::tool_or_skip("python3", "python3")
        || !testkit::tool_or_skip("qemu-system-x86_64", "qemu-system-x86")
        || !testkit::netns::enter_or_skip()
    {
        return;
    }
    play::play(&page(path), &play::guest_image());
}

#[test]
fn the_readme() {
    run("README.md");
}

#[test]
fn start() {
    if play::guest_image().join("vmlinuz").exists() {
        run("docs/start.md");
    } else {
        testkit::skip("there is no guest to boot (`cargo xtask guest-image` makes one)");
    }
}

#[test]
fn attach() {
    run("docs/attach.md");
}

#[test]
fn operate() {
    run("docs/operate.md");
}

/// No page has commands that nobody runs.
#[test]
fn all_pages_are_known() {
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let path = format!("docs/{name}");
        let is_known = RUN.contains(&&*path) || PROVEN_ELSEWHERE.iter().any(|(of, _)| *of == path);
        if !name.ends_with(".md") || is_known {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path)).expect("a page");
        if text.lines().any(|line| line.starts_with("```sh")) {
            unknown.push(path);
        }
    }
    assert!(unknown.is_empty(), "whose commands are run nowhere: {unknown:?}");
}

/// What is not run is counted, and the pages say how much that is.
#[test]
fn commands_that_are_not_run_are_counted() {
    let mut told = String::new();
    for path in RUN {
        let page = page(path);
        let count = |is_it: fn(&How) -> bool| {
            let of = |part: &Part| matches!(part, Part::Commands(of) if is_it(&of.how));
            page.parts.iter().filter(|part| of(part)).count()
        };
        let (all, mac) = (count(|_| true), count(|how| *how == How::MacOnly));
        let other = count(|how| matches!(how, How::NotRun));
        told += &format!("| `{path}` | {all} | {} | {mac} | {other} |\n", all - mac - other);
    }
    let testing = std::fs::read_to_string(root().join("docs/testing.md")).expect("testing.md");
    assert!(testing.contains(&told), "docs/testing.md is to have these lines:\n{told}");
}
