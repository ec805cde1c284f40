//! Lists behind pointers: how much room is asked for, and what becomes of it.

use xnu_sys::if_bridgevar::ifbreq;
use xnu_sys::{BpfDevice, Control, Descriptor, Errno, InterfaceName, SyscallError};

use crate::fake::{Fake, memory, u32_at, u64_at};

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A bridge of so many members, then addresses, which answers as `bridge_ioctl_gifs` and
/// `bridge_ioctl_rts` do: what fits is written, and its length told.
fn bridge(members: usize, addresses: usize) -> Fake {
    Fake::new(move |request, spec| {
        assert_eq!((request, &spec[..8], u64_at(spec, 24)), (0xc028_697b, &b"bridge7\0"[..], 12));
        let (stride, count) = match u64_at(spec, 16) {
            6 => (80, members),
            7 => (36, addresses),
            _ => return Err(Errno::EINVAL),
        };
        let list = memory(u64_at(spec, 32), 12);
        let room = u32_at(list, 0) as usize;
        let written = count.min(room / stride);
        let entries = memory(u64_at(list, 4), room).chunks_exact_mut(stride).take(written);
        for (place, entry) in entries.enumerate() {
            let name = format!("feth{place}");
            entry[..name.len()].copy_from_slice(name.as_bytes());
            entry[stride - 4..].copy_from_slice(&0xaaaa_aaaa_u32.to_ne_bytes());
        }
        list[..4].copy_from_slice(&u32::try_from(written * stride).unwrap().to_ne_bytes());
        Ok(())
    })
}

#[test]
fn a_bridge_s_members_are_asked_for_until_they_do_not_fill_the_room() {
    for (count, calls) in [(0, 1), (3, 1), (63, 1), (64, 2), (127, 2), (200, 3)] {
        let fake = bridge(count, 0);
        let control = Descriptor::<_, Control>::new(fake.clone(), 3);
        let mut members = Vec::new();
        control.bridge_members(name("bridge7"), &mut members).unwrap();
        assert_eq!((members.len(), fake.notes().len()), (count, calls));
        let names = members.iter().map(|member| member.ifbr_ifsname);
        for (place, bytes) in names.enumerate() {
            assert_eq!(InterfaceName::from_bytes(&bytes), Ok(name(&format!("feth{place}"))));
        }
    }
}

#[test]
fn addresses_have_a_stride_of_36() {
    let control = Descriptor::<_, Control>::new(bridge(0, 100), 3);
    let mut addresses = Vec::new();
    control.bridge_addresses(name("bridge7"), &mut addresses).unwrap();
    assert_eq!(addresses.len(), 100);
    let last = addresses[99];
    assert_eq!(InterfaceName::from_bytes(&last.ifba_ifsname), Ok(name("feth99")));
    assert_eq!({ last.ifba_vlan }, 0xaaaa);
}

#[test]
fn a_list_that_failed_is_empty() {
    let control = Descriptor::<_, Control>::new(Fake::new(|_, _| Err(Errno::ENXIO)), 3);
    let mut members = vec![ifbreq::default()];
    let error = control.bridge_members(name("bridge7"), &mut members).unwrap_err();
    assert_eq!(error, SyscallError { call: "BRDGGIFS", errno: Errno::ENXIO });
    assert_eq!(members, []);
}

/// `BIOCGDLTLIST` says `ENOMEM` of too little room.
#[test]
fn a_list_without_end_is_given_up() {
    let fake = Fake::new(|_, _| Err(Errno::ENOMEM));
    let device = Descriptor::<_, BpfDevice>::new(fake.clone(), 3);
    let error = device.link_types(&mut Vec::new()).unwrap_err();
    assert_eq!(error, SyscallError { call: "BIOCGDLTLIST", errno: Errno::ENOMEM });
    assert_eq!(fake.notes().len(), 15, "64, 128, … 1,048,576");
}

