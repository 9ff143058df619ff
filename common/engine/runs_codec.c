/* The runs' part of the blob. Names, keys and order ids repeat a lot (twenty rules wait on one delivery), so nothing
 * stands twice: a rule is its place in a table in front, an order its place among the facts' orders, any other text its
 * place in a table of texts, a trace's context its place in a table of those. What was read from a blob shares its
 * bytes, so most texts are found again by where they lie, without a comparison.
 *
 * A rule that the playbook shipped with 0.1.0 has is a number that never changes (known_rule.h), and in no table. Of
 * the others, one that a record may still have to name (it waits, or its send is open) stands in the table by its name;
 * the rest by the hash of it. Beside either stands its place in the playbook of the step, so that the same playbook
 * finds it at once. */
#include "common/base/check.h"
#include "common/base/trace_context.h"
#include "common/engine/runs.h"

#include <endian.h>
#include <stdlib.h>

/* ---- the tables ---- */

/* A key as two numbers: what stands before its rest, and the rest as a text. Mostly the rest is the order's id. */
struct key_written {
    int64_t prefix, rest, order;
};

struct tables {
    struct arena *arena;
    const struct facts *facts;
    const struct playbook *playbook;
    uint32_t *places;         /* by the rule's place in the playbook: one more than its place in rules; 0 = not there */
    struct known_rule *rules; /* not the known ones; the named ones first. name "" = only the hash is known */
    uint32_t rules_count, rules_capacity, named_count;
    struct span *texts;
    uint32_t texts_count, texts_capacity;
    struct span *traces;
    uint32_t traces_count, traces_capacity;
    uint32_t last_order; /* where the last search ended */
    struct span last_key, last_order_id;
    struct key_written last_written; /* of these; of no texts at first, as both are */
};

enum { RULES_FIRST = 48 };

static struct known_rule *rules_push(struct tables *tables)
{
    if (tables->rules_count == tables->rules_capacity) {
        struct known_rule *old = tables->rules;
        tables->rules_capacity = old ? 2 * tables->rules_capacity : RULES_FIRST;
        tables->rules = arena_take_raw(tables->arena, tables->rules_capacity * sizeof *old);
        if (old)
            memcpy(tables->rules, old, tables->rules_count * sizeof *old);
    }
    return &tables->rules[tables->rules_count++];
}

static bool same_bytes(struct span a, struct span b)
{
    return a.data == b.data && a.size == b.size;
}

static uint32_t rules_add(struct tables *tables, struct span name, uint32_t hash, int index)
{
    *rules_push(tables) = (struct known_rule){name, hash, index};
    if (index >= 0)
        tables->places[index] = tables->rules_count;
    return tables->rules_count - 1;
}

/* A rule as the schema has it: from 0 on a known one, from -1 downward one of the table. */
static int64_t rule_reference(uint32_t place)
{
    return -1 - (int64_t)place;
}

/* Of a rule that is needed by name; all of these are asked for before any other. */
static int64_t named_reference(struct tables *tables, struct span name, int index)
{
    int known = index >= 0 ? tables->playbook->rules[index].known : known_rule_find(name);
    if (known >= 0)
        return known;
    if (index >= 0 && tables->places[index] != 0)
        return rule_reference(tables->places[index] - 1);
    for (uint32_t i = 0; index < 0 && i < tables->rules_count; i++) {
        if (span_equal(tables->rules[i].name, name))
            return rule_reference(i);
    }
    uint32_t hash = index < 0 ? runs_rule_hash(name) : tables->playbook->rules[index].name_hash;
    tables->named_count = tables->rules_count + 1;
    return rule_reference(rules_add(tables, name, hash, index));
}

/* The playbook has not the rule. */
static int known_by_hash(const struct playbook *playbook, uint32_t hash)
{
    for (int i = 0; i < KNOWN_RULES; i++) {
        if (playbook->known_rules[i].hash == hash)
            return i;
    }
    return -1;
}

static int64_t hashed_reference_apart(struct tables *tables, uint32_t hash, int index)
{
    int known = index >= 0 ? -1 : known_by_hash(tables->playbook, hash);
    if (known >= 0)
        return known;
    if (index >= 0 && tables->places[index] != 0)
        return rule_reference(tables->places[index] - 1);
    for (uint32_t i = 0; index < 0 && i < tables->rules_count; i++) {
        if (tables->rules[i].hash == hash)
            return rule_reference(i);
    }
    return rule_reference(rules_add(tables, SPAN_NONE, hash, index));
}

/* Most are known. */
static inline int64_t hashed_reference(struct tables *tables, uint32_t hash, int index)
{
    int known = index >= 0 ? tables->playbook->rules[index].known : -1;
    return known >= 0 ? known : hashed_reference_apart(tables, hash, index);
}

static uint32_t order_place_apart(struct tables *tables, struct span id)
{
    const struct facts *facts = tables->facts;
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        if (same_bytes(facts->orders[i].id, id))
            return tables->last_order = i;
    }
    return facts_find_order(facts, id);
}

/* FACT_NONE = no order of that id is among the facts. */
static inline uint32_t order_place(struct tables *tables, struct span id)
{
    const struct facts *facts = tables->facts;
    if (tables->last_order < facts->orders_count && same_bytes(facts->orders[tables->last_order].id, id))
        return tables->last_order;
    return order_place_apart(tables, id);
}

static uint32_t trace_place(struct tables *tables, struct span trace)
{
    for (uint32_t i = 0; i < tables->traces_count; i++) {
        if (span_equal(tables->traces[i], trace))
            return i;
    }
    tables->traces = facts_grow(tables->arena, tables->traces, tables->traces_count, &tables->traces_capacity,
                                sizeof *tables->traces);
    tables->traces[tables->traces_count] = trace;
    return tables->traces_count++;
}

static int64_t text_place(struct tables *tables, struct span text)
{
    for (uint32_t i = 0; i < tables->texts_count; i++) {
        if (span_equal(tables->texts[i], text))
            return i;
    }
    tables->texts =
        facts_grow(tables->arena, tables->texts, tables->texts_count, &tables->texts_capacity, sizeof *tables->texts);
    tables->texts[tables->texts_count] = text;
    return tables->texts_count++;
}

