//! Processes: who they run as, their descriptors, and what their calls cost.

use std::collections::BTreeMap;

use crate::counters::Counters;
use crate::errno::{EBADF, EMFILE, Result};
use crate::machine::Machine;
use crate::object::Object;

/// The number of an open file; several descriptors, of several processes, may be of one.
pub(crate) type FileId = u32;

/// Which process.
pub(crate) type ProcessId = u32;

/// The first three are the standard streams, which are not modelled.
const FIRST_DESCRIPTOR: i32 = 3;

/// Most descriptors of a process (`kern.maxfilesperproc` is far more; leaks show sooner so).
const DESCRIPTORS_MAX: i32 = 4096;

#[derive(Debug, Default)]
pub(crate) struct Processes {
    processes: Vec<Process>,
    files: BTreeMap<FileId, File>,
    next_file: FileId,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) is_root: bool,
    /// The fault plan leaves its calls alone.
    pub(crate) is_spared: bool,
    pub(crate) counters: Counters,
    descriptors: BTreeMap<i32, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    file: FileId,
    closes_on_exec: bool,
}

/// An open file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) object: Object,
    /// `O_NONBLOCK` and the access mode.
    pub(crate) flags: u32,
    descriptors: u32,
}

impl Processes {
    pub(crate) fn add(&mut self, is_root: bool) -> ProcessId {
        let process = Process {
            is_root,
            is_spared: false,
            counters: Counters::default(),
            descriptors: BTreeMap::new(),
        };
        self.processes.push(process);
        u32::try_from(self.processes.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn of(&mut self, process: ProcessId) -> &mut Process {
        &mut self.processes[process as usize]
    }

    /// Another descriptor of an open file, the lowest free one from 3 on.
    pub(crate) fn share(&mut self, process: ProcessId, file: FileId) -> Result<i32> {
        let descriptors = &mut self.processes[process as usize].descriptors;
        // Those in use come in their order: the first that is not where it would be without a gap
        // leaves one.
        let used = descriptors.keys().map(Some).chain(std::iter::repeat(None));
        let free = (FIRST_DESCRIPTOR..DESCRIPTORS_MAX).zip(used);
        let (number, _) =
            free.into_iter().find(|(place, used)| Some(place) != *used).ok_or(EMFILE)?;
        descriptors.insert(number, Entry { file, closes_on_exec: false });
        self.files.get_mut(&file).ok_or(EBADF)?.descriptors += 1;
        Ok(number)
    }

    pub(crate) fn file(&mut self, file: FileId) -> Result<&mut File> {
        self.files.get_mut(&file).ok_or(EBADF)
    }

    /// The open file behind a number of a process: what `kevent64` looks an ident up by.
    pub(crate) fn by_number(&self, process: ProcessId, number: i32) -> Result<FileId> {
        let descriptors = &self.processes[process as usize].descriptors;
        descriptors.get(&number).map(|entry| entry.file).ok_or(EBADF)
    }

    pub(crate) fn set_closes_on_exec(&mut self, process: ProcessId, number: i32, closes: bool) {
        if let Some(entry) = self.processes[process as usize].descriptors.get_mut(&number) {
            entry.closes_on_exec = closes;
        }
    }

    pub(crate) fn closes_on_exec(&self, process: ProcessId, number: i32) -> Result<bool> {
        let descriptors = &self.processes[process as usize].descriptors;
        descriptors.get(&number).map(|entry| entry.closes_on_exec).ok_or(EBADF)
    }

    /// A process's open descriptors, with whether each is kept from programs that it starts.
    pub(crate) fn descriptors(&self, process: ProcessId) -> Vec<(i32, Object, bool)> {
        let descriptors = &self.processes[process as usize].descriptors;
        let shown = |(number, entry): (&i32, &Entry)| {
            let file = self.files.get(&entry.file)?;
            Some((*number, file.object, entry.closes_on_exec))
        };
        descriptors.iter().filter_map(shown).collect()
    }
}

impl Machine {
    /// Opens a file on a new object, for a process: the descriptor, and the number of the file.
    /// Without a free descriptor the object ends.
    pub(crate) fn open(
        &mut self,
        process: ProcessId,
        object: Object,
        flags: u32,
    ) -> Result<(i32, FileId)> {
        let processes = &mut self.processes;
        let file = processes.next_file;
        processes.next_file += 1;
        processes.files.insert(file, File { object, flags, descriptors: 0 });
        match processes.share(process, file) {
            Ok(number) => Ok((number, file)),
            Err(errno) => {
                processes.files.remove(&file);
                self.end(object);
                Err(errno)
            }
        }
    }

    /// Closes a descriptor; with the last of a file, the object behind it ends.
    pub(crate) fn close(&mut self, process: ProcessId, number: i32) {
        let descriptors = &mut self.processes.of(process).descriptors;
        let Some(Entry { file, .. }) = descriptors.remove(&number) else { return };
        self.forget_knotes(process, number);
        let Ok(open) = self.processes.file(file) else { return };
        open.descriptors -= 1;
        if open.descriptors > 0 {
            return;
        }
        let object = open.object;
        self.processes.files.remove(&file);
        self.end(object);
    }
}
