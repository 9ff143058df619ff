/* The loop: one table shows a batch's way, and one function decides what follows from what the world answered. */
#include "common/base/check.h"
#include "common/flow/batch.h"
#include "common/flow/control.h"
#include "common/flow/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDLE_WAIT_MS = 1000 /* the group wants to hear from us at least so often */ };

/* ---- the way of a batch ---- */

static const struct {
    const char *name;
    enum world (*run)(struct worker *worker, struct batch *batch);
} steps[] = {
    {"fetch", flow_fetch},       /* records, until a count, byte or time limit */
    {"attempt", flow_attempt},   /* in a young process: noted, so that a record that ends it is found */
    {"decode", flow_decode},     /* bytes to events; what cannot be read is dead */
    {"sweep", flow_sweep},       /* whom a new playbook has still to visit: listed */
    {"route", flow_route},       /* home, or forward; shards with due timers or a sweep join */
    {"load", flow_load},         /* states, in one round trip with epoch, pos and seq */
    {"suspect", flow_suspect},   /* in a young process: noted, so that a customer who ends it is found */
    {"decide", flow_decide},     /* the engine: pure */
    {"survived", flow_survived}, /* the note is taken back */
    {"publish", flow_publish},   /* all of it, into one transaction */
    {"commit", flow_commit},     /* with the consumed offsets */
    {"apply", flow_apply},       /* the view follows */
};

_Static_assert(COUNT_OF(steps) <= MEASURE_STEPS, "each step has a place in the measures");

const char *metrics_step_name(size_t index)
{
    return index < COUNT_OF(steps) ? steps[index].name : NULL;
}

/* What the libraries say, unless this turn has said something better already. */
static void report_outcome(struct worker *worker, const char *where, enum world outcome)
{
    if (outcome == WORLD_DONE || outcome == WORLD_AGAIN || worker->told)
        return;
    const char *log_text = log_error_text(worker->log), *store_text = store_error_text(worker->store);
    if (!log_text[0] && !store_text[0]) /* no library failed: what was begun is nobody's any more */
        log_text = worker->assigned && !worker->recover ? "what was read no longer fits together; from the beginning"
                                                        : "the group has moved shards; from the beginning";
    worker_report(worker, outcome == WORLD_STOP ? REPORT_ERROR : REPORT_WARNING, "%s: %s%s%s", where, log_text,
                  log_text[0] && store_text[0] ? "; " : "", store_text);
}

static bool batch_is_empty(const struct batch *batch)
{
    return batch->source_count == 0 && batch->shard_count == 0;
}

static enum world batch_run(struct worker *worker, struct batch *batch)
{
    batch->letters_end = &batch->letters;
    batch->outgoing_end = &batch->outgoing;
    int64_t fetched_at = 0, at = clock_monotonic(worker->clock);
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        enum world outcome = steps[i].run(worker, batch);
        int64_t now = clock_monotonic(worker->clock);
        worker->measures.step_ms[i] += now - at;
        at = now;
        if (i == 0)
            fetched_at = now;
        if (outcome != WORLD_DONE) {
            report_outcome(worker, steps[i].name, outcome);
            return outcome;
        }
        if (worker->recover || !worker->assigned)
            break;
        if ((steps[i].run == flow_route || steps[i].run == flow_load) && batch_is_empty(batch))
            return WORLD_DONE; /* neither records nor timers */
    }
    if (!batch_is_empty(batch) && !worker->recover && worker->assigned)
        measure_applied(worker, fetched_at);
    return WORLD_DONE;
}

