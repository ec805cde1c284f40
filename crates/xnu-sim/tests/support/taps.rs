//! A BPF device on an interface, and an NDRV socket, by raw requests.
#![allow(unsafe_code, reason = "ioctl takes a pointer")]

use xnu_sim::{SimFd, SimKernel};
use xnu_sys::Kernel;

use super::{Result, ifreq, put, u16_at, u32_at};

const BIOCSETIF: u64 = 0x8020_426c;
const BIOCIMMEDIATE: u64 = 0x8004_4270;
const BIOCSHDRCMPLT: u64 = 0x8004_4275;
const BIOCSBLEN: u64 = 0xc004_4266;
const BIOCSSEESENT: u64 = 0x8004_4277;
const O_RDWR_NONBLOCK: i32 = 0x2 | 0x4;
const BUFFER_BYTES: u32 = 256 * 1024;

/// A tap that sees what comes in and what goes out.
pub(crate) struct Tap {
    kernel: SimKernel,
    fd: SimFd,
}

impl Tap {
    pub(crate) fn on(kernel: &SimKernel, interface: &str) -> Self {
        let open = |minor: u32| {
            let path = std::ffi::CString::new(format!("/dev/bpf{minor}")).unwrap();
            kernel.open(&path, O_RDWR_NONBLOCK).ok()
        };
        let fd = (0..256).find_map(open).expect("a free device");
        let this = Self { kernel: kernel.clone(), fd };
        this.set(BIOCSBLEN, BUFFER_BYTES);
        this.set(BIOCIMMEDIATE, 1);
        this.set(BIOCSHDRCMPLT, 1);
        this.ioctl(BIOCSETIF, &mut ifreq(interface)).unwrap();
        this
    }

    /// With a request's number, whose argument is a number too.
    pub(crate) fn with(self, request: u64, value: u32) -> Self {
        self.set(request, value);
        self
    }

    /// Only what comes in.
    pub(crate) fn only_in(self) -> Self {
        self.set(BIOCSSEESENT, 0);
        self
    }

    fn set(&self, request: u64, value: u32) {
        self.ioctl(request, &mut value.to_le_bytes()).unwrap();
    }

    pub(crate) fn ioctl(&self, request: u64, argument: &mut [u8]) -> Result<()> {
        let pointer = argument.as_mut_ptr().cast();
        // SAFETY: the requests of this file take the arguments that this file makes for them, which
        // hold no pointers.
        unsafe { self.kernel.ioctl(&self.fd, request, pointer) }
    }

    /// All frames that came since, oldest first.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; BUFFER_BYTES as usize];
        let mut frames = Vec::new();
        while let Ok(len) = self.kernel.read(&self.fd, &mut buffer) {
            let mut at = 0;
            while at < len {
                let captured = u32_at(&buffer, at + 8) as usize;
                let header = usize::from(u16_at(&buffer, at + 16));
                frames.push(buffer[at + header..][..captured].to_vec());
                at += (header + captured).next_multiple_of(4);
            }
        }
        frames
    }

    pub(crate) fn write(&self, frame: &[u8]) -> Result<usize> {
        self.kernel.write(&self.fd, frame)
    }

    pub(crate) fn read_once(&self) -> Result<usize> {
        self.kernel.read(&self.fd, &mut vec![0; BUFFER_BYTES as usize])
    }
}

/// A PF_NDRV socket bound to an interface and connected.
pub(crate) struct Ndrv {
    kernel: SimKernel,
    fd: SimFd,
}

impl Ndrv {
    pub(crate) fn on(kernel: &SimKernel, interface: &str) -> Self {
        const PF_NDRV: i32 = 27;
        const SOCK_RAW: i32 = 3;
        let fd = kernel.socket(PF_NDRV, SOCK_RAW, 0).unwrap();
        let mut address = [0; 18];
        put(&mut address, 0, &[18, 27]);
        put(&mut address, 2, interface.as_bytes());
        kernel.bind(&fd, &address).unwrap();
        kernel.connect(&fd, &address).unwrap();
        Self { kernel: kernel.clone(), fd }
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Result<usize> {
        self.kernel.write(&self.fd, frame)
    }
}
