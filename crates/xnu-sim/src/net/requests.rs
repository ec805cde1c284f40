//! The requests' numbers and names, written down a second time (contract §1; `bsd/sys/sockio.h`,
//! `bsd/sys/sockio_private.h`, `bsd/net/bpf.h`).

use crate::copyio::Raw;

macro_rules! requests {
    ($($name:ident = $number:literal),* $(,)?) => {
        $(pub(super) const $name: u64 = $number;)*
        const NAMES: &[(u64, &str)] = &[$(($number, stringify!($name))),*];
    };
}

requests! {
    SIOCSIFFLAGS = 0x8020_6910, SIOCGIFFLAGS = 0xc020_6911,
    SIOCGIFCONF = 0xc00c_6924, SIOCADDMULTI = 0x8020_6931, SIOCDELMULTI = 0x8020_6932,
    SIOCGIFMTU = 0xc020_6933, SIOCSIFMTU = 0x8020_6934, SIOCSIFMEDIA = 0xc020_6937,
    SIOCGIFMEDIA = 0xc02c_6938, SIOCSIFLLADDR = 0x8020_693c,
    SIOCGIFDEVMTU = 0xc020_6944, SIOCGIFXMEDIA = 0xc02c_6948, SIOCSIFCAP = 0x8020_695a,
    SIOCGIFCAP = 0xc020_695b, SIOCIFCREATE = 0xc020_6978, SIOCIFDESTROY = 0x8020_6979,
    SIOCIFCREATE2 = 0xc020_697a, SIOCSDRVSPEC = 0x8028_697b, SIOCGDRVSPEC = 0xc028_697b,
    SIOCIFGCLONERS = 0xc010_6981, SIOCGIFEFLAGS = 0xc020_698e, SIOCSIFDESC = 0xc094_698f,
    SIOCGIFDESC = 0xc094_6990, SIOCGIFLLADDR = 0xc020_699e, SIOCGIFTYPE = 0xc020_699f,
    SIOCGIFFUNCTIONALTYPE = 0xc020_69ad, SIOCGIFXFLAGS = 0xc020_69ce,
    SIOCSIFDISABLEINPUT = 0x8020_69e1,
}

/// Requests that other parts answer, or that are not taken; named here for faults and traces.
const OTHER_NAMES: &[(u64, &str)] = &[
    (0x8020_690c, "SIOCSIFADDR"),
    (0x8020_6919, "SIOCDIFADDR"),
    (0x8040_691a, "SIOCAIFADDR"),
    (0xc020_6921, "SIOCGIFADDR"),
    (0xc331_693d, "SIOCGIFSTATUS"),
    (0x4004_6501, "SIOCGKEVID"),
    (0x800c_6502, "SIOCSKEVFILT"),
    (0x400c_6503, "SIOCGKEVFILT"),
    (0xc0cc_6504, "SIOCGKEVVENDOR"),
    (0x4004_667f, "FIONREAD"),
    (0x8004_667e, "FIONBIO"),
    (0x4004_4266, "BIOCGBLEN"),
    (0xc004_4266, "BIOCSBLEN"),
    (0x8010_4267, "BIOCSETF"),
    (0x2000_4268, "BIOCFLUSH"),
    (0x2000_4269, "BIOCPROMISC"),
    (0x4004_426a, "BIOCGDLT"),
    (0x4020_426b, "BIOCGETIF"),
    (0x8020_426c, "BIOCSETIF"),
    (0x8010_426d, "BIOCSRTIMEOUT"),
    (0x4010_426e, "BIOCGRTIMEOUT"),
    (0x4008_426f, "BIOCGSTATS"),
    (0x8004_4270, "BIOCIMMEDIATE"),
    (0x4004_4271, "BIOCVERSION"),
    (0x4004_4272, "BIOCGRSIG"),
    (0x8004_4273, "BIOCSRSIG"),
    (0x4004_4274, "BIOCGHDRCMPLT"),
    (0x8004_4275, "BIOCSHDRCMPLT"),
    (0x4004_4276, "BIOCGSEESENT"),
    (0x8004_4277, "BIOCSSEESENT"),
    (0x8004_4278, "BIOCSDLT"),
    (0xc00c_4279, "BIOCGDLTLIST"),
    (0x4004_427a, "BIOCGETTC"),
    (0x8004_427b, "BIOCSETTC"),
    (0x8004_427c, "BIOCSEXTHDR"),
    (0xc020_427d, "BIOCGIFATTACHCOUNT"),
    (0x8010_427e, "BIOCSETFNR"),
    (0x4004_427f, "BIOCGWANTPKTAP"),
    (0xc004_427f, "BIOCSWANTPKTAP"),
    (0x8004_4280, "BIOCSHEADDROP"),
    (0x4004_4280, "BIOCGHEADDROP"),
    (0x8004_4281, "BIOCSTRUNCATE"),
    (0x4010_4282, "BIOCGETUUID"),
    (0x8020_4283, "BIOCSETUP"),
    (0x8004_4284, "BIOCSPKTHDRV2"),
    (0x8004_4285, "BIOCGPKTHDRV2"),
    (0x4004_4286, "BIOCGHDRCOMP"),
    (0x8004_4287, "BIOCSHDRCOMP"),
    (0x4038_4288, "BIOCGHDRCOMPSTATS"),
    (0x4004_4289, "BIOCGHDRCOMPON"),
    (0x4004_428a, "BIOCGDIRECTION"),
    (0x8004_428b, "BIOCSDIRECTION"),
    (0x8004_428c, "BIOCSWRITEMAX"),
    (0x4004_428d, "BIOCGWRITEMAX"),
    (0x4004_428e, "BIOCGBATCHWRITE"),
    (0x8004_428f, "BIOCSBATCHWRITE"),
    (0x4004_4290, "BIOCGNOTSTAMP"),
    (0x8004_4291, "BIOCSNOTSTAMP"),
    (0x4004_4292, "BIOCGDVRTIN"),
    (0x8004_4292, "BIOCSDVRTIN"),
];

