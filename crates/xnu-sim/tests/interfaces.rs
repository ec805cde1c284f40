//! Interfaces and the requests about them, as `bsd/net/if.c` and `bsd/net/dlil.c` have them:
//! contract §1a, §4, §9, M12.

mod support;

use support::frames::{GUEST, frame};
use support::taps::{Ndrv, Tap};
use support::*;
use xnu_sim::{EthernetOptions, Fault, FaultAction, MacOs};
use xnu_sys::{Errno, Kernel};

const CARD: [u8; 6] = [0x3c, 0x22, 0xfb, 0, 0, 1];

const SIOCSIFADDR: u64 = 0x8020_690c;
const SIOCDIFADDR: u64 = 0x8020_6919;
const SIOCAIFADDR: u64 = 0x8040_691a;
const SIOCGIFADDR: u64 = 0xc020_6921;
const SIOCGIFCONF: u64 = 0xc00c_6924;
const SIOCADDMULTI: u64 = 0x8020_6931;
const SIOCDELMULTI: u64 = 0x8020_6932;
const SIOCSIFMEDIA: u64 = 0xc020_6937;
const SIOCGIFMEDIA: u64 = 0xc02c_6938;
const SIOCSIFLLADDR: u64 = 0x8020_693c;
const SIOCGIFSTATUS: u64 = 0xc331_693d;
const SIOCGIFDEVMTU: u64 = 0xc020_6944;
const SIOCGIFXMEDIA: u64 = 0xc02c_6948;
const SIOCSIFCAP: u64 = 0x8020_695a;
const SIOCGIFCAP: u64 = 0xc020_695b;
const SIOCIFCREATE2: u64 = 0xc020_697a;
const SIOCIFGCLONERS: u64 = 0xc010_6981;
const SIOCGIFEFLAGS: u64 = 0xc020_698e;
const SIOCSIFDESC: u64 = 0xc094_698f;
const SIOCGIFDESC: u64 = 0xc094_6990;
const SIOCGIFTYPE: u64 = 0xc020_699f;
const SIOCGIFFUNCTIONALTYPE: u64 = 0xc020_69ad;
const SIOCGIFXFLAGS: u64 = 0xc020_69ce;
const SIOCSIFDISABLEINPUT: u64 = 0x8020_69e1;
const BIOCSDVRTIN: u64 = 0x8004_4292;

/// §9: a machine has its loopback, which cannot be destroyed.
#[test]
fn lo0_is_there_from_the_start() {
    let (kernel, control) = machine(MacOs::V15);
    assert_eq!(kernel.interfaces(), ["lo0"]);
    assert_eq!(control.flags("lo0"), Ok(0x8049));
    assert_eq!(control.mtu("lo0"), Ok(16_384));
    assert_eq!(control.destroy("lo0"), Err(Errno::EINVAL));
    assert_eq!(control.set_mtu("lo0", 9000), Ok(()));
    assert_eq!(control.request(SIOCGIFLLADDR, "lo0", &[]), Err(Errno::EADDRNOTAVAIL));
}

/// §4 create errors: what is asked of whom, in XNU's order.
#[test]
fn creating_fails_as_xnu_says() {
    let (_, control) = machine(MacOs::V15);
    let user = control.of_user();
    assert_eq!(user.create("nonsense"), Err(Errno::EPERM), "privilege comes first");
    for name in ["nonsense", "feth1x", "fethx", "", "utun3"] {
        assert_eq!(control.create(name), Err(Errno::EINVAL), "{name:?}");
    }
    assert_eq!(control.create("feth32768"), Err(Errno::ENXIO));
    assert_eq!(control.create("feth32767"), Ok("feth32767".to_owned()));
    assert_eq!(control.create("feth32767"), Err(Errno::EEXIST));
    assert_eq!(control.create("feth032767"), Err(Errno::EEXIST), "a unit is a number");
    let created = control.request(SIOCIFCREATE2, "bridge7", &[0xff; 16]).unwrap();
    assert_eq!(name_at(&created, 0), "bridge7", "the parameters count for nothing");
}

/// §4 naming: without digits the kernel takes the lowest unit that is free, and writes the name
/// back.
#[test]
fn a_name_without_digits_gets_the_lowest_free_unit() {
    let (_, control) = machine(MacOs::V15);
    assert_eq!(control.create("feth"), Ok("feth0".to_owned()));
    control.create("feth1").unwrap();
    assert_eq!(control.create("feth"), Ok("feth2".to_owned()));
    assert_eq!(control.create("bridge"), Ok("bridge0".to_owned()));
}