/* A text as the schema has it: 0 = "", from 1 on an order's id, from -1 downward one of the table. */
static int64_t text_reference(struct tables *tables, struct span text)
{
    if (span_empty(text))
        return 0;
    uint32_t order = order_place(tables, text);
    return order != FACT_NONE ? (int64_t)order + 1 : -1 - text_place(tables, text);
}

/* ---- keys: what stands before the ':' ---- */

static const struct span key_prefixes[] = {
    {"", 0}, /* the whole key is the text */
    {"cycle:", 6}, {"order:", 6}, {"delivery:", 9}, {"response:", 9}, {"concern:", 8}, {"referral:", 9}, {"date:", 5},
};

static size_t key_prefix(struct span key)
{
    for (size_t i = 1; i < COUNT_OF(key_prefixes); i++) {
        if (key.size >= key_prefixes[i].size && key.data[0] == key_prefixes[i].data[0] &&
            memcmp(key.data, key_prefixes[i].data, key_prefixes[i].size) == 0)
            return i;
    }
    return 0;
}

static struct span key_rest(struct span key, size_t prefix)
{
    if (prefix == 0) /* an empty key may have no data to add to */
        return key;
    return (struct span){key.data + key_prefixes[prefix].size, key.size - key_prefixes[prefix].size};
}

/* ---- writing ---- */

/* union { null, long }: a time that may be NEVER. Not relative: INT64_MAX (R7: "any") is one of them. */
static void write_optional(struct state_writer *writer, int64_t time)
{
    state_write_long(writer, time != NEVER);
    if (time != NEVER)
        state_write_long(writer, time);
}

static void write_optional_time(struct state_writer *writer, int64_t time)
{
    state_write_long(writer, time != NEVER);
    if (time != NEVER)
        state_write_time(writer, time);
}

static struct key_written key_of_other_texts(struct tables *tables, struct span key, struct span order_id)
{
    size_t prefix = key_prefix(key);
    struct span rest = key_rest(key, prefix);
    int64_t order = text_reference(tables, order_id);
    return (struct key_written){(int64_t)prefix, span_equal(rest, order_id) ? order : text_reference(tables, rest),
                                order};
}

/* Runs of one anchor stand together and share their texts. */
static struct key_written key_of_texts(struct tables *tables, struct span key, struct span order_id)
{
    if (!same_bytes(tables->last_key, key) || !same_bytes(tables->last_order_id, order_id)) {
        tables->last_written = key_of_other_texts(tables, key, order_id);
        tables->last_key = key;
        tables->last_order_id = order_id;
    }
    return tables->last_written;
}

/* What most runs have not stands beside them. */
static bool run_states_more(const struct run *run, const struct key_written *key)
{
    return run->decide_at != run->due_at || key->rest != key->order || run->backfill_until != NEVER ||
           run->has_response;
}

/* Several small numbers in one: in run's marks the slot above the key's prefix above the state; in sent's the slot, the
 * prefix, channel, audience, class. So that each is one byte or two. */
enum {
    KEY_PREFIXES = 8,
    RUN_MARKS = RUN_STATE_COUNT * KEY_PREFIXES,
    SENT_CLASSES = CLASS_INTERNAL + 1,
    SENT_AUDIENCES = AUDIENCE_CONTENT + 1,
    SENT_MARKS = SENT_CLASSES * SENT_AUDIENCES * CHANNEL_COUNT * KEY_PREFIXES
};
_Static_assert(COUNT_OF(key_prefixes) == KEY_PREFIXES, "as the schema counts them");

/* Returns whether there is more to say of it. */
static bool write_run(struct state_writer *writer, struct tables *tables, const struct run *run)
{
    const struct key_written key = key_of_texts(tables, run->key, run->order_id);
    state_write_long(writer, named_reference(tables, run->rule, run->rule_index));
    state_write_long(writer, run->state + RUN_STATE_COUNT * key.prefix + RUN_MARKS * (int64_t)(run->n - 1));
    state_write_long(writer, key.rest);
    state_write_time(writer, run->anchor_at);
    state_write_time(writer, run->due_at);
    writer->base = run->anchor_at; /* which the next run often shares */
    return run_states_more(run, &key);
}

static void write_run_more(struct state_writer *writer, struct tables *tables, const struct run *run)
{
    state_write_long(writer, text_reference(tables, run->order_id));
    writer->base = run->due_at;
    state_write_time(writer, run->decide_at);
    write_optional(writer, run->backfill_until);
    state_write_long(writer, run->has_response);
    if (run->has_response) {
        state_write_fixed64(writer, run->survey);
        state_write_fixed64(writer, run->response);
    }
}

static void write_waiting(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    uint32_t *more = arena_take_raw(tables->arena, runs->waiting_count * sizeof *more), more_count = 0;
    state_write_count(writer, runs->waiting_count);
    for (uint32_t i = 0; i < runs->waiting_count; i++) {
        if (write_run(writer, tables, &runs->waiting[i]))
            more[more_count++] = i;
    }
    state_write_array_end(writer, runs->waiting_count);
    state_write_count(writer, more_count);
    for (uint32_t i = 0; i < more_count; i++) {
        state_write_long(writer, more[i]);
        write_run_more(writer, tables, &runs->waiting[more[i]]);
    }
    state_write_array_end(writer, more_count);
}

/* What most sends have not stands beside them. Returns whether there is such. */
static bool write_sent(struct state_writer *writer, struct tables *tables, const struct sent *sent)
{
    const struct key_written key = key_of_texts(tables, sent->key, sent->order_id);
    int64_t marks = (int64_t)(sent->n - 1) * KEY_PREFIXES + key.prefix;
    marks = marks * CHANNEL_COUNT + (int64_t)sent->channel;
    marks = marks * SENT_AUDIENCES + (int64_t)sent->audience;
    marks = marks * SENT_CLASSES + (int64_t)sent->class;
    state_write_long(writer, named_reference(tables, sent->rule, sent->rule_index));
    state_write_long(writer, marks);
    state_write_long(writer, key.rest);
    state_write_time(writer, sent->due_at);
    state_write_time(writer, sent->made_at);
    write_optional_time(writer, sent->expires_at);
    return key.rest != key.order || !span_empty(sent->variant) || sent->send_after != sent->made_at;
}

