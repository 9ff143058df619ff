/* A customer's newest published decisions beside his state in the store: for whoever asks why he got a message, never
 * for the engine. They are a view of crm.decisions as the states are one of crm.state: apply writes both, in one act
 * and under one check of epoch, pos and the histories' place.
 *
 * Histories are *whole* when they hold all that is committed in crm.decisions[h]; the store's place says after which
 * transaction they last were. A recovery that finds them so has nothing to do, and that is every one but after a death
 * between commit and apply, or an emptied store. Then crm.decisions[h] is read on from the place, a part in each turn
 * while batches go on, and until the end is reached apply adds nothing new: so a history is without holes at any time,
 * if not always with its latest entries. Nobody waits for it: the shard is ready before. The sequence number of a
 * record (R85) makes it harmless to add one twice.
 *
 * An erased customer has no history (R31); crm.decisions has his decisions for as long as it keeps anything, so what is
 * read back is compared with the states.
 *
 * Needs crm.decisions with S partitions, as `topics create` makes it: then a customer's decisions lie in his home
 * shard's partition. With another count nothing is kept, which is said once. */
#include "common/base/hash.h"
#include "common/flow/batch.h"
#include "common/flow/quarantine.h"

enum { READ_MAX = 2000 /* records of crm.decisions read in one turn: other records wait meanwhile */ };

/* ---- on or off ---- */

static enum world histories_decide(struct worker *worker)
{
    const struct flow_config *config = &worker->config;
    int32_t count = 0;
    enum world outcome;
    worker->histories = HISTORIES_OFF;
    if (config->history_max == 0 || config->decisions == DECISIONS_OFF || !config->formats.decision_seq)
        return WORLD_DONE;
    FLOW_INSIST(worker, outcome, log_partition_count(worker->log, config->decisions_topic, &count));
    if (outcome != WORLD_DONE || count == 0) {
        worker->histories = HISTORIES_UNKNOWN; /* not there yet: asked again */
        return outcome;
    }
    if (count == config->shard_count)
        worker->histories = HISTORIES_KEPT;
    else
        worker_report(worker, REPORT_WARNING,
                      "no history of decisions is kept: %s has %d partitions, the application has %d shards",
                      config->decisions_topic, (int)count, (int)config->shard_count);
    return WORLD_DONE;
}

enum world history_adopt(struct worker *worker, struct shard *shard, const struct store_place *place)
{
    int64_t most = (int64_t)worker->config.history_max;
    enum world outcome = worker->histories == HISTORIES_UNKNOWN ? histories_decide(worker) : WORLD_DONE;
    shard->history = (struct history){.place = *place, .stored = *place};
    if (place->next == STORE_POS_NONE || place->max > most)
        shard->history.place.max = most; /* what is longer is cut; what is shorter does not grow backwards */
    shard->history.whole = worker->histories == HISTORIES_KEPT && place->next != STORE_POS_NONE &&
                           place->seq == shard->seq && place->max > 0;
    return outcome;
}

/* ---- a batch's part ---- */

bool history_is_erased(const struct worker *worker, struct span state)
{
    if (quarantine_holds(state))
        state = quarantine_inside(state);
    return worker->config.engine.erased && worker->config.engine.erased(state);
}

static bool erased_now(const struct worker *worker, const struct customer_visit *visit)
{
    return visit->result.changed && history_is_erased(worker, visit->result.state);
}

static void entry_add(struct worker *worker, struct batch_shard *touched, const struct store_entry *entry)
{
    if (touched->entry_count == touched->entry_capacity) {
        size_t capacity = touched->entry_capacity ? 2 * touched->entry_capacity : 64;
        struct store_entry *entries = ARENA_ARRAY(&worker->arena, struct store_entry, capacity);
        if (touched->entry_count)
            memcpy(entries, touched->entries, touched->entry_count * sizeof(*entries));
        touched->entries = entries;
        touched->entry_capacity = capacity;
    }
    touched->entries[touched->entry_count++] = *entry;
}

void history_keep(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit,
                  const struct record *record)
{
    if (!touched->shard->history.whole || erased_now(worker, visit))
        return;
    entry_add(worker, touched,
              &(struct store_entry){.customer_id = record->customer_id,
                                    .seq = record->seq,
                                    .value = arena_copy(&worker->arena, buffer_span(&worker->buffer))});
}