/// §4 create errors, destroy; M12: the name is gone when the request returns, and taken until the
/// interface has gone; a search for a free unit passes it by.
#[test]
fn a_name_is_busy_until_its_interface_has_gone() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.destroy("feth0").unwrap();
    assert_eq!(control.flags("feth0"), Err(Errno::ENXIO));
    assert_eq!(control.destroy("feth0"), Err(Errno::ENXIO));
    assert_eq!(control.create("feth0"), Err(Errno::EBUSY));
    assert_eq!(control.create("feth"), Ok("feth1".to_owned()));
    settle(&kernel);
    assert_eq!(control.create("feth"), Ok("feth0".to_owned()));
}

/// §1a: who is not root destroys nothing; what was not created, or is none, cannot be destroyed.
#[test]
fn destroying_fails_as_xnu_says() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.create("feth0").unwrap();
    assert_eq!(control.of_user().destroy("feth0"), Err(Errno::EPERM));
    assert_eq!(control.destroy("en0"), Err(Errno::EINVAL), "no cloner of that name");
    assert_eq!(control.destroy("feth"), Err(Errno::ENXIO));
    assert_eq!(control.destroy("feth9"), Err(Errno::ENXIO));
}

/// §4 recycling: an object is used again for its name: it has its index still, and nothing else.
#[test]
fn an_interface_created_again_keeps_its_index_and_nothing_else() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.create("feth1").unwrap();
    control.up("feth0");
    control.set_mtu("feth0", 1400).unwrap();
    describe(&control, "feth0", b"mine").unwrap();
    let index = index_of(&kernel, "feth0");
    control.destroy("feth0").unwrap();
    settle(&kernel);
    control.create("feth0").unwrap();
    assert_eq!(index_of(&kernel, "feth0"), index);
    assert_eq!(control.flags("feth0"), Ok(0x8802));
    assert_eq!(control.mtu("feth0"), Ok(1500));
    assert_eq!(description(&control, "feth0"), b"");
    assert_ne!(index_of(&kernel, "feth1"), index);
}

/// The index that `getifaddrs` has of an interface.
fn index_of(kernel: &xnu_sim::SimKernel, name: &str) -> u16 {
    let rows = kernel.getifaddrs().unwrap();
    let row = rows.iter().find(|row| row.interface.as_str() == name).unwrap();
    u16_at(&row.address, 2)
}

/// §1a: any other name is `ENXIO`, whatever is asked, of root and of others.
#[test]
fn what_is_asked_of_nobody_is_enxio() {
    let (_, control) = machine(MacOs::V15);
    for request in [SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU, SIOCGIFDEVMTU, SIOCSIFADDR] {
        assert_eq!(control.request(request, "feth5", &[]), Err(Errno::ENXIO));
        assert_eq!(control.of_user().request(request, "feth5", &[]), Err(Errno::ENXIO));
    }
    let mut spec = [0; 40];
    assert_eq!(control.ioctl(SIOCGDRVSPEC, &mut spec), Err(Errno::ENXIO));
}

/// §1a `SIOCSIFFLAGS`: `IFF_CANTCHANGE` stays; `RUNNING` follows `UP` on feth, bridge and card.
#[test]
fn flags_that_cannot_change_stay() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.create("feth0").unwrap();
    control.create("bridge0").unwrap();
    assert_eq!(control.flags("feth0"), Ok(0x8802));
    assert_eq!(control.flags("bridge0"), Ok(0x8822));
    for name in ["feth0", "bridge0", "en0"] {
        let own = control.flags(name).unwrap() & !(UP | RUNNING | 0x20);
        control.set_flags(name, UP).unwrap();
        assert_eq!(control.flags(name), Ok(own | UP | RUNNING), "{name}");
        control.set_flags(name, 0x4 | RUNNING).unwrap();
        assert_eq!(control.flags(name), Ok(own | 0x4), "{name}: RUNNING is the driver's");
    }
    assert_eq!(control.of_user().set_flags("feth0", UP), Err(Errno::EPERM));
}

