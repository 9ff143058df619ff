#include "common/playbook/playbook.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/playbook/compile.h"
#include "common/playbook/expression_op.h"

#include <stdlib.h>

enum { TIER_ROWS_MAX = 64, PRODUCTS_MAX = 2000, SOURCES_MAX = 64, BOUNDARIES_MAX = 4096 };

/* The playbook and the memory that everything in it lies in. */
struct owned_playbook {
    struct playbook playbook; /* first: playbook_free finds its way back */
    struct arena arena;
};

static const char *const strategy_names[] = {"educate", "commit_early"};
static const char *const fallback_names[] = {"never", "after_ship"};

/* What tables of tiers and growth may read: what the customer is known by, not what is derived from it, and nothing of
 * a single run. */
static bool table_fact(enum fact fact)
{
    return (fact < FACT_tier && fact != FACT_consent) || fact == FACT_campaign || fact == FACT_goal;
}

static void allow_table_facts(bool allowed[FACT_COUNT])
{
    for (int i = 0; i < FACT_COUNT; i++)
        allowed[i] = table_fact((enum fact)i);
}

/* ---- small maps ---- */

static void read_strategy(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct words words = {"a strategy", strategy_names, COUNT_OF(strategy_names)};
    int value;
    if (compile_word(compiler, node, place, &words, &value))
        *(struct span *)target = span_of(strategy_names[value]);
}

static void read_currency(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    bool good = node->kind == NODE_SCALAR && node->text.size == 3;
    for (size_t i = 0; good && i < 3; i++)
        good = node->text.data[i] >= 'A' && node->text.data[i] <= 'Z';
    if (!good)
        compile_expected(compiler, node, place, "a currency of three capital letters like JPY", NULL);
    else
        *(struct span *)target = node->text;
}

static void read_window(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct playbook, "start", read_time_of_day, window_start_ms),
        FIELD_REQUIRED(struct playbook, "end", read_time_of_day, window_end_ms),
    };
    struct playbook *playbook = target;
    if (compile_map(compiler, node, place, fields, COUNT_OF(fields), target) &&
        playbook->window_start_ms >= playbook->window_end_ms)
        compile_error(compiler, node, place, "expected a start before the end, found it at or after the end");
}

static void read_caps(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "day", read_count32, cap_day),
        FIELD(struct playbook, "week", read_count32, cap_week),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_defaults(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "transit_days", read_days, transit_ms),
        FIELD(struct playbook, "effect_after", read_positive_duration, effect_after_ms),
        FIELD(struct playbook, "supply_days", read_days, supply_ms),
        FIELD(struct playbook, "settle_purchases", read_count64, settle_purchases),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_history(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "facts", read_count64, history_facts),
        FIELD(struct playbook, "days", read_count64, history_days),
        FIELD(struct playbook, "facts_max", read_count64, facts_max),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_fallback(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct words words = {"a fallback", fallback_names, COUNT_OF(fallback_names)};
    int value;
    if (compile_word(compiler, node, place, &words, &value))
        *(bool *)target = value == 1;
}

static void read_sources(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct playbook *playbook = target;
    size_t count = 0;
    for (const struct node *item = node->first; item != NULL; item = item->next)
        count++;
    if (node->kind != NODE_MAP || count == 0 || count > SOURCES_MAX) {
        compile_expected(compiler, node, place, "a map of 1 to 64 sources and their fallback", NULL);
        return;
    }
    struct source_fallback *fallbacks = ARENA_ARRAY(compiler->arena, struct source_fallback, count);
    size_t index = 0;
    for (const struct node *item = node->first; item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .key = item->key};
        fallbacks[index].source = item->key;
        read_fallback(compiler, item, &inside, &fallbacks[index].after_ship);
    }
    playbook->source_fallbacks = fallbacks;
    playbook->source_fallback_count = count;
}

static void read_delivery(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "fallback", read_fallback, fallback_after_ship),
        {"sources", read_sources, 0, false},
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_positive(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "nps", read_nps, positive_nps),
        FIELD(struct playbook, "satisfaction", read_satisfaction, positive_satisfaction),
        FIELD(struct playbook, "satisfaction_nps", read_nps, positive_satisfaction_nps),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_negative(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "nps", read_nps, negative_nps),
        FIELD(struct playbook, "satisfaction", read_satisfaction, negative_satisfaction),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_reactions(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {{"positive", read_positive, 0, false}, {"negative", read_negative, 0, false}};
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_segments(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "promoter_nps", read_nps, promoter_nps),
        FIELD(struct playbook, "passive_nps", read_nps, passive_nps),
        FIELD(struct playbook, "high_satisfaction", read_satisfaction, high_satisfaction),
        FIELD(struct playbook, "mid_satisfaction", read_satisfaction, mid_satisfaction),
    };
    struct playbook *playbook = target;
    if (!compile_map(compiler, node, place, fields, COUNT_OF(fields), target))
        return;
    if (playbook->passive_nps >= playbook->promoter_nps)
        compile_error(compiler, node, place, "expected passive_nps below promoter_nps, found %d and %d",
                      playbook->passive_nps, playbook->promoter_nps);
    if (playbook->mid_satisfaction >= playbook->high_satisfaction)
        compile_error(compiler, node, place, "expected mid_satisfaction below high_satisfaction, found %d and %d",
                      playbook->mid_satisfaction, playbook->high_satisfaction);
}

