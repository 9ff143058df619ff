#include "common/io/store_memory.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <stdio.h>
#include <stdlib.h>

struct customer_entry {
    struct span id, state; /* owned; id empty = a free slot */
    int64_t wake_at;
    struct store_entry *entries; /* his history, oldest first; owned, without their customer ids */
    size_t entry_count;
};

struct memory_shard {
    struct customer_entry *slots; /* open addressing; nothing is ever removed but all at once */
    size_t slot_count, used;
    struct store_meta meta; /* its spans are owned */
};

struct memory_note {
    struct memory_note *next;
    int32_t shard;
    struct span name, text; /* owned */
};

/* A call that lies in the server's socket: its client has given up. All owned. */
struct late_call {
    bool waits, takes;
    int calls_left;
    int32_t shard;
    struct span epoch, owner, identity, last;
    int64_t pos_expected, pos, seq;
    struct store_write *writes;
    size_t write_count;
    struct store_entry *entries;
    size_t entry_count, entries_kept;
    struct store_place place;
    bool has_place;
    struct store_place place_expected;
    bool has_place_expected;
};

struct memory_server {
    struct memory_note *notes; /* a wipe leaves them */
    int32_t shard_count;
    const struct clock *clock;
    struct memory_shard *shards;
    struct memory_shard *marked; /* NULL = none */
    int delay;                   /* of the next take or apply, in calls; 0 = none */
    struct late_call late;
    uint64_t late_count;
    bool evicting;
    char error[128];
};

static struct span own(struct span bytes)
{
    if (span_empty(bytes))
        return SPAN_NONE;
    char *copy = malloc(bytes.size);
    CHECK(copy);
    memcpy(copy, bytes.data, bytes.size);
    return (struct span){copy, bytes.size};
}

static void replace(struct span *owned, struct span bytes)
{
    struct span copy = own(bytes);
    free((char *)owned->data);
    *owned = copy;
}

static struct customer_entry *slot_of(const struct memory_shard *shard, struct span id)
{
    for (size_t i = hash_xxh64(id) & (shard->slot_count - 1);; i = (i + 1) & (shard->slot_count - 1))
        if (span_empty(shard->slots[i].id) || span_equal(shard->slots[i].id, id))
            return &shard->slots[i];
}

static const struct customer_entry *customer_find(const struct memory_shard *shard, struct span id)
{
    const struct customer_entry *slot = shard->slot_count ? slot_of(shard, id) : NULL;
    return slot && !span_empty(slot->id) ? slot : NULL;
}

static void shard_grow(struct memory_shard *shard)
{
    struct memory_shard old = *shard;
    shard->slot_count = old.slot_count ? old.slot_count * 2 : 64;
    shard->slots = calloc(shard->slot_count, sizeof(*shard->slots));
    CHECK(shard->slots);
    for (size_t i = 0; i < old.slot_count; i++)
        if (!span_empty(old.slots[i].id))
            *slot_of(shard, old.slots[i].id) = old.slots[i];
    free(old.slots);
}

static struct customer_entry *customer_make(struct memory_shard *shard, struct span id)
{
    CHECK(!span_empty(id));
    if (shard->used * 2 >= shard->slot_count)
        shard_grow(shard);
    struct customer_entry *slot = slot_of(shard, id);
    if (span_empty(slot->id)) {
        slot->id = own(id);
        slot->wake_at = NEVER;
        shard->used++;
    }
    return slot;
}

static void customer_set(struct memory_shard *shard, const struct store_write *write)
{
    CHECK(!span_empty(write->state));
    struct customer_entry *slot = customer_make(shard, write->customer_id);
    replace(&slot->state, write->state);
    slot->wake_at = write->wake_at;
}

/* ---- histories ---- */

/* All but the newest so many go. */
static void history_trim(struct customer_entry *customer, size_t kept)
{
    size_t gone = customer->entry_count > kept ? customer->entry_count - kept : 0;
    for (size_t i = 0; i < gone; i++)
        free((char *)customer->entries[i].value.data);
    customer->entry_count -= gone;
    if (gone)
        memmove(customer->entries, customer->entries + gone, customer->entry_count * sizeof(*customer->entries));
}

static void history_add(struct memory_shard *shard, const struct store_entry *entry, size_t kept)
{
    struct customer_entry *customer = customer_make(shard, entry->customer_id);
    int64_t newest = customer->entry_count ? customer->entries[customer->entry_count - 1].seq : 0;
    if (span_empty(entry->value)) {
        history_trim(customer, 0);
        return;
    }
    if (entry->seq <= newest)
        return;
    customer->entries = realloc(customer->entries, (customer->entry_count + 1) * sizeof(*customer->entries));
    CHECK(customer->entries);
    customer->entries[customer->entry_count++] = (struct store_entry){.seq = entry->seq, .value = own(entry->value)};
    history_trim(customer, kept);
}

