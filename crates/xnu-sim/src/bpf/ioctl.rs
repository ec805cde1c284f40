//! `bpfioctl`.

use super::device::{Device, IN, Link, OUT, Settings, Timer};
use super::filter::{INSTRUCTION_LEN, INSTRUCTIONS_MAX, Program};
use super::requests::*;
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EACCES, EALREADY, EINVAL, ENOENT, ENOMEM, ENXIO, EOPNOTSUPP, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::version::Capabilities;

impl Machine {
    /// A request; `argument` as for [`Self::interface_ioctl`].
    pub(crate) fn bpf_ioctl(
        &mut self,
        minor: u32,
        request: u64,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let can = self.can;
        let device = self.bpf.device(minor)?;
        // Whatever is asked, the timer ends (M6).
        device.timer = Timer::Idle;
        if !is_known(request, &can) {
            return Err(EINVAL);
        }
        if let Some(value) = device.get(request, &can) {
            argument.put_u32(0, value);
            return Ok(());
        }
        if let Some(result) = device.set(request, argument.u32_at(0)) {
            return result;
        }
        match request {
            BIOCSBLEN => self.bpf_set_buffer_len(minor, argument),
            BIOCSETF | BIOCSETFNR => self.bpf_set_filter(minor, request, argument, memory),
            BIOCFLUSH => {
                device.reset();
                Ok(())
            }
            BIOCSRTIMEOUT | BIOCGRTIMEOUT => device.timeout(request, argument),
            BIOCGSTATS | BIOCVERSION | BIOCGETUUID | BIOCGHDRCOMPSTATS => {
                device.tell(request, argument);
                Ok(())
            }
            BIOCSETIF => {
                let interface = self.net.find(&argument.text_at(0, 15)).ok_or(ENXIO)?;
                self.bpf_set_interface(minor, interface)
            }
            BIOCGIFATTACHCOUNT => {
                let interface = self.net.find(&argument.text_at(0, 15)).ok_or(ENXIO)?;
                let count = self.bpf.listener_count(interface);
                argument.put_u32(16, u32::try_from(count).unwrap_or(u32::MAX));
                Ok(())
            }
            BIOCSETUP => self.bpf_set_up(minor, argument),
            BIOCGETIF | BIOCPROMISC | BIOCGDLT | BIOCSDLT | BIOCGDLTLIST | SIOCGIFADDR
            | BIOCSDVRTIN => self.bpf_attached_ioctl(minor, request, argument, memory),
            _ => Err(EINVAL),
        }
    }

    /// Requests that need an interface.
    fn bpf_attached_ioctl(
        &mut self,
        minor: u32,
        request: u64,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let device = self.bpf.device(minor)?;
        let (link, is_promiscuous) = (device.link, device.is_promiscuous);
        let Some(interface) = device.interface else {
            return Err(if request == BIOCSDVRTIN { ENXIO } else { EINVAL });
        };
        match request {
            BIOCGETIF => argument.put_text(0, 16, &self.net.name(interface)),
            BIOCPROMISC if !is_promiscuous => {
                self.set_promiscuous(interface, true);
                self.bpf.device(minor)?.is_promiscuous = true;
            }
            BIOCPROMISC => {}
            BIOCGDLT => argument.put_u32(0, link.number()),
            BIOCSDLT => {
                // Each modelled interface has one.
                return if argument.u32_at(0) == link.number() { Ok(()) } else { Err(EINVAL) };
            }
            BIOCGDLTLIST => return list_links(link, argument, memory),
            // The driver is asked, and none of those modelled knows.
            SIOCGIFADDR => return Err(EOPNOTSUPP),
            _ => return self.bpf_set_input(minor, interface, argument.u32_at(0)),
        }
        Ok(())
    }

    /// `BIOCSDVRTIN`: disables the input of the interface, or enables it again (C22).
    fn bpf_set_input(&mut self, minor: u32, interface: IfId, value: u32) -> Result<()> {
        let is_disabled = self.net.is_input_disabled(interface);
        let device = self.bpf.device(minor)?;
        match (value != 0, device.disables_input) {
            (true, true) => return Err(EALREADY),
            (true, false) if is_disabled => return Err(EALREADY),
            (false, false) => return Err(EINVAL),
            _ => {}
        }
        device.disables_input = value != 0;
        self.net.set_input_disabled(interface, value != 0);
        Ok(())
    }

