//! How fast a pair of guests is on a bare cable: what a measurement through a switch is compared
//! to. Run it with `--release`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use probe::throughput::{Amount, PORT, Way};
use probe::{
    Guest, GuestConfig, GuestHandle, Link, MacAddress, PingConfig, SendFlow, TransferConfig,
};

fn main() -> Result<(), Box<dyn Error>> {
    for mtu in [1500, 9000] {
        let (left, right) = Link::pair()?;
        let far = GuestConfig::new(MacAddress::local(2))
            .with_address("192.0.2.2/24".parse()?)
            .with_mtu(mtu)
            .serving();
        let far = GuestHandle::start(Guest::new(far, right)?);
        let near = GuestConfig::new(MacAddress::local(1))
            .with_address("192.0.2.1/24".parse()?)
            .with_mtu(mtu);
        let mut near = Guest::new(near, left)?;

        let mut ping = PingConfig::new("192.0.2.2".parse()?);
        (ping.count, ping.interval) = (1000, Duration::ZERO);
        let report = near.ping(ping)?;
        println!("MTU {mtu}: round trips (min, mean, max) {:?}", report.round_trips());
        for way in [Way::Upload, Way::Download] {
            let peer = SocketAddr::from(([192, 0, 2, 2], PORT));
            let amount = Amount::Time(Duration::from_secs(2));
            let report = near.transfer(TransferConfig::new(peer, way, amount))?;
            let rate = report.mbit_per_s();
            println!("MTU {mtu}: {way:?} {rate:.0} Mbit/s, {:?} retransmits", report.retransmits);
        }
        let (since, to) = (Instant::now(), MacAddress::local(2));
        let sent = near.run(SendFlow::new(1, to, mtu + 14, 300_000))?;
        let per_s = u128::from(sent) * 1000 / since.elapsed().as_millis().max(1);
        println!("MTU {mtu}: {per_s} numbered frames per second");
        far.stop()?;
    }
    Ok(())
}
