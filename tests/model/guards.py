"""Conditions and guards of a run, in the order of R66."""

import datetime

import playbook
from hashing import share_hash
from playbook import DAY
from zones import at_hour, local_time

HOUR = playbook.HOUR


def _response(view, run):
    for response in view.base.responses:
        if run.response == (response.survey_id, response.response_id):
            return response
    return None


def _effect_denied_or_negative(view, run):
    response = _response(view, run)
    return response.effect_felt is False or response.negative


def _no_response_since(view, run):
    first = view.base.live[0].time if view.base.live else None
    return first is None or not any(response.time >= first for response in view.base.responses)


CONDITIONS = {
    "purchases = 0": lambda view, run: view.purchases == 0,
    "purchases = 1": lambda view, run: view.purchases == 1,
    "premium >= 1": lambda view, run: view.premium >= 1,
    "order live": lambda view, run: run.order in view.base.orders and view.base.orders[run.order].live,
    "order not void": lambda view, run: run.order not in view.base.void,
    "first of cycle": lambda view, run: bool(view.base.cycle_orders) and view.base.cycle_orders[0].id == run.order,
    "not registered": lambda view, run: not view.registered,
    "positive": lambda view, run: _response(view, run).positive,
    "negative": lambda view, run: _response(view, run).negative,
    "consent to share": lambda view, run: _response(view, run).content.consent_to_share is True,
    "effect denied or negative": _effect_denied_or_negative,
    "effect not felt": lambda view, run: view.effect is None,
    "no subscription": lambda view, run: not view.base.subscription,
    "subscription": lambda view, run: view.base.subscription,
    "no response since first purchase": _no_response_since,
    "responses >= 3": lambda view, run: len(view.base.responses) >= 3,
    "responses >= 1": lambda view, run: len(view.base.responses) >= 1,
    "responses = 0": lambda view, run: len(view.base.responses) == 0,
    "tier follower or supporter": lambda view, run: view.classes["tier"] in ("follower", "supporter"),
    "tier supporter": lambda view, run: view.classes["tier"] == "supporter",
    "tier lapsed": lambda view, run: view.classes["tier"] == "lapsed",
    "phase adopt": lambda view, run: view.classes["phase"] == "adopt",
    "phase acclimate": lambda view, run: view.classes["phase"] == "acclimate",
    "with us": lambda view, run: view.classes["tier"] not in ("lapsed", "dormant"),
}


def holds(name, view, run):
    if name.endswith(" unanswered"):
        return not view.answered(name[:-len(" unanswered")])
    return CONDITIONS[name](view, run)


class Verdict:
    def __init__(self, outcome, detail=None, until=None, channel=None):
        self.outcome = outcome
        self.detail = detail
        self.until = until
        self.channel = channel


def decide(customer, view, run):
    """R66, R67."""
    rule, now = run.rule, view.now
    if run.backfill and (not rule.every or run.due <= run.arrived_at):
        return Verdict("backfill")
    for name in rule.conditions:
        if not holds(name, view, run):
            return Verdict("condition", name)
    if rule.trigger[0] == "event" and "FAILED" not in rule.trigger[1] and run.order in view.base.void:
        return Verdict("cancelled", "order_void")  # R78: placed after its cancellation arrived
    if rule.holds and not holds(rule.holds, view, run):
        return Verdict("while", rule.holds)
    if rule.shelf is not None and now - run.due > rule.shelf:
        return Verdict("stale")
    marketing = rule.cls == "marketing"
    if marketing and not view.base.consent:
        return Verdict("consent")
    if marketing and held_out(customer.id, rule):
        return Verdict("holdout")
    if customer.published(rule, run.key, run.n, view):
        return Verdict("once")
    if cooling_down(customer, rule, now):
        return Verdict("cooldown")
    if marketing:
        zone = view.base.zone
        local = local_time(now, zone)
        if capped(customer, local.date()):
            if rule.on_cap == "drop":
                return Verdict("capped")
            return Verdict("deferred", "capped",
                           at_hour(local.date() + datetime.timedelta(days=1), playbook.WINDOW_START, zone))
        if not playbook.WINDOW_START <= local.hour < playbook.WINDOW_END:
            day = local.date() + datetime.timedelta(days=0 if local.hour < playbook.WINDOW_START else 1)
            return Verdict("deferred", "quiet", at_hour(day, playbook.WINDOW_START, zone))
    if rule.cls == "internal":
        return Verdict("sent", channel="service")
    for channel in rule.channels:
        if reachable(view, channel, rule.cls):
            return Verdict("sent", channel=channel)
    return Verdict("unreachable")


def held_out(customer_id, rule):
    """R72."""
    return (share_hash("holdout", rule.name, customer_id) < playbook.HOLDOUT
            or share_hash("holdout", "*", customer_id) < playbook.GLOBAL_CONTROL)


def cooling_down(customer, rule, now):
    """R73."""
    sends = [send.action["made_at"] for send in customer.sends if send.run.rule is rule]
    return rule.cooldown is not None and bool(sends) and now - sends[-1] < rule.cooldown


def capped(customer, today):
    """R70."""
    dates = [send.local_date for send in customer.sends if send.run.rule.cls == "marketing"]
    week = today - datetime.timedelta(days=6)
    return (sum(date == today for date in dates) >= playbook.CAP_DAY
            or sum(week <= date <= today for date in dates) >= playbook.CAP_WEEK)


def reachable(view, channel, cls):
    """R75."""
    base = view.base
    if channel == "line":
        return base.registered["LINE"] and not base.bounced["LINE"]
    if channel == "email":
        return (cls == "transactional" or base.registered["EMAIL"]) and not base.bounced["EMAIL"]
    shipped = {parcel.order.id for parcel in base.parcels.values() if parcel.shipped() or "DELIVERED" in parcel.facts}
    return base.subscription or any(order.id not in shipped for order in base.live)
