#include "common/codec/internal_records.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/avro_binary.h"
#include "common/codec/schema_id.h"

#include <stdio.h>

enum { DIGEST_SIZE = 32 };

/* Opens a datum of the schema or of its successor; a cursor that is bad when the value is neither. */
static struct avro_cursor datum_of_two(struct span value, enum schema_id schema, enum schema_id newer,
                                       bool *ret_is_newer)
{
    uint32_t id;
    struct span datum = SPAN_NONE;
    bool found = wire_header_read(value, &id, &datum) && (id == (uint32_t)schema || id == (uint32_t)newer);
    struct avro_cursor cursor = avro_cursor_of(found ? datum : SPAN_NONE);
    *ret_is_newer = found && id == (uint32_t)newer;
    cursor.bad = !found;
    return cursor;
}

static struct avro_cursor datum_of(struct span value, enum schema_id schema)
{
    bool ignored;
    return datum_of_two(value, schema, schema, &ignored);
}

static bool whole(const struct avro_cursor *cursor)
{
    return !cursor->bad && cursor->at == cursor->end;
}

/* The branch of a union of two, 0 or 1. */
static bool read_branch(struct avro_cursor *cursor)
{
    int64_t branch = avro_read_long(cursor);
    if (branch != 0 && branch != 1)
        cursor->bad = true;
    return branch == 1;
}

static struct span read_optional_text(struct avro_cursor *cursor)
{
    return read_branch(cursor) ? avro_read_bytes(cursor) : SPAN_NONE;
}

/* Null and empty bytes are two things: a null Kafka value is a tombstone. */
static void add_nullable(struct buffer *buffer, struct span bytes)
{
    avro_add_long(buffer, bytes.data == NULL ? 0 : 1);
    if (bytes.data != NULL)
        avro_add_bytes(buffer, bytes);
}

static struct span read_nullable(struct avro_cursor *cursor)
{
    if (!read_branch(cursor))
        return SPAN_NONE;
    struct span bytes = avro_read_bytes(cursor);
    return bytes.data != NULL ? bytes : SPAN("");
}

static int64_t read_enum(struct avro_cursor *cursor, int64_t count)
{
    int64_t index = avro_read_long(cursor);
    if (index < 0 || index >= count) {
        cursor->bad = true;
        return 0;
    }
    return index;
}

static void read_digest(struct avro_cursor *cursor, unsigned char ret_digest[DIGEST_SIZE])
{
    struct span bytes = avro_read_fixed(cursor, DIGEST_SIZE);
    if (bytes.size == DIGEST_SIZE)
        memcpy(ret_digest, bytes.data, DIGEST_SIZE);
}

/* Lists are written as one block, and only that is read: lists in many small blocks would cost a foreigner little and
 * us much. The items' memory is bounded by the bytes there, as each takes at least least_item_size of them. */
static size_t read_list_head(struct avro_cursor *cursor, size_t least_item_size)
{
    return avro_read_block(cursor, least_item_size);
}

static void read_list_end(struct avro_cursor *cursor, size_t count)
{
    if (count != 0 && avro_read_long(cursor) != 0)
        cursor->bad = true;
}

static void add_list_head(struct buffer *buffer, size_t count)
{
    if (count != 0)
        avro_add_long(buffer, (int64_t)count);
}

/* ---- the original record ---- */

static void add_original(struct buffer *buffer, const struct original *original)
{
    avro_add_bytes(buffer, original->topic);
    avro_add_long(buffer, original->partition);
    avro_add_long(buffer, original->offset);
    avro_add_long(buffer, original->timestamp);
    add_nullable(buffer, original->key);
    add_nullable(buffer, original->value);
    add_list_head(buffer, original->header_count);
    for (size_t i = 0; i < original->header_count; i++) {
        avro_add_bytes(buffer, original->headers[i].name);
        add_nullable(buffer, original->headers[i].value);
    }
    avro_add_long(buffer, 0);
}

