//! Strips HTML from a stream of text: tags, comments and entities become what they mean.
//!
//! Works character by character and holds back only what may still become a tag or an entity, so that its output does
//! not depend on how the text arrives. What turns out to be neither ("a < b", "Q&A") comes out as it was.

/// Tags whose beginning or end also ends a line.
const BLOCKS: [&str; 24] = [
    "br",
    "p",
    "div",
    "ul",
    "ol",
    "table",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "blockquote",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "details",
    "summary",
    "dl",
    "dt",
];
/// Tags that mark something within a line.
const INLINE: [&str; 34] = [
    "b", "i", "u", "s", "a", "em", "strong", "span", "code", "kbd", "small", "big", "mark", "del", "ins", "img", "q",
    "cite", "abbr", "font", "center", "tt", "var", "samp", "thead", "tbody", "dd", "label", "button", "video", "audio",
    "iframe", "body", "html",
];
/// Tags whose content is not for reading.
const HIDDEN: [&str; 4] = ["script", "style", "head", "svg"];

/// Longest tag or comment that is waited for, in bytes; a longer one is text.
const LONGEST_TAG: usize = 2_000;
/// The most a script or style sheet hides, in characters; a longer one was never closed.
const LONGEST_HIDDEN: usize = 4_000;
const LONGEST_ENTITY: usize = 10;

/// The state between two characters.
#[derive(Debug, Clone, Default)]
pub(super) struct Html {
    /// What may still become a tag or an entity; begins with "<" or "&".
    held: String,
    /// The tag of [`HIDDEN`] that is open, and how many characters it has hidden.
    hidden: Option<(&'static str, usize)>,
    /// The character in front of what is held.
    last: Option<char>,
}

/// What the held text is.
enum Found {
    More,
    /// Plain text after all.
    Text,
    /// Replaced by this.
    Becomes(String),
    Hides(&'static str),
}

impl Html {
    /// Takes one character; returns what is certain.
    pub(super) fn push(&mut self, c: char, out: &mut String) {
        if let Some((_, hides)) = &mut self.hidden {
            // "the <script> tag": the text talks about it
            if (*hides == 0 && " `'\".,;:)".contains(c)) || *hides >= LONGEST_HIDDEN {
                self.hidden = None;
            } else {
                *hides += 1;
            }
        }
        if self.held.is_empty() {
            // "`<b>`": a tag that is named
            if matches!(c, '<' | '&') && self.last == Some('`') {
                self.last = None;
                out.push(c);
                return;
            }
            if !matches!(c, '<' | '&') {
                self.last = Some(c);
            }
        }
        if self.held.is_empty() && !matches!(c, '<' | '&') {
            if self.hidden.is_none() {
                out.push(c);
            }
            return;
        }
        // A new "<" or "&" shows that the held one began nothing.
        if !self.held.is_empty() && matches!(c, '<' | '&') && !self.held.starts_with("<!--") && !self.in_quotes() {
            self.release(out);
        }
        self.held.push(c);
        match self.judge() {
            Found::More => {}
            Found::Text => self.release(out),
            Found::Becomes(text) => {
                self.held.clear();
                if self.hidden.is_none() {
                    out.push_str(&text);
                }
            }
            Found::Hides(tag) => {
                self.held.clear();
                self.hidden = Some((tag, 0));
            }
        }
    }

    /// End of input: what is held was text.
    pub(super) fn finish(&mut self, out: &mut String) {
        self.release(out);
        *self = Self::default();
    }

    fn in_quotes(&self) -> bool {
        self.held.starts_with('<') && self.held.contains('=') && self.held.matches('"').count() % 2 == 1
    }

    fn release(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        if self.hidden.is_none() {
            out.push_str(&held);
        }
    }

    fn judge(&mut self) -> Found {
        if self.held.starts_with('&') { self.entity() } else { self.tag() }
    }

    fn entity(&self) -> Found {
        let body = &self.held[1..];
        if let Some(name) = body.strip_suffix(';') {
            return decode(name).map_or(Found::Text, Found::Becomes);
        }
        let first_fits = body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '#');
        let fits = body.is_empty()
            || (first_fits && body.chars().skip(1).all(|c| c.is_ascii_alphanumeric()) && body.len() < LONGEST_ENTITY);
        if fits { Found::More } else { Found::Text }
    }