static void write_sent_more(struct state_writer *writer, struct tables *tables, const struct sent *sent)
{
    state_write_long(writer, text_reference(tables, sent->order_id));
    state_write_long(writer, text_reference(tables, sent->variant));
    writer->base = sent->made_at;
    state_write_time(writer, sent->send_after);
}

static void write_sents(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    uint32_t *more = arena_take_raw(tables->arena, runs->sent_count * sizeof *more), more_count = 0;
    state_write_count(writer, runs->sent_count);
    for (uint32_t i = 0; i < runs->sent_count; i++) {
        if (write_sent(writer, tables, &runs->sent[i]))
            more[more_count++] = i;
    }
    state_write_array_end(writer, runs->sent_count);
    state_write_count(writer, more_count);
    for (uint32_t i = 0; i < more_count; i++) {
        state_write_long(writer, more[i]);
        write_sent_more(writer, tables, &runs->sent[more[i]]);
    }
    state_write_array_end(writer, more_count);
}

enum { TRACK_ENDED = 1, TRACK_GONE = 2, TRACK_PAST = 4, TRACK_N = 8 };

static int64_t track_marks(const struct track *track)
{
    return (track->ended ? TRACK_ENDED : 0) | (track->gone ? TRACK_GONE : 0) | (track->past ? TRACK_PAST : 0) |
           (int64_t)TRACK_N * track->n;
}

/* 0: nothing but the rule differs, as in ten tracks of one delivery. */
static inline int compare_anchors(const struct track *a, const struct track *b)
{
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    int64_t a_marks = track_marks(a), b_marks = track_marks(b);
    if (a_marks != b_marks)
        return a_marks < b_marks ? -1 : 1;
    if (a->m != b->m)
        return a->m < b->m ? -1 : 1;
    return same_bytes(a->order_id, b->order_id) ? 0 : span_compare(a->order_id, b->order_id);
}

static bool stands_before(const struct track *a, const struct track *b)
{
    int order = compare_anchors(a, b);
    return order < 0 || (order == 0 && a->rule < b->rule);
}

/* Among those before it, which are in order. */
static void track_insert(const struct track **tracks, uint32_t at)
{
    const struct track *track = tracks[at];
    uint32_t from = 0, to = at;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (stands_before(track, tracks[middle]))
            to = middle;
        else
            from = middle + 1;
    }
    memmove(&tracks[to + 1], &tracks[to], (at - to) * sizeof *tracks);
    tracks[to] = track;
}

/* They come from a blob in order: out of it is what the visit changed. */
static const struct track **tracks_in_order(const struct runs *runs, struct arena *arena)
{
    const struct track **tracks = arena_take_raw(arena, runs->tracks_count * sizeof *tracks);
    for (uint32_t i = 0; i < runs->tracks_count; i++) {
        tracks[i] = &runs->tracks[i];
        if (i > 0 && stands_before(tracks[i], tracks[i - 1]))
            track_insert(tracks, i);
    }
    return tracks;
}

/* Of the tracks that begin here: how many are alike. */
static uint32_t tracks_alike(const struct track *const *tracks, uint32_t count)
{
    uint32_t alike = 1;
    while (alike < count && compare_anchors(tracks[0], tracks[alike]) == 0)
        alike++;
    return alike;
}

static void write_track_group(struct state_writer *writer, struct tables *tables, const struct track *const *tracks,
                              uint32_t count)
{
    state_write_time(writer, tracks[0]->at);
    state_write_long(writer, text_reference(tables, tracks[0]->order_id));
    state_write_long(writer, track_marks(tracks[0]));
    state_write_long(writer, tracks[0]->m);
    state_write_count(writer, count);
    for (uint32_t i = 0; i < count; i++)
        state_write_long(writer, hashed_reference(tables, tracks[i]->rule, tracks[i]->rule_index));
    state_write_array_end(writer, count);
}

/* In an order of their own, whatever order they lie in: a state that stayed open need not keep them as a blob would. */
static void write_tracks(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    const struct track **tracks = tracks_in_order(runs, tables->arena);
    uint32_t *alike = arena_take_raw(tables->arena, runs->tracks_count * sizeof *alike), groups = 0;
    for (uint32_t i = 0; i < runs->tracks_count; i += alike[groups++])
        alike[groups] = tracks_alike(&tracks[i], runs->tracks_count - i);
    state_write_count(writer, groups);
    for (uint32_t g = 0; g < groups; tracks += alike[g++])
        write_track_group(writer, tables, tracks, alike[g]);
    state_write_array_end(writer, groups);
}

/* ---- published keys: 0 = `ever`; above it keys cycle: and order: by their order's place; below it the others ---- */

enum { RARE_RESPONSE, RARE_CONCERN, RARE_DATE, RARE_TO, RARE_KINDS };

static int64_t rare_key(int64_t subject, int kind)
{
    return -1 - (subject * RARE_KINDS + kind);
}

/* The place of the order or answer that it names: 0 where it names none, FACT_NONE where that has left the facts and
 * the key is of no use any more (R11). */
static uint32_t published_place(struct tables *tables, const struct published *published)
{
    if (published->kind == KEY_RESPONSE)
        return facts_find_response(tables->facts, published->answer.survey, published->answer.response);
    return published_names_order(published) ? order_place(tables, published->order_id) : 0;
}

static int64_t published_key(const struct published *published, uint32_t place)
{
    switch (published->kind) {
    case KEY_EVER:
        return 0;
    case KEY_CYCLE:
    case KEY_ORDER:
        return 1 + 2 * (int64_t)place + (published->kind == KEY_ORDER);
    case KEY_TO:
        return rare_key((int64_t)place * CLASS_NUMBERS + published->number, RARE_TO);
    case KEY_RESPONSE:
        return rare_key(place, RARE_RESPONSE);
    case KEY_CONCERN:
        return rare_key(published->number, RARE_CONCERN);
    case KEY_DATE:
        return rare_key(published->number, RARE_DATE);
    default:
        CHECK(!"a key that is kept as it is");
        return 0;
    }
}

