"""All facts of one customer, computed from all his records each time anew (R9, R14 to R33).

`Store` keeps the records. `Base` is what follows from them without a clock; `View` is the same at an instant. Nothing is
remembered between two computations but the records."""

import fnmatch
import functools
import re

import playbook
from events import INTEGER_MAX, INTEGER_MIN
from hashing import xxh64
from playbook import DAY
from zones import zone_find

COUNTED = ("order", "refund", "parcel", "failed", "subscription", "answer")  # R11; and REFERRED
SUBSCRIPTION_RANK = {"SUBSCRIPTION_STARTED": 1, "SUBSCRIPTION_RESUMED": 2, "SUBSCRIPTION_PAUSED": 3,
                     "SUBSCRIPTION_CANCELLED": 4}  # R20; an order has rank 0


OPENS_KEPT, SPARE_NOTES = 32, 16


def note_uses(content):
    """For which answers the newest note of the kind is needed (R22 to R24, R33)."""
    uses = set()
    if content.kind in ("REGISTERED", "UNREGISTERED", "BOUNCED"):
        uses.add(f"{content.kind} {content.channel}")
    if content.kind in ("OPENED", "CLICKED") and content.agent == "HUMAN":
        uses.add(f"open {content.channel}")
    if content.kind == "CONSENTED" or content.kind == "REGISTERED" and content.marketing_consent:
        uses.add("consent")
    if content.kind in ("OPTED_OUT", "UNSUBSCRIBED", "COMPLAINED"):
        uses.add("refusal")
    if content.kind == "REGISTERED" and content.time_zone:
        uses.add("zone")
    return uses


def order_id_of(event):
    """R19: a renewal without an order id has one of its own."""
    if event.topic == "orders" and event.kind == "SUBSCRIPTION_RENEWED" and event.order_id is None:
        return "renewal:" + event.event_id
    return event.order_id


def fact_key(event):
    """R9, R10."""
    if event.topic == "orders":
        if event.kind in ("PLACED", "SUBSCRIPTION_RENEWED"):
            return ("order", order_id_of(event))
        if event.kind == "CANCELLED":
            return ("cancellation", event.order_id)
        if event.kind == "REFUNDED":
            return ("refund", event.source, event.event_id)
        return ("subscription", event.source, event.event_id)
    if event.topic == "deliveries":
        if event.kind == "FAILED":
            return ("failed", event.source, event.event_id)
        return ("parcel", event.order_id, event.parcel_id or "", event.kind)
    if event.topic == "surveys":
        return ("answer", event.survey_id, event.response_id)
    return ("other", event.source, event.event_id)


class Fact:
    """One fact and all its records."""

    def __init__(self, key):
        self.key = key
        self.records = []

    def content(self):
        return max(self.records, key=lambda record: (record.version, record.occurred_at, xxh64(record.event_id)))

    def time(self):
        return min(record.occurred_at for record in self.records)

    def renewal(self):
        return any(record.kind == "SUBSCRIPTION_RENEWED" for record in self.records)

    def what_counts(self):
        content = self.content()
        return (content.version, content.occurred_at, xxh64(content.event_id), self.time(), self.renewal())