/// §1a: `PROMISC` is not among those that cannot change: flags set without reading them take it
/// from a member that the bridge made promiscuous.
#[test]
fn promiscuous_mode_is_lost_to_flags_set_blindly() {
    let (kernel, control) = machine(MacOs::V15);
    let wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    let tap = Tap::on(&kernel, "en0");
    let foreign = frame(GUEST, CARD, "for a guest");
    wire.send(&foreign);
    assert!(tap.frames().is_empty(), "a card takes what is for it");
    control.bridge("bridge0", &["en0"]);
    assert_eq!(control.flags("en0").unwrap() & PROMISCUOUS, PROMISCUOUS);
    wire.send(&foreign);
    assert_eq!(tap.frames().len(), 1);
    control.set_flags("en0", UP).unwrap();
    assert_eq!(control.flags("en0").unwrap() & PROMISCUOUS, 0);
    wire.send(&foreign);
    assert!(tap.frames().is_empty());
    control.delete_member("bridge0", "en0").unwrap();
    assert_eq!(control.flags("en0").unwrap() & PROMISCUOUS, 0);
}

/// §1a `SIOCSIFMTU`: privilege, then 72 to 65,535, then what the driver takes.
#[test]
fn an_mtu_is_bounded_by_all_and_by_its_driver() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.create("feth0").unwrap();
    assert_eq!(control.of_user().set_mtu("feth0", 1), Err(Errno::EPERM));
    for (mtu, result) in [
        (71, Err(Errno::EINVAL)),
        (72, Ok(())),
        (2048, Ok(())),
        (2049, Err(Errno::EINVAL)),
        (65_536, Err(Errno::EINVAL)),
    ] {
        assert_eq!(control.set_mtu("feth0", mtu), result, "{mtu}");
    }
    assert_eq!(control.mtu("feth0"), Ok(2048));
    assert_eq!(control.set_mtu("en0", 9000), Ok(()));
    assert_eq!(control.set_mtu("en0", 9001), Err(Errno::EINVAL));
}

/// §1a `SIOCGIFDEVMTU`: current, least, greatest; a bridge does not tell.
#[test]
fn a_device_tells_its_mtu_bounds() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.create("bridge0").unwrap();
    let told = control.of_user().request(SIOCGIFDEVMTU, "feth0", &[]).unwrap();
    assert_eq!([16, 20, 24].map(|at| u32_at(&told, at)), [1500, 72, 2048]);
    assert_eq!(control.request(SIOCGIFDEVMTU, "bridge0", &[]), Err(Errno::EOPNOTSUPP));
}

/// §1a `SIOCSIFLLADDR`, `SIOCGIFLLADDR`: `sa_len` is 6, not that of a `sockaddr`; 0 takes the
/// address away.
#[test]
fn a_mac_has_six_bytes_in_sa_len() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let with_len = |len: u8| {
        let mut address = [0; 16];
        put(&mut address, 0, &[len, 18]);
        put(&mut address, 2, &GUEST);
        control.request(SIOCSIFLLADDR, "feth0", &address).map(drop)
    };
    assert_eq!(with_len(16), Err(Errno::EINVAL));
    assert_eq!(with_len(6), Ok(()));
    let told = control.request(SIOCGIFLLADDR, "feth0", &[]).unwrap();
    assert_eq!(told[16..24], [&[6, 18][..], &GUEST].concat());
    assert_eq!(with_len(0), Ok(()));
    assert_eq!(control.request(SIOCGIFLLADDR, "feth0", &[]), Err(Errno::EADDRNOTAVAIL));
    let user = control.of_user();
    assert_eq!(user.request(SIOCSIFLLADDR, "feth0", &[6]), Err(Errno::EPERM));
}

/// §9, "seed vs kernel": the type of a bridge is 0xd1, though its link says Ethernet.
#[test]
fn types_are_told_apart() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    let wifi = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
    let _air = kernel.add_ethernet("en1", [2, 0, 0, 0, 0, 7], wifi);
    control.create("feth0").unwrap();
    control.create("bridge0").unwrap();
    for (name, kind, family, subfamily, functional) in [
        ("lo0", 24, 1, 0, 1),
        ("en0", 6, 2, 0, 2),
        ("en1", 6, 2, 3, 3),
        ("feth0", 6, 2, 0, 2),
        ("bridge0", 0xd1, 2, 0, 2),
    ] {
        let told = control.request(SIOCGIFTYPE, name, &[]).unwrap();
        let types = [16, 20, 24].map(|at| u32_at(&told, at));
        assert_eq!(types, [kind, family, subfamily], "{name}");
        let told = control.request(SIOCGIFFUNCTIONALTYPE, name, &[]).unwrap();
        assert_eq!(u32_at(&told, 16), functional, "{name}");
    }
    let rows = kernel.getifaddrs().unwrap();
    let link = rows.iter().find(|row| row.interface.as_str() == "bridge0").unwrap();
    assert_eq!(link.address[4], 6, "sdl_type");
}

