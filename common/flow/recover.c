/* The one recovery routine (DESIGN.md 3). After a new assignment, any error of the store, a mismatch, an abort, a new
 * producer: forget all shards, and for each of ours
 *
 *   (1) take it in the store: our epoch, our transactional id, having read the previous owner's;
 *   (2) read the committed offsets, stable ones: an open transaction of the previous owner is waited for a moment, then
 *       he is fenced;
 *   (3) read crm.state[h] from the view's pos until its seq is the committed one, and apply it: the view is healed;
 *   (4) assign with explicit offsets.
 *
 * What cannot be right (a pos beyond the log, a seq that cannot be reached, offsets gone) stops the shard loudly. */
#include "common/flow/batch.h"
#include "common/flow/control.h"
#include "common/flow/quarantine.h"

#include <stdio.h>

/* What one shard's recovery knows so far. */
struct healing {
    struct store_meta view;     /* as taken, then as healed */
    struct log_offset *offsets; /* one per source of the shard, committed ones filled in */
    struct source **sources;
    size_t count;
    int64_t committed_seq; /* 0 = never born */
};

bool worker_keep_alive(struct worker *worker)
{
    struct log_event event;
    if (log_poll(worker->log, 0, &event) != WORLD_DONE)
        return true; /* its errors will be seen by the calls that matter */
    if (event.happening == LOG_ASSIGNED || event.happening == LOG_REVOKED)
        worker_note_group(worker, &event);
    else if (event.happening != LOG_NOTHING)
        worker->assign_stale = true; /* something of a shard that runs on: it will be read again */
    return worker->assigned && !worker->recover;
}

/* ---- (1) ---- */

static enum world take(struct worker *worker, struct shard *shard, struct healing *healing)
{
    enum world outcome;
    FLOW_INSIST(worker, outcome,
                store_take(worker->store, shard->index, span_of(worker->epoch), worker->config.transactional_id,
                           worker->identity, &worker->arena, &healing->view));
    if (outcome != WORLD_DONE)
        return outcome;
    const struct span *identity = &healing->view.identity;
    if (span_empty(*identity) || span_equal(*identity, worker->identity))
        return WORLD_DONE;
    worker_report(
        worker, REPORT_ERROR,
        "this Redis holds the customers of another Kafka cluster or application (application/shards/cluster id "
        "%.*s; ours %.*s): use an empty one, or the right one",
        (int)identity->size, identity->data, (int)worker->identity.size, worker->identity.data);
    return WORLD_STOP;
}

/* ---- (2) ---- */

/* Whoever owned the shard before and may still have a transaction open. False: nobody else, or done already. */
static bool fence_owner(struct worker *worker, struct shard *shard, const struct healing *healing)
{
    struct span owner = healing->view.owner;
    if (shard->fenced_owner || span_empty(owner) || span_equal(owner, worker->config.transactional_id))
        return false;
    worker_report(worker, REPORT_WARNING, "shard %d: fencing its previous owner %.*s, who left a transaction open",
                  (int)shard->index, (int)owner.size, owner.data);
    shard->fenced_owner = true;
    worker->counts.fences++;
    return log_fence(worker->log, owner, worker->config.call_timeout_ms) == WORLD_DONE;
}

static enum world read_committed(struct worker *worker, struct shard *shard, struct healing *healing)
{
    size_t count = 0;
    healing->offsets = ARENA_ARRAY(&worker->arena, struct log_offset, worker->source_count);
    healing->sources = ARENA_ARRAY(&worker->arena, struct source *, worker->source_count);
    for (size_t i = 0; i < worker->source_count; i++)
        if (worker->sources[i].shard == shard->index) {
            healing->sources[count] = &worker->sources[i];
            healing->offsets[count++] =
                (struct log_offset){.topic = worker->sources[i].topic, .partition = worker->sources[i].partition};
        }
    healing->count = count;
    enum world outcome =
        log_committed(worker->log, healing->offsets, count, worker->config.wait_pending_ms, &worker->arena);
    if (outcome == WORLD_AGAIN && fence_owner(worker, shard, healing))
        outcome = log_committed(worker->log, healing->offsets, count, worker->config.wait_pending_ms, &worker->arena);
    return outcome;
}

