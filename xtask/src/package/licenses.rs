//! Whose libraries are in the program, and under which licenses: what most of these ask to be told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::names_in;
use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

/// The package that is the program.
const PROGRAM: &str = "vswitch-cli";

/// How the names of files with a license begin.
const FILES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// The list of them, then each text once, with the libraries that it came with.
pub(super) fn of_program(workspace: &Workspace) -> Result<String> {
    let host = workspace.host_target()?;
    let mut cargo = workspace.cargo(&["metadata", "--locked", "--format-version", "1"]);
    let told = tools::output_of(cargo.args(["--filter-platform", &host]))?;
    let what = "find the libraries in the program";
    let metadata: Value =
        serde_json::from_slice(&told).map_err(|error| Failure::new(what, error))?;
    let libraries = libraries(&metadata)
        .filter(|libraries| !libraries.is_empty())
        .ok_or_else(|| Failure::new(what, "cargo tells of none"))?;
    let mut list = String::from("Libraries in vswitch that others wrote, with their licenses.\n\n");
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for library in &libraries {
        list.push_str(&format!("{}  {}\n", library.name, library.license));
        for text in library.texts()? {
            texts.entry(text).or_default().push(&library.name);
        }
    }
    for (text, names) in texts {
        list.push_str(&format!("\n{}\n\n{}\n", names.join(", "), text.trim()));
    }
    Ok(list)
}

/// A library of the program.
#[derive(Debug, PartialEq, Eq)]
struct Library {
    /// With its version: `libc 0.2.1`.
    name: String,
    /// As its manifest has it.
    license: String,
    manifest: String,
}

impl Library {
    /// The texts of licenses that came with it.
    fn texts(&self) -> Result<Vec<String>> {
        let directory = Path::new(&self.manifest).parent().unwrap_or(Path::new("/"));
        let is_one = |name: &String| {
            let name = name.to_uppercase();
            FILES.iter().any(|begin| name.starts_with(begin))
        };
        let files =
            names_in(directory)?.into_iter().filter(is_one).map(|name| directory.join(name));
        let texts = files.filter(|file| file.is_file()).map(|file| {
            fs::read_to_string(&file)
                .map_err(|error| Failure::new(format!("read {}", file.display()), error))
        });
        texts.collect()
    }
}

/// The libraries of others that the program is linked of, or made by at compile time; by their
/// names.
fn libraries(metadata: &Value) -> Option<Vec<Library>> {
    let packages: HashMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: HashMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let program = packages.iter().find(|(_, package)| package["name"] == PROGRAM)?;
    let mut found = BTreeSet::from([*program.0]);
    let mut left = vec![*program.0];
    while let Some(id) = left.pop() {
        for used in nodes.get(id)?["deps"].as_array()? {
            // Not what is used by tests alone, or to build.
            let is_linked = used["dep_kinds"].as_array()?.iter().any(|kind| kind["kind"].is_null());
            let used = used["pkg"].as_str()?;
            if is_linked && found.insert(used) {
                left.push(used);
            }
        }
    }
    let others =
        found.iter().filter_map(|id| packages.get(id)).filter(|of| !of["source"].is_null());
    let library = |package: &&Value| {
        let text = |field: &str| Some(package[field].as_str()?.to_owned());
        Some(Library {
            name: format!("{} {}", text("name")?, text("version")?),
            license: text("license").unwrap_or_else(|| "see below".to_owned()),
            manifest: text("manifest_path")?,
        })
    };
    let mut libraries: Vec<_> = others.map(library).collect::<Option<_>>()?;
    libraries.sort_by(|a, b| a.name.cmp(&b.name));
    Some(libraries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_linked_is_told_and_what_tests_use_is_not() {
        let package = |name: &str, source: Value| {
            json!({"id": name, "name": name, "version": "1.0", "license": "MIT",
                   "manifest_path": format!("/r/{name}/Cargo.toml"), "source": source})
        };
        let used = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let of_program = [used("ours", Value::Null), used("tested-with", json!("dev"))];
        let metadata = json!({
            "packages": [
                package(PROGRAM, Value::Null), package("ours", Value::Null),
                package("b", json!("registry")), package("a", json!("registry")),
                package("tested-with", json!("registry")), package("unused", json!("registry")),
            ],
            "resolve": {"nodes": [
                {"id": PROGRAM, "deps": of_program},
                {"id": "ours", "deps": [used("b", Value::Null)]},
                {"id": "b", "deps": [used("a", Value::Null), used("unused", json!("build"))]},
                {"id": "a", "deps": []},
            ]},
        });
        let names: Vec<_> =
            libraries(&metadata).unwrap().into_iter().map(|library| library.name).collect();
        assert_eq!(names, ["a 1.0", "b 1.0"]);
        assert_eq!(libraries(&json!({})), None);
    }
}
