/* For tests of the engine's facts and classes: a customer who lives in one arena, events written short, and all that his
 * facts mean as one text, so that two histories can be compared. After every event the state goes through its binary form
 * and back: a test of the fold is one of the codec too.
 *
 * Include it after <cmocka.h>. Every program uses its own part of it, so nothing here may warn of not being used. */
#ifndef ORIORI_TESTS_LIB_ENGINE_H
#define ORIORI_TESTS_LIB_ENGINE_H

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/engine/classes.h"
#include "common/engine/state_codec.h"

#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

/* 2024-01-01T00:00:00Z: day(0). */
#define BASE_AT INT64_C(1704067200000)

static inline int64_t day(double days)
{
    return BASE_AT + (int64_t)(days * (double)DAY_MS);
}

/* EVENT(ORDERS, PLACED, day(1), .order_id = ID("o1")) */
#define EVENT(event_topic, event_kind, event_at, ...)                                                               \
    ((struct event){.topic = TOPIC_##event_topic,                                                                   \
                    .kind = EVENT_##event_kind,                                                                     \
                    .customer_id = ID("c1"),                                                                        \
                    .occurred_at = (event_at),                                                                      \
                    .refund_amount = REFUND_WHOLE,                                                                  \
                    .estimated_at = NEVER,                                                                          \
                    .nps = -1,                                                                                      \
                    .agent = AGENT_UNKNOWN,                                                                         \
                    __VA_ARGS__})
#define ID(text) span_of(text)

#define LINES(...)                                                                                                  \
    .lines = (const struct order_line[]){__VA_ARGS__},                                                              \
    .line_count = sizeof((const struct order_line[]){__VA_ARGS__}) / sizeof(struct order_line)
#define LINE(sku_text, count, price) {.sku = ID(sku_text), .quantity = (count), .unit_price = (price)}

