//! One association out of bytes: what a peer would have sent, with nobody to hear the answers.
//!
//! A capture from a clinic that breaks the server, or a fuzzer's input, must be run again exactly as it came. The
//! rule: it is [`associate`] itself that runs, on a runtime that ends with it.

use super::{Config, Ended, Intake, associate};
use std::{io::Cursor, net::IpAddr, sync::Arc};

/// Runs the association that `sent` begins, as one peer's bytes from its first PDU to the end of the stream.
///
/// # Panics
/// If the operating system gives no threads.
pub fn rehearse(sent: &[u8], address: IpAddr, config: &Config, intake: Arc<impl Intake>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of one thread without sockets needs nothing but memory");
    let stream = tokio::io::join(Cursor::new(sent), tokio::io::sink());
    runtime.block_on(associate(stream, address, config, intake))
}
