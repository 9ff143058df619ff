#include "common/flow/control.h"

struct control control_blank(void)
{
    return (struct control){.tick_at = NEVER};
}

static struct control without_rule(const struct control *before, struct span rule, struct arena *arena)
{
    struct control after = *before;
    struct span *rules = ARENA_ARRAY(arena, struct span, before->rule_count + 1); /* room for one more */
    after.rule_count = 0;
    for (size_t i = 0; i < before->rule_count; i++)
        if (!span_equal(before->rules[i], rule))
            rules[after.rule_count++] = before->rules[i];
    after.rules = rules;
    return after;
}

struct control control_after(const struct control *before, const struct forward *record, struct arena *arena)
{
    struct control after = *before;
    bool pause = record->kind == FORWARD_PAUSE;
    switch (record->kind) {
    case FORWARD_TICK:
        if (record->tick_at > after.tick_at)
            after.tick_at = record->tick_at;
        return after;
    case FORWARD_PAUSE:
    case FORWARD_RESUME:
        if (span_empty(record->rule)) { /* all marketing; rules held by name stay held */
            after.pause_marketing = pause;
            return after;
        }
        after = without_rule(before, record->rule, arena);
        if (pause)
            ((struct span *)after.rules)[after.rule_count++] = record->rule;
        return after;
    default:
        return after;
    }
}

struct control control_copy(const struct control *control, struct arena *arena)
{
    struct control copy = *control;
    struct span *rules = ARENA_ARRAY(arena, struct span, control->rule_count);
    for (size_t i = 0; i < control->rule_count; i++)
        rules[i] = arena_copy(arena, control->rules[i]);
    copy.rules = rules;
    return copy;
}

struct control control_of_meta(const struct meta *meta)
{
    return (struct control){.pause_marketing = meta->pause_marketing,
                            .rules = meta->paused_rules,
                            .rule_count = meta->paused_rule_count,
                            .tick_at = NEVER};
}

struct pauses control_pauses(const struct control *control)
{
    return (struct pauses){control->pause_marketing, control->rules, control->rule_count};
}
