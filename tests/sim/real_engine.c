#include "tests/sim/real_engine.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/trace_context.h"
#include "common/codec/event_json.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/io/zones_load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- formats ---- */

static enum world real_event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                                  struct reading *ret_reading)
{
    int64_t received_at;
    (void)context;
    *ret_reading = (struct reading){.events = ARENA_NEW(arena, struct event), .count = 1, .message = SPAN("")};
    ret_reading->reason =
        event_json_read(original->value, arena, ret_reading->events, &received_at, &ret_reading->field);
    if (ret_reading->reason == REASON_NONE && ret_reading->events->topic != topic)
        ret_reading->reason = REASON_UNKNOWN_TOPIC;
    return WORLD_DONE;
}

static void real_record_write(void *context, const struct record *record, struct buffer *buffer)
{
    (void)context;
    record_json_write(record, buffer);
}

static bool real_decision_seq(struct span value, int64_t *ret_seq)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct json *record = json_read(value, &arena);
    const struct json *seq = record ? json_member(record, SPAN("seq")) : NULL;
    CHECK(seq && seq->type == JSON_KIND_INTEGER);
    *ret_seq = seq->integer;
    arena_release(&arena);
    return true;
}

const struct formats real_formats = {
    .event_read = real_event_read, .record_write = real_record_write, .decision_seq = real_decision_seq};

/* ---- what is the same for all worlds ---- */

