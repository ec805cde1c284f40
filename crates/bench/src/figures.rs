//! What is told of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::{Delivery, RoundTrips, Used};

/// One kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// Frames that arrived, in thousands per second.
    KiloframesPerSecond,
    /// What arrived, in Gbit/s: whole frames of a load, the payload of TCP.
    GbitPerSecond,
    /// The payload of TCP between emulated guests, in Mbit/s.
    MegabitPerSecond,
    /// Frames sent that did not arrive, in percent.
    LossPercent,
    /// CPU time of the switch's process per frame that arrived, in microseconds.
    CpuMicrosPerFrame,
    /// CPU time of the whole machine per frame that arrived, load included, in microseconds.
    MachineMicrosPerFrame,
    /// CPU time of the switch's process per gigabyte transferred, in seconds.
    CpuSecondsPerGigabyte,
    /// TCP segments sent again.
    Retransmits,
    /// Round-trip times that half, 99 % and 99.9 % of all did not exceed, in microseconds.
    P50Micros,
    P99Micros,
    P999Micros,
    /// Memory that the process keeps, in MiB.
    ResidentMebibytes,
    /// How often the process went to sleep, and so was woken, per second.
    WakeUpsPerSecond,
    /// CPU time of the switch's process, in percent of one processor.
    CpuPercent,
    /// System calls of the switch per frame that arrived.
    CallsPerFrame,
}

impl Figure {
    /// What the head of its column says.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::KiloframesPerSecond => "kframes/s",
            Self::GbitPerSecond => "Gbit/s",
            Self::MegabitPerSecond => "Mbit/s",
            Self::LossPercent => "loss %",
            Self::CpuMicrosPerFrame => "CPU µs/frame",
            Self::MachineMicrosPerFrame => "machine µs/frame",
            Self::CpuSecondsPerGigabyte => "CPU s/GB",
            Self::Retransmits => "retransmits",
            Self::P50Micros => "p50 µs",
            Self::P99Micros => "p99 µs",
            Self::P999Micros => "p99.9 µs",
            Self::ResidentMebibytes => "RSS MiB",
            Self::WakeUpsPerSecond => "wake-ups/s",
            Self::CpuPercent => "CPU %",
            Self::CallsPerFrame => "calls/frame",
        }
    }

    /// How many digits stand behind its point.
    pub(crate) const fn digits(self) -> usize {
        match self {
            Self::CpuMicrosPerFrame | Self::CallsPerFrame | Self::CpuSecondsPerGigabyte => 3,
            Self::GbitPerSecond | Self::LossPercent | Self::MachineMicrosPerFrame => 2,
            Self::Retransmits => 0,
            _ => 1,
        }
    }
}

/// All that one run told.
pub(crate) type Figures = BTreeMap<Figure, f64>;

/// Of a load of frames.
pub(crate) fn of_delivery(delivery: &Delivery, frame_bytes: usize) -> Figures {
    let seconds = delivery.elapsed.as_secs_f64();
    let frames = delivery.frames as f64;
    let lost = delivery.sent.saturating_sub(delivery.arrived);
    let mut figures = Figures::from([
        (Figure::KiloframesPerSecond, frames / seconds / 1e3),
        (Figure::GbitPerSecond, frames * frame_bytes as f64 * 8.0 / seconds / 1e9),
        (Figure::LossPercent, 100.0 * lost as f64 / delivery.sent.max(1) as f64),
        (Figure::MachineMicrosPerFrame, delivery.used.machine_busy_s * 1e6 / frames),
    ]);
    if let Some(cpu) = delivery.used.process {
        figures.insert(Figure::CpuMicrosPerFrame, cpu.as_secs_f64() * 1e6 / frames);
    }
    figures
}

/// Of round trips.
pub(crate) fn of_round_trips(trips: &RoundTrips) -> Figures {
    let total = trips.count() as u64 + trips.lost;
    Figures::from([
        (Figure::P50Micros, trips.quantile_us(500)),
        (Figure::P99Micros, trips.quantile_us(990)),
        (Figure::P999Micros, trips.quantile_us(999)),
        (Figure::LossPercent, 100.0 * trips.lost as f64 / total.max(1) as f64),
    ])
}

/// Of a TCP connection.
pub(crate) fn of_transfer(transfer: &crate::load::Transfer) -> Figures {
    let mut figures = Figures::from([
        (Figure::GbitPerSecond, transfer.bits_per_second / 1e9),
        (Figure::Retransmits, transfer.retransmits),
    ]);
    if let Some(cpu) = transfer.used.process {
        let gigabytes = transfer.bytes / 1e9;
        figures.insert(Figure::CpuSecondsPerGigabyte, cpu.as_secs_f64() / gigabytes);
    }
    figures
}

/// Of so many bytes from one guest to another.
pub(crate) fn of_guests(bytes: u64, took: Duration, used: &Used) -> Figures {
    let bytes = bytes as f64;
    let rate = bytes * 8.0 / took.as_secs_f64() / 1e6;
    let mut figures = Figures::from([(Figure::MegabitPerSecond, rate)]);
    if let Some(cpu) = used.process {
        figures.insert(Figure::CpuSecondsPerGigabyte, cpu.as_secs_f64() / (bytes / 1e9));
    }
    figures
}

/// Whether a neighbour on the same hardware had so much that the run says little.
pub(crate) fn was_disturbed(used: &Used, elapsed: Duration) -> bool {
    used.stolen_s > 0.15 * elapsed.as_secs_f64()
}
