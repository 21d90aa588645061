//! The rules: for each tool, the ways people ask for it. `pattern.rs` says how they are written.

/// How a rule's captures become arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    Nothing,
    /// `duration`, and `label` where one was said.
    Timer,
    /// `duration` and this label.
    TimerFor(&'static str),
    /// `label` where one was said; a duration counts as one.
    Label,
    /// `label: "all"`.
    All,
    /// `location`.
    Place,
    /// `level`.
    Level,
    /// This `level`.
    LevelOf(u32),
    /// `on`.
    On(bool),
    /// `expression`.
    Expression,
}

pub(super) struct Group {
    pub(super) tool: &'static str,
    pub(super) make: Make,
    /// Tools whose name holds one of these words do it better.
    pub(super) unless: &'static [&'static str],
    /// Only after another command.
    pub(super) later: bool,
    pub(super) patterns: &'static [&'static str],
}

const fn group(tool: &'static str, make: Make, patterns: &'static [&'static str]) -> Group {
    Group { tool, make, unless: &[], later: false, patterns }
}

/// Named pieces, used as `@name`.
pub(super) const PIECES: &[(&str, &str)] = &[
    ("the", "(the|my|our|that|this|your)"),
    ("a", "(a|an|another|the|my|a new|a second|a third|another new|one more|new)"),
    // Asking for a timer.
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
    // Asking about timers.
    ("left", "(left|remaining|to go)"),
    ("timer-of", "[@the] ([<label>|<duration>] (timer|timers|countdown|timer's))"),
    ("a-timer", "(@timer-of [(for|called|named) [@the] <label>])"),
    (
        "ends",
        "(go off|goes off|ring|rings|end|ends|finish|finishes|is done|be done|is up|be up|is over|be over|run out|runs out|is finished|be finished|expire|expires|is ready|stops)",
    ),
    // Ending timers.
    (
        "cancel",
        "(cancel|stop|delete|kill|clear|remove|end|abort|get rid of|turn off|shut off|switch off|dismiss|forget|forget about|never mind|scrap|drop|erase|discard|silence|disable)",
    ),
    // The loudspeaker.
    (
        "sound",
        "[the|your|my] (volume|sound|audio|speaker|speakers|speaker volume|sound volume|volume level|sound level|loudness)",
    ),
    (
        "volume",
        "[the|your|my] (volume|speaker volume|sound volume|volume level|sound level|audio volume|loudness|sound)",
    ),
    (
        "a-bit",
        "(a bit|a little|a little bit|a tad|a touch|a notch|some|slightly|a bit more|a little more|some more|more|even more|again|a lot|way|much|one notch|one step|a smidge|a whole lot)",
    ),
    ("self", "(yourself|it|this|that|the sound|the volume|the audio|your voice)"),
    ("be", "(be|make it|make that|get|go|can it be|speak|talk|say it|say that|play it)"),
    ("up", "(louder|more loudly|more loud)"),
    ("down", "(quieter|softer|lower|more quietly|more softly|more quiet|less loud|less loudly|not so loud)"),
    ("too", "(too|a bit too|a little too|way too|so|much too|really|very)"),
    (
        "you",
        "([that is|it is|you are|the volume is|the sound is|your voice is|this is|you are speaking|you are talking|that was])",
    ),
    // What time or day it is.
    ("clock", "(time|hour)"),
    (
        "ask-sum",
        "(what is|what are|how much is|how much are|how much does|calculate|compute|work out|figure out|solve|add up|evaluate|what do you get for|what would be|whatever is|what does|the result of|what is the result of|what is the answer to)",
    ),
    ("equals", "(equal|equals|make|makes|is|be|come to)"),
    // Ending everything.
    (
        "stop-it",
        "(stop|stop it|stop that|stop this|stop now|stop talking|stop speaking|you can stop|you can stop now|shut up|shut it|be quiet|quiet|be silent|silence|hush|shush|never mind|never mind that|forget it|forget that|forget about it|cancel|cancel it|cancel that|that is enough|enough|that will do|that is all|that is all for now|go to sleep|go back to sleep|stop listening|stop it already|dismiss|zip it|pipe down|abort|enough of that|okay enough|knock it off|leave it|do not bother|it does not matter)",
    ),
    (
        "noise",
        "(the alarm|alarm|ringing|the ringing|that ringing|that noise|the noise|beeping|the beeping|that beeping|buzzing|that sound|making that noise|making noise|the buzzer|your ringing)",
    ),
];

/// Every rule. Earlier ones win.
pub(super) const RULES: &[Group] = &[
    group(
        "set_timer",
        Make::Timer,
        &[
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
        ],
    ),
    Group {
        tool: "set_timer",
        make: Make::Timer,
        unless: &[],
        later: true,
        patterns: &[
            "(another|one|a second|a second one|another one|one more) [timer] for <duration> [@for-what]",
            "(another|one|one more) (for|called|named) [@the] <label> for <duration>",
        ],
    },
    Group {
        tool: "set_timer",
        make: Make::TimerFor("wake up"),
        unless: &["alarm"],
        later: false,
        patterns: &[
            "wake me [up] (in|after) <duration>",
            "(get|wake) me up in <duration>",
            "in <duration> wake me [up]",
        ],
    },
    Group {
        tool: "set_timer",
        make: Make::Timer,
        unless: &["remind"],
        later: false,
        patterns: &[
            "remind me (in|after) <duration> [to <reminder>|about (the|my) <label>]",
            "remind me to <reminder> (in|after) <duration>",
            "remind me about (the|my) <label> (in|after) <duration>",
            "(set|make|create) a reminder (in|for) <duration> [to <reminder>]",
            "in <duration> remind me to <reminder>",
        ],
    },
    Group {
        tool: "set_timer",
        make: Make::Timer,
        unless: &["alarm"],
        later: false,
        patterns: &[
            "[set|start|make|create|put] [me] [@a] [<label>] alarm (in|for) <duration>",
            "[set|start|make|create] [me] [@a] <duration> alarm",
        ],
    },
    group(
        "cancel_timer",
        Make::All,
        &[
            "@cancel (all|every|all of|each of|every one of|both|both of) [the|my|our|of the|of my|of our] [running|active] (timer|timers)",
            "@cancel (all|both|every one) of (them|the timers)",
            "(turn|switch|shut) (all|both) [the|my|of the|of my] timers off",
            "no more timers",
        ],
    ),
    group(
        "cancel_timer",
        Make::Label,
        &[
            "@cancel @a-timer",
            "(turn|switch|shut) @a-timer off",
            "(i|we) (do not|no longer) need @a-timer [anymore|any more|any longer]",
            "no more <label> timer",
        ],
    ),
    group(
        "timer_status",
        Make::Label,
        &[
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
        ],
    ),
    group(
        "get_time",
        Make::Nothing,
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
        Make::Place,
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
        Make::Nothing,
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
        "set_volume",
        Make::LevelOf(100),
        &[
            "[set|turn|put|change|crank|bring] [@volume|it] [up] (to|at|on) [the] (max|maximum|full|the max|full volume|the maximum|the loudest|full blast) [volume|level]",
            "(max|maximum|full|highest) volume",
            "volume [to|at|on] [the] (max|maximum|full)",
            "(as loud as possible|as loud as you can|turn it all the way up|all the way up|turn @volume all the way up)",
            "max out @volume",
            "(turn|crank|bring) @volume (all the way up|up all the way)",
        ],
    ),
    group(
        "set_volume",
        Make::LevelOf(50),
        &[
            "[set|turn|put|change|bring] [@volume|it] [up|down] (to|at) (half|half volume|the middle|medium|half way|halfway)",
            "(half|medium|mid) volume",
            "volume [to|at] (half|medium|halfway)",
        ],
    ),
    group(
        "set_volume",
        Make::Level,
        &[
            "[set|turn|put|change|adjust|make|bring|get|move|raise|lower|increase|reduce|decrease|drop|crank|take] @volume [up|down|level] (to|at|on|as|is) <percent>",
            "[set|turn|put|change|make|bring] @volume <percent>",
            "(turn|bring|set|put|crank|take|drop|make|change) it [up|down|back up|back down] (to|at) <percent> [volume]",
            "(raise|lower|increase|reduce|decrease|drop|set|change) (it|that) to <percent>",
            "volume level [to|at] <percent>",
            "[set|go|give me|play at|speak at] [to|at] <percent> volume",
            "<percent> volume",
            "(up|down|louder|quieter) to <percent>",
            "[@volume] (up|down) to <percent>",
            "(set|change) @volume (equal to|level to) <percent>",
        ],
    ),
    group(
        "volume_up",
        Make::Nothing,
        &[
            "(turn|crank|pump|bring|move|push) (it|this|that|@sound|yourself) [back] up [@a-bit|@a-bit louder]",
            "(turn|crank|pump|bring|push) (it|this|that|@sound|yourself) @a-bit [back] up",
            "(turn|crank|pump|bring|push) up @sound [@a-bit]",
            "(turn|crank|pump) up [@a-bit]",
            "@volume [@a-bit] up [@a-bit]",
            "up [@a-bit] @volume",
            "[@a-bit] [@be] [@a-bit] @up",
            "@be [@a-bit] @up [@a-bit]",
            "(make|turn|set|get|play|put) (it|this|that|@sound|yourself) [@a-bit] (louder|higher|up)",
            "(turn|make) up the volume",
            "(raise|increase|boost|up|bump up|amplify) (it|@volume) [@a-bit|by a notch|by one]",
            "more volume",
            "louder [@a-bit]",
            "(speak|talk) (up|louder) [@a-bit]",
            "speak [@a-bit] (louder|up|more loudly)",
            "i can (not|barely|hardly|not really) hear (you|it|that|anything|what you are saying) [very well|well|properly|at all|anymore]",
            "i can not hear a thing",
            "(you are|it is|that is|the volume is|you are speaking|you are talking|the sound is|this is|your voice is) @too (quiet|soft|low|quietly|softly)",
            "(too|@too) (quiet|soft|low)",
            "not loud enough",
            "(it is|that is|you are) not loud enough",
            "volume higher",
            "(higher|more) volume",
            "i (want|need) [it|you] [to be] louder",
        ],
    ),
    group(
        "volume_down",
        Make::Nothing,
        &[
            "(turn|bring|move|take|dial) (it|this|that|@sound|yourself) [back] down [@a-bit]",
            "(turn|bring|take|dial) (it|this|that|@sound|yourself) @a-bit [back] down",
            "(turn|bring|dial|tone) down @sound [@a-bit]",
            "turn down [@a-bit]",
            "(tone|keep) it down [@a-bit]",
            "@volume [@a-bit] down [@a-bit]",
            "down [@a-bit] @volume",
            "[@a-bit] [@be] [@a-bit] @down",
            "@be [@a-bit] @down [@a-bit]",
            "be [@a-bit] (quieter|more quiet)",
            "(make|turn|set|get|play|put) (it|this|that|@sound|yourself) [@a-bit] (quieter|softer|lower|down|less loud)",
            "(lower|decrease|reduce|drop|bump down|diminish) (it|@volume) [@a-bit|by a notch|by one]",
            "less volume",
            "(lower|softer) volume",
            "volume lower",
            "quieter [@a-bit]",
            "(speak|talk) [@a-bit] (quieter|softer|more quietly|more softly|quietly|softly|less loudly|lower|less loud)",
            "(you are|it is|that is|the volume is|you are speaking|you are talking|the sound is|this is|your voice is|that was) @too (loud|loudly|noisy)",
            "(too|@too) loud",
            "not (so|that) loud",
            "(do not|no need to) (shout|yell|scream|be so loud) [at me]",
            "i (want|need) [it|you] [to be] (quieter|softer)",
        ],
    ),
    group(
        "mute",
        Make::On(true),
        &[
            "mute [@self|audio|sound|volume|everything|the speaker|the speakers|it]",
            "(turn|switch|shut) (the sound|the audio|your sound|the volume|sound|your voice|the speaker|the speakers) (off|all the way down|down to zero)",
            "(turn|switch|shut) off (the sound|the audio|your sound|the volume|your voice|the speaker|the speakers)",
            "(sound|audio|volume) off",
            "go (mute|silent)",
            "silence (yourself|the speaker|the speakers|the sound)",
            "no sound",
            "kill the sound",
        ],
    ),
    group(
        "mute",
        Make::On(false),
        &[
            "(unmute|un mute) [@self|audio|sound|volume|the speaker|the speakers]",
            "(turn|switch|put) (the sound|the audio|your sound|the volume|sound|your voice|the speaker|the speakers) [back] on [again]",
            "(turn|switch) [back] on (the sound|the audio|your sound|your voice|the speaker|the speakers) [again]",
            "(sound|audio) [back] on",
            "(stop being mute|do not be mute|no longer mute|cancel mute|turn off mute|turn mute off|mute off|end mute|take it off mute)",
            "bring [back] the sound [back]",
        ],
    ),
    group(
        "stop",
        Make::Nothing,
        &[
            "@stop-it [@stop-it]",
            "(no|okay|oh|yes) @stop-it",
            "(stop|turn off|switch off|shut off|silence|cancel|dismiss|end|kill|cut) @noise",
            "(turn|switch|shut) (the alarm|that alarm|that noise|that|the ringing|the beeping|that sound) off",
            "(stop|quit) (ringing|beeping|buzzing|talking|speaking|chattering|babbling|it|that)",
            "that is (enough|all|fine|it) (thanks|thank you)",
        ],
    ),
    group(
        "repeat",
        Make::Nothing,
        &[
            "(say|repeat|tell me) (that|it|this) [again|one more time|once more|once again|back to me]",
            "(say|repeat|read) (that|it|this) (again|one more time|once more|once again|back) [for me]",
            "repeat [yourself|what you said|what you just said|the answer|your answer|the last thing|the last part|your last answer|the last answer|your last sentence|that last part|the last sentence|your reply]",
            "say again",
            "come again",
            "(pardon|pardon me|i beg your pardon|beg your pardon)",
            "(what|what on earth) did you [just] say",
            "what was (that|it|that again|the answer|the answer again|your answer|that you said|it you said)",
            "what (is|was) that again",
            "(one more time|once more|once again)",
            "i (did not|could not|did not quite|could not quite) (catch|hear|get|understand) (that|you|it|what you said|a word)",
            "(you said what|what were you saying)",
            "(what|say what) again",
            "(tell me|give me|i want to hear|let me hear) (that|it|the answer) (again|one more time|once more)",
            "i missed that",
            "i did not (catch|hear|get) that last (part|bit|one)",
        ],
    ),
    group(
        "calculate",
        Make::Expression,
        &[
            "@ask-sum <sum> [@equals]",
            "what (do|does|would) <sum> (equal|make|be|come to)",
            "what <sum> (is|are|makes|equals)",
            "how much (do|does|would) <sum> (equal|make|be|come to)",
            "<spoken-sum> [equals|is|makes|equals what|is what]",
        ],
    ),
];
