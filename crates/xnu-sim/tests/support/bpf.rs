//! A BPF device by raw requests, with numbers from the contract.
#![allow(unsafe_code, reason = "ioctl takes a pointer")]

use xnu_sim::{SimFd, SimKernel};
use xnu_sys::Kernel;

use super::{Result, ifreq, name_at, put, u16_at, u32_at};

pub(crate) const FIONREAD: u64 = 0x4004_667f;
pub(crate) const FIONBIO: u64 = 0x8004_667e;
pub(crate) const BIOCGBLEN: u64 = 0x4004_4266;
pub(crate) const BIOCSBLEN: u64 = 0xc004_4266;
pub(crate) const BIOCSETF: u64 = 0x8010_4267;
pub(crate) const BIOCSETFNR: u64 = 0x8010_427e;
pub(crate) const BIOCFLUSH: u64 = 0x2000_4268;
pub(crate) const BIOCPROMISC: u64 = 0x2000_4269;
pub(crate) const BIOCGDLT: u64 = 0x4004_426a;
pub(crate) const BIOCSDLT: u64 = 0x8004_4278;
pub(crate) const BIOCGDLTLIST: u64 = 0xc00c_4279;
pub(crate) const BIOCGETIF: u64 = 0x4020_426b;
pub(crate) const BIOCSETIF: u64 = 0x8020_426c;
pub(crate) const BIOCSRTIMEOUT: u64 = 0x8010_426d;
pub(crate) const BIOCGRTIMEOUT: u64 = 0x4010_426e;
pub(crate) const BIOCGSTATS: u64 = 0x4008_426f;
pub(crate) const BIOCIMMEDIATE: u64 = 0x8004_4270;
pub(crate) const BIOCVERSION: u64 = 0x4004_4271;
pub(crate) const BIOCGRSIG: u64 = 0x4004_4272;
pub(crate) const BIOCSRSIG: u64 = 0x8004_4273;
pub(crate) const BIOCGHDRCMPLT: u64 = 0x4004_4274;
pub(crate) const BIOCSHDRCMPLT: u64 = 0x8004_4275;
pub(crate) const BIOCGSEESENT: u64 = 0x4004_4276;
pub(crate) const BIOCSSEESENT: u64 = 0x8004_4277;
pub(crate) const BIOCGETTC: u64 = 0x4004_427a;
pub(crate) const BIOCSETTC: u64 = 0x8004_427b;
pub(crate) const BIOCSEXTHDR: u64 = 0x8004_427c;
pub(crate) const BIOCGIFATTACHCOUNT: u64 = 0xc020_427d;
pub(crate) const BIOCGWANTPKTAP: u64 = 0x4004_427f;
pub(crate) const BIOCSWANTPKTAP: u64 = 0xc004_427f;
pub(crate) const BIOCSHEADDROP: u64 = 0x8004_4280;
pub(crate) const BIOCGHEADDROP: u64 = 0x4004_4280;
pub(crate) const BIOCSTRUNCATE: u64 = 0x8004_4281;
pub(crate) const BIOCGETUUID: u64 = 0x4010_4282;
pub(crate) const BIOCSETUP: u64 = 0x8020_4283;
pub(crate) const BIOCSPKTHDRV2: u64 = 0x8004_4284;
pub(crate) const BIOCGHDRCOMP: u64 = 0x4004_4286;
pub(crate) const BIOCSHDRCOMP: u64 = 0x8004_4287;
pub(crate) const BIOCGHDRCOMPSTATS: u64 = 0x4038_4288;
pub(crate) const BIOCGHDRCOMPON: u64 = 0x4004_4289;
pub(crate) const BIOCGDIRECTION: u64 = 0x4004_428a;
pub(crate) const BIOCSDIRECTION: u64 = 0x8004_428b;
pub(crate) const BIOCSWRITEMAX: u64 = 0x8004_428c;
pub(crate) const BIOCGWRITEMAX: u64 = 0x4004_428d;
pub(crate) const BIOCGBATCHWRITE: u64 = 0x4004_428e;
pub(crate) const BIOCSBATCHWRITE: u64 = 0x8004_428f;
pub(crate) const BIOCGNOTSTAMP: u64 = 0x4004_4290;
pub(crate) const BIOCSNOTSTAMP: u64 = 0x8004_4291;
pub(crate) const BIOCGDVRTIN: u64 = 0x4004_4292;
pub(crate) const BIOCSDVRTIN: u64 = 0x8004_4292;
pub(crate) const O_RDWR: i32 = 2;
pub(crate) const O_NONBLOCK: i32 = 4;

