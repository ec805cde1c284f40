//! What is answered is what the OpenAPI description says.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vswitchd::api::client::{Client, ClientError};
use vswitchd::config::Configuration;

use crate::common::controlled::Controlled;
use crate::common::network;

/// The description, and which of its answers were seen.
struct Description {
    text: Value,
    seen: BTreeSet<(String, String)>,
}

impl Description {
    fn of(client: &Client) -> Self {
        Self { text: client.get("/v1/openapi.json").expect("a description"), seen: BTreeSet::new() }
    }

    /// Whether the description has an operation with such an answer.
    fn check(&mut self, method: &str, template: &str, status: u16, answer: &Value) {
        let method = method.to_lowercase();
        self.seen.insert((template.to_owned(), method.clone()));
        let operation = &self.text["paths"][template][&method];
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{method} {template} {status} is not described: {answer}");
        let Some(content) = described["content"].as_object() else {
            assert!(answer.is_null(), "{method} {template} {status}: {answer}");
            return;
        };
        let schema = content.values().next().expect("a kind of content")["schema"].clone();
        let mut root = json!({ "components": self.text["components"] });
        root.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
        let validator = jsonschema::draft202012::new(&root).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(answer).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{method} {template}: {answer}: {errors:?}");
    }

    fn operations(&self) -> BTreeSet<(String, String)> {
        let paths = self.text["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, of)| {
                let methods = of.as_object().expect("operations").keys();
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect()
    }
}

/// Asks, and checks the answer; `at` has the template's words.
fn ask(
    description: &mut Description,
    client: &Client,
    (method, template): (&str, &str),
    words: &[(&str, &str)],
    query: &str,
    body: Value,
) -> (u16, Value) {
    let mut path = template.to_owned();
    for (name, word) in words {
        path = path.replace(&format!("{{{name}}}"), word);
    }
    let asked = client.change_told::<Value>(method, &(path + query), &body);
    let (status, answer) = match asked {
        Ok(told) => told,
        Err(ClientError::Refused { status, what }) => (status, json!({ "error": what })),
        Err(other) => panic!("{method} {template}: {other}"),
    };
    description.check(method, template, status, &answer);
    (status, answer)
}

/// What is answered with something else than JSON.
fn streams(d: &mut Description, client: &Client) {
    let get = "GET";
    let mut pieces = client.stream("/v1/events").expect("events");
    let first = pieces.next().expect("a line").expect("a piece");
    let record = serde_json::from_slice(&first).expect("one record");
    d.check(get, "/v1/events", 200, &record);

    let capture = "/v1/capture";
    let mut pieces = client.stream("/v1/capture?network=test&seconds=1").expect("a capture");
    let first = pieces.next().expect("a piece").expect("a piece");
    assert_eq!(first[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a section of pcapng begins");
    assert!(pieces.all(|piece| piece.is_ok()), "it ends well");
    let nobody = "?network=nobody";
    assert_eq!(ask(d, client, (get, capture), &[], nobody, json!(null)).0, 404);
    assert_eq!(ask(d, client, (get, capture), &[], "?filter=x", json!(null)).0, 400);
    assert_eq!(ask(d, client, (get, capture), &[], "?ring_bytes=1", json!(null)).0, 400);
    let page = client.get_bytes("/metrics").expect("a page");
    let page = String::from_utf8(page).expect("text");
    let is_there = |line: &str| line.starts_with("vswitch_port_received_frames_total{");
    assert!(page.lines().any(is_there), "{page}");
    d.seen.insert(("/metrics".to_owned(), "get".to_owned()));
}

fn again(dir: &std::path::Path) -> Configuration {
    network(dir, &["p0=unixgram:DIR/p0", "p7=stream:DIR/p7"]).into()
}

#[test]
fn every_operation_answers_as_it_is_described() {
    let of = Controlled::start_with(1, &["p0=unixgram:DIR/p0"], "0660", Some(again));
    let client = &of.client;
    let mut described = Description::of(client);
    let d = &mut described;
    let net = [("network", "test")];
    let lost = [("network", "nobody")];
    let port = [("network", "test"), ("port", "vm")];
    let at = of.path("vm.sock");
    let add = json!({ "name": "vm", "attach": format!("unixgram:{}", at.display()),
                      "mac": "52:54:00:00:00:07" });
    let (get, put, post, delete) = ("GET", "PUT", "POST", "DELETE");
    let ports = "/v1/networks/{network}/ports";
    let one = "/v1/networks/{network}/ports/{port}";
    let link = "/v1/networks/{network}/ports/{port}/link";
    let uplink = "/v1/networks/{network}/uplink";
    let fdb = "/v1/networks/{network}/fdb";

    assert_eq!(ask(d, client, (get, "/v1/status"), &[], "", json!(null)).0, 200);
    assert_eq!(ask(d, client, (get, "/v1/networks"), &[], "", json!(null)).0, 200);
    assert_eq!(ask(d, client, (get, "/v1/networks/{network}"), &net, "", json!(null)).0, 200);
    assert_eq!(ask(d, client, (get, "/v1/networks/{network}"), &lost, "", json!(null)).0, 404);

    assert_eq!(ask(d, client, (post, ports), &net, "", add.clone()).0, 201);
    assert_eq!(ask(d, client, (post, ports), &net, "", add.clone()).0, 409);
    assert_eq!(ask(d, client, (post, ports), &lost, "", add.clone()).0, 404);
    let fd = json!({ "name": "x", "attach": "fd:3" });
    assert_eq!(ask(d, client, (post, ports), &net, "", fd).0, 400);
    let unknown = json!({ "name": "x", "attach": "stream:/x", "colour": "blue" });
    assert_eq!(ask(d, client, (post, ports), &net, "", unknown).0, 400);
    let nowhere = json!({ "name": "x", "attach": "stream:/no/such/directory" });
    assert_eq!(ask(d, client, (post, ports), &net, "", nowhere).0, 500);

    let (status, all) = ask(d, client, (get, "/v1/ports"), &[], "?network=test", json!(null));
    assert_eq!(status, 200);
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert_eq!(ask(d, client, (get, "/v1/ports"), &[], "?network=nobody", json!(null)).0, 404);
    let (_, vm) = ask(d, client, (get, one), &port, "", json!(null));
    assert_eq!((&vm["origin"], &vm["mac"]), (&json!("control"), &json!("52:54:00:00:00:07")));
    let (_, page) = ask(d, client, (get, fdb), &net, "?limit=5", json!(null));
    assert_eq!(page["addresses"][0]["mac"], json!("52:54:00:00:00:07"));
    assert_eq!(ask(d, client, (get, fdb), &net, "?after=x", json!(null)).0, 400);

    assert_eq!(ask(d, client, (put, link), &port, "", json!({ "is_up": false })).0, 204);
    assert_eq!(ask(d, client, (get, one), &port, "", json!(null)).1["is_link_up"], json!(false));
    assert_eq!(ask(d, client, (put, link), &port, "", json!({ "up": 1 })).0, 400);
    let (status, why) = ask(d, client, (put, uplink), &net, "", json!({ "uplink": "iface:nope0" }));
    assert_eq!(status, 500, "{why}");
    assert_eq!(ask(d, client, (put, uplink), &net, "", json!({ "uplink": "none" })).0, 200);
    assert_eq!(ask(d, client, (put, uplink), &net, "", json!({ "uplink": "tunnel:x" })).0, 400);

    assert_eq!(ask(d, client, (get, "/v1/stats"), &[], "", json!(null)).0, 200);
    let (status, applied) = ask(d, client, (post, "/v1/reload"), &[], "", json!(null));
    assert_eq!((status, &applied["added"]), (200, &json!(["test/p7"])));
    assert_eq!(applied["removed"], json!([]), "what a client added stays");
    let (_, vm) = ask(d, client, (get, one), &port, "", json!(null));
    assert_eq!(vm["origin"], json!("control"));
    assert_eq!(ask(d, client, (delete, one), &port, "", json!(null)).0, 204);
    assert_eq!(ask(d, client, (delete, one), &port, "", json!(null)).0, 404);

    streams(d, client);

    assert_eq!(described.operations(), described.seen, "each operation was asked for");
}

#[test]
fn what_is_no_request_is_refused_in_json() {
    let of = Controlled::start(1, &["p0=unixgram:DIR/p0"]);
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1/networks/", 404),
        ("GET", "/v1/ports?colour=blue", 400),
        ("PATCH", "/v1/ports", 405),
        ("POST", "/v1/reload", 409),
        ("GET", "/v1/networks/%00/fdb", 404),
        ("GET", "/v1/networks/test/fdb?limit=-1", 400),
    ] {
        match of.client.change::<Value>(method, path, &json!(null)) {
            Err(ClientError::Refused { status: told, what }) => {
                assert_eq!(told, status, "{method} {path}: {what}");
            }
            other => panic!("{method} {path}: {other:?}"),
        }
    }
    let long = json!({ "name": "x".repeat(100_000), "attach": "" });
    let refused = of.client.change::<Value>("POST", "/v1/networks/test/ports", &long);
    assert!(matches!(refused, Err(ClientError::Refused { status: 400, .. })), "{refused:?}");
}
