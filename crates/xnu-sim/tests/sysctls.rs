//! `sysctlbyname`: contract §3, §4, §5, §7, C23.

mod support;

use support::{machine, u32_at};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::{Errno, Kernel};

fn get(kernel: &SimKernel, name: &str) -> support::Result<u32> {
    let name = std::ffi::CString::new(name).unwrap();
    let mut value = [0; 4];
    let len = kernel.sysctlbyname(&name, &mut value, None)?;
    assert_eq!(len, 4);
    Ok(u32_at(&value, 0))
}

fn set(kernel: &SimKernel, name: &str, value: u32) -> support::Result<()> {
    let name = std::ffi::CString::new(name).unwrap();
    kernel.sysctlbyname(&name, &mut [], Some(&value.to_le_bytes())).map(drop)
}

/// §4 `net.link.fake.*`: what feth is made of unless somebody changed it.
#[test]
fn feth_has_its_defaults() {
    for version in MacOs::ALL {
        let (kernel, _) = machine(version);
        for (name, value) in [
            ("txstart", 1),
            ("hwcsum", 0),
            ("nxattach", 0),
            ("bsd_mode", 1),
            ("wmm_mode", 0),
            ("multibuflet", 0),
            ("pktpool_mode", 0),
            ("link_layer_aggregation_factor", 96),
            ("tx_headroom", 32),
            ("fcs", 0),
            ("trailer_length", 0),
            ("max_mtu", 2048),
            ("buflet_size", 512),
            ("user_access", 0),
            ("if_adv_intvl", 0),
            ("tx_drops", 0),
            ("llink_cnt", 0),
            ("qset_cnt", 4),
        ] {
            let name = format!("net.link.fake.{name}");
            assert_eq!(get(&kernel, &name), Ok(value), "{version:?} {name}");
        }
    }
}

/// §4: `tso_support` since 13, `lro` since 14, `vlan_tagging` and `separate_frame_header` since 15.
#[test]
fn later_rows_of_feth_come_with_their_versions() {
    for version in MacOs::ALL {
        let (kernel, _) = machine(version);
        for (name, since, value) in [
            ("tso_support", MacOs::V13, 0),
            ("tso_buf_size", MacOs::V13, 16_384),
            ("switch_mode_frequency", MacOs::V13, 10),
            ("lro", MacOs::V14_0, 0),
            ("expiration_threshold", MacOs::V14_0, 500),
            ("tx_exp_policy", MacOs::V14_0, 0),
            ("vlan_tagging", MacOs::V15, 1),
            ("separate_frame_header", MacOs::V15, 0),
        ] {
            let expected = if version >= since { Ok(value) } else { Err(Errno::ENOENT) };
            let name = format!("net.link.fake.{name}");
            assert_eq!(get(&kernel, &name), expected, "{version:?} {name}");
        }
    }
}

/// §3 `net.link.bridge.*`.
#[test]
fn bridges_have_their_defaults() {
    for version in MacOs::ALL {
        let (kernel, _) = machine(version);
        for (name, value) in [
            ("inherit_mac", 0),
            ("txstart", 0),
            ("rtable_prune_period", 300),
            ("rtable_hash_size_max", 2048),
        ] {
            let name = format!("net.link.bridge.{name}");
            assert_eq!(get(&kernel, &name), Ok(value), "{version:?} {name}");
        }
        for name in ["enable_early_input", "output_skip_filters", "allow_lro_num_seg"] {
            let expected = if version == MacOs::V15 { Ok(1) } else { Err(Errno::ENOENT) };
            let name = format!("net.link.bridge.{name}");
            assert_eq!(get(&kernel, &name), expected, "{version:?} {name}");
        }
    }
}

