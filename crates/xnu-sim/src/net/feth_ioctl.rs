//! What a feth's driver takes (`feth_ioctl`, `feth_set_drvspec`, `feth_get_drvspec`,
//! `bsd/net/if_fake.c`; contract §4).

use super::IfId;
use super::requests::DriverSpec;
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EINVAL, ENXIO, EOPNOTSUPP, EPERM, Result};
use crate::machine::Machine;

/// `IF_FAKE_S_CMD_*` and `IF_FAKE_G_CMD_*`.
const SET_PEER: u64 = 1;
const SET_MEDIA: u64 = 2;
const SET_DEQUEUE_STALL: u64 = 3;
const GET_PEER: u64 = 1;

/// `if_fake_request`: four reserved words, then a name, media or a number.
const REQUEST_BYTES: usize = 160;
const UNION_AT: usize = 32;
const MEDIA_COUNT_AT: usize = UNION_AT + 4;
const MEDIA_LIST_AT: usize = UNION_AT + 20;
/// `IF_FAKE_MEDIA_LIST_MAX`.
const MEDIA_MAX: usize = 27;

impl Machine {
    /// A driver command; setting is root's. The lengths are at least the request's, as the driver
    /// keeps it in 32 bits.
    pub(super) fn feth_driver_spec(
        &mut self,
        is_root: bool,
        id: IfId,
        spec: &DriverSpec,
        memory: &CallerMemory,
    ) -> Result<()> {
        if spec.sets && !is_root {
            return Err(EPERM);
        }
        let command = spec.command & 0xffff_ffff;
        let len = usize::try_from(spec.len & 0xffff_ffff).unwrap_or(usize::MAX);
        match (spec.sets, command) {
            (true, SET_PEER) => {
                let request = copy_request(len, spec.data, memory)?;
                self.feth_set_peer_by_name(id, &request.text_at(UNION_AT, 15))
            }
            (true, SET_MEDIA) => {
                let request = copy_request(len, spec.data, memory)?;
                self.feth_set_media(id, &request)
            }
            (true, SET_DEQUEUE_STALL) => {
                let request = copy_request(len, spec.data, memory)?;
                self.feth_set_stall(id, request.u32_at(UNION_AT) != 0);
                Ok(())
            }
            (false, GET_PEER) => {
                if len < REQUEST_BYTES {
                    return Err(EINVAL);
                }
                let feth = self.net[id].feth().ok_or(EOPNOTSUPP)?;
                let mut request = [0; REQUEST_BYTES];
                if let Some(peer) = feth.peer {
                    request.put_text(UNION_AT, 16, &self.net[peer].name);
                }
                memory.copyout(&request, spec.data)
            }
            _ => Err(EOPNOTSUPP),
        }
    }

    fn feth_set_peer_by_name(&mut self, id: IfId, name: &str) -> Result<()> {
        if name.is_empty() {
            return self.feth_set_peer(id, None);
        }
        let peer = self.net.find(name).ok_or(ENXIO)?;
        if self.net[peer].feth().is_none() {
            return Err(EINVAL);
        }
        self.feth_set_peer(id, Some(peer))
    }

    /// The list is replaced, the current word ignored, and nobody told (C10).
    fn feth_set_media(&mut self, id: IfId, request: &[u8]) -> Result<()> {
        let count = request.u32_at(MEDIA_COUNT_AT) as usize;
        if count > MEDIA_MAX {
            return Err(EINVAL);
        }
        let words = (0..count).map(|n| request.u32_at(MEDIA_LIST_AT + 4 * n)).collect();
        self.net[id].feth_mut().ok_or(EINVAL)?.media = words;
        Ok(())
    }

    /// While output is disabled the queue fills.
    fn feth_set_stall(&mut self, id: IfId, is_stalled: bool) {
        self.net[id].send.is_stalled = is_stalled;
        if !is_stalled && !self.net[id].send.is_empty() {
            self.start(id);
        }
    }
}

fn copy_request(len: usize, address: u64, memory: &CallerMemory) -> Result<Vec<u8>> {
    if address == 0 || len < REQUEST_BYTES {
        return Err(EINVAL);
    }
    let request = memory.copyin(address, REQUEST_BYTES)?;
    let is_reserved_zero = request[..UNION_AT].iter().all(|byte| *byte == 0);
    if is_reserved_zero { Ok(request) } else { Err(EINVAL) }
}
