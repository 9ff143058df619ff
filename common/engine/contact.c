/* R22 to R25, R33: registration, consent, reach, opens and clicks, time zone. */
#include "common/engine/figures_parts.h"

#define OPENS_WINDOW_MS (60 * DAY_MS) /* R25 */
enum { OPENS_KEPT = 32 };             /* R25 */

/* The newest of a kind of fact, by (time, id). Facts lie about as they came and are read from the last to the first:
 * most are then seen at a glance to be older. Of one time and id (from two sources) that which came first counts. */
struct newest {
    int64_t at;
    const struct stamp *stamp;
};

static void take_newer(struct newest *newest, const struct stamp *stamp)
{
    if (newest->stamp && (stamp->at < newest->at || (stamp->at == newest->at && stamp->hash < newest->stamp->hash)))
        return;
    *newest = (struct newest){stamp->at, stamp};
}

struct channel_facts {
    struct newest registered; /* REGISTERED: ends a bounce */
    struct newest stated;     /* the same, or an order that says so */
    struct newest unregistered;
    struct newest bounced;
    struct newest opened; /* HUMAN open or click */
};

struct contact {
    struct channel_facts channels[2]; /* by enum event_channel */
    struct newest consent, refusal, zone;
    struct span zone_name;                /* that `zone` states */
    uint32_t zone_order, zone_note;       /* that `zone` is of */
    int64_t opens_after;                  /* an open or click of this time or before is of no count */
    const struct note *opens[OPENS_KEPT]; /* the newest after it, newest first */
    size_t open_count;
};

static bool open_newer(const struct note *a, const struct note *b)
{
    return a->stamp.at > b->stamp.at || (a->stamp.at == b->stamp.at && a->stamp.hash > b->stamp.hash);
}

/* R25: the newest 32, opens and clicks together. */
static void keep_open(struct contact *contact, const struct note *note)
{
    size_t at = contact->open_count;
    if (note->stamp.at <= contact->opens_after || (at == OPENS_KEPT && open_newer(contact->opens[--at], note)))
        return;
    for (; at > 0 && !open_newer(contact->opens[at - 1], note); at--)
        contact->opens[at] = contact->opens[at - 1];
    contact->opens[at] = note;
    contact->open_count += contact->open_count < OPENS_KEPT;
}

/* R33: the last by time, then by id as far as an order keeps it. Records of one id that another source or another order
 * tells, too, go by the zone's name: whichever came first is of no account (R1). */
static bool zone_is_last(const struct contact *contact, struct span time_zone, const struct stamp *stamp)
{
    const struct newest *last = &contact->zone;
    if (last->stamp == NULL || stamp->at != last->at)
        return last->stamp == NULL || stamp->at > last->at;
    uint64_t id = stamp->hash & STAMP_TIE_MASK, last_id = last->stamp->hash & STAMP_TIE_MASK;
    return id != last_id ? id > last_id : span_compare(time_zone, contact->zone_name) >= 0;
}

static void take_zone(struct contact *contact, struct span time_zone, const struct stamp *stamp, uint32_t order,
                      uint32_t note)
{
    if (span_empty(time_zone) || !zone_is_last(contact, time_zone, stamp))
        return;
    contact->zone = (struct newest){stamp->at, stamp};
    contact->zone_name = time_zone;
    contact->zone_order = order;
    contact->zone_note = note;
}

static void read_open(struct contact *contact, struct channel_facts *channel, const struct note *note)
{
    if (note->agent != AGENT_HUMAN) /* R25 */
        return;
    take_newer(&channel->opened, &note->stamp);
    keep_open(contact, note);
}

/* Of any other kind than those. */
static void read_statement(struct contact *contact, const struct facts *facts, uint32_t index)
{
    const struct note *note = &facts->notes[index];
    struct channel_facts *channel = &contact->channels[note->channel];
    switch (note->kind) {
    case EVENT_REGISTERED:
        take_newer(&channel->registered, &note->stamp);
        take_newer(&channel->stated, &note->stamp);
        if (note->marketing_consent == ANSWER_TRUE) /* R23: false says nothing */
            take_newer(&contact->consent, &note->stamp);
        take_zone(contact, note->time_zone, &note->stamp, FACT_NONE, index);
        return;
    case EVENT_UNREGISTERED:
        take_newer(&channel->unregistered, &note->stamp);
        return;
    case EVENT_BOUNCED:
        take_newer(&channel->bounced, &note->stamp);
        return;
    case EVENT_CONSENTED:
        take_newer(&contact->consent, &note->stamp);
        return;
    case EVENT_OPTED_OUT:
    case EVENT_UNSUBSCRIBED:
    case EVENT_COMPLAINED:
        take_newer(&contact->refusal, &note->stamp);
        return;
    default:
        return;
    }
}

/* Most notes are opens. */
static void read_note(struct contact *contact, const struct facts *facts, uint32_t index)
{
    const struct note *note = &facts->notes[index];
    if (note->kind == EVENT_OPENED || note->kind == EVENT_CLICKED)
        read_open(contact, &contact->channels[note->channel], note);
    else
        read_statement(contact, facts, index);
}

