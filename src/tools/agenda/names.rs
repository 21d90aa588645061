//! What people call things, told apart by what matters.

/// Lower case, single spaces, at most `max` characters, none of them control characters.
pub(super) fn tidy(text: &str, max: usize) -> String {
    let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(max).collect()
}

/// Single spaces, at most `max` characters, none of them control characters; the letters as they were said.
pub(super) fn plain(text: &str, max: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(max).collect()
}

/// Whether `asked` means all there are.
pub(in crate::tools) fn is_all(asked: &str) -> bool {
    let asked = tidy(asked, 60);
    let asked = asked.trim_start_matches("the ").trim_start_matches("my ");
    matches!(asked, "all" | "every" | "everything" | "both" | "all of them" | "every one" | "them all")
}

/// The words that tell one thing from another, in the singular, without `idle` ones.
pub(super) fn telling(text: &str, idle: &[&str]) -> Vec<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|w| !w.is_empty() && !matches!(*w, "the" | "my" | "a" | "an" | "some" | "of") && !idle.contains(w))
        .map(singular)
        .collect()
}

/// Whether people who say `asked` may mean `mine`: all of its telling words are there.
pub(super) fn means(asked: &str, mine: &str, idle: &[&str]) -> bool {
    let (asked, mine) = (telling(asked, idle), telling(mine, idle));
    !asked.is_empty() && asked.iter().all(|w| mine.contains(w))
}

fn singular(word: &str) -> String {
    match word {
        w if w.len() > 4 && w.ends_with("ies") => format!("{}y", &w[..w.len() - 3]),
        w if w.len() > 3 && ["oes", "shes", "ches", "xes", "sses"].iter().any(|e| w.ends_with(e)) => {
            w[..w.len() - 2].to_owned()
        }
        w if w.len() > 2 && w.ends_with('s') && !w.ends_with("ss") => w[..w.len() - 1].to_owned(),
        w => w.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plural_or_an_article_is_the_same_thing() {
        for (asked, mine) in
            [("eggs", "egg"), ("the Tomatoes", "tomato"), ("berries", "red berry"), ("box", "boxes"), ("pies", "pie")]
        {
            assert!(means(asked, mine, &[]), "{asked} {mine}");
        }
        for (asked, mine) in [("", "egg"), ("the", "the"), ("milk", "almonds"), ("oat milk", "milk")] {
            assert!(!means(asked, mine, &[]), "{asked} {mine}");
        }
        assert!(is_all("All of  them") && is_all("both") && !is_all("all spice"));
    }
}
