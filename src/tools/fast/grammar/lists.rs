//! Lists.

use super::{Fixed, Group, Piece, group};

pub(super) const PIECES: &[Piece] = &[
    ("onto", "(to|on|onto|in|into|on to|down on)"),
    ("off", "(from|off|off of|out of|on)"),
    ("content", "(everything|all|all items|all the items|all of the items|all things|all the things|all of it)"),
];

pub(super) const RULES: &[Group] = &[
    group(
        "clear_list",
        &[
            "(clear|empty|erase|wipe|delete|reset|clean|flush) [out|off] <list>",
            "(clear|empty|erase|wipe|delete|clean) [out] (the whole|the entire|my whole|my entire|all of) <list>",
            "(delete|remove|take|erase|clear|cross|strike) @content [that is] @off <list>",
            "clear <list> out",
        ],
    ),
    group(
        "add_to_list",
        &[
            "(add|put|write|get|include|stick|throw|jot|place|append|note) [down] <items> @onto <list>",
            "(add|put|write) @onto <list> <items>",
            "[on|to|onto] <list> (add|put|write) <items>",
            "(i|we) need <items> on <list>",
            "<items> (goes|go|should go|belongs|belong) on <list>",
        ],
    ),
    // "… and eggs to my shopping list".
    group("add_to_list", &["<items> (to|onto) <list>"]).later(),
    group("remove_from_list", &["<items> (from|off) <list>"]).later(),
    group(
        "remove_from_list",
        &[
            "(cross|strike|scratch|check|tick|take|mark) off <items> (from|on|in) <list>",
            "(cross|strike|scratch|check|tick|take|mark) <items> off (from|on|in|of) <list>",
            "(remove|delete|take|cross|strike|scratch|check|tick|drop|erase|clear|get) [off|out] <items> (from|off|off of|out of|on|in) <list>",
            "(complete|finish|mark) <items> [as done|done] (from|on|in) <list>",
            "take <items> (from|off) <list>",
        ],
    ),
    group(
        "read_list",
        &[
            "@list-it [me] [out] [what is on|all of|everything on] <list>",
            "(open|say|read) <list> [to me|out|out loud|back|for me|aloud]",
            "(what|what all) (is|is left|is still|else is|are) [left|still] (on|in) <list> [so far|right now]",
            "what (do i|do we|have i|have we) (have|got|have left|still have|have put|put) on <list>",
            "what <list> says",
            "what does <list> say",
            "(is there|do i have|do we have|have i got) (anything|something) [left|still] on <list>",
            "is anything [left|still] on <list>",
            "what is on <list> today",
        ],
    ),
    group(
        "read_list",
        &[
            "what (do i|do we) (need|have|still need) to (buy|get)",
            "what (do i|do we) need from the (store|shop|supermarket)",
        ],
    )
    .with(&[("list", Fixed::Text("shopping"))]),
    group("clear_list", &["(start|begin|make) a new shopping list", "(clear|empty) the groceries"])
        .with(&[("list", Fixed::Text("shopping"))]),
];
