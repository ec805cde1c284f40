//! What holds whatever is done: sockets against a plain queue, kqueues against what waits.

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use common::{nonblocking, pair, readers, receive, set};
use proptest::prelude::*;
use xnu_sim::{MacOs, SimFd, SimKernel};
use xnu_sys::sys_event::kevent64_s;
use xnu_sys::sys_socket::{SO_RCVBUF, SO_SNDBUF};
use xnu_sys::{Errno, Kernel};

fn any_version() -> impl Strategy<Value = MacOs> {
    proptest::sample::select(MacOs::ALL.as_slice())
}

/// A receiver as M21 says it, written down apart.
struct Model {
    room: u64,
    memory: u64,
    queue: VecDeque<Vec<u8>>,
}

impl Model {
    fn charges(bytes: &[u8]) -> (u64, u64) {
        let len = bytes.len() as u64;
        let clusters = match len {
            0..=80 => 256,
            81..=2048 => 256 + 2048,
            _ => len.div_ceil(4096) * (256 + 4096),
        };
        (len + 16, 256 + clusters)
    }

    fn push(&mut self, bytes: Vec<u8>) -> Result<usize, Errno> {
        let (charge, memory) = Self::charges(&bytes);
        if charge > self.room.min(self.memory) {
            return Err(Errno::ENOBUFS);
        }
        self.room -= charge;
        self.memory = self.memory.saturating_sub(memory);
        let len = bytes.len();
        self.queue.push_back(bytes);
        Ok(len)
    }

    /// Takes one; the memory is counted anew, since it may have gone below nothing.
    fn pop(&mut self, size: u64) -> Option<Vec<u8>> {
        let bytes = self.queue.pop_front()?;
        self.room += Self::charges(&bytes).0;
        let used: u64 = self.queue.iter().map(|bytes| Self::charges(bytes).1).sum();
        self.memory = (8 * size).saturating_sub(used);
        Some(bytes)
    }
}

proptest! {
    /// M21: a socket takes and gives what a queue of its size does, in order, to the byte.
    #[test]
    fn a_socket_is_a_queue_of_its_size(
        version in any_version(),
        size in 100u32..200_000,
        acts in proptest::collection::vec(proptest::option::of(0usize..6000), 1..200),
    ) {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        nonblocking(&kernel, &other);
        set(&kernel, &one, SO_SNDBUF, 5000).unwrap();
        set(&kernel, &other, SO_RCVBUF, size.cast_signed()).unwrap();
        let size = u64::from(size);
        let mut model = Model { room: size, memory: 8 * size, queue: VecDeque::new() };
        for (place, act) in acts.into_iter().enumerate() {
            if let Some(len) = act {
                let bytes = vec![place.to_le_bytes()[0]; len];
                let expected = match len {
                    5001.. => Err(Errno::EMSGSIZE),
                    _ => model.push(bytes.clone()),
                };
                prop_assert_eq!(kernel.write(&one, &bytes), expected);
            } else {
                let expected = model.pop(size).ok_or(Errno::EAGAIN);
                prop_assert_eq!(receive(&kernel, &other), expected);
            }
        }
    }

    /// §8: a level-triggered kqueue tells, at every moment, of exactly the sockets with something
    /// to read, with all its bytes.
    #[test]
    fn a_kqueue_tells_of_what_waits(
        version in any_version(),
        acts in proptest::collection::vec((0usize..4, proptest::option::of(0usize..300)), 1..100),
    ) {
        let kernel = SimKernel::boot(version, 1);
        let pairs: Vec<(SimFd, SimFd)> = (0..4).map(|_| pair(&kernel)).collect();
        let readable: Vec<&SimFd> = pairs.iter().map(|(_, other)| other).collect();
        readable.iter().for_each(|fd| nonblocking(&kernel, fd));
        let queue = readers(&kernel, &readable);
        let mut waiting = vec![VecDeque::new(); 4];
        for (which, act) in acts {
            if let Some(len) = act {
                if kernel.write(&pairs[which].0, &vec![7; len]).is_ok() {
                    waiting[which].push_back(len);
                }
            } else {
                let expected = waiting[which].pop_front().ok_or(Errno::EAGAIN);
                let received = receive(&kernel, readable[which]).map(|bytes| bytes.len());
                prop_assert_eq!(received, expected);
            }
            let told = common::events(&kernel, &queue);
            let told: BTreeMap<u64, i64> = told.iter().map(|e| (e.ident, e.data)).collect();
            let sums = waiting.iter().zip(&readable).filter(|(queue, _)| !queue.is_empty());
            let expected: BTreeMap<u64, i64> = sums.map(|(queue, fd)| {
                let ident = SimKernel::number(fd).unsigned_abs();
                (u64::from(ident), i64::try_from(queue.iter().sum::<usize>()).unwrap())
            }).collect();
            prop_assert_eq!(told, expected);
        }
    }

    /// Nothing that a process says to a kqueue breaks the machine.
    #[test]
    fn any_changes_are_survived(
        version in any_version(),
        changes in proptest::collection::vec(
            (0u64..9, -20i16..3, any::<u16>(), any::<u32>(), any::<i64>(), 0u64..3),
            1..60,
        ),
    ) {
        let kernel = SimKernel::boot(version, 1);
        let (one, other) = pair(&kernel);
        let queues = [kernel.kqueue().unwrap(), kernel.kqueue().unwrap()];
        let _device = kernel.open(c"/dev/bpf0", 2).unwrap();
        for (n, (ident, filter, flags, fflags, data, udata)) in changes.into_iter().enumerate() {
            let change = kevent64_s { ident, filter, flags, fflags, data, udata, ext: [0; 2] };
            let mut room = [kevent64_s::default(); 3];
            let span = Some(Duration::from_millis(1));
            let _ = kernel.kevent64(&queues[n % 2], &[change; 2], &mut room, 0, span);
            let _ = kernel.write(&one, b"x");
            if n % 3 == 0 {
                let _ = receive(&kernel, &other);
            }
        }
    }
}
