/* R84, R85: a stored customer's figures at an instant, for the `state` record and for people. */
#include "common/engine/open_state.h"

static void report_counts(const struct figures *figures, struct customer_report *report)
{
    report->purchases = figures->purchases;
    report->trial = figures->trial;
    report->premium = figures->premium;
    report->related = figures->related;
    report->renewals = figures->renewals;
    report->shipped = figures->shipped;
    report->delivered = figures->delivered;
    report->failed = figures->failed;
    report->responses = figures->responses;
    report->positive = figures->positive;
    report->negative = figures->negative;
    report->last_satisfaction = figures->last_satisfaction;
    report->last_nps = figures->last_nps;
    report->opens_60d = figures->opens_60d;
    report->clicks_60d = figures->clicks_60d;
    report->referrals = figures->referrals;
    report->referrals_converted = figures->referrals_converted;
    report->shares = figures->shares;
    report->events_attended = figures->events_attended;
    report->support_contacts = figures->support_contacts;
}

static void report_times(const struct figures *figures, struct customer_report *report)
{
    report->first_purchase_at = figures->first_purchase.at;
    report->last_purchase_at = figures->last_purchase.at;
    report->subscription_since = figures->subscription_since.at;
    report->first_delivery_at = figures->first_delivery.at;
    report->last_delivery_at = figures->last_delivery.at;
    report->last_response_at = figures->last_response_at;
    report->last_open_at = figures->last_open_at;
}

static void report_flags(const struct figures *figures, struct customer_report *report)
{
    report->registered_email = figures->registered_email;
    report->registered_line = figures->registered_line;
    report->consent = figures->consent;
    report->subscription = figures->subscription;
    report->effect_felt = figures->effect_felt.at != NEVER;
}

static void report_traces(const struct runs *runs, struct arena *arena, struct customer_report *report)
{
    struct span *traces = ARENA_ARRAY(arena, struct span, runs->waiting_count);
    for (uint32_t i = 0; i < runs->waiting_count; i++) {
        struct span trace = runs->waiting[i].trace;
        size_t place = 0;
        while (place < report->trace_count && !span_equal(traces[place], trace))
            place++;
        if (place == report->trace_count && !span_empty(trace))
            traces[report->trace_count++] = trace;
    }
    report->traces = traces;
}

static bool decode(const struct playbook *playbook, struct arena *arena, struct span state, struct facts *facts,
                   struct runs *runs)
{
    struct state_head head;
    struct state_reader reader;
    runs_init(runs);
    if (!state_decode(state, arena, &head, facts, &reader))
        return false;
    if (facts->known && !runs_decode(runs, playbook, facts, arena, &reader))
        return false;
    return span_empty(state) || state_reader_finish(&reader);
}

static struct customer_report report_of(const struct figures *figures, const struct runs *runs, struct arena *arena)
{
    struct customer_report report = {.erased = figures->facts->erased_at != NEVER};
    report.classes = classes_of(figures);
    report_counts(figures, &report);
    report.money = figures_money(figures, arena, &report.money_count);
    report_times(figures, &report);
    report_flags(figures, &report);
    report.fact_count = facts_counted(figures->facts);
    report.waiting_count = runs->waiting_count;
    report_traces(runs, arena, &report);
    report.used_key_count = runs->published_count + runs->used_count;
    return report;
}

bool step_report(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                 int64_t now, struct customer_report *ret_report)
{
    (void)customer_id; /* the blob does not repeat it */
    struct facts facts;
    struct runs runs;
    struct figures figures;
    if (!decode(world->playbook, arena, state, &facts, &runs))
        return false;
    figures_compute(&facts, world->playbook, arena, now, &figures);
    *ret_report = report_of(&figures, &runs, arena);
    return true;
}

struct customer_report step_report_open(const struct step_world *world, struct arena *arena,
                                        const struct open_state *state, int64_t now)
{
    const struct pass *pass = &state->pass;
    struct figures figures = pass->figures; /* of his last visit; between boundaries they are today's */
    figures.facts = &pass->facts;
    if (!pass->figures_stand || !figures_hold(&figures, now))
        figures_compute(&pass->facts, world->playbook, arena, now, &figures);
    return report_of(&figures, &pass->runs, arena);
}
