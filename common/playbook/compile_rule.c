#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/playbook/compile.h"
#include "common/playbook/nearest.h"

enum { RULES_MAX = 500, VARIANTS_MAX = 20, CONTENTS_MAX = 200, CONDITIONS_MAX = 32 };

static const char *const strategy_names[] = {"educate", "commit_early"};
static const char *const class_names[] = {
    [CLASS_MARKETING] = "marketing", [CLASS_TRANSACTIONAL] = "transactional", [CLASS_INTERNAL] = "internal"};
static const char *const audience_names[] = {
    [AUDIENCE_CUSTOMER] = "customer", [AUDIENCE_SUPPORT] = "support", [AUDIENCE_CONTENT] = "content"};
static const char *const channel_names[] = {
    [CHANNEL_LINE] = "line", [CHANNEL_EMAIL] = "email", [CHANNEL_INSERT] = "insert", [CHANNEL_SERVICE] = "service"};
static const char *const once_names[] = {
    [ONCE_EVER] = "ever",         [ONCE_CYCLE] = "cycle",       [ONCE_ORDER] = "order",
    [ONCE_DELIVERY] = "delivery", [ONCE_RESPONSE] = "response", [ONCE_CONCERN] = "concern",
    [ONCE_FRIEND] = "friend",     [ONCE_DATE] = "date",         [ONCE_TO] = "to"};
static const char *const on_change_names[] = {"keep", "recompute", "drop"};
static const char *const on_cap_names[] = {"defer", "drop"};

/* What a goal may be (R82): a fact, beside the names of phases, stages and tiers. */
static const char *const goal_facts[] = {"purchase", "premium_purchase", "subscription",
                                         "response", "registration",     "referral",
                                         "share",    "effect_felt",      "event_attended"};

/* A rule while it is read. */
struct draft {
    struct rule rule;
    const struct node *node;
    int strategy; /* -1 = of every strategy */
    bool has_audience, has_holdout;
};

/* ---- words ---- */

#define WORD_READER(reader, what, names)                                                                               \
    static void reader(struct compiler *compiler, const struct node *node, const struct place *place, void *target)    \
    {                                                                                                                  \
        static const struct words words = {what, names, COUNT_OF(names)};                                              \
        compile_word(compiler, node, place, &words, target);                                                           \
    }

WORD_READER(read_strategy, "a strategy", strategy_names)
WORD_READER(read_class, "a class", class_names)
WORD_READER(read_once, "a scope of once", once_names)
WORD_READER(read_on_change, "what a change does", on_change_names)
WORD_READER(read_on_cap, "what a cap does", on_cap_names)

static void read_audience(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct words words = {"an audience", audience_names, COUNT_OF(audience_names)};
    struct draft *draft = target;
    int value;
    draft->has_audience = true;
    if (compile_word(compiler, node, place, &words, &value))
        draft->rule.audience = (enum audience)value;
}

static void read_survey(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_purposes();
    int value;
    if (compile_word(compiler, node, place, &words, &value))
        *(struct span *)target = span_of(words.names[value]);
}

/* ---- parts of a rule ---- */

/* One channel alone, or a list in the order in which they are tried (R75). */
static void read_channels(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct words words = {"a channel", channel_names, COUNT_OF(channel_names)};
    struct rule *rule = target;
    uint64_t set;
    int value;
    rule->channel_count = 0;
    if (!compile_word_set(compiler, node, place, &words, &set))
        return;
    const struct node *item = node->kind == NODE_LIST ? node->first : node;
    for (; item != NULL; item = node->kind == NODE_LIST ? item->next : NULL) {
        if (compile_word(compiler, item, place, &words, &value))
            rule->channels[rule->channel_count++] = (enum channel)value;
    }
}

static void read_delay(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const char *const names[] = {"effect_after", "supply_days"};
    static const enum delay_kind kinds[] = {DELAY_EFFECT_AFTER, DELAY_SUPPLY};
    struct delay *delay = target;
    bool scalar = node->kind == NODE_SCALAR;
    for (size_t i = 0; i < COUNT_OF(names) && scalar; i++) {
        if (span_equal(node->text, span_of(names[i]))) {
            *delay = (struct delay){kinds[i], 0};
            return;
        }
    }
    if (!scalar || !duration_parse(node->text, &delay->ms))
        compile_expected(compiler, node, place, "a duration like 14d, 36h or 0, or effect_after or supply_days",
                         scalar ? nearest_name(node->text, names, COUNT_OF(names)) : NULL);
}

