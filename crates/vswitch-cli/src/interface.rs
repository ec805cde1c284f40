//! `vswitch if`: this machine's interfaces, shown and changed.

use std::process::ExitCode;

use clap::Subcommand;
use ifctl::{Interface, Interfaces, Kind, PairOptions};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{print_json, print_text, table};

/// Show and change network interfaces.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  vswitch if list")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print as JSON what there is, or what was done
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List all interfaces, or those named
    #[command(after_help = "Example:\n  vswitch if list --json | jq -r '.[].name'")]
    List {
        /// Only these
        #[arg(value_name = "IF")]
        names: Vec<String>,
    },
    /// Make and destroy pairs: what one end sends, the other receives
    #[command(subcommand, after_help = CREATE_PAIR)]
    Pair(Pair),
    /// Destroy an interface made by software; of a pair, both ends
    #[command(after_help = DESTROY)]
    Destroy {
        #[arg(value_name = "IF")]
        name: String,
    },
    /// Switch an interface on
    #[command(after_help = UP)]
    Up {
        #[arg(value_name = "IF")]
        name: String,
    },
    /// Switch an interface off
    #[command(after_help = DOWN)]
    Down {
        #[arg(value_name = "IF")]
        name: String,
    },
    /// Set an interface's MTU
    #[command(after_help = MTU)]
    Mtu {
        #[arg(value_name = "IF")]
        name: String,
        /// Largest packet, without the Ethernet header
        #[arg(value_name = "BYTES")]
        mtu: u32,
    },
}

#[derive(Subcommand, Debug)]
enum Pair {
    /// Make two interfaces that are each other's other end; both are down
    #[command(after_help = CREATE_PAIR)]
    Create {
        a: String,
        b: String,
        /// Largest packet of both ends, without the Ethernet header
        #[arg(long, value_name = "BYTES")]
        mtu: Option<u32>,
    },
    /// Destroy a pair, named by either end
    #[command(after_help = DESTROY_PAIR)]
    Destroy {
        #[arg(value_name = "IF")]
        name: String,
    },
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut interfaces = Interfaces::open().map_err(failed)?;
    let interfaces = &mut interfaces;
    let (value, text) = match arguments.command {
        Command::List { names } => list(interfaces, &names)?,
        Command::Pair(Pair::Create { a, b, mtu }) => {
            create_pair(interfaces, &a, &b, PairOptions { mtu, ..PairOptions::default() })?
        }
        Command::Pair(Pair::Destroy { name }) => destroy_pair(interfaces, &name)?,
        Command::Destroy { name } => {
            let found = interfaces.find(&name).map_err(failed)?;
            destroy(interfaces, &found)?
        }
        Command::Up { name } => set_up(interfaces, &name, true)?,
        Command::Down { name } => set_up(interfaces, &name, false)?,
        Command::Mtu { name, mtu } => set_mtu(interfaces, &name, mtu)?,
    };
    print(arguments.json, &value, &text)
}

/// What a failed call is on the command line.
pub(crate) fn failed(error: ifctl::Error) -> Failure {
    let failure = Failure::new(error.call().to_string(), error.why());
    match error.to_do() {
        Some(to_do) => failure.to_do(to_do),
        None => failure,
    }
}

/// Prints one of the two, and says that all went well.
pub(crate) fn print(json: bool, value: &Value, text: &str) -> Result<ExitCode, Failure> {
    if json { print_json(value) } else { print_text(text) }?;
    Ok(ExitCode::SUCCESS)
}

/// Text that others chose, without what a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}

