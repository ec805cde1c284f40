//! What a running switch tells, as `vswitch events --json` prints it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{SOON, wait_for};

/// A `vswitch events` that runs.
#[derive(Debug)]
pub(crate) struct Events {
    process: Child,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Events {
    /// Listens to the switch whose control socket is at `control`.
    #[track_caller]
    pub(crate) fn listen(control: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_vswitch"))
            .args(["events", "--json", "--control"])
            .arg(control)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run vswitch events");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let told = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("a line of JSON");
                to.lock().expect("no panic").push(event);
            }
        });
        let this = Self { process, told };
        wait_for("the listener is told that it listens", || !this.told().is_empty());
        this
    }

    /// All that was told so far.
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.lock().expect("no panic").clone()
    }

    /// How many events of this kind were told, in whose text are these words.
    pub(crate) fn count(&self, event: &str, words: &str) -> usize {
        let of = |told: &&Value| told["event"] == event && told.to_string().contains(words);
        self.told().iter().filter(of).count()
    }

    /// Waits until there are `count` events of this kind with these words.
    #[track_caller]
    pub(crate) fn expect(&self, count: usize, event: &str, words: &str) {
        let is_told = testkit::wait_until(SOON, || self.count(event, words) >= count);
        assert!(is_told, "not {count} times {event} {words}: {:#?}", self.told());
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
