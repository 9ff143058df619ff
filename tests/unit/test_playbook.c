/* The default playbook against RULINGS.md: section H and the tables of DOMAIN.md, written down a second time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/playbook/nearest.h"
#include "common/playbook/playbook.h"

static struct buffer file_read(const char *path)
{
    struct buffer text = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_add(&text, chunk, size);
    fclose(file);
    return text;
}

static struct playbook *compile(struct span yaml)
{
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(yaml, "playbook.yaml", &errors);
    if (playbook == NULL)
        print_error("%s", errors.text.data);
    buffer_release(&errors.text);
    return playbook;
}

/* The default playbook, with one text in place of another; the caller frees. */
static struct playbook *default_with(const char *from, const char *to)
{
    struct buffer yaml = file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml"), changed = {0};
    const char *at = strstr(yaml.data, from);
    assert_non_null(at);
    buffer_add(&changed, yaml.data, (size_t)(at - yaml.data));
    buffer_add_text(&changed, to);
    buffer_add_text(&changed, at + strlen(from));
    struct playbook *playbook = compile(buffer_span(&changed));
    assert_non_null(playbook);
    buffer_release(&yaml);
    buffer_release(&changed);
    return playbook;
}

/* ---- a rule as a row of section H ---- */

static void duration_text(int64_t ms, struct buffer *text)
{
    if (ms % DAY_MS == 0 && ms != 0)
        buffer_format(text, "%lldd", (long long)(ms / DAY_MS));
    else
        buffer_format(text, "%lld", (long long)ms);
}

static void trigger_text(const struct trigger *trigger, struct buffer *text)
{
    static const char *const anchors[] = {"first_delivery", "first_purchase_ever", "first_purchase_of_cycle",
                                          "last_purchase",  "effect_felt",         "subscription_since"};
    static const char *const kinds[] = {
        "event",      "response",           "concern", "enters",  "reaches", "tier_up", "returned",
        "segment_up", "referral_converted", "",        "calendar"};
    buffer_add_text(text, trigger->kind == TRIGGER_ANCHOR ? anchors[trigger->anchor] : kinds[trigger->kind]);
    for (int i = 0; i < EVENT_KIND_COUNT && trigger->kind == TRIGGER_EVENT; i++)
        buffer_format(text, "%s%s", trigger->kinds >> i & 1 ? " " : "",
                      trigger->kinds >> i & 1 ? event_kind_name((enum event_kind)i) : "");
    for (int i = 0; i < PURPOSE_COUNT && (trigger->kind == TRIGGER_RESPONSE || trigger->kind == TRIGGER_CONCERN); i++)
        buffer_format(text, "%s%s", trigger->purposes >> i & 1 ? " " : "",
                      trigger->purposes >> i & 1 ? purpose_name((enum purpose)i) : "");
    if (trigger->kind == TRIGGER_ENTERS)
        buffer_format(text, " %s", dimension_name(trigger->dimension));
    if (trigger->kind == TRIGGER_ENTERS || trigger->kind == TRIGGER_REACHES)
        buffer_format(text, " %s", class_value_name(trigger->dimension, trigger->value));
    if (trigger->unbroken)
        buffer_add_text(text, " unbroken");
    for (int i = 0; i < TIER_COUNT && trigger->kind == TRIGGER_TIER_UP; i++)
        buffer_format(text, "%s%s", trigger->from_tiers >> i & 1 ? " " : "",
                      trigger->from_tiers >> i & 1 ? class_value_name(DIMENSION_TIER, i) : "");
    for (size_t i = 0; i < trigger->date_count; i++)
        buffer_format(text, " %d-%d", trigger->dates[i].month, trigger->dates[i].day);
    if (trigger->kind == TRIGGER_CALENDAR)
        buffer_format(text, " at %lld", (long long)(trigger->time_of_day_ms / MINUTE_MS));
}

