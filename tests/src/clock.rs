//! A clock of the test's choosing for a child process, by libfaketime (Debian package `faketime`).
//!
//! Only the wall clock is changed; timers and time-outs of the child keep running as usual.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the child takes for the time. The seconds are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The machine's own time.
    #[default]
    Real,
    /// This second when the child starts, running from there.
    StartsAt(i64),
    /// This second for the whole life of the child: for the exact edge of a time window.
    StandsAt(i64),
}

impl Clock {
    /// The environment that gives a child this clock.
    ///
    /// Panics where the library is not installed, saying how to install it.
    pub fn environment(self) -> Vec<(OsString, OsString)> {
        let time = match self {
            Clock::Real => return Vec::new(),
            Clock::StartsAt(seconds) => format!("@{seconds}"),
            Clock::StandsAt(seconds) => seconds.to_string(),
        };
        let pairs: [(&str, OsString); 4] = [
            ("LD_PRELOAD", library().into()),
            ("FAKETIME", time.into()),
            ("FAKETIME_FMT", "%s".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ];
        pairs.map(|(name, value)| (name.into(), value)).into()
    }

    /// The time since 1970 that a child sees which started this long ago.
    pub fn now(self, running_for: Duration) -> Duration {
        let seconds = |s: i64| Duration::from_secs(u64::try_from(s).unwrap_or(0));
        match self {
            Clock::Real => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::StartsAt(start) => seconds(start) + running_for,
            Clock::StandsAt(at) => seconds(at),
        }
    }
}

/// libfaketime: where `LIBFAKETIME` says, or where distributions put it.
fn library() -> PathBuf {
    let named = env::var_os("LIBFAKETIME").map(PathBuf::from);
    let usual = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
        "/usr/lib64/faketime/libfaketime.so.1",
        "/usr/lib/faketime/libfaketime.so.1",
    ];
    named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file()).expect(
        "libfaketime is missing: install the package `faketime`, or set LIBFAKETIME to libfaketime.so.1",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn date(clock: Clock) -> Duration {
        let out = Command::new("date").arg("+%s.%N").envs(clock.environment()).output().expect("date");
        let text = String::from_utf8(out.stdout).expect("digits");
        Duration::from_secs_f64(text.trim().parse().expect("a number of seconds"))
    }

    #[test]
    fn a_child_sees_the_chosen_time() {
        let start = Duration::from_secs(1_795_500_000);
        let seen = date(Clock::StartsAt(1_795_500_000));
        assert!(seen >= start && seen < start + Duration::from_secs(5), "{seen:?}");
        assert_eq!(date(Clock::StandsAt(1_795_500_000)), start);
        assert_eq!(date(Clock::StandsAt(951_782_400)), Duration::from_secs(951_782_400));
        let difference = Clock::Real.now(Duration::ZERO).abs_diff(date(Clock::Real));
        assert!(difference < Duration::from_secs(5), "{difference:?}");
    }
}