/// An instruction: code, jumps, operand.
pub(crate) type Word = (u16, u8, u8, u32);
pub(crate) const TAKE_ALL: Word = (0x06, 0, 0, u32::MAX);
pub(crate) const TAKE_NONE: Word = (0x06, 0, 0, 0);

pub(crate) struct Device {
    kernel: SimKernel,
    pub(crate) fd: SimFd,
    pub(crate) minor: u32,
}

/// A record of what a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it begins.
    pub(crate) at: usize,
    pub(crate) time: (u32, u32),
    pub(crate) captured: u32,
    pub(crate) frame_len: u32,
    pub(crate) header_len: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Device {
    /// Opens a device, for reading and writing, non-blocking.
    pub(crate) fn open(kernel: &SimKernel, minor: u32) -> Result<Self> {
        Self::open_with(kernel, minor, O_RDWR | O_NONBLOCK)
    }

    pub(crate) fn open_with(kernel: &SimKernel, minor: u32, flags: i32) -> Result<Self> {
        let path = std::ffi::CString::new(format!("/dev/bpf{minor}")).unwrap();
        let fd = kernel.open(&path, flags)?;
        Ok(Self { kernel: kernel.clone(), fd, minor })
    }

    /// The first device that is free, and as it is opened.
    pub(crate) fn any(kernel: &SimKernel) -> Self {
        (0..256).find_map(|minor| Self::open(kernel, minor).ok()).expect("a free device")
    }

    /// One on an interface, with buffers of 4,096 bytes, immediate, whose writer completes headers.
    pub(crate) fn on(kernel: &SimKernel, interface: &str) -> Self {
        let this = Self::any(kernel);
        this.set(BIOCIMMEDIATE, 1).unwrap();
        this.set(BIOCSHDRCMPLT, 1).unwrap();
        this.attach(interface).unwrap();
        this
    }

    /// A request; the argument has the size that the request's number says.
    pub(crate) fn ioctl(&self, request: u64, argument: &mut [u8]) -> Result<()> {
        let size = usize::try_from(request >> 16 & 0x1fff).unwrap();
        assert_eq!(size, argument.len(), "the argument of {request:#x}");
        let pointer = argument.as_mut_ptr().cast();
        // SAFETY: the argument has the size of the request's type (just checked) and is writable;
        // every pointer within it was put there by a caller who keeps what it points to.
        unsafe { self.kernel.ioctl(&self.fd, request, pointer) }
    }

    pub(crate) fn get(&self, request: u64) -> Result<u32> {
        let mut value = [0xaa; 4];
        self.ioctl(request, &mut value)?;
        Ok(u32_at(&value, 0))
    }

    pub(crate) fn set(&self, request: u64, value: u32) -> Result<()> {
        self.ioctl(request, &mut value.to_le_bytes())
    }

    /// `BIOCSBLEN`: what it came to.
    pub(crate) fn set_buffer(&self, len: u32) -> Result<u32> {
        let mut value = len.to_le_bytes();
        self.ioctl(BIOCSBLEN, &mut value)?;
        Ok(u32_at(&value, 0))
    }

    pub(crate) fn attach(&self, interface: &str) -> Result<()> {
        self.ioctl(BIOCSETIF, &mut ifreq(interface))
    }

    pub(crate) fn interface(&self) -> Result<String> {
        let mut request = [0; 32];
        self.ioctl(BIOCGETIF, &mut request)?;
        Ok(name_at(&request, 0))
    }

    /// A program, by `BIOCSETF` or `BIOCSETFNR`.
    pub(crate) fn filter(&self, request: u64, words: &[Word]) -> Result<()> {
        let word = |&(code, jt, jf, k): &Word| {
            let ([low, high], [a, b, c, d]) = (code.to_le_bytes(), k.to_le_bytes());
            [low, high, jt, jf, a, b, c, d]
        };
        let bytes: Vec<u8> = words.iter().flat_map(word).collect();
        let len = u32::try_from(words.len()).unwrap();
        self.program(request, len, bytes.as_ptr().expose_provenance() as u64)
    }

    /// A `bpf_program`.
    pub(crate) fn program(&self, request: u64, len: u32, address: u64) -> Result<()> {
        let mut argument = [0; 16];
        put(&mut argument, 0, &len.to_le_bytes());
        put(&mut argument, 8, &address.to_le_bytes());
        self.ioctl(request, &mut argument)
    }

    /// `BIOCSRTIMEOUT`.
    pub(crate) fn set_timeout(&self, seconds: u64, microseconds: u32) -> Result<()> {
        let mut argument = [0; 16];
        put(&mut argument, 0, &seconds.to_le_bytes());
        put(&mut argument, 8, &microseconds.to_le_bytes());
        self.ioctl(BIOCSRTIMEOUT, &mut argument)
    }

    /// `BIOCGSTATS`: received, dropped.
    pub(crate) fn stats(&self) -> (u32, u32) {
        let mut stats = [0; 8];
        self.ioctl(BIOCGSTATS, &mut stats).unwrap();
        (u32_at(&stats, 0), u32_at(&stats, 4))
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize> {
        self.kernel.write(&self.fd, bytes)
    }

    /// A read with a buffer of so many bytes: what came.
    pub(crate) fn read_with(&self, len: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; len];
        let len = self.kernel.read(&self.fd, &mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// A read as long as the device's buffer.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        self.read_with(self.get(BIOCGBLEN)? as usize)
    }

    /// The records of one read.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        self.read().map(|bytes| records(&bytes))
    }

    /// The captured bytes of one read's records; none when nothing is there.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        let records = self.records().unwrap_or_default();
        records.into_iter().map(|record| record.bytes).collect()
    }
}

