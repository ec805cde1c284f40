//! Metrics with their values, and how the library is told of them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use vswitch::histogram::Histogram;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name without the ending that its kind gives it ([`Self::sample_names`]).
    pub name: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    Gauge,
    /// How many values there were of each size.
    Histogram,
    /// Always 1: its labels tell something.
    Info,
}

impl Description {
    /// Under which names its values stand on a page.
    #[must_use]
    pub fn sample_names(&self) -> Vec<String> {
        let endings: &[&str] = match self.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Info => &["_info"],
        };
        endings.iter().map(|ending| format!("{}{ending}", self.name)).collect()
    }

    /// The library has the unit apart, and writes it behind the name.
    fn name_and_unit(&self) -> (&'static str, Option<Unit>) {
        for unit in [Unit::Bytes, Unit::Seconds] {
            let without = self.name.strip_suffix(unit.as_str());
            if let Some(name) = without.and_then(|name| name.strip_suffix('_')) {
                return (name, Some(unit));
            }
        }
        (self.name, None)
    }
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    const fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
            Self::Info => MetricType::Info,
        }
    }
}

/// A metric with its values.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) description: Description,
    pub(super) samples: Vec<(Labels, Value)>,
}

/// What a value is of.
#[derive(Clone, Debug)]
pub(super) struct Labels(pub(super) Arc<[(&'static str, String)]>);

#[derive(Debug)]
pub(super) enum Value {
    Counter(u64),
    Gauge(u64),
    Histogram(Distribution),
    Info,
}

/// A histogram in the unit of its metric.
#[derive(Debug)]
pub(super) struct Distribution {
    sum: f64,
    count: u64,
    buckets: Vec<(f64, u64)>,
}

impl Distribution {
    /// The values divided by `per`.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus' values are floating-point")]
    pub(super) fn of<const FIRST: u32, const BUCKETS: usize>(
        histogram: &Histogram<FIRST, BUCKETS>,
        per: f64,
    ) -> Self {
        let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64 / per);
        Self {
            sum: histogram.sum() as f64 / per,
            count: histogram.count(),
            buckets: histogram.buckets().map(|(most, count)| (bound(most), count)).collect(),
        }
    }
}

/// All metrics of one moment. Those without a value are left out.
#[derive(Debug)]
pub(super) struct Page(pub(super) Vec<Family>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let with_values = self.0.iter().filter(|family| !family.samples.is_empty());
        with_values.into_iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Description { kind, help, .. } = self.description;
        let (name, unit) = self.description.name_and_unit();
        let mut metric =
            encoder.encode_descriptor(name, help, unit.as_ref(), kind.metric_type())?;
        self.samples.iter().try_for_each(|(labels, value)| value.encode(labels, &mut metric))
    }
}

impl Value {
    fn encode(&self, labels: &Labels, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(value) => {
                metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(value, None)
            }
            Self::Gauge(value) => metric.encode_family(labels)?.encode_gauge(value),
            Self::Histogram(Distribution { sum, count, buckets }) => {
                let mut one = metric.encode_family(labels)?;
                one.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
            Self::Info => metric.encode_info(labels),
        }
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}