static void file_read_whole(struct buffer *text)
{
    char chunk[4096];
    size_t size;
    FILE *file = fopen(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", "rb");
    CHECK(file);
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buffer_add(text, chunk, size);
    fclose(file);
}

/* Everywhere; what is not there would make the variant a copy. */
static void replace(struct buffer *text, const char *from, const char *to)
{
    struct buffer after = {0};
    const char *at = text->data, *next;
    CHECK(strstr(at, from));
    for (; (next = strstr(at, from)); at = next + strlen(from)) {
        buffer_add(&after, at, (size_t)(next - at));
        buffer_add_text(&after, to);
    }
    buffer_add_text(&after, at);
    buffer_release(text);
    *text = after;
}

static void variant_write(int variant, struct buffer *text)
{
    file_read_whole(text);
    if (variant == 1) {
        replace(text, "\"default-1\"", "\"variant-1\"");
        replace(text, "days_since_last_purchase < 60", "days_since_last_purchase < 45");
        replace(text, "  - name: tip\n", "  - name: hint\n");
        replace(text, "    delay: 2d\n", "    delay: 5d\n");
        replace(text, "    class: marketing\n", "    class: marketing\n    on_change: recompute\n");
    }
    if (variant == 2) {
        replace(text, "\"default-1\"", "\"variant-2\"");
        replace(text, "purchases >= settle_purchases", "purchases >= 1");
        replace(text, "lapse_days: 90", "lapse_days: 40");
        replace(text, "    delay: 1d\n", "    delay: 3d\n");
        replace(text, "    class: marketing\n", "    class: marketing\n    on_change: drop\n");
    }
}

static struct {
    struct buffer text;
    struct step_world world;
} variants[REAL_VARIANTS];

const struct step_world *real_variant(int variant)
{
    struct step_world *world = &variants[variant].world;
    struct playbook_errors errors = {0};
    char error[ZONES_ERROR_SIZE];
    if (world->playbook)
        return world;
    variant_write(variant, &variants[variant].text);
    world->playbook = playbook_compile(buffer_span(&variants[variant].text), "playbook.yaml", &errors);
    CHECK(world->playbook);
    world->zones = variant ? real_variant(0)->zones : zones_load(NULL, error);
    CHECK(world->zones);
    buffer_release(&errors.text);
    return world;
}

struct span real_variant_text(int variant)
{
    real_variant(variant);
    return buffer_span(&variants[variant].text);
}

const struct step_world *real_step_world(void)
{
    return real_variant(0);
}

/* ---- the shop ---- */

static const char *pick(struct sim_world *world, const char *const *names, size_t count)
{
    return names[sim_random(world, count)];
}
#define PICK(world, names) pick((world), (names), COUNT_OF(names))

static bool chance(struct sim_world *world, uint64_t of)
{
    return sim_random(world, of) == 0;
}

/* Orders are their customer's own: the same few ids come again, edited, cancelled, refunded. */
static void order_id(struct sim_world *world, const char *customer, struct buffer *line)
{
    buffer_format(line, ",\"order_id\":\"%s-o%d\"", customer, (int)sim_random(world, 4));
}

static void order(struct sim_world *world, const char *customer, struct buffer *line)
{
    static const char *const kinds[] = {"PLACED",
                                        "PLACED",
                                        "PLACED",
                                        "PLACED",
                                        "SUBSCRIPTION_RENEWED",
                                        "CANCELLED",
                                        "REFUNDED",
                                        "SUBSCRIPTION_STARTED",
                                        "SUBSCRIPTION_PAUSED",
                                        "SUBSCRIPTION_RESUMED",
                                        "SUBSCRIPTION_CANCELLED"};
    static const char *const skus[] = {"TRIAL-1", "PREMIUM-1", "RELATED-1", "SOAP"};
    static const char *const zones[] = {"Europe/London", "America/New_York", "Pacific/Auckland", "Nowhere/At-All"};
    buffer_format(line, ",\"kind\":\"%s\"", PICK(world, kinds));
    order_id(world, customer, line);
    buffer_format(line,
                  ",\"subscription_id\":\"%s-s\",\"lines\":[{\"sku\":\"%s\",\"quantity\":%d,\"unit_price\":1000}]",
                  customer, PICK(world, skus), 1 + (int)sim_random(world, 3));
    if (!chance(world, 4))
        buffer_add_text(line, ",\"email_registered\":true,\"marketing_consent\":true");
    if (chance(world, 3))
        buffer_add_text(line, ",\"line_registered\":true");
    if (chance(world, 5))
        buffer_format(line, ",\"time_zone\":\"%s\"", PICK(world, zones));
    if (chance(world, 3))
        buffer_format(line, ",\"referrer_customer_id\":\"c%d\"", (int)sim_random(world, 12));
    if (chance(world, 6))
        buffer_format(line, ",\"refund_amount\":%d", 400 + (int)sim_random(world, 900));
}

static void delivery(struct sim_world *world, const char *customer, struct buffer *line)
{
    static const char *const kinds[] = {"SHIPPED", "DELIVERED", "DELIVERED", "FAILED", "RETURNED"};
    buffer_format(line, ",\"kind\":\"%s\"", PICK(world, kinds));
    order_id(world, customer, line);
    if (chance(world, 4))
        buffer_add_text(line, ",\"parcel_id\":\"second\"");
}

static void survey(struct sim_world *world, const char *customer, struct buffer *line)
{
    buffer_format(line, ",\"survey_id\":\"s\",\"response_id\":\"%s-r%d\",\"purpose\":\"%s\"", customer,
                  (int)sim_random(world, 4), purpose_name((enum purpose)sim_random(world, PURPOSE_COUNT)));
    if (!chance(world, 3))
        buffer_format(line, ",\"nps\":%d", (int)sim_random(world, 11));
    if (chance(world, 2))
        buffer_format(line, ",\"satisfaction\":%d", 1 + (int)sim_random(world, 5));
    if (chance(world, 3))
        buffer_add_text(line, ",\"effect_felt\":true,\"concerns\":[\"price\",\"usage\"]");
}

static void opened(struct sim_world *world, const char *customer, struct buffer *line)
{
    static const char *const kinds[] = {"OPENED", "OPENED", "CLICKED", "UNSUBSCRIBED", "BOUNCED"};
    (void)customer;
    buffer_format(line, ",\"kind\":\"%s\",\"channel\":\"EMAIL\",\"agent\":\"HUMAN\"", PICK(world, kinds));
}

static void person(struct sim_world *world, const char *customer, struct buffer *line)
{
    static const char *const kinds[] = {"REGISTERED", "REGISTERED",     "CONSENTED",         "OPTED_OUT",
                                        "SHARED",     "EVENT_ATTENDED", "SUPPORT_CONTACTED", "REFERRED"};
    (void)customer;
    const char *kind = chance(world, 25) ? "ERASED" : PICK(world, kinds);
    buffer_format(line, ",\"kind\":\"%s\"", kind);
    if (strcmp(kind, "REGISTERED") == 0 || strcmp(kind, "CONSENTED") == 0 || strcmp(kind, "OPTED_OUT") == 0)
        buffer_add_text(line, ",\"channel\":\"EMAIL\"");
    if (strcmp(kind, "REFERRED") == 0)
        buffer_format(line, ",\"referred_customer_id\":\"c%d\"", (int)sim_random(world, 12));
}

typedef void shop_topic(struct sim_world *world, const char *customer, struct buffer *line);
static shop_topic *const shop_topics[TOPIC_COUNT] = {order, delivery, survey, opened, person};

/* Two records of three come with a trace, one of three with one that is sampled. */
static struct span real_trace(struct span value, char text[TRACE_TEXT_SIZE + 1])
{
    uint64_t hash = hash_xxh64(value);
    if (hash % 3 == 0)
        return SPAN_NONE;
    struct trace_context context = {.sampled = hash % 3 == 1};
    memcpy(context.trace_id, &hash, sizeof(hash));
    memcpy(context.span_id, &hash, sizeof(hash));
    context.span_id[0] |= 1; /* never all zeros */
    context.trace_id[TRACE_ID_SIZE - 1] = 1;
    trace_context_text(&context, text);
    return span_of(text);
}

static void append(struct sim_world *world, enum topic topic, const char *customer, struct span value)
{
    char wrong[32], trace[TRACE_TEXT_SIZE + 1];
    snprintf(wrong, sizeof(wrong), "wrong-%d", (int)sim_random(world, 100));
    struct log_header header = {SPAN("traceparent"), real_trace(value, trace)};
    struct log_message message = {.topic = world->flow.inputs[topic],
                                  .partition = LOG_PARTITION_BY_KEY,
                                  .key = span_of(chance(world, 10) ? wrong : customer),
                                  .value = value,
                                  .headers = &header,
                                  .header_count = !span_empty(header.value)};
    memory_cluster_append(world->cluster, &message);
}

static void history_add(struct sim_world *world, struct span line)
{
    if (world->history_count == world->history_capacity) {
        world->history_capacity = world->history_capacity ? world->history_capacity * 2 : 64;
        world->history = realloc(world->history, world->history_capacity * sizeof(char *));
        CHECK(world->history);
    }
    world->history[world->history_count++] = strndup(line.data, line.size);
}

static enum topic any_topic(struct sim_world *world)
{
    for (;;) {
        enum topic topic = chance(world, 3) ? TOPIC_ORDERS : (enum topic)sim_random(world, TOPIC_COUNT);
        if (topic != TOPIC_CUSTOMERS || !world->config.no_customers_topic)
            return topic;
    }
}

void real_shop_event(struct sim_world *world)
{
    struct buffer line = {0};
    char customer[16];
    enum topic topic = any_topic(world);
    int dice = (int)sim_random(world, 100);
    snprintf(customer, sizeof(customer), "c%d", (int)sim_random(world, 12));
    size_t number = world->event_count++;
    if (dice < 4) { /* unreadable */
        world->dead_count++;
        append(world, topic, customer, SPAN("{\"topic\": garbage"));
        return;
    }
    int64_t ago = chance(world, 2) ? (int64_t)sim_random(world, 60 * DAY_MS) : (int64_t)sim_random(world, 5000);
    int64_t at = world->script.wall_ms - ago;
    bool future = dice < 7;
    world->dead_count += future;
    buffer_format(&line,
                  "{\"topic\":\"%s\",\"event\":{\"event_id\":\"e%zu\",\"customer_id\":\"%s\",\"occurred_at\":%lld",
                  topic_name(topic), number, customer, (long long)(future ? at + 5 * 365 * DAY_MS : at));
    if (chance(world, 5))
        buffer_format(&line, ",\"version\":%d", (int)sim_random(world, 3));
    if (chance(world, 12))
        buffer_add_text(&line, ",\"backfill\":true");
    if (dice >= 7 && dice < 10 && !future)
        buffer_add_text(&line, ",\"test\":true");
    shop_topics[topic](world, customer, &line);
    buffer_add_text(&line, "}}");
    history_add(world, buffer_span(&line));
    append(world, topic, customer, buffer_span(&line));
    if (dice >= 10 && dice < 18)
        append(world, topic, customer, buffer_span(&line)); /* twice */
    buffer_release(&line);
}

/* ---- the sequential run ---- */

static void sequential_visit(const struct sim_world *world, struct arena *arena, const struct event *event, int64_t now,
                             struct replay *states)
{
    struct visit_result result;
    struct visit visit = {.customer_id = event->customer_id,
                          .state = arena_copy(arena, replay_state(states, event->customer_id)),
                          .events = event,
                          .event_count = 1,
                          .now = now};
    CHECK(step_visit(real_variant(world->variant), arena, &visit, &result));
    if (result.changed)
        replay_state_set(states, event->customer_id, result.state);
    for (const struct credit_out *credit = result.credits; credit; credit = credit->next)
        sequential_visit(world, arena, &credit->event, now, states);
}

void real_sequential(const struct sim_world *world, int64_t now, struct replay *states)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < world->history_count; i++) {
        struct event event;
        int64_t received_at;
        const char *field;
        arena_reset(&arena);
        enum reason reason = event_json_read(span_of(world->history[i]), &arena, &event, &received_at, &field);
        if (reason != REASON_NONE)
            fprintf(stderr, "%s %s: %s\n", reason_name(reason), field, world->history[i]);
        CHECK(reason == REASON_NONE);
        sequential_visit(world, &arena, &event, now, states);
    }
    arena_release(&arena);
}

void real_facts_text(const struct sim_world *world, struct span customer_id, struct span state, int64_t now,
                     struct buffer *text)
{
    struct arena arena;
    struct customer_report report;
    arena_init(&arena, 0);
    CHECK(step_report(real_variant(world->variant), &arena, customer_id, state, now, &report));
    report_json_write(customer_id, &report, text);
    arena_release(&arena);
}
