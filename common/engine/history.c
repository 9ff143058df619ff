/* R11: which facts may no longer be told about; and which of the uncounted notes stay (R22 to R25). */
#include "common/engine/facts.h"

/* The counted facts: orders placed, refunds, parcel facts, subscription changes, answers, referrals. */
struct counted {
    size_t unfolded;
    struct stamp *oldest; /* unfolded; NULL = none */
    int64_t newest_at;    /* of all; NEVER = none */
};

static inline void count_stamp(struct counted *counted, struct stamp *stamp)
{
    if (!stamp_known(stamp))
        return;
    if (stamp->at > counted->newest_at)
        counted->newest_at = stamp->at;
    if (stamp->folded)
        return;
    counted->unfolded++;
    const struct stamp *oldest = counted->oldest;
    if (!oldest || stamp->at < oldest->at || (stamp->at == oldest->at && stamp->hash < oldest->hash))
        counted->oldest = stamp;
}

static struct counted count_facts(struct facts *facts)
{
    struct counted counted = {.newest_at = NEVER};
    for (uint32_t i = 0; i < facts->orders_count; i++)
        count_stamp(&counted, &facts->orders[i].placed);
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        count_stamp(&counted, &facts->refunds[i].stamp);
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        count_stamp(&counted, &facts->parcels[i].shipped);
        count_stamp(&counted, &facts->parcels[i].delivered);
        count_stamp(&counted, &facts->parcels[i].returned);
    }
    for (uint32_t i = 0; i < facts->failures_count; i++)
        count_stamp(&counted, &facts->failures[i].stamp);
    for (uint32_t i = 0; i < facts->changes_count; i++)
        count_stamp(&counted, &facts->changes[i].stamp);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        count_stamp(&counted, &facts->responses[i].stamp);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        if (facts->notes[i].kind == EVENT_REFERRED)
            count_stamp(&counted, &facts->notes[i].stamp);
    return counted;
}

/* Whether there may be more than so many counted facts. Cheap, so that a usual customer costs nothing: most of the
 * notes are opens, and most parcels were not returned. */
static bool counted_above(const struct facts *facts, size_t most)
{
    size_t count = (size_t)facts->orders_count + facts->refunds_count + (size_t)2 * facts->parcels_count +
                   facts->failures_count + facts->changes_count + facts->responses_count;
    if (count + facts->parcels_count + facts->notes_count <= most)
        return false;
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        count += stamp_known(&facts->parcels[i].returned);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        count += facts->notes[i].kind == EVENT_REFERRED;
    return count > most;
}

static bool old_enough(const struct playbook *playbook, int64_t at, int64_t newest)
{
    return at < newest - playbook->history_days * DAY_MS;
}

bool history_has_room(const struct facts *facts, const struct playbook *playbook, int64_t at)
{
    if (playbook->facts_max > 0 && !counted_above(facts, (size_t)playbook->facts_max - 1))
        return true;
    struct counted counted = count_facts((struct facts *)facts);
    if (counted.unfolded < (size_t)playbook->facts_max)
        return true;
    int64_t newest_at = at > counted.newest_at ? at : counted.newest_at;
    return counted.oldest && old_enough(playbook, counted.oldest->at, newest_at);
}

/* A fact of this time has come. Whether, by what is known of their times, none of them all is old enough. */
static bool stay_recent(struct facts *facts, const struct playbook *playbook, int64_t at)
{
    if (facts->unfrozen_from == NEVER || at < facts->unfrozen_from) {
        facts->unfrozen_from = NEVER;
        return false;
    }
    if (at > facts->unfrozen_to)
        facts->unfrozen_to = at;
    return !old_enough(playbook, facts->unfrozen_from, facts->unfrozen_to);
}

void history_freeze(struct facts *facts, const struct playbook *playbook, int64_t at)
{
    if (stay_recent(facts, playbook, at) || !counted_above(facts, (size_t)playbook->history_facts))
        return;
    for (;;) {
        struct counted counted = count_facts(facts);
        struct stamp *oldest = counted.oldest;
        facts->unfrozen_from = oldest ? oldest->at : NEVER;
        facts->unfrozen_to = counted.newest_at;
        if (counted.unfolded <= (size_t)playbook->history_facts || !old_enough(playbook, oldest->at, counted.newest_at))
            return;
        oldest->folded = true;
        facts->folded.newest_at = oldest->at > facts->folded.newest_at ? oldest->at : facts->folded.newest_at;
    }
}

/* ---- notes: of opens, clicks, registrations and consents the newest are kept (R22 to R25) ---- */

enum {
    OPENS_KEPT = 32, /* R25 */
    SPARE_NOTES = 16 /* superseded ones, so that a repeated or edited record is still recognised */
};

