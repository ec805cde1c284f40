//! What there is to ask, and how it is answered.
#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt as _};
use utoipa::IntoParams;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vswitch::switch::{ListenerReport, Report};

use super::served::{Refusal, RefusalKind, Served};
use super::wire::{
    AddPort, AddressReply, AddressesReply, ErrorReply, NetworkReply, Origin, PortReply, SetLink,
    SetUplink, StatsReply, StatusReply,
};
use crate::config::{Attachment, NAME_RULE, PortSpec, UplinkSpec, is_name};
use crate::events::{Event, EventRecord, Events, unix_ms};
use crate::metrics::{Format, render_as};
use crate::report::{Applied, Ready, ReadyNetwork, ReadyPort, Stopped};

/// How often a second the loops are asked for their counters at most; who asks more often is told
/// the same again.
pub const REPORTS_PER_SECOND: u32 = 50;

/// Where captures are.
pub(super) const CAPTURE_PATH: &str = "/v1/capture";

/// No request has more: a port's description takes a hundredth of it.
const BODY_BYTES_MAX: usize = 64 << 10;

/// So many addresses are told at once at most, and so many if nothing is said.
const ADDRESSES_MAX: usize = 10_000;
const ADDRESSES_USUAL: usize = 1000;

/// How many places of a table one command to a loop looks at.
const PLACES_PER_COMMAND: usize = 1024;

/// What all requests share.
#[derive(Clone)]
pub(super) struct Api {
    served: Arc<dyn Served>,
    events: Events,
    started: Instant,
    /// The last.
    counters: Arc<tokio::sync::Mutex<Option<Known>>>,
}

/// Counters, and when they were had.
type Known = (Instant, Arc<Report>);

pub(super) type Answer<T> = Result<T, Refusal>;

impl Api {
    pub(super) fn new(served: Arc<dyn Served>, events: Events) -> Self {
        Self { served, events, started: Instant::now(), counters: Arc::default() }
    }

    pub(super) fn events(&self) -> &Events {
        &self.events
    }

    /// Has something asked that may wait, on a thread where it may.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Served) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let served = Arc::clone(&self.served);
        let asked = tokio::task::spawn_blocking(move || what(&*served)).await;
        asked.unwrap_or_else(|_| {
            Err(Refusal::new(RefusalKind::Failed, "a panic in the switch (its log says where)"))
        })
    }

    /// The same of a change: whoever asks from then on is told of it.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Served) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let done = self.ask(what).await;
        self.forget_counters().await;
        done
    }

    /// Whoever asks for counters from now on is told those of now.
    pub(super) async fn forget_counters(&self) {
        *self.counters.lock().await = None;
    }

    async fn ready(&self) -> Answer<Ready> {
        self.ask(|served| Ok(served.ready())).await
    }

    /// The counters, not older than what [`REPORTS_PER_SECOND`] says.
    async fn report(&self) -> Answer<Arc<Report>> {
        let mut last = self.counters.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < Duration::from_secs(1) / REPORTS_PER_SECOND
        {
            return Ok(Arc::clone(report));
        }
        let report = Arc::new(self.ask(|served| served.report()).await?);
        *last = Some((Instant::now(), Arc::clone(&report)));
        Ok(report)
    }
}

/// The description of all this, as OpenAPI.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut described = described().to_openapi();
    described.info.title = "vswitch".to_owned();
    described.info.version = env!("CARGO_PKG_VERSION").to_owned();
    described.info.description = Some(
        "A running switch, asked and changed over its control socket: `curl --unix-socket PATH \
         http://vswitch/v1/ports`. Whatever is not GET, and a capture, takes the right to change."
            .to_owned(),
    );
    described
}

fn described() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(status))
        .routes(routes!(networks))
        .routes(routes!(network))
        .routes(routes!(set_uplink))
        .routes(routes!(ports))
        .routes(routes!(add_port))
        .routes(routes!(port, remove_port))
        .routes(routes!(set_link))
        .routes(routes!(addresses))
        .routes(routes!(stats))
        .routes(routes!(events))
        .routes(routes!(reload))
        .routes(routes!(super::capturing::capture))
        .routes(routes!(metrics))
}

