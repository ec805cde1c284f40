//! A service on several threads, on real sockets.
#![cfg(target_os = "linux")]

mod common;

use std::sync::Barrier;

use common::{PATIENCE, Running, Vm, frame, greet, network, start_on, station};
use vswitch::MacAddr;

/// Each VM sends to each other, all at once: every frame comes once, in its flow's order.
fn all_pairs(threads: usize) {
    const ROUNDS: u64 = 60;
    const BURST: u64 = 12;
    const VMS: usize = 6;
    let dir = testkit::scratch_dir();
    let ports: Vec<String> = (0..VMS).map(|n| format!("p{n}=unixgram:DIR/p{n}")).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let running = Running::start(threads, network(dir.path(), &ports));
    let vms: Vec<Vm> = (0..VMS).map(|n| Vm::plug_in(dir.path(), n)).collect();
    greet(&vms);
    // No more is under way than the queues hold: nobody is ever waited for or dropped.
    let round_over = Barrier::new(VMS);
    std::thread::scope(|scope| {
        for vm in &vms {
            let (vms, round_over) = (&vms, &round_over);
            scope.spawn(move || {
                let others: Vec<MacAddr> =
                    vms.iter().map(|other| other.station).filter(|at| *at != vm.station).collect();
                for round in 0..ROUNDS {
                    for number in round * BURST..(round + 1) * BURST {
                        for other in &others {
                            vm.send(*other, number, if number % 3 == 0 { 1514 } else { 60 });
                        }
                        vm.send(MacAddr::BROADCAST, number, 100);
                    }
                    let mut heard = [0; VMS];
                    for _ in 0..2 * BURST * others.len() as u64 {
                        let (from, number, to_all) = vm.receive_any();
                        // From each in the order in which it was sent: one to this VM, one to all.
                        let heard = &mut heard[usize::from(from.0[5])];
                        let next = (round * BURST + *heard / 2, *heard % 2 == 1);
                        assert_eq!((number, to_all), next, "of {from}");
                        *heard += 1;
                    }
                    round_over.wait();
                }
            });
        }
    });
    vms.iter().for_each(Vm::hears_nothing_more);
    let stopped = running.stop();
    for port in &stopped.ports {
        // Greetings to a VM that was not known to be there yet.
        let early = port.drops.get("no_peer").copied().unwrap_or(0);
        assert_eq!((port.dropped_frames, port.unsent_frames), (0, early), "{port:?}");
    }
    let names: Vec<&str> = stopped.ports.iter().map(|port| &*port.name).collect();
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p4", "p5"], "in the order in which they were told");
    let Some(trunks) = stopped.trunks else {
        assert_eq!(threads, 1);
        return;
    };
    assert_eq!((trunks.unsent_frames, trunks.dropped_frames, trunks.queued_frames), (0, 0, 0));
    let threads = threads as u64;
    let frames = ROUNDS * BURST;
    let elsewhere = VMS as u64 - VMS as u64 / threads;
    let crossing = VMS as u64 * frames * (elsewhere + threads - 1);
    assert!(trunks.sent_frames >= crossing, "{trunks:?}, {crossing} and the greetings");
    assert_eq!(trunks.sent_frames, trunks.received_frames);
}

#[test]
fn every_frame_comes_once_and_in_order_on_one_thread() {
    all_pairs(1);
}

#[test]
fn every_frame_comes_once_and_in_order_over_two_threads() {
    all_pairs(2);
}

#[test]
fn every_frame_comes_once_and_in_order_over_three_threads() {
    all_pairs(3);
}

#[test]
fn a_named_address_is_its_ports_in_every_loop() {
    let dir = testkit::scratch_dir();
    let own = "p0=unixgram:DIR/p0,mac=02:00:00:00:00:00";
    let running =
        Running::start(2, network(dir.path(), &[own, "p1=unixgram:DIR/p1", "p2=unixgram:DIR/p2"]));
    let vms: Vec<Vm> = (0..3).map(|n| Vm::plug_in(dir.path(), n)).collect();
    greet(&vms);
    // From the other loop: not as the named one, and not to be answered in its place.
    let thief = &vms[1];
    thief.socket.send(&frame(MacAddr::BROADCAST, station(0), 1, 60)).unwrap();
    thief.send(station(2), 2, 60);
    assert_eq!(vms[2].receive(), (station(1), 2), "nothing came before it");
    vms[2].send(station(0), 3, 60);
    thief.send(station(0), 4, 60);
    let mut heard = [vms[0].receive(), vms[0].receive()];
    heard.sort_by_key(|(_, number)| *number);
    assert_eq!(heard, [(station(2), 3), (station(1), 4)]);
    vms.iter().for_each(Vm::hears_nothing_more);
    let stopped = running.stop();
    assert_eq!(stopped.ports[1].drops.get("owned_source"), Some(&1));
    assert_eq!(stopped.ports[0].drops.get("owned_source"), None);
}

#[test]
fn one_address_cannot_be_named_in_two_loops() {
    let dir = testkit::scratch_dir();
    for kind in ["unixgram", "stream"] {
        let port = |n: usize, kind| format!("p{n}={kind}:DIR/p{n},mac=02:00:00:00:00:07");
        let ports = [port(0, kind), port(1, "unixgram")];
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let refused = start_on(2, network(dir.path(), &ports)).unwrap_err();
        assert!(refused.contains("is the address of port test/p0 already"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }
}

/// How many of this process's threads run a loop of another service than the first.
fn loop_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    stats.filter(|stat| stat.contains("(loop ") && !is_exiting(stat)).count()
}

/// Whether a task is on its way out (PF_EXITING in the flags, proc(5)). One that was joined is, and
/// may stand in /proc for a moment yet: the kernel wakes who joins it before it takes it out.
fn is_exiting(stat: &str) -> bool {
    let behind_name = stat.rsplit_once(')').expect("a name").1;
    let flags: u32 = behind_name.split_whitespace().nth(6).expect("flags").parse().unwrap();
    flags & 4 != 0
}

#[test]
fn stopping_ends_every_thread() {
    // Alone in a process of its own, so that other tests' threads are not counted.
    if std::env::var_os("ALONE").is_none() {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        own.args(["--exact", "stopping_ends_every_thread"]).env("ALONE", "1");
        let output = own.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let dir = testkit::scratch_dir();
    let ports: Vec<String> = (0..4).map(|n| format!("p{n}=unixgram:DIR/p{n}")).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    for busy in [false, true] {
        // More than there are ports for.
        let mut service = start_on(9, network(dir.path(), &ports)).unwrap();
        assert_eq!(service.ready().threads, 4);
        service.set_busy_poll(busy);
        let handle = service.handle();
        let running = std::thread::spawn(move || {
            service.run().unwrap();
            // The threads are gone, not only told to go.
            (loop_threads(), service.finish())
        });
        assert!(testkit::wait_until(PATIENCE, || loop_threads() == 3), "{}", loop_threads());
        handle.stop();
        let (left, stopped) = running.join().unwrap();
        assert_eq!((left, stopped.ports.len()), (0, 4));
        // Stopped before it runs, it does not run.
        let mut service = start_on(4, network(dir.path(), &ports)).unwrap();
        service.handle().stop();
        service.run().unwrap();
    }
}
