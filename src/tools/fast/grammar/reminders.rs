//! Reminders, and commands that are to run later.

use super::{Fixed, Group, Piece, group};

pub(super) const PIECES: &[Piece] = &[
    (
        "note",
        "((set|set up|create|make|add|give me|leave me|i need|i want|put|set me|make me|i would like) [a|an|another|a new|the|my] reminder)",
    ),
    ("remind", "(remind (me|us)|@note|(a|another|new) reminder|reminder)"),
    ("of", "(to|that|about|of)"),
    ("reminder-of", "(@the|a) reminder"),
    ("planned", "(scheduled|planned|coming up|lined up)"),
    ("commands", "(command|commands|action|actions|task|tasks)"),
];

pub(super) const RULES: &[Group] = &[
    group(
        "set_reminder",
        &[
            "@remind [@at] <moment> @of <text>",
            "[@at] <moment> @remind @of <text>",
            "@remind [@at] <moment> <not-to=text>",
            "@remind @of <text> <tail>",
            "remind (me|us) <not-to> <tail>",
            "@note for (the|my|our) <text> <tail>",
        ],
    ),
    group("set_reminder", &["@remind @of <text>", "remind (me|us) <not-to>"]),
    group(
        "set_reminder",
        &[
            "(do not let (me|us) forget|help me remember|i (need|have) to remember|do not forget to remind me|make sure i remember) @of <text> <tail>",
        ],
    ),
    group(
        "set_reminder",
        &[
            "(do not let (me|us) forget|help me remember|i (need|have) to remember|do not forget to remind me|make sure i remember) @of <text>",
        ],
    ),
    group("set_reminder", &["@remind [to|about|that|of]", "@remind [@at] <moment> [to|about|that|of]"]).missing("text"),
    group(
        "list_reminders",
        &[
            "(what|which) reminders (do i have|do we have|have i got|have i set|are set|are there|did i set|are left|are coming up) [set|left]",
            "@list-it [me] [all] [@the|of my] reminders",
            "(do i|do we) have [any|a] (reminder|reminders) [set|left|coming up]",
            "(have i|have we) got [any|a] (reminder|reminders) [set|left]",
            "(are there|is there) [any|a] (reminder|reminders) [set|left]",
            "what are (my|the) reminders",
            "what do i have to remember",
            "what (did i ask you|have i asked you|are you supposed|are you going|do you have) to remind me [of|about]",
            "what (are|will) you [going to] remind me (of|about)",
        ],
    ),
    group(
        "cancel_reminder",
        &["@cancel @all [@the|of the|of my] (reminder|reminders)", "@cancel [@the] reminders", "no more reminders"],
    )
    .with(&[("text", Fixed::Text("all"))]),
    group(
        "cancel_reminder",
        &["@cancel (@the|a) [last] reminder", "(i|we) (do not|no longer) need @the reminder [@anymore]"],
    ),
    group(
        "cancel_reminder",
        &[
            "@cancel @reminder-of (to|about|that|of) <text>",
            "@cancel [@the] <label=text> reminder",
            "(i|we) (do not|no longer) need @the reminder (to|about|that|of) <text>",
        ],
    ),
    group(
        "list_scheduled",
        &[
            "what (is|do you have|have you|have you got|have i|have i got|do i have|have we got) @planned [for later]",
            "(what|which) @commands (are|have you|do you have|did you|did i) (@planned|schedule|plan) [for later]",
            "(is|is there) (anything|something|any command) @planned",
            "(do you have|have you [got]|have you) (anything|something) @planned",
            "@list-it [all] [@the|your] @planned @commands",
            "@list-it (me what|what) (is|you have|have you) @planned",
            "@list-it (what is|what you have) @planned",
            "what (is|you have) @planned",
            "what (are|will) you [going to] do later",
            "@list-it (the|your) schedule",
            "what is on (the|your) schedule",
        ],
    ),
    group(
        "cancel_scheduled",
        &[
            "@cancel (everything|all) [that] (is|you have|i have|you have got|i have got|i|you) (scheduled|planned)",
            "@cancel @all [@the|of the] @planned @commands",
            "@cancel [@the] @planned (commands|actions|tasks)",
            "(clear|cancel|empty|delete) (the|your) schedule",
        ],
    )
    .with(&[("which", Fixed::Text("all"))]),
    group(
        "cancel_scheduled",
        &[
            "@cancel [@the] @planned (command|action|task)",
            "@cancel [@the] (command|action|task) (that is|you have|which is) @planned",
            "@cancel what (is|you have|i have) @planned",
        ],
    ),
    group("cancel_scheduled", &["@cancel [@the] @planned (command|action|task) (to|for|that|about) <text=which>"]),
];
