//! A lab with an uplink, deeds of a person at its machine, and what is looked at afterwards.

use std::time::Duration;

use ifctl::xnu::Interfaces;
use ifctl::{Flags, Interface};
use probe::{Ping, PingConfig};
use vswitchd::xnu::Mended::{self, Bridge, Link, Membership, Up};
use xnu_lab::{Lab, LabConfig, SimulatedMac};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::Errno;

pub(crate) const MS: Duration = Duration::from_millis(1);

/// What an event tells is mended when the port is looked at next: four times a second.
pub(crate) const SOON: Duration = Duration::from_millis(260);

/// All is looked at twice a second, whatever events tell.
pub(crate) const AT_THE_LATEST: Duration = Duration::from_millis(760);

/// Times that are virtual, so that exact.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) interfaces: Interfaces<SimKernel>,
}

/// A switch on a machine that this was done to before.
pub(crate) fn bench_on(version: MacOs, uplink: &str, prepare: impl FnOnce(&SimulatedMac)) -> Bench {
    let mac = SimulatedMac::boot(version, 1).unwrap();
    mac.operator.spare();
    prepare(&mac);
    let interfaces = Interfaces::open_on(mac.operator.clone()).unwrap();
    let config = LabConfig { uplink: uplink.parse().unwrap(), ..LabConfig::new(version, 1) };
    let mut lab = Lab::start(mac, config).unwrap();
    lab.run_for(600 * MS);
    Bench { lab, interfaces }
}

pub(crate) fn bench(uplink: &str) -> Bench {
    bench_on(MacOs::V15, uplink, |_| {})
}

/// No socket for the kernel's events (`PF_SYSTEM`, `SYSPROTO_EVENT`) can be had.
pub(crate) fn without_events(mac: &SimulatedMac) {
    fail(&mac.operator, "socket", Some("32, 3, 1"), 1000, Errno::ENOBUFS);
}

/// Has a call fail so many times.
pub(crate) fn fail(
    operator: &SimKernel,
    call: &'static str,
    object: Option<&str>,
    times: u64,
    errno: Errno,
) {
    let (object, action) = (object.map(str::to_owned), FaultAction::Fail(errno));
    operator.add_fault(Fault { call, object, after: 0, times, action });
}

impl Bench {
    /// The switch's pair: the bridge's end, and its own.
    pub(crate) fn pair(&self) -> [String; 2] {
        let ready = self.lab.ready();
        let made = ready.networks[0].interfaces.iter().filter(|of| of.created);
        let names: Vec<_> = made.map(|of| of.name.clone()).collect();
        let [.., bridge_end, switch_end] = &names[..] else { panic!("no pair: {names:?}") };
        [bridge_end.clone(), switch_end.clone()]
    }

    pub(crate) fn feths(&self) -> Vec<String> {
        let all = self.lab.operator().interfaces();
        all.into_iter().filter(|name| name.starts_with("feth")).collect()
    }

    pub(crate) fn find(&self, name: &str) -> Interface {
        self.interfaces.find(name).unwrap()
    }

    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.find(name).is_up()
    }

    pub(crate) fn is_promiscuous(&self, name: &str) -> bool {
        self.find(name).flags.contains(Flags::PROMISC)
    }

    /// Bridges made again, links, memberships, interfaces set up again.
    pub(crate) fn mended(&self) -> [u64; 4] {
        [Bridge, Link, Membership, Up].map(|what| self.lab.tally().of(what))
    }

    pub(crate) fn must_mend(&mut self, what: Mended, count: u64, within: Duration) {
        let is_done = self.lab.run_until(within, |lab| lab.tally().of(what) >= count);
        assert!(is_done, "{what:?} within {within:?}: {:?}", self.mended());
    }

    /// Lets the switch run until it has just looked at everything: it does so next after twice the
    /// time between two looks, unless something is told.
    pub(crate) fn until_a_look(&mut self) {
        let lists = |lab: &Lab| lab.kernel().counters().of("getifaddrs");
        let before = lists(&self.lab);
        assert!(self.lab.run_until(AT_THE_LATEST, |lab| lists(lab) > before), "it never looks");
        self.lab.run_for(MS);
    }

    /// Lets the switch run until just before its ports look at what they stand on.
    pub(crate) fn until_just_before_a_look(&mut self) {
        let left = 250 - self.lab.now().as_millis() % 250;
        self.lab.run_for(Duration::from_millis(u64::try_from(left).unwrap() + 249));
    }

    pub(crate) fn must_ping(&mut self) {
        let lan = self.lab.lan().address_v6();
        let report = self.lab.run_guest(0, Ping::new(PingConfig::new(lan))).unwrap();
        assert!(report.is_perfect(), "{report:?}\n{}", self.lab.kernel().trace());
    }

    /// Devices and sockets on interfaces that the switch has open.
    pub(crate) fn open_links(&self) -> Vec<String> {
        let open = self.lab.kernel().open_descriptors().into_iter().map(|(_, of, _)| of);
        open.filter(|of| of.contains("bpf") || of.contains("ndrv")).collect()
    }

    pub(crate) fn must_leave_nothing(self) {
        assert_eq!(self.lab.finish().leftovers, [] as [String; 0]);
    }
}
