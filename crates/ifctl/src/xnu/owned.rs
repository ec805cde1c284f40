//! An interface that goes when its owner does.

use xnu_sys::{Host, InterfaceName, Kernel};

use super::list::unless_gone;
use super::{FethOptions, FethPair, Interfaces, failure, interface_name};
use crate::{Call, Error, PairOptions};

/// Owns an interface, or a pair, that this program made, and destroys it when dropped.
///
/// It knows its interface by its number and by its description: if that is gone, and another one
/// has its name, nothing is destroyed. (A number alone would not do: XNU gives an interface that
/// has an earlier one's name that one's number too.) A failure while being dropped is logged;
/// [`OwnedInterface::destroy`] returns it.
#[derive(Debug)]
pub struct OwnedInterface<K: Kernel = Host> {
    interfaces: Interfaces<K>,
    /// The interface, and the other end of its pair.
    owned: Vec<Identity>,
    is_owned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    name: InterfaceName,
    text: String,
    index: u32,
    description: Vec<u8>,
}

impl OwnedInterface<Host> {
    /// Makes a pair (see [`Interfaces::create_pair`]) and owns both ends; it is known by `a`.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn pair(a: &str, b: &str, options: PairOptions) -> Result<Self, Error> {
        Self::pair_on(Host, a, b, options)
    }

    /// Makes a bridge (see [`Interfaces::create_bridge`]) and owns it.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn bridge(name: &str) -> Result<Self, Error> {
        Self::bridge_on(Host, name)
    }

    /// Takes over an interface that exists, such as one that an earlier run left behind; of a feth,
    /// its peer too.
    ///
    /// # Errors
    /// Those of [`Interfaces::find`].
    pub fn adopt(name: &str) -> Result<Self, Error> {
        Self::adopt_on(Host, name)
    }
}

impl<K: Kernel> OwnedInterface<K> {
    /// Makes a pair of the first free units (see [`Interfaces::create_feth_pair`]) and owns both
    /// ends; it is known by the bridge's end.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn feth_pair(kernel: K, options: &FethOptions) -> Result<Self, Error> {
        let interfaces = Interfaces::open_on(kernel)?;
        let FethPair { bridge_end, switch_end } = interfaces.create_feth_pair(options)?;
        Self::own(interfaces, &[&bridge_end, &switch_end])
    }

    /// Makes a pair of these names (see [`Interfaces::create_pair`]) and owns both ends; it is
    /// known by `a`.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn pair_on(kernel: K, a: &str, b: &str, options: PairOptions) -> Result<Self, Error> {
        let interfaces = Interfaces::open_on(kernel)?;
        interfaces.create_pair(a, b, options)?;
        Self::own(interfaces, &[a, b])
    }

    /// Makes a feth without a peer (see [`Interfaces::create_feth`]) and owns it.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn feth(kernel: K, options: &FethOptions) -> Result<Self, Error> {
        let interfaces = Interfaces::open_on(kernel)?;
        let name = interfaces.create_feth(options)?;
        Self::own(interfaces, &[&name])
    }

    /// Makes a bridge (see [`Interfaces::create_bridge`]) and owns it.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn bridge_on(kernel: K, name: &str) -> Result<Self, Error> {
        let interfaces = Interfaces::open_on(kernel)?;
        interfaces.create_bridge(name)?;
        Self::own(interfaces, &[name])
    }

    /// Takes over an interface that exists; of a feth, its peer too.
    ///
    /// # Errors
    /// Those of [`Interfaces::find`].
    pub fn adopt_on(kernel: K, name: &str) -> Result<Self, Error> {
        let interfaces = Interfaces::open_on(kernel)?;
        let peer = match interfaces.find(name)?.kind {
            crate::Kind::Feth => interfaces.peer(name)?,
            _ => None,
        };
        let names: Vec<&str> = [name].into_iter().chain(peer.as_deref()).collect();
        let owned = interfaces.identities(&names)?;
        Ok(Self { interfaces, owned, is_owned: true })
    }

    /// The name that it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.owned[0].text
    }

    /// The kernel's number for it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.owned[0].index
    }

    /// The name of the other end, of a pair.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.owned.get(1).map(|peer| peer.text.as_str())
    }

    /// Puts a text on it, by which it is then known too (see [`Interfaces::set_description`]).
    ///
    /// # Errors
    /// Those of [`Interfaces::set_description`].
    pub fn set_description(&mut self, text: &str) -> Result<(), Error> {
        for identity in &mut self.owned {
            self.interfaces.set_description(&identity.text, text)?;
            identity.description = text.as_bytes().to_vec();
        }
        Ok(())
    }

    /// Destroys it now. That it is gone already is no failure.
    ///
    /// # Errors
    /// Those of [`Interfaces::destroy`]; it is not tried again.
    pub fn destroy(mut self) -> Result<(), Error> {
        self.is_owned = false;
        self.destroy_all()
    }

    /// Gives it up: it stays.
    pub fn release(mut self) {
        self.is_owned = false;
    }

    fn own(interfaces: Interfaces<K>, names: &[&str]) -> Result<Self, Error> {
        match interfaces.identities(names) {
            Ok(owned) => Ok(Self { interfaces, owned, is_owned: true }),
            Err(error) => {
                if let Err(left) = interfaces.destroy(names[0]) {
                    tracing::warn!(interface = names[0], error = %left, "made, and left behind");
                }
                Err(error)
            }
        }
    }

    /// All of them, also when one fails; the first failure.
    fn destroy_all(&self) -> Result<(), Error> {
        let done: Vec<_> = self.owned.iter().map(|one| self.interfaces.destroy_same(one)).collect();
        done.into_iter().collect()
    }
}

impl<K: Kernel> Interfaces<K> {
    fn identities(&self, names: &[&str]) -> Result<Vec<Identity>, Error> {
        let indices = self.indices(&Call::List)?;
        let identity = |text: &&str| {
            let call = Call::Find { name: (*text).to_owned() };
            let name = interface_name(&call, text)?;
            let Some(&index) = indices.get(&name) else {
                return Err(failure::not_found(&call, name));
            };
            let read = self.control.description(name);
            let description = read.map_err(failure::of_interface(&call, name))?;
            Ok(Identity { name, text: (*text).to_owned(), index, description })
        };
        names.iter().map(identity).collect()
    }

    /// Destroys an interface, unless it is gone, or is another than it was.
    fn destroy_same(&self, known: &Identity) -> Result<(), Error> {
        let call = Call::Destroy { name: known.text.clone() };
        let index = self.indices(&call)?.get(&known.name).copied();
        let read = unless_gone(self.control.description(known.name));
        let description = read.map_err(failure::of(&call))?;
        let Some(description) = description else { return Ok(()) };
        if index != Some(known.index) || description != known.description {
            tracing::warn!(interface = %known.name, "another's now, or described anew: it stays");
            return Ok(());
        }
        self.destroy_if_there(known.name).map_err(failure::of(&call))
    }
}

impl<K: Kernel> Drop for OwnedInterface<K> {
    fn drop(&mut self) {
        if !self.is_owned {
            return;
        }
        if let Err(error) = self.destroy_all() {
            tracing::warn!(interface = self.name(), %error, "left behind");
        }
    }
}
