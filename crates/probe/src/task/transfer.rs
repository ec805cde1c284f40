//! A bulk transfer over TCP, as the client ([`crate::throughput`]).

use std::net::SocketAddr;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

use super::{Progress, Task};
use crate::core::GuestCore;
use crate::error::{ConnectionEnd, Step, TaskError};
use crate::services::{Flow, new_socket, pump};
use crate::throughput::{Amount, ClientSession, TransferReport, Way};

/// What to transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferConfig {
    /// The server.
    pub peer: SocketAddr,
    /// Which way the bytes go; upload.
    pub way: Way,
    /// How much, or for how long.
    pub amount: Amount,
    /// How long nothing may move, while connecting or later; 10 s.
    pub silence_max: Duration,
}

impl TransferConfig {
    /// An upload of `amount` to `peer`.
    #[must_use]
    pub const fn new(peer: SocketAddr, way: Way, amount: Amount) -> Self {
        Self { peer, way, amount, silence_max: Duration::from_secs(10) }
    }
}

/// The task.
#[derive(Debug)]
pub struct Transfer {
    config: TransferConfig,
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    handle: SocketHandle,
    local_port: u16,
    began_at: Duration,
    moved_at: Duration,
    session: Option<(ClientSession, Duration)>,
    flow: Flow,
}

impl Transfer {
    /// A transfer that has not begun.
    #[must_use]
    pub const fn new(config: TransferConfig) -> Self {
        Self { config, state: None }
    }

    fn begin(&self, guest: &mut GuestCore, now: Duration) -> Result<State, TaskError> {
        let peer = self.config.peer;
        let source = guest.source_for(peer.ip())?;
        let local_port = guest.ephemeral_port();
        let mut socket = new_socket(guest.config.tcp_buffer_bytes);
        let (interface, sockets) = guest.interface_and_sockets();
        socket
            .connect(interface.context(), peer, (source, local_port))
            .map_err(|_| TaskError::NoRoute(peer.ip()))?;
        let handle = sockets.add(socket);
        guest.watch().count_retransmits(local_port);
        Ok(State {
            handle,
            local_port,
            began_at: now,
            moved_at: now,
            session: None,
            flow: Flow::default(),
        })
    }
}

impl Task for Transfer {
    type Output = TransferReport;

    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<TransferReport> {
        if self.state.is_none() {
            match self.begin(guest, now) {
                Ok(state) => self.state = Some(state),
                Err(error) => return Progress::Done(Err(error)),
            }
            return Progress::Moved;
        }
        let Some(state) = &mut self.state else { return Progress::Moved };
        let config = &self.config;
        let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(state.handle);
        let moved = state.advance(config, socket, now);
        if moved {
            state.moved_at = now;
        }
        if let Some(end) = state.end(config, socket, now) {
            if let Ok(report) = end {
                let retransmits = guest.watch().take_retransmits(state.local_port);
                let report = TransferReport { retransmits: Some(retransmits), ..report };
                return Progress::Done(Ok(report));
            }
            return Progress::Done(end);
        }
        if moved { Progress::Moved } else { Progress::Waiting(state.wake_at(config)) }
    }

    fn stop(&mut self, guest: &mut GuestCore) {
        let Some(state) = self.state.take() else { return };
        guest.watch().take_retransmits(state.local_port);
        guest.close_later(state.handle);
    }
}

impl State {
    fn advance(
        &mut self,
        config: &TransferConfig,
        socket: &mut tcp::Socket<'_>,
        now: Duration,
    ) -> bool {
        if self.session.is_none() && socket.may_send() {
            self.session = Some((ClientSession::new(config.way, config.amount, now), now));
        }
        match &mut self.session {
            Some((session, _)) => {
                let queued = socket.send_queue();
                let moved = pump(socket, session, &mut self.flow, now);
                // Acknowledgements are progress too.
                moved || socket.send_queue() < queued
            }
            None => false,
        }
    }

    fn end(
        &self,
        config: &TransferConfig,
        socket: &tcp::Socket<'_>,
        now: Duration,
    ) -> Option<Result<TransferReport, TaskError>> {
        let step = self.session.as_ref().map_or(Step::Connecting, |(session, _)| session.step());
        let connection = |what| Some(Err(TaskError::Connection { peer: config.peer, what, step }));
        let is_closed = socket.state() == tcp::State::Closed;
        match &self.session {
            None if is_closed => return connection(ConnectionEnd::Refused),
            None => {}
            Some((session, since)) => match session.end() {
                Some(Ok(bytes)) => {
                    let elapsed = now.saturating_sub(*since);
                    let (way, bytes) = (config.way, *bytes);
                    return Some(Ok(TransferReport { way, bytes, elapsed, retransmits: None }));
                }
                // A reset looks like an end of the stream that came too early.
                Some(Err(TaskError::Protocol(_))) if is_closed => {
                    return connection(ConnectionEnd::Reset);
                }
                Some(Err(error)) => return Some(Err(error.clone())),
                None if is_closed => return connection(ConnectionEnd::Reset),
                None => {}
            },
        }
        if now >= self.wake_at(config) {
            let waited = now.saturating_sub(self.began_at);
            return Some(Err(TaskError::TimedOut { step, waited }));
        }
        None
    }

    fn wake_at(&self, config: &TransferConfig) -> Duration {
        self.moved_at + config.silence_max
    }
}
