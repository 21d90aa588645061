//! English: every word and phrase that the reading knows. Another language is another file of the same names.

/// A verb that commands begin with, in the forms that requests and reports use.
pub(super) struct Verb {
    pub(super) base: &'static str,
    pub(super) ing: &'static str,
    /// Past tense and participle, where they tell a report ("I turned it off") from a command.
    pub(super) past: &'static [&'static str],
}

const fn verb(base: &'static str, ing: &'static str, past: &'static [&'static str]) -> Verb {
    Verb { base, ing, past }
}

/// Verbs that people command devices with.
pub(super) const VERBS: &[Verb] = &[
    verb("turn", "turning", &["turned"]),
    verb("switch", "switching", &["switched"]),
    verb("put", "putting", &[]),
    verb("set", "setting", &[]),
    verb("shut", "shutting", &[]),
    verb("make", "making", &["made"]),
    verb("get", "getting", &["got", "gotten"]),
    verb("start", "starting", &["started"]),
    verb("stop", "stopping", &["stopped"]),
    verb("lock", "locking", &["locked"]),
    verb("unlock", "unlocking", &["unlocked"]),
    verb("open", "opening", &["opened"]),
    verb("close", "closing", &["closed"]),
    verb("cancel", "cancelling", &["cancelled", "canceled"]),
    verb("cancel", "canceling", &[]),
    verb("delete", "deleting", &["deleted"]),
    verb("remove", "removing", &["removed"]),
    verb("add", "adding", &["added"]),
    verb("clear", "clearing", &["cleared"]),
    verb("pause", "pausing", &["paused"]),
    verb("unpause", "unpausing", &["unpaused"]),
    verb("resume", "resuming", &["resumed"]),
    verb("continue", "continuing", &["continued"]),
    verb("restart", "restarting", &["restarted"]),
    verb("reset", "resetting", &[]),
    verb("change", "changing", &["changed"]),
    verb("adjust", "adjusting", &["adjusted"]),
    verb("move", "moving", &["moved"]),
    verb("play", "playing", &["played"]),
    verb("skip", "skipping", &["skipped"]),
    verb("mute", "muting", &["muted"]),
    verb("unmute", "unmuting", &["unmuted"]),
    verb("silence", "silencing", &["silenced"]),
    verb("raise", "raising", &["raised"]),
    verb("lower", "lowering", &["lowered"]),
    verb("increase", "increasing", &["increased"]),
    verb("decrease", "decreasing", &["decreased"]),
    verb("reduce", "reducing", &["reduced"]),
    verb("bump", "bumping", &["bumped"]),
    verb("crank", "cranking", &["cranked"]),
    verb("dim", "dimming", &["dimmed"]),
    verb("brighten", "brightening", &["brightened"]),
    verb("soften", "softening", &["softened"]),
    verb("flip", "flipping", &["flipped"]),
    verb("kill", "killing", &["killed"]),
    verb("cut", "cutting", &[]),
    verb("light", "lighting", &["lit"]),
    verb("heat", "heating", &["heated"]),
    verb("warm", "warming", &["warmed"]),
    verb("cool", "cooling", &["cooled"]),
    verb("run", "running", &["ran"]),
    verb("send", "sending", &["sent"]),
    verb("text", "texting", &["texted"]),
    verb("message", "messaging", &["messaged"]),
    verb("call", "calling", &["called"]),
    verb("ring", "ringing", &["rang"]),
    verb("phone", "phoning", &["phoned"]),
    verb("remind", "reminding", &["reminded"]),
    verb("remember", "remembering", &["remembered"]),
    verb("wake", "waking", &["woke"]),
    verb("tell", "telling", &["told"]),
    verb("say", "saying", &["said"]),
    verb("repeat", "repeating", &["repeated"]),
    verb("read", "reading", &[]),
    verb("announce", "announcing", &["announced"]),
    verb("broadcast", "broadcasting", &[]),
    verb("give", "giving", &["gave", "given"]),
    verb("show", "showing", &["showed", "shown"]),
    verb("bring", "bringing", &["brought"]),
    verb("take", "taking", &["took", "taken"]),
    verb("create", "creating", &["created"]),
    verb("schedule", "scheduling", &["scheduled"]),
    verb("keep", "keeping", &["kept"]),
    verb("leave", "leaving", &["left"]),
    verb("let", "letting", &[]),
    verb("check", "checking", &["checked"]),
    verb("find", "finding", &["found"]),
    verb("search", "searching", &["searched"]),
    verb("look", "looking", &["looked"]),
    verb("google", "googling", &["googled"]),
    verb("order", "ordering", &["ordered"]),
    verb("buy", "buying", &["bought"]),
    verb("book", "booking", &["booked"]),
    verb("water", "watering", &["watered"]),
    verb("feed", "feeding", &["fed"]),
    verb("clean", "cleaning", &["cleaned"]),
    verb("vacuum", "vacuuming", &["vacuumed"]),
    verb("activate", "activating", &["activated"]),
    verb("deactivate", "deactivating", &["deactivated"]),
    verb("enable", "enabling", &["enabled"]),
    verb("disable", "disabling", &["disabled"]),
    verb("arm", "arming", &["armed"]),
    verb("disarm", "disarming", &["disarmed"]),
    verb("secure", "securing", &["secured"]),
    verb("snooze", "snoozing", &["snoozed"]),
    verb("count", "counting", &["counted"]),
    verb("time", "timing", &["timed"]),
    verb("convert", "converting", &["converted"]),
    verb("calculate", "calculating", &["calculated"]),
    verb("compute", "computing", &["computed"]),
    verb("work", "working", &["worked"]),
    verb("power", "powering", &["powered"]),
    verb("draw", "drawing", &["drew", "drawn"]),
    verb("pull", "pulling", &["pulled"]),
    verb("roll", "rolling", &["rolled"]),
    verb("cross", "crossing", &["crossed"]),
    verb("write", "writing", &["wrote", "written"]),
    verb("note", "noting", &["noted"]),
    verb("touch", "touching", &["touched"]),
    verb("use", "using", &["used"]),
    verb("do", "doing", &["did", "done"]),
    verb("go", "going", &["went", "gone"]),
    verb("listen", "listening", &["listened"]),
    verb("speak", "speaking", &["spoke", "spoken"]),
    verb("talk", "talking", &["talked"]),
    verb("forget", "forgetting", &["forgot", "forgotten"]),
    verb("dismiss", "dismissing", &["dismissed"]),
    verb("try", "trying", &["tried"]),
    verb("ask", "asking", &["asked"]),
    verb("have", "having", &["had"]),
    verb("be", "being", &["been"]),
];

