//! Network interfaces of this machine: list, create, change, bridge.