class Store:
    """A customer's records; R9's duplicates and R11's refusals."""

    def __init__(self):
        self.facts = {}
        self.folded = set()
        self.folded_orders = set()
        self.newest_folded = None
        self.version = 0

    def refusal(self, event):
        """R11: why the record may not be applied, or None."""
        key = fact_key(event)
        if key in self.folded or (key[0] != "subscription" and order_id_of(event) in self.folded_orders):
            return "too_late"
        if (key[0] in COUNTED or event.kind == "REFERRED") and key not in self.facts:
            if self.newest_folded is not None and event.occurred_at <= self.newest_folded:
                return "too_late"
            if len(self.counted()) >= playbook.FACTS_MAX:
                return "too_many_facts"
        return None

    def counted(self):
        return [fact for key, fact in self.facts.items() if key not in self.folded
                and (key[0] in COUNTED or fact.content().kind == "REFERRED")]

    def apply(self, event):
        """False: a duplicate."""
        key = fact_key(event)
        fact = self.facts.setdefault(key, Fact(key))
        before = fact.what_counts() if fact.records else None
        fact.records.append(event)
        if fact.what_counts() == before:
            fact.records.pop()
            return False
        self.version += 1
        self.fold()
        self.forget()
        return True

    def forget(self):
        """R11, R25: of opens, clicks, registrations and consents only the newest stay, so a copy of one that is gone can
        not be told from a new one. The engine keeps 32 opens, what each answer of R22 to R24, R33 needs, and 16 more."""
        notes = {key: fact for key, fact in self.facts.items() if key[0] == "other"
                 and fact.content().kind not in ("REFERRED", "SHARED", "EVENT_ATTENDED", "SUPPORT_CONTACTED")}
        newest = sorted(notes, key=lambda key: (notes[key].time(), xxh64(notes[key].content().event_id)), reverse=True)
        opens = [key for key in newest if note_uses(notes[key].content()) & {"open EMAIL", "open LINE"}]
        rest = [key for key in newest if key not in opens]
        if len(opens) <= OPENS_KEPT and len(rest) <= SPARE_NOTES:
            return
        kept, served = set(opens[:OPENS_KEPT]), set()
        for key in newest:
            uses = note_uses(notes[key].content())
            if uses - served:
                kept.add(key)
            served |= uses
        kept |= set([key for key in rest if key not in kept][:SPARE_NOTES])
        for key in set(notes) - kept:
            del self.facts[key]

    def fold_order(self, item):
        """Oldest first; of one time in id order."""
        time, key = item
        return time, xxh64(self.facts[key].content().event_id), key

    def fold(self):
        held = sorted(((fact.time(), fact.key) for fact in self.counted()), key=self.fold_order)
        if len(held) <= playbook.HISTORY_FACTS:
            return
        newest = held[-1][0]
        while len(held) > playbook.HISTORY_FACTS and held[0][0] < newest - playbook.HISTORY_DAYS * DAY:
            time, key = held.pop(0)
            self.folded.add(key)
            self.newest_folded = max(time, self.newest_folded or time)
            if key[0] == "order":
                self.folded_orders.add(key[1])


# ---- products and roles (R17, R18) ----

def product_of(sku):
    for pattern, role, figures in playbook.PRODUCTS:
        if glob_match(pattern, sku):
            return role, figures
    return "regular", {}


@functools.lru_cache(maxsize=4096)
def glob_match(pattern, sku):
    """R17: only * and ? are special."""
    return fnmatch.fnmatchcase(sku, re.sub(r"\[", "[[]", pattern))


class Order:
    """An order placed, and what other facts say of it (R14)."""

    def __init__(self, fact, cancelled, refunds):
        content = fact.content()
        self.id = fact.key[1]
        self.time = fact.time()
        self.content = content
        self.backfill = content.backfill
        self.arrived_at = content.arrived_at
        self.renewal = fact.renewal()
        self.lines = content.lines or []
        self.total = amount_sum(amount_sum([line["quantity"] * line["unit_price"]]) for line in self.lines)
        self.refunded = refunded_of(refunds)
        self.void = cancelled or wholly_refunded(refunds, self.total)
        self.live = not self.void
        self.place = (self.time, self.id.encode("utf-8"))  # R19
        if self.renewal:
            self.subscription = content.subscription_id or ""
        else:
            self.subscription = content.subscription_id  # None: names none
        self.roles = {product_of(line["sku"])[0] for line in self.lines}
        self.trial = bool(self.lines) and self.roles == {"trial"}
        self.premium = "premium" in self.roles
        self.related = "related" in self.roles

    def figure(self, name, default):
        for line in self.lines:
            figures = product_of(line["sku"])[1]
            if name in figures:
                return figures[name]
        return default


def wholly_refunded(refunds, total):
    if any(refund.refund_amount is None for refund in refunds):
        return True
    return bool(refunds) and total > 0 and refunded_of(refunds) >= total


def amount_sum(amounts):
    """A sum that leaves the numbers of 64 bits ends at the last of them."""
    total = 0
    for amount in amounts:
        total = max(INTEGER_MIN, min(INTEGER_MAX, total + amount))
    return total


def refunded_of(refunds):
    """Those above 0 first, so that the order in which they came is of no account (R1)."""
    return amount_sum(sorted((refund.refund_amount or 0 for refund in refunds), key=lambda amount: amount < 0))