static const struct log_offset *forward_offset(const struct healing *healing)
{
    for (size_t i = 0; i < healing->count; i++)
        if (healing->offsets[i].topic == TOPIC_COUNT)
            return &healing->offsets[i];
    return NULL;
}

/* Before a shard is stopped for what it found: is it still so? Meanwhile another worker may have taken the shard and
 * gone on, while this one was paused; then what was read no longer fits together, and nothing is wrong. */
static enum world stop_if_so(struct worker *worker, struct shard *shard, const struct healing *healing, const char *why)
{
    for (size_t i = 0; i < healing->count; i++) {
        const struct log_offset *before = &healing->offsets[i];
        struct log_offset now = {.topic = before->topic, .partition = before->partition};
        enum world outcome = log_committed(worker->log, &now, 1, worker->config.wait_pending_ms, &worker->arena);
        if (outcome != WORLD_DONE)
            return outcome;
        if (now.offset != before->offset || !span_equal(now.metadata, before->metadata))
            return WORLD_AGAIN;
    }
    shard_stop(worker, shard, why);
    return WORLD_STOP;
}

/* ---- (3) ---- */

/* A portion of the changelog on its way into the view. */
struct portion {
    struct store_write *writes;
    size_t count;
    struct store_entry *erased; /* whose histories go (R31) */
    size_t erased_count;
    int64_t next; /* offset */
    int64_t seq;
    struct span last;
};

static enum world portion_apply(struct worker *worker, const struct shard *shard, struct healing *healing,
                                struct portion *portion)
{
    if (portion->next == healing->view.pos)
        return WORLD_DONE;
    struct store_apply apply = {.shard = shard->index,
                                .epoch = span_of(worker->epoch),
                                .pos_expected = healing->view.pos,
                                .pos = portion->next,
                                .seq = portion->seq,
                                .last = portion->last,
                                .writes = portion->writes,
                                .write_count = portion->count,
                                .entries = portion->erased,
                                .entry_count = portion->erased_count};
    enum world outcome;
    FLOW_INSIST(worker, outcome, store_apply(worker->store, &apply, 1));
    if (outcome != WORLD_DONE || !apply.applied)
        return outcome != WORLD_DONE ? outcome : WORLD_RECOVER;
    healing->view.pos = portion->next;
    healing->view.seq = portion->seq;
    worker->counts.rebuilt_states += portion->count;
    worker->progress_at = clock_monotonic(worker->clock);
    portion->count = portion->erased_count = 0;
    portion->last = SPAN_NONE;
    arena_reset(&worker->portion);
    return worker_keep_alive(worker) ? WORLD_DONE : WORLD_RECOVER;
}

static enum world portion_add_meta(struct worker *worker, struct shard *shard, struct healing *healing,
                                   struct portion *portion, const struct log_record *record)
{
    struct meta meta;
    if (!meta_decode(record->value, &worker->portion, &meta) || meta.shard != shard->index) {
        shard_stop(worker, shard, "crm.state holds a `__meta` record that this program cannot read");
        return WORLD_STOP;
    }
    if (meta.seq <= portion->seq || meta.seq > healing->committed_seq) {
        char why[200];
        snprintf(why, sizeof(why),
                 "crm.state[%d] goes on with seq %lld after the view's %lld, committed is %lld: topic re-created, or "
                 "offsets reset by a tool",
                 (int)shard->index, (long long)meta.seq, (long long)portion->seq, (long long)healing->committed_seq);
        return stop_if_so(worker, shard, healing, why);
    }
    portion->seq = meta.seq;
    buffer_reset(&worker->last_meta);
    buffer_add_span(&worker->last_meta, record->value);
    portion->last = healing->view.last = buffer_span(&worker->last_meta);
    return WORLD_DONE;
}