bool order_tells_contacts(const struct order *order)
{
    return order->email_registered == ANSWER_TRUE || order->line_registered == ANSWER_TRUE ||
           order->marketing_consent == ANSWER_TRUE || !span_empty(order->time_zone);
}

/* An order tells of registration and consent whether it is live or void (R22, R23). */
static void read_order(struct contact *contact, const struct facts *facts, uint32_t index)
{
    const struct order *order = &facts->orders[index];
    if (!stamp_known(&order->placed))
        return;
    if (order->email_registered == ANSWER_TRUE)
        take_newer(&contact->channels[EVENT_CHANNEL_EMAIL].stated, &order->placed);
    if (order->line_registered == ANSWER_TRUE)
        take_newer(&contact->channels[EVENT_CHANNEL_LINE].stated, &order->placed);
    if (order->marketing_consent == ANSWER_TRUE)
        take_newer(&contact->consent, &order->placed);
    take_zone(contact, order->time_zone, &order->placed, index, FACT_NONE);
}

static bool registered(const struct channel_facts *channel)
{
    if (channel->stated.stamp || channel->unregistered.stamp) /* R22: the last explicit; tie: UNREGISTERED */
        return channel->stated.stamp && (!channel->unregistered.stamp || channel->stated.at > channel->unregistered.at);
    return channel->opened.stamp != NULL;
}

static bool bounced(const struct channel_facts *channel)
{
    if (!channel->bounced.stamp)
        return false;
    if (channel->registered.stamp && channel->registered.at > channel->bounced.at) /* R24: a later proof */
        return false;
    return !channel->opened.stamp || channel->opened.at <= channel->bounced.at;
}

static void set_consent(struct figures *figures, const struct contact *contact)
{
    const struct newest *consent = &contact->consent, *refusal = &contact->refusal;
    figures->consent = consent->stamp && (!refusal->stamp || consent->at > refusal->at); /* R23: tie: the refusal */
    const struct newest *deciding = figures->consent ? consent : refusal;
    figures->consent_at = deciding->stamp ? deciding->at : NEVER;
    figures->consent_source = deciding->stamp ? deciding->stamp->source : 0;
}

static void count_opens(struct figures_work *work, const struct contact *contact)
{
    struct figures *figures = work->figures;
    figures->opens_60d = figures->clicks_60d = 0;
    figures->last_open_at = figures->first_open = figures->contacts_change_at = NEVER;
    for (size_t i = 0; i < 2; i++) {
        const struct newest *opened = &contact->channels[i].opened;
        if (opened->stamp && (figures->last_open_at == NEVER || opened->at > figures->last_open_at))
            figures->last_open_at = opened->at;
    }
    for (size_t i = 0; i < contact->open_count; i++) {
        const struct note *note = contact->opens[i];
        figures->opens_60d += note->kind == EVENT_OPENED;
        figures->clicks_60d += note->kind == EVENT_CLICKED;
        instant_lower(&figures->contacts_change_at, note->stamp.at + OPENS_WINDOW_MS);
        if (figures->cycle_start != NEVER && note->stamp.at >= figures->cycle_start)
            figures->first_open = note->stamp.at; /* R25: the oldest kept in the cycle */
    }
    if (figures->first_open == NEVER && figures->cycle_start != NEVER && figures->last_open_at != NEVER &&
        figures->last_open_at >= figures->cycle_start)
        figures->first_open = figures->last_open_at; /* R25: else the last one's time */
}

/* All but the opens, of which none are there yet. */
static void contact_init(struct contact *contact, int64_t now)
{
    memset(contact, 0, offsetof(struct contact, opens));
    contact->zone_order = contact->zone_note = FACT_NONE;
    contact->opens_after = now - OPENS_WINDOW_MS;
    contact->open_count = 0;
}

void figures_contacts(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    struct contact contact;
    contact_init(&contact, figures->now);
    for (uint32_t i = facts->notes_count; i-- > 0;)
        read_note(&contact, facts, i);
    for (uint32_t i = facts->orders_count; i-- > 0;)
        read_order(&contact, facts, i);
    figures->registered_email = registered(&contact.channels[EVENT_CHANNEL_EMAIL]);
    figures->registered_line = registered(&contact.channels[EVENT_CHANNEL_LINE]);
    figures->bounced_email = bounced(&contact.channels[EVENT_CHANNEL_EMAIL]);
    figures->bounced_line = bounced(&contact.channels[EVENT_CHANNEL_LINE]);
    set_consent(figures, &contact);
    figures->zone_order = contact.zone_order;
    figures->zone_note = contact.zone_note;
    count_opens(work, &contact);
}

struct span figures_time_zone(const struct figures *figures)
{
    if (figures->zone_order != FACT_NONE)
        return figures->facts->orders[figures->zone_order].time_zone;
    return figures->zone_note != FACT_NONE ? figures->facts->notes[figures->zone_note].time_zone : SPAN_NONE;
}
