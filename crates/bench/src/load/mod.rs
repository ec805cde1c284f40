//! The load: frames from one end of a switch to another, and what became of them.

mod end;
pub(crate) mod frame;
mod ping_pong;
mod receive;
mod saturate;
mod send;
mod tcp;

pub(crate) use end::Place;
pub(crate) use frame::FRAME_MAX_BYTES;
pub(crate) use ping_pong::{PingPong, RoundTrips};
pub(crate) use saturate::{Delivery, Meter, Saturate, Used};
pub(crate) use tcp::{Tcp, Transfer};
