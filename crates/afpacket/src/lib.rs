//! Linux AF_PACKET sockets: batched receive and send of raw Ethernet frames, with VLAN tags restored and offloads told.
