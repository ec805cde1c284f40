//! `vswitch stats`.

use std::process::ExitCode;
use std::time::Duration;

use vswitchd::api::client::Client;
use vswitchd::api::wire::StatsReply;

use super::{Output, Switch, failed, rates};
use crate::failure::Failure;
use crate::host::{counters_of, json_line};
use crate::output::print_on;

/// Show the counters of a running switch, or with --interval its traffic, again and again.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    /// Print the traffic of each port in so many seconds, until SIGINT; with --json one line each
    /// time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    interval: Option<u32>,

    /// With --interval: end after so many times
    #[arg(long, value_name = "TIMES", requires = "interval")]
    count: Option<u32>,

    #[command(flatten)]
    output: Output,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = arguments.switch.client();
    let mut before = ask(&client)?;
    let Some(seconds) = arguments.interval else {
        arguments.output.print(&before, |stats| counters_of(&stats.ports, &stats.trunks))?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut times = 0;
    while arguments.count.is_none_or(|count| times < count) {
        std::thread::sleep(Duration::from_secs(seconds.into()));
        let after = ask(&client)?;
        let between = rates::between(&before, &after);
        let text = if arguments.output.json {
            json_line(&between)?
        } else {
            rates::shown(&between) + "\n"
        };
        if !print_on(&text)? {
            break;
        }
        before = after;
        times += 1;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn ask(client: &Client) -> Result<StatsReply, Failure> {
    client.get("/v1/stats").map_err(failed("ask for the counters"))
}