class Parcel:
    """R15, R16."""

    def __init__(self, order, parcel_id):
        self.order = order
        self.id = parcel_id
        self.facts = {}
        self.failures = []

    def shipped(self):
        return "SHIPPED" in self.facts or "RETURNED" in self.facts

    def shipped_at(self):
        fact = self.facts.get("SHIPPED") or self.facts.get("RETURNED")
        return fact.time() if fact else None

    def delivery(self):
        """(instant of the delivery, the record that says so), or None; the instant may be yet to come when assumed."""
        delivered, returned = self.facts.get("DELIVERED"), self.facts.get("RETURNED")
        if delivered:
            gone = returned.content().occurred_at if returned else None
            for time in (delivered.time(), delivered.content().occurred_at):
                if gone is None or time > gone:
                    return time, delivered.content(), False
        shipped = self.facts.get("SHIPPED")
        if returned or delivered or not shipped:
            return None
        last = shipped.content()
        if any(fact.time() >= last.occurred_at for fact in self.failures):
            return None
        stated = [fact.content() for fact in list(self.facts.values()) + self.failures
                  if fact.content().estimated_at is not None and fact.content().estimated_at >= last.occurred_at]
        if stated:
            latest = max(stated, key=lambda record: (record.occurred_at, xxh64(record.event_id)))
            return latest.estimated_at, last, True
        return last.occurred_at + self.order.figure("transit_days", playbook.TRANSIT), last, True


class Response:
    def __init__(self, fact):
        content = fact.content()
        self.content = content
        self.time = fact.time()
        self.survey_id, self.response_id = fact.key[1], fact.key[2]
        self.purpose = content.purpose
        self.nps, self.satisfaction = content.nps, content.satisfaction
        self.effect_felt = content.effect_felt
        self.backfill, self.arrived_at = content.backfill, content.arrived_at
        self.negative = (self.nps is not None and self.nps <= 4) or (
            self.satisfaction is not None and self.satisfaction <= 2)
        good = (self.nps is not None and self.nps >= 9) or (
            self.satisfaction is not None and self.satisfaction >= 4 and (self.nps is None or self.nps >= 7))
        self.positive = good and not self.negative  # R26
        self.proves_effect = self.effect_felt is True or (
            self.purpose == "EFFECT" and self.positive and self.effect_felt is not False)  # R27
        self.place = (self.time, xxh64(self.survey_id), xxh64(self.response_id))  # R28


def last_stated(responses, *names):
    """R28: the last response that states one of the names."""
    stated = [response for response in responses if any(getattr(response, name) is not None for name in names)]
    return max(stated, key=lambda response: response.place) if stated else None