static void read_headers(struct avro_cursor *cursor, struct arena *arena, struct original *original)
{
    enum { LEAST_SIZE = 2 }; /* an empty name and a null */
    size_t count = read_list_head(cursor, LEAST_SIZE);
    struct header *headers = ARENA_ARRAY(arena, struct header, count);
    for (size_t i = 0; i < count; i++) {
        headers[i].name = avro_read_bytes(cursor);
        headers[i].value = read_nullable(cursor);
    }
    read_list_end(cursor, count);
    original->headers = headers;
    original->header_count = count;
}

static void read_original(struct avro_cursor *cursor, struct arena *arena, struct original *original)
{
    original->topic = avro_read_bytes(cursor);
    original->partition = avro_read_int(cursor);
    original->offset = avro_read_long(cursor);
    original->timestamp = avro_read_long(cursor);
    original->key = read_nullable(cursor);
    original->value = read_nullable(cursor);
    read_headers(cursor, arena, original);
}

/* ---- forward ---- */

static void add_credit(struct buffer *buffer, const struct event *event)
{
    CHECK(event->kind == EVENT_CREDIT);
    avro_add_long(buffer, event->topic);
    avro_add_bytes(buffer, event->customer_id);
    avro_add_bytes(buffer, event->event_id);
    avro_add_bytes(buffer, event->source);
    avro_add_long(buffer, event->occurred_at);
    avro_add_boolean(buffer, event->backfill);
    avro_add_bytes(buffer, event->credit.friend_id);
    avro_add_boolean(buffer, event->credit.standing);
    avro_add_boolean(buffer, event->credit.by_erasure);
    avro_add_optional_text(buffer, event->credit.order_id);
    avro_add_optional_time(buffer, event->credit.standing ? event->credit.order_at : NEVER);
    avro_add_boolean(buffer, event->credit.order_backfill);
}

static void read_credit(struct avro_cursor *cursor, struct event *ret_event)
{
    struct event event = event_blank((enum topic)read_enum(cursor, TOPIC_COUNT + 1), EVENT_CREDIT);
    event.customer_id = avro_read_bytes(cursor);
    event.event_id = avro_read_bytes(cursor);
    event.source = avro_read_bytes(cursor);
    event.occurred_at = avro_read_long(cursor);
    event.backfill = avro_read_boolean(cursor);
    event.credit.friend_id = avro_read_bytes(cursor);
    event.credit.standing = avro_read_boolean(cursor);
    event.credit.by_erasure = avro_read_boolean(cursor);
    event.credit.order_id = read_optional_text(cursor);
    event.credit.order_at = read_branch(cursor) ? avro_read_long(cursor) : 0;
    event.credit.order_backfill = avro_read_boolean(cursor);
    *ret_event = event;
}

static bool has_original(enum forward_kind kind)
{
    return kind == FORWARD_EVENT || kind == FORWARD_CREDIT;
}

/* Only what an older program would not understand is written in the newer schema: the rest it goes on reading. */
void forward_encode(const struct forward *forward, struct buffer *buffer)
{
    bool newer = forward->kind == FORWARD_PLAYBOOK || forward->kind == FORWARD_RELEASE;
    wire_header_add(buffer, newer ? SCHEMA_FORWARD_2 : SCHEMA_FORWARD);
    avro_add_long(buffer, forward->kind);
    avro_add_long(buffer, has_original(forward->kind));
    if (has_original(forward->kind))
        add_original(buffer, &forward->original);
    avro_add_long(buffer, forward->kind == FORWARD_CREDIT);
    if (forward->kind == FORWARD_CREDIT)
        add_credit(buffer, &forward->credit);
    avro_add_optional_time(buffer, forward->kind == FORWARD_TICK ? forward->tick_at : NEVER);
    avro_add_long(buffer, forward->kind == FORWARD_PLAYBOOK);
    if (forward->kind == FORWARD_PLAYBOOK) {
        avro_add_bytes(buffer, forward->playbook_version);
        buffer_add(buffer, forward->playbook_hash, DIGEST_SIZE);
        avro_add_bytes(buffer, forward->playbook_yaml);
        avro_add_long(buffer, forward->activation);
    }
    avro_add_optional_text(buffer, forward->rule);
}

