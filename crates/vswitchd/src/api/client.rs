//! A client of a running switch, for programs that wait for the answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::wire::ErrorReply;

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_secs(90);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody is at the control socket.
    #[error("connect to {}: {source}{}", path.display(), advice(.source))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The switch refuses, and says why.
    #[error("{what}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// Why.
        what: String,
    },
    /// The connection broke, or what came is no answer.
    #[error("talk to the switch at {}: {what}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        what: String,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            " (is a switch running with --control, and is this its path?)"
        }
        io::ErrorKind::PermissionDenied => {
            " (the owner or root may ask, and who is in the socket's group)"
        }
        _ => "",
    }
}

/// A control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The control socket at `path`; each request connects anew.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is at a path of the API, `/v1/ports` say.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, of: &str) -> Result<T, ClientError> {
        let (_, text) = self.text(Method::GET, of, Bytes::new())?;
        serde_json::from_slice(&text).map_err(|error| self.broken(error))
    }

    /// The bytes at a path of the API.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get_bytes(&self, of: &str) -> Result<Vec<u8>, ClientError> {
        self.text(Method::GET, of, Bytes::new()).map(|(_, bytes)| bytes.into())
    }

    /// Asks for a change, with a body; what is answered is JSON, or nothing (`null`).
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change<T: DeserializeOwned>(
        &self,
        method: &str,
        of: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.change_told(method, of, body).map(|(_, answer)| answer)
    }

    /// The same, with the status of the answer, 200 to 299.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change_told<T: DeserializeOwned>(
        &self,
        method: &str,
        of: &str,
        body: &impl Serialize,
    ) -> Result<(u16, T), ClientError> {
        let method = Method::try_from(method).map_err(|error| self.broken(error))?;
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        let (status, text) = self.text(method, of, body.into())?;
        let text = if text.is_empty() { b"null" } else { &text[..] };
        let answer = serde_json::from_slice(text).map_err(|error| self.broken(error))?;
        Ok((status, answer))
    }

    /// What is told at a path as long as the connection is open, in pieces as they come.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stream(&self, of: &str) -> Result<Pieces, ClientError> {
        let runtime = self.runtime()?;
        let (_, body) = runtime.block_on(self.ask(Method::GET, of, Bytes::new()))?;
        Ok(Pieces { runtime, body, path: self.path.clone() })
    }

    fn text(&self, method: Method, of: &str, body: Bytes) -> Result<(u16, Bytes), ClientError> {
        self.runtime()?.block_on(async {
            let (status, body) = self.ask(method, of, body).await?;
            let body = body.collect().await.map_err(|error| self.broken(error))?;
            Ok((status, body.to_bytes()))
        })
    }

    async fn ask(
        &self,
        method: Method,
        of: &str,
        body: Bytes,
    ) -> Result<(u16, Incoming), ClientError> {
        let connected = UnixStream::connect(&self.path).await;
        let stream =
            connected.map_err(|source| ClientError::Connect { path: self.path.clone(), source })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        // Its end is told by the request or the body.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(of)
            .header("host", "vswitch")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        let answered = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        let answer = answered
            .map_err(|_| self.broken("there is no answer"))?
            .map_err(|error| self.broken(error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok((status.as_u16(), answer.into_body()));
        }
        let text = answer.into_body().collect().await.map_err(|error| self.broken(error))?;
        Err(refused(status, &text.to_bytes()))
    }

    fn runtime(&self) -> Result<Runtime, ClientError> {
        Builder::new_current_thread().enable_all().build().map_err(|error| self.broken(error))
    }

    fn broken(&self, what: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { path: self.path.clone(), what: what.to_string() }
    }
}

fn refused(status: StatusCode, text: &[u8]) -> ClientError {
    let what = serde_json::from_slice(text).map_or_else(
        |_| format!("{status}: {}", String::from_utf8_lossy(text)),
        |ErrorReply { error }| error,
    );
    ClientError::Refused { status: status.as_u16(), what }
}

/// The pieces of an answer that has no end of its own.
#[derive(Debug)]
pub struct Pieces {
    runtime: Runtime,
    body: Incoming,
    path: PathBuf,
}

impl Iterator for Pieces {
    type Item = Result<Bytes, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { runtime, body, path } = self;
        runtime.block_on(async {
            loop {
                match body.frame().await? {
                    Ok(frame) => match frame.into_data() {
                        Ok(bytes) => return Some(Ok(bytes)),
                        Err(_) => continue,
                    },
                    Err(error) => {
                        let what = error.to_string();
                        return Some(Err(ClientError::Broken { path: path.clone(), what }));
                    }
                }
            }
        })
    }
}
