//! A capture, streamed to one client.
#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use super::routes::{Answer, Api, malformed};
use super::served::{Refusal, RefusalKind};
use super::wire::ErrorReply;
use crate::capture::{Capture, CaptureRequest, Filter, RING_BYTES_DEFAULT};

/// How many pieces wait for the client, beside the ring.
const PIECES_MAX: usize = 2;

/// How long a capture of nothing waits before it looks whether its client is there still.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long to wait for a client that takes no more just now.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// What is to be captured.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The network; all without it.
    network: Option<String>,
    /// The port, or `uplink`; all without it.
    port: Option<String>,
    /// A program of classic BPF, in any form that `vswitch filter compile` prints.
    filter: Option<String>,
    /// How many bytes of each frame; all without it.
    snap_bytes: Option<u32>,
    /// How many bytes may wait for the client before frames are lost; 8 MiB without it.
    ring_bytes: Option<usize>,
    /// The capture ends after so many seconds, with its last statistics; when the client goes
    /// without it.
    seconds: Option<u32>,
}

impl Wanted {
    fn request(&self) -> Answer<CaptureRequest> {
        let filter = self.filter.as_deref().map(str::parse::<Filter>).transpose();
        Ok(CaptureRequest {
            network: self.network.clone(),
            port: self.port.clone(),
            filter: filter.map_err(malformed)?,
            snap_bytes: self.snap_bytes.unwrap_or(0),
            ring_bytes: self.ring_bytes.unwrap_or(RING_BYTES_DEFAULT),
        })
    }
}

/// Captures what is carried from now on, as pcapng, as it is carried
///
/// Who reads too slowly loses frames, which the capture's statistics tell; the switch waits for
/// nobody. Who takes nothing for 30 s is disconnected.
#[utoipa::path(
    get,
    path = "/v1/capture",
    params(Wanted),
    responses(
        (status = 200, content_type = "application/x-pcapng", body = Vec<u8>),
        (status = 400, body = ErrorReply),
        (status = 403, body = ErrorReply),
        (status = 404, body = ErrorReply),
        (status = 409, description = "There are as many as may be", body = ErrorReply),
    ),
)]
pub(super) async fn capture(
    State(api): State<Api>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Answer<Response> {
    let wanted = query.map_err(malformed)?.0;
    let request = wanted.request()?;
    let capture = api.ask(move |served| served.capture(&request)).await?;
    let (give, pieces) = mpsc::channel(PIECES_MAX);
    let seconds = wanted.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    // As long as the client is there, which may be for ever: not one of those that requests share.
    // There are no more of them than there are captures.
    std::thread::Builder::new()
        .name("capture".to_owned())
        .spawn(move || pass_on(capture, &give, seconds))
        .map_err(|error| Refusal::new(RefusalKind::Failed, format!("start a thread: {error}")))?;
    let pieces = ReceiverStream::new(pieces).map(Ok::<Bytes, std::convert::Infallible>);
    let kind = [(header::CONTENT_TYPE, "application/x-pcapng")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// Passes on what is captured until the client is gone, or it is over.
fn pass_on(mut capture: Capture, give: &mpsc::Sender<Bytes>, time: Option<Duration>) {
    let end = time.map(|time| Instant::now() + time);
    let is_over = || end.is_some_and(|end| Instant::now() >= end);
    let mut has_more = true;
    while has_more {
        if is_over() {
            capture.stop();
        }
        let mut piece = Vec::new();
        has_more = capture.read_into(&mut piece, LOOK_EVERY);
        let mut piece = Bytes::from(piece);
        while !piece.is_empty() || give.is_closed() {
            match give.try_send(piece) {
                Ok(()) => break,
                Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(same)) => piece = same,
            }
            // Also who does not read keeps no capture for longer than was asked for.
            if is_over() {
                capture.stop();
            }
            std::thread::sleep(FULL_PAUSE);
        }
    }
}
