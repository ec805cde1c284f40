//! A configuration file: TOML, whose words are those of the command line.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::{
    Attachment, Configuration, ControlSettings, Network, Place, PortSpec, UplinkSpec, check,
};
use crate::access::Access;

/// A file with everything in it, and what each part is for.
pub const EXAMPLE: &str = include_str!("example.toml");

/// No file is read that is longer: 4,096 ports take a tenth of it.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not written as it should be.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong, and what was expected.
        what: String,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// [`FileError`], with the line.
pub fn read(path: &Path) -> Result<Configuration, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        let why = format!("it has {length} bytes, and {FILE_BYTES_MAX} are the most");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, why)));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    parse(&text, path)
}

/// Reads the text of the file at `path`. Sockets whose paths do not begin at the root are in the
/// file's directory.
///
/// # Errors
/// [`FileError::Wrong`].
pub fn parse(text: &str, path: &Path) -> Result<Configuration, FileError> {
    let directory = path.parent().unwrap_or(Path::new(""));
    toml::from_str::<FileText>(text)
        .map_err(|error| Wrong {
            what: error.message().replace('\n', " "),
            span: error.span().unwrap_or(0..0),
        })
        .and_then(|file| file.configuration(directory))
        .map_err(|Wrong { what, span }| {
            let (line, column) = position(text, span.start);
            FileError::Wrong { path: path.to_owned(), line, column, what }
        })
}

/// What is wrong, and where in the text.
struct Wrong {
    what: String,
    span: Range<usize>,
}

impl Wrong {
    fn at<T>(value: &Spanned<T>, what: impl std::fmt::Display) -> Self {
        Self { what: what.to_string(), span: value.span() }
    }
}

fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    sockets: SocketsText,
    control: Option<ControlText>,
    metrics: Option<MetricsText>,
    #[serde(default, rename = "network")]
    networks: Vec<NetworkText>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SocketsText {
    owner: Option<Spanned<String>>,
    group: Option<Spanned<String>>,
    mode: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlText {
    socket: Spanned<String>,
    owner: Option<Spanned<String>>,
    group: Option<Spanned<String>>,
    mode: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsText {
    listen: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkText {
    name: Spanned<String>,
    uplink: Option<Spanned<String>>,
    #[serde(default, rename = "port")]
    ports: Vec<PortText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortText {
    name: Spanned<String>,
    attach: Spanned<String>,
    mac: Option<Spanned<String>>,
}

impl FileText {
    fn configuration(&self, directory: &Path) -> Result<Configuration, Wrong> {
        let access = self.sockets.access()?;
        let networks: Vec<Network> = self
            .networks
            .iter()
            .map(|network| network.read(access, directory))
            .collect::<Result<_, _>>()?;
        if networks.is_empty() {
            let what = "there is no network; expected at least one [[network]]".to_owned();
            return Err(Wrong { what, span: 0..0 });
        }
        check(&networks).map_err(|conflict| {
            let span = self.span(conflict.place);
            Wrong { what: conflict.to_string(), span }
        })?;
        let control = self.control.as_ref().map(|control| control.read(directory)).transpose()?;
        let metrics = self.metrics.as_ref().map(|metrics| value(&metrics.listen)).transpose()?;
        Ok(Configuration { networks, control, metrics })
    }

    fn span(&self, place: Place) -> Range<usize> {
        match place {
            Place::Network(network) => self.networks[network].name.span(),
            Place::Uplink(network) => {
                let network = &self.networks[network];
                network.uplink.as_ref().map_or(network.name.span(), Spanned::span)
            }
            Place::Port(network, port) => self.networks[network].ports[port].name.span(),
            Place::Mac(network, port) => {
                let port = &self.networks[network].ports[port];
                port.mac.as_ref().map_or(port.name.span(), Spanned::span)
            }
        }
    }
}

impl SocketsText {
    fn access(&self) -> Result<Access, Wrong> {
        let Self { owner, group, mode } = self;
        check_access(owner, group, mode)?;
        Access::from_options(text(owner), text(group), text(mode))
            .map_err(|error| Wrong { what: error.to_string(), span: 0..0 })
    }
}

impl ControlText {
    fn read(&self, directory: &Path) -> Result<ControlSettings, Wrong> {
        let Self { socket, owner, group, mode } = self;
        check_access(owner, group, mode)?;
        if socket.as_ref().is_empty() {
            return Err(Wrong::at(socket, "a path is expected"));
        }
        let path = directory.join(socket.as_ref());
        ControlSettings::from_options(path, text(owner), text(group), text(mode))
            .map_err(|error| Wrong::at(socket, error))
    }
}

/// Looks at each by itself, so that what is wrong is told of the right one.
fn check_access(
    owner: &Option<Spanned<String>>,
    group: &Option<Spanned<String>>,
    mode: &Option<Spanned<String>>,
) -> Result<(), Wrong> {
    let one = |value: &Option<Spanned<String>>, read: fn(&str) -> Result<Access, _>| {
        let Some(value) = value else { return Ok(()) };
        read(value.as_ref()).map(drop).map_err(|error| Wrong::at(value, error))
    };
    one(owner, |owner| Access::from_options(Some(owner), None, None))?;
    one(group, |group| Access::from_options(None, Some(group), None))?;
    one(mode, |mode| Access::from_options(None, None, Some(mode)))
}

fn text(value: &Option<Spanned<String>>) -> Option<&str> {
    value.as_ref().map(|value| value.as_ref().as_str())
}

impl NetworkText {
    fn read(&self, access: Access, directory: &Path) -> Result<Network, Wrong> {
        let uplink = match &self.uplink {
            Some(uplink) => value(uplink)?,
            None => UplinkSpec::None,
        };
        let ports = self.ports.iter().map(|port| port.read(directory)).collect::<Result<_, _>>()?;
        Ok(Network { name: self.name.as_ref().clone(), uplink, ports, access })
    }
}

impl PortText {
    fn read(&self, directory: &Path) -> Result<PortSpec, Wrong> {
        let attachment: Attachment = value(&self.attach)?;
        let mac = self
            .mac
            .as_ref()
            .map(|mac| super::port::station(mac.as_ref()).map_err(|error| Wrong::at(mac, error)));
        Ok(PortSpec {
            name: self.name.as_ref().clone(),
            attachment: attachment.in_directory(directory),
            mac: mac.transpose()?,
        })
    }
}

/// A value that has a form of its own in a text.
fn value<T: FromStr<Err: std::fmt::Display>>(text: &Spanned<String>) -> Result<T, Wrong> {
    text.as_ref().parse().map_err(|error| Wrong::at(text, error))
}

#[cfg(test)]
mod tests;