/// Taken off the front as often as they come: calls for attention, hesitation, links to what was said before.
pub(super) const OPENINGS: &[&str] = &[
    "hey", "hey there", "hi", "hi there", "hello", "yo", "okay", "all right", "right", "so", "well", "now", "and", "and now", "then", "and then",
    "also", "and also", "but", "but also", "oh", "ah", "actually", "just", "quickly", "sorry", "excuse me", "yes", "yeah", "yep", "sure", "maybe",
    "thanks", "thank you", "please", "kindly", "alexa", "jarvis", "mycroft", "marvin", "nabu", "tercet", "computer",
    "assistant", "wait", "um", "umm", "uh", "uhm", "er", "erm", "hmm", "mm", "like", "you know", "great", "perfect", "good", "fine", "cool",
    "quick", "again", "first", "next", "finally", "plus", "listen", "look", "dear", "buddy", "man", "dude", "no", "nope", "no no", "instead",
    "after that", "afterwards", "as well as that", "good morning", "good evening", "good night", "if you do not mind", "if you would not mind",
    "if it is not too much trouble", "if it is no trouble", "if you can", "if you could", "if you would", "if possible", "if it is possible", "if you please", "if you like",
    "when you get a chance", "when you have a chance", "when you can", "when you have time", "when you have a moment", "when you get a moment", "whenever you can", "whenever you are ready",
    "while you are at it", "for me", "one more thing", "by the way", "at least", "for now", "right now", "at once",
];

/// Taken off the end as often as they come.
pub(super) const ENDINGS: &[&str] = &[
    "please", "kindly", "thanks", "thank you", "thanks a lot", "thank you very much", "thank you so much", "now", "right now", "right away", "straight away", "for me", "for us",
    "if you can", "if you could", "if you would", "if you will", "if you do not mind", "if you would not mind", "if possible", "if you please", "if you like", "if that is okay", "if that is all right",
    "if it is possible", "if it is not too much trouble", "if it is no trouble", "when you get a chance", "when you have a chance", "when you can", "when you have time", "when you have a moment", "when you get a moment", "whenever you can",
    "while you are at it", "would you", "will you", "can you", "could you", "would not you", "will not you", "okay", "all right", "already", "immediately", "at once", "real quick", "quickly", "then", "man", "dude", "buddy", "mate",
    "dear", "for now", "alexa", "jarvis", "mycroft", "marvin", "nabu", "tercet", "computer", "assistant", "at the moment", "yeah", "sorry", "by the way", "too", "as well", "also", "instead", "again", "um", "uh", "er",
    "you know", "like", "though", "after all", "asap", "as soon as possible", "as soon as you can", "in here", "here", "ok",
];

