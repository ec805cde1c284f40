//! What bridges know of addresses.

use std::net::Ipv4Addr;

use ifctl::Error;
use ifctl::xnu::{AddressKind, HostFilter};
use xnu_sys::Kernel;

use super::{Bench, GUEST, new_feth};

pub(crate) fn a_member_may_have_so_many_addresses<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, member) = (&bench.interfaces, bench.bridge(), bench.member());
    assert_eq!(interfaces.member_details(bridge, member).unwrap().address_limit, 0);
    interfaces.set_address_limit(bridge, member, 3).unwrap();
    assert_eq!(interfaces.member_details(bridge, member).unwrap().address_limit, 3);
    interfaces.pin_address(bridge, member, GUEST).unwrap();
    assert_eq!(interfaces.member_details(bridge, member).unwrap().address_count, 1);
    let feth = new_feth(kernel);
    let error = interfaces.set_address_limit(bridge, feth.name(), 3).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
}

pub(crate) fn a_filter_of_hosts_is_set_changed_and_taken_away<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, member) = (&bench.interfaces, bench.bridge(), bench.member());
    let get = || interfaces.host_filter(bridge, member).unwrap();
    assert_eq!(get(), None);
    let ipv4 = Some(Ipv4Addr::new(192, 168, 64, 9));
    let full = Some(HostFilter { mac: Some(GUEST), ipv4 });
    interfaces.set_host_filter(bridge, member, full).unwrap();
    assert_eq!(get(), full);
    // What the earlier one had does not stay.
    let narrower = Some(HostFilter { mac: Some(GUEST), ipv4: None });
    interfaces.set_host_filter(bridge, member, narrower).unwrap();
    assert_eq!(get(), narrower);
    let other = Some(HostFilter { mac: None, ipv4 });
    interfaces.set_host_filter(bridge, member, other).unwrap();
    assert_eq!(get(), other);
    interfaces.set_host_filter(bridge, member, None).unwrap();
    assert_eq!(get(), None);
    for mac in [[1, 0, 0, 0, 0, 1], [0; 6], [0xff; 6]] {
        let group = Some(HostFilter { mac: Some(mac), ipv4: None });
        let error = interfaces.set_host_filter(bridge, member, group).unwrap_err();
        assert!(matches!(error, Error::NotUnicast { .. }), "{error}");
    }
    let feth = new_feth(kernel);
    let error = interfaces.set_host_filter(bridge, feth.name(), full).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
}

pub(crate) fn pinned_addresses<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, member) = (&bench.interfaces, bench.bridge(), bench.member());
    let feth = new_feth(kernel);
    interfaces.pin_address(bridge, member, GUEST).unwrap();
    let error = interfaces.pin_address(bridge, feth.name(), GUEST).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
    for mac in [[3, 0, 0, 0, 0, 1], [0; 6]] {
        let error = interfaces.pin_address(bridge, member, mac).unwrap_err();
        assert!(matches!(error, Error::NotUnicast { .. }), "{error}");
    }
    let pinned = || {
        let all = interfaces.addresses(bridge).unwrap();
        all.into_iter().filter(|one| one.mac == GUEST).collect::<Vec<_>>()
    };
    assert_eq!(&*pinned()[0].member, member, "nothing was taken out");
    interfaces.add_member(bridge, feth.name()).unwrap();
    // To another member: the kernel alone would say yes, and leave it where it is.
    interfaces.pin_address(bridge, feth.name(), GUEST).unwrap();
    let found = pinned();
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].member, found[0].kind), (feth.name(), AddressKind::Pinned));
    assert_eq!(found[0].expires_s, None);

    interfaces.flush_addresses(bridge, false).unwrap();
    assert_eq!(pinned().len(), 1);
    interfaces.forget_address(bridge, GUEST).unwrap();
    let error = interfaces.forget_address(bridge, GUEST).unwrap_err();
    assert!(matches!(error, Error::NotInTable { mac: GUEST, .. }), "{error}");
    interfaces.pin_address(bridge, member, GUEST).unwrap();
    interfaces.flush_addresses(bridge, true).unwrap();
    assert_eq!(pinned(), []);

    interfaces.pin_address(bridge, member, GUEST).unwrap();
    interfaces.set_address_table_size(bridge, 1).unwrap();
    let error = interfaces.pin_address(bridge, member, [2, 0, 0, 0, 0, 0x12]).unwrap_err();
    assert!(matches!(error, Error::TableFull { size: 1, .. }), "{error}");
}

pub(crate) fn a_table_of_a_size_and_an_age_longer_than_any_guess<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, member) = (&bench.interfaces, bench.bridge(), bench.member());
    let table = interfaces.address_table(bridge).unwrap();
    assert_eq!((table.size, table.age_s, table.refused), (100, 1200, 0));
    interfaces.set_address_table_size(bridge, 1000).unwrap();
    interfaces.set_address_age(bridge, 60).unwrap();
    let table = interfaces.address_table(bridge).unwrap();
    assert_eq!((table.size, table.age_s), (1000, 60));
    let mac = |number: u16| {
        let [high, low] = number.to_be_bytes();
        [2, 0, 0, 1, high, low]
    };
    for number in 0..700 {
        interfaces.pin_address(bridge, member, mac(number)).unwrap();
    }
    let mut read: Vec<[u8; 6]> =
        interfaces.addresses(bridge).unwrap().iter().map(|one| one.mac).collect();
    read.sort_unstable();
    assert_eq!(read, (0..700).map(mac).collect::<Vec<_>>());
}
