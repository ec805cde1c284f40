//! A page is run.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::common::VSWITCH;
use crate::page::{Commands, How, Page, Part, is_as_expected};

/// How long a block may take: an emulated machine starts in some, where others compute beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where `cargo xtask guest-image` puts its guest.
pub(crate) fn guest_image() -> PathBuf {
    Path::new(VSWITCH).parent().expect("a directory").join("../guest")
}

/// Runs all that a page has to be run.
pub(crate) fn play(page: &Page, guest: &Path) {
    let mut stage = Stage::new(&page.path, guest);
    for part in &page.parts {
        match part {
            Part::Section => stage.end_background(),
            Part::File(name, text) => fs::write(stage.path(name), stage.here(text)).expect(name),
            Part::Before(command) => {
                let of = |script: &str| Commands {
                    line: 0,
                    how: How::Succeeds,
                    script: script.to_owned(),
                    expected: None,
                };
                stage.run(&of(command));
            }
            Part::Variable(name, value) => stage.variables.push((name.clone(), value.clone())),
            Part::Commands(commands) => stage.run(commands),
        }
    }
    stage.end_background();
}

/// Where a page is run, and what runs there.
struct Stage {
    page: String,
    dir: tempfile::TempDir,
    background: Vec<Running>,
    variables: Vec<(String, String)>,
}

struct Running {
    child: Child,
    line: usize,
    printed: PathBuf,
}