/// Everything.
pub(super) fn router(api: Api) -> axum::Router {
    let (router, _) = described().split_for_parts();
    let text = openapi().to_json().unwrap_or_default();
    let description = axum::routing::get(move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text) }
    });
    router
        .route("/v1/openapi.json", description)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

/// Metrics alone.
pub(super) fn metrics_router(api: Api) -> axum::Router {
    let (router, _) = OpenApiRouter::default().routes(routes!(metrics)).split_for_parts();
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(api)
}

async fn unknown() -> Refusal {
    let what = "there is nothing at this path (GET /v1/openapi.json has what there is)";
    Refusal::new(RefusalKind::NotFound, what)
}

async fn wrong_method() -> Response {
    let what = "this path has no such method (GET /v1/openapi.json has what there is)";
    let reply = ErrorReply { error: what.to_owned() };
    (StatusCode::METHOD_NOT_ALLOWED, Json(reply)).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.kind {
            RefusalKind::Malformed => StatusCode::BAD_REQUEST,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            RefusalKind::Ended => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(ErrorReply { error: self.what })).into_response()
    }
}

/// The switch itself
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = StatusReply)))]
async fn status(State(api): State<Api>) -> Answer<Json<StatusReply>> {
    let (ready, report) = (api.ready().await?, api.report().await?);
    Ok(Json(StatusReply {
        version: ready.version.to_owned(),
        pid: ready.pid,
        uptime_s: api.started.elapsed().as_secs(),
        threads: ready.threads,
        networks: ready.networks.iter().map(|network| network.network.clone()).collect(),
        ports: report.ports.len(),
    }))
}

/// All networks
#[utoipa::path(get, path = "/v1/networks", responses((status = 200, body = Vec<NetworkReply>)))]
async fn networks(State(api): State<Api>) -> Answer<Json<Vec<NetworkReply>>> {
    Ok(Json(api.ready().await?.networks.into_iter().map(network_reply).collect()))
}

/// One network
#[utoipa::path(
    get,
    path = "/v1/networks/{network}",
    params(("network" = String, Path, description = "Its name")),
    responses((status = 200, body = NetworkReply), (status = 404, body = ErrorReply)),
)]
async fn network(
    State(api): State<Api>,
    Path(network): Path<String>,
) -> Answer<Json<NetworkReply>> {
    Ok(Json(network_reply(find_network(api.ready().await?, &network)?)))
}

/// Gives a network another uplink, until the configuration is read again
#[utoipa::path(
    put,
    path = "/v1/networks/{network}/uplink",
    params(("network" = String, Path, description = "Its name")),
    request_body = SetUplink,
    responses(
        (status = 200, body = NetworkReply),
        (status = 400, body = ErrorReply),
        (status = 403, body = ErrorReply),
        (status = 404, body = ErrorReply),
        (status = 409, body = ErrorReply),
        (status = 500, description = "It cannot be had", body = ErrorReply),
    ),
)]
async fn set_uplink(
    State(api): State<Api>,
    Path(network): Path<String>,
    body: Result<Json<SetUplink>, JsonRejection>,
) -> Answer<Json<NetworkReply>> {
    let uplink: UplinkSpec = read(body)?.uplink.parse().map_err(malformed)?;
    let name = network.clone();
    api.change(move |served| served.set_uplink(&name, &uplink)).await?;
    Ok(Json(network_reply(find_network(api.ready().await?, &network)?)))
}

/// All ports, or those of one network
#[utoipa::path(
    get,
    path = "/v1/ports",
    params(OfNetwork),
    responses((status = 200, body = Vec<PortReply>), (status = 404, body = ErrorReply)),
)]
async fn ports(
    State(api): State<Api>,
    query: Result<Query<OfNetwork>, QueryRejection>,
) -> Answer<Json<Vec<PortReply>>> {
    let wanted = query.map_err(malformed)?.0.network;
    let (ready, report) = (api.ready().await?, api.report().await?);
    let networks = match wanted {
        Some(name) => vec![find_network(ready, &name)?],
        None => ready.networks,
    };
    let replies = networks.iter().flat_map(|network| port_replies(network, &report));
    Ok(Json(replies.collect()))
}

