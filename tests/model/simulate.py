"""`oriori simulate`, slowly: events in, records out (R2, R42, R83 to R85)."""

import heapq

import playbook
from classes import DIMENSIONS, classes_of, evidence_of, moves
from events import Dead, Line
from facts import Base, Store, View, amount_sum, fact_key, last_stated, order_id_of
from guards import decide, holds
from hashing import action_id
from playbook import DAY, HOUR
from rules import Run, Runs
from zones import local_time, zone_find


class Cause:
    """The event in whose step something happens."""

    def __init__(self, event_id, occurred_at, backfill, order=None):
        self.event_id = event_id
        self.occurred_at = occurred_at
        self.backfill = backfill
        self.order = order


class Credit:
    """R30: what a friend's orders say of his referrer."""

    def __init__(self, order):
        self.order = order.id
        self.time = order.time
        self.backfill = order.backfill
        self.arrived_at = order.arrived_at


class Send:
    def __init__(self, run, action, local_date):
        self.run = run
        self.action = action
        self.local_date = local_date
        self.revoked = False


class Customer:
    def __init__(self, world, customer_id):
        self.world = world
        self.id = customer_id
        self.store = Store()
        self.credits = {}  # friend -> Credit (as referrer)
        self.given = {}  # referrer -> (order, time) (as friend)
        self.classes = None
        self.erased = False
        self.runs = Runs()
        self.sends = []
        self.seq = 0
        self.void = set()
        self.consent = False
        self.last_read = -1
        self.base_of = None

    def base(self):
        name = (self.store.version, tuple((friend, credit.order, credit.time)
                                          for friend, credit in self.credits.items()))
        if not self.base_of or self.base_of[0] != name:
            self.base_of = (name, Base(self.store, self.credits))
        return self.base_of[1]

    def view(self, now):
        return View(self.base(), now)

    def published(self, rule, key, n, view):
        return self.runs.published(rule, key, n, view)

    def wake_at(self):
        if self.classes is None or self.erased:
            return None
        instants = [run.wake for run in self.runs.waiting]
        instants += [instant for instant in self.base().boundaries() if instant > self.last_read]
        return min(instants, default=None)

    # ---- records ----

    def emit(self, at, record):
        self.seq += 1
        kind = record.pop("type")
        self.world.out.append({"type": kind, "at": at, "customer_id": self.id, "seq": self.seq, **record})

    def emit_decision(self, now, cause, run, outcome, detail=None, until=None):
        self.world.count("decisions", run.rule.name, outcome)
        self.emit(now, {"type": "decision", "rule": run.rule.name, "key": run.key, "n": run.n, "outcome": outcome,
                        "detail": detail, "due_at": run.due, "until": until, "values": {},
                        "playbook_version": self.world.version, "event_id": cause.event_id if cause else None})

    def emit_transition(self, now, cause, view, move):
        self.world.count("transitions", move.dimension, f"{move.before or 'null'}>{move.after}")
        self.emit(now, {"type": "transition", "dimension": move.dimension, "from": move.before, "to": move.after,
                        "direction": move.direction, "rest": move.rest, "cause": "event" if cause else "time",
                        "event_id": cause.event_id if cause else None, "effective_at": move.effective_at,
                        "cycle": view.base.cycle, "returned": move.returned,
                        "backfill": bool(cause and cause.backfill), "evidence": evidence_of(view, move.dimension)})

    def state_now(self, view):
        return {**self.classes, "cycle": view.base.cycle}

    def emit_send(self, now, cause, view, run, channel):
        rule = run.rule
        action = {"type": "action", "kind": "send", "action_id": action_id(self.id, rule.name, run.key, run.n),
                  "rule": rule.name, "key": run.key, "n": run.n, "template": rule.template, "channel": channel,
                  "audience": rule.audience, "class": rule.cls, "state": self.state_now(view), "order_id": run.order,
                  "event_id": cause.event_id if cause else None, "due_at": run.due, "made_at": now,
                  "send_after": now, "expires_at": None if rule.shelf is None else run.due + rule.shelf,
                  "variables": self.variables(view, run), "playbook_version": self.world.version, "variant": None,
                  "reason": None}
        self.world.count("actions", rule.name)
        self.sends.append(Send(run, dict(action), local_time(now, view.base.zone).date()))
        self.runs.used[(rule.name, run.key, run.n)] = run.order
        self.emit(now, action)

    def variables(self, view, run):
        """R80."""
        order = view.base.orders.get(run.order)
        found = {"order_id": run.order, "product": order.lines[0]["sku"] if order and order.lines else None,
                 "days": (view.now - run.anchor) // DAY, "concern": run.concern, "friend": run.friend,
                 "campaign": order.content.campaign if order else None}
        if run.rule.contents:
            found["content"] = run.rule.contents[(run.n - 1) % len(run.rule.contents)]
        return {name: value for name, value in found.items() if value is not None}

    # ---- the step ----

    def step(self, now, cause, event=None, converted=(), withdrawn=()):
        """One step at one clock. `cause` is None when a timer fired."""
        view = self.view(now)
        self.last_read = now
        before, view.classes = self.classes, classes_of(view)
        self.classes = view.classes
        found = moves(before, view.classes, view, cause)
        for move in found:
            self.emit_transition(now, cause, view, move)
        newly_void = view.base.void - self.void
        self.revoke(now, cause, view, newly_void, self.consent and not view.base.consent, withdrawn)
        self.void, self.consent = set(view.base.void), view.base.consent
        self.runs.fresh = []
        self.cancel(now, cause, newly_void, [move for move in found if move.dimension == "tier"])
        self.follow_anchors(now, cause, view)
        self.trigger(view, cause, found, event, converted)
        self.runs.follow_facts()
        self.keep_calendars(view)
        self.decide_due(now, cause, view)
        self.keep_calendars(view)
        self.runs.fresh = []

    def revoke(self, now, cause, view, newly_void, consent_ended, withdrawn):
        """R78."""
        for send in self.sends:
            action = send.action
            if send.revoked or (action["expires_at"] is not None and now >= action["expires_at"]):
                continue
            if send.run.order in newly_void:
                reason = "order_void"
            elif consent_ended and action["class"] == "marketing" and now - action["made_at"] < 24 * HOUR:
                reason = "opted_out"
            elif send.run.friend is not None and send.run.friend in withdrawn:
                reason = "referral_withdrawn"
            else:
                continue
            self.emit_revoke(now, cause, view, send, reason)

    def emit_revoke(self, now, cause, view, send, reason):
        send.revoked = True
        self.world.revokes += 1
        self.emit(now, {**send.action, "kind": "revoke", "made_at": now, "send_after": now, "state": self.state_now(view),
                        "event_id": cause.event_id if cause else None, "reason": reason})

    def cancel(self, now, cause, newly_void, tier_moves):
        """R79 and `unbroken` (R56), in run order."""
        dying = [run for run in self.runs.waiting
                 if run.order in newly_void
                 or (run.rule.unbroken and any(move.before == run.rule.trigger[2] for move in tier_moves))]
        for run in sorted(dying, key=Run.place):
            self.runs.drop(run)
            self.emit_decision(now, cause, run, "cancelled", "order_void" if run.order in newly_void else "left")

    def follow_anchors(self, now, cause, view):
        for rule in self.world.rules:
            gone = []
            if rule.trigger[0] == "anchor":
                gone = self.runs.follow(rule, view)
            elif rule.trigger[0] == "converts":
                gone = self.runs.follow_credits(rule, self.credits)
            for run in sorted(gone, key=Run.place):
                self.emit_decision(now, cause, run, "cancelled", "anchor_gone")

    def trigger(self, view, cause, found, event, converted):
        base = view.base
        live = {order.id for order in base.live}
        order = base.cycle_orders[0].id if base.cycle_orders else None
        if cause and cause.order in live:
            order = cause.order  # R48
        for rule in self.world.rules:
            kind = rule.trigger[0]
            if kind in ("event", "response", "concern"):
                if event is not None:
                    self.runs.event(rule, event, self.store.facts.get(fact_key(event)), view)
            elif kind == "converts":
                for friend in converted:
                    self.runs.converted(rule, friend, self.credits[friend])
            else:
                for move in found:
                    if triggers(rule, move, cause):
                        self.runs.transition(rule, move, order, bool(cause and cause.backfill), view)

    def keep_calendars(self, view):
        for rule in self.world.rules:
            if rule.trigger[0] == "calendar":
                self.runs.keep_calendar(rule, view, all(holds(name, view, None) for name in rule.conditions))

    def decide_due(self, now, cause, view):
        """R2: the first of what is due, then the first of what is due then. An event's step decides what it made;
        a timer's step all that is due."""
        while True:
            candidates = self.runs.fresh if cause else self.runs.waiting
            due = [run for run in candidates if run.wake <= now or (run.backfill and not run.rule.every)]
            if not due:
                return
            run = min(due, key=Run.place)
            verdict = decide(self, view, run)
            self.emit_decision(now, cause, run, verdict.outcome, verdict.detail, verdict.until)
            if verdict.outcome == "deferred":
                run.deferred, run.wake = True, verdict.until
                continue
            if verdict.outcome == "sent":
                self.emit_send(now, cause, view, run, verdict.channel)
            self.runs.decided(run, verdict.outcome, view)

    # ---- R31 ----

    def erase(self, now, cause):
        if self.classes is not None:
            view = self.view(now)
            for send in self.sends:
                expires_at = send.action["expires_at"]
                if not send.revoked and (expires_at is None or now < expires_at):
                    self.emit_revoke(now, cause, view, send, "erased")
            for run in sorted(self.runs.waiting, key=Run.place):
                self.emit_decision(now, cause, run, "erased")
        self.erased = True
        self.store, self.runs, self.sends, self.credits = Store(), Runs(), [], {}

    def state_record(self, clock):
        if self.erased:
            return {"type": "state", "customer_id": self.id, "erased": True}
        view = self.view(clock)
        base = view.base
        money = {}
        for order in base.live:
            currency = order.content.currency or playbook.CURRENCY
            money[currency] = amount_sum([money.get(currency, 0), amount_sum([order.total, -order.refunded])])
        satisfaction = last_stated(base.responses, "satisfaction")
        return {
            "type": "state", "customer_id": self.id, **self.classes, "cycle": base.cycle,
            "registered_email": base.registered["EMAIL"], "registered_line": base.registered["LINE"],
            "consent": base.consent, "purchases": view.purchases, "trial": view.trial, "premium": view.premium,
            "related": view.related, "money": money,
            "first_purchase_at": base.live[0].time if base.live else None,
            "last_purchase_at": base.live[-1].time if base.live else None,
            "subscription": base.subscription, "subscription_since": base.since, "renewals": base.renewals,
            "shipped": view.shipped, "delivered": view.delivered, "failed": view.failed,
            "first_delivery_at": view.deliveries[0][0] if view.deliveries else None,
            "last_delivery_at": view.deliveries[-1][0] if view.deliveries else None,
            "responses": len(base.responses),
            "last_satisfaction": satisfaction.satisfaction if satisfaction else None,
            "last_nps": view.last_nps.nps if view.last_nps else None,
            "last_response_at": base.responses[-1].time if base.responses else None,
            "positive": view.positive, "negative": view.negative, "effect_felt": view.effect is not None,
            "last_open_at": base.last_open_at, "opens_60d": view.opens, "clicks_60d": view.clicks,
            "referrals": base.referrals, "referrals_converted": base.referrals_converted,
            "shares": len(base.shares), "events_attended": base.events_attended,
            "support_contacts": base.support_contacts,
        }


