//! The requests of BPF devices: numbers (contract §1b) and names.

use crate::version::Capabilities;

macro_rules! requests {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(pub(super) const $name: u64 = $number;)*

        /// What a request of a BPF device is called; empty when it is none.
        pub(crate) fn request_name(request: u64) -> &'static str {
            match request {
                $($number => stringify!($name),)*
                _ => "",
            }
        }
    };
}

requests! {
    FIONREAD = 0x4004_667f,
    FIONBIO = 0x8004_667e,
    FIOASYNC = 0x8004_667d,
    SIOCGIFADDR = 0xc020_6921,
    BIOCGBLEN = 0x4004_4266,
    BIOCSBLEN = 0xc004_4266,
    BIOCSETF = 0x8010_4267,
    BIOCFLUSH = 0x2000_4268,
    BIOCPROMISC = 0x2000_4269,
    BIOCGDLT = 0x4004_426a,
    BIOCGETIF = 0x4020_426b,
    BIOCSETIF = 0x8020_426c,
    BIOCSRTIMEOUT = 0x8010_426d,
    BIOCGRTIMEOUT = 0x4010_426e,
    BIOCGSTATS = 0x4008_426f,
    BIOCIMMEDIATE = 0x8004_4270,
    BIOCVERSION = 0x4004_4271,
    BIOCGRSIG = 0x4004_4272,
    BIOCSRSIG = 0x8004_4273,
    BIOCGHDRCMPLT = 0x4004_4274,
    BIOCSHDRCMPLT = 0x8004_4275,
    BIOCGSEESENT = 0x4004_4276,
    BIOCSSEESENT = 0x8004_4277,
    BIOCSDLT = 0x8004_4278,
    BIOCGDLTLIST = 0xc00c_4279,
    BIOCGETTC = 0x4004_427a,
    BIOCSETTC = 0x8004_427b,
    BIOCSEXTHDR = 0x8004_427c,
    BIOCGIFATTACHCOUNT = 0xc020_427d,
    BIOCSETFNR = 0x8010_427e,
    BIOCGWANTPKTAP = 0x4004_427f,
    BIOCSWANTPKTAP = 0xc004_427f,
    BIOCSHEADDROP = 0x8004_4280,
    BIOCGHEADDROP = 0x4004_4280,
    BIOCSTRUNCATE = 0x8004_4281,
    BIOCGETUUID = 0x4010_4282,
    BIOCSETUP = 0x8020_4283,
    BIOCSPKTHDRV2 = 0x8004_4284,
    BIOCGPKTHDRV2 = 0x8004_4285,
    BIOCGHDRCOMP = 0x4004_4286,
    BIOCSHDRCOMP = 0x8004_4287,
    BIOCGHDRCOMPSTATS = 0x4038_4288,
    BIOCGHDRCOMPON = 0x4004_4289,
    BIOCGDIRECTION = 0x4004_428a,
    BIOCSDIRECTION = 0x8004_428b,
    BIOCSWRITEMAX = 0x8004_428c,
    BIOCGWRITEMAX = 0x4004_428d,
    BIOCGBATCHWRITE = 0x4004_428e,
    BIOCSBATCHWRITE = 0x8004_428f,
    BIOCGNOTSTAMP = 0x4004_4290,
    BIOCSNOTSTAMP = 0x8004_4291,
    BIOCGDVRTIN = 0x4004_4292,
    BIOCSDVRTIN = 0x8004_4292,
}

/// Whether a version has the request.
pub(super) const fn is_known(request: u64, can: &Capabilities) -> bool {
    match request {
        BIOCGHDRCOMP | BIOCSHDRCOMP | BIOCGHDRCOMPSTATS | BIOCGHDRCOMPON => {
            can.bpf_header_compression
        }
        BIOCGDIRECTION | BIOCSDIRECTION => can.bpf_direction,
        BIOCSWRITEMAX | BIOCGWRITEMAX | BIOCGBATCHWRITE | BIOCSBATCHWRITE => can.bpf_batch_write,
        BIOCGNOTSTAMP | BIOCSNOTSTAMP => can.bpf_no_timestamp,
        BIOCGDVRTIN | BIOCSDVRTIN => can.bpf_drop_input,
        _ => true,
    }
}
