//! The face: each call finds its object, meets the fault plan, is counted and traced.
#![allow(unsafe_code, reason = "the face has unsafe methods")]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use xnu_sys::sys_event::kevent64_s;
use xnu_sys::sys_socket_private::msghdr_x;
use xnu_sys::{Errno, InterfaceAddress, Kernel, SocketAddress};

use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{
    EAFNOSUPPORT, EAGAIN, EBADF, EINVAL, ENOENT, ENOMEM, ENOPROTOOPT, ENOSYS, ENOTSOCK, ENOTTY,
    ENXIO, EOPNOTSUPP, Result,
};
use crate::fault::FaultAction;
use crate::machine::Machine;
use crate::object::Object;
use crate::sim_kernel::{SimFd, SimKernel};
use crate::wait::nanos;

const O_ACCMODE: u32 = 0x3;
const O_RDWR: u32 = 0x2;
const O_NONBLOCK: u32 = 0x4;
const O_CLOEXEC: u32 = 0x0100_0000;
/// `FCNTLFLAGS`: what `F_SETFL` can change (append, async, non-blocking).
const O_SETTABLE: u32 = 0x8 | 0x40 | O_NONBLOCK;
const FIONREAD: u64 = 0x4004_667f;
const FIONBIO: u64 = 0x8004_667e;
const PF_LOCAL: i32 = 1;
const PF_NDRV: i32 = 27;
const PF_SYSTEM: i32 = 32;
const KEVENT_FLAG_IMMEDIATE: u32 = 0x1;
const KEVENT_FLAG_ERROR_EVENTS: u32 = 0x2;
/// Kqueues that are not descriptors (`KEVENT_FLAG_WORKQ`, `KEVENT_ID_FLAG_USER`): not modelled.
const KEVENT_FLAGS_OTHER: u32 = 0x20 | 0x400 | 0x2_0000 | 0x4_0000;
const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_DONTWAIT: i32 = 0x80;

/// A call on a descriptor that has begun: it holds the machine.
struct Begun<'k> {
    machine: MutexGuard<'k, Machine>,
    object: Object,
    label: String,
    is_nonblocking: bool,
    /// How it is to go wrong.
    action: Option<FaultAction>,
}

impl SimKernel {
    /// A call begins: time passes, it is counted, and the plan may make it fail, or say how it is
    /// to go wrong otherwise.
    fn begin(
        &self,
        machine: &mut Machine,
        name: &'static str,
        names: &[String],
    ) -> Result<Option<FaultAction>> {
        machine.enter();
        let process = machine.processes.of(self.process);
        *process.counters.calls.entry(name).or_default() += 1;
        self.strike(machine, name, names)
    }

    /// Meets the fault plan, which may have a call fail or take longer at once.
    fn strike(
        &self,
        machine: &mut Machine,
        name: &str,
        names: &[String],
    ) -> Result<Option<FaultAction>> {
        if machine.processes.of(self.process).is_spared {
            return Ok(None);
        }
        let action = machine.faults.strike(name, names);
        let object = names.first().map_or("", String::as_str);
        match action {
            Some(FaultAction::Fail(errno)) => {
                self.note(machine, name, object, &format!("{errno:?} (planned)"));
                return Err(errno);
            }
            Some(FaultAction::Delay { ns }) => machine.advance(machine.now_ns + ns),
            _ => {}
        }
        Ok(action)
    }

    /// A call that is on no descriptor begins.
    fn call(
        &self,
        name: &'static str,
        object: &str,
    ) -> Result<(MutexGuard<'_, Machine>, Option<FaultAction>)> {
        let mut machine = self.machine();
        let action = self.begin(&mut machine, name, &[object.to_owned()])?;
        Ok((machine, action))
    }