/// Adds a port
#[utoipa::path(
    post,
    path = "/v1/networks/{network}/ports",
    params(("network" = String, Path, description = "The network")),
    request_body = AddPort,
    responses(
        (status = 201, body = PortReply),
        (status = 400, body = ErrorReply),
        (status = 403, body = ErrorReply),
        (status = 404, body = ErrorReply),
        (status = 409, body = ErrorReply),
        (status = 500, description = "It cannot be had", body = ErrorReply),
    ),
)]
async fn add_port(
    State(api): State<Api>,
    Path(network): Path<String>,
    body: Result<Json<AddPort>, JsonRejection>,
) -> Answer<(StatusCode, Json<PortReply>)> {
    let spec = port_spec(read(body)?)?;
    let (at, port) = (network.clone(), spec.name.clone());
    api.change(move |served| served.add_port(&at, &spec)).await?;
    let report = api.report().await?;
    let reply = find_port(&find_network(api.ready().await?, &network)?, &report, &port)?;
    Ok((StatusCode::CREATED, Json(reply)))
}

/// One port
#[utoipa::path(
    get,
    path = "/v1/networks/{network}/ports/{port}",
    params(
        ("network" = String, Path, description = "The network"),
        ("port" = String, Path, description = "Its name"),
    ),
    responses((status = 200, body = PortReply), (status = 404, body = ErrorReply)),
)]
async fn port(
    State(api): State<Api>,
    Path((network, port)): Path<(String, String)>,
) -> Answer<Json<PortReply>> {
    let report = api.report().await?;
    Ok(Json(find_port(&find_network(api.ready().await?, &network)?, &report, &port)?))
}

/// Removes a port; one of the configuration's comes back when that is read again
#[utoipa::path(
    delete,
    path = "/v1/networks/{network}/ports/{port}",
    params(
        ("network" = String, Path, description = "The network"),
        ("port" = String, Path, description = "Its name"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, body = ErrorReply),
        (status = 404, body = ErrorReply),
    ),
)]
async fn remove_port(
    State(api): State<Api>,
    Path((network, port)): Path<(String, String)>,
) -> Answer<StatusCode> {
    api.change(move |served| served.remove_port(&network, &port)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a port's link down or up, as if its cable were pulled; the uplink's, too
#[utoipa::path(
    put,
    path = "/v1/networks/{network}/ports/{port}/link",
    params(
        ("network" = String, Path, description = "The network"),
        ("port" = String, Path, description = "Its name, or uplink"),
    ),
    request_body = SetLink,
    responses(
        (status = 204, description = "It is so"),
        (status = 400, body = ErrorReply),
        (status = 403, body = ErrorReply),
        (status = 404, body = ErrorReply),
    ),
)]
async fn set_link(
    State(api): State<Api>,
    Path((network, port)): Path<(String, String)>,
    body: Result<Json<SetLink>, JsonRejection>,
) -> Answer<StatusCode> {
    let SetLink { is_up } = read(body)?;
    api.change(move |served| served.set_link(&network, &port, is_up)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The addresses that a network knows, some at a time
#[utoipa::path(
    get,
    path = "/v1/networks/{network}/fdb",
    params(("network" = String, Path, description = "The network"), Page),
    responses(
        (status = 200, body = AddressesReply),
        (status = 400, body = ErrorReply),
        (status = 404, body = ErrorReply),
    ),
)]
async fn addresses(
    State(api): State<Api>,
    Path(network): Path<String>,
    query: Result<Query<Page>, QueryRejection>,
) -> Answer<Json<AddressesReply>> {
    let Page { limit, after } = query.map_err(malformed)?.0;
    let most = limit.unwrap_or(ADDRESSES_USUAL).clamp(1, ADDRESSES_MAX);
    let mut at = match &after {
        Some(text) => Cursor::parse(text).ok_or_else(|| {
            Refusal::new(RefusalKind::Malformed, "after: the \"next\" of a reply is expected")
        })?,
        None => Cursor::default(),
    };
    let mut addresses = Vec::new();
    // Each step is a command of its own, so that a large table is not read in one go.
    while addresses.len() < most {
        let (name, Cursor { thread, place }) = (network.clone(), at);
        let page = api
            .ask(move |served| served.addresses(&name, thread, place, PLACES_PER_COMMAND))
            .await?;
        let Some(page) = page else { return Ok(Json(AddressesReply { addresses, next: None })) };
        // What is behind a trunk another loop tells of.
        let own = page.addresses.into_iter().filter(|address| !address.is_behind_trunk);
        addresses.extend(own.map(|address| AddressReply {
            mac: address.mac.to_string(),
            port: address.port,
            is_static: address.is_static,
            age_ms: u64::try_from(address.age.as_millis()).unwrap_or(u64::MAX),
        }));
        at = match page.next {
            Some(place) => Cursor { thread, place },
            None => Cursor { thread: thread + 1, place: 0 },
        };
    }
    Ok(Json(AddressesReply { addresses, next: Some(at.to_string()) }))
}

