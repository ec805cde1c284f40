//! Two feths that are each other's peers, made by requests alone, on any kernel: what the tests of
//! this crate and of `ndrv` run on.

use std::time::Duration;

use xnu_sys::if_fake_var::{IF_FAKE_S_CMD_SET_PEER, if_fake_request};
use xnu_sys::net_if::{IFF_PROMISC, IFF_UP, ifreq};
use xnu_sys::sys_sockio::{SIOCGIFFLAGS, SIOCIFCREATE, SIOCIFDESTROY, SIOCSIFFLAGS, SIOCSIFMTU};
use xnu_sys::{Control, Descriptor, Errno, InterfaceName, Kernel, Request, SyscallError};

/// `v` is the switch's end, `b` would be a bridge's member. Both are destroyed when this is
/// dropped.
pub(crate) struct Pair<K: Kernel> {
    control: Descriptor<K, Control>,
    pub(crate) v: InterfaceName,
    pub(crate) b: InterfaceName,
}

impl<K: Kernel> Pair<K> {
    /// Two new feths, peers, up, MTU 1500. `EPERM`: not root.
    pub(crate) fn create(kernel: &K) -> Result<Self, SyscallError> {
        let control = Descriptor::control(kernel.clone())?;
        let v = create_free(&control)?;
        let b = create_free(&control)?;
        let pair = Self { control, v, b };
        pair.join()?;
        for end in [v, b] {
            pair.set_up(end, true)?;
        }
        pair.settle();
        Ok(pair)
    }

    /// As [`Self::create`], of feths that take an MTU up to `mtu_max`: a feth's bound is what the
    /// sysctl says when it is made.
    #[allow(dead_code, reason = "not every test needs long frames")]
    pub(crate) fn create_for_mtu(kernel: &K, mtu_max: u32) -> Result<Self, SyscallError> {
        let name = c"net.link.fake.max_mtu";
        let failed = |errno| SyscallError { call: "sysctlbyname", errno };
        let mut before = [0; 4];
        let new = mtu_max.to_ne_bytes();
        kernel.sysctlbyname(name, &mut before, Some(&new)).map_err(failed)?;
        let pair = Self::create(kernel);
        kernel.sysctlbyname(name, &mut [0; 4], Some(&before)).map_err(failed)?;
        pair
    }

    pub(crate) fn kernel(&self) -> &K {
        self.control.kernel()
    }

    fn join(&self) -> Result<(), SyscallError> {
        let mut peer = if_fake_request::default().with_peer(Some(self.b));
        self.control.driver_command(self.v, IF_FAKE_S_CMD_SET_PEER, &mut peer)
    }

    pub(crate) fn set_up(&self, end: InterfaceName, is_up: bool) -> Result<(), SyscallError> {
        let mut request = ifreq::new(end);
        self.control.request(SIOCGIFFLAGS, &mut request)?;
        let flags = request.flags() & !IFF_UP | if is_up { IFF_UP } else { 0 };
        self.ask(SIOCSIFFLAGS, request.with_flags(flags))
    }

    #[allow(dead_code, reason = "not every test is about promiscuity")]
    pub(crate) fn is_promiscuous(&self, end: InterfaceName) -> bool {
        let mut request = ifreq::new(end);
        self.control.request(SIOCGIFFLAGS, &mut request).expect("it is there");
        request.flags() & IFF_PROMISC != 0
    }

    pub(crate) fn set_mtu(&self, mtu: u32) {
        for end in [self.v, self.b] {
            self.ask(SIOCSIFMTU, ifreq::new(end).with_mtu(mtu)).expect("an MTU that a feth takes");
        }
    }

    /// Destroys `v`, and returns when its name is free again.
    pub(crate) fn destroy_v(&self) {
        self.begin_to_destroy_v();
        self.settle();
    }

    /// Destroys `v`; what follows in the kernel follows later.
    pub(crate) fn begin_to_destroy_v(&self) {
        self.ask(SIOCIFDESTROY, ifreq::new(self.v)).expect("v is there");
    }

    /// Makes `v` again under its name, and `b`'s peer, up.
    pub(crate) fn make_v_again(&self) {
        for _ in 0..500 {
            match create(&self.control, self.v.as_str()) {
                // The old one is still on its way out.
                Err(error) if error.errno == Errno::EBUSY => self.settle(),
                result => {
                    assert_eq!(result, Ok(self.v));
                    self.join().expect("b has no peer now");
                    self.set_up(self.v, true).expect("v is there");
                    return self.settle();
                }
            }
        }
        panic!("{} was not let go", self.v);
    }

    /// Lets what was begun come to its end: frames arrive, interfaces go.
    pub(crate) fn settle(&self) {
        self.kernel().sleep(Duration::from_millis(20));
    }

    fn ask(
        &self,
        request: Request<ifreq, Control>,
        mut argument: ifreq,
    ) -> Result<(), SyscallError> {
        self.control.request(request, &mut argument)
    }
}

impl<K: Kernel> Drop for Pair<K> {
    fn drop(&mut self) {
        for end in [self.v, self.b] {
            // A test may have destroyed it.
            let _ = self.ask(SIOCIFDESTROY, ifreq::new(end));
        }
    }
}

fn create<K: Kernel>(
    control: &Descriptor<K, Control>,
    name: &str,
) -> Result<InterfaceName, SyscallError> {
    let name = name.parse().expect("a name");
    let mut request = ifreq::new(name);
    control.request(SIOCIFCREATE, &mut request)?;
    Ok(InterfaceName::from_bytes(&request.ifr_name).expect("the kernel's own name"))
}

/// A feth of the first free unit of those that are the tests': low ones are other programs', and a
/// switch may be running with its own.
fn create_free<K: Kernel>(control: &Descriptor<K, Control>) -> Result<InterfaceName, SyscallError> {
    let mut units = 20_600..20_700;
    loop {
        let unit = units.next().expect("a free unit");
        match create(control, &format!("feth{unit}")) {
            Err(error) if matches!(error.errno, Errno::EEXIST | Errno::EBUSY) => {}
            result => return result,
        }
    }
}

/// The Ethernet type of the tests' frames (IEEE 802, local experimental 1): what a host's own stack
/// sends has others.
pub(crate) const ETHERTYPE: u16 = 0x88b5;

/// A frame of `len_bytes` that can be told from those with other numbers.
pub(crate) fn frame(number: u16, len_bytes: usize) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let mut frame = vec![2, 0, 0, 0, 0, 0xbb, 2, 0, 0, 0, 0, 0xaa];
    frame.extend_from_slice(&ETHERTYPE.to_be_bytes());
    frame.extend_from_slice(&[high, low]);
    let fill = (0_u8..=250).cycle().map(|byte| byte.wrapping_add(low));
    frame.extend(fill.take(len_bytes.saturating_sub(frame.len())));
    frame.truncate(len_bytes);
    frame
}
