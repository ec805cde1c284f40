//! The table of what each macOS can do, against the contract's words.

use std::collections::BTreeSet;

use xnu_sim::{Capabilities, MacOs};

/// One row: the contract's word, and what 12, 13, 14.0, 14.4 and 15 have.
macro_rules! rows {
    ($($field:ident, $source:literal: [$($value:expr),*];)*) => {
        /// Each row of the table says what the contract says.
        #[test]
        fn every_row_is_the_contracts() {
            $(
                let expected = [$($value),*];
                let found = MacOs::ALL.map(|version| version.capabilities().$field);
                assert_eq!(found, expected, "{}: {}", stringify!($field), $source);
            )*
        }

        const CHECKED: &[&str] = &[$(stringify!($field)),*];
    };
}

rows! {
    bpf_buffer_bytes_max, "§5: up to 12 debug.bpf_maxbufsize, 512 KiB; since 13 32 MiB":
        [524_288, 33_554_432, 33_554_432, 33_554_432, 33_554_432];
    bpf_writes_by_mtu, "§5, §2 of the corrections: MTU+18 from 14.0, 2,048 before":
        [false, false, true, true, true];
    bpf_batch_write, "§1b: since 14.1": [false, false, false, true, true];
    bpf_direction, "§1b: since 14.0": [false, false, true, true, true];
    bpf_header_compression, "§1b: since 13": [false, true, true, true, true];
    bpf_extended_header_bytes, "§2: 64 in 15": [60, 60, 60, 60, 64];
    bpf_no_timestamp, "§1b: since 15.0": [false, false, false, false, true];
    bpf_drop_input, "§1b: since 15.0": [false, false, false, false, true];
    socket_buffers_clamp, "§7: since 14.4": [false, false, false, true, true];
    dgram_write_event_sees_peer, "§7: up to 12 it looks at its own buffer":
        [false, true, true, true, true];
    dgram_reader_wakes_writer, "§7, M25: since 15.0": [false, false, false, false, true];
    messages_max, "C23: 100 in 12 and 13, 256 from 14.0": [100, 100, 256, 256, 256];
    messages_are_strict, "§7: old kernels (up to 13)": [true, true, false, false, false];
    sendmsg_x_batches, "C23, C24: from 14.0": [false, false, true, true, true];
    sendmsg_x_counts_lost, "externalize_user_msghdr_array of xnu-8020":
        [true, false, false, false, false];
    sendmsg_x_counts_unsent, "sendit_x of xnu-10063 and later":
        [false, false, false, true, true];
    bridge_early_input, "C1: rewritten in 15.0": [false, false, false, false, true];
    bridge_uses_virtio, "§3: 15.4": [false, false, false, false, true];
    feth_tso, "§4: 13+": [false, true, true, true, true];
    feth_lro, "§4: 14+": [false, false, true, true, true];
    feth_vlan_tagging, "§4: 15+": [false, false, false, false, true];
    feth_taps_see_trailer, "C27: since 15": [false, false, false, false, true];
    link_events_are_shifted, "interface_link_event before xnu-11417 (15.4)":
        [true, true, true, true, false];
}

/// No row of the table is left unchecked.
#[test]
fn no_row_is_forgotten() {
    let shown = format!("{:#?}", Capabilities { ..MacOs::V15.capabilities() });
    let lines = shown.lines().filter_map(|line| line.strip_prefix("    "));
    let fields: BTreeSet<&str> = lines.filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(fields, CHECKED.iter().copied().collect(), "add what is missing to the rows above");
}

/// Versions are written as people write them, and read so.
#[test]
fn versions_have_names() {
    let names: Vec<String> = MacOs::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["12", "13", "14.0", "14.4", "15"]);
    for version in MacOs::ALL {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    let error = "11".parse::<MacOs>().expect_err("not modelled");
    assert_eq!(error.to_string(), "macOS \"11\" is not modelled: 12, 13, 14.0, 14.4 and 15 are");
    assert!(MacOs::ALL.is_sorted());
}