    /// `BIOCSBLEN`: clamps, and tells what it came to.
    fn bpf_set_buffer_len(&mut self, minor: u32, argument: &mut [u8]) -> Result<()> {
        let (can, sysctl_max) = (self.can, self.bpf_sysctl("debug.bpf_maxbufsize"));
        let device = self.bpf.device(minor)?;
        if device.interface.is_some() {
            return Err(EINVAL);
        }
        let len_max = match can.bpf_header_compression {
            true => can.bpf_buffer_bytes_max,
            false if device.settings.drops_oldest => sysctl_max.saturating_mul(2),
            false => sysctl_max,
        };
        let asked = argument.u32_at(0);
        device.buffer_len = if asked > len_max { len_max } else { asked.max(BUFFER_LEN_MIN) };
        argument.put_u32(0, device.buffer_len);
        Ok(())
    }

    /// `bpf_setf`.
    fn bpf_set_filter(
        &mut self,
        minor: u32,
        request: u64,
        argument: &[u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let load_limit = self.bpf_sysctl("debug.bpf_maxbufsize");
        let (len, address) = (argument.u32_at(0) as usize, argument.u64_at(8));
        let device = self.bpf.device(minor)?;
        if address == 0 {
            // No program takes everything; and flushes, whichever request it is (C19).
            if len != 0 {
                return Err(EINVAL);
            }
            device.filter = None;
            device.reset();
            return Ok(());
        }
        if len > INSTRUCTIONS_MAX {
            return Err(EINVAL);
        }
        let bytes = memory.copyin(address, len * INSTRUCTION_LEN).map_err(|_| EINVAL)?;
        let program = Program::decode(&bytes);
        if !program.is_valid(load_limit) {
            return Err(EINVAL);
        }
        device.filter = Some(program);
        if request == BIOCSETF {
            device.reset();
        }
        Ok(())
    }

    /// `bpf_setif`: new buffers, another interface if it is one, everything empty.
    fn bpf_set_interface(&mut self, minor: u32, interface: IfId) -> Result<()> {
        if self.bpf.device(minor)?.interface != Some(interface) {
            self.bpf_leave(minor);
            self.bpf_join(minor, interface)?;
        }
        self.bpf.device(minor)?.reset();
        Ok(())
    }

    /// `BIOCSETUP`: takes over what another device of the same opener holds, and listens.
    fn bpf_set_up(&mut self, minor: u32, argument: &[u8]) -> Result<()> {
        let interface = self.net.find(&argument.text_at(16, 15)).ok_or(ENXIO)?;
        let copies_settings = self.can.bpf_header_compression;
        let is_meant = |device: &Device| Some(device.uuid.as_slice()) == argument.get(..16);
        let devices = self.bpf.nodes.iter().map(|node| node.device.as_ref());
        let mut numbered = (0..).zip(devices);
        let from = numbered.find(|(_, device)| device.is_some_and(is_meant)).map(|(at, _)| at);
        let from: u32 = from.ok_or(ENOENT)?;
        assert_ne!(from, minor, "BIOCSETUP of a device from itself waits for ever in XNU");
        let from = self.bpf.device(from)?;
        let copied = super::buffers::Buffers::copy_of(&from.buffers);
        let (settings, previous) = (from.settings.clone(), from.previous.clone());
        let (opened_by, buffer_len) = (from.opened_by, from.buffer_len);
        let compression = from.compression;
        let device = self.bpf.device(minor)?;
        if device.opened_by != opened_by {
            return Err(EACCES);
        }
        if device.buffer_len != buffer_len {
            return Err(EINVAL);
        }
        if copies_settings {
            device.take_over(&settings);
            device.compression = compression;
        }
        self.bpf_set_interface(minor, interface)?;
        let device = self.bpf.device(minor)?;
        device.buffers = copied;
        device.previous = if copies_settings { previous } else { Vec::new() };
        Ok(())
    }
}

impl Device {
    /// Requests that give one number.
    fn get(&self, request: u64, can: &Capabilities) -> Option<u32> {
        let settings = &self.settings;
        let value = match request {
            FIONREAD => self.waiting_len(can),
            BIOCGBLEN => self.buffer_len,
            BIOCGRSIG => settings.signal,
            BIOCGHDRCMPLT => settings.is_header_complete.into(),
            BIOCGSEESENT if can.bpf_direction => (settings.direction & OUT != 0).into(),
            BIOCGSEESENT => settings.sees_sent,
            BIOCGDIRECTION => settings.direction,
            BIOCGETTC => settings.traffic_class.cast_unsigned(),
            BIOCGWANTPKTAP => settings.wants_pktap.into(),
            BIOCGHEADDROP => settings.drops_oldest.into(),
            BIOCGPKTHDRV2 => settings.has_pktap_v2.into(),
            BIOCGHDRCOMP | BIOCGHDRCOMPON => settings.compresses_headers.into(),
            BIOCGWRITEMAX => settings.write_len_max,
            BIOCGBATCHWRITE => settings.writes_batches.into(),
            BIOCGNOTSTAMP => settings.has_no_timestamp.into(),
            BIOCGDVRTIN => self.disables_input.into(),
            _ => return None,
        };
        Some(value)
    }