/* Most are of slot 1; the numbers of the others stand apart. */
static void write_published(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    uint32_t *places = arena_take_raw(tables->arena, runs->published_count * sizeof *places);
    int32_t *later = arena_take_raw(tables->arena, runs->published_count * sizeof *later);
    uint32_t count = 0, later_count = 0;
    for (uint32_t i = 0; i < runs->published_count; i++) {
        places[i] = published_place(tables, &runs->published[i]);
        count += places[i] != FACT_NONE;
    }
    state_write_count(writer, count);
    for (uint32_t i = 0; i < runs->published_count; i++) {
        const struct published *published = &runs->published[i];
        if (places[i] == FACT_NONE)
            continue;
        int64_t rule = hashed_reference(tables, published->rule, published->rule_index);
        state_write_long(writer, 2 * rule + (published->n != 1));
        if (published->n != 1)
            later[later_count++] = published->n;
        state_write_long(writer, published_key(published, places[i]));
    }
    state_write_array_end(writer, count);
    state_write_count(writer, later_count);
    for (uint32_t i = 0; i < later_count; i++)
        state_write_long(writer, later[i]);
    state_write_array_end(writer, later_count);
}

enum { USED_KEY_SIZE = 12 }; /* fixed(8) and fixed(4) */

static void write_used(struct state_writer *writer, const struct runs *runs)
{
    state_write_count(writer, runs->used_count);
    unsigned char *used = state_writer_extend(writer, USED_KEY_SIZE * (size_t)runs->used_count);
    for (uint32_t i = 0; i < runs->used_count; i++, used += USED_KEY_SIZE) {
        uint64_t key = htole64(runs->used[i].key);
        uint32_t fact = htole32(runs->used[i].fact);
        memcpy(used, &key, sizeof key);
        memcpy(used + sizeof key, &fact, sizeof fact);
    }
    state_write_array_end(writer, runs->used_count);
}

static void write_counters(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    write_published(writer, tables, runs);
    write_used(writer, runs);
    state_write_count(writer, runs->days_count);
    for (uint32_t i = 0; i < runs->days_count; i++) {
        state_write_long(writer, runs->days[i].day);
        state_write_long(writer, runs->days[i].count);
    }
    state_write_array_end(writer, runs->days_count);
    state_write_count(writer, runs->last_sent_count);
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        state_write_long(writer, hashed_reference(tables, runs->last_sent[i].rule, runs->last_sent[i].rule_index));
        state_write_time(writer, runs->last_sent[i].at);
    }
    state_write_array_end(writer, runs->last_sent_count);
    state_write_count(writer, runs->arrivals_count);
    for (uint32_t i = 0; i < runs->arrivals_count; i++) {
        state_write_fixed32(writer, runs->arrivals[i].record);
        state_write_time(writer, runs->arrivals[i].at);
    }
    state_write_array_end(writer, runs->arrivals_count);
}

/* Few have any. The contexts, and who has which: waiting runs by their place, then sends by theirs. */
static void write_traces(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    uint32_t count = runs->waiting_count + runs->sent_count, traced = 0;
    uint32_t *places = arena_take_raw(tables->arena, 2 * (size_t)count * sizeof *places);
    for (uint32_t i = 0; i < count; i++) {
        struct span trace =
            i < runs->waiting_count ? runs->waiting[i].trace : runs->sent[i - runs->waiting_count].trace;
        if (span_empty(trace))
            continue;
        places[2 * traced] = i;
        places[2 * traced++ + 1] = trace_place(tables, trace);
    }
    state_write_long(writer, traced > 0);
    if (traced == 0)
        return;
    state_write_count(writer, tables->traces_count);
    for (uint32_t i = 0; i < tables->traces_count; i++)
        state_write_fixed(writer, tables->traces[i].data, TRACE_KEPT_SIZE);
    state_write_array_end(writer, tables->traces_count);
    state_write_count(writer, traced);
    for (uint32_t i = 0; i < 2 * traced; i++)
        state_write_long(writer, places[i]);
    state_write_array_end(writer, traced);
}

static void write_items(struct state_writer *writer, struct tables *tables, const struct runs *runs)
{
    write_waiting(writer, tables, runs);
    write_sents(writer, tables, runs);
    write_tracks(writer, tables, runs);
    write_counters(writer, tables, runs);
    write_traces(writer, tables, runs);
}

static void write_tables(struct state_writer *writer, const struct tables *tables)
{
    uint32_t named = tables->named_count, hashed = tables->rules_count - named;
    state_write_count(writer, named);
    for (uint32_t i = 0; i < named; i++) {
        state_write_text(writer, tables->rules[i].name);
        state_write_long(writer, tables->rules[i].index);
    }
    state_write_array_end(writer, named);
    state_write_count(writer, hashed);
    for (uint32_t i = named; i < tables->rules_count; i++) {
        state_write_fixed32(writer, tables->rules[i].hash);
        state_write_long(writer, tables->rules[i].index);
    }
    state_write_array_end(writer, hashed);
    state_write_count(writer, tables->texts_count);
    for (uint32_t i = 0; i < tables->texts_count; i++)
        state_write_text(writer, tables->texts[i]);
    state_write_array_end(writer, tables->texts_count);
}

void runs_encode(const struct runs *runs, const struct playbook *playbook, const struct facts *facts,
                 struct state_writer *writer)
{
    struct tables tables = {.arena = writer->arena, .facts = facts, .playbook = playbook};
    tables.places = ARENA_ARRAY(writer->arena, uint32_t, playbook->rule_count);
    state_write_fixed64(writer, runs->playbook);
    state_write_long(writer, runs->consent);
    write_optional_time(writer, runs->next_change_at);
    struct state_writer items; /* written apart, because the tables in front are known only when they are */
    state_writer_init(&items, writer->arena, 0);
    items.base = writer->base;
    write_items(&items, &tables, runs);
    write_tables(writer, &tables);
    state_write_fixed(writer, items.data, items.size);
}