static enum world portion_add_state(struct worker *worker, struct shard *shard, struct portion *portion,
                                    const struct log_record *record)
{
    struct store_write *write = &portion->writes[portion->count];
    write->customer_id = arena_copy(&worker->portion, record->key);
    write->state = arena_copy(&worker->portion, record->value);
    write->wake_at = NEVER;
    if (span_empty(record->value) ||
        (!quarantine_holds(write->state) &&
         !worker->config.engine.wake_at(worker->config.world, &worker->portion, write->customer_id, write->state,
                                        &write->wake_at))) {
        shard_stop(worker, shard, "crm.state holds a state that this program cannot read");
        return WORLD_STOP;
    }
    portion->count++;
    if (history_is_erased(worker, write->state))
        portion->erased[portion->erased_count++] = (struct store_entry){.customer_id = write->customer_id};
    return WORLD_DONE;
}

/* The reader is at the last stable offset and the committed seq has not come. */
static enum world end_reached(struct worker *worker, struct shard *shard, const struct healing *healing, int64_t end)
{
    int64_t low, high;
    enum world outcome = log_watermarks(worker->log, worker->config.state_topic, shard->index, &low, &high);
    if (outcome != WORLD_DONE)
        return outcome;
    if (end < high) { /* something is open in front of it: the marker is late, or the previous owner is dead */
        fence_owner(worker, shard, healing);
        return WORLD_AGAIN;
    }
    char why[160];
    snprintf(why, sizeof(why), "crm.state[%d] ends at %lld without the committed seq %lld: records were lost",
             (int)shard->index, (long long)end, (long long)healing->committed_seq);
    return stop_if_so(worker, shard, healing, why);
}

/* The committed seq has come: nothing may be behind it. A broker can give offsets of the past (seen: a coordinator that
 * had read a part of its log only); where the store is empty too, nothing else tells that what follows was done
 * already. */
static enum world nothing_follows(struct worker *worker, struct shard *shard, const struct healing *healing)
{
    struct log_event event;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
    if (outcome != WORLD_DONE || event.happening == LOG_END)
        return outcome;
    if (event.happening != LOG_RECORD)
        return WORLD_AGAIN;
    char why[160];
    snprintf(why, sizeof(why), "crm.state[%d] goes on after the committed seq %lld: the group's offsets went back",
             (int)shard->index, (long long)healing->committed_seq);
    return stop_if_so(worker, shard, healing, why);
}

/* WORLD_STOP here means the shard, and shard_stop has said so. */
static enum world read_on(struct worker *worker, struct shard *shard, struct healing *healing, struct portion *portion)
{
    while (portion->seq != healing->committed_seq) {
        struct log_event event;
        enum world outcome;
        FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
        if (outcome != WORLD_DONE)
            return outcome;
        if (event.happening == LOG_END)
            return end_reached(worker, shard, healing, event.offset);
        if (event.happening == LOG_BROKEN)
            shard_stop(worker, shard, "crm.state lacks the records that the view needs: rebuild it");
        if (event.happening != LOG_RECORD)
            return event.happening == LOG_BROKEN ? WORLD_STOP : WORLD_AGAIN;
        portion->next = event.record.offset + 1;
        outcome = span_equal(event.record.key, meta_key())
                      ? portion_add_meta(worker, shard, healing, portion, &event.record)
                      : portion_add_state(worker, shard, portion, &event.record);
        if (outcome != WORLD_DONE)
            return outcome;
        if (portion->count == worker->config.portion_max &&
            (outcome = portion_apply(worker, shard, healing, portion)) != WORLD_DONE)
            return outcome;
    }
    enum world outcome = nothing_follows(worker, shard, healing);
    return outcome == WORLD_DONE ? portion_apply(worker, shard, healing, portion) : outcome;
}

