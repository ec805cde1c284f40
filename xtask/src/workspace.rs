//! Where the workspace is, what is in it, and how cargo is called on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::tools;

/// The workspace, as `cargo metadata` tells it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// The oldest Rust that builds it, such as `1.95`.
    pub(crate) rust_version: Option<String>,
    /// The packages of the workspace, in cargo's order.
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its manifest, relative to the workspace's root.
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// The root files of its library and its programs, relative to the workspace's root.
    pub(crate) roots: Vec<PathBuf>,
    /// It has a library, and so perhaps doc examples.
    pub(crate) has_library: bool,
}

/// A line under one of a manifest's dependency tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Under `[dev-dependencies]`.
    pub(crate) dev: bool,
    /// A package of this workspace.
    pub(crate) internal: bool,
}

impl Workspace {
    /// The target that is this machine, as Rust calls it.
    pub(crate) fn host_target(&self) -> Result<String> {
        let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(program);
        rustc.arg("-vV").current_dir(&self.root);
        let told = String::from_utf8_lossy(&tools::output_of(&mut rustc)?).into_owned();
        let host = told.lines().find_map(|line| line.strip_prefix("host: "));
        host.map(str::to_owned).ok_or_else(|| Failure::new("ask rustc for its host", told))
    }

    /// Asks cargo about the workspace that the current directory belongs to.
    pub(crate) fn load() -> Result<Self> {
        let what = "read the workspace's metadata";
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Failure::new(what, error))?;
        if !output.status.success() {
            return Err(Failure::new(what, output.status));
        }
        let metadata =
            serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(what, error))?;
        Self::from_metadata(&metadata).ok_or_else(|| Failure::new(what, "a field is missing"))
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        Some(Self {
            target: PathBuf::from(metadata["target_directory"].as_str()?),
            rust_version: packages
                .iter()
                .find_map(|package| package["rust_version"].as_str())
                .map(str::to_owned),
            packages: packages.iter().map(|p| Package::read(p, &root)).collect::<Option<_>>()?,
            root,
        })
    }

    /// A call of cargo in the workspace's root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo_program());
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// A directory of ours under cargo's, made if it is not there.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| Failure::new(format!("make {}", path.display()), error))?;
        Ok(path)
    }

    /// Builds the program `name` of `package` (cargo's progress is shown) and says where it lies.
    pub(crate) fn build_program(
        &self,
        package: &str,
        name: &str,
        release: bool,
    ) -> Result<PathBuf> {
        let what = format!("build {name}");
        let mut cargo = self.cargo(&["build", "--package", package, "--bin", name]);
        cargo.args(["--message-format", "json-render-diagnostics"]);
        cargo.args(release.then_some("--release"));
        let output =
            cargo.stderr(Stdio::inherit()).output().map_err(|error| Failure::new(&what, error))?;
        if !output.status.success() {
            return Err(Failure::new(&what, output.status));
        }
        let mut built = executables(&String::from_utf8_lossy(&output.stdout)).into_iter();
        let program = built.find_map(|(of, program)| (of == name).then_some(program));
        program.ok_or_else(|| Failure::new(&what, "cargo did not say where the program is"))
    }
}

impl Package {
    fn read(package: &Value, root: &Path) -> Option<Self> {
        let relative = |path: &Value| {
            let path = Path::new(path.as_str()?);
            Some(path.strip_prefix(root).unwrap_or(path).to_owned())
        };
        let is = |target: &Value, kind: &str| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == kind))
        };
        let targets = package["targets"].as_array()?;
        let dependencies = package["dependencies"].as_array()?;
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            manifest: relative(&package["manifest_path"])?,
            dependencies: dependencies.iter().map(Dependency::read).collect::<Option<_>>()?,
            roots: targets
                .iter()
                .filter(|target| is(target, "lib") || is(target, "bin"))
                .map(|target| relative(&target["src_path"]))
                .collect::<Option<_>>()?,
            has_library: targets.iter().any(|target| is(target, "lib")),
        })
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Option<Self> {
        Some(Self {
            name: dependency["name"].as_str()?.to_owned(),
            dev: dependency["kind"] == "dev",
            internal: dependency["source"].is_null(),
        })
    }
}

/// All programs among the messages of `cargo build --message-format json`, and where they lie.
pub(crate) fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message["target"]["name"].as_str()?;
        Some((name.to_owned(), PathBuf::from(message["executable"].as_str()?)))
    };
    messages.lines().filter_map(executable).collect()
}

/// The cargo that called us, so that the toolchain stays the same.
fn cargo_program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_packages_dependencies_and_roots() {
        let metadata = json!({
            "workspace_root": "/w", "target_directory": "/t",
            "packages": [{
                "name": "a", "manifest_path": "/w/crates/a/Cargo.toml", "rust_version": "1.95",
                "dependencies": [
                    {"name": "b", "kind": null, "source": null},
                    {"name": "c", "kind": "dev", "source": "registry+x"},
                ],
                "targets": [
                    {"kind": ["lib"], "src_path": "/w/crates/a/src/lib.rs"},
                    {"kind": ["test"], "src_path": "/w/crates/a/tests/t.rs"},
                ],
            }],
        });
        let workspace = Workspace::from_metadata(&metadata).unwrap();
        assert_eq!(workspace.target, Path::new("/t"));
        assert_eq!(workspace.rust_version.as_deref(), Some("1.95"));
        let dependency =
            |name: &str, dev, internal| Dependency { name: name.into(), dev, internal };
        let expected = Package {
            name: "a".into(),
            manifest: "crates/a/Cargo.toml".into(),
            dependencies: vec![dependency("b", false, true), dependency("c", true, false)],
            roots: vec!["crates/a/src/lib.rs".into()],
            has_library: true,
        };
        assert_eq!(workspace.packages, [expected]);
        assert!(Workspace::from_metadata(&json!({"workspace_root": "/w"})).is_none());
    }

    #[test]
    fn this_machine_has_a_name() {
        let host = Workspace::load().unwrap().host_target().unwrap();
        assert!(host.starts_with(std::env::consts::ARCH) && host.contains('-'), "{host}");
    }

    #[test]
    fn programs_are_found_and_not_the_library_of_the_same_name() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"v"},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"v"},"executable":"/t/debug/v"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"w"},"executable":"/t/debug/w"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let program = |name: &str| (name.to_owned(), PathBuf::from("/t/debug").join(name));
        assert_eq!(executables(messages), [program("v"), program("w")]);
    }
}
