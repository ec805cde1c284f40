//! Clients of a switch's control socket, while it is measured.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Result, Trying as _};

/// How many ask for the counters, each once a second, as `vswitch top` does.
const ASKING: usize = 100;

/// How many listen for events and never read one.
const DEAF: usize = 100;

const ASK: &[u8] = b"GET /v1/stats HTTP/1.1\r\nhost: vswitch\r\n\r\n";
const LISTEN: &[u8] = b"GET /v1/events HTTP/1.1\r\nhost: vswitch\r\n\r\n";

/// Two hundred clients, until this is dropped.
#[derive(Debug)]
pub(super) struct Crowd {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _deaf: Vec<UnixStream>,
    _directory: TempDir,
}

impl Crowd {
    /// Connects them all; `directory` is that of the socket, and goes with them.
    pub(super) fn gather(control: &Path, directory: TempDir) -> Result<Self> {
        let deaf = connect(control, DEAF)?;
        for mut client in &deaf {
            client.write_all(LISTEN).trying("listen for events")?;
        }
        let asking = connect(control, ASKING)?;
        for client in &asking {
            client.set_nonblocking(true).trying("make a client's socket non-blocking")?;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || ask_in_turn(&asking, &over));
        Ok(Self { is_over, thread: Some(thread), _deaf: deaf, _directory: directory })
    }
}

fn connect(control: &Path, count: usize) -> Result<Vec<UnixStream>> {
    let connected = (0..count).map(|_| UnixStream::connect(control));
    connected.map(|stream| stream.trying("connect to the control socket")).collect()
}

fn ask_in_turn(clients: &[UnixStream], is_over: &AtomicBool) {
    let pause = Duration::from_secs(1) / u32::try_from(ASKING).unwrap_or(u32::MAX);
    let mut answer = [0; 16_384];
    for mut client in clients.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // The answer to what it asked a second ago.
        while client.read(&mut answer).is_ok_and(|len| len > 0) {}
        let _ = client.write(ASK);
        std::thread::sleep(pause);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
