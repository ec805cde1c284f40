//! `vswitch bridge`: this machine's bridges and their members.

use std::process::ExitCode;

use clap::Subcommand;
use ifctl::{Interfaces, Kind, Member, Membership};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::interface::{failed, print, shown};
use crate::output::table;

/// Make bridges, and choose their members.
#[derive(clap::Args, Debug)]
#[command(after_help = BRIDGE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print as JSON what there is, or what was done
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a bridge; it is down and empty
    #[command(after_help = CREATE)]
    Create { bridge: String },
    /// Destroy a bridge; its members stay
    #[command(after_help = DESTROY)]
    Destroy { bridge: String },
    /// List a bridge's members and what their ports do
    #[command(after_help = MEMBERS)]
    Members { bridge: String },
    /// Make an interface a member; one that is a member already is left where it is, and told
    #[command(after_help = ADD)]
    Add(Join),
    /// Take a member out
    #[command(after_help = REMOVE)]
    Remove(Join),
    /// Make an interface a member unless it is one of this bridge already
    #[command(after_help = ENSURE)]
    Ensure(Join),
}

#[derive(clap::Args, Debug)]
struct Join {
    bridge: String,
    #[arg(value_name = "IF")]
    member: String,
}

impl Join {
    fn json(&self, did: &str, changed: bool) -> Value {
        let Self { bridge, member } = self;
        json!({ "did": did, "changed": changed, "bridge": bridge, "member": member })
    }

    fn text(&self, did: &str, to: &str) -> String {
        format!("{did} {} {to} bridge {}\n", shown(&self.member), shown(&self.bridge))
    }
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut interfaces = Interfaces::open().map_err(failed)?;
    let interfaces = &mut interfaces;
    let (value, text) = match arguments.command {
        Command::Create { bridge } => {
            interfaces.create_bridge(&bridge).map_err(failed)?;
            let text = format!("created bridge {}\n", shown(&bridge));
            (json!({ "did": "create", "bridge": bridge }), text)
        }
        Command::Destroy { bridge } => destroy(interfaces, &bridge)?,
        Command::Members { bridge } => members(interfaces, &bridge)?,
        Command::Add(join) => {
            interfaces.add_member(&join.bridge, &join.member).map_err(failed)?;
            (join.json("add", true), join.text("added", "to"))
        }
        Command::Remove(join) => {
            interfaces.remove_member(&join.bridge, &join.member).map_err(failed)?;
            (join.json("remove", true), join.text("removed", "from"))
        }
        Command::Ensure(join) => {
            match interfaces.ensure_member(&join.bridge, &join.member).map_err(failed)? {
                Membership::Added => (join.json("ensure", true), join.text("added", "to")),
                Membership::AlreadyMember => {
                    let (member, bridge) = (shown(&join.member), shown(&join.bridge));
                    let text = format!("{member} is a member of bridge {bridge} already\n");
                    (join.json("ensure", false), text)
                }
            }
        }
    };
    print(arguments.json, &value, &text)
}

fn destroy(interfaces: &mut Interfaces, bridge: &str) -> Result<(Value, String), Failure> {
    let found = interfaces.find(bridge).map_err(failed)?;
    if found.kind != Kind::Bridge {
        let what = format!("destroy bridge {}", shown(bridge));
        let why = format!("it is no bridge, its kind is {}", shown(&found.kind.to_string()));
        let to_do = "`vswitch if destroy` destroys any kind";
        return Err(Failure::new(what, why).to_do(to_do));
    }
    interfaces.destroy(bridge).map_err(failed)?;
    let text = format!("destroyed bridge {}\n", shown(bridge));
    Ok((json!({ "did": "destroy", "bridge": bridge }), text))
}

fn members(interfaces: &mut Interfaces, bridge: &str) -> Result<(Value, String), Failure> {
    let members = interfaces.members(bridge).map_err(failed)?;
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    Ok((members.iter().map(member_json).collect(), table(&COLUMNS, &rows)))
}

fn member_json(member: &Member) -> Value {
    json!({
        "index": member.index,
        "name": member.name,
        "state": member.state.to_string(),
        "port": member.port_no,
        "path_cost": member.path_cost,
        "priority": member.priority,
        "learning": member.learning,
        "flooding": member.flooding,
        "isolated": member.isolated,
    })
}

fn row(member: &Member) -> Vec<String> {
    let on_off = |is_on: bool| if is_on { "on" } else { "off" }.to_owned();
    vec![
        member.port_no.to_string(),
        shown(&member.name),
        member.state.to_string(),
        member.path_cost.to_string(),
        member.priority.to_string(),
        on_off(member.learning),
        on_off(member.flooding),
        on_off(member.isolated),
    ]
}

/// One of two examples: on a Mac, a bridge is named `bridge` and a number, and a card `en`.
macro_rules! example {
    ($elsewhere:literal, $mac:literal) => {
        if cfg!(target_os = "macos") {
            concat!("Example:\n  vswitch bridge ", $mac)
        } else {
            concat!("Example:\n  vswitch bridge ", $elsewhere)
        }
    };
}

const BRIDGE: &str = example!(
    "create br0 && vswitch bridge add br0 eth1",
    "create bridge7 && vswitch bridge add bridge7 en1"
);
const CREATE: &str =
    example!("create br0 && vswitch if up br0", "create bridge7 && vswitch if up bridge7");
const DESTROY: &str = example!("destroy br0", "destroy bridge7");
const MEMBERS: &str = example!("members br0 --json", "members bridge7 --json");
const ADD: &str = example!("add br0 eth1", "add bridge7 en1");
const REMOVE: &str = example!("remove br0 eth1", "remove bridge7 en1");
const ENSURE: &str = example!("ensure br0 eth1", "ensure bridge7 en1");

const COLUMNS: [&str; 8] =
    ["PORT", "NAME", "STATE", "COST", "PRIORITY", "LEARNING", "FLOODING", "ISOLATED"];
