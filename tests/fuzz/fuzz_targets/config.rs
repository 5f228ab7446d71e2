//! `radmesh.toml` as a tired person leaves it: no text may panic, and a flaw is named with a line that is there.
#![no_main]

#[expect(dead_code, reason = "the binary's own file: init writes it and run reads it, here it is only checked")]
#[path = "../../../node/config.rs"]
mod config;

use config::{Config, Flaw};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(Flaw::Line { line, .. }) = Config::parse(text) {
        assert!((1..=text.matches('\n').count() + 1).contains(&line), "line {line}");
    }
});
