/* R39, R40: the ladder of a cycle as a gate, and R5: since when, by the facts' own times.
 *
 * Each rung has the instant from which its own condition has held without a break up to now. Conditions that only ever
 * begin (a purchase, a delivery) give their first time; a subscription or the last NPS may end and begin again, so
 * where one of them bears the rung its present spell counts, continued backwards by whatever else held it up before. */
#include "common/engine/classes.h"
#include "common/engine/figures_parts.h"

static int64_t acclimate_since(const struct figures *figures)
{
    int64_t since = figures->first_early_experience;
    if (figures->first_delivery.at != NEVER) {
        int64_t reached = figures->first_delivery.at + figures->playbook->acclimate_after_ms;
        if (reached <= figures->now)
            instant_lower(&since, reached);
    }
    return since;
}

static int64_t accomplish_since(const struct figures *figures)
{
    int64_t since = figures->effect_felt.at;
    if (figures->first_delivery.at == NEVER)
        return since;
    int64_t least = figures->first_delivery.at + figures->first_effect_after_ms;
    for (uint32_t i = figures->cycle_first; i < figures->live_count; i++) {
        int64_t at = figures->facts->orders[figures->live[i]].placed.at;
        if (at < least)
            continue;
        instant_lower(&since, at);
        break;
    }
    return since;
}

/* since, or the start of the earliest spell that reaches it without a gap. */
static int64_t continued_back(const struct spell *spells, size_t count, int64_t since)
{
    for (size_t i = count; i-- > 0;)
        if (spells[i].from < since && spells[i].until >= since)
            since = spells[i].from;
    return since;
}

/* A spell that held when the second purchase came may be folded since (R11). */
static int64_t adopt_since(const struct figures_work *work)
{
    const struct figures *figures = work->figures;
    int64_t since = figures->subscription_since.at;
    if (figures->purchases_in_cycle >= 2 && figures->cycle_first + 1 < figures->live_count)
        instant_lower(&since, figures->facts->orders[figures->live[figures->cycle_first + 1]].placed.at);
    if (since == NEVER)
        return NEVER;
    since = continued_back(work->spells.items, work->spells.count, since);
    if (figures->facts->folded.cycle == figures->cycle)
        instant_lower(&since, figures->facts->folded.adopt_at);
    return since;
}

/* The spells in which the last NPS of the cycle was an advocate's. */
static struct spells advocate_spells(const struct figures_work *work)
{
    const struct figures *figures = work->figures;
    struct spell *spells = ARENA_ARRAY(work->arena, struct spell, figures->facts->responses_count + 1);
    size_t count = 0;
    bool open = false;
    for (uint32_t i = 0; i < figures->facts->responses_count; i++) {
        const struct response *response = &figures->facts->responses[work->responses[i]];
        if (response->nps < 0 || response->stamp.at < figures->cycle_start)
            continue;
        bool advocate = response->nps >= figures->playbook->advocate_nps;
        if (advocate && !open)
            spells[count++] = (struct spell){response->stamp.at, INT64_MAX};
        if (!advocate && open)
            spells[count - 1].until = response->stamp.at;
        open = advocate;
    }
    return (struct spells){spells, count};
}

static int64_t advocate_since(const struct figures_work *work)
{
    const struct figures *figures = work->figures;
    int64_t since = figures->first_shared;
    instant_lower(&since, figures->first_referred);
    if (figures->last_nps_in_cycle < 0)
        return since;
    struct spells spells = advocate_spells(work);
    if (figures->last_nps_in_cycle >= figures->playbook->advocate_nps)
        instant_lower(&since, spells.items[spells.count - 1].from);
    return since == NEVER ? NEVER : continued_back(spells.items, spells.count, since);
}

static void rung_affirm(struct figures *figures)
{
    int64_t *since = &figures->rung_since[PHASE_AFFIRM];
    *since = figures->first_shipped;
    instant_lower(since, figures->first_delivery.at);
    instant_lower(since, figures->first_open);
    instant_lower(since, figures->first_positive);
}

void figures_rungs(struct figures_work *work, uint32_t parts)
{
    struct figures *figures = work->figures;
    int64_t *since = figures->rung_since;
    if (figures->cycle_start == NEVER) { /* admit needs a live purchase in the cycle, and all others need admit */
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            since[phase] = NEVER;
        return;
    }
    since[PHASE_ASSESS] = NEVER;
    since[PHASE_ADMIT] = figures->cycle_start;
    rung_affirm(figures);
    since[PHASE_ACTIVATE] = figures->first_delivery.at;
    since[PHASE_ACCLIMATE] = acclimate_since(figures);
    since[PHASE_ACCOMPLISH] = accomplish_since(figures);
    if (parts & FIGURES_ORDERS)
        since[PHASE_ADOPT] = adopt_since(work);
    if (parts & FIGURES_RESPONSES) /* or a referral: then answers were read, too */
        since[PHASE_ADVOCATE] = advocate_since(work);
}

enum phase phase_of(const struct figures *figures)
{
    enum phase phase = PHASE_ASSESS;
    while (phase + 1 < PHASE_COUNT && figures->rung_since[phase + 1] != NEVER)
        phase++;
    return phase;
}

int64_t phase_effective_at(const struct figures *figures, enum phase phase)
{
    int64_t at = NEVER;
    for (int rung = PHASE_ADMIT; rung <= (int)phase; rung++) {
        if (figures->rung_since[rung] == NEVER)
            return NEVER;
        if (figures->rung_since[rung] > at)
            at = figures->rung_since[rung];
    }
    return at;
}
