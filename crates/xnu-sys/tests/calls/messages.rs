//! Many datagrams by one call.

use xnu_sys::{Descriptor, MESSAGES_MAX, Messages, UnixSocket};

use crate::fake::Fake;

fn socket() -> (Fake, Descriptor<Fake, UnixSocket>) {
    let fake = Fake::new(|_, _| panic!("no request"));
    (fake.clone(), Descriptor::new(fake, 3))
}

/// All have as many buffers, also the one whose spill is empty: since macOS 14.0 the kernel needs
/// it so.
#[test]
fn a_datagram_fills_its_head_and_then_its_spill() {
    let (fake, socket) = socket();
    let mut heads = [[0; 4]; 3];
    let mut spills = [vec![0; 8], vec![0; 8], vec![]];
    let mut messages = Messages::default();
    let slots = heads.iter_mut().zip(&mut spills);
    let slots = slots.map(|(head, spill)| (head.as_mut_slice(), spill.as_mut_slice()));
    assert_eq!(messages.receive(&socket, slots), Ok(2));
    assert_eq!(fake.notes(), ["recvmsg_x [[4, 8], [4, 8], [4, 0]] 0x80"]);
    assert_eq!([messages.len_bytes(0), messages.len_bytes(1)], [10, 10]);
    assert_eq!((heads[0], &spills[0][..6]), ([0, 1, 2, 3], &[4, 5, 6, 7, 8, 9][..]));
    assert_eq!((heads[1], &spills[1][..6]), ([1, 2, 3, 4], &[5, 6, 7, 8, 9, 10][..]));
}

#[test]
fn no_more_than_the_arrays_hold_go_in_one_call() {
    let (fake, socket) = socket();
    let mut messages = Messages::default();
    let datagrams = [[5_u8; 60]; MESSAGES_MAX + 1];
    let sent = messages.send(&socket, datagrams.iter().map(<[u8; 60]>::as_slice));
    assert_eq!(sent, Ok(MESSAGES_MAX));
    let lens = vec![vec![60]; MESSAGES_MAX];
    assert_eq!(fake.notes(), [format!("sendmsg_x {lens:?} 0x80")]);
    let mut buffers = vec![[0_u8; 4]; MESSAGES_MAX + 1];
    let slots = buffers.iter_mut().map(|buffer| (&mut buffer[..], &mut [][..]));
    assert_eq!(messages.receive(&socket, slots), Ok(MESSAGES_MAX / 2));
    let lens = vec![vec![4, 0]; MESSAGES_MAX];
    assert_eq!(fake.notes(), [format!("recvmsg_x {lens:?} 0x80")]);
}

#[test]
fn nothing_to_do_is_no_call() {
    let (fake, socket) = socket();
    let mut messages = Messages::default();
    assert_eq!(messages.send(&socket, std::iter::empty()), Ok(0));
    assert_eq!(messages.receive(&socket, std::iter::empty()), Ok(0));
    assert_eq!(fake.notes(), [""; 0]);
}
