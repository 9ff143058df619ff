#!/usr/bin/env python3
"""Completes the shop's real invoices into the event history that the demo runs on.

Real: who bought when, for how much, and what was taken back (README.md says by which rules). Made up, from a seed and
the customer's id alone: products, registrations, consent, deliveries, survey answers, opens. So a smaller sample of
customers holds the same customers with the same lives. Prints JSON lines as `oriori simulate` and `oriori produce`
read them, in order of arrival. Only the standard library.
"""

import argparse
import csv
import datetime
import gzip
import json
import pathlib
import random
import sys
import zlib
import zoneinfo

LONDON = zoneinfo.ZoneInfo("Europe/London")
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HERE = pathlib.Path(__file__).parent


class Dice:
    """Chance with a memory of its own. Only random() is used: its values are the same in every Python version."""

    def __init__(self, seed, name):
        self.random = random.Random(f"{seed}/{name}").random

    def chance(self, share):
        return self.random() < share

    def between(self, low, high):
        """A whole number, both ends included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, items):
        return items[int(self.random() * len(items))]


# ---- What is real: orders, cancellations, refunds


class Order:
    def __init__(self, number, at, customer, pence):
        self.number = number
        self.at = at
        self.customer = customer
        self.pence = pence
        self.taken_back = None  # the event that cancelled or refunded it


class History:
    """The invoices, read by the rules of README.md."""

    def __init__(self):
        self.orders = {}  # customer -> [Order], in order of time
        self.returns = []  # (kind, order, pence, number, at)
        self.left_out = 0


def utc_ms(local):
    """The data's times are London's, without a zone. Of a doubled hour the earlier is meant."""
    moment = datetime.datetime.fromisoformat(local).replace(tzinfo=LONDON)
    return int(moment.timestamp()) * SECOND


def pence_of(amount):
    pounds, _, cents = amount.lstrip("-").partition(".")
    return int(pounds) * 100 + int((cents + "00")[:2])


def read_invoices(path):
    """Tuples in order of time. A few invoices lie in the data in two rows, a minute apart: they are one."""
    whole = {}  # number -> (at, number, customer, pence)
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            number, at, pence = row["invoice_no"], utc_ms(row["invoice_ts"]), pence_of(row["amount_gbp"])
            first_at, _, _, before = whole.get(number, (at, number, row["customer_id"], 0))
            whole[number] = (min(first_at, at), number, row["customer_id"], before + pence)
    return sorted(whole.values())


def order_taken_back(orders, at, pence):
    """The order that a C invoice is about, and what it is: CANCELLED, REFUNDED, or None."""
    earlier = [order for order in orders if order.at < at and order.taken_back is None]
    for order in reversed(earlier):
        if order.pence == pence:
            return "CANCELLED", order
    for order in reversed(earlier):
        if order.pence > pence:
            return "REFUNDED", order
    return None, None


def read_history(path, wanted):
    history = History()
    for at, number, customer, pence in read_invoices(path):
        if customer not in wanted:
            continue
        orders = history.orders.setdefault(customer, [])
        if not number.startswith("C"):
            orders.append(Order(number, at, customer, pence))
            continue
        kind, order = order_taken_back(orders, at, pence)
        if order is None:
            history.left_out += 1
            continue
        order.taken_back = kind
        history.returns.append((kind, order, pence, number, at))
    history.orders = {customer: orders for customer, orders in history.orders.items() if orders}
    return history


def sample(path, count):
    """The customers of a run: all, or the `count` first by a hash, so that a sample is no block of ids."""
    with gzip.open(path, "rt", encoding="ascii", newline="") as file:
        customers = {row["customer_id"] for row in csv.DictReader(file)}
    ranked = sorted(customers, key=lambda customer: (zlib.crc32(customer.encode()), customer))
    return set(ranked[:count] if count else ranked)


# ---- What is made up: the life around the orders


class Person:
    """What a customer is like; everything about him follows from this and from his dice."""

    def __init__(self, seed, customer, order_count):
        dice = Dice(seed, customer)
        self.customer = customer
        self.dice = dice
        self.warmth = (dice.random() + dice.random()) / 2  # how well he thinks of the shop, 0..1
        self.reader = dice.chance(0.35 + 0.4 * self.warmth)
        self.answers = 0.05 + 0.3 * self.warmth  # the share of surveys that he answers
        self.email = dice.chance(0.72)
        self.line = dice.chance(0.12)
        self.consents = dice.chance(0.82)
        self.subscribes_from = None
        if order_count >= 4 and dice.chance(0.25 + 0.4 * self.warmth):
            self.subscribes_from = dice.between(1, 3)


class Writer:
    """Collects lines with their time of arrival: mostly seconds after the fact, sometimes hours, sometimes twice."""

    def __init__(self, options):
        self.lines = []
        self.count = {}
        self.options = options

    def chance(self, event_id, question):
        """0..1 by the event alone; a Dice for each event would take longer than all the rest."""
        return zlib.crc32(f"{self.options.seed}/{question}/{event_id}".encode()) / 2**32

    def arrival(self, event_id, at):
        lateness = self.chance(event_id, "lateness")
        if self.chance(event_id, "late") < self.options.late:
            return at + HOUR + int(lateness * 35 * HOUR)
        return at + SECOND + int(lateness * 20 * SECOND)

    def add(self, topic, kind, event_id, customer, source, at, **fields):
        event = {"event_id": event_id, "customer_id": customer, "occurred_at": at, "source": source}
        if topic != "surveys":
            event["kind"] = kind
        event.update((name, value) for name, value in fields.items() if value is not None)
        received_at = self.arrival(event_id, at)
        line = {"topic": topic, "received_at": received_at, "event": event}
        if self.chance(event_id, "off-home") < self.options.off_home:
            line["key"] = event_id  # a producer that keys by something else than the customer
        self.put(line, kind)
        if self.chance(event_id, "doubled") < self.options.doubled:
            again = received_at + MINUTE + int(self.chance(event_id, "again") * 3 * HOUR)
            self.put(dict(line, received_at=again), "doubled")

    def put(self, line, kind):
        self.lines.append((line["received_at"], len(self.lines), line))
        self.count[kind] = self.count.get(kind, 0) + 1


def split(dice, pence, parts):
    """A sum in so many parts, none negative."""
    cuts = sorted(dice.between(0, pence) for _ in range(parts - 1))
    return [high - low for low, high in zip([0] + cuts, cuts + [pence])]


def make_lines(person, order, index):
    """Lines that add up to the invoice, and the roles that the playbook reads from their SKUs."""
    dice = person.dice
    if index == 0 and order.pence <= 30000 and dice.chance(0.45):
        return [{"sku": f"TRIAL-{dice.between(1, 3):02}", "quantity": 1, "unit_price": order.pence}]
    lines = []
    for pence in split(dice, order.pence, dice.between(1, 3)):
        quantity = next(count for count in (dice.pick((1, 2, 3, 6)), 1) if pence % count == 0)
        lines.append({"sku": f"DAILY-{dice.between(1, 20):02}", "quantity": quantity, "unit_price": pence // quantity})
    if index > 0 and dice.chance(0.12 + 0.15 * person.warmth):
        lines[-1]["sku"] = f"RELATED-{dice.between(1, 6):02}"
    if order.pence > 50000 and dice.chance(0.3):
        lines[0]["sku"] = f"PREMIUM-{dice.between(1, 2):02}"
    return lines


def write_order(writer, person, order, index, referrer):
    dice = person.dice
    subscribed = person.subscribes_from is not None and index >= person.subscribes_from
    first_box = index == 0 or dice.chance(0.1)  # the boxes at the checkout are ticked at the first order, mostly
    writer.add(
        "orders", "SUBSCRIPTION_RENEWED" if subscribed and index > person.subscribes_from else "PLACED",
        f"order-{order.number}", person.customer, "shop", order.at,
        order_id=order.number, currency="GBP", lines=make_lines(person, order, index),
        subscription_id=f"sub-{person.customer}" if subscribed else None,
        referrer_customer_id=referrer if index == 0 else None,
        campaign=dice.pick(("search", "print", "social")) if index == 0 else None,
        email_registered=True if person.email and first_box else None,
        line_registered=True if person.line and first_box else None,
        marketing_consent=True if person.consents and first_box else None,
        time_zone="Europe/London" if index == 0 else None)


def write_parcel(writer, person, order):
    """Shipped the next day; most parcels say when they arrived, some only when they should, a few never do."""
    dice = person.dice
    if order.taken_back == "CANCELLED" and dice.chance(0.6):
        return None
    shipped = order.at + dice.between(4, 40) * HOUR
    arrived = shipped + dice.between(18, 96) * HOUR
    common = {"order_id": order.number, "carrier": "royal-mail"}
    writer.add("deliveries", "SHIPPED", f"shipped-{order.number}", person.customer, "carrier", shipped,
               estimated_at=shipped + 3 * DAY if dice.chance(0.5) else None, tracking=f"RM{order.number}GB", **common)
    if dice.chance(0.04):
        writer.add("deliveries", "FAILED", f"failed-{order.number}", person.customer, "carrier", arrived, **common)
        arrived += dice.between(20, 50) * HOUR
    if not dice.chance(0.9):
        return shipped + 3 * DAY
    writer.add("deliveries", "DELIVERED", f"delivered-{order.number}", person.customer, "carrier", arrived, **common)
    if order.taken_back and dice.chance(0.3):
        writer.add("deliveries", "RETURNED", f"returned-{order.number}", person.customer, "carrier",
                   arrived + dice.between(2, 9) * DAY, **common)
    return arrived


def score(person, top):
    """A mark of 0..top around the customer's warmth."""
    value = int((0.75 * person.warmth + 0.55 * person.dice.random()) * (top + 1))
    return max(0, min(top, value))


