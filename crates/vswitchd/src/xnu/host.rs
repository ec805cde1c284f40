//! A Mac's own kernel as the platform.

use std::path::Path;
use std::sync::Arc;

use ifctl::xnu::Owner;
use vswitch::port::unix::{
    Inherited, StreamConnectPort, StreamListener, VdeListener, given, inherit,
};
use vswitch::port::xnu::{DatagramPort, UnixgramPort};
use xnu_sys::{Descriptor, Host};

use super::{Attach, Identity, Xnu, XnuError};
use crate::access::Access;
use crate::config::Attachment;
use crate::platform::Attached;
use crate::socket_path::absolute;

/// This Mac.
pub type HostXnu = Xnu<Host, HostAttach>;

impl Default for HostXnu {
    fn default() -> Self {
        Self::new(Host, HostAttach, this_process())
    }
}

/// Sockets with paths in this Mac's file system, and descriptors that this process inherited.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostAttach;

impl Attach<Host> for HostAttach {
    fn attach(
        &mut self,
        kernel: &Host,
        attachment: Attachment,
        access: Access,
    ) -> Result<Attached, XnuError> {
        let access = access.of_sockets();
        Ok(match attachment {
            Attachment::Fd(number) => connected(*kernel, inherit(number).map_err(refused)?)?,
            Attachment::Given(socket) => {
                let socket = socket.take().ok_or(XnuError::Taken)?;
                connected(*kernel, given(socket).map_err(refused)?)?
            }
            Attachment::Unixgram(path) => {
                let port = UnixgramPort::bind(&absolute(path), access).map_err(refused)?;
                Attached::Port(Box::new(port))
            }
            Attachment::Stream(path) => {
                let listener = StreamListener::bind(&absolute(path), access).map_err(refused)?;
                Attached::Listener(Box::new(listener))
            }
            Attachment::StreamConnect(path) => {
                let path: &Path = &absolute(path);
                Attached::Port(Box::new(StreamConnectPort::new(path).map_err(refused)?))
            }
            Attachment::Vde(path) => {
                let listener = VdeListener::bind(&absolute(path), access).map_err(refused)?;
                Attached::Listener(Box::new(listener))
            }
            Attachment::Tap(name) => return Err(XnuError::Tap { name }),
        })
    }
}

fn connected(kernel: Host, socket: Inherited) -> Result<Attached, XnuError> {
    Ok(match socket {
        Inherited::Datagram(socket) => {
            let socket = Descriptor::new(kernel, kernel.adopt(socket));
            Attached::Port(Box::new(DatagramPort::new(socket).map_err(XnuError::Socket)?))
        }
        Inherited::Stream(port) => Attached::Port(Box::new(port)),
    })
}

fn refused(why: impl std::error::Error + Send + Sync + 'static) -> XnuError {
    XnuError::Attachment(Box::new(why))
}

/// This process, by its number and when it began: numbers are used again.
#[must_use]
pub fn this_process() -> Identity {
    let pid = std::process::id();
    let started = Host.process_started_us(pid).unwrap_or(0);
    let is_alive = |owner: Owner| match Host.process_started_us(owner.pid) {
        Some(started) => started == owner.started,
        None => false,
    };
    Identity { owner: Owner { pid, started }, is_alive: Arc::new(is_alive) }
}
