//! Both sides of the protocol without IO: bytes in, bytes out, and the time.

use std::time::Duration;

use super::{Amount, Way, pattern};
use crate::error::{Step, TaskError};

/// One side of a TCP conversation.
pub(crate) trait Session {
    /// How many bytes this side would take now.
    fn room(&self) -> usize;
    /// Bytes arrived: at most [`Session::room`].
    fn received(&mut self, bytes: &[u8], now: Duration);
    /// The peer will send no more.
    fn peer_closed(&mut self, now: Duration);
    /// Writes what this side sends next to the start of `buffer`; 0: nothing now.
    fn produce(&mut self, buffer: &mut [u8], now: Duration) -> usize;
    /// Whether this side will send no more.
    fn has_sent_all(&self) -> bool;
    /// Whether the conversation is over for this side.
    fn is_done(&self) -> bool;
    /// Whether it went as it should.
    fn is_well(&self) -> bool;
}

/// The server's side.
#[derive(Debug)]
pub(crate) struct ServerSession(Server);

#[derive(Debug)]
enum Server {
    Request(Vec<u8>),
    Upload { offset: u64, wrong_at: Option<u64> },
    Download { offset: u64, amount: Amount, until: Option<Duration> },
    Reply { text: Vec<u8>, well: bool },
    Done { well: bool },
}

impl ServerSession {
    pub(crate) const fn new() -> Self {
        Self(Server::Request(Vec::new()))
    }

    fn request(&mut self, line: &[u8], now: Duration) {
        let line = std::str::from_utf8(line).unwrap_or("");
        self.0 = match line.split_once(' ') {
            None if line == "upload" => Server::Upload { offset: 0, wrong_at: None },
            Some(("download", amount)) => match parse_amount(amount) {
                Some(amount) => {
                    let until = match amount {
                        Amount::Time(time) => Some(now + time),
                        Amount::Bytes(_) => None,
                    };
                    Server::Download { offset: 0, amount, until }
                }
                None => refuse("download BYTES or MSms"),
            },
            _ => refuse("upload or download"),
        };
    }
}

impl Session for ServerSession {
    fn room(&self) -> usize {
        match &self.0 {
            Server::Request(line) => LINE_MAX - line.len(),
            _ => usize::MAX,
        }
    }

    fn received(&mut self, bytes: &[u8], now: Duration) {
        match &mut self.0 {
            Server::Request(line) => {
                let (head, rest) = match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
                    None => (bytes, None),
                };
                line.extend_from_slice(head);
                let line = std::mem::take(line);
                match rest {
                    Some(rest) => {
                        self.request(&line, now);
                        if !rest.is_empty() {
                            self.received(rest, now);
                        }
                    }
                    None if line.len() >= LINE_MAX => self.0 = refuse("a line of up to 64 bytes"),
                    None => self.0 = Server::Request(line),
                }
            }
            Server::Upload { offset, wrong_at } => {
                if wrong_at.is_none() {
                    let wrong = pattern::mismatch(*offset, bytes);
                    *wrong_at = wrong.map(|index| *offset + index as u64);
                }
                *offset += bytes.len() as u64;
            }
            _ => {}
        }
    }

    fn peer_closed(&mut self, _: Duration) {
        match &self.0 {
            Server::Request(_) => self.0 = Server::Done { well: false },
            Server::Upload { offset, wrong_at } => {
                let (text, well) = match wrong_at {
                    None => (format!("ok {offset}\n"), true),
                    Some(wrong_at) => (format!("bad {wrong_at}\n"), false),
                };
                self.0 = Server::Reply { text: text.into_bytes(), well };
            }
            // A client may close its side while it downloads.
            _ => {}
        }
    }

    fn produce(&mut self, buffer: &mut [u8], now: Duration) -> usize {
        match &mut self.0 {
            Server::Request(_) | Server::Upload { .. } | Server::Done { .. } => 0,
            Server::Download { offset, amount, until } => {
                let len = produce_pattern(offset, *amount, *until, buffer, now);
                if len == 0 && !buffer.is_empty() {
                    self.0 = Server::Done { well: true };
                }
                len
            }
            Server::Reply { text, well } => {
                let len = text.len().min(buffer.len());
                buffer[..len].copy_from_slice(&text[..len]);
                text.drain(..len);
                if text.is_empty() {
                    self.0 = Server::Done { well: *well };
                }
                len
            }
        }
    }

    fn has_sent_all(&self) -> bool {
        self.is_done()
    }

    fn is_done(&self) -> bool {
        matches!(self.0, Server::Done { .. })
    }

    fn is_well(&self) -> bool {
        matches!(self.0, Server::Done { well: true })
    }
}

/// The client's side.
#[derive(Debug)]
pub(crate) struct ClientSession {
    way: Way,
    amount: Amount,
    until: Option<Duration>,
    request: Vec<u8>,
    offset: u64,
    verdict: Vec<u8>,
    sent_all: bool,
    end: Option<ClientEnd>,
}