fn describe(control: &Control, name: &str, text: &[u8]) -> Result<()> {
    let mut request = [0; 148];
    put(&mut request, 0, name.as_bytes());
    put(&mut request, 16, &u32::try_from(text.len()).unwrap().to_le_bytes());
    let room = text.len().min(128);
    put(&mut request, 20, &text[..room]);
    control.ioctl(SIOCSIFDESC, &mut request)
}

fn description(control: &Control, name: &str) -> Vec<u8> {
    let mut request = [0xaa; 148];
    put(&mut request, 0, &[0; 16]);
    put(&mut request, 0, name.as_bytes());
    control.ioctl(SIOCGIFDESC, &mut request).unwrap();
    let len = u32_at(&request, 16) as usize;
    assert!(request[20 + len..].iter().all(|byte| *byte == 0), "the rest is zero");
    request[20..20 + len].to_vec()
}

/// §1a `SIOCSIFDESC`: up to 128 bytes, root's to set, everybody's to read.
#[test]
fn a_description_is_kept_as_long_as_its_interface() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    assert_eq!(description(&control, "feth0"), b"");
    assert_eq!(describe(&control.of_user(), "feth0", b"x"), Err(Errno::EPERM));
    assert_eq!(describe(&control, "feth0", &[7; 129]), Err(Errno::EINVAL));
    describe(&control, "feth0", &[7; 128]).unwrap();
    assert_eq!(description(&control.of_user(), "feth0"), [7; 128]);
    describe(&control, "feth0", b"mine").unwrap();
    assert_eq!(description(&control, "feth0"), b"mine");
    describe(&control, "feth0", b"").unwrap();
    assert_eq!(description(&control, "feth0"), b"");
}

/// §1a, §4 `SIOCSIFCAP`: what is not supported is `EINVAL`; a feth without LRO takes nothing.
#[test]
fn capabilities_are_those_of_creation() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let told = control.request(SIOCGIFCAP, "feth0", &[]).unwrap();
    assert_eq!((u32_at(&told, 16), u32_at(&told, 20)), (0x8, 0x8), "VLAN tagging since 15");
    let set =
        |name: &str, bits: u32| control.request(SIOCSIFCAP, name, &bits.to_le_bytes()).map(drop);
    assert_eq!(set("feth0", 0x80), Err(Errno::EINVAL));
    assert_eq!(set("feth0", 0x8), Err(Errno::EOPNOTSUPP));
    kernel.sysctlbyname(c"net.link.fake.lro", &mut [], Some(&1_u32.to_le_bytes())).unwrap();
    control.create("feth1").unwrap();
    assert_eq!(set("feth1", 0), Ok(()));
    let told = control.request(SIOCGIFCAP, "feth1", &[]).unwrap();
    assert_eq!((u32_at(&told, 16), u32_at(&told, 20)), (0x88, 0x8));
    assert_eq!(set("feth1", 0x80), Ok(()));
    let user = control.of_user();
    assert_eq!(user.request(SIOCSIFCAP, "feth1", &[]), Err(Errno::EPERM));
}

/// §4, `feth_ifnet_set_attrs`: what a feth can do follows from the sysctls, and from the version.
#[test]
fn capabilities_follow_from_sysctls() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        let capabilities = |name: &str| {
            control.create(name).unwrap();
            u32_at(&control.request(SIOCGIFCAP, name, &[]).unwrap(), 16)
        };
        let set = |name: &std::ffi::CStr, value: u32| {
            kernel.sysctlbyname(name, &mut [], Some(&value.to_le_bytes())).is_ok()
        };
        let is_new = version == MacOs::V15;
        assert_eq!(capabilities("feth0"), if is_new { 0x8 } else { 0 }, "{version:?}");
        set(c"net.link.fake.vlan_tagging", 0);
        set(c"net.link.fake.hwcsum", 1);
        let vlans = if is_new { 0x4 } else { 0 };
        assert_eq!(capabilities("feth1"), 0x3 | vlans, "{version:?}");
        let tso = if set(c"net.link.fake.tso_support", 1) { 0x60 } else { 0 };
        assert_eq!(capabilities("feth2"), 0x3 | tso | vlans, "{version:?}");
        assert_eq!(tso != 0, version >= MacOs::V13);
    }
}