static void read_phases(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "acclimate_after", read_duration, acclimate_after_ms),
        FIELD(struct playbook, "advocate_nps", read_nps, advocate_nps),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

/* ---- tiers ---- */

static void read_tier(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_dimension(DIMENSION_TIER);
    int value;
    if (!compile_word(compiler, node, place, &words, &value))
        return;
    if (value == TIER_PROSPECT)
        compile_expected(compiler, node, place, "a tier other than prospect, which is where no row holds", NULL);
    *(enum tier *)target = (enum tier)value;
}

static void read_tier_rows(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct tier_row, "tier", read_tier, tier),
        FIELD_REQUIRED(struct tier_row, "when", read_expression, when),
        {"title", read_ignored_text, 0, false},
    };
    struct playbook *playbook = target;
    size_t count = compile_list(compiler, node, place, "a list of rows (tier, when)"), index = 0;
    if (count > TIER_ROWS_MAX) {
        compile_error(compiler, node, place, "expected at most 64 rows, found %zu", count);
        return;
    }
    struct tier_row *rows = ARENA_ARRAY(compiler->arena, struct tier_row, count);
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        compile_map(compiler, item, &inside, fields, COUNT_OF(fields), &rows[index]);
    }
    playbook->tier_rows = rows;
    playbook->tier_row_count = count;
}

/* Every tier once, the lowest first. */
static void read_rank(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_dimension(DIMENSION_TIER);
    struct playbook *playbook = target;
    bool seen[TIER_COUNT] = {false};
    size_t count = compile_list(compiler, node, place, "a list of all tiers, the lowest first"), index = 0;
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        int tier;
        if (!compile_word(compiler, item, &inside, &words, &tier))
            continue;
        if (seen[tier])
            compile_expected(compiler, item, &inside, "each tier once", NULL);
        seen[tier] = true;
        playbook->tier_rank[tier] = (int32_t)index;
    }
    for (int i = 0; i < TIER_COUNT && count > 0; i++) {
        if (!seen[i])
            compile_error(compiler, node, place, "expected every tier, found no %s", words.names[i]);
    }
}

static void read_tier_set(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_dimension(DIMENSION_TIER);
    uint64_t set;
    if (compile_word_set(compiler, node, place, &words, &set))
        *(uint32_t *)target = (uint32_t)set;
}

static void read_returned(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct playbook, "from", read_tier_set, returned_from),
        FIELD(struct playbook, "to", read_tier_set, returned_to),
    };
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_tiers(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        {"rows", read_tier_rows, 0, true}, {"rank", read_rank, 0, false}, {"returned", read_returned, 0, false}};
    bool allowed[FACT_COUNT];
    allow_table_facts(allowed);
    compiler->expression_facts = allowed;
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
    compiler->expression_facts = NULL;
}

/* ---- growth, products ---- */

static void read_growth(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct field fields[GROWTH_COUNT - 1];
    bool allowed[FACT_COUNT];
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        fields[i - 1] =
            (struct field){class_value_name(DIMENSION_GROWTH, i), read_expression,
                           offsetof(struct playbook, growth_when) + (size_t)i * sizeof(struct expression), true};
    allow_table_facts(allowed);
    compiler->expression_facts = allowed;
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
    compiler->expression_facts = NULL;
}

static void read_role(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const char *const names[] = {
        [ROLE_REGULAR] = "regular", [ROLE_TRIAL] = "trial", [ROLE_PREMIUM] = "premium", [ROLE_RELATED] = "related"};
    static const struct words words = {"a role", names, COUNT_OF(names)};
    compile_word(compiler, node, place, &words, target);
}