static enum world heal(struct worker *worker, struct shard *shard, struct healing *healing)
{
    int64_t low, high;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_watermarks(worker->log, worker->config.state_topic, shard->index, &low, &high));
    if (outcome != WORLD_DONE)
        return outcome;
    if (healing->view.pos > high || healing->view.seq > healing->committed_seq) {
        char why[200];
        snprintf(why, sizeof(why),
                 "the view (%s %lld, seq %lld) is ahead of crm.state[%d] (end %lld, committed seq %lld): records were "
                 "lost or offsets reset",
                 healing->view.pos == POS_OF_A_LOST_LOG ? "marked, for the log was cut under it: pos" : "pos",
                 (long long)healing->view.pos, (long long)healing->view.seq, (int)shard->index, (long long)high,
                 (long long)healing->committed_seq);
        return stop_if_so(worker, shard, healing, why);
    }
    if (healing->view.seq == healing->committed_seq)
        return WORLD_DONE;
    struct portion portion = {.writes = ARENA_ARRAY(&worker->arena, struct store_write, worker->config.portion_max),
                              .erased = ARENA_ARRAY(&worker->arena, struct store_entry, worker->config.portion_max),
                              .next = healing->view.pos,
                              .seq = healing->view.seq};
    int64_t from = healing->view.pos == STORE_POS_NONE ? low : healing->view.pos;
    arena_reset(&worker->portion);
    FLOW_INSIST(worker, outcome, log_reader_open(worker->log, worker->config.state_topic, shard->index, from));
    if (outcome == WORLD_DONE)
        outcome = read_on(worker, shard, healing, &portion);
    log_reader_close(worker->log);
    return outcome;
}

/* ---- never committed: a birth, or something is gone ---- */

/* Does crm.state[h] hold any record that counts? WORLD_AGAIN: open transactions hide the answer. */
static enum world state_is_empty(struct worker *worker, struct shard *shard, const struct healing *healing,
                                 bool *ret_empty)
{
    struct log_event event = {0};
    int64_t low, high;
    enum world outcome = log_watermarks(worker->log, worker->config.state_topic, shard->index, &low, &high);
    if (outcome != WORLD_DONE)
        return outcome;
    FLOW_INSIST(worker, outcome, log_reader_open(worker->log, worker->config.state_topic, shard->index, low));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
    log_reader_close(worker->log);
    if (outcome != WORLD_DONE)
        return outcome;
    if (event.happening != LOG_RECORD && event.happening != LOG_END)
        return WORLD_AGAIN;
    if (event.happening == LOG_END && event.offset < high) {
        fence_owner(worker, shard, healing);
        return WORLD_AGAIN;
    }
    *ret_empty = event.happening == LOG_END;
    return WORLD_DONE;
}

static enum world bear(struct worker *worker, struct shard *shard, struct healing *healing)
{
    bool empty = false;
    enum world outcome = state_is_empty(worker, shard, healing, &empty);
    if (outcome != WORLD_DONE)
        return outcome;
    if (empty && healing->view.pos == STORE_POS_NONE)
        return shard_birth(worker, shard);
    char why[200];
    snprintf(why, sizeof(why),
             "crm.forward[%d] has no committed offset but the shard was born (offsets expired, or reset by a tool): "
             "`oriori shard adopt %d` restores them from the last `__meta`",
             (int)shard->index, (int)shard->index);
    return stop_if_so(worker, shard, healing, why);
}

/* ---- (4) ---- */

/* The offsets of partitions that were never read are resolved and committed before anything is read from them. */
static enum world commit_starts(struct worker *worker, struct log_offset *offsets, size_t count)
{
    enum world outcome;
    if (count == 0)
        return WORLD_DONE;
    FLOW_INSIST(worker, outcome, log_begin(worker->log));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_send_offsets(worker->log, offsets, count));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_commit(worker->log));
    return outcome;
}