/* Also where none is kept any more: what was kept before may still be there. */
void history_end_erased(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit)
{
    if (erased_now(worker, visit))
        entry_add(worker, touched, &(struct store_entry){.customer_id = visit->customer_id});
}

void history_apply(const struct worker *worker, struct batch_shard *touched)
{
    struct history *history = &touched->shard->history;
    struct store_apply *apply = &touched->apply;
    apply->entries = touched->entries;
    apply->entry_count = touched->entry_count;
    apply->entries_kept = worker->config.history_max;
    if (!history->whole)
        return;
    if (touched->decision_ticket != LOG_NO_TICKET)
        history->place.next = touched->decision_offset + 1;
    history->place.seq = touched->shard->seq;
    apply->place = &history->place;
    apply->place_expected = &history->stored;
}

void history_applied(struct batch_shard *touched)
{
    if (touched->apply.place)
        touched->shard->history.stored = touched->shard->history.place;
}

/* ---- reading on ---- */

static struct shard *shard_behind(const struct worker *worker)
{
    int64_t now = clock_monotonic(worker->clock);
    for (int32_t h = 0; h < worker->config.shard_count && worker->histories != HISTORIES_OFF; h++) {
        struct shard *shard = &worker->shards[h];
        if (shard->phase == SHARD_READY && !shard->history.whole && shard->history.retry_at <= now)
            return shard;
    }
    return NULL;
}

int64_t histories_idle(const struct worker *worker)
{
    int64_t least = INT64_MAX, now = clock_monotonic(worker->clock);
    for (int32_t h = 0; h < worker->config.shard_count && worker->histories != HISTORIES_OFF; h++) {
        const struct shard *shard = &worker->shards[h];
        int64_t left = shard->history.retry_at > now ? shard->history.retry_at - now : 0;
        if (shard->phase == SHARD_READY && !shard->history.whole && left < least)
            least = left;
    }
    return least;
}

/* A part of crm.decisions[h], on its way into the histories. */
struct part {
    struct store_entry *entries;
    size_t count;
    int64_t next; /* offset */
    bool ended;   /* there was no more, up to the last stable offset */
};

static void take_decision(struct worker *worker, const struct shard *shard, struct part *part,
                          const struct log_record *record)
{
    uint32_t shard_count = (uint32_t)worker->config.shard_count;
    struct store_entry *entry = &part->entries[part->count];
    if (span_empty(record->key) || (int32_t)hash_home_shard(record->key, shard_count) != shard->index ||
        !worker->config.formats.decision_seq(record->value, &entry->seq))
        return; /* none of ours */
    entry->customer_id = arena_copy(&worker->portion, record->key);
    entry->value = arena_copy(&worker->portion, record->value);
    part->count++;
}

static enum world read_records(struct worker *worker, struct shard *shard, struct part *part)
{
    for (int i = 0; i < READ_MAX && !part->ended; i++) {
        struct log_event event;
        enum world outcome;
        FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
        if (outcome != WORLD_DONE)
            return outcome;
        if (event.happening == LOG_BROKEN)
            shard->history.place.next = STORE_POS_NONE; /* what retention took is not to be had: from what there is */
        if (event.happening != LOG_RECORD && event.happening != LOG_END)
            return event.happening == LOG_BROKEN ? WORLD_AGAIN : WORLD_DONE;
        part->ended = event.happening == LOG_END;
        part->next = part->ended ? event.offset : event.record.offset + 1;
        if (!part->ended)
            take_decision(worker, shard, part, &event.record);
    }
    return WORLD_DONE;
}

/* The next part from the place on; nothing to be read is an end too. */
static enum world read_part(struct worker *worker, struct shard *shard, struct part *part)
{
    const char *topic = worker->config.decisions_topic;
    const int64_t *from = &shard->history.place.next;
    int64_t low, high;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_watermarks(worker->log, topic, shard->index, &low, &high));
    if (outcome != WORLD_DONE)
        return outcome;
    part->next = *from >= low && *from <= high ? *from : low; /* beyond the end: the topic was made again */
    part->ended = part->next == high;
    if (part->ended)
        return WORLD_DONE;
    FLOW_INSIST(worker, outcome, log_reader_open(worker->log, topic, shard->index, part->next));
    if (outcome == WORLD_DONE)
        outcome = read_records(worker, shard, part);
    log_reader_close(worker->log);
    if (outcome != WORLD_DONE || !part->ended)
        return outcome;
    FLOW_INSIST(worker, outcome, log_watermarks(worker->log, topic, shard->index, &low, &high));
    part->ended = part->next >= high; /* else a marker is late, or a dead owner's transaction open: later */
    return outcome;
}

