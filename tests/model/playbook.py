"""The default playbook: section H of RULINGS.md as a Python table, typed from the page and from nothing else."""

DAY = 86400000
HOUR = 3600000

VERSION = "default-1"
CURRENCY = "JPY"
TIME_ZONE = "Asia/Tokyo"
LAPSE = 90 * DAY
TRANSIT = 2 * DAY
EFFECT_AFTER = 14 * DAY
SUPPLY = 30 * DAY
SETTLE_PURCHASES = 2
ACCLIMATE_AFTER = 3 * DAY
WINDOW_START = 9  # local hours, [start, end)
WINDOW_END = 20
CAP_DAY = 2
CAP_WEEK = 7
HOLDOUT = 500  # in 1/10000
GLOBAL_CONTROL = 0
MAX_AHEAD = 24 * HOUR
HISTORY_FACTS = 64
HISTORY_DAYS = 400
FACTS_MAX = 8192
FIRST_PURCHASE_IS_TRIAL = False
NEWSLETTERS = ["campaign_news", "new_product", "developer_story", "user_voices", "reader_senryu"]

# (SKU pattern, role, {figure: value in ms or purchases}). Section H states no products: these are the shipped file's.
PRODUCTS = [
    ("TRIAL-*", "trial", {"effect_after": 14 * DAY, "supply_days": 14 * DAY}),
    ("PREMIUM-*", "premium", {"effect_after": 14 * DAY, "supply_days": 30 * DAY}),
    ("RELATED-*", "related", {}),
    ("SUB-30-*", "regular", {"supply_days": 30 * DAY, "settle_purchases": 2}),
]

TIERS = ["prospect", "dormant", "lapsed", "visitor", "follower", "supporter", "partner"]  # by rank (R36)
PHASES = ["assess", "admit", "affirm", "activate", "acclimate", "accomplish", "adopt", "advocate"]
GROWTHS = ["none", "purchaser", "customer", "enthusiast", "audience", "fan", "member", "evangelist"]
SEGMENTS = ["unknown"] + [f"{kind}_{height}" for kind in ("detractor", "passive", "promoter")
                          for height in ("low", "mid", "high")]


class Rule:
    def __init__(self, name, trigger, delay, conditions, cls, shelf, priority, once, every=None, times=None,
                 holds=None, channels=("line", "email"), audience="customer", strategy=None, contents=None,
                 unbroken=False, cooldown=None, on_cap="defer"):
        self.name = name
        self.trigger = trigger
        self.delay = delay  # ms, or the name of a product figure
        self.conditions = conditions
        self.cls = {"M": "marketing", "T": "transactional", "I": "internal"}[cls]
        self.shelf = None if shelf is None else shelf * DAY
        self.priority = priority
        self.once = once
        self.every = every  # ms between slots; None = no series
        self.times = times  # the highest n; None = no end
        self.holds = holds  # the `while`
        self.channels = channels
        self.audience = audience
        self.strategy = strategy
        self.contents = contents
        self.unbroken = unbroken
        self.cooldown = cooldown  # ms (R73)
        self.on_cap = on_cap
        self.place = None
        self.template = name


