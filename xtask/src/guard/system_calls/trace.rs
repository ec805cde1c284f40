//! What strace wrote.

use std::collections::BTreeMap;

/// The calls by which a thread waits for events.
pub(super) const WAITS: [&str; 3] = ["epoll_wait", "epoll_pwait", "poll"];

/// How often each system call was made by the threads that wait for events, and how often in all.
///
/// `log` has a line for each call, each beginning with its thread's number (`strace -f -o`).
pub(super) fn calls_of_the_loop(log: &str) -> BTreeMap<String, usize> {
    let calls = || log.lines().filter_map(call);
    let is_loop =
        |thread: &str| calls().any(|(other, name)| other == thread && WAITS.contains(&name));
    let mut counts = BTreeMap::new();
    for (_, name) in calls().filter(|(thread, _)| is_loop(thread)) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

/// A thread and the call that it begins on this line; none for signals, for exits, and for the rest
/// of a call that began on another line.
fn call(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once(char::is_whitespace)?;
    let (name, _) = rest.trim_start().split_once('(')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((thread, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_of_the_loops_thread_alone() {
        let log = "\
70  epoll_wait(4, [], 256, -1)      = -1 EINTR (Interrupted system call)
71  read(3,  <unfinished ...>
70  --- SIGCONT {si_signo=SIGCONT, si_code=SI_USER, si_pid=1, si_uid=0} ---
70  recvmmsg(6,  <unfinished ...>
71  <... read resumed>\"x\", 1)         = 1
70  <... recvmmsg resumed>[{msg_hdr={msg_name=NULL}}], 32, MSG_DONTWAIT, NULL) = 32
70  recvmmsg(6, [], 32, MSG_DONTWAIT, NULL) = -1 EAGAIN
70  --- stopped by SIGSTOP ---
70  +++ killed by SIGKILL +++
";
        let expected = [("epoll_wait", 1), ("recvmmsg", 2)];
        let counts = calls_of_the_loop(log);
        assert_eq!(counts.iter().map(|(n, c)| (n.as_str(), *c)).collect::<Vec<_>>(), expected);
    }
}