    /// `FIONREAD`: the store, and the hold buffer up to macOS 13; since, that only while a read
    /// copies it out, which no other call sees.
    fn waiting_len(&self, can: &Capabilities) -> u32 {
        let hold_len = if can.bpf_direction { 0 } else { self.buffers.hold_len() };
        u32::try_from(self.buffers.store_len() + hold_len).unwrap_or(u32::MAX)
    }

    /// Requests that set one number.
    fn set(&mut self, request: u64, value: u32) -> Option<Result<()>> {
        let settings = &mut self.settings;
        match request {
            // The descriptor's business, not the device's.
            FIONBIO | FIOASYNC => {}
            // Only its lowest byte is looked at.
            BIOCIMMEDIATE => settings.is_immediate = value & 0xff != 0,
            BIOCSSEESENT => {
                settings.sees_sent = value;
                settings.direction = if value == 0 { IN } else { IN | OUT };
            }
            BIOCSEXTHDR => settings.has_extended_header = value != 0,
            BIOCSWANTPKTAP => settings.wants_pktap = value != 0,
            BIOCSHEADDROP => settings.drops_oldest = value != 0,
            BIOCSTRUNCATE => settings.truncates_pktap = value != 0,
            BIOCSPKTHDRV2 => settings.has_pktap_v2 = value != 0,
            BIOCSNOTSTAMP => settings.has_no_timestamp = value != 0,
            BIOCSRSIG | BIOCSDIRECTION | BIOCSETTC | BIOCSHDRCMPLT | BIOCSWRITEMAX
            | BIOCSBATCHWRITE => return Some(settings.set_checked(request, value)),
            BIOCSHDRCOMP => return Some(self.set_header_compression(value)),
            _ => return None,
        }
        Some(Ok(()))
    }

    fn set_header_compression(&mut self, value: u32) -> Result<()> {
        assert!(
            value <= 1,
            "BIOCSHDRCOMP with {value}: XNU returns from it with the mutex of all BPF devices \
             held, and the machine's networking ends (contract M9)"
        );
        if self.interface.is_some() {
            return Err(EINVAL);
        }
        self.settings.compresses_headers = value == 1;
        Ok(())
    }

