//! A VDE client as libvdeplug is one (`vde_vde_open` in its libvdeplug_vde.c), in words of its own.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `struct sockaddr_un`: two bytes, and a path of 108 on Linux, of 104 on macOS.
pub(crate) const ADDRESS: usize = if cfg!(target_os = "macos") { 106 } else { 110 };

const PATIENCE: Duration = Duration::from_secs(5);

/// A client that has its port.
#[derive(Debug)]
pub(crate) struct VdeClient {
    pub(crate) control: UnixStream,
    pub(crate) data: UnixDatagram,
    /// Where the switch's socket is.
    pub(crate) theirs: PathBuf,
}

impl VdeClient {
    /// Asks the switch in `dir` for a port.
    pub(crate) fn join(dir: &Path) -> io::Result<Self> {
        let own = own_path(dir);
        let data = UnixDatagram::bind(&own)?;
        let joined = Self::join_as(dir, &own, data);
        std::fs::remove_file(own)?;
        joined
    }

    /// The same with a socket that is at `own` already.
    pub(crate) fn join_as(dir: &Path, own: &Path, data: UnixDatagram) -> io::Result<Self> {
        let mut control = UnixStream::connect(dir.join("ctl"))?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.write_all(&request(own.as_os_str().as_bytes()))?;
        let mut answer = [0; ADDRESS];
        control.read_exact(&mut answer)?;
        let path = answer[2..].split(|byte| *byte == 0).next().unwrap_or_default();
        let theirs = PathBuf::from(OsStr::from_bytes(path));
        data.connect(&theirs)?;
        data.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { control, data, theirs })
    }
}

/// A name for a client's socket as libvdeplug chooses it.
pub(crate) fn own_path(dir: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!(".{:05}-{number:05}", std::process::id()))
}

/// What a client with a socket at `path` says.
pub(crate) fn request(path: &[u8]) -> Vec<u8> {
    let mut bytes = [0xfeed_face_u32, 3, 0].map(u32::to_ne_bytes).concat();
    bytes.extend(if cfg!(target_os = "macos") { [106, 1] } else { 1_u16.to_ne_bytes() });
    bytes.extend(path);
    bytes.resize(12 + ADDRESS, 0);
    bytes.extend(b"a test");
    bytes
}
