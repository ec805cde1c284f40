//! Settings of the kernel's that decide what a feth does with frames.

use std::ffi::CStr;
use std::fmt;

use xnu_sys::{Errno, Kernel, SyscallError};

use super::{Interfaces, failure};
use crate::{Call, Error};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, and otherwise than it is expected to.
    Warning,
    /// Guests will get broken frames, or none.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A setting that matters to a switch on feth. Prints as one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The setting's name, as `sysctl` takes it.
    pub setting: &'static str,
    /// Its value now.
    pub value: u32,
    /// How much it matters.
    pub severity: Severity,
    /// What comes of it.
    pub meaning: &'static str,
    /// The value to set it to, if there is a better one.
    pub better: Option<u32>,
}

impl Finding {
    /// What a person can do about it, if anything.
    #[must_use]
    pub fn to_do(&self) -> Option<String> {
        let better = self.better?;
        Some(format!("`sysctl -w {}={better}`, then make the feths anew", self.setting))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is {}: {}", self.severity, self.setting, self.value, self.meaning)
    }
}

impl<K: Kernel> Interfaces<K> {
    /// Looks at the kernel's settings of feth (`net.link.fake.*`, `bsd/net/if_fake.c`), for feths
    /// of this MTU; what matters, worst first. With the kernel's own settings, and an MTU up to
    /// 2048, it is at most a note.
    ///
    /// A feth has the settings of the moment when it was made: look before making one.
    ///
    /// # Errors
    /// [`Error::Xnu`]: what `sysctlbyname` says. That this kernel has not one of the settings is no
    /// error: then it does not do what the setting is about.
    pub fn check_feth_settings(&self, mtu: u32) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for rule in RULES {
            let Some(value) = self.setting(rule.setting)? else { continue };
            findings.extend(rule.judge(value, mtu));
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(findings)
    }

    fn setting(&self, name: &'static CStr) -> Result<Option<u32>, Error> {
        let call = Call::OnSystem { what: "read the settings of feth" };
        let mut value = [0; 4];
        match self.kernel().sysctlbyname(name, &mut value, None) {
            Ok(4) => Ok(Some(u32::from_ne_bytes(value))),
            Ok(_) => {
                Err(Error::Malformed { call, reason: "a setting of feth is no 32-bit number" })
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failure::of(&call)(SyscallError { call: "sysctlbyname", errno })),
        }
    }
}

/// When a setting matters, and why.
struct Rule {
    setting: &'static CStr,
    matters: When,
    severity: Severity,
    meaning: &'static str,
}

enum When {
    /// It is anything but this, which it should be.
    Not(u32),
    /// It is not 0; that is as it should be.
    On,
    /// It is less than the MTU.
    BelowMtu,
}

impl Rule {
    fn judge(&self, value: u32, mtu: u32) -> Option<Finding> {
        let (matters, better) = match self.matters {
            When::Not(good) => (value != good, Some(good)),
            When::On => (value != 0, None),
            When::BelowMtu => (value < mtu, Some(mtu)),
        };
        let setting = self.setting.to_str().unwrap_or_default();
        let &Self { severity, meaning, .. } = self;
        matters.then_some(Finding { setting, value, severity, meaning, better })
    }
}

const RULES: &[Rule] = &[
    Rule {
        setting: c"net.link.fake.bsd_mode",
        matters: When::Not(1),
        severity: Severity::Error,
        meaning: "feths take Skywalk's way, whose limits and drops are others",
    },
    Rule {
        setting: c"net.link.fake.hwcsum",
        matters: When::Not(0),
        severity: Severity::Error,
        meaning: "frames of the host have no checksums, only a mark that they are good",
    },
    Rule {
        setting: c"net.link.fake.tso_support",
        matters: When::Not(0),
        severity: Severity::Error,
        meaning: "the host sends segments that are larger than the MTU",
    },
    Rule {
        setting: c"net.link.fake.lro",
        matters: When::Not(0),
        severity: Severity::Error,
        meaning: "segments are joined to frames that are larger than the MTU",
    },
    Rule {
        setting: c"net.link.fake.fcs",
        matters: When::Not(0),
        severity: Severity::Error,
        meaning: "each frame ends with 4 bytes of checksum that are not its own",
    },
    Rule {
        setting: c"net.link.fake.trailer_length",
        matters: When::Not(0),
        severity: Severity::Error,
        meaning: "each frame ends with that many bytes that are not its own",
    },
    Rule {
        setting: c"net.link.fake.max_mtu",
        matters: When::BelowMtu,
        severity: Severity::Error,
        meaning: "feths cannot have the MTU that is wanted",
    },
    Rule {
        setting: c"net.link.fake.txstart",
        matters: When::Not(1),
        severity: Severity::Warning,
        meaning: "a sender does all work of the way itself, without a queue or a limit",
    },
    Rule {
        setting: c"net.link.fake.vlan_tagging",
        matters: When::On,
        severity: Severity::Note,
        meaning: "a VLAN's tag may travel beside a frame, which is then captured 4 bytes longer",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(setting: &str, value: u32, mtu: u32) -> Option<Finding> {
        let rule = RULES.iter().find(|rule| rule.setting.to_str() == Ok(setting)).unwrap();
        rule.judge(value, mtu)
    }

    #[test]
    fn the_kernels_own_settings_are_a_note_at_most() {
        for (setting, value) in [
            ("net.link.fake.bsd_mode", 1),
            ("net.link.fake.hwcsum", 0),
            ("net.link.fake.tso_support", 0),
            ("net.link.fake.lro", 0),
            ("net.link.fake.fcs", 0),
            ("net.link.fake.trailer_length", 0),
            ("net.link.fake.max_mtu", 2048),
            ("net.link.fake.txstart", 1),
        ] {
            assert_eq!(judged(setting, value, 2048), None, "{setting}");
        }
        let note = judged("net.link.fake.vlan_tagging", 1, 1500).unwrap();
        assert_eq!((note.severity, note.to_do()), (Severity::Note, None));
    }

    #[test]
    fn each_other_setting_is_found_with_its_way_out() {
        for (setting, value, severity, to_do) in [
            ("net.link.fake.bsd_mode", 0, Severity::Error, "net.link.fake.bsd_mode=1"),
            ("net.link.fake.hwcsum", 1, Severity::Error, "net.link.fake.hwcsum=0"),
            ("net.link.fake.tso_support", 1, Severity::Error, "net.link.fake.tso_support=0"),
            ("net.link.fake.lro", 1, Severity::Error, "net.link.fake.lro=0"),
            ("net.link.fake.fcs", 1, Severity::Error, "net.link.fake.fcs=0"),
            ("net.link.fake.trailer_length", 9, Severity::Error, "trailer_length=0"),
            ("net.link.fake.max_mtu", 2048, Severity::Error, "net.link.fake.max_mtu=9000"),
            ("net.link.fake.txstart", 0, Severity::Warning, "net.link.fake.txstart=1"),
        ] {
            let found = judged(setting, value, 9000).unwrap();
            assert_eq!((found.setting, found.value, found.severity), (setting, value, severity));
            assert!(found.to_do().unwrap().contains(to_do), "{:?}", found.to_do());
        }
        assert_eq!(RULES.len(), 9, "each rule stands in one of these tests");
    }

    #[test]
    fn a_finding_is_one_line() {
        let found = judged("net.link.fake.hwcsum", 1, 1500).unwrap();
        assert_eq!(
            found.to_string(),
            "error: net.link.fake.hwcsum is 1: frames of the host have no checksums, \
             only a mark that they are good"
        );
    }
}