/// The counters of all ports
#[utoipa::path(get, path = "/v1/stats", responses((status = 200, body = StatsReply)))]
async fn stats(State(api): State<Api>) -> Answer<Json<StatsReply>> {
    let Stopped { ports, trunks, .. } = Stopped::new(&*api.report().await?);
    Ok(Json(StatsReply { unix_ms: unix_ms(), ports, trunks }))
}

/// What happens, as it happens: one JSON object a line, as long as the connection is open
///
/// Who reads too slowly loses events, and is told how many.
#[utoipa::path(
    get,
    path = "/v1/events",
    responses((status = 200, content_type = "application/x-ndjson", body = EventRecord)),
)]
async fn events(State(api): State<Api>) -> Response {
    let told = api.events.listen();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let hello = tokio_stream::once(EventRecord::now(Event::Listening { version }));
    let rest = BroadcastStream::new(told).map(|told| match told {
        Ok(event) => event,
        Err(BroadcastStreamRecvError::Lagged(events)) => EventRecord::now(Event::Lost { events }),
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let told = UntilEnding { records: Box::pin(hello.chain(rest)), is_over: false };
    (kind, Body::from_stream(lines(told))).into_response()
}

/// Reads the configuration file again, and changes what is up to what it says
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses(
        (status = 200, body = Applied),
        (status = 400, description = "Nothing was changed", body = ErrorReply),
        (status = 403, body = ErrorReply),
        (status = 409, body = ErrorReply),
    ),
)]
async fn reload(State(api): State<Api>) -> Answer<Json<Applied>> {
    Ok(Json(api.change(|served| served.reload()).await?))
}

/// Everything that is counted, for Prometheus
///
/// OpenMetrics for who asks for that by the header `Accept`.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Answer<Response> {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accepted);
    let facts = api.ask(|served| Ok(served.facts())).await?;
    let report = api.report().await?;
    // Long, with many ports: not on the thread that all connections share.
    let page = api.ask(move |_| Ok(render_as(format, &report, &facts))).await?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response())
}

/// Of which network.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfNetwork {
    /// The network; all without it.
    network: Option<String>,
}

/// Which addresses.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// About how many; 1,000 without it, 10,000 at most.
    limit: Option<usize>,
    /// The `next` of the reply before; from the beginning without it.
    after: Option<String>,
}

/// Where a page begins: in which loop's table, and where there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    thread: usize,
    place: usize,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (thread, place) = text.split_once('-')?;
        Some(Self { thread: thread.parse().ok()?, place: place.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.thread, self.place)
    }
}

/// Records up to the one that says that no more come.
struct UntilEnding<S> {
    records: Pin<Box<S>>,
    is_over: bool,
}

impl<S: Stream<Item = EventRecord>> Stream for UntilEnding<S> {
    type Item = EventRecord;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<EventRecord>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let polled = self.records.as_mut().poll_next(context);
        if let Poll::Ready(Some(record)) = &polled {
            self.is_over = record.event == Event::Ending;
        }
        polled
    }
}

fn lines(
    events: impl Stream<Item = EventRecord>,
) -> impl Stream<Item = Result<Bytes, serde_json::Error>> {
    events.map(|event| {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        Ok(line.into())
    })
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Answer<T> {
    body.map(|Json(body)| body)
        .map_err(|rejection| Refusal::new(RefusalKind::Malformed, rejection.body_text()))
}

pub(super) fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(RefusalKind::Malformed, error.to_string())
}

