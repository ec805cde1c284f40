//! The switch as a service: configuration, uplinks, ports, life cycle.