/// §5, §7, C23: what BPF and sockets go by.
#[test]
fn bpf_and_sockets_have_their_limits() {
    for version in MacOs::ALL {
        let (kernel, _) = machine(version);
        let messages = if version >= MacOs::V14_0 { 256 } else { 100 };
        for (name, value) in [
            ("debug.bpf_bufsize", 4096),
            ("debug.bpf_maxbufsize", 512 << 10),
            ("debug.bpf_maxdevices", 256),
            ("kern.ipc.maxsockbuf", 8 << 20),
            ("kern.ipc.maxrecvmsgx", messages),
            ("kern.ipc.maxsendmsgx", messages),
            ("net.local.dgram.maxdgram", 2048),
            ("net.local.dgram.recvspace", 4096),
        ] {
            assert_eq!(get(&kernel, name), Ok(value), "{version:?} {name}");
        }
        let cap = if version >= MacOs::V13 { Ok(32 << 20) } else { Err(Errno::ENOENT) };
        assert_eq!(get(&kernel, "debug.bpf_bufsize_cap"), cap, "{version:?}");
        let mode = if version >= MacOs::V14_0 { Ok(0) } else { Err(Errno::ENOENT) };
        assert_eq!(get(&kernel, "kern.ipc.sendmsg_x_mode"), mode, "{version:?}");
        let devices = set(&kernel, "debug.bpf_maxdevices", 512);
        let expected = if version >= MacOs::V13 { Err(Errno::EPERM) } else { Ok(()) };
        assert_eq!(devices, expected, "{version:?}: read-only since 13");
    }
}

/// §4, §7 ranges: what is out of them is refused, and what was there stays.
#[test]
fn values_out_of_range_are_refused() {
    let (kernel, _) = machine(MacOs::V15);
    for (name, good, bad) in [
        ("net.link.fake.max_mtu", &[1500, 16_370, 2048][..], &[1499, 16_371][..]),
        ("net.link.fake.buflet_size", &[1024, 512], &[256, 513, 2048, 65_536]),
        ("net.link.fake.tso_buf_size", &[512, 32_768], &[256, 65_536, 1000]),
        ("net.link.fake.tx_headroom", &[0, 8, 32], &[1, 40]),
        ("net.link.fake.trailer_length", &[28, 0], &[29]),
        ("net.link.fake.link_layer_aggregation_factor", &[1, 512], &[0, 513]),
        ("net.link.fake.user_access", &[1, 0], &[2]),
        ("net.link.fake.if_adv_intvl", &[10, 0], &[9, 0x8000_0000]),
        ("net.link.fake.tx_exp_policy", &[3, 0], &[4]),
        ("net.link.fake.tx_completion_mode", &[1, 0], &[2]),
        ("net.link.fake.llink_cnt", &[16, 0], &[17]),
        ("net.link.fake.qset_cnt", &[16, 1], &[0, 17]),
    ] {
        for value in good {
            assert_eq!(set(&kernel, name, *value), Ok(()), "{name} = {value}");
            assert_eq!(get(&kernel, name), Ok(*value));
        }
        for value in bad {
            assert_eq!(set(&kernel, name, *value), Err(Errno::EINVAL), "{name} = {value}");
            assert_eq!(get(&kernel, name), Ok(*good.last().unwrap()));
        }
    }
}

/// §7 `kern.ipc.maxsockbuf`: out of range is `ERANGE`.
#[test]
fn socket_buffers_are_limited_within_a_range() {
    let (kernel, _) = machine(MacOs::V15);
    let name = "kern.ipc.maxsockbuf";
    assert_eq!(set(&kernel, name, (8 << 20) + 1), Err(Errno::ERANGE));
    assert_eq!(set(&kernel, name, 18_432), Err(Errno::ERANGE));
    assert_eq!(set(&kernel, name, 1 << 20), Ok(()));
    assert_eq!(get(&kernel, name), Ok(1 << 20));
}

/// §4: everybody reads, root writes, some rows nobody; a row that is not there is `ENOENT`.
#[test]
fn only_root_writes() {
    let (kernel, _) = machine(MacOs::V15);
    let user = kernel.spawn(false);
    assert_eq!(get(&user, "net.link.fake.txstart"), Ok(1));
    assert_eq!(set(&user, "net.link.fake.txstart", 0), Err(Errno::EPERM));
    assert_eq!(set(&kernel, "debug.bpf_bufsize_cap", 1), Err(Errno::EPERM));
    assert_eq!(get(&kernel, "net.link.fake.nonsense"), Err(Errno::ENOENT));
    let short = kernel.sysctlbyname(c"net.link.fake.txstart", &mut [], Some(&[0]));
    assert_eq!(short, Err(Errno::EINVAL));
    assert_eq!(get(&kernel, "net.link.fake.txstart"), Ok(1));
}
