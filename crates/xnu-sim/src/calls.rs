//! The face: each call finds its object, meets the fault plan, is counted and traced.
#![allow(unsafe_code, reason = "the face has unsafe methods")]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xnu_sys::sys_event::kevent64_s;
use xnu_sys::sys_socket_private::msghdr_x;
use xnu_sys::{InterfaceAddress, Kernel, SocketAddress};

use crate::actor::Actor;
use crate::bpf::BpfCounters;
use crate::copyio::{CallerMemory, Raw};
use crate::counters::Counters;
use crate::errno::{EAFNOSUPPORT, EAGAIN, EBADF, EINVAL, ENOENT, ENOMEM, ENOTSOCK, ENOTTY, Result};
use crate::fault::{Fault, FaultAction};
use crate::machine::Machine;
use crate::object::Object;
use crate::process::{FileId, ProcessId};
use crate::version::MacOs;

/// A process of a simulated machine.
#[derive(Clone)]
pub struct SimKernel {
    pub(crate) shared: Arc<Shared>,
    pub(crate) process: ProcessId,
}

/// What all processes of a machine share. The actors are not in the machine: they make calls
/// themselves.
pub(crate) struct Shared {
    machine: Mutex<Machine>,
    actors: Mutex<Vec<Box<dyn Actor>>>,
}

/// An open descriptor of a simulated process; closed when dropped.
pub struct SimFd {
    kernel: SimKernel,
    number: i32,
    file: FileId,
}

const O_NONBLOCK: u32 = 0x4;
const O_ACCMODE: u32 = 3;
const FIONBIO: u64 = 0x8004_667e;
const PF_LOCAL: i32 = 1;
const PF_NDRV: i32 = 27;
const PF_SYSTEM: i32 = 32;
const KEVENT_FLAG_IMMEDIATE: u32 = 1;
const MSG_PEEK: i32 = 0x2;
const MSG_DONTWAIT: i32 = 0x80;

impl SimKernel {
    /// Boots a machine of a version, everything random on which follows from `seed`; its first
    /// process, which is root's. It has an `lo0` and nothing else.
    #[must_use]
    pub fn boot(version: MacOs, seed: u64) -> Self {
        let mut machine = Machine::new(version, seed);
        let process = machine.processes.add(true);
        let shared = Shared { machine: Mutex::new(machine), actors: Mutex::new(Vec::new()) };
        Self { shared: Arc::new(shared), process }
    }

    /// Another process of the same machine.
    #[must_use]
    pub fn spawn(&self, is_root: bool) -> Self {
        let process = self.machine().processes.add(is_root);
        Self { shared: Arc::clone(&self.shared), process }
    }

    /// From now on this process is not root's any more; what is open stays open.
    pub fn drop_privileges(&self) {
        self.machine().processes.of(self.process).is_root = false;
    }

    /// The version of the machine.
    #[must_use]
    pub fn version(&self) -> MacOs {
        self.machine().version
    }

