"""The home that the sentences are about, which is that of tests/data/oracle.toml, and words for free text."""

ROOMS = ["kitchen", "living room", "bedroom", "bathroom", "hallway", "office"]
BLINDS = ["living room", "bedroom", "office"]
FLOORS = ["first", "ground", "upstairs", "downstairs"]
# What things are called: Home Assistant's domain, and what tercet calls them, where it has them.
NAMES = {
    **{f"{room} light": ("light", room) for room in ROOMS},
    **{f"{room} lamp": ("light", room) for room in ("bedroom", "office")},
    **{f"{room} blinds": ("cover", room) for room in BLINDS},
    "garage door": ("cover", None),
    "front door": ("lock", "front"),
    "back door": ("lock", "back"),
    "garden shed": ("lock", None),
    "coffee machine": ("switch", None),
    "dishwasher": ("switch", None),
    "television": ("media_player", None),
    "radio": ("media_player", None),
    "ceiling fan": ("fan", None),
    "thermostat": ("climate", None),
    "sprinkler valve": ("valve", None),
    "movie night": ("scene", None),
    "bedtime routine": ("script", None),
    "doorbell": ("button", None),
    "robot vacuum": ("vacuum", None),
    "lawn robot": ("lawn_mower", None),
    "London": ("weather", None),
    "to-do": ("todo", "to-do"),
    "packing": ("todo", "packing"),
    "chores": ("todo", "chores"),
}
FREE = {
    "message": ["dinner is ready", "we leave in ten minutes", "the taxi is here", "nobody should open the oven",
                "don't forget your keys", "the kitchen light stays on", "it's time for bed"],
    "timer_name": ["pasta", "laundry", "pizza", "tea", "homework", "roast beef", "nap"],
    "shopping_list_item": ["milk", "eggs", "olive oil", "oat milk", "paper towels", "bread", "batteries", "green tea",
                           "macaroni and cheese", "washing up liquid"],
    "todo_list_item": ["call the plumber", "pay the rent", "water the plants", "fix the bike", "toothbrush"],
    "search_query": ["the Beatles", "Yellow Submarine", "some jazz", "Queen"],
    "zone": ["home", "work"],
}  # fmt: skip
NUMBERS = {
    "timer_seconds": [5, 10, 15, 20, 30, 45, 90],
    "timer_minutes": [1, 2, 3, 5, 7, 8, 10, 12, 15, 20, 25, 30, 45, 60, 90],
    "timer_hours": [1, 2, 3, 4, 5, 6, 8, 12, 24],
    "temperature": [5, 12, 17, 18, 19, 20, 21, 22, 23, 25, 28, 40, 80],
    "volume": [0, 5, 10, 15, 25, 30, 40, 50, 65, 70, 80, 100],
    # Not 10: that is what "turn it up" adds, so it may be right or not.
    "volume_step_up": [5, 15, 20, 25, 30],
    "volume_step_down": [5, 15, 20, 25, 30],
    "position": [10, 25, 50, 75],
    "brightness": [5, 10, 25, 40, 50, 75, 100],
    "fan_speed": [20, 33, 50, 100],
    "color_temperature": [2700, 4000, 6500],
}
# Who is asked does not change what is asked: hassil passes over these, in its list of words to skip.
