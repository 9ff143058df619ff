/* Each call builds its commands in a scratch arena, runs them as one pipeline, and copies the answers out. A shard's
 * ids are split over several scripts, because everybody waits while one runs and Lua's unpack has a limit; the split is
 * made safe as store.h says. */
#include "common/io/store_redis.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/io/redis_reach.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 500, /* customers per script: about 2 ms of Redis's one thread */
    SCAN_STEP = 1000,
    NOTE_SECONDS = 7 * 86400,
    KEY_CAPACITY = 32 /* "crm:{1023}:wake" */
};

/* KEYS: meta, wake, the states' keys. ARGV: due before, due max, the states' key prefix.
 * The wake-up after the due ones has rank #due, because all due ones are the first in the order of the set. */
static const char load_text[] =
    "local meta = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'seq')\n"
    "local states = {}\n"
    "if #KEYS > 2 then states = redis.call('MGET', unpack(KEYS, 3)) end\n"
    "local due, due_states, next_wake = {}, {}, false\n"
    "local max = tonumber(ARGV[2])\n"
    "if max >= 0 then\n"
    "  if max > 0 then due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1], 'LIMIT', 0, max) end\n"
    "  for i = 1, #due do due_states[i] = redis.call('GET', ARGV[3] .. due[i]) end\n"
    "  next_wake = redis.call('ZRANGE', KEYS[2], #due, #due, 'WITHSCORES')[2] or false\n"
    "end\n"
    "return {meta[1], meta[2], meta[3], redis.call('TIME'), states, due, due_states, next_wake}\n";

/* KEYS: meta, wake, the states' keys, the histories' keys. ARGV: 1 epoch, 2 expected pos ('' = none), 3 pos ('' = not
 * the last chunk), 4 seq, 5 last ('' = keep), 6 size of the key prefix, 7 the part that must have run ('' = this is the
 * first), 8 this part's name ('' = the last), 9 how many states, 10 the histories' place ('' = keep), 11 how many
 * entries a history keeps, 12 the histories' place as it must be ('' = any); then a state and a wake-up ('' = none) per
 * state's key; then per history's key a count and so many entries, each "seq:value", none = the history goes. All
 * checks come first, and then only writes that cannot fail: a script is not rolled back. The parts: a server may refuse
 * one chunk and run the next (out of memory, no right, a slot on its way); pos would pass over what is missing, and no
 * recovery would ever look there again. A part may run again after a later one was refused: to a state that is nothing,
 * and a history passes over what it has. */
static const char apply_text[] =
    "local meta = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'part', 'history')\n"
    "if meta[1] ~= ARGV[1] or (meta[2] or '') ~= ARGV[2] then return 0 end\n"
    "if ARGV[7] ~= '' and meta[3] ~= ARGV[7] then return 0 end\n"
    "if ARGV[12] ~= '' and meta[4] ~= ARGV[12] then return 0 end\n"
    "local pairs_, wakes, sleeps, prefix, states = {}, {}, {}, tonumber(ARGV[6]), tonumber(ARGV[9])\n"
    "for i = 3, states + 2 do\n"
    "  local at, id = 2 * i + 7, string.sub(KEYS[i], prefix + 1)\n"
    "  pairs_[#pairs_ + 1] = KEYS[i]\n"
    "  pairs_[#pairs_ + 1] = ARGV[at]\n"
    "  if ARGV[at + 1] == '' then\n"
    "    sleeps[#sleeps + 1] = id\n"
    "  else\n"
    "    wakes[#wakes + 1] = ARGV[at + 1]\n"
    "    wakes[#wakes + 1] = id\n"
    "  end\n"
    "end\n"
    "if #pairs_ > 0 then redis.call('MSET', unpack(pairs_)) end\n"
    "if #wakes > 0 then redis.call('ZADD', KEYS[2], unpack(wakes)) end\n"
    "if #sleeps > 0 then redis.call('ZREM', KEYS[2], unpack(sleeps)) end\n"
    "local function seq_of(entry) return tonumber(string.match(entry or '', '^%d+') or 0) end\n"
    "local at = 2 * states + 13\n"
    "for i = states + 3, #KEYS do\n"
    "  local count, fresh = tonumber(ARGV[at]), {}\n"
    "  if count == 0 then\n"
    "    redis.call('DEL', KEYS[i])\n"
    "  else\n"
    "    local newest = seq_of(redis.call('LINDEX', KEYS[i], -1))\n"
    "    for j = at + 1, at + count do\n"
    "      if seq_of(ARGV[j]) > newest then fresh[#fresh + 1] = ARGV[j] end\n"
    "    end\n"
    "  end\n"
    "  if #fresh > 0 then\n"
    "    redis.call('RPUSH', KEYS[i], unpack(fresh))\n"
    "    redis.call('LTRIM', KEYS[i], -tonumber(ARGV[11]), -1)\n"
    "  end\n"
    "  at = at + count + 1\n"
    "end\n"
    "if ARGV[10] ~= '' then redis.call('HSET', KEYS[1], 'history', ARGV[10]) end\n"
    "if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'part', ARGV[8]) end\n"
    "if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'pos', ARGV[3], 'seq', ARGV[4]) end\n"
    "if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'last', ARGV[5]) end\n"
    "return 1\n";