static struct store_meta meta_blank(void)
{
    return (struct store_meta){.pos = STORE_POS_NONE, .place = {.next = STORE_POS_NONE}};
}

static void meta_set(struct store_meta *meta, const struct store_meta *source)
{
    replace(&meta->epoch, source->epoch);
    replace(&meta->owner, source->owner);
    replace(&meta->identity, source->identity);
    replace(&meta->last, source->last);
    meta->pos = source->pos;
    meta->seq = source->seq;
    meta->place = source->place;
}

static void shard_clear(struct memory_shard *shard)
{
    for (size_t i = 0; i < shard->slot_count; i++) {
        free((char *)shard->slots[i].id.data);
        free((char *)shard->slots[i].state.data);
        history_trim(&shard->slots[i], 0);
        free(shard->slots[i].entries);
    }
    free(shard->slots);
    struct store_meta blank = meta_blank();
    meta_set(&shard->meta, &blank);
    *shard = (struct memory_shard){.meta = blank};
}

static void shard_copy(struct memory_shard *target, const struct memory_shard *source)
{
    shard_clear(target);
    for (size_t i = 0; i < source->slot_count; i++) {
        const struct customer_entry *slot = &source->slots[i];
        if (!span_empty(slot->state))
            customer_set(target, &(struct store_write){slot->id, slot->state, slot->wake_at});
        for (size_t j = 0; j < slot->entry_count; j++)
            history_add(target, &(struct store_entry){slot->id, slot->entries[j].seq, slot->entries[j].value},
                        slot->entry_count);
    }
    meta_set(&target->meta, &source->meta);
}

static struct memory_shard *shard_of(struct memory_server *server, int32_t shard)
{
    CHECK(shard >= 0 && shard < server->shard_count);
    return &server->shards[shard];
}

/* ---- the calls ---- */

static void meta_give(const struct store_meta *meta, struct arena *arena, struct store_meta *ret_meta)
{
    *ret_meta = (struct store_meta){.epoch = arena_copy(arena, meta->epoch),
                                    .owner = arena_copy(arena, meta->owner),
                                    .identity = arena_copy(arena, meta->identity),
                                    .last = arena_copy(arena, meta->last),
                                    .pos = meta->pos,
                                    .seq = meta->seq,
                                    .place = meta->place};
}

static void take_now(struct memory_shard *shard, struct span epoch, struct span owner, struct span identity)
{
    if (!span_empty(shard->meta.identity) && !span_equal(shard->meta.identity, identity))
        return;
    replace(&shard->meta.identity, identity);
    replace(&shard->meta.epoch, epoch);
    replace(&shard->meta.owner, owner);
}

static bool same_place(const struct store_place *a, const struct store_place *b)
{
    return a->next == b->next && a->seq == b->seq && a->max == b->max;
}

static bool apply_now(struct memory_shard *shard, const struct store_apply *apply)
{
    if (!span_equal(shard->meta.epoch, apply->epoch) || shard->meta.pos != apply->pos_expected)
        return false;
    if (apply->place_expected && !same_place(&shard->meta.place, apply->place_expected))
        return false;
    for (size_t j = 0; j < apply->write_count; j++)
        customer_set(shard, &apply->writes[j]);
    for (size_t j = 0; j < apply->entry_count; j++)
        history_add(shard, &apply->entries[j], apply->entries_kept);
    if (apply->place)
        shard->meta.place = *apply->place;
    shard->meta.pos = apply->pos;
    shard->meta.seq = apply->seq;
    if (!span_empty(apply->last))
        replace(&shard->meta.last, apply->last);
    return true;
}

/* ---- calls that are done when nobody waits for them any more ---- */

static void late_release(struct late_call *late)
{
    struct span texts[] = {late->epoch, late->owner, late->identity, late->last};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        free((char *)texts[i].data);
    for (size_t i = 0; i < late->write_count; i++) {
        free((char *)late->writes[i].customer_id.data);
        free((char *)late->writes[i].state.data);
    }
    free(late->writes);
    for (size_t i = 0; i < late->entry_count; i++) {
        free((char *)late->entries[i].customer_id.data);
        free((char *)late->entries[i].value.data);
    }
    free(late->entries);
    *late = (struct late_call){0};
}

