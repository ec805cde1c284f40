//! The layer table of docs/architecture.md, against what the manifests say.

use super::Finding;
use crate::workspace::Package;

/// Which crates of this workspace a crate may depend on; a crate that is not here is a finding.
///
/// `docs/architecture.md` shows the same table for people; the edges point downwards only.
const LAYERS: &[(&str, &[&str])] = &[
    ("xnu-sys", &[]),
    ("xnu-sim", &["xnu-sys"]),
    ("ifctl", &["xnu-sys"]),
    ("bpf", &["xnu-sys"]),
    ("ndrv", &["xnu-sys"]),
    ("afpacket", &[]),
    ("vswitch", &["xnu-sys", "ifctl", "bpf", "ndrv", "afpacket"]),
    ("vswitchd", &["vswitch", "ifctl", "xnu-sys"]),
    ("probe", &[]),
    ("xnu-lab", &["vswitchd", "vswitch", "ifctl", "bpf", "ndrv", "probe", "xnu-sim", "xnu-sys"]),
    ("vswitch-cli", &["vswitchd", "ifctl", "bpf", "probe"]),
    ("vswitch-bench", &[]),
    ("testkit", &[]),
    ("guard", &["vswitch", "bpf"]),
    (
        "xtask",
        &[
            "vswitchd", "vswitch", "ifctl", "bpf", "probe", "xnu-sys", "xnu-lab", "xnu-sim",
            "afpacket",
        ],
    ),
];

/// What any crate may use in its tests: the helpers, the guest without a VM, the simulated XNU.
const TESTS_MAY_USE: &[&str] = &["testkit", "probe", "xnu-sim"];

/// Every dependency between packages of the workspace that the table does not allow.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let name = package.name.as_str();
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        return vec![Finding::new(&package.manifest, format!("{name} is not in the layer table"))];
    };
    let internal = package.dependencies.iter().filter(|dependency| dependency.internal);
    let forbidden = internal.filter(|dependency| {
        let used = dependency.name.as_str();
        !(allowed.contains(&used) || dependency.dev && TESTS_MAY_USE.contains(&used))
    });
    let finding = |used: &str| {
        let message = format!("{name} may not depend on {used} (layer table, tidy/layers.rs)");
        Finding::new(&package.manifest, message)
    };
    forbidden.map(|dependency| finding(&dependency.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, used: &str, dev: bool, internal: bool) -> Package {
        Package {
            name: name.into(),
            manifest: "Cargo.toml".into(),
            dependencies: vec![Dependency { name: used.into(), dev, internal }],
            roots: vec![],
            has_library: true,
        }
    }

    #[test]
    fn an_edge_upwards_or_sideways_is_found() {
        assert_eq!(check(&[package("bpf", "ifctl", false, true)]).len(), 1);
        assert_eq!(check(&[package("ifctl", "vswitch", true, true)]).len(), 1);
        assert_eq!(check(&[package("vswitch", "testkit", false, true)]).len(), 1);
        assert_eq!(check(&[package("newcomer", "libc", false, false)]).len(), 1);
    }

    #[test]
    fn an_edge_of_the_table_is_fine() {
        assert_eq!(check(&[package("vswitch", "bpf", false, true)]), []);
        assert_eq!(check(&[package("vswitch", "testkit", true, true)]), []);
        assert_eq!(check(&[package("bpf", "libc", false, false)]), []);
    }

    #[test]
    fn the_table_points_downwards() {
        for (above, (name, uses)) in LAYERS.iter().enumerate() {
            for used in *uses {
                let below = LAYERS.iter().position(|(layer, _)| layer == used);
                assert!(below.is_some_and(|below| below < above), "{name} uses {used}");
            }
        }
    }
}