/// Hesitation, wherever it stands.
pub(super) const HESITATION: &[&str] = &["um", "umm", "uh", "uhm", "er", "erm", "hmm", "mm"];

/// What follows an opening that asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// A command: "could you" *turn it off*.
    Command,
    /// A verb's -ing form or a thing: "would you mind" *turning it off*, "how about" *a timer*.
    Ing,
    /// A past form: "I would be glad if you" *turned it off*.
    Past,
    /// A thing to have or a state to bring about: "I want" *the light on*.
    Thing,
    /// A state to bring about: "make sure" *the light is off*.
    State,
}

/// Requests in the form of a question or a wish.
pub(super) const REQUESTS: &[(&str, Then)] = &[
    ("could you", Then::Command),
    ("can you", Then::Command),
    ("would you", Then::Command),
    ("will you", Then::Command),
    ("could not you", Then::Command),
    ("can not you", Then::Command),
    ("would not you", Then::Command),
    ("will not you", Then::Command),
    ("why do not you", Then::Command),
    ("why do not we", Then::Command),
    ("why not", Then::Command),
    ("could we", Then::Command),
    ("can we", Then::Command),
    ("shall we", Then::Command),
    ("would you be able to", Then::Command),
    ("are you able to", Then::Command),
    ("would you be so kind as to", Then::Command),
    ("would you be so kind and", Then::Command),
    ("would you be kind enough to", Then::Command),
    ("be so kind as to", Then::Command),
    ("be kind enough to", Then::Command),
    ("be a dear and", Then::Command),
    ("do you think you could", Then::Command),
    ("do you think you can", Then::Command),
    ("do you think you might", Then::Command),
    ("could you see if you can", Then::Command),
    ("see if you can", Then::Command),
    ("try to", Then::Command),
    ("try and", Then::Command),
    ("go ahead and", Then::Command),
    ("go and", Then::Command),
    ("do me a favor and", Then::Command),
    ("do me a favour and", Then::Command),
    ("i was wondering if you could", Then::Command),
    ("i was wondering if you can", Then::Command),
    ("i was wondering whether you could", Then::Command),
    ("i was hoping you could", Then::Command),
    ("i wonder if you could", Then::Command),
    ("i would like you to", Then::Command),
    ("i want you to", Then::Command),
    ("i need you to", Then::Command),
    ("i am asking you to", Then::Command),
    ("i would like to", Then::Command),
    ("i want to", Then::Command),
    ("i want to get", Then::Command),
    ("i need to", Then::Command),
    ("may i ask you to", Then::Command),
    ("can i ask you to", Then::Command),
    ("can i get you to", Then::Command),
    ("could i ask you to", Then::Command),
    ("could i get you to", Then::Command),
    ("might i ask you to", Then::Command),
    ("is it possible to", Then::Command),
    ("is it possible for you to", Then::Command),
    ("would it be possible to", Then::Command),
    ("would it be possible for you to", Then::Command),
    ("would it be okay to", Then::Command),
    ("would it be all right to", Then::Command),
    ("is there any chance you could", Then::Command),
    ("is there a chance you could", Then::Command),
    ("is there any way you could", Then::Command),
    ("is there a way to", Then::Command),
    ("any chance you could", Then::Command),
    ("any chance you can", Then::Command),
    ("it would be nice if you could", Then::Command),
    ("it would be great if you could", Then::Command),
    ("it would be lovely if you could", Then::Command),
    ("it would be good if you could", Then::Command),
    ("it would be helpful if you could", Then::Command),
    ("i would appreciate it if you could", Then::Command),
    ("i would be glad if you could", Then::Command),
    ("i would be grateful if you could", Then::Command),
    ("it would be nice to", Then::Command),
    ("it would be great to", Then::Command),
    ("it would be good to", Then::Command),
    ("let us", Then::Command),
    ("you can", Then::Command),
    ("you could", Then::Command),
    ("you may", Then::Command),
    ("you might as well", Then::Command),
    ("do not forget to", Then::Command),
    ("do not hesitate to", Then::Command),
    ("never forget to", Then::Command),
    ("remember to", Then::Command),
    ("be sure to", Then::Command),
    ("make sure to", Then::Command),
    ("make sure you", Then::Command),
    ("if you could", Then::Command),
    ("if you would", Then::Command),
    ("would you mind", Then::Ing),
    ("do you mind", Then::Ing),
    ("mind", Then::Ing),
    ("how about", Then::Ing),
    ("what about", Then::Ing),
    ("would you consider", Then::Ing),
    ("i would appreciate it if you", Then::Past),
    ("i would be glad if you", Then::Past),
    ("i would be happy if you", Then::Past),
    ("i would be grateful if you", Then::Past),
    ("it would be nice if you", Then::Past),
    ("it would be great if you", Then::Past),
    ("would it be okay if you", Then::Past),
    ("i would rather you", Then::Past),
    ("can i have", Then::Thing),
    ("can we have", Then::Thing),
    ("could i have", Then::Thing),
    ("could we have", Then::Thing),
    ("may i have", Then::Thing),
    ("can i get", Then::Thing),
    ("could i get", Then::Thing),
    ("i want", Then::Thing),
    ("i need", Then::Thing),
    ("we need", Then::Thing),
    ("we want", Then::Thing),
    ("i would like", Then::Thing),
    ("we would like", Then::Thing),
    ("i would like to have", Then::Thing),
    ("i could use", Then::Thing),
    ("give me", Then::Thing),
    ("let us have", Then::Thing),
    ("it would be great to have", Then::Thing),
    ("it would be nice to have", Then::Thing),
    ("it would be good to have", Then::Thing),
    ("make sure", Then::State),
    ("make sure that", Then::State),
    ("see to it that", Then::State),
    ("ensure", Then::State),
    ("ensure that", Then::State),
];