static void late_run(struct memory_server *server)
{
    struct late_call *late = &server->late;
    struct store_apply apply = {.shard = late->shard,
                                .epoch = late->epoch,
                                .pos_expected = late->pos_expected,
                                .pos = late->pos,
                                .seq = late->seq,
                                .last = late->last,
                                .writes = late->writes,
                                .write_count = late->write_count,
                                .entries = late->entries,
                                .entry_count = late->entry_count,
                                .entries_kept = late->entries_kept,
                                .place = late->has_place ? &late->place : NULL,
                                .place_expected = late->has_place_expected ? &late->place_expected : NULL};
    if (late->takes)
        take_now(shard_of(server, late->shard), late->epoch, late->owner, late->identity);
    server->late_count += late->takes || apply_now(shard_of(server, late->shard), &apply);
    late_release(late);
}

/* At each take and apply. True: this one is put off. */
static bool late_turn(struct memory_server *server)
{
    if (server->late.waits && --server->late.calls_left <= 0)
        late_run(server);
    if (server->delay == 0 || server->late.waits)
        return false;
    server->late = (struct late_call){.waits = true, .calls_left = server->delay};
    server->delay = 0;
    snprintf(server->error, sizeof(server->error), "no answer in time");
    return true;
}

static enum world memory_take(void *context, int32_t number, struct span epoch, struct span owner, struct span identity,
                              struct arena *arena, struct store_meta *ret_before)
{
    struct memory_server *server = context;
    struct memory_shard *shard = shard_of(server, number);
    if (late_turn(server)) {
        server->late.takes = true;
        server->late.shard = number;
        server->late.epoch = own(epoch);
        server->late.owner = own(owner);
        server->late.identity = own(identity);
        return WORLD_RECOVER;
    }
    meta_give(&shard->meta, arena, ret_before);
    take_now(shard, epoch, owner, identity);
    return WORLD_DONE;
}

static enum world memory_meta(void *context, int32_t number, struct arena *arena, struct store_meta *ret_meta)
{
    meta_give(&shard_of(context, number)->meta, arena, ret_meta);
    return WORLD_DONE;
}

static int due_order(const void *left, const void *right)
{
    const struct customer_entry *a = *(const struct customer_entry *const *)left;
    const struct customer_entry *b = *(const struct customer_entry *const *)right;
    if (a->wake_at != b->wake_at)
        return a->wake_at < b->wake_at ? -1 : 1;
    return span_compare(a->id, b->id);
}

static void load_due(const struct memory_shard *shard, struct store_load *load, struct arena *arena)
{
    const struct customer_entry **due = ARENA_ARRAY(arena, const struct customer_entry *, shard->used + 1);
    size_t count = 0;
    for (size_t i = 0; i < shard->slot_count; i++)
        if (!span_empty(shard->slots[i].id) && shard->slots[i].wake_at != NEVER)
            due[count++] = &shard->slots[i];
    qsort(due, count, sizeof(due[0]), due_order);
    load->due_ids = ARENA_ARRAY(arena, struct span, load->due_max);
    load->due_states = ARENA_ARRAY(arena, struct span, load->due_max);
    load->due_count = 0;
    for (size_t i = 0; i < count && i < load->due_max && due[i]->wake_at < load->due_before; i++) {
        load->due_ids[i] = arena_copy(arena, due[i]->id);
        load->due_states[i] = arena_copy(arena, due[i]->state);
        load->due_count++;
    }
    load->next_wake_at = load->due_count < count ? due[load->due_count]->wake_at : NEVER;
}

static enum world memory_load(void *context, struct store_load *loads, size_t count, struct arena *arena,
                              int64_t *ret_server_ms)
{
    struct memory_server *server = context;
    for (size_t i = 0; i < count; i++) {
        struct store_load *load = &loads[i];
        const struct memory_shard *shard = shard_of(server, load->shard);
        load->states = ARENA_ARRAY(arena, struct span, load->id_count);
        for (size_t j = 0; j < load->id_count; j++) {
            const struct customer_entry *entry = customer_find(shard, load->ids[j]);
            load->states[j] = entry ? arena_copy(arena, entry->state) : SPAN_NONE;
        }
        load_due(shard, load, arena);
        load->epoch = arena_copy(arena, shard->meta.epoch);
        load->pos = shard->meta.pos;
        load->seq = shard->meta.seq;
    }
    *ret_server_ms = clock_wall(server->clock);
    return WORLD_DONE;
}

