#include "common/engine/pass.h"

#include "common/engine/window.h"

/* What of the figures is not of these facts any more. More may be read again, for what orders and the clock change. */
static uint32_t parts_to_read(const struct pass *pass)
{
    if (pass->figures.now > pass->now)
        return FIGURES_ALL;
    return pass->figures_stand ? FIGURES_TIME : pass->figures_parts;
}

static uint32_t anchors_same(const struct pass *pass, const struct figures *before, uint32_t parts)
{
    uint32_t same = figures_same_anchors(before, &pass->figures, parts);
    if (!(parts & FIGURES_ORDERS) || figures_same_live(before, &pass->figures))
        return same;
    return same & pass->anchors_settled;
}

/* Returns which parts of the figures were read. */
static uint32_t read_figures(struct pass *pass, uint32_t parts)
{
    pass->figures_stand = true;
    if (parts != FIGURES_ALL)
        return figures_follow(&pass->facts, pass->arena, pass->now, parts, &pass->figures);
    figures_compute(&pass->facts, pass->playbook, pass->arena, pass->now, &pass->figures);
    return parts;
}

void pass_read(struct pass *pass)
{
    pass->values_known = pass->moments = 0;
    pass->transitions = NULL;
    pass->boundary_at = NEVER;
    if (pass->figures_stand && figures_hold(&pass->figures, pass->now)) {
        pass->figures.now = pass->now;
        return;
    }
    const struct figures before = pass->figures;
    uint32_t changed_parts = parts_to_read(pass), parts = read_figures(pass, changed_parts);
    if (changed_parts == FIGURES_TIME)
        pass->boundary_at = before.next_change_at;
    if (changed_parts & FIGURES_ORDERS) /* as of all; none of the other parts alone names a zone */
        pass->zone_ready = false;
    if (pass->anchors_stand != 0)
        pass->anchors_stand &= anchors_same(pass, &before, parts);
    bool known = before.playbook == pass->playbook; /* else these are the first */
    uint64_t changed = known ? figures_changed_facts(&before, &pass->figures, parts) : UINT64_MAX;
    pass->classes_stale |= changed;
    pass->dates_stale |= changed;
}

struct record *pass_record(struct pass *pass, enum record_type type)
{
    struct record *record = ARENA_NEW(pass->arena, struct record);
    record->type = type;
    record->at = pass->now;
    record->customer_id = pass->customer_id;
    record->seq = ++pass->head.seq;
    if (pass->records_last)
        pass->records_last->next = record;
    else
        pass->records = record;
    pass->records_last = record;
    return record;
}

struct span pass_event_id(const struct pass *pass)
{
    return pass->event ? pass->event->event_id : SPAN_NONE;
}

struct span pass_trace(const struct pass *pass)
{
    return pass->event ? pass->event->trace : SPAN_NONE;
}

const struct zone *pass_zone(struct pass *pass)
{
    if (pass->zone_ready)
        return pass->zone;
    const struct zone *before = pass->zone;
    pass->zone = window_zone(pass->playbook, pass->world->zones, figures_time_zone(&pass->figures), before);
    pass->zone_ready = true;
    if (pass->zone != before)
        pass->offset_until = NEVER;
    return pass->zone;
}

int64_t pass_local(struct pass *pass)
{
    const struct zone *zone = pass_zone(pass);
    if (pass->now < pass->offset_from || pass->now >= pass->offset_until) {
        pass->offset = zone_offset(zone, pass->now, &pass->offset_until);
        pass->offset_from = pass->now;
    }
    return pass->now + pass->offset;
}

struct wall_clock pass_clock(struct pass *pass)
{
    int64_t local = pass_local(pass);
    return (struct wall_clock){pass->zone, pass->now, local, pass->offset_until};
}

int64_t pass_today(struct pass *pass)
{
    return floor_div(pass_local(pass), DAY_MS);
}

uint32_t pass_order(const struct pass *pass, struct span order_id)
{
    const struct order *orders = pass->facts.orders;
    if (span_empty(order_id))
        return FACT_NONE;
    for (uint32_t i = 0; i < pass->facts.orders_count; i++) { /* mostly the very text: then no byte of it is read */
        if (orders[i].id.data == order_id.data && orders[i].id.size == order_id.size)
            return i;
    }
    return facts_find_order(&pass->facts, order_id);
}

struct span pass_order_id(const struct pass *pass, uint32_t order)
{
    return order == FACT_NONE ? SPAN_NONE : pass->facts.orders[order].id;
}

struct span pass_cycle_order(const struct pass *pass)
{
    const struct figures *figures = &pass->figures;
    if (figures->cycle_first >= figures->live_count)
        return SPAN_NONE;
    return pass_order_id(pass, figures->live[figures->cycle_first]);
}

bool pass_order_in_cycle(const struct pass *pass, struct span order_id)
{
    uint32_t order = pass_order(pass, order_id);
    return order != FACT_NONE && figures_in_cycle(&pass->figures, order);
}

