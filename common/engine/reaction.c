/* R26 to R28: what the customer answered. */
#include "common/engine/figures_parts.h"

/* R28: (time, XXH64(survey_id), XXH64(response_id)). */
static int compare_responses(uint32_t a, uint32_t b, const struct facts *facts)
{
    const struct response *left = &facts->responses[a], *right = &facts->responses[b];
    if (left->stamp.at != right->stamp.at)
        return left->stamp.at < right->stamp.at ? -1 : 1;
    if (left->survey != right->survey)
        return left->survey < right->survey ? -1 : 1;
    return (left->response > right->response) - (left->response < right->response);
}

/* R27 */
bool response_tells_effect(const struct playbook *playbook, const struct response *response)
{
    if (response->effect_felt == ANSWER_TRUE)
        return true;
    return response->purpose == PURPOSE_EFFECT && response->effect_felt != ANSWER_FALSE &&
           response_positive(playbook, response);
}

static void read_last(struct figures *figures, uint32_t index)
{
    const struct response *response = &figures->facts->responses[index];
    figures->last_response = index;
    figures->last_response_at = response->stamp.at;
    if (response->satisfaction)
        figures->last_satisfaction = response->satisfaction;
    if (response->nps >= 0)
        figures->last_nps = response->nps;
    if (response->satisfaction || response->nps >= 0)
        figures->segment_response = index; /* R44 */
    if (!span_empty(response->goal))
        figures->goal_response = index;
}

struct span figures_goal(const struct figures *figures)
{
    return figures->goal_response == FACT_NONE ? SPAN_NONE : figures->facts->responses[figures->goal_response].goal;
}

static void read_in_cycle(struct figures_work *work, uint32_t index, bool positive)
{
    struct figures *figures = work->figures;
    const struct response *response = &figures->facts->responses[index];
    figures->answered_in_cycle |= 1u << response->purpose;
    if (response->nps >= 0)
        figures->last_nps_in_cycle = response->nps;
    if (positive)
        instant_lower(&figures->first_positive, response->stamp.at);
    if (response->purpose == PURPOSE_EARLY_EXPERIENCE)
        instant_lower(&figures->first_early_experience, response->stamp.at);
    if (figures->effect_felt.at == NEVER && response_tells_effect(figures->playbook, response))
        figures->effect_felt = (struct figure_instant){.at = response->stamp.at,
                                                       .order = FACT_NONE,
                                                       .fact = index,
                                                       .backfill = response->stamp.backfill,
                                                       .hash = stamp_record(figures->facts, &response->stamp)};
}

static void forget_last(struct figures *figures)
{
    figures->last_satisfaction = 0;
    figures->last_nps = figures->last_nps_in_cycle = -1;
    figures->last_response = figures->segment_response = figures->goal_response = FACT_NONE;
    figures->last_response_at = figures->first_positive = figures->first_early_experience = NEVER;
    figures->answered_in_cycle = 0;
    figures->responded_since_first_purchase = false;
    figures->effect_felt = figure_none;
}

void figures_responses(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    figures->responses = facts->folded.responses + facts->responses_count;
    figures->positive = facts->folded.positive;
    figures->negative = facts->folded.negative;
    figures->answered_ever = facts->folded.answered;
    forget_last(figures);
    uint32_t *sorted = ARENA_ARRAY(work->arena, uint32_t, facts->responses_count);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        sorted[i] = i;
    index_sort(sorted, facts->responses_count, work->arena, compare_responses, facts);
    work->responses = sorted;
    for (uint32_t i = 0; i < facts->responses_count; i++) {
        const struct response *response = &facts->responses[sorted[i]];
        bool positive = response_positive(figures->playbook, response);
        figures->positive += positive;
        figures->negative += response_negative(figures->playbook, response);
        figures->answered_ever |= 1u << response->purpose;
        if (figures->first_purchase.at != NEVER && response->stamp.at >= figures->first_purchase.at)
            figures->responded_since_first_purchase = true;
        read_last(figures, sorted[i]);
        if (figures->cycle_start != NEVER && response->stamp.at >= figures->cycle_start)
            read_in_cycle(work, sorted[i], positive);
    }
}