static void rule_text(const struct rule *rule, struct buffer *text)
{
    static const char *const once[] = {"ever",    "cycle",  "order", "delivery", "response",
                                       "concern", "friend", "date",  "to"};
    buffer_add_span(text, rule->name);
    buffer_add_text(text, " | ");
    trigger_text(&rule->trigger, text);
    buffer_add_text(text, " | ");
    if (rule->delay.kind == DELAY_FIXED)
        duration_text(rule->delay.ms, text);
    else
        buffer_add_text(text, rule->delay.kind == DELAY_SUPPLY ? "supply_days" : "effect_after");
    buffer_add_text(text, " | ");
    for (size_t i = 0; i < rule->condition_count; i++) {
        buffer_add_text(text, i == 0 ? "" : "; ");
        buffer_add_span(text, rule->conditions[i].text);
    }
    buffer_add_text(text, " | ");
    if (rule->repeats)
        buffer_format(text, "every %lldd times %d while %.*s", (long long)(rule->every_ms / DAY_MS), rule->times,
                      (int)rule->while_expression.text.size, rule->while_expression.text.data);
    buffer_format(text, " | %s %s,", action_class_name(rule->class), audience_name(rule->audience));
    for (size_t i = 0; i < rule->channel_count; i++)
        buffer_format(text, " %s", channel_name(rule->channels[i]));
    buffer_add_text(text, span_empty(rule->coupon) ? " | " : ", coupon | ");
    if (rule->shelf_life_ms == NEVER)
        buffer_add_text(text, "never");
    else
        duration_text(rule->shelf_life_ms, text);
    buffer_format(text, " | %d | %s | ", rule->priority, once[rule->once]);
    if (rule->goal.within_ms != 0) {
        buffer_format(text, "%.*s ", (int)rule->goal.name.size, rule->goal.name.data);
        duration_text(rule->goal.within_ms, text);
    } else {
        buffer_add_char(text, '-');
    }
    buffer_add_char(text, '\n');
}

static void check_rules(const struct playbook *playbook, const char *path)
{
    struct buffer expected = file_read(path), text = {0};
    for (size_t i = 0; i < playbook->rule_count; i++)
        rule_text(&playbook->rules[i], &text);
    assert_string_equal(text.data, expected.data);
    buffer_release(&expected);
    buffer_release(&text);
}

static void section_h_row_by_row(void **state)
{
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    assert_int_equal(playbook->rule_count, 49);
    check_rules(playbook, ORIORI_SOURCE_DIR "/tests/playbooks/section-h-educate.txt");
    playbook_free(playbook);
}

static void r61_strategy_chooses_among_entries(void **state)
{
    (void)state;
    struct playbook *playbook = default_with("strategy: educate ", "strategy: commit_early ");
    check_rules(playbook, ORIORI_SOURCE_DIR "/tests/playbooks/section-h-commit_early.txt");
    for (size_t i = 0; i < playbook->rule_count; i++)
        assert_int_equal(playbook->rules[i].index, i);
    playbook_free(playbook);
}

static void r62_newsletter_rotation(void **state)
{
    static const char *const contents[] = {"campaign_news", "new_product", "developer_story", "user_voices",
                                           "reader_senryu"};
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    const struct rule *rule = playbook_rule(playbook, SPAN("newsletter"));
    assert_int_equal(rule->content_count, COUNT_OF(contents));
    for (size_t i = 0; i < COUNT_OF(contents); i++)
        assert_true(span_equal(rule->contents[i], span_of(contents[i])));
    assert_null(playbook_rule(playbook, SPAN("news")));
    playbook_free(playbook);
}

