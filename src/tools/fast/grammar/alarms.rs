//! Alarms, and snoozing one.

use super::{Fixed, Group, Piece, group};

pub(super) const PIECES: &[Piece] = &[
    (
        "ring",
        "(set|make|create|add|start|put|put on|program|schedule|activate|turn on|have|i need|i want|we need|i would like|i could use|give me|get me|set me|set up|make me|set us|wake me with)",
    ),
    (
        "wake",
        "(wake (me|us) [up]|get (me|us) up|wake up|get (me|us) out of bed|i (need|want|have|would like|must) to (get up|wake up|be up|be woken up|be awake)|get up)",
    ),
    (
        "unset",
        "(cancel|delete|remove|clear|get rid of|drop|erase|scrap|forget|unset|deactivate|disable|kill|abort|discard)",
    ),
];

pub(super) const RULES: &[Group] = &[
    group(
        "set_alarm",
        &[
            "[@ring] [@a] alarm [clock] [@at] <clock> [<days>]",
            "[@ring] [@a] alarm [clock] [for] <days> [@at] <clock>",
            "[@ring] [@a] alarm [clock] (for|on) <date> [@at] <clock>",
            "[@ring] [@a] <clock> alarm [for|on] [<days>|<date>]",
            "@wake [@at] <clock> [<days>]",
            "@wake <days> [@at] <clock>",
            "@wake [on] <date> [@at] <clock>",
            "<days> [@at] <clock> @wake",
            "<clock> @wake",
            "let me sleep until <clock>",
        ],
    ),
    group(
        "set_alarm",
        &["[@ring] [@a] weekday alarm [@at] <clock>", "[@ring] [@a] alarm [@at] <clock> during the week"],
    )
    .with(&[("day", Fixed::Text("weekdays"))]),
    group("set_alarm", &["[@ring] [@a] weekend alarm [@at] <clock>"]).with(&[("day", Fixed::Text("weekends"))]),
    group(
        "set_alarm",
        &[
            "[@ring] [@a|a recurring|a repeating] (daily|everyday) alarm [@at] <clock>",
            "[@ring] [@a] alarm [@at] <clock> daily",
        ],
    )
    .with(&[("day", Fixed::Text("every day"))]),
    group(
        "set_alarm",
        &[
            "[@ring] [@a] alarm (in|for|after) <duration=time>",
            "[@ring] [@a] <duration=time> alarm",
            "@wake (in|after) <duration=time>",
            "in <duration=time> @wake",
        ],
    ),
    group(
        "set_alarm",
        &[
            "@ring [@a] alarm [clock] [for|at|to]",
            "@ring [@a] alarm [for|on] (<date>|<days>)",
            "(new|another) alarm",
            "wake (me|us) up [<date>|early|later]",
            "wake (me|us) (<date>|early|later)",
            "@ring [@a] alarm [for] (later|early|some time|the morning)",
        ],
    )
    .missing("time"),
    group(
        "cancel_alarm",
        &[
            "@unset @all [@the|of the|of my] (alarm|alarms)",
            "@unset [@the] alarms",
            "(turn|switch) (all|both) [@the|of the|of my] alarms off",
            "(turn|switch|shut) off @all [@the|of my|of the] alarms",
            "no more alarms",
        ],
    )
    .with(&[("time", Fixed::Text("all"))]),
    group(
        "cancel_alarm",
        &[
            "@unset [@the] alarm [clock]",
            "(i|we) (do not|no longer) need (@the|an) alarm [@anymore]",
            "do not wake me [up] [@anymore]",
        ],
    ),
    group(
        "cancel_alarm",
        &[
            "@cancel [@the] <clock> alarm",
            "@cancel [@the] alarm (at|for|on|from|of|that is set for) <moment>",
            "@cancel [@the] alarm [for|on] <days=time>",
            "(turn|switch|shut) [@the] <clock> alarm off",
            "(i|we) (do not|no longer) need @the <clock> alarm [@anymore]",
            "(i|we) (do not|no longer) need @the alarm (at|for|on) <moment> [@anymore]",
        ],
    ),
    group("cancel_alarm", &["@cancel [@the] (weekday|weekdays) alarm"]).with(&[("time", Fixed::Text("weekdays"))]),
    group("cancel_alarm", &["@cancel tomorrow's alarm", "@cancel [@the] alarm tomorrow"])
        .with(&[("time", Fixed::Text("tomorrow"))]),
    group(
        "list_alarms",
        &[
            "(what|which) alarms (do i have|do we have|have i got|have i set|are set|are there|are on|are active|did i set|are running) [set|on|active]",
            "@list-it [me] [all] [@the|of my] [active] alarms",
            "(do i|do we) have [any|an|a] (alarm|alarms) [set|on|active]",
            "(have i|have we) got [any|an|a] (alarm|alarms) [set|on|active]",
            "(are there|is there) [any|an] (alarm|alarms) [set|on|active]",
            "(is|are) [@the|an] [next] (alarm|alarms) (set|on|active)",
            "what are (my|the) alarms",
            "(what time|when|what time or day) (is|does) [@the] [next] alarm [set|set for|set to|go off|going off|ring|going to ring|going to go off] [for]",
            "what time (did i set|have i set) [@the] alarm [for|to]",
            "(when|what time) (will|are|do) (you wake me [up]|i be woken up|you going to wake me [up])",
            "what is my [next] alarm [set to|set for]",
            "@list-it [@the] [next] alarm",
        ],
    ),
    group(
        "snooze",
        &[
            "snooze [it|that|again|once|[@the] alarm] [again|once more|one more time]",
            "(hit|press|push) [the] snooze [button]",
            "let me snooze",
        ],
    ),
    group(
        "snooze",
        &[
            "snooze [it|that|again|[@the] alarm] [for|by] [another] (<duration>|<more=duration>) [more|longer]",
            "let me snooze [for] [another] <duration> [more|longer]",
            "<duration> (snooze|of snooze)",
            "[hit|press] snooze for <duration>",
        ],
    ),
];
