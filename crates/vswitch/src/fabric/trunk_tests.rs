//! Several fabrics of one network, joined each with each by trunks, without loops or threads: what
//! one sends by a trunk, the other gets at once.

use proptest::prelude::*;

use super::*;

/// The fabrics; `stations[n]` has its port in `fabrics[n % fabrics.len()]`.
struct Mesh {
    fabrics: Vec<Fabric>,
    stations: usize,
}

/// A trunk's place in a fabric; the stations have the places from 0 on.
const TRUNKS_FROM: usize = 100;

fn index(place: usize) -> PortIndex {
    PortIndex(u16::try_from(place).unwrap())
}

fn mac(station: usize) -> MacAddr {
    MacAddr::from_bits(0x0200_0000_0000 | station as u64)
}

impl Mesh {
    fn new(fabrics: usize, stations: usize, named: &[usize]) -> Self {
        let new = || Fabric::new(Settings::default());
        let mut this = Self { fabrics: (0..fabrics).map(|_| new()).collect(), stations };
        for (at, fabric) in this.fabrics.iter_mut().enumerate() {
            for other in (0..fabrics).filter(|other| *other != at) {
                let policy = PortPolicy { trunk: true, ..PortPolicy::default() };
                fabric.add_port(index(TRUNKS_FROM + other), policy).unwrap();
            }
            for station in 0..stations {
                let is_named = named.contains(&station);
                let home = station % fabrics;
                if home == at {
                    let mac = is_named.then(|| mac(station));
                    let policy = PortPolicy { mac, ..PortPolicy::default() };
                    fabric.add_port(index(station), policy).unwrap();
                } else if is_named {
                    fabric.add_static(index(TRUNKS_FROM + home), mac(station)).unwrap();
                }
            }
        }
        this
    }

    /// Brings a frame in by a station's port; by whose ports it went out, and why it was dropped.
    fn carry(
        &mut self,
        at: usize,
        to: MacAddr,
        from: MacAddr,
        now: Nanos,
    ) -> (Vec<usize>, Vec<DropReason>) {
        let frame = [&to.0[..], &from.0, &[0x88, 0xb5], &[0; 46]].concat();
        let home = at % self.fabrics.len();
        let (mut out, mut drops) = (Vec::new(), Vec::new());
        let mut under_way = vec![(home, index(at), true)];
        while let Some((place, port, is_first)) = under_way.pop() {
            let fabric = &mut self.fabrics[place];
            let targets = match fabric.ingress(port, &frame, now) {
                Verdict::Forward(target) => vec![target],
                Verdict::Flood => {
                    let all = fabric.ports().iter().copied();
                    all.filter(|target| fabric.carries(port, *target)).collect()
                }
                Verdict::Drop(reason) => {
                    drops.push(reason);
                    Vec::new()
                }
            };
            for target in targets {
                match usize::from(target.0).checked_sub(TRUNKS_FROM) {
                    Some(other) => {
                        assert!(is_first, "from trunk to trunk");
                        under_way.push((other, index(TRUNKS_FROM + place), false));
                    }
                    None => out.push(usize::from(target.0)),
                }
            }
        }
        out.sort_unstable();
        (out, drops)
    }
}

#[test]
fn a_frame_from_a_trunk_leaves_by_no_other() {
    let mut mesh = Mesh::new(3, 3, &[]);
    // Fabric 0 believes station 1 behind fabric 1; that one has seen it come from fabric 2.
    mesh.carry(1, mac(0), mac(1), Nanos(0));
    let moved = [&mac(9).0[..], &mac(1).0, &[0x88, 0xb5], &[0; 46]].concat();
    mesh.fabrics[1].ingress(index(TRUNKS_FROM + 2), &moved, Nanos(1));
    let (out, drops) = mesh.carry(0, mac(1), mac(0), Nanos(2));
    assert_eq!((out, drops), (vec![], vec![DropReason::Hairpin]));
    // A trunk is a port like any other once it is the only one.
    let fabric = &mut mesh.fabrics[1];
    assert!(!fabric.carries(index(TRUNKS_FROM), index(TRUNKS_FROM + 2)));
    assert!(fabric.carries(index(TRUNKS_FROM), index(1)) && fabric.carries(index(1), index(100)));
    fabric.remove_port(index(TRUNKS_FROM));
    assert!(!fabric.carries(index(TRUNKS_FROM + 2), index(TRUNKS_FROM + 2)));
    assert!(fabric.carries(index(TRUNKS_FROM + 2), index(1)));
}

#[test]
fn a_named_address_holds_in_every_fabric() {
    let mut mesh = Mesh::new(3, 6, &[0]);
    // It is reached from everywhere before it has said anything.
    for from in 1..6 {
        assert_eq!(mesh.carry(from, mac(0), mac(from), Nanos(0)).0, [0]);
    }
    for thief in 1..6 {
        let taken = mesh.carry(thief, MacAddr::BROADCAST, mac(0), Nanos(1));
        assert_eq!(taken, (vec![], vec![DropReason::OwnedSource]));
    }
    let heard = mesh.carry(0, MacAddr::BROADCAST, mac(0), Nanos(2));
    assert_eq!(heard, (vec![1, 2, 3, 4, 5], vec![]));
}

proptest! {
    /// Whatever was said before, a frame goes to each port at most once, never back, to all when it
    /// is for a group, and to its station when that one has said nothing elsewhere since it last
    /// spoke to all.
    #[test]
    fn frames_come_once_and_never_back(
        fabrics in 2usize..=4,
        steps in prop::collection::vec(
            (0usize..9, prop::option::of(0usize..9), 0usize..9, 0u64..60), 1..200),
        named in prop::collection::vec(0usize..9, 0..3),
    ) {
        let stations = 9;
        let mut mesh = Mesh::new(fabrics, stations, &named);
        let mut now = Nanos(0);
        // Where each address was last seen, if every fabric heard of it since it moved.
        let mut known: Vec<Option<usize>> = vec![None; stations];
        for (at, to, from, wait_s) in steps {
            now = now + Duration::from_secs(wait_s);
            // Most speak as themselves.
            let from = if wait_s % 4 == 0 { from } else { at };
            let destination = to.map_or(MacAddr::BROADCAST, mac);
            let (out, drops) = mesh.carry(at, destination, mac(from), now);
            let mut once = out.clone();
            once.dedup();
            prop_assert_eq!(&once, &out, "no port gets it twice");
            prop_assert!(!out.contains(&at), "it does not come back");
            let is_theft = at != from && (named.contains(&from) || named.contains(&at));
            if is_theft {
                prop_assert!(out.is_empty() && drops.len() == 1);
                continue;
            }
            if to.is_none() {
                known[from] = Some(at);
            } else if known[from] != Some(at) {
                known[from] = None;
            }
            match to {
                None => {
                    let others: Vec<usize> = (0..mesh.stations).filter(|n| *n != at).collect();
                    prop_assert_eq!(out, others, "to all");
                    prop_assert!(drops.is_empty());
                }
                Some(to) => {
                    let home = if named.contains(&to) { Some(to) } else { known[to] };
                    match home {
                        Some(home) if home != at => prop_assert!(out.contains(&home)),
                        Some(_) => prop_assert!(!out.contains(&at)),
                        None => {}
                    }
                }
            }
        }
    }
}
