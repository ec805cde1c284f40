//! The whole machine: all state, virtual time, and what happens at which moment.

use std::collections::BTreeMap;

use crate::bpf::Bpf;
use crate::event_socket::EventSockets;
use crate::fault::FaultPlan;
use crate::kqueue::Kqueues;
use crate::ndrv::NdrvSockets;
use crate::net::Net;
use crate::process::Processes;
use crate::rng::Rng;
use crate::sysctl::Sysctls;
use crate::trace::Trace;
use crate::unix::UnixSockets;
use crate::version::{Capabilities, MacOs};

/// How a machine is booted: [`SimKernel::boot_with`](crate::SimKernel::boot_with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootOptions {
    /// Its macOS.
    pub version: MacOs,
    /// Everything random follows from it.
    pub seed: u64,
    /// It has no `recvmsg_x` and no `sendmsg_x`: both are `ENOSYS`, as on a system whose library
    /// does not have them.
    pub without_message_calls: bool,
    /// Other threads make calls too: who waits and finds that nothing is to happen waits for them.
    /// Otherwise that is a panic with the trace, since in a test of one thread nothing could ever
    /// end the wait.
    pub has_threads: bool,
    /// It is a Mac of Apple silicon, where since macOS 14.0 an mbuf has 512 bytes, not 256, so that
    /// a receiver's buffer holds fewer small datagrams (`bsd/sys/mbuf.h`).
    pub is_apple_silicon: bool,
}

impl Default for BootOptions {
    /// The newest macOS, seed 0, one thread.
    fn default() -> Self {
        Self {
            version: MacOs::V15,
            seed: 0,
            without_message_calls: false,
            has_threads: false,
            is_apple_silicon: false,
        }
    }
}

/// Something that happens later.
type Later = Box<dyn FnOnce(&mut Machine) + Send>;

/// All state of the simulated machine. Each part is one file or folder, which has its own state
/// here and adds its own methods to `Machine`.
pub(crate) struct Machine {
    pub(crate) options: BootOptions,
    pub(crate) can: Capabilities,
    pub(crate) now_ns: u64,
    pub(crate) rng: Rng,
    later: BTreeMap<(u64, u64), Later>,
    scheduled: u64,
    pub(crate) processes: Processes,
    pub(crate) faults: FaultPlan,
    pub(crate) trace: Trace,
    pub(crate) net: Net,
    pub(crate) bpf: Bpf,
    pub(crate) ndrv: NdrvSockets,
    pub(crate) unix: UnixSockets,
    pub(crate) kqueues: Kqueues,
    pub(crate) events: EventSockets,
    pub(crate) sysctls: Sysctls,
}

/// What each system call costs, in virtual time: about what one costs on a Mac of today when it
/// does little. What it is exactly matters to no rule; that it is not 0 makes every loop of calls
/// end at some virtual moment.
const CALL_NS: u64 = 400;

impl Machine {
    pub(crate) fn new(options: BootOptions) -> Self {
        let can = options.version.capabilities();
        let has_big_mbufs = options.is_apple_silicon && options.version >= MacOs::V14_0;
        Self {
            options,
            can,
            now_ns: 1_000_000_000,
            rng: Rng::new(options.seed),
            later: BTreeMap::new(),
            scheduled: 0,
            processes: Processes::default(),
            faults: FaultPlan::default(),
            trace: Trace::default(),
            net: Net::new(&can),
            bpf: Bpf::new(&can),
            ndrv: NdrvSockets::default(),
            unix: UnixSockets::new(has_big_mbufs),
            kqueues: Kqueues::default(),
            events: EventSockets::default(),
            sysctls: Sysctls::new(&can),
        }
    }

    /// Has something happen `after_ns` from now; what is due at the same moment happens in the
    /// order in which it was asked for.
    pub(crate) fn after(&mut self, after_ns: u64, what: impl FnOnce(&mut Self) + Send + 'static) {
        self.scheduled += 1;
        self.later.insert((self.now_ns + after_ns, self.scheduled), Box::new(what));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves time on to `to_ns`, everything due by then happening at its moment.
    pub(crate) fn advance(&mut self, to_ns: u64) {
        while let Some((&(at, number), _)) = self.later.first_key_value() {
            if at > to_ns {
                break;
            }
            self.now_ns = self.now_ns.max(at);
            if let Some(what) = self.later.remove(&(at, number)) {
                what(self);
            }
        }
        self.now_ns = self.now_ns.max(to_ns);
    }

    /// A call begins: it takes its time, and what other processors do meanwhile is done.
    pub(crate) fn enter(&mut self) {
        self.advance(self.now_ns + CALL_NS);
    }
}
