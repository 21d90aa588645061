"""What tercet is to do about what hassil recognized: the tool that answers to an intent, with the arguments of its slots.

A LookupError says that a sentence is no case: tercet has no such notion, or several things would be right.
"""

import re

from home import BLINDS, NAMES, ROOMS


def seconds(slots, prefix=""):
    """How long the slots say, in seconds; None where they say nothing."""
    parts = [slots.get(f"{prefix}{unit}") for unit in ("hours", "minutes", "seconds")]
    if all(p is None for p in parts):
        return None
    said = [int(p) for p in parts if p is not None]
    if any(p >= 60 for p in said[1:]):
        # "One hour ninety minutes".
        raise LookupError
    return sum(int(p or 0) * size for p, size in zip(parts, (3600, 60, 1)))


def plain(total):
    """As tercet writes durations."""
    parts = [(total // 3600, "hour"), (total // 60 % 60, "minute"), (total % 60, "second")]
    return " ".join(f"{n} {unit}{'s' if n != 1 else ''}" for n, unit in parts if n)


def call(tool, /, **args):
    shown = {k: str(v).lower() if isinstance(v, bool) else v for k, v in args.items() if v is not None}
    return f"{tool}({', '.join(f'{k}={v}' for k, v in shown.items())})"


def no(kind, why="cannot"):
    return kind, f"nothing: {why}", ""


def on_a_list(tool, slots, text):
    """What is to be done with an item of a list; where the list is not named, any way of saying the shopping list will do."""
    lists = [slots["name"]] if "name" in slots else ["shopping"] if "shopping" in text.lower() else ["shopping", None, "list"]
    return " | ".join(call(tool, item=slots["item"], list=name) for name in lists)


def which_timer(slots, text, least=1200):
    """The label of the timer that is meant, if any, and the requests that set it, beside another where that matters."""
    start = seconds(slots, "start_")
    if start is not None:
        if start < 30:
            # It would ring before it is talked about.
            raise LookupError
        other = 35 * 60 if start != 35 * 60 else 50 * 60
        return plain(start), f"Set a timer for {plain(start)}. || Set a timer for {plain(other)}."
    label = (slots.get("name") or slots.get("area") or "").lower() or None
    long = plain(least)
    if label is None:
        return None, f"Set a timer for {long}."
    if slots.get("area") and re.search(r"timers? in\b", text):
        # Tercet's timers have names, and are nowhere.
        raise LookupError
    return label, f"Set a timer called {label} for {long}. || Set a timer for 50 minutes."


def of_light(on, slots, text, combination):
    if combination == "domain_all":
        return "light-all", "; ".join(call("set_light", room=r, on=on) for r in ROOMS), ""
    if ("floor" in slots and "name" not in slots) or combination == "domain_only":
        return no("light-where", "unclear")
    room = slots.get("area")
    if name := slots.get("name"):
        room = NAMES[name][1]
        if slots.get("area") or "floor" in slots or name.split(" ")[-1] not in text.lower():
            raise LookupError
        if not re.search(r"\b(on|off|out|up|activate|deactivate)\b", text, re.IGNORECASE):
            # A bare name is a command there; here it is asked about.
            return "light-name", f"{call('set_light', room=room, on=on)} | nothing: unclear", ""
    return f"light-{'on' if on else 'off'}", call("set_light", room=room, on=on), ""


def of_cover(is_open, slots, combination):
    if "name" in slots:
        room = NAMES[slots["name"]][1]
        if "area" in slots or "floor" in slots:
            raise LookupError
    else:
        if slots["device_class"] in ("curtain", "shade", "shutter"):
            # Whether these are the blinds, the owner would know.
            raise LookupError
        room = slots.get("area") if slots["device_class"] == "blind" else None
        if slots["device_class"] == "blind" and room is None:
            return no("cover-where", "unclear")
    if room not in BLINDS:
        return no("no-cover")
    return "cover", call("set_cover", name=room, open=is_open), ""


def turned(on, slots, text, combination, domain):
    """HassTurnOn and HassTurnOff: whatever can be on, open or locked."""
    if domain == "light":
        return of_light(on, slots, text, combination)
    if domain == "cover":
        return of_cover(on, slots, combination)
    if domain == "lock" and NAMES[slots["name"]][1]:
        if "area" in slots or "floor" in slots:
            raise LookupError
        return "lock", call("lock_door", door=NAMES[slots["name"]][1], locked=on), ""
    return no("no-device")


def outcome(result, text, domain, recognized):
    """The kind of a sentence, what is to come of it, and what has to be asked before."""
    intent = result.intent.name
    slots = {name: e.value for name, e in result.entities.items()}
    for name, e in result.entities.items():
        if e.is_wildcard:
            slots[name] = e.text_clean
    if slots.get("area", "").lower() not in text.lower():
        # The room in which it is asked, of which tercet knows nothing.
        del slots["area"]
    combination = (result.intent_metadata or {}).get("slot_combination", "")
    match intent:
        case "HassTurnOn" | "HassTurnOff":
            return turned(intent == "HassTurnOn", slots, text, combination, domain)
        case "HassStartTimer" if "conversation_command" in slots:
            kind, then, before = recognized(slots["conversation_command"])
            if then.startswith("nothing") or ";" in then or before:
                raise LookupError
            return "later", f"@+{seconds(slots)} {then}", ""
        case "HassStartTimer":
            return "start-timer", call("set_timer", duration=plain(seconds(slots)), label=slots.get("name")), ""
        case "HassIncreaseTimer":
            label, before = which_timer(slots, text)
            return "increase-timer", call("adjust_timer", by=plain(seconds(slots)), label=label), before
        case "HassDecreaseTimer":
            by = seconds(slots)
            start = seconds(slots, "start_")
            if start is not None and start <= by:
                raise LookupError
            label, before = which_timer(slots, text, least=by + 1200)
            return "decrease-timer", call("adjust_timer", by=f"-{plain(by)}", label=label), before
        case "HassPauseTimer":
            label, before = which_timer(slots, text)
            return "pause-timer", call("pause_timer", label=label), before
        case "HassUnpauseTimer":
            label, before = which_timer(slots, text)
            name = f"{label} timer" if label and seconds(slots, "start_") is None else "timer"
            if label and name == "timer":
                name = f"{re.sub('s$', '', label)} timer"
            return "resume-timer", call("resume_timer", label=label), f"{before} || Pause the {name}."
        case "HassCancelTimer":
            label, before = which_timer(slots, text)
            return "cancel-timer", call("cancel_timer", label=label), before
        case "HassCancelAllTimers" if "area" in slots:
            label, before = which_timer(slots, text)
            return "cancel-all-timers", f"{call('cancel_timer', label=label)} | nothing: unclear", before
        case "HassCancelAllTimers":
            return "cancel-all-timers", call("cancel_timer", label="all"), which_timer({"name": "pasta"}, text)[1]
        case "HassTimerStatus":
            label, before = which_timer(slots, text)
            return "timer-status", call("timer_status", label=label), before
        case "HassGetCurrentTime":
            return "time", "get_time()", ""
        case "HassGetCurrentDate":
            return "date", "get_date()", ""
        case "HassShoppingListAddItem":
            return "shopping-list", on_a_list("add_to_list", slots, text), ""
        case "HassListAddItem":
            return "to-do-list", on_a_list("add_to_list", slots, text), ""
        case "HassShoppingListCompleteItem" | "HassListCompleteItem" | "HassListRemoveItem":
            name = slots.get("name", "shopping")
            before = f"Add {slots['item']} to my {name} list. || Add apples to my {name} list."
            return "list-remove", on_a_list("remove_from_list", slots, text), before
        case "HassSetVolume" if not {"area", "floor", "name"} & slots.keys() or combination == "default":
            return "volume", call("set_volume", level=int(slots["volume_level"])), ""
        case "HassSetVolumeRelative" if combination == "default":
            step = slots["volume_step"]
            if step in ("up", "down"):
                return "volume-relative", call(f"volume_{step}"), ""
            # How much is not for volume_up and volume_down to say.
            return no("volume-by")
        case "HassSetVolume" | "HassSetVolumeRelative":
            # Another loudspeaker than the one that tercet speaks through.
            return no("no-volume")
        case "HassMediaPlayerMute" | "HassMediaPlayerUnmute" if combination == "default":
            if re.search(r"music|movie|show|media|song|track|item", text):
                # It plays none.
                return "mute-media", f"{call('mute', on=intent == 'HassMediaPlayerMute')} | nothing: cannot", ""
            return "mute", call("mute", on=intent == "HassMediaPlayerMute"), ""
        case "HassNevermind":
            return "never-mind", "stop() | nothing", ""
        case "HassBroadcast":
            return "announce", call("announce", message=slots["message"]), ""
        case "HassClimateSetTemperature":
            if "floor" in slots:
                return no("temperature-where", "unclear")
            degrees = float(slots["temperature"])
            if not degrees.is_integer() or not 10 <= degrees <= 30:
                return no("temperature-limits", "limits")
            room = slots.get("area") if combination == "area_temperature" else None
            return "temperature-set", call("set_thermostat", temperature=int(degrees), room=room), ""
        case "HassClimateGetTemperature":
            if combination == "name_only":
                raise LookupError
            room = slots.get("area") if combination == "area_only" else None
            return "temperature-get", call("get_temperature", room=room), ""
        case "HassGetState":
            return no("state", "question")
        case "HassLightSet":
            return no("no-light-set")
        case "HassSetPosition":
            return no("no-cover")
        case "HassGetWeather":
            return no("no-weather")
        case "HassFanSetSpeed" | "HassClimateSetFanMode":
            return no("no-fan")
        case "HassVacuumStart" | "HassVacuumCleanArea" | "HassVacuumReturnToBase":
            return no("no-vacuum")
        case "HassLawnMowerDock" | "HassLawnMowerStartMowing":
            return no("no-vacuum")
        case "HassMediaPause" if text.lower().startswith("stop"):
            return "no-media", "nothing: cannot | stop()", ""
        case name if name.startswith("HassMedia"):
            return no("no-media")
        case "HassRespond":
            return no("chat", "chat")
    raise LookupError


def unsure(result, text):
    """What is added to an outcome where a question back is as right: "pause the timer for ten minutes" may say how long."""
    by_length = any(name.startswith("start_") for name in result.entities)
    return " | nothing: unclear" if by_length and re.search(r"\btimer for (?!me\b)", text) else ""