class Base:
    """Everything that the records alone say."""

    def __init__(self, store, credits):
        facts = list(store.facts.values())
        self.read_orders(facts)
        self.read_parcels(facts)
        self.responses = sorted((Response(fact) for fact in facts if fact.key[0] == "answer"),
                                key=lambda response: response.place)
        self.read_subscription(facts)
        self.read_cycle()
        self.read_opens(facts)
        self.read_registration(facts)
        self.read_consent(facts)
        self.read_zone(facts)
        self.read_referrals(facts, credits)
        kinds = [fact.content().kind for fact in facts if fact.key[0] == "other"]
        self.shares = [fact.time() for fact in facts if fact.key[0] == "other" and fact.content().kind == "SHARED"]
        self.events_attended = kinds.count("EVENT_ATTENDED")
        self.support_contacts = kinds.count("SUPPORT_CONTACTED")

    # R14
    def read_orders(self, facts):
        cancelled = {fact.key[1] for fact in facts if fact.key[0] == "cancellation"}
        refunds = {}
        for fact in facts:
            if fact.key[0] == "refund":
                refunds.setdefault(fact.content().order_id, []).append(fact.content())
        self.orders = {}
        for fact in facts:
            if fact.key[0] == "order":
                order = Order(fact, fact.key[1] in cancelled, refunds.get(fact.key[1], []))
                self.orders[order.id] = order
        self.void = {order.id for order in self.orders.values() if order.void}
        for order_id in cancelled | set(refunds):
            if order_id not in self.orders and (order_id in cancelled or wholly_refunded(refunds[order_id], 0)):
                self.void.add(order_id)
        self.live = sorted((order for order in self.orders.values() if order.live), key=lambda order: order.place)
        if playbook.FIRST_PURCHASE_IS_TRIAL and self.live:
            self.live[0].trial = True

    def read_parcels(self, facts):
        self.parcels = {}
        for fact in facts:
            if fact.key[0] not in ("parcel", "failed"):
                continue
            content = fact.content()
            order = self.orders.get(content.order_id)
            if order is None or not order.live:
                continue  # R14
            name = (order.id, content.parcel_id or "")
            parcel = self.parcels.setdefault(name, Parcel(order, name[1]))
            if fact.key[0] == "failed":
                parcel.failures.append(fact)
            else:
                parcel.facts[fact.key[3]] = fact

    # R20, R21
    def read_subscription(self, facts):
        changes = []  # (time, rank, id order, subscription, active, record)
        for order in self.live:
            if order.subscription is not None:
                changes.append((order.time, 0, order.id, order.subscription, True, order))
        cancelled = {}
        for fact in facts:
            if fact.key[0] != "subscription":
                continue
            content, name = fact.content(), fact.content().subscription_id or ""
            rank = SUBSCRIPTION_RANK[content.kind]
            changes.append((fact.time(), rank, xxh64(content.event_id), name, rank <= 2, content))
            if content.kind == "SUBSCRIPTION_CANCELLED":
                cancelled[name] = max(fact.time(), cancelled.get(name, -1))
        changes.sort(key=lambda change: change[:3])
        self.subscription_changes = changes
        self.subscription = False
        self.since = self.since_record = None
        standing = {}
        for place, (time, _, _, name, active, record) in enumerate(changes):
            standing[name] = active
            if place + 1 < len(changes) and changes[place + 1][0] == time:
                continue  # several facts of one instant: only the last of them is a state
            now_active = any(standing.values())
            if now_active and not self.subscription:
                starters = [change for change in changes if change[0] == time and change[4]]
                self.since, self.since_record = time, starters[0][5]
            self.subscription = now_active
        if not self.subscription:
            self.since = self.since_record = None
        runs = {}
        for order in self.live:
            if order.renewal and order.time > cancelled.get(order.subscription, -1):
                runs[order.subscription] = runs.get(order.subscription, 0) + 1
        self.renewals = max(runs.values(), default=0)

    def subscribed_before(self, time):
        """Just before the instant (R29)."""
        return self.subscribed_at(time - 1)

    def subscribed_at(self, time):
        standing = {}
        for change in self.subscription_changes:
            if change[0] <= time:
                standing[change[3]] = change[4]
        return any(standing.values())

    # R29
    def read_cycle(self):
        self.cycle = 1
        self.cycle_orders = list(self.live[:1])
        for before, order in zip(self.live, self.live[1:]):
            if order.time - before.time >= playbook.LAPSE and not self.subscribed_before(order.time):
                self.cycle += 1
                self.cycle_orders = []
            self.cycle_orders.append(order)
        self.cycle_start = self.cycle_orders[0].time if self.cycle_orders else None
        self.cycle_order_ids = {order.id for order in self.cycle_orders}
        self.cycle_parcels = [parcel for parcel in self.parcels.values() if parcel.order.id in self.cycle_order_ids]
        self.cycle_responses = [response for response in self.responses if self.in_cycle(response.time)]

    def in_cycle(self, time):
        return self.cycle_start is not None and time >= self.cycle_start

    # R25
    def read_opens(self, facts):
        self.human = []
        for fact in facts:
            content = fact.content()
            if fact.key[0] == "other" and content.kind in ("OPENED", "CLICKED") and content.agent == "HUMAN":
                self.human.append((fact.time(), xxh64(content.event_id), content))
        self.human.sort(key=lambda item: item[:2])
        self.last_open_at = self.human[-1][0] if self.human else None

    # R22, R24
    def read_registration(self, facts):
        self.registered, self.bounced = {}, {}
        for channel in ("EMAIL", "LINE"):
            said, bounces, proofs = [], [], []
            for fact in facts:
                content = fact.content()
                if fact.key[0] == "order":
                    if content.email_registered if channel == "EMAIL" else content.line_registered:
                        said.append((fact.time(), 1))
                elif fact.key[0] == "other" and content.channel == channel:
                    if content.kind == "REGISTERED":
                        said.append((fact.time(), 1))
                        proofs.append(fact.time())
                    elif content.kind == "UNREGISTERED":
                        said.append((fact.time(), 2))
                    elif content.kind == "BOUNCED":
                        bounces.append(fact.time())
            opens = [time for time, _, content in self.human if content.channel == channel]
            proofs += opens
            self.registered[channel] = max(said)[1] == 1 if said else bool(opens)
            self.bounced[channel] = bool(bounces) and max(proofs, default=-1) <= max(bounces)

    # R23
    def read_consent(self, facts):
        said = []
        for fact in facts:
            content = fact.content()
            if fact.key[0] == "order":
                if content.marketing_consent:
                    said.append((fact.time(), 1))
            elif fact.key[0] == "other":
                if content.kind in ("OPTED_OUT", "UNSUBSCRIBED", "COMPLAINED"):
                    said.append((fact.time(), 2))
                elif content.kind == "CONSENTED" or (content.kind == "REGISTERED" and content.marketing_consent):
                    said.append((fact.time(), 1))
        self.consent = bool(said) and max(said)[1] == 1

    # R33
    def read_zone(self, facts):
        said = []
        for fact in facts:
            content = fact.content()
            if fact.key[0] == "order" and content.kind == "PLACED" and content.time_zone:
                said.append((fact.time(), xxh64(content.event_id), content.time_zone))
            elif fact.key[0] == "other" and content.kind == "REGISTERED" and content.time_zone:
                said.append((fact.time(), xxh64(content.event_id), content.time_zone))
        name = max(said)[2] if said else playbook.TIME_ZONE
        self.zone = zone_find(name) or zone_find(playbook.TIME_ZONE)

    # R30
    def read_referrals(self, facts, credits):
        made = {}  # friend, or the fact of a nameless referral -> times
        for fact in facts:
            if fact.key[0] == "other" and fact.content().kind == "REFERRED":
                friend = fact.content().referred_customer_id
                made.setdefault(("friend", friend) if friend else fact.key, []).append(fact.time())
        for friend, credit in credits.items():
            made.setdefault(("friend", friend), []).append(credit.time)
        self.referrals = len(made)
        self.referral_times = [time for times in made.values() for time in times]
        self.referrals_converted = len(credits)

    def given_credits(self, customer_id):
        """R30: referrer -> his earliest live order here."""
        given = {}
        for order in self.live:
            referrer = order.content.referrer_customer_id
            if referrer and referrer != customer_id:
                given.setdefault(referrer, order)
        return given

    def boundaries(self):
        """All instants at which time alone may change something; those gone by do no harm."""
        instants = []
        if self.live:
            instants += [self.live[-1].time + 60 * DAY, self.live[-1].time + 90 * DAY]
        for parcel in self.cycle_parcels:
            delivery = parcel.delivery()
            if delivery:
                instants += [delivery[0], delivery[0] + playbook.ACCLIMATE_AFTER]
        instants += [time + 60 * DAY for time, _, _ in self.human]
        return instants


