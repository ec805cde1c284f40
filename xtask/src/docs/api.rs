//! The page of the control API, out of its OpenAPI description.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// The page.
pub(super) fn page(description: &Value) -> Result<String> {
    let object = |at: &str| {
        let found = description.pointer(at).and_then(Value::as_object);
        found.ok_or_else(|| Failure::new("write the page of the API", format!("no {at}")))
    };
    let mut page = HEAD.to_owned();
    for (path, operations) in object("/paths")? {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            page += &of_operation(path, method, operation);
        }
    }
    page += "\n# What is said\n";
    for (name, schema) in object("/components/schemas")? {
        page += &of_schema(name, schema);
    }
    Ok(page)
}

const HEAD: &str = "\
# The control API

Made out of the code by `cargo xtask docs`; do not edit. The same for programs:
[openapi.json](openapi.json), which a running switch tells at `/v1/openapi.json`. HTTP/1.1 and JSON
over the unix socket of `vswitch run --control PATH`: `curl --unix-socket PATH http://vswitch/v1/ports`.
Whatever is not GET, and a capture, takes the right to change
([who has it](operate.md#who-may-do-what)). Descriptors pass by the socket beside it
([attach](attach.md#any-program-at-a-running-switch)).

# What there is to ask
";

fn of_operation(path: &str, method: &str, operation: &Value) -> String {
    let words = |of: &Value, at: &str| of[at].as_str().unwrap_or_default().trim().to_owned();
    let mut text =
        format!("\n## `{} {path}`\n\n{}", method.to_uppercase(), words(operation, "summary"));
    text += ".\n";
    let description = words(operation, "description");
    if !description.is_empty() {
        let _ = write!(text, "\n{description}\n");
    }
    text.push('\n');
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (words(parameter, "name"), words(parameter, "in"));
        let about = words(parameter, "description").trim_end_matches('.').to_owned();
        let _ = writeln!(text, "- `{name}` in the {place}: {about}");
    }
    let body = &operation["requestBody"];
    if body.is_object() {
        let _ = writeln!(text, "- body: {}", of_content(body));
    }
    let mut refusals = Vec::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = of_content(response);
        if content == link("ErrorReply") {
            let about = words(response, "description");
            let about = if about.is_empty() { String::new() } else { format!(" ({about})") };
            refusals.push(format!("{status}{about}"));
            continue;
        }
        let about = match (content.is_empty(), words(response, "description")) {
            (true, about) => about,
            (false, _) => content,
        };
        let _ = writeln!(text, "- answer {status}: {about}");
    }
    if !refusals.is_empty() {
        let _ = writeln!(text, "- refused with {}: {}", link("ErrorReply"), refusals.join(", "));
    }
    text
}

/// What a body is, with its kind where that is not JSON.
fn of_content(of: &Value) -> String {
    let one = |(kind, content): (&String, &Value)| {
        let schema = &content["schema"];
        let name = if schema.is_object() { of_type(schema) } else { "bytes".to_owned() };
        if kind == "application/json" { name } else { format!("{name} as `{kind}`") }
    };
    let content: Vec<String> = of["content"].as_object().into_iter().flatten().map(one).collect();
    content.join(" or ")
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

/// A type in words.
fn of_type(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return link(name.rsplit('/').next().unwrap_or(name));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[key].as_array() {
            let is_null = |choice: &&Value| choice["type"] != "null";
            let choices: Vec<String> = choices.iter().filter(is_null).map(of_type).collect();
            return choices.join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(" or ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    let names = names.into_iter().filter(|name| *name != "null");
    let name = |name: &str| match name {
        "array" => format!("list of {}", of_type(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of names and {}", of_type(&schema["additionalProperties"]))
        }
        _ => name.to_owned(),
    };
    names.map(name).collect::<Vec<_>>().join(" or ")
}

fn of_schema(name: &str, schema: &Value) -> String {
    let about = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    let mut text = format!("\n## {name}\n\n{about}\n");
    if schema["enum"].is_array() {
        let _ = write!(text, "\nOne of {}.\n", of_type(schema));
    }
    let mut rows = String::new();
    add_fields(&mut rows, schema);
    if !rows.is_empty() {
        let _ = write!(text, "\n| field | type | what it is |\n|---|---|---|\n{rows}");
    }
    let choices: String = schema["oneOf"].as_array().into_iter().flatten().map(of_choice).collect();
    if !choices.is_empty() {
        let _ = writeln!(text, "\n{}", choices.trim_start());
    }
    text
}

/// The fields of an object, those of what it has in itself included.
fn add_fields(rows: &mut String, schema: &Value) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        add_fields(rows, part);
        if part["$ref"].is_string() {
            let _ = writeln!(rows, "| … | {} | with its fields |", of_type(part));
        }
    }
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|of| of == name));
    for (name, field) in fields(schema) {
        let about = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let may = if is_required(name) { "" } else { ", or left out" };
        let _ = writeln!(rows, "| `{name}` | {}{may} | {about} |", of_type(field));
    }
}

fn fields(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flat_map(Map::iter)
}

/// One of several forms, an event say: its name and its fields on one line.
fn of_choice(choice: &Value) -> String {
    let about = choice["description"].as_str().unwrap_or_default().replace('\n', " ");
    let mut parts = vec![choice];
    parts.extend(choice["allOf"].as_array().into_iter().flatten());
    let mut name = String::new();
    let mut told = Vec::new();
    for part in parts {
        told.extend(part["$ref"].is_string().then(|| format!("the fields of {}", of_type(part))));
        for (field, schema) in fields(part) {
            match schema["enum"].as_array().map(Vec::as_slice) {
                Some([Value::String(word)]) => name.clone_from(word),
                _ => told.push(format!("`{field}`")),
            }
        }
    }
    let about = if about.is_empty() { String::new() } else { format!(" {about}") };
    let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
    format!("\n- `{name}`{told}{about}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_described_is_on_the_page() {
        let description = serde_json::to_value(vswitchd::api::openapi()).expect("JSON");
        let page = page(&description).expect("a page");
        for (path, operations) in description["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                let head = format!("\n## `{} {path}`\n", method.to_uppercase());
                assert_eq!(page.matches(&head).count(), 1, "{head}");
            }
        }
        for (name, schema) in description["components"]["schemas"].as_object().expect("schemas") {
            assert!(page.contains(&format!("\n## {name}\n")), "{name}");
            for (field, _) in fields(schema) {
                assert!(page.contains(&format!("| `{field}` |")), "{name}.{field}");
            }
        }
        for event in ["`port_ended` (`network`, `port`, `why`)", "`ending`"] {
            assert!(page.contains(event), "{event} in {page}");
        }
    }
}
