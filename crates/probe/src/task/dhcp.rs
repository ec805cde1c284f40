//! An address from a DHCP server (RFC 2131).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::dhcpv4;

use super::{Progress, Task};
use crate::cidr::Cidr;
use crate::core::GuestCore;
use crate::core::watch::DhcpLog;
use crate::error::{Step, TaskError};

/// What a DHCP server gave. The guest has taken the address and the first router already; it does
/// not renew the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The guest's new address.
    pub address: Cidr,
    /// The default gateway.
    pub router: Option<Ipv4Addr>,
    /// Name servers, up to three.
    pub dns: Vec<Ipv4Addr>,
    /// The server, as it names itself (option 54).
    pub server: Ipv4Addr,
    /// For how long; None when the server did not say.
    pub time: Option<Duration>,
    /// From the first DHCPDISCOVER to the DHCPACK.
    pub elapsed: Duration,
}

/// The task: discover, request, take the address. Fails when there is no lease in time; the error
/// says which step had no answer.
#[derive(Debug)]
pub struct Dhcp {
    timeout: Duration,
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    handle: SocketHandle,
    began_at: Duration,
}

impl Dhcp {
    /// A request that gives up after `timeout`.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, state: None }
    }

    fn begin(guest: &mut GuestCore, now: Duration) -> State {
        let mut socket = dhcpv4::Socket::new();
        let mut retry = dhcpv4::RetryConfig::default();
        retry.discover_timeout = smoltcp::time::Duration::from_secs(2);
        retry.initial_request_timeout = smoltcp::time::Duration::from_secs(2);
        socket.set_retry_config(retry);
        // On a refusal the socket would begin anew at once, as fast as the server refuses; the task
        // ends instead.
        socket.set_ignore_naks(true);
        // The first thing it says is that it has no configuration.
        let _ = socket.poll();
        guest.watch().dhcp = Some(DhcpLog::default());
        State { handle: guest.sockets.add(socket), began_at: now }
    }

    fn give_up(log: DhcpLog, waited: Duration) -> TaskError {
        match log.refused_by {
            Some(server) => TaskError::DhcpRefused(server),
            None if log.offers > 0 => {
                TaskError::TimedOut { step: Step::DhcpAck { requests: log.requests }, waited }
            }
            None => {
                TaskError::TimedOut { step: Step::DhcpOffer { discovers: log.discovers }, waited }
            }
        }
    }
}

impl Task for Dhcp {
    type Output = Lease;

    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<Lease> {
        let Some(state) = &self.state else {
            self.state = Some(Self::begin(guest, now));
            return Progress::Moved;
        };
        let log = guest.watch().dhcp.unwrap_or_default();
        let elapsed = now.saturating_sub(state.began_at);
        let socket = guest.sockets.get_mut::<dhcpv4::Socket<'_>>(state.handle);
        if let Some(dhcpv4::Event::Configured(config)) = socket.poll() {
            let time = log.lease_seconds.map(|seconds| Duration::from_secs(seconds.into()));
            let (address, router) = (config.address, config.router);
            let Some(address) = Cidr::new(address.address().into(), address.prefix_len()) else {
                return Progress::Done(Err(TaskError::Protocol("a bad address".to_owned())));
            };
            let lease = Lease {
                address,
                router,
                dns: config.dns_servers.to_vec(),
                server: config.server.identifier,
                time,
                elapsed,
            };
            return Progress::Done(take(guest, &lease).map(|()| lease));
        }
        let until = state.began_at + self.timeout;
        if now >= until || log.refused_by.is_some() {
            return Progress::Done(Err(Self::give_up(log, elapsed)));
        }
        Progress::Waiting(until)
    }

    fn stop(&mut self, guest: &mut GuestCore) {
        if let Some(state) = self.state.take() {
            guest.sockets.remove(state.handle);
            guest.watch().dhcp = None;
        }
    }
}

/// Gives the guest its address and gateway; earlier addresses in the same network go.
fn take(guest: &mut GuestCore, lease: &Lease) -> Result<(), TaskError> {
    for cidr in guest.addresses() {
        if lease.address.contains(cidr.address()) {
            guest.remove_address(cidr.address());
        }
    }
    guest.add_address(lease.address).map_err(|_| TaskError::Exhausted("address"))?;
    if let Some(router) = lease.router {
        let taken = guest.set_gateway(IpAddr::V4(router));
        taken.map_err(|_| TaskError::Protocol(format!("router {router}")))?;
    }
    Ok(())
}
