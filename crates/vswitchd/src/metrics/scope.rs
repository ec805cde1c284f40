//! Things of one kind, of each of which the same is told.

use super::family::{Description, Distribution, Family, Kind, Labels, Value};

/// What is told of each thing of the kind `T`, and by which labels one is told from the others.
pub(super) struct Scope<T: 'static, const LABELS: usize> {
    pub(super) labels: [&'static str; LABELS],
    /// The labels' values, in their order.
    pub(super) of: fn(&T) -> [String; LABELS],
    pub(super) metrics: &'static [Metric<T>],
}

/// One metric: its name, what it tells, and how it is read.
pub(super) struct Metric<T>(pub(super) &'static str, pub(super) &'static str, pub(super) Read<T>);

/// How a value is read of a thing.
pub(super) enum Read<T> {
    Counter(fn(&T) -> u64),
    Gauge(fn(&T) -> u64),
    Histogram(fn(&T) -> Distribution),
    Info,
}

impl<T, const LABELS: usize> Scope<T, LABELS> {
    /// The metrics with the values of `things`.
    pub(super) fn families(&'static self, things: &[T]) -> Vec<Family> {
        let labels: Vec<Labels> = things.iter().map(|thing| self.labels_of(thing)).collect();
        let family = |Metric(name, help, read): &'static Metric<T>| {
            let description = Description { name, kind: read.kind(), labels: &self.labels, help };
            let values = things.iter().map(|thing| read.value(thing));
            Family { description, samples: labels.iter().cloned().zip(values).collect() }
        };
        self.metrics.iter().map(family).collect()
    }

    fn labels_of(&self, thing: &T) -> Labels {
        Labels(self.labels.into_iter().zip((self.of)(thing)).collect())
    }
}

impl<T> Read<T> {
    const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
            Self::Info => Kind::Info,
        }
    }

    fn value(&self, thing: &T) -> Value {
        match self {
            Self::Counter(read) => Value::Counter(read(thing)),
            Self::Gauge(read) => Value::Gauge(read(thing)),
            Self::Histogram(read) => Value::Histogram(read(thing)),
            Self::Info => Value::Info,
        }
    }
}