/* KEYS: meta. ARGV: epoch, owner, identity. */
static const char take_text[] =
    "local before = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'identity', 'pos', 'seq', 'last', 'history')\n"
    "if not before[3] or before[3] == ARGV[3] then\n"
    "  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'owner', ARGV[2], 'identity', ARGV[3])\n"
    "end\n"
    "return before\n";

enum { SCRIPT_LOAD, SCRIPT_APPLY, SCRIPT_TAKE, SCRIPT_COUNT };

struct store_redis {
    struct redis_reach reach;
    struct redis_script scripts[SCRIPT_COUNT];
    struct arena scratch; /* of the call in hand */
    struct buffer error;  /* a sentence of this file's own; empty: the connection's */
};

/* ---- keys and answers ---- */

static struct span shard_key(struct store_redis *store, int32_t shard, const char *name)
{
    char text[KEY_CAPACITY];
    int size = snprintf(text, sizeof(text), "crm:{%d}:%s", shard, name);
    CHECK(size > 0 && (size_t)size < sizeof(text));
    return arena_copy(&store->scratch, (struct span){text, (size_t)size});
}

/* A call on a shard's keys. */
static void call_init(struct store_redis *store, int32_t shard, struct redis_call *call, int capacity,
                      struct redis_script *script)
{
    char tag[16];
    int size = snprintf(tag, sizeof(tag), "%d", shard);
    redis_call_init(call, &store->scratch, capacity, script);
    call->slot = redis_slot_of((struct span){tag, (size_t)size});
}

static struct span customer_key(struct store_redis *store, struct span prefix, struct span id)
{
    char *text = arena_take(&store->scratch, prefix.size + id.size);
    memcpy(text, prefix.data, prefix.size);
    memcpy(text + prefix.size, id.data, id.size);
    return (struct span){text, prefix.size + id.size};
}

/* A nil is an empty span. */
static struct span text_of(const redisReply *reply, struct arena *arena)
{
    if (reply->type != REDIS_REPLY_STRING)
        return SPAN_NONE;
    return arena_copy(arena, (struct span){reply->str, (size_t)reply->len});
}

static int64_t integer_of(const redisReply *reply, int64_t absent)
{
    return reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : absent;
}

static bool is_array(const redisReply *reply, size_t count)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
}

static enum world strange(struct store_redis *store, const char *what)
{
    buffer_reset(&store->error);
    buffer_format(&store->error, "Redis at %s: %s", redis_url_shown(store->reach.config->redis_url), what);
    return WORLD_RECOVER;
}

/* The pipeline, with AGAIN (no connection to be had) told as RECOVER: the loop backs off there. */
static enum world run(struct store_redis *store, struct redis_call *calls, size_t count)
{
    buffer_reset(&store->error);
    enum world world = redis_run(&store->reach, calls, count);
    return world == WORLD_AGAIN ? WORLD_RECOVER : world;
}

