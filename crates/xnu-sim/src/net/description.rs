//! `SIOCSIFDESC` and `SIOCGIFDESC`: a text that an interface carries as long as it lives
//! (`ifioctl_ifdesc`, `bsd/net/if.c`; contract §1a, §2 `if_descreq`).

use super::IfId;
use crate::copyio::{Raw, RawMut};
use crate::errno::{EINVAL, EPERM, Result};
use crate::machine::Machine;

const LEN_AT: usize = 16;
const TEXT_AT: usize = 20;
/// `IF_DESCSIZE`.
const LEN_MAX: usize = 128;

impl Machine {
    pub(super) fn set_description(
        &mut self,
        is_root: bool,
        id: IfId,
        argument: &[u8],
    ) -> Result<()> {
        if !is_root {
            return Err(EPERM);
        }
        let len = argument.u32_at(LEN_AT) as usize;
        if len > LEN_MAX {
            return Err(EINVAL);
        }
        self.net[id].description = argument[TEXT_AT..TEXT_AT + len].to_vec();
        Ok(())
    }

    pub(super) fn description(&self, id: IfId, argument: &mut [u8]) {
        let description = &self.net[id].description;
        argument.put_u32(LEN_AT, u32::try_from(description.len()).unwrap_or(0));
        argument.put(TEXT_AT, &[0; LEN_MAX]);
        argument.put(TEXT_AT, description);
    }
}