static void check_defaults(const struct playbook *playbook)
{
    assert_int_equal(playbook->lapse_ms, 90 * DAY_MS);
    assert_int_equal(playbook->transit_ms, 2 * DAY_MS);
    assert_int_equal(playbook->effect_after_ms, 14 * DAY_MS);
    assert_int_equal(playbook->supply_ms, 30 * DAY_MS);
    assert_int_equal(playbook->settle_purchases, 2);
    assert_int_equal(playbook->acclimate_after_ms, 3 * DAY_MS);
    assert_true(span_equal(playbook->time_zone, SPAN("Asia/Tokyo")));
    assert_true(span_equal(playbook->currency, SPAN("JPY")));
    assert_int_equal(playbook->window_start_ms, 9 * HOUR_MS);
    assert_int_equal(playbook->window_end_ms, 20 * HOUR_MS);
    assert_int_equal(playbook->cap_day, 2);
    assert_int_equal(playbook->cap_week, 7);
    assert_int_equal(playbook->holdout, 500);
    assert_int_equal(playbook->global_control, 0);
    assert_int_equal(playbook->max_ahead_ms, DAY_MS);
    assert_true(playbook->fallback_after_ship);
    assert_int_equal(playbook->history_facts, 64);
    assert_int_equal(playbook->history_days, 400);
    assert_int_equal(playbook->facts_max, 8192);
    assert_false(playbook->first_purchase_is_trial);
    const int32_t figures[] = {
        playbook->positive_nps, playbook->positive_satisfaction, playbook->positive_satisfaction_nps,
        playbook->negative_nps, playbook->negative_satisfaction, playbook->promoter_nps,
        playbook->passive_nps,  playbook->high_satisfaction,     playbook->mid_satisfaction,
        playbook->advocate_nps};
    static const int32_t expected[] = {9, 4, 7, 4, 2, 9, 7, 4, 3, 9};
    assert_memory_equal(figures, expected, sizeof expected);
}

/* Said in the file, and when a file says nothing of them. */
static void defaults_beside_the_table(void **state)
{
    static const char small[] =
        "version: x\n"
        "tiers: {rows: [{tier: follower, when: registered}]}\n"
        "growth: {purchaser: purchases >= 1, customer: purchases >= 2, enthusiast: purchases >= 3, audience: opens_60d "
        ">= 4,\n"
        "  fan: last_nps >= 9, member: renewals >= 6, evangelist: referrals_converted >= 3}\n"
        "rules: [{name: a, trigger: first_delivery, class: marketing, shelf: 7d, priority: 1, once: cycle}]\n";
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    check_defaults(playbook);
    playbook_free(playbook);
    playbook = compile(span_of(small));
    assert_non_null(playbook);
    check_defaults(playbook);
    assert_int_equal(playbook->rules[0].holdout, 500);
    assert_true(span_equal(playbook->rules[0].template_name, SPAN("a")));
    unsigned char hash[32];
    hash_sha256(span_of(small), hash);
    assert_memory_equal(playbook->hash, hash, sizeof hash);
    playbook_free(playbook);
}

static void r72_holdout_is_for_marketing(void **state)
{
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    for (size_t i = 0; i < playbook->rule_count; i++)
        assert_int_equal(playbook->rules[i].holdout, playbook->rules[i].class == CLASS_MARKETING ? 500 : 0);
    playbook_free(playbook);
}

/* ---- tiers and growth ---- */

static enum tier tier_of(const struct playbook *playbook, int registered, int64_t purchases, int64_t trial,
                         int64_t days, int subscription, int64_t positive)
{
    struct fact_values values = {.campaign = SPAN_NONE};
    values.value[FACT_registered] = registered;
    values.value[FACT_purchases] = purchases;
    values.value[FACT_trial] = trial;
    values.value[FACT_days_since_last_purchase] = purchases > 0 ? days : FACT_ABSENT;
    values.value[FACT_subscription] = subscription;
    values.value[FACT_positive_reactions] = positive;
    for (size_t i = 0; i < playbook->tier_row_count; i++) {
        if (expression_true(&playbook->tier_rows[i].when, &values))
            return playbook->tier_rows[i].tier;
    }
    return TIER_PROSPECT;
}

/* DOMAIN.md 3, decided by hand for every corner. */
static enum tier tier_by_hand(int registered, int64_t purchases, int64_t trial, int64_t days, int subscription,
                              int64_t positive)
{
    if (!registered || purchases == 0)
        return TIER_PROSPECT;
    if (subscription) {
        if (days < 60 && purchases >= 2 && positive >= 3)
            return TIER_PARTNER;
        return days < 60 && positive >= 2 ? TIER_SUPPORTER : TIER_FOLLOWER;
    }
    if (days >= 90)
        return positive > 0 ? TIER_LAPSED : TIER_DORMANT;
    return days < 60 && purchases == 1 && trial == 1 ? TIER_VISITOR : TIER_FOLLOWER;
}

