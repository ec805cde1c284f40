//! Descriptions: a text that an interface carries.

use xnu_sys::Kernel;
use xnu_sys::net_if_private::IF_DESCSIZE;

use super::{Interfaces, failure, interface_name};
use crate::{Call, Error, Tag};

impl<K: Kernel> Interfaces<K> {
    /// The text that was put on an interface, if one was (`SIOCGIFDESC`). Bytes that are no UTF-8
    /// are shown as U+FFFD.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn description(&self, name: &str) -> Result<Option<String>, Error> {
        let call = Call::OnInterface { what: "read the description of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        let read = self.control.description(name);
        let bytes = read.map_err(failure::of_interface(&call, name))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Puts a text on an interface (`SIOCSIFDESC`); an empty one takes it off.
    ///
    /// # Errors
    /// [`Error::TextTooLong`].
    pub fn set_description(&self, name: &str, text: &str) -> Result<(), Error> {
        let call = Call::OnInterface { what: "set the description of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        if text.len() > IF_DESCSIZE {
            return Err(Error::TextTooLong { call, len: text.len(), max: IF_DESCSIZE });
        }
        let set = self.control.set_description(name, text.as_bytes());
        set.map_err(failure::of_interface(&call, name))
    }

    /// Whose an interface is, if it says so.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn tag(&self, name: &str) -> Result<Option<Tag>, Error> {
        let call = Call::OnInterface { what: "read the owner of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        let read = self.control.description(name);
        Ok(Tag::in_description(&read.map_err(failure::of_interface(&call, name))?))
    }
}