static const char *store_redis_error_text(void *context)
{
    struct store_redis *store = context;
    if (store->error.size)
        return store->error.data;
    return store->reach.error.data ? store->reach.error.data : "";
}

/* ---- meta ---- */

static struct store_place place_of(const redisReply *reply)
{
    long long next, seq, max;
    if (reply->type == REDIS_REPLY_STRING && sscanf(reply->str, "%lld %lld %lld", &next, &seq, &max) == 3)
        return (struct store_place){next, seq, max};
    return (struct store_place){.next = STORE_POS_NONE};
}

static enum world read_meta(struct store_redis *store, const redisReply *reply, struct arena *arena,
                            struct store_meta *ret_meta)
{
    if (!is_array(reply, 7))
        return strange(store, "an unexpected answer about a shard");
    *ret_meta = (struct store_meta){
        .epoch = text_of(reply->element[0], arena),
        .owner = text_of(reply->element[1], arena),
        .identity = text_of(reply->element[2], arena),
        .pos = integer_of(reply->element[3], STORE_POS_NONE),
        .seq = integer_of(reply->element[4], 0),
        .last = text_of(reply->element[5], arena),
        .place = place_of(reply->element[6]),
    };
    return WORLD_DONE;
}

static enum world run_meta(struct store_redis *store, struct redis_call *call, struct arena *arena,
                           struct store_meta *ret_meta)
{
    enum world world = run(store, call, 1);
    if (world == WORLD_DONE)
        world = read_meta(store, call->reply, arena, ret_meta);
    redis_calls_release(call, 1);
    arena_reset(&store->scratch);
    return world;
}

static enum world store_redis_take(void *context, int32_t shard, struct span epoch, struct span owner,
                                   struct span identity, struct arena *arena, struct store_meta *ret_before)
{
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 5, &store->scripts[SCRIPT_TAKE]);
    redis_call_add_text(&call, "1");
    redis_call_add(&call, shard_key(store, shard, "meta"));
    redis_call_add(&call, epoch);
    redis_call_add(&call, owner);
    redis_call_add(&call, identity);
    return run_meta(store, &call, arena, ret_before);
}

static enum world store_redis_meta(void *context, int32_t shard, struct arena *arena, struct store_meta *ret_meta)
{
    static const char *const fields[] = {"epoch", "owner", "identity", "pos", "seq", "last", "history"};
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 2 + COUNT_OF(fields), NULL);
    redis_call_add_text(&call, "HMGET");
    redis_call_add(&call, shard_key(store, shard, "meta"));
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        redis_call_add_text(&call, fields[i]);
    return run_meta(store, &call, arena, ret_meta);
}

/* ---- load ---- */

static size_t chunk_count(size_t count)
{
    return count == 0 ? 1 : (count + CHUNK - 1) / CHUNK;
}

/* Chunk 0 also asks for the due customers; the others say so by a negative maximum. */
static void build_load(struct store_redis *store, const struct store_load *load, size_t chunk, struct redis_call *call)
{
    size_t from = chunk * CHUNK, to = from + CHUNK < load->id_count ? from + CHUNK : load->id_count;
    struct span prefix = shard_key(store, load->shard, "c:");
    call_init(store, load->shard, call, (int)(to - from) + 6, &store->scripts[SCRIPT_LOAD]);
    redis_call_add_integer(call, &store->scratch, (int64_t)(to - from) + 2);
    redis_call_add(call, shard_key(store, load->shard, "meta"));
    redis_call_add(call, shard_key(store, load->shard, "wake"));
    for (size_t i = from; i < to; i++)
        redis_call_add(call, customer_key(store, prefix, load->ids[i]));
    redis_call_add_integer(call, &store->scratch, load->due_before);
    redis_call_add_integer(call, &store->scratch, chunk == 0 ? (int64_t)load->due_max : -1);
    redis_call_add(call, prefix);
}

