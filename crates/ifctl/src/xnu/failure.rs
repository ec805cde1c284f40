//! What XNU's errnos mean, by the call that met them.

use xnu_sys::{Errno, InterfaceName, SyscallError};

use crate::{Call, Error};

/// An errno that means nothing more than its words.
pub(super) fn of(call: &Call) -> impl FnOnce(SyscallError) -> Error {
    |source| Error::Xnu { call: call.clone(), source }
}

/// A request about one interface: `ENXIO` is that there is none of that name (`ifioctl`,
/// `bsd/net/if.c`).
pub(super) fn of_interface(call: &Call, name: InterfaceName) -> impl FnOnce(SyscallError) -> Error {
    move |source| match source.errno {
        Errno::ENXIO => not_found(call, name),
        _ => Error::Xnu { call: call.clone(), source },
    }
}

pub(super) fn not_found(call: &Call, name: InterfaceName) -> Error {
    Error::NotFound { call: call.clone(), name: name.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enxio_is_no_such_interface_and_the_rest_stays() {
        let name: InterfaceName = "feth1".parse().unwrap();
        let call = Call::Find { name: "feth1".into() };
        let gone = SyscallError { call: "SIOCGIFFLAGS", errno: Errno::ENXIO };
        let error = of_interface(&call, name)(gone);
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
        let error = of_interface(&call, name)(SyscallError { errno: Errno::EPERM, ..gone });
        assert_eq!(error.errno(), Some(1));
        assert_eq!(error.to_do().as_deref(), Some("run as root"));
        assert_eq!(error.to_string(), "find feth1: SIOCGIFFLAGS: operation not permitted (EPERM)");
        let plain = of(&call)(gone);
        assert_eq!(plain.errno(), Some(6));
    }
}