    fn tag(&mut self) -> Found {
        let held = &self.held;
        if "<!--".starts_with(held.as_str()) {
            return Found::More;
        }
        if held.starts_with("<!--") {
            return match held.ends_with("-->") && held.len() >= 7 {
                true => Found::Becomes(" ".into()),
                false if held.len() > LONGEST_TAG => Found::Text,
                false => Found::More,
            };
        }
        let body = held[1..].strip_prefix('/').unwrap_or(&held[1..]);
        let closing = held.starts_with("</");
        let len = body.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(body.len());
        let (name, rest) = body.split_at(len);
        let name = name.to_ascii_lowercase();
        let doctype = held.starts_with("<!");
        if rest.is_empty() && !doctype {
            let begins = |list: &[&'static str]| list.iter().any(|t| t.starts_with(&name));
            let known = "strike".starts_with(&name)
                || begins(&BLOCKS)
                || begins(&INLINE)
                || begins(&HIDDEN)
                || begins(&["sub", "sup", "li", "td", "th", "title"]);
            let web = ["http", "https", "mailto"].iter().any(|s| s.starts_with(&name));
            return if known || web { Found::More } else { Found::Text };
        }
        // <https://example.com>, <mailto:me@example.com>
        if rest.starts_with(':') && matches!(name.as_str(), "http" | "https" | "mailto") {
            return match () {
                () if rest.contains(char::is_whitespace) || held.len() > LONGEST_TAG => Found::Text,
                () if rest.ends_with('>') => Found::Becomes(held[1..held.len() - 1].to_owned()),
                () => Found::More,
            };
        }
        if doctype {
            let fits = "<!doctype".starts_with(&held.to_ascii_lowercase())
                || held.to_ascii_lowercase().starts_with("<!doctype");
            return match () {
                () if !fits || held.len() > LONGEST_TAG => Found::Text,
                () if held.ends_with('>') => Found::Becomes(String::new()),
                () => Found::More,
            };
        }
        let Some(meaning) = meaning(&name, closing) else { return Found::Text };
        let attributes = rest.trim_end_matches('>').trim_end_matches('/').trim();
        let ended = rest.ends_with('>') && !self.in_quotes();
        match () {
            () if held.len() > LONGEST_TAG => Found::Text,
            () if !rest.starts_with(['>', '/', ' ', '\n', '\t']) => Found::Text,
            () if !ended => Found::More,
            // "a <b and c> d" has no attributes
            () if !attributes.is_empty() && !attributes.contains('=') => Found::Text,
            () => match HIDDEN.iter().find(|h| **h == name) {
                Some(h) if !closing && !rest.ends_with("/>") => Found::Hides(h),
                Some(h) => {
                    if self.hidden.is_some_and(|(tag, _)| tag == *h) {
                        self.hidden = None;
                    }
                    Found::Becomes(String::new())
                }
                None => Found::Becomes(meaning.to_owned()),
            },
        }
    }
}

/// What a tag is in plain text; `None` for anything that is not an HTML tag.
fn meaning(name: &str, closing: bool) -> Option<&'static str> {
    Some(match (name, closing) {
        ("li", false) => "\n- ",
        ("li", true) => "\n",
        ("td" | "th", true) => ", ",
        ("td" | "th", false) => "",
        ("s" | "del" | "strike", _) => "~~",
        ("sup", false) => "^",
        ("sup" | "sub" | "title", _) => "",
        ("p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "hr" | "br" | "tr" | "div", _) => "\n\n",
        (b, _) if BLOCKS.contains(&b) => "\n",
        (i, _) if INLINE.contains(&i) || HIDDEN.contains(&i) => "",
        _ => return None,
    })
}

/// The characters of an entity's name.
fn decode(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control()).map(String::from);
    }
    let known = ENTITIES.iter().find(|(n, _)| *n == name).map(|(_, c)| (*c).to_owned());
    known.or_else(|| accented(name))
}