/* A new partition of an input that is known begins at its beginning; an input never read, where the config says. */
static enum world new_source_start(struct worker *worker, struct source *source)
{
    const char *topic = source_topic_name(worker, source->topic);
    int32_t count = 0;
    int64_t high;
    enum world outcome = log_partition_count(worker->log, topic, &count);
    if (outcome != WORLD_DONE)
        return outcome;
    struct log_offset *all = ARENA_ARRAY(&worker->arena, struct log_offset, count);
    for (int32_t p = 0; p < count; p++)
        all[p] = (struct log_offset){.topic = source->topic, .partition = p};
    outcome = log_committed(worker->log, all, (size_t)count, worker->config.wait_pending_ms, &worker->arena);
    if (outcome != WORLD_DONE)
        return outcome;
    for (int32_t p = 0; p < count; p++)
        if (all[p].offset != LOG_OFFSET_NONE)
            return log_watermarks(worker->log, topic, source->partition, &source->next, &high);
    return source_start(worker, source, &source->next);
}

static bool meta_has(const struct meta *meta, struct span topic, int32_t partition)
{
    for (size_t i = 0; i < meta->input_count; i++)
        if (span_equal(meta->inputs[i].topic, topic) && meta->inputs[i].partition == partition)
            return true;
    return false;
}

/* Takes the committed offsets for the shard's sources; the sources without one must be new. */
static enum world sources_resolve(struct worker *worker, struct shard *shard, const struct healing *healing,
                                  const struct meta *meta)
{
    struct log_offset *starts = ARENA_ARRAY(&worker->arena, struct log_offset, healing->count);
    size_t start_count = 0;
    for (size_t i = 0; i < healing->count; i++) {
        struct source *source = healing->sources[i];
        const char *topic = source_topic_name(worker, source->topic);
        source->next = healing->offsets[i].offset;
        if (source->next != LOG_OFFSET_NONE)
            continue;
        if (meta_has(meta, span_of(topic), source->partition)) {
            char why[200];
            snprintf(why, sizeof(why), "the committed offset of %s[%d] is gone: `oriori shard adopt %d` restores it",
                     topic, (int)source->partition, (int)shard->index);
            return stop_if_so(worker, shard, healing, why);
        }
        enum world outcome = new_source_start(worker, source);
        if (outcome != WORLD_DONE)
            return outcome;
        starts[start_count++] = (struct log_offset){source->topic, source->partition, source->next, SPAN_NONE};
    }
    return commit_starts(worker, starts, start_count);
}

static enum world meta_check(struct worker *worker, struct shard *shard, const struct healing *healing,
                             const struct meta *meta)
{
    if (meta->seq == healing->committed_seq && meta->shard == shard->index &&
        meta->shard_count == worker->config.shard_count &&
        span_equal(meta->application_id, worker->config.application_id))
        return WORLD_DONE;
    char why[200];
    snprintf(why, sizeof(why),
             "its `__meta` says seq %lld, S %d, application %.*s: not the shard that the offsets name",
             (long long)meta->seq, (int)meta->shard_count,
             (int)(meta->application_id.size < 64 ? meta->application_id.size : 64), meta->application_id.data);
    return stop_if_so(worker, shard, healing, why);
}

static void other_playbook_tell(struct worker *worker, const struct shard *shard)
{
    const struct control *control = &shard->control;
    char active[PLAYBOOK_SHORT_SIZE], ours[PLAYBOOK_SHORT_SIZE];
    bool file_may_follow = worker->config.playbook_watched && worker->playbook_was_file;
    worker_report(worker, file_may_follow ? REPORT_INFO : REPORT_WARNING,
                  "the playbook in force is %s (version %.*s), not the config's own, %s%s",
                  playbook_short(control->playbook_hash, active), (int)control->playbook_version.size,
                  control->playbook_version.data, playbook_short(worker->file_hash, ours),
                  file_may_follow ? ": its file is watched and may follow"
                                  : ": `oriori playbook activate FILE` puts a file in force, on all shards");
}

