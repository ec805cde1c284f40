//! A guest in a thread of its own.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::core::GuestCore;
use crate::error::{Error, TaskError};
use crate::guest::Guest;
use crate::task::{Progress, Task};

/// A guest that lives in a thread of its own: it answers all the time, and carries out several
/// tasks at once. Dropping the handle stops it.
#[derive(Debug)]
pub struct GuestHandle {
    orders: Sender<Order>,
    waker: UnixStream,
    thread: Option<JoinHandle<Result<Guest, Error>>>,
}

impl GuestHandle {
    /// Starts the guest's thread.
    ///
    /// # Panics
    /// When the system gives neither a socket pair nor a thread.
    #[must_use]
    pub fn start(guest: Guest) -> Self {
        let (waker, woken) = UnixStream::pair().expect("a socket pair");
        waker.set_nonblocking(true).expect("a non-blocking socket");
        woken.set_nonblocking(true).expect("a non-blocking socket");
        let (orders, inbox) = channel();
        let name = format!("guest {}", guest.core().mac());
        let live = move || live(guest, &inbox, woken);
        let thread = std::thread::Builder::new().name(name).spawn(live).expect("a thread");
        Self { orders, waker, thread: Some(thread) }
    }

    /// Begins `task` and returns at once.
    pub fn begin<T>(&self, task: T) -> Pending<T::Output>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        let (done, pending) = channel();
        self.order(Order::Task(Box::new(Errand { task, done })));
        Pending(pending)
    }

    /// Carries out `task` and waits for its end.
    ///
    /// # Errors
    /// What the task says; [`TaskError::Stopped`] when the guest's link ended for good
    /// ([`GuestHandle::stop`] says why).
    pub fn run<T>(&self, task: T) -> Result<T::Output, TaskError>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        self.begin(task).wait()
    }

    /// Lets `look` use the guest's stack, in the guest's thread, and waits for what it says.
    ///
    /// # Errors
    /// [`TaskError::Stopped`] when the guest's link ended for good.
    pub fn with<R: Send + 'static>(
        &self,
        look: impl FnOnce(&mut GuestCore) -> R + Send + 'static,
    ) -> Result<R, TaskError> {
        let (done, answer) = channel();
        self.order(Order::Look(Box::new(move |core| {
            // Nobody waits for the answer any more: none is needed.
            let _ = done.send(look(core));
        })));
        answer.recv().map_err(|_| TaskError::Stopped)
    }

    /// Stops the thread and gives the guest back.
    ///
    /// # Errors
    /// What ended the guest's link for good, before.
    ///
    /// # Panics
    /// When the guest's thread did.
    pub fn stop(mut self) -> Result<Guest, Error> {
        self.order(Order::Stop);
        let thread = self.thread.take().expect("a thread until it is stopped");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn order(&self, order: Order) {
        // A guest whose link ended takes no orders; whoever waits finds out by the closed channel.
        let _ = self.orders.send(order);
        // Full is as good as written: the thread is about to wake.
        let _ = (&self.waker).write(&[1]);
    }
}

impl Drop for GuestHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.order(Order::Stop);
            let _ = thread.join();
        }
    }
}

/// The output of a task that may still run.
#[derive(Debug)]
pub struct Pending<T>(Receiver<Result<T, TaskError>>);

impl<T> Pending<T> {
    /// Waits for the task's end.
    ///
    /// # Errors
    /// As [`GuestHandle::run`].
    pub fn wait(self) -> Result<T, TaskError> {
        self.0.recv().unwrap_or(Err(TaskError::Stopped))
    }
}

enum Order {
    Task(Box<dyn Job + Send>),
    Look(Box<dyn FnOnce(&mut GuestCore) + Send>),
    Stop,
}

/// A task and where its output goes.
struct Errand<T: Task> {
    task: T,
    done: Sender<Result<T::Output, TaskError>>,
}

trait Job {
    /// Steps the task; None when it is over and its output delivered.
    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Option<JobState>;
    fn stop(&mut self, guest: &mut GuestCore);
}

enum JobState {
    Moved,
    Waiting(Duration),
}

impl<T: Task> Job for Errand<T> {
    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Option<JobState> {
        match self.task.step(guest, now) {
            Progress::Moved => Some(JobState::Moved),
            Progress::Waiting(until) => Some(JobState::Waiting(until)),
            Progress::Done(output) => {
                // Nobody waits for the output any more: none is needed.
                let _ = self.done.send(output);
                None
            }
        }
    }

    fn stop(&mut self, guest: &mut GuestCore) {
        self.task.stop(guest);
    }
}

/// The life of a guest's thread.
fn live(mut guest: Guest, inbox: &Receiver<Order>, mut woken: UnixStream) -> Result<Guest, Error> {
    let mut jobs: Vec<Box<dyn Job + Send>> = Vec::new();
    loop {
        while woken.read(&mut [0; 64]).is_ok_and(|len| len == 64) {}
        while let Ok(order) = inbox.try_recv() {
            match order {
                Order::Task(job) => jobs.push(job),
                Order::Look(look) => look(guest.core_mut()),
                Order::Stop => return stop(guest, jobs),
            }
        }
        let moved = guest.turn()?;
        let (stepped, until) = step_all(&mut guest, &mut jobs);
        let is_stuck = !moved && guest.core().is_blocked();
        if is_stuck || !(moved || stepped) {
            guest.sleep(until, Some(woken.as_fd()))?;
        }
    }
}

/// Steps every job once; whether any moved, and when the next one wants to be stepped.
fn step_all(guest: &mut Guest, jobs: &mut Vec<Box<dyn Job + Send>>) -> (bool, Option<Duration>) {
    let now = guest.now();
    let core = guest.core_mut();
    let (mut moved, mut until) = (false, None::<Duration>);
    jobs.retain_mut(|job| match job.step(core, now) {
        Some(JobState::Moved) => {
            moved = true;
            true
        }
        Some(JobState::Waiting(at)) => {
            until = Some(until.map_or(at, |until| until.min(at)));
            true
        }
        None => {
            job.stop(core);
            moved = true;
            false
        }
    });
    (moved, until)
}

fn stop(mut guest: Guest, jobs: Vec<Box<dyn Job + Send>>) -> Result<Guest, Error> {
    for mut job in jobs {
        job.stop(guest.core_mut());
    }
    Ok(guest)
}
