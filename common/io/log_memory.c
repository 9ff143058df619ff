#include "common/io/log_memory.h"

#include "common/base/base64.h"
#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/hash.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what there is ---- */

enum { NAME_SIZE_MAX = 250 }; /* Kafka allows 249 characters in a topic's name */

struct entry {
    bool marker;              /* the end of a transaction: takes an offset, is never delivered */
    bool removed;             /* compacted */
    int transaction;          /* index, -1 = none */
    int64_t ticket;           /* its producer's, for as long as the transaction is open */
    struct log_record record; /* key, value and headers are owned */
};

struct memory_partition {
    struct entry *entries; /* entries[i] has offset i */
    size_t count, capacity;
    int64_t low;
    /* A change of leader: first there is none; then there is one that does not know yet how far its followers are, and
     * shows its readers no more than what it knows. What was not acknowledged (at or behind `acked`) may be gone. */
    int64_t acked;
    uint32_t leaderless, catching_up; /* calls that it lasts still */
    int64_t known;                    /* the new leader's high watermark until then */
};

/* A record that its producer's client has still to send: the partition has no leader, or the old one had it alone. */
struct waiting {
    struct memory_partition *partition;
    struct entry entry;
};

struct memory_topic {
    char name[NAME_SIZE_MAX];
    struct memory_partition *partitions;
    int32_t partition_count;
};

struct group_offset {
    struct memory_topic *topic;
    int32_t partition;
    int64_t offset;
    char *metadata;
    size_t metadata_size;
};

struct offset_list {
    struct group_offset *items;
    size_t count, capacity;
};

enum decision_of { TRANSACTION_OPEN, TRANSACTION_COMMITTED, TRANSACTION_ABORTED };

struct touched { /* one partition in a transaction */
    struct memory_partition *partition;
    int64_t first_offset; /* INT64_MAX = nothing has arrived */
    uint32_t lag;         /* calls until its marker is written, once decided */
    bool marked;
};

struct transaction {
    enum decision_of decision;
    bool settled; /* decided, and all markers written */
    int producer;
    int64_t started_ms;
    struct touched *touched;
    size_t touched_count, touched_capacity;
    struct group *group; /* of the pending offsets; NULL = none sent */
    struct offset_list pending;
    uint32_t offsets_lag;
    bool offsets_marked;
};

struct producer {
    char id[NAME_SIZE_MAX];
    int32_t epoch;
    int transaction; /* the last one; -1 = none yet */
};

struct memory_log;

struct group {
    char name[NAME_SIZE_MAX];
    int32_t generation;
    bool rebalancing;
    struct memory_log **members;
    size_t member_count, member_capacity;
    struct offset_list offsets;
};

struct position {
    struct log_partition where;
    struct memory_partition *partition;
    int64_t offset;
    bool end_told, broken_told;
};

struct memory_log {
    struct memory_cluster *cluster;
    struct group *group;
    struct memory_topic **topics; /* NULL = absent */
    size_t topic_count;
    char transactional_id[NAME_SIZE_MAX];
    bool closed;
    /* membership */
    bool member, rejoined, assignment_new, believes; /* believes: holds an assignment, perhaps a stale one */
    int64_t seen_ms;
    int32_t assigned_generation;
    int32_t metadata_generation; /* -1: no metadata */
    struct log_partition *assigned;
    size_t assigned_count, assigned_capacity;
    struct position *positions;
    size_t position_count, position_capacity, turn;
    /* producer */
    int producer; /* -1: none */
    int32_t epoch;
    bool begun;
    int transaction; /* -1: begun but nothing sent */
    int64_t *tickets;
    size_t ticket_count, ticket_capacity;
    struct waiting *waiting;
    size_t waiting_count, waiting_capacity;
    /* reader */
    struct position reader;
    bool reader_open;
    char error[256];
};

struct memory_cluster {
    struct memory_cluster_config config;
    char cluster_id[NAME_SIZE_MAX];
    struct memory_topic **topics;
    size_t topic_count, topic_capacity;
    struct producer *producers;
    size_t producer_count, producer_capacity;
    struct transaction *transactions;
    size_t transaction_count, transaction_capacity, first_unsettled;
    struct group **groups;
    size_t group_count, group_capacity;
    struct memory_log **handles;
    size_t handle_count, handle_capacity;
    struct memory_partition **unsteady; /* without a leader, or with one that catches up */
    size_t unsteady_count, unsteady_capacity;
    struct memory_tally tally;
    bool look_behind;
    uint64_t random;
};

static const struct log_calls memory_calls;

#define GROW(array, count, capacity)                                                                                   \
    do {                                                                                                               \
        if ((count) == (capacity)) {                                                                                   \
            (capacity) = (capacity) ? (capacity)*2 : 8;                                                                \
            (array) = realloc((array), (capacity) * sizeof(*(array)));                                                 \
            CHECK(array);                                                                                              \
        }                                                                                                              \
    } while (0)

static int64_t now_of(const struct memory_cluster *cluster)
{
    return clock_wall(cluster->config.clock);
}

static uint64_t random_next(struct memory_cluster *cluster) /* xorshift64 */
{
    uint64_t x = cluster->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return cluster->random = x;
}

static uint32_t lag_next(struct memory_cluster *cluster)
{
    uint32_t most = cluster->config.marker_lag_max;
    return most ? (uint32_t)(random_next(cluster) % (most + 1)) : 0;
}

static void name_copy(char *target, const char *name)
{
    int size = snprintf(target, NAME_SIZE_MAX, "%s", name);
    CHECK(size >= 0 && size < NAME_SIZE_MAX);
}

static struct memory_topic *topic_of(const struct memory_cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->topic_count; i++)
        if (strcmp(cluster->topics[i]->name, name) == 0)
            return cluster->topics[i];
    return NULL;
}

static struct memory_partition *partition_of(const struct memory_cluster *cluster, const char *topic, int32_t partition)
{
    struct memory_topic *found = topic_of(cluster, topic);
    return found && partition >= 0 && partition < found->partition_count ? &found->partitions[partition] : NULL;
}

/* ---- entries ---- */

static struct span bytes_own(struct span bytes)
{
    if (bytes.size == 0)
        return (struct span){bytes.data ? "" : NULL, 0};
    char *copy = malloc(bytes.size);
    CHECK(copy);
    memcpy(copy, bytes.data, bytes.size);
    return (struct span){copy, bytes.size};
}

static void bytes_free(struct span bytes)
{
    if (bytes.size)
        free((char *)bytes.data);
}

static struct entry *entry_add(struct memory_partition *partition, int64_t *ret_offset)
{
    GROW(partition->entries, partition->count, partition->capacity);
    *ret_offset = (int64_t)partition->count;
    struct entry *entry = &partition->entries[partition->count++];
    *entry = (struct entry){.transaction = -1};
    return entry;
}