static void read_due(struct store_load *load, const redisReply *reply, struct arena *arena)
{
    const redisReply *ids = reply->element[5], *states = reply->element[6], *next = reply->element[7];
    load->due_count = ids->elements;
    load->due_ids = ARENA_ARRAY(arena, struct span, load->due_count);
    load->due_states = ARENA_ARRAY(arena, struct span, load->due_count);
    for (size_t i = 0; i < load->due_count; i++) {
        load->due_ids[i] = text_of(ids->element[i], arena);
        load->due_states[i] = text_of(states->element[i], arena);
    }
    load->next_wake_at = next->type == REDIS_REPLY_STRING ? (int64_t)strtod(next->str, NULL) : NEVER;
}

static bool load_shape(const redisReply *reply, size_t id_count)
{
    return is_array(reply, 8) && is_array(reply->element[3], 2) && is_array(reply->element[4], id_count) &&
           reply->element[5]->type == REDIS_REPLY_ARRAY && is_array(reply->element[6], reply->element[5]->elements);
}

static bool same_meta(const struct store_load *load, struct span epoch, int64_t pos, int64_t seq)
{
    return span_equal(load->epoch, epoch) && load->pos == pos && load->seq == seq;
}

static enum world read_load(struct store_redis *store, struct store_load *load, size_t chunk, const redisReply *reply,
                            struct arena *arena)
{
    size_t from = chunk * CHUNK, count = load->id_count - from < CHUNK ? load->id_count - from : CHUNK;
    if (!load_shape(reply, count))
        return strange(store, "an unexpected answer to load");
    struct span epoch = text_of(reply->element[0], arena);
    int64_t pos = integer_of(reply->element[1], STORE_POS_NONE), seq = integer_of(reply->element[2], 0);
    if (chunk == 0) {
        load->epoch = epoch;
        load->pos = pos;
        load->seq = seq;
        read_due(load, reply, arena);
        load->states = ARENA_ARRAY(arena, struct span, load->id_count);
    } else if (!same_meta(load, epoch, pos, seq)) {
        return strange(store, "a shard changed while it was loaded");
    }
    for (size_t i = 0; i < count; i++)
        load->states[from + i] = text_of(reply->element[4]->element[i], arena);
    return WORLD_DONE;
}

static int64_t server_ms(const redisReply *reply)
{
    return integer_of(reply->element[3]->element[0], 0) * 1000 + integer_of(reply->element[3]->element[1], 0) / 1000;
}

static enum world store_redis_load(void *context, struct store_load *loads, size_t count, struct arena *arena,
                                   int64_t *ret_server_ms)
{
    struct store_redis *store = context;
    CHECK(count > 0);
    size_t call_count = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        call_count += chunk_count(loads[i].id_count);
    struct redis_call *calls = ARENA_ARRAY(&store->scratch, struct redis_call, call_count);
    for (size_t i = 0; i < count; i++)
        for (size_t chunk = 0; chunk < chunk_count(loads[i].id_count); chunk++)
            build_load(store, &loads[i], chunk, &calls[at++]);
    enum world world = run(store, calls, call_count);
    at = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t chunk = 0; chunk < chunk_count(loads[i].id_count) && world == WORLD_DONE; chunk++)
            world = read_load(store, &loads[i], chunk, calls[at++].reply, arena);
    if (world == WORLD_DONE)
        *ret_server_ms = server_ms(calls[call_count - 1].reply);
    redis_calls_release(calls, call_count);
    arena_reset(&store->scratch);
    return world;
}

/* ---- apply ---- */

/* Indexes of the last write of each customer, in an open hash table of twice the size: a rebuild's portion may hold
 * many writes of one customer, and the script sets all before it removes any from the index. */
static size_t last_writes(struct store_redis *store, const struct store_apply *apply, uint32_t *ret_kept)
{
    size_t capacity = 16;
    while (capacity < 2 * apply->write_count)
        capacity *= 2;
    uint32_t *slots = ARENA_ARRAY(&store->scratch, uint32_t, capacity); /* index + 1; 0 = free */
    size_t kept = 0;
    for (size_t i = apply->write_count; i-- > 0;) {
        struct span id = apply->writes[i].customer_id;
        size_t slot = hash_xxh64(id) & (capacity - 1);
        while (slots[slot] && !span_equal(apply->writes[slots[slot] - 1].customer_id, id))
            slot = (slot + 1) & (capacity - 1);
        if (slots[slot])
            continue;
        slots[slot] = (uint32_t)i + 1;
        ret_kept[kept++] = (uint32_t)i;
    }
    return kept;
}