def write_answer(writer, person, purpose, name, at):
    dice = person.dice
    felt = dice.chance(0.35 + 0.6 * person.warmth) if purpose == "EFFECT" else None
    concerns = None
    if purpose == "ASSESS":
        concerns = [dice.pick(("quality", "price", "safety", "effect", "usage"))]
    writer.add(
        "surveys", "response", f"answer-{name}", person.customer, "survey", at,
        survey_id=purpose.lower().replace("_", "-"), response_id=name, purpose=purpose,
        satisfaction=max(1, score(person, 5)), nps=score(person, 10) if dice.chance(0.85) else None, effect_felt=felt,
        goal=dice.pick(("gifts", "home", "shop stock")) if purpose == "INITIAL" else None, concerns=concerns,
        consent_to_share=dice.chance(0.5) if purpose != "ASSESS" else None)


def write_answers(writer, person, orders, deliveries):
    """Answers at the moments at which the playbook asks; nobody answers all."""
    dice = person.dice
    first = orders[0]
    if dice.chance(0.12):
        write_answer(writer, person, "ASSESS", f"{first.number}-assess", first.at - dice.between(1, 9) * DAY)
    if dice.chance(person.answers):
        write_answer(writer, person, "INITIAL", f"{first.number}-initial", first.at + dice.between(330, 600) * HOUR)
    for order, arrived in zip(orders, deliveries):
        if arrived is None or order is not first and not dice.chance(0.15):
            continue
        for purpose, low, high in (("FIRST_IMPRESSION", 26, 60), ("EARLY_EXPERIENCE", 74, 140),
                                   ("EFFECT", 14 * 24 + 2, 19 * 24), ("OTHERS_NOTICED", 30 * 24 + 2, 35 * 24)):
            if dice.chance(person.answers):
                write_answer(writer, person, purpose, f"{order.number}-{purpose.lower()}",
                             arrived + dice.between(low, high) * HOUR)
    for month in range(1, 11):
        if dice.chance(person.answers / 2):
            write_answer(writer, person, "MONTHLY", f"{first.number}-month-{month}",
                         first.at + (14 + 30 * month) * DAY + dice.between(10, 80) * HOUR)
    if dice.chance(person.answers / 2):
        write_answer(writer, person, "LAPSE", f"{orders[-1].number}-lapse",
                     orders[-1].at + 90 * DAY + dice.between(10, 120) * HOUR)