static struct entry record_make(const struct memory_cluster *cluster, int32_t number, const struct log_message *message,
                                int transaction)
{
    struct log_header *headers = message->header_count ? calloc(message->header_count, sizeof(*headers)) : NULL;
    for (size_t i = 0; i < message->header_count; i++)
        headers[i] = (struct log_header){bytes_own(message->headers[i].name), bytes_own(message->headers[i].value)};
    return (struct entry){.transaction = transaction,
                          .record = {.topic = -1,
                                     .partition = number,
                                     .timestamp = message->timestamp ? message->timestamp : now_of(cluster),
                                     .key = bytes_own(message->key),
                                     .value = bytes_own(message->value),
                                     .headers = headers,
                                     .header_count = message->header_count}};
}

static int64_t record_add(struct memory_partition *partition, struct entry made)
{
    int64_t offset;
    struct entry *entry = entry_add(partition, &offset);
    *entry = made;
    entry->record.offset = offset;
    return offset;
}

/* Every replica in sync has all that there is: it outlives a change of leader, and the leader knows it. */
static void partition_acknowledge(struct memory_partition *partition)
{
    partition->acked = (int64_t)partition->count;
    partition->catching_up = 0;
}

static void entry_release(struct entry *entry)
{
    bytes_free(entry->record.key);
    bytes_free(entry->record.value);
    for (size_t i = 0; i < entry->record.header_count; i++) {
        bytes_free(entry->record.headers[i].name);
        bytes_free(entry->record.headers[i].value);
    }
    free((void *)entry->record.headers);
}

static int32_t number_of(const struct memory_topic *topic, const struct log_message *message)
{
    if (message->partition != LOG_PARTITION_BY_KEY)
        return message->partition;
    return (int32_t)hash_home_shard(message->key, (uint32_t)topic->partition_count);
}

static int64_t stable_of(const struct memory_cluster *cluster, const struct memory_partition *partition)
{
    bool behind = partition->leaderless || partition->catching_up;
    int64_t stable = behind ? partition->known : (int64_t)partition->count;
    for (size_t i = cluster->first_unsettled; i < cluster->transaction_count; i++) {
        const struct transaction *transaction = &cluster->transactions[i];
        for (size_t j = 0; !transaction->settled && j < transaction->touched_count; j++) {
            const struct touched *touched = &transaction->touched[j];
            if (touched->partition == partition && !touched->marked && touched->first_offset < stable)
                stable = touched->first_offset;
        }
    }
    return stable;
}

static bool entry_visible(const struct memory_cluster *cluster, const struct entry *entry, bool read_committed)
{
    if (entry->marker || entry->removed)
        return false;
    return !read_committed || entry->transaction < 0 ||
           cluster->transactions[entry->transaction].decision == TRANSACTION_COMMITTED;
}

/* ---- committed offsets ---- */

static struct group_offset *offset_find(const struct offset_list *list, const struct memory_topic *topic,
                                        int32_t partition)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].topic == topic && list->items[i].partition == partition)
            return &list->items[i];
    return NULL;
}

static void offset_set(struct offset_list *list, struct memory_topic *topic, int32_t partition, int64_t offset,
                       struct span metadata)
{
    struct group_offset *item = offset_find(list, topic, partition);
    if (!item) {
        GROW(list->items, list->count, list->capacity);
        item = &list->items[list->count++];
        *item = (struct group_offset){.topic = topic, .partition = partition};
    }
    free(item->metadata);
    item->offset = offset;
    item->metadata = NULL;
    item->metadata_size = metadata.size;
    if (metadata.size)
        item->metadata = (char *)bytes_own(metadata).data;
}

static void offset_list_release(struct offset_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].metadata);
    free(list->items);
    *list = (struct offset_list){0};
}

/* ---- transactions ---- */

static void marker_write(struct touched *touched, int transaction)
{
    int64_t offset;
    struct entry *entry = entry_add(touched->partition, &offset);
    entry->marker = true;
    entry->transaction = transaction;
    touched->marked = true;
    partition_acknowledge(touched->partition);
}

static void offsets_settle(struct transaction *transaction)
{
    transaction->offsets_marked = true;
    if (transaction->decision == TRANSACTION_COMMITTED && transaction->group)
        for (size_t i = 0; i < transaction->pending.count; i++) {
            const struct group_offset *item = &transaction->pending.items[i];
            offset_set(&transaction->group->offsets, item->topic, item->partition, item->offset,
                       (struct span){item->metadata, item->metadata_size});
        }
    offset_list_release(&transaction->pending);
}

/* Writes the markers whose time has come; patience false: all of them. */
static void transaction_advance(struct memory_cluster *cluster, int index, bool patience)
{
    struct transaction *transaction = &cluster->transactions[index];
    bool all = true;
    if (transaction->settled || transaction->decision == TRANSACTION_OPEN)
        return;
    for (size_t i = 0; i < transaction->touched_count; i++) {
        struct touched *touched = &transaction->touched[i];
        if (!touched->marked && !touched->partition->leaderless && (!patience || touched->lag == 0))
            marker_write(touched, index);
        all = all && touched->marked;
        touched->lag -= touched->lag > 0;
    }
    if (!transaction->offsets_marked && (!patience || transaction->offsets_lag == 0))
        offsets_settle(transaction);
    transaction->offsets_lag -= transaction->offsets_lag > 0;
    transaction->settled = all && transaction->offsets_marked;
    if (transaction->settled) {
        free(transaction->touched);
        transaction->touched = NULL;
        transaction->touched_count = 0;
    }
}

static void transaction_end(struct memory_cluster *cluster, int index, enum decision_of decision)
{
    struct transaction *transaction = &cluster->transactions[index];
    CHECK(transaction->decision == TRANSACTION_OPEN);
    transaction->decision = decision;
    for (size_t i = 0; i < transaction->touched_count; i++)
        transaction->touched[i].lag = lag_next(cluster);
    transaction->offsets_lag = lag_next(cluster);
    transaction_advance(cluster, index, true);
}

static int transaction_begin(struct memory_cluster *cluster, int producer)
{
    GROW(cluster->transactions, cluster->transaction_count, cluster->transaction_capacity);
    int index = (int)cluster->transaction_count++;
    cluster->transactions[index] = (struct transaction){.producer = producer, .started_ms = now_of(cluster)};
    cluster->producers[producer].transaction = index;
    return index;
}

static struct touched *transaction_touch(struct transaction *transaction, struct memory_partition *partition)
{
    for (size_t i = 0; i < transaction->touched_count; i++)
        if (transaction->touched[i].partition == partition)
            return &transaction->touched[i];
    GROW(transaction->touched, transaction->touched_count, transaction->touched_capacity);
    struct touched *touched = &transaction->touched[transaction->touched_count++];
    *touched = (struct touched){.partition = partition, .first_offset = INT64_MAX};
    return touched;
}

