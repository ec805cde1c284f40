//! Tasks of stations, whatever they give.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use probe::{GuestCore, Progress, Task, TaskError};

/// What comes of a task, once it has come.
pub(crate) type Outcome<T> = Arc<Mutex<Option<Result<T, TaskError>>>>;

/// A task that a station carries out.
pub(crate) trait Job: Send {
    /// Moves on: whether it moved, and when to step it again at the latest; `None` when it is over.
    fn step(&mut self, core: &mut GuestCore, now: Duration) -> Option<(bool, Duration)>;
}

pub(crate) struct TaskJob<T: Task> {
    task: T,
    outcome: Outcome<T::Output>,
}

impl<T: Task> TaskJob<T> {
    pub(crate) fn new(task: T) -> (Self, Outcome<T::Output>) {
        let outcome = Outcome::default();
        (Self { task, outcome: Arc::clone(&outcome) }, outcome)
    }
}

impl<T: Task + Send> Job for TaskJob<T>
where
    T::Output: Send,
{
    fn step(&mut self, core: &mut GuestCore, now: Duration) -> Option<(bool, Duration)> {
        match self.task.step(core, now) {
            Progress::Moved => Some((true, now)),
            Progress::Waiting(until) => Some((false, until)),
            Progress::Done(result) => {
                self.task.stop(core);
                *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                None
            }
        }
    }
}