static void read_products(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct product, "name", read_text, name),
        FIELD_REQUIRED(struct product, "sku", read_text, sku),
        FIELD(struct product, "role", read_role, role),
        FIELD(struct product, "effect_after", read_positive_duration, effect_after_ms),
        FIELD(struct product, "supply_days", read_days, supply_ms),
        FIELD(struct product, "transit_days", read_days, transit_ms),
        FIELD(struct product, "settle_purchases", read_count64, settle_purchases),
    };
    struct playbook *playbook = target;
    size_t index = 0, count = 0;
    if (node->kind == NODE_LIST && node->first == NULL)
        return; /* a shop without products of note */
    count = compile_list(compiler, node, place, "a list of products");
    if (count > PRODUCTS_MAX) {
        compile_error(compiler, node, place, "expected at most 2000 products, found %zu", count);
        return;
    }
    struct product *products = ARENA_ARRAY(compiler->arena, struct product, count);
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        products[index] = (struct product){.effect_after_ms = FIGURE_UNSTATED,
                                           .supply_ms = FIGURE_UNSTATED,
                                           .transit_ms = FIGURE_UNSTATED,
                                           .settle_purchases = FIGURE_UNSTATED};
        compile_map(compiler, item, &inside, fields, COUNT_OF(fields), &products[index]);
    }
    playbook->products = products;
    playbook->product_count = count;
}

/* ---- the whole file ---- */

static void read_rules(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    (void)compiler, (void)node, (void)place, (void)target; /* after all else: rules need the playbook's defaults */
}

static const struct field playbook_fields[] = {
    FIELD_REQUIRED(struct playbook, "version", read_text, version),
    FIELD(struct playbook, "currency", read_currency, currency),
    FIELD(struct playbook, "time_zone", read_text, time_zone),
    FIELD(struct playbook, "strategy", read_strategy, strategy),
    {"window", read_window, 0, false},
    {"caps", read_caps, 0, false},
    FIELD(struct playbook, "holdout", read_share, holdout),
    FIELD(struct playbook, "global_control", read_share, global_control),
    FIELD(struct playbook, "max_ahead", read_duration, max_ahead_ms),
    FIELD(struct playbook, "lapse_days", read_days, lapse_ms),
    FIELD(struct playbook, "first_purchase_is_trial", read_boolean, first_purchase_is_trial),
    {"defaults", read_defaults, 0, false},
    {"delivery", read_delivery, 0, false},
    {"history", read_history, 0, false},
    {"reactions", read_reactions, 0, false},
    {"segments", read_segments, 0, false},
    {"phases", read_phases, 0, false},
    {"tiers", read_tiers, 0, true},
    {"growth", read_growth, 0, true},
    {"products", read_products, 0, false},
    {"rules", read_rules, 0, true},
};

/* RULINGS.md H, "defaults beside the table". */
static void preset(struct playbook *playbook)
{
    *playbook = (struct playbook){.currency = SPAN("JPY"),
                                  .time_zone = SPAN("Asia/Tokyo"),
                                  .strategy = SPAN("educate"),
                                  .window_start_ms = 9 * HOUR_MS,
                                  .window_end_ms = 20 * HOUR_MS,
                                  .cap_day = 2,
                                  .cap_week = 7,
                                  .holdout = 500,
                                  .max_ahead_ms = 24 * HOUR_MS,
                                  .lapse_ms = 90 * DAY_MS,
                                  .transit_ms = 2 * DAY_MS,
                                  .effect_after_ms = 14 * DAY_MS,
                                  .supply_ms = 30 * DAY_MS,
                                  .settle_purchases = 2,
                                  .acclimate_after_ms = 3 * DAY_MS,
                                  .fallback_after_ship = true,
                                  .history_facts = 64,
                                  .history_days = 400,
                                  .facts_max = 8192,
                                  .positive_nps = 9,
                                  .positive_satisfaction = 4,
                                  .positive_satisfaction_nps = 7,
                                  .negative_nps = 4,
                                  .negative_satisfaction = 2,
                                  .promoter_nps = 9,
                                  .passive_nps = 7,
                                  .high_satisfaction = 4,
                                  .mid_satisfaction = 3,
                                  .advocate_nps = 9,
                                  .returned_from = 1u << TIER_LAPSED | 1u << TIER_DORMANT,
                                  .returned_to = 1u << TIER_VISITOR | 1u << TIER_FOLLOWER | 1u << TIER_SUPPORTER |
                                                 1u << TIER_PARTNER};
    for (int i = 0; i < TIER_COUNT; i++)
        playbook->tier_rank[i] = i; /* R36 */
}

static size_t boundaries_at_most(const struct expression *expression)
{
    size_t count = 0;
    for (size_t i = 0; i < expression->op_count; i++)
        count += fact_type(expression->ops[i].fact) == FACT_DAYS ? 2 * expression->ops[i].literal_count : 0;
    return count;
}