class View:
    """The facts at an instant."""

    def __init__(self, base, now):
        self.base = base
        self.now = now
        live = base.live
        self.purchases = len(live)
        self.trial = sum(order.trial for order in live)
        self.premium = sum(order.premium for order in live)
        self.related = sum(order.related for order in live)
        self.last_purchase = live[-1] if live else None
        self.days_since_last_purchase = (now - live[-1].time) // DAY if live else None
        self.registered = base.registered["EMAIL"] or base.registered["LINE"]
        self.deliveries = []  # of the cycle: (time, order id, parcel id, record, order)
        for parcel in base.cycle_parcels:
            delivery = parcel.delivery()
            if delivery and (not delivery[2] or delivery[0] <= now):
                self.deliveries.append((delivery[0], parcel.order.id.encode("utf-8"), parcel.id.encode("utf-8"),
                                        delivery[1], parcel.order))
        self.deliveries.sort(key=lambda item: (item[0], item[1], xxh64(item[2].decode("utf-8"))))
        self.first_delivery = self.deliveries[0] if self.deliveries else None
        parcels = base.parcels.values()  # of live orders, ever; evidence alone counts those of the cycle (R45)
        self.shipped = sum(parcel.shipped() for parcel in parcels)
        self.failed = sum(len(parcel.failures) for parcel in parcels)
        told = [parcel.delivery() for parcel in parcels]
        self.delivered = sum(1 for delivery in told if delivery and (not delivery[2] or delivery[0] <= now))
        self.kept_opens = [item for item in base.human if item[0] > now - 60 * DAY][-32:]
        self.opens = sum(content.kind == "OPENED" for _, _, content in self.kept_opens)
        self.clicks = sum(content.kind == "CLICKED" for _, _, content in self.kept_opens)
        self.positive = sum(response.positive for response in base.responses)
        self.negative = sum(response.negative for response in base.responses)
        felt = [response for response in base.cycle_responses if response.proves_effect]
        self.effect = min(felt, key=lambda response: response.place) if felt else None
        self.last_nps = last_stated(base.responses, "nps")
        self.cycle_nps = last_stated(base.cycle_responses, "nps")

    def answered(self, purpose):
        """R58."""
        responses = self.base.responses if purpose == "ASSESS" else self.base.cycle_responses
        return any(response.purpose == purpose for response in responses)