def write_opens(writer, person, orders, until):
    """A reader opens two or three mails a month; a privacy proxy 'opens' them all the same day."""
    dice = person.dice
    if not person.email:
        return
    at = orders[0].at + dice.between(2, 20) * DAY
    number = 0
    while at < until:
        number += 1
        name = f"{person.customer}-{number}"
        fields = {"channel": "EMAIL", "campaign": f"mail-{number}"}
        if dice.chance(0.3):
            writer.add("email-opens", "OPENED", f"machine-{name}", person.customer, "mailer", at, agent="MACHINE",
                       **fields)
        if person.reader and dice.chance(0.55):
            opened = at + dice.between(5, 900) * MINUTE
            writer.add("email-opens", "OPENED", f"open-{name}", person.customer, "mailer", opened,
                       agent="HUMAN" if dice.chance(0.9) else "UNKNOWN", **fields)
            if dice.chance(0.25):
                writer.add("email-opens", "CLICKED", f"click-{name}", person.customer, "mailer",
                           opened + dice.between(5, 300) * SECOND, agent="HUMAN", **fields)
        if dice.chance(0.002 + 0.004 * (1 - person.warmth)):
            writer.add("email-opens", dice.pick(("UNSUBSCRIBED", "UNSUBSCRIBED", "BOUNCED", "COMPLAINED")),
                       f"end-{name}", person.customer, "mailer", at, **fields)
            return
        at += dice.between(9, 22) * DAY


def write_subscription(writer, person, orders):
    """Some subscriptions pause for a while, some end."""
    dice = person.dice
    if person.subscribes_from is None or person.subscribes_from >= len(orders):
        return
    begun = orders[person.subscribes_from].at
    name = {"subscription_id": f"sub-{person.customer}"}
    if dice.chance(0.15):
        paused = begun + dice.between(20, 90) * DAY
        writer.add("orders", "SUBSCRIPTION_PAUSED", f"pause-{person.customer}", person.customer, "shop", paused, **name)
        writer.add("orders", "SUBSCRIPTION_RESUMED", f"resume-{person.customer}", person.customer, "shop",
                   paused + dice.between(10, 40) * DAY, **name)
    if dice.chance(0.35 - 0.25 * person.warmth):
        writer.add("orders", "SUBSCRIPTION_CANCELLED", f"leave-{person.customer}", person.customer, "shop",
                   max(begun, orders[-1].at) + dice.between(5, 60) * DAY, **name)