/// §1a: groups are joined and left by their link addresses; feth takes them and does nothing.
#[test]
fn groups_are_joined_by_their_addresses() {
    const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0, 0, 0xfb];
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let with = |request: u64, family: u8, mac: [u8; 6]| {
        let mut address = [0; 16];
        let mac_at = if family == 18 { 8 } else { 2 };
        put(&mut address, 0, &[16, family]);
        put(&mut address, mac_at, &mac);
        control.request(request, "feth0", &address).map(drop)
    };
    assert_eq!(with(SIOCADDMULTI, 2, GROUP), Err(Errno::EINVAL));
    assert_eq!(with(SIOCADDMULTI, 0, GUEST), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(with(SIOCADDMULTI, 0, GROUP), Ok(()));
    assert_eq!(with(SIOCADDMULTI, 18, GROUP), Ok(()), "the same once more");
    assert_eq!(with(SIOCDELMULTI, 0, GROUP), Ok(()));
    assert_eq!(with(SIOCDELMULTI, 0, GROUP), Ok(()));
    assert_eq!(with(SIOCDELMULTI, 0, GROUP), Err(Errno::ENOENT));
    let user = control.of_user();
    assert_eq!(user.request(SIOCADDMULTI, "feth0", &[]), Err(Errno::EPERM));
}

/// A media request: room for `count` words. What comes back, and the words.
fn media(control: &Control, request: u64, name: &str, count: u32) -> (Vec<u8>, Vec<u32>) {
    let mut words = vec![0_u8; 4 * count as usize];
    let mut argument = vec![0; 44];
    put(&mut argument, 0, name.as_bytes());
    put(&mut argument, 32, &count.to_le_bytes());
    if count > 0 {
        let pointer = words.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 36, &pointer.to_le_bytes());
    }
    control.ioctl(request, &mut argument).unwrap();
    let words = words.chunks(4).map(|word| u32_at(word, 0)).collect();
    (argument, words)
}

/// §4 media: 10GbaseT and active with a peer, plain Ethernet without; 13 words, of which old
/// programs are not shown the extended ones.
#[test]
fn a_feth_tells_media_by_its_peer() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.create("feth1").unwrap();
    let (told, _) = media(&control, SIOCGIFMEDIA, "feth0", 0);
    assert_eq!([16, 20, 24, 28, 32].map(|at| u32_at(&told, at)), [0x20, 0, 1, 0x20, 13]);
    control.set_peer("feth0", "feth1").unwrap();
    let (told, words) = media(&control, SIOCGIFXMEDIA, "feth0", 20);
    assert_eq!([24, 28, 32].map(|at| u32_at(&told, at)), [3, 0x10_0035, 13]);
    assert_eq!(words[12], 0x20 | 0x10_0000 | 0x3_0000 | 0x15, "400G-AUI8, extended");
    let (told, words) = media(&control, SIOCGIFMEDIA, "feth0", 2);
    assert_eq!(u32_at(&told, 32), 2);
    assert_eq!(words, [0x20, 0x10_0035]);
    let (_, words) = media(&control, SIOCGIFMEDIA, "feth0", 13);
    assert_eq!(words[12], 0x10_003f, "squashed to IFM_OTHER");
}

/// §1a `SIOCSIFMEDIA`: no driver here takes it, but for "other", which is ignored.
#[test]
fn media_cannot_be_chosen() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let set = |word: u32| control.request(SIOCSIFMEDIA, "feth0", &word.to_le_bytes()).map(drop);
    assert_eq!(set(0x20), Err(Errno::EOPNOTSUPP));
    assert_eq!(set(31), Ok(()));
    let user = control.of_user();
    assert_eq!(user.request(SIOCSIFMEDIA, "feth0", &[31]), Err(Errno::EPERM));
}

