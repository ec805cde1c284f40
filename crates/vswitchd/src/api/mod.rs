//! How a running switch is asked and changed: HTTP and JSON over a unix socket, and a second socket
//! by which descriptors pass.
//!
//! `curl --unix-socket PATH http://vswitch/v1/ports` works, and so does [`client::Client`]. What
//! there is to ask is in [`openapi()`], which the server tells at `/v1/openapi.json`. Who may ask
//! is decided by the socket's mode and by who is at the other end
//! ([`ControlSettings`](crate::config::ControlSettings)).
//!
//! All of it runs on threads of its own. What a client wants of a loop is a bounded command in the
//! loop's queue; counters are asked for at most [`REPORTS_PER_SECOND`] times a second, however many
//! ask; what is told of happenings waits for no client.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use tokio::sync::oneshot;
use vswitch::port::unix::{PathError, SocketPath, listen_at};

use crate::config::{Configuration, descriptor_socket};
use crate::platform::Platform;
use crate::report::Applied;
use crate::service::Control;

mod capturing;
pub mod client;
mod connections;
mod descriptors;
#[cfg(any(test, fuzzing))]
pub mod entries;
mod right;
mod routes;
mod served;
pub mod wire;

pub use descriptors::{Passed, pass};
pub use routes::{REPORTS_PER_SECOND, openapi};
pub use served::{Refusal, RefusalKind};

use connections::Connections;
use right::Rights;
use served::Served;

/// Reads the configuration again and applies it, for a client that asks for it.
pub type Reload = Arc<dyn Fn() -> Result<Applied, Refusal> + Send + Sync>;

/// How many requests may wait for a loop or the system at once; more wait for those.
const BLOCKING_THREADS_MAX: usize = 4;

/// For so long requests that are under way are waited for at the end.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Why the switch cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// A socket's path.
    #[error("control socket: {0}")]
    Path(#[from] PathError),
    /// The address for metrics.
    #[error("listen at {address} for metrics: {source} (another program may have that port)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No thread, or nothing to wait with.
    #[error("start the control server: {0}")]
    Start(#[source] io::Error),
}

/// The server; it ends when this is dropped, and its sockets' paths go.
pub struct Server {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    metrics_at: Option<SocketAddr>,
    _paths: Vec<SocketPath>,
}

impl Server {
    /// Listens where `wanted` says so, and answers for the service of `control`; `None` when it
    /// says nothing of it.
    ///
    /// # Errors
    /// [`ApiError`]; nothing is left behind then.
    pub fn start<P>(
        control: Control<P>,
        wanted: &Configuration,
        reload: Option<Reload>,
    ) -> Result<Option<Self>, ApiError>
    where
        P: Platform + Send + 'static,
        P::Uplink: Send,
    {
        if wanted.control.is_none() && wanted.metrics.is_none() {
            return Ok(None);
        }
        let mut sockets = Sockets::default();
        let mut paths = Vec::new();
        if let Some(settings) = &wanted.control {
            let mut listen = |path: PathBuf| {
                let (listener, bound) = listen_at(&path, settings.access.of_sockets())?;
                paths.push(bound);
                Ok::<_, PathError>(listener)
            };
            let (http, descriptors) =
                (listen(settings.socket.clone())?, listen(descriptor_socket(&settings.socket))?);
            let rights = Rights::of(settings);
            sockets.control = Some(ControlSockets { http, descriptors, rights });
        }
        let mut metrics_at = None;
        if let Some(address) = wanted.metrics {
            let (listener, at) =
                listen_tcp(address).map_err(|source| ApiError::Listen { address, source })?;
            sockets.metrics = Some(listener);
            metrics_at = Some(at);
        }
        let events = control.events();
        let served: Arc<dyn Served> = Arc::new(served::Of { control, reload });
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("control work")
            .build()
            .map_err(ApiError::Start)?;
        let connections = {
            let _in = runtime.enter();
            Connections::new(sockets, routes::Api::new(served, events)).map_err(ApiError::Start)?
        };
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(connections.serve_until(ended));
                runtime.shutdown_timeout(END_PATIENCE);
            })
            .map_err(ApiError::Start)?;
        Ok(Some(Self { end: Some(end), thread: Some(thread), metrics_at, _paths: paths }))
    }

    /// Where metrics are served, with the port that the system chose for port 0.
    #[must_use]
    pub fn metrics_at(&self) -> Option<SocketAddr> {
        self.metrics_at
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, that was printed.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("metrics_at", &self.metrics_at).finish_non_exhaustive()
    }
}

fn listen_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

/// What is listened at.
#[derive(Default)]
struct Sockets {
    control: Option<ControlSockets>,
    metrics: Option<TcpListener>,
}

struct ControlSockets {
    http: UnixListener,
    descriptors: UnixListener,
    rights: Rights,
}