static void collect_boundaries(struct compiler *compiler, struct playbook *playbook)
{
    struct day_boundary *boundaries = ARENA_ARRAY(compiler->arena, struct day_boundary, BOUNDARIES_MAX);
    size_t count = 0, most = 0;
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        most += boundaries_at_most(&playbook->tier_rows[i].when);
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        most += boundaries_at_most(&playbook->growth_when[i]);
    if (most > BOUNDARIES_MAX) {
        compile_error_at(compiler, 1, 1, NULL, "expected at most 2048 comparisons of days in the tables, found more");
        return;
    }
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        count = expression_boundaries(&playbook->tier_rows[i].when, boundaries, count, BOUNDARIES_MAX);
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        count = expression_boundaries(&playbook->growth_when[i], boundaries, count, BOUNDARIES_MAX);
    playbook->boundaries = boundaries;
    playbook->boundary_count = count;
}

static void collect_table_facts(struct playbook *playbook)
{
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        playbook->tier_facts |= expression_facts_set(&playbook->tier_rows[i].when);
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        playbook->growth_facts |= expression_facts_set(&playbook->growth_when[i]);
}

static void take_mark(struct playbook *playbook)
{
    for (size_t i = 0; i < sizeof playbook->mark; i++)
        playbook->mark |= (uint64_t)playbook->hash[i] << (8 * i);
    if (playbook->mark == 0)
        playbook->mark = 1;
}

static void place_known_rules(struct playbook *playbook)
{
    for (int i = 0; i < KNOWN_RULES; i++) {
        struct span name = known_rule_name(i);
        playbook->known_rules[i] = (struct known_rule){name, (uint32_t)hash_xxh64(name), -1};
    }
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct rule *rule = &playbook->rules[i];
        if (rule->known >= 0) /* the name as the rule has it: equal texts are found by where they lie */
            playbook->known_rules[rule->known] = (struct known_rule){rule->name, rule->name_hash, rule->index};
    }
}

static void complain(void *context, int line, int column, const char *message)
{
    compile_error_at(context, line, column, NULL, message);
}

static void compile(struct compiler *compiler, struct span yaml, struct playbook *playbook)
{
    struct node *root = node_parse(compiler->arena, yaml, complain, compiler);
    preset(playbook);
    hash_sha256(yaml, playbook->hash);
    take_mark(playbook);
    if (root == NULL) {
        if (compiler->errors->count == 0)
            compile_error_at(compiler, 1, 1, NULL, "expected a playbook, found an empty file");
        return;
    }
    if (!compile_map(compiler, root, NULL, playbook_fields, COUNT_OF(playbook_fields), playbook))
        return;
    const struct node *rules = node_find(root, "rules");
    struct place place = {.key = SPAN("rules")};
    if (rules != NULL)
        compile_rules(compiler, rules, &place, playbook);
    place_known_rules(playbook);
    if (compiler->errors->count == 0)
        collect_boundaries(compiler, playbook);
    collect_table_facts(playbook);
}

struct playbook *playbook_compile(struct span yaml, const char *file_name, struct playbook_errors *errors)
{
    struct owned_playbook *owned = calloc(1, sizeof *owned);
    CHECK(owned != NULL);
    arena_init(&owned->arena, 0);
    struct compiler compiler = {.arena = &owned->arena, .file_name = file_name, .errors = errors};
    size_t errors_before = errors->count;
    compile(&compiler, yaml, &owned->playbook);
    if (errors->count == errors_before)
        return &owned->playbook;
    playbook_free(&owned->playbook);
    return NULL;
}

void playbook_free(struct playbook *playbook)
{
    if (playbook == NULL)
        return;
    struct owned_playbook *owned = (struct owned_playbook *)playbook;
    arena_release(&owned->arena);
    free(owned);
}

const struct rule *playbook_rule(const struct playbook *playbook, struct span name)
{
    for (size_t i = 0; i < playbook->rule_count; i++) {
        if (span_equal(playbook->rules[i].name, name))
            return &playbook->rules[i];
    }
    return NULL;
}

/* Where the next character begins: ? is one character, not one byte. */
static size_t character_after(struct span text, size_t at)
{
    at++;
    while (at < text.size && (text.data[at] & 0xC0) == 0x80)
        at++;
    return at;
}

/* One star is enough to remember: what an earlier one took can only be less. So the time is bounded by the product. */
bool glob_match(struct span pattern, struct span text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size && pattern.data[p] == '?') {
            p++;
            t = character_after(text, t);
        } else if (p < pattern.size && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = star_text = character_after(text, star_text);
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}