/// How it ended for a client.
type ClientEnd = Result<u64, TaskError>;

impl ClientSession {
    /// A client whose connection is established at `now`.
    pub(crate) fn new(way: Way, amount: Amount, now: Duration) -> Self {
        let request = match (way, amount) {
            (Way::Upload, _) => "upload\n".to_owned(),
            (Way::Download, Amount::Bytes(bytes)) => format!("download {bytes}\n"),
            (Way::Download, Amount::Time(time)) => format!("download {}ms\n", time.as_millis()),
        };
        let until = match amount {
            Amount::Time(time) => Some(now + time),
            Amount::Bytes(_) => None,
        };
        Self {
            way,
            amount,
            until,
            request: request.into_bytes(),
            offset: 0,
            verdict: Vec::new(),
            sent_all: false,
            end: None,
        }
    }

    /// The number of bytes transferred, or what went wrong, once it is over.
    pub(crate) fn end(&self) -> Option<&ClientEnd> {
        self.end.as_ref()
    }

    /// What is going on.
    pub(crate) fn step(&self) -> Step {
        match self.way {
            Way::Download => Step::Receiving,
            Way::Upload if self.sent_all => Step::Verdict,
            Way::Upload => Step::Sending,
        }
    }

    fn read_verdict(&self) -> ClientEnd {
        let text = String::from_utf8_lossy(&self.verdict);
        let protocol = || TaskError::Protocol(text.trim_end().to_owned());
        let line = text.strip_suffix('\n').ok_or_else(protocol)?;
        let (word, number) = line.split_once(' ').ok_or_else(protocol)?;
        let number: Option<u64> = number.parse().ok();
        match (word, number) {
            ("ok", Some(bytes)) if bytes == self.offset => Ok(bytes),
            ("bad", Some(offset)) => Err(TaskError::Content { offset }),
            _ => Err(protocol()),
        }
    }

    /// A download that ends short may be the server's complaint.
    fn finish_download(&self) -> ClientEnd {
        match self.amount {
            Amount::Bytes(bytes) if bytes != self.offset => {
                let what = format!("{} bytes instead of {bytes}", self.offset);
                Err(TaskError::Protocol(what))
            }
            _ => Ok(self.offset),
        }
    }
}

impl Session for ClientSession {
    fn room(&self) -> usize {
        match self.way {
            Way::Download => usize::MAX,
            Way::Upload => LINE_MAX - self.verdict.len(),
        }
    }

    fn received(&mut self, bytes: &[u8], _: Duration) {
        if self.end.is_some() {
            return;
        }
        match self.way {
            Way::Download => {
                if let Some(index) = pattern::mismatch(self.offset, bytes) {
                    let complaint = (self.offset == 0).then(|| complaint(bytes)).flatten();
                    let offset = self.offset + index as u64;
                    self.end = Some(Err(complaint.unwrap_or(TaskError::Content { offset })));
                }
                self.offset += bytes.len() as u64;
            }
            Way::Upload => {
                self.verdict.extend_from_slice(bytes);
                let full = self.verdict.len() >= LINE_MAX;
                if full || self.verdict.ends_with(b"\n") {
                    self.end = Some(self.read_verdict());
                }
            }
        }
    }

    fn peer_closed(&mut self, _: Duration) {
        if self.end.is_none() {
            self.end = Some(match self.way {
                Way::Download => self.finish_download(),
                Way::Upload => self.read_verdict(),
            });
        }
    }

    fn produce(&mut self, buffer: &mut [u8], now: Duration) -> usize {
        if !self.request.is_empty() {
            let len = self.request.len().min(buffer.len());
            buffer[..len].copy_from_slice(&self.request[..len]);
            self.request.drain(..len);
            return len;
        }
        if self.way == Way::Download || self.sent_all {
            return 0;
        }
        let len = produce_pattern(&mut self.offset, self.amount, self.until, buffer, now);
        self.sent_all = len == 0 && !buffer.is_empty();
        len
    }

    /// A client that downloads keeps its side open: some programs take a half-closed connection
    /// for a client that left.
    fn has_sent_all(&self) -> bool {
        self.sent_all
    }

    fn is_done(&self) -> bool {
        self.end.is_some()
    }

    fn is_well(&self) -> bool {
        matches!(self.end, Some(Ok(_)))
    }
}

fn produce_pattern(
    offset: &mut u64,
    amount: Amount,
    until: Option<Duration>,
    buffer: &mut [u8],
    now: Duration,
) -> usize {
    let left = match (amount, until) {
        (Amount::Bytes(bytes), _) => bytes.saturating_sub(*offset),
        (Amount::Time(_), Some(until)) if now >= until => 0,
        (Amount::Time(_), _) => u64::MAX,
    };
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    pattern::fill(*offset, &mut buffer[..len]);
    *offset += len as u64;
    len
}

