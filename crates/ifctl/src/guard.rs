//! An interface that goes when its owner does.

use crate::{Error, Interfaces, PairOptions};

/// Owns an interface that this program made, and destroys it when dropped.
///
/// It knows its interface by number: if that is gone, and another one has its name, then nothing
/// is destroyed. A failure while being dropped is logged; [`OwnedInterface::destroy`] returns it.
#[derive(Debug)]
pub struct OwnedInterface {
    interfaces: Interfaces,
    name: String,
    index: u32,
    is_owned: bool,
}

impl OwnedInterface {
    /// Makes a pair (see [`Interfaces::create_pair`]) and owns both ends; it is known by `a`.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn pair(a: &str, b: &str, options: PairOptions) -> Result<Self, Error> {
        // The handle first: what is made can then be taken away, and in the same namespace.
        let mut interfaces = Interfaces::open()?;
        interfaces.create_pair(a, b, options)?;
        Self::own(interfaces, a)
    }

    /// Makes a bridge (see [`Interfaces::create_bridge`]) and owns it.
    ///
    /// # Errors
    /// Those of making it; then nothing is left.
    pub fn bridge(name: &str) -> Result<Self, Error> {
        let mut interfaces = Interfaces::open()?;
        interfaces.create_bridge(name)?;
        Self::own(interfaces, name)
    }

    /// Takes over an interface that exists, such as one that an earlier run left behind.
    ///
    /// # Errors
    /// Those of [`Interfaces::find`].
    pub fn adopt(name: &str) -> Result<Self, Error> {
        let mut interfaces = Interfaces::open()?;
        let index = interfaces.find(name)?.index;
        Ok(Self { interfaces, name: name.to_owned(), index, is_owned: true })
    }

    /// The name that it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number for it.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Destroys it now. That it is gone already is no failure.
    ///
    /// # Errors
    /// Those of [`Interfaces::destroy`]; it is not tried again.
    pub fn destroy(mut self) -> Result<(), Error> {
        self.is_owned = false;
        self.interfaces.destroy_index(&self.name, self.index)
    }

    /// Gives it up: it stays.
    pub fn release(mut self) {
        self.is_owned = false;
    }

    fn own(mut interfaces: Interfaces, name: &str) -> Result<Self, Error> {
        match interfaces.find(name) {
            Ok(made) => {
                Ok(Self { interfaces, name: name.to_owned(), index: made.index, is_owned: true })
            }
            Err(error) => {
                if let Err(left) = interfaces.destroy(name) {
                    tracing::warn!(interface = name, error = %left, "made, and left behind");
                }
                Err(error)
            }
        }
    }
}

impl Drop for OwnedInterface {
    fn drop(&mut self) {
        if !self.is_owned {
            return;
        }
        if let Err(error) = self.interfaces.destroy_index(&self.name, self.index) {
            tracing::warn!(interface = self.name, %error, "left behind");
        }
    }
}