/* Each of these needs its newest note. */
enum note_use {
    USE_REGISTERED_EMAIL,
    USE_REGISTERED_LINE,
    USE_UNREGISTERED_EMAIL,
    USE_UNREGISTERED_LINE,
    USE_BOUNCED_EMAIL,
    USE_BOUNCED_LINE,
    USE_OPENED_EMAIL,
    USE_OPENED_LINE,
    USE_CONSENT,
    USE_REFUSAL,
    USE_TIME_ZONE,
    USE_COUNT
};

static bool note_serves(const struct note *note, enum note_use use)
{
    bool line = note->channel == EVENT_CHANNEL_LINE;
    bool opened = (note->kind == EVENT_OPENED || note->kind == EVENT_CLICKED) && note->agent == AGENT_HUMAN;
    switch (use) {
    case USE_REGISTERED_EMAIL: return note->kind == EVENT_REGISTERED && !line;
    case USE_REGISTERED_LINE: return note->kind == EVENT_REGISTERED && line;
    case USE_UNREGISTERED_EMAIL: return note->kind == EVENT_UNREGISTERED && !line;
    case USE_UNREGISTERED_LINE: return note->kind == EVENT_UNREGISTERED && line;
    case USE_BOUNCED_EMAIL: return note->kind == EVENT_BOUNCED && !line;
    case USE_BOUNCED_LINE: return note->kind == EVENT_BOUNCED && line;
    case USE_OPENED_EMAIL: return opened && !line;
    case USE_OPENED_LINE: return opened && line;
    case USE_CONSENT: return note->kind == EVENT_CONSENTED || note->marketing_consent == ANSWER_TRUE;
    case USE_REFUSAL:
        return note->kind == EVENT_OPTED_OUT || note->kind == EVENT_UNSUBSCRIBED || note->kind == EVENT_COMPLAINED;
    case USE_TIME_ZONE: return !span_empty(note->time_zone);
    default: return false;
    }
}

static int compare_notes(const struct note *a, const struct note *b)
{
    if (a->stamp.at != b->stamp.at)
        return a->stamp.at < b->stamp.at ? -1 : 1;
    if (a->stamp.hash != b->stamp.hash)
        return a->stamp.hash < b->stamp.hash ? -1 : 1;
    int zone = span_compare(a->time_zone, b->time_zone); /* as contact.c has it */
    return zone != 0 ? zone : (a->stamp.source > b->stamp.source) - (a->stamp.source < b->stamp.source);
}

static void keep_newest(const struct facts *facts, bool *keep, enum note_use use)
{
    uint32_t newest = FACT_NONE;
    for (uint32_t i = 0; i < facts->notes_count; i++)
        if (note_serves(&facts->notes[i], use) &&
            (newest == FACT_NONE || compare_notes(&facts->notes[i], &facts->notes[newest]) > 0))
            newest = i;
    if (newest != FACT_NONE)
        keep[newest] = true;
}

enum note_group { GROUP_COUNTED, GROUP_OPENS, GROUP_REST };

static enum note_group note_group(const struct note *note)
{
    if (note->kind == EVENT_REFERRED || note->kind == EVENT_SHARED || note->kind == EVENT_EVENT_ATTENDED ||
        note->kind == EVENT_SUPPORT_CONTACTED)
        return GROUP_COUNTED;
    if (note_serves(note, USE_OPENED_EMAIL) || note_serves(note, USE_OPENED_LINE))
        return GROUP_OPENS;
    return GROUP_REST;
}

/* Marks the newest `most` notes of the group that are not kept yet. */
static void keep_group(const struct facts *facts, bool *keep, enum note_group group, int most)
{
    for (; most > 0; most--) {
        uint32_t newest = FACT_NONE;
        for (uint32_t i = 0; i < facts->notes_count; i++)
            if (!keep[i] && note_group(&facts->notes[i]) == group &&
                (newest == FACT_NONE || compare_notes(&facts->notes[i], &facts->notes[newest]) > 0))
                newest = i;
        if (newest == FACT_NONE)
            return;
        keep[newest] = true;
    }
}

bool history_compact_notes(struct facts *facts, struct arena *arena)
{
    if (facts->notes_count <= SPARE_NOTES)
        return false;
    uint32_t in_group[3] = {0, 0, 0};
    for (uint32_t i = 0; i < facts->notes_count; i++)
        in_group[note_group(&facts->notes[i])]++;
    if (in_group[GROUP_OPENS] <= OPENS_KEPT && in_group[GROUP_REST] <= SPARE_NOTES)
        return false;
    bool *keep = ARENA_ARRAY(arena, bool, facts->notes_count);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        keep[i] = note_group(&facts->notes[i]) == GROUP_COUNTED;
    keep_group(facts, keep, GROUP_OPENS, OPENS_KEPT); /* R25 */
    for (enum note_use use = 0; use < USE_COUNT; use++)
        keep_newest(facts, keep, use);
    keep_group(facts, keep, GROUP_REST, SPARE_NOTES);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < facts->notes_count; i++)
        if (keep[i])
            facts->notes[kept++] = facts->notes[i];
    facts->notes_count = kept;
    return true;
}
