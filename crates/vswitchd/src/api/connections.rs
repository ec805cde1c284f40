//! Who is connected, and what becomes of clients that do not behave.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_io_timeout::TimeoutWriter;
use tower_service::Service as _;

use super::Sockets;
use super::descriptors;
use super::right::{Right, Rights};
use super::routes::{self, Api};
use super::served::{Refusal, RefusalKind};
use crate::events::Event;

/// How many connections there are at once of those who may change something, of those who look, and
/// of those who read metrics over TCP; more are closed. Whoever only looks cannot keep out who has
/// to change something.
const CHANGERS_MAX: usize = 256;
const LOOKERS_MAX: usize = 256;
const METRICS_MAX: usize = 32;

/// Connections without a place have so long until one is free, and so many of each kind wait at
/// once: a client that connects anew for each request comes before its last connection's end.
const PLACE_PATIENCE: Duration = Duration::from_secs(1);
const WAITING_MAX: usize = 256;

/// How many descriptors are passed at once, ports held by their connection included.
const PASSERS_MAX: usize = 1024;

/// How many are told at once that they may not.
const REFUSED_MAX: usize = 16;

/// A request that takes longer to come, or a connection without one, is ended.
const REQUEST_PATIENCE: Duration = Duration::from_secs(30);

/// So much a connection keeps of a request's head, and of an answer before it is taken. All of them
/// together then come to 17 MiB, where hyper's own bound would let them have 13 times as much.
const BUFFER_BYTES_MAX: usize = 32 << 10;

/// A client that takes nothing of its answer for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a listener rests when no connection can be taken, no descriptor being left, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// So long those who listen for events have to take the last one.
const END_PAUSE: Duration = Duration::from_millis(50);

/// The listeners, and what each connection gets.
pub(super) struct Connections {
    control: Option<Control>,
    metrics: Option<TcpListener>,
    api: Api,
}

struct Control {
    http: UnixListener,
    descriptors: UnixListener,
    rights: Rights,
}

impl Connections {
    /// To be called inside a runtime.
    pub(super) fn new(sockets: Sockets, api: Api) -> io::Result<Self> {
        let control = sockets.control.map(|control| {
            Ok::<_, io::Error>(Control {
                http: UnixListener::from_std(control.http)?,
                descriptors: UnixListener::from_std(control.descriptors)?,
                rights: control.rights,
            })
        });
        let metrics = sockets.metrics.map(TcpListener::from_std);
        Ok(Self { control: control.transpose()?, metrics: metrics.transpose()?, api })
    }

    /// Serves until `ended` is dropped or told.
    pub(super) async fn serve_until(self, ended: oneshot::Receiver<()>) {
        let Self { control, metrics, api } = self;
        if let Some(Control { http, descriptors, rights }) = control {
            tokio::spawn(serve_http(http, rights, api.clone()));
            tokio::spawn(serve_descriptors(descriptors, rights, api.clone()));
            tokio::spawn(remove_ended(api.clone()));
        }
        let events = api.events().clone();
        if let Some(listener) = metrics {
            tokio::spawn(serve_metrics(listener, api));
        }
        let _ = ended.await;
        events.tell(Event::Ending);
        tokio::time::sleep(END_PAUSE).await;
    }
}

async fn serve_http(listener: UnixListener, rights: Rights, api: Api) {
    let router = routes::router(api);
    let (changers, lookers) = (Places::new(CHANGERS_MAX), Places::new(LOOKERS_MAX));
    loop {
        let Some((stream, right)) = accept(&listener, rights).await else { continue };
        let places = if right == Right::Change { &changers } else { &lookers };
        let Some(place) = places.next() else { continue };
        let router = router.clone();
        tokio::spawn(async move {
            if let Some(slot) = place.await {
                serve_connection(stream, router, right, slot).await;
            }
        });
    }
}

async fn serve_descriptors(listener: UnixListener, rights: Rights, api: Api) {
    let (passers, refused) = (slots(PASSERS_MAX), slots(REFUSED_MAX));
    loop {
        let Some((stream, right)) = accept(&listener, rights).await else { continue };
        let slots = if right == Right::Change { &passers } else { &refused };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else { continue };
        let api = api.clone();
        tokio::spawn(async move {
            descriptors::serve(stream, right, &api).await;
            drop(slot);
        });
    }
}