/* Orders are of one regular product at 1000 unless they say otherwise. */
static const struct order_line one_tea[] = {{{"TEA", 3}, 1, 1000}};
#define ONE_TEA .lines = one_tea, .line_count = 1
#define PLACED(at, id, ...) EVENT(ORDERS, PLACED, at, .order_id = ID(id), ONE_TEA, __VA_ARGS__)
#define RENEWED(at, id, ...) EVENT(ORDERS, SUBSCRIPTION_RENEWED, at, .order_id = ID(id), ONE_TEA, __VA_ARGS__)
#define CANCELLED(at, id, ...) EVENT(ORDERS, CANCELLED, at, .order_id = ID(id), __VA_ARGS__)
#define REFUNDED(at, id, ...) EVENT(ORDERS, REFUNDED, at, .order_id = ID(id), __VA_ARGS__)
#define SUBSCRIPTION(change, at, ...) EVENT(ORDERS, SUBSCRIPTION_##change, at, __VA_ARGS__)
#define DELIVERY(change, at, id, ...) EVENT(DELIVERIES, change, at, .order_id = ID(id), __VA_ARGS__)
#define RESPONSE(at, id, asked, ...)                                                                                \
    EVENT(SURVEYS, RESPONSE, at, .survey_id = ID("s"), .response_id = ID(id), .purpose = PURPOSE_##asked, __VA_ARGS__)
#define HUMAN(what, at, ...) EVENT(EMAIL_OPENS, what, at, .agent = AGENT_HUMAN, __VA_ARGS__)
#define CUSTOMER(what, at, ...) EVENT(CUSTOMERS, what, at, __VA_ARGS__)

struct subject {
    struct arena arena;
    struct playbook *playbook; /* the test may change its figures */
    struct facts facts;
    struct fold_change change; /* of the last event */
    struct figures figures;    /* at the last look */
    size_t event_count;
    size_t state_size; /* bytes, facts only */
    int64_t now;       /* the clock of the events; late enough by default */
};

static inline struct playbook *engine_playbook(void)
{
    FILE *file = fopen(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", "rb");
    CHECK(file != NULL);
    struct buffer text = {0};
    size_t size;
    while ((size = fread(buffer_extend(&text, 65536), 1, 65536, file)) == 65536)
        ;
    text.size = text.size - 65536 + size;
    fclose(file);
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(buffer_span(&text), "playbook.yaml", &errors);
    if (!playbook)
        fprintf(stderr, "%s", errors.text.data);
    CHECK(playbook != NULL);
    buffer_release(&text);
    buffer_release(&errors.text);
    return playbook;
}

static inline struct subject subject_new(void)
{
    struct subject subject = {.playbook = engine_playbook(), .now = day(100000)};
    arena_init(&subject.arena, 0);
    facts_init(&subject.facts, &subject.arena);
    return subject;
}

static inline void subject_free(struct subject *subject)
{
    playbook_free(subject->playbook);
    arena_release(&subject->arena);
}

/* A customer of whom nothing is known again; the playbook stays. */
static inline void subject_forget(struct subject *subject)
{
    arena_reset(&subject->arena);
    facts_init(&subject->facts, &subject->arena);
    subject->event_count = 0;
}

/* Through the binary form and back. */
static inline void subject_store(struct subject *subject)
{
    facts_compact(&subject->facts, &subject->arena, subject->playbook, NULL);
    struct state_head head = {.evaluated_at = NEVER};
    struct state_writer writer;
    struct state_reader reader;
    state_writer_init(&writer, &subject->arena, 0);
    state_encode(&writer, &head, &subject->facts);
    struct span blob = state_writer_finish(&writer);
    CHECK(state_decode(blob, &subject->arena, &head, &subject->facts, &reader));
    CHECK(state_reader_finish(&reader));
    subject->state_size = blob.size;
}

/* Events without an id get one of their own. */
static inline void identify(struct event *events, size_t count, char (*ids)[32])
{
    for (size_t i = 0; i < count; i++)
        if (events[i].event_id.size == 0) {
            snprintf(ids[i], sizeof ids[i], "event-%zu", i);
            events[i].event_id = span_of(ids[i]);
        }
}

static inline enum verdict_fold subject_apply(struct subject *subject, struct event event)
{
    char id[32];
    if (event.event_id.size == 0) {
        snprintf(id, sizeof id, "auto-%zu", subject->event_count);
        event.event_id = span_of(id);
    }
    subject->event_count++;
    facts_apply(&subject->facts, &subject->arena, subject->playbook, &event, subject->now, &subject->change);
    if (subject->facts.known || subject->facts.erased_at != NEVER)
        subject_store(subject);
    return subject->change.verdict;
}

static inline const struct figures *subject_figures(struct subject *subject, int64_t now)
{
    figures_compute(&subject->facts, subject->playbook, &subject->arena, now, &subject->figures);
    return &subject->figures;
}

static inline struct customer_classes subject_classes(struct subject *subject, int64_t now)
{
    return classes_of(subject_figures(subject, now));
}

static inline void text_of_instant(struct buffer *text, const struct figures *figures, const char *name,
                                   const struct figure_instant *instant)
{
    struct span order = instant->order == FACT_NONE ? SPAN("-") : figures->facts->orders[instant->order].id;
    buffer_format(text, "%s %lld %.*s %d %d %llx\n", name, (long long)instant->at, (int)order.size, order.data,
                  instant->backfill, instant->assumed, (unsigned long long)instant->hash);
}

static inline void text_of_money(struct buffer *text, const struct figures *figures)
{
    struct arena arena;
    arena_init(&arena, 0);
    size_t count;
    const struct customer_money *money = figures_money(figures, &arena, &count);
    for (size_t i = 0; i < count; i++)
        buffer_format(text, "money %.*s %lld\n", (int)money[i].currency.size, money[i].currency.data,
                      (long long)money[i].minor);
    arena_release(&arena);
}

/* All figures and classes, without anything that depends on where the facts stand in their arrays. */
static inline void text_of_figures(struct buffer *text, const struct figures *figures)
{
#define NUMBER(field) buffer_format(text, #field " %lld\n", (long long)figures->field)
    for (uint32_t i = 0; i < figures->live_count; i++)
        buffer_format(text, "live %.*s\n", (int)figures->facts->orders[figures->live[i]].id.size,
                      figures->facts->orders[figures->live[i]].id.data);
    NUMBER(cycle_first); NUMBER(purchases); NUMBER(trial); NUMBER(premium); NUMBER(related);
    NUMBER(purchases_in_cycle); NUMBER(settle_purchases); NUMBER(money_default); NUMBER(cycle); NUMBER(cycle_start);
    text_of_money(text, figures);
    text_of_instant(text, figures, "first_purchase", &figures->first_purchase);
    text_of_instant(text, figures, "last_purchase", &figures->last_purchase);
    text_of_instant(text, figures, "cycle_purchase", &figures->cycle_purchase);
    text_of_instant(text, figures, "first_delivery", &figures->first_delivery);
    text_of_instant(text, figures, "last_delivery", &figures->last_delivery);
    text_of_instant(text, figures, "effect_felt", &figures->effect_felt);
    text_of_instant(text, figures, "subscription_since", &figures->subscription_since);
    NUMBER(shipped); NUMBER(delivered); NUMBER(failed); NUMBER(first_effect_after_ms); NUMBER(responses);
    NUMBER(positive); NUMBER(negative); NUMBER(last_satisfaction); NUMBER(last_nps); NUMBER(last_nps_in_cycle);
    NUMBER(last_response_at); NUMBER(answered_ever); NUMBER(answered_in_cycle);
    NUMBER(responded_since_first_purchase); NUMBER(registered_email); NUMBER(registered_line); NUMBER(bounced_email);
    NUMBER(bounced_line); NUMBER(consent); NUMBER(consent_at); NUMBER(subscription); NUMBER(renewals);
    NUMBER(opens_60d); NUMBER(clicks_60d); NUMBER(last_open_at); NUMBER(referrals); NUMBER(referrals_converted);
    NUMBER(shares); NUMBER(events_attended); NUMBER(support_contacts); NUMBER(referrals_in_cycle);
    NUMBER(shares_in_cycle); NUMBER(next_change_at);
    struct span goal = figures_goal(figures), zone = figures_time_zone(figures);
    struct span source = figures->facts->sources[figures->consent_source];
    buffer_format(text, "goal %.*s zone %.*s source %.*s\n", (int)goal.size, goal.data, (int)zone.size, zone.data,
                  (int)source.size, source.data);
    for (int rung = PHASE_ADMIT; rung < PHASE_COUNT; rung++)
        NUMBER(rung_since[rung]);
#undef NUMBER
    struct customer_classes classes = classes_of(figures);
    buffer_format(text, "%s %s %s %s\n", class_value_name(DIMENSION_TIER, (int)classes.tier),
                  class_value_name(DIMENSION_PHASE, (int)classes.phase),
                  class_value_name(DIMENSION_GROWTH, (int)classes.growth),
                  class_value_name(DIMENSION_SEGMENT, (int)classes.segment));
}

/* ---- permutations ---- */

enum { PERMUTED_MOST = 8 };

static inline void permute(struct subject *subject, const struct event *events, size_t *order, size_t at, size_t count,
                           int64_t now, struct buffer *expected, size_t *tried)
{
    if (at < count) {
        for (size_t i = at; i < count; i++) {
            size_t swap = order[at];
            order[at] = order[i];
            order[i] = swap;
            permute(subject, events, order, at + 1, count, now, expected, tried);
            order[i] = order[at];
            order[at] = swap;
        }
        return;
    }
    subject_forget(subject);
    for (size_t i = 0; i < count; i++) {
        subject_apply(subject, events[order[i]]);
        if (i % 2 == 0) /* and again, some at once and some at the end: R9 */
            subject_apply(subject, events[order[i / 2]]);
    }
    struct buffer text = {0};
    text_of_figures(&text, subject_figures(subject, now));
    if (expected->size == 0)
        buffer_add_span(expected, buffer_span(&text));
    assert_string_equal(text.data, expected->data);
    buffer_release(&text);
    ++*tried;
}

/* R1: every order of arrival, with repetitions, gives the same figures and classes; returns how many orders were tried. The
 * subject is left as the last order left him. */
static inline size_t assert_any_order(struct subject *subject, struct event *events, size_t count, int64_t now)
{
    char ids[PERMUTED_MOST][32];
    size_t order[PERMUTED_MOST], tried = 0;
    CHECK(count <= PERMUTED_MOST);
    identify(events, count, ids);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    struct buffer expected = {0};
    permute(subject, events, order, 0, count, now, &expected, &tried);
    buffer_release(&expected);
    return tried;
}

#endif
