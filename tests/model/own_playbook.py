"""A shop's own playbook, at random: the shipped file's head with other settings, and rules of every kind of trigger, anchor,
scope, series and guard, as YAML for the engine and as `Rule`s for the model. What the second model can not say (tables of its own, texts in
conditions, variants, changes while runs wait) stays out."""

import contextlib
import json
import random
import re
import tempfile

import playbook
from generate import PURPOSES
from playbook import DAY, HOUR
from playbook_test import CONDITIONS, FILE, condition_text

ZONES = ["America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "UTC"]
WINDOWS = [(0, 24), (2, 3), (12, 24), (0, 8), (23, 24)]
ANCHORS = ["first_delivery", "first_purchase_ever", "first_purchase_of_cycle", "last_purchase", "effect_felt",
           "subscription_since"]
OF_ORDER = ["order live", "order not void", "first of cycle"]
OF_RESPONSE = ["positive", "negative", "consent to share", "effect denied or negative"]
ALWAYS = sorted({*CONDITIONS} - {*OF_ORDER, *OF_RESPONSE}) + [purpose + " unanswered" for purpose in PURPOSES]
CLASSES = {"M": "marketing", "T": "transactional", "I": "internal"}
PRODUCTS = [("REG-?", "regular", {"effect_after": 40 * DAY, "supply_days": 90 * DAY, "settle_purchases": 1}),
            ("SO*", "related", {"effect_after": DAY, "supply_days": 3 * DAY})]
# model's name, line of the file, values, how a value is written
SETTINGS = [
    ("TIME_ZONE", r"time_zone: \S+", ZONES, "time_zone: {}".format),
    ("CAP_DAY", r"caps: {day: 2", [1, 3, 50], "caps: {{day: {}".format),
    ("CAP_WEEK", r"week: 7}", [1, 4, 99], "week: {}}}".format),
    ("HOLDOUT", r"^holdout: \S+", [0, 5000], lambda share: f"holdout: {share / 10000:g}"),
    ("GLOBAL_CONTROL", r"^global_control: 0", [0, 3000], lambda share: f"global_control: {share / 10000:g}"),
    ("MAX_AHEAD", r"^max_ahead: \S+", [0, HOUR, 7 * DAY], lambda ms: f"max_ahead: {duration(ms)}"),
    ("LAPSE", r"^lapse_days: \d+", [10 * DAY, 30 * DAY, 365 * DAY], lambda ms: f"lapse_days: {ms // DAY}"),
    ("FIRST_PURCHASE_IS_TRIAL", r"^first_purchase_is_trial: \w+", [True], "first_purchase_is_trial: true".format),
    ("TRANSIT", r"^  transit_days: 2", [0, DAY, 5 * DAY], lambda ms: f"  transit_days: {ms // DAY}"),
    ("ACCLIMATE_AFTER", r"^  acclimate_after: \S+", [0, 12 * HOUR, 10 * DAY], lambda ms: f"  acclimate_after: {duration(ms)}"),
    ("EFFECT_AFTER", r"^  effect_after: 14d", [DAY, 30 * DAY], lambda ms: f"  effect_after: {duration(ms)}"),
    ("SUPPLY", r"^  supply_days: 30\b", [DAY, 90 * DAY], lambda ms: f"  supply_days: {ms // DAY}"),
    ("SETTLE_PURCHASES", r"^  settle_purchases: 2\b", [1, 4], "  settle_purchases: {}".format),
]


def duration(ms):
    return "0" if ms == 0 else f"{ms // DAY}d" if ms % DAY == 0 else f"{ms // HOUR}h"


def sequence(items):
    return f"[{', '.join(items)}]"


def put(text, pattern, by):
    text, count = re.subn(pattern, lambda _: by, text, count=1, flags=re.M)
    assert count == 1, pattern
    return text


class OwnRule:
    """One rule at random, in both languages."""

    def __init__(self, seeded, number):
        self.random = seeded
        self.name = f"own_{number}"
        self.delay = 0
        self.conditions = []
        self.fields = {}  # of the model's Rule
        self.lines = {"name": self.name}  # of the file
        kinds = [(8, self.anchor), (3, self.order), (1, self.failed), (1, self.response), (1, self.concern),
                 (4, self.enters), (1, self.reaches), (3, self.move), (1, self.converts), (1, self.calendar)]
        weights, functions = zip(*kinds)
        seeded.choices(functions, weights)[0]()
        self.sending()

    def chance(self, share):
        return self.random.random() < share

    def kind(self, trigger, text, scopes, conditions=(), delays=(0, HOUR, DAY, 14 * DAY, 30 * DAY, 90 * DAY), repeats=False):
        choice = self.random.choice
        self.trigger, self.once, self.delay = trigger, choice(scopes), choice(delays)
        self.conditions = self.random.sample([*ALWAYS, *conditions], choice([0, 0, 1, 2]))
        self.lines["trigger"] = text
        if self.delay:
            self.lines["delay"] = self.delay if isinstance(self.delay, str) else duration(self.delay)
        if self.conditions:
            self.lines["conditions"] = sequence(json.dumps(condition_text(name)) for name in self.conditions)
        if repeats and self.chance(0.5):
            self.series()

    def series(self):
        every, times, holds = self.random.choice([1, 7, 30, 60]) * DAY, self.random.choice([None, 1, 2, 4]), None
        text = f"every: {duration(every)}"
        if times:
            text += f", times: {times}"
        if self.chance(0.6):
            holds = self.random.choice(ALWAYS)
            text += f", while: {json.dumps(condition_text(holds))}"
        self.lines["repeat"] = f"{{{text}}}"
        self.fields.update(every=every, times=times, holds=holds)
        if self.chance(0.4):
            self.fields["contents"] = ["a", "b", "c"]
            self.lines["contents"] = "[a, b, c]"

    def anchor(self):
        fact = self.random.choice(ANCHORS)
        scopes = ["ever", "cycle", "cycle"] + ["order"] * (fact not in ("effect_felt", "subscription_since"))
        self.kind(("anchor", fact), fact, scopes, delays=(0, HOUR, DAY, 14 * DAY, 44 * DAY, "effect_after", "supply_days"),
                  repeats=True)

    def order(self):
        kinds = self.random.choice([("PLACED",), ("SUBSCRIPTION_RENEWED",), ("PLACED", "SUBSCRIPTION_RENEWED")])
        self.kind(("event", kinds), f"{{event: {sequence(kinds)}}}", ["ever", "cycle", "order", "order"], OF_ORDER)

    def failed(self):
        self.kind(("event", ("FAILED",)), "{event: FAILED}", ["delivery"], OF_ORDER)

    def response(self):
        purposes = self.random.choice([None, ("EFFECT",), ("ASSESS", "MONTHLY")])
        self.kind(("response", purposes), f"{{response: {sequence(purposes) if purposes else 'any'}}}",
                  ["response", "cycle"], OF_RESPONSE)

    def concern(self):
        self.kind(("concern", ("ASSESS",)), "{concern: ASSESS}", ["concern"])

    def enters(self):
        dimension, values = self.random.choice([("tier", playbook.TIERS), ("phase", playbook.PHASES),
                                                ("segment", playbook.SEGMENTS[1:])])
        value = self.random.choice(values)
        unbroken = dimension == "tier" and self.chance(0.4)
        self.fields["unbroken"] = unbroken
        self.kind(("enters", dimension, value),
                  f"{{enters: {{{dimension}: {value}{', unbroken: true' if unbroken else ''}}}}}", ["ever", "cycle"], repeats=True)

    def reaches(self):
        stage = self.random.choice(playbook.GROWTHS[1:])
        self.kind(("reaches", stage), f"{{reaches: {stage}}}", ["ever", "cycle"], repeats=True)

    def move(self):
        name, text = self.random.choice([("tier_up", "{tier_up: [visitor, follower, supporter]}"), ("returned",) * 2,
                                         ("segment_up",) * 2])
        self.kind((name,), text, ["to", "cycle", "ever"])

    def converts(self):
        self.kind(("converts",), "referral_converted", ["friend"])

    def calendar(self):
        randint = self.random.randint
        dates = sorted({(randint(1, 12), randint(1, 28)) for _ in range(randint(1, 8))})
        hour = self.random.choice([0, 2, 9, 23])
        days = sequence(f'"{month:02d}-{day:02d}"' for month, day in dates)
        self.kind(("calendar", tuple(dates), hour), f'{{calendar: {{dates: {days}, at: "{hour:02d}:00"}}}}', ["date"],
                  delays=(0,))

    def sending(self):
        """Class, channels, shelf life and guards."""
        choice = self.random.choice
        self.cls, self.shelf, self.priority = choice("MMMMTI"), choice([None, 1, 2, 7, 30]), choice([10, 50, 50, 90])
        self.lines.update({"class": CLASSES[self.cls], "template": self.name, "priority": self.priority, "once": self.once,
                           "shelf": "never" if self.shelf is None else f"{self.shelf}d"})
        if self.cls == "I":
            self.fields["audience"] = self.lines["audience"] = "support"
        elif self.chance(0.2):
            self.fields["cooldown"] = choice([1, 30]) * DAY
            self.lines["cooldown"] = duration(self.fields["cooldown"])
        if self.cls == "M" and self.chance(0.25):
            self.fields["on_cap"] = self.lines["on_cap"] = "drop"
        if self.cls == "M" and self.chance(0.4):
            self.fields["channels"] = tuple(self.random.sample(["line", "email", "insert"], choice([1, 2, 3])))
            self.lines["channels"] = sequence(self.fields["channels"])

    def rule(self):
        return playbook.Rule(self.name, self.trigger, self.delay, self.conditions, self.cls, self.shelf, self.priority,
                             self.once, **self.fields)

    def text(self):
        return "  - " + "\n    ".join(f"{key}: {value}" for key, value in self.lines.items()) + "\n"


def product_text(pattern, role, figures):
    lines = [f'sku: "{pattern}"', f"role: {role}"]
    lines += [f"{name}: {value if name == 'settle_purchases' else value // DAY if name == 'supply_days' else duration(value)}"
              for name, value in figures.items()]
    return "  - " + "\n    ".join(lines) + "\n"


def settle(seeded, text):
    """Other settings, in the model too: (the file's text, the strategy)."""
    for name, pattern, values, write in SETTINGS:
        if seeded.random() < 0.4:
            value = seeded.choice(values)
            setattr(playbook, name, value)
            text = put(text, pattern, write(value))
    if seeded.random() < 0.5:
        playbook.WINDOW_START, playbook.WINDOW_END = start, end = seeded.choice(WINDOWS)
        text = put(text, r"^window: .*$", f'window: {{start: "{start:02d}:00", end: "{end:02d}:00"}}')
    if seeded.random() < 0.5:
        playbook.PRODUCTS = PRODUCTS + playbook.PRODUCTS
        text = put(text, r"^products:.*\n", "products:\n" + "".join(product_text(*product) for product in PRODUCTS))
    strategy = seeded.choice(["educate", "commit_early"])
    return put(text, r"^strategy: \w+", f"strategy: {strategy}"), strategy


@contextlib.contextmanager
def own_playbook(options, seed):
    """Engine and model run under this seed's playbook; every fourth keeps the shipped rules."""
    kept = {name: value for name, value in vars(playbook).items() if name.isupper() or name == "section_h"}
    named, strategy, seeded = options.playbook, options.strategy, random.Random(seed)
    with open(FILE, encoding="utf-8") as source:
        head, separator, rules = source.read().partition("\nrules:\n")
    head, options.strategy = settle(seeded, head)
    if seeded.random() < 0.75:
        own = [OwnRule(seeded, number) for number in range(seeded.choice([1, 4, 12, 30]))]
        playbook.section_h = lambda: [rule.rule() for rule in own]
        rules = "".join(rule.text() for rule in own)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(head + separator + rules)
        file.flush()
        options.playbook = file.name
        yield
    options.playbook, options.strategy = named, strategy
    vars(playbook).update(kept)