static void late_keep(struct late_call *late, const struct store_apply *apply)
{
    late->shard = apply->shard;
    late->epoch = own(apply->epoch);
    late->last = own(apply->last);
    late->pos_expected = apply->pos_expected;
    late->pos = apply->pos;
    late->seq = apply->seq;
    late->writes = calloc(apply->write_count + 1, sizeof(*late->writes));
    CHECK(late->writes);
    for (size_t i = 0; i < apply->write_count; i++)
        late->writes[late->write_count++] = (struct store_write){own(apply->writes[i].customer_id),
                                                                 own(apply->writes[i].state), apply->writes[i].wake_at};
    late->entries = calloc(apply->entry_count + 1, sizeof(*late->entries));
    CHECK(late->entries);
    for (size_t i = 0; i < apply->entry_count; i++)
        late->entries[late->entry_count++] = (struct store_entry){own(apply->entries[i].customer_id),
                                                                  apply->entries[i].seq, own(apply->entries[i].value)};
    late->entries_kept = apply->entries_kept;
    late->has_place = apply->place != NULL;
    if (apply->place)
        late->place = *apply->place;
    late->has_place_expected = apply->place_expected != NULL;
    if (apply->place_expected)
        late->place_expected = *apply->place_expected;
}

/* Of several shards' scripts the first is the late one: the others never left the client. */
static enum world memory_apply(void *context, struct store_apply *applies, size_t count)
{
    struct memory_server *server = context;
    if (count > 0 && late_turn(server)) {
        late_keep(&server->late, &applies[0]);
        return WORLD_RECOVER;
    }
    for (size_t i = 0; i < count; i++)
        applies[i].applied = apply_now(shard_of(server, applies[i].shard), &applies[i]);
    return WORLD_DONE;
}

static enum world memory_drop(void *context, int32_t number)
{
    shard_clear(shard_of(context, number));
    return WORLD_DONE;
}

static enum world memory_customer(void *context, int32_t number, struct span customer_id, struct arena *arena,
                                  struct span *ret_state)
{
    const struct customer_entry *entry = customer_find(shard_of(context, number), customer_id);
    *ret_state = entry ? arena_copy(arena, entry->state) : SPAN_NONE;
    return WORLD_DONE;
}

static enum world memory_history(void *context, int32_t number, struct span customer_id, size_t max,
                                 struct arena *arena, struct span **ret_values, size_t *ret_count)
{
    const struct customer_entry *entry = customer_find(shard_of(context, number), customer_id);
    size_t count = !entry ? 0 : entry->entry_count < max ? entry->entry_count : max;
    *ret_count = count;
    *ret_values = ARENA_ARRAY(arena, struct span, count);
    for (size_t i = 0; i < count; i++)
        (*ret_values)[i] = arena_copy(arena, entry->entries[entry->entry_count - count + i].value);
    return WORLD_DONE;
}

static struct memory_note *note_of(struct memory_server *server, int32_t shard, struct span name)
{
    for (struct memory_note *note = server->notes; note; note = note->next)
        if (note->shard == shard && span_equal(note->name, name))
            return note;
    struct memory_note *note = calloc(1, sizeof(*note));
    CHECK(note);
    *note = (struct memory_note){.next = server->notes, .shard = shard, .name = own(name)};
    server->notes = note;
    return note;
}

static enum world memory_note_read(void *context, int32_t shard, struct span name, struct arena *arena,
                                   struct span *ret_text)
{
    *ret_text = arena_copy(arena, note_of(context, shard, name)->text);
    return WORLD_DONE;
}

static enum world memory_note_write(void *context, int32_t shard, struct span name, struct span text)
{
    replace(&note_of(context, shard, name)->text, text);
    return WORLD_DONE;
}

static void notes_free(struct memory_note *note)
{
    while (note) {
        struct memory_note *next = note->next;
        free((char *)note->name.data);
        free((char *)note->text.data);
        free(note);
        note = next;
    }
}

static enum world memory_check(void *context)
{
    struct memory_server *server = context;
    if (!server->evicting)
        return WORLD_DONE;
    snprintf(server->error, sizeof(server->error),
             "maxmemory-policy is not noeviction: an evicted customer would look new");
    return WORLD_STOP;
}

static const char *memory_error_text(void *context)
{
    const struct memory_server *server = context;
    return server->error;
}

static void memory_close(void *context)
{
    (void)context; /* the server outlives its clients */
}