static void transaction_acknowledge(struct transaction *transaction)
{
    for (size_t i = 0; i < transaction->touched_count; i++)
        partition_acknowledge(transaction->touched[i].partition);
}

static void producer_fence(struct memory_cluster *cluster, int producer)
{
    struct producer *fenced = &cluster->producers[producer];
    fenced->epoch++;
    if (fenced->transaction >= 0 && cluster->transactions[fenced->transaction].decision == TRANSACTION_OPEN)
        transaction_end(cluster, fenced->transaction, TRANSACTION_ABORTED);
}

static int producer_find(struct memory_cluster *cluster, const char *id)
{
    for (size_t i = 0; i < cluster->producer_count; i++)
        if (strcmp(cluster->producers[i].id, id) == 0)
            return (int)i;
    GROW(cluster->producers, cluster->producer_count, cluster->producer_capacity);
    struct producer *producer = &cluster->producers[cluster->producer_count];
    *producer = (struct producer){.transaction = -1};
    name_copy(producer->id, id);
    return (int)cluster->producer_count++;
}

/* Its last transaction is decided but not all markers are written: CONCURRENT_TRANSACTIONS. */
static bool producer_busy(const struct memory_cluster *cluster, int producer)
{
    int transaction = cluster->producers[producer].transaction;
    return transaction >= 0 && cluster->transactions[transaction].decision != TRANSACTION_OPEN &&
           !cluster->transactions[transaction].settled;
}

/* ---- the group ---- */

static void group_rebalance(struct group *group)
{
    group->rebalancing = true;
    for (size_t i = 0; i < group->member_count; i++)
        group->members[i]->rejoined = false;
}

static void group_remove(struct group *group, struct memory_log *member)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->member_count; i++)
        if (group->members[i] != member)
            group->members[kept++] = group->members[i];
    if (kept == group->member_count)
        return;
    group->member_count = kept;
    member->member = false;
    group_rebalance(group);
}

static void group_expire(struct memory_cluster *cluster, struct group *group)
{
    int64_t timeout = cluster->config.session_timeout_ms;
    for (size_t i = group->member_count; timeout && i-- > 0;)
        if (now_of(cluster) - group->members[i]->seen_ms > timeout)
            group_remove(group, group->members[i]);
}

/* The range assignor: per topic, the members in order take runs of partitions; co-partitioned topics stay together. */
static void group_assign(struct group *group)
{
    for (size_t m = 0; m < group->member_count; m++) {
        struct memory_log *member = group->members[m];
        member->assigned_count = 0;
        for (size_t t = 0; t < member->topic_count; t++) {
            int32_t count = member->topics[t] ? member->topics[t]->partition_count : 0;
            int32_t members = (int32_t)group->member_count, at = (int32_t)m;
            int32_t each = count / members, extra = count % members;
            int32_t first = each * at + (at < extra ? at : extra);
            for (int32_t p = first; p < first + each + (at < extra); p++) {
                GROW(member->assigned, member->assigned_count, member->assigned_capacity);
                member->assigned[member->assigned_count++] = (struct log_partition){(int)t, p};
            }
        }
        member->assignment_new = true;
        member->assigned_generation = group->generation;
    }
}

static void group_complete(struct group *group)
{
    for (size_t i = 0; i < group->member_count; i++)
        if (!group->members[i]->rejoined)
            return;
    group->generation++;
    group->rebalancing = false;
    group_assign(group);
}

static struct group *group_find(struct memory_cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->group_count; i++)
        if (strcmp(cluster->groups[i]->name, name) == 0)
            return cluster->groups[i];
    struct group *group = calloc(1, sizeof(*group));
    CHECK(group);
    name_copy(group->name, name);
    GROW(cluster->groups, cluster->group_count, cluster->group_capacity);
    return cluster->groups[cluster->group_count++] = group;
}

/* ---- the passing of time: at the start of every call ---- */

/* One call nearer to a leader, or to one that knows. */
static void leaders_advance(struct memory_cluster *cluster)
{
    size_t kept = 0;
    for (size_t i = 0; i < cluster->unsteady_count; i++) {
        struct memory_partition *partition = cluster->unsteady[i];
        if (partition->leaderless)
            partition->leaderless--;
        else
            partition->catching_up -= partition->catching_up > 0;
        if (partition->leaderless || partition->catching_up)
            cluster->unsteady[kept++] = partition;
    }
    cluster->unsteady_count = kept;
}

static void cluster_advance(struct memory_cluster *cluster)
{
    int64_t timeout = cluster->config.transaction_timeout_ms;
    leaders_advance(cluster);
    for (size_t i = cluster->first_unsettled; i < cluster->transaction_count; i++) {
        const struct transaction *transaction = &cluster->transactions[i];
        if (timeout && transaction->decision == TRANSACTION_OPEN && now_of(cluster) - transaction->started_ms > timeout)
            producer_fence(cluster, transaction->producer);
        transaction_advance(cluster, (int)i, true);
        if (cluster->transactions[i].settled && i == cluster->first_unsettled)
            cluster->first_unsettled++;
    }
    for (size_t i = 0; i < cluster->group_count; i++)
        group_expire(cluster, cluster->groups[i]);
}

static bool fenced(const struct memory_log *handle)
{
    return handle->producer < 0 || handle->cluster->producers[handle->producer].epoch != handle->epoch;
}

static void waiting_drop(struct memory_log *handle)
{
    for (size_t i = 0; i < handle->waiting_count; i++)
        entry_release(&handle->waiting[i].entry);
    handle->waiting_count = 0;
}

/* One record arrives at its partition. */
static void entry_send(struct memory_log *handle, const struct waiting *waiting)
{
    struct transaction *transaction = &handle->cluster->transactions[waiting->entry.transaction];
    struct touched *touched = transaction_touch(transaction, waiting->partition);
    int64_t offset = record_add(waiting->partition, waiting->entry);
    handle->tickets[waiting->entry.ticket] = offset;
    if (offset < touched->first_offset)
        touched->first_offset = offset;
}

/* What the client has still to send goes out, in order, where there is a leader again. */
static void waiting_send(struct memory_log *handle)
{
    size_t kept = 0;
    if (handle->waiting_count && fenced(handle))
        waiting_drop(handle);
    for (size_t i = 0; i < handle->waiting_count; i++) {
        if (handle->waiting[i].partition->leaderless)
            handle->waiting[kept++] = handle->waiting[i];
        else
            entry_send(handle, &handle->waiting[i]);
    }
    handle->waiting_count = kept;
}