/// Words that may stand between a request's opening and its verb.
pub(super) const SOFTENERS: &[&str] = &[
    "please", "just", "possibly", "kindly", "maybe", "perhaps", "also", "quickly", "now", "then", "go and", "go ahead and", "actually", "simply", "like", "try to", "try and", "for once", "really",
];

/// "Don't" and its kin: what follows is not to be done.
pub(super) const FORBID: &[&str] = &[
    "do not", "do not you dare", "do not ever", "do not you", "never", "never ever", "not", "you do not need to", "you do not have to", "you need not", "you must not", "you should not", "you can not", "you are not to", "you are not allowed to", "you may not",
    "you had better not", "you better not", "there is no need to", "there is no need for", "no need to", "it is not necessary to", "it is not needed to", "i do not want you to", "i do not want to", "i did not want you to", "we do not want you to", "i do not need you to", "i would not want you to", "i would prefer you did not", "i would rather you did not", "i would rather not", "i would rather you do not", "i did not ask you to", "i did not tell you to", "i did not say to", "i never asked you to", "i never told you to", "i never said to",
    "i am not asking you to", "let us not", "under no circumstances", "on no account", "in no case", "by no means", "at no time", "refrain from", "avoid", "forget about", "forget", "never mind", "neither", "nor", "hold off on", "hold off", "please refrain from", "no", "without", "no more", "stop", "quit", "i do not want", "i do not wish you to", "it is forbidden to", "please not", "instead of", "rather than", "i do not think you should", "there is no reason to", "do not bother", "do not bother to", "do not try to", "do not go and", "do not even think about", "do not think about",
];

/// Openings of [`FORBID`] that only forbid what comes as a verb's -ing form: "stop *turning* it on", not "stop the timer".
pub(super) const FORBID_ING: &[&str] = &["stop", "quit", "no", "no more", "without", "avoid", "forget", "forget about", "never mind", "hold off", "hold off on", "instead of", "rather than", "refrain from", "please refrain from", "do not even think about", "do not think about", "do not bother"];

/// "Leave it on": nothing is to change.
pub(super) const KEEP: &[&str] = &["leave", "keep"];

/// Words of a state that can be kept or undone.
pub(super) const STATES: &[(&str, &str)] = &[
    ("on", "off"),
    ("off", "on"),
    ("open", "closed"),
    ("closed", "open"),
    ("shut", "open"),
    ("locked", "unlocked"),
    ("unlocked", "locked"),
    ("running", "stopped"),
    ("alone", ""),
    ("as it is", ""),
    ("as they are", ""),
    ("the way it is", ""),
    ("the way they are", ""),
    ("like that", ""),
    ("like this", ""),
    ("burning", "off"),
    ("lit", "off"),
    ("dark", "on"),
];

