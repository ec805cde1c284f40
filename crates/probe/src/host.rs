//! The [throughput](crate::throughput) protocol over the host's own TCP stack: the other side of a
//! transfer between a guest and the machine it runs on.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{ConnectionEnd, Step, TaskError};
use crate::throughput::{Amount, ClientSession, ServerSession, Session, TransferReport, Way};

/// A throughput server on the host's stack, in threads of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the clients of `listener`.
    ///
    /// # Errors
    /// When the listener has no address or the system gives no thread.
    pub fn start(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        let accept = move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                // A client that breaks off, and a system without another thread, end that client
                // alone.
                let _ = std::thread::Builder::new().spawn(move || serve(stream));
            }
        };
        let thread = std::thread::Builder::new().name("throughput server".into()).spawn(accept)?;
        Ok(Self { address, stopped, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let mut to = self.address;
        if to.ip().is_unspecified() {
            to.set_ip(if to.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        // Wakes the thread from accept(2). Where nothing gets through, it is left to itself.
        if TcpStream::connect_timeout(&to, Duration::from_secs(1)).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Transfers `amount` from or to a throughput server, over the host's stack.
///
/// # Errors
/// As [`crate::Transfer`]; nothing may stand still for longer than ten seconds.
pub fn transfer(peer: SocketAddr, way: Way, amount: Amount) -> Result<TransferReport, TaskError> {
    let began = Instant::now();
    let failed = |error: &io::Error, step| match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            TaskError::TimedOut { step, waited: began.elapsed() }
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            TaskError::NoRoute(peer.ip())
        }
        io::ErrorKind::ConnectionRefused => {
            TaskError::Connection { peer, what: ConnectionEnd::Refused, step }
        }
        _ => TaskError::Connection { peer, what: ConnectionEnd::Reset, step },
    };
    let stream = TcpStream::connect_timeout(&peer, SILENCE_MAX)
        .map_err(|error| failed(&error, Step::Connecting))?;
    let since = Instant::now();
    let mut session = ClientSession::new(way, amount, Duration::ZERO);
    let ended = converse(stream, &mut session, since);
    match (session.end(), ended) {
        (Some(Ok(bytes)), _) => {
            Ok(TransferReport { way, bytes: *bytes, elapsed: since.elapsed(), retransmits: None })
        }
        (Some(Err(error)), _) => Err(error.clone()),
        (None, Err(error)) => Err(failed(&error, session.step())),
        (None, Ok(())) => {
            let (what, step) = (ConnectionEnd::Reset, session.step());
            Err(TaskError::Connection { peer, what, step })
        }
    }
}

fn serve(stream: TcpStream) {
    // Whatever goes wrong, the client is the one to tell of it.
    let _ = converse(stream, &mut ServerSession::new(), Instant::now());
}

/// Carries out one side of a conversation, blocking: what this side has to say comes first, then it
/// listens.
fn converse(mut stream: TcpStream, session: &mut impl Session, since: Instant) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut is_shut = false;
    loop {
        let len = session.produce(&mut buffer, since.elapsed());
        if len > 0 {
            stream.write_all(&buffer[..len])?;
            continue;
        }
        if session.has_sent_all() && !is_shut {
            is_shut = true;
            stream.shutdown(Shutdown::Write)?;
        }
        if session.is_done() {
            return Ok(());
        }
        let room = session.room().min(buffer.len());
        let len = match stream.read(&mut buffer[..room]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if len == 0 {
            session.peer_closed(since.elapsed());
        } else {
            session.received(&buffer[..len], since.elapsed());
        }
    }
}

const SILENCE_MAX: Duration = Duration::from_secs(10);
const BUFFER_BYTES: usize = 128 * 1024;