/* The one place that decides what follows. */
static void settle(struct worker *worker, enum world outcome)
{
    switch (outcome) {
    case WORLD_DONE:
        worker->backoff_ms = 0;
        worker->retry_at = 0;
        return;
    case WORLD_AGAIN: /* nothing happened: the batch is dropped and read again; a smaller one, or after a while */
        worker->assign_stale = true;
        worker->counts.rewinds++;
        if (!worker->arena.overflow && !worker->shrunk)
            worker->retry_at = clock_monotonic(worker->clock) + IDLE_WAIT_MS;
        return;
    case WORLD_REPLACE:
        worker->producer_sound = false;
        worker->recover = true;
        break;
    case WORLD_RECOVER:
        worker->recover = true;
        break;
    case WORLD_STOP:
        worker->failed = true;
        return;
    }
    worker->backoff_ms = worker->backoff_ms ? worker->backoff_ms * 2 : worker->config.backoff_ms;
    if (worker->backoff_ms > worker->config.backoff_max_ms)
        worker->backoff_ms = worker->config.backoff_max_ms;
}

/* ---- start ---- */

static enum world topic_check(struct worker *worker, const char *topic)
{
    int32_t count = 0;
    enum world outcome = log_partition_count(worker->log, topic, &count);
    if (outcome != WORLD_DONE || count == worker->config.shard_count)
        return outcome;
    if (count ==
        0) { /* a topic just made is not known to every broker at once; a cluster may get its topics after us */
        worker_report(worker, REPORT_ERROR, "there is no topic %s: `oriori topics create`; waiting for it", topic);
        return WORLD_AGAIN;
    }
    worker_report(worker, REPORT_ERROR,
                  "topic %s has %d partitions, this application has %d shards (fixed for life): `oriori topics create`",
                  topic, (int)count, (int)worker->config.shard_count);
    return WORLD_STOP;
}

/* One partition is all that is used of it. */
static enum world playbook_topic_check(struct worker *worker)
{
    int32_t count = 0;
    enum world outcome = log_partition_count(worker->log, worker->config.playbook_topic, &count);
    if (outcome != WORLD_DONE || count > 0)
        return outcome;
    worker_report(worker, REPORT_ERROR, "there is no topic %s: `oriori topics create`; waiting for it",
                  worker->config.playbook_topic);
    return WORLD_AGAIN;
}

static enum world identity_make(struct worker *worker)
{
    const struct span *application_id = &worker->config.application_id;
    struct span cluster_id;
    enum world outcome = log_cluster_id(worker->log, &worker->arena, &cluster_id);
    if (outcome != WORLD_DONE)
        return outcome;
    struct buffer text = {0};
    buffer_format(&text, "%.*s/%d/", (int)application_id->size, application_id->data, (int)worker->config.shard_count);
    size_t head = text.size;
    buffer_add_span(&text, cluster_id);
    worker->identity = buffer_span(&text); /* the buffer's memory is the worker's from here on */
    worker->cluster_id = (struct span){text.data + head, cluster_id.size};
    return WORLD_DONE;
}

static enum world worker_check(struct worker *worker)
{
    const char *internal[] = {worker->config.forward_topic, worker->config.state_topic, worker->config.steps_topic};
    enum world outcome = store_check(worker->store);
    for (size_t i = 0; i < COUNT_OF(internal) && outcome == WORLD_DONE; i++)
        outcome = topic_check(worker, internal[i]);
    if (outcome == WORLD_DONE && span_empty(worker->identity))
        outcome = identity_make(worker);
    if (outcome == WORLD_DONE && !span_empty(worker->config.playbook_text))
        outcome = playbook_topic_check(worker);
    worker->checked = outcome == WORLD_DONE;
    if (outcome == WORLD_AGAIN)
        outcome = WORLD_RECOVER; /* not there yet: said, and tried again with backoff */
    report_outcome(worker, "start", outcome);
    return outcome;
}

/* ---- the group ---- */

static bool owns_forward(const struct log_event *event, int32_t shard)
{
    for (size_t i = 0; i < event->partition_count; i++)
        if (event->partitions[i].topic == TOPIC_COUNT && event->partitions[i].partition == shard)
            return true;
    return false;
}

static void shards_forget(struct worker *worker)
{
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        struct shard *shard = &worker->shards[h];
        arena_reset(&shard->memory);
        *shard = (struct shard){.index = h, .memory = shard->memory, .next_wake_at = NEVER};
    }
    worker->source_count = 0;
}