async fn serve_metrics(listener: TcpListener, api: Api) {
    let router = routes::metrics_router(api);
    let slots = slots(METRICS_MAX);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        tokio::spawn(serve_connection(stream, router.clone(), Right::Look, slot));
    }
}

/// Removes the ports on given sockets when their other end is gone.
async fn remove_ended(api: Api) {
    loop {
        api.events().port_ended().await;
        match api.ask(|served| served.remove_ended()).await {
            Ok(true) => api.forget_counters().await,
            Ok(false) => {}
            Err(_) => return,
        }
    }
}

/// Places for connections of one kind, and for some that wait for one.
struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self { free: slots(most), waiting: slots(WAITING_MAX) }
    }

    /// A place, as soon as there is one; `None` at once when too many wait already, and then when
    /// none came free in time.
    fn next(&self) -> Option<impl Future<Output = Option<OwnedSemaphorePermit>> + use<>> {
        let free = Arc::clone(&self.free);
        let taken = Arc::clone(&free).try_acquire_owned().ok();
        let waits = match taken {
            Some(_) => None,
            None => Some(Arc::clone(&self.waiting).try_acquire_owned().ok()?),
        };
        Some(async move {
            if taken.is_some() {
                return taken;
            }
            let place = tokio::time::timeout(PLACE_PATIENCE, free.acquire_owned()).await;
            drop(waits);
            place.ok()?.ok()
        })
    }
}

pub(super) fn slots(most: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(most))
}

/// The next connection, and what its other end may.
async fn accept(listener: &UnixListener, rights: Rights) -> Option<(UnixStream, Right)> {
    let Ok((stream, _)) = listener.accept().await else {
        tokio::time::sleep(ACCEPT_PAUSE).await;
        return None;
    };
    let peer = stream.peer_cred().ok()?;
    // The lists of users and groups may be far away.
    let right = tokio::task::spawn_blocking(move || rights.of_peer(&peer)).await.ok()?;
    Some((stream, right))
}

pub(super) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: axum::Router,
    right: Right,
    slot: OwnedSemaphorePermit,
) {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(WRITE_PATIENCE));
    let service = hyper::service::service_fn(move |request| answer(router.clone(), right, request));
    let stream = std::pin::pin!(stream);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_PATIENCE)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a control client's connection ended");
    }
    drop(slot);
}

async fn answer(
    mut router: axum::Router,
    right: Right,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if right < Right::needed(request.method(), request.uri().path()) {
        let what = if right == Right::None {
            "only root, the owner and the readers' group may ask this switch (vswitch run \
             --control-owner, --control-group)"
        } else {
            "only root and the owner may change this switch or see its frames"
        };
        return Ok(Refusal::new(RefusalKind::Forbidden, what).into_response());
    }
    match tokio::time::timeout(ANSWER_PATIENCE, router.call(request.map(Body::new))).await {
        Ok(answered) => answered,
        Err(_) => {
            let what = "this takes too long; what was asked for may still come to be";
            Ok(Refusal::new(RefusalKind::Failed, what).into_response())
        }
    }
}

/// No answer begins later: the system may take its time to give an interface, and a client may send
/// a body that never ends.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_place_waits_for_one_and_not_for_ever() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let places = Places::new(1);
            let first = places.next().expect("nobody waits").await.expect("a place");
            let second = places.next().expect("nobody waits");
            let waiting: Vec<_> = (1..WAITING_MAX).map(|_| places.next().expect("room")).collect();
            assert!(places.next().is_none(), "too many wait");
            drop(waiting);
            let second = tokio::spawn(second);
            tokio::task::yield_now().await;
            assert!(!second.is_finished());
            drop(first);
            let second = second.await.expect("it lives").expect("the place that is free");
            assert!(places.next().expect("nobody waits").await.is_none(), "not for ever");
            drop(second);
        });
    }
}
