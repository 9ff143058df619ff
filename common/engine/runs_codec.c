/* The runs' part of the blob. Names, keys and order ids repeat a lot (twenty rules wait on one delivery), so every text
 * stands once, in a table in front. What was read from a blob shares its bytes, so most texts are found again by where
 * they lie, without a comparison. */
#include "common/base/check.h"
#include "common/engine/runs.h"

#include <endian.h>

/* ---- the table of texts ---- */

struct text_place { /* where bytes lie, and their index; index 0 = free */
    const char *data;
    size_t size;
    uint32_t index;
};

struct texts {
    struct arena *arena;
    struct span *items; /* [0] is "" and not written */
    uint32_t items_count, items_capacity;
    struct text_place *places; /* open addressing; capacity a power of two */
    uint32_t places_count, places_capacity;
};

static uint32_t texts_push(struct texts *texts, struct span text)
{
    if (texts->items_count == texts->items_capacity) {
        uint32_t capacity = texts->items_capacity ? 2 * texts->items_capacity : 32;
        struct span *items = ARENA_ARRAY(texts->arena, struct span, capacity);
        if (texts->items_count > 0)
            memcpy(items, texts->items, texts->items_count * sizeof *items);
        texts->items = items;
        texts->items_capacity = capacity;
    }
    texts->items[texts->items_count] = text;
    return texts->items_count++;
}

static struct text_place *texts_place(struct text_place *places, uint32_t capacity, struct span text)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)text.data + text.size) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t slot = (uint32_t)(mixed >> 32) & (capacity - 1);
    while (places[slot].index != 0 && (places[slot].data != text.data || places[slot].size != text.size))
        slot = (slot + 1) & (capacity - 1);
    return &places[slot];
}

static void texts_grow(struct texts *texts)
{
    uint32_t capacity = texts->places_capacity ? 2 * texts->places_capacity : 128;
    struct text_place *places = ARENA_ARRAY(texts->arena, struct text_place, capacity);
    for (uint32_t i = 0; i < texts->places_capacity; i++) {
        const struct text_place *old = &texts->places[i];
        if (old->index != 0)
            *texts_place(places, capacity, (struct span){old->data, old->size}) = *old;
    }
    texts->places = places;
    texts->places_capacity = capacity;
}

static uint32_t texts_search(struct texts *texts, struct span text)
{
    for (uint32_t i = 1; i < texts->items_count; i++) {
        if (span_equal(texts->items[i], text))
            return i;
    }
    return texts_push(texts, text);
}

static uint32_t texts_index(struct texts *texts, struct span text)
{
    if (text.size == 0)
        return 0;
    if (2 * texts->places_count >= texts->places_capacity)
        texts_grow(texts);
    struct text_place *place = texts_place(texts->places, texts->places_capacity, text);
    if (place->index == 0) {
        *place = (struct text_place){text.data, text.size, texts_search(texts, text)};
        texts->places_count++;
    }
    return place->index;
}

static void texts_collect(struct texts *texts, const struct runs *runs)
{
    texts_push(texts, SPAN_NONE);
    for (uint32_t i = 0; i < runs->waiting_count; i++) {
        const struct run *run = &runs->waiting[i];
        texts_index(texts, run->rule);
        texts_index(texts, run->order_id);
        texts_index(texts, run->key);
    }
    for (uint32_t i = 0; i < runs->sent_count; i++) {
        const struct sent *sent = &runs->sent[i];
        texts_index(texts, sent->rule);
        texts_index(texts, sent->order_id);
        texts_index(texts, sent->variant);
        texts_index(texts, sent->key);
    }
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        texts_index(texts, runs->tracks[i].order_id);
}

/* ---- writing ---- */

static void write_rule(struct state_writer *writer, uint32_t rule)
{
    state_write_fixed32(writer, rule);
}

/* union { null, long }: a time that may be NEVER. Not relative: INT64_MAX (R7: "any") is one of them. */
static void write_optional(struct state_writer *writer, int64_t time)
{
    state_write_long(writer, time != NEVER);
    if (time != NEVER)
        state_write_long(writer, time);
}

