//! Open vSwitch with its datapath in user space (`datapath_type=netdev`), on a database of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::wiring::{self, ADDRESSES, Wiring};
use super::{Hosts, Rig};
use crate::failure::{Failure, Result};
use crate::system::namespace::Namespace;
use crate::system::process::Process;
use crate::system::program;

/// The database's schema, where Debian's package has it.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

pub(super) fn start(wiring: &Wiring) -> Result<Rig> {
    let Wiring::Taps { mtu, offload } = *wiring else {
        return Err(Failure::new("wire Open vSwitch", "it has only interfaces of the kernel"));
    };
    let mut rig = Rig::empty()?;
    let host = Arc::new(Namespace::new()?);
    let (daemon, database) = start_daemons(rig.path(), &host)?;
    rig.process = Some(daemon);
    rig.others.push(database);
    let mut ends = Vec::new();
    for (name, address) in ["one", "two"].into_iter().zip(ADDRESSES) {
        host.run(&[
            format!("ip link add {name} type veth peer name {name}m"),
            format!("ip link set {name}m mtu {mtu} up"),
        ])?;
        if !offload {
            wiring::without_offload(&host, &format!("{name}m"))?;
        }
        let end = wiring::move_to_a_host(&host, name, address, mtu)?;
        if !offload {
            wiring::without_offload(&end, name)?;
        }
        ends.push(end);
    }
    let ask = format!("ovs-vsctl --timeout=10 --db=unix:{}/db", rig.path().display());
    host.run(&[
        format!("{ask} add-br br0 -- set bridge br0 datapath_type=netdev"),
        format!("{ask} add-port br0 onem -- add-port br0 twom"),
    ])?;
    if let [client, server] = &ends[..] {
        let (client, server) = (Arc::clone(client), Arc::clone(server));
        rig.hosts = Some(Hosts { client, server, server_address: ADDRESSES[1] });
    }
    rig.keep.push(host);
    Ok(rig)
}

/// The switch's process, and the database's.
fn start_daemons(directory: &Path, host: &Arc<Namespace>) -> Result<(Process, Process)> {
    let directory = directory.to_owned();
    host.inside(move || {
        let place = directory.display();
        let server = directory.join("db");
        program::run(&format!("ovsdb-tool create {place}/conf.db {SCHEMA}"))?;
        let own = |program: &str| {
            let program = program::find(program)
                .ok_or_else(|| Failure::new(format!("start {program}"), "not found"))?;
            let mut command = Command::new(program);
            command.env("OVS_RUNDIR", &directory).env("OVS_LOGDIR", &directory);
            Ok(command)
        };
        let mut command = own("ovsdb-server")?;
        command.arg(directory.join("conf.db"));
        command.arg(format!("--remote=punix:{}", server.display()));
        let database = Process::start(&mut command)?;
        for _ in 0..200 {
            if server.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let database_at = format!("unix:{}", server.display());
        let ask = format!("ovs-vsctl --timeout=10 --no-wait --db={database_at} init");
        program::run(&ask)?;
        let daemon = Process::start(own("ovs-vswitchd")?.arg(&database_at))?;
        Ok((daemon, database))
    })
}
