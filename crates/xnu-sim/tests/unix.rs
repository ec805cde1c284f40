//! `AF_UNIX` datagram sockets: each behaviour by its row of the contract.

mod common;

use common::{pair, receive};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::Kernel;

/// §7: one datagram is one write and one read, both ways.
#[test]
fn a_pair_carries_datagrams_both_ways() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        assert_eq!(kernel.write(&one, b"ping"), Ok(4));
        assert_eq!(kernel.write(&one, b"again"), Ok(5));
        assert_eq!(kernel.write(&other, b"pong"), Ok(4));
        assert_eq!(receive(&kernel, &other), Ok(b"ping".to_vec()));
        assert_eq!(receive(&kernel, &other), Ok(b"again".to_vec()));
        assert_eq!(receive(&kernel, &one), Ok(b"pong".to_vec()));
    }
}
