//! What the fuzz targets call; ordinary tests call it too: any bytes as what a client sends, to the
//! code that serves real connections, over a service that is no more than a list.
//!
//! A panic anywhere is a finding, on the threads of the runtime too: libFuzzer ends at any.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::Runtime;

use super::right::Right;
use super::routes::{self, Api};
use super::served::Served;
use crate::config::{PortSpec, UplinkSpec, file};
use crate::events::Events;

mod descriptors;
mod http;
mod list;

pub use descriptors::descriptors;
pub use http::http;

use list::List;

/// Any bytes as a configuration file, and as a port and an uplink of the command line: an error is
/// one line, and tells of a place that is in the file.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = file::parse(&text, Path::new("/etc/vswitch.toml")) {
        let file::FileError::Wrong { line, column, what, .. } = error else {
            panic!("nothing was to be read: {error}")
        };
        let place = text.split('\n').nth(line - 1).map(|line| line.chars().count() + 1);
        assert!(place.is_some_and(|end| (1..=end).contains(&column)), "{line}:{column}: {what}");
        assert!(!what.contains('\n'), "{what}");
    }
    // What is understood is told in words that are understood as the same.
    if let Ok(port) = text.parse::<PortSpec>() {
        assert_eq!(port.attachment.to_string().parse(), Ok(port.attachment));
    }
    if let Ok(uplink) = text.parse::<UplinkSpec>() {
        assert_eq!(uplink.to_string().parse(), Ok(uplink));
    }
}

/// What all inputs share; one at a time has it.
struct World {
    runtime: Runtime,
    list: Arc<List>,
    api: Api,
    router: axum::Router,
    metrics: axum::Router,
}

impl World {
    /// The world, with nothing in it that the input before left.
    fn take() -> MutexGuard<'static, Self> {
        static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
        let world = WORLD.get_or_init(|| Mutex::new(Self::new()));
        let world = world.lock().unwrap_or_else(PoisonError::into_inner);
        world.list.clear();
        world
    }

    fn new() -> Self {
        // With one thread for what may wait, whoever asks last is answered last.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let list = Arc::new(List::default());
        let served: Arc<dyn Served> = Arc::<List>::clone(&list);
        let api = Api::new(served, Events::default());
        let (router, metrics) = (routes::router(api.clone()), routes::metrics_router(api.clone()));
        Self { runtime, list, api, router, metrics }
    }

    /// What somebody with this right may have done by now.
    fn check(&self, right: Right) {
        assert!(right >= Right::Look || self.list.asked() == 0, "who may not ask was answered");
        assert!(right >= Right::Change || self.list.changed() == 0, "who may look changed it");
    }
}

/// Waits for what was asked for so far, for clients that are gone, too.
async fn settle() {
    tokio::task::spawn_blocking(|| ()).await.expect("nothing panics");
}

/// The right that an input's first byte names.
fn right_of(byte: u8) -> Right {
    match byte >> 6 {
        0 => Right::None,
        1 => Right::Look,
        _ => Right::Change,
    }
}

/// How long the pieces are in which an input comes: as its first byte says, and 64 at most.
fn piece_bytes(byte: u8, len: usize) -> usize {
    (1 << (byte & 0x0f)).max(len.div_ceil(64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kept_seeds() {
        testkit::fuzz_seeds("control_http").for_each(|(_, seed)| http(&seed));
        testkit::fuzz_seeds("control_descriptors").for_each(|(_, seed)| descriptors(&seed));
        testkit::fuzz_seeds("configuration").for_each(|(_, seed)| configuration(&seed));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            http(&bytes);
            descriptors(&bytes);
            configuration(&bytes);
        }

        #[test]
        fn requests(
            first in any::<[u8; 2]>(),
            method in "GET|POST|PUT|DELETE|HEAD",
            path in "/v1/(networks|ports|stats|status|events)?(/lan|/x)?(/ports|/uplink|/fdb)?",
            body in "(\\{\"(uplink|name|attach|is_up)\": ?(\"[a-z:/]*\"|true)\\})?",
        ) {
            let len = body.len();
            let text = format!("{method} {path} HTTP/1.1\r\ncontent-type: application/json\r\n\
                                content-length: {len}\r\n\r\n{body}");
            http(&[&first, text.as_bytes()].concat());
            descriptors(&[&first, body.as_bytes(), b"\n"].concat());
        }
    }
}