static void add_meta(struct store_redis *store, const struct store_apply *apply, bool last_chunk,
                     struct redis_call *call)
{
    redis_call_add(call, apply->epoch);
    if (apply->pos_expected == STORE_POS_NONE)
        redis_call_add_text(call, "");
    else
        redis_call_add_integer(call, &store->scratch, apply->pos_expected);
    if (last_chunk) {
        redis_call_add_integer(call, &store->scratch, apply->pos);
        redis_call_add_integer(call, &store->scratch, apply->seq);
        redis_call_add(call, apply->last);
    } else {
        for (int i = 0; i < 3; i++)
            redis_call_add_text(call, "");
    }
}

/* A part's name says of which apply it is: an epoch leaves a position once. */
static void add_part(struct store_redis *store, const struct store_apply *apply, size_t part, struct redis_call *call)
{
    char text[40];
    int size = snprintf(text, sizeof(text), ":%lld:%zu", (long long)apply->pos_expected, part);
    redis_call_add(call, customer_key(store, apply->epoch, (struct span){text, (size_t)size}));
}

/* A part of an apply: so many of its writes and entries. */
struct part {
    const uint32_t *kept; /* indexes of writes */
    size_t write_count;
    const struct store_entry *entries;
    size_t entry_count;
    size_t number;
    bool last;
};

static bool same_history(const struct store_entry *a, const struct store_entry *b)
{
    return span_equal(a->customer_id, b->customer_id) && !span_empty(a->value) && !span_empty(b->value);
}

/* Entries of one customer that stand together go under one key. */
static size_t entries_together(const struct part *part, size_t from)
{
    size_t to = from + 1;
    while (to < part->entry_count && same_history(&part->entries[from], &part->entries[to]))
        to++;
    return to - from;
}

static size_t add_history_keys(struct store_redis *store, int32_t shard, const struct part *part,
                               struct redis_call *call)
{
    struct span prefix = shard_key(store, shard, "d:");
    size_t count = 0;
    for (size_t i = 0; i < part->entry_count; i += entries_together(part, i), count++)
        if (call)
            redis_call_add(call, customer_key(store, prefix, part->entries[i].customer_id));
    return count;
}

static struct span entry_text(struct store_redis *store, const struct store_entry *entry)
{
    char seq[24];
    int size = snprintf(seq, sizeof(seq), "%lld:", (long long)entry->seq);
    return customer_key(store, (struct span){seq, (size_t)size}, entry->value);
}

static void add_entries(struct store_redis *store, const struct part *part, struct redis_call *call)
{
    for (size_t i = 0, together; i < part->entry_count; i += together) {
        together = entries_together(part, i);
        bool gone = span_empty(part->entries[i].value);
        redis_call_add_integer(call, &store->scratch, gone ? 0 : (int64_t)together);
        for (size_t j = i; j < i + together && !gone; j++)
            redis_call_add(call, entry_text(store, &part->entries[j]));
    }
}

/* NULL: ''. */
static void add_place(struct store_redis *store, const struct store_place *place, struct redis_call *call)
{
    char text[64] = "";
    if (place)
        snprintf(text, sizeof(text), "%lld %lld %lld", (long long)place->next, (long long)place->seq,
                 (long long)place->max);
    redis_call_add(call, arena_copy(&store->scratch, span_of(text)));
}

static void add_part_names(struct store_redis *store, const struct store_apply *apply, const struct part *part,
                           struct redis_call *call)
{
    if (part->number > 0)
        add_part(store, apply, part->number - 1, call);
    else
        redis_call_add_text(call, "");
    if (part->last)
        redis_call_add_text(call, "");
    else
        add_part(store, apply, part->number, call);
}

