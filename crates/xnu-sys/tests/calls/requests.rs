//! Requests, driver commands, filters, options.

use std::ffi::CString;

use xnu_sys::bpf::{BIOCFLUSH, BIOCSBLEN, BIOCSETIF, bpf_insn};
use xnu_sys::if_bridgevar::{BRDGADD, BRDGGIFFLGS, ifbreq};
use xnu_sys::if_fake_var::{IF_FAKE_S_CMD_SET_PEER, if_fake_request};
use xnu_sys::net_if::ifreq;
use xnu_sys::sys_socket::{SO_SNDBUF, SOL_SOCKET};
use xnu_sys::{BpfDevice, Control, Descriptor, Errno, InterfaceName, SyscallError};

use crate::fake::{Fake, memory, u32_at, u64_at};

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

#[test]
fn a_request_carries_its_argument_there_and_back() {
    let fake = Fake::new(|request, argument| match request {
        0xc004_4266 => {
            assert_eq!(argument, 1_048_576_u32.to_ne_bytes());
            argument.copy_from_slice(&524_288_u32.to_ne_bytes());
            Ok(())
        }
        0x2000_4268 if argument.is_empty() => Ok(()),
        0x8020_426c if argument.starts_with(b"feth7\0") => Err(Errno::ENXIO),
        _ => Err(Errno::EINVAL),
    });
    let device = Descriptor::<_, BpfDevice>::new(fake, 3);
    let mut len = 1_048_576;
    device.request(BIOCSBLEN, &mut len).unwrap();
    assert_eq!(len, 524_288);
    device.request(BIOCFLUSH, &mut ()).unwrap();
    let error = device.request(BIOCSETIF, &mut ifreq::new(name("feth7"))).unwrap_err();
    assert_eq!(error, SyscallError { call: "BIOCSETIF", errno: Errno::ENXIO });
}

/// `ifdrv`: the interface, the command at 16, the argument's length at 24, its address at 32.
#[test]
fn a_driver_command_tells_its_argument_s_exact_length() {
    let fake = Fake::new(|request, spec| {
        assert_eq!((spec.len(), &spec[..16]), (40, b"bridge7\0\0\0\0\0\0\0\0\0".as_slice()));
        let (command, len) = (u64_at(spec, 16), usize::try_from(u64_at(spec, 24)).unwrap());
        let argument = memory(u64_at(spec, 32), len);
        match (request, command, len) {
            (0x8028_697b, 0, 80) => {
                assert!(argument.starts_with(b"en0\0"));
                Err(Errno::EEXIST)
            }
            (0xc028_697b, 2, 80) => {
                argument[16..20].copy_from_slice(&0x803_u32.to_ne_bytes());
                Ok(())
            }
            (0x8028_697b, 1, 160) => {
                assert!(argument[..32].iter().all(|byte| *byte == 0));
                assert!(argument[32..].starts_with(b"feth8\0"));
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    });
    let control = Descriptor::<_, Control>::new(fake, 3);
    let mut member = ifbreq::new(name("en0"));
    let error = control.driver_command(name("bridge7"), BRDGADD, &mut member).unwrap_err();
    assert_eq!(error, SyscallError { call: "BRDGADD", errno: Errno::EEXIST });
    control.driver_command(name("bridge7"), BRDGGIFFLGS, &mut member).unwrap();
    assert_eq!(member.ifbr_ifsflags, 0x803);
    let mut request = if_fake_request::default().with_peer(Some(name("feth8")));
    control.driver_command(name("bridge7"), IF_FAKE_S_CMD_SET_PEER, &mut request).unwrap();
}

#[test]
fn a_filter_goes_by_its_length_and_address() {
    let fake = Fake::new(|request, program| {
        let len = u32_at(program, 0) as usize;
        assert!([0x8010_4267, 0x8010_427e].contains(&request) && program.len() == 16);
        if len == 0 {
            return Ok(());
        }
        let instructions = memory(u64_at(program, 8), 8 * len);
        assert_eq!(&instructions[..4], &[0x28, 0, 1, 2]);
        assert_eq!(u32_at(instructions, 4), 12);
        if len == 2 { Ok(()) } else { Err(Errno::EINVAL) }
    });
    let device = Descriptor::<_, BpfDevice>::new(fake.clone(), 3);
    let instruction = bpf_insn { code: 0x28, jt: 1, jf: 2, k: 12 };
    device.set_filter(&[instruction; 2], true).unwrap();
    device.set_filter(&[instruction; 2], false).unwrap();
    device.set_filter(&[], false).unwrap();
    assert_eq!(fake.notes(), ["ioctl 0x80104267", "ioctl 0x8010427e", "ioctl 0x8010427e"]);
    let error = device.set_filter(&[instruction; 3], true).unwrap_err();
    assert_eq!(error, SyscallError { call: "BIOCSETF", errno: Errno::EINVAL });
}

#[test]
fn options_are_numbers_of_the_host_s_order() {
    let fake = Fake::new(|_, _| Err(Errno::EINVAL));
    let socket = Descriptor::control(fake.clone()).unwrap();
    assert_eq!(fake.notes(), ["socket 1 2 0", "fcntl 2 0x1", "fcntl 3 0x0", "fcntl 4 0x6"]);
    socket.set_option_u32(SOL_SOCKET, SO_SNDBUF, 1).unwrap();
    assert_eq!(socket.option_u32(SOL_SOCKET, SO_SNDBUF), Ok(4096));
    let bytes = 1_u32.to_ne_bytes();
    let set = format!("setsockopt 0xffff 0x1001 {bytes:?}");
    assert_eq!(fake.notes(), [set, "getsockopt 0xffff 0x1001 4".to_owned()]);
    let error = socket.set_option_u32(SOL_SOCKET, SO_SNDBUF, 8 << 20).unwrap_err();
    assert_eq!(error, SyscallError { call: "setsockopt", errno: Errno::ENOBUFS });
    assert_eq!(fake.notes().len(), 1);
    let control = Descriptor::control_of_ipv4(fake.clone()).unwrap();
    assert_eq!(fake.notes()[0], "socket 2 2 0");
    assert_eq!(format!("{control:?}"), "Control(8)");
}

#[test]
fn only_devices_of_bpf_are_opened_as_such() {
    let fake = Fake::new(|_, _| Err(Errno::EINVAL));
    let open = |path: &str| {
        let path = CString::new(path).unwrap();
        Descriptor::open_bpf(fake.clone(), &path).map_err(|error| error.errno)
    };
    for path in ["/dev/bpf", "/dev/bpf1/../tty", "/dev/tty1", "bpf1", "", "/dev/bpf-1"] {
        assert_eq!(open(path).unwrap_err(), Errno::EINVAL, "{path}");
    }
    assert_eq!(fake.notes(), [""; 0]);
    assert_eq!(open("/dev/bpf255").unwrap().number(), 7);
    assert_eq!(fake.notes(), ["open /dev/bpf255 0x1000006"]);
}

#[test]
fn a_read_that_finds_nothing_is_no_error() {
    let device = Descriptor::<_, BpfDevice>::new(Fake::new(|_, _| Ok(())), 3);
    assert_eq!(device.read(&mut [0; 2]), Ok(Some(1)));
    assert_eq!(device.read(&mut [0]), Ok(None));
    assert_eq!(device.read(&mut []), Err(Errno::EINVAL));
    assert_eq!(device.write(&[0; 60]), Ok(60));
}