impl Stage {
    fn new(page: &str, guest: &Path) -> Self {
        let dir = testkit::scratch_dir();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(VSWITCH, bin.join("vswitch")).unwrap();
        // Who runs this is root of its namespace already.
        fs::write(bin.join("sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
        fs::set_permissions(bin.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["tmp", "run", "target"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        symlink(guest, dir.path().join("target/guest")).unwrap();
        let stage =
            Self { page: page.to_owned(), dir, background: Vec::new(), variables: Vec::new() };
        testkit::command::ip("link set lo up");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A text in which the directories that all machines have are this page's own.
    fn here(&self, text: &str) -> String {
        let own = |name: &str| format!("{}/{name}/", self.dir.path().display());
        // This page's own may itself be in one of them.
        let text = text.replace("/tmp/", "\0").replace("/run/", "\x01");
        text.replace('\0', &own("tmp")).replace('\x01', &own("run"))
    }

    fn run(&mut self, commands: &Commands) {
        let place = format!("{}:{}", self.page, commands.line);
        match commands.how {
            How::Succeeds | How::Fails => {
                let (succeeded, printed) = self.once(commands);
                let wanted = commands.how == How::Succeeds;
                let all = self.all_that_was_printed();
                assert_eq!(succeeded, wanted, "{place}: it printed:\n{printed}{all}");
                self.expect(commands, &printed);
            }
            How::Eventually => {
                let expected = commands.expected.as_ref().expect("what it is to print");
                let mut last = String::new();
                let comes = testkit::wait_until(PATIENCE, || {
                    last = self.once(commands).1;
                    is_as_expected(&self.here(expected), &last)
                });
                let all = self.all_that_was_printed();
                assert!(comes, "{place}: at last it printed:\n{last}{all}");
            }
            How::Background => self.start(commands),
            How::MacOnly | How::NotRun => {
                let mut shell = self.shell();
                let is_read = shell.arg("-n").arg(self.script(commands)).status();
                assert!(is_read.expect("a shell").success(), "{place}: no shell reads this");
            }
        }
    }

    fn expect(&self, commands: &Commands, printed: &str) {
        let Some(expected) = &commands.expected else { return };
        let (expected, place) = (self.here(expected), format!("{}:{}", self.page, commands.line));
        assert!(
            is_as_expected(&expected, printed),
            "{place}: it is to print\n{expected}and it printed\n{printed}"
        );
    }

    fn script(&self, commands: &Commands) -> PathBuf {
        let path = self.path(&format!("line{}.sh", commands.line));
        fs::write(&path, self.here(&commands.script)).expect("write the commands");
        path
    }

    fn shell(&self) -> Command {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.path("bin");
        shell
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", bin.display()))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .process_group(0);
        shell.envs(self.variables.iter().map(|(name, value)| (name, value)));
        for name in ["SUDO_UID", "SUDO_GID", "RUST_LOG", "VSWITCH_CONTROL"] {
            shell.env_remove(name);
        }
        shell
    }

    /// Runs commands to their end; whether they succeeded, and all that they printed.
    fn once(&self, commands: &Commands) -> (bool, String) {
        let printed = self.path("printed");
        let file = File::create(&printed).expect("a file for what is printed");
        let mut shell = self.shell();
        shell.arg("-eu").arg(self.script(commands));
        shell.stdout(file.try_clone().expect("the same file")).stderr(file);
        let mut child = shell.spawn().expect("a shell");
        let is_over = testkit::wait_until(PATIENCE, || child.try_wait().expect("it").is_some());
        if !is_over {
            end(&child, Signal::SIGKILL);
        }
        let status = child.wait().expect("its end");
        let text = fs::read_to_string(&printed).unwrap_or_default();
        let place = format!("{}:{}", self.page, commands.line);
        assert!(is_over, "{place}: does not end; it printed:\n{text}");
        (status.success(), text)
    }

    /// Starts one command, which is up when it has printed a line, or what is expected.
    fn start(&mut self, commands: &Commands) {
        // In the shell's place, so that its end is the end of what was started.
        let command = Commands {
            script: format!("exec {}", commands.script),
            expected: commands.expected.clone(),
            ..*commands
        };
        let printed = self.path(&format!("printed{}", commands.line));
        let complaints = File::create(printed.with_extension("err")).expect("a file");
        let mut shell = self.shell();
        shell.arg("-eu").arg(self.script(&command));
        shell.stdout(File::create(&printed).expect("a file")).stderr(complaints);
        let child = shell.spawn().expect("a shell");
        self.background.push(Running { child, line: commands.line, printed: printed.clone() });
        let expected = commands.expected.as_ref().map(|text| self.here(text));
        let is_up = || {
            let text = fs::read_to_string(&printed).unwrap_or_default();
            expected.as_ref().map_or(text.contains('\n'), |of| is_as_expected(of, &text))
        };
        let comes = testkit::wait_until(PATIENCE, is_up);
        let all = self.all_that_was_printed();
        assert!(comes, "{}:{}: does not come up\n{all}", self.page, commands.line);
    }

    fn all_that_was_printed(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let of = |running: &Running| {
            let (out, err) = (&running.printed, running.printed.with_extension("err"));
            format!("--- line {} printed:\n{}{}", running.line, read(out), read(&err))
        };
        self.background.iter().map(of).collect()
    }

    /// The last that was started ends first. Each must end well.
    fn end_background(&mut self) {
        while let Some(mut running) = self.background.pop() {
            let ended = running.child.try_wait().expect("it");
            assert!(ended.is_none(), "{}:{}: it has ended: {ended:?}", self.page, running.line);
            end(&running.child, Signal::SIGTERM);
            let child = &mut running.child;
            let is_over = testkit::wait_until(PATIENCE, || child.try_wait().expect("it").is_some());
            if !is_over {
                end(child, Signal::SIGKILL);
            }
            let _ = child.wait();
            assert!(is_over, "{}:{}: does not end", self.page, running.line);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for mut running in self.background.drain(..) {
            end(&running.child, Signal::SIGKILL);
            let _ = running.child.wait();
        }
    }
}

/// A shell and all that it started.
fn end(child: &Child, signal: Signal) {
    let group = Pid::from_raw(child.id().try_into().expect("a process"));
    // Nobody is left of it: then it is over.
    let _ = killpg(group, signal);
}
