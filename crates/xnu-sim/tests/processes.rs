//! Processes, their descriptors, and what lives on the machine besides them.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{nonblocking, pair, receive, roomy_pair, socket};
use xnu_sim::{Actor, MacOs, Polled, SimFd, SimKernel};
use xnu_sys::sys_fcntl::{
    F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR,
};
use xnu_sys::sys_filio::FIONBIO;
use xnu_sys::sys_socket::{AF_LOCAL, PF_NDRV, SOCK_DGRAM, SOCK_RAW};
use xnu_sys::{Descriptor, Errno, Kernel, UnixSocket};

fn boot() -> SimKernel {
    SimKernel::boot(MacOs::V15, 1)
}

fn numbers(kernel: &SimKernel) -> Vec<i32> {
    kernel.open_descriptors().into_iter().map(|(number, ..)| number).collect()
}

/// Descriptors have the lowest free numbers, and each process has its own.
#[test]
fn descriptors_have_the_lowest_free_numbers() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let queue = kernel.kqueue().expect("kqueue");
    assert_eq!(numbers(&kernel), [3, 4, 5]);
    drop(one);
    let again = socket(&kernel);
    assert_eq!(SimKernel::number(&again), 3);
    let second = kernel.spawn(false);
    assert_eq!(SimKernel::number(&socket(&second)), 3);
    drop((other, queue, again));
    assert_eq!(numbers(&kernel), []);
}

/// What is open can be listed, by what it is of and whether programs that are started have it.
#[test]
fn open_descriptors_can_be_listed() {
    let kernel = boot();
    let (one, _other) = pair(&kernel);
    let _queue = kernel.kqueue().expect("kqueue");
    kernel.fcntl(&one, F_SETFD, FD_CLOEXEC).expect("F_SETFD");
    let _bpf = kernel.open(c"/dev/bpf1", O_RDWR | O_CLOEXEC).expect("open");
    let open = kernel.open_descriptors();
    let listed: Vec<_> = open.iter().map(|(_, what, cloexec)| (what.as_str(), *cloexec)).collect();
    let expected = [("unix0", true), ("unix1", false), ("kqueue0", false), ("/dev/bpf1", true)];
    assert_eq!(listed, expected);
}

/// A process without free descriptors gets `EMFILE`, and nothing stays behind: neither half a pair
/// nor an object without a descriptor.
#[test]
fn a_process_may_run_out_of_descriptors() {
    let kernel = boot();
    let mut open: Vec<SimFd> = Vec::new();
    let failed = loop {
        match kernel.socket(AF_LOCAL, SOCK_DGRAM, 0) {
            Ok(fd) => open.push(fd),
            Err(errno) => break errno,
        }
    };
    assert_eq!(failed, Errno::EMFILE);
    assert_eq!(kernel.kqueue().map(drop), Err(Errno::EMFILE));
    assert_eq!(kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).map(drop), Err(Errno::EMFILE));
    assert_eq!(kernel.open(c"/dev/bpf0", O_RDWR).map(drop), Err(Errno::EMFILE));
    open.pop();
    let count = numbers(&kernel).len();
    assert_eq!(kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).map(drop), Err(Errno::EMFILE));
    assert_eq!(numbers(&kernel).len(), count);
    // The device was closed again: it is not busy.
    assert!(kernel.open(c"/dev/bpf0", O_RDWR).is_ok());
}

/// An object ends with its last descriptor, of whichever process.
#[test]
fn an_object_ends_with_its_last_descriptor() {
    let kernel = boot();
    let second = kernel.spawn(true);
    let bpf = kernel.open(c"/dev/bpf0", O_RDWR).expect("open");
    let shared = kernel.share(&bpf, &second).expect("share");
    drop(bpf);
    assert_eq!(kernel.open(c"/dev/bpf0", O_RDWR).map(drop), Err(Errno::EBUSY));
    drop(shared);
    assert_eq!(kernel.open(c"/dev/bpf0", O_RDWR).map(drop), Ok(()));
}