bool forward_decode(struct span value, struct arena *arena, struct forward *ret_forward)
{
    bool newer;
    struct avro_cursor cursor = datum_of_two(value, SCHEMA_FORWARD, SCHEMA_FORWARD_2, &newer);
    int64_t kinds = newer ? FORWARD_RELEASE + 1 : FORWARD_RESUME + 1;
    struct forward forward = {.kind = (enum forward_kind)read_enum(&cursor, kinds)};
    bool original = read_branch(&cursor);
    if (original)
        read_original(&cursor, arena, &forward.original);
    bool credit = read_branch(&cursor);
    if (credit)
        read_credit(&cursor, &forward.credit);
    bool tick = read_branch(&cursor);
    if (tick)
        forward.tick_at = avro_read_long(&cursor);
    bool playbook = read_branch(&cursor);
    if (playbook) {
        forward.playbook_version = avro_read_bytes(&cursor);
        read_digest(&cursor, forward.playbook_hash);
        forward.playbook_yaml = avro_read_bytes(&cursor);
        forward.activation = newer ? avro_read_long(&cursor) : 0;
    }
    forward.rule = read_optional_text(&cursor);
    /* the parts must be those of the kind: a credit without its figures is no credit */
    if (!whole(&cursor) || original != has_original(forward.kind) || credit != (forward.kind == FORWARD_CREDIT) ||
        tick != (forward.kind == FORWARD_TICK) || playbook != (forward.kind == FORWARD_PLAYBOOK))
        return false;
    *ret_forward = forward;
    return true;
}

/* ---- meta ---- */

static void add_texts(struct buffer *buffer, const struct span *texts, size_t count)
{
    add_list_head(buffer, count);
    for (size_t i = 0; i < count; i++)
        avro_add_bytes(buffer, texts[i]);
    avro_add_long(buffer, 0);
}

static const struct span *read_texts(struct avro_cursor *cursor, struct arena *arena, size_t *ret_count)
{
    size_t count = read_list_head(cursor, 1);
    struct span *texts = ARENA_ARRAY(arena, struct span, count);
    for (size_t i = 0; i < count; i++)
        texts[i] = avro_read_bytes(cursor);
    read_list_end(cursor, count);
    *ret_count = count;
    return texts;
}

/* Before the first activation a shard's records stay readable for the program that knew none. */
void meta_encode(const struct meta *meta, struct buffer *buffer)
{
    bool newer = meta->activation != 0 || meta->sweeping;
    wire_header_add(buffer, newer ? SCHEMA_META_2 : SCHEMA_META);
    avro_add_long(buffer, meta->shard);
    avro_add_long(buffer, meta->seq);
    avro_add_long(buffer, meta->clock);
    buffer_add(buffer, meta->playbook_hash, DIGEST_SIZE);
    avro_add_bytes(buffer, meta->playbook_version);
    avro_add_long(buffer, meta->shard_count);
    avro_add_bytes(buffer, meta->application_id);
    avro_add_bytes(buffer, meta->cluster_id);
    add_list_head(buffer, meta->input_count);
    for (size_t i = 0; i < meta->input_count; i++) {
        avro_add_bytes(buffer, meta->inputs[i].topic);
        avro_add_long(buffer, meta->inputs[i].partition);
        avro_add_long(buffer, meta->inputs[i].next);
    }
    avro_add_long(buffer, 0);
    avro_add_long(buffer, meta->forward_next);
    avro_add_boolean(buffer, meta->pause_marketing);
    add_texts(buffer, meta->paused_rules, meta->paused_rule_count);
    if (!newer)
        return;
    avro_add_long(buffer, meta->activation);
    avro_add_long(buffer, meta->sweeping);
    if (meta->sweeping)
        avro_add_bytes(buffer, meta->swept);
}

