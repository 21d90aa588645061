//! Jokes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::random::SplitMix64;
use crate::tools::{Outcome, Registry};

const JOKES: [&str; 24] = [
    "I asked the kitchen light for a joke. It said that all of its jokes were a bit dim.",
    "My timer left me. It said that it had seen this coming for ten minutes.",
    "Why did the alarm clock lose all its friends? It kept going off at them.",
    "I told the fridge a secret. It kept its cool.",
    "Why does the programmer water the plants at night? Because of the dark mode.",
    "The loudspeaker asked for a raise. I gave it ten percent.",
    "The teabag is looking for a new job. It is tired of always being in hot water.",
    "My shopping list is very sensitive. Every time we go out, it feels crossed off.",
    "Why is the calendar so calm? It takes one day at a time.",
    "The thermostat and the heater had a discussion. It got rather heated.",
    "I wrote a joke about batteries, but only one end of it was positive.",
    "The door never argues. It just closes the subject.",
    "Why does nobody lend money to the moon? Every month it is down to its last quarter.",
    "A comma and a full stop went for a walk. The comma took a short break. The full stop called it a day.",
    "What do you feed a microphone? Nothing. You will get feedback anyway.",
    "Why did one sock leave the dryer? It needed some space.",
    "The moon is bad at poker. Everybody can see when it is full.",
    "My houseplant started a band. Its music goes back to the roots.",
    "The stapler is the best colleague that I know. It really holds things together.",
    "What did the spoon say to the soup? You are so easily moved.",
    "Why was the pillow promoted? It sleeps on every decision.",
    "I know a wonderful joke about silence. It goes like this.",
    "The umbrella retired early. It had put something aside for a rainy day.",
    "The elevator told me its life story. It had its ups and downs.",
];

/// Which joke comes next: each once before any comes again, and never one twice in a row.
pub(in crate::tools) struct Jokes {
    seed: u64,
    told: AtomicU64,
}

impl Jokes {
    pub(in crate::tools) fn new(seed: u64) -> Self {
        Self { seed, told: AtomicU64::new(0) }
    }

    fn next(&self) -> &'static str {
        let n = self.told.fetch_add(1, Ordering::Relaxed);
        let many = JOKES.len() as u64;
        JOKES[self.order(n / many)[(n % many) as usize]]
    }

    /// The order of one round of all jokes (a Fisher-Yates shuffle).
    fn order(&self, round: u64) -> [usize; JOKES.len()] {
        let mut order = std::array::from_fn(|i| i);
        let mut random = SplitMix64::new(SplitMix64::nth(self.seed, round));
        for i in (1..order.len()).rev() {
            order.swap(i, (random.next() % (i as u64 + 1)) as usize);
        }
        // The last joke of every round is kept, so that it does not open the next one.
        let last = JOKES.len() - 1;
        if let Some(at) = order.iter().position(|&j| j == last) {
            order.swap(at, last);
        }
        order
    }
}

impl Registry {
    pub(super) fn tell_joke(&self) -> Outcome {
        let joke = self.jokes.next();
        Outcome::said(json!({ "joke": joke }), joke)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_are_told_before_any_is_told_again() {
        for seed in 0..20 {
            let jokes = Jokes::new(seed);
            let told: Vec<&str> = (0..240).map(|_| jokes.next()).collect();
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]));
            for round in told.chunks(JOKES.len()) {
                assert_eq!(round.iter().collect::<HashSet<_>>().len(), JOKES.len());
            }
        }
        let first: HashSet<&str> = (0..100).map(|seed| Jokes::new(seed).next()).collect();
        assert!(first.len() > 10);
    }
}