static void r35_tier_table_at_every_corner(void **state)
{
    static const int64_t days[] = {-1, 0, 59, 60, 89, 90, 1000};
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    for (int corner = 0; corner < 2 * 4 * 2 * 7 * 2 * 5; corner++) {
        int registered = corner % 2, purchases = corner / 2 % 4, trial = corner / 8 % 2,
            subscription = corner / 112 % 2;
        int64_t day = days[corner / 16 % 7], positive = corner / 224 % 5;
        if (trial <= purchases)
            assert_int_equal(tier_of(playbook, registered, purchases, trial, day, subscription, positive),
                             tier_by_hand(registered, purchases, trial, day, subscription, positive));
    }
    playbook_free(playbook);
}

static void r35_boundaries_of_the_tables(void **state)
{
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    assert_int_equal(playbook->boundary_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(playbook->boundaries[i].fact, FACT_days_since_last_purchase);
        assert_int_equal(playbook->boundaries[i].days, i == 0 ? 60 : 90);
    }
    playbook_free(playbook);
}

static void r36_r38_ranks_and_returns(void **state)
{
    static const int32_t ranks[] = {0, 1, 2, 3, 4, 5, 6};
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    assert_memory_equal(playbook->tier_rank, ranks, sizeof ranks);
    assert_int_equal(playbook->returned_from, 1u << TIER_LAPSED | 1u << TIER_DORMANT);
    assert_int_equal(playbook->returned_to,
                     1u << TIER_VISITOR | 1u << TIER_FOLLOWER | 1u << TIER_SUPPORTER | 1u << TIER_PARTNER);
    playbook_free(playbook);
}

/* Each stage's own condition: false one short of it, true with it. */
static void r43_growth_table(void **state)
{
    static const struct {
        enum growth stage;
        enum fact fact;
        int64_t least;
    } table[] = {
        {GROWTH_PURCHASER, FACT_purchases, 1},  {GROWTH_CUSTOMER, FACT_purchases, 2},
        {GROWTH_ENTHUSIAST, FACT_purchases, 3}, {GROWTH_ENTHUSIAST, FACT_premium, 1},
        {GROWTH_ENTHUSIAST, FACT_related, 1},   {GROWTH_AUDIENCE, FACT_opens_60d, 4},
        {GROWTH_AUDIENCE, FACT_clicks_60d, 2},  {GROWTH_FAN, FACT_last_nps, 9},
        {GROWTH_FAN, FACT_referrals, 1},        {GROWTH_FAN, FACT_events_attended, 1},
        {GROWTH_MEMBER, FACT_renewals, 6},
    };
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct fact_values values = {.campaign = SPAN_NONE};
        values.value[FACT_settle_purchases] = 2;
        values.value[table[i].fact] = table[i].least - 1;
        assert_false(expression_true(&playbook->growth_when[table[i].stage], &values));
        values.value[table[i].fact] = table[i].least;
        assert_true(expression_true(&playbook->growth_when[table[i].stage], &values));
    }
    struct fact_values values = {.campaign = SPAN_NONE};
    values.value[FACT_premium] = values.value[FACT_related] = 1;
    values.value[FACT_referrals_converted] = 2;
    assert_false(expression_true(&playbook->growth_when[GROWTH_EVANGELIST], &values));
    values.value[FACT_referrals_converted] = 3;
    assert_true(expression_true(&playbook->growth_when[GROWTH_EVANGELIST], &values));
    playbook_free(playbook);
}

/* ---- small ones ---- */

static void r17_globs(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } table[] = {
        {"A-*", "A-1", true},
        {"A-*", "A-", true},
        {"A-*", "a-1", false},
        {"A-?", "A-", false},
        {"A-?", "A-1", true},
        {"*", "", true},
        {"", "", true},
        {"", "x", false},
        {"*-30-*", "SUB-30-X", true},
        {"*b*b*b", "abbb", true},
        {"*b*b*b", "abb", false},
        {"a*b*c", "a--b-b-c", true},
        {"a*b*c", "a--b-b-", false},
        {"**a", "xa", true},
        {"?", "\xE9\xA3\x9F", true},
        {"??", "\xE9\xA3\x9F", false},
        {"*?", "\xE9\xA3\x9F", true},
        {"*??", "\xE9\xA3\x9F", false},
        {"A.B", "AxB", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (glob_match(span_of(table[i].pattern), span_of(table[i].text)) != table[i].match)
            fail_msg("%s against %s", table[i].pattern, table[i].text);
    }
}

