"""From facts and transitions to runs: keys, orders, anchors, series (R47 to R63)."""

import calendar
import datetime

import playbook
from facts import order_id_of
from zones import at_hour, local_time


class Run:
    """One occurrence of a rule, waiting or being decided. `due` is its first due time for ever; `wake` is when it is
    looked at (again)."""

    def __init__(self, rule, key, order, anchor, due, backfill, arrived_at, n=1, m=1, response=None, concern=None,
                 friend=None, fact=None):
        self.fact = fact  # of an order or a FAILED that triggered it
        self.rule = rule
        self.key = key
        self.order = order
        self.anchor = anchor
        self.due = due
        self.wake = due
        self.backfill = backfill
        self.arrived_at = arrived_at
        self.n = n
        self.m = m  # the n at which the series was last triggered (R50)
        self.response = response
        self.concern = concern
        self.friend = friend
        self.deferred = False

    def place(self):
        """R2: the order among runs that are due."""
        return (-self.rule.priority, self.rule.place, self.key.encode("utf-8"), self.n)


class Anchor:
    """The fact that an anchored rule hangs on, as it is now (R48, R49)."""

    def __init__(self, time, order_id, record, order):
        self.time = time
        self.order_id = order_id
        self.backfill = record.backfill
        self.arrived_at = record.arrived_at
        self.order = order  # whose product's figures count

    def same(self, other):
        return other is not None and (self.time, self.order_id) == (other.time, other.order_id)


def anchor_of(name, view):
    base = view.base
    cycle_first = base.cycle_orders[0] if base.cycle_orders else None
    cycle_order_id = cycle_first.id if cycle_first else None
    if name == "first_delivery":
        if not view.first_delivery:
            return None
        time, _, _, record, order = view.first_delivery
        return Anchor(time, order.id, record, order)
    if name == "effect_felt":
        return Anchor(view.effect.time, cycle_order_id, view.effect, cycle_first) if view.effect else None
    if name == "subscription_since":
        return Anchor(base.since, cycle_order_id, base.since_record, cycle_first) if base.subscription else None
    if not base.live:
        return None
    order = {"first_purchase_ever": base.live[0], "first_purchase_of_cycle": cycle_first,
             "last_purchase": base.live[-1]}[name]
    return Anchor(order.time, order.id, order, order)


def delay_of(rule, order):
    if rule.delay == "effect_after":
        return order.figure("effect_after", playbook.EFFECT_AFTER) if order else playbook.EFFECT_AFTER
    if rule.delay == "supply_days":
        return order.figure("supply_days", playbook.SUPPLY) if order else playbook.SUPPLY
    return rule.delay


def order_key(rule, order_id):
    """R47: the key of a rule that hangs on an order."""
    if rule.once == "ever":
        return "ever"
    return f"{rule.once}:{order_id or '-'}"