/// What a client asks for, if a client may.
fn port_spec(wanted: AddPort) -> Answer<PortSpec> {
    if !is_name(&wanted.name) {
        return Err(malformed(format!("{:?} is no name ({NAME_RULE})", wanted.name)));
    }
    let attachment: Attachment = wanted.attach.parse().map_err(malformed)?;
    if let Attachment::Fd(_) = attachment {
        let what = "a descriptor passes by the other socket, at this one's path with .fd";
        return Err(malformed(what));
    }
    if attachment.path().is_some_and(|path| !path.is_absolute()) {
        return Err(malformed("a path from the root on is expected: the switch is elsewhere"));
    }
    let mac = wanted.mac.as_deref().map(crate::config::station).transpose();
    Ok(PortSpec { name: wanted.name, attachment, mac: mac.map_err(malformed)? })
}

fn find_network(ready: Ready, name: &str) -> Answer<ReadyNetwork> {
    let found = ready.networks.into_iter().find(|network| network.network == name);
    found.ok_or_else(|| Refusal::new(RefusalKind::NotFound, format!("there is no network {name}")))
}

fn find_port(network: &ReadyNetwork, report: &Report, port: &str) -> Answer<PortReply> {
    let found = network.ports.iter().find(|of| of.name == port);
    found.map(|of| port_reply(network, of, report)).ok_or_else(|| {
        let what = format!("network {} has no port {port}", network.network);
        Refusal::new(RefusalKind::NotFound, what)
    })
}

fn network_reply(network: ReadyNetwork) -> NetworkReply {
    NetworkReply {
        name: network.network,
        uplink: network.uplink,
        uplink_state: network.uplink_state,
        interfaces: network.interfaces,
        ports: network.ports.into_iter().map(|port| port.name).collect(),
    }
}

fn port_replies<'a>(
    network: &'a ReadyNetwork,
    report: &'a Report,
) -> impl Iterator<Item = PortReply> + 'a {
    network.ports.iter().map(move |port| port_reply(network, port, report))
}

fn port_reply(network: &ReadyNetwork, port: &ReadyPort, report: &Report) -> PortReply {
    let own = || report.ports.iter().filter(|of| of.network == network.network);
    let found = own().find(|of| of.listener.is_none() && of.name == port.name);
    let is_it = |of: &&ListenerReport| of.network == network.network && of.name == port.name;
    let listener = report.listeners.iter().find(is_it);
    let clients = own().filter(|of| of.listener.as_ref() == Some(&port.name));
    PortReply {
        network: network.network.clone(),
        name: port.name.clone(),
        attachment: port.attachment.clone(),
        mac: port.mac.clone(),
        origin: if port.is_hot { Origin::Control } else { Origin::Configuration },
        is_link_up: found.is_none_or(|of| of.is_link_up) && listener.is_none_or(|of| of.is_link_up),
        is_ended: found.is_some_and(|of| of.gone),
        queued_frames: found.map_or(0, |of| of.queued_frames),
        clients: listener.map(|_| clients.map(|of| of.name.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nothing_else_is_one() {
        let cursor = Cursor { thread: 3, place: 2048 };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "-", "1", "1-", "-1", "a-b", "1-2-3", "99999999999999999999999-1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_client_may_not_ask_for_is_told() {
        let ask = |name: &str, attach: &str, mac: Option<&str>| {
            let mac = mac.map(str::to_owned);
            port_spec(AddPort { name: name.to_owned(), attach: attach.to_owned(), mac })
        };
        for (name, attach, mac, why) in [
            ("a b", "stream:/x", None, "is no name"),
            ("a", "fd:7", None, "with .fd"),
            ("a", "stream:x", None, "from the root on"),
            ("a", "pigeon:x", None, "no kind"),
            ("a", "given", None, "KIND:ARG"),
            ("a", "stream:/x", Some("ff:ff:ff:ff:ff:ff"), "no station's"),
        ] {
            let refusal = ask(name, attach, mac).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::Malformed);
            assert!(refusal.what.contains(why), "{refusal}");
        }
        let spec = ask("a", "stream:/x", Some("52:54:00:00:00:01")).unwrap();
        assert_eq!(spec.attachment.to_string(), "stream:/x");
    }
}
