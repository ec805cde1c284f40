//! What wakes the loop at the other end of a trunk: a descriptor that is readable once it was rung,
//! until it is silenced. An eventfd(2) on Linux, a pair of sockets elsewhere.

#[cfg(target_os = "linux")]
pub(super) use event::Doorbell;
#[cfg(not(target_os = "linux"))]
pub(super) use pair::Doorbell;

#[cfg(target_os = "linux")]
mod event {
    use std::io;
    use std::os::fd::AsRawFd;

    use nix::sys::eventfd::{EfdFlags, EventFd};

    /// An eventfd.
    #[derive(Debug)]
    pub(in crate::port::trunk) struct Doorbell(EventFd);

    impl Doorbell {
        pub(in crate::port::trunk) fn new() -> io::Result<Self> {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            Ok(Self(EventFd::from_flags(flags)?))
        }

        pub(in crate::port::trunk) fn ring(&self) {
            // A counter that is full (EAGAIN) is readable as well.
            let _ = self.0.write(1);
        }

        pub(in crate::port::trunk) fn silence(&self) {
            // EAGAIN: it was silent.
            let _ = self.0.read();
        }

        pub(in crate::port::trunk) fn descriptor(&self) -> i32 {
            self.0.as_raw_fd()
        }
    }
}

#[cfg(any(not(target_os = "linux"), test))]
mod pair {
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// A pair of connected sockets: a byte for each time that it was rung.
    #[derive(Debug)]
    pub(in crate::port::trunk) struct Doorbell {
        button: UnixStream,
        bell: UnixStream,
    }

    impl Doorbell {
        pub(in crate::port::trunk) fn new() -> io::Result<Self> {
            let (button, bell) = UnixStream::pair()?;
            button.set_nonblocking(true)?;
            bell.set_nonblocking(true)?;
            Ok(Self { button, bell })
        }

        pub(in crate::port::trunk) fn ring(&self) {
            // A socket that is full is readable as well; both ends live as long as this value.
            let _ = (&self.button).write(&[1]);
        }

        pub(in crate::port::trunk) fn silence(&self) {
            // A bell that is heard each time it was rung has one byte; if ever there were more than
            // these, it would ring once too often, which is heard and harms nobody.
            let mut rung = [0; 64];
            let _ = (&self.bell).read(&mut rung);
        }

        pub(in crate::port::trunk) fn descriptor(&self) -> i32 {
            self.bell.as_raw_fd()
        }
    }
}

// What it is heard by here is epoll.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn is_readable(descriptor: i32) -> bool {
        use crate::poller::{Epoll, Interest, Poller, Source, Token};
        let mut poller = Epoll::new().unwrap();
        let interest = Interest { readable: true, writable: false };
        poller.add(Source { descriptor, generation: 0 }, Token(1), interest).unwrap();
        let mut events = Vec::new();
        poller.wait(crate::Nanos(0), &mut events).unwrap();
        events.iter().any(|event| event.readable)
    }

    #[test]
    fn rings_until_it_is_silenced_whatever_it_is_made_of() {
        macro_rules! check {
            ($kind:ty) => {{
                let bell = <$kind>::new().unwrap();
                bell.silence();
                assert!(!is_readable(bell.descriptor()), "silent at first");
                for rings in [1, 2, 50] {
                    for _ in 0..rings {
                        bell.ring();
                    }
                    assert!(is_readable(bell.descriptor()) && is_readable(bell.descriptor()));
                    bell.silence();
                    assert!(!is_readable(bell.descriptor()), "after {rings} rings");
                }
                for _ in 0..1 << 20 {
                    bell.ring();
                }
                assert!(is_readable(bell.descriptor()), "who is full still rings");
            }};
        }
        check!(Doorbell);
        check!(pair::Doorbell);
    }
}