/// `BYTES`, or `MSms`, in decimal; a time up to an hour.
fn parse_amount(text: &str) -> Option<Amount> {
    let digits = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok()).flatten()
    };
    match text.strip_suffix("ms") {
        Some(ms) => {
            let time = Duration::from_millis(digits(ms)?);
            (time <= TIME_MAX).then_some(Amount::Time(time))
        }
        None => digits(text).map(Amount::Bytes),
    }
}

fn refuse(expected: &str) -> Server {
    Server::Reply { text: format!("error expected {expected}\n").into_bytes(), well: false }
}

/// A server's `error WHY` in the place of content.
fn complaint(bytes: &[u8]) -> Option<TaskError> {
    let text = bytes.strip_prefix(b"error ")?;
    let text = &text[..text.len().min(LINE_MAX)];
    Some(TaskError::Protocol(format!("error {}", String::from_utf8_lossy(text).trim_end())))
}

/// The longest line of the protocol, its line feed included. Bytes.
const LINE_MAX: usize = 64;
/// The longest transfer by time that a server takes on.
const TIME_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Moves bytes both ways in pieces of up to `piece` bytes until both sides are done.
    fn converse(client: &mut ClientSession, server: &mut ServerSession, piece: usize) {
        let mut now = Duration::ZERO;
        let mut buffer = vec![0; piece];
        let (mut client_closed, mut server_closed) = (false, false);
        for _ in 0..1_000_000 {
            now += Duration::from_millis(1);
            let room = server.room().min(piece);
            let len = client.produce(&mut buffer[..room], now);
            server.received(&buffer[..len], now);
            if client.has_sent_all() && !client_closed {
                client_closed = true;
                server.peer_closed(now);
            }
            let room = client.room().min(piece);
            let len = server.produce(&mut buffer[..room], now);
            client.received(&buffer[..len], now);
            if server.has_sent_all() && !server_closed {
                server_closed = true;
                client.peer_closed(now);
            }
            if client.is_done() {
                return;
            }
        }
        panic!("no end");
    }

    #[test]
    fn a_time_bounded_transfer_ends_both_ways() {
        for way in [Way::Upload, Way::Download] {
            let amount = Amount::Time(Duration::from_millis(50));
            let mut client = ClientSession::new(way, amount, Duration::ZERO);
            converse(&mut client, &mut ServerSession::new(), 100);
            let bytes = client.end().cloned().expect("an end").expect("a good end");
            assert!((4000..6000).contains(&bytes), "{way:?}: {bytes}");
        }
    }

    #[test]
    fn a_wrong_byte_is_named() {
        let mut server = ServerSession::new();
        server.received(b"upload\n", Duration::ZERO);
        let mut content = vec![0; 1000];
        pattern::fill(0, &mut content);
        content[777] ^= 0x80;
        server.received(&content, Duration::ZERO);
        server.peer_closed(Duration::ZERO);
        let mut reply = [0; 64];
        let len = server.produce(&mut reply, Duration::ZERO);
        assert_eq!(&reply[..len], b"bad 777\n");
        assert!(server.is_done() && !server.is_well());

        let mut client = ClientSession::new(Way::Download, Amount::Bytes(1000), Duration::ZERO);
        client.received(&content, Duration::ZERO);
        assert_eq!(client.end(), Some(&Err(TaskError::Content { offset: 777 })));
    }

    #[test]
    fn a_short_download_is_no_success() {
        let mut client = ClientSession::new(Way::Download, Amount::Bytes(10), Duration::ZERO);
        client.peer_closed(Duration::ZERO);
        assert!(matches!(client.end(), Some(Err(TaskError::Protocol(_)))));
    }

    #[test]
    fn other_requests_are_refused() {
        for request in
            ["\n", "GET / HTTP/1.1\n", "download\n", "download +5\n", "download 9999999ms\n"]
        {
            let mut server = ServerSession::new();
            server.received(request.as_bytes(), Duration::ZERO);
            let mut reply = [0; 64];
            let len = server.produce(&mut reply, Duration::ZERO);
            assert!(reply[..len].starts_with(b"error "), "{request:?}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_arrives_in_any_pieces(bytes in 0_u64..5000, piece in 1_usize..300) {
            for way in [Way::Upload, Way::Download] {
                let mut client = ClientSession::new(way, Amount::Bytes(bytes), Duration::ZERO);
                let mut server = ServerSession::new();
                converse(&mut client, &mut server, piece);
                prop_assert_eq!(client.end(), Some(&Ok(bytes)));
            }
        }

        #[test]
        fn any_bytes_are_survived(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8),
        ) {
            let mut server = ServerSession::new();
            let mut client = ClientSession::new(Way::Upload, Amount::Bytes(5), Duration::ZERO);
            let mut buffer = [0; 64];
            for piece in &pieces {
                let fits = piece.len().min(server.room());
                server.received(&piece[..fits], Duration::ZERO);
                server.produce(&mut buffer, Duration::ZERO);
                let fits = piece.len().min(client.room());
                client.received(&piece[..fits], Duration::ZERO);
            }
            server.peer_closed(Duration::ZERO);
            client.peer_closed(Duration::ZERO);
            prop_assert!(client.is_done());
        }
    }
}
