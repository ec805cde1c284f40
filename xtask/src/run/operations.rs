//! A switch that is changed while it runs: two networks, four virtual machines of
//! three kinds, and a flow between two unrelated ports that must not notice.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::checks::Checks;
use super::network::{A, B, C, D, HOST, Station};
use super::process::Process;
use super::setting::Setting;
use super::steady::Steady;
use super::switch::Switch;
use super::virtual_machine::{Attachment, VirtualMachine};
use crate::failure::{Failure, Result};
use crate::guest_image::GuestImage;
use crate::tools;

/// Runs every check and prints the table.
pub(super) fn run(setting: &Setting, image: &GuestImage) -> Result<()> {
    let mut checks = Checks::begin("vswitch, changed while four Linux guests under QEMU use it");
    if setting.host.is_none() {
        checks.leave_out("everything", "there is no network of its own to make a bridge in");
        return checks.end();
    }
    Scenario { setting, image }.run(&mut checks)?;
    checks.end()
}

#[derive(Debug, Clone, Copy)]
struct Scenario<'a> {
    setting: &'a Setting,
    image: &'a GuestImage,
}

/// Pings of one check.
const PINGS: u32 = 3;

/// How long something that is lost may take to be there again.
const REPAIRED_MAX: Duration = Duration::from_secs(10);

/// How many ports are added and removed.
const HOT_PORTS: usize = 50;

/// Two guests in each network, by datagrams, by a stream and by a descriptor.
struct Guests {
    a: VirtualMachine,
    b: VirtualMachine,
    c: VirtualMachine,
    d: VirtualMachine,
}