static void write_text(struct state_writer *writer, struct texts *texts, struct span text)
{
    state_write_long(writer, texts_index(texts, text));
}

static void write_run(struct state_writer *writer, struct texts *texts, const struct run *run)
{
    write_text(writer, texts, run->rule);
    state_write_long(writer, run->rule_index);
    write_text(writer, texts, run->key);
    write_text(writer, texts, run->order_id);
    state_write_long(writer, run->n);
    state_write_long(writer, run->state);
    state_write_time(writer, run->anchor_at);
    state_write_time(writer, run->due_at);
    state_write_time(writer, run->decide_at);
    write_optional(writer, run->backfill_until);
    state_write_long(writer, run->has_response);
    if (run->has_response) {
        state_write_fixed64(writer, run->survey);
        state_write_fixed64(writer, run->response);
    }
}

/* class, audience and channel of a send in one number */
enum { MARK_AUDIENCE = 4, MARK_CHANNEL = 16, MARKS_END = 64 };

static void write_sent(struct state_writer *writer, struct texts *texts, const struct sent *sent)
{
    bool delayed = sent->send_after != sent->made_at;
    write_text(writer, texts, sent->rule);
    write_text(writer, texts, sent->key);
    write_text(writer, texts, sent->order_id);
    write_text(writer, texts, sent->variant);
    state_write_long(writer, sent->n);
    state_write_long(writer, (int64_t)sent->class + MARK_AUDIENCE * (int64_t)sent->audience +
                                 MARK_CHANNEL * (int64_t)sent->channel);
    state_write_time(writer, sent->due_at);
    state_write_time(writer, sent->made_at);
    state_write_long(writer, delayed);
    if (delayed)
        state_write_time(writer, sent->send_after);
    state_write_long(writer, sent->expires_at != NEVER);
    if (sent->expires_at != NEVER)
        state_write_time(writer, sent->expires_at);
}

enum { TRACK_ENDED = 1, TRACK_GONE = 2, TRACK_PAST = 4 };

static void write_track(struct state_writer *writer, struct texts *texts, const struct track *track)
{
    write_rule(writer, track->rule);
    state_write_long(writer, track->rule_index);
    state_write_time(writer, track->at);
    write_text(writer, texts, track->order_id);
    state_write_long(writer, track->n);
    state_write_long(writer, track->m);
    state_write_long(writer, (track->ended ? TRACK_ENDED : 0) | (track->gone ? TRACK_GONE : 0) |
                                 (track->past ? TRACK_PAST : 0));
}

enum { USED_KEY_SIZE = 12 }; /* fixed(8) and fixed(4) */

static void write_counters(struct state_writer *writer, const struct runs *runs)
{
    state_write_count(writer, runs->used_count);
    unsigned char *used = state_writer_extend(writer, USED_KEY_SIZE * (size_t)runs->used_count);
    for (uint32_t i = 0; i < runs->used_count; i++, used += USED_KEY_SIZE) { /* the longest list: as one piece */
        uint64_t key = htole64(runs->used[i].key);
        uint32_t fact = htole32(runs->used[i].fact);
        memcpy(used, &key, sizeof key);
        memcpy(used + sizeof key, &fact, sizeof fact);
    }
    state_write_array_end(writer, runs->used_count);
    state_write_count(writer, runs->days_count);
    for (uint32_t i = 0; i < runs->days_count; i++) {
        state_write_long(writer, runs->days[i].day);
        state_write_long(writer, runs->days[i].count);
    }
    state_write_array_end(writer, runs->days_count);
    state_write_count(writer, runs->last_sent_count);
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        write_rule(writer, runs->last_sent[i].rule);
        state_write_time(writer, runs->last_sent[i].at);
    }
    state_write_array_end(writer, runs->last_sent_count);
    state_write_count(writer, runs->arrivals_count);
    for (uint32_t i = 0; i < runs->arrivals_count; i++) {
        write_rule(writer, runs->arrivals[i].record);
        state_write_time(writer, runs->arrivals[i].at);
    }
    state_write_array_end(writer, runs->arrivals_count);
}