static void read_shelf(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const char *const never = "never";
    int64_t ms = 0;
    if (node->kind == NODE_SCALAR && span_equal(node->text, span_of(never)))
        *(int64_t *)target = NEVER;
    else if (node->kind != NODE_SCALAR || !duration_parse(node->text, &ms) || ms == 0)
        compile_expected(compiler, node, place, "a duration like 7d, or never",
                         node->kind == NODE_SCALAR ? nearest_name(node->text, &never, 1) : NULL);
    else
        *(int64_t *)target = ms;
}

static void read_priority(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    int64_t value;
    if (compile_integer(compiler, node, place, 0, 1000, "a priority from 0 to 1000 (high goes first)", &value))
        *(int32_t *)target = (int32_t)value;
}

static void read_conditions(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct rule *rule = target;
    size_t count = compile_list(compiler, node, place, "a list of conditions"), index = 0;
    if (count > CONDITIONS_MAX) {
        compile_error(compiler, node, place, "expected at most 32 conditions, found %zu", count);
        return;
    }
    struct expression *conditions = ARENA_ARRAY(compiler->arena, struct expression, count);
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_expression(compiler, item, &inside, &conditions[index]);
    }
    rule->conditions = conditions;
    rule->condition_count = count;
}

static void read_while(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct rule *rule = target;
    rule->has_while = true;
    read_expression(compiler, node, place, &rule->while_expression);
}

static void read_repeat(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct rule, "every", read_positive_duration, every_ms),
        FIELD(struct rule, "times", read_count32, times),
        {"while", read_while, 0, false},
    };
    ((struct rule *)target)->repeats = true;
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_variants(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct rule *rule = target;
    size_t count = 0;
    uint32_t until = 0;
    for (const struct node *item = node->first; item != NULL; item = item->next)
        count++;
    if (node->kind != NODE_MAP || count < 2 || count > VARIANTS_MAX) {
        compile_expected(compiler, node, place, "a map of 2 to 20 variants and their shares", NULL);
        return;
    }
    struct variant *variants = ARENA_ARRAY(compiler->arena, struct variant, count);
    size_t index = 0;
    for (const struct node *item = node->first; item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .key = item->key};
        uint32_t share = 0;
        read_share(compiler, item, &inside, &share);
        variants[index] = (struct variant){item->key, until += share};
    }
    if (until != 10000)
        compile_error(compiler, node, place, "expected shares that add up to 1, found %u.%04u", until / 10000,
                      until % 10000);
    rule->variants = variants;
    rule->variant_count = count;
}

static void read_contents(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct rule *rule = target;
    size_t count = compile_list(compiler, node, place, "a list of contents"), index = 0;
    if (count > CONTENTS_MAX) {
        compile_error(compiler, node, place, "expected at most 200 contents, found %zu", count);
        return;
    }
    struct span *contents = ARENA_ARRAY(compiler->arena, struct span, count);
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_label(compiler, item, &inside, &contents[index]);
    }
    rule->contents = contents;
    rule->content_count = count;
}

static void read_goal_name(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const enum dimension dimensions[] = {DIMENSION_PHASE, DIMENSION_GROWTH, DIMENSION_TIER};
    const char *names[64];
    size_t count = 0;
    for (; count < COUNT_OF(goal_facts); count++)
        names[count] = goal_facts[count];
    for (size_t d = 0; d < COUNT_OF(dimensions); d++) {
        struct words words = words_of_dimension(dimensions[d]);
        for (size_t i = 0; i < words.count; i++)
            names[count++] = words.names[i];
    }
    for (size_t i = 0; i < count && node->kind == NODE_SCALAR; i++) {
        if (span_equal(node->text, span_of(names[i]))) {
            *(struct span *)target = node->text;
            return;
        }
    }
    compile_expected(compiler, node, place,
                     "a goal (purchase, premium_purchase, subscription, response, registration, referral, share, "
                     "effect_felt, event_attended, or a phase, a stage or a tier)",
                     node->kind == NODE_SCALAR ? nearest_name(node->text, names, count) : NULL);
}

static void read_goal(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct goal, "name", read_goal_name, name),
        FIELD_REQUIRED(struct goal, "within", read_positive_duration, within_ms),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

