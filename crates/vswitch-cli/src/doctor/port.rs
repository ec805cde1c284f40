//! What `--port` says.

use std::str::FromStr;

use ::probe::{LinkSpec, MacAddress};
use vswitchd::config::{Attachment, Configuration, PortSpec, is_name};

use crate::failure::Failure;

/// A port as a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortWord {
    /// One that is to be: only looked at.
    Wanted(PortSpec),
    /// One of a switch that runs.
    Link(LinkSpec),
    /// One of the configuration.
    Named {
        /// Its network, if told.
        network: Option<String>,
        /// Its name.
        port: String,
    },
}

/// Where the probe plugs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// What it is called.
    pub(super) name: String,
    /// The port.
    pub(super) link: LinkSpec,
    /// The address that the port demands.
    pub(super) mac: Option<MacAddress>,
}

impl FromStr for PortWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.split_once('=').is_some_and(|(name, _)| is_name(name)) {
            return text.parse().map(Self::Wanted).map_err(|error| format!("{error}"));
        }
        if text.contains(':') {
            return text.parse().map(Self::Link).map_err(|error| format!("{error}"));
        }
        let (network, port) = match text.split_once('/') {
            Some((network, port)) => (Some(network.to_owned()), port),
            None => (None, text),
        };
        if !is_name(port) || network.as_ref().is_some_and(|network| !is_name(network)) {
            let expected = "KIND:ARG, NAME=KIND:ARG, NAME or NETWORK/NAME is expected";
            return Err(format!("{text:?} is no port ({expected})"));
        }
        Ok(Self::Named { network, port: port.to_owned() })
    }
}

impl PortWord {
    /// The port that is to be, of the short form.
    pub(super) fn wanted(&self) -> Option<PortSpec> {
        match self {
            Self::Wanted(port) => Some(port.clone()),
            Self::Link(_) | Self::Named { .. } => None,
        }
    }

    /// Where to plug in; nothing for a port that is only looked at.
    pub(super) fn target(&self, wanted: Option<&Configuration>) -> Result<Option<Target>, Failure> {
        match self {
            Self::Wanted(_) => Ok(None),
            Self::Link(link) => {
                Ok(Some(Target { name: word(link), link: link.clone(), mac: None }))
            }
            Self::Named { network, port } => named(wanted, network.as_deref(), port).map(Some),
        }
    }
}

fn word(link: &LinkSpec) -> String {
    match link {
        LinkSpec::Unixgram(path) => format!("unixgram:{}", path.display()),
        LinkSpec::Stream(path) => format!("stream:{}", path.display()),
        LinkSpec::Fd(number) => format!("fd:{number}"),
    }
}

/// The port of this name in a configuration.
fn named(
    wanted: Option<&Configuration>,
    network: Option<&str>,
    port: &str,
) -> Result<Target, Failure> {
    let shown = network.map_or_else(|| port.to_owned(), |network| format!("{network}/{port}"));
    let failure = |why: &str| Failure::new(format!("probe the port {shown}"), why);
    let Some(wanted) = wanted else {
        return Err(failure("there is no configuration to find it in")
            .to_do("give --config, or the port as KIND:ARG"));
    };
    let of_network = wanted
        .networks
        .iter()
        .filter(|of| network.is_none_or(|network| of.name == network))
        .flat_map(|of| of.ports.iter().map(move |port| (of.name.as_str(), port)));
    let mut found = of_network.filter(|(_, of)| of.name == port);
    let Some((network, spec)) = found.next() else {
        return Err(failure("the configuration has none of this name"));
    };
    if let Some((other, _)) = found.next() {
        let why = format!("there is one in the networks {network} and {other}");
        return Err(failure(&why).to_do("name the network, too: NETWORK/NAME"));
    }
    let link = match &spec.attachment {
        Attachment::Unixgram(path) => LinkSpec::Unixgram(path.clone()),
        Attachment::Stream(path) => LinkSpec::Stream(path.clone()),
        other => {
            let why = format!("nothing can be plugged into {other}");
            return Err(failure(&why).to_do("a unixgram: or stream: port can be probed"));
        }
    };
    let mac = spec.mac.map(|mac| MacAddress(mac.0));
    Ok(Target { name: format!("{network}/{}", spec.name), link, mac })
}

#[cfg(test)]
mod tests {
    use vswitchd::access::Access;
    use vswitchd::config::Network;

    use super::*;

    fn network(name: &str, ports: &[&str]) -> Network {
        Network {
            name: name.into(),
            uplink: "none".parse().unwrap(),
            ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
            access: Access { owner: None, group: None, mode: 0o660 },
        }
    }

    #[test]
    fn four_ways_to_say_a_port() {
        let parse = |text: &str| text.parse::<PortWord>().unwrap();
        assert!(matches!(parse("vm1=unixgram:/a,mac=52:54:00:00:00:01"), PortWord::Wanted(_)));
        assert!(matches!(parse("unixgram:/a=b"), PortWord::Link(LinkSpec::Unixgram(_))));
        assert!(matches!(parse("fd:3"), PortWord::Link(LinkSpec::Fd(3))));
        assert_eq!(parse("vm1"), PortWord::Named { network: None, port: "vm1".into() });
        let network = Some("lan".to_owned());
        assert_eq!(parse("lan/vm1"), PortWord::Named { network, port: "vm1".into() });
        for wrong in ["", "/vm1", "a/b/c", "tcp:1", "vm1=banana", "a b"] {
            assert!(wrong.parse::<PortWord>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_found_in_the_configuration() {
        let wanted: Configuration = vec![
            network("lan", &["vm1=unixgram:/a,mac=52:54:00:00:00:01", "vm2=stream:/b"]),
            network("lab", &["vm1=unixgram:/c", "tap=tap:tap0"]),
        ]
        .into();
        let target = |text: &str| text.parse::<PortWord>().unwrap().target(Some(&wanted));
        let found = target("lan/vm1").unwrap().unwrap();
        assert_eq!(
            (found.name.as_str(), &found.link),
            ("lan/vm1", &LinkSpec::Unixgram("/a".into()))
        );
        assert_eq!(found.mac.unwrap().to_string(), "52:54:00:00:00:01");
        let found = target("vm2").unwrap().unwrap();
        assert_eq!((found.link, found.mac), (LinkSpec::Stream("/b".into()), None));
        assert_eq!(target("x=fd:3").unwrap(), None);
        for (text, why) in [
            ("vm1", "networks lan and lab"),
            ("vm9", "none of this name"),
            ("tap", "nothing can be plugged into tap:tap0"),
        ] {
            let failure = target(text).unwrap_err().to_string();
            assert!(failure.contains(why), "{failure}");
        }
        let word: PortWord = "vm2".parse().unwrap();
        assert!(word.target(None).unwrap_err().to_string().contains("give --config"));
    }
}
