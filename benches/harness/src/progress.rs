//! What is being done, on the terminal.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Instant;

/// Progress of one measurement. A terminal has one line that changes, anything else has one line for each measurement.
pub struct Progress {
    start: Instant,
    what: Cell<&'static str>,
}

impl Progress {
    /// From now on.
    pub fn new() -> Progress {
        Progress { start: Instant::now(), what: Cell::new("") }
    }

    /// A measurement begins.
    pub fn begin(&self, what: &'static str) {
        self.what.set(what);
        if stderr().is_terminal() {
            self.note("");
        } else {
            eprintln!("{:>4} s  {what}", self.start.elapsed().as_secs());
        }
    }

    /// A round begins.
    pub fn step(&self, round: usize, rounds: usize) {
        self.note(&format!("round {} of {rounds}", round + 1));
    }

    /// Something of the measurement.
    pub fn note(&self, note: &str) {
        if stderr().is_terminal() {
            eprint!("\r\x1b[K{:>4} s  {}: {note}", self.start.elapsed().as_secs(), self.what.get());
            // Progress that is not seen is no reason to stop.
            drop(stderr().flush());
        }
    }

    /// The last one is over.
    pub fn end(&self) {
        if stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        eprintln!("{:>4} s  measured", self.start.elapsed().as_secs());
    }
}
