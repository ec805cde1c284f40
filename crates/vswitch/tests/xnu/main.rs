//! XNU's ports and its poller under the one loop, on a simulated XNU of every version.

mod datagram;
mod kqueue;
mod support;
mod unixgram;
mod uplink;