static void nearest_names(void **state)
{
    static const char *const names[] = {"marketing", "transactional", "internal", "to", "order"};
    (void)state;
    assert_string_equal(nearest_name(SPAN("Marketting"), names, COUNT_OF(names)), "marketing");
    assert_string_equal(nearest_name(SPAN("odrer"), names, COUNT_OF(names)), "order");
    assert_null(nearest_name(SPAN("service"), names, COUNT_OF(names)));
    assert_null(nearest_name(SPAN(""), names, COUNT_OF(names)));
    assert_int_equal(nearest_distance(SPAN("kitten"), SPAN("sitting")), 3);
    assert_int_equal(nearest_distance(SPAN("ab"), SPAN("ba")), 1);
}

static void optional_parts_of_a_rule(void **state)
{
    (void)state;
    struct playbook *playbook = default_with(
        "    template: reassure_concern\n",
        "    template: other/v2\n    cooldown: 30d\n    holdout: 0.1\n    variants: {plain: 0.3333, warm: 0.6667}\n"
        "    on_change: recompute\n    on_cap: drop\n    send_delay: 15m\n");
    const struct rule *rule = playbook_rule(playbook, SPAN("reassure_concern"));
    assert_true(span_equal(rule->template_name, SPAN("other/v2")));
    assert_int_equal(rule->cooldown_ms, 30 * DAY_MS);
    assert_int_equal(rule->holdout, 1000);
    assert_int_equal(rule->variant_count, 2);
    assert_int_equal(rule->variants[0].until, 3333);
    assert_int_equal(rule->variants[1].until, 10000);
    assert_int_equal(rule->on_change, ON_CHANGE_RECOMPUTE);
    assert_int_equal(rule->on_cap, ON_CAP_DROP);
    assert_int_equal(rule->send_delay_ms, 15 * MINUTE_MS);
    playbook_free(playbook);
}

static void r16_fallback_per_source(void **state)
{
    (void)state;
    struct playbook *playbook =
        default_with("  fallback: after_ship ", "  sources: {ec-cube: after_ship, shopify: never}\n  fallback: never ");
    assert_false(playbook->fallback_after_ship);
    assert_int_equal(playbook->source_fallback_count, 2);
    assert_true(playbook->source_fallbacks[0].after_ship);
    assert_true(span_equal(playbook->source_fallbacks[1].source, SPAN("shopify")));
    assert_false(playbook->source_fallbacks[1].after_ship);
    playbook_free(playbook);
}

static void r17_products_in_order(void **state)
{
    (void)state;
    struct playbook *playbook = default_with("version", "version");
    assert_int_equal(playbook->product_count, 4);
    assert_int_equal(playbook->products[0].role, ROLE_TRIAL);
    assert_int_equal(playbook->products[0].effect_after_ms, 14 * DAY_MS);
    assert_int_equal(playbook->products[0].transit_ms, FIGURE_UNSTATED);
    assert_int_equal(playbook->products[1].role, ROLE_PREMIUM);
    assert_int_equal(playbook->products[2].role, ROLE_RELATED);
    assert_int_equal(playbook->products[3].role, ROLE_REGULAR);
    assert_int_equal(playbook->products[3].settle_purchases, 2);
    playbook_free(playbook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_h_row_by_row),
        cmocka_unit_test(r61_strategy_chooses_among_entries),
        cmocka_unit_test(r62_newsletter_rotation),
        cmocka_unit_test(defaults_beside_the_table),
        cmocka_unit_test(r72_holdout_is_for_marketing),
        cmocka_unit_test(r35_tier_table_at_every_corner),
        cmocka_unit_test(r35_boundaries_of_the_tables),
        cmocka_unit_test(r36_r38_ranks_and_returns),
        cmocka_unit_test(r43_growth_table),
        cmocka_unit_test(r17_globs),
        cmocka_unit_test(nearest_names),
        cmocka_unit_test(optional_parts_of_a_rule),
        cmocka_unit_test(r16_fallback_per_source),
        cmocka_unit_test(r17_products_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