class Runs:
    """The waiting runs of a customer and what is remembered of those decided."""

    def __init__(self):
        self.waiting = []
        self.fresh = []  # made or moved in this step
        self.anchors = {}  # rule name -> Anchor last seen
        self.dated = set()  # names of calendar rules whose conditions hold
        self.ended = set()  # names of rules whose series has ended
        self.slots = {}  # rule name -> [(key, order, n)] decided
        self.used = {}  # (rule name, key, n) -> order

    def published(self, rule, key, n, view):
        """R47, R48."""
        if (rule.name, key, n) in self.used:
            return True
        return rule.once == "cycle" and any(
            name == rule.name and other_n == n and order in view.base.cycle_order_ids
            for (name, _, other_n), order in self.used.items())

    def drop(self, run):
        self.waiting = [other for other in self.waiting if other is not run]
        self.fresh = [other for other in self.fresh if other is not run]

    def add(self, run):
        """A run with the same key replaces the waiting one; a series and an anchor have one waiting run (R50)."""
        for other in self.of_rule(run.rule):
            alone = run.rule.every or run.rule.trigger[0] == "anchor"
            if alone or (other.key, other.n) == (run.key, run.n):
                self.drop(other)
        self.waiting.append(run)
        self.fresh.append(run)

    def of_rule(self, rule):
        return [run for run in self.waiting if run.rule is rule]

    def next_n(self, rule, key, view):
        """R50, R62: a series goes on with the next n within its key's scope; a rotation over all its series."""
        slots = self.slots.get(rule.name, [])
        if not rule.contents:
            slots = [slot for slot in slots
                     if slot[0] == key or (rule.once == "cycle" and slot[1] in view.base.cycle_order_ids)]
        return 1 + max((n for _, _, n in slots), default=0)

    def start_series(self, rule, key, order, anchor, delay, backfill, arrived_at, view):
        n = self.next_n(rule, key, view)
        self.ended.discard(rule.name)
        for other in self.of_rule(rule):
            self.drop(other)
        self.add_slot(Run(rule, key, order, anchor, anchor + delay, backfill, arrived_at, n, n))

    def add_slot(self, run):
        if run.rule.times is not None and run.n > run.rule.times:
            self.ended.add(run.rule.name)
        else:
            self.add(run)

    def decided(self, run, outcome, view):
        """The run has got its last decision; the next slot of its series is made (R50)."""
        self.drop(run)
        rule = run.rule
        if not rule.every:
            return
        self.slots.setdefault(rule.name, []).append((run.key, run.order, run.n))
        if outcome == "while":
            self.ended.add(rule.name)
            return
        anchor = self.anchors.get(rule.name)  # its product may have been edited since the last slot was made (R17)
        delay = delay_of(rule, anchor.order if anchor else None)
        due = run.anchor + delay + (run.n + 1 - run.m) * rule.every
        self.add_slot(Run(rule, run.key, run.order, run.anchor, due, run.backfill, run.arrived_at, run.n + 1, run.m))

    # ---- triggers ----

    def transition(self, rule, move, order, backfill, view):
        """A transition triggers the rule."""
        value = f"{move.after}:{order or '-'}" if rule.once == "to" else None
        key = "to:" + value if value else order_key(rule, order)
        if rule.every:
            self.start_series(rule, key, order, move.effective_at, rule.delay, backfill, view.now, view)
        else:
            self.add(Run(rule, key, order, move.effective_at, move.effective_at + rule.delay, backfill, view.now))

    def event(self, rule, event, fact, view):
        """An order or a delivery triggers the rule when its first record is applied, an edit does not (R60); an answer
        does whenever a record of it is applied (R63)."""
        if fact is None:  # an open that is older than those kept
            return
        content, time, kind = fact.content(), fact.time(), rule.trigger[0]
        if kind == "event":
            if event.kind not in rule.trigger[1] or len(fact.records) > 1:
                return
            order = order_id_of(event)
            key = "delivery:" + event.event_id if rule.once == "delivery" else order_key(rule, order)
            self.add(Run(rule, key, order, time, time + rule.delay, content.backfill, content.arrived_at, fact=fact))
            return
        purposes = rule.trigger[1]
        if event.topic != "surveys" or (purposes and content.purpose not in purposes):
            return
        name = (content.survey_id, content.response_id)
        if kind == "concern":
            for concern in sorted(set(content.concerns or [])):
                self.add(Run(rule, "concern:" + concern, None, time, time + rule.delay, content.backfill,
                             content.arrived_at, response=name, concern=concern))
            return
        order, key = None, "response:" + "/".join(name)
        if rule.once == "cycle":
            order = view.base.cycle_orders[0].id if view.base.cycle_orders else None
            key = order_key(rule, order)
        self.add(Run(rule, key, order, time, time + rule.delay, content.backfill, content.arrived_at, response=name))

    def converted(self, rule, friend, credit):
        self.add(Run(rule, "referral:" + friend, None, credit.time, credit.time + rule.delay, credit.backfill,
                     credit.arrived_at, friend=friend))

    # ---- anchors (R49, R50) ----

    def follow(self, rule, view):
        """Re-reads the rule's anchor. Returns the waiting run when its anchor is gone."""
        now = anchor_of(rule.trigger[1], view)
        before = self.anchors.get(rule.name)  # the one that a run was last made for
        waiting = self.of_rule(rule)
        if now is None:
            self.anchors[rule.name] = None
            for run in waiting:
                self.drop(run)
            return waiting
        key = order_key(rule, now.order_id)
        if rule.every:
            self.anchors[rule.name] = now
            self.follow_series(rule, now, before, waiting, key, view)
        elif not now.same(before) and (waiting or not self.published(rule, key, 1, view)):
            self.anchors[rule.name] = now
            due = now.time + delay_of(rule, now.order)
            self.add(Run(rule, key, now.order_id, now.time, due, now.backfill, now.arrived_at))
        for run in waiting:
            if now.same(before) and now.backfill:
                self.silence(run, now.arrived_at)
        return []

    def silence(self, run, arrived_at):
        """R7: an edit made the fact that the run hangs on a backfill fact."""
        if run.backfill:
            return
        run.backfill, run.arrived_at = True, arrived_at
        if not run.rule.every or run.due <= arrived_at:
            run.wake = min(run.wake, arrived_at)
            self.fresh.append(run)

    def follow_facts(self):
        for run in list(self.waiting):
            if run.fact and run.fact.content().backfill:
                self.silence(run, run.fact.content().arrived_at)

    def follow_series(self, rule, now, before, waiting, key, view):
        if now.same(before):
            return
        delay = delay_of(rule, now.order)
        kept = before is not None and (before.order_id in view.base.cycle_order_ids
                                       or (before.order_id is None and view.base.cycle == 1))
        if not kept:
            self.start_series(rule, key, now.order_id, now.time, delay, now.backfill, now.arrived_at, view)
            return
        for run in waiting:
            due = now.time + delay + (run.n - run.m) * rule.every
            self.add(Run(rule, key, now.order_id, now.time, due, now.backfill, now.arrived_at, run.n, run.m))

    def follow_credits(self, rule, credits):
        """A waiting reward dies with the friend's credit; it is no anchor of R49, so it does not move."""
        gone = []
        for run in self.of_rule(rule):
            if run.friend not in credits:
                self.drop(run)
                gone.append(run)
        return gone

    # ---- calendar (R62) ----

    def keep_calendar(self, rule, view, conditions_hold):
        waiting = [run for run in self.of_rule(rule) if not run.deferred]
        begins = conditions_hold and rule.name not in self.dated
        (self.dated.add if conditions_hold else self.dated.discard)(rule.name)
        if not conditions_hold:
            for run in waiting:
                self.drop(run)
            return
        if begins and next_date(rule, view, view.now - 1)[1] == view.now:  # they begin to hold at that very instant
            self.add_date(rule, view, view.now - 1)
        date, due = next_date(rule, view, view.now)
        key = "date:" + date.isoformat()
        if any(run.due == due or (run.due == view.now and run.key != key) for run in waiting):
            return
        for run in waiting:
            self.drop(run)
        self.add_date(rule, view, view.now)

    def add_date(self, rule, view, after):
        date, due = next_date(rule, view, after)
        self.add(Run(rule, "date:" + date.isoformat(), None, due, due, False, view.now))


def next_date(rule, view, after):
    """The first of the rule's dates at its hour, in the customer's zone, after the instant."""
    _, dates, hour = rule.trigger
    year = local_time(view.now, view.base.zone).year
    for year in range(year - 1, year + 9):  # 29 February comes up to eight years later
        for month, day in dates:
            if (month, day) == (2, 29) and not calendar.isleap(year):
                continue
            date = datetime.date(year, month, day)
            due = at_hour(date, hour, view.base.zone)
            if due > after:
                return date, due
    raise AssertionError("no date")