static void build_apply(struct store_redis *store, const struct store_apply *apply, const struct part *part,
                        struct redis_call *call)
{
    struct span prefix = shard_key(store, apply->shard, "c:");
    size_t histories = add_history_keys(store, apply->shard, part, NULL);
    call_init(store, apply->shard, call, (int)(3 * part->write_count + 2 * histories + part->entry_count) + 15,
              &store->scripts[SCRIPT_APPLY]);
    redis_call_add_integer(call, &store->scratch, (int64_t)(part->write_count + histories) + 2);
    redis_call_add(call, shard_key(store, apply->shard, "meta"));
    redis_call_add(call, shard_key(store, apply->shard, "wake"));
    for (size_t i = 0; i < part->write_count; i++)
        redis_call_add(call, customer_key(store, prefix, apply->writes[part->kept[i]].customer_id));
    add_history_keys(store, apply->shard, part, call);
    add_meta(store, apply, part->last, call);
    redis_call_add_integer(call, &store->scratch, (int64_t)prefix.size);
    add_part_names(store, apply, part, call);
    redis_call_add_integer(call, &store->scratch, (int64_t)part->write_count);
    add_place(store, part->last ? apply->place : NULL, call);
    redis_call_add_integer(call, &store->scratch, (int64_t)apply->entries_kept);
    add_place(store, apply->place_expected, call);
    for (size_t i = 0; i < part->write_count; i++) {
        const struct store_write *write = &apply->writes[part->kept[i]];
        redis_call_add(call, write->state);
        if (write->wake_at == NEVER)
            redis_call_add_text(call, "");
        else
            redis_call_add_integer(call, &store->scratch, write->wake_at);
    }
    add_entries(store, part, call);
}

static size_t part_count(size_t write_count, size_t entry_count)
{
    return chunk_count(write_count > entry_count ? write_count : entry_count);
}

/* How many of `count` the part from `from` on holds. */
static size_t part_size(size_t count, size_t from)
{
    return count <= from ? 0 : count - from < CHUNK ? count - from : CHUNK;
}

/* The commands of one shard; returns how many (at most part_count of its writes and entries). */
static size_t build_shard(struct store_redis *store, const struct store_apply *apply, struct redis_call *calls)
{
    uint32_t *kept = ARENA_ARRAY(&store->scratch, uint32_t, apply->write_count + 1);
    size_t count = last_writes(store, apply, kept), parts = part_count(count, apply->entry_count);
    for (size_t number = 0; number < parts; number++) {
        size_t from = number * CHUNK;
        struct part part = {.write_count = part_size(count, from),
                            .entry_count = part_size(apply->entry_count, from),
                            .number = number,
                            .last = number + 1 == parts};
        part.kept = part.write_count ? kept + from : NULL;
        part.entries = part.entry_count ? apply->entries + from : NULL;
        build_apply(store, apply, &part, &calls[number]);
    }
    return parts;
}

/* A shard is applied when its last chunk was: that one writes pos. An earlier chunk that was refused (somebody took the
 * shard in between) leaves older or equal states of ours there, which the new owner's recovery writes over. */
static enum world store_redis_apply(void *context, struct store_apply *applies, size_t count)
{
    struct store_redis *store = context;
    CHECK(count > 0);
    size_t call_count = 0, capacity = 0;
    for (size_t i = 0; i < count; i++)
        capacity += part_count(applies[i].write_count, applies[i].entry_count);
    struct redis_call *calls = ARENA_ARRAY(&store->scratch, struct redis_call, capacity);
    size_t *ends = ARENA_ARRAY(&store->scratch, size_t, count);
    for (size_t i = 0; i < count; i++)
        ends[i] = call_count += build_shard(store, &applies[i], calls + call_count);
    enum world world = run(store, calls, call_count);
    for (size_t i = 0, at = 0; i < count && world == WORLD_DONE; i++)
        for (applies[i].applied = true; at < ends[i]; at++)
            applies[i].applied = applies[i].applied && calls[at].reply->integer == 1;
    redis_calls_release(calls, call_count);
    arena_reset(&store->scratch);
    return world;
}

/* ---- for people ---- */

