//! What is asked of ifconfig(8), and what it says: the words of macOS.

use std::net::IpAddr;

/// The arguments that give an interface an address.
pub(super) fn add(interface: &str, address: IpAddr, bits: u8) -> Vec<String> {
    let (family, length) = match address {
        IpAddr::V4(_) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            ("inet", ["netmask".to_owned(), format!("{mask:#010x}")])
        }
        IpAddr::V6(_) => ("inet6", ["prefixlen".to_owned(), bits.to_string()]),
    };
    let words = [interface.to_owned(), family.to_owned(), address.to_string()];
    words.into_iter().chain(length).chain(["alias".to_owned()]).collect()
}

/// Whether an address may be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Usable {
    Yes,
    /// The kernel still asks whether somebody has it (RFC 4862, 5.4).
    NotYet,
    /// For what reason not.
    Never(&'static str),
}

/// What the description of an interface says of `address`.
pub(super) fn usable(description: &str, address: IpAddr) -> Usable {
    let family = if address.is_ipv6() { "inet6" } else { "inet" };
    let wanted = address.to_string();
    let line = description.lines().map(str::split_whitespace).find(|line| {
        let mut words = line.clone();
        words.next() == Some(family) && words.next() == Some(&wanted)
    });
    let Some(mut line) = line else { return Usable::Never("the interface does not have it") };
    match line.find(|word| ["tentative", "duplicated"].contains(word)) {
        None => Usable::Yes,
        Some("tentative") => Usable::NotYet,
        Some(_) => Usable::Never("somebody else on the bridge has it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    #[test]
    fn an_address_is_added_beside_others() {
        let words = add("bridge4200", V4, 24).join(" ");
        assert_eq!(words, "bridge4200 inet 192.0.2.1 netmask 0xffffff00 alias");
        assert_eq!(add("x", V4, 32)[4], "0xffffffff");
        assert_eq!(add("x", V4, 0)[4], "0x00000000");
        let words = add("bridge4200", V6, 64).join(" ");
        assert_eq!(words, "bridge4200 inet6 2001:db8::1 prefixlen 64 alias");
    }

    #[test]
    fn an_address_is_usable_once_nobody_else_has_it() {
        let of = |state: &str| {
            format!(
                "bridge4200: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n\
                 \tether 36:5d:0b:00:00:64\n\
                 \tinet 192.0.2.1 netmask 0xffffff00 broadcast 192.0.2.255\n\
                 \tinet6 fe80::1%bridge4200 prefixlen 64 tentative scopeid 0x15\n\
                 \tinet6 2001:db8::1 prefixlen 64{state}\n\
                 \tnd6 options=201<PERFORMNUD,DAD>\n"
            )
        };
        assert_eq!(usable(&of(""), V4), Usable::Yes);
        assert_eq!(usable(&of(""), V6), Usable::Yes);
        assert_eq!(usable(&of(" tentative"), V6), Usable::NotYet);
        assert_eq!(usable(&of(" tentative"), V4), Usable::Yes);
        assert!(matches!(usable(&of(" duplicated"), V6), Usable::Never(_)));
        let other = "2001:db8::11".parse().unwrap();
        assert!(matches!(usable(&of(""), other), Usable::Never(_)));
    }
}
