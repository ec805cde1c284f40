//! Numbers of feth interfaces.

use std::fmt;

use xnu_sys::InterfaceName;

/// What feth's and bridge's names begin with (`bsd/net/if_fake.c`, `if_bridge.c`).
pub(super) const FETH: &str = "feth";
pub(super) const BRIDGE: &str = "bridge";

/// Largest unit of a cloned interface (`IF_MAXUNIT`, `bsd/net/if.h`).
pub(super) const UNIT_MAX: u32 = 32767;

/// A range of feth units, from which free ones are taken.
///
/// XNU never frees an interface: it keeps it to be used again *under the same name*
/// (`dlil_if_acquire`, `bsd/net/dlil.c`). Numbers that only ever grew would leak kernel memory; so
/// the range is small, and used again from its beginning. The default, 20000 to 20511, is enough
/// for the 256 BPF devices that a Mac has, and clear of the low units that other programs take
/// (ZeroTier's are 0 to 9999) and of those that `en` and `bridge` have, with which NDRV can confuse
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FethUnits {
    first: u32,
    last: u32,
}

impl FethUnits {
    /// `count` units from `first` on; none if that is no range within 0 to 32767.
    #[must_use]
    pub fn new(first: u32, count: u32) -> Option<Self> {
        let last = first.checked_add(count.checked_sub(1)?)?;
        (last <= UNIT_MAX).then_some(Self { first, last })
    }

    /// The lowest unit.
    #[must_use]
    pub fn first(self) -> u32 {
        self.first
    }

    /// The highest unit.
    #[must_use]
    pub fn last(self) -> u32 {
        self.last
    }

    /// Whether `name` is a feth's of this range.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        unit_of(name, FETH).is_some_and(|unit| (self.first..=self.last).contains(&unit))
    }

    /// The names, in order.
    pub(super) fn names(self) -> impl Iterator<Item = InterfaceName> {
        // "feth" and at most five digits are a name.
        (self.first..=self.last).filter_map(|unit| format!("{FETH}{unit}").parse().ok())
    }
}

impl Default for FethUnits {
    fn default() -> Self {
        Self { first: 20000, last: 20511 }
    }
}

impl fmt::Display for FethUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FETH}{} to {FETH}{}", self.first, self.last)
    }
}

/// The number in `name`, if that is `prefix` and a number as the kernel writes it.
pub(super) fn unit_of(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
    let unit = digits.parse().ok().filter(|unit| *unit <= UNIT_MAX)?;
    is_plain.then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_plain_number_behind_the_prefix() {
        assert_eq!(unit_of("feth0", FETH), Some(0));
        assert_eq!(unit_of("feth20000", FETH), Some(20000));
        assert_eq!(unit_of("bridge100", BRIDGE), Some(100));
        assert_eq!(unit_of("feth32767", FETH), Some(32767));
        for none in ["feth", "feth01", "feth+1", "feth-1", "feth1a", "feth32768", "fethx", "en1"] {
            assert_eq!(unit_of(none, FETH), None, "{none}");
        }
    }

    #[test]
    fn a_range_is_within_the_kernels() {
        assert_eq!(FethUnits::new(5, 0), None);
        assert_eq!(FethUnits::new(32760, 9), None);
        assert_eq!(FethUnits::new(u32::MAX, 2), None);
        let three = FethUnits::new(32765, 3).unwrap();
        assert_eq!((three.first(), three.last()), (32765, 32767));
        let names: Vec<String> = three.names().map(|name| name.to_string()).collect();
        assert_eq!(names, ["feth32765", "feth32766", "feth32767"]);
        assert!(three.contains("feth32766"));
        assert!(!three.contains("feth32764"));
        assert!(!three.contains("bridge32766"));
        assert_eq!(three.to_string(), "feth32765 to feth32767");
    }
}
