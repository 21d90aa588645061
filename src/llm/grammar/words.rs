//! One of a list of words, recognised byte by byte.

/// Words as JSON strings without their opening quote, so that none is the beginning of another; sorted.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<(Vec<u8>, usize)>,
}

/// The words that still agree with what has come: a range of the sorted list, and how many bytes have come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick {
    from: u16,
    to: u16,
    at: u16,
}

impl Words {
    /// Strings in quotes: the bytes of each after its opening quote.
    pub(super) fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        // A string always serializes.
        let json = |w: &str| serde_json::to_vec(w).unwrap_or_default();
        Self::new(words.map(|w| json(w).split_off(1)))
    }

    /// Of two equal words the first counts.
    pub(super) fn new(words: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut words: Vec<_> = words.zip(0..).collect();
        words.sort();
        words.dedup_by(|b, a| a.0 == b.0);
        words.truncate(usize::from(u16::MAX));
        Self { words }
    }

    pub(super) fn pick(&self) -> Pick {
        Pick { from: 0, to: self.words.len() as u16, at: 0 }
    }

    /// The words that have `byte` next; `None` where there is none. `allowed` says which may be meant at all.
    pub(super) fn step(&self, pick: Pick, byte: u8, allowed: impl Fn(usize) -> bool) -> Option<Pick> {
        let at = usize::from(pick.at);
        let range = &self.words[usize::from(pick.from)..usize::from(pick.to)];
        let next = |w: &(Vec<u8>, usize)| w.0.get(at).copied();
        let from = range.partition_point(|w| next(w) < Some(byte));
        let to = range.partition_point(|w| next(w) <= Some(byte));
        range[from..to].iter().any(|w| allowed(w.1)).then_some(Pick {
            from: pick.from + from as u16,
            to: pick.from + to as u16,
            at: pick.at + 1,
        })
    }

    /// The word that is complete, by its place in the list it was made from.
    pub(super) fn complete(&self, pick: Pick) -> Option<usize> {
        let word = &self.words[usize::from(pick.from)];
        (word.0.len() == usize::from(pick.at)).then_some(word.1)
    }
}
