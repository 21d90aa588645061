//! Timers.

use super::{Fixed, Group, Piece, group};

pub(super) const PIECES: &[Piece] = &[
    (
        "set",
        "(set|start|make|create|begin|add|run|put|put on|set up|start up|get|give|do|have|(i|we) (need|want|would like|could use)|(i|we) would like to (have|set|start)|get (me|us)|give (me|us)|set (me|us)|start (me|us)|make (me|us)|put (me|us)|give (me|us) |have|how about|let us (have|do))",
    ),
    ("timer", "(timer|timer on|timer going|timer running|count down|countdown|kitchen timer|countdown timer)"),
    ("for", "(for|of|to|at|with|that is|lasting|that lasts|on for|in|that goes for|that runs for)"),
    (
        "name",
        "(called|named|labeled|labelled|titled|and call it|and name it|and label it|with the name|with the label)",
    ),
    ("for-what", "(for [@the|some] <label>|@name [the] <label>|to <errand>|so [that] i can <errand>)"),
    ("left", "(left|remaining|to go)"),
    ("timer-of", "[@the] ([<label>|<duration=label>] (timer|timers|countdown|timer's))"),
    ("a-timer", "(@timer-of [(for|called|named) [@the] <label>])"),
    (
        "ends",
        "(go off|goes off|ring|rings|end|ends|finish|finishes|is done|be done|is up|be up|is over|be over|run out|runs out|is finished|be finished|expire|expires|is ready|stops)",
    ),
    (
        "whole",
        "([@the|this] [<label>|<duration=label>] (timer|countdown)|[@the|this] (timer|countdown) (called|named|labeled|labelled|for) [@the] <label>)",
    ),
    (
        "until",
        "(until|that ends at|that goes off at|which ends at|which goes off at|that rings at|to go off at|to end at|to ring at|to finish at|ending at|going off at|ends at|up to)",
    ),
    ("extra", "(another|an extra|an additional|some more|extra)"),
    (
        "vague",
        "(a while|a bit|some time|a little while|a moment|a little|later|a few minutes|some minutes|a few seconds|a few hours)",
    ),
];

