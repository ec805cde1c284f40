//! Which kinds of interface this kernel makes.

use xnu_sys::Kernel;

use super::{Interfaces, failure};
use crate::{Call, Error};

impl<K: Kernel> Interfaces<K> {
    /// The names of the kinds of interface that this kernel makes on demand (`SIOCIFGCLONERS`):
    /// with `feth` and `bridge` among them a switch can work.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn cloners(&self) -> Result<Vec<String>, Error> {
        let call = Call::OnSystem { what: "list the kinds of interface that can be made" };
        let names = self.control.cloners().map_err(failure::of(&call))?;
        Ok(names.iter().map(ToString::to_string).collect())
    }
}
