//! Web and mail addresses: "example dot com".

use super::english::Said;
use super::lexer::{Token, at_start};
use super::number;

const TOP_LEVEL: [&str; 22] = [
    "com", "org", "net", "io", "dev", "ai", "app", "edu", "gov", "co", "uk", "de", "eu", "ca", "fr", "au", "tv",
    "info", "ch", "at", "nl", "us",
];

/// Folders of a path that are read out; the rest says nothing to a listener.
const PATH_DEPTH: usize = 2;

pub(super) fn address(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) || !matches!(rest.first(), Some(Token::Word(_) | Token::Num(_))) {
        return None;
    }
    let mut run = rest.iter().position(|t| *t == Token::Space).unwrap_or(rest.len());
    while let Some(Token::Sym('.' | ',' | '!' | '?' | ';' | ':' | ')' | ']' | '"' | '\'' | '>')) = rest[..run].last() {
        run -= 1;
    }
    let text = spell(&rest[..run]);
    let spoken = if let Some((_, after)) = text.split_once("://") {
        url(after)
    } else if text.starts_with("www.") {
        url(&text)
    } else if let Some((user, host)) = text.split_once('@') {
        (is_domain(host) && !user.is_empty()).then(|| format!("{} at {}", label(user), url(host).unwrap_or_default()))
    } else {
        let host = text.split('/').next().unwrap_or_default();
        is_domain(host).then(|| url(&text)).flatten()
    };
    spoken.map(|s| (run, s))
}

fn spell(tokens: &[Token]) -> String {
    let mut s = String::new();
    for t in tokens {
        match t {
            Token::Num(w) | Token::Word(w) => s.push_str(w),
            Token::Space => s.push(' '),
            Token::Sym(c) => s.push(*c),
        }
    }
    s
}

fn is_domain(host: &str) -> bool {
    let mut labels = host.rsplit('.');
    let top = labels.next().unwrap_or_default();
    let mut more = labels.peekable();
    TOP_LEVEL.contains(&top)
        && more.peek().is_some()
        && more.all(|l| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn url(text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let mut parts = text.split('/').filter(|p| !p.is_empty());
    let host = parts.next()?;
    let host = host.strip_prefix("www.").unwrap_or(host);
    let mut spoken = label(host);
    for folder in parts.take(PATH_DEPTH) {
        spoken = format!("{spoken} slash {}", label(folder));
    }
    Some(spoken)
}

/// Letters as they are, digits one by one, the marks between them by name.
fn label(s: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in s.chars() {
        let named = match c {
            '.' => "dot",
            '-' => "dash",
            '_' => "underscore",
            '@' => "at",
            ':' => "colon",
            '+' => "plus",
            c if c.is_alphabetic() => {
                word.push(c);
                continue;
            }
            _ => "",
        };
        if !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        let named = if c.is_ascii_digit() { number::digits(c.encode_utf8(&mut [0; 4])) } else { named.to_owned() };
        if !named.is_empty() {
            out.push(named);
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out.join(" ")
}
