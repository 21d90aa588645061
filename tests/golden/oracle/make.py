#!/usr/bin/env python3
"""Makes oracle.tsv: sentences of Home Assistant's intents, and what tercet is to do about each.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install -r tests/golden/oracle/requirements.txt
    /tmp/oracle/bin/python tests/golden/oracle/make.py tests/data/oracle.tsv

The sentences are expansions of the templates of home-assistant-intents, by hassil's sampling, from a fixed seed; the arguments
come from hassil's recognition of the finished sentence. What is ours: the home (home.py), which tool answers to which intent
(outcomes.py), and what is left out because nobody says it (unsaid.py).
"""

import json
import random
import re
import sys
from collections import defaultdict
from importlib.metadata import version
from itertools import islice

from hassil import Intents, recognize_best
from hassil.intents import TextSlotList
from hassil.numbers import get_rbnf_engine
from hassil.sample import sample_expression, sample_sentence
from home import FLOORS, FREE, NAMES, NUMBERS, ROOMS
from home_assistant_intents import get_intents
from outcomes import outcome, unsure
from unsaid import is_said

SEED = 20
# Expansions of a template among which is drawn, sentences taken of it, and how many of these leave out all that may be left out.
EXPANSIONS, SENTENCES, SHORT = 40_000, 12, 4
# Around a command, from the words that hassil passes over: they change nothing.
POLITE = ["please {}", "can you {}?", "could you {}?", "would you {}?", "I'd like to {}", "{} for me", "{}, please",
          "can you please {}?", "could you {} for me?"]  # fmt: skip
# What a command begins with.
VERBS = set(
    "turn switch activate deactivate open close shut raise lift lower lock unlock set start create cancel stop pause resume "
    "continue add put remove take increase decrease mute unmute announce broadcast change make adjust check delete play "
    "skip clean vacuum return dock press push illuminate".split()
)
# Sentences of each kind.
QUOTAS = defaultdict(lambda: 8) | {
    "light-on": 34, "light-off": 34, "light-all": 12, "light-where": 16, "start-timer": 44, "increase-timer": 26,
    "decrease-timer": 26, "cancel-timer": 22, "pause-timer": 16, "resume-timer": 16, "timer-status": 26, "later": 24,
    "cover": 28, "lock": 14, "shopping-list": 14, "to-do-list": 14, "list-remove": 16, "volume": 16, "volume-relative": 20,
    "mute": 14, "temperature-set": 16, "temperature-get": 16, "announce": 12, "state": 24, "no-volume": 14,
    "no-light-set": 20, "no-device": 26, "no-media": 20, "no-vacuum": 14, "no-weather": 8, "no-fan": 12, "no-cover": 14,
}  # fmt: skip

# Where the speaker stands: some intents are only recognized where that is known.
CONTEXT = {"area": "office"}
LANGUAGE = "en"


def written(text, rng, open_end):
    """As speech to text writes it; after free text nothing may follow."""
    text = re.sub(r"\s+", " ", text).strip()
    first = text.split(" ")[0].lower()
    if first in VERBS and rng.random() < 0.35:
        polite = [p for p in POLITE if not open_end or p.rstrip("?").endswith("{}")]
        text = rng.choice(polite).format(text)
    asks = re.match(r"(what|how|is|are|which|who|where)\b", text, re.IGNORECASE)
    end = "" if text.endswith("?") else "?" if asks else "."
    return text[0].upper() + text[1:] + end