/* ---- reading ---- */

static int64_t read_optional(struct state_reader *reader)
{
    return state_read_range(reader, 0, 1) ? state_read_long(reader) : NEVER;
}

static int64_t read_optional_time(struct state_reader *reader)
{
    return state_read_range(reader, 0, 1) ? state_read_time(reader) : NEVER;
}

static bool before_3(const struct state_reader *reader)
{
    return reader->version < 3;
}

/* A reference, of the first count rules of the table or a known one; before version 3: one of the table. */
static const struct known_rule *rule_at(const struct state_reader *reader, const struct tables *tables,
                                        int64_t reference)
{
    if (before_3(reader))
        return &tables->rules[reference];
    return reference < 0 ? &tables->rules[-1 - reference] : &tables->playbook->known_rules[reference];
}

static const struct known_rule *read_rule(struct state_reader *reader, const struct tables *tables, uint32_t count)
{
    static const struct known_rule none = {.index = -1};
    if (!before_3(reader))
        return rule_at(reader, tables, state_read_range(reader, -(int64_t)count, KNOWN_RULES - 1));
    if (count > 0)
        return rule_at(reader, tables, state_read_range(reader, 0, count - 1));
    reader->failed = true;
    return &none;
}

static struct span read_reference(struct state_reader *reader, const struct tables *tables)
{
    int64_t reference = state_read_range(reader, -(int64_t)tables->texts_count, tables->facts->orders_count);
    if (reference > 0)
        return tables->facts->orders[reference - 1].id;
    return reference < 0 ? tables->texts[-1 - reference] : SPAN_NONE;
}

struct key_read { /* the one before: many runs in a row share it */
    int64_t prefix;
    const char *rest;
    struct span key;
};

static struct span key_of(struct arena *arena, int64_t prefix, struct span rest, struct key_read *before)
{
    if (prefix == 0)
        return rest;
    if (before->prefix == prefix && before->rest == rest.data)
        return before->key;
    struct span start = key_prefixes[prefix];
    char *key = arena_take_raw(arena, start.size + rest.size + 1);
    memcpy(key, start.data, start.size);
    if (rest.size > 0)
        memcpy(key + start.size, rest.data, rest.size);
    key[start.size + rest.size] = '\0';
    *before = (struct key_read){prefix, rest.data, {key, start.size + rest.size}};
    return before->key;
}

static int64_t read_marks(struct state_reader *reader, int64_t marks_end)
{
    return state_read_range(reader, 0, marks_end * (int64_t)COUNT_OF(key_prefixes) - 1);
}

static void read_answer(struct state_reader *reader, struct run *run)
{
    run->has_response = state_read_range(reader, 0, 1) != 0;
    if (run->has_response) {
        run->survey = state_read_fixed64(reader);
        run->response = state_read_fixed64(reader);
    }
}

static void read_run(struct state_reader *reader, const struct tables *tables, struct key_read *before, struct run *run)
{
    const struct known_rule *rule = read_rule(reader, tables, tables->named_count);
    bool slot_apart = before_3(reader);
    int64_t marks = state_read_range(reader, 0, slot_apart ? RUN_MARKS - 1 : (int64_t)RUN_MARKS * SLOT_MAX - 1);
    *run = (struct run){.rule = rule->name, .rule_index = rule->index, .backfill_until = NEVER};
    run->state = (enum run_state)(marks % RUN_STATE_COUNT);
    run->order_id = read_reference(reader, tables);
    run->key = key_of(tables->arena, marks / RUN_STATE_COUNT % KEY_PREFIXES, run->order_id, before);
    run->n = (int32_t)(slot_apart ? state_read_range(reader, 1, SLOT_MAX) : marks / RUN_MARKS + 1);
    run->anchor_at = state_read_time(reader);
    run->due_at = run->decide_at = state_read_time(reader);
    reader->base = run->anchor_at;
}

static void read_runs(struct runs *runs, const struct tables *tables, struct key_read *before,
                      struct state_reader *reader)
{
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        read_run(reader, tables, before, &runs->waiting[i]);
    state_read_array_end(reader, runs->waiting_count);
    uint32_t count = state_read_count(reader, 5);
    for (uint32_t i = 0; i < count; i++) {
        int64_t index = state_read_range(reader, 0, runs->waiting_count);
        if (index == runs->waiting_count)
            state_read_fail(reader);
        if (reader->failed)
            return;
        struct run *run = &runs->waiting[index];
        run->order_id = read_reference(reader, tables);
        reader->base = run->due_at;
        run->decide_at = state_read_time(reader);
        run->backfill_until = read_optional(reader);
        read_answer(reader, run);
    }
    state_read_array_end(reader, count);
}

static void read_run_1(struct state_reader *reader, const struct tables *tables, struct key_read *before,
                       struct run *run)
{
    const struct known_rule *rule = read_rule(reader, tables, tables->named_count);
    int64_t marks = read_marks(reader, RUN_STATE_COUNT);
    *run = (struct run){.rule = rule->name, .rule_index = rule->index};
    run->state = (enum run_state)(marks % RUN_STATE_COUNT);
    struct span rest = read_reference(reader, tables);
    run->order_id = read_reference(reader, tables);
    run->key = key_of(tables->arena, marks / RUN_STATE_COUNT, rest, before);
    run->n = (int32_t)state_read_range(reader, 1, SLOT_MAX);
    run->anchor_at = state_read_time(reader);
    run->due_at = state_read_time(reader);
    run->decide_at = state_read_time(reader);
    run->backfill_until = read_optional(reader);
    read_answer(reader, run);
}

static void read_runs_1(struct runs *runs, const struct tables *tables, struct key_read *before,
                        struct state_reader *reader)
{
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        read_run_1(reader, tables, before, &runs->waiting[i]);
    state_read_array_end(reader, runs->waiting_count);
}

