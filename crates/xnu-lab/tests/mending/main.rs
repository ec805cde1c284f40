//! What an uplink stands on is taken away, changed or set down by somebody, and what the switch
//! does about it: mends what is its own, leaves alone what is not, and says so once.

mod interface;
mod lent;
mod mtu;
mod own_bridge;
mod pair;
mod support;
mod trouble;