    /// Gives another process a descriptor of the same open file, as `SCM_RIGHTS` or inheritance do.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn share(&self, fd: &SimFd, with: &Self) -> Result<SimFd> {
        let number = self.machine().processes.share(with.process, fd.file)?;
        Ok(SimFd { kernel: with.clone(), number, file: fd.file })
    }

    /// What this process's calls cost so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.machine().processes.of(self.process).counters.clone()
    }

    /// This process's open descriptors: number, what of, and whether it is closed on exec.
    #[must_use]
    pub fn open_descriptors(&self) -> Vec<(i32, String, bool)> {
        let machine = self.machine();
        let open = machine.processes.descriptors(self.process);
        let label = |(number, object, cloexec)| (number, machine.label(object), cloexec);
        open.into_iter().map(label).collect()
    }

    /// Adds to what is to go wrong, in any process but those of actors' own (`spare`).
    pub fn add_fault(&self, fault: Fault) {
        self.machine().faults.add(fault);
    }

    /// From here on nothing goes wrong by plan.
    pub fn clear_faults(&self) {
        self.machine().faults.clear();
    }

    /// Has the BPF devices that there are now given to a group of which every process is a member,
    /// as Wireshark's `ChmodBPF` does; those made later are root's alone.
    pub fn regroup_bpf_devices(&self) {
        self.machine().bpf.regroup();
    }

    /// What `/dev/bpfN` counts, while it is open.
    #[must_use]
    pub fn bpf_counters(&self, minor: u32) -> Option<BpfCounters> {
        self.machine().bpf.counters(minor)
    }

    /// The last calls of all processes, oldest first: for a test that fails.
    #[must_use]
    pub fn trace(&self) -> String {
        self.machine().trace.text()
    }

    /// Adds something that lives on the machine.
    pub fn add_actor(&self, actor: Box<dyn Actor>) {
        self.actors().push(actor);
    }

    /// Lets `span` of virtual time pass, everything and everybody acting at their moments.
    pub fn run_for(&self, span: Duration) {
        let until = self.machine().now_ns + nanos(span);
        self.wait_until(until, |_| None::<()>);
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.shared.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn actors(&self) -> MutexGuard<'_, Vec<Box<dyn Actor>>> {
        self.shared.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls every actor once: whether one acted, and when the next wants to.
    fn poll_actors(&self) -> (bool, Option<u64>) {
        // An actor may wait by itself (`sleep`): then the others are not polled within its poll.
        let Ok(mut actors) = self.shared.actors.try_lock() else { return (false, None) };
        let (mut has_acted, mut next) = (false, None::<u64>);
        for actor in actors.iter_mut() {
            let now_ns = self.machine().now_ns;
            let polled = actor.poll(now_ns);
            has_acted |= polled.has_acted;
            if let Some(at) = polled.next_ns {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        (has_acted, next)
    }

    /// Lets time pass until `ready` gives something, or `until_ns` is past.
    fn wait_until<T>(
        &self,
        until_ns: u64,
        mut ready: impl FnMut(&mut Machine) -> Option<T>,
    ) -> Option<T> {
        loop {
            let (has_acted, next_actor) = self.poll_actors();
            let mut machine = self.machine();
            if let Some(found) = ready(&mut machine) {
                return Some(found);
            }
            if has_acted {
                // The polls took their own time; what is due happens before others act again.
                let now_ns = machine.now_ns;
                machine.advance(now_ns);
                if now_ns < until_ns {
                    continue;
                }
            }
            if machine.now_ns >= until_ns {
                return None;
            }
            let next = [machine.next_at(), next_actor].into_iter().flatten().min();
            assert!(
                next.is_some() || until_ns != u64::MAX,
                "a process waits for ever, and nothing is to happen:\n{}",
                machine.trace.text()
            );
            let next = next.unwrap_or(until_ns).max(machine.now_ns + 1).min(until_ns);
            machine.advance(next);
        }
    }

    /// A call begins: time passes, it is counted, and the plan may make it fail. The machine, and
    /// how the call is to go wrong otherwise.
    fn call(
        &self,
        name: &'static str,
        object: &str,
    ) -> Result<(MutexGuard<'_, Machine>, Option<FaultAction>)> {
        let mut machine = self.machine();
        machine.enter();
        *machine.processes.of(self.process).counters.calls.entry(name).or_default() += 1;
        let action = machine.faults.strike(name, object);
        match action {
            Some(FaultAction::Fail(errno)) => {
                self.note(&mut machine, name, object, &format!("{errno:?} (planned)"));
                return Err(errno);
            }
            Some(FaultAction::Delay { ns }) => {
                let until = machine.now_ns + ns;
                machine.advance(until);
            }
            _ => {}
        }
        Ok((machine, action))
    }

    fn note(&self, machine: &mut Machine, name: &str, object: &str, outcome: &str) {
        let (now_ns, process) = (machine.now_ns, self.process);
        machine.trace.push(format!("{now_ns:>12} p{process} {name}({object}) = {outcome}"));
    }

    /// Notes how a call went, and hands its result on.
    fn done<T: fmt::Debug>(
        &self,
        machine: &mut Machine,
        name: &str,
        object: &str,
        result: Result<T>,
    ) -> Result<T> {
        let outcome = match &result {
            Ok(value) => format!("{value:?}"),
            Err(errno) => format!("{errno:?}"),
        };
        self.note(machine, name, object, &outcome);
        result
    }

    fn copied(&self, machine: &mut Machine, bytes: usize) {
        machine.processes.of(self.process).counters.copied_bytes += bytes as u64;
    }

    fn open_file(&self, machine: &mut Machine, object: Object, flags: u32) -> Result<SimFd> {
        let (number, file) = machine.processes.open(self.process, object, flags)?;
        Ok(SimFd { kernel: self.clone(), number, file })
    }

    fn object(&self, fd: &SimFd) -> Result<(Object, bool)> {
        let mut machine = self.machine();
        let file = machine.processes.file(fd.file)?;
        Ok((file.object, file.flags & O_NONBLOCK != 0))
    }

    fn is_root(&self, machine: &mut Machine) -> bool {
        machine.processes.of(self.process).is_root
    }

    /// Makes a call that would wait if its descriptor is blocking and it finds nothing.
    fn blocking<T>(
        &self,
        waits: bool,
        mut attempt: impl FnMut(&mut Machine) -> Result<T>,
    ) -> Result<T> {
        let first = attempt(&mut self.machine());
        if !waits || !matches!(first, Err(EAGAIN)) {
            return first;
        }
        let later = |machine: &mut Machine| match attempt(machine) {
            Err(EAGAIN) => None,
            result => Some(result),
        };
        self.wait_until(u64::MAX, later).unwrap_or(Err(EAGAIN))
    }
}

impl Machine {
    /// What an object is called in traces and fault plans.
    pub(crate) fn label(&self, object: Object) -> String {
        match object {
            Object::Unix(id) => format!("unix{id}"),
            Object::Bpf(minor) => format!("/dev/bpf{minor}"),
            Object::Ndrv(id) => format!("ndrv{id}"),
            Object::Events(id) => format!("events{id}"),
            Object::Kqueue(id) => format!("kqueue{id}"),
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2)
}

impl Kernel for SimKernel {
    type Fd = SimFd;

    fn number(fd: &SimFd) -> i32 {
        fd.number
    }

    fn open(&self, path: &CStr, flags: i32) -> Result<SimFd> {
        let path = path.to_string_lossy();
        let (mut machine, _) = self.call("open", &path)?;
        let minor = path.strip_prefix("/dev/bpf").and_then(|minor| minor.parse::<u32>().ok());
        let opened = match minor {
            Some(minor) => machine.bpf_open(minor, self.process),
            None => Err(ENOENT),
        };
        let flags = flags.cast_unsigned();
        let opened = opened.and_then(|minor| {
            let opened = self.open_file(&mut machine, Object::Bpf(minor), flags);
            let fd = opened.inspect_err(|_| machine.bpf_close(minor))?;
            if flags & 0x0100_0000 != 0 {
                machine.processes.set_closes_on_exec(self.process, fd.number, true);
            }
            Ok(fd)
        });
        self.done(&mut machine, "open", &path, opened)
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<SimFd> {
        let name = format!("{domain}, {kind}, {protocol}");
        let (mut machine, _) = self.call("socket", &name)?;
        let is_root = self.is_root(&mut machine);
        let object = match domain {
            PF_LOCAL => machine.unix_open(kind).map(Object::Unix),
            PF_NDRV => machine.ndrv_open(is_root).map(Object::Ndrv),
            PF_SYSTEM => machine.events_open(protocol).map(Object::Events),
            _ => Err(EAFNOSUPPORT),
        };
        let fd = object.and_then(|object| self.open_file(&mut machine, object, 0));
        self.done(&mut machine, "socket", &name, fd)
    }

    fn socketpair(&self, domain: i32, kind: i32, _protocol: i32) -> Result<(SimFd, SimFd)> {
        let (mut machine, _) = self.call("socketpair", "")?;
        if domain != PF_LOCAL {
            return Err(EAFNOSUPPORT);
        }
        let pair = machine.unix_pair(kind).and_then(|(one, other)| {
            let one = self.open_file(&mut machine, Object::Unix(one), 0)?;
            Ok((one, self.open_file(&mut machine, Object::Unix(other), 0)?))
        });
        self.done(&mut machine, "socketpair", "", pair)
    }

    fn bind(&self, fd: &SimFd, address: &[u8]) -> Result<()> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, _) = self.call("bind", &label)?;
        let result = match object {
            Object::Unix(id) => machine.unix_bind(id, address),
            Object::Ndrv(id) => machine.ndrv_bind(id, address),
            Object::Events(_) => Err(crate::errno::EOPNOTSUPP),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        self.done(&mut machine, "bind", &label, result)
    }

    fn connect(&self, fd: &SimFd, address: &[u8]) -> Result<()> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, _) = self.call("connect", &label)?;
        let result = match object {
            Object::Unix(id) => machine.unix_connect(id, address),
            Object::Ndrv(id) => machine.ndrv_connect(id, address),
            Object::Events(_) => Err(crate::errno::EOPNOTSUPP),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        self.done(&mut machine, "connect", &label, result)
    }

    fn getsockopt(&self, fd: &SimFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, _) = self.call("getsockopt", &label)?;
        let result = match object {
            Object::Unix(id) => machine.unix_getsockopt(id, level, name),
            Object::Ndrv(id) => machine.ndrv_getsockopt(id, level, name),
            Object::Events(_) => Err(crate::errno::ENOPROTOOPT),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        let bytes = self.done(&mut machine, "getsockopt", &label, result)?;
        let len = bytes.len().min(value.len());
        value[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn setsockopt(&self, fd: &SimFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, _) = self.call("setsockopt", &label)?;
        let result = match object {
            Object::Unix(id) => machine.unix_setsockopt(id, level, name, value),
            Object::Ndrv(id) => machine.ndrv_setsockopt(id, level, name, value),
            Object::Events(_) => Err(crate::errno::ENOPROTOOPT),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        self.done(&mut machine, "setsockopt", &label, result)
    }

    fn fcntl(&self, fd: &SimFd, command: i32, argument: i32) -> Result<i32> {
        const F_GETFD: i32 = 1;
        const F_SETFD: i32 = 2;
        const F_GETFL: i32 = 3;
        const F_SETFL: i32 = 4;
        let (mut machine, _) = self.call("fcntl", &fd.number.to_string())?;
        match command {
            F_SETFD => {
                let closes = argument & 1 != 0;
                machine.processes.set_closes_on_exec(self.process, fd.number, closes);
                Ok(0)
            }
            F_GETFD => {
                let open = machine.processes.descriptors(self.process);
                let entry = open.into_iter().find(|(number, ..)| *number == fd.number);
                entry.map(|(_, _, closes)| i32::from(closes)).ok_or(EBADF)
            }
            F_GETFL => Ok(machine.processes.file(fd.file)?.flags.cast_signed()),
            F_SETFL => {
                machine.processes.file(fd.file)?.flags = argument.cast_unsigned();
                Ok(0)
            }
            _ => Err(EINVAL),
        }
    }

    fn read(&self, fd: &SimFd, buffer: &mut [u8]) -> Result<usize> {
        let (object, nonblocking) = self.object(fd)?;
        let label = self.machine().label(object);
        let (machine, action) = self.call("read", &label)?;
        drop(machine);
        let room = buffer.len();
        let bytes = self.blocking(!nonblocking, |machine| match object {
            Object::Unix(id) => machine.unix_receive(id, false).map(|(bytes, _)| bytes),
            Object::Bpf(minor) => machine.bpf_read(minor, room, nonblocking),
            Object::Events(id) => machine.events_read(id),
            Object::Ndrv(_) => Err(EAGAIN),
            Object::Kqueue(_) => Err(crate::errno::ENXIO),
        });
        let mut machine = self.machine();
        let len = bytes.map(|bytes| fill(buffer, &bytes, action.as_ref()));
        self.copied(&mut machine, len.unwrap_or(0));
        self.done(&mut machine, "read", &label, len)
    }

    fn write(&self, fd: &SimFd, bytes: &[u8]) -> Result<usize> {
        self.send("write", fd, bytes, None)
    }

    fn recvfrom(
        &self,
        fd: &SimFd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize> {
        let (object, nonblocking) = self.object(fd)?;
        let label = self.machine().label(object);
        let (machine, action) = self.call("recvfrom", &label)?;
        drop(machine);
        let waits = !nonblocking && flags & MSG_DONTWAIT == 0;
        let received = self.blocking(waits, |machine| match object {
            Object::Unix(id) => machine.unix_receive(id, flags & MSG_PEEK != 0),
            Object::Events(id) => machine.events_read(id).map(|event| (event, Vec::new())),
            Object::Ndrv(_) => Err(EAGAIN),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        });
        let mut machine = self.machine();
        let len = received.map(|(bytes, from)| {
            if let Some(sender) = sender {
                sender.set(&from);
            }
            fill(buffer, &bytes, action.as_ref())
        });
        self.copied(&mut machine, len.unwrap_or(0));
        self.done(&mut machine, "recvfrom", &label, len)
    }

    fn sendto(&self, fd: &SimFd, bytes: &[u8], _flags: i32, to: Option<&[u8]>) -> Result<usize> {
        let (object, _) = self.object(fd)?;
        if matches!(object, Object::Bpf(_) | Object::Kqueue(_)) {
            return Err(ENOTSOCK);
        }
        self.send("sendto", fd, bytes, to)
    }

    unsafe fn ioctl(&self, fd: &SimFd, request: u64, argument: *mut c_void) -> Result<()> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, _) = self.call("ioctl", &label)?;
        // The size is in the number: the kernel copies so many bytes in and out, whatever it is.
        let len = usize::try_from(request >> 16 & 0x1fff).map_err(|_| EINVAL)?;
        let address = argument.expose_provenance() as u64;
        // SAFETY: our caller promises an argument of the request's type, whose size the number
        // encodes, and that the pointers in it are valid for what the request does with them.
        let memory = unsafe { CallerMemory::vouched_for() };
        let copies_in = request & 0x8000_0000 != 0;
        let mut bytes = if copies_in { memory.copyin(address, len)? } else { vec![0; len] };
        let request_name = match object {
            Object::Bpf(_) => crate::bpf::request_name(request),
            _ => crate::net::request_name(request, &bytes),
        };
        let name = format!("{label}, {request_name} {request:#010x}");
        if request == FIONBIO {
            // The file's own business, whatever it is of.
            let file = machine.processes.file(fd.file)?;
            file.flags &= !O_NONBLOCK;
            file.flags |= if bytes.u32_at(0) == 0 { 0 } else { O_NONBLOCK };
            return self.done(&mut machine, "ioctl", &name, Ok(()));
        }
        let subject = subject(&bytes, &label);
        if let Some(FaultAction::Fail(errno)) = machine.faults.strike(request_name, &subject) {
            return self.done(&mut machine, "ioctl", &name, Err(errno));
        }
        let result = match object {
            Object::Bpf(minor) => machine.bpf_ioctl(minor, request, &mut bytes, &memory),
            Object::Events(id) if request >> 8 & 0xff == u64::from(b'e') => {
                machine.events_ioctl(id, request, &mut bytes)
            }
            Object::Unix(_) | Object::Ndrv(_) | Object::Events(_) => {
                machine.interface_ioctl(self.process, request, &mut bytes, &memory)
            }
            Object::Kqueue(_) => Err(ENOTTY),
        };
        if result.is_ok() && request & 0x4000_0000 != 0 {
            memory.copyout(&bytes, address)?;
        }
        self.done(&mut machine, "ioctl", &name, result)
    }

    unsafe fn recvmsg_x(
        &self,
        fd: &SimFd,
        messages: *mut msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize> {
        let (object, nonblocking) = self.object(fd)?;
        let label = self.machine().label(object);
        let (machine, action) = self.call("recvmsg_x", &label)?;
        drop(machine);
        let address = messages.expose_provenance() as u64;
        let most = short(action.as_ref());
        let waits = !nonblocking && flags & MSG_DONTWAIT == 0;
        // SAFETY: the caller's promise for the headers and what they point to.
        let memory = unsafe { CallerMemory::vouched_for() };
        let received = self.blocking(waits, |machine| {
            machine.receive_messages(&memory, object, address, count, flags, most)
        });
        let mut machine = self.machine();
        self.copied(&mut machine, received.map_or(0, |(_, bytes)| bytes));
        self.done(&mut machine, "recvmsg_x", &label, received.map(|(count, _)| count))
    }

    unsafe fn sendmsg_x(
        &self,
        fd: &SimFd,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, action) = self.call("sendmsg_x", &label)?;
        let address = messages.expose_provenance() as u64;
        let most = short(action.as_ref());
        // SAFETY: the caller's promise for the headers and what they point to.
        let memory = unsafe { CallerMemory::vouched_for() };
        let sent = machine.send_messages(&memory, object, address, count, flags, most);
        self.copied(&mut machine, sent.map_or(0, |(_, bytes)| bytes));
        self.done(&mut machine, "sendmsg_x", &label, sent.map(|(count, _)| count))
    }

    fn kqueue(&self) -> Result<SimFd> {
        let (mut machine, _) = self.call("kqueue", "")?;
        let id = machine.kqueue_open();
        self.open_file(&mut machine, Object::Kqueue(id), 0)
    }

    fn kevent64(
        &self,
        kqueue: &SimFd,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
        flags: u32,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let (Object::Kqueue(id), _) = self.object(kqueue)? else { return Err(EBADF) };
        let label = self.machine().label(Object::Kqueue(id));
        let (mut machine, _) = self.call("kevent64", &label)?;
        machine.processes.of(self.process).counters.kevent_changes += changes.len() as u64;
        let receipts = machine.kqueue_change(self.process, id, changes, events);
        let until = match timeout {
            _ if flags & KEVENT_FLAG_IMMEDIATE != 0 => machine.now_ns,
            None => u64::MAX,
            Some(span) => machine.now_ns.saturating_add(nanos(span)),
        };
        drop(machine);
        let count = match receipts {
            Ok(0) if events.is_empty() => Ok(0),
            Ok(0) => Ok(self
                .wait_until(until, |machine| {
                    Some(machine.kqueue_take(id, events)).filter(|count| *count > 0)
                })
                .unwrap_or(0)),
            // Receipts and errors come at once.
            receipts => receipts,
        };
        let mut machine = self.machine();
        let given = count.unwrap_or(0) as u64;
        machine.processes.of(self.process).counters.kevent_events += given;
        self.done(&mut machine, "kevent64", &label, count)
    }

    fn sysctlbyname(&self, name: &CStr, old: &mut [u8], new: Option<&[u8]>) -> Result<usize> {
        let name = name.to_string_lossy();
        let (mut machine, _) = self.call("sysctlbyname", &name)?;
        let is_root = self.is_root(&mut machine);
        let value = machine.sysctl(is_root, &name, new);
        let value = self.done(&mut machine, "sysctlbyname", &name, value)?;
        if !old.is_empty() && old.len() < value.len() {
            return Err(ENOMEM);
        }
        let len = value.len().min(old.len());
        old[..len].copy_from_slice(&value[..len]);
        Ok(value.len())
    }

    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>> {
        let (machine, _) = self.call("getifaddrs", "")?;
        Ok(machine.interface_addresses())
    }

    fn uptime_ns(&self) -> u64 {
        // Read from memory that the kernel shares with every process: no call.
        self.machine().now_ns
    }

    fn sleep(&self, span: Duration) {
        let until = self.machine().now_ns.saturating_add(nanos(span));
        self.wait_until(until, |_| None::<()>);
    }
}

impl SimKernel {
    fn send(
        &self,
        name: &'static str,
        fd: &SimFd,
        bytes: &[u8],
        to: Option<&[u8]>,
    ) -> Result<usize> {
        let (object, _) = self.object(fd)?;
        let label = self.machine().label(object);
        let (mut machine, action) = self.call(name, &label)?;
        if action == Some(FaultAction::Lose) {
            return self.done(&mut machine, name, &label, Ok(bytes.len()));
        }
        let sent = match object {
            Object::Unix(id) => machine.unix_send(id, bytes, to).map(|()| bytes.len()),
            Object::Bpf(_) if machine.processes.file(fd.file)?.flags & O_ACCMODE == 0 => Err(EBADF),
            Object::Bpf(minor) => machine.bpf_write(minor, bytes),
            Object::Ndrv(id) => machine.ndrv_send(id, bytes, to.is_some()).map(|()| bytes.len()),
            Object::Events(_) => Err(crate::errno::EOPNOTSUPP),
            Object::Kqueue(_) => Err(crate::errno::ENXIO),
        };
        self.copied(&mut machine, sent.unwrap_or(0));
        self.done(&mut machine, name, &label, sent)
    }
}

/// As much of `bytes` as goes into the buffer, and as the plan lets.
fn fill(buffer: &mut [u8], bytes: &[u8], action: Option<&FaultAction>) -> usize {
    let len = bytes.len().min(buffer.len()).min(short(action));
    buffer[..len].copy_from_slice(&bytes[..len]);
    len
}

fn short(action: Option<&FaultAction>) -> usize {
    match action {
        Some(FaultAction::Short(most)) => *most,
        _ => usize::MAX,
    }
}

/// What a request is about, for the fault plan: the interface that its argument begins with, else
/// the descriptor.
fn subject(argument: &[u8], label: &str) -> String {
    let name = argument.text_at(0, 16);
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_name { name } else { label.to_owned() }
}

impl Drop for SimFd {
    fn drop(&mut self) {
        self.kernel.machine().close(self.kernel.process, self.number);
    }
}

impl fmt::Debug for SimFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFd({})", self.number)
    }
}

impl fmt::Debug for SimKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimKernel(process {})", self.process)
    }
}
