//! The counters that the switch prints when it stops (`{"event":"stopped","ports":[…]}`).

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// That both equations of the switch's accounting hold for every port: what came in was forwarded,
/// flooded or dropped; what was queued was sent, given up, or is queued still. Says how much came.
pub(super) fn accounting(stopped: &Value) -> Result<String> {
    let mut total = 0;
    for port in ports(stopped) {
        let count = |name: &str| number(port, name);
        let received = count("received_frames")?;
        let decided =
            count("forwarded_frames")? + count("flooded_frames")? + count("dropped_frames")?;
        let queued = count("enqueued_frames")?;
        let left = count("sent_frames")? + count("unsent_frames")? + count("queued_frames")?;
        if received != decided || queued != left {
            let why = format!("received {received} ≠ {decided}, or enqueued {queued} ≠ {left}");
            return Err(Failure::new(name(port), why));
        }
        total += received;
    }
    match total {
        0 => Err(Failure::new("read the switch's counters", "no port received a frame")),
        _ => Ok(format!("{total} frames received")),
    }
}

/// A line for each port, under a head.
pub(super) fn table(stopped: &Value) -> Vec<String> {
    let line = |cells: [&str; 5]| {
        let [port, received, sent, dropped, why] = cells;
        format!("{port:<12} {received:>10} {sent:>10} {dropped:>10}  {why}").trim_end().to_owned()
    };
    let mut lines = vec![line(["port", "received", "sent", "dropped", ""])];
    for port in ports(stopped) {
        let count = |name: &str| number(port, name).unwrap_or_default();
        let dropped = count("dropped_frames") + count("unsent_frames");
        let (received, sent) = (count("received_frames"), count("sent_frames"));
        let numbers = [received, sent, dropped].map(|number| number.to_string());
        lines.push(line([name(port), &numbers[0], &numbers[1], &numbers[2], &reasons(port)]));
    }
    lines
}

fn ports(stopped: &Value) -> impl Iterator<Item = &Value> {
    stopped["ports"].as_array().into_iter().flatten()
}

fn name(port: &Value) -> &str {
    port["name"].as_str().unwrap_or("a port without a name")
}

fn number(port: &Value, field: &str) -> Result<u64> {
    port[field].as_u64().ok_or_else(|| Failure::new(name(port), format!("it has no {field}")))
}

fn reasons(port: &Value) -> String {
    let drops = port["drops"].as_object().into_iter().flat_map(Map::iter);
    drops.map(|(reason, count)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stopped(received: u64, sent: u64) -> Value {
        json!({"event": "stopped", "ports": [{
            "name": "a", "received_frames": received, "forwarded_frames": 1, "flooded_frames": 2,
            "dropped_frames": 3, "enqueued_frames": 9, "sent_frames": sent, "unsent_frames": 4,
            "queued_frames": 0, "drops": {"no_peer": 4},
        }]})
    }

    #[test]
    fn a_frame_that_is_missing_is_found() {
        assert_eq!(accounting(&stopped(6, 5)).unwrap(), "6 frames received");
        assert!(accounting(&stopped(7, 5)).is_err());
        assert!(accounting(&stopped(6, 6)).is_err());
        assert!(accounting(&json!({"ports": []})).is_err());
        assert!(accounting(&json!({"ports": [{"name": "a"}]})).is_err());
    }

    #[test]
    fn the_table_says_why_frames_were_dropped() {
        let lines = table(&stopped(6, 5));
        assert_eq!(lines.len(), 2);
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["a", "6", "5", "7", "no_peer", "4"]);
    }
}