    /// `BIOCSRTIMEOUT`, `BIOCGRTIMEOUT`: seconds and microseconds, kept as ticks, rounded up.
    fn timeout(&mut self, request: u64, argument: &mut [u8]) -> Result<()> {
        if request == BIOCGRTIMEOUT {
            let ticks = self.settings.timeout_ticks;
            argument.put_u64(0, ticks / TICKS_PER_S);
            argument.put_u32(8, u32::try_from(ticks % TICKS_PER_S * TICK_US).unwrap_or(0));
            argument.put_u32(12, 0);
            return Ok(());
        }
        let (seconds, microseconds) = (argument.u64_at(0), u64::from(argument.u32_at(8)));
        if seconds > TIMEOUT_S_MAX || microseconds >= 1_000_000 {
            return Err(EINVAL);
        }
        self.settings.timeout_ticks = (seconds * 1_000_000 + microseconds).div_ceil(TICK_US);
        Ok(())
    }

    /// Requests that give a struct.
    fn tell(&self, request: u64, argument: &mut [u8]) {
        match request {
            BIOCGSTATS => {
                // Cut to 32 bits.
                argument.put(0, &self.counts.received.to_le_bytes()[..4]);
                argument.put(4, &self.counts.dropped.to_le_bytes()[..4]);
            }
            BIOCVERSION => {
                argument.put_u16(0, 1);
                argument.put_u16(2, 1);
            }
            BIOCGETUUID => argument.put(0, &self.uuid),
            _ => {
                let of = &self.compression;
                let values = [
                    of.read,
                    of.size,
                    of.header_size,
                    of.without_prefix,
                    of.with_prefix,
                    of.prefix_size,
                    of.prefix_size_max,
                ];
                for (at, value) in values.into_iter().enumerate() {
                    argument.put_u64(at * 8, value);
                }
            }
        }
    }

    /// What `BIOCSETUP` copies of another device's settings; those that XNU keeps in the same word
    /// are cleared.
    fn take_over(&mut self, from: &Settings) {
        let settings = &mut self.settings;
        settings.has_extended_header = from.has_extended_header;
        settings.wants_pktap = from.wants_pktap;
        settings.truncates_pktap = from.truncates_pktap;
        settings.has_pktap_v2 = from.has_pktap_v2;
        settings.compresses_headers = from.compresses_headers;
        settings.drops_oldest = from.drops_oldest;
        settings.writes_batches = false;
        self.has_knote = false;
    }
}

impl Settings {
    fn set_checked(&mut self, request: u64, value: u32) -> Result<()> {
        match request {
            BIOCSRSIG if value < SIGNALS => self.signal = value,
            BIOCSDIRECTION if value <= IN | OUT => self.direction = value,
            BIOCSETTC
                if TRAFFIC_CLASSES.contains(&value) && !(self.writes_batches && value != 0) =>
            {
                self.traffic_class = value.cast_signed();
            }
            // A batch's frames are whole, and of the first class.
            BIOCSHDRCMPLT if value != 0 || !self.writes_batches => {
                self.is_header_complete = value != 0;
            }
            BIOCSWRITEMAX if value <= WRITE_LEN_MAX => self.write_len_max = value,
            BIOCSBATCHWRITE
                if value == 0 || (self.is_header_complete && self.traffic_class == 0) =>
            {
                self.writes_batches = value != 0;
            }
            _ => return Err(EINVAL),
        }
        Ok(())
    }
}

/// `BIOCGDLTLIST`: the list, or without one how long it is.
fn list_links(link: Link, argument: &mut [u8], memory: &CallerMemory) -> Result<()> {
    let (room, address) = (argument.u32_at(0), argument.u64_at(4));
    if address != 0 {
        if room == 0 {
            return Err(ENOMEM);
        }
        memory.copyout(&link.number().to_le_bytes(), address)?;
    }
    argument.put_u32(0, 1);
    Ok(())
}

/// `BPF_MINBUFSIZE`.
const BUFFER_LEN_MIN: u32 = 32;
/// `BPF_WRITE_MAX`.
const WRITE_LEN_MAX: u32 = 16 << 20;
/// `NSIG`.
const SIGNALS: u32 = 32;
/// `SO_VALID_TC`.
const TRAFFIC_CLASSES: &[u32] = &[0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 10_002];
/// `hz`, and a tick in microseconds.
const TICKS_PER_S: u64 = 100;
const TICK_US: u64 = 10_000;
/// `itimerfix`.
const TIMEOUT_S_MAX: u64 = 100_000_000;