static void sent_marks(struct sent *sent, int64_t marks)
{
    sent->class = (enum action_class)(marks % SENT_CLASSES);
    marks /= SENT_CLASSES;
    sent->audience = (enum audience)(marks % SENT_AUDIENCES);
    sent->channel = (enum channel)(marks / SENT_AUDIENCES % CHANNEL_COUNT);
}

static void read_sent(struct state_reader *reader, const struct tables *tables, struct key_read *before,
                      struct sent *sent)
{
    const struct known_rule *rule = read_rule(reader, tables, tables->named_count);
    int64_t marks = state_read_range(reader, 0, (int64_t)SENT_MARKS * SLOT_MAX - 1);
    *sent = (struct sent){.rule = rule->name, .rule_index = rule->index};
    sent_marks(sent, marks);
    sent->n = (int32_t)(marks / SENT_MARKS) + 1;
    sent->order_id = read_reference(reader, tables);
    sent->key = key_of(tables->arena, marks % SENT_MARKS / (SENT_MARKS / KEY_PREFIXES), sent->order_id, before);
    sent->due_at = state_read_time(reader);
    sent->made_at = sent->send_after = state_read_time(reader);
    sent->expires_at = read_optional_time(reader);
}

static void read_sents(struct runs *runs, const struct tables *tables, struct key_read *before,
                       struct state_reader *reader)
{
    for (uint32_t i = 0; i < runs->sent_count; i++)
        read_sent(reader, tables, before, &runs->sent[i]);
    state_read_array_end(reader, runs->sent_count);
    uint32_t count = state_read_count(reader, 4);
    for (uint32_t i = 0; i < count; i++) {
        int64_t index = state_read_range(reader, 0, runs->sent_count);
        if (index == runs->sent_count)
            state_read_fail(reader);
        if (reader->failed)
            return;
        struct sent *sent = &runs->sent[index];
        sent->order_id = read_reference(reader, tables);
        sent->variant = read_reference(reader, tables);
        reader->base = sent->made_at;
        sent->send_after = state_read_time(reader);
    }
    state_read_array_end(reader, count);
}

/* Versions 1 and 2: class, audience and channel in two bits each. */
enum { MARK_AUDIENCE = 4, MARK_CHANNEL = 16, MARKS_END = 64 };

static void read_sent_2(struct state_reader *reader, const struct tables *tables, struct key_read *before,
                        struct sent *sent)
{
    const struct known_rule *rule = read_rule(reader, tables, tables->named_count);
    *sent = (struct sent){.rule = rule->name, .rule_index = rule->index};
    int64_t marks = read_marks(reader, MARKS_END), prefix = marks / MARKS_END;
    marks %= MARKS_END;
    struct span rest = read_reference(reader, tables);
    sent->order_id = read_reference(reader, tables);
    sent->key = key_of(tables->arena, prefix, rest, before);
    int64_t class = marks % MARK_AUDIENCE, audience = marks / MARK_AUDIENCE % 4;
    if (class > CLASS_INTERNAL || audience > AUDIENCE_CONTENT)
        reader->failed = true;
    sent->class = (enum action_class) class;
    sent->audience = (enum audience)audience;
    sent->channel = (enum channel)(marks / MARK_CHANNEL % CHANNEL_COUNT);
    sent->variant = read_reference(reader, tables);
    sent->n = (int32_t)state_read_range(reader, 1, SLOT_MAX);
    sent->due_at = state_read_time(reader);
    sent->made_at = state_read_time(reader);
    int64_t send_after = read_optional_time(reader);
    sent->send_after = send_after != NEVER ? send_after : sent->made_at;
    sent->expires_at = read_optional_time(reader);
}

static void read_sents_2(struct runs *runs, const struct tables *tables, struct key_read *before,
                         struct state_reader *reader)
{
    for (uint32_t i = 0; i < runs->sent_count; i++)
        read_sent_2(reader, tables, before, &runs->sent[i]);
    state_read_array_end(reader, runs->sent_count);
}

static void read_track_marks(struct state_reader *reader, struct track *track)
{
    int64_t marks = state_read_range(reader, 0, (int64_t)TRACK_N * SLOT_MAX + TRACK_N - 1);
    track->ended = marks & TRACK_ENDED;
    track->gone = marks & TRACK_GONE;
    track->past = marks & TRACK_PAST;
    track->n = (int32_t)(marks / TRACK_N);
    track->m = (int32_t)state_read_range(reader, 0, SLOT_MAX);
}

static void tracks_reserve(struct runs *runs, struct arena *arena, uint32_t count)
{
    if (runs->tracks_capacity - runs->tracks_count >= count)
        return;
    struct track *old = runs->tracks;
    runs->tracks_capacity = 2 * (runs->tracks_count + count);
    runs->tracks = arena_take_raw(arena, runs->tracks_capacity * sizeof *old);
    if (runs->tracks_count)
        memcpy(runs->tracks, old, runs->tracks_count * sizeof *old);
}

enum { TRACKS_FIRST = 32 }; /* more than most customers have */

static void read_tracks(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    uint32_t groups = state_read_count(reader, 7);
    tracks_reserve(runs, tables->arena, TRACKS_FIRST);
    for (uint32_t g = 0; g < groups && !reader->failed; g++) {
        struct track track;
        track.at = state_read_time(reader);
        track.order_id = read_reference(reader, tables);
        read_track_marks(reader, &track);
        uint32_t count = state_read_count(reader, 1);
        tracks_reserve(runs, tables->arena, count);
        for (uint32_t i = 0; i < count; i++) {
            const struct known_rule *rule = read_rule(reader, tables, tables->rules_count);
            track.rule = rule->hash;
            track.rule_index = rule->index;
            runs->tracks[runs->tracks_count++] = track;
        }
        state_read_array_end(reader, count);
    }
    state_read_array_end(reader, groups);
}

static void read_track_1(struct state_reader *reader, const struct tables *tables, struct track *track)
{
    const struct known_rule *rule = read_rule(reader, tables, tables->rules_count);
    *track = (struct track){.rule = rule->hash, .rule_index = rule->index};
    track->at = state_read_time(reader);
    track->order_id = read_reference(reader, tables);
    read_track_marks(reader, track);
}

