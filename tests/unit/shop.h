/* A shop of one customer for the tests of rules: events go in at a clock, every timer fires at its own instant on the
 * way (as `simulate` does), and what the engine says is one line of text per record:
 *
 *     transition tier null>prospect enter rest event at=0d00:00 effective=0d00:00
 *     decision reconfirm cycle:O1 1 sent due=3d00:00
 *     send reconfirm cycle:O1 1 email order=O1 event=-
 *     revoke reconfirm cycle:O1 1 email order_void
 *
 * Times are days, hours, minutes since DAY_0, 10:00 of a Tokyo morning. */
#ifndef ORIORI_TEST_SHOP_H
#define ORIORI_TEST_SHOP_H

#include "common/base/check.h"
#include "common/engine/step.h"
#include "common/io/zones_load.h"

#define DAY_0   (INT64_C(1717203600000)) /* 2024-06-01 10:00 in Tokyo */
#define D(days) (DAY_0 + (int64_t)((days) * (double)DAY_MS))

struct shop {
    struct zones *zones;
    struct playbook *playbook;
    struct playbook *playbook_before;
    struct pauses pauses;
    struct arena arena;
    struct buffer state;
    struct buffer lines;
    int64_t wake_at;
    int event_number;
    struct event_result result; /* of the last event */
    struct credit_out credit;   /* the last that went out */
    bool has_credit;
    const char *customer;
};

static inline struct buffer shop_file(const char *path)
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

/* The text with the first place of one line's beginning replaced by another text. */
static inline void shop_replace(struct buffer *text, const char *what, const char *by)
{
    char *at = strstr(text->data, what);
    if (at == NULL) {
        fprintf(stderr, "not in the playbook: %s\n", what);
        abort();
    }
    struct buffer changed = {0};
    buffer_add(&changed, text->data, (size_t)(at - text->data));
    buffer_add_text(&changed, by);
    buffer_add_text(&changed, at + strlen(what));
    buffer_release(text);
    *text = changed;
}

/* The default playbook without a holdout; edits are pairs of texts, NULL at the end. */
static inline struct playbook *shop_playbook(const char *const *edits)
{
    struct buffer yaml = shop_file(ORIORI_SOURCE_DIR "/schemas/playbook.yaml");
    shop_replace(&yaml, "\nholdout: 0.05", "\nholdout: 0.0");
    for (; edits && edits[0]; edits += 2)
        shop_replace(&yaml, edits[0], edits[1]);
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(buffer_span(&yaml), "playbook.yaml", &errors);
    if (playbook == NULL) {
        fprintf(stderr, "%s", errors.text.data);
        abort();
    }
    buffer_release(&yaml);
    buffer_release(&errors.text);
    return playbook;
}

/* A playbook of the default's head and these rules only: what a test is about, and no more. */
static inline struct playbook *shop_rules(const char *rules, const char *const *edits)
{
    struct buffer yaml = shop_file(ORIORI_SOURCE_DIR "/schemas/playbook.yaml");
    shop_replace(&yaml, "\nholdout: 0.05", "\nholdout: 0.0");
    for (; edits && edits[0]; edits += 2)
        shop_replace(&yaml, edits[0], edits[1]);
    char *end = strstr(yaml.data, "\nrules:\n");
    CHECK(end != NULL);
    yaml.size = (size_t)(end - yaml.data) + strlen("\nrules:\n");
    buffer_add_text(&yaml, rules);
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(buffer_span(&yaml), "playbook.yaml", &errors);
    if (playbook == NULL) {
        fprintf(stderr, "%s%s", errors.text.data, rules);
        abort();
    }
    buffer_release(&yaml);
    buffer_release(&errors.text);
    return playbook;
}

static inline void shop_open(struct shop *shop, struct playbook *playbook)
{
    static struct zones *zones;
    char error[ZONES_ERROR_SIZE];
    if (zones == NULL)
        zones = zones_load(NULL, error);
    CHECK(zones != NULL);
    *shop = (struct shop){.zones = zones, .playbook = playbook, .wake_at = NEVER, .customer = "anna"};
    arena_init(&shop->arena, 0);
    buffer_add_text(&shop->lines, "\n");
}

