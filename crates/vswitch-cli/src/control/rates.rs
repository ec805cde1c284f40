//! What two looks at the counters say of the time between them.

use vswitchd::api::wire::StatsReply;
use vswitchd::report::PortSummary;

use crate::output::table;

/// One port's traffic.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[allow(missing_docs, reason = "the names and units say it")]
pub(super) struct Rates {
    pub(super) network: String,
    pub(super) port: String,
    pub(super) received_frames_per_s: f64,
    pub(super) received_bits_per_s: f64,
    pub(super) sent_frames_per_s: f64,
    pub(super) sent_bits_per_s: f64,
    /// Coming in and going out.
    pub(super) dropped_frames_per_s: f64,
    pub(super) queued_frames: usize,
}

/// The traffic of each port that is in both.
pub(super) fn between(before: &StatsReply, after: &StatsReply) -> Vec<Rates> {
    let seconds = after.unix_ms.saturating_sub(before.unix_ms).max(1) as f64 / 1000.0;
    let of = |now: &PortSummary| {
        let is_it = |of: &&PortSummary| of.name == now.name && of.network == now.network;
        let then = before.ports.iter().find(is_it)?;
        // A port that was removed and added again begins at zero.
        let rate = |then: u64, now: u64| now.saturating_sub(then) as f64 / seconds;
        let dropped = |of: &PortSummary| of.dropped_frames + of.unsent_frames;
        Some(Rates {
            network: now.network.clone(),
            port: now.name.clone(),
            received_frames_per_s: rate(then.received_frames, now.received_frames),
            received_bits_per_s: 8.0 * rate(then.received_bytes, now.received_bytes),
            sent_frames_per_s: rate(then.sent_frames, now.sent_frames),
            sent_bits_per_s: 8.0 * rate(then.sent_bytes, now.sent_bytes),
            dropped_frames_per_s: rate(dropped(then), dropped(now)),
            queued_frames: now.queued_frames,
        })
    };
    after.ports.iter().filter_map(of).collect()
}

/// As a table.
pub(super) fn shown(rates: &[Rates]) -> String {
    let rows: Vec<Vec<String>> = rates
        .iter()
        .map(|rates| {
            vec![
                format!("{}/{}", rates.network, rates.port),
                short(rates.received_frames_per_s),
                short(rates.received_bits_per_s),
                short(rates.sent_frames_per_s),
                short(rates.sent_bits_per_s),
                short(rates.dropped_frames_per_s),
                rates.queued_frames.to_string(),
            ]
        })
        .collect();
    table(&["PORT", "IN f/s", "IN bit/s", "OUT f/s", "OUT bit/s", "DROPS/s", "QUEUED"], &rows)
}

/// A number in four characters or so.
fn short(number: f64) -> String {
    for (unit, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if number >= 0.9995 * unit {
            let digits = if number >= 99.95 * unit { 0 } else { 1 };
            return format!("{:.digits$}{name}", number / unit);
        }
    }
    format!("{number:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(unix_ms: u64, frames: u64) -> StatsReply {
        let port = serde_json::json!({
            "name": "vm1", "network": "lan", "received_frames": frames,
            "received_bytes": frames * 100, "forwarded_frames": frames, "flooded_frames": 0,
            "dropped_frames": frames / 10, "enqueued_frames": 0, "sent_frames": 2 * frames,
            "sent_bytes": 200 * frames, "unsent_frames": 0, "queued_frames": 3,
            "kernel_dropped_frames": 0, "pauses": 0, "drops": {},
        });
        let port = serde_json::from_value(port).unwrap();
        StatsReply { unix_ms, ports: vec![port], trunks: None }
    }

    #[test]
    fn what_came_in_between_by_the_time_it_took() {
        let rates = between(&stats(1000, 1000), &stats(1500, 2000));
        assert_eq!(rates[0].received_frames_per_s, 2000.0);
        assert_eq!(rates[0].received_bits_per_s, 1_600_000.0);
        assert_eq!(rates[0].sent_frames_per_s, 4000.0);
        assert_eq!(rates[0].dropped_frames_per_s, 200.0);
        let anew = between(&stats(1000, 1000), &stats(2000, 10));
        assert_eq!(anew[0].received_frames_per_s, 0.0, "it was added again");
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1.0k"),
            (123_456.0, "123k"),
            (999_960.0, "1.0M"),
            (12_345_678.0, "12.3M"),
            (2.5e9, "2.5G"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
