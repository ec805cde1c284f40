//! The first words of a Mach-O file, macOS's format of programs (XNU
//! `EXTERNAL_HEADERS/mach-o/loader.h`,
//! `osfmk/mach/machine.h`).

use std::fmt;

/// How many bytes [`program`] wants.
pub(super) const HEADER_LEN: usize = 32;

/// A processor that a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cpu {
    Arm64,
    X86_64,
}

/// The processor that a program is for; `None` for what is no 64-bit Mach-O program, or for
/// another.
pub(super) fn program(header: &[u8; HEADER_LEN]) -> Option<Cpu> {
    let word = |at: usize| {
        let bytes = header.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    if word(0)? != MAGIC_64 || word(12)? != EXECUTE {
        return None;
    }
    match word(4)? {
        ARM64 => Some(Cpu::Arm64),
        X86_64 => Some(Cpu::X86_64),
        _ => None,
    }
}

/// `MH_MAGIC_64`: a 64-bit file, of the byte order that it is read in.
const MAGIC_64: u32 = 0xfeed_facf;
/// `CPU_TYPE_ARM64`.
const ARM64: u32 = 0x0100_000c;
/// `CPU_TYPE_X86_64`.
const X86_64: u32 = 0x0100_0007;
/// `MH_EXECUTE`: a program, not an object or a library.
const EXECUTE: u32 = 2;

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The first bytes of a program.
    pub(in super::super) fn header(cpu: u32, kind: u32) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let words = [MAGIC_64, cpu, 0, kind];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn programs_of_both_macs_and_what_is_none() {
        assert_eq!(program(&header(ARM64, 2)), Some(Cpu::Arm64));
        assert_eq!(program(&header(X86_64, 2)), Some(Cpu::X86_64));
        let object = header(ARM64, 1);
        let other_cpu = header(7, 2);
        let mut elf = header(ARM64, 2);
        elf[..4].copy_from_slice(b"\x7fELF");
        for bytes in [object, other_cpu, elf] {
            assert_eq!(program(&bytes), None);
        }
    }
}
