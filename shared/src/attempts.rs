//! How attempts at AWS follow one another until a provider's deadline.
//!
//! The first attempt is short, because a connection that was open before the environment was frozen may be dead without a
//! sign; each further one may take twice as long, after a pause that doubles too. However little time there is, the first
//! attempt leaves the larger part of it to a second one.
//!
//! A pause is up to half shorter than that, by chance: environments that were refused together must not ask together again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// How long the first attempt may take.
const FIRST: Duration = Duration::from_millis(600);
/// A request above this many KiB may take longer: the smallest functions have a fourteenth of a core.
const LIGHT_KIB: usize = 64;
/// How much longer, for each KiB above.
const PER_KIB: Duration = Duration::from_millis(2);
/// The first pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest one: with a longer one a call would give up while it still had time.
const LONGEST_PAUSE: Duration = Duration::from_millis(1600);

/// The attempts at one request.
pub(crate) struct Attempts {
    allowed: Duration,
    pause: Duration,
    until: Instant,
}

impl Attempts {
    /// For a request of so many bytes that has to be through at a time.
    pub fn new(bytes: usize, until: Instant) -> Attempts {
        let heavy = u32::try_from((bytes / 1024).saturating_sub(LIGHT_KIB)).unwrap_or(u32::MAX);
        let allowed = FIRST.saturating_add(PER_KIB.saturating_mul(heavy));
        let most = until.saturating_duration_since(Instant::now()) * 2 / 5;
        Attempts { allowed: allowed.min(most), pause: PAUSE, until }
    }

    /// How long the next attempt may take; `None` when the time is up.
    pub fn allowed(&self) -> Option<Duration> {
        let remaining = self.until.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then(|| self.allowed.min(remaining))
    }

    /// Waits before a further attempt. Says no, at once, where no time would be left for one.
    pub async fn pause(&mut self) -> bool {
        let pause = self.pause - self.pause / 200 * chance(100);
        if self.until.saturating_duration_since(Instant::now()) <= pause {
            return false;
        }
        tokio::time::sleep(pause).await;
        (self.allowed, self.pause) = (self.allowed.saturating_mul(2), (self.pause * 2).min(LONGEST_PAUSE));
        true
    }
}

/// A number below another one that is another each time. Nothing secret may hang on it.
pub(crate) fn chance(below: u32) -> u32 {
    let random = RandomState::new().build_hasher().finish() % u64::from(below.max(1));
    u32::try_from(random).unwrap_or_default()
}
