//! TCP between two QEMU guests.

use super::{Bound, Case, Contender, Load, Target};
use crate::figures::Figure::MegabitPerSecond;
use crate::subject::{Card, Subject, Wiring};

/// Guests are emulated and slow: some seconds.
const MEBIBYTES: u32 = 32;

pub(super) fn cases() -> Vec<Case> {
    vec![between(Card::Stream, "streams"), between(Card::Datagrams, "datagrams")]
}

fn between(card: Card, name: &str) -> Case {
    let contender = |subject| {
        Contender::new(subject, Wiring::Guests(card), Load::Guests { mebibytes: MEBIBYTES })
    };
    Case {
        name: format!("tcp-qemu-{name}"),
        what: format!("TCP between two emulated QEMU guests, {name}"),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Direct)],
        targets: vec![Target::ratio(MegabitPerSecond, &[1], Bound::AtLeast(0.8))],
        quick: false,
    }
}