/// §1, §1a: what nobody knows goes to the driver, who does not know it either; a sign-extended
/// number is such a one.
#[test]
fn unknown_requests_are_eopnotsupp() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let mut status = vec![0; 817];
    put(&mut status, 0, b"feth0");
    assert_eq!(control.ioctl(SIOCGIFSTATUS, &mut status), Err(Errno::EOPNOTSUPP));
    let sign_extended = SIOCGIFFLAGS | 0xffff_ffff_0000_0000;
    for request in [0xc020_69fe, sign_extended, 0xc020_7a11] {
        let result = control.ioctl(request, &mut ifreq("feth0"));
        assert_eq!(result, Err(Errno::EOPNOTSUPP), "{request:#x}");
    }
}

/// §1a: an `AF_LOCAL` socket's protocol knows no addresses, and the drivers are not asked.
#[test]
fn addresses_want_a_socket_of_their_family() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    for request in [SIOCSIFADDR, SIOCDIFADDR, SIOCGIFADDR] {
        let result = control.request(request, "feth0", &[]);
        assert_eq!(result, Err(Errno::EOPNOTSUPP), "{request:#x}");
    }
    let mut alias = [0; 64];
    put(&mut alias, 0, b"feth0");
    assert_eq!(control.ioctl(SIOCAIFADDR, &mut alias), Err(Errno::EOPNOTSUPP));
}

/// §1a `SIOCSIFDISABLEINPUT`: its body is in debug kernels only; before 15 nobody knows it.
#[test]
fn input_is_not_disabled_by_request() {
    for version in MacOs::ALL {
        let (_, control) = machine(version);
        control.create("feth0").unwrap();
        let expected = if version == MacOs::V15 { Errno::EINVAL } else { Errno::EOPNOTSUPP };
        let result = control.request(SIOCSIFDISABLEINPUT, "feth0", &[1]);
        assert_eq!(result, Err(expected), "{version:?}");
    }
}

/// §1a flags: what was created says so; `BIOCSDVRTIN` is seen in the extended flags (§5).
#[test]
fn extended_flags_tell_of_cloning_and_of_disabled_input() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    let told = control.request(SIOCGIFEFLAGS, "feth0", &[]).unwrap();
    assert_eq!(u64_at(&told, 16) & 0x1_0000, 0x1_0000);
    let xflags = || u64_at(&control.request(SIOCGIFXFLAGS, "feth0", &[]).unwrap(), 16);
    assert_eq!(xflags(), 0);
    let tap = Tap::on(&kernel, "feth0").with(BIOCSDVRTIN, 1);
    assert_eq!(xflags(), 0x0004_0000);
    drop(tap);
    assert_eq!(xflags(), 0);
}

/// §1a `SIOCIFGCLONERS`: how many there are, and as many names as there is room for.
#[test]
fn cloners_are_listed() {
    let (_, control) = machine(MacOs::V15);
    let list = |room: i32| {
        let mut names = [0; 16 * 8];
        let mut argument = [0; 16];
        put(&mut argument, 4, &room.to_le_bytes());
        let pointer = names.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 8, &pointer.to_le_bytes());
        control.of_user().ioctl(SIOCIFGCLONERS, &mut argument)?;
        let names: Vec<String> = names.chunks(16).map(|name| name_at(name, 0)).collect();
        Ok((u32_at(&argument, 0), names))
    };
    let (total, names) = list(8).unwrap();
    assert!(names.contains(&"feth".to_owned()) && names.contains(&"bridge".to_owned()));
    let (same_total, one) = list(1).unwrap();
    assert_eq!(total, same_total);
    assert_eq!(one.iter().filter(|name| !name.is_empty()).count(), 1);
    assert_eq!(list(-1), Err(Errno::EINVAL));
}

/// §1a `SIOCGIFCONF`: a row for each address, as long as the address is.
#[test]
fn interfaces_are_listed_with_their_addresses() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    kernel.add_address("feth0", [192, 168, 64, 1], [255, 255, 255, 0]).unwrap();
    let mut rows = vec![0_u8; 2048];
    let mut argument = [0; 12];
    put(&mut argument, 0, &2048_u32.to_le_bytes());
    let pointer = rows.as_mut_ptr().expose_provenance() as u64;
    put(&mut argument, 4, &pointer.to_le_bytes());
    control.ioctl(SIOCGIFCONF, &mut argument).unwrap();
    rows.truncate(u32_at(&argument, 0) as usize);
    let mut listed = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let len = usize::from(rows[at + 16]);
        listed.push((name_at(&rows, at), rows[at + 17], rows[at + 16..][..len].to_vec()));
        at += 16 + len.max(16);
    }
    let of_feth: Vec<u8> = listed.iter().filter(|row| row.0 == "feth0").map(|row| row.1).collect();
    assert_eq!(of_feth, [18, 2], "link, then IPv4");
    assert_eq!(listed.last().unwrap().2[4..8], [192, 168, 64, 1]);
}