/* Room for the array that comes next and a few more items, so that a step seldom moves it. Not zeroed: every item is
 * read whole. */
#define READ_ARRAY(owner, name, arena, reader, item_size_min)                                                          \
    do {                                                                                                               \
        (owner)->name##_count = state_read_count((reader), (item_size_min));                                           \
        (owner)->name##_capacity = (owner)->name##_count + 4;                                                          \
        (owner)->name = arena_take_raw((arena), sizeof *(owner)->name * (owner)->name##_capacity);                     \
    } while (0)

static int64_t read_order(const struct tables *tables, int64_t order, struct published *published)
{
    if (order >= tables->facts->orders_count)
        return -1;
    published->order_id = tables->facts->orders[order].id;
    return order;
}

/* False: none of ours. */
static bool __attribute__((noinline))
rare_key_read(const struct tables *tables, int64_t key, struct published *published)
{
    const struct facts *facts = tables->facts;
    int64_t subject = (-1 - key) / RARE_KINDS;
    published->order_id = SPAN_NONE;
    switch ((-1 - key) % RARE_KINDS) {
    case RARE_RESPONSE:
        published->kind = KEY_RESPONSE;
        if (subject >= facts->responses_count)
            return false;
        published->answer.survey = facts->responses[subject].survey;
        published->answer.response = facts->responses[subject].response;
        return true;
    case RARE_CONCERN:
        published->kind = KEY_CONCERN;
        published->number = (int32_t)subject;
        return subject < CONCERN_COUNT;
    case RARE_DATE:
        published->kind = KEY_DATE;
        published->number = (int32_t)subject;
        return subject <= INT32_MAX;
    default:
        published->kind = KEY_TO;
        published->number = (int32_t)(subject % CLASS_NUMBERS);
        return read_order(tables, subject / CLASS_NUMBERS, published) >= 0;
    }
}

static inline void read_published_key(struct state_reader *reader, const struct tables *tables,
                                      struct published *published)
{
    int64_t most = 2 * (int64_t)tables->facts->orders_count;
    int64_t key = state_read_range(reader, before_3(reader) ? 0 : INT64_MIN, most);
    published->number = 0;
    if (key < 0) {
        if (!rare_key_read(tables, key, published))
            state_read_fail(reader);
        return;
    }
    published->kind = key == 0 ? KEY_EVER : key % 2 ? KEY_CYCLE : KEY_ORDER;
    published->order_id = key == 0 ? SPAN_NONE : tables->facts->orders[(uint64_t)(key - 1) / 2].id;
}

static void read_tracks_1(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    READ_ARRAY(runs, tracks, tables->arena, reader, 5);
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        read_track_1(reader, tables, &runs->tracks[i]);
    state_read_array_end(reader, runs->tracks_count);
}

static void read_published_1(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    READ_ARRAY(runs, published, tables->arena, reader, 3);
    for (uint32_t i = 0; i < runs->published_count; i++) {
        struct published *published = &runs->published[i];
        const struct known_rule *rule = read_rule(reader, tables, tables->rules_count);
        published->rule = rule->hash;
        published->rule_index = rule->index;
        published->n = (int32_t)state_read_range(reader, 1, SLOT_MAX);
        read_published_key(reader, tables, published);
    }
    state_read_array_end(reader, runs->published_count);
}

/* The rule's reference, and whether the slot is 1. Version 3: twice the reference, and 1 where the slot is another;
 * version 2: the complement of the rule's place where it is. False: failed. */
static bool read_published_rule(struct state_reader *reader, const struct tables *tables, struct published *published)
{
    int64_t count = tables->rules_count, reference;
    if (before_3(reader)) {
        int64_t place = state_read_range(reader, -count, count - 1);
        published->n = place >= 0;
        reference = place < 0 ? -1 - place : place;
        if (count == 0)
            state_read_fail(reader);
    } else {
        int64_t twice = state_read_range(reader, -2 * count, 2 * (int64_t)KNOWN_RULES - 1);
        published->n = !(twice & 1);
        reference = (twice - (twice & 1)) / 2;
    }
    if (reader->failed)
        return false;
    const struct known_rule *rule = rule_at(reader, tables, reference);
    published->rule = rule->hash;
    published->rule_index = rule->index;
    return true;
}

/* Of those whose slot is not 1 the slots follow. */
static void read_published(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    uint32_t later = 0;
    READ_ARRAY(runs, published, tables->arena, reader, 2);
    for (uint32_t i = 0; i < runs->published_count; i++) {
        struct published *published = &runs->published[i];
        if (!read_published_rule(reader, tables, published))
            return;
        later += published->n == 0;
        read_published_key(reader, tables, published);
    }
    state_read_array_end(reader, runs->published_count);
    uint32_t count = state_read_count(reader, 1);
    if (count != later)
        state_read_fail(reader);
    for (uint32_t i = 0; count > 0 && i < runs->published_count; i++) {
        if (runs->published[i].n == 0)
            runs->published[i].n = (int32_t)state_read_range(reader, 2, SLOT_MAX);
    }
    state_read_array_end(reader, count);
}

static void read_keys(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    if (reader->version == STATE_VERSION_FIRST)
        read_published_1(runs, tables, reader);
    else
        read_published(runs, tables, reader);
    READ_ARRAY(runs, used, tables->arena, reader, USED_KEY_SIZE); /* so many bytes are there */
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
}

static void read_counters(struct runs *runs, const struct tables *tables, struct state_reader *reader)
{
    struct arena *arena = tables->arena;
    read_keys(runs, tables, reader);
    READ_ARRAY(runs, days, arena, reader, 2);
    for (uint32_t i = 0; i < runs->days_count; i++) {
        runs->days[i].day = state_read_range(reader, -TIMESTAMP_MAX, TIMESTAMP_MAX);
        runs->days[i].count = state_read_range(reader, 0, INT32_MAX);
    }
    state_read_array_end(reader, runs->days_count);
    READ_ARRAY(runs, last_sent, arena, reader, 2);
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        const struct known_rule *rule = read_rule(reader, tables, tables->rules_count);
        runs->last_sent[i] = (struct last_sent){rule->hash, rule->index, state_read_time(reader)};
    }
    state_read_array_end(reader, runs->last_sent_count);
    READ_ARRAY(runs, arrivals, arena, reader, 5);
    for (uint32_t i = 0; i < runs->arrivals_count; i++) {
        runs->arrivals[i].record = state_read_fixed32(reader);
        runs->arrivals[i].at = state_read_time(reader);
    }
    if (runs->arrivals_count > RUNS_ARRIVALS_MAX)
        reader->failed = true;
    state_read_array_end(reader, runs->arrivals_count);
}

