//! A layer-2 switch for virtual machines: fabric, ports, pollers, one loop.