/// There are BPF devices, under their own names alone.
#[test]
fn nothing_but_bpf_devices_can_be_opened() {
    let kernel = boot();
    for path in [c"/dev/null", c"/dev/bpf", c"/dev/bpf00", c"/dev/bpf+1", c"/dev/bpf9999", c""] {
        assert_eq!(kernel.open(path, O_RDWR).map(drop), Err(Errno::ENOENT), "{path:?}");
    }
    assert_eq!(kernel.open(c"/dev/bpf3", O_RDWR).map(drop), Ok(()));
}

/// What several descriptors share is the open file: its flags too, but not close-on-exec.
#[test]
fn shared_descriptors_share_the_file() {
    let kernel = boot();
    let second = kernel.spawn(false);
    let (one, _other) = pair(&kernel);
    let shared = kernel.share(&one, &second).expect("share");
    kernel.fcntl(&one, F_SETFD, FD_CLOEXEC).expect("F_SETFD");
    nonblocking(&kernel, &one);
    assert_eq!(second.read(&shared, &mut [0; 8]), Err(Errno::EAGAIN));
    assert!(!second.open_descriptors()[0].2);
}

/// A descriptor is of its process: to another's calls it is `EBADF`.
#[test]
fn a_descriptor_is_of_its_process() {
    let kernel = boot();
    let second = kernel.spawn(true);
    let (one, _other) = pair(&kernel);
    assert_eq!(second.write(&one, b"x"), Err(Errno::EBADF));
    assert_eq!(SimKernel::boot(MacOs::V15, 1).write(&one, b"x"), Err(Errno::EBADF));
    assert_eq!(kernel.write(&one, b"x"), Ok(1));
}

/// `F_SETFL` changes whether calls wait, and not how a file was opened; `F_GETFL` says both.
#[test]
fn file_flags() {
    let kernel = boot();
    let (one, _other) = pair(&kernel);
    let flags = |fd| kernel.fcntl(fd, F_GETFL, 0);
    assert_eq!(flags(&one), Ok(O_RDWR));
    assert_eq!(kernel.fcntl(&one, F_SETFL, O_NONBLOCK), Ok(0));
    assert_eq!(flags(&one), Ok(O_RDWR | O_NONBLOCK));
    assert_eq!(kernel.fcntl(&one, F_SETFL, 0), Ok(0));
    assert_eq!(flags(&one), Ok(O_RDWR));
    assert_eq!(kernel.fcntl(&one, 99, 0), Err(Errno::EINVAL));
    let read_only = kernel.open(c"/dev/bpf0", O_RDONLY | O_CLOEXEC).expect("open");
    assert_eq!(kernel.fcntl(&read_only, F_SETFL, O_RDWR | O_NONBLOCK), Ok(0));
    assert_eq!(flags(&read_only), Ok(O_RDONLY | O_NONBLOCK));
    assert_eq!(kernel.write(&read_only, &[0; 60]), Err(Errno::EBADF));
}

/// `FIONBIO` is `O_NONBLOCK`.
#[test]
fn fionbio_makes_calls_not_wait() {
    let kernel = boot();
    let one = Descriptor::<_, UnixSocket>::new(kernel.clone(), pair(&kernel).0);
    one.request(FIONBIO, &mut 1).expect("FIONBIO");
    assert_eq!(kernel.fcntl(one.fd(), F_GETFL, 0), Ok(O_RDWR | O_NONBLOCK));
    one.request(FIONBIO, &mut 0).expect("FIONBIO");
    assert_eq!(kernel.fcntl(one.fd(), F_GETFL, 0), Ok(O_RDWR));
}

/// A blocking read waits in virtual time; what comes meanwhile ends it.
#[test]
fn a_blocking_read_waits() {
    let kernel = boot();
    let (one, other) = pair(&kernel);
    let writer = kernel.share(&one, &kernel).expect("share");
    kernel.schedule(Duration::from_secs(3), move |kernel| {
        kernel.write(&writer, b"late").expect("write");
    });
    let before = kernel.now();
    assert_eq!(receive(&kernel, &other), Ok(b"late".to_vec()));
    assert!(kernel.now() - before >= Duration::from_secs(3));
}