struct span pass_text(struct pass *pass, struct span a, struct span b, struct span c)
{
    char *text = arena_take(pass->arena, a.size + b.size + c.size + 1);
    size_t size = 0;
    const struct span parts[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].size > 0)
            memcpy(text + size, parts[i].data, parts[i].size);
        size += parts[i].size;
    }
    return (struct span){text, size};
}

struct span pass_bring_text(struct pass *pass, struct span text)
{
    struct text_room *room = &pass->texts;
    if (text_room_had_last(room, &text))
        return text;
    if (room->block == NULL || !text_room_bring(room, &text))
        pass->run_texts_stand = false; /* open_state_settle sees to it */
    return text;
}

/* ---- a run's facts ---- */

static void order_values(const struct pass *pass, uint32_t order, struct fact_values *values)
{
    values->value[FACT_order_live] = 0;
    values->value[FACT_order_void] = 0;
    values->value[FACT_order_first_of_cycle] = 0;
    values->campaign = SPAN_NONE;
    if (order == FACT_NONE)
        return;
    const struct order *known = &pass->facts.orders[order];
    values->value[FACT_order_live] = order_live(known);
    values->value[FACT_order_void] = order_void(known);
    const struct figures *figures = &pass->figures;
    values->value[FACT_order_first_of_cycle] = /* R58 */
        figures->cycle_first < figures->live_count && figures->live[figures->cycle_first] == order;
    values->campaign = known->campaign;
}

static void response_values(const struct pass *pass, const struct run *run, struct fact_values *values)
{
    uint32_t index = FACT_NONE;
    if (run->has_response)
        index = facts_find_response(&pass->facts, run->survey, run->response);
    values->value[FACT_response_positive] = FACT_ABSENT;
    values->value[FACT_response_negative] = FACT_ABSENT;
    values->value[FACT_response_consent_to_share] = FACT_ABSENT;
    values->value[FACT_response_effect_felt] = FACT_ABSENT;
    if (index == FACT_NONE)
        return;
    const struct response *response = &pass->facts.responses[index];
    values->value[FACT_response_positive] = response_positive(pass->playbook, response);
    values->value[FACT_response_negative] = response_negative(pass->playbook, response);
    values->value[FACT_response_consent_to_share] = response->consent_to_share == ANSWER_TRUE;
    if (response->effect_felt != ANSWER_ABSENT)
        values->value[FACT_response_effect_felt] = response->effect_felt == ANSWER_TRUE;
}

/* Figures are taken over one by one, as somebody asks for them: a condition names two or three. */
static void values_need(struct pass *pass, uint64_t facts)
{
    if (pass->values == NULL)
        pass->values = arena_take_raw(pass->arena, sizeof *pass->values);
    uint64_t missing = facts & ~pass->values_known;
    if (missing != 0)
        figures_values(&pass->figures, missing, pass->values);
    pass->values_known |= missing;
}

/* A table is read again only when a fact that it names may be another. */
struct customer_classes pass_classes(struct pass *pass)
{
    const struct playbook *playbook = pass->playbook;
    const struct figures *figures = &pass->figures;
    struct customer_classes classes = pass->head.classes;
    if (pass->classes_stale & playbook->tier_facts) {
        values_need(pass, playbook->tier_facts);
        classes.tier = tier_of(figures, pass->values);
    }
    if (pass->classes_stale & playbook->growth_facts) {
        values_need(pass, playbook->growth_facts);
        classes.growth = growth_of(figures, pass->values);
    }
    classes.phase = phase_of(figures);
    classes.segment = segment_of(figures);
    classes.cycle = figures->cycle;
    pass->classes_stale = 0;
    return classes;
}

#define FACTS_OF_ORDER                                                                                                 \
    (FACT_BIT(FACT_order_live) | FACT_BIT(FACT_order_void) | FACT_BIT(FACT_order_first_of_cycle) |                     \
     FACT_BIT(FACT_campaign))
#define FACTS_OF_RESPONSE                                                                                              \
    (FACT_BIT(FACT_response_positive) | FACT_BIT(FACT_response_negative) | FACT_BIT(FACT_response_consent_to_share) |  \
     FACT_BIT(FACT_response_effect_felt))
#define FACTS_OF_CLASSES (FACT_BIT(FACT_tier) | FACT_BIT(FACT_phase) | FACT_BIT(FACT_growth) | FACT_BIT(FACT_segment))

static void class_values(const struct customer_classes *classes, struct fact_values *values)
{
    values->value[FACT_tier] = classes->tier;
    values->value[FACT_phase] = classes->phase;
    values->value[FACT_growth] = classes->growth;
    values->value[FACT_segment] = classes->segment;
}

const struct fact_values *pass_values(struct pass *pass, const struct run *run, uint64_t facts)
{
    values_need(pass, facts & ~(FACTS_OF_ORDER | FACTS_OF_RESPONSE | FACTS_OF_CLASSES));
    struct fact_values *values = pass->values;
    static const struct run none;
    if (facts & FACTS_OF_CLASSES)
        class_values(&pass->head.classes, values);
    if (facts & FACTS_OF_ORDER)
        order_values(pass, run ? pass_order(pass, run->order_id) : FACT_NONE, values);
    if (facts & FACTS_OF_RESPONSE)
        response_values(pass, run ? run : &none, values);
    return values;
}
