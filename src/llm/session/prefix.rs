//! The prefix cache's file: the computed start of a conversation, saved and restored, so that a daemon need not compute it
//! again after a restart. Where it is kept is the caller's business.
//!
//! A saved prefix belongs to one model file, backend, precision, version of tercet and list of tokens: all are in its key. It
//! ends with the sha256 of everything before; anything that does not match exactly is ignored.
//!
//! Little-endian: `tercetkv`, key (32 bytes), tokens (u32), bytes of keys and values (u64), the tokens (u32 each), keys and
//! values as the backend saves them, sha256 (32 bytes).

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::Session;
use crate::budget::{Component, Reservation};
use crate::error::{Error, Kind, Result};
use crate::llm::Engine;
use crate::units::{Bytes, TokenId};

/// Raise it when what a backend saves changes its meaning.
const FORMAT: u32 = 2;
const MAGIC: &[u8; 8] = b"tercetkv";
const HASH: usize = 32;

impl Session {
    /// The name of a prefix of these tokens, unique across models, backends and precisions: letters and digits.
    /// `None` where the model's file can no longer be read.
    pub fn prefix_id(&self, tokens: &[TokenId]) -> Option<String> {
        Some(key(&self.engine, tokens)?.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Writes the pinned prefix to `to`.
    ///
    /// # Errors
    /// `OverBudget` where there is no room for a copy of it; [`Kind::Io`] where `to` does not take it or the model's file
    /// cannot be read; the backend's error.
    pub fn save_prefix(&self, to: &mut dyn Write) -> Result<()> {
        let tokens = &self.tokens[..self.pinned];
        let Some(key) = key(&self.engine, tokens) else {
            return Err(Error::new(Kind::Io, format!("cannot read {}", self.engine.path().display())));
        };
        let _room = self.reserve_copy(tokens.len())?;
        let kv = self.timeline.save(tokens.len())?;
        let head = header(&key, tokens, kv.len());
        let hash = Sha256::new().chain_update(&head).chain_update(&kv).finalize();
        [&head[..], &kv, &hash]
            .into_iter()
            .try_for_each(|part| to.write_all(part))
            .map_err(|e| Error::new(Kind::Io, "cannot write the prefix cache").because(e))
    }

    /// Makes `tokens` the whole timeline, pinned, from what [`Session::save_prefix`] wrote; `false` where `from` does not
    /// hold exactly that. The timeline is then unchanged, as after every error except the backend's.
    ///
    /// # Errors
    /// [`Kind::Io`] where `from` cannot be read, `OverBudget` where there is no room for a copy. The backend's error; the
    /// timeline is empty then.
    pub fn load_prefix(&mut self, tokens: &[TokenId], from: &mut dyn Read) -> Result<bool> {
        let Some(key) = key(&self.engine, tokens).filter(|_| tokens.len() <= self.engine.context()) else {
            return Ok(false);
        };
        let _room = self.reserve_copy(tokens.len())?;
        let read = sound(from, &key, tokens, self.copy_bytes(tokens.len()))
            .map_err(|e| Error::new(Kind::Io, "cannot read the prefix cache").because(e))?;
        let Some(kv) = read else { return Ok(false) };
        self.clear();
        self.timeline.load(tokens.len(), &kv)?;
        self.tokens.extend_from_slice(tokens);
        self.pinned = tokens.len();
        Ok(true)
    }

    /// Bytes that a copy of the first `tokens` positions takes at most: their share of the cache, in whole blocks.
    fn copy_bytes(&self, tokens: usize) -> u64 {
        let share = self.engine.kv_bytes().0.div_ceil(self.engine.context().max(1) as u64);
        share * (tokens as u64 + 8)
    }

    fn reserve_copy(&self, tokens: usize) -> Result<Reservation> {
        let what = "a copy of the start of the conversation".to_owned();
        self.engine.budget().reserve(Component::Kv, what, Bytes(self.copy_bytes(tokens)))
    }
}

/// What a prefix must have been computed from to be usable. `None` where the model's file can no longer be read.
fn key(engine: &Engine, tokens: &[TokenId]) -> Option<[u8; HASH]> {
    let mut h = Sha256::new();
    let of = format!(
        "{FORMAT} {} {} {} {:?} {}",
        env!("CARGO_PKG_VERSION"),
        engine.backend(),
        engine.kv_precision().name(),
        engine.hyper(),
        engine.fingerprint()?
    );
    h.update((of.len() as u64).to_le_bytes());
    h.update(of);
    for t in tokens {
        h.update(t.0.to_le_bytes());
    }
    Some(h.finalize().into())
}

/// Everything before the keys and values.
fn header(key: &[u8; HASH], tokens: &[TokenId], kv: usize) -> Vec<u8> {
    let mut h = Vec::with_capacity(MAGIC.len() + HASH + 12 + 4 * tokens.len());
    h.extend_from_slice(MAGIC);
    h.extend_from_slice(key);
    h.extend_from_slice(&(tokens.len() as u32).to_le_bytes());
    h.extend_from_slice(&(kv as u64).to_le_bytes());
    tokens.iter().for_each(|t| h.extend_from_slice(&t.0.to_le_bytes()));
    h
}

/// The keys and values of exactly what was saved for `tokens`; `None` where it is anything else, or more than `most` bytes.
fn sound(from: &mut dyn Read, key: &[u8; HASH], tokens: &[TokenId], most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = vec![0; header(key, tokens, 0).len()];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let mut size = [0; 8];
    size.copy_from_slice(&head[MAGIC.len() + HASH + 4..][..8]);
    let bytes = u64::from_le_bytes(size);
    if bytes > most || head != header(key, tokens, bytes as usize) {
        return Ok(None);
    }
    let (mut kv, mut hash) = (vec![0; bytes as usize], [0; HASH]);
    if !fill(from, &mut kv)? || !fill(from, &mut hash)? || fill(from, &mut [0])? {
        return Ok(None);
    }
    let right = Sha256::new().chain_update(&head).chain_update(&kv).finalize();
    Ok((hash == right.as_slice()).then_some(kv))
}

/// Whether there were bytes enough to fill `buffer`.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
