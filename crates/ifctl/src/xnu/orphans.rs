//! What a crashed switch left behind.

use xnu_sys::{InterfaceName, Kernel};

use super::list::unless_gone;
use super::units::{BRIDGE, FETH, unit_of};
use super::{Interfaces, failure, interface_name};
use crate::{Call, Error, Owner, Reaped, Tag};

impl<K: Kernel> Interfaces<K> {
    /// Destroys the feths and bridges that dead switches left behind; which they were.
    ///
    /// Interfaces do not go with the process that made them. Only those are touched that carry a
    /// [`Tag`] whose owner is dead; whether an owner is alive is `is_alive`'s word, since which
    /// processes there are is no matter of interfaces. It should answer true where it cannot know.
    /// A pair whose two ends carry the tag goes whole. What has no tag stays, also in the range
    /// that this crate's feths are from: it may be another program's.
    ///
    /// # Errors
    /// [`Error::Xnu`] when an interface cannot be asked or destroyed; what was destroyed before
    /// that stays destroyed.
    pub fn reap_orphans(
        &self,
        mut is_alive: impl FnMut(Owner) -> bool,
    ) -> Result<Vec<Reaped>, Error> {
        let mut reaped = Vec::new();
        for (name, tag) in self.tagged()? {
            if is_alive(tag.owner()) {
                continue;
            }
            let call = Call::OnSystem { what: "destroy what dead switches left behind" };
            let known = interface_name(&call, &name)?;
            self.destroy_if_there(known).map_err(failure::of(&call))?;
            reaped.push(Reaped { name, tag });
        }
        Ok(reaped)
    }

    /// The feths and bridges that carry a [`Tag`], in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::Xnu`] when the interfaces cannot be listed, or one cannot be asked.
    pub fn tagged(&self) -> Result<Vec<(String, Tag)>, Error> {
        let call = Call::OnSystem { what: "find what switches made" };
        let mut tagged = Vec::new();
        for name in self.software_interfaces(&call)? {
            let read = unless_gone(self.control.description(name));
            let Some(text) = read.map_err(failure::of(&call))? else { continue };
            tagged.extend(Tag::in_description(&text).map(|tag| (name.to_string(), tag)));
        }
        Ok(tagged)
    }

    /// The interfaces that this crate could have made, by number.
    fn software_interfaces(&self, call: &Call) -> Result<Vec<InterfaceName>, Error> {
        let made = |name: &str| [FETH, BRIDGE].iter().any(|kind| unit_of(name, kind).is_some());
        let mut found: Vec<(u32, InterfaceName)> = self
            .indices(call)?
            .into_iter()
            .filter(|(name, _)| made(name.as_str()))
            .map(|(name, index)| (index, name))
            .collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }
}
