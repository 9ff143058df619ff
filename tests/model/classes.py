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


def standing(view):
    """R39, R40: how many rungs above `assess` hold, each with those below it."""
    base = view.base
    if not base.cycle_orders:
        return 0
    first = view.first_delivery
    own = [
        True,
        bool(support_times(view)),
        first is not None,
        first is not None and view.now >= first[0] + playbook.ACCLIMATE_AFTER or bool(early_times(view)),
        bool(accomplish_times(view)),
        len(base.cycle_orders) >= 2 or base.subscription,
        bool(view.cycle_nps and view.cycle_nps.nps >= 9) or bool(told_times(view)),
    ]
    return own.index(False) if False in own else len(own)


def support_times(view):
    """affirm: shipped, delivered, a human open or click, a positive reaction, all of the cycle."""
    base = view.base
    opens = []
    if base.last_open_at is not None and base.in_cycle(base.last_open_at):
        kept = [time for time, _, _ in view.kept_opens if base.in_cycle(time)]
        opens = [min(kept) if kept else base.last_open_at]
    return ([parcel.shipped_at() for parcel in base.cycle_parcels if parcel.shipped()]
            + [delivery[0] for delivery in view.deliveries] + opens
            + [response.time for response in base.cycle_responses if response.positive])


def early_times(view):
    return [response.time for response in view.base.cycle_responses if response.purpose == "EARLY_EXPERIENCE"]


def accomplish_times(view):
    base, first = view.base, view.first_delivery
    felt = [view.effect.time] if view.effect else []
    if not first:
        return felt
    after = first[0] + first[4].figure("effect_after", playbook.EFFECT_AFTER)
    return felt + [order.time for order in base.cycle_orders if order.time >= after]


def told_times(view):
    base = view.base
    return [time for time in base.referral_times + base.shares if base.in_cycle(time)]


def nps_holds(view, at):
    stated = [response for response in view.base.cycle_responses if response.nps is not None and response.time <= at]
    return bool(stated) and stated[-1].nps >= 9


def rung_times(view):
    """R5: for each rung where the customer stands, the instant since which its own condition and those below hold, by the
    facts' own times: the past is read at each instant at which one of them could begin or cease to hold."""
    count = standing(view)
    if count == 0:
        return []
    base, first = view.base, view.first_delivery
    settled = [first[0] + playbook.ACCLIMATE_AFTER] if first and view.now >= first[0] + playbook.ACCLIMATE_AFTER else []
    instants = sorted({base.cycle_start, *support_times(view), *settled, *early_times(view), *accomplish_times(view),
                       *told_times(view), *(order.time for order in base.cycle_orders),
                       *(change[0] for change in base.subscription_changes),
                       *(response.time for response in base.cycle_responses)})
    times = []
    for at in instants:
        def some(candidates):
            return any(time <= at for time in candidates)
        own = [
            base.cycle_start <= at, some(support_times(view)), some(delivery[0] for delivery in view.deliveries),
            some(settled + early_times(view)), some(accomplish_times(view)),
            sum(order.time <= at for order in base.cycle_orders) >= 2 or base.subscribed_at(at),
            nps_holds(view, at) or some(told_times(view)),
        ]
        reached = own.index(False) if False in own else len(own)
        del times[reached:]
        times += [at] * (reached - len(times))
    assert len(times) == count
    return times


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
    return {"tier": tier_of(view), "phase": playbook.PHASES[standing(view)], "growth": growth_of(view),
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
        return {"purchases_in_cycle": len(base.cycle_orders), "shipped": sum(parcel.shipped() for parcel in base.cycle_parcels),
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