/// `getifaddrs`: of each interface its link address (§2 `sockaddr_dl`), then others; an address
/// brings its interface up (§1a `SIOCSIFADDR`).
#[test]
fn getifaddrs_has_links_and_addresses() {
    let (kernel, control) = machine(MacOs::V15);
    control.create("feth12345").unwrap();
    kernel.add_address("feth12345", [10, 0, 0, 1], [255, 0, 0, 0]).unwrap();
    assert_eq!(control.flags("feth12345"), Ok(0x8843));
    let rows = kernel.getifaddrs().unwrap();
    let mut of_feth = rows.iter().filter(|row| row.interface.as_str() == "feth12345");
    let link = of_feth.next().unwrap();
    assert_eq!(link.flags, 0x8843);
    let (len, name_len) = (usize::from(link.address[0]), usize::from(link.address[5]));
    assert_eq!(len, link.address.len());
    assert_eq!(link.address[1], 18);
    assert_eq!(&link.address[8..8 + name_len], b"feth12345");
    assert_eq!(link.address[6], 6);
    assert_eq!(link.address[8 + name_len..][..6], control.mac("feth12345"));
    let inet = of_feth.next().unwrap();
    assert_eq!(inet.address[..8], [16, 2, 0, 0, 10, 0, 0, 1]);
    assert_eq!(inet.netmask[4..8], [255, 0, 0, 0]);
    assert!(of_feth.next().is_none());
}

/// C13, §6: after the request returns a BPF device finds nothing and cannot write; only later is
/// the interface gone for it. NDRV sees it at once.
#[test]
fn a_destroyed_interface_is_gone_for_ndrv_first_and_for_bpf_later() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        control.pair("feth0", "feth1");
        let tap = Tap::on(&kernel, "feth0");
        let ndrv = Ndrv::on(&kernel, "feth0");
        let sent = frame(GUEST, CARD, "x");
        control.destroy("feth0").unwrap();
        assert_eq!(ndrv.send(&sent), Err(Errno::ENXIO), "{version:?}");
        assert_eq!(tap.read_once(), Err(Errno::EAGAIN), "{version:?}");
        assert_eq!(tap.write(&sent), Err(Errno::ENETDOWN), "{version:?}");
        settle(&kernel);
        assert_eq!(tap.read_once(), Err(Errno::ENXIO), "{version:?}");
        assert_eq!(tap.write(&sent), Err(Errno::ENXIO), "{version:?}");
        assert_eq!(ndrv.send(&sent), Err(Errno::ENXIO), "{version:?}");
    }
}

/// §6 interface destroyed: a socket that was bound to it sends by the one created under its name; a
/// BPF device does not (M8).
#[test]
fn an_old_ndrv_socket_reaches_the_interface_created_again() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    let ndrv = Ndrv::on(&kernel, "feth0");
    let old_tap = Tap::on(&kernel, "feth0");
    control.destroy("feth0").unwrap();
    settle(&kernel);
    control.create("feth0").unwrap();
    control.set_peer("feth0", "feth1").unwrap();
    control.up("feth0");
    let tap = Tap::on(&kernel, "feth1");
    let sent = frame(GUEST, CARD, "x");
    assert_eq!(ndrv.send(&sent), Ok(60));
    let_frames_through(&kernel);
    assert_eq!(tap.frames(), [sent.as_slice()]);
    assert_eq!(old_tap.write(&sent), Err(Errno::ENXIO));
}

/// A process other than the one under test does to interfaces what an operator does.
#[test]
fn an_operator_interferes() {
    let (kernel, control) = machine(MacOs::V15);
    control.pair("feth0", "feth1");
    control.bridge("bridge0", &["feth0"]);
    kernel.set_interface_up("feth1", false).unwrap();
    assert_eq!(control.flags("feth1").unwrap() & UP, 0);
    assert_eq!(kernel.members("bridge0"), ["feth0"]);
    kernel.remove_member("bridge0", "feth0").unwrap();
    assert_eq!(kernel.remove_member("bridge0", "feth0"), Err(Errno::ENOENT));
    assert!(kernel.members("bridge0").is_empty());
    kernel.destroy_interface("feth0").unwrap();
    assert_eq!(kernel.destroy_interface("feth0"), Err(Errno::ENXIO));
    assert_eq!(control.peer("feth1"), Ok(String::new()));
}

