"""Which expansions of a template nobody says: the templates accept more than people say, and say nothing about grammar."""

import re

# What the grammar of the templates allows and nobody says or writes.
UNSAID = [
    re.compile(p, re.IGNORECASE)
    for p in [
        r"\b(the|my|our|a|an) (the|my|our|a|an)\b",
        r"\b(\w+) \1\b",
        r"\b(light|lights|lighting|lamp|lamps) (light|lights|lighting|lamp|lamps)\b",
        r"\bhalf (an hours|a minutes)\b",
        r"\b(1|one) and a? ?half (hour|minute)\b|(?!\b(1|one)\b)\b\w+ and a? ?half (hour|minute)\b",
        r"\band half\b",
        r"1/2 a",
        r"\ba (8|11|18|8\d|eight|eleven|eighteen|eighty)\b|\ban (?!(8|11|18|8\d|eight|eleven|eighteen|eighty)\b)[\w-]+ ?",
        r"\b(every|each|every single|each and every) (the |my |our )?(\w+ ){0,2}(lights|lamps|lighting|blinds|fans|timers)\b",
        r"\b(every|each|every single|each and every) (the|my|our)\b",
        r"\ball (of )?(the |my |our )?(\w+ ){0,2}(light|lamp|fan|blind|timer)\b",
        r"\bof (every|each)\b",
        r"\b(all|which|what|how many|any|some) (of )?(\w+ ){0,2}(light|lamp|lighting|switch|fan|door|window|gate|lock|blind)\b",
        r"\b(is|are) (there|the|my|our) (on|off|open|closed|locked|unlocked|shut|opening|closing|shutting)\b",
        r"\bis (?!it\b)(\w+ ){0,5}(lights|lamps|doors|windows|blinds|locks|gates|fans|switches|shutters|curtains|shades|awnings)\b",
        r"\bare (\w+ ){0,5}(light|lamp|lighting|door|lock|window|gate|fan|switch|blind|shutter|curtain|shade|awning)\b",
        r"\b(the|my|our|there|any|some|all) (there|all|any|some|every|each)\b|\b(what|which) (the|my|our|of)\b|\b(what|which) (\w+ )*in (?=\w+$)",
        r"^(each|every|all|any|some) |\bhow many (the|my|our)\b|\bwork\b|\bsecurely\b",
        r"\b(on|off|open|closed|shut|locked|unlocked|opening|closing|shutting) (the |my |our )?(kitchen|living|bed|bath|hall|office|first|ground|up|down)",
        r"\b(what's|whats) (like|the|my|our)? ?(current)? ?(temp)\b",
        # Words in the wrong place.
        r"\b(complete|delete|remove) (.* )?off (from|on|in)\b|\b(complete|delete|remove) off\b|\bcheck (?!.*\boff\b)",
        r"\boff (.*)\boff\b",
        r"\b(on|up|down|off|out) (on|up|down|off|out)\b",
        r"\b(how is|how's|hows) (?!.*\b(weather)\b)",
        r"\bhows\b|\bwhats\b|\bwheres\b|\btodays\b|\bnevermind\b",
        r"\btell me (is|like)\b",
        r"\b(make|change|set) (up|down)\b",
        r"\b(increase|turn up|make) (the )?volume to (0|zero)\b",
        r"\bshut (up|down)\b|\blower (up|down)\b|\bclose down\b|\b(raise|lift) up\b",
        r"\bbring (?!.*\b(on|off|up|down)\b)",
        r"\bbring (off|out)\b",
        r"\b(change|bring) .*\bout\b",
        r"\b(change|bring) (on|off|out)\b",
        r"\b(\d+|\w+) %|\bkelvin k\b|\d k\b",
        r"\btimers? status\b.*\btimers? status\b",
        r"^time (is )?left\b|^how much time left\b|^how long left\b",
        r"(?<!\bin )\b(this|the|my|our) room\b|\b(our|my|the|this) (space|area)\b|\bin (my|our|the) room\b",
        r"\b(the|my|our) (kitchen|living room|bedroom|bathroom|hallway|office|first floor|ground floor|upstairs|downstairs) (the|my|our)\b",
        r"\b(every|each|single) (rooms|areas|floors)\b|\ball (of )?(the |my |our )?(room|area|floor)\b|\boff (all (of )?(my|the|our)|each|every) (\w+ )*(floor|room|area)s?\b|\boff of\b",
        r"\bhow many (\w+ )*(light|lamp|door|lock|window|gate|fan|switch|blind) (is|are)\b|\bare my home\b|\bsome (?!of)(\w+ )*(the|my|our)\b",
        r"\b(is|are) (our|my|the|there) (out|off|on)\b|\bare (every|each)\b|\b(lights|lamps|switches|fans|doors|gates|windows|locks|blinds) is\b",
        r"\b(lamp|light) all\b|\bis there (my|our|the)\b",
        # Floors.
        r"\b(upstairs|downstairs) floor\b|\b(in|on|the|my|our|of) (the |my |our )?(upstairs|downstairs)$|\b(first|ground)\b(?! floor)",
        r"\b(the |my |our )(upstairs|downstairs)\b(?= (to|on|off|out|in)\b|$)|\bof (the |my |our )?(upstairs|downstairs)\b",
        r"(?<!\bthe )\b(first|ground) floor$",
        r"\bdegree\b| °|\bmake\b.*\bto (\d|[a-z]+teen\b|twenty|thirty|forty|fifty)",
        r"\bturn .*\b(increase|decrease)\b|\bvolume (increase|decrease)\b",
        r"\b(to|on|in|from|off) (my |the )?(packing|chores)$|\b(to|on|in|from|off) to-do$",
        # Everywhere.
        r"\b(on|off|out|lamps?|lights?|lighting) (the |my |our )?(entire |whole )?(home|house|flat|apartment)\b(?! (light|lamp))|\bout of\b",
        r"\b(on|off|out|lamps?|lights?|lighting) (every|each|all) (\w+ )*(floors?|rooms?|areas?)\b|\ball area\b",
        r"\bon .* (for|on)$",
    ]
]

UNIT = re.compile(r"([\w/]+)([ -])(hour|minute|second)(s?)\b", re.IGNORECASE)
BEFORE_TIMER = re.compile(r"((,| and)? \w+[ -](hour|minute|second)s?)* timer\b", re.IGNORECASE)


def units_agree(text):
    """Whether hours, minutes and seconds stand as people say them: "two hours", "a two hour timer", "one hour"."""
    for m in UNIT.finditer(text):
        number, between, _, plural = m.groups()
        if number.lower() in ("half", "an", "a"):
            continue
        one = number.lower() in ("1", "one")
        names = BEFORE_TIMER.match(text[m.end() :]) is not None
        if bool(plural) == (one or names) or (between == "-" and not names):
            return False
    return True


def is_said(text):
    return units_agree(text) and not any(p.search(text) for p in UNSAID)