void runs_encode(const struct runs *runs, struct state_writer *writer)
{
    struct texts texts = {.arena = writer->arena};
    texts_collect(&texts, runs);
    state_write_fixed64(writer, runs->playbook);
    state_write_long(writer, runs->consent);
    write_optional(writer, runs->next_change_at);
    state_write_count(writer, texts.items_count - 1);
    for (uint32_t i = 1; i < texts.items_count; i++)
        state_write_text(writer, texts.items[i]);
    state_write_array_end(writer, texts.items_count - 1);
    state_write_count(writer, runs->waiting_count);
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        write_run(writer, &texts, &runs->waiting[i]);
    state_write_array_end(writer, runs->waiting_count);
    state_write_count(writer, runs->sent_count);
    for (uint32_t i = 0; i < runs->sent_count; i++)
        write_sent(writer, &texts, &runs->sent[i]);
    state_write_array_end(writer, runs->sent_count);
    state_write_count(writer, runs->tracks_count);
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        write_track(writer, &texts, &runs->tracks[i]);
    state_write_array_end(writer, runs->tracks_count);
    write_counters(writer, runs);
}

/* ---- reading ---- */

static uint32_t read_rule(struct state_reader *reader)
{
    unsigned char bytes[4] = {0};
    state_read_fixed(reader, bytes, sizeof bytes);
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int64_t read_optional(struct state_reader *reader)
{
    return state_read_range(reader, 0, 1) ? state_read_long(reader) : NEVER;
}

static struct span read_text(struct state_reader *reader, const struct texts *texts)
{
    return texts->items[state_read_range(reader, 0, texts->items_count - 1)];
}

static struct run read_run(struct state_reader *reader, const struct texts *texts)
{
    struct run run = {0};
    run.rule = read_text(reader, texts);
    run.rule_index = (int)state_read_range(reader, -1, INT32_MAX);
    run.key = read_text(reader, texts);
    run.order_id = read_text(reader, texts);
    run.n = (int32_t)state_read_range(reader, 1, INT32_MAX);
    run.state = (enum run_state)state_read_range(reader, 0, RUN_STATE_COUNT - 1);
    run.anchor_at = state_read_time(reader);
    run.due_at = state_read_time(reader);
    run.decide_at = state_read_time(reader);
    run.backfill_until = read_optional(reader);
    run.has_response = state_read_range(reader, 0, 1) != 0;
    if (run.has_response) {
        run.survey = state_read_fixed64(reader);
        run.response = state_read_fixed64(reader);
    }
    return run;
}

static struct sent read_sent(struct state_reader *reader, const struct texts *texts)
{
    struct sent sent = {0};
    sent.rule = read_text(reader, texts);
    sent.key = read_text(reader, texts);
    sent.order_id = read_text(reader, texts);
    sent.variant = read_text(reader, texts);
    sent.n = (int32_t)state_read_range(reader, 1, INT32_MAX);
    int64_t marks = state_read_range(reader, 0, MARKS_END - 1);
    int64_t class = marks % MARK_AUDIENCE, audience = marks / MARK_AUDIENCE % 4;
    if (class > CLASS_INTERNAL || audience > AUDIENCE_CONTENT)
        reader->failed = true;
    sent.class = (enum action_class) class;
    sent.audience = (enum audience)audience;
    sent.channel = (enum channel)(marks / MARK_CHANNEL % CHANNEL_COUNT);
    sent.due_at = state_read_time(reader);
    sent.made_at = state_read_time(reader);
    sent.send_after = state_read_range(reader, 0, 1) ? state_read_time(reader) : sent.made_at;
    sent.expires_at = state_read_range(reader, 0, 1) ? state_read_time(reader) : NEVER;
    return sent;
}

static struct track read_track(struct state_reader *reader, const struct texts *texts)
{
    struct track track = {.rule = read_rule(reader)};
    track.rule_index = (int)state_read_range(reader, -1, INT32_MAX);
    track.at = state_read_time(reader);
    track.order_id = read_text(reader, texts);
    track.n = (int32_t)state_read_range(reader, 0, INT32_MAX);
    track.m = (int32_t)state_read_range(reader, 0, INT32_MAX);
    int64_t flags = state_read_range(reader, 0, TRACK_ENDED | TRACK_GONE | TRACK_PAST);
    track.ended = flags & TRACK_ENDED;
    track.gone = flags & TRACK_GONE;
    track.past = flags & TRACK_PAST;
    return track;
}

/* Room for the array that comes next and a few more items, so that a step seldom moves it. */
#define READ_ARRAY(owner, name, arena, reader, item_size_min)                                                          \
    do {                                                                                                               \
        (owner)->name##_count = state_read_count((reader), (item_size_min));                                           \
        (owner)->name##_capacity = (owner)->name##_count + 4;                                                          \
        (owner)->name = arena_take((arena), sizeof *(owner)->name * (owner)->name##_capacity);                         \
    } while (0)

static void read_counters(struct runs *runs, struct arena *arena, struct state_reader *reader)
{
    READ_ARRAY(runs, used, arena, reader, USED_KEY_SIZE); /* so many bytes are there */
    for (uint32_t i = 0; i < runs->used_count; i++, reader->at += USED_KEY_SIZE) {
        struct used_key *used = &runs->used[i];
        memcpy(&used->key, reader->at, sizeof used->key);
        memcpy(&used->fact, reader->at + sizeof used->key, sizeof used->fact);
        used->key = le64toh(used->key);
        used->fact = le32toh(used->fact);
        if (i > 0 && used[-1].key >= used->key)
            reader->failed = true; /* the search relies on the order */
    }
    state_read_array_end(reader, runs->used_count);
    READ_ARRAY(runs, days, arena, reader, 2);
    for (uint32_t i = 0; i < runs->days_count; i++) {
        runs->days[i].day = state_read_range(reader, -TIMESTAMP_MAX, TIMESTAMP_MAX);
        runs->days[i].count = state_read_range(reader, 0, INT32_MAX);
    }
    state_read_array_end(reader, runs->days_count);
    READ_ARRAY(runs, last_sent, arena, reader, 5);
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        uint32_t rule = read_rule(reader);
        runs->last_sent[i] = (struct last_sent){rule, state_read_time(reader)};
    }
    state_read_array_end(reader, runs->last_sent_count);
    READ_ARRAY(runs, arrivals, arena, reader, 5);
    for (uint32_t i = 0; i < runs->arrivals_count; i++) {
        uint32_t record = read_rule(reader);
        runs->arrivals[i] = (struct arrival){record, state_read_time(reader)};
    }
    if (runs->arrivals_count > RUNS_ARRIVALS_MAX)
        reader->failed = true;
    state_read_array_end(reader, runs->arrivals_count);
}

static struct texts read_texts(struct arena *arena, struct state_reader *reader)
{
    struct texts texts = {.arena = arena};
    uint32_t count = state_read_count(reader, 1);
    texts.items_count = count + 1;
    texts.items = ARENA_ARRAY(arena, struct span, texts.items_count);
    for (uint32_t i = 1; i <= count; i++)
        texts.items[i] = state_read_text(reader);
    state_read_array_end(reader, count);
    return texts;
}

bool runs_decode(struct runs *runs, struct arena *arena, struct state_reader *reader)
{
    runs_init(runs);
    runs->playbook = state_read_fixed64(reader);
    runs->consent = state_read_range(reader, 0, 1) != 0;
    runs->next_change_at = read_optional(reader);
    struct texts texts = read_texts(arena, reader);
    READ_ARRAY(runs, waiting, arena, reader, 11);
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        runs->waiting[i] = read_run(reader, &texts);
    state_read_array_end(reader, runs->waiting_count);
    READ_ARRAY(runs, sent, arena, reader, 10);
    for (uint32_t i = 0; i < runs->sent_count; i++)
        runs->sent[i] = read_sent(reader, &texts);
    state_read_array_end(reader, runs->sent_count);
    READ_ARRAY(runs, tracks, arena, reader, 10);
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        runs->tracks[i] = read_track(reader, &texts);
    state_read_array_end(reader, runs->tracks_count);
    read_counters(runs, arena, reader);
    return !reader->failed;
}