static enum world store_redis_customer(void *context, int32_t shard, struct span customer_id, struct arena *arena,
                                       struct span *ret_state)
{
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 2, NULL);
    redis_call_add_text(&call, "GET");
    redis_call_add(&call, customer_key(store, shard_key(store, shard, "c:"), customer_id));
    enum world world = run(store, &call, 1);
    if (world == WORLD_DONE)
        *ret_state = text_of(call.reply, arena);
    redis_calls_release(&call, 1);
    arena_reset(&store->scratch);
    return world;
}

/* "seq:value", as the script keeps it. */
static struct span entry_value(struct span entry)
{
    const char *colon = memchr(entry.data, ':', entry.size);
    size_t head = colon ? (size_t)(colon - entry.data) + 1 : entry.size;
    return (struct span){entry.data + head, entry.size - head};
}

static enum world store_redis_history(void *context, int32_t shard, struct span customer_id, size_t max,
                                      struct arena *arena, struct span **ret_values, size_t *ret_count)
{
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 4, NULL);
    redis_call_add_text(&call, "LRANGE");
    redis_call_add(&call, customer_key(store, shard_key(store, shard, "d:"), customer_id));
    redis_call_add_integer(&call, &store->scratch, -(int64_t)max);
    redis_call_add_text(&call, "-1");
    enum world world = run(store, &call, 1);
    if (world == WORLD_DONE && call.reply->type != REDIS_REPLY_ARRAY)
        world = strange(store, "an unexpected answer about a history");
    if (world == WORLD_DONE) {
        *ret_count = call.reply->elements;
        *ret_values = ARENA_ARRAY(arena, struct span, call.reply->elements);
        for (size_t i = 0; i < call.reply->elements; i++)
            (*ret_values)[i] = entry_value(text_of(call.reply->element[i], arena));
    }
    redis_calls_release(&call, 1);
    arena_reset(&store->scratch);
    return world;
}

/* ---- notes ---- */

static struct span note_key(struct store_redis *store, int32_t shard, struct span name)
{
    return customer_key(store, shard_key(store, shard, "note:"), name);
}

static enum world store_redis_note_read(void *context, int32_t shard, struct span name, struct arena *arena,
                                        struct span *ret_text)
{
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 2, NULL);
    redis_call_add_text(&call, "GET");
    redis_call_add(&call, note_key(store, shard, name));
    enum world world = run(store, &call, 1);
    if (world == WORLD_DONE)
        *ret_text = text_of(call.reply, arena);
    redis_calls_release(&call, 1);
    arena_reset(&store->scratch);
    return world;
}

static enum world store_redis_note_write(void *context, int32_t shard, struct span name, struct span text)
{
    struct store_redis *store = context;
    struct redis_call call;
    bool gone = span_empty(text);
    call_init(store, shard, &call, gone ? 2 : 5, NULL);
    redis_call_add_text(&call, gone ? "DEL" : "SET");
    redis_call_add(&call, note_key(store, shard, name));
    if (!gone) {
        redis_call_add(&call, text);
        redis_call_add_text(&call, "EX");
        redis_call_add_integer(&call, &store->scratch, NOTE_SECONDS);
    }
    enum world world = run(store, &call, 1);
    redis_calls_release(&call, 1);
    arena_reset(&store->scratch);
    return world;
}

/* One step of a SCAN over the shard's states and histories, each found one unlinked; *cursor "0" = done. */
static enum world drop_step(struct store_redis *store, int32_t shard, char *cursor, size_t capacity)
{
    struct redis_call scan, unlink;
    call_init(store, shard, &scan, 6, NULL);
    redis_call_add_text(&scan, "SCAN");
    redis_call_add_text(&scan, cursor);
    redis_call_add_text(&scan, "MATCH");
    redis_call_add(&scan, shard_key(store, shard, "[cd]:*"));
    redis_call_add_text(&scan, "COUNT");
    redis_call_add_integer(&scan, &store->scratch, SCAN_STEP);
    enum world world = run(store, &scan, 1);
    if (world == WORLD_DONE && !is_array(scan.reply, 2))
        world = strange(store, "an unexpected answer to SCAN");
    if (world == WORLD_DONE) {
        snprintf(cursor, capacity, "%s", scan.reply->element[0]->str);
        const redisReply *found = scan.reply->element[1];
        call_init(store, shard, &unlink, (int)found->elements + 1, NULL);
        redis_call_add_text(&unlink, "UNLINK");
        for (size_t i = 0; i < found->elements; i++)
            redis_call_add(&unlink, (struct span){found->element[i]->str, (size_t)found->element[i]->len});
        if (found->elements)
            world = run(store, &unlink, 1);
        redis_calls_release(&unlink, 1);
    }
    redis_calls_release(&scan, 1);
    arena_reset(&store->scratch);
    return world;
}