void worker_note_group(struct worker *worker, const struct log_event *event)
{
    shards_forget(worker);
    worker->recover = true;
    worker->assigned = event->happening == LOG_ASSIGNED;
    if (!worker->assigned)
        return;
    worker->generation = event->generation;
    worker->measures.rebalances++;
    worker->sources = realloc(worker->sources, (event->partition_count + 1) * sizeof(struct source));
    CHECK(worker->sources);
    for (size_t i = 0; i < event->partition_count; i++)
        worker->sources[worker->source_count++] = (struct source){.topic = event->partitions[i].topic,
                                                                  .partition = event->partitions[i].partition,
                                                                  .shard = -1,
                                                                  .next = LOG_OFFSET_NONE};
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (owns_forward(event, h))
            worker->shards[h].phase = SHARD_WAITING;
}

/* Which sources are read for a shard of ours: its crm.forward, and the inputs of its number where the topic has S
 * partitions. The others are loose: all they give is forwarded. */
static enum world sources_align(struct worker *worker)
{
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int32_t count = 0;
        enum world outcome;
        FLOW_INSIST(worker, outcome, log_partition_count(worker->log, worker->config.inputs[t], &count));
        if (outcome != WORLD_DONE)
            return outcome;
        worker->topic_aligned[t] = count == worker->config.shard_count;
    }
    for (size_t i = 0; i < worker->source_count; i++) {
        struct source *source = &worker->sources[i];
        bool aligned = source->topic == TOPIC_COUNT || worker->topic_aligned[source->topic];
        bool ours =
            source->partition < worker->config.shard_count && worker->shards[source->partition].phase != SHARD_ABSENT;
        source->shard = aligned && ours ? source->partition : -1;
        source->next = LOG_OFFSET_NONE;
    }
    return WORLD_DONE;
}

/* ---- recovery's beginning: forget all ---- */

static void epoch_new(struct worker *worker)
{
    snprintf(worker->epoch, sizeof(worker->epoch), "%016llx-%d-%llu", (unsigned long long)worker->config.token,
             (int)worker->generation, (unsigned long long)++worker->epoch_count);
}

static enum world forget(struct worker *worker)
{
    enum world outcome = worker->producer_sound ? log_abort(worker->log) : WORLD_DONE;
    if (outcome != WORLD_DONE) {
        worker->producer_sound = false;
        return outcome;
    }
    if (!worker->producer_sound)
        FLOW_INSIST(worker, outcome, log_producer_new(worker->log, worker->config.call_timeout_ms));
    if (outcome != WORLD_DONE)
        return outcome;
    worker->producer_sound = true;
    FLOW_INSIST(worker, outcome, log_assign(worker->log, NULL, 0));
    if (outcome == WORLD_DONE)
        outcome = sources_align(worker);
    if (outcome != WORLD_DONE)
        return outcome;
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        struct shard *shard = &worker->shards[h];
        if (shard->phase == SHARD_READY)
            shard->phase = SHARD_WAITING;
        shard->retry_at = 0;
    }
    epoch_new(worker);
    worker->recover = false;
    worker->assign_stale = true;
    worker->counts.recoveries++;
    if (worker->measures.recovering_since == 0)
        worker->measures.recovering_since = clock_monotonic(worker->clock);
    return WORLD_DONE;
}

static bool shard_retry_due(const struct worker *worker)
{
    int64_t now = clock_monotonic(worker->clock);
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (worker->shards[h].phase == SHARD_WAITING && worker->shards[h].retry_at <= now)
            return true;
    return false;
}

static bool loose_unresolved(const struct worker *worker)
{
    for (size_t i = 0; i < worker->source_count; i++)
        if (worker->sources[i].shard < 0 && worker->sources[i].next == LOG_OFFSET_NONE && !worker->sources[i].broken)
            return true;
    return false;
}