/// A bridge's commands in the order of their numbers (contract §3).
const BRIDGE_COMMANDS: [&str; 38] = [
    "BRDGADD",
    "BRDGDEL",
    "BRDGGIFFLGS",
    "BRDGSIFFLGS",
    "BRDGSCACHE",
    "BRDGGCACHE",
    "BRDGGIFS",
    "BRDGRTS",
    "BRDGSADDR",
    "BRDGSTO",
    "BRDGGTO",
    "BRDGDADDR",
    "BRDGFLUSH",
    "BRDGGPRI",
    "BRDGSPRI",
    "BRDGGHT",
    "BRDGSHT",
    "BRDGGFD",
    "BRDGSFD",
    "BRDGGMA",
    "BRDGSMA",
    "BRDGSIFPRIO",
    "BRDGSIFCOST",
    "BRDGGFILT",
    "BRDGSFILT",
    "BRDGPURGE",
    "BRDGADDS",
    "BRDGDELS",
    "BRDGPARAM",
    "BRDGGRTE",
    "BRDGGIFSSTP",
    "BRDGSPROTO",
    "BRDGSTXHC",
    "BRDGSIFAMAX",
    "BRDGGHOSTFILTER",
    "BRDGSHOSTFILTER",
    "BRDGGMACNATLIST",
    "BRDGGIFSTATS",
];

/// What `SIOCSDRVSPEC` and `SIOCGDRVSPEC` carry: an `ifdrv` (contract §2).
#[derive(Clone, Copy, Debug)]
pub(super) struct DriverSpec {
    /// It came by `SIOCSDRVSPEC`.
    pub(super) sets: bool,
    pub(super) command: u64,
    pub(super) len: u64,
    pub(super) data: u64,
}

impl DriverSpec {
    pub(super) fn decode(request: u64, argument: &[u8]) -> Self {
        Self {
            sets: request == SIOCSDRVSPEC,
            command: argument.u64_at(16),
            len: argument.u64_at(24),
            data: argument.u64_at(32),
        }
    }
}

/// What a request is called in fault plans: its name, or that of the driver command in it.
pub(crate) fn request_name(request: u64, argument: &[u8]) -> &'static str {
    if matches!(request, SIOCSDRVSPEC | SIOCGDRVSPEC)
        && let Some(name) = command_name(request, argument)
    {
        return name;
    }
    let known = NAMES.iter().chain(OTHER_NAMES).find(|(number, _)| *number == request);
    known.map_or("", |(_, name)| name)
}

fn command_name(request: u64, argument: &[u8]) -> Option<&'static str> {
    let spec = DriverSpec::decode(request, argument);
    let interface = argument.text_at(0, 16);
    if interface.starts_with("bridge") {
        return BRIDGE_COMMANDS.get(usize::try_from(spec.command).ok()?).copied();
    }
    match (spec.sets, spec.command) {
        (true, 1) => Some("IF_FAKE_S_CMD_SET_PEER"),
        (true, 2) => Some("IF_FAKE_S_CMD_SET_MEDIA"),
        (true, 3) => Some("IF_FAKE_S_CMD_SET_DEQUEUE_STALL"),
        (false, 1) => Some("IF_FAKE_G_CMD_GET_PEER"),
        _ => None,
    }
}
