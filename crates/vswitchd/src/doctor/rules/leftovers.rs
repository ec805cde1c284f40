//! What dead switches left.

use crate::doctor::Finding;
use crate::doctor::facts::Links;

/// Tells of interfaces whose switch is dead.
#[must_use]
pub fn leftovers(links: &Links) -> Vec<Finding> {
    const ID: &str = "leftover";
    let made = || links.all.iter().filter_map(|link| Some((link, link.made_by.as_ref()?)));
    let left: Vec<Finding> = made()
        .filter(|(_, maker)| !maker.is_alive)
        .map(|(link, maker)| {
            let found =
                format!("was made for {} by process {}, which is dead", maker.label, maker.pid);
            Finding::warning(ID, link.name.clone(), found)
                .figure("pid", maker.pid.into())
                .why(
                    "a switch that is killed cannot take away what it made; the next one with a \
                     bridge uplink does",
                )
                .to_do("take it away now; what belongs to a living switch is not touched")
                .command(&["sudo", "vswitch", "clean"])
        })
        .collect();
    if !left.is_empty() {
        return left;
    }
    let living = made().count();
    let found = match living {
        0 => "no interface was left by a dead switch".to_owned(),
        _ => format!("no interface was left by a dead switch ({living} belong to living ones)"),
    };
    vec![Finding::ok(ID, "interfaces", found)]
}
