//! What a service cannot do.

use vswitch::switch::AddError;

use crate::config::Conflict;
use crate::loops::{Ended, WiringError};

/// Why a service did not start, or a change of it was not made. Whatever was made for it is taken
/// away again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError<E: std::error::Error + 'static> {
    /// A port or uplink cannot be had.
    #[error("{object}: {source}")]
    Platform {
        /// Which one.
        object: String,
        /// Why.
        source: E,
    },
    /// A port cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// Two things of which there can be one only.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// There is no network of this name.
    #[error("there is no network {network}")]
    NoNetwork {
        /// The name.
        network: String,
    },
    /// There are several networks, or none.
    #[error("there are {count} networks: say which one")]
    WhichNetwork {
        /// How many.
        count: usize,
    },
    /// There is no port of this name.
    #[error("network {network} has no port {port}")]
    NoPort {
        /// The network.
        network: String,
        /// The name.
        port: String,
    },
    /// It is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl<E: std::error::Error + 'static> ServiceError<E> {
    /// What the platform could not give.
    pub(super) fn of(object: impl Into<String>) -> impl FnOnce(E) -> Self {
        let object = object.into();
        move |source| Self::Platform { object, source }
    }
}

impl<E: std::error::Error + 'static> From<WiringError<E>> for ServiceError<E> {
    fn from(error: WiringError<E>) -> Self {
        match error {
            WiringError::Platform(source) => Self::of("the network")(source),
            WiringError::Add(error) => Self::Add(error),
            WiringError::Ended => Self::Ended(Ended),
        }
    }
}
