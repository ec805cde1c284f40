//! How a run that chance decided is repeated.

/// Prints a command when the thread that holds it panics: what replays the run that failed.
#[derive(Debug)]
pub struct Replay(pub String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\nto replay: {}\n", self.0);
        }
    }
}
