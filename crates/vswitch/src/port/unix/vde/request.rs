//! What a VDE client asks for, and what it is answered.
//!
//! `struct request_v3`, packed, in the machine's own byte order:
//!
//! | bytes | |
//! |---|---|
//! | 4 | `0xfeedface` |
//! | 4 | 3, the version |
//! | 4 | 0 in the lowest byte (a port), and the number of the port above it, 0 for any |
//! | 110 (macOS: 106) | a `sockaddr_un`: where the client's own datagram socket is |
//! | the rest | a description for people; nothing says where it ends |
//!
//! The answer is a `sockaddr_un` alone: where the switch's datagram socket is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::platform;

/// How many bytes the system's `sockaddr_un` has.
pub const ADDRESS_BYTES: usize = size_of::<libc::sockaddr_un>();

/// The shortest request: one without a description.
pub const REQUEST_BYTES_MIN: usize = HEAD_BYTES + ADDRESS_BYTES;

/// The longest: `vde_switch` reads so much (libvdeplug sends 250 bytes at most).
pub const REQUEST_BYTES_MAX: usize = 256;

const HEAD_BYTES: usize = 12;
const MAGIC: u32 = 0xfeed_face;
const VERSION: u32 = 3;
const PATH_AT: usize = std::mem::offset_of!(libc::sockaddr_un, sun_path);

/// A client asks for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The number of the port that it would like; 0 for any. A switch that does not number its
    /// ports gives it another.
    pub port: u32,
    /// Where it says that its datagram socket is: from the root on, and nothing else is known of
    /// it.
    pub data_socket: &'a Path,
    /// What it says of itself, any bytes.
    pub description: &'a [u8],
}

/// What is no request for a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It begins with something else.
    #[error("it begins with {found:#010x}; a VDE client begins with {MAGIC:#010x}")]
    Magic {
        /// What was there.
        found: u32,
    },
    /// A request of another version.
    #[error("it speaks version {found} of the protocol; {VERSION} is spoken here")]
    Version {
        /// What was there.
        found: u32,
    },
    /// Something else than a port is asked for.
    #[error("it asks for {found}; there are ports only, which is 0")]
    Kind {
        /// The lowest byte of what was there.
        found: u8,
    },
    /// The address is no unix socket's.
    #[error("its socket's address is of another family")]
    Family,
    /// The address has no path, or one that begins elsewhere than at the root, or that does not
    /// end.
    #[error("its socket has no path from the root on")]
    Path,
}

/// What a client has said so far: `None` while more is to come.
///
/// # Errors
/// [`RequestError`], as soon as it can be told.
pub fn parse(bytes: &[u8]) -> Result<Option<Request<'_>>, RequestError> {
    let word = |place: usize| {
        let (words, _) = bytes.as_chunks::<4>();
        words.get(place).copied().map(u32::from_ne_bytes)
    };
    match word(0) {
        None => return Ok(None),
        Some(MAGIC) => {}
        Some(found) => return Err(RequestError::Magic { found }),
    }
    match word(1) {
        None => return Ok(None),
        Some(VERSION) => {}
        Some(found) => return Err(RequestError::Version { found }),
    }
    let Some(kind) = word(2) else { return Ok(None) };
    let [.., lowest] = kind.to_be_bytes();
    if lowest != 0 {
        return Err(RequestError::Kind { found: lowest });
    }
    let Some((address, description)) = bytes[HEAD_BYTES..].split_first_chunk::<ADDRESS_BYTES>()
    else {
        return Ok(None);
    };
    Ok(Some(Request { port: kind >> 8, data_socket: path(address)?, description }))
}

fn path(address: &[u8; ADDRESS_BYTES]) -> Result<&Path, RequestError> {
    let (family, path) = address.split_at(PATH_AT);
    if !platform::is_unix_family(family) {
        return Err(RequestError::Family);
    }
    let len = path.iter().position(|byte| *byte == 0).ok_or(RequestError::Path)?;
    let path = &path[..len];
    if path.first() != Some(&b'/') {
        return Err(RequestError::Path);
    }
    Ok(Path::new(OsStr::from_bytes(path)))
}

