"""Tier, phase, growth and segment of a view (R35 to R45)."""

import playbook
from facts import last_stated
from playbook import DAY

DIMENSIONS = ("tier", "phase", "growth", "segment")
ORDER = {"tier": playbook.TIERS, "phase": playbook.PHASES, "growth": playbook.GROWTHS, "segment": playbook.SEGMENTS}


def tier_of(view):
    """DOMAIN.md 3: from the top, the first row that holds."""
    if not view.registered or view.purchases == 0:
        return "prospect"
    days, subscription, positive = view.days_since_last_purchase, view.base.subscription, view.positive
    if view.purchases >= 2 and days < 60 and subscription and positive >= 3:
        return "partner"
    if days < 60 and subscription and positive >= 2:
        return "supporter"
    if view.purchases == 1 and view.trial == 1 and days < 60 and not subscription:
        return "visitor"
    if days < 90 and not subscription:
        return "follower"
    if days >= 90 and not subscription and positive >= 1:
        return "lapsed"
    if subscription:
        return "follower"
    return "dormant"


def rung_times(view):
    """R39, R40, R5: for each rung from `admit` up to where the customer stands, the instant at which it and those below
    first held by the facts' own times."""
    base, now = view.base, view.now
    if not base.cycle_orders:
        return []
    start = base.cycle_start
    rungs = []

    opens = []
    if base.last_open_at is not None and base.last_open_at >= start:
        kept = [time for time, _, _ in view.kept_opens if time >= start]
        opens = [min(kept) if kept else base.last_open_at]
    shipped = [parcel.shipped_at() for parcel in base.cycle_parcels if parcel.shipped()]
    delivered = [delivery[0] for delivery in view.deliveries]
    positive = [response.time for response in base.cycle_responses if response.positive]

    first = view.first_delivery
    settled = [first[0] + playbook.ACCLIMATE_AFTER] if first and now >= first[0] + playbook.ACCLIMATE_AFTER else []
    early = [response.time for response in base.cycle_responses if response.purpose == "EARLY_EXPERIENCE"]

    felt = [view.effect.time] if view.effect else []
    again = []
    if first:
        after = first[0] + first[4].figure("effect_after", playbook.EFFECT_AFTER)
        again = [order.time for order in base.cycle_orders if order.time >= after][:1]

    second = [order.time for order in base.cycle_orders[1:2]]
    subscribed = [base.since] if base.subscription else []

    nps = []
    if view.cycle_nps and view.cycle_nps.nps >= 9:
        stated = [response for response in base.cycle_responses if response.nps is not None]
        while stated and stated[-1].nps >= 9:  # the present unbroken run of such answers
            nps = [stated.pop().time]
    told = [time for time in base.referral_times + base.shares if base.in_cycle(time)]

    own = [[start], shipped + delivered + opens + positive, delivered, settled + early, felt + again,
           second + subscribed, nps + told]
    for times in own:
        if not times:
            break
        rungs.append(max([min(times)] + rungs[-1:]))
    return rungs


def growth_of(view):
    """R43."""
    base = view.base
    settle = view.last_purchase.figure("settle_purchases", playbook.SETTLE_PURCHASES) if view.last_purchase else 0
    own = [
        view.purchases >= 1,
        view.purchases >= settle,
        view.purchases >= 3 or view.premium >= 1 or view.related >= 1,
        view.opens >= 4 or view.clicks >= 2,
        (view.last_nps is not None and view.last_nps.nps >= 9) or base.referrals >= 1 or base.events_attended >= 1,
        base.renewals >= 6,
        view.premium >= 1 and view.related >= 1 and base.referrals_converted >= 3,
    ]
    stage = 0
    while stage < len(own) and own[stage]:
        stage += 1
    return playbook.GROWTHS[stage]