static int index_of_hash(const struct playbook *playbook, uint32_t hash)
{
    for (size_t i = playbook->rule_count; i-- > 0;) {
        if (playbook->rules[i].name_hash == hash)
            return (int)i;
    }
    return -1;
}

static int index_of_name(const struct playbook *playbook, struct span name)
{
    for (size_t i = 0; i < playbook->rule_count; i++) {
        if (span_equal(playbook->rules[i].name, name))
            return (int)i;
    }
    return -1;
}

/* The rule's place in this playbook; its name is the playbook's own then, so that it is found again by where it lies.
 */
static void entry_resolve(struct known_rule *entry, const struct playbook *playbook, bool same)
{
    bool inside = entry->index >= 0 && (size_t)entry->index < playbook->rule_count;
    if (span_empty(entry->name)) {
        if (!same || !inside)
            entry->index = index_of_hash(playbook, entry->hash);
        return;
    }
    if (!same || !inside || !span_equal(playbook->rules[entry->index].name, entry->name))
        entry->index = index_of_name(playbook, entry->name);
    if (entry->index >= 0)
        entry->name = playbook->rules[entry->index].name;
    entry->hash = entry->index >= 0 ? playbook->rules[entry->index].name_hash : runs_rule_hash(entry->name);
}

static void read_names(struct tables *tables, const struct playbook *playbook, bool same, struct state_reader *reader)
{
    uint32_t count = state_read_count(reader, 2);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct known_rule *entry = rules_push(tables);
        *entry = (struct known_rule){.name = state_read_text(reader)};
        entry->index = (int)state_read_range(reader, -1, INT32_MAX);
        if (span_empty(entry->name))
            reader->failed = true;
        entry_resolve(entry, playbook, same);
    }
    state_read_array_end(reader, count);
    tables->named_count = tables->rules_count;
}

static void read_hashes(struct tables *tables, const struct playbook *playbook, bool same, struct state_reader *reader)
{
    uint32_t count = state_read_count(reader, 5);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct known_rule *entry = rules_push(tables);
        *entry = (struct known_rule){.hash = state_read_fixed32(reader)};
        entry->index = (int)state_read_range(reader, -1, INT32_MAX);
        entry_resolve(entry, playbook, same);
    }
    state_read_array_end(reader, count);
}

static void read_texts(struct tables *tables, struct state_reader *reader)
{
    READ_ARRAY(tables, texts, tables->arena, reader, 1);
    for (uint32_t i = 0; i < tables->texts_count; i++)
        tables->texts[i] = state_read_text(reader);
    state_read_array_end(reader, tables->texts_count);
}

static void read_traces(struct runs *runs, struct tables *tables, struct state_reader *reader)
{
    if (state_read_range(reader, 0, 1) == 0)
        return;
    READ_ARRAY(tables, traces, tables->arena, reader, TRACE_KEPT_SIZE); /* so many bytes are there */
    for (uint32_t i = 0; i < tables->traces_count; i++, reader->at += TRACE_KEPT_SIZE)
        tables->traces[i] = (struct span){(const char *)reader->at, TRACE_KEPT_SIZE};
    state_read_array_end(reader, tables->traces_count);
    uint32_t count = state_read_count(reader, 2);
    for (uint32_t i = 0; i < count; i++) {
        int64_t item = state_read_range(reader, 0, (int64_t)runs->waiting_count + runs->sent_count);
        int64_t trace = state_read_range(reader, 0, tables->traces_count);
        if (item == (int64_t)runs->waiting_count + runs->sent_count || trace == tables->traces_count)
            state_read_fail(reader);
        if (reader->failed)
            return;
        *(item < runs->waiting_count ? &runs->waiting[item].trace : &runs->sent[item - runs->waiting_count].trace) =
            tables->traces[trace];
    }
    state_read_array_end(reader, count);
}

bool runs_decode(struct runs *runs, const struct playbook *playbook, const struct facts *facts, struct arena *arena,
                 struct state_reader *reader)
{
    runs_init(runs);
    runs->playbook = state_read_fixed64(reader);
    runs->consent = state_read_range(reader, 0, 1) != 0;
    bool first = reader->version == STATE_VERSION_FIRST;
    runs->next_change_at = first ? read_optional(reader) : read_optional_time(reader);
    bool same = runs->playbook == playbook->mark;
    struct tables tables = {.arena = arena, .facts = facts, .playbook = playbook};
    struct key_read before = {0};
    read_names(&tables, playbook, same, reader);
    read_hashes(&tables, playbook, same, reader);
    read_texts(&tables, reader);
    READ_ARRAY(runs, waiting, arena, reader, first ? 10 : before_3(reader) ? 6 : 5);
    if (first)
        read_runs_1(runs, &tables, &before, reader);
    else
        read_runs(runs, &tables, &before, reader);
    READ_ARRAY(runs, sent, arena, reader, before_3(reader) ? 10 : 6);
    if (before_3(reader))
        read_sents_2(runs, &tables, &before, reader);
    else
        read_sents(runs, &tables, &before, reader);
    if (first)
        read_tracks_1(runs, &tables, reader);
    else
        read_tracks(runs, &tables, reader);
    read_counters(runs, &tables, reader);
    if (!before_3(reader))
        read_traces(runs, &tables, reader);
    if (reader->failed)
        return false;
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        runs_stir(runs, &runs->waiting[i]);
    runs->stirred = false;
    runs_mark_published(runs);
    return true;
}