/* For people; only its shape is checked. */
static void read_hypothesis(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {{"state", read_ignored_text, 0, true},
                                          {"measure", read_ignored_text, 0, true},
                                          {"change", read_ignored_text, 0, true}};
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_rule_holdout(struct compiler *compiler, const struct node *node, const struct place *place,
                              void *target)
{
    struct draft *draft = target;
    draft->has_holdout = true;
    read_share(compiler, node, place, &draft->rule.holdout);
}

static const struct field rule_fields[] = {
    FIELD_REQUIRED(struct draft, "name", read_name, rule.name),
    {"title", read_ignored_text, 0, false},
    {"source", read_ignored_text, 0, false},
    {"hypothesis", read_hypothesis, 0, false},
    FIELD(struct draft, "strategy", read_strategy, strategy),
    FIELD_REQUIRED(struct draft, "trigger", read_trigger, rule.trigger),
    FIELD(struct draft, "delay", read_delay, rule.delay),
    FIELD(struct draft, "conditions", read_conditions, rule),
    FIELD(struct draft, "repeat", read_repeat, rule),
    FIELD_REQUIRED(struct draft, "class", read_class, rule.class),
    {"audience", read_audience, 0, false},
    FIELD(struct draft, "channels", read_channels, rule),
    FIELD_REQUIRED(struct draft, "shelf", read_shelf, rule.shelf_life_ms),
    FIELD_REQUIRED(struct draft, "priority", read_priority, rule.priority),
    FIELD_REQUIRED(struct draft, "once", read_once, rule.once),
    FIELD(struct draft, "cooldown", read_positive_duration, rule.cooldown_ms),
    {"holdout", read_rule_holdout, 0, false},
    FIELD(struct draft, "variants", read_variants, rule),
    FIELD(struct draft, "on_change", read_on_change, rule.on_change),
    FIELD(struct draft, "on_cap", read_on_cap, rule.on_cap),
    FIELD(struct draft, "send_delay", read_duration, rule.send_delay_ms),
    FIELD(struct draft, "template", read_label, rule.template_name),
    FIELD(struct draft, "coupon", read_label, rule.coupon),
    FIELD(struct draft, "contents", read_contents, rule),
    FIELD(struct draft, "survey", read_survey, rule.survey),
    FIELD(struct draft, "goal", read_goal, rule.goal),
};

/* ---- what belongs together ---- */

static const struct node *key_or(const struct node *map, const char *key)
{
    const struct node *node = node_find(map, key);
    return node ? node : map;
}

/* Which triggers give the thing that the key is made of (R47). */
static bool once_fits(const struct rule *rule)
{
    const struct trigger *trigger = &rule->trigger;
    switch (rule->once) {
    case ONCE_EVER:
    case ONCE_CYCLE:
        return true;
    case ONCE_ORDER:
        return trigger->kind == TRIGGER_EVENT || trigger->kind == TRIGGER_ANCHOR;
    case ONCE_DELIVERY:
        return trigger->kind == TRIGGER_EVENT && trigger->kinds == UINT64_C(1) << EVENT_FAILED;
    case ONCE_RESPONSE:
        return trigger->kind == TRIGGER_RESPONSE;
    case ONCE_CONCERN:
        return trigger->kind == TRIGGER_CONCERN;
    case ONCE_FRIEND:
        return trigger->kind == TRIGGER_REFERRAL_CONVERTED;
    case ONCE_DATE:
        return trigger->kind == TRIGGER_CALENDAR;
    case ONCE_TO:
        return trigger->kind == TRIGGER_TIER_UP || trigger->kind == TRIGGER_SEGMENT_UP ||
               trigger->kind == TRIGGER_RETURNED || trigger->kind == TRIGGER_ENTERS || trigger->kind == TRIGGER_REACHES;
    }
    return false;
}

static void check_audience(struct compiler *compiler, const struct draft *draft, const struct place *place)
{
    const struct rule *rule = &draft->rule;
    bool internal = rule->class == CLASS_INTERNAL;
    if (internal != (rule->audience != AUDIENCE_CUSTOMER))
        compile_error(compiler, key_or(draft->node, "audience"), place, "expected %s, found %s",
                      internal ? "audience support or content for an internal rule"
                               : "audience customer for a rule to customers",
                      audience_names[rule->audience]);
    for (size_t i = 0; i < rule->channel_count; i++) {
        if (internal != (rule->channels[i] == CHANNEL_SERVICE))
            compile_error(compiler, key_or(draft->node, "channels"), place, "expected %s, found %s",
                          internal ? "channel service for an internal rule"
                                   : "line, email or insert for a rule to customers",
                          channel_names[rule->channels[i]]);
    }
}

static void check_draft(struct compiler *compiler, const struct draft *draft, const struct place *place)
{
    const struct rule *rule = &draft->rule;
    check_audience(compiler, draft, place);
    if (!once_fits(rule))
        compile_error(compiler, key_or(draft->node, "once"), place,
                      "expected a scope of once that the trigger can give, found %s", once_names[rule->once]);
    if (rule->trigger.kind == TRIGGER_CALENDAR &&
        (rule->repeats || rule->delay.kind != DELAY_FIXED || rule->delay.ms != 0))
        compile_error(compiler, key_or(draft->node, rule->repeats ? "repeat" : "delay"), place,
                      "expected no delay and no repeat for a calendar trigger, found one");
    if (draft->has_holdout && rule->holdout > 0 && rule->class != CLASS_MARKETING)
        compile_error(compiler, key_or(draft->node, "holdout"), place,
                      "expected no holdout for a rule that is not marketing (R67), found one");
    if (rule->content_count > 0 && !rule->repeats)
        compile_error(compiler, key_or(draft->node, "contents"), place,
                      "expected repeat with a rotation of contents, found none");
}

/* What the rule left unsaid. */
static void complete(struct draft *draft, const struct playbook *playbook)
{
    struct rule *rule = &draft->rule;
    if (!draft->has_audience)
        rule->audience = AUDIENCE_CUSTOMER;
    if (rule->channel_count == 0 && rule->class == CLASS_INTERNAL) {
        rule->channels[rule->channel_count++] = CHANNEL_SERVICE;
    } else if (rule->channel_count == 0) { /* R75 */
        rule->channels[rule->channel_count++] = CHANNEL_LINE;
        rule->channels[rule->channel_count++] = CHANNEL_EMAIL;
    }
    if (!draft->has_holdout)
        rule->holdout = rule->class == CLASS_MARKETING ? playbook->holdout : 0;
    if (span_empty(rule->template_name))
        rule->template_name = rule->name;
}

static void check_name(struct compiler *compiler, const struct draft *drafts, size_t index, const struct place *place)
{
    const struct draft *draft = &drafts[index];
    const struct node *name = key_or(draft->node, "name");
    for (size_t i = 0; i < index; i++) {
        bool apart = drafts[i].strategy >= 0 && draft->strategy >= 0 && drafts[i].strategy != draft->strategy;
        if (!apart && !span_empty(draft->rule.name) && span_equal(drafts[i].rule.name, draft->rule.name))
            compile_error(compiler, name, place,
                          "expected a name of its own (or another strategy), found \"%.*s\" again (first on line %d)",
                          (int)draft->rule.name.size, draft->rule.name.data, drafts[i].node->line);
    }
}

static void read_draft(struct compiler *compiler, const struct node *node, const struct place *place,
                       const struct playbook *playbook, struct draft *draft)
{
    size_t errors_before = compiler->errors->count;
    *draft = (struct draft){.node = node, .strategy = -1};
    if (!compile_map(compiler, node, place, rule_fields, COUNT_OF(rule_fields), draft))
        return;
    complete(draft, playbook);
    if (compiler->errors->count == errors_before) /* or one mistake would be told twice */
        check_draft(compiler, draft, place);
}

static uint64_t facts_of(const struct rule *rule)
{
    uint64_t facts = 0;
    for (size_t i = 0; i < rule->condition_count; i++)
        facts |= expression_facts_set(&rule->conditions[i]);
    if (rule->has_while)
        facts |= expression_facts_set(&rule->while_expression);
    return facts;
}

/* Of transitions: where one must end. */
static uint64_t ends_of(const struct trigger *trigger)
{
    switch (trigger->kind) {
    case TRIGGER_ENTERS:
    case TRIGGER_REACHES:
        return CLASS_BIT(trigger->dimension, trigger->value);
    case TRIGGER_TIER_UP:
    case TRIGGER_RETURNED:
        return CLASS_BITS(DIMENSION_TIER);
    case TRIGGER_SEGMENT_UP:
        return CLASS_BITS(DIMENSION_SEGMENT);
    default:
        return 0;
    }
}

static uint64_t kinds_of(const struct trigger *trigger)
{
    switch (trigger->kind) {
    case TRIGGER_EVENT:
        return trigger->kinds;
    case TRIGGER_RESPONSE:
    case TRIGGER_CONCERN:
        return UINT64_C(1) << EVENT_RESPONSE;
    case TRIGGER_REFERRAL_CONVERTED:
        return UINT64_C(1) << EVENT_CREDIT;
    default:
        return 0;
    }
}

static struct rule_places moments_of(struct compiler *compiler, const struct playbook *playbook, uint64_t kind)
{
    struct rule_places found = {NULL, 0};
    if (!(playbook->moment_kinds & kind))
        return found;
    uint32_t *places = ARENA_ARRAY(compiler->arena, uint32_t, playbook->moment_count);
    for (size_t i = 0; i < playbook->moment_count; i++)
        if (playbook->moments[i].kinds & kind)
            places[found.count++] = playbook->moments[i].place;
    found.places = places;
    return found;
}

static void collect_moments(struct compiler *compiler, struct playbook *playbook)
{
    struct rule_moment *moments = ARENA_ARRAY(compiler->arena, struct rule_moment, playbook->rule_count);
    size_t count = 0;
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct trigger *trigger = &playbook->rules[i].trigger;
        struct rule_moment moment = {kinds_of(trigger), ends_of(trigger), (uint32_t)i};
        if (moment.kinds != 0 || moment.classes != 0)
            moments[count++] = moment;
        playbook->moment_kinds |= moment.kinds;
    }
    playbook->moments = moments;
    playbook->moment_count = count;
    for (int kind = 0; kind < MOMENT_KINDS; kind++)
        playbook->of_kind[kind] = moments_of(compiler, playbook, UINT64_C(1) << kind);
}

