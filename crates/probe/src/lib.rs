//! A guest without a VM: a user-space TCP/IP stack on one end of a switch port.