static void read_inputs(struct avro_cursor *cursor, struct arena *arena, struct meta *meta)
{
    enum { LEAST_SIZE = 3 };
    size_t count = read_list_head(cursor, LEAST_SIZE);
    struct input_offset *inputs = ARENA_ARRAY(arena, struct input_offset, count);
    for (size_t i = 0; i < count; i++) {
        inputs[i].topic = avro_read_bytes(cursor);
        inputs[i].partition = avro_read_int(cursor);
        inputs[i].next = avro_read_long(cursor);
    }
    read_list_end(cursor, count);
    meta->inputs = inputs;
    meta->input_count = count;
}

bool meta_decode(struct span value, struct arena *arena, struct meta *ret_meta)
{
    bool newer;
    struct avro_cursor cursor = datum_of_two(value, SCHEMA_META, SCHEMA_META_2, &newer);
    struct meta meta = {.shard = avro_read_int(&cursor)};
    meta.seq = avro_read_long(&cursor);
    meta.clock = avro_read_long(&cursor);
    read_digest(&cursor, meta.playbook_hash);
    meta.playbook_version = avro_read_bytes(&cursor);
    meta.shard_count = avro_read_int(&cursor);
    meta.application_id = avro_read_bytes(&cursor);
    meta.cluster_id = avro_read_bytes(&cursor);
    read_inputs(&cursor, arena, &meta);
    meta.forward_next = avro_read_long(&cursor);
    meta.pause_marketing = avro_read_boolean(&cursor);
    meta.paused_rules = read_texts(&cursor, arena, &meta.paused_rule_count);
    if (newer) {
        meta.activation = avro_read_long(&cursor);
        meta.sweeping = read_branch(&cursor);
        meta.swept = meta.sweeping ? avro_read_bytes(&cursor) : SPAN_NONE;
    }
    if (!whole(&cursor))
        return false;
    *ret_meta = meta;
    return true;
}

/* ---- step ---- */

void step_log_encode(const struct step_log *step, struct buffer *buffer)
{
    wire_header_add(buffer, SCHEMA_STEP);
    avro_add_long(buffer, step->shard);
    avro_add_long(buffer, step->seq);
    avro_add_long(buffer, step->now);
    buffer_add(buffer, step->playbook_hash, DIGEST_SIZE);
    avro_add_bytes(buffer, step->tz_version);
    add_texts(buffer, step->timer_customers, step->timer_customer_count);
    add_list_head(buffer, step->range_count);
    for (size_t i = 0; i < step->range_count; i++) {
        avro_add_bytes(buffer, step->ranges[i].topic);
        avro_add_long(buffer, step->ranges[i].partition);
        avro_add_long(buffer, step->ranges[i].from);
        avro_add_long(buffer, step->ranges[i].next);
    }
    avro_add_long(buffer, 0);
}

static void read_ranges(struct avro_cursor *cursor, struct arena *arena, struct step_log *step)
{
    enum { LEAST_SIZE = 4 };
    size_t count = read_list_head(cursor, LEAST_SIZE);
    struct step_range *ranges = ARENA_ARRAY(arena, struct step_range, count);
    for (size_t i = 0; i < count; i++) {
        ranges[i].topic = avro_read_bytes(cursor);
        ranges[i].partition = avro_read_int(cursor);
        ranges[i].from = avro_read_long(cursor);
        ranges[i].next = avro_read_long(cursor);
    }
    read_list_end(cursor, count);
    step->ranges = ranges;
    step->range_count = count;
}

bool step_log_decode(struct span value, struct arena *arena, struct step_log *ret_step)
{
    struct avro_cursor cursor = datum_of(value, SCHEMA_STEP);
    struct step_log step = {.shard = avro_read_int(&cursor)};
    step.seq = avro_read_long(&cursor);
    step.now = avro_read_long(&cursor);
    read_digest(&cursor, step.playbook_hash);
    step.tz_version = avro_read_bytes(&cursor);
    step.timer_customers = read_texts(&cursor, arena, &step.timer_customer_count);
    read_ranges(&cursor, arena, &step);
    if (!whole(&cursor))
        return false;
    *ret_step = step;
    return true;
}

