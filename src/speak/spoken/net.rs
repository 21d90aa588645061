//! Web and mail addresses: "example dot com".

use super::lexer::{Said, Token, at_start, spell};
use super::number;

const TOP_LEVEL: [&str; 40] = [
    "com", "org", "net", "io", "dev", "ai", "app", "edu", "gov", "co", "uk", "de", "eu", "ca", "fr", "au", "tv",
    "info", "ch", "at", "nl", "us", "ly", "me", "be", "gl", "es", "it", "jp", "in", "nz", "se", "no", "dk", "fi", "pl",
    "br", "cn", "xyz", "gg",
];

/// Endings that are words too: an address only with a path or a scheme ("look.at this" has lost a space).
const WORDS: [&str; 8] = ["at", "be", "in", "it", "me", "no", "us", "so"];

/// Folders of a path that are read out; the rest says nothing to a listener.
const PATH_DEPTH: usize = 2;

/// Addresses of pages and of mail, paths and names of files, @names
pub(super) fn address(before: &[Token], rest: &[Token]) -> Said {
    if !at_start(before) || matches!(before.last(), Some(Token::Sym('$'))) {
        return None;
    }
    let mut run =
        rest.iter().position(|t| matches!(t, Token::Space | Token::Sym('"' | '<' | '>'))).unwrap_or(rest.len());
    while let Some(Token::Sym('.' | ',' | '!' | '?' | ';' | ':' | ')' | ']' | '"' | '\'' | '>')) = rest[..run].last() {
        run -= 1;
    }
    let text = spell(&rest[..run]);
    if !matches!(rest.first(), Some(Token::Word(_) | Token::Num(_))) {
        if !matches!(before.last(), None | Some(Token::Space | Token::Sym('(' | '"' | '\'' | '['))) {
            return None;
        }
        return path(&text).map(|s| (run, s));
    }
    let spoken = if let Some((scheme, after)) = text.split_once("://") {
        scheme.chars().all(char::is_alphabetic).then(|| url(after)).flatten()
    } else if let Some(to) = text.strip_prefix("mailto:") {
        Some(label(to))
    } else if text.starts_with("www.") {
        url(&text)
    } else if let Some((user, host)) = text.split_once('@') {
        (is_domain(host) && !user.is_empty()).then(|| format!("{} at {}", label(user), url(host).unwrap_or_default()))
    } else if let Some(port) = text.strip_prefix("localhost:") {
        Some(format!("localhost colon {}", label(port)))
    } else if text.get(1..3) == Some(":\\") {
        path(&text)
    } else {
        let host = text.split('/').next().unwrap_or_default();
        let doubtful = host == text && host.rsplit('.').next().is_some_and(|t| WORDS.contains(&t));
        (is_domain(host) && !doubtful).then(|| url(&text)).flatten()
    };
    spoken.map(|s| (run, s))
}

/// /etc/hosts, ~/.bashrc, ./run.sh, C:\Users
fn path(text: &str) -> Option<String> {
    let windows = text.get(1..3) == Some(":\\");
    let unix = ["/", "~/", "./", "../"].iter().any(|p| text.len() > p.len() && text.starts_with(p));
    let named = text.contains(|c: char| c.is_alphabetic());
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/~._-\\:+".contains(c));
    ((windows || unix) && named && plain).then(|| label(text))
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
            '/' => "slash",
            '\\' => "backslash",
            '~' => "tilde",
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