fn list(interfaces: &mut Interfaces, names: &[String]) -> Result<(Value, String), Failure> {
    let found = if names.is_empty() {
        interfaces.list().map_err(failed)?
    } else {
        let found: Result<_, _> = names.iter().map(|name| interfaces.find(name)).collect();
        found.map_err(failed)?
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    Ok((found.iter().map(interface_json).collect(), table(&COLUMNS, &rows)))
}

fn create_pair(
    interfaces: &mut Interfaces,
    a: &str,
    b: &str,
    options: PairOptions,
) -> Result<(Value, String), Failure> {
    interfaces.create_pair(a, b, options).map_err(failed)?;
    let ends = [interfaces.find(a).map_err(failed)?, interfaces.find(b).map_err(failed)?];
    let [kind, mtu] = [ends[0].kind.to_string(), ends[0].mtu.to_string()];
    let text = format!("created {} pair {}/{}, MTU {mtu}\n", shown(&kind), shown(a), shown(b));
    let ends: Vec<Value> = ends.iter().map(interface_json).collect();
    Ok((json!({ "did": "create", "interfaces": ends }), text))
}

fn destroy_pair(interfaces: &mut Interfaces, name: &str) -> Result<(Value, String), Failure> {
    let found = interfaces.find(name).map_err(failed)?;
    if found.kind != END_OF_A_PAIR {
        let what = format!("destroy pair {}", shown(name));
        let kind = found.kind.to_string();
        let why = format!("it is no {END_OF_A_PAIR} end, its kind is {}", shown(&kind));
        let to_do = "`vswitch if destroy` destroys any kind";
        return Err(Failure::new(what, why).to_do(to_do));
    }
    destroy(interfaces, &found)
}

fn destroy(interfaces: &mut Interfaces, found: &Interface) -> Result<(Value, String), Failure> {
    let mut names = vec![found.name.clone()];
    if found.peer_index.is_some() {
        let all = interfaces.list().map_err(failed)?;
        let peer = all.into_iter().find(|other| Some(other.index) == found.peer_index);
        names.extend(peer.map(|peer| peer.name));
    }
    interfaces.destroy(&found.name).map_err(failed)?;
    let text = names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(" and ");
    Ok((json!({ "did": "destroy", "names": names }), format!("destroyed {text}\n")))
}

fn set_up(interfaces: &mut Interfaces, name: &str, up: bool) -> Result<(Value, String), Failure> {
    interfaces.set_up(name, up).map_err(failed)?;
    let found = interfaces.find(name).map_err(failed)?;
    let did = if up { "up" } else { "down" };
    let text = format!("{} is set {did}, its state is {}\n", shown(name), found.state);
    Ok((json!({ "did": did, "interface": interface_json(&found) }), text))
}

fn set_mtu(interfaces: &mut Interfaces, name: &str, mtu: u32) -> Result<(Value, String), Failure> {
    interfaces.set_mtu(name, mtu).map_err(failed)?;
    let found = interfaces.find(name).map_err(failed)?;
    let text = format!("{} has MTU {}\n", shown(name), found.mtu);
    Ok((json!({ "did": "mtu", "interface": interface_json(&found) }), text))
}

fn interface_json(interface: &Interface) -> Value {
    let flags: Vec<&str> = interface.flags.iter_names().map(|(name, _)| name).collect();
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    json!({
        "index": interface.index,
        "name": interface.name,
        "kind": interface.kind.to_string(),
        "state": interface.state.to_string(),
        "up": interface.is_up(),
        "mtu": interface.mtu,
        "mac": interface.mac.map(mac_text),
        "addresses": addresses,
        "master": interface.master,
        "peer_index": interface.peer_index,
        "flags": flags,
    })
}

fn row(interface: &Interface) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    vec![
        interface.index.to_string(),
        shown(&interface.name),
        shown(&interface.kind.to_string()),
        if interface.is_up() { "up" } else { "down" }.into(),
        interface.state.to_string(),
        interface.mtu.to_string(),
        or_dash(interface.mac.map(mac_text)),
        or_dash(interface.master.as_deref().map(shown)),
        addresses.join(" "),
    ]
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

const IS_MAC: bool = cfg!(target_os = "macos");
const END_OF_A_PAIR: Kind = if IS_MAC { Kind::Feth } else { Kind::Veth };

/// One of two examples: on a Mac, a name tells the kind.
macro_rules! example {
    ($elsewhere:literal, $mac:literal) => {
        if IS_MAC {
            concat!("Example:\n  vswitch if ", $mac)
        } else {
            concat!("Example:\n  vswitch if ", $elsewhere)
        }
    };
}

const CREATE_PAIR: &str =
    example!("pair create left right --mtu 9000", "pair create feth20 feth21 --mtu 9000");
const DESTROY_PAIR: &str = example!("pair destroy left", "pair destroy feth20");
const DESTROY: &str = example!("destroy vsw0", "destroy feth20");
const UP: &str = example!("up br0", "up bridge7");
const DOWN: &str = example!("down br0", "down bridge7");
const MTU: &str = example!("mtu br0 9000", "mtu bridge7 9000");

const COLUMNS: [&str; 9] =
    ["INDEX", "NAME", "KIND", "SET", "STATE", "MTU", "MAC", "MASTER", "ADDRESSES"];
