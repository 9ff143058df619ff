#include "common/flow/control.h"

struct control control_blank(void)
{
    return (struct control){.tick_at = NEVER};
}

static void playbook_name(struct control *control, const unsigned char hash[32], struct span version)
{
    memcpy(control->playbook_hash, hash, sizeof(control->playbook_hash));
    control->playbook_version = version;
}

struct control control_born(const struct playbook *playbook)
{
    struct control control = control_blank();
    playbook_name(&control, playbook->hash, playbook->version);
    return control;
}

/* The playbook in force activated once more changes nothing; a sweep under it goes on where it is. */
static struct control with_playbook(const struct control *before, const struct forward *record)
{
    struct control after = *before;
    after.activation = record->activation;
    if (memcmp(before->playbook_hash, record->playbook_hash, sizeof(before->playbook_hash)) == 0)
        return after;
    playbook_name(&after, record->playbook_hash, record->playbook_version);
    after.sweeping = true;
    after.swept = SPAN_NONE;
    return after;
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
    case FORWARD_PLAYBOOK:
        return with_playbook(before, record);
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
    copy.playbook_version = arena_copy(arena, control->playbook_version);
    copy.swept = arena_copy(arena, control->swept);
    return copy;
}

struct control control_of_meta(const struct meta *meta)
{
    struct control control = {.pause_marketing = meta->pause_marketing,
                              .rules = meta->paused_rules,
                              .rule_count = meta->paused_rule_count,
                              .tick_at = NEVER,
                              .activation = meta->activation,
                              .sweeping = meta->sweeping,
                              .swept = meta->swept};
    playbook_name(&control, meta->playbook_hash, meta->playbook_version);
    return control;
}

struct pauses control_pauses(const struct control *control)
{
    return (struct pauses){control->pause_marketing, control->rules, control->rule_count};
}
