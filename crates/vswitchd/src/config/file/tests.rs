//! What is read, and what is told of what cannot be.

use proptest::prelude::*;

use super::*;

fn wrong(text: &str) -> (usize, String) {
    match parse(text, Path::new("/etc/vswitch.toml")) {
        Err(FileError::Wrong { line, what, .. }) => (line, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_is_read() {
    let read = parse(EXAMPLE, Path::new("/etc/vswitch/vswitch.toml")).unwrap();
    let [lan, lab] = &read.networks[..] else { panic!("{read:?}") };
    assert_eq!((lan.name.as_str(), lab.name.as_str()), ("lan", "lab"));
    assert_eq!(lan.uplink.to_string(), "bridge:br0,create");
    assert_eq!(lab.uplink, UplinkSpec::None);
    let shown: Vec<String> = lan
        .ports
        .iter()
        .map(|port| format!("{}={},{:?}", port.name, port.attachment, port.mac))
        .collect();
    assert_eq!(
        shown,
        [
            "vm1=unixgram:/etc/vswitch/vm1.sock,Some(52:54:00:00:00:01)",
            "vm2=stream:/etc/vswitch/vm2.sock,None"
        ]
    );
    assert_eq!(lan.access.mode, 0o660);
}

/// All options of the example are there; those that say who somebody is are comments.
#[test]
fn the_examples_comments_are_read_too() {
    let all = EXAMPLE
        .replace("# owner = \"alice\"", "owner = \"0\"")
        .replace("# group = \"kvm\"", "group = \"0\"");
    let access = parse(&all, Path::new("x.toml")).unwrap().networks[0].access;
    assert_eq!(access.owner.map(nix::unistd::Uid::as_raw), Some(0));
    assert_eq!(access.group.map(nix::unistd::Gid::as_raw), Some(0));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let cases = [
        ("[[network]]\nname = \"a\"\nuplnk = \"none\"\n", 3, "unknown field `uplnk`"),
        (
            "[[network]]\nname = \"a\"\n[[network.port]]\nname = \"x\"\n",
            3,
            "missing field `attach`",
        ),
        ("[[network]]\nname = 7\n", 2, "expected a string"),
        ("[[network]]\nname = \"a\nb\"\n", 3, ""),
        ("[[network]]\nname = \"a\"\nuplink = \"brigde:br0\"\n", 3, "no kind \"brigde\""),
        ("[[network]]\nname = \"a b\"\n", 2, "\"a b\" is no name"),
        ("", 1, "expected at least one [[network]]"),
        ("[sockets]\nmode = \"0999\"\n[[network]]\nname = \"a\"\n", 2, "\"0999\" is no mode"),
        ("[sockets]\nowner = \"nobody at all\"\n[[network]]\nname = \"a\"\n", 2, "no user"),
        ("[[network]]\nname = \"a\"\n\n[[network]]\nname = \"a\"\n", 5, "two networks named a"),
        (
            "[[network]]\nname = \"a\"\nport = [\n {name = \"x\", attach = \"fd:3\"},\n \
             {name = \"y\", attach = \"unixgrm:/a\"},\n]\n",
            5,
            "no kind \"unixgrm\"; unixgram:PATH",
        ),
        (
            "[[network]]\nname = \"a\"\nport = [\n {name = \"x\", attach = \"fd:3\",\n  \
             mac = \"ff:ff:ff:ff:ff:ff\"}]\n",
            5,
            "no station's address",
        ),
    ];
    for (text, line, what) in cases {
        let (at, told) = wrong(text);
        assert_eq!(at, line, "{text}\n{told}");
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn a_file_and_its_line_are_told_and_a_huge_one_is_not_read() {
    let dir = testkit::scratch_dir();
    let path = dir.path().join("a.toml");
    std::fs::write(&path, "[[network]]\nname = \"a\"\nx = 1\n").unwrap();
    let told = read(&path).unwrap_err().to_string();
    assert!(told.starts_with(&format!("{}:3:1: unknown field", path.display())), "{told}");
    std::fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    let told = read(&path).unwrap_err().to_string();
    assert!(told.contains("are the most"), "{told}");
    let told = read(&dir.path().join("none")).unwrap_err().to_string();
    assert!(told.contains("none: No such file"), "{told}");
}

proptest! {
    #[test]
    fn arbitrary_text_is_survived(text in ".{0,200}") {
        let _ = parse(&text, Path::new("x"));
    }

    /// Near to the real thing, too.
    #[test]
    fn a_damaged_example_is_survived(
        at in 0..EXAMPLE.len(),
        with in any::<char>(),
        len in 0_usize..40,
    ) {
        let mut text: String = EXAMPLE.chars().take(at).collect();
        text.push(with);
        text.extend(EXAMPLE.chars().skip(at + len));
        let _ = parse(&text, Path::new("x"));
    }

    /// Where something stands is told in lines and columns of the text.
    #[test]
    fn positions_are_lines_and_columns(text in "[a-zé\n]{0,60}", at in 0_usize..70) {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let (line, column) = position(&text, at);
        let line_text = text.split('\n').nth(line - 1).unwrap();
        prop_assert!(column <= line_text.chars().count() + 1);
        let before: usize = text.split('\n').take(line - 1).map(|line| line.len() + 1).sum();
        let prefix: usize = line_text.chars().take(column - 1).map(char::len_utf8).sum();
        prop_assert_eq!(before + prefix, at);
    }
}
