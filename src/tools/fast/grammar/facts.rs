//! Times, dates, sums, units and the rest that only looks something up.

use super::{Fixed, Group, Piece, group};

pub(super) const PIECES: &[Piece] = &[
    ("clock", "(time|hour)"),
    (
        "ask-sum",
        "(what is|what are|how much is|how much are|how much does|calculate|compute|work out|figure out|solve|add up|evaluate|what do you get for|what would be|whatever is|what does|the result of|what is the result of|what is the answer to)",
    ),
    ("equals", "(equal|equals|make|makes|is|be|come to)"),
    ("which-day", "(day|date|weekday|day of the week)"),
    ("days-to", "(until|before|to|till|left until|left before|until it is|remaining until)"),
    ("degrees", "(degrees|degree)"),
];

pub(super) const RULES: &[Group] = &[
    group(
        "get_time",
        &[
            "what @clock is it [here|at]",
            "what @clock it is [here]",
            "what time (do we have|do you have|have you got|have we got|do you make it)",
            "[what is] [the] [current|exact|correct|local] time [here|is it]",
            "(do you have|have you got|got|you got|do you know|check|say|read) the [current] time",
            "(give|tell) me the [current|exact] time [of day]",
            "what is the time of day",
            "how late is it",
            "how late it is",
            "time check",
            "what does the clock say",
        ],
    ),
    group(
        "get_time",
        &[
            "what (time|hour) is it [right now|now|currently] (in|over in) <place>",
            "what (time|hour) it is [right now|now] (in|over in) <place>",
            "[what is] [the] [current|local] time [right now|now] (in|over in) <place>",
            "what is <place> time",
            "what is it o'clock in <place>",
            "how late is it in <place>",
        ],
    ),
    group(
        "get_date",
        &[
            "what (date|day|day of the week|day of the month|weekday|month|year) is it [today]",
            "what (date|day|day of the week|month|year) it is [today]",
            "(what|which) (date|day|day of the week|weekday) is today",
            "(what|which) (date|day|day of the week|weekday) (do we have|have we got) [today]",
            "which (date|day|day of the week|weekday|month|year) is it [today]",
            "what is the (date|day|day of the week|current date|current day|weekday) [today|of today]",
            "what is (today's date|today's day|today)",
            "(the date|today's date|the current date|the date today|what day today is|today)",
            "(tell|give) me (the|today's|the current) date [today]",
            "what is the date of today",
            "what (date|day) today",
            "what is the (current|present) (month|year)",
            "what (month|year) are we in",
            "(say|read|check) (the|today's) date",
            "what is the month and day [today]",
        ],
    ),
    group(
        "calculate",
        &[
            "@ask-sum <sum> [@equals]",
            "what (do|does|would) <sum> (equal|make|be|come to)",
            "what <sum> (is|are|makes|equals)",
            "how much (do|does|would) <sum> (equal|make|be|come to)",
            "<spoken-sum> [equals|is|makes|equals what|is what]",
        ],
    ),
    group(
        "get_time",
        &[
            "what (time|hour) (is it|it is) [right now|now|currently|at the moment] [in] <places>",
            "[what is] [the] [current|local] time [right now|now] [in] <places>",
            "what are the times in <places>",
        ],
    ),
    group(
        "get_date",
        &[
            "(what|which) @which-day (is it|is|will it be|will be|it is|was it|was|it will be) [on|in] <date>",
            "what (is|was|will be) the @which-day [on|of|for] <date>",
            "(the|what is the) @which-day <date> [is]",
            "(on what|on which|what|which) @which-day (is|does|will|was|did) <date> [fall|be|on|fall on|land on]",
            "when (is|was) <date> [this year]",
        ],
    ),
    group("get_date", &["what is tomorrow's (date|day)", "(tell me|give me) tomorrow's date", "tomorrow's date"])
        .with(&[("day", Fixed::Text("tomorrow"))]),
    group("get_date", &["what was yesterday's date", "what (date|day) was yesterday"])
        .with(&[("day", Fixed::Text("yesterday"))]),
    group(
        "days_until",
        &[
            "how many [more] days [is it|are there|there are|are left|is there|do we have|do i have|remain|are] [still] @days-to <date>",
            "how many [more] (sleeps|days) (until|to) <date>",
            "how long [is it|do we have|do i have|is there|it is] [still] (until|before|to) <date>",
            "how (far|many days) (away|off) is <date>",
            "[the] [number of] days (until|to|before) <date>",
            "how many days away is <date>",
            "in how many days is <date>",
            "how soon is <date>",
        ],
    ),
    group(
        "convert",
        &[
            "how many <unit=to> (are|is|are there|is there|are equal to|does|do|make|make up|equal|go into|fit in|fit into) [in|there in] <amount> [@degrees] <unit> [have|make|equal]",
            "how many <unit=to> (in|to|per) <amount> [@degrees] <unit>",
            "(convert|change|turn) <amount> [@degrees] <unit> (to|into|in) [@degrees] <unit=to>",
            "(what is|what are|how much is|how much are|how many is|how many are|what would be|how long is|how far is|how hot is|how cold is|how warm is|how heavy is) <amount> [@degrees] <unit> (in|to|into|as|converted to) [@degrees] <unit=to>",
            "<amount> [@degrees] <unit> (in|to|into|as) [@degrees] <unit=to>",
            "how much is <amount> [@degrees] <unit> (in|to) <unit=to>",
        ],
    ),
    group("convert", &["how many <unit=to> per <unit>"]).with(&[("value", Fixed::Number(1))]),
    group(
        "tell_joke",
        &[
            "(tell|give|say|crack|make) [me|us] (a|another|one more|the|your best|a good|a funny|a new|some|any|a different) (joke|jokes)",
            "(a|another|one more) joke",
            "(do you know|do you have|have you got|got|know|you got) (a|any|some|another|any good|any other|any more) (joke|jokes)",
            "(make|let) (me|us) laugh",
            "(say|tell me|tell us) something funny",
            "(i|we) (want|need|would like|would love) [to hear] (a|another|one more) joke",
            "let (me|us) hear (a|another) joke",
            "joke",
            "be funny",
            "cheer me up",
        ],
    ),
    group(
        "capabilities",
        &[
            "what [else|all|things] can you do [for me|for us]",
            "what (sort|kind|kinds|sorts) of (things|stuff) (can|could|do) you do [for me|for us]",
            "what [else|all|things] you can do",
            "what (can|could|may|should) (i|we) (say|ask|ask you|ask for|ask you for|ask you to do|tell you|say to you)",
            "what (are you able to|do you know how to|are you good for|are you good at|do you) do",
            "what are (your skills|your capabilities|your abilities|your features|you capable of|you able to do|your functions|your commands|you good at)",
            "what (can|could) you help [me|us] with",
            "(what|which) (commands|things|words|tools|skills) (do you (understand|know|have)|can i (use|say|ask)|are there)",
            "how (can|could|do) you help [me|us]",
            "how (can|do) i use you",
            "help [me]",
            "(list|show me|tell me) your (skills|capabilities|commands|features|abilities)",
            "what is it you can do",
            "i need help",
        ],
    ),
];