static enum world recover_when_needed(struct worker *worker)
{
    enum world outcome = worker->recover ? forget(worker) : WORLD_DONE;
    if (outcome == WORLD_DONE && (worker->assign_stale || shard_retry_due(worker) || loose_unresolved(worker)))
        outcome = worker_recover(worker);
    if (outcome == WORLD_AGAIN)
        outcome = WORLD_RECOVER;
    measure_recovery(worker);
    report_outcome(worker, "recovery", outcome);
    return outcome;
}

/* ---- a turn ---- */

/* How long nothing will happen by itself: until the next timer, or until a shard may try again. */
static int32_t idle_wait(const struct worker *worker)
{
    int64_t wait = IDLE_WAIT_MS, now = clock_monotonic(worker->clock);
    if (sweep_idle(worker) < wait)
        wait = sweep_idle(worker);
    if (histories_idle(worker) < wait)
        wait = histories_idle(worker);
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        const struct shard *shard = &worker->shards[h];
        int64_t left = wait;
        if (shard->phase == SHARD_READY && shard->next_wake_at != NEVER)
            left = shard->next_wake_at - shard_now(worker, shard);
        if (left < pace_wait(worker, shard))
            left = pace_wait(worker, shard);
        if (shard->phase == SHARD_WAITING)
            left = shard->retry_at - now;
        if (left < wait)
            wait = left;
    }
    return wait > 0 ? (int32_t)wait : 0;
}

/* Nothing to do, as far as the log tells: what is read was read to its end, and no shard waits to be recovered. A
 * stopped shard is for people, and clocks that differ are too: ending the process would heal neither. */
static bool is_idle(const struct worker *worker)
{
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (worker->shards[h].phase == SHARD_WAITING)
            return false;
    for (size_t i = 0; i < worker->source_count; i++)
        if (source_is_read(worker, &worker->sources[i]) && !worker->sources[i].at_end)
            return false;
    return true;
}

static int32_t batch_turn(struct worker *worker, int32_t wait_ms)
{
    struct batch batch = {.wait_ms = wait_ms, .unread = pace_turn(worker) > 0};
    int32_t idle = idle_wait(worker);
    if (idle < batch.wait_ms)
        batch.wait_ms = idle;
    arena_reset(&worker->arena);
    enum world outcome = batch_run(worker, &batch);
    if (outcome == WORLD_DONE && !worker->recover && worker->assigned) {
        outcome = worker_histories(worker);
        report_outcome(worker, "histories", outcome);
    }
    settle(worker, outcome);
    if (outcome == WORLD_DONE && !worker->recover)
        worker_trim(worker);
    if (worker->skewed || (batch_is_empty(&batch) && outcome == WORLD_DONE && !worker->recover && is_idle(worker)))
        worker->progress_at = clock_monotonic(worker->clock);
    return batch_is_empty(&batch) && outcome == WORLD_DONE && !worker->recover ? idle_wait(worker) : 0;
}

/* Waits for the group to give us something. */
static enum world join(struct worker *worker, int32_t wait_ms)
{
    struct log_event event;
    enum world outcome = log_poll(worker->log, wait_ms, &event);
    if (outcome == WORLD_DONE && event.happening == LOG_ASSIGNED)
        worker_note_group(worker, &event);
    report_outcome(worker, "joining the group", outcome);
    return outcome;
}

int32_t worker_turn(struct worker *worker, int32_t wait_ms)
{
    enum world outcome = WORLD_DONE;
    int64_t pause = worker->retry_at - clock_monotonic(worker->clock);
    worker->told = worker->shrunk = false;
    if (worker->failed)
        return IDLE_WAIT_MS;
    if (worker->retry_at != 0) { /* backing off; and before each new try too, or stale membership would never end */
        worker_keep_alive(worker);
        if (pause > 0)
            return (int32_t)pause;
    }
    if (!worker->checked)
        outcome = worker_check(worker);
    else if (!worker->assigned) {
        outcome = join(worker, wait_ms);
        if (outcome == WORLD_DONE)
            return worker->assigned ? 0 : IDLE_WAIT_MS;
    } else {
        outcome = recover_when_needed(worker);
        if (outcome == WORLD_DONE && !worker->recover && worker->assigned)
            return batch_turn(worker, wait_ms);
    }
    settle(worker, outcome);
    if (worker->backoff_ms)
        worker->retry_at = clock_monotonic(worker->clock) + worker->backoff_ms;
    return (int32_t)worker->backoff_ms;
}

