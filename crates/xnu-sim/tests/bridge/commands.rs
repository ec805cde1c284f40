//! The commands: numbers, directions, lengths, lists.

use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::Errno;

use crate::support::bridge::*;
use crate::support::frames::GUEST;
use crate::support::lan::{CARD, Lan};
use crate::support::*;

/// The size and direction of each command (§3's table): (number, size, is set).
const COMMANDS: [(u64, usize, bool); 38] = [
    (0, 80, true),
    (1, 80, true),
    (2, 80, false),
    (3, 80, true),
    (4, 4, true),
    (5, 4, false),
    (6, 12, false),
    (7, 12, false),
    (8, 36, true),
    (9, 4, true),
    (10, 4, false),
    (11, 36, true),
    (12, 80, true),
    (13, 4, false),
    (14, 4, true),
    (15, 4, false),
    (16, 4, true),
    (17, 4, false),
    (18, 4, true),
    (19, 4, false),
    (20, 4, true),
    (21, 80, true),
    (22, 80, true),
    (23, 4, false),
    (24, 4, true),
    (25, 80, true),
    (26, 80, true),
    (27, 80, true),
    (28, 56, false),
    (29, 4, false),
    (30, 12, false),
    (31, 4, true),
    (32, 4, true),
    (33, 80, true),
    (34, 32, false),
    (35, 32, true),
    (36, 16, false),
    (37, 32, false),
];

/// §3, C30: index, direction, privilege, length, in this order; each is looked at before the next.
#[test]
fn commands_are_checked_in_order() {
    let (_, control) = machine(MacOs::V15);
    control.create("bridge0").unwrap();
    let user = control.of_user();
    for (number, size, is_set) in COMMANDS {
        let (right, wrong) =
            if is_set { (SIOCSDRVSPEC, SIOCGDRVSPEC) } else { (SIOCGDRVSPEC, SIOCSDRVSPEC) };
        let command = |control: &Control, request: u64, len: usize| {
            let mut argument = vec![0; size.max(len)];
            control.driver_with_len("bridge0", request, number, &mut argument, len)
        };
        assert_eq!(command(&control, wrong, size), Err(Errno::EINVAL), "{number} direction");
        assert_eq!(command(&user, wrong, size + 1), Err(Errno::EINVAL), "{number} direction");
        let refused = if is_set { Errno::EPERM } else { Errno::EINVAL };
        assert_eq!(command(&user, right, size + 1), Err(refused), "{number} privilege");
        for len in [0, size - 1, size + 1, size + 4] {
            assert_eq!(command(&control, right, len), Err(Errno::EINVAL), "{number} {len}");
        }
        assert_ne!(command(&control, right, size), Err(Errno::EINVAL), "{number}");
    }
    for request in [SIOCSDRVSPEC, SIOCGDRVSPEC] {
        for number in [38, 1000, u64::MAX] {
            let result = user.driver_with_len("bridge0", request, number, &mut [0; 80], 80);
            assert_eq!(result, Err(Errno::EINVAL), "{number}");
        }
    }
}

/// §3: a null pointer is `EFAULT`, after all else was right.
#[test]
fn a_null_argument_is_efault() {
    let (_, control) = machine(MacOs::V15);
    control.create("bridge0").unwrap();
    for (request, number, len) in [(SIOCSDRVSPEC, 0_u8, 80_u8), (SIOCGDRVSPEC, 5, 4)] {
        let mut spec = [0; 40];
        put(&mut spec, 0, b"bridge0");
        put(&mut spec, 16, &[number]);
        put(&mut spec, 24, &[len]);
        assert_eq!(control.ioctl(request, &mut spec), Err(Errno::EFAULT));
    }
}

/// §3: no bridge of that name is `ENXIO`; others answer as their drivers do.
#[test]
fn commands_go_to_the_driver_of_the_name() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.create("feth0").unwrap();
    assert_eq!(control.add_member("bridge0", "feth0"), Err(Errno::ENXIO));
    assert_eq!(control.add_member("en0", "feth0"), Err(Errno::EOPNOTSUPP));
    assert_eq!(control.add_member("feth0", "feth0"), Err(Errno::EOPNOTSUPP), "command 0");
    assert_eq!(control.delete_member("feth0", "feth0"), Err(Errno::EINVAL), "SET_PEER, 80 bytes");
    assert_eq!(control.parameter("lo0", 5), Err(Errno::EOPNOTSUPP));
}

/// §3 `BRDGGIFS`: asked with no room it tells the bytes; else it gives as many rows as fit.
#[test]
fn members_are_listed_by_room() {
    let lan = Lan::new(MacOs::V15, 2);
    let list = |room| lan.control.of_user().list("bridge0", 6, room).unwrap();
    assert_eq!(list(0).1, 240);
    assert_eq!(list(240).1, 240);
    assert_eq!(list(4096).1, 240);
    let (rows, len) = list(239);
    assert_eq!(len, 160);
    assert_eq!(name_at(&rows, 80), "feth10");
    assert_eq!(list(79).1, 0);
    assert_eq!(lan.control.members("bridge0"), ["en0", "feth10", "feth11"]);
    assert!(lan.kernel.members("bridge1").is_empty());
}

/// §3 `BRDGRTS`: asked with no room it tells nothing; else it gives as many rows of 36 bytes as
/// fit.
#[test]
fn addresses_are_listed_by_room() {
    let lan = Lan::new(MacOs::V15, 1);
    for last in 1..4 {
        lan.control.set_address("bridge0", "feth10", [2, 0, 0, 0, 0, last], 1).unwrap();
    }
    let list = |room| lan.control.of_user().list("bridge0", 7, room).unwrap();
    assert_eq!(list(0).1, 0, "not even a size");
    assert_eq!(list(36 * 2 + 35).1, 72);
    assert_eq!(list(4096).1, 108);
    let lasts: Vec<u8> = lan.control.table("bridge0").iter().map(|entry| entry.mac[5]).collect();
    assert_eq!(lasts, [3, 2, 1], "the newest first");
}