static inline void shop_close(struct shop *shop)
{
    playbook_free(shop->playbook);
    playbook_free(shop->playbook_before);
    arena_release(&shop->arena);
    buffer_release(&shop->state);
    buffer_release(&shop->lines);
}

/* The playbook is changed while runs wait. */
static inline void shop_change(struct shop *shop, struct playbook *playbook)
{
    CHECK(shop->playbook_before == NULL);
    shop->playbook_before = shop->playbook;
    shop->playbook = playbook;
}

/* ---- what the engine says ---- */

static inline const char *shop_time(int64_t at)
{
    static char texts[4][40];
    static int next;
    char *text = texts[next++ % 4];
    if (at == NEVER)
        return "-";
    int64_t minutes = floor_div(at - DAY_0, MINUTE_MS), days = floor_div(minutes, 24 * 60);
    minutes -= days * 24 * 60;
    snprintf(text, sizeof texts[0], "%lldd%02d:%02d", (long long)days, (int)(minutes / 60), (int)(minutes % 60));
    return text;
}

static inline const char *shop_text(struct span text)
{
    static char texts[4][200];
    static int next;
    char *copy = texts[next++ % 4];
    CHECK(text.size < sizeof texts[0]);
    if (text.size == 0)
        return "-";
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static inline void shop_tell(struct shop *shop, const struct record *record)
{
    struct buffer *lines = &shop->lines;
    if (record->type == RECORD_TRANSITION) {
        const struct transition *t = &record->transition;
        const char *from = class_value_name(t->dimension, t->from);
        buffer_format(lines, "transition %s %s>%s %s%s %s%s at=%s effective=%s\n", dimension_name(t->dimension),
                      from ? from : "null", class_value_name(t->dimension, t->to), direction_name(t->direction),
                      t->rest ? " rest" : "", cause_name(t->cause), t->returned ? " returned" : "",
                      shop_time(record->at), shop_time(t->effective_at));
    } else if (record->type == RECORD_DECISION) {
        const struct decision *d = &record->decision;
        buffer_format(lines, "decision %s %s %d %s", shop_text(d->rule), shop_text(d->key), d->n,
                      outcome_name(d->outcome));
        if (d->detail.size > 0)
            buffer_format(lines, " (%s)", shop_text(d->detail));
        buffer_format(lines, " at=%s due=%s", shop_time(record->at), shop_time(d->due_at));
        if (d->until != NEVER)
            buffer_format(lines, " until=%s", shop_time(d->until));
        buffer_add_text(lines, "\n");
    } else {
        const struct action *a = &record->action;
        buffer_format(lines, "%s %s %s %d %s order=%s event=%s", action_kind_name(a->kind), shop_text(a->rule),
                      shop_text(a->key), a->n, channel_name(a->channel), shop_text(a->order_id),
                      shop_text(a->event_id));
        if (a->reason != REVOKE_NONE)
            buffer_format(lines, " %s made=%s after=%s due=%s", revoke_reason_name(a->reason), shop_time(a->made_at),
                          shop_time(a->send_after), shop_time(a->due_at));
        for (size_t i = 0; i < a->variables.count; i++) {
            const struct named *v = &a->variables.items[i];
            if (v->type == NAMED_TEXT)
                buffer_format(lines, " %s=%s", shop_text(v->name), shop_text(v->text));
            else
                buffer_format(lines, " %s=%lld", shop_text(v->name), (long long)v->integer);
        }
        buffer_add_text(lines, "\n");
    }
}

static inline void shop_visit(struct shop *shop, const struct event *event, int64_t now, bool fire)
{
    struct step_world world = {.playbook = shop->playbook, .zones = shop->zones, .pauses = &shop->pauses};
    struct visit visit = {.customer_id = span_of(shop->customer),
                          .state = buffer_span(&shop->state),
                          .events = event,
                          .event_count = event ? 1 : 0,
                          .now = now,
                          .fire_now = fire};
    struct visit_result result;
    CHECK(step_visit(&world, &shop->arena, &visit, &result));
    for (const struct record *record = result.records; record; record = record->next)
        shop_tell(shop, record);
    struct buffer state = {0};
    buffer_add_span(&state, result.state);
    buffer_release(&shop->state);
    shop->state = state;
    shop->wake_at = result.wake_at;
    if (event)
        shop->result = result.results[0];
    shop->has_credit = result.credits != NULL;
}

/* Every timer due before (or at, when through) the instant fires at its own time. */
static inline void shop_timers(struct shop *shop, int64_t until, bool through)
{
    while (shop->wake_at != NEVER && (shop->wake_at < until || (through && shop->wake_at == until))) {
        int64_t at = shop->wake_at;
        shop_visit(shop, NULL, at, true);
        CHECK(shop->wake_at == NEVER || shop->wake_at > at);
        arena_reset(&shop->arena);
    }
}

static inline void shop_until(struct shop *shop, int64_t now)
{
    shop_timers(shop, now, true);
}

/* An event arrives at the clock; timers due at exactly that instant fire with the next call (R2). */
static inline void shop_event_at(struct shop *shop, struct event event, int64_t now)
{
    shop_timers(shop, now, false);
    event.customer_id = span_of(shop->customer);
    if (event.occurred_at == NEVER)
        event.occurred_at = now;
    char id[32];
    if (event.event_id.size == 0) {
        snprintf(id, sizeof id, "e%d", ++shop->event_number);
        event.event_id = span_of(id);
    }
    shop_visit(shop, &event, now, false);
    arena_reset(&shop->arena);
}

/* ---- events ---- */

static inline struct event shop_blank(enum topic topic, enum event_kind kind)
{
    struct event event = event_blank(topic, kind);
    event.occurred_at = NEVER;
    return event;
}

static inline struct event shop_order(enum event_kind kind, const char *order_id)
{
    struct event event = shop_blank(TOPIC_ORDERS, kind);
    event.order_id = span_of(order_id);
    return event;
}

static inline struct event shop_placed(const char *order_id)
{
    struct event event = shop_order(EVENT_PLACED, order_id);
    event.email_registered = ANSWER_TRUE;
    event.marketing_consent = ANSWER_TRUE;
    return event;
}

static inline struct event shop_delivery(enum event_kind kind, const char *order_id)
{
    struct event event = shop_blank(TOPIC_DELIVERIES, kind);
    event.order_id = span_of(order_id);
    return event;
}

static inline struct event shop_answer(const char *response_id, enum purpose purpose, int nps)
{
    struct event event = shop_blank(TOPIC_SURVEYS, EVENT_RESPONSE);
    event.survey_id = SPAN("S");
    event.response_id = span_of(response_id);
    event.purpose = purpose;
    event.nps = nps;
    return event;
}

static inline struct event shop_customer(enum event_kind kind)
{
    return shop_blank(TOPIC_CUSTOMERS, kind);
}

/* ---- what is expected ---- */

static inline int shop_count(const struct shop *shop, const char *text)
{
    int count = 0;
    for (const char *at = strstr(shop->lines.data, text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

/* A line that begins with the text. */
static inline bool shop_says(const struct shop *shop, const char *begin)
{
    char line[512];
    snprintf(line, sizeof line, "\n%s", begin);
    return strstr(shop->lines.data, line) != NULL;
}

static inline void shop_forget(struct shop *shop)
{
    buffer_reset(&shop->lines);
    buffer_add_text(&shop->lines, "\n");
}

#define EXPECT(shop, begin)                                                                                            \
    do {                                                                                                               \
        if (!shop_says((shop), (begin)))                                                                               \
            fail_msg("expected a line: %s\nfound:%s", (begin), (shop)->lines.data);                                    \
    } while (0)
#define EXPECT_NONE(shop, begin)                                                                                       \
    do {                                                                                                               \
        if (shop_says((shop), (begin)))                                                                                \
            fail_msg("unexpected line: %s\nfound:%s", (begin), (shop)->lines.data);                                    \
    } while (0)
#define EXPECT_COUNT(shop, text, number)                                                                               \
    do {                                                                                                               \
        if (shop_count((shop), (text)) != (number))                                                                    \
            fail_msg("expected %d times: %s\nfound:%s", (number), (text), (shop)->lines.data);                         \
    } while (0)

#endif