/// &eacute; and the other letters with accents: the letter and its mark, composed where there is one character.
fn accented(name: &str) -> Option<String> {
    const MARKS: [(&str, &str, &str); 6] = [
        ("acute", "AEIOUYaeiouy", "ÁÉÍÓÚÝáéíóúý"),
        ("grave", "AEIOUaeiou", "ÀÈÌÒÙàèìòù"),
        ("circ", "AEIOUaeiou", "ÂÊÎÔÛâêîôû"),
        ("uml", "AEIOUYaeiouy", "ÄËÏÖÜŸäëïöüÿ"),
        ("tilde", "ANOano", "ÃÑÕãñõ"),
        ("cedil", "Cc", "Çç"),
    ];
    let mut chars = name.chars();
    let letter = chars.next()?;
    let (_, plain, composed) = MARKS.iter().find(|(mark, _, _)| *mark == chars.as_str())?;
    let at = plain.chars().position(|c| c == letter)?;
    composed.chars().nth(at).map(String::from)
}

const ENTITIES: &[(&str, &str)] = &[
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ensp", " "),
    ("emsp", " "),
    ("thinsp", " "),
    ("shy", ""),
    ("zwj", ""),
    ("zwnj", ""),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("sbquo", "‘"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bdquo", "“"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("bull", "•"),
    ("middot", "·"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("deg", "°"),
    ("cent", "¢"),
    ("pound", "£"),
    ("yen", "¥"),
    ("euro", "€"),
    ("sect", "§"),
    ("para", " "),
    ("micro", "µ"),
    ("times", "×"),
    ("divide", "÷"),
    ("plusmn", "±"),
    ("minus", "−"),
    ("ne", "≠"),
    ("le", "≤"),
    ("ge", "≥"),
    ("asymp", "≈"),
    ("infin", "∞"),
    ("radic", "√"),
    ("frac12", "½"),
    ("frac14", "¼"),
    ("frac34", "¾"),
    ("sup1", "¹"),
    ("sup2", "²"),
    ("sup3", "³"),
    ("permil", "‰"),
    ("prime", "′"),
    ("Prime", "″"),
    ("larr", "←"),
    ("rarr", "→"),
    ("rArr", "⇒"),
    ("szlig", "ß"),
    ("aelig", "æ"),
    ("AElig", "Æ"),
    ("oslash", "ø"),
    ("Oslash", "Ø"),
    ("aring", "å"),
    ("Aring", "Å"),
    ("oelig", "œ"),
    ("iexcl", "¡"),
    ("iquest", "¿"),
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("Delta", "Δ"),
    ("epsilon", "ε"),
    ("theta", "θ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("Sigma", "Σ"),
    ("tau", "τ"),
    ("phi", "φ"),
    ("omega", "ω"),
    ("Omega", "Ω"),
    ("hearts", "♥"),
    ("check", "✓"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let (mut html, mut out) = (Html::default(), String::new());
        for c in text.chars() {
            html.push(c, &mut out);
        }
        html.finish(&mut out);
        out
    }

    #[test]
    fn tags_and_entities_become_what_they_mean() {
        for (html, text) in [
            ("<b>x</b> &amp; <em class=\"a > b\">y</em>", "x & y"),
            ("a<br/>b", "a\n\nb"),
            ("<!-- a < b & c -->x", " x"),
            ("<script>if (a < b) { x(\"</b>\") }</script>y", "y"),
            ("&lt;b&gt; is a tag", "<b> is a tag"),
            ("&#8217;&#x2019;&eacute;&Uuml;", "’’éÜ"),
            ("<https://example.com/a>", "https://example.com/a"),
            ("<!DOCTYPE html><html>x", "x"),
            ("&amp;lt;", "&lt;"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn talk_of_a_script_hides_nothing() {
        assert_eq!(plain("The <script> tag runs. Then more."), "The  tag runs. Then more.");
        let open = format!("<style>{}", "x".repeat(2 * LONGEST_HIDDEN));
        assert!(plain(&open).len() >= LONGEST_HIDDEN, "a style sheet without an end hides no more than it may");
    }

    #[test]
    fn what_is_no_html_stays() {
        for text in [
            "Use the `<b>` tag",
            "a `<p` b",
            "a < b and c > d",
            "a <b and c> d",
            "Q&A; R&D &",
            "AT&T",
            "<",
            "<3",
            "List<String> x",
            "x<y",
            "<name>",
            "&unknown;",
            "&#0;",
            "a &amp",
            "<b",
        ] {
            assert_eq!(plain(text), text);
        }
        let long = format!("<a href=\"{}", "x".repeat(LONGEST_TAG));
        assert_eq!(plain(&long), long);
    }
}
