//! What every manifest has, and that each dependency has its line of reason.

use std::path::Path;

use super::{Finding, SourceFile};
use crate::workspace::Package;

/// Where the reasons stand: one line for each crate that is not ours, its name in backquotes.
const REASONS: &str = "docs/dependencies.md";

/// The only place that packages come from, as Cargo.lock writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Manifests of the workspace's packages that do not inherit its lints.
pub(super) fn check_lints(packages: &[Package], files: &[SourceFile]) -> Vec<Finding> {
    let is_ours = |path: &Path| packages.iter().any(|package| package.manifest == path);
    let manifests = files.iter().filter(|file| is_ours(&file.path));
    let inherits = |file: &SourceFile| {
        table(&file.text, "lints").is_some_and(|mut lines| {
            lines.any(|line| line.replace(' ', "").starts_with("workspace=true"))
        })
    };
    manifests
        .filter(|file| !inherits(file))
        .map(|file| Finding::new(&file.path, "lacks `[lints]` with `workspace = true`"))
        .collect()
}

/// Dependencies that `docs/dependencies.md` does not name: those of the packages, and those of the
/// workspace's table that no package uses (yet).
pub(super) fn check_reasons(
    packages: &[Package],
    root_manifest: &str,
    reasons: Option<&str>,
) -> Vec<Finding> {
    let Some(reasons) = reasons else {
        return vec![Finding::new(Path::new(REASONS), "is not there")];
    };
    let used = packages.iter().flat_map(|package| &package.dependencies);
    let used = used.filter(|dependency| !dependency.internal).map(|d| d.name.as_str());
    let offered = table(root_manifest, "workspace.dependencies").into_iter().flatten();
    let offered = offered.filter(|line| !line.contains("path =")).filter_map(|line| {
        let (name, _) = line.split_once('=')?;
        Some(name.trim())
    });
    let mut names: Vec<&str> = used.chain(offered).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !reasons.contains(&format!("`{name}`")));
    let finding = |name| Finding::new(Path::new(REASONS), format!("has no line for `{name}`"));
    names.into_iter().map(finding).collect()
}

/// Packages in Cargo.lock that come from anywhere but crates.io.
pub(super) fn check_lock(lock: &str) -> Vec<Finding> {
    let sources = lock.lines().zip(1..).filter(|(line, _)| line.starts_with("source = "));
    sources
        .filter(|(line, _)| !line.contains(REGISTRY))
        .map(|(line, number)| Finding::at(Path::new("Cargo.lock"), number, line))
        .collect()
}

/// The lines of the TOML table `name`, without comments and blank lines.
fn table<'a>(manifest: &'a str, name: &str) -> Option<impl Iterator<Item = &'a str>> {
    let head = format!("[{name}]");
    let mut lines = manifest.lines();
    lines.find(|line| line.trim() == head)?;
    let inside = lines.take_while(|line| !line.starts_with('['));
    Some(inside.filter(|line| !line.is_empty() && !line.starts_with('#')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(dependencies: Vec<Dependency>) -> [Package; 1] {
        [Package {
            name: "a".into(),
            manifest: "Cargo.toml".into(),
            dependencies,
            roots: vec![],
            has_library: true,
        }]
    }

    #[test]
    fn a_package_without_the_lints_is_found() {
        let found = |path: &str, text: &str| {
            let file = SourceFile { path: path.into(), text: text.into() };
            check_lints(&package(vec![]), &[file]).len()
        };
        assert_eq!(found("Cargo.toml", "[package]\nname = \"a\"\n"), 1);
        let other = "[package]\n[lints]\n[dependencies]\nworkspace = true\n";
        assert_eq!(found("Cargo.toml", other), 1);
        assert_eq!(found("Cargo.toml", "[package]\n[lints]\nworkspace = true\n"), 0);
        assert_eq!(found("elsewhere/Cargo.toml", "[package]\n"), 0);
    }

    #[test]
    fn a_dependency_without_its_reason_is_found() {
        let used = Dependency { name: "used".into(), dev: true, internal: false };
        let ours = Dependency { name: "ours".into(), dev: false, internal: true };
        let root =
            "[workspace.dependencies]\n# x\nours = { path = \"o\" }\noffered = \"1\"\n\n[x]\n";
        let packages = package(vec![used, ours]);
        assert_eq!(check_reasons(&packages, root, Some("")).len(), 2);
        assert_eq!(check_reasons(&packages, root, Some("`used` ..")).len(), 1);
        assert_eq!(check_reasons(&packages, root, Some("`used` .. `offered`")), []);
        assert_eq!(check_reasons(&packages, root, None).len(), 1);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let lock = format!("source = \"{REGISTRY}\"\nsource = \"git+https://example.org/x\"\n");
        assert_eq!(check_lock(&lock)[0].line, Some(2));
    }
}
