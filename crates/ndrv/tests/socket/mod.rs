//! What an NDRV socket does on every kernel: called with a pair of feths of the simulated XNU, and
//! as root of a Mac with two of the real one. What was sent is read at the other end by a BPF
//! device, with requests alone: this crate does not know `bpf`.

/// The tests of the contract, handed to a macro that makes them for one kind of kernel.
macro_rules! contract {
    ($tests:ident) => {
        $tests! {
            frames_of_every_length,
            frames_of_wrong_lengths,
            long_frames,
            an_interface_that_goes_and_comes,
            what_is_no_interface,
        }
    };
}

use ndrv::{Error, FRAME_LEEWAY_BYTES, Options, Socket};
use xnu_sys::bpf::{BIOCGBLEN, BIOCIMMEDIATE, BIOCSBLEN, BIOCSETIF, BIOCSSEESENT};
use xnu_sys::net_if::ifreq;
use xnu_sys::{BpfDevice, Descriptor, Errno, InterfaceName, Kernel};

use crate::xnu::{ETHERTYPE, Pair, frame};

pub(crate) fn open<K: Kernel>(pair: &Pair<K>) -> Socket<K> {
    Socket::open_on(pair.kernel().clone(), pair.v, &Options::default()).expect("a socket")
}

/// The other end.
pub(crate) struct Reader<K: Kernel> {
    device: Descriptor<K, BpfDevice>,
    buffer: Vec<u8>,
}

impl<K: Kernel> Reader<K> {
    pub(crate) fn on(kernel: &K, interface: InterfaceName) -> Self {
        let device = (0..256)
            .map(|number| std::ffi::CString::new(format!("/dev/bpf{number}")).expect("a path"))
            .find_map(|path| match Descriptor::open_bpf(kernel.clone(), &path) {
                Err(error) if error.errno == Errno::EBUSY => None,
                result => Some(result.expect("a device")),
            })
            .expect("a free device");
        device.request(BIOCSBLEN, &mut (512 << 10)).expect("a buffer");
        let mut len = 0;
        device.request(BIOCGBLEN, &mut len).expect("its length");
        device.request(BIOCIMMEDIATE, &mut 1).expect("immediate");
        device.request(BIOCSSEESENT, &mut 0).expect("received frames alone");
        device.request(BIOCSETIF, &mut ifreq::new(interface)).expect("an interface");
        Self { device, buffer: vec![0; len as usize] }
    }

    /// The tests' frames that have come, in order.
    pub(crate) fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(len) = self.device.read(&mut self.buffer).expect("a read") {
            let mut rest = &self.buffer[..len];
            while !rest.is_empty() {
                let caplen = u32::from_ne_bytes(rest[8..12].try_into().expect("four bytes"));
                let hdrlen = u16::from_ne_bytes(rest[16..18].try_into().expect("two bytes"));
                let (begin, end) = (usize::from(hdrlen), usize::from(hdrlen) + caplen as usize);
                let captured = &rest[begin..end];
                if captured[12..14] == ETHERTYPE.to_be_bytes() {
                    frames.push(captured.to_vec());
                }
                rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
            }
        }
        frames
    }
}

/// Frames of every length go through whole and in order, one by one and many at once.
pub(crate) fn frames_of_every_length<K: Kernel>(pair: &Pair<K>) {
    let (mut socket, mut reader) = (open(pair), Reader::on(pair.kernel(), pair.b));
    assert_eq!(socket.frame_max_bytes(), 1518);
    let lens = [16, 17, 60, 61, 64, 1000, 1500, 1514, 1518];
    let frames: Vec<Vec<u8>> = (0..).zip(lens).map(|(number, len)| frame(number, len)).collect();
    for frame in &frames {
        socket.send(frame).expect("sent");
    }
    pair.settle();
    assert_eq!(reader.drain(), frames);
    let frames: Vec<Vec<u8>> = (0..200).map(|number| frame(number, 60)).collect();
    let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    assert_eq!(socket.send_batch(&slices), (200, None));
    pair.settle();
    assert_eq!(reader.drain(), frames);
    assert_eq!(socket.send_batch(&[]), (0, None));
}