/// Requests and driver commands fail by name and object, as the fault plan says.
#[test]
fn requests_fail_as_planned() {
    let (kernel, control) = machine(MacOs::V15);
    for name in ["feth0", "feth1", "bridge0"] {
        control.create(name).unwrap();
    }
    let plan = |call: &'static str, object: &str| {
        kernel.add_fault(Fault {
            call,
            object: Some(object.to_owned()),
            after: 0,
            times: 1,
            action: FaultAction::Fail(Errno::ENOMEM),
        });
    };
    plan("SIOCIFCREATE", "feth7");
    assert_eq!(control.create("feth8").map(drop), Ok(()));
    assert_eq!(control.create("feth7"), Err(Errno::ENOMEM));
    assert_eq!(control.create("feth7").map(drop), Ok(()), "once");
    plan("IF_FAKE_S_CMD_SET_PEER", "feth0");
    assert_eq!(control.set_peer("feth0", "feth1"), Err(Errno::ENOMEM));
    plan("IF_FAKE_G_CMD_GET_PEER", "feth0");
    assert_eq!(control.peer("feth0"), Err(Errno::ENOMEM));
    plan("BRDGADD", "bridge0");
    assert_eq!(control.add_member("bridge0", "feth0"), Err(Errno::ENOMEM));
    plan("BRDGADD", "feth0");
    assert_eq!(control.add_member("bridge0", "feth1"), Ok(()));
    assert_eq!(control.add_member("bridge0", "feth0"), Err(Errno::ENOMEM));
    plan("BRDGGIFSTATS", "bridge0");
    let stats = control.driver_get("bridge0", 37, &mut [0; 32]);
    assert_eq!(stats, Err(Errno::ENOMEM));
    plan("SIOCSIFFLAGS", "feth0");
    assert_eq!(control.set_flags("feth0", UP), Err(Errno::ENOMEM));
    plan("SIOCIFDESTROY", "feth0");
    assert_eq!(control.destroy("feth0"), Err(Errno::ENOMEM));
    assert_eq!(control.destroy("feth0"), Ok(()));
}

/// A card puts no runts on its wire, takes none from it, and takes nothing while it is down or
/// without link.
#[test]
fn a_card_takes_and_gives_whole_frames_while_it_runs() {
    let (kernel, control) = machine(MacOs::V15);
    let wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    let ndrv = Ndrv::on(&kernel, "en0");
    assert_eq!(ndrv.send(&[0xff; 13]), Ok(13));
    let_frames_through(&kernel);
    assert_eq!(wire.take(), None);
    assert_eq!(kernel.interface_drops("en0"), 1);
    wire.send(&[0xff; 13]);
    let_frames_through(&kernel);
    assert!(kernel.host_received("en0").is_empty());
    let comes_in = || {
        wire.send(&frame(CARD, GUEST, "x"));
        let_frames_through(&kernel);
        !kernel.host_received("en0").is_empty()
    };
    assert!(comes_in());
    wire.set_link(false);
    assert!(!comes_in());
    ndrv.send(&frame(GUEST, CARD, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(wire.take(), None, "lost");
    wire.set_link(true);
    control.down("en0");
    assert!(!comes_in());
    assert_eq!(ndrv.send(&frame(GUEST, CARD, "x")), Err(Errno::ENETDOWN));
    control.up("en0");
    assert!(comes_in());
    ndrv.send(&frame(GUEST, CARD, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(wire.take(), Some(frame(GUEST, CARD, "x")));
}

/// §4 receive side: an input queue holds 8,192 frames; one more, and the oldest fifth goes.
#[test]
fn an_input_queue_loses_its_oldest_fifth() {
    let (kernel, _) = machine(MacOs::V15);
    let wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    let one = frame(CARD, GUEST, "x");
    for _ in 0..8192 {
        wire.send(&one);
    }
    assert_eq!(kernel.interface_drops("en0"), 0);
    wire.send(&one);
    assert_eq!(kernel.interface_drops("en0"), 8193 - 8192 * 8 / 10);
}
