//! radmesh: one binary for every node of the federation, and for the people who run it.

mod chance;
mod cli;
mod clock;
mod config;
mod control;
mod desk;
mod driver;
mod durable;
mod keystore;
mod privacy;
mod swarm;

fn main() -> std::process::ExitCode {
    cli::main()
}