/// The records in what a read gave.
pub(crate) fn records(bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (captured, header_len) = (u32_at(bytes, at + 8), u16_at(bytes, at + 16));
        let end = at + usize::from(header_len) + captured as usize;
        records.push(Record {
            at,
            time: (u32_at(bytes, at), u32_at(bytes, at + 4)),
            captured,
            frame_len: u32_at(bytes, at + 12),
            header_len,
            bytes: bytes[at + usize::from(header_len)..end].to_vec(),
        });
        at = end.next_multiple_of(4);
    }
    records
}

/// A record of a batch: its header, the frame, zeros up to a multiple of 4.
pub(crate) fn batch_record(frame: &[u8]) -> Vec<u8> {
    let mut record = batch_header(frame.len(), frame.len(), 18);
    record.extend_from_slice(frame);
    record.resize(record.len().next_multiple_of(4), 0);
    record
}

/// A header of a batch's record, as long as it says.
pub(crate) fn batch_header(captured: usize, frame_len: usize, header_len: u16) -> Vec<u8> {
    let mut header = vec![0; usize::from(header_len).max(18)];
    put(&mut header, 8, &u32::try_from(captured).unwrap().to_le_bytes());
    put(&mut header, 12, &u32::try_from(frame_len).unwrap().to_le_bytes());
    put(&mut header, 16, &header_len.to_le_bytes());
    header
}