/// Who drops its privileges keeps what it opened, and opens nothing more that is root's.
#[test]
fn privileges_can_be_dropped() {
    let kernel = boot();
    let ndrv = kernel.socket(PF_NDRV, SOCK_RAW, 0).expect("root's socket");
    kernel.drop_privileges();
    assert_eq!(kernel.socket(PF_NDRV, SOCK_RAW, 0).map(drop), Err(Errno::EPERM));
    assert!(kernel.fcntl(&ndrv, F_GETFL, 0).is_ok());
    assert_eq!(kernel.spawn(false).socket(PF_NDRV, SOCK_RAW, 0).map(drop), Err(Errno::EPERM));
    assert!(kernel.spawn(true).socket(PF_NDRV, SOCK_RAW, 0).is_ok());
}

/// Each process's calls are counted by name, failed ones too; closing is not.
#[test]
fn calls_are_counted_for_each_process() {
    let kernel = boot();
    let second = kernel.spawn(false);
    let (one, other) = roomy_pair(&kernel);
    let before = kernel.counters();
    kernel.write(&one, &[0; 100]).expect("write");
    let _ = kernel.write(&one, &[0; 1 << 20]);
    receive(&kernel, &other).expect("read");
    let _ = socket(&second);
    drop(one);
    let since = kernel.counters().since(&before);
    assert_eq!((since.of("write"), since.of("read"), since.total_calls()), (2, 1, 3));
    assert_eq!((since.copied_in_bytes, since.copied_out_bytes), (100, 100));
    assert_eq!(since.copied_bytes(), 200);
    assert_eq!(second.counters().of("socket"), 1);
}

/// Time moves with calls, and in waits to what is next; it stands still otherwise.
#[test]
fn time_moves_within_calls() {
    let kernel = boot();
    let before = kernel.now();
    assert_eq!(kernel.now(), before);
    assert_eq!(u128::from(kernel.uptime_ns()), before.as_nanos());
    let _ = pair(&kernel);
    assert_eq!(kernel.now() - before, Duration::from_nanos(400));
    kernel.sleep(Duration::from_secs(100));
    assert_eq!(kernel.now() - before, Duration::from_secs(100) + Duration::from_nanos(400));
}

/// Scheduled acts happen at their moments, those of one moment in their order, and may schedule
/// more.
#[test]
fn scheduled_acts_happen_in_their_order() {
    let kernel = boot();
    let (one, other) = roomy_pair(&kernel);
    let one = Arc::new(one);
    for (after, what) in [(5, "b"), (3, "a"), (5, "c")] {
        let one = Arc::clone(&one);
        kernel.schedule(Duration::from_millis(after), move |kernel| {
            kernel.write(&one, what.as_bytes()).expect("write");
            kernel.schedule(Duration::from_millis(10), move |kernel| {
                kernel.write(&one, what.to_uppercase().as_bytes()).expect("write");
            });
        });
    }
    let moment = kernel.now() + Duration::from_millis(2);
    kernel.schedule(Duration::from_millis(2), move |kernel| assert_eq!(kernel.now(), moment));
    kernel.run_for(Duration::from_millis(4));
    assert_eq!(receive(&kernel, &other), Ok(b"a".to_vec()));
    assert_eq!(receive(&kernel, &other), Err(Errno::EAGAIN));
    kernel.run_for(Duration::from_millis(20));
    let rest: Vec<Vec<u8>> = std::iter::from_fn(|| receive(&kernel, &other).ok()).collect();
    assert_eq!(rest, [b"b", b"c", b"A", b"B", b"C"]);
}

/// Echoes what comes, and says hello at a moment of its own.
struct Echo {
    kernel: SimKernel,
    fd: SimFd,
    hello_ns: Option<u64>,
    polls: Arc<AtomicU64>,
}