/* ---- playbook ---- */

void playbook_entry_encode(const struct playbook_entry *entry, struct buffer *buffer)
{
    wire_header_add(buffer, SCHEMA_PLAYBOOK_ENTRY);
    buffer_add(buffer, entry->hash, DIGEST_SIZE);
    avro_add_bytes(buffer, entry->version);
    avro_add_long(buffer, entry->activation);
    avro_add_optional_time(buffer, entry->activated_at);
    avro_add_bytes(buffer, entry->yaml);
}

bool playbook_entry_decode(struct span value, struct arena *arena, struct playbook_entry *ret_entry)
{
    struct avro_cursor cursor = datum_of(value, SCHEMA_PLAYBOOK_ENTRY);
    struct playbook_entry entry = {.activated_at = NEVER};
    (void)arena;
    read_digest(&cursor, entry.hash);
    entry.version = avro_read_bytes(&cursor);
    entry.activation = avro_read_long(&cursor);
    if (read_branch(&cursor))
        entry.activated_at = avro_read_long(&cursor);
    entry.yaml = avro_read_bytes(&cursor);
    if (!whole(&cursor))
        return false;
    *ret_entry = entry;
    return true;
}

void playbook_entry_key(const struct playbook_entry *entry, char ret_key[PLAYBOOK_KEY_SIZE])
{
    if (entry->activation) {
        snprintf(ret_key, PLAYBOOK_KEY_SIZE, "activation/%lld", (long long)entry->activation);
        return;
    }
    for (size_t i = 0; i < sizeof(entry->hash); i++)
        snprintf(ret_key + 2 * i, 3, "%02x", entry->hash[i]);
}

/* ---- dead letter ---- */

struct dead_letter dead_letter_of(const struct original *original, enum reason reason, const char *field,
                                  struct span message, size_t value_size_max)
{
    struct dead_letter letter = {
        .reason = reason,
        .message = message,
        .field = span_of(field),
        .original = *original,
        .size = (int64_t)original->value.size,
    };
    hash_sha256(original->value, letter.sha256);
    letter.truncated = original->value.size > value_size_max;
    if (letter.truncated)
        letter.original.value.size = value_size_max;
    return letter;
}

void dead_letter_encode(const struct dead_letter *letter, struct buffer *buffer)
{
    CHECK(letter->reason > REASON_NONE && letter->reason < REASON_COUNT);
    wire_header_add(buffer, SCHEMA_DEAD_LETTER);
    avro_add_long(buffer, letter->reason - 1);
    avro_add_optional_text(buffer, letter->message);
    avro_add_optional_text(buffer, letter->field);
    add_original(buffer, &letter->original);
    avro_add_boolean(buffer, letter->truncated);
    avro_add_long(buffer, letter->size);
    buffer_add(buffer, letter->sha256, DIGEST_SIZE);
}

bool dead_letter_decode(struct span value, struct arena *arena, struct dead_letter *ret_letter)
{
    uint32_t id; /* ours, or a registry's; nothing else is in the topic */
    struct span datum = SPAN_NONE;
    bool found = wire_header_read(value, &id, &datum);
    struct avro_cursor cursor = avro_cursor_of(datum);
    cursor.bad = !found;
    struct dead_letter letter = {.reason = (enum reason)(read_enum(&cursor, REASON_COUNT - 1) + 1)};
    letter.message = read_optional_text(&cursor);
    letter.field = read_optional_text(&cursor);
    read_original(&cursor, arena, &letter.original);
    letter.truncated = avro_read_boolean(&cursor);
    letter.size = avro_read_long(&cursor);
    read_digest(&cursor, letter.sha256);
    if (!whole(&cursor))
        return false;
    *ret_letter = letter;
    return true;
}
