#!/usr/bin/env python3
"""Seeded random histories as JSON lines: adversarial by default, plausible shops with --shop."""

import argparse
import json
import random
import sys

DAY = 86400000
HOUR = 3600000
START = 1704067200000 + 5 * DAY  # January 2024
ZONES = ["Asia/Tokyo", "Europe/London", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "Pacific/Apia",
         "Mars/Base", "UTC"]
SKUS = ["TRIAL-1", "REG-1", "REG-2", "PREMIUM-1", "RELATED-1", "SUB-30-A", "SOAP"]
PURPOSES = ["ASSESS", "INITIAL", "FIRST_IMPRESSION", "EARLY_EXPERIENCE", "EFFECT", "OTHERS_NOTICED", "MONTHLY",
            "LAPSE"]
CONCERNS = ["quality", "price", "safety", "effect", "usage", "other"]
EDGES = [3, 14, 30, 60, 90, 1, 2, 7, 44, 28, 150, 400]


class History:
    """Lines of one file in the order in which they happened; arrival is disturbed at the end."""

    def __init__(self, seed, customers):
        self.random = random.Random(seed)
        names = ["c%d" % number for number in range(1, customers + 1)]
        self.names = names if self.random.random() < 0.8 else ["客%d" % number for number in range(1, customers + 1)]
        self.lines = []
        self.count = 0
        self.orders = {name: [] for name in self.names}
        self.facts = []  # (topic, event) for edits and duplicates
        self.times = {name: [] for name in self.names}
        self.zones = self.random.choice([["Asia/Tokyo"], ZONES])
        self.wild = self.random.random() < 0.3  # ids shared, kinds mixed, fields where nobody expects them

    def chance(self, share):
        return self.random.random() < share

    def add(self, topic, name, time, **fields):
        self.count += 1
        number = self.count
        if self.wild:
            fields["source"] = self.maybe(0.4, "shop", "cart")
            if self.chance(0.1):
                number = self.random.randint(1, number)
        event = {"event_id": "e%d" % number, "customer_id": name, "occurred_at": max(time, 0), **fields}
        event = {key: value for key, value in event.items() if value is not None}
        self.lines.append({"topic": self.random.choice([topic, "crm." + topic]), "event": event})
        self.facts.append(self.lines[-1])
        self.times[name].append(time)
        return event

    # ---- kinds ----

    def order(self, name, time, kind="PLACED", **fields):
        number = len(self.orders[name]) + 1
        lines = [{"sku": self.random.choice(SKUS), "quantity": self.random.randint(1, 3),
                  "unit_price": self.random.choice([0, 500, 1200])} for _ in range(self.random.choice([0, 1, 1, 1, 2]))]
        order_id = "o%d" % number
        if kind == "SUBSCRIPTION_RENEWED" and self.chance(0.3):
            order_id = None
        if self.wild and self.orders[name] and self.chance(0.2):
            order_id = self.some_order(name, plain=True)
        event = self.add("orders", name, time, kind=kind, order_id=order_id, lines=lines or None,
                         email_registered=self.maybe(0.4, True, False), line_registered=self.maybe(0.2, True, False),
                         marketing_consent=self.maybe(0.5, True, True, False), currency=self.maybe(0.1, "USD", "JPY"),
                         time_zone=self.maybe(0.2, *self.zones), campaign=self.maybe(0.1, "spring"),
                         referrer_customer_id=self.maybe(0.15, *self.names), **fields)
        self.orders[name].append((order_id or "renewal:" + event["event_id"], time))
        return event

    def maybe(self, share, *values):
        return self.random.choice(values) if self.chance(share) else None

    def some_order(self, name, plain=False):
        if self.orders[name] and self.chance(0.95):
            found = self.random.choice(self.orders[name][-3:])[0]
            if plain and found.startswith("renewal:"):
                return "o%d" % self.random.randint(1, 9)
            return found
        return "o%d" % self.random.randint(1, 9)

    def delivery(self, name, time, kind=None):
        kind = kind or self.random.choice(["SHIPPED", "SHIPPED", "DELIVERED", "DELIVERED", "FAILED", "RETURNED"])
        estimated = None
        if (kind == "SHIPPED" or self.wild) and self.chance(0.3):
            estimated = time + self.random.choice([-DAY, 0, HOUR, DAY, 2 * DAY, 5 * DAY])
        self.add("deliveries", name, time, kind=kind, order_id=self.some_order(name),
                 parcel_id=self.maybe(0.3, "p1", "p2"), estimated_at=estimated)

    def survey(self, name, time, purpose=None, kind=None):
        number = self.random.randint(1, 30)
        self.add("surveys", name, time, survey_id=self.random.choice(["s1", "s2"]), response_id="r%d" % number,
                 purpose=purpose or self.random.choice(PURPOSES),
                 satisfaction=self.maybe(0.7, *(kind or [1, 2, 3, 4, 5, 5])),
                 nps=self.maybe(0.7, *range(0, 11), 9, 10, 10), effect_felt=self.maybe(0.3, True, False),
                 concerns=self.maybe(0.3, ["price"], ["effect", "quality"], []),
                 consent_to_share=self.maybe(0.4, True, False), goal=self.maybe(0.1, "sleep"))

    def mail(self, name, time):
        kind = self.random.choice(["OPENED"] * 5 + ["CLICKED"] * 3 + ["UNSUBSCRIBED", "BOUNCED", "COMPLAINED"])
        self.add("email-opens", name, time, kind=kind, channel=self.maybe(0.6, "EMAIL", "EMAIL", "LINE"),
                 agent=self.maybe(0.9, "HUMAN", "HUMAN", "HUMAN", "MACHINE", "UNKNOWN"))

    def subscription(self, name, time):
        kind = self.random.choice(["STARTED", "STARTED", "PAUSED", "RESUMED", "CANCELLED"])
        self.add("orders", name, time, kind="SUBSCRIPTION_" + kind, subscription_id=self.maybe(0.5, "x", "y"))

    def person(self, name, time):
        kind = self.random.choice(["REGISTERED"] * 4 + ["UNREGISTERED"] + ["CONSENTED"] * 4 + [
            "OPTED_OUT", "REFERRED", "REFERRED", "SHARED", "EVENT_ATTENDED", "SUPPORT_CONTACTED"])
        fields = {}
        if kind in ("REGISTERED", "UNREGISTERED"):
            fields = {"channel": self.maybe(0.7, "EMAIL", "LINE"), "time_zone": self.maybe(0.3, *self.zones),
                      "marketing_consent": self.maybe(0.5, True, False)}
        if kind == "REFERRED":
            fields = {"referred_customer_id": self.maybe(0.6, *self.names)}
        self.add("customers", name, time, kind=kind, **fields)

    def undo(self, name, time):
        if self.chance(0.5):
            self.add("orders", name, time, kind="CANCELLED", order_id=self.some_order(name))
        else:
            self.add("orders", name, time, kind="REFUNDED", order_id=self.some_order(name),
                     refund_amount=self.maybe(0.6, 100, 500, 1200, 2400))

    def any(self, name, time):
        kinds = [(8, self.any_order), (8, self.delivery), (5, self.survey), (5, self.mail), (3, self.subscription),
                 (4, self.person), (3, self.undo)]
        weights, functions = zip(*kinds)
        self.random.choices(functions, weights)[0](name, time)

    def burst(self, name, time):
        """Many opens and clicks around the newest 32 and the 60 days (R25)."""
        for _ in range(self.random.choice([5, 20, 40])):
            self.add("email-opens", name, time - self.random.choice([0, 0, 1, DAY, 20 * DAY, 59 * DAY]),
                     kind=self.random.choice(["OPENED", "CLICKED"]), agent="HUMAN",
                     channel=self.maybe(0.3, "LINE", "EMAIL"))

    def any_order(self, name, time):
        kind = self.random.choice(["PLACED"] * 4 + ["SUBSCRIPTION_RENEWED"])
        subscription = self.maybe(0.15, "x", "y") if kind == "PLACED" else self.maybe(0.5, "x", "y")
        self.order(name, time, kind, subscription_id=subscription)

    # ---- whole histories ----

    def next_time(self, name, time):
        """Mostly onwards; now and then exactly on, or 1 ms beside, a boundary after something earlier."""
        if self.times[name] and self.chance(0.35):
            base = self.random.choice(self.times[name][-6:])
            return base + self.random.choice(EDGES) * DAY + self.random.choice([-1, 0, 0, 1])
        return time + self.random.choice([0, 0, 1, HOUR, 5 * HOUR, DAY, 3 * DAY, 10 * DAY, 45 * DAY, 100 * DAY])

    def adversarial(self, events):
        clock = {name: START + self.random.randint(0, 40) * HOUR for name in self.names}
        for name in self.names:
            if self.chance(0.8):
                self.order(name, clock[name])
                self.add("customers", name, clock[name], kind="CONSENTED")
        while len(self.lines) < events:
            name = self.random.choice(self.names)
            clock[name] = max(clock[name], self.next_time(name, clock[name]))
            if clock[name] > START + 3 * 365 * DAY:
                clock[name] = START + self.random.randint(0, 365) * DAY
            self.any(name, clock[name])
        if self.wild and self.chance(0.3):
            self.burst(name, clock[name])
        if self.chance(0.1):
            name = self.random.choice(self.names)
            self.add("customers", name, self.random.choice(self.times[name]) + DAY, kind="ERASED")
        self.disturb()

    def long(self):
        """More than 64 facts over more than 400 days (R11)."""
        name = self.names[0]
        time = START
        for number in range(90):
            time += self.random.choice([5, 9, 14]) * DAY
            self.order(name, time)
            if self.chance(0.3):
                self.delivery(name, time + DAY, "DELIVERED")
        for _ in range(10):
            event = self.random.choice([self.any_order, self.delivery, self.survey, self.mail, self.subscription])
            event(name, START + self.random.randint(0, 500) * DAY)
        self.disturb(late=False)
        for line in self.lines[-10:]:
            line["received_at"] = time

    def shop(self, events):
        """Orders with parcels and answers in the order of life."""
        while len(self.lines) < events:
            name = self.random.choice(self.names)
            time = START + self.random.randint(0, 30 * 24) * HOUR
            if self.orders[name]:
                time = max(self.times[name]) + self.random.choice([1, 5, 20, 30, 61, 75, 91, 120]) * DAY
            time += self.random.randint(0, 23) * HOUR + self.random.randint(0, 59) * 60000
            self.visit(name, time)
        self.disturb(late=self.chance(0.3))

    def folded(self, events):
        """A long life in order: with a short history most of it is folded (R11). Half of them are one cycle longer than the
        history, of somebody who leaves and registers again: a rule of once in a cycle is triggered under many orders (R48)."""
        name = self.names[0]
        one_cycle = self.chance(0.5)
        while len(self.lines) < (5 * events // 6 if one_cycle else events):
            time = max(self.times[name] or [START]) - self.random.randint(0, 20) * DAY
            time += self.random.choice([0, 5, 20] if one_cycle else [0, 5, 20, 61, 95]) * DAY
            if one_cycle and self.orders[name] and self.chance(0.6):
                for channel in ("EMAIL", "LINE"):
                    self.add("customers", name, time + HOUR, kind="UNREGISTERED", channel=channel)
            self.visit(name, time)
        self.disturb(late=False)

    def moving(self, events):
        """Orders of one cycle become known the latest first, weeks apart, and some are voided: anchors move from one to
        the next and back while their series go on (R49, R50)."""
        name, clock = self.names[0], START + 200 * DAY
        first, self.wild = clock, False
        self.add("customers", name, first, kind="REGISTERED", channel="EMAIL", marketing_consent=True)
        while len(self.lines) < events:
            at = first - len(self.orders[name]) * self.random.choice([HOUR, DAY, 5 * DAY])
            choice = self.random.random()
            if choice < 0.4 or not self.orders[name]:
                self.order(name, at)
            elif choice < 0.7:
                self.add("orders", name, clock, kind="CANCELLED", order_id=self.random.choice(self.orders[name])[0])
            elif choice < 0.85:
                self.delivery(name, at + self.random.choice([DAY, 3 * DAY, 20 * DAY]), "DELIVERED")
            else:
                self.survey(name, at + self.random.choice([DAY, 14 * DAY]), "EFFECT", [4, 5])
            self.lines[-1]["received_at"] = clock
            clock += self.random.choice([0, 1, HOUR, 10 * DAY, 31 * DAY, 45 * DAY])

    def visit(self, name, time):
        if not self.orders[name]:
            self.add("customers", name, time, kind="REGISTERED", channel=self.random.choice(["EMAIL", "LINE"]),
                     marketing_consent=True, time_zone=self.maybe(0.3, *self.zones))
            if self.chance(0.3):
                self.survey(name, time + HOUR, "ASSESS")
        subscribed = self.maybe(0.3, "x")
        order = self.order(name, time + 2 * HOUR, "PLACED", subscription_id=subscribed)
        order_id = order["order_id"]
        time = order["occurred_at"]
        if self.chance(0.12):
            self.add("orders", name, time + self.random.choice([1, HOUR, DAY, 20 * DAY]),
                     kind=self.random.choice(["CANCELLED", "REFUNDED"]), order_id=order_id)
        shipped = time + self.random.randint(1, 48) * HOUR
        self.add("deliveries", name, shipped, kind="SHIPPED", order_id=order_id,
                 estimated_at=shipped + DAY if self.chance(0.3) else None)
        delivered = shipped + self.random.randint(5, 60) * HOUR
        if self.chance(0.1):
            self.add("deliveries", name, delivered - HOUR, kind="FAILED", order_id=order_id)
        if self.chance(0.75):
            self.add("deliveries", name, delivered, kind="DELIVERED", order_id=order_id)
        if self.chance(0.06):
            self.add("deliveries", name, delivered + 3 * DAY, kind="RETURNED", order_id=order_id)
        for day, purpose in ((1, "FIRST_IMPRESSION"), (3, "EARLY_EXPERIENCE"), (14, "EFFECT"), (16, "INITIAL"),
                             (30, "OTHERS_NOTICED"), (45, "MONTHLY")):
            if self.chance(0.35):
                self.survey(name, delivered + day * DAY + self.random.randint(0, 30) * HOUR, purpose, [2, 3, 4, 5, 5])
        for _ in range(self.random.choice([0, 1, 3, 6])):
            self.mail(name, delivered + self.random.randint(0, 40 * 24) * HOUR)
        if subscribed:
            for month in range(1, self.random.choice([1, 3, 8])):
                self.order(name, time + month * 30 * DAY, "SUBSCRIPTION_RENEWED", subscription_id="x")
            if self.chance(0.4):
                self.add("orders", name, time + self.random.randint(40, 240) * DAY, kind=self.random.choice([
                    "SUBSCRIPTION_CANCELLED", "SUBSCRIPTION_PAUSED"]), subscription_id="x")
        if self.chance(0.2):
            self.person(name, delivered + self.random.randint(0, 60) * DAY)

    # ---- arrival ----

    def disturb(self, late=True):
        random_ = self.random
        self.lines.sort(key=lambda line: line["event"]["occurred_at"])
        if late:
            for line in self.lines:
                event = line["event"]
                choice = random_.random()
                if choice < 0.12:
                    line["received_at"] = event["occurred_at"] + random_.choice(
                        [0, 1, HOUR, DAY, 3 * DAY, 14 * DAY, 40 * DAY, 100 * DAY])
                elif choice < 0.15:
                    line["received_at"] = max(0, event["occurred_at"] - random_.choice([1, HOUR, 10 * HOUR, DAY]))
                elif choice < 0.17:
                    line["received_at"] = max(0, event["occurred_at"] - random_.choice([DAY + 1, 3 * DAY]))
                if random_.random() < 0.04:
                    event["backfill"] = True
                if random_.random() < 0.02:
                    event["test"] = True
            self.edit()
            if random_.random() < 0.15:
                self.backfill_all()
        self.lines.sort(key=lambda line: line.get("received_at", line["event"]["occurred_at"]))
        if late:
            for _ in range(random_.choice([0, 0, 1, 3])):
                place = random_.randrange(len(self.lines))
                if len(self.lines) > 45 and self.lines[place]["topic"].endswith("email-opens"):
                    continue  # a copy of an open that is no longer kept cannot be known as one (R25)
                self.lines.insert(random_.randrange(place, len(self.lines)), self.lines[place])
            if random_.random() < 0.3:
                place = random_.randrange(len(self.lines))
                self.lines.insert(random_.randrange(place, len(self.lines)), self.lines.pop(place))

    def backfill_all(self):
        """The first half is history, loaded at one moment."""
        half = self.lines[:len(self.lines) // 2]
        loaded = half[-1]["event"]["occurred_at"] + self.random.choice([0, 1, DAY, 30 * DAY])
        for line in half:
            line["received_at"] = loaded
            line["event"]["backfill"] = True

    def edit(self):
        random_ = self.random
        for line in list(self.lines):
            if random_.random() > 0.05 or (len(self.lines) > 45 and line["topic"].endswith("email-opens")):
                continue  # an open that is no longer kept cannot be edited (R25)
            event = json.loads(json.dumps(line["event"]))
            event["version"] = random_.choice([0, 1, 1, 2])
            event["occurred_at"] = max(0, event["occurred_at"] + random_.choice([0, 0, -HOUR, HOUR, DAY]))
            if event.get("kind") == "PLACED" and random_.random() < 0.5:
                event["event_id"] += "b"
            if "nps" in event or "survey_id" in event:
                event["nps"] = random_.randint(0, 10)
            if "refund_amount" in event:
                event["refund_amount"] = random_.choice([1, 600, 3000])
            if "lines" in event:
                event["lines"][0]["sku"] = random_.choice(SKUS)
            received = event["occurred_at"] + random_.choice([0, HOUR, DAY, 9 * DAY])
            self.lines.append({"topic": line["topic"], "event": event, "received_at": received})


def broken(random_, line):
    """One of each kind of dead letter."""
    line = json.loads(json.dumps(line))
    event = line["event"]
    choices = [
        lambda: "{not json", lambda: "[1,2]", lambda: '{"topic":"orders"}', lambda: '{"topic":"orders","event":7}',
        lambda: line.update(topic="crm.unknown"), lambda: event.pop("event_id"), lambda: event.pop("customer_id"),
        lambda: event.pop("occurred_at"), lambda: event.update(event_id=""), lambda: event.update(event_id="a\u0001b"),
        lambda: event.update(customer_id="x" * 129), lambda: event.update(customer_id=5),
        lambda: event.update(occurred_at="2024-01-01T00:00:00"), lambda: event.update(occurred_at=-1),
        lambda: event.update(occurred_at=(1 << 47) + 1), lambda: event.update(version="2"),
        lambda: event.update(backfill="yes"), lambda: event.update(kind="NOPE", purpose="NOPE"),
        lambda: line.update(received_at="soon"), lambda: event.update(order_id=7, nps=11),
        lambda: event.update(campaign="c" * 65, goal="g" * 65),
        lambda: event.update(satisfaction=6, lines=[{"sku": 1}], channel="FAX", parcel_id=[]),
        lambda: event.update(occurred_at=event.get("occurred_at", 0) + 800 * DAY),
    ]
    text = random_.choice(choices)()
    return text if isinstance(text, str) and not text.startswith("e") and text[0] in "{[" else json.dumps(line)


def generate(seed, customers=3, events=30, shop=False, folded=False, moving=False):
    history = History(seed, customers)
    if folded:
        history.folded(events)
    elif moving:
        history.moving(events)
    elif shop:
        history.shop(events)
    elif history.chance(0.03):
        history.long()
    else:
        history.adversarial(events)
    texts = []
    for line in history.lines:
        if history.chance(0.03) and not (shop or folded or moving):
            texts.append(broken(history.random, line))
        texts.append(json.dumps(line, ensure_ascii=False))
    return texts


def until_of(texts, seed=0):
    """Some way after the last event; now and then in the middle, or not stated."""
    if seed % 10 == 1:
        return None
    latest = START
    for text in texts:
        try:
            line = json.loads(text)
            time = line.get("received_at", line["event"]["occurred_at"])
            if isinstance(time, int) and time < START + 1200 * DAY:
                latest = max(latest, time)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return START + (latest - START) // 2 if seed % 10 == 2 else latest + 200 * DAY


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=3)
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--shop", action="store_true")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")
    for text in generate(options.seed, options.customers, options.events, options.shop):
        print(text)


if __name__ == "__main__":
    main()