def triggers(rule, move, cause):
    """R37, R38, R41."""
    kind = rule.trigger[0]
    rising = move.direction in ("up", "enter")
    if kind == "enters":
        _, dimension, value = rule.trigger
        return (move.dimension == dimension and move.after == value and move.rest
                and (rising or value in ("lapsed", "dormant")))
    if kind == "reaches":
        return move.dimension == "growth" and move.after == rule.trigger[1] and move.direction == "up"
    if kind == "tier_up":
        return (move.dimension == "tier" and move.direction == "up" and cause is not None
                and move.before in ("visitor", "follower", "supporter"))
    if kind == "segment_up":
        return move.dimension == "segment" and move.direction == "up"
    return kind == "returned" and move.returned


class World:
    """All customers, the clock, the wake-ups and the counts."""

    def __init__(self, strategy="educate", version=playbook.VERSION, log=None):
        self.rules = playbook.rules_of(strategy)
        self.version = version
        self.customers = {}
        self.out = []
        self.heap = []
        self.clock = None
        self.events = dict.fromkeys(("read", "applied", "duplicate", "test", "erased", "dead_letter"), 0)
        self.counts = {"transitions": {dimension: {} for dimension in DIMENSIONS}, "decisions": {}, "actions": {}}
        self.revokes = 0
        self.unknown_zones = set()
        self.log = log or (lambda text: None)

    def count(self, kind, name, value=None):
        counts = self.counts[kind]
        if value is None:
            counts[name] = counts.get(name, 0) + 1
        else:
            values = counts.setdefault(name, {})
            values[value] = values.get(value, 0) + 1

    def schedule(self, customer):
        wake_at = customer.wake_at()
        if wake_at is not None:
            heapq.heappush(self.heap, (wake_at, customer.id.encode("utf-8"), customer.id))

    def fire(self, before):
        """All timers due before the instant, in order of due time, then customer (R2)."""
        while self.heap and self.heap[0][0] < before:
            wake_at, _, customer_id = heapq.heappop(self.heap)
            customer = self.customers[customer_id]
            if customer.wake_at() == wake_at:
                customer.step(wake_at, None)
                self.schedule(customer)

    def dead(self, number, reason):
        self.events["dead_letter"] += 1
        self.log(f"line {number}: {reason}")

    def read(self, number, text, until=None):
        line = Line(text)
        if until is not None and line.time is not None and line.time > until:
            return  # R83
        self.events["read"] += 1
        if line.time is None:
            self.dead(number, line.dead)
            return
        clock = line.time if self.clock is None else max(self.clock, line.time)
        far = (line.received is None and self.clock is not None and line.occurred_at > self.clock + 400 * DAY)
        if far or line.occurred_at > clock + playbook.MAX_AHEAD:
            self.dead(number, "future")
            return
        self.clock = clock
        self.fire(clock)
        if line.dead is not None:
            self.dead(number, line.dead)
            return
        try:
            self.apply(line.event)
        except Dead as reason:
            self.dead(number, reason)

    def apply(self, event):
        if event.test:  # R8
            self.events["test"] += 1
            return
        event.arrived_at = self.clock
        customer = self.customers.get(event.customer_id)
        if customer and customer.erased:
            self.events["erased"] += 1
            return
        customer = customer or Customer(self, event.customer_id)
        cause = Cause(event.event_id, event.occurred_at, event.backfill, order_id_of(event))
        if event.kind == "ERASED":
            self.events["applied"] += 1
            self.customers[customer.id] = customer
            customer.erase(self.clock, cause)
            self.forward(customer, cause, True)
            return
        refusal = customer.store.refusal(event)
        if refusal:
            raise Dead(refusal)
        if not customer.store.apply(event):
            self.events["duplicate"] += 1
            return
        self.events["applied"] += 1
        if event.time_zone and zone_find(event.time_zone) is None:
            self.unknown_zones.add(event.time_zone)
        self.customers[customer.id] = customer
        customer.step(self.clock, cause, event)
        self.schedule(customer)
        self.forward(customer, cause, False)

    def forward(self, friend, cause, erasure):
        """R30: the friend's whole present credits go to his referrers, after his own step, at the same clock."""
        orders = {} if erasure else friend.base().given_credits(friend.id)
        given = {referrer: (order.id, order.time) for referrer, order in orders.items()}
        changed = [referrer for referrer in sorted({*given, *friend.given}, key=lambda name: name.encode("utf-8"))
                   if given.get(referrer) != friend.given.get(referrer)]
        friend.given = given
        for referrer in changed:
            customer = self.customers.setdefault(referrer, Customer(self, referrer))
            if not customer.erased:
                self.credit(customer, friend.id, orders.get(referrer), cause, erasure)

    def credit(self, customer, friend, order, cause, erasure):
        standing = friend in customer.credits
        if order is None:
            if customer.credits.pop(friend, None) is None:
                return
        else:
            customer.credits[friend] = Credit(order)
        credit_cause = Cause(cause.event_id, cause.occurred_at, cause.backfill)
        customer.step(self.clock, credit_cause, converted=[friend] if order and not standing else [],
                      withdrawn=[friend] if order is None and not erasure else [])
        self.schedule(customer)

    def finish(self, until=None):
        """R83: the end of the run."""
        if until is not None and (self.clock is None or until > self.clock):
            self.clock = until
        if self.clock is not None:
            self.fire(self.clock + 1)
        self.out.sort(key=lambda record: (record["at"], record["customer_id"].encode("utf-8"), record["seq"]))

    def states(self):
        return [self.customers[customer_id].state_record(self.clock)
                for customer_id in sorted(self.customers, key=lambda name: name.encode("utf-8"))]

    def summary(self):
        tallies = {dimension: {} for dimension in DIMENSIONS}
        for customer in self.customers.values():
            for dimension in DIMENSIONS if not customer.erased else ():
                value = customer.classes[dimension]
                tallies[dimension][value] = tallies[dimension].get(value, 0) + 1
        return {"type": "summary", "clock": self.clock, "events": self.events, **self.counts, "revokes": self.revokes,
                "tiers": tallies["tier"], "phases": tallies["phase"], "growth": tallies["growth"],
                "segments": tallies["segment"], "unknown_time_zones": len(self.unknown_zones)}


def simulate(lines, until=None, strategy="educate", version=playbook.VERSION, log=None):
    """All records of R85 in order, then the states, then the summary."""
    world = World(strategy, version, log)
    for number, text in enumerate(lines, 1):
        if text.strip():
            world.read(number, text, until)
    world.finish(until)
    return world.out, world.states(), world.summary()