/* Nobody's history who is not known or erased. WORLD_RECOVER: the view is not ours any more. */
static enum world drop_erased(struct worker *worker, const struct shard *shard, struct part *part)
{
    struct store_load load = {.shard = shard->index, .id_count = part->count};
    struct span *ids = ARENA_ARRAY(&worker->portion, struct span, part->count);
    size_t kept = 0;
    int64_t server_ms;
    enum world outcome;
    for (size_t i = 0; i < part->count; i++)
        ids[i] = part->entries[i].customer_id;
    load.ids = ids;
    FLOW_INSIST(worker, outcome, store_load(worker->store, &load, 1, &worker->portion, &server_ms));
    if (outcome != WORLD_DONE)
        return outcome;
    if (!span_equal(load.epoch, span_of(worker->epoch)) || load.pos != shard->pos || load.seq != shard->seq)
        return WORLD_RECOVER;
    for (size_t i = 0; i < part->count; i++)
        if (!span_empty(load.states[i]) && !history_is_erased(worker, load.states[i]))
            part->entries[kept++] = part->entries[i];
    part->count = kept;
    return WORLD_DONE;
}

static enum world write_part(struct worker *worker, struct shard *shard, const struct part *part)
{
    struct store_place place = {part->next, part->ended ? shard->seq : 0, shard->history.place.max};
    struct store_apply apply = {.shard = shard->index,
                                .epoch = span_of(worker->epoch),
                                .pos_expected = shard->pos,
                                .pos = shard->pos,
                                .seq = shard->seq,
                                .entries = part->entries,
                                .entry_count = part->count,
                                .entries_kept = worker->config.history_max,
                                .place = &place,
                                .place_expected =
                                    shard->history.stored.next == STORE_POS_NONE ? NULL : &shard->history.stored};
    enum world outcome;
    FLOW_INSIST(worker, outcome, store_apply(worker->store, &apply, 1));
    if (outcome != WORLD_DONE || !apply.applied)
        return outcome != WORLD_DONE ? outcome : WORLD_RECOVER;
    shard->history.place = shard->history.stored = place;
    shard->history.whole = part->ended;
    worker->counts.histories_read += part->count;
    return WORLD_DONE;
}

/* What stands against reading on is nobody's emergency: it is said once, and tried again. */
static void put_off(struct worker *worker, struct shard *shard, enum world outcome)
{
    bool failed = outcome != WORLD_DONE && outcome != WORLD_AGAIN;
    int64_t wait = failed ? worker->config.backoff_max_ms : worker->config.backoff_ms;
    shard->history.retry_at = clock_monotonic(worker->clock) + wait;
    if (failed && !worker->history_told)
        worker_report(worker, REPORT_WARNING, "the histories of decisions of shard %d stand still: %s",
                      (int)shard->index, log_error_text(worker->log));
    worker->history_told = worker->history_told || failed;
}

enum world worker_histories(struct worker *worker)
{
    struct shard *shard = shard_behind(worker);
    if (!shard)
        return WORLD_DONE;
    arena_reset(&worker->portion);
    struct part part = {.entries = ARENA_ARRAY(&worker->portion, struct store_entry, READ_MAX)};
    enum world outcome = worker->histories == HISTORIES_UNKNOWN ? histories_decide(worker) : WORLD_DONE;
    if (outcome == WORLD_DONE && worker->histories == HISTORIES_KEPT)
        outcome = read_part(worker, shard, &part);
    if (outcome != WORLD_DONE || worker->histories != HISTORIES_KEPT) {
        put_off(worker, shard, outcome);
        return WORLD_DONE;
    }
    int64_t before = shard->history.place.next;
    if (part.count > 0)
        outcome = drop_erased(worker, shard, &part);
    if (outcome == WORLD_DONE)
        outcome = write_part(worker, shard, &part);
    if (outcome == WORLD_DONE && !part.ended && part.next == before)
        put_off(worker, shard, WORLD_AGAIN);
    return outcome;
}