/// Takes back all that was said before, as a sentence or an ending of its own.
pub(super) const TAKEN_BACK: &[&str] = &[
    "never mind", "never mind that", "forget it", "forget that", "forget about it", "cancel that", "scratch that", "strike that", "do not", "oh wait do not", "wait do not", "no do not", "no wait do not", "please do not", "do not do that", "do not do it",
    "on second thought no", "on second thoughts no", "actually no", "actually do not", "no stop", "just kidding", "i changed my mind", "leave it", "no leave it", "let it be", "not really", "no thanks", "no thank you", "or not", "or rather not", "rather not", "better not", "no forget it", "no never mind", "oh never mind", "oh forget it", "actually never mind", "actually forget it", "wait never mind", "no leave it on", "no leave it off", "no actually leave it on", "no actually leave it off", "actually leave it on", "actually leave it off", "leave it on", "leave it off", "no actually do not",
];

/// Between what was said wrongly and what is meant.
pub(super) const REPAIRS: &[&str] = &[
    "no", "no wait", "no no", "wait no", "wait", "oh no", "sorry", "no sorry", "sorry i mean", "sorry i meant", "i mean", "i meant", "no i mean", "no i meant", "or rather", "rather", "actually", "actually no", "no actually", "actually make that", "make that", "make it", "actually make it", "no make that", "no make it", "scratch that", "strike that", "correction", "well actually", "wait i mean", "wait i meant", "oh wait", "uh no", "er no", "um no", "i should say", "let us say", "or actually", "oops", "my mistake", "excuse me",
];

/// Opens what must come true first.
pub(super) const CONDITIONS: &[&str] = &[
    "if", "only if", "even if", "when", "whenever", "unless", "until", "once", "as soon as", "as long as", "so long as", "in case", "in the event that", "provided", "provided that", "providing", "given that", "assuming", "assuming that", "supposing", "while", "whilst", "the moment", "the minute", "the next time", "next time", "every time", "each time", "any time", "anytime", "after", "before", "by the time", "should it", "should the", "should he", "should she", "should they", "should i", "should anyone", "should anybody", "should someone", "should somebody", "should there", "had i", "depending on", "whether or not", "at sunset", "at sunrise", "at dawn", "at dusk", "at nightfall", "at daybreak", "at dark", "after dark", "before dark", "after sunset", "before sunset", "after sunrise", "before sunrise", "at bedtime", "at dinner time", "at lunch time", "except when", "except if", "where nobody",
];

/// What looks like a condition and is politeness or a part of a command.
pub(super) const NO_CONDITION: &[&str] = &[
    "if you can", "if you could", "if you would", "if you will", "if you please", "if you like", "if possible", "if it is possible", "if you do not mind", "if you would not mind", "if it is not too much trouble", "if it is no trouble", "if that is okay", "if that is all right", "if it is okay", "when you get a chance", "when you have a chance", "when you can", "when you have time", "when you have a moment", "when you get a moment", "whenever you can", "whenever you are ready", "while you are at it", "as soon as possible", "as soon as you can", "once more", "once again", "once a", "at once", "before long",
];

/// Opens a question about the world.
pub(super) const QUESTION_WORDS: &[&str] = &["what", "which", "who", "whose", "whom", "why", "where", "how", "when"];

/// Opens a question whose subject follows.
pub(super) const AUXILIARIES: &[&str] = &["is", "are", "was", "were", "am", "do", "does", "did", "have", "has", "had", "can", "could", "will", "would", "shall", "should", "may", "might", "must"];

/// Openings that make a question of what follows.
pub(super) const ASKING: &[&str] = &[
    "do you know", "do you know if", "do you know whether", "do you happen to know", "tell me if", "tell me whether", "tell me", "can you tell me", "can you tell me if", "can you tell me whether", "could you tell me", "could you tell me if", "could you tell me whether", "can you tell if", "can you tell whether", "can you check if", "can you check whether", "could you check if", "could you check whether", "check if", "check whether", "check that", "see if", "see whether", "find out if", "find out whether", "can you see if", "can you see whether", "could you see whether", "i want to know", "i would like to know", "i need to know", "i wonder", "i wonder if", "i wonder whether", "i was wondering if", "i was wondering whether", "any idea", "any idea if", "let me know if", "let me know whether", "would you know", "would you know if", "will you tell me", "would you tell me", "you know if", "you know whether",
];