/* So that a step need not look through all rules for those that it may concern. */
static void collect_anchored(struct compiler *compiler, struct playbook *playbook)
{
    struct rule_anchor *anchored = ARENA_ARRAY(compiler->arena, struct rule_anchor, playbook->rule_count);
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct trigger *trigger = &playbook->rules[i].trigger;
        if (trigger->kind == TRIGGER_ANCHOR)
            anchored[playbook->anchored_count++] = (struct rule_anchor){trigger->anchor, (uint32_t)i};
    }
    playbook->anchored = anchored;
}

static void collect_dated(struct compiler *compiler, struct playbook *playbook)
{
    uint32_t *places = ARENA_ARRAY(compiler->arena, uint32_t, playbook->rule_count);
    for (size_t i = 0; i < playbook->rule_count; i++) {
        if (playbook->rules[i].trigger.kind != TRIGGER_CALENDAR)
            continue;
        places[playbook->dated.count++] = (uint32_t)i;
        playbook->dated_facts |= playbook->rules[i].facts_read;
    }
    playbook->dated.places = places;
}

void compile_rules(struct compiler *compiler, const struct node *node, const struct place *place,
                   struct playbook *playbook)
{
    size_t count = compile_list(compiler, node, place, "a list of rules"), kept = 0, index = 0;
    if (count == 0)
        return;
    if (count > RULES_MAX) {
        compile_error(compiler, node, place, "expected at most 500 rules, found %zu", count);
        return;
    }
    struct draft *drafts = ARENA_ARRAY(compiler->arena, struct draft, count);
    struct rule *rules = ARENA_ARRAY(compiler->arena, struct rule, count);
    for (const struct node *item = node->first; item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_draft(compiler, item, &inside, playbook, &drafts[index]);
        check_name(compiler, drafts, index, &inside);
        int strategy = drafts[index].strategy;
        if (strategy >= 0 && !span_equal(span_of(strategy_names[strategy]), playbook->strategy)) /* R61 */
            continue;
        rules[kept] = drafts[index].rule;
        rules[kept].index = (int)kept;
        rules[kept].name_hash = (uint32_t)hash_xxh64(rules[kept].name);
        rules[kept].facts_read = facts_of(&rules[kept]);
        rules[kept].known = known_rule_find(rules[kept].name);
        kept++;
    }
    playbook->rules = rules;
    playbook->rule_count = kept;
    collect_anchored(compiler, playbook);
    collect_dated(compiler, playbook);
    collect_moments(compiler, playbook);
    for (size_t i = 0; i < kept; i++) {
        const struct trigger *trigger = &rules[i].trigger;
        if (trigger->kind == TRIGGER_ENTERS && trigger->unbroken)
            playbook->stays |= CLASS_BITS(trigger->dimension);
    }
}
