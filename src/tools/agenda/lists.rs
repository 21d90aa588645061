//! Lists: shopping, to-do and whatever else they are called.

use rusqlite::{Connection, Transaction, params};

use super::Agenda;
use super::names::{is_all, means, plain, telling, tidy};
use super::row::{Row, next_id};

/// Lists at once, and items on one; more is refused in words.
const LISTS_MAX: usize = 20;
const ITEMS_MAX: usize = 200;
/// Longest name and longest item, in characters.
const NAME_MAX: usize = 40;
const ITEM_MAX: usize = 200;
/// The list that is meant where none is named.
const DEFAULT: &str = "shopping";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub(super) id: i64,
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Grows, so that items stay in the order in which they came.
    pub(super) id: i64,
    pub(super) list: i64,
    pub(super) text: String,
}

/// What came of putting something on a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Added {
    New,
    /// It was there.
    Already,
    /// There are too many items.
    Full(usize),
    /// There are too many lists.
    TooManyLists(usize),
}

/// What came of taking something off a list.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tools) enum Removed {
    /// This is gone.
    Gone(String),
    /// It is not on the list.
    Unknown,
    /// Several may be meant.
    Which(Vec<String>),
}

/// What a list is called: "shopping", "to-do", "packing".
pub(in crate::tools) fn list_name(asked: Option<&str>) -> String {
    let name = tidy(asked.unwrap_or_default(), NAME_MAX).replace(['_', '-'], " ");
    let words: Vec<&str> =
        name.split_whitespace().filter(|w| !matches!(*w, "the" | "my" | "our" | "list" | "lists")).collect();
    match words.as_slice() {
        [] => DEFAULT.to_owned(),
        ["shopping" | "grocery" | "groceries" | "shop" | "supermarket"] | ["grocery", "shopping"] => DEFAULT.to_owned(),
        ["todo" | "todos" | "task" | "tasks"] | ["to", "do" | "dos"] => "to-do".to_owned(),
        words => words.join(" "),
    }
}

impl Agenda {
    /// Puts `item` on the list called `name`, which is begun where there is none.
    pub(in crate::tools) fn add_item(&self, name: &str, item: &str) -> Added {
        let text = plain(item, ITEM_MAX);
        self.change(|kept, _| {
            let found = kept.lists.iter().find(|l| l.name == name).map(|l| l.id);
            let list = match found {
                Some(list) => list,
                None if kept.lists.len() >= LISTS_MAX => return Added::TooManyLists(LISTS_MAX),
                None => next_id(&kept.lists),
            };
            let on_it = || kept.items.iter().filter(|i| i.list == list);
            if on_it().any(|i| telling(&i.text, &[]) == telling(&text, &[])) {
                return Added::Already;
            }
            if on_it().count() >= ITEMS_MAX {
                return Added::Full(ITEMS_MAX);
            }
            if found.is_none() {
                kept.lists.push(List { id: list, name: name.to_owned() });
            }
            let id = next_id(&kept.items);
            kept.items.push(Item { id, list, text });
            Added::New
        })
    }

    /// Takes `item` off the list called `name`: the one that is it, give or take a plural, else the one that has its
    /// words.
    pub(in crate::tools) fn remove_item(&self, name: &str, item: &str) -> Removed {
        self.change(|kept, _| {
            let Some(list) = kept.lists.iter().find(|l| l.name == name).map(|l| l.id) else { return Removed::Unknown };
            let on_it = || kept.items.iter().filter(|i| i.list == list);
            let same = |i: &&Item| telling(&i.text, &[]) == telling(item, &[]);
            let found: Vec<&Item> = match on_it().find(same) {
                Some(it) => vec![it],
                None => on_it().filter(|i| means(item, &i.text, &[])).collect(),
            };
            match found.as_slice() {
                [] => Removed::Unknown,
                [one] => {
                    let (id, text) = (one.id, one.text.clone());
                    kept.items.retain(|i| i.id != id);
                    Removed::Gone(text)
                }
                several => Removed::Which(several.iter().map(|i| i.text.clone()).collect()),
            }
        })
    }

    /// What is on the list called `name`; `None` where there is no such list.
    pub(in crate::tools) fn items(&self, name: &str) -> Option<Vec<String>> {
        self.look(|kept, _| {
            let list = kept.lists.iter().find(|l| l.name == name)?.id;
            Some(kept.items.iter().filter(|i| i.list == list).map(|i| i.text.clone()).collect())
        })
    }

    /// The names of the lists that have something on them.
    pub(in crate::tools) fn list_names(&self) -> Vec<String> {
        self.look(|kept, _| {
            let has = |l: &&List| kept.items.iter().any(|i| i.list == l.id);
            kept.lists.iter().filter(has).map(|l| l.name.clone()).collect()
        })
    }

    /// Empties the list called `name`, or every list for "all"; how many items there were.
    pub(in crate::tools) fn clear_list(&self, name: &str) -> usize {
        self.change(|kept, _| {
            let before = kept.items.len();
            let gone: Vec<i64> = kept.lists.iter().filter(|l| is_all(name) || l.name == name).map(|l| l.id).collect();
            kept.items.retain(|i| !gone.contains(&i.list));
            // An empty list is one fewer of those that are allowed.
            kept.lists.retain(|l| !gone.contains(&l.id));
            before - kept.items.len()
        })
    }
}

impl Row for List {
    const DELETE: &'static str = "DELETE FROM list WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        // Not REPLACE: that would take the items with the row.
        to.execute(
            "INSERT INTO list (id, name) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            params![self.id, self.name],
        )?;
        Ok(())
    }
}

impl Row for Item {
    const DELETE: &'static str = "DELETE FROM item WHERE id = ?1";

    fn id(&self) -> i64 {
        self.id
    }

    fn put(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        to.execute(
            "INSERT OR REPLACE INTO item (id, list, text) VALUES (?1, ?2, ?3)",
            params![self.id, self.list, self.text],
        )?;
        Ok(())
    }
}

/// What the file has.
pub(super) fn load(from: &Connection) -> rusqlite::Result<(Vec<List>, Vec<Item>)> {
    let mut query = from.prepare("SELECT id, name FROM list ORDER BY id")?;
    let lists = query.query_map([], |row| Ok(List { id: row.get(0)?, name: row.get(1)? }))?;
    let lists = lists.collect::<rusqlite::Result<_>>()?;
    let mut query = from.prepare("SELECT id, list, text FROM item ORDER BY id")?;
    let items = query.query_map([], |row| Ok(Item { id: row.get(0)?, list: row.get(1)?, text: row.get(2)? }))?;
    Ok((lists, items.collect::<rusqlite::Result<_>>()?))
}