static struct memory_log *call_begin(void *context)
{
    struct memory_log *handle = context;
    CHECK(!handle->closed);
    handle->seen_ms = now_of(handle->cluster); /* the background thread's heartbeat: alive as long as it calls */
    cluster_advance(handle->cluster);
    waiting_send(handle);
    return handle;
}

static enum world failed(struct memory_log *handle, enum world outcome, const char *text)
{
    snprintf(handle->error, sizeof(handle->error), "%s", text);
    return outcome;
}

/* ---- the consumer's calls ---- */

static void handle_unassign(struct memory_log *handle)
{
    handle->position_count = 0;
    handle->metadata_generation = -1;
    handle->believes = false;
}

/* Joins, leaves what it had, waits, gets what is new. True: *ret_event tells. */
static bool poll_membership(struct memory_log *handle, struct log_event *ret_event)
{
    struct group *group = handle->group;
    uint32_t deaf = handle->cluster->config.deaf_polls;
    bool behind = !handle->member || group->rebalancing || handle->assignment_new;
    if (deaf && handle->believes && behind && random_next(handle->cluster) % deaf != 0)
        return false;
    if (!handle->member) {
        GROW(group->members, group->member_count, group->member_capacity);
        group->members[group->member_count++] = handle;
        handle->member = true;
        handle->assignment_new = false;
        group_rebalance(group);
    }
    if (group->rebalancing && handle->believes) {
        handle_unassign(handle);
        ret_event->happening = LOG_REVOKED;
        return true;
    }
    if (group->rebalancing) {
        handle->rejoined = true;
        group_complete(group);
    }
    if (!handle->assignment_new)
        return group->rebalancing;
    if (handle->believes) { /* thrown out and back in while stalled: what it had is gone first */
        handle_unassign(handle);
        ret_event->happening = LOG_REVOKED;
        return true;
    }
    handle->assignment_new = false;
    handle->believes = true;
    handle->metadata_generation = handle->assigned_generation;
    ret_event->happening = LOG_ASSIGNED;
    ret_event->partitions = handle->assigned;
    ret_event->partition_count = handle->assigned_count;
    ret_event->generation = handle->assigned_generation;
    return true;
}

/* One thing at a position: a record, its end (once), its loss (once). */
static bool position_next(struct memory_cluster *cluster, struct position *position, struct log_event *ret_event)
{
    struct memory_partition *partition = position->partition;
    int64_t stable = stable_of(cluster, partition);
    if (partition->leaderless)
        return false;
    if (position->offset < partition->low || position->offset > (int64_t)partition->count) {
        if (position->broken_told)
            return false;
        position->broken_told = true;
        cluster->tally.out_of_range++;
        ret_event->happening = LOG_BROKEN;
        ret_event->partition = position->where;
        return true;
    }
    while (position->offset < stable) {
        const struct entry *entry = &partition->entries[position->offset++];
        position->end_told = false;
        if (!entry_visible(cluster, entry, true))
            continue;
        ret_event->happening = LOG_RECORD;
        ret_event->record = entry->record;
        ret_event->record.topic = position->where.topic;
        return true;
    }
    cluster->tally.beyond_end += position->offset > stable;
    if (position->end_told ||
        position->offset > stable) /* a leader that catches up has less to show: an empty answer */
        return false;
    position->end_told = true;
    ret_event->happening = LOG_END;
    ret_event->partition = position->where;
    ret_event->offset = position->offset;
    return true;
}

static enum world memory_poll(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    struct memory_log *handle = call_begin(context);
    (void)timeout_ms;
    *ret_event = (struct log_event){.happening = LOG_NOTHING};
    if (poll_membership(handle, ret_event))
        return WORLD_DONE;
    if (handle->cluster->config.seed && handle->position_count)
        handle->turn = random_next(handle->cluster) % handle->position_count;
    for (size_t i = 0; i < handle->position_count; i++) {
        struct position *position = &handle->positions[(handle->turn + i) % handle->position_count];
        if (position_next(handle->cluster, position, ret_event)) {
            handle->turn = (handle->turn + i + 1) % handle->position_count;
            return WORLD_DONE;
        }
    }
    return WORLD_DONE;
}

static struct memory_partition *subscribed(struct memory_log *handle, int topic, int32_t partition)
{
    CHECK(topic >= 0 && (size_t)topic < handle->topic_count);
    struct memory_topic *found = handle->topics[topic];
    return found && partition >= 0 && partition < found->partition_count ? &found->partitions[partition] : NULL;
}

static enum world memory_assign(void *context, const struct log_offset *offsets, size_t count)
{
    struct memory_log *handle = call_begin(context);
    if (!handle->believes)
        return failed(handle, WORLD_RECOVER, "nothing is assigned by the group");
    handle->position_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct memory_partition *partition = subscribed(handle, offsets[i].topic, offsets[i].partition);
        if (!partition)
            return failed(handle, WORLD_STOP, "assign: no such partition");
        CHECK(offsets[i].offset >= 0);
        GROW(handle->positions, handle->position_count, handle->position_capacity);
        handle->positions[handle->position_count++] = (struct position){
            .where = {offsets[i].topic, offsets[i].partition}, .partition = partition, .offset = offsets[i].offset};
    }
    return WORLD_DONE;
}

static bool offset_pending(const struct memory_log *handle, const struct memory_topic *topic, int32_t partition)
{
    const struct memory_cluster *cluster = handle->cluster;
    for (size_t i = cluster->first_unsettled; i < cluster->transaction_count; i++) {
        const struct transaction *transaction = &cluster->transactions[i];
        if (transaction->group == handle->group && !transaction->offsets_marked &&
            offset_find(&transaction->pending, topic, partition))
            return true;
    }
    return false;
}

static enum world memory_committed(void *context, struct log_offset *offsets, size_t count, int32_t timeout_ms,
                                   struct arena *arena)
{
    struct memory_log *handle = call_begin(context);
    (void)timeout_ms;
    for (size_t i = 0; i < count; i++) {
        if (!subscribed(handle, offsets[i].topic, offsets[i].partition))
            return failed(handle, WORLD_STOP, "committed: no such partition");
        struct memory_topic *topic = handle->topics[offsets[i].topic];
        if (offset_pending(handle, topic, offsets[i].partition))
            return failed(handle, WORLD_AGAIN, "committed: an offset waits for an open transaction");
        const struct group_offset *item = offset_find(&handle->group->offsets, topic, offsets[i].partition);
        offsets[i].offset = item ? item->offset : LOG_OFFSET_NONE;
        offsets[i].metadata = item ? arena_copy(arena, (struct span){item->metadata, item->metadata_size}) : SPAN_NONE;
    }
    return WORLD_DONE;
}

/* ---- topics ---- */

static enum world memory_partition_count(void *context, const char *topic, int32_t *ret_count)
{
    struct memory_log *handle = call_begin(context);
    *ret_count = memory_cluster_partition_count(handle->cluster, topic);
    return WORLD_DONE;
}

