//! Manual pages and completions, read by the programs they are for.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{output, vswitch};

/// The pages' names and directory.
fn pages(dir: &Path) -> Vec<String> {
    let written = output(vswitch(&format!("man {}", dir.display())));
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let told = String::from_utf8(written.stdout).unwrap();
    let name = |line: &str| Path::new(line).file_name().unwrap().to_str().unwrap().to_owned();
    told.lines().map(name).collect()
}

#[test]
fn each_command_has_a_page_that_groff_finds_no_fault_with() {
    if !testkit::tool_or_skip("groff", "groff-base") {
        return;
    }
    let dir = testkit::scratch_dir();
    let pages = pages(&dir.path().join("man"));
    for expected in ["vswitch.1", "vswitch-run.1", "vswitch-config-check.1", "vswitch-if-list.1"] {
        assert!(pages.iter().any(|page| page == expected), "{expected} is not in {pages:?}");
    }
    for page in &pages {
        let path = dir.path().join("man").join(page);
        let path = path.display();
        let mut groff = Command::new("groff");
        groff.args(["-k", "-man", "-ww", "-z", "-rCHECKSTYLE=3"]).arg(path.to_string());
        let checked = output(groff);
        let complaints = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && complaints.is_empty(), "{page}: {complaints}");
        let text = testkit::command::output("groff", &format!("-k -man -Tutf8 -P-cbou {path}"));
        let command = page.strip_suffix(".1").unwrap().replace('-', " ");
        // Each option that its help shows is in it.
        let help = output(vswitch(&format!("{} --help", &command["vswitch".len()..])));
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("--help"), "{help}");
        for option in help.split(|c: char| !(c.is_alphanumeric() || c == '-')) {
            if option.strip_prefix("--").is_some_and(|name| !name.is_empty()) {
                assert!(text.contains(option), "{page}: {option} is not in it\n{text}");
            }
        }
    }
}

/// A shell's completions, in a file.
fn completions(dir: &Path, shell: &str) -> String {
    // More than a pipe holds: to be read while it writes.
    let script = vswitch(&format!("completions {shell}")).output().unwrap();
    assert!(script.status.success(), "{shell}");
    let file = dir.join(shell);
    std::fs::write(&file, script.stdout).unwrap();
    file.display().to_string()
}

#[test]
fn bash_completes_commands_and_options() {
    let dir = testkit::scratch_dir();
    let file = completions(dir.path(), "bash");
    let completed = |line: &str| {
        let words = line.split(' ').count();
        let ask = format!(
            "source {file}; COMP_WORDS=({line}) COMP_CWORD={}; word=${{COMP_WORDS[COMP_CWORD]}}\n\
             \"$(complete -p vswitch | sed 's/.*-F \\([^ ]*\\).*/\\1/')\" vswitch \"$word\" x\n\
             echo \"${{COMPREPLY[@]}}\"",
            words - 1
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-euc", &ask]);
        let told = output(bash);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!(completed("vswitch ru"), "run");
    assert_eq!(completed("vswitch run --busy"), "--busy-poll");
    assert_eq!(completed("vswitch config ch"), "check");
    assert_eq!(completed("vswitch completions f"), "fish");
}

#[test]
fn zsh_and_fish_can_read_theirs() {
    for shell in ["zsh", "fish"] {
        if !testkit::tool_or_skip(shell, shell) {
            continue;
        }
        let dir = testkit::scratch_dir();
        let file = completions(dir.path(), shell);
        let mut command = Command::new(shell);
        command.args(["-n", &file]).env("HOME", dir.path());
        let checked = output(command);
        let complaints = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && complaints.is_empty(), "{shell}: {complaints}");
    }
    if testkit::tool_or_skip("fish", "fish") {
        let dir = testkit::scratch_dir();
        let file = completions(dir.path(), "fish");
        let mut fish = Command::new("fish");
        let ask = format!("source {file}; complete -C 'vswitch ru'");
        fish.args(["--no-config", "-c", &ask]).env("HOME", dir.path());
        let told = String::from_utf8(output(fish).stdout).unwrap();
        assert!(told.starts_with("run\t"), "{told}");
    }
}