#[test]
fn link_types_fill_the_room_that_there_was() {
    let fake = Fake::new(|request, list| {
        assert_eq!((request, list.len()), (0xc00c_4279, 12));
        let room = u32_at(list, 0) as usize;
        if room < 100 {
            return Err(Errno::ENOMEM);
        }
        memory(u64_at(list, 4), 4 * room)[..8].copy_from_slice(&[1, 0, 0, 0, 12, 0, 0, 0]);
        list[..4].copy_from_slice(&2_u32.to_ne_bytes());
        Ok(())
    });
    let mut types = vec![7];
    Descriptor::<_, BpfDevice>::new(fake.clone(), 3).link_types(&mut types).unwrap();
    assert_eq!(types, [1, 12]);
    assert_eq!(fake.notes().len(), 2);
}

#[test]
fn media_come_with_the_state_and_without_a_pointer() {
    let fake = Fake::new(|request, media| {
        assert_eq!((request, media.len(), &media[..6]), (0xc02c_6938, 44, &b"feth7\0"[..]));
        let room = u32_at(media, 32) as usize;
        if room < 80 {
            return Err(Errno::E2BIG);
        }
        memory(u64_at(media, 36), 4 * room)[..4].copy_from_slice(&0x35_u32.to_ne_bytes());
        media[24..28].copy_from_slice(&3_u32.to_ne_bytes());
        media[28..32].copy_from_slice(&0x35_u32.to_ne_bytes());
        media[32..36].copy_from_slice(&1_u32.to_ne_bytes());
        Ok(())
    });
    let control = Descriptor::<_, Control>::new(fake, 3);
    let mut media = Vec::new();
    let state = control.media(name("feth7"), &mut media).unwrap();
    assert_eq!(media, [0x35]);
    assert_eq!(({ state.ifm_status }, { state.ifm_active }, { state.ifm_ulist }), (3, 0x35, 0));
}

#[test]
fn kinds_of_interfaces_are_names_without_a_unit() {
    let kinds: Vec<String> = (0..70).map(|kind| format!("kind{kind}")).collect();
    let names = kinds.clone();
    let fake = Fake::new(move |request, list| {
        assert_eq!((request, list.len()), (0xc010_6981, 16));
        let room = u32_at(list, 4) as usize;
        let room = memory(u64_at(list, 8), 16 * room).chunks_exact_mut(16);
        room.zip(&names).for_each(|(to, name)| to[..name.len()].copy_from_slice(name.as_bytes()));
        list[..4].copy_from_slice(&70_u32.to_ne_bytes());
        Ok(())
    });
    let cloners = Descriptor::<_, Control>::new(fake, 3).cloners().unwrap();
    assert_eq!(cloners.iter().map(ToString::to_string).collect::<Vec<_>>(), kinds);
}

/// An entry is a name and an address, of 16 bytes or more; the kernel ends without a word where one
/// does not fit.
#[test]
fn addresses_of_interfaces_are_whole_socket_addresses() {
    let entry = |name: &str, address: &[u8]| {
        let mut bytes = vec![0; 16 + address.len().max(16)];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[16..16 + address.len()].copy_from_slice(address);
        bytes
    };
    let long = [&[20, 18, 1, 0, 6, 3, 6, 0][..], b"en0\x02\0\0\0\0\x01\0\0\0"].concat();
    let short = vec![16, 2, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut entries = vec![entry("en0", &long), entry("en0", &short), entry("gif0", &[])];
    entries.extend(vec![entry("feth9", &long); 300]);
    let fake = Fake::new(move |request, list| {
        assert_eq!((request, list.len()), (0xc00c_6924, 12));
        let room = memory(u64_at(list, 4), u32_at(list, 0) as usize);
        let mut written = 0;
        for entry in &entries {
            let Some(place) = room[written..].get_mut(..entry.len()) else { break };
            place.copy_from_slice(entry);
            written += entry.len();
        }
        list[..4].copy_from_slice(&u32::try_from(written).unwrap().to_ne_bytes());
        Ok(())
    });
    let control = Descriptor::<_, Control>::new(fake.clone(), 3);
    let addresses = control.interface_addresses().unwrap();
    assert_eq!(fake.notes().len(), 2, "8 KiB are not enough, and nearly full");
    let none = (name("gif0"), vec![]);
    assert_eq!(addresses[..3], [(name("en0"), long.clone()), (name("en0"), short), none]);
    assert_eq!(addresses.len(), 303);
    assert_eq!(addresses[302], (name("feth9"), long));
}
