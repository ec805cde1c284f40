//! The host's end of a TCP transfer whose bytes both ends know.

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// How long one read, write or attempt to connect may take before the transfer has failed.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How fast something went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) bytes: usize,
    pub(super) took: Duration,
}

/// Waits for one connection and checks that it brings `expected`.
pub(super) fn receive(listener: &TcpListener, expected: &[u8]) -> Result<Rate> {
    let what = "receive over TCP";
    let fail = |error: io::Error| Failure::new(what, error);
    let stream = accept(listener).map_err(fail)?;
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(fail)?;
    let started = Instant::now();
    check(stream, expected).map_err(fail)?;
    Ok(Rate { bytes: expected.len(), took: started.elapsed() })
}

/// Sends `bytes` and waits until the peer has closed its end.
pub(super) fn send(mut stream: TcpStream, bytes: &[u8]) -> Result<Rate> {
    let fail = |error: io::Error| Failure::new("send over TCP", error);
    stream.set_write_timeout(Some(SILENCE_MAX)).map_err(fail)?;
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(fail)?;
    let started = Instant::now();
    stream.write_all(bytes).map_err(fail)?;
    stream.shutdown(Shutdown::Write).map_err(fail)?;
    io::copy(&mut stream, &mut io::sink()).map_err(fail)?;
    Ok(Rate { bytes: bytes.len(), took: started.elapsed() })
}

/// Connects to a guest that has just begun to listen.
pub(super) fn connect(address: std::net::SocketAddr) -> Result<TcpStream> {
    let end = Instant::now() + SILENCE_MAX;
    loop {
        match TcpStream::connect_timeout(&address, SILENCE_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() >= end => {
                return Err(Failure::new(format!("connect to {address}"), error));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// `accept` that gives up.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let end = Instant::now() + SILENCE_MAX;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads to the end and compares.
fn check(mut stream: impl Read, expected: &[u8]) -> io::Result<()> {
    let mut left = expected;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        let Some(rest) = left.strip_prefix(&chunk[..count]) else {
            let after = expected.len() - left.len();
            return Err(io::Error::other(format!("wrong bytes within {count} after {after}")));
        };
        left = rest;
    }
    match left.len() {
        0 => Ok(()),
        missing => Err(io::Error::other(format!("it ended {missing} bytes too early"))),
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people, three digits of it")]
        let (bytes, seconds) = (self.bytes as f64, self.took.as_secs_f64().max(1e-9));
        write!(f, "{:.1} MB, {:.0} Mbit/s", bytes / 1e6, bytes * 8.0 / 1e6 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_bytes_pass_and_wrong_ones_do_not() {
        let expected = b"0123456789".to_vec();
        assert!(check(&expected[..], &expected).is_ok());
        assert!(check(&expected[..9], &expected).is_err());
        assert!(check(&[&expected[..], b"1"].concat()[..], &expected).is_err());
        assert!(check(&b"0123x56789"[..], &expected).is_err());
    }

    #[test]
    fn a_transfer_over_the_loopback_is_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = vec![7; 1_000_000];
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(connect(address)?, &bytes));
            assert_eq!(receive(&listener, &bytes).unwrap().bytes, bytes.len());
            sender.join().unwrap().unwrap();
        });
    }
}
