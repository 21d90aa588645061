//! Special tokens by name: finding them in trusted text, and finding where foreign text could begin one.

use std::collections::HashMap;

use crate::units::TokenId;

/// The special tokens of a vocabulary.
pub(in crate::llm) struct SpecialNames {
    by_name: HashMap<String, TokenId>,
    /// Longest first, so that the first match at a position is the longest.
    names: Vec<String>,
    ids: Vec<TokenId>,
    first_bytes: [bool; 256],
}

impl SpecialNames {
    pub(super) fn new(tokens: impl Iterator<Item = (String, TokenId)>) -> Self {
        let mut by_name = HashMap::new();
        let mut ids = Vec::new();
        for (name, id) in tokens.filter(|(name, _)| !name.is_empty()) {
            ids.push(id);
            by_name.entry(name).or_insert(id);
        }
        ids.sort_unstable();
        let mut names: Vec<String> = by_name.keys().cloned().collect();
        names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let mut first_bytes = [false; 256];
        for n in &names {
            first_bytes[usize::from(n.as_bytes()[0])] = true;
        }
        Self { by_name, names, ids, first_bytes }
    }

    pub(super) fn get(&self, name: &str) -> Option<TokenId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn contains(&self, token: TokenId) -> bool {
        self.ids.binary_search(&token).is_ok()
    }

    /// The leftmost, then longest, name in `text`: position, length in bytes, token.
    pub(in crate::llm) fn find(&self, text: &str) -> Option<(usize, usize, TokenId)> {
        self.candidates(text).find_map(|at| {
            let name = self.names.iter().find(|n| text[at..].starts_with(n.as_str()))?;
            Some((at, name.len(), *self.by_name.get(name)?))
        })
    }

    /// Positions in `text` from which a special token's name could be read, in `text` alone or together with whatever
    /// follows it.
    pub(in crate::llm) fn beginnings<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.candidates(text).filter(|&at| {
            let rest = &text[at..];
            self.names.iter().any(|n| rest.starts_with(n.as_str()) || n.starts_with(rest))
        })
    }

    fn candidates<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        text.char_indices().filter(|&(at, _)| self.first_bytes[usize::from(text.as_bytes()[at])]).map(|(at, _)| at)
    }
}