/* NOT_LEADER_OR_FOLLOWER; and OFFSET_NOT_AVAILABLE of a leader that does not know its own high watermark yet (KIP-207).
 * Who was told an offset may count on it. */
static bool leader_answers(struct memory_log *handle, struct memory_partition *partition)
{
    if (partition->leaderless || partition->catching_up) {
        handle->cluster->tally.refused++;
        failed(handle, WORLD_AGAIN, partition->leaderless ? "not the leader" : "the offset is not available yet");
        return false;
    }
    partition_acknowledge(partition);
    return true;
}

static enum world memory_watermarks(void *context, const char *topic, int32_t partition, int64_t *ret_low,
                                    int64_t *ret_high)
{
    struct memory_log *handle = call_begin(context);
    struct memory_partition *found = partition_of(handle->cluster, topic, partition);
    if (!found)
        return failed(handle, WORLD_STOP, "watermarks: no such partition");
    if (!leader_answers(handle, found))
        return WORLD_AGAIN;
    *ret_low = found->low;
    *ret_high = (int64_t)found->count;
    return WORLD_DONE;
}

static enum world memory_offset_at(void *context, const char *topic, int32_t partition, int64_t timestamp,
                                   int64_t *ret_offset)
{
    struct memory_log *handle = call_begin(context);
    struct memory_partition *found = partition_of(handle->cluster, topic, partition);
    if (!found)
        return failed(handle, WORLD_STOP, "offset_at: no such partition");
    if (!leader_answers(handle, found))
        return WORLD_AGAIN;
    *ret_offset = found->low;
    while (*ret_offset < (int64_t)found->count && found->entries[*ret_offset].record.timestamp < timestamp)
        ++*ret_offset;
    return WORLD_DONE;
}

static enum world memory_delete_records(void *context, const char *topic, int32_t partition, int64_t before_offset)
{
    struct memory_log *handle = call_begin(context);
    struct memory_partition *found = partition_of(handle->cluster, topic, partition);
    if (!found || before_offset > (int64_t)found->count)
        return failed(handle, WORLD_STOP, "delete_records: no such partition or offset");
    if (!leader_answers(handle, found))
        return WORLD_AGAIN;
    if (before_offset > found->low)
        found->low = before_offset;
    return WORLD_DONE;
}

static enum world memory_cluster_id(void *context, struct arena *arena, struct span *ret_id)
{
    struct memory_log *handle = call_begin(context);
    *ret_id = arena_copy(arena, span_of(handle->cluster->cluster_id));
    return WORLD_DONE;
}

/* ---- the producer's calls ---- */

static enum world memory_producer_new(void *context, int32_t timeout_ms)
{
    struct memory_log *handle = call_begin(context);
    (void)timeout_ms;
    int producer = producer_find(handle->cluster, handle->transactional_id);
    producer_fence(handle->cluster, producer);
    handle->producer = producer;
    handle->epoch = handle->cluster->producers[producer].epoch;
    waiting_drop(handle);
    handle->begun = false;
    handle->transaction = -1;
    if (producer_busy(handle->cluster, producer))
        return failed(handle, WORLD_AGAIN, "init_transactions: the previous transaction is still ending");
    return WORLD_DONE;
}

static enum world memory_fence(void *context, struct span transactional_id, int32_t timeout_ms)
{
    struct memory_log *handle = call_begin(context);
    char id[NAME_SIZE_MAX];
    (void)timeout_ms;
    CHECK(transactional_id.size < sizeof(id) && !span_equal(transactional_id, span_of(handle->transactional_id)));
    memcpy(id, transactional_id.data, transactional_id.size);
    id[transactional_id.size] = 0;
    int producer = producer_find(handle->cluster, id);
    producer_fence(handle->cluster, producer);
    if (producer_busy(handle->cluster, producer))
        return failed(handle, WORLD_AGAIN, "fence: the transaction is still ending");
    return WORLD_DONE;
}

static enum world memory_begin(void *context)
{
    struct memory_log *handle = call_begin(context);
    CHECK(!handle->begun);
    if (fenced(handle))
        return failed(handle, WORLD_REPLACE, "begin: the producer is fenced");
    if (producer_busy(handle->cluster, handle->producer))
        return failed(handle, WORLD_AGAIN, "begin: the previous transaction is still ending");
    handle->begun = true;
    handle->transaction = -1;
    handle->ticket_count = 0;
    return WORLD_DONE;
}

static struct transaction *transaction_of(struct memory_log *handle)
{
    if (handle->transaction < 0)
        handle->transaction = transaction_begin(handle->cluster, handle->producer);
    return &handle->cluster->transactions[handle->transaction];
}

static void waiting_add(struct memory_log *handle, const struct waiting *waiting)
{
    GROW(handle->waiting, handle->waiting_count, handle->waiting_capacity);
    handle->waiting[handle->waiting_count++] = *waiting;
    handle->cluster->tally.queued++;
}

static enum world memory_produce(void *context, const struct log_message *message, int64_t *ret_ticket)
{
    struct memory_log *handle = call_begin(context);
    CHECK(handle->begun);
    if (fenced(handle))
        return failed(handle, WORLD_REPLACE, "produce: the producer is fenced");
    struct memory_topic *topic = topic_of(handle->cluster, message->topic);
    if (!topic)
        return failed(handle, WORLD_STOP, "produce: no such topic");
    int32_t number = number_of(topic, message);
    CHECK(number >= 0 && number < topic->partition_count);
    struct waiting waiting = {.partition = &topic->partitions[number]};
    transaction_touch(transaction_of(handle), waiting.partition);
    GROW(handle->tickets, handle->ticket_count, handle->ticket_capacity);
    waiting.entry = record_make(handle->cluster, number, message, handle->transaction);
    waiting.entry.ticket = (int64_t)handle->ticket_count++;
    if (ret_ticket)
        *ret_ticket = waiting.entry.ticket;
    if (waiting.partition->leaderless)
        waiting_add(handle, &waiting);
    else
        entry_send(handle, &waiting);
    return WORLD_DONE;
}

static enum world memory_send_offsets(void *context, const struct log_offset *offsets, size_t count)
{
    struct memory_log *handle = call_begin(context);
    CHECK(handle->begun && count > 0);
    if (fenced(handle))
        return failed(handle, WORLD_REPLACE, "send_offsets: the producer is fenced");
    if (handle->metadata_generation < 0)
        return failed(handle, WORLD_RECOVER, "send_offsets: no group metadata");
    /* By generation, not by ownership: as Kafka checks it. */
    if (!handle->member || handle->metadata_generation != handle->group->generation)
        return failed(handle, WORLD_RECOVER, "send_offsets: illegal generation or unknown member");
    struct transaction *transaction = transaction_of(handle);
    transaction->group = handle->group;
    for (size_t i = 0; i < count; i++) {
        if (!subscribed(handle, offsets[i].topic, offsets[i].partition))
            return failed(handle, WORLD_STOP, "send_offsets: no such partition");
        offset_set(&transaction->pending, handle->topics[offsets[i].topic], offsets[i].partition, offsets[i].offset,
                   offsets[i].metadata);
    }
    return WORLD_DONE;
}

