//! Angles and directions: 40° 26' 46" N, NNW.

use super::lexer::{Said, Token};
use super::number;
use Token::{Num, Space, Sym, Word};

/// 26' 46" N behind degrees
pub(super) fn minutes(rest: &[Token]) -> Said {
    let mut at = 0;
    let mut said = Vec::new();
    for (mark, one) in [('\'', "minute"), ('"', "second")] {
        let gap = usize::from(matches!(rest.get(at), Some(Space)));
        if let [Num(n), Sym(m), ..] = rest.get(at + gap..)?
            && *m == mark
        {
            said.push(format!("{} {one}{}", number::whole(n), if *n == "1" { "" } else { "s" }));
            at += gap + 2;
        }
    }
    if said.is_empty() {
        return None;
    }
    let gap = usize::from(matches!(rest.get(at), Some(Space)));
    if let Some(Word(w)) = rest.get(at + gap)
        && w.len() == 1
        && let Some(direction) = compass(w)
    {
        said.push(direction.to_owned());
        at += gap + 1;
    }
    Some((at, said.join(" ")))
}

/// The direction that letters stand for.
pub(super) fn compass(w: &str) -> Option<&'static str> {
    Some(match w {
        "N" => "north",
        "S" => "south",
        "E" => "east",
        "W" => "west",
        "NE" => "northeast",
        "NW" => "northwest",
        "SE" => "southeast",
        "SW" => "southwest",
        "NNE" => "north-northeast",
        "NNW" => "north-northwest",
        "SSE" => "south-southeast",
        "SSW" => "south-southwest",
        "ENE" => "east-northeast",
        "ESE" => "east-southeast",
        "WNW" => "west-northwest",
        "WSW" => "west-southwest",
        _ => return None,
    })
}