/// The answer: where the switch's socket is. `None` for a path that no address holds.
#[must_use]
pub fn answer(path: &Path) -> Option<[u8; ADDRESS_BYTES]> {
    let bytes = path.as_os_str().as_bytes();
    let mut address = [0; ADDRESS_BYTES];
    let (family, place) = address.split_at_mut(PATH_AT);
    // One zero stays behind it.
    if bytes.is_empty() || bytes.contains(&0) || bytes.len() >= place.len() {
        return None;
    }
    family.copy_from_slice(&platform::UNIX_FAMILY);
    place[..bytes.len()].copy_from_slice(bytes);
    Some(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request as libvdeplug writes it: `path` in an address, or any bytes in its place.
    fn request(words: [u32; 3], family: [u8; 2], path: &[u8], description: &[u8]) -> Vec<u8> {
        let mut bytes = words.map(u32::to_ne_bytes).concat();
        bytes.extend(family);
        bytes.extend(path);
        bytes.resize(REQUEST_BYTES_MIN, 0);
        bytes.extend(description);
        bytes
    }

    const GOOD: [u32; 3] = [MAGIC, VERSION, 0];
    const UNIX: [u8; 2] = platform::UNIX_FAMILY;

    #[test]
    fn a_request_of_libvdeplug_is_read() {
        let bytes = request([MAGIC, VERSION, 7 << 8], UNIX, b"/tmp/v/.01234-00000", b"QEMU");
        let read = parse(&bytes).unwrap().unwrap();
        assert_eq!(read.port, 7);
        assert_eq!(read.data_socket, Path::new("/tmp/v/.01234-00000"));
        assert_eq!(read.description, b"QEMU");
        let bytes = request(GOOD, UNIX, b"/a", b"");
        assert_eq!(parse(&bytes).unwrap().unwrap().description, b"");
    }

    #[test]
    fn what_is_none_is_refused_as_soon_as_it_shows() {
        let whole = |words, family, path: &[u8]| request(words, family, path, b"");
        let full = [b'/'; ADDRESS_BYTES - PATH_AT];
        let cases = [
            (
                4,
                whole([0xdead_beef, 3, 0], UNIX, b"/a"),
                RequestError::Magic { found: 0xdead_beef },
            ),
            (8, whole([MAGIC, 1, 0], UNIX, b"/a"), RequestError::Version { found: 1 }),
            (
                8,
                whole([MAGIC, u32::MAX, 0], UNIX, b"/a"),
                RequestError::Version { found: u32::MAX },
            ),
            (12, whole([MAGIC, 3, 1], UNIX, b"/a"), RequestError::Kind { found: 1 }),
            (12, whole([MAGIC, 3, 0x1ff], UNIX, b"/a"), RequestError::Kind { found: 0xff }),
            (REQUEST_BYTES_MIN, whole(GOOD, [0, 0], b"/a"), RequestError::Family),
            (REQUEST_BYTES_MIN, whole(GOOD, [2, 2], b"/a"), RequestError::Family),
            (REQUEST_BYTES_MIN, whole(GOOD, UNIX, b""), RequestError::Path),
            (REQUEST_BYTES_MIN, whole(GOOD, UNIX, b"\0abstract"), RequestError::Path),
            (REQUEST_BYTES_MIN, whole(GOOD, UNIX, b"relative"), RequestError::Path),
            (REQUEST_BYTES_MIN, whole(GOOD, UNIX, &full), RequestError::Path),
        ];
        for (shows_at, bytes, error) in cases {
            assert_eq!(parse(&bytes[..shows_at - 1]), Ok(None), "{error}");
            assert_eq!(parse(&bytes[..shows_at]), Err(error.clone()));
            assert_eq!(parse(&bytes), Err(error));
        }
    }

    #[test]
    fn an_answer_is_an_address_with_a_zero_behind_its_path() {
        let told = answer(Path::new("/tmp/v/001.7")).unwrap();
        assert_eq!(path(&told), Ok(Path::new("/tmp/v/001.7")));
        let room = ADDRESS_BYTES - PATH_AT - 1;
        let longest = "/".repeat(room);
        assert_eq!(path(&answer(Path::new(&longest)).unwrap()), Ok(Path::new(&longest)));
        for none in [&*"/".repeat(room + 1), "", "/a\0b"] {
            assert_eq!(answer(Path::new(none)), None, "{none:?}");
        }
    }

    proptest! {
        /// However it is cut, a request is read when it is whole, and what is behind it is its
        /// description.
        #[test]
        fn a_request_is_whole_or_waited_for(
            port in 0_u32..1 << 24,
            path in "/[a-zA-Z0-9./é-]{0,50}",
            description in prop::collection::vec(any::<u8>(), 0..128),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = request([MAGIC, VERSION, port << 8], UNIX, path.as_bytes(), &description);
            let cut = cut.index(bytes.len() + 1);
            let read = parse(&bytes[..cut]).unwrap();
            prop_assert_eq!(read.is_some(), cut >= REQUEST_BYTES_MIN);
            if let Some(read) = read {
                prop_assert_eq!(read.port, port);
                prop_assert_eq!(read.data_socket, Path::new(&path));
                prop_assert_eq!(read.description, &bytes[REQUEST_BYTES_MIN..cut]);
            }
        }

        #[test]
        fn arbitrary_bytes_are_survived(
            good_bytes in 0_usize..=REQUEST_BYTES_MIN,
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut bytes = bytes;
            let good = request(GOOD, UNIX, b"/tmp/v/.1-0", b"");
            let good_bytes = good_bytes.min(bytes.len());
            bytes[..good_bytes].copy_from_slice(&good[..good_bytes]);
            if let Ok(Some(read)) = parse(&bytes) {
                prop_assert!(read.data_socket.is_absolute());
                let len = read.data_socket.as_os_str().len();
                prop_assert!(len < ADDRESS_BYTES - PATH_AT);
            }
        }
    }
}
