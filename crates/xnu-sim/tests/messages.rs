//! `recvmsg_x` and `sendmsg_x`: each behaviour by its row of the contract.

mod common;

use common::roomy_pair;
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::{Descriptor, Messages, UnixSocket};

/// §7: many datagrams by one call each way, each with its length, across two buffers.
#[test]
fn many_datagrams_go_and_come_by_one_call() {
    for version in MacOs::ALL {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = roomy_pair(&kernel);
        let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), one);
        let other = Descriptor::<_, UnixSocket>::new(kernel.clone(), other);
        let frames: Vec<Vec<u8>> = (1..=10u8).map(|n| vec![n; usize::from(n) * 30]).collect();
        let mut messages = Messages::default();
        let sent = messages.send(&one, frames.iter().map(Vec::as_slice));
        assert_eq!(sent, Ok(10));
        let mut heads = vec![[0; 100]; 12];
        let mut spills = vec![[0; 400]; 12];
        let slots = heads.iter_mut().zip(&mut spills).map(|(h, s)| (&mut h[..], &mut s[..]));
        assert_eq!(messages.receive(&other, slots), Ok(10));
        for (place, frame) in frames.iter().enumerate() {
            let len = messages.len_bytes(place);
            assert_eq!(len, frame.len());
            let all = [heads[place].as_slice(), &spills[place]].concat();
            assert_eq!(&all[..len], frame);
        }
        assert_eq!(kernel.counters().of("sendmsg_x"), 1);
        assert_eq!(kernel.counters().of("recvmsg_x"), 1);
    }
}
