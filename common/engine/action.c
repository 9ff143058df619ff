/* What goes out: action ids (R77), variants (R72), variables (R80). */
#include "common/base/hash.h"
#include "common/engine/pass.h"
#include "common/engine/window.h"

#include <stdio.h>

static struct uuid action_id(struct pass *pass, struct span rule, struct span key, int32_t n)
{
    char digits[16];
    int size = snprintf(digits, sizeof digits, "%d", n);
    struct span separator = SPAN("\x1F");
    struct span name = pass_text(pass, pass_text(pass, pass->customer_id, separator, rule), separator,
                                 pass_text(pass, key, separator, (struct span){digits, (size_t)size}));
    return uuid_v5(&uuid_action_namespace, name); /* R77 */
}

static struct span variant_of(const struct pass *pass, const struct rule *rule)
{
    if (rule->variant_count == 0)
        return SPAN_NONE;
    uint32_t share = hash_share(SPAN("variant"), rule->name, pass->customer_id);
    for (size_t i = 0; i < rule->variant_count; i++) {
        if (share < rule->variants[i].until)
            return rule->variants[i].name;
    }
    return SPAN_NONE;
}

/* ---- variables (R80) ---- */

enum { VARIABLES_MAX = 10 };

struct variables {
    struct named *items;
    size_t count;
};

static void add_text(struct variables *variables, const char *name, struct span text)
{
    if (!span_empty(text))
        variables->items[variables->count++] = (struct named){.name = span_of(name), .type = NAMED_TEXT, .text = text};
}

static struct span after_prefix(struct span key, struct span prefix)
{
    struct span rest;
    return span_starts(key, prefix, &rest) ? rest : SPAN_NONE;
}

static struct named_list variables_of(struct pass *pass, const struct rule *rule, const struct run *run)
{
    struct variables variables = {ARENA_ARRAY(pass->arena, struct named, VARIABLES_MAX), 0};
    uint32_t order = pass_order(pass, run->order_id);
    add_text(&variables, "order_id", run->order_id);
    if (order != FACT_NONE) {
        add_text(&variables, "product", pass->facts.orders[order].sku);
        add_text(&variables, "campaign", pass->facts.orders[order].campaign);
    }
    add_text(&variables, "coupon", rule->coupon);
    variables.items[variables.count++] = (struct named){
        .name = SPAN("days"), .type = NAMED_INTEGER, .integer = floor_div(pass->now - run->anchor_at, DAY_MS)};
    if (rule->once == ONCE_CONCERN)
        add_text(&variables, "concern", after_prefix(run->key, SPAN("concern:")));
    if (rule->once == ONCE_FRIEND)
        add_text(&variables, "friend", after_prefix(run->key, SPAN("referral:")));
    add_text(&variables, "survey", rule->survey);
    if (rule->content_count > 0)
        add_text(&variables, "content", rule->contents[(size_t)(run->n - 1) % rule->content_count]); /* R62 */
    add_text(&variables, "goal", figures_goal(&pass->figures));
    return (struct named_list){variables.items, variables.count};
}

/* ---- sends and revokes ---- */

static struct action *action_of_sent(struct pass *pass, const struct sent *sent, enum action_kind kind)
{
    struct action *action = &pass_record(pass, RECORD_ACTION)->action;
    action->kind = kind;
    if (pass->world->counts == NULL)
        action->action_id = action_id(pass, sent->rule, sent->key, sent->n);
    action->rule = sent->rule;
    action->key = sent->key;
    action->n = sent->n;
    action->channel = sent->channel;
    action->audience = sent->audience;
    action->class = sent->class;
    action->classes = pass->head.classes;
    action->order_id = sent->order_id;
    action->event_id = pass_event_id(pass);
    action->due_at = sent->due_at;
    action->made_at = sent->made_at;
    action->send_after = sent->send_after;
    action->expires_at = sent->expires_at;
    action->playbook_version = pass->playbook->version;
    action->variant = sent->variant;
    action->trace = sent->trace;
    return action;
}

static void publish_send(struct pass *pass, const struct rule *rule, const struct run *run, const struct sent *sent)
{
    if (pass->world->counts != NULL) {
        pass->world->counts[rule->index].sends++;
        pass->head.seq++; /* as if there were a record */
        return;
    }
    struct action *action = action_of_sent(pass, sent, ACTION_SEND);
    action->template_name = rule->template_name;
    action->variables = variables_of(pass, rule, run);
}

/* What the guards of later decisions read (R47, R70, R73). */
static void count_send(struct pass *pass, const struct rule *rule, const struct run *run)
{
    struct runs *runs = &pass->runs;
    runs_use(runs, pass->arena, rule, run);
    if (rule->class == CLASS_MARKETING)
        runs_count_send(runs, pass->arena, pass_today(pass));
    if (rule->cooldown_ms > 0)
        runs_set_last_sent(runs, pass->arena, rule, pass->now);
}

void action_send(struct pass *pass, const struct rule *rule, const struct run *run, enum channel channel)
{
    struct sent sent = {.rule = run->rule, .key = run->key, .order_id = run->order_id, .n = run->n};
    sent.rule_index = run->rule_index;
    sent.trace = run->trace;
    sent.variant = variant_of(pass, rule);
    sent.class = rule->class;
    sent.audience = rule->audience;
    sent.channel = channel;
    sent.due_at = run->due_at;
    sent.made_at = pass->now;
    sent.send_after = pass->now + rule->send_delay_ms; /* R68 */
    sent.expires_at = rule->shelf_life_ms == NEVER ? NEVER : run->due_at + rule->shelf_life_ms;
    publish_send(pass, rule, run, &sent);
    count_send(pass, rule, run);
    if (sent.expires_at == NEVER || pass->now < sent.expires_at)
        runs_sent_add(&pass->runs, pass->arena, &sent);
}

void action_revoke(struct pass *pass, const struct sent *sent, enum revoke_reason reason)
{
    struct action *action = action_of_sent(pass, sent, ACTION_REVOKE);
    const struct rule *rule = playbook_rule(pass->playbook, sent->rule);
    action->template_name = rule ? rule->template_name : SPAN_NONE;
    action->made_at = action->send_after = pass->now; /* a revoke is made in its own step, as its event_id says (R85) */
    action->reason = reason;
    if (!span_empty(pass_trace(pass)))
        action->trace = pass_trace(pass); /* what takes it back, else what had caused the send */
}
