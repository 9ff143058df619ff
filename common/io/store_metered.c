#include "common/io/store_metered.h"

#include "common/base/check.h"
#include "common/base/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum call { CALL_TAKE, CALL_META, CALL_LOAD, CALL_APPLY, CALL_DROP, CALL_CUSTOMER, CALL_NOTE, CALL_CHECK, CALL_COUNT };
static const char *const call_names[CALL_COUNT] = {"take", "meta",     "load", "apply",
                                                   "drop", "customer", "note", "check"};

struct metered {
    struct store inner;
    struct {
        uint64_t errors; /* not WORLD_DONE */
        struct histogram seconds;
    } calls[CALL_COUNT];
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum world note(struct metered *metered, enum call call, double began, enum world outcome)
{
    histogram_observe(&metered->calls[call].seconds, now_seconds() - began);
    metered->calls[call].errors += outcome != WORLD_DONE;
    return outcome;
}

static enum world take(void *context, int32_t shard, struct span epoch, struct span owner, struct span identity,
                       struct arena *arena, struct store_meta *ret_before)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_TAKE, began,
                store_take(&metered->inner, shard, epoch, owner, identity, arena, ret_before));
}

static enum world meta(void *context, int32_t shard, struct arena *arena, struct store_meta *ret_meta)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_META, began, store_read_meta(&metered->inner, shard, arena, ret_meta));
}

static enum world load(void *context, struct store_load *loads, size_t count, struct arena *arena,
                       int64_t *ret_server_ms)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_LOAD, began, store_load(&metered->inner, loads, count, arena, ret_server_ms));
}

static enum world apply(void *context, struct store_apply *applies, size_t count)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_APPLY, began, store_apply(&metered->inner, applies, count));
}

static enum world drop(void *context, int32_t shard)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_DROP, began, store_drop(&metered->inner, shard));
}

static enum world customer(void *context, int32_t shard, struct span customer_id, struct arena *arena,
                           struct span *ret_state)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_CUSTOMER, began, store_customer(&metered->inner, shard, customer_id, arena, ret_state));
}

static enum world history(void *context, int32_t shard, struct span customer_id, size_t max, struct arena *arena,
                          struct span **ret_values, size_t *ret_count)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_CUSTOMER, began,
                store_history(&metered->inner, shard, customer_id, max, arena, ret_values, ret_count));
}

static enum world note_read(void *context, int32_t shard, struct span name, struct arena *arena, struct span *ret_text)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_NOTE, began, store_note_read(&metered->inner, shard, name, arena, ret_text));
}

static enum world note_write(void *context, int32_t shard, struct span name, struct span text)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_NOTE, began, store_note_write(&metered->inner, shard, name, text));
}

static enum world check(void *context)
{
    struct metered *metered = context;
    double began = now_seconds();
    return note(metered, CALL_CHECK, began, store_check(&metered->inner));
}

static const char *error_text(void *context)
{
    struct metered *metered = context;
    return store_error_text(&metered->inner);
}

static void close_both(void *context)
{
    struct metered *metered = context;
    store_close(&metered->inner);
    free(metered);
}

static const struct store_calls calls = {
    .take = take,
    .meta = meta,
    .load = load,
    .apply = apply,
    .drop = drop,
    .customer = customer,
    .history = history,
    .note_read = note_read,
    .note_write = note_write,
    .check = check,
    .error_text = error_text,
    .close = close_both,
};

void store_metered_open(struct store *store)
{
    struct metered *metered = calloc(1, sizeof(*metered));
    CHECK(metered);
    metered->inner = *store;
    *store = (struct store){&calls, metered};
}

void store_metered_write(const struct store *store, struct buffer *text)
{
    const struct metered *metered = store->context;
    char labels[64];
    CHECK(store->calls == &calls);
    exposition_head(text, EXPOSITION_HISTOGRAM, "redis_call_seconds", "Round trips to Redis, by call.");
    for (int call = 0; call < CALL_COUNT; call++) {
        snprintf(labels, sizeof(labels), "call=\"%s\"", call_names[call]);
        exposition_buckets(text, "redis_call_seconds", labels, &metered->calls[call].seconds);
    }
    exposition_head(text, EXPOSITION_COUNTER, "redis_errors_total", "Round trips to Redis that failed, by call.");
    for (int call = 0; call < CALL_COUNT; call++) {
        snprintf(labels, sizeof(labels), "call=\"%s\"", call_names[call]);
        exposition_sample(text, "redis_errors_total", labels, (double)metered->calls[call].errors);
    }
}