/* A commit sends first what waits: half the leaders come in time. Else a message times out, and the transaction must be
 * aborted; or the call does, and nobody knows. */
static enum world flush(struct memory_log *handle)
{
    if (handle->waiting_count && random_next(handle->cluster) % 2)
        for (size_t i = 0; i < handle->waiting_count; i++)
            handle->waiting[i].partition->leaderless = 0;
    waiting_send(handle);
    if (handle->waiting_count == 0)
        return WORLD_DONE;
    handle->cluster->tally.undelivered++;
    if (random_next(handle->cluster) % 2)
        return failed(handle, WORLD_RECOVER, "commit: a message could not be delivered in time: no leader");
    return failed(handle, WORLD_REPLACE, "commit: no answer in time");
}

static enum world memory_commit(void *context)
{
    struct memory_log *handle = call_begin(context);
    CHECK(handle->begun);
    if (fenced(handle)) {
        handle->begun = false;
        return failed(handle, WORLD_REPLACE, "commit: the producer is fenced");
    }
    enum world outcome = flush(handle);
    if (outcome != WORLD_DONE)
        return outcome;
    handle->begun = false;
    if (handle->transaction >= 0)
        transaction_acknowledge(&handle->cluster->transactions[handle->transaction]);
    if (handle->transaction >= 0)
        transaction_end(handle->cluster, handle->transaction, TRANSACTION_COMMITTED);
    return WORLD_DONE;
}

static enum world memory_abort(void *context)
{
    struct memory_log *handle = call_begin(context);
    if (!handle->begun)
        return WORLD_DONE;
    handle->begun = false;
    waiting_drop(handle);
    if (fenced(handle))
        return failed(handle, WORLD_REPLACE, "abort: the producer is fenced");
    if (handle->transaction >= 0)
        transaction_end(handle->cluster, handle->transaction, TRANSACTION_ABORTED);
    return WORLD_DONE;
}

static enum world memory_delivered_offset(void *context, int64_t ticket, int64_t *ret_offset)
{
    struct memory_log *handle = call_begin(context);
    CHECK(ticket >= 0 && (size_t)ticket < handle->ticket_count);
    *ret_offset = handle->tickets[ticket];
    return WORLD_DONE;
}

/* ---- the reader's calls ---- */

static enum world memory_reader_open(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct memory_log *handle = call_begin(context);
    struct memory_partition *found = partition_of(handle->cluster, topic, partition);
    CHECK(!handle->reader_open);
    if (!found)
        return failed(handle, WORLD_STOP, "reader_open: no such partition");
    handle->reader = (struct position){.where = {-1, partition}, .partition = found, .offset = offset};
    handle->reader_open = true;
    return WORLD_DONE;
}

static enum world memory_reader_next(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    struct memory_log *handle = call_begin(context);
    (void)timeout_ms;
    CHECK(handle->reader_open);
    *ret_event = (struct log_event){.happening = LOG_NOTHING};
    position_next(handle->cluster, &handle->reader, ret_event);
    return WORLD_DONE;
}

static void memory_reader_close(void *context)
{
    struct memory_log *handle = context;
    handle->reader_open = false;
}

static const char *memory_error_text(void *context)
{
    const struct memory_log *handle = context;
    return handle->error;
}

/* ---- life ---- */

static void memory_close(void *context)
{
    struct memory_log *handle = call_begin(context);
    if (handle->begun && !fenced(handle) && handle->transaction >= 0)
        transaction_end(handle->cluster, handle->transaction, TRANSACTION_ABORTED);
    group_remove(handle->group, handle);
    waiting_drop(handle);
    handle->closed = true;
}

void log_memory_abandon(struct log *log)
{
    struct memory_log *handle = log->context;
    waiting_drop(handle);
    handle->closed = true;
    log->context = NULL;
}

static const struct log_calls memory_calls = {
    .poll = memory_poll,
    .assign = memory_assign,
    .committed = memory_committed,
    .partition_count = memory_partition_count,
    .watermarks = memory_watermarks,
    .offset_at = memory_offset_at,
    .delete_records = memory_delete_records,
    .cluster_id = memory_cluster_id,
    .producer_new = memory_producer_new,
    .fence = memory_fence,
    .begin = memory_begin,
    .produce = memory_produce,
    .send_offsets = memory_send_offsets,
    .commit = memory_commit,
    .abort = memory_abort,
    .delivered_offset = memory_delivered_offset,
    .reader_open = memory_reader_open,
    .reader_next = memory_reader_next,
    .reader_close = memory_reader_close,
    .error_text = memory_error_text,
    .close = memory_close,
};

struct memory_cluster *memory_cluster_new(const struct memory_cluster_config *config)
{
    struct memory_cluster *cluster = calloc(1, sizeof(*cluster));
    CHECK(cluster);
    cluster->config = *config;
    cluster->random = config->seed ? config->seed * UINT64_C(0x9E3779B97F4A7C15) | 1 : 1;
    name_copy(cluster->cluster_id, config->cluster_id);
    return cluster;
}

void memory_cluster_topic_add(struct memory_cluster *cluster, const char *name, int32_t partition_count)
{
    struct memory_topic *topic = calloc(1, sizeof(*topic));
    CHECK(topic && partition_count > 0 && !topic_of(cluster, name));
    name_copy(topic->name, name);
    topic->partition_count = partition_count;
    topic->partitions = calloc((size_t)partition_count, sizeof(*topic->partitions));
    CHECK(topic->partitions);
    GROW(cluster->topics, cluster->topic_count, cluster->topic_capacity);
    cluster->topics[cluster->topic_count++] = topic;
}

struct log log_memory_open(struct memory_cluster *cluster, const struct log_memory_config *config)
{
    struct memory_log *handle = calloc(1, sizeof(*handle));
    CHECK(handle);
    handle->cluster = cluster;
    handle->group = group_find(cluster, config->group);
    handle->topics = calloc(config->topic_count, sizeof(struct memory_topic *));
    handle->topic_count = config->topic_count;
    for (size_t i = 0; i < config->topic_count; i++)
        handle->topics[i] = topic_of(cluster, config->topics[i]);
    name_copy(handle->transactional_id, config->transactional_id);
    handle->metadata_generation = -1;
    handle->producer = -1;
    handle->transaction = -1;
    GROW(cluster->handles, cluster->handle_count, cluster->handle_capacity);
    cluster->handles[cluster->handle_count++] = handle;
    return (struct log){&memory_calls, handle};
}

