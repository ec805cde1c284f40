//! What must hold on any page: the accounting, of figures as a reader has them.

use crate::parser::Page;

/// For each port of the page: what came in was forwarded, flooded or dropped; what was to go out
/// was sent, dropped or is queued; and all of it came and went in batches.
#[track_caller]
pub(crate) fn assert_sums(page: &Page) {
    let ports = page.samples.iter().filter(|of| of.name == "vswitch_port_received_frames_total");
    let mut count = 0;
    for port in ports {
        count += 1;
        let (network, name) = (port.labels["network"].as_str(), port.labels["port"].as_str());
        let of = [("network", network), ("port", name)];
        let value = |name: &str| page.value(&format!("vswitch_port_{name}"), &of);
        let dropped = |direction: &str| {
            let of = [of[0], of[1], ("direction", direction)];
            page.sum("vswitch_port_dropped_frames_total", &of)
        };
        let received = value("received_frames_total");
        let decided = value("forwarded_frames_total") + value("flooded_frames_total");
        assert_eq!(received, decided + dropped("ingress"), "{of:?}");
        let sent = value("sent_frames_total");
        let gone = sent + dropped("egress") + value("queued_frames");
        assert_eq!(value("enqueued_frames_total"), gone, "{of:?}");
        assert_eq!(value("receive_batch_frames_sum"), received + value("held_frames"), "{of:?}");
        assert_eq!(value("send_batch_frames_sum"), sent, "{of:?}");
    }
    let others = page.values("vswitch_port_sent_frames_total", &[]).len();
    assert!(count > 0 && count == others, "{count} ports receive and {others} send");
}
