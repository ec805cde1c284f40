//! A running service with a control socket.

use std::path::{Path, PathBuf};

use super::{Running, network};
use vswitchd::api::client::Client;
use vswitchd::api::wire::PortReply;
use vswitchd::api::{Refusal, Reload, Server};
use vswitchd::config::{Configuration, ControlSettings};

/// A service with a control socket.
pub(crate) struct Controlled {
    // Dropped in this order.
    pub(crate) server: Option<Server>,
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) dir: tempfile::TempDir,
}

impl Controlled {
    pub(crate) fn start(threads: usize, ports: &[&str]) -> Self {
        Self::start_with(threads, ports, "0660", None)
    }

    /// `reload` gives what is to be up from then on.
    pub(crate) fn start_with(
        threads: usize,
        ports: &[&str],
        mode: &str,
        reload: Option<fn(&Path) -> Configuration>,
    ) -> Self {
        let dir = testkit::scratch_dir();
        let socket = dir.path().join("c");
        let control = ControlSettings::from_options(socket.clone(), None, Some("0"), Some(mode));
        let wanted = Configuration {
            control: Some(control.expect("settings")),
            ..network(dir.path(), ports).into()
        };
        let running = Running::start(threads, wanted.clone());
        let (at, control) = (dir.path().to_owned(), running.control.clone());
        let reload = reload.map(|wanted| -> Reload {
            std::sync::Arc::new(move || control.apply(&wanted(&at)).map_err(Refusal::from))
        });
        let server = Server::start(running.control.clone(), &wanted, reload).expect("a server");
        let client = Client::new(socket);
        Self { server, running, client, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn ports(&self) -> Vec<String> {
        let ports: Vec<PortReply> = self.client.get("/v1/ports").expect("the ports");
        ports.into_iter().map(|port| port.name).collect()
    }
}