impl Actor for Echo {
    fn poll(&mut self, now_ns: u64) -> Polled {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let mut has_acted = false;
        if self.hello_ns.is_some_and(|at| at <= now_ns) {
            self.hello_ns = None;
            self.kernel.write(&self.fd, b"hello").expect("write");
            has_acted = true;
        }
        if let Ok(bytes) = receive(&self.kernel, &self.fd) {
            self.kernel.write(&self.fd, &bytes).expect("write");
            has_acted = true;
        }
        Polled { has_acted, next_ns: self.hello_ns }
    }
}

fn echo(kernel: &SimKernel, hello_after: Option<Duration>) -> (SimFd, Arc<AtomicU64>) {
    let (one, other) = roomy_pair(kernel);
    let guest = kernel.spawn(false);
    let fd = kernel.share(&other, &guest).expect("share");
    let polls = Arc::new(AtomicU64::new(0));
    let at = |after| u64::try_from((kernel.now() + after).as_nanos()).expect("soon");
    let hello_ns = hello_after.map(at);
    let actor = Echo { kernel: guest, fd, hello_ns, polls: Arc::clone(&polls) };
    kernel.add_actor(Box::new(actor));
    (one, polls)
}

/// Actors answer while a process waits, and act at moments that they name.
#[test]
fn actors_act_while_others_wait() {
    let kernel = boot();
    let (one, _) = echo(&kernel, Some(Duration::from_secs(2)));
    kernel.write(&one, b"ping").expect("write");
    let queue = common::readers(&kernel, &[&one]);
    let told = common::wait(&kernel, &queue, Duration::from_secs(1));
    assert_eq!(told.len(), 1);
    assert_eq!(receive(&kernel, &one), Ok(b"ping".to_vec()));
    let before = kernel.now();
    assert_eq!(common::wait(&kernel, &queue, Duration::from_secs(9)).len(), 1);
    assert_eq!(receive(&kernel, &one), Ok(b"hello".to_vec()));
    let took = kernel.now() - before;
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

/// Actors are polled once by a `kevent64` that does not wait.
#[test]
fn actors_are_polled_by_calls_that_do_not_wait() {
    let kernel = boot();
    let (_one, polls) = echo(&kernel, None);
    let queue = kernel.kqueue().expect("kqueue");
    for _ in 0..3 {
        common::events(&kernel, &queue);
    }
    assert_eq!(polls.load(Ordering::Relaxed), 3);
}

/// An actor may add actors, and all can be taken off, which frees the machine.
#[test]
fn actors_can_be_added_and_removed() {
    struct Parent(SimKernel, bool);
    impl Actor for Parent {
        fn poll(&mut self, _now_ns: u64) -> Polled {
            if !std::mem::replace(&mut self.1, true) {
                let _kept_open = echo(&self.0, None);
            }
            Polled { has_acted: false, next_ns: None }
        }
    }
    let kernel = boot();
    kernel.add_actor(Box::new(Parent(kernel.spawn(false), false)));
    let (one, polls) = echo(&kernel, None);
    kernel.schedule(Duration::from_secs(1), |_| panic!("taken off"));
    kernel.run_for(Duration::from_millis(1));
    let before = polls.load(Ordering::Relaxed);
    assert!(before > 0);
    kernel.remove_actors();
    kernel.run_for(Duration::from_secs(9));
    assert_eq!(polls.load(Ordering::Relaxed), before);
    assert_eq!(kernel.write(&one, b"x"), Err(Errno::ECONNRESET), "its descriptor is closed");
}

/// The same seed and the same calls are the same machine, to the last call of the trace.
#[test]
fn a_machine_is_its_seed() {
    let run = |seed| {
        let kernel = SimKernel::boot(MacOs::V14_4, seed);
        let (one, _) = echo(&kernel, Some(Duration::from_millis(3)));
        let queue = common::readers(&kernel, &[&one]);
        for _ in 0..20 {
            kernel.write(&one, b"ping").expect("write");
            common::wait(&kernel, &queue, Duration::from_millis(1));
            let _ = receive(&kernel, &one);
        }
        kernel.trace()
    };
    assert_eq!(run(7), run(7));
    assert!(run(7).contains("p0 kevent64(kqueue0) = 1"));
}