/// Subjects of a question that is no request: "is *the* light on", "can *the* light be dimmed".
pub(super) const TAGS: &[&str] = &["is not it", "are not they", "does not it", "is it not", "right", "correct", "was not it", "did not you", "did not i", "have not you", "can you", "do you", "are you", "did you", "have you", "is it", "are they"];

/// Subjects of a statement.
pub(super) const SUBJECTS: &[&str] = &["i", "you", "he", "she", "it", "we", "they", "somebody", "someone", "everybody", "everyone", "nobody", "people", "my", "his", "her", "our", "their", "the", "this", "that", "there", "mom", "dad"];

/// Verbs that tell what somebody else said.
pub(super) const REPORTS: &[&str] = &["said", "says", "told", "tells", "asked", "asks", "thinks", "thought", "wants", "wanted", "shouted", "wrote", "writes", "claims", "believes"];

/// Verbs and adverbs of a statement about habits and states: nothing is asked for.
pub(super) const TELLING: &[&str] = &["always", "never", "usually", "often", "sometimes", "already", "myself", "yourself", "love", "like", "hate", "is", "are", "was", "were", "has", "have", "had", "will", "am", "would"];

/// All of a kind.
pub(super) const ALL: &[&str] = &["all", "every", "each", "everything", "any", "both", "everywhere", "half", "some", "other", "others", "rest", "most", "none", "several"];

/// Takes something out of all of a kind.
pub(super) const EXCEPT: &[&str] = &["except", "except for", "but", "but for", "apart from", "other than", "besides", "excluding", "without", "save for", "not counting"];

/// Fixed pairs around "and" that are one thing.
pub(super) const PAIRS: &[&str] = &[
    "macaroni and cheese", "mac and cheese", "fish and chips", "peanut butter and jelly", "salt and pepper", "half and half", "gin and tonic", "rum and coke", "ham and cheese", "ham and eggs", "bacon and eggs", "cookies and cream", "black and white", "rock and roll", "rhythm and blues", "r and b", "drum and bass", "country and western", "salt and vinegar", "sour cream and onion", "oil and vinegar", "cream and sugar", "mom and dad", "mum and dad", "mother and father", "up and down", "on and off", "back and forth", "again and again", "over and over", "head and shoulders", "bed and breakfast", "pros and cons", "lost and found", "surf and turf", "rice and beans", "franks and beans", "spaghetti and meatballs", "biscuits and gravy", "milk and honey",
];

/// Days of the week.
pub(super) const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Times without a number that say nothing definite.
pub(super) const VAGUE_TIMES: &[&str] = &[
    "later", "later on", "soon", "in a while", "in a bit", "in a little while", "in a little bit", "in a little", "in a few minutes", "in a few hours", "in a few seconds", "in some minutes", "in some time", "in several minutes", "at some point", "sometime", "some time", "eventually", "one day", "some day", "someday", "after a while", "after a bit", "for a while", "for a bit", "for a few minutes", "for some time", "this evening", "this afternoon", "this morning", "tomorrow", "tomorrow morning", "tomorrow evening", "tomorrow afternoon", "tomorrow night", "tonight", "at night", "in the morning", "in the evening", "in the afternoon", "ago", "yesterday", "next week", "next month", "next year", "before bed", "in time", "the day after tomorrow", "over night", "overnight", "another time", "not yet",
];

/// Again and again: what a schedule cannot hold so far.
pub(super) const RECURRING: &[&str] = &["every day", "every night", "every morning", "every evening", "every afternoon", "every hour", "every week", "every weekday", "every weekend", "every month", "each day", "each morning", "each evening", "each night", "daily", "nightly", "hourly", "weekly", "monthly", "every monday", "every tuesday", "every wednesday", "every thursday", "every friday", "every saturday", "every sunday", "on weekdays", "on weekends", "on mondays", "on tuesdays", "on wednesdays", "on thursdays", "on fridays", "on saturdays", "on sundays", "every other day", "twice a day", "once a day", "once a week", "from monday to friday"];

/// Things that hold a time or a length of their own: a time said with them is theirs.
pub(super) const TIMED_THINGS: &[&str] = &["timer", "timers", "alarm", "alarms", "reminder", "reminders", "remind", "wake", "countdown", "snooze", "appointment", "event", "calendar", "meeting", "nap", "clock"];

/// Things that a bare number is a level of.
pub(super) const LEVELS: &[&str] = &["volume", "sound", "thermostat", "temperature", "heating", "heat", "heater", "ac", "air", "brightness", "percent", "degrees", "dim", "fan", "speed", "level"];