def segment_of(view):
    """R44."""
    response = last_stated(view.base.responses, "nps", "satisfaction")
    if response is None:
        return "unknown"
    nps, satisfaction = response.nps, response.satisfaction
    by_nps = None if nps is None else 2 if nps >= 9 else 1 if nps >= 7 else 0
    by_satisfaction = None if satisfaction is None else 2 if satisfaction >= 4 else 1 if satisfaction == 3 else 0
    kind = by_nps if by_nps is not None else by_satisfaction
    height = by_satisfaction if by_satisfaction is not None else by_nps
    return f"{('detractor', 'passive', 'promoter')[kind]}_{('low', 'mid', 'high')[height]}"


def classes_of(view):
    return {"tier": tier_of(view), "phase": playbook.PHASES[len(rung_times(view))], "growth": growth_of(view),
            "segment": segment_of(view)}


def evidence_of(view, dimension):
    """R45."""
    base = view.base
    last = view.last_nps.nps if view.last_nps else None
    if dimension == "tier":
        return {"registered": view.registered, "purchases": view.purchases, "trial": view.trial,
                "days_since_last_purchase": view.days_since_last_purchase, "subscription": base.subscription,
                "positive_reactions": view.positive}
    if dimension == "phase":
        return {"purchases_in_cycle": len(base.cycle_orders), "shipped": view.shipped,
                "first_delivery_at": view.first_delivery[0] if view.first_delivery else None,
                "effect_felt": view.effect is not None, "subscription": base.subscription,
                "last_nps": view.cycle_nps.nps if view.cycle_nps else None,
                "referrals": sum(base.in_cycle(time) for time in base.referral_times),
                "shares": sum(base.in_cycle(time) for time in base.shares)}
    if dimension == "growth":
        return {"purchases": view.purchases, "premium": view.premium, "related": view.related,
                "opens_60d": view.opens, "clicks_60d": view.clicks, "last_nps": last, "referrals": base.referrals,
                "events_attended": base.events_attended, "renewals": base.renewals,
                "referrals_converted": base.referrals_converted}
    response = last_stated(base.responses, "nps", "satisfaction")
    return {"nps": response.nps if response else None, "satisfaction": response.satisfaction if response else None,
            "response_id": response.response_id if response else None}


class Move:
    """One transition."""

    def __init__(self, dimension, before, after, direction, rest, effective_at, returned=False):
        self.dimension = dimension
        self.before = before
        self.after = after
        self.direction = direction
        self.rest = rest
        self.effective_at = effective_at
        self.returned = returned


def moves(before, after, view, cause):
    """The transitions of a step in R42's order. `before` is None at first sight (R13); `cause` is None for time."""
    at = cause.occurred_at if cause else view.now
    found = []
    for dimension in DIMENSIONS:
        ranks = ORDER[dimension]
        old = before[dimension] if before else {"growth": "none", "segment": "unknown"}.get(dimension)
        new = after[dimension]
        if old == new:
            continue
        if dimension in ("phase", "growth"):
            found += climb(dimension, ranks, old, new, view, cause, at)
            continue
        if old is None or (dimension == "segment" and old == "unknown"):
            direction = "enter"
        else:
            direction = "up" if ranks.index(new) > ranks.index(old) else "down"
        returned = (dimension == "tier" and old in ("lapsed", "dormant") and cause is not None
                    and new in ("visitor", "follower", "supporter", "partner"))  # R38
        found.append(Move(dimension, old, new, direction, True, at, returned))
    return found


def climb(dimension, ranks, old, new, view, cause, at):
    """R41: each rung passed upward is a move of its own; a fall is one."""
    times = [at] + rung_times(view) if dimension == "phase" and cause else None
    if old is not None and ranks.index(new) < ranks.index(old):
        return [Move(dimension, old, new, "down", True, times[ranks.index(new)] if times else at)]
    found = []
    start = -1 if old is None else ranks.index(old)
    for rank in range(start + 1, ranks.index(new) + 1):
        direction = "enter" if rank == 0 else "up"
        found.append(Move(dimension, ranks[rank - 1] if rank else None, ranks[rank], direction, ranks[rank] == new,
                          times[rank] if times else at))
    return found
