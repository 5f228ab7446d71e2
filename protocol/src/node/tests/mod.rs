//! Two or three nodes in one process: what a clinic, a relay and a hospital would notice.

mod claims;
mod custody;
mod events;
mod full_disk;
mod gossip;
mod hostile;
mod links;
mod restored;
mod retention;
mod transfer;
mod world;
