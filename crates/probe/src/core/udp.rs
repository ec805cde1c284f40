//! UDP ports of a guest.

use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp;

use super::GuestCore;
use crate::error::{ConfigError, TaskError};

/// A bound UDP port of a [`GuestCore`], until [`GuestCore::udp_close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPort {
    pub(crate) handle: SocketHandle,
    /// The port's number.
    pub number: u16,
}

/// A datagram that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its sender.
    pub from: SocketAddr,
    /// The address it was sent to: one of the guest's, a group, or broadcast.
    pub to: Option<IpAddr>,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl GuestCore {
    /// Binds a UDP port on all of the guest's addresses and groups.
    ///
    /// # Errors
    /// When the number is 0 or taken.
    pub fn udp_bind(&mut self, number: u16) -> Result<UdpPort, ConfigError> {
        let taken = self.sockets.iter().any(|(_, socket)| match socket {
            smoltcp::socket::Socket::Udp(socket) => socket.endpoint().port == number,
            _ => false,
        });
        let mut socket = udp::Socket::new(buffer(), buffer());
        if taken || socket.bind(number).is_err() {
            return Err(ConfigError::UdpPort(number));
        }
        Ok(UdpPort { handle: self.sockets.add(socket), number })
    }

    /// Queues a datagram; the next poll sends it.
    ///
    /// # Errors
    /// When there is no route, when it is too large for one packet, or when the port's queue is
    /// full.
    pub fn udp_send(
        &mut self,
        port: UdpPort,
        to: SocketAddr,
        payload: &[u8],
    ) -> Result<(), TaskError> {
        self.source_for(to.ip())?;
        let headers = if to.is_ipv4() { 20 + 8 } else { 40 + 8 };
        let max = if to.is_ipv4() { 65_535 - headers } else { self.mtu().saturating_sub(headers) };
        if payload.len() > max {
            return Err(TaskError::TooLarge { size: payload.len(), max });
        }
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(port.handle);
        match socket.send_slice(payload, to) {
            Ok(()) => Ok(()),
            Err(udp::SendError::Unaddressable) => Err(TaskError::NoRoute(to.ip())),
            Err(udp::SendError::BufferFull) => Err(TaskError::Exhausted("room in the UDP queue")),
        }
    }

    /// The next datagram that arrived at this port.
    pub fn udp_receive(&mut self, port: UdpPort) -> Option<Datagram> {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(port.handle);
        let (payload, about) = socket.recv().ok()?;
        let from = SocketAddr::from((IpAddr::from(about.endpoint.addr), about.endpoint.port));
        let to = about.local_address.map(IpAddr::from);
        Some(Datagram { from, to, payload: payload.to_vec() })
    }

    /// Closes a port; datagrams that wait in it are gone.
    pub fn udp_close(&mut self, port: UdpPort) {
        self.sockets.remove(port.handle);
    }
}

fn buffer() -> udp::PacketBuffer<'static> {
    udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; DATAGRAMS_MAX], vec![0; BYTES_MAX])
}

/// Datagrams that a port holds, in each direction.
const DATAGRAMS_MAX: usize = 64;
const BYTES_MAX: usize = 128 * 1024;
