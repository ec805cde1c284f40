//! How ports are attached on a simulated Mac.

use std::collections::BTreeMap;
use std::path::Path;

use vswitch::port::xnu::{DatagramPort, Place, UnixgramPort};
use vswitchd::access::Access;
use vswitchd::config::Attachment;
use vswitchd::platform::Attached;
use vswitchd::xnu::{Attach, XnuError};
use xnu_sim::{SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, SOCK_DGRAM};
use xnu_sys::{Descriptor, Kernel, SyscallError, address};

/// Descriptors that the switch's process was "started with", by number.
#[derive(Debug, Default)]
pub struct SimAttach(pub BTreeMap<i32, SimFd>);

impl SimAttach {
    /// Passes a descriptor to the switch: its number there.
    pub fn pass(&mut self, fd: SimFd) -> i32 {
        let number = SimKernel::number(&fd);
        self.0.insert(number, fd);
        number
    }
}

impl Attach<SimKernel> for SimAttach {
    fn attach(
        &mut self,
        kernel: &SimKernel,
        attachment: Attachment,
        _: Access,
    ) -> Result<Attached, XnuError> {
        match attachment {
            Attachment::Fd(number) => {
                let fd = self.0.remove(&number);
                let fd = fd.ok_or_else(|| refused("it was not passed to the switch"))?;
                let socket = Descriptor::new(kernel.clone(), fd);
                let port = DatagramPort::new(socket).map_err(XnuError::Socket)?;
                Ok(Attached::Port(Box::new(port)))
            }
            Attachment::Unixgram(path) => {
                let port = bound(kernel, &path).map_err(XnuError::Socket)?;
                Ok(Attached::Port(Box::new(port)))
            }
            attachment => Err(refused(&format!("{attachment}: streams and VDE are not simulated"))),
        }
    }
}

fn bound(kernel: &SimKernel, path: &Path) -> Result<UnixgramPort<SimKernel>, SyscallError> {
    let failed = |call| move |errno| SyscallError { call, errno };
    let fd = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).map_err(failed("socket"))?;
    let address = address::unix_path(path.as_os_str().as_encoded_bytes());
    let address = address.map_err(|_| failed("bind")(xnu_sys::Errno::ENAMETOOLONG))?;
    kernel.bind(&fd, address.as_bytes()).map_err(failed("bind"))?;
    let place = SimPlace(path.to_owned());
    UnixgramPort::new(Descriptor::new(kernel.clone(), fd), Box::new(place))
}

/// A path on the simulated machine.
#[derive(Debug)]
struct SimPlace(std::path::PathBuf);

impl Place for SimPlace {
    fn path(&self) -> &Path {
        &self.0
    }
}

fn refused(why: &str) -> XnuError {
    XnuError::Attachment(why.into())
}