static void handle_free(struct memory_log *handle)
{
    free(handle->topics);
    free(handle->assigned);
    free(handle->positions);
    waiting_drop(handle);
    free(handle->waiting);
    free(handle->tickets);
    free(handle);
}

static void topic_free(struct memory_topic *topic)
{
    for (int32_t p = 0; p < topic->partition_count; p++) {
        for (size_t i = 0; i < topic->partitions[p].count; i++)
            entry_release(&topic->partitions[p].entries[i]);
        free(topic->partitions[p].entries);
    }
    free(topic->partitions);
    free(topic);
}

void memory_cluster_free(struct memory_cluster *cluster)
{
    if (!cluster)
        return;
    for (size_t i = 0; i < cluster->handle_count; i++)
        handle_free(cluster->handles[i]);
    for (size_t i = 0; i < cluster->topic_count; i++)
        topic_free(cluster->topics[i]);
    for (size_t i = 0; i < cluster->transaction_count; i++) {
        free(cluster->transactions[i].touched);
        offset_list_release(&cluster->transactions[i].pending);
    }
    for (size_t i = 0; i < cluster->group_count; i++) {
        offset_list_release(&cluster->groups[i]->offsets);
        free(cluster->groups[i]->members);
        free(cluster->groups[i]);
    }
    free(cluster->handles);
    free(cluster->unsteady);
    free(cluster->topics);
    free(cluster->transactions);
    free(cluster->producers);
    free(cluster->groups);
    free(cluster);
}

/* ---- the others' side ---- */

int64_t memory_cluster_append(struct memory_cluster *cluster, const struct log_message *message)
{
    struct memory_topic *topic = topic_of(cluster, message->topic);
    CHECK(topic);
    int32_t number = number_of(topic, message);
    CHECK(number >= 0 && number < topic->partition_count);
    struct memory_partition *partition = &topic->partitions[number];
    partition->leaderless = 0; /* it waited for a leader, and for its followers */
    int64_t offset = record_add(partition, record_make(cluster, number, message, -1));
    partition_acknowledge(partition);
    return offset;
}

/* ---- what befalls it ---- */

/* Its live producer sends it again: idempotence makes that one record. Else it is gone. */
static void entry_lose(struct memory_cluster *cluster, struct memory_partition *partition, struct entry *entry)
{
    struct memory_log *handle = NULL;
    bool open = entry->transaction >= 0 && entry->record.offset >= partition->acked; /* what it was told of is lost */
    for (size_t i = 0; open && i < cluster->handle_count; i++)
        if (!cluster->handles[i]->closed && cluster->handles[i]->begun &&
            cluster->handles[i]->transaction == entry->transaction)
            handle = cluster->handles[i];
    if (!handle) {
        entry_release(entry);
        return;
    }
    GROW(handle->waiting, handle->waiting_count, handle->waiting_capacity);
    memmove(handle->waiting + 1, handle->waiting, handle->waiting_count * sizeof(handle->waiting[0]));
    handle->waiting[0] = (struct waiting){partition, *entry}; /* from the last one on: so they keep their order */
    handle->waiting_count++;
    cluster->tally.resent++;
}

static void partition_cut(struct memory_cluster *cluster, struct memory_partition *partition, int64_t end)
{
    while ((int64_t)partition->count > end)
        entry_lose(cluster, partition, &partition->entries[--partition->count]);
    for (size_t i = cluster->first_unsettled; i < cluster->transaction_count; i++)
        for (size_t j = 0; j < cluster->transactions[i].touched_count; j++) {
            struct touched *touched = &cluster->transactions[i].touched[j];
            if (touched->partition == partition && touched->first_offset >= end)
                touched->first_offset = INT64_MAX;
        }
}

void memory_cluster_change_leader(struct memory_cluster *cluster, const char *topic, int32_t number,
                                  uint32_t leaderless, uint32_t catching_up)
{
    struct memory_partition *partition = partition_of(cluster, topic, number);
    CHECK(partition);
    if (partition->leaderless || partition->catching_up)
        return; /* one at a time */
    int64_t loose = (int64_t)partition->count - partition->acked;
    int64_t end = partition->acked + (loose > 0 ? (int64_t)(random_next(cluster) % (uint64_t)(loose + 1)) : 0);
    int64_t late = (int64_t)(random_next(cluster) % 6);
    partition_cut(cluster, partition, end);
    partition->leaderless = leaderless + 1;
    partition->catching_up = catching_up;
    partition->known = end - late > partition->low ? end - late : partition->low;
    GROW(cluster->unsteady, cluster->unsteady_count, cluster->unsteady_capacity);
    cluster->unsteady[cluster->unsteady_count++] = partition;
}

void memory_cluster_expire(struct memory_cluster *cluster, const char *topic, int32_t number, int64_t before)
{
    struct memory_partition *partition = partition_of(cluster, topic, number);
    CHECK(partition && before <= (int64_t)partition->count);
    if (before > partition->low)
        partition->low = before;
}

void memory_cluster_truncate(struct memory_cluster *cluster, const char *topic, int32_t number, int64_t end)
{
    struct memory_partition *partition = partition_of(cluster, topic, number);
    CHECK(partition && end >= partition->low);
    partition_cut(cluster, partition, end);
    if (partition->acked > end)
        partition->acked = end;
    if (partition->known > end)
        partition->known = end;
}

const struct memory_tally *memory_cluster_tally(const struct memory_cluster *cluster)
{
    return &cluster->tally;
}

/* ---- what others see ---- */

bool memory_cluster_read(const struct memory_cluster *cluster, const char *topic, int32_t partition,
                         bool read_committed, int64_t *offset, struct log_record *ret_record)
{
    const struct memory_partition *found = partition_of(cluster, topic, partition);
    CHECK(found);
    int64_t end = read_committed && !cluster->look_behind ? stable_of(cluster, found) : (int64_t)found->count;
    while (*offset < end) {
        const struct entry *entry = &found->entries[(*offset)++];
        if (!entry_visible(cluster, entry, read_committed))
            continue;
        *ret_record = entry->record;
        return true;
    }
    return false;
}

int32_t memory_cluster_partition_count(const struct memory_cluster *cluster, const char *topic)
{
    const struct memory_topic *found = topic_of(cluster, topic);
    return found ? found->partition_count : 0;
}

void memory_cluster_watermarks(const struct memory_cluster *cluster, const char *topic, int32_t partition,
                               int64_t *ret_low, int64_t *ret_stable, int64_t *ret_high)
{
    const struct memory_partition *found = partition_of(cluster, topic, partition);
    CHECK(found);
    *ret_low = found->low;
    *ret_stable = stable_of(cluster, found);
    *ret_high = (int64_t)found->count;
}