    /// A call on a descriptor begins. One of another process is not this one's: `EBADF`.
    fn call_on(&self, name: &'static str, fd: &SimFd) -> Result<Begun<'_>> {
        if fd.kernel.process != self.process || !Arc::ptr_eq(&fd.kernel.shared, &self.shared) {
            return Err(EBADF);
        }
        let mut machine = self.machine();
        let file = machine.processes.file(fd.file)?;
        let (object, is_nonblocking) = (file.object, file.flags & O_NONBLOCK != 0);
        let names = machine.names_of(object);
        let action = self.begin(&mut machine, name, &names)?;
        let label = names.into_iter().next().unwrap_or_default();
        Ok(Begun { machine, object, label, is_nonblocking, action })
    }

    fn note(&self, machine: &mut Machine, name: &str, object: &str, outcome: &str) {
        // What surroundings look for in vain would push everything else out.
        if outcome == "EAGAIN" && machine.processes.of(self.process).is_spared {
            return;
        }
        let (now_ns, process) = (machine.now_ns, self.process);
        machine.trace.push(format!("{now_ns:>12} p{process} {name}({object}) = {outcome}"));
        self.shared.tell_threads();
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

    fn copied_in(&self, machine: &mut Machine, bytes: usize) {
        machine.processes.of(self.process).counters.copied_in_bytes += bytes as u64;
    }

    fn copied_out(&self, machine: &mut Machine, bytes: usize) {
        machine.processes.of(self.process).counters.copied_out_bytes += bytes as u64;
    }

    /// A descriptor of a new object. Its number goes into the descriptor outside the machine, since
    /// a descriptor that is dropped needs the machine.
    fn opened(
        &self,
        mut machine: MutexGuard<'_, Machine>,
        name: &str,
        object_name: &str,
        object: Result<Object>,
        flags: u32,
    ) -> Result<SimFd> {
        let opened = object.and_then(|object| machine.open(self.process, object, flags));
        let opened = self.done(&mut machine, name, object_name, opened);
        drop(machine);
        let (number, file) = opened?;
        Ok(SimFd { kernel: self.clone(), number, file })
    }

    /// `write`, `sendto`.
    fn send(
        &self,
        name: &'static str,
        fd: &SimFd,
        bytes: &[u8],
        flags: i32,
        to: Option<&[u8]>,
    ) -> Result<usize> {
        let Begun { mut machine, object, label, action, .. } = self.call_on(name, fd)?;
        let machine = &mut *machine;
        if name == "sendto" && !object.is_socket() {
            return self.done(machine, name, &label, Err(ENOTSOCK));
        }
        if action == Some(FaultAction::Lose) {
            return self.done(machine, name, &label, Ok(bytes.len()));
        }
        let is_read_only = machine.processes.file(fd.file)?.flags & O_ACCMODE == 0;
        let sent = match object {
            _ if flags & MSG_OOB != 0 => Err(EOPNOTSUPP),
            Object::Unix(id) => machine.unix_send(id, bytes, to).map(|()| bytes.len()),
            Object::Bpf(_) if is_read_only => Err(EBADF),
            Object::Bpf(minor) => {
                machine.bpf_write(minor, &bytes[..bytes.len().min(short(action.as_ref()))])
            }
            Object::Ndrv(id) => machine.ndrv_send(id, bytes, to.is_some()).map(|()| bytes.len()),
            Object::Events(_) => Err(EOPNOTSUPP),
            Object::Kqueue(_) => Err(ENXIO),
        };
        self.copied_in(machine, sent.unwrap_or(0));
        self.done(machine, name, &label, sent)
    }

    /// `read`, `recvfrom`: a datagram or a device's buffer, and who sent it.
    fn receive(
        &self,
        name: &'static str,
        fd: &SimFd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize> {
        let begun = self.call_on(name, fd)?;
        let Begun { machine, object, label, is_nonblocking, action } = begun;
        drop(machine);
        let waits = !is_nonblocking && flags & MSG_DONTWAIT == 0;
        let room = buffer.len();
        let received = if name == "recvfrom" && !object.is_socket() {
            Err(ENOTSOCK)
        } else {
            self.blocking(object, waits, |machine| {
                machine.receive_one(object, room, flags & MSG_PEEK != 0, is_nonblocking)
            })
        };
        let mut machine = self.machine();
        let len = received.map(|(bytes, from)| {
            if let Some(sender) = sender {
                sender.set(&from);
            }
            let len = bytes.len().min(room).min(short(action.as_ref()));
            buffer[..len].copy_from_slice(&bytes[..len]);
            len
        });
        self.copied_out(&mut machine, len.unwrap_or(0));
        self.done(&mut machine, name, &label, len)
    }

    /// The names of what a request is about: the descriptor's, the interface's with which its
    /// argument begins, and the member's or peer's with which a driver command's begins.
    fn request_names(
        machine: &mut Machine,
        object: Object,
        request: u64,
        argument: &[u8],
        memory: &CallerMemory,
    ) -> Vec<String> {
        const BIOCSETIF: u64 = 0x8020_426c;
        const DRIVER_COMMANDS: [u64; 2] = [0x8028_697b, 0xc028_697b];
        let mut names = machine.names_of(object);
        if request >> 8 & 0xff == u64::from(b'i') || request == BIOCSETIF {
            names.push(argument.text_at(0, 16));
        }
        if DRIVER_COMMANDS.contains(&request) && argument.u64_at(24) >= 16 {
            let named = memory.copyin(argument.u64_at(32), 16).unwrap_or_default();
            names.push(named.text_at(0, 16));
        }
        names.retain(|name| !name.is_empty());
        names
    }

    /// A request that the plan lets through.
    fn request(
        &self,
        machine: &mut Machine,
        fd: &SimFd,
        request: u64,
        bytes: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let file = machine.processes.file(fd.file)?;
        let object = file.object;
        if request == FIONBIO {
            // The file's own business, whatever it is of.
            let is_on = bytes.u32_at(0) != 0;
            file.flags = file.flags & !O_NONBLOCK | if is_on { O_NONBLOCK } else { 0 };
            return Ok(());
        }
        match object {
            Object::Unix(id) if request == FIONREAD => {
                let waiting = machine.unix_bytes_to_read(id);
                bytes.put_u32(0, waiting);
                Ok(())
            }
            Object::Events(id) if request == FIONREAD => {
                let waiting = machine.events_readable(id).unwrap_or(0);
                bytes.put_u32(0, u32::try_from(waiting).unwrap_or(u32::MAX));
                Ok(())
            }
            Object::Bpf(minor) => machine.bpf_ioctl(minor, request, bytes, memory),
            Object::Events(id) if request >> 8 & 0xff == u64::from(b'e') => {
                machine.events_ioctl(id, request, bytes)
            }
            Object::Unix(_) | Object::Ndrv(_) | Object::Events(_) => {
                machine.interface_ioctl(self.process, request, bytes, memory)
            }
            Object::Kqueue(_) => Err(ENOTTY),
        }
    }

    fn has_message_calls(&self) -> Result<()> {
        if self.machine().options.without_message_calls { Err(ENOSYS) } else { Ok(()) }
    }
}

impl Machine {
    /// The names that faults know an object by; its label comes first.
    fn names_of(&mut self, object: Object) -> Vec<String> {
        let mut names = vec![self.label(object)];
        if !self.faults.is_over() {
            names.extend(self.interface_of(object));
        }
        names
    }

    /// One read: bytes, and who sent them.
    fn receive_one(
        &mut self,
        object: Object,
        room: usize,
        peek: bool,
        is_nonblocking: bool,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let unnamed = |bytes| (bytes, Vec::new());
        match object {
            Object::Unix(id) => match self.unix_receive(id, peek) {
                // Who has room for nothing is told of nothing.
                Err(EAGAIN) if room == 0 => Ok(unnamed(Vec::new())),
                received => received,
            },
            Object::Bpf(minor) => self.bpf_read(minor, room, is_nonblocking).map(unnamed),
            Object::Events(id) => self.events_read(id).map(unnamed),
            Object::Ndrv(_) => Err(EAGAIN),
            Object::Kqueue(_) => Err(ENXIO),
        }
    }
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
        // Numbers are written in one way alone.
        let minor = minor.filter(|minor| path == format!("/dev/bpf{minor}"));
        let object = minor.ok_or(ENOENT).and_then(|minor| machine.bpf_open(minor, self.process));
        let flags = flags.cast_unsigned();
        let object = object.map(Object::Bpf);
        let fd = self.opened(machine, "open", &path, object, flags & !O_CLOEXEC)?;
        if flags & O_CLOEXEC != 0 {
            self.machine().processes.set_closes_on_exec(self.process, fd.number, true);
        }
        Ok(fd)
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<SimFd> {
        let name = format!("{domain}, {kind}, {protocol}");
        let (mut machine, _) = self.call("socket", &name)?;
        let object = match domain {
            PF_LOCAL => machine.unix_open(kind).map(Object::Unix),
            PF_NDRV => machine.ndrv_open(kind, protocol, self.process).map(Object::Ndrv),
            PF_SYSTEM => machine.events_open(kind, protocol).map(Object::Events),
            _ => Err(EAFNOSUPPORT),
        };
        self.opened(machine, "socket", &name, object, O_RDWR)
    }

    fn socketpair(&self, domain: i32, kind: i32, protocol: i32) -> Result<(SimFd, SimFd)> {
        let name = format!("{domain}, {kind}, {protocol}");
        let (mut machine, _) = self.call("socketpair", &name)?;
        let pair = match domain {
            PF_LOCAL => machine.unix_pair(kind),
            // Others do not connect two sockets (`pru_connect2`).
            PF_NDRV | PF_SYSTEM => Err(EOPNOTSUPP),
            _ => Err(EAFNOSUPPORT),
        };
        let opened = pair.and_then(|(one, other)| {
            let one = machine.open(self.process, Object::Unix(one), O_RDWR);
            let other = machine.open(self.process, Object::Unix(other), O_RDWR);
            match (one, other) {
                (Ok(one), Ok(other)) => Ok((one, other)),
                (Ok((number, _)), Err(errno)) => {
                    machine.close(self.process, number);
                    Err(errno)
                }
                (Err(errno), _) => Err(errno),
            }
        });
        let opened = self.done(&mut machine, "socketpair", &name, opened);
        drop(machine);
        let fd = |(number, file)| SimFd { kernel: self.clone(), number, file };
        opened.map(|(one, other)| (fd(one), fd(other)))
    }

    fn bind(&self, fd: &SimFd, address: &[u8]) -> Result<()> {
        let Begun { mut machine, object, label, .. } = self.call_on("bind", fd)?;
        let result = match object {
            Object::Unix(id) => machine.unix_bind(id, address),
            Object::Ndrv(id) => machine.ndrv_bind(id, address),
            Object::Events(_) => Err(EOPNOTSUPP),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        self.done(&mut machine, "bind", &label, result)
    }

    fn connect(&self, fd: &SimFd, address: &[u8]) -> Result<()> {
        let Begun { mut machine, object, label, .. } = self.call_on("connect", fd)?;
        let result = match object {
            Object::Unix(id) => machine.unix_connect(id, address),
            Object::Ndrv(id) => machine.ndrv_connect(id, address),
            Object::Events(_) => Err(EOPNOTSUPP),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        self.done(&mut machine, "connect", &label, result)
    }

    fn getsockopt(&self, fd: &SimFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
        let Begun { mut machine, object, label, .. } = self.call_on("getsockopt", fd)?;
        let result = match object {
            Object::Unix(id) => machine.unix_getsockopt(id, level, name),
            Object::Ndrv(id) => machine.ndrv_getsockopt(id, level, name),
            Object::Events(_) => Err(ENOPROTOOPT),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        let call = format!("{label}, {level:#x}, {name:#x}");
        let bytes = self.done(&mut machine, "getsockopt", &call, result)?;
        let len = bytes.len().min(value.len());
        value[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn setsockopt(&self, fd: &SimFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
        let Begun { mut machine, object, label, .. } = self.call_on("setsockopt", fd)?;
        let result = match object {
            Object::Unix(id) => machine.unix_setsockopt(id, level, name, value),
            Object::Ndrv(id) => machine.ndrv_setsockopt(id, level, name, value),
            Object::Events(_) => Err(ENOPROTOOPT),
            Object::Bpf(_) | Object::Kqueue(_) => Err(ENOTSOCK),
        };
        let call = format!("{label}, {level:#x}, {name:#x}");
        self.done(&mut machine, "setsockopt", &call, result)
    }

    fn fcntl(&self, fd: &SimFd, command: i32, argument: i32) -> Result<i32> {
        const F_GETFD: i32 = 1;
        const F_SETFD: i32 = 2;
        const F_GETFL: i32 = 3;
        const F_SETFL: i32 = 4;
        let Begun { mut machine, label, .. } = self.call_on("fcntl", fd)?;
        let processes = &mut machine.processes;
        let result = match command {
            F_SETFD => {
                processes.set_closes_on_exec(self.process, fd.number, argument & 1 != 0);
                Ok(0)
            }
            F_GETFD => processes.closes_on_exec(self.process, fd.number).map(i32::from),
            F_GETFL => Ok(processes.file(fd.file)?.flags.cast_signed()),
            F_SETFL => {
                let flags = &mut processes.file(fd.file)?.flags;
                *flags = *flags & !O_SETTABLE | argument.cast_unsigned() & O_SETTABLE;
                Ok(0)
            }
            _ => Err(EINVAL),
        };
        let call = format!("{label}, {command}, {argument:#x}");
        self.done(&mut machine, "fcntl", &call, result)
    }

    fn read(&self, fd: &SimFd, buffer: &mut [u8]) -> Result<usize> {
        self.receive("read", fd, buffer, 0, None)
    }

    fn write(&self, fd: &SimFd, bytes: &[u8]) -> Result<usize> {
        self.send("write", fd, bytes, 0, None)
    }

    fn recvfrom(
        &self,
        fd: &SimFd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize> {
        self.receive("recvfrom", fd, buffer, flags, sender)
    }

    fn sendto(&self, fd: &SimFd, bytes: &[u8], flags: i32, to: Option<&[u8]>) -> Result<usize> {
        self.send("sendto", fd, bytes, flags, to)
    }

    unsafe fn ioctl(&self, fd: &SimFd, request: u64, argument: *mut c_void) -> Result<()> {
        let Begun { mut machine, object, label, .. } = self.call_on("ioctl", fd)?;
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
        let names = Self::request_names(&mut machine, object, request, &bytes, &memory);
        self.strike(&mut machine, request_name, &names)?;
        let result = self.request(&mut machine, fd, request, &mut bytes, &memory);
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
        self.has_message_calls()?;
        let begun = self.call_on("recvmsg_x", fd)?;
        let Begun { machine, object, label, is_nonblocking, action } = begun;
        drop(machine);
        let address = messages.expose_provenance() as u64;
        let most = short(action.as_ref());
        let waits = !is_nonblocking && flags & MSG_DONTWAIT == 0;
        // SAFETY: the caller's promise for the headers and what they point to.
        let memory = unsafe { CallerMemory::vouched_for() };
        let received = self.blocking(object, waits, |machine| {
            machine.receive_messages(&memory, object, address, count, flags, most)
        });
        let mut machine = self.machine();
        self.copied_out(&mut machine, received.map_or(0, |(_, bytes)| bytes));
        self.done(&mut machine, "recvmsg_x", &label, received.map(|(count, _)| count))
    }

    unsafe fn sendmsg_x(
        &self,
        fd: &SimFd,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize> {
        self.has_message_calls()?;
        let Begun { mut machine, object, label, action, .. } = self.call_on("sendmsg_x", fd)?;
        let address = messages.expose_provenance() as u64;
        let most = short(action.as_ref());
        // SAFETY: the caller's promise for the headers and what they point to.
        let memory = unsafe { CallerMemory::vouched_for() };
        let sent = if action == Some(FaultAction::Lose) {
            Machine::lose_messages(&memory, address, count)
        } else {
            machine.send_messages(&memory, object, address, count, flags, most)
        };
        self.copied_in(&mut machine, sent.map_or(0, |(_, bytes)| bytes));
        self.done(&mut machine, "sendmsg_x", &label, sent.map(|(count, _)| count))
    }

    fn kqueue(&self) -> Result<SimFd> {
        let (mut machine, _) = self.call("kqueue", "")?;
        let object = Object::Kqueue(machine.kqueue_open(self.process));
        self.opened(machine, "kqueue", "", Ok(object), O_RDWR)
    }

    fn kevent64(
        &self,
        kqueue: &SimFd,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
        flags: u32,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let Begun { mut machine, object, label, action, .. } = self.call_on("kevent64", kqueue)?;
        let Object::Kqueue(id) = object else {
            return self.done(&mut machine, "kevent64", &label, Err(EBADF));
        };
        if flags & KEVENT_FLAGS_OTHER != 0 {
            return self.done(&mut machine, "kevent64", &label, Err(EINVAL));
        }
        let counters = &mut machine.processes.of(self.process).counters;
        counters.kevent_changes += changes.len() as u64;
        counters.kevent_registrations += crate::kqueue::registrations(changes) as u64;
        let receipts = machine.kqueue_change(self.process, id, changes, events);
        let until = match timeout {
            _ if flags & KEVENT_FLAG_IMMEDIATE != 0 => machine.now_ns,
            None => u64::MAX,
            Some(span) => machine.now_ns.saturating_add(nanos(span)),
        };
        drop(machine);
        let takes = flags & KEVENT_FLAG_ERROR_EVENTS == 0 && !events.is_empty();
        let room = events.len().min(short(action.as_ref()));
        let count = match receipts {
            Ok(0) if takes => Ok(self
                .wait_until(until, |machine| {
                    let count = machine.kqueue_take(id, &mut events[..room]);
                    (count > 0 || room == 0).then_some(count)
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
        let is_root = machine.processes.of(self.process).is_root;
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
        let (mut machine, _) = self.call("getifaddrs", "")?;
        let addresses = machine.interface_addresses();
        let count: std::result::Result<usize, Errno> = Ok(addresses.len());
        let _ = self.done(&mut machine, "getifaddrs", "", count);
        Ok(addresses)
    }

    fn uptime_ns(&self) -> u64 {
        // Read from memory that the kernel shares with every process: no call.
        self.machine().now_ns
    }

    fn sleep(&self, span: Duration) {
        self.run_for(span);
    }
}

/// The most that a call does, by plan.
const fn short(action: Option<&FaultAction>) -> usize {
    match action {
        Some(FaultAction::Short(most)) => *most,
        _ => usize::MAX,
    }
}