/// Nothing that fits no interface reaches the kernel, which would not notice; what stands before it
/// in a batch is sent.
pub(crate) fn frames_of_wrong_lengths<K: Kernel>(pair: &Pair<K>) {
    let (mut socket, mut reader) = (open(pair), Reader::on(pair.kernel(), pair.b));
    let interface = pair.v;
    let too_short = Error::TooShort { interface, len_bytes: 13 };
    let too_long = Error::TooLong { interface, len_bytes: 1519, max_bytes: 1518 };
    let (good, long) = (frame(1, 60), frame(2, 1519));
    assert_eq!(socket.send(&[]), Err(Error::TooShort { interface, len_bytes: 0 }));
    assert_eq!(socket.send(&[0; 13]), Err(too_short.clone()));
    assert_eq!(socket.send(&long), Err(too_long.clone()));
    assert_eq!(socket.send_batch(&[&good, &[0; 13], &good]), (1, Some(too_short)));
    assert_eq!(socket.send_batch(&[&good, &good, &long]), (2, Some(too_long.clone())));
    assert_eq!(socket.send_batch(&[&long, &good]), (0, Some(too_long)));
    pair.settle();
    assert_eq!(reader.drain(), [&good[..]; 3]);
    assert_eq!(socket.send(&frame(3, 14)), Ok(()), "a header alone");
}

/// A frame is bounded by the send buffer, which has 8,192 bytes until more is asked for.
pub(crate) fn long_frames<K: Kernel>(pair: &Pair<K>) {
    let pair = &Pair::create_for_mtu(pair.kernel(), 16_000).expect("a pair for long frames");
    let mut before = open(pair);
    for mtu in [9000, 16_000] {
        pair.set_mtu(mtu);
        let (mut socket, mut reader) = (open(pair), Reader::on(pair.kernel(), pair.b));
        let longest_bytes = mtu as usize + FRAME_LEEWAY_BYTES;
        assert_eq!(socket.frame_max_bytes(), longest_bytes);
        let longest = frame(1, longest_bytes);
        socket.send(&longest).expect("sent");
        // One that was opened before learns of it when told to.
        assert!(before.frame_max_bytes() < longest_bytes);
        before.refresh_mtu().expect("an MTU");
        before.send(&longest).expect("sent");
        pair.settle();
        assert_eq!(reader.drain(), [&longest[..]; 2]);
    }
}

/// An interface that is gone, and there again.
pub(crate) fn an_interface_that_goes_and_comes<K: Kernel>(pair: &Pair<K>) {
    let mut socket = open(pair);
    let interface = pair.v;
    let good = frame(1, 60);
    pair.begin_to_destroy_v();
    let gone = Error::InterfaceGone { interface };
    assert_eq!(socket.send(&good), Err(gone.clone()), "at once, unlike BPF");
    assert_eq!(socket.send_batch(&[&good, &good]), (0, Some(gone)));
    let missing = Error::NoInterface { interface, call: "SIOCGIFMTU" };
    assert_eq!(socket.refresh_mtu(), Err(missing));
    pair.make_v_again();
    let (mut socket, mut reader) = (open(pair), Reader::on(pair.kernel(), pair.b));
    socket.send(&good).expect("sent");
    pair.settle();
    assert_eq!(reader.drain(), [good]);
}

/// A bind that fails spoils no later socket.
pub(crate) fn what_is_no_interface<K: Kernel>(pair: &Pair<K>) {
    let interface = "feth9999".parse().expect("a name");
    let none = Socket::open_on(pair.kernel().clone(), interface, &Options::default());
    assert_eq!(none.err(), Some(Error::NoInterface { interface, call: "bind" }));
    assert_eq!(open(pair).send(&frame(1, 60)), Ok(()));
}