def write_customer_topic(writer, person, orders):
    """The optional fifth topic: what only a shop with more than a cart and a mailer knows."""
    dice = person.dice
    if person.warmth > 0.7 and dice.chance(0.3):
        writer.add("customers", "SHARED", f"share-{person.customer}", person.customer, "social",
                   orders[0].at + dice.between(20, 120) * DAY)
    if person.warmth > 0.75 and dice.chance(0.2):
        writer.add("customers", "EVENT_ATTENDED", f"event-{person.customer}", person.customer, "shop",
                   orders[0].at + dice.between(40, 200) * DAY)
    if person.warmth < 0.3 and dice.chance(0.3):
        writer.add("customers", "SUPPORT_CONTACTED", f"support-{person.customer}", person.customer, "support",
                   orders[0].at + dice.between(2, 30) * DAY)
    if dice.chance(0.01):
        writer.add("customers", "ERASED", f"erased-{person.customer}", person.customer, "shop",
                   orders[-1].at + dice.between(30, 60) * DAY)


def choose_referrers(seed, history):
    """Friends are brought by a few: early customers who came back often."""
    starters = sorted((orders[0].at, customer) for customer, orders in history.orders.items() if len(orders) >= 6)
    starters = [customer for _, customer in starters[:max(3, len(history.orders) // 60)]]
    referrers = {}
    for customer, orders in history.orders.items():
        dice = Dice(seed, f"{customer}/referrer")
        known = [other for other in starters if other != customer and history.orders[other][0].at < orders[0].at]
        if known and dice.chance(0.06):
            referrers[customer] = dice.pick(known)
    return referrers


def write_all(options, history, writer, until):
    referrers = choose_referrers(options.seed, history)
    for customer in sorted(history.orders):
        orders = history.orders[customer]
        person = Person(options.seed, customer, len(orders))
        deliveries = []
        for index, order in enumerate(orders):
            write_order(writer, person, order, index, referrers.get(customer))
            deliveries.append(write_parcel(writer, person, order))
        write_answers(writer, person, orders, deliveries)
        write_opens(writer, person, orders, until)
        write_subscription(writer, person, orders)
        if options.customers_topic:
            write_customer_topic(writer, person, orders)
    for kind, order, pence, number, at in history.returns:
        writer.add("orders", kind, number, order.customer, "shop", at, order_id=order.number, currency="GBP",
                   refund_amount=pence if kind == "REFUNDED" else None)


def parse_options():
    parser = argparse.ArgumentParser(description="The demo shop's events as JSON lines, in order of arrival.")
    parser.add_argument("--seed", default="1", help="another seed, another made-up life around the same orders")
    parser.add_argument("--customers", type=int, default=0, metavar="N", help="only so many customers (default: all)")
    parser.add_argument("--days", type=int, default=374, metavar="N", help="only the first N days (default: all, 374)")
    parser.add_argument("--customers-topic", action="store_true", help="also events of the optional topic crm.customers")
    parser.add_argument("--late", type=float, default=0.01, metavar="SHARE", help="arrive hours late (default 0.01)")
    parser.add_argument("--doubled", type=float, default=0.005, metavar="SHARE", help="arrive twice (default 0.005)")
    parser.add_argument("--off-home", type=float, default=0.0, metavar="SHARE",
                        help="carry a key that is not the customer's id, so that they arrive on another shard (default 0)")
    parser.add_argument("--invoices", default=HERE / "invoices.csv.gz", help="the data (default: beside this file)")
    parser.add_argument("--output", default="-", metavar="FILE", help="where to (default: standard output)")
    return parser.parse_args()


def main():
    options = parse_options()
    history = read_history(options.invoices, sample(options.invoices, options.customers))
    begin = utc_ms("2010-12-01T00:00:00")
    until = begin + options.days * DAY
    writer = Writer(options)
    write_all(options, history, writer, until)
    output = sys.stdout if options.output == "-" else open(options.output, "w", encoding="utf-8")
    with output:
        written = 0
        for received_at, _, line in sorted(writer.lines, key=lambda entry: entry[:2]):
            if received_at < until:
                output.write(json.dumps(line, separators=(",", ":")) + "\n")
                written += 1
    kinds = [kind for kind, _, _, _, _ in history.returns]
    print(f"{written} events of {len(history.orders)} customers; of the C invoices {kinds.count('CANCELLED')} are "
          f"cancellations, {kinds.count('REFUNDED')} refunds, {history.left_out} left out", file=sys.stderr)


if __name__ == "__main__":
    main()
