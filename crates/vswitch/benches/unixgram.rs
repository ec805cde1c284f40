//! The whole path on real sockets: one sender, the switch on a thread, one receiver.
//!
//! `cargo bench -p vswitch --bench unixgram`. What it costs is nearly all the kernel's: compare
//! with a bare relay on the same machine in the same minute, not with a figure from elsewhere.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, criterion_group, criterion_main};

#[cfg(target_os = "linux")]
fn unixgram_to_unixgram(criterion: &mut Criterion) {
    use std::os::unix::net::UnixDatagram;

    use criterion::{BenchmarkId, Throughput};
    use vswitch::fabric::{PortPolicy, Settings};
    use vswitch::poller::Epoll;
    use vswitch::port::linux::UnixgramPort;
    use vswitch::port::unix::Access;
    use vswitch::switch::{PortSettings, Switch, WhenGone};

    const FRAMES: u64 = 4096;

    let dir = testkit::scratch_dir();
    let mut switch = Switch::new(Epoll::new().expect("an epoll"));
    let network = switch.add_network("bench", Settings::default());
    for name in ["a", "b"] {
        let port = UnixgramPort::bind(&dir.path().join(name), Access::default()).expect("a port");
        let settings = PortSettings {
            name: name.to_owned(),
            network,
            policy: PortPolicy::default(),
            when_gone: WhenGone::Keep,
            waits: true,
        };
        switch.add_port(settings, Box::new(port)).expect("a free place");
    }
    let handle = switch.handle();
    let thread = std::thread::spawn(move || switch.run());
    let guest = |name: &str| {
        let socket = UnixDatagram::bind(dir.path().join(format!("{name}.vm"))).expect("a path");
        socket.connect(dir.path().join(name)).expect("the switch");
        socket.send(b"VFKT").expect("a handshake");
        socket
    };
    let (a, b) = (guest("a"), guest("b"));
    let mut hello = vec![0; 60];
    hello[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    b.send(&hello).expect("B's first frame");
    let mut buffer = vec![0; 70_000];
    a.recv(&mut buffer).expect("B's first frame at A");
    let mut group = criterion.benchmark_group("unixgram to unixgram");
    group.throughput(Throughput::Elements(FRAMES)).sample_size(20);
    for size in [64, 1514, 9014] {
        let mut frame = vec![0; size];
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                std::thread::scope(|scope| {
                    scope.spawn(|| (0..FRAMES).for_each(|_| drop(a.send(&frame))));
                    for _ in 0..FRAMES {
                        b.recv(&mut buffer).expect("none is lost");
                    }
                });
            });
        });
    }
    group.finish();
    handle.stop();
    thread.join().expect("the switch's thread").expect("the loop");
}

#[cfg(not(target_os = "linux"))]
fn unixgram_to_unixgram(_: &mut Criterion) {}

criterion_group!(benches, unixgram_to_unixgram);
criterion_main!(benches);
