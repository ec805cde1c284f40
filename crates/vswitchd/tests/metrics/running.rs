//! Pages of a service that carries frames, on real sockets.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

use vswitchd::metrics::{Changes, Format, catalogue, render_as};

use crate::common::{PATIENCE, Running, Vm, frame, greet, network, station};
use crate::parser::{Page, Parser};
use crate::sums::assert_sums;

const PORTS: [&str; 3] = ["p0=unixgram:DIR/p0", "p1=unixgram:DIR/p1", "p2=stream:DIR/p2"];

/// A page of now, whose sums hold.
fn page(running: &Running, parser: &mut Parser) -> Page {
    let (report, facts) = (running.control.report().unwrap(), running.control.facts());
    let text = parser.parse(Format::Text, &render_as(Format::Text, &report, &facts));
    let open = parser.parse(Format::OpenMetrics, &render_as(Format::OpenMetrics, &report, &facts));
    assert_eq!(text.samples.len(), open.samples.len());
    assert_sums(&text);
    text
}

/// Frames between two datagram ports, and from clients of a stream port that come and go.
fn pages_tell_what_happened(threads: usize) -> Option<BTreeSet<String>> {
    const FRAMES: u64 = 500;
    const CLIENTS: u64 = 3;
    let mut parser = Parser::start_or_skip()?;
    let dir = testkit::scratch_dir();
    let running = Running::start(threads, network(dir.path(), &PORTS));
    let vms = [Vm::plug_in(dir.path(), 0), Vm::plug_in(dir.path(), 1)];
    greet(&vms);
    let before = page(&running, &mut parser);
    let of = |port| [("network", "test"), ("port", port)];
    let value =
        |page: &Page, port, name: &str| page.value(&format!("vswitch_port_{name}"), &of(port));
    for number in 0..FRAMES {
        vms[0].send(station(1), number, 60 + usize::try_from(number).unwrap());
        assert_eq!(vms[1].receive(), (station(0), number));
        if number % 100 == 0 {
            page(&running, &mut parser);
        }
    }
    for number in 0..CLIENTS {
        let mut client = UnixStream::connect(dir.path().join("p2")).unwrap();
        let bytes = frame(station(1), station(7), number, 100);
        client.write_all(&[&100_u32.to_be_bytes()[..], &bytes].concat()).unwrap();
        assert_eq!(vms[1].receive(), (station(7), number));
    }
    let gone =
        testkit::wait_until(PATIENCE, || value(&page(&running, &mut parser), "p2", "clients") == 0);
    assert!(gone, "clients that went are told of as there");
    let after = page(&running, &mut parser);
    let grown = |port, name: &str| value(&after, port, name) - value(&before, port, name);
    assert_eq!(grown("p0", "received_frames_total"), FRAMES);
    let bytes = (0..FRAMES).map(|number| 60 + number).sum::<u64>();
    assert_eq!(grown("p0", "received_bytes_total"), bytes);
    assert_eq!(grown("p0", "forwarded_frames_total"), FRAMES);
    assert_eq!(grown("p1", "sent_frames_total"), FRAMES + CLIENTS);
    assert_eq!(grown("p1", "sent_bytes_total"), bytes + 100 * CLIENTS);
    assert!(grown("p0", "receive_batch_frames_count") <= FRAMES);
    // The clients are told of as their port, also when they have gone.
    assert_eq!(value(&after, "p2", "received_frames_total"), CLIENTS);
    assert_eq!(value(&after, "p2", "clients_accepted_total"), CLIENTS);
    assert_eq!(after.values("vswitch_port_up", &[]), [1.0; 3], "and by no other name");
    assert_loops(&after, threads);
    assert_addresses(&after, threads);
    assert_eq!(
        after.value(
            "vswitch_port_info",
            &[("attachment", &format!("stream:{}/p2", dir.path().display()))]
        ),
        1
    );
    running.stop();
    Some(after.samples.into_iter().map(|sample| sample.name).collect())
}

fn assert_loops(page: &Page, threads: usize) {
    for number in 1..=threads {
        let number = number.to_string();
        let value = |name: &str| page.value(name, &[("loop", &number)]);
        let rounds = value("vswitch_loop_round_seconds_count");
        assert!(rounds > 0 && value("vswitch_loop_wakeups_total") > 0);
        let busy = page.values("vswitch_loop_round_seconds_sum", &[("loop", &number)]);
        assert!(busy.iter().all(|seconds| *seconds > 0.0), "{busy:?}");
        // The questions for these pages.
        assert!(value("vswitch_loop_commands_total") >= 5);
        let [budget, allocated, used, available] = ["budget", "allocated", "used", "available"]
            .map(|of| value(&format!("vswitch_pool_{of}_bytes")));
        assert!(used <= allocated && allocated <= budget && available <= budget);
        assert!(used > 0, "ports receive into buffers");
    }
    assert_eq!(page.values("vswitch_loop_wakeups_total", &[]).len(), threads);
}

/// The station of the clients is forgotten with them in the loop that had them; another loop knows
/// it for as long as an address lives.
fn assert_addresses(page: &Page, threads: usize) {
    let learnt = page.values("vswitch_fdb_learnt_entries", &[("network", "test")]);
    assert_eq!(learnt.len(), threads);
    assert!(learnt.iter().all(|count| (2.0..=3.0).contains(count)), "{learnt:?}");
    assert_eq!(page.sum("vswitch_fdb_static_entries", &[]), 0);
}

#[test]
fn pages_tell_what_happened_on_one_thread() {
    let Some(seen) = pages_tell_what_happened(1) else { return };
    assert!(!seen.iter().any(|name| name.starts_with("vswitch_trunk")), "{seen:?}");
}

#[test]
fn pages_tell_what_happened_on_two_threads() {
    let Some(seen) = pages_tell_what_happened(2) else { return };
    // All that there is, without an uplink.
    let of_uplinks = ["vswitch_interface_mtu_bytes", "vswitch_uplink_up"];
    let all = catalogue().into_iter().filter(|of| !of_uplinks.contains(&of.name));
    let missing: Vec<_> =
        all.filter(|of| !of.sample_names().iter().all(|n| seen.contains(n))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn changes_are_counted_by_what_came_of_them() {
    let dir = testkit::scratch_dir();
    let start = network(dir.path(), &PORTS[..1]);
    let running = Running::start(1, start.clone());
    let changes = || running.control.facts().changes;
    assert_eq!(changes(), Changes::default());
    running.control.apply(&network(dir.path(), &PORTS).into()).unwrap();
    assert_eq!(changes(), Changes { applied: 1, ..Changes::default() });
    let not_to_be_had = network(dir.path(), &["p9=unixgram:DIR/none/p9"]);
    running.control.apply(&not_to_be_had.into()).unwrap();
    assert_eq!(changes(), Changes { applied: 1, incomplete: 1, refused: 0 });
    running.control.apply(&network(dir.path(), &[PORTS[0], PORTS[0]]).into()).unwrap_err();
    running.control.note_refused();
    assert_eq!(changes(), Changes { applied: 1, incomplete: 1, refused: 2 });
    let started_at = running.control.facts().started_at;
    assert!(started_at.elapsed().is_ok_and(|since| since < 10 * PATIENCE));
    running.stop();
}
