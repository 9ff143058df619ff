#include "workers/demo/feeder.h"

#include "common/base/arena.h"
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/event_json.h"
#include "common/codec/json.h"

#include <stdlib.h>
#include <sys/types.h>

enum { TICK_MS = 15 * 60 * 1000 };

/* Which customers were seen: a set of 64-bit hashes, open addressing, 0 = empty. */
struct id_set {
    uint64_t *slots;
    size_t capacity; /* a power of two */
    size_t count;
};

static void id_set_add(struct id_set *set, uint64_t hash);

static void id_set_grow(struct id_set *set)
{
    struct id_set larger = {.capacity = set->capacity ? set->capacity * 2 : 1024};
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    CHECK(larger.slots);
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i])
            id_set_add(&larger, set->slots[i]);
    free(set->slots);
    *set = larger;
}

static void id_set_add(struct id_set *set, uint64_t hash)
{
    if (set->count * 2 >= set->capacity)
        id_set_grow(set);
    hash += hash == 0;
    size_t at = hash & (set->capacity - 1);
    while (set->slots[at] && set->slots[at] != hash)
        at = (at + 1) & (set->capacity - 1);
    set->count += set->slots[at] == 0;
    set->slots[at] = hash;
}

struct feeder {
    const struct feeder_sink *sink;
    struct arena arena; /* of the line in hand */
    struct id_set customers;
    struct feeder_counts counts;
    bool (*on_tick)(void *context, const struct feeder_counts *counts);
    void *on_tick_context;
    bool ended; /* by on_tick */
};

static bool tick_to(struct feeder *feeder, int64_t at)
{
    if (!feeder->sink->tick(feeder->sink->context, at))
        return false;
    feeder->counts.ticks++;
    feeder->counts.now = at;
    feeder->counts.customers = feeder->customers.count;
    feeder->ended = feeder->on_tick && !feeder->on_tick(feeder->on_tick_context, &feeder->counts);
    return true;
}

/* All ticks that lie before the event: it belongs to the first tick at or after it. */
static bool time_pass(struct feeder *feeder, int64_t received_at)
{
    int64_t before = received_at - 1 - (received_at - 1) % TICK_MS; /* the last tick before it; times are positive */
    if (feeder->counts.now == NEVER) /* the shards' clocks must run before the first event is applied */
        return tick_to(feeder, before);
    while (feeder->counts.now < before && !feeder->ended)
        if (!tick_to(feeder, feeder->counts.now + TICK_MS))
            return false;
    return true;
}

/* A line may carry a `key` of its own: a producer that does not key by customer. */
static struct span key_of(struct feeder *feeder, struct span line, const struct event *event)
{
    const struct json *whole = json_read(line, &feeder->arena);
    const struct json *key = whole ? json_member(whole, SPAN("key")) : NULL;
    return key && key->type == JSON_KIND_TEXT ? key->text : event->customer_id;
}

static bool line_feed(struct feeder *feeder, struct span line)
{
    struct event event;
    int64_t received_at = NEVER;
    const char *field = NULL;
    arena_reset(&feeder->arena);
    feeder->counts.lines++;
    if (event_json_read(line, &feeder->arena, &event, &received_at, &field) != REASON_NONE) {
        feeder->counts.refused++;
        return true;
    }
    struct feeder_event fed = {.topic = event.topic,
                               .key = key_of(feeder, line, &event),
                               .line = line,
                               .event = &event,
                               .received_at = received_at == NEVER ? event.occurred_at : received_at};
    if (!time_pass(feeder, fed.received_at))
        return false;
    if (feeder->ended)
        return true;
    id_set_add(&feeder->customers, hash_xxh64(event.customer_id));
    feeder->counts.events++;
    return feeder->sink->event_write(feeder->sink->context, &fed);
}

bool feeder_run(FILE *file, const struct feeder_sink *sink, bool (*on_tick)(void *, const struct feeder_counts *),
                void *on_tick_context, struct feeder_counts *ret_counts)
{
    struct feeder feeder = {
        .sink = sink, .on_tick = on_tick, .on_tick_context = on_tick_context, .counts = {.now = NEVER}};
    char *text = NULL;
    size_t capacity = 0;
    ssize_t size;
    uint64_t number = 0;
    bool good = true;
    arena_init(&feeder.arena, 0);
    while (good && !feeder.ended && (size = getline(&text, &capacity, file)) >= 0) {
        size -= size > 0 && text[size - 1] == '\n';
        struct span line = event_json_line((struct span){text, (size_t)size}, ++number);
        good = span_empty(line) || line_feed(&feeder, line);
    }
    if (good && !feeder.ended && feeder.counts.now != NEVER)
        good = tick_to(&feeder, feeder.counts.now + TICK_MS); /* the last events' own tick */
    *ret_counts = feeder.counts;
    free(text);
    free(feeder.customers.slots);
    arena_release(&feeder.arena);
    return good;
}
