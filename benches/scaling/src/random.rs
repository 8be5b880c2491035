//! Random numbers that are the same on every machine: integers alone, since logarithms differ in their last digit.

/// A sequence of random numbers: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound above 0, each as likely as any other to within 2⁻⁶⁴ of the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// An exponentially distributed number with this mean. Von Neumann's method, which compares and never computes a
    /// logarithm: the longest falling run of uniform numbers decides whether its first one counts.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let mut whole = 0_u64;
        loop {
            let first = self.next() >> 32;
            let (mut last, mut length) = (first, 1_u32);
            loop {
                let next = self.next() >> 32;
                if next > last {
                    break;
                }
                (last, length) = (next, length + 1);
            }
            if length % 2 == 1 {
                let value = (u128::from(whole) << 32 | u128::from(first)) * u128::from(mean);
                return u64::try_from(value >> 32).unwrap_or(u64::MAX);
            }
            whole += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_numbers_have_the_mean_and_the_tail_of_their_distribution() {
        const COUNT: u64 = 1_000_000;
        let mut random = Random::new(7);
        let (mut sum, mut above_three) = (0, 0_u64);
        for _ in 0..COUNT {
            let value = random.exponential(1_000_000);
            sum += value;
            above_three += u64::from(value > 3_000_000);
        }
        let mean = sum / COUNT;
        assert!((995_000..1_005_000).contains(&mean), "mean {mean}");
        // e⁻³ = 0.0498
        assert!((49_000..50_600).contains(&above_three), "{above_three} of a million are above three means");
    }

    #[test]
    fn numbers_below_a_bound_are_below_it_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [0_u32; 10];
        for _ in 0..100_000 {
            seen[usize::try_from(random.below(10)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        // The first numbers for the seed 1234567, as other implementations give them.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