/// M20: an entry that is overdue shows what the row before it shows.
#[test]
fn an_overdue_entry_repeats_the_row_before_it() {
    let lan = Lan::new(MacOs::V15, 1);
    let set = |last: u8| {
        lan.control.set_address("bridge0", "feth10", [2, 0, 0, 0, 0, last], 0).unwrap();
    };
    lan.control.set_parameter("bridge0", 9, 10).unwrap();
    set(1);
    lan.kernel.run_for(std::time::Duration::from_secs(20));
    assert_eq!(lan.control.table("bridge0")[0].expire_s, 0);
    lan.control.set_parameter("bridge0", 9, 1000).unwrap();
    set(2);
    let times: Vec<u64> = lan.control.table("bridge0").iter().map(|row| row.expire_s).collect();
    assert_eq!(times, [1000, 1000]);
}

/// §3: default sizes and times, and how they are changed.
#[test]
fn parameters_have_their_defaults() {
    let (_, control) = machine(MacOs::V15);
    control.create("bridge0").unwrap();
    for (get, set, default, new) in [(5, 4, 100, 7), (10, 9, 1200, 60), (23, 24, 0, 6)] {
        assert_eq!(control.parameter("bridge0", get), Ok(default), "{get}");
        control.set_parameter("bridge0", set, new).unwrap();
        assert_eq!(control.parameter("bridge0", get), Ok(new), "{get}");
    }
    assert_eq!(control.parameter("bridge0", 29), Ok(0), "nothing found no place");
    assert_eq!(control.set_parameter("bridge0", 24, 8), Err(Errno::EINVAL));
    assert_eq!(control.set_parameter("bridge0", 24, 1), Err(Errno::EINVAL), "no ipf");
    assert_eq!(control.driver_set("bridge0", 25, &mut [0; 80]), Ok(()), "BRDGPURGE");
}

/// Spanning tree is not built into macOS (`BRIDGESTP` is defined nowhere): what can be asked is 0,
/// nothing can be set.
#[test]
fn there_is_no_spanning_tree() {
    let lan = Lan::new(MacOs::V15, 1);
    let control = &lan.control;
    for get in [13, 15, 17, 19] {
        assert_eq!(control.parameter("bridge0", get), Ok(0), "{get}");
    }
    for set in [14, 16, 18, 20, 31, 32] {
        assert_eq!(control.set_parameter("bridge0", set, 4), Err(Errno::EOPNOTSUPP), "{set}");
    }
    for set in [21, 22] {
        let result = control.driver_set("bridge0", set, &mut member_request("feth10"));
        assert_eq!(result, Err(Errno::EOPNOTSUPP), "{set}");
    }
    let mut parameters = [0xaa; 56];
    control.driver_get("bridge0", 28, &mut parameters).unwrap();
    assert_eq!(parameters, [0; 56]);
    assert_eq!(control.list("bridge0", 30, 320).unwrap().1, 0);
    let flags = LEARNING | STP;
    assert_eq!(control.set_member_flags("bridge0", "feth10", flags), Err(Errno::EOPNOTSUPP));
}

/// §3 `BRDGGIFSTATS`: a member's; asked with no room it tells the size, with too little `ENOBUFS`.
#[test]
fn statistics_of_a_member_have_a_size() {
    let lan = Lan::new(MacOs::V15, 1);
    let ask = |member: &str, room: u32| {
        let mut stats = [0xaa_u8; 256];
        let mut argument = [0; 32];
        put(&mut argument, 0, member.as_bytes());
        put(&mut argument, 16, &room.to_le_bytes());
        let pointer = stats.as_mut_ptr().expose_provenance() as u64;
        put(&mut argument, 24, &pointer.to_le_bytes());
        lan.control.driver_get("bridge0", 37, &mut argument)?;
        Ok((u32_at(&argument, 16), u32_at(&argument, 20), stats[247], stats[248]))
    };
    assert_eq!(ask("feth99", 0), Err(Errno::ENOENT));
    assert_eq!(ask("feth10", 0), Ok((248, 248, 0xaa, 0xaa)));
    assert_eq!(ask("feth10", 247), Err(Errno::ENOBUFS));
    assert_eq!(ask("feth10", 256), Ok((248, 248, 0, 0xaa)));
}

/// §3 commands of members: `ENOENT` for what is none, though it is an interface.
#[test]
fn what_is_no_member_is_enoent() {
    let lan = Lan::new(MacOs::V15, 0);
    let control = &lan.control;
    control.create("feth10").unwrap();
    assert_eq!(control.member_flags("bridge0", "feth10"), Err(Errno::ENOENT));
    assert_eq!(control.set_member_flags("bridge0", "feth10", 3), Err(Errno::ENOENT));
    assert_eq!(control.delete_member("bridge0", "feth10"), Err(Errno::ENOENT));
    assert_eq!(control.set_address_max("bridge0", "feth10", 1), Err(Errno::ENOENT));
    assert_eq!(control.set_address("bridge0", "feth10", GUEST, 1), Err(Errno::ENOENT));
    let mut filter = [0; 32];
    put(&mut filter, 4, b"feth10");
    assert_eq!(control.driver_get("bridge0", 34, &mut filter), Err(Errno::ENOENT));
    assert_eq!(control.driver_set("bridge0", 35, &mut filter), Err(Errno::ENOENT));
}
