//! `vswitch top`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, poll, read};
use crossterm::{cursor, execute, queue, style, terminal};

use super::rates::{self, Rates};
use super::{Switch, stats};
use crate::failure::Failure;

/// Watch the traffic of a running switch, live in a terminal. The busiest port is the first; `q`
/// ends it.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    /// Look again after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    interval: u32,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new("show the traffic", "this is no terminal")
            .to_do("use `vswitch stats --interval 1`"));
    }
    let client = arguments.switch.client();
    let mut before = stats::ask(&client)?;
    let screen = Screen::enter()?;
    let mut shown = Vec::new();
    loop {
        screen.draw(&arguments.switch, &shown)?;
        let again_at = Instant::now() + Duration::from_secs(arguments.interval.into());
        if screen.wait_until(again_at, &arguments.switch, &shown)? == Wish::End {
            return Ok(ExitCode::SUCCESS);
        }
        let after = stats::ask(&client)?;
        shown = busiest_first(rates::between(&before, &after));
        before = after;
    }
}

fn busiest_first(mut rates: Vec<Rates>) -> Vec<Rates> {
    let load = |rates: &Rates| rates.received_bits_per_s + rates.sent_bits_per_s;
    rates.sort_by(|one, two| load(two).total_cmp(&load(one)));
    rates
}

#[derive(PartialEq, Eq)]
enum Wish {
    Nothing,
    End,
}

/// The terminal, as it was again when this is dropped.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, Failure> {
        terminal::enable_raw_mode().map_err(failed)?;
        let this = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide).map_err(failed)?;
        Ok(this)
    }

    fn draw(&self, switch: &Switch, rates: &[Rates]) -> Result<(), Failure> {
        let (columns, rows) = match terminal::size().map_err(failed)? {
            // A terminal that does not say, a serial line say.
            (0, _) | (_, 0) => (80, 24),
            size => size,
        };
        let mut out = io::stdout().lock();
        let head = format!("vswitch at {}   (q ends this)", switch.path.display());
        let table = rates::shown(rates);
        queue!(out, terminal::Clear(terminal::ClearType::All)).map_err(failed)?;
        for (row, line) in (0..rows).zip([head.as_str(), ""].into_iter().chain(table.lines())) {
            let line: String = line.chars().take(columns.into()).collect();
            queue!(out, cursor::MoveTo(0, row), style::Print(line)).map_err(failed)?;
        }
        out.flush().map_err(failed)
    }

    /// Sees to the keys, and to a window that changes its size.
    fn wait_until(&self, time: Instant, switch: &Switch, rates: &[Rates]) -> Result<Wish, Failure> {
        while poll(time.saturating_duration_since(Instant::now())).map_err(failed)? {
            match read().map_err(failed)? {
                Event::Key(key) if is_end(key) => return Ok(Wish::End),
                Event::Resize(..) => self.draw(switch, rates)?,
                _ => {}
            }
        }
        Ok(Wish::Nothing)
    }
}

/// In raw mode the terminal makes no signal of Ctrl-C.
fn is_end(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let left = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
        // What is wrong with the terminal was told, or nobody is there to be told.
        let _ = left.and_then(|()| terminal::disable_raw_mode());
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::new("show the traffic in the terminal", error)
}