/* The meta goes first and at once: from then on the shard has no view, whatever states still lie about. */
static enum world store_redis_drop(void *context, int32_t shard)
{
    struct store_redis *store = context;
    struct redis_call call;
    call_init(store, shard, &call, 3, NULL);
    redis_call_add_text(&call, "UNLINK");
    redis_call_add(&call, shard_key(store, shard, "meta"));
    redis_call_add(&call, shard_key(store, shard, "wake"));
    enum world world = run(store, &call, 1);
    redis_calls_release(&call, 1);
    arena_reset(&store->scratch);
    char cursor[24] = "0";
    if (world == WORLD_DONE)
        do
            world = drop_step(store, shard, cursor, sizeof(cursor));
        while (world == WORLD_DONE && strcmp(cursor, "0") != 0);
    return world;
}

/* ---- life ---- */

/* INFO, because managed servers forbid CONFIG. An evicted customer would look new. Each master is asked. */
static enum world store_redis_check(void *context)
{
    struct store_redis *store = context;
    int nodes[REDIS_NODES_MAX];
    size_t count = 0;
    buffer_reset(&store->error);
    enum world world = redis_masters(&store->reach, nodes, &count);
    if (world != WORLD_DONE)
        return world;
    struct redis_call *calls = ARENA_ARRAY(&store->scratch, struct redis_call, count);
    for (size_t i = 0; i < count; i++) {
        redis_call_init(&calls[i], &store->scratch, 2, NULL);
        redis_call_add_text(&calls[i], "INFO");
        redis_call_add_text(&calls[i], "memory");
        calls[i].node = nodes[i];
    }
    world = redis_run(&store->reach, calls, count);
    for (size_t i = 0; i < count && world == WORLD_DONE; i++) {
        if (calls[i].reply->str && strstr(calls[i].reply->str, "maxmemory_policy:noeviction"))
            continue;
        strange(store, "its maxmemory-policy is not noeviction: an evicted customer would look new");
        world = WORLD_STOP;
    }
    redis_calls_release(calls, count);
    arena_reset(&store->scratch);
    return world;
}

static void store_redis_close(void *context)
{
    struct store_redis *store = context;
    redis_close(&store->reach);
    arena_release(&store->scratch);
    buffer_release(&store->error);
    free(store);
}

static const struct store_calls calls_of_redis = {
    .take = store_redis_take,
    .meta = store_redis_meta,
    .load = store_redis_load,
    .apply = store_redis_apply,
    .drop = store_redis_drop,
    .customer = store_redis_customer,
    .history = store_redis_history,
    .note_read = store_redis_note_read,
    .note_write = store_redis_note_write,
    .check = store_redis_check,
    .error_text = store_redis_error_text,
    .close = store_redis_close,
};

enum world store_redis_open(const struct config *config, struct store *ret_store, struct buffer *error)
{
    struct store_redis *store = calloc(1, sizeof(*store));
    CHECK(store);
    arena_init(&store->scratch, 0);
    store->scripts[SCRIPT_LOAD].text = load_text;
    store->scripts[SCRIPT_APPLY].text = apply_text;
    store->scripts[SCRIPT_TAKE].text = take_text;
    if (!redis_open(&store->reach, config, store->scripts, SCRIPT_COUNT)) {
        buffer_add_text(error, store->reach.error.data);
        store_redis_close(store);
        return WORLD_STOP;
    }
    *ret_store = (struct store){&calls_of_redis, store};
    return WORLD_DONE;
}
