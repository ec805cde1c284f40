//! Any bytes as what a client of the HTTP server sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::list::List;
use super::{World, piece_bytes, right_of, settle};
use crate::api::connections::{serve_connection, slots};
use crate::api::right::Right;
use crate::events::Event;

/// No input comes to more than this, which is more than any body may have.
const SENT_BYTES_MAX: usize = 80 << 10;

/// A client that got so much goes, whatever else is told.
const READ_BYTES_MAX: usize = 256 << 10;

/// The bit of the first byte by which the connection is one for metrics.
const IS_METRICS: u8 = 0x20;

/// The bit by which the client says at once that it has no more to say.
const IS_HASTY: u8 = 0x10;

/// Any bytes as a connection to the HTTP server.
///
/// The first byte says who asks, by which socket, in pieces of which length the rest comes, and
/// whether the client waits for answers before it is done; the second how often what is behind the
/// last zero byte is sent, so that a short input can be a long request. Whoever may not change
/// something has changed nothing at the end, whoever may not ask was told nothing, and the
/// connection's place is free again.
pub fn http(bytes: &[u8]) {
    let [first, times, bytes @ ..] = bytes else { return };
    let world = World::take();
    let is_metrics = first & IS_METRICS != 0;
    let router = if is_metrics { world.metrics.clone() } else { world.router.clone() };
    let right = if is_metrics { Right::Look } else { right_of(*first) };
    let bytes = sent(bytes, usize::from(*times));
    let piece = piece_bytes(*first, bytes.len());
    let is_hasty = first & IS_HASTY != 0;
    let received = exchange(&world, router, right, Says { bytes, piece, is_hasty });
    assert!(received.is_empty() || received.starts_with(b"HTTP/1."), "no answer: {received:?}");
    assert!(!received.starts_with(b"HTTP/1.1 500"), "something panicked");
    world.check(right);
    world.list.clear();
}

/// What a client sends.
struct Says {
    bytes: Vec<u8>,
    /// In pieces of so many.
    piece: usize,
    is_hasty: bool,
}

/// What is answered to a client: the beginning.
fn exchange(world: &World, router: axum::Router, right: Right, says: Says) -> Vec<u8> {
    let places = slots(1);
    let place = Arc::clone(&places).try_acquire_owned().expect("it is free");
    let received = world.runtime.block_on(async {
        let (near, far) = tokio::io::duplex(4096);
        let client = tokio::spawn(client(near, says, Arc::clone(&world.list)));
        let mut served = Box::pin(serve_connection(far, router, right, place));
        // Who listens for events does so until there are no more.
        while tokio::time::timeout(Duration::from_millis(1), &mut served).await.is_err() {
            world.api.events().tell(Event::Ending);
        }
        let received = client.await.expect("the client does not panic");
        settle().await;
        received
    });
    assert_eq!(places.available_permits(), 1, "the connection's place is not free again");
    received
}

/// All that comes, the part behind the last zero byte so many times.
fn sent(bytes: &[u8], times: usize) -> Vec<u8> {
    let Some(at) = bytes.iter().rposition(|byte| *byte == 0) else { return bytes.to_vec() };
    let (once, often) = (&bytes[..at], &bytes[at + 1..]);
    let mut all = once.to_vec();
    for _ in 0..times {
        if all.len() + often.len() > SENT_BYTES_MAX {
            break;
        }
        all.extend_from_slice(often);
    }
    all
}

/// Sends everything, and gives the beginning of what comes back.
async fn client(near: DuplexStream, says: Says, list: Arc<List>) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(near);
    let received = Arc::new(AtomicUsize::new(0));
    let so_far = Arc::clone(&received);
    let writing = tokio::spawn(async move {
        for piece in says.bytes.chunks(says.piece) {
            if writer.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        if !says.is_hasty {
            all_is_quiet(&list, &so_far).await;
        }
        // The server may have closed it.
        let _ = writer.shutdown().await;
    });
    let mut beginning = Vec::new();
    let mut count = 0;
    let mut piece = [0; 4096];
    while count < READ_BYTES_MAX {
        let len = match reader.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(len) => len,
        };
        count += len;
        received.store(count, Ordering::Relaxed);
        if beginning.is_empty() {
            beginning.extend_from_slice(&piece[..len]);
        }
    }
    drop(reader);
    if count >= READ_BYTES_MAX {
        writing.abort();
    }
    // It is aborted, or done: the server reads no more or has read everything.
    let _ = writing.await;
    beginning
}

/// Waits until nothing is asked and nothing answered any more.
async fn all_is_quiet(list: &List, received: &AtomicUsize) {
    let mut last = (0, 0);
    let mut quiet_rounds = 0;
    while quiet_rounds < 3 {
        settle().await;
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        let now = (list.asked(), received.load(Ordering::Relaxed));
        quiet_rounds = if now == last { quiet_rounds + 1 } else { 0 };
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_last_zero_comes_often() {
        assert_eq!(sent(b"a\0b\0cd", 3), b"a\0bcdcdcd");
        assert_eq!(sent(b"ab", 3), b"ab");
        assert_eq!(sent(b"ab\0", 3), b"ab");
        assert_eq!(sent(b"\0xxxx", 0), b"");
    }

    /// The first line of the answer to a request.
    fn answer_to(world: &World, text: &str) -> String {
        let bytes = text.as_bytes().to_vec();
        let says = Says { bytes, piece: 7, is_hasty: false };
        let received = exchange(world, world.router.clone(), Right::Change, says);
        String::from_utf8_lossy(&received).lines().next().unwrap_or_default().to_owned()
    }

    /// Without this, targets that reach nothing would find nothing either.
    #[test]
    fn a_request_is_answered_and_changes_what_is_there() {
        let world = World::take();
        let path = "/v1/networks/lan/ports/vm1";
        assert_eq!(answer_to(&world, &format!("GET {path} HTTP/1.1\r\n\r\n")), "HTTP/1.1 200 OK");
        assert_eq!((world.list.asked() > 0, world.list.changed()), (true, 0));
        let removed = answer_to(&world, &format!("DELETE {path} HTTP/1.1\r\n\r\n"));
        assert_eq!((removed.as_str(), world.list.changed()), ("HTTP/1.1 204 No Content", 1));
    }

    #[test]
    fn a_long_head_is_refused_before_it_is_kept() {
        let world = World::take();
        for (bytes, status) in [(1 << 10, "404 "), (64 << 10, "431 ")] {
            let text = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(bytes));
            let first = answer_to(&world, &text);
            assert!(first.contains(status), "{bytes}: {first}");
        }
    }
}
