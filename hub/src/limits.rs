//! Every maximum of the hub's rooms.

/// Bytes of opened Instances that a hub keeps: the Studies that a reading hospital opens in a day.
pub const OPENED_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