/* Every worker runs the playbook that the shard is at; that its own file says something else is told once. */
static enum world playbook_take(struct worker *worker, struct shard *shard)
{
    const unsigned char *hash = shard->control.playbook_hash;
    enum world outcome = worker_playbook(worker, hash, shard->trouble, sizeof(shard->trouble), &shard->world);
    if (outcome == WORLD_AGAIN && shard->trouble[0])
        worker_report(worker, REPORT_WARNING, "shard %d waits: %s", (int)shard->index, shard->trouble);
    if (outcome != WORLD_DONE)
        return outcome;
    bool is_file = memcmp(hash, worker->file_hash, sizeof(worker->file_hash)) == 0;
    worker->playbook_was_file = worker->playbook_was_file || is_file;
    if (!is_file && !worker->playbook_told) {
        other_playbook_tell(worker, shard);
        worker->playbook_told = true;
    }
    return shard->world == worker->config.world ? worker_playbook_keep(worker) : WORLD_DONE;
}

/* The view is whole: the shard is what its last `__meta` says. */
static enum world adopt(struct worker *worker, struct shard *shard, struct healing *healing)
{
    struct meta meta;
    if (span_empty(healing->view.last) || !meta_decode(healing->view.last, &worker->arena, &meta)) {
        shard_stop(worker, shard, "the view has no `__meta` that this program can read: empty it, it is rebuilt");
        return WORLD_STOP;
    }
    enum world outcome = meta_check(worker, shard, healing, &meta);
    if (outcome != WORLD_DONE)
        return outcome;
    struct control control = control_of_meta(&meta);
    shard->control = control_copy(&control, &shard->memory);
    outcome = playbook_take(worker, shard);
    if (outcome != WORLD_DONE)
        return outcome;
    shard->seq = healing->committed_seq;
    shard->pos = healing->view.pos;
    shard->clock = meta.clock;
    shard->next_wake_at = 0; /* unknown: the first load tells */
    outcome = history_adopt(worker, shard, &healing->view.place);
    return outcome == WORLD_DONE ? sources_resolve(worker, shard, healing, &meta) : outcome;
}

/* ---- one shard ---- */

static enum world shard_recover(struct worker *worker, struct shard *shard)
{
    struct healing healing = {0};
    arena_reset(&shard->memory);
    shard->control = control_blank();
    shard->trouble[0] = 0;
    enum world outcome = take(worker, shard, &healing);
    if (outcome == WORLD_DONE)
        outcome = read_committed(worker, shard, &healing);
    if (outcome != WORLD_DONE)
        return outcome;
    const struct log_offset *forward = forward_offset(&healing);
    if (forward->offset == LOG_OFFSET_NONE)
        return bear(worker, shard, &healing);
    if (!seq_parse(forward->metadata, &healing.committed_seq)) {
        shard_stop(worker, shard,
                   "the committed offset of its crm.forward carries no seq: reset by a tool? `oriori shard adopt`");
        return WORLD_STOP;
    }
    outcome = heal(worker, shard, &healing);
    return outcome == WORLD_DONE ? adopt(worker, shard, &healing) : outcome;
}

static void shard_wait(struct worker *worker, struct shard *shard)
{
    const struct flow_config *config = &worker->config;
    shard->backoff_ms = shard->backoff_ms ? shard->backoff_ms * 2 : config->backoff_ms;
    if (shard->backoff_ms > config->backoff_max_ms)
        shard->backoff_ms = config->backoff_max_ms;
    shard->retry_at = clock_monotonic(worker->clock) + shard->backoff_ms;
    if (!shard->trouble[0])
        snprintf(shard->trouble, sizeof(shard->trouble), "waits for an open transaction, or for an answer: %s",
                 log_error_text(worker->log));
}

