//! Clients of a switch's control socket, while it is measured.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::{Failure, Result, Trying as _};

/// How many ask for the counters, each once a second, as `vswitch top` does.
const ASKING: usize = 100;

/// How many listen for events and never read one.
const DEAF: usize = 100;

const ASK: &[u8] = b"GET /v1/stats HTTP/1.1\r\nhost: vswitch\r\n\r\n";
const WELL: &[u8; 15] = b"HTTP/1.1 200 OK";
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
        for client in &deaf {
            ask_once(client, LISTEN)?;
        }
        let asking = connect(control, ASKING)?;
        for client in &asking {
            ask_once(client, ASK)?;
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

/// Asks, and sees that an answer begins: nobody else would be measured.
fn ask_once(mut client: &UnixStream, request: &[u8]) -> Result<()> {
    client.write_all(request).trying("ask the control socket")?;
    let mut beginning = [0; WELL.len()];
    client.read_exact(&mut beginning).trying("read the control socket's answer")?;
    match beginning == *WELL {
        true => Ok(()),
        false => Err(Failure::new("ask the control socket", "it refuses")),
    }
}

fn ask_in_turn(clients: &[UnixStream], is_over: &AtomicBool) {
    let pause = Duration::from_secs(1) / u32::try_from(ASKING).unwrap_or(u32::MAX);
    let mut answer = [0; 16_384];
    for mut client in clients.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        // The answer to what it asked a second ago.
        loop {
            match client.read(&mut answer) {
                Ok(0) => panic!("the switch closed a client's connection"),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let _ = client.write(ASK);
        std::thread::sleep(pause);
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the clients were not there");
        }
    }
}
