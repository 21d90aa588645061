//! What a misheard command may have been: words that make no sense but sound like a command that does.

/// Longer utterances are not tried: the more words, the less one can tell.
const WORDS_MAX: usize = 6;

/// Commands that people say often, and that are heard wrongly.
const COMMANDS: &[&str] = &[
    "cancel the timer",
    "cancel timer",
    "cancel timers",
    "cancel all timers",
    "cancel my timer",
    "cancel my timers",
    "cancel the timers",
    "cancel all the timers",
    "cancel the alarm",
    "cancel my alarm",
    "cancel all alarms",
    "cancel all reminders",
    "cancel the reminder",
    "pause the timer",
    "pause timer",
    "pause all timers",
    "resume the timer",
    "stop the timer",
    "stop the alarm",
    "timer status",
    "how much time is left",
    "what time is it",
    "what day is it",
    "what is the date",
    "list my alarms",
    "list my reminders",
    "read my shopping list",
    "read the shopping list",
    "clear the shopping list",
    "turn it up",
    "turn it down",
    "turn the volume up",
    "turn the volume down",
    "turn up the volume",
    "turn down the volume",
    "volume up",
    "volume down",
    "mute yourself",
    "unmute",
    "snooze the alarm",
    "say that again",
    "tell me a joke",
    "what can you do",
    "undo that",
];

/// The command that `utterance` sounds like and is not.
pub(super) fn like(utterance: &str) -> Option<String> {
    let words = super::tokens(utterance);
    if words.is_empty() || words.len() > WORDS_MAX {
        return None;
    }
    let line = words.join(" ");
    let (letters, key) = (joined(&line), key(&line));
    let mut best: Option<(f64, &str)> = None;
    for command in COMMANDS {
        if line == *command {
            return None;
        }
        // Its consonants must be the same but for one, and most of its letters.
        let other = self::key(command);
        let apart = strsim::levenshtein(&key, &other);
        let near = strsim::normalized_levenshtein(&letters, &joined(command));
        let begins = key.chars().next() == other.chars().next();
        if !begins || apart * KEY_SHARE > other.len() || near < LETTERS_MIN {
            continue;
        }
        let score = near - apart as f64 / other.len().max(1) as f64;
        if best.is_none_or(|(b, _)| score > b) {
            best = Some((score, command));
        }
    }
    best.map(|(_, command)| command.to_owned())
}

/// Of so many sounds one may differ.
const KEY_SHARE: usize = 7;
/// The least share of letters that must agree.
const LETTERS_MIN: f64 = 0.78;

fn joined(line: &str) -> String {
    line.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The consonants as they sound, word boundaries gone: "can sell" and "cancel" are both "knsl".
fn key(line: &str) -> String {
    let letters: Vec<char> = joined(line).chars().collect();
    let mut key = String::new();
    for (i, &c) in letters.iter().enumerate() {
        let next = letters.get(i + 1).copied().unwrap_or(' ');
        let before = i.checked_sub(1).map_or(' ', |k| letters[k]);
        let sound = match c {
            'a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'h' | 'w' => continue,
            'c' if matches!(next, 'e' | 'i' | 'y') => 's',
            'c' | 'q' | 'g' | 'k' if !(c == 'k' && next == 'n' && i == 0) => 'k',
            'k' => continue,
            'z' | 'x' | 's' => 's',
            'j' => 's',
            'd' | 't' => 't',
            'b' | 'p' => 'p',
            'f' | 'v' => 'f',
            // "Timers" and "time is": the r is hardly heard.
            'r' if !is_vowel(next) || !is_vowel(before) || next == ' ' => continue,
            other => other,
        };
        if !key.ends_with(sound) {
            key.push(sound);
        }
    }
    key
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}
