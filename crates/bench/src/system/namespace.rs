//! Network namespaces, each kept by a thread that lives in it.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Pid, Uid, gettid};

use super::program;
use crate::failure::{Failure, Result, Trying as _};

/// Moves this process into a namespace of its own, in which it may do as it likes; as an ordinary
/// user into a user namespace, too. Before any thread is started.
pub(crate) fn enter() -> Result<()> {
    let what = "enter a network namespace";
    if !Uid::effective().is_root() || unshare(CloneFlags::CLONE_NEWNET).is_err() {
        let (user, group) = (Uid::effective(), Gid::effective());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).trying(what)?;
        std::fs::write("/proc/self/setgroups", "deny").trying(what)?;
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).trying(what)?;
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1")).trying(what)?;
    }
    program::run("ip link set lo up").map(drop)
}

type Job = Box<dyn FnOnce() + Send>;

/// A namespace. It goes with its thread, and with what was started from it.
#[derive(Debug)]
pub(crate) struct Namespace {
    jobs: Sender<Job>,
    thread: Pid,
}

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        let (jobs, todo) = channel::<Job>();
        let (said, ready) = channel();
        thread::spawn(move || {
            let entered = unshare(CloneFlags::CLONE_NEWNET)
                .trying("make a network namespace")
                .and_then(|()| program::run("ip link set lo up"))
                .map(|_| gettid());
            let lives = entered.is_ok();
            let _ = said.send(entered);
            while lives && let Ok(job) = todo.recv() {
                job();
            }
        });
        let thread = ready.recv().trying("make a network namespace")??;
        Ok(Self { jobs, thread })
    }

    /// Does `job` inside: sockets that it makes are of the namespace, processes that it starts live
    /// there.
    pub(crate) fn inside<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (said, answer) = channel();
        let job: Job = Box::new(move || drop(said.send(job())));
        let gone = |_| Failure::new("work in a network namespace", "its thread has ended");
        self.jobs.send(job).map_err(|_| gone(()))?;
        answer.recv().map_err(|_| gone(()))?
    }

    /// Runs command lines inside, one after the other.
    pub(crate) fn run(&self, lines: &[String]) -> Result<()> {
        let lines = lines.to_vec();
        self.inside(move || lines.iter().try_for_each(|line| program::run(line).map(drop)))
    }

    /// Moves an interface here from another namespace.
    pub(crate) fn take_from(&self, other: &Self, interface: &str) -> Result<()> {
        other.run(&[format!("ip link set {interface} netns {}", self.thread)])
    }
}