def section_h():
    placed, bought = ("event", ("PLACED",)), ("event", ("PLACED", "SUBSCRIPTION_RENEWED"))
    any_response, effect = ("response", None), ("response", ("EFFECT",))
    delivery, effect_felt = ("anchor", "first_delivery"), ("anchor", "effect_felt")
    last, cycle_first = ("anchor", "last_purchase"), ("anchor", "first_purchase_of_cycle")

    def phase(name):
        return ("enters", "phase", name)

    def tier(name):
        return ("enters", "tier", name)

    def growth(name):
        return ("reaches", name)

    return [
        Rule("reassure_concern", ("concern", ("ASSESS",)), 0, [], "M", 3, 60, "concern"),
        Rule("credibility_pack", phase("assess"), 0, ["purchases = 0"], "M", 7, 50, "ever"),
        Rule("assess_survey", phase("assess"), 1 * DAY, ["purchases = 0", "ASSESS unanswered"], "M", 7, 45, "ever"),
        Rule("thank_you", bought, 0, ["order live"], "T", 2, 100, "order"),
        Rule("registration_invite", placed, 0, ["order live", "not registered"], "T", 3, 50, "cycle",
             channels=("insert", "email")),
        Rule("usage_insert", placed, 0, ["order live", "first of cycle"], "M", 3, 40, "cycle", channels=("insert",)),
        Rule("reconfirm", delivery, 1 * DAY, [], "M", 3, 70, "cycle"),
        Rule("aftercare_guide", phase("affirm"), 0, [], "M", 7, 65, "cycle"),
        Rule("positive_stories", phase("affirm"), 2 * DAY, [], "M", 7, 40, "cycle"),
        Rule("share_positive_feedback", any_response, 0, ["positive", "consent to share"], "I", 30, 50, "response",
             audience="content"),
        Rule("setup_guide", delivery, 0, [], "M", 3, 90, "cycle"),
        Rule("support_line", delivery, 0, [], "M", 3, 80, "cycle"),
        Rule("delivery_trouble", ("event", ("FAILED",)), 0, ["order not void"], "T", 2, 95, "delivery"),
        Rule("advanced_tips", phase("acclimate"), 0, [], "M", 7, 60, "cycle"),
        Rule("tip", phase("acclimate"), 2 * DAY, [], "M", 3, 30, "cycle", every=7 * DAY, times=4,
             holds="phase acclimate"),
        Rule("result_vision", delivery, 7 * DAY, ["effect not felt"], "M", 5, 50, "cycle"),
        Rule("progress_report", delivery, "effect_after", [], "M", 7, 55, "cycle", every=30 * DAY, times=3,
             holds="with us"),
        Rule("celebrate_next_step", phase("accomplish"), 0, [], "M", 7, 60, "cycle"),
        Rule("habit_reminder", last, 30 * DAY, ["phase adopt"], "M", 7, 45, "order"),
        Rule("value_recap", phase("adopt"), 60 * DAY, [], "M", 7, 35, "cycle", every=60 * DAY, holds="phase adopt"),
        Rule("event_invite", phase("adopt"), 90 * DAY, [], "M", 14, 35, "cycle", every=90 * DAY, holds="phase adopt"),
        Rule("referral_offer", phase("advocate"), 0, [], "M", 14, 70, "cycle"),
        Rule("share_kit", phase("advocate"), 7 * DAY, [], "M", 14, 40, "cycle"),
        Rule("referral_reward", ("converts",), 0, [], "T", None, 90, "friend"),
        Rule("second_purchase_nudge", delivery, "supply_days", ["purchases = 1", "no subscription"], "M", 7, 75,
             "cycle"),
        Rule("subscription_offer", effect_felt, 0, ["no subscription"], "M", 14, 75, "cycle"),
        Rule("partner_invitation", tier("supporter"), 30 * DAY, ["tier supporter"], "M", 14, 60, "cycle",
             unbroken=True),
        Rule("tier_up", ("tier_up",), 0, [], "M", 7, 50, "to"),
        Rule("segment_up", ("segment_up",), 0, [], "M", 7, 40, "to"),
        Rule("responsive_fan", any_response, 0, ["responses >= 3", "tier follower or supporter"], "M", 7, 45, "cycle"),
        Rule("winback_offer", tier("lapsed"), 0, ["tier lapsed"], "M", 14, 80, "cycle"),
        Rule("welcome_back", ("returned",), 0, [], "M", 7, 85, "cycle"),
        Rule("initial_survey", ("anchor", "first_purchase_ever"), 14 * DAY, ["no response since first purchase"], "M",
             9, 70, "ever"),
        Rule("monthly_survey", cycle_first, 44 * DAY, [], "M", 7, 40, "cycle", every=30 * DAY, holds="with us"),
        Rule("lapse_survey", last, 90 * DAY, ["no subscription", "responses >= 1"], "M", 14, 70, "order"),
        Rule("we_miss_you", last, 90 * DAY, ["no subscription", "responses = 0"], "M", 14, 70, "order"),
        Rule("survey_thanks", any_response, 0, [], "T", 7, 60, "response"),
        Rule("care_followup", any_response, 0, ["negative"], "I", 7, 95, "response", audience="support"),
        Rule("guarantee_followup", effect, 0, ["effect denied or negative", "premium >= 1"], "I", 14, 95, "response",
             audience="support"),
        Rule("first_impression_check", delivery, 1 * DAY, ["FIRST_IMPRESSION unanswered"], "M", 3, 65, "cycle"),
        Rule("early_experience_check", delivery, 3 * DAY, ["EARLY_EXPERIENCE unanswered"], "M", 3, 65, "cycle"),
        Rule("effect_reminder", delivery, "effect_after", ["EFFECT unanswered"], "M", 5, 85, "cycle"),
        Rule("others_noticed_check", delivery, 30 * DAY, ["OTHERS_NOTICED unanswered"], "M", 7, 45, "cycle"),
        Rule("effect_recall", effect_felt, 30 * DAY, [], "M", 7, 35, "cycle", every=30 * DAY, holds="with us"),
        Rule("newsletter", cycle_first, 30 * DAY, [], "M", 7, 25, "cycle", every=30 * DAY, holds="with us",
             strategy="educate", contents=NEWSLETTERS),
        Rule("newsletter", ("anchor", "subscription_since"), 30 * DAY, [], "M", 7, 25, "cycle", every=30 * DAY,
             holds="subscription", strategy="commit_early", contents=NEWSLETTERS),
        Rule("seasonal_letter", ("calendar", ((2, 4), (5, 5), (8, 7), (11, 7)), 9), 0, ["subscription"], "M", 14, 20,
             "date", channels=("insert",)),
        Rule("premium_offer", placed, 0, ["purchases = 1", "order live"], "M", 3, 55, "ever", strategy="commit_early",
             channels=("insert", "line", "email")),
        Rule("premium_offer", growth("enthusiast"), 0, [], "M", 14, 55, "ever", strategy="educate"),
        Rule("recognition", growth("member"), 0, [], "M", 14, 65, "ever"),
        Rule("partner_program", growth("evangelist"), 0, [], "M", 30, 65, "ever"),
    ]


def rules_of(strategy):
    """The chosen strategy's rules (R61), each with its place in the playbook."""
    rules = [rule for rule in section_h() if rule.strategy in (None, strategy)]
    for place, rule in enumerate(rules):
        rule.place = place
    return rules