/* WORLD_DONE: ready, stopped, or waiting; else the whole recovery ends. */
static enum world shard_try(struct worker *worker, struct shard *shard)
{
    enum world outcome = shard_recover(worker, shard);
    if (outcome == WORLD_STOP && shard->phase == SHARD_STOPPED)
        return WORLD_DONE; /* this one is broken, the others run on */
    if (outcome == WORLD_AGAIN) {
        shard_wait(worker, shard);
        return WORLD_DONE;
    }
    if (outcome != WORLD_DONE)
        return outcome;
    shard->phase = SHARD_READY;
    shard->backoff_ms = 0;
    shard->fenced_owner = false;
    shard->trouble[0] = 0;
    worker->assign_stale = true;
    worker->counts.recovered_shards++;
    return worker_keep_alive(worker) ? WORLD_DONE : WORLD_RECOVER;
}

/* ---- partitions that belong to no shard of ours ---- */

static enum world loose_resolve(struct worker *worker)
{
    struct log_offset *starts = ARENA_ARRAY(&worker->arena, struct log_offset, worker->source_count);
    size_t count = 0;
    for (size_t i = 0; i < worker->source_count; i++) {
        struct source *source = &worker->sources[i];
        if (source->shard >= 0 || source->next != LOG_OFFSET_NONE || source->broken)
            continue;
        struct log_offset offset = {.topic = source->topic, .partition = source->partition};
        enum world outcome = log_committed(worker->log, &offset, 1, worker->config.wait_pending_ms, &worker->arena);
        if (outcome == WORLD_AGAIN)
            continue; /* left out for now; its owner's transaction will end */
        if (outcome != WORLD_DONE)
            return outcome;
        worker->assign_stale = true;
        source->next = offset.offset;
        if (source->next != LOG_OFFSET_NONE)
            continue;
        outcome = new_source_start(worker, source);
        if (outcome != WORLD_DONE)
            return outcome == WORLD_AGAIN ? WORLD_RECOVER : outcome;
        starts[count++] = (struct log_offset){source->topic, source->partition, source->next, SPAN_NONE};
    }
    return commit_starts(worker, starts, count);
}

bool source_is_read(const struct worker *worker, const struct source *source)
{
    return source->next != LOG_OFFSET_NONE && !source->broken &&
           (source->shard < 0 || worker->shards[source->shard].phase == SHARD_READY);
}

static enum world assign_ready(struct worker *worker)
{
    struct log_offset *offsets = ARENA_ARRAY(&worker->arena, struct log_offset, worker->source_count);
    size_t count = 0;
    for (size_t i = 0; i < worker->source_count; i++) {
        const struct source *source = &worker->sources[i];
        bool ready = source_is_read(worker, source);
        worker->sources[i].at_end = false; /* told anew after each assignment */
        if (ready)
            offsets[count++] = (struct log_offset){source->topic, source->partition, source->next, SPAN_NONE};
    }
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_assign(worker->log, offsets, count));
    if (outcome == WORLD_DONE)
        worker->assign_stale = false;
    return outcome;
}

enum world worker_recover(struct worker *worker)
{
    int64_t now = clock_monotonic(worker->clock);
    enum world outcome = WORLD_DONE;
    for (int32_t h = 0; h < worker->config.shard_count && outcome == WORLD_DONE; h++) {
        struct shard *shard = &worker->shards[h];
        if (shard->phase == SHARD_WAITING && shard->retry_at <= now) {
            arena_reset(&worker->arena);
            outcome = shard_try(worker, shard);
        }
    }
    if (outcome == WORLD_DONE)
        outcome = loose_resolve(worker);
    if (outcome == WORLD_DONE && worker->assign_stale)
        outcome = assign_ready(worker);
    return outcome;
}