static const struct store_calls memory_calls = {
    .take = memory_take,
    .meta = memory_meta,
    .load = memory_load,
    .apply = memory_apply,
    .drop = memory_drop,
    .customer = memory_customer,
    .history = memory_history,
    .note_read = memory_note_read,
    .note_write = memory_note_write,
    .check = memory_check,
    .error_text = memory_error_text,
    .close = memory_close,
};

struct store store_memory_open(struct memory_server *server)
{
    return (struct store){&memory_calls, server};
}

/* ---- life, and what is done to it ---- */

static struct memory_shard *shards_new(int32_t count)
{
    struct memory_shard *shards = calloc((size_t)count, sizeof(*shards));
    CHECK(shards);
    for (int32_t i = 0; i < count; i++)
        shards[i].meta = meta_blank();
    return shards;
}

static void shards_free(struct memory_shard *shards, int32_t count)
{
    for (int32_t i = 0; shards && i < count; i++)
        shard_clear(&shards[i]);
    free(shards);
}

struct memory_server *memory_server_new(int32_t shard_count, const struct clock *clock)
{
    struct memory_server *server = calloc(1, sizeof(*server));
    CHECK(server && shard_count > 0);
    server->shard_count = shard_count;
    server->clock = clock;
    server->shards = shards_new(shard_count);
    return server;
}

void memory_server_free(struct memory_server *server)
{
    if (!server)
        return;
    shards_free(server->shards, server->shard_count);
    shards_free(server->marked, server->shard_count);
    notes_free(server->notes);
    late_release(&server->late);
    free(server);
}

void memory_server_wipe_shard(struct memory_server *server, int32_t shard)
{
    shard_clear(shard_of(server, shard));
}

void memory_server_wipe(struct memory_server *server)
{
    for (int32_t i = 0; i < server->shard_count; i++)
        shard_clear(&server->shards[i]);
}

void memory_server_mark(struct memory_server *server)
{
    if (!server->marked)
        server->marked = shards_new(server->shard_count);
    for (int32_t i = 0; i < server->shard_count; i++)
        shard_copy(&server->marked[i], &server->shards[i]);
}

void memory_server_fall_back(struct memory_server *server)
{
    late_release(&server->late); /* what lay in the dead server's sockets */
    for (int32_t i = 0; i < server->shard_count; i++) {
        if (server->marked)
            shard_copy(&server->shards[i], &server->marked[i]);
        else
            shard_clear(&server->shards[i]);
    }
}

void memory_server_evict_meta(struct memory_server *server, int32_t shard)
{
    struct store_meta blank = meta_blank();
    meta_set(&shard_of(server, shard)->meta, &blank);
}

bool memory_server_evict_customer(struct memory_server *server, int32_t number, size_t index)
{
    struct memory_shard *shard = shard_of(server, number);
    for (size_t i = 0; i < shard->slot_count; i++) {
        if (span_empty(shard->slots[i].id) || index-- > 0)
            continue;
        struct memory_shard rest = {.meta = meta_blank()};
        for (size_t j = 0; j < shard->slot_count; j++)
            if (j != i && !span_empty(shard->slots[j].id))
                customer_set(&rest,
                             &(struct store_write){shard->slots[j].id, shard->slots[j].state, shard->slots[j].wake_at});
        meta_set(&rest.meta, &shard->meta);
        shard_clear(shard);
        *shard = rest;
        return true;
    }
    return false;
}

void memory_server_evict_wakes(struct memory_server *server, int32_t number)
{
    struct memory_shard *shard = shard_of(server, number);
    for (size_t i = 0; i < shard->slot_count; i++)
        shard->slots[i].wake_at = NEVER;
}

void memory_server_delay(struct memory_server *server, int calls)
{
    server->delay = calls;
}

uint64_t memory_server_late(const struct memory_server *server)
{
    return server->late_count;
}

void memory_server_set_evicting(struct memory_server *server, bool evicting)
{
    server->evicting = evicting;
}

bool memory_server_customer(const struct memory_server *server, int32_t shard, size_t index, struct span *ret_id,
                            struct span *ret_state, int64_t *ret_wake_at)
{
    const struct memory_shard *found = &server->shards[shard];
    for (size_t i = 0; i < found->slot_count; i++) {
        if (span_empty(found->slots[i].id) || index-- > 0)
            continue;
        *ret_id = found->slots[i].id;
        *ret_state = found->slots[i].state;
        *ret_wake_at = found->slots[i].wake_at;
        return true;
    }
    return false;
}

void memory_server_meta(const struct memory_server *server, int32_t shard, struct store_meta *ret_meta)
{
    *ret_meta = server->shards[shard].meta;
}
