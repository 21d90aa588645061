//! Corrections: "the kitchen light, no, the hallway light" means the hallway light.

use super::english as en;
use super::lex::{Mark, Word, begins_any, texts};
use super::verbs;
use crate::tools::number::number;

const DETERMINERS: &[&str] = &["the", "my", "our", "a", "an", "your", "this", "that"];
const PARTICLES: &[&str] = &["on", "off", "up", "down", "open", "closed", "shut", "locked", "unlocked", "out"];
const PREPOSITIONS: &[&str] = &["in", "at", "for", "to", "from", "of", "by", "with", "until"];

/// What is meant, once what was taken back is gone. `None` where all was taken back.
pub(super) fn repaired(mut words: Vec<Word>) -> Option<Vec<Word>> {
    if taken_back(&words) {
        return None;
    }
    // Each round makes the request shorter.
    while let Some(better) = once(&words) {
        words = better;
    }
    Some(words)
}

/// Whether the last sentence, or what stands behind the last comma, takes back everything.
fn taken_back(words: &[Word]) -> bool {
    let body = words.len().saturating_sub(1);
    (1..words.len()).any(|k| {
        let marked = words[..body].get(k - 1).is_some_and(|w| matches!(w.after, Mark::Stop | Mark::Comma | Mark::Ask));
        let tail = &words[k..];
        let whole = |p: &[&str]| begins_any(tail, p) == Some(tail.len());
        let opened = || {
            let bare =
                verbs::skip(tail, &["oh", "no", "wait", "um", "uh", "actually", "okay", "please", "sorry", "well"]);
            begins_any(bare, en::TAKEN_BACK) == Some(bare.len())
        };
        // Behind "no", a request of its own is no withdrawal.
        marked && (whole(en::TAKEN_BACK) || opened())
    })
}

fn once(words: &[Word]) -> Option<Vec<Word>> {
    for k in 1..words.len() {
        let marked = matches!(words[k - 1].after, Mark::Comma | Mark::Stop);
        let Some(mut n) = begins_any(&words[k..], en::REPAIRS) else { continue };
        let sure = marked || begins_any(&words[k..], en::SURE_REPAIRS).is_some();
        if !sure {
            continue;
        }
        // "sorry, no, I mean …"
        while let Some(more) = begins_any(&words[k + n..], en::REPAIRS) {
            n += more;
        }
        let from = sentence_start(words, k);
        let left = &words[from..k];
        let right = &words[k + n..];
        let to = right.iter().position(|w| matches!(w.after, Mark::Stop | Mark::Ask)).map_or(right.len(), |p| p + 1);
        let (right, rest) = right.split_at(to);
        // "Wait" alone opens a request as often as it corrects one.
        if let Some(meant) = replaced(left, right) {
            let mut out = words[..from].to_vec();
            out.extend(meant);
            out.extend_from_slice(rest);
            return Some(out);
        }
    }
    // "Lock the, uh, unlock the front door": begun anew after a word that cannot end a request.
    for k in 1..words.len() {
        if words[k - 1].after == Mark::Comma && words[k - 1].any(DETERMINERS) && verbs::is_command(&words[k..]) {
            let from = sentence_start(words, k);
            let mut out = words[..from].to_vec();
            out.extend_from_slice(&words[k..]);
            return Some(out);
        }
    }
    None
}

fn sentence_start(words: &[Word], k: usize) -> usize {
    // The mark right before the correction does not end what it corrects.
    (1..k)
        .rev()
        .find(|&i| matches!(words[i - 1].after, Mark::Stop | Mark::Ask) && i < k)
        .filter(|&i| i != k)
        .unwrap_or(0)
}

/// `left` with the part that `right` corrects replaced; `None` where nothing in it is of the same kind.
pub(super) fn replaced(left: &[Word], right: &[Word]) -> Option<Vec<Word>> {
    let first = right.first()?;
    if left.is_empty() {
        return None;
    }
    let tail_particle = |l: &[Word]| l.last().filter(|w| w.any(PARTICLES)).cloned();
    let join = |head: &[Word], tail: &[Word]| {
        let mut v: Vec<Word> = head.to_vec();
        if let Some(w) = v.last_mut() {
            w.after = Mark::Space;
        }
        v.extend_from_slice(tail);
        v
    };
    if verbs::is_command(right) {
        return Some(right.to_vec());
    }
    // "Play radio one, no wait, radio two."
    if left[0].any(&["play", "announce", "broadcast"]) {
        return Some(join(&left[..1], right));
    }
    if let Some((_, n)) = number(&texts(right)) {
        let (p, m) = (0..left.len()).rev().find_map(|i| {
            let starts = number(&texts(&left[i..]))?;
            (i == 0 || number(&texts(&left[i - 1..])).is_none_or(|(_, k)| k <= 1)).then_some((i, starts.1))
        })?;
        let head = join(&left[..p], right);
        // "ten minutes, no, fifteen": the unit stays.
        return Some(if right.len() == n { join(&head, &left[p + m..]) } else { head });
    }
    if first.any(PARTICLES) && right.len() == 1 {
        let p = left.iter().rposition(|w| w.any(PARTICLES))?;
        let mut v = left.to_vec();
        v[p] = first.clone();
        return Some(v);
    }
    let p = if first.any(DETERMINERS) {
        left.iter().rposition(|w| w.any(DETERMINERS))?
    } else if first.any(PREPOSITIONS) {
        left.iter().rposition(|w| w.text == first.text)?
    } else {
        // A bare name stands for what follows the last article.
        left.iter().rposition(|w| w.any(DETERMINERS) || w.any(PREPOSITIONS))? + 1
    };
    let mut meant = join(&left[..p], right);
    if let Some(particle) = tail_particle(&left[p..])
        && !right.last().is_some_and(|w| w.any(PARTICLES))
    {
        meant.push(particle);
    }
    Some(meant)
}