class Oracle:
    def __init__(self):
        self.data = get_intents(LANGUAGE)
        self.intents = Intents.from_dict(self.data)
        names = TextSlotList.from_tuples(
            [(name, name, {"domain": domain}) for name, (domain, _) in NAMES.items()], allow_template=False, name="name"
        )
        self.lists = {
            "area": TextSlotList.from_strings(ROOMS, allow_template=False, name="area"),
            "floor": TextSlotList.from_strings(FLOORS, allow_template=False, name="floor"),
            "name": names,
        }
        self.rng = random.Random(SEED)
        self.numbers = get_rbnf_engine(LANGUAGE)
        # Prepositions of which a room takes one.
        self.rules = dict(self.intents.expansion_rules)
        self.rules["in"] = Intents.from_dict(
            {"language": LANGUAGE, "intents": {}, "expansion_rules": {"in": "in"}}
        ).expansion_rules["in"]

    def word(self, name, block):
        """Something that the list called `name` may hold."""
        rng = self.rng
        if name == "area":
            return rng.choice(ROOMS)
        if name == "floor":
            return rng.choice(FLOORS)
        if name == "name":
            domain = block.requires_context.get("domain") or sorted({d for d, _ in NAMES.values()})
            domains = [domain] if isinstance(domain, str) else list(domain)
            domains = [d for d in domains if any(d == has for has, _ in NAMES.values())]
            if not domains:
                raise KeyError(name)
            domain = rng.choice(domains)
            return rng.choice([n for n, (d, _) in NAMES.items() if d == domain])
        if name == "timer_command":
            on, room, door = rng.choice(["on", "off"]), rng.choice(ROOMS), rng.choice(["front", "back"])
            return rng.choice([f"turn {on} the {room} light", f"turn the lights {on} in the {room}", f"lock the {door} door",
                               f"switch {on} the {room} lights", "set the volume to 20 percent"])  # fmt: skip
        if name in FREE:
            return rng.choice(FREE[name])
        if name in NUMBERS:
            number = rng.choice(NUMBERS[name])
            return self.numbers.format_number(number).text if number < 21 and rng.random() < 0.4 else str(number)
        if name == "cover_classes" and rng.random() < 0.6:
            return "blinds"
        values = self.intents.slot_lists[name].values
        value = rng.choice(values)
        return rng.choice(list(sample_expression(value.text_in, self.intents.slot_lists, self.rules)))

    def skeletons(self, sentence, block):
        """Some expansions of a template, with the lists' names in place of what they hold."""
        rules = {**self.rules, **(block.expansion_rules or {})}
        some = []
        for i, text in enumerate(sample_sentence(sentence, self.intents.slot_lists, rules, LANGUAGE, expand_lists=False)):
            if i >= EXPANSIONS:
                break
            # A reservoir.
            if len(some) < 300:
                some.append(text)
            elif (at := self.rng.randrange(i + 1)) < 300:
                some[at] = text
        # What is short is what people say most: it comes first, then anything.
        bare = sample_sentence(sentence, self.intents.slot_lists, rules, LANGUAGE, expand_lists=False, skip_optionals=True)
        short = list(islice(bare, SHORT))
        self.rng.shuffle(some)
        return (short + some) * 3

    def recognize(self, text):
        return recognize_best(
            text,
            self.intents,
            slot_lists=self.lists,
            skip_words=self.data["skip_words"],
            intent_context=CONTEXT,
            language=LANGUAGE,
            best_slot_name="name",
        )

    def recognized(self, text, intent=None):
        result = self.recognize(text)
        if result is None or (intent and result.intent.name != intent):
            raise LookupError
        name = result.entities.get("name")
        domain = result.entities["domain"].value if "domain" in result.entities else None
        if name is not None and name.value in NAMES:
            domain = NAMES[name.value][0]
        kind, then, before = outcome(result, text, domain, self.recognized)
        return kind, then + unsure(result, text), before

    def cases(self):
        """For each kind and each template the sentences that came of it."""
        found = defaultdict(lambda: defaultdict(list))
        seen = set()
        for intent in self.intents.intents.values():
            for block in intent.data:
                for sentence in block.sentences:
                    taken = 0
                    for skeleton in self.skeletons(sentence, block):
                        try:
                            text = re.sub(r"\{([^}:]+)[^}]*\}", lambda m: self.word(m[1], block), skeleton).strip()
                        except (KeyError, AttributeError):
                            break
                        text = re.sub(r"\s+", " ", text)
                        if len(text.split(" ")) < 2 and intent.name.startswith("HassMedia") and "ute" not in text:
                            continue
                        if not is_said(text):
                            continue
                        last = re.search(r"\{(\w+)[^}]*\}$", skeleton.strip())
                        text = written(text, self.rng, last is not None and last[1] in FREE)
                        try:
                            kind, then, before = self.recognized(text, intent.name)
                        except LookupError:
                            continue
                        if text.lower() in seen:
                            continue
                        seen.add(text.lower())
                        found[kind][sentence.text].append((text, then, before))
                        taken += 1
                        if taken == SENTENCES:
                            break
        return found


def main():
    oracle = Oracle()
    lines = []
    counts = {}
    for kind, templates in sorted(oracle.cases().items()):
        # A sentence of each template before the second of any.
        queues = list(templates.values())
        oracle.rng.shuffle(queues)
        turn = [case for at in range(SENTENCES) for queue in queues for case in queue[at : at + 1]]
        chosen = turn[: QUOTAS[kind]]
        counts[kind] = (len(chosen), len(turn))
        lines += ["\t".join([kind, *case]).rstrip("\t") for case in sorted(chosen)]
    header = [
        f"Sentences of home-assistant-intents {version('home-assistant-intents')} (Apache-2.0, the Home Assistant authors),",
        f"sampled and recognized with hassil {version('hassil')} (Apache-2.0); made by tests/golden/oracle/make.py, seed {SEED}.",
        "The commands are those of oracle.toml. Columns as in requests.tsv; the fourth: what was asked before, joined by",
        '" || ", so that there is a timer or an item to talk about.',
    ]
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write("".join(f"# {line}\n" for line in header) + "".join(f"{line}\n" for line in lines))
    print(json.dumps(counts), len(lines), "sentences")


if __name__ == "__main__":
    main()
