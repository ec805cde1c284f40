//! `PF_NDRV` raw sockets of XNU.