static struct group_offset *committed_find(const struct memory_cluster *cluster, const char *group, const char *topic,
                                           int32_t partition)
{
    for (size_t i = 0; i < cluster->group_count; i++)
        if (strcmp(cluster->groups[i]->name, group) == 0)
            return offset_find(&cluster->groups[i]->offsets, topic_of(cluster, topic), partition);
    return NULL;
}

int64_t memory_cluster_committed(const struct memory_cluster *cluster, const char *group, const char *topic,
                                 int32_t partition, struct span *ret_metadata)
{
    const struct group_offset *item = committed_find(cluster, group, topic, partition);
    if (ret_metadata)
        *ret_metadata = item ? (struct span){item->metadata, item->metadata_size} : SPAN_NONE;
    return item ? item->offset : LOG_OFFSET_NONE;
}

void memory_cluster_forget_committed(struct memory_cluster *cluster, const char *group, const char *topic,
                                     int32_t partition)
{
    struct group_offset *item = committed_find(cluster, group, topic, partition);
    if (item)
        item->topic = NULL; /* found by nobody any more */
}

void memory_cluster_put_back(struct memory_cluster *cluster, const char *group, const char *topic, int32_t partition,
                             int64_t offset, struct span metadata)
{
    struct group_offset *item = committed_find(cluster, group, topic, partition);
    CHECK(item);
    free(item->metadata);
    item->offset = offset;
    item->metadata = span_empty(metadata) ? NULL : (char *)bytes_own(metadata).data;
    item->metadata_size = metadata.size;
}

/* Keys seen, by where their entry lies: open addressing, 0 = empty, else index + 1. */
struct key_set {
    const struct memory_partition *partition;
    size_t *slots;
    size_t capacity; /* a power of two, more than twice the entries */
};

/* False: the entry's key was there already. */
static bool key_set_add(struct key_set *set, size_t index)
{
    struct span key = set->partition->entries[index].record.key;
    size_t at = hash_xxh64(key) & (set->capacity - 1);
    while (set->slots[at]) {
        if (span_equal(set->partition->entries[set->slots[at] - 1].record.key, key))
            return false;
        at = (at + 1) & (set->capacity - 1);
    }
    set->slots[at] = index + 1;
    return true;
}

static bool key_set_has(const struct key_set *set, struct span key)
{
    size_t at = hash_xxh64(key) & (set->capacity - 1);
    while (set->slots[at]) {
        if (span_equal(set->partition->entries[set->slots[at] - 1].record.key, key))
            return true;
        at = (at + 1) & (set->capacity - 1);
    }
    return false;
}

/* From the end: what a later committed record replaces goes. */
static void partition_compact(const struct memory_cluster *cluster, struct memory_partition *partition, size_t stable)
{
    struct key_set set = {.partition = partition, .capacity = 16};
    while (set.capacity <= stable * 2)
        set.capacity *= 2;
    set.slots = calloc(set.capacity, sizeof(*set.slots));
    CHECK(set.slots);
    for (size_t i = stable; i-- > 0;) {
        struct entry *entry = &partition->entries[i];
        if (entry->marker)
            continue;
        if (entry_visible(cluster, entry, true))
            entry->removed = !key_set_add(&set, i) || entry->removed;
        else if (key_set_has(&set, entry->record.key))
            entry->removed = true;
    }
    free(set.slots);
}

void memory_cluster_compact(struct memory_cluster *cluster, const char *topic)
{
    struct memory_topic *found = topic_of(cluster, topic);
    CHECK(found);
    for (int32_t p = 0; p < found->partition_count; p++)
        partition_compact(cluster, &found->partitions[p], (size_t)stable_of(cluster, &found->partitions[p]));
}

void memory_cluster_look_behind(struct memory_cluster *cluster, bool behind)
{
    cluster->look_behind = behind;
}

void memory_cluster_settle(struct memory_cluster *cluster)
{
    for (size_t i = 0; i < cluster->unsteady_count; i++)
        cluster->unsteady[i]->leaderless = cluster->unsteady[i]->catching_up = 0;
    cluster->unsteady_count = 0;
    for (size_t i = cluster->first_unsettled; i < cluster->transaction_count; i++)
        transaction_advance(cluster, (int)i, false);
    cluster_advance(cluster);
}

/* ---- files ---- */

/* topic NULL: the line does not name it. */
static void record_line(struct buffer *line, const char *topic, const struct log_record *record)
{
    buffer_reset(line);
    buffer_add_char(line, '{');
    if (topic)
        buffer_format(line, "\"topic\":\"%s\",", topic); /* Kafka's names need no escapes */
    buffer_format(line, "\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":\"", (int)record->partition,
                  (long long)record->offset, (long long)record->timestamp);
    base64_add(line, record->key);
    buffer_add_text(line, "\",\"value\":\"");
    base64_add(line, record->value);
    buffer_add_text(line, "\",\"headers\":[");
    for (size_t i = 0; i < record->header_count; i++) {
        buffer_add_text(line, i ? ",[\"" : "[\"");
        base64_add(line, record->headers[i].name);
        buffer_add_text(line, "\",\"");
        base64_add(line, record->headers[i].value);
        buffer_add_text(line, "\"]");
    }
    buffer_add_text(line, "]}\n");
}

static void topic_lines(const struct memory_cluster *cluster, const struct memory_topic *topic, bool named,
                        struct buffer *line, FILE *file)
{
    for (int32_t p = 0; p < topic->partition_count; p++) {
        struct log_record record;
        for (int64_t offset = 0; memory_cluster_read(cluster, topic->name, p, true, &offset, &record);) {
            record_line(line, named ? topic->name : NULL, &record);
            fwrite(line->data, 1, line->size, file);
        }
    }
}

static bool topic_save(const struct memory_cluster *cluster, const struct memory_topic *topic, const char *folder,
                       struct buffer *line)
{
    buffer_reset(line);
    buffer_format(line, "%s/%s.jsonl", folder, topic->name);
    FILE *file = fopen(line->data, "w");
    if (!file)
        return false;
    topic_lines(cluster, topic, false, line, file);
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

bool memory_cluster_export(const struct memory_cluster *cluster, const char *path)
{
    struct buffer line = {0};
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    for (size_t i = 0; i < cluster->topic_count; i++)
        topic_lines(cluster, cluster->topics[i], true, &line, file);
    buffer_release(&line);
    bool good = !ferror(file);
    return fclose(file) == 0 && good;
}

bool memory_cluster_save(const struct memory_cluster *cluster, const char *folder)
{
    struct buffer line = {0};
    bool good = true;
    for (size_t i = 0; good && i < cluster->topic_count; i++)
        good = topic_save(cluster, cluster->topics[i], folder, &line);
    buffer_release(&line);
    return good;
}
