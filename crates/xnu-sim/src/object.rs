//! What a descriptor can be of.

use crate::machine::Machine;

/// A kernel object behind an open file; the numbers are those of the part that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Object {
    /// An `AF_UNIX` datagram socket (also the one by which requests about interfaces are made).
    Unix(u32),
    /// `/dev/bpfN`.
    Bpf(u32),
    /// A `PF_NDRV` socket.
    Ndrv(u32),
    /// A `PF_SYSTEM` event socket.
    Events(u32),
    /// A kqueue.
    Kqueue(u32),
}

impl Object {
    /// Whether it is a socket.
    pub(crate) const fn is_socket(self) -> bool {
        matches!(self, Self::Unix(_) | Self::Ndrv(_) | Self::Events(_))
    }
}

impl Machine {
    /// What an object is called in traces and fault plans.
    pub(crate) fn label(&self, object: Object) -> String {
        match object {
            Object::Unix(id) => format!("unix{id}"),
            Object::Bpf(minor) => format!("/dev/bpf{minor}"),
            Object::Ndrv(id) => format!("ndrv{id}"),
            Object::Events(id) => format!("events{id}"),
            Object::Kqueue(id) => format!("kqueue{id}"),
        }
    }

    /// The interface that a device listens on, or that a socket is bound to, by name.
    pub(crate) fn interface_of(&mut self, object: Object) -> Option<String> {
        let interface = match object {
            Object::Bpf(minor) => self.bpf_interface(minor),
            Object::Ndrv(id) => self.ndrv_interface(id),
            Object::Unix(_) | Object::Events(_) | Object::Kqueue(_) => None,
        };
        interface.map(|interface| self.net.name(interface))
    }

    /// The last descriptor of an object is closed: it ends.
    pub(crate) fn end(&mut self, object: Object) {
        match object {
            Object::Unix(id) => self.unix_close(id),
            Object::Bpf(minor) => self.bpf_close(minor),
            Object::Ndrv(id) => self.ndrv_close(id),
            Object::Events(id) => self.events_close(id),
            Object::Kqueue(id) => self.kqueue_close(id),
        }
    }
}