impl Scenario<'_> {
    fn run(self, checks: &mut Checks) -> Result<()> {
        let before = self.setting.interfaces()?;
        checks.section("Start");
        self.write_configuration(false)?;
        let start = || Switch::configured(&self.setting.program, &self.configuration());
        let Some(switch) = checks
            .attempt("the switch is ready", || start().map(|switch| ("two networks", switch)))
        else {
            return Ok(());
        };
        let Some(mut guests) = checks.attempt("four guests have booted", || self.boot()) else {
            return Ok(());
        };
        let begin = || {
            let ports = [self.setting.socket("x"), self.setting.socket("y")];
            let ports = [ports[0].as_path(), ports[1].as_path()];
            let steady = Steady::start(self.setting.directory.path(), ports)?;
            Ok((format!("{} frames/s, half of what goes", steady.rate), steady))
        };
        let Some(steady) = checks.attempt("numbered datagrams run", begin) else { return Ok(()) };

        checks.section("Everybody reaches who is in the same network, and nobody else");
        self.ping_everyone(checks, &mut guests);
        checks.section("Changes");
        checks.check("ports are added and removed", || self.hot_ports());
        checks.check("a link is taken down and up", || self.link(&mut guests));
        checks.check("the configuration is read again", || self.reload());
        checks.check("metrics are scraped over TCP", scrape);
        checks.check("a capture is read by tshark", || self.capture(&mut guests));
        checks.section("The bridge under it is destroyed, and restored");
        checks.check("a ↔ host again", || self.destroy_the_bridge(&mut guests));
        checks.section("Afterwards");
        self.ping_everyone(checks, &mut guests);
        checks.check("no datagram was lost", || no_loss(steady));
        checks.check("the guests power off", || guests.power_off());
        let stop = || switch.stop().map(|_| "");
        checks.check("the switch stops at SIGTERM", stop);
        checks.check("nothing is left", || self.nothing_is_left(&before));
        Ok(())
    }

    fn configuration(self) -> PathBuf {
        self.setting.directory.path().join("vswitch.toml")
    }

    /// Two networks; with one port more, if `has_more`.
    fn write_configuration(self, has_more: bool) -> Result<()> {
        let more = "[[network.port]]\nname = \"more\"\nattach = \"stream:more.sock\"\n";
        let text = format!(
            "[control]\nsocket = \"control.sock\"\n\n[metrics]\nlisten = \"{METRICS}\"\n\n\
             [[network]]\nname = \"lan\"\nuplink = \"{}\"\n\
             [[network.port]]\nname = \"a\"\nattach = \"unixgram:a.sock\"\n\n\
             [[network]]\nname = \"lab\"\n\
             [[network.port]]\nname = \"b\"\nattach = \"stream:b.sock\"\n\
             [[network.port]]\nname = \"d\"\nattach = \"unixgram:d.sock\"\n\
             [[network.port]]\nname = \"x\"\nattach = \"unixgram:x.sock\"\n\
             [[network.port]]\nname = \"y\"\nattach = \"unixgram:y.sock\"\n{}",
            self.setting.uplink(),
            if has_more { more } else { "" }
        );
        std::fs::write(self.configuration(), text)
            .map_err(|error| Failure::new("write the configuration", error))
    }

    /// `vswitch` as a person calls it.
    fn vswitch(self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.setting.program);
        command.args(words).env("VSWITCH_CONTROL", self.setting.directory.path().join(CONTROL));
        command
    }

    /// What it answers.
    fn ask(self, words: &[&str]) -> Result<String> {
        let shown = format!("vswitch {}", words.join(" "));
        let output = self.vswitch(words).output();
        let output: Output = output.map_err(|error| Failure::new(&shown, error))?;
        if !output.status.success() {
            return Err(Failure::new(shown, String::from_utf8_lossy(&output.stderr).trim()));
        }
        String::from_utf8(output.stdout).map_err(|error| Failure::new(shown, error))
    }

    fn ask_json(self, words: &[&str]) -> Result<Value> {
        let text = self.ask(words)?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("vswitch {}", words.join(" ")), error))
    }

    fn boot(self) -> Result<(String, Guests)> {
        let path = |name: &str| self.setting.socket(name).display().to_string();
        let datagrams = |station: Station| {
            let own = path(&format!("{}-vm", station.name));
            let attachment = Attachment::Datagram { own, port: path(station.name) };
            VirtualMachine::start(self.image, station, &attachment, None)
        };
        let stream = Attachment::Stream { port: path("b") };
        let control = self.setting.directory.path().join(CONTROL).display().to_string();
        let mut exec = Command::new(&self.setting.program);
        exec.args(["exec", "--control", &control, "--network", "lan", "--name", "c", "--"]);
        let guests = Guests {
            a: datagrams(A)?,
            b: VirtualMachine::start(self.image, B, &stream, None)?,
            c: VirtualMachine::start(self.image, C, &Attachment::Descriptor(3), Some(exec))?,
            d: datagrams(D)?,
        };
        let all = [&guests.a, &guests.b, &guests.c, &guests.d].into_iter();
        let times = all.map(VirtualMachine::wait_ready).collect::<Result<Vec<_>>>()?;
        Ok((format!("seconds in each: {}", times.join(", ")), guests))
    }

    fn ping_everyone(self, checks: &mut Checks, guests: &mut Guests) {
        checks.check("a (unixgram) ↔ host", || ping(&mut guests.a, HOST));
        checks.check("a ↔ c (a descriptor)", || ping(&mut guests.a, C));
        checks.check("b (stream) ↔ d (unixgram)", || ping(&mut guests.b, D));
        checks.check("a does not reach d", || {
            no_answer(&mut guests.a, D).map(|()| "another network")
        });
    }

    fn hot_ports(self) -> Result<String> {
        for number in 0..HOT_PORTS {
            let path = self.setting.socket("hot").display().to_string();
            let kind = ["unixgram", "stream"][number % 2];
            self.ask(&["port", "add", "--network", "lan", &format!("hot={kind}:{path}")])?;
            let ports = self.ask_json(&["ports", "--network", "lan", "--json"])?;
            let names = ports.as_array().into_iter().flatten().map(|port| &port["name"]);
            if !names.into_iter().any(|name| name == "hot") {
                return Err(Failure::new("vswitch ports", "the port is not there"));
            }
            self.ask(&["port", "remove", "lan/hot"])?;
        }
        Ok(format!("{HOT_PORTS} times"))
    }

    fn link(self, guests: &mut Guests) -> Result<&'static str> {
        self.ask(&["port", "down", "lan/c"])?;
        no_answer(&mut guests.a, C)?;
        self.ask(&["port", "up", "lan/c"])?;
        ping(&mut guests.a, C)?;
        Ok("lan/c")
    }

    fn reload(self) -> Result<String> {
        for (has_more, change) in [(true, "added"), (false, "removed")] {
            self.write_configuration(has_more)?;
            let applied = self.ask_json(&["reload", "--json"])?;
            if applied[change] != serde_json::json!(["lab/more"]) {
                return Err(Failure::new("vswitch reload", applied));
            }
        }
        Ok("one port added, and removed".to_owned())
    }

    /// What guests say to each other is in a capture, and what others say is not.
    fn capture(self, guests: &mut Guests) -> Result<String> {
        let tshark = tools::find("tshark", "tshark")?;
        let file = self.setting.directory.path().join("lan.pcapng");
        let mut capture = self.vswitch(&["capture", "--network", "lan", "--seconds", "4", "-w"]);
        capture.arg(&file);
        let mut capture = Process::start("vswitch capture", capture)?;
        // Its file begins when it captures.
        let end = std::time::Instant::now() + CAPTURED_MAX;
        while std::fs::metadata(&file).map_or(0, |of| of.len()) == 0 {
            if std::time::Instant::now() > end {
                return Err(capture.failure("it captures nothing"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        ping(&mut guests.a, C)?;
        let status = capture.wait(CAPTURED_MAX)?;
        if !status.success() {
            return Err(capture.failure(&format!("it ended with {status}")));
        }
        let mut read = Command::new(tshark);
        read.args(["-n", "-T", "fields", "-e", "frame.interface_name", "-Y"]);
        read.arg("icmpv6.type == 128 || icmp.type == 8").arg("-r").arg(&file);
        let output = tools::output_of(&mut read)?;
        let text = String::from_utf8_lossy(&output);
        let at = |port: &str| text.lines().filter(|line| *line == port).count();
        let (sent, received, all) = (at("lan/a"), at("lan/c"), text.lines().count());
        // Over both families.
        let asked = 2 * PINGS as usize;
        match (sent, received, all) == (asked, asked, 2 * asked) {
            true => Ok(format!("{sent} questions at lan/a, {received} at lan/c")),
            false => Err(Failure::new("count the questions", text)),
        }
    }

    /// It is another's bridge: that comes back, and the switch joins it again.
    fn destroy_the_bridge(self, guests: &mut Guests) -> Result<String> {
        let Some(host) = &self.setting.host else { return Ok(String::new()) };
        host.destroy_bridge()?;
        let started = std::time::Instant::now();
        host.restore_bridge()?;
        loop {
            if guests.a.ping(HOST.ipv4(), 1).is_ok() {
                host.wait_for_addresses()?;
                ping(&mut guests.a, HOST)?;
                return Ok(format!("after {:.1} s", started.elapsed().as_secs_f64()));
            }
            if started.elapsed() > REPAIRED_MAX {
                return Err(Failure::new("ping the host", "the bridge was not joined again"));
            }
        }
    }

    fn nothing_is_left(self, before: &[String]) -> Result<String> {
        let after = self.setting.interfaces()?;
        if after != before {
            return Err(Failure::new("compare", format!("before {before:?}, after {after:?}")));
        }
        let names = ["a", "b", "d", "x", "y", "hot", "more"].map(|name| self.setting.socket(name));
        let control =
            [CONTROL, "control.sock.fd"].map(|name| self.setting.directory.path().join(name));
        match names.iter().chain(&control).find(|path| path.exists()) {
            None => Ok(after.join(", ")),
            Some(path) => Err(Failure::new("still there", path.display())),
        }
    }
}

/// What is served at the address of `[metrics]`.
fn scrape() -> Result<String> {
    let failed = |error: std::io::Error| Failure::new("get /metrics", error);
    let mut stream = TcpStream::connect(METRICS).map_err(failed)?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {METRICS}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut page = String::new();
    stream.read_to_string(&mut page).map_err(failed)?;
    let wanted = "vswitch_port_received_frames_total{network=\"lab\",port=\"x\"";
    match page.lines().find(|line| line.starts_with(wanted)) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::new("find the steady flow's frames in /metrics", page)),
    }
}

/// Where metrics are.
const METRICS: &str = "127.0.0.1:9477";

/// How long a capture of four seconds may take to begin or to end.
const CAPTURED_MAX: Duration = Duration::from_secs(30);

/// The control socket's name in the scenario's directory.
const CONTROL: &str = "control.sock";

fn ping(guest: &mut VirtualMachine, to: Station) -> Result<String> {
    guest.ping(to.ipv6(), PINGS)?;
    guest.ping(to.ipv4(), PINGS)?;
    Ok(format!("{PINGS} of {PINGS}, {PINGS} of {PINGS}"))
}

/// That nothing comes back, by either family.
fn no_answer(guest: &mut VirtualMachine, to: Station) -> Result<()> {
    for address in [IpAddr::from(to.ipv6()), to.ipv4().into()] {
        match guest.ping(address, PINGS) {
            Err(failure) if failure.to_string().contains("received=0") => {}
            Err(other) => return Err(other),
            Ok(()) => return Err(Failure::new(format!("ping {address}"), "there is an answer")),
        }
    }
    Ok(())
}

fn no_loss(steady: Steady) -> Result<String> {
    let flow = steady.end()?;
    let seconds = flow.took.as_secs_f64();
    let told = format!("{} sent in {seconds:.0} s, {} received", flow.sent, flow.received);
    match flow.received == flow.sent && flow.out_of_order == 0 {
        true => Ok(told),
        false => Err(Failure::new("count", format!("{told}, {} out of order", flow.out_of_order))),
    }
}

impl Guests {
    fn power_off(mut self) -> Result<&'static str> {
        for guest in [&mut self.a, &mut self.b, &mut self.c, &mut self.d] {
            guest.power_off()?;
        }
        Ok("")
    }
}