bool worker_ended(const struct worker *worker)
{
    return worker->failed;
}

bool worker_ready(const struct worker *worker)
{
    bool ready = worker->assigned && !worker->recover && !worker->failed && !worker->skewed;
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        ready = ready && (worker->shards[h].phase == SHARD_READY || worker->shards[h].phase == SHARD_ABSENT);
    for (size_t i = 0; i < worker->source_count; i++)
        ready = ready && !worker->sources[i].broken;
    return ready;
}

/* ---- what several steps share ---- */

void worker_report(struct worker *worker, enum report_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(worker->trouble, sizeof(worker->trouble), format, arguments);
    va_end(arguments);
    worker->told = true;
    if (worker->config.report)
        worker->config.report(worker->config.report_context, level, worker->trouble);
}

const char *source_topic_name(const struct worker *worker, int topic)
{
    return topic == TOPIC_COUNT ? worker->config.forward_topic : worker->config.inputs[topic];
}

struct source *worker_source(struct worker *worker, int topic, int32_t partition)
{
    for (size_t i = 0; i < worker->source_count; i++)
        if (worker->sources[i].topic == topic && worker->sources[i].partition == partition)
            return &worker->sources[i];
    return NULL;
}

int64_t shard_now(const struct worker *worker, const struct shard *shard)
{
    int64_t now = worker->config.clock_input ? shard->control.tick_at : clock_wall(worker->clock);
    return now > shard->clock ? now : shard->clock;
}

void shard_stop(struct worker *worker, struct shard *shard, const char *why)
{
    shard->phase = SHARD_STOPPED;
    snprintf(shard->trouble, sizeof(shard->trouble), "%s", why);
    worker->assign_stale = true;
    worker->counts.stopped_shards++;
    worker_report(worker, REPORT_ERROR, "shard %d is stopped: %s", (int)shard->index, why);
}

/* ---- life ---- */

void worker_init(struct worker *worker, const struct flow_config *config, struct log *log, struct store *store,
                 struct clock *clock)
{
    *worker = (struct worker){.config = *config, .log = log, .store = store, .clock = clock};
    CHECK(config->shard_count > 0 && config->world && config->engine.visit && config->formats.event_read &&
          config->portion_max > 0);
    arena_init(&worker->arena, config->arena_limit);
    arena_init(&worker->portion, 0);
    arena_init(&worker->sweep.memory, 0);
    arena_init(&worker->sweep.spare, 0);
    playbooks_borrow(&worker->playbooks, config->world);
    if (config->world->playbook) /* a small engine of a test has none */
        memcpy(worker->file_hash, config->world->playbook->hash, sizeof(worker->file_hash));
    worker->young = worker->young_timers = config->record_tries > 0;
    worker->batch_records = worker->young ? 1 : config->batch_records_max;
    worker->timer_batch = 1;
    worker->shards = calloc((size_t)config->shard_count, sizeof(struct shard));
    CHECK(worker->shards);
    for (int32_t h = 0; h < config->shard_count; h++)
        arena_init(&worker->shards[h].memory, 0);
    shards_forget(worker);
    worker->progress_at = clock_monotonic(clock);
}

void worker_release(struct worker *worker)
{
    for (int32_t h = 0; worker->shards && h < worker->config.shard_count; h++)
        arena_release(&worker->shards[h].memory);
    free(worker->shards);
    free(worker->sources);
    free((char *)worker->identity.data);
    measure_release(&worker->measures);
    buffer_release(&worker->buffer);
    buffer_release(&worker->last_meta);
    playbooks_release(&worker->playbooks);
    free(worker->sweep.ids);
    arena_release(&worker->sweep.memory);
    arena_release(&worker->sweep.spare);
    arena_release(&worker->portion);
    arena_release(&worker->arena);
    *worker = (struct worker){0};
}