pub(super) const RULES: &[Group] = &[
    group("change_timer", &[
        "(change|adjust|update|reset|switch|alter|modify|correct) @whole (to|to be|for) <duration> [instead]",
        "(make|set) @whole [to|for|be] <duration> instead",
        "(change|switch) @whole from <duration=label> to <duration>",
        "@whole (should be|needs to be|must be|is to be) <duration> [instead]",
    ]),
    group("adjust_timer", &[
        "(add|put|tack|stick|throw) [on] [@extra] (<more>|<duration=by> [more|extra]) (to|onto|on to) @whole",
        "(put|add|stick|throw) [@extra] <more> on @whole",
        "(put|add|stick|throw) @extra <duration=by> on @whole",
        "give @whole [@extra] (<more>|<duration=by> more)",
        "give @whole @extra <duration=by>",
        "give me [@extra] (<more>|<duration=by> more) on @whole",
        "(extend|lengthen|increase|prolong) @whole (by|for) [another] (<duration=by>|<more>)",
        "(make|let) @whole [run|go on] <duration=by> longer",
        "(make|let) @whole [run|go on] [for] @extra <duration=by>",
        "[@extra] (<more>|<duration=by> more) (on|for) @whole",
        "@extra <duration=by> (on|for) @whole",
    ]),
    group("adjust_timer", &[
        "(take|knock|shave|cut) <less> (off|off of|from|away from) @whole",
        "(take|knock|shave|cut) off <less> (of|from) @whole",
        "(subtract|remove|deduct|drop|delete|cut) <less> (from|off|off of) @whole",
        "(shorten|reduce|decrease|cut|lower) @whole by <less>",
        "make @whole <less> shorter",
        "<less> (less|fewer) on @whole",
    ]),
    group("set_timer", &[
            // Set a timer for ten minutes [for the pasta].
            "[@set] [@a] [<label>] @timer [@for] <duration> [@for-what]",
            "[@set] [@a] @timer (for [@the] <label>|@name [the] <label>) [@for] <duration>",
            "[@set] [@a] @timer to <errand> (for|in) <duration>",
            // A ten minute timer, a ten minute pasta timer.
            "[@set] [@a] <duration> [<label>] @timer [@for-what]",
            "[@set] @the [<label>] timer (for|to|at) <duration> [@for-what]",
            "@set <duration> (on the clock|on the timer|on a timer) [@for-what]",
            "(put|set) a timer on for <duration> [@for-what]",
            "<duration> on the (clock|timer)",
            "(put|set) <duration> on (the|my|a) <label> timer",
            "<duration> for (the|my|our) <label>",
            "set <duration> for (the|my|our) <label>",
            // Counting down.
            "[start|begin|do|run|set] [a] (count|counting|countdown|count down|counting down) [down] [from|for|of] <duration> [@for-what]",
            "[start|begin|do|run|set|give me] [a] <duration> (countdown|count down) [@for-what]",
            "(time|clock) me for <duration>",
            "time <duration>",
            // By its end.
            "(let me know|tell me|ping me|beep|ring|alert me|notify me|buzz me|give me a shout|give me a ping|shout|call me) (in|after) <duration>",
            "(let me know|tell me|ping me|alert me|notify me|beep|ring) when <duration> (is|are|has|have) (up|over|passed|gone|done|elapsed|gone by)",
            "(let me know|tell me|ping me|alert me|notify me) (in|after) <duration> to <reminder>",
        ]),
    group("set_timer", &[
            "[@set] (another|one|a second|a second one|another one|a new one|one more) [timer] (for|of) <duration> [@for-what]",
            "(another|one|one more) (for|called|named) [@the] <label> for <duration>",
        ]).later(),
    group("set_timer", &[
            "wake me [up] (in|after) <duration>",
            "(get|wake) me up in <duration>",
            "in <duration> wake me [up]",
        ]).with(&[("label", Fixed::Text("wake up"))]).unless(&["alarm"]),
    group("set_timer", &[
            "remind me (in|after) <duration> [to <reminder>|about (the|my) <label>]",
            "remind me to <reminder> (in|after) <duration>",
            "remind me about (the|my) <label> (in|after) <duration>",
            "(set|make|create) a reminder (in|for) <duration> [to <reminder>]",
            "in <duration> remind me to <reminder>",
        ]).unless(&["remind"]),
    group("set_timer", &[
            "[set|start|make|create|put] [me] [@a] [<label>] alarm (in|for) <duration>",
            "[set|start|make|create] [me] [@a] <duration> alarm",
        ]).unless(&["alarm"]),
    group("cancel_timer", &[
            "@cancel (all|every|all of|each of|every one of|both|both of) [the|my|our|of the|of my|of our] [running|active] (timer|timers)",
            "@cancel (all|both|every one) of (them|the timers)",
            "(turn|switch|shut) (all|both) [the|my|of the|of my] timers off",
            "no more timers",
        ]).with(&[("label", Fixed::Text("all"))]),
    group("cancel_timer", &[
            "@cancel @a-timer",
            "(turn|switch|shut) @a-timer off",
            "(i|we) (do not|no longer) need @a-timer [anymore|any more|any longer]",
            "no more <label> timer",
            "call off @a-timer",
            "call @a-timer off",
        ]),
    group("timer_status", &[
            "how (long|much time|much longer|much|many minutes|many seconds|many hours) [time] (is|are|is there|are there|do i have|do we have|have i got|have we got|does it have|has it got|have i) [still] [@left] (on|for|with|in|until) @a-timer [ends]",
            "how (long|much time|much longer|much) (is|do i have|do we have|does) [still] [@left] (on|for) @a-timer",
            "how (long|much time|many minutes|many seconds|many hours) [@left] (on|for) @a-timer",
            "how (long|much time|much longer|many minutes) does @a-timer (have|have got) [@left]",
            "how (long|much time) (until|before) @a-timer @ends",
            "how (long|much time) is it (until|before) @a-timer @ends",
            "how much longer (until|before|on|for|for the|does) @a-timer [@ends|have|take|need|run]",
            "(how long|how much time|how much|how many minutes) (is|are|do i have|do we have) left",
            "how (much time|long|many minutes) left",
            "how much time is remaining",
            "how much longer",
            "[what is the|the] (time|remaining time) (left|remaining) (on|for) @a-timer",
            "[what is the|the] remaining time (on|for|of) @a-timer",
            "what is left on @a-timer",
            "how is @a-timer [doing|going|coming along|looking]",
            "[check|check on|what is|what is the|the] (status of|state of) @a-timer",
            "[check|check on|what is|what is the|the|get|give me] [@the] [<label>] timer status",
            "[check|check on|what about|how about|look at|show|show me|read me|read out] @a-timer",
            "when (does|will|is|do) @a-timer [going to] (@ends|going off|be finished|up|over|done)",
            "when is @a-timer (going off|going to go off|up|over|done|due)",
            "(is|are) @a-timer (done|up|over|finished|ready|still running|running|still going|still on|still active|on|set|going) [yet]",
            "(is|are) there [still] [a|any] [<label>] (timer|timers) (running|left|going|set|on|active)",
            "(is|are) there [still] [a|any] [<label>] (timer|timers)",
            "(what|which) timers (do i have|are running|are set|are there|are on|have i set|are going|are active|do we have|have i got) [running|set|going|on]",
            "do (i|we) (have|have got) [a|any] [<label>] (timer|timers) [running|set|going|on|active|left]",
            "have (i|we) got [a|any] [<label>] (timer|timers) [running|set|going|on|active|left]",
            "(list|read|show|name|tell me) [me] [all] [the|my|our|of my] [running|active|current] timers",
            "what are my timers [at]",
            "did @a-timer (go off|ring|finish|end) [yet]",
            "has @a-timer (gone off|rung|finished|ended) [yet]",
        ]),
    group("set_timer_until", &[
        "[@set] [@a] [<label>] @timer [that (runs|lasts|goes|ends|finishes)] @until <clock> [@for-what]",
        "[@set] [@a] @timer (for [@the] <label>|@name <name=label>) @until <clock>",
        "(count down|countdown|count) (until|to) <clock>",
        "[@set] [@a] @timer @until <clock> @name <name=label>",
    ]),
    group("set_timer_until", &[
        "[@set] [@a] [<label>] @timer @until [@vague|then]",
    ]).missing("time"),
    group("pause_timer", &[
        "(pause|halt|freeze|suspend|hold|interrupt) @all [@the|of the|of my] (timer|timers)",
        "put @all [@the|of the|of my] timers on (hold|pause)",
    ]).with(&[("label", Fixed::Text("all"))]),
    group("pause_timer", &[
        "(pause|halt|freeze|suspend|hold|interrupt) [@the] timer (for|of|called|named) [@the] (<duration=label>|<label>)",
        "(pause|halt|freeze|suspend|hold|interrupt) @whole [for (a moment|a second|a minute|a bit|now|a while)|a moment|a second|a minute|a bit]",
        "put @whole on (hold|pause)",
        "hold on with @whole",
    ]),
    group("resume_timer", &[
        "(resume|continue|unpause|un pause|unfreeze|restart|carry on with|go on with|keep going with) @all [@the|of the|of my] [paused] (timer|timers)",
    ]).with(&[("label", Fixed::Text("all"))]),
    group("resume_timer", &[
        "(resume|continue|unpause|un pause|unfreeze) [@the] timer (for|of|called|named) [@the] (<duration=label>|<label>)",
        "(resume|continue|unpause|un pause|unfreeze|carry on with|go on with|keep going with|reactivate) @whole [again|now]",
        "let @whole (go on|continue|run on|carry on|keep going|run again|resume)",
        "(restart|start|resume|continue) [@the] paused [<label>] timer [again]",
        "(start|run) @whole again",
        "take @whole off (hold|pause)",
    ]),
    group("name_timer", &[
        "(call|name|label|rename|title) @whole [to|as] <name>",
        "give @whole the (name|label|title) <name>",
        "(change|set) the (name|label|title) of @whole to <name>",
        "(change|set) [@the] timer's (name|label) to <name>",
    ]),
    group("set_timer", &[
        "@set [<few>] timers [@for] <durations>",
            // What is often heard.
            "set [a|the] time for <duration>",
        "timers for <durations>",
    ]),
    group("set_timer", &[
        "[@set] [@a] @timer [@for] (@vague)",
        "[@set] [@a] [<label>] timer [for|of|to]",
        "[@set] [@a] timer (for [@the] <label>|@name <name=label>)",
        "[@set] [@a] [<label>] timer for <amount>",
    ]).missing("duration"),
    group("set_timer", &[
        "[@set] [@a] @timer @name <name=label> [@for] <duration>",
    ]),
    group("timer_status", &[
        "how (long|much time|much longer|many minutes|many seconds) [is|do i have|is there] [still] (left|remaining|to go) on [@the] <label>",
    ]),
];
