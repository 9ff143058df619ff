/* The auditor: what the log holds in the end, against the history, against the replay of crm.steps, against the store.
 */
#include "common/base/check.h"
#include "common/flow/batch.h"
#include "common/flow/quarantine.h"
#include "common/flow/replay.h"
#include "tests/sim/real_engine.h"
#include "tests/sim/toy_engine.h"
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdlib.h>

__attribute__((format(printf, 2, 3))) static bool wrong(char *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, SIM_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- sorted lists of lines ---- */

struct lines {
    char **items;
    size_t count, capacity;
};

static void lines_add(struct lines *lines, struct span text)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 64;
        lines->items = realloc(lines->items, lines->capacity * sizeof(char *));
        CHECK(lines->items);
    }
    lines->items[lines->count++] = strndup(text.data, text.size);
}

static int line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_sort(struct lines *lines)
{
    if (lines->count)
        qsort(lines->items, lines->count, sizeof(char *), line_order);
}

static void lines_unique(struct lines *lines)
{
    size_t kept = 0;
    lines_sort(lines);
    for (size_t i = 0; i < lines->count; i++) {
        if (kept && strcmp(lines->items[kept - 1], lines->items[i]) == 0)
            free(lines->items[i]);
        else
            lines->items[kept++] = lines->items[i];
    }
    lines->count = kept;
}

static void lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
}

static bool lines_equal(const struct lines *found, const struct lines *wanted, const char *what, char *why)
{
    size_t least = found->count < wanted->count ? found->count : wanted->count;
    for (size_t i = 0; i < least; i++)
        if (strcmp(found->items[i], wanted->items[i]) != 0)
            return wrong(why, "%s: found \"%s\", wanted \"%s\"", what, found->items[i], wanted->items[i]);
    if (found->count == wanted->count)
        return true;
    return wrong(why, "%s: found %zu, wanted %zu; the first more or missing: \"%s\"", what, found->count, wanted->count,
                 found->count > least ? found->items[least] : wanted->items[least]);
}

/* The same, but what is missing may be so when one of the excuses begins it, up to the given character. */
static bool lines_explained(const struct lines *found, const struct lines *wanted, const struct lines *excuses,
                            char end, const char *what, char *why)
{
    size_t at = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        if (at < found->count && strcmp(found->items[at], wanted->items[i]) == 0) {
            at++;
            continue;
        }
        bool excused = false;
        for (size_t j = 0; j < excuses->count && !excused; j++) {
            size_t size = strlen(excuses->items[j]);
            excused = strncmp(excuses->items[j], wanted->items[i], size) == 0 && wanted->items[i][size] == end;
        }
        if (!excused)
            return wrong(why, "%s: missing \"%s\"", what, wanted->items[i]);
    }
    return at == found->count || wrong(why, "%s: found \"%s\" beside what was wanted", what, found->items[at]);
}

/* An action as it is compared: what it says, and the trace that its header goes on with. */
static void traced_line(struct lines *lines, struct span value, struct span trace)
{
    struct buffer line = {0};
    buffer_add_span(&line, value);
    buffer_add_text(&line, " trace ");
    buffer_add_span(&line, trace);
    lines_add(lines, buffer_span(&line));
    buffer_release(&line);
}

static void traced_actions(const struct sim_world *world, struct lines *lines)
{
    struct log_record record;
    for (int32_t p = 0; p < SIM_SHARDS; p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, "actions", p, true, &offset, &record);) {
            struct span trace = SPAN_NONE;
            for (size_t i = 0; i < record.header_count; i++)
                if (span_equal(record.headers[i].name, SPAN("traceparent")))
                    trace = record.headers[i].value;
            traced_line(lines, record.value, trace);
        }
}

static void topic_lines(const struct sim_world *world, const char *topic, struct lines *lines)
{
    struct log_record record;
    for (int32_t p = 0; p < SIM_SHARDS; p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, topic, p, true, &offset, &record);)
            lines_add(lines, record.value);
}

/* ---- quarantine: who and what may miss something; everybody else must not ---- */

struct quarantined {
    struct lines customers; /* ids */
    struct lines places;    /* "topic partition offset" of records in dead letters */
    size_t letters;
};

static void place_add(struct lines *places, const struct original *original)
{
    char line[160];
    snprintf(line, sizeof(line), "%.*s %d %lld", (int)original->topic.size, original->topic.data,
             (int)original->partition, (long long)original->offset);
    lines_add(places, span_of(line));
}

/* No events: it is no record of an input, or none that can be read. */
static struct reading reading_of(const struct sim_world *world, const struct original *original, struct arena *arena)
{
    const struct formats *formats = &world->flow.formats;
    struct reading reading = {0};
    for (int t = 0; t < TOPIC_COUNT; t++)
        if (span_equal(original->topic, span_of(world->flow.inputs[t])) &&
            formats->event_read(formats->context, (enum topic)t, original, arena, &reading) == WORLD_DONE &&
            reading.reason == REASON_NONE)
            return reading;
    return (struct reading){0};
}

static void input_note(const struct sim_world *world, const struct original *original, struct arena *arena,
                       struct lines *customers)
{
    struct reading reading = reading_of(world, original, arena);
    for (size_t i = 0; i < reading.count; i++) {
        lines_add(customers, reading.events[i].customer_id);
        if (!span_empty(reading.events[i].referrer_customer_id))
            lines_add(customers, reading.events[i].referrer_customer_id);
    }
}

static void letter_note(const struct sim_world *world, const struct original *original, struct arena *arena,
                        struct quarantined *quarantined)
{
    struct forward forward;
    quarantined->letters++;
    place_add(&quarantined->places, original);
    if (span_equal(original->topic, SPAN("state")))
        lines_add(&quarantined->customers, original->key);
    input_note(world, original, arena, &quarantined->customers);
    if (!span_equal(original->topic, SPAN("forward")) || !forward_decode(original->value, arena, &forward))
        return;
    if (forward.kind == FORWARD_CREDIT)
        lines_add(&quarantined->customers, forward.credit.customer_id);
    if (forward.kind == FORWARD_EVENT)
        input_note(world, &forward.original, arena, &quarantined->customers);
}

/* Where a walk through crm.dead stands. */
struct letters {
    int32_t partition;
    int64_t offset;
};

/* False: there is no other one. */
static bool letters_next(const struct sim_world *world, struct letters *at, struct arena *arena,
                         struct dead_letter *ret_letter)
{
    struct log_record record;
    while (!memory_cluster_read(world->cluster, "dead", at->partition, true, &at->offset, &record)) {
        if (at->partition == SIM_SHARDS - 1)
            return false;
        *at = (struct letters){.partition = at->partition + 1};
    }
    CHECK(dead_letter_decode(record.value, arena, ret_letter));
    return true;
}

static void quarantined_find(const struct sim_world *world, struct quarantined *quarantined)
{
    struct arena arena;
    struct dead_letter letter;
    arena_init(&arena, 0);
    for (struct letters at = {0}; letters_next(world, &at, &arena, &letter);)
        if (letter.reason == REASON_QUARANTINED)
            letter_note(world, &letter.original, &arena, quarantined);
    arena_release(&arena);
}

/* ---- against the history: every action once, none beside ---- */

static char *word_put(char *at, struct span word)
{
    memcpy(at, word.data, word.size);
    return at + word.size;
}

/* "type customer seq at id rule key", as the toy writes it, to "customer|rule|key", as the history expects it. */
static void action_line(struct span text, struct lines *lines)
{
    struct span words[7];
    char line[256];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        words[i] = toy_word(&text);
    CHECK(!span_empty(words[6]) && words[1].size + words[5].size + words[6].size + 2 <= sizeof(line));
    char *at = word_put(line, words[1]);
    *at++ = '|';
    at = word_put(at, words[5]);
    *at++ = '|';
    at = word_put(at, words[6]);
    lines_add(lines, (struct span){line, (size_t)(at - line)});
}

static void action_lines(const struct sim_world *world, struct lines *lines)
{
    struct log_record record;
    for (int32_t p = 0; p < SIM_SHARDS; p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, "actions", p, true, &offset, &record);)
            action_line(record.value, lines);
    lines_sort(lines);
}

static bool audit_actions(const struct sim_world *world, const struct quarantined *quarantined, char *why)
{
    struct lines found = {0}, wanted = {0};
    for (size_t i = 0; i < world->expected_count; i++)
        lines_add(&wanted, span_of(world->expected[i]));
    lines_unique(&wanted); /* the history's repetitions are meant to be one; the log's are not */
    action_lines(world, &found);
    bool good = lines_explained(&found, &wanted, &quarantined->customers, '|', "actions against the history", why);
    lines_release(&found);
    lines_release(&wanted);
    return good;
}

/* What was to be refused may have been quarantined before it could be. */
static bool audit_dead(const struct sim_world *world, const struct quarantined *quarantined, char *why)
{
    struct lines found = {0};
    size_t refused = 0;
    struct arena arena;
    struct dead_letter letter;
    arena_init(&arena, 0);
    for (struct letters at = {0}; letters_next(world, &at, &arena, &letter);) {
        bool held = letter.reason == REASON_QUARANTINED;
        refused += !held;
        if (held && reading_of(world, &letter.original, &arena).count > 1) /* one for each customer held */
            continue;
        if (!span_equal(letter.original.topic, SPAN("state"))) /* a customer may be quarantined again */
            place_add(&found, &letter.original);
    }
    size_t count = found.count;
    lines_unique(&found);
    bool good =
        refused <= world->dead_count && refused + quarantined->letters >= world->dead_count && found.count == count;
    if (!good)
        wrong(why, "dead letters: %zu, %zu of them distinct, %zu refused, wanted %zu", count, found.count, refused,
              world->dead_count);
    lines_release(&found);
    arena_release(&arena);
    return good;
}

/* ---- against the replay of crm.steps ---- */

struct audit {
    struct sim_world *world;
    struct replay replay;
    struct quarantined quarantined;
    struct lines replayed;
    int64_t next[TOPIC_COUNT + 1][SIM_SHARDS]; /* where the next range of each partition must begin */
    int64_t now;                               /* the latest T */
    struct lines covered; /* "topic partition offset" of each record in a range, once per range it is in */
    struct buffer line;
};

static const struct header *headers_of(struct audit *audit, const struct log_record *record)
{
    struct header *headers = ARENA_ARRAY(&audit->replay.arena, struct header, record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        headers[i] = (struct header){record->headers[i].name, record->headers[i].value};
    return headers;
}

static bool next_record(void *context, struct span topic, int32_t partition, int64_t *offset, int64_t end,
                        struct original *ret_record)
{
    struct audit *audit = context;
    struct log_record record;
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)topic.size, topic.data);
    if (!memory_cluster_read(audit->world->cluster, name, partition, true, offset, &record) || record.offset >= end)
        return false;
    *ret_record = (struct original){.topic = topic,
                                    .partition = partition,
                                    .offset = record.offset,
                                    .timestamp = record.timestamp,
                                    .key = record.key,
                                    .value = record.value,
                                    .headers = headers_of(audit, &record),
                                    .header_count = record.header_count};
    return true;
}

static int rank_of(const struct audit *audit, struct span topic)
{
    for (int t = 0; t < TOPIC_COUNT; t++)
        if (span_equal(topic, span_of(audit->world->flow.inputs[t])))
            return t;
    return TOPIC_COUNT;
}

static void coordinates_add(struct audit *audit, struct lines *lines, struct span topic, int32_t partition,
                            int64_t offset, int32_t home)
{
    struct buffer *line = &audit->line;
    buffer_reset(line);
    buffer_add_span(line, topic);
    buffer_add_char(line, ' ');
    buffer_add_integer(line, partition);
    buffer_add_char(line, ' ');
    buffer_add_integer(line, offset);
    buffer_add_text(line, " to ");
    buffer_add_integer(line, home);
    lines_add(lines, buffer_span(line));
}

static void range_cover(struct audit *audit, const struct step_range *range)
{
    struct original record;
    for (int64_t offset = range->from;
         next_record(audit, range->topic, range->partition, &offset, range->next, &record);)
        coordinates_add(audit, &audit->covered, range->topic, range->partition, record.offset, range->partition);
}

static bool ranges_follow(struct audit *audit, const struct step_log *step, char *why)
{
    for (size_t i = 0; i < step->range_count; i++) {
        const struct step_range *range = &step->ranges[i];
        int64_t *next = &audit->next[rank_of(audit, range->topic)][range->partition];
        if (range->partition != step->shard || range->from < *next || range->next <= range->from)
            return wrong(why, "shard %d seq %lld: range %.*s[%d] %lld..%lld after %lld", (int)step->shard,
                         (long long)step->seq, (int)range->topic.size, range->topic.data, (int)range->partition,
                         (long long)range->from, (long long)range->next, (long long)*next);
        *next = range->next;
        range_cover(audit, range);
    }
    return true;
}

static void action_note(struct audit *audit, const struct customer_visit *visit, const struct record *record)
{
    struct trace_action traced;
    char text[TRACE_TEXT_SIZE + 1];
    bool known = trace_of(visit, record, &traced);
    if (known)
        trace_context_text(&traced.own, text);
    traced_line(&audit->replayed, buffer_span(&audit->line), known ? span_of(text) : SPAN_NONE);
    audit->world->traced_timers += known && span_empty(record->action.event_id);
}

static void visit_note(struct audit *audit, const struct customer_visit *visit)
{
    for (const struct record *record = visit->result.records; record; record = record->next) {
        buffer_reset(&audit->line);
        audit->world->flow.formats.record_write(NULL, record, &audit->line);
        if (record->type == RECORD_ACTION)
            action_note(audit, visit, record);
        else
            lines_add(&audit->replayed, buffer_span(&audit->line));
    }
    for (size_t i = 0; i < visit->event_count; i++)
        audit->world->traced_credits += visit->items[i]->kind == ITEM_CREDIT && !span_empty(visit->events[i].trace);
}

static bool replay_shard(struct audit *audit, int32_t shard, char *why)
{
    struct arena arena;
    struct log_record record;
    int64_t seq = 1, now = 0;
    bool good = true;
    arena_init(&arena, 0);
    for (int64_t offset = 0;
         good && memory_cluster_read(audit->world->cluster, "steps", shard, true, &offset, &record);) {
        struct step_log step;
        struct step_run run;
        arena_reset(&arena);
        CHECK(step_log_decode(record.value, &arena, &step));
        if (step.seq != seq + 1) {
            good = wrong(why, "shard %d: step seq %lld after %lld", (int)shard, (long long)step.seq, (long long)seq);
            break;
        }
        if (step.now <= now) { /* R2 */
            good = wrong(why, "shard %d seq %lld: T %lld after %lld", (int)shard, (long long)step.seq,
                         (long long)step.now, (long long)now);
            break;
        }
        seq = step.seq;
        now = step.now;
        audit->now = step.now > audit->now ? step.now : audit->now;
        good = ranges_follow(audit, &step, why);
        enum replay_fault fault = good ? replay_step(&audit->replay, &step, &run) : REPLAY_DONE;
        if (fault != REPLAY_DONE)
            good = wrong(why, "shard %d seq %lld: %s", (int)shard, (long long)seq, replay_fault_text(fault));
        if (good)
            for (size_t i = 0; i < run.visit_count; i++)
                visit_note(audit, &run.visits[i]);
    }
    struct span metadata;
    int64_t committed = 0;
    memory_cluster_committed(audit->world->cluster, SIM_GROUP, "forward", shard, &metadata);
    if (good && (!seq_parse(metadata, &committed) || committed != seq))
        good = wrong(why, "shard %d: the committed seq is %lld, the last step's %lld", (int)shard, (long long)committed,
                     (long long)seq);
    arena_release(&arena);
    return good;
}

static bool audit_records(struct audit *audit, char *why)
{
    struct lines found = {0};
    traced_actions(audit->world, &found);
    topic_lines(audit->world, "transitions", &found);
    topic_lines(audit->world, "decisions", &found);
    lines_sort(&found);
    lines_sort(&audit->replayed);
    bool good = lines_equal(&found, &audit->replayed, "records against the replay of the steps", why);
    lines_release(&found);
    return good;
}

/* ---- every record of every input in exactly one committed transaction ---- */

/* Where one input record must have been consumed: in the range of its home's step when its partition is the home's own,
 * and once in crm.forward of each other home that it speaks of. */
static void wanted_places(struct audit *audit, const struct log_record *record, enum topic topic, bool aligned,
                          struct arena *arena, struct lines *ranges, struct lines *forwards)
{
    struct span name = span_of(audit->world->flow.inputs[topic]);
    struct original original = {.topic = name,
                                .partition = record->partition,
                                .offset = record->offset,
                                .timestamp = record->timestamp,
                                .key = record->key,
                                .value = record->value};
    struct lane lane = {.rank = (int)topic, .partition = record->partition};
    CHECK(lane_read_input(&audit->world->flow.formats, arena, topic, &original, SIM_SHARDS, &lane) == WORLD_DONE);
    if (aligned)
        coordinates_add(audit, ranges, name, record->partition, record->offset, record->partition);
    uint32_t homes = 0;
    for (size_t i = 0; i < lane.count; i++)
        if (lane.items[i].kind == ITEM_EVENT && !(aligned && lane.items[i].home == record->partition))
            homes |= 1u << lane.items[i].home;
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        if (homes >> h & 1)
            coordinates_add(audit, forwards, name, record->partition, record->offset, h);
}

static void wanted_all(struct audit *audit, struct lines *ranges, struct lines *forwards)
{
    const struct memory_cluster *cluster = audit->world->cluster;
    struct log_record record;
    struct arena arena;
    arena_init(&arena, 0);
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int32_t count = memory_cluster_partition_count(cluster, audit->world->flow.inputs[t]);
        for (int32_t p = 0; p < count; p++)
            for (int64_t offset = 0;
                 memory_cluster_read(cluster, audit->world->flow.inputs[t], p, true, &offset, &record);) {
                arena_reset(&arena);
                wanted_places(audit, &record, (enum topic)t, count == SIM_SHARDS, &arena, ranges, forwards);
            }
    }
    arena_release(&arena);
}

/* The birth's own place in crm.forward is no record of a step: only what stands in ranges is compared. */
static void forwards_found(struct audit *audit, struct lines *ranges, struct lines *forwards)
{
    struct log_record record;
    struct forward forward;
    struct arena arena;
    arena_init(&arena, 0);
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        for (int64_t offset = 0; memory_cluster_read(audit->world->cluster, "forward", h, true, &offset, &record);) {
            arena_reset(&arena);
            CHECK(forward_decode(record.value, &arena, &forward));
            coordinates_add(audit, ranges, SPAN("forward"), h, record.offset, h);
            if (forward.kind == FORWARD_EVENT)
                coordinates_add(audit, forwards, forward.original.topic, forward.original.partition,
                                forward.original.offset, h);
        }
    arena_release(&arena);
}

static bool audit_places(struct audit *audit, char *why)
{
    struct lines ranges = {0}, wanted = {0}, found = {0};
    wanted_all(audit, &ranges, &wanted);
    forwards_found(audit, &ranges, &found);
    lines_sort(&ranges);
    lines_sort(&wanted);
    lines_sort(&found);
    lines_sort(&audit->covered);
    const struct lines *places = &audit->quarantined.places;
    bool good = lines_explained(&found, &wanted, places, ' ', "input records forwarded", why) &&
                lines_explained(&audit->covered, &ranges, places, ' ', "records in the ranges of steps", why);
    lines_release(&ranges);
    lines_release(&wanted);
    lines_release(&found);
    return good;
}

/* ---- the real engine: facts against a sequential run, sends at most once ---- */

/* Of every customer of `of`; whom the other does not know has the facts of a customer without events: his buyer's
 * erasure, come first, may have left a referrer without his credit, and so without a state (R30, R31). */
static bool facts_equal(const struct audit *audit, const struct replay *of, const struct replay *sequential, char *why)
{
    struct span id, state;
    struct buffer found = {0}, wanted = {0};
    bool good = true;
    for (size_t i = 0; good && replay_customer_at(of, i, &id, &state); i++) {
        buffer_reset(&found);
        buffer_reset(&wanted);
        real_facts_text(audit->world, id, replay_state(&audit->replay, id), audit->now, &found);
        real_facts_text(audit->world, id, replay_state(sequential, id), audit->now, &wanted);
        if (!span_equal(buffer_span(&found), buffer_span(&wanted)))
            good = wrong(why, "facts: found %.*s, sequential %.*s", (int)found.size, found.data, (int)wanted.size,
                         wanted.data);
    }
    buffer_release(&found);
    buffer_release(&wanted);
    return good;
}

static bool audit_facts(const struct audit *audit, char *why)
{
    struct replay sequential;
    replay_init(&sequential, &audit->world->flow, audit->replay.records);
    real_sequential(audit->world, audit->now, &sequential);
    bool good =
        facts_equal(audit, &sequential, &sequential, why) && facts_equal(audit, &audit->replay, &sequential, why);
    replay_release(&sequential);
    return good;
}

/* R47: no action is sent twice. */
static bool audit_sends(const struct sim_world *world, char *why)
{
    struct lines found = {0}, ids = {0};
    topic_lines(world, "actions", &found);
    for (size_t i = 0; i < found.count; i++) {
        const char *id = strstr(found.items[i], "\"action_id\":");
        CHECK(id);
        if (strstr(found.items[i], "\"kind\":\"send\"") || strstr(found.items[i], "\"kind\": \"send\""))
            lines_add(&ids, (struct span){id, strcspn(id, ",")});
    }
    size_t count = ids.count;
    lines_unique(&ids);
    bool good = ids.count == count;
    if (!good)
        wrong(why, "%zu sends, %zu of them distinct", count, ids.count);
    lines_release(&found);
    lines_release(&ids);
    return good;
}

/* ---- playbooks ---- */

static void playbooks_add_all(struct audit *audit)
{
    struct buffer error = {0};
    struct log_record record;
    struct playbook_entry entry;
    struct arena arena;
    arena_init(&arena, 0);
    for (int64_t offset = 0; memory_cluster_read(audit->world->cluster, "playbook", 0, true, &offset, &record);)
        CHECK(playbook_entry_decode(record.value, &arena, &entry) &&
              replay_playbook_add(&audit->replay, &entry, &error));
    arena_release(&arena);
}

/* A customer whom the sweep had passed over would be migrated by any visit: none may change. */
static bool all_migrated(const struct audit *audit, char *why)
{
    const struct step_world *world = real_variant(audit->world->variant);
    struct span id, state;
    struct arena arena;
    bool good = true;
    arena_init(&arena, 0);
    for (size_t i = 0; good && replay_customer_at(&audit->replay, i, &id, &state); i++) {
        struct visit visit = {.customer_id = id, .state = state};
        struct visit_result result;
        if (quarantine_holds(state)) /* his turn comes when he is released */
            continue;
        CHECK(step_visit(world, &arena, &visit, &result));
        good = !result.changed || wrong(why, "customer %.*s was not swept", (int)id.size, id.data);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return good;
}

/* Every shard is at the playbook activated last, and done. */
static bool all_switched(const struct audit *audit, char *why)
{
    const struct sim_world *world = audit->world;
    const unsigned char *hash = real_variant(world->variant)->playbook->hash;
    struct arena arena;
    bool good = true;
    arena_init(&arena, 0);
    for (int32_t h = 0; h < SIM_SHARDS && good; h++) {
        struct store_meta view;
        struct meta meta;
        memory_server_meta(world->server, h, &view);
        CHECK(meta_decode(view.last, &arena, &meta));
        good = memcmp(meta.playbook_hash, hash, sizeof(meta.playbook_hash)) == 0 && !meta.sweeping &&
               meta.activation == world->activation_count;
        if (!good)
            wrong(why, "shard %d ends at activation %lld of %lld%s", (int)h, (long long)meta.activation,
                  (long long)world->activation_count, meta.sweeping ? ", sweeping" : "");
    }
    arena_release(&arena);
    return good;
}

/* ---- against the changelog and the store ---- */

/* The last committed value of each key of crm.state[shard], through the replay's own table of customers. */
static bool changelog_equals(const struct audit *audit, struct replay *changelog, char *why)
{
    struct span id, state;
    size_t count = 0;
    for (; replay_customer_at(changelog, count, &id, &state); count++)
        if (!span_equal(state, replay_state(&audit->replay, id)))
            return wrong(why, "customer %.*s: the changelog's state is not the replay's", (int)id.size, id.data);
    if (count != audit->replay.customer_count)
        return wrong(why, "%zu customers in the changelog, %zu in the replay", count, audit->replay.customer_count);
    return true;
}

static bool store_equals(const struct audit *audit, const struct replay *changelog, char *why)
{
    const struct flow_config *flow = &audit->world->flow;
    struct span id, state;
    int64_t wake_at, wanted;
    size_t count = 0;
    struct arena arena;
    bool good = true;
    arena_init(&arena, 0);
    for (int32_t h = 0; h < SIM_SHARDS && good; h++)
        for (size_t i = 0; good && memory_server_customer(audit->world->server, h, i, &id, &state, &wake_at);
             i++, count++) {
            good = span_equal(state, replay_state(changelog, id)) &&
                   (quarantine_holds(state)
                        ? wake_at == NEVER
                        : flow->engine.wake_at(flow->world, &arena, id, state, &wanted) && wake_at == wanted);
            if (!good)
                wrong(why, "customer %.*s: the store's state or wake-up is not the changelog's", (int)id.size, id.data);
        }
    if (good && count != changelog->customer_count)
        good = wrong(why, "%zu customers in the store, %zu in the changelog", count, changelog->customer_count);
    arena_release(&arena);
    return good;
}

/* His history is the last of what crm.decisions says of him, or nothing after his erasure (R31). `lines` are the
 * topic's. */
static bool history_equals(const struct audit *audit, struct store *store, int32_t shard, struct span id,
                           const struct lines *lines, char *why)
{
    const struct flow_config *flow = &audit->world->flow;
    struct arena arena;
    struct span *found;
    size_t count, wanted = lines->count < flow->history_max ? lines->count : flow->history_max;
    arena_init(&arena, 0);
    CHECK(store_history(store, shard, id, SIZE_MAX / 2, &arena, &found, &count) == WORLD_DONE);
    if (flow->engine.erased && flow->engine.erased(quarantine_seen(replay_state(&audit->replay, id))))
        wanted = 0;
    bool good = count == wanted || wrong(why, "customer %.*s: %zu decisions in the store, wanted %zu", (int)id.size,
                                         id.data, count, wanted);
    for (size_t i = 0; good && i < count; i++)
        if (!span_equal(found[i], span_of(lines->items[lines->count - count + i])))
            good = wrong(why, "customer %.*s: decision %zu of %zu in the store is not the topic's", (int)id.size,
                         id.data, i + 1, count);
    arena_release(&arena);
    return good;
}

static bool audit_histories(const struct audit *audit, char *why)
{
    struct store store = store_memory_open(audit->world->server);
    struct span id, state;
    int64_t wake_at;
    bool good = true;
    for (int32_t h = 0; h < SIM_SHARDS && good; h++)
        for (size_t i = 0; good && memory_server_customer(audit->world->server, h, i, &id, &state, &wake_at); i++) {
            struct lines lines = {0};
            struct log_record record;
            for (int64_t offset = 0;
                 memory_cluster_read(audit->world->cluster, "decisions", h, true, &offset, &record);)
                if (span_equal(record.key, id))
                    lines_add(&lines, record.value);
            good = history_equals(audit, &store, h, id, &lines, why);
            lines_release(&lines);
        }
    return good;
}

static bool audit_states(struct audit *audit, bool view_too, char *why)
{
    struct replay changelog;
    struct log_record record;
    replay_init(&changelog, &audit->world->flow, audit->replay.records);
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        for (int64_t offset = 0; memory_cluster_read(audit->world->cluster, "state", h, true, &offset, &record);)
            if (!span_equal(record.key, meta_key()))
                replay_state_set(&changelog, record.key, record.value);
    bool good = changelog_equals(audit, &changelog, why) && (!view_too || store_equals(audit, &changelog, why));
    replay_release(&changelog);
    return good;
}

static void audit_begin(struct audit *audit, struct sim_world *world)
{
    *audit = (struct audit){.world = world};
    replay_init(&audit->replay, &world->flow, (struct replay_records){audit, next_record});
    if (world->config.activates)
        playbooks_add_all(audit);
    quarantined_find(world, &audit->quarantined);
}

static void audit_end(struct audit *audit)
{
    replay_release(&audit->replay);
    lines_release(&audit->replayed);
    lines_release(&audit->covered);
    lines_release(&audit->quarantined.customers);
    lines_release(&audit->quarantined.places);
    buffer_release(&audit->line);
}

bool sim_world_audit(struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    struct audit audit;
    audit_begin(&audit, world);
    bool good = world->config.real ? audit_sends(world, ret_why) : audit_actions(world, &audit.quarantined, ret_why);
    good = good && audit_dead(world, &audit.quarantined, ret_why);
    for (int32_t h = 0; h < SIM_SHARDS && good; h++)
        good = replay_shard(&audit, h, ret_why);
    good =
        good && audit_records(&audit, ret_why) && audit_states(&audit, true, ret_why) && audit_places(&audit, ret_why);
    good = good && (!world->config.real || audit.quarantined.letters || audit_facts(&audit, ret_why));
    good = good && (!world->config.real || audit_histories(&audit, ret_why));
    good = good && (!world->config.activates || (all_switched(&audit, ret_why) && all_migrated(&audit, ret_why)));
    audit_end(&audit);
    return good;
}

bool sim_world_audit_now(struct sim_world *world, char ret_why[SIM_TEXT_SIZE])
{
    struct audit audit;
    memory_cluster_settle(world->cluster);
    memory_cluster_look_behind(world->cluster, true);
    audit_begin(&audit, world);
    bool good = true;
    for (int32_t h = 0; h < SIM_SHARDS && good; h++)
        good = memory_cluster_committed(world->cluster, SIM_GROUP, "forward", h, NULL) == LOG_OFFSET_NONE ||
               replay_shard(&audit, h, ret_why);
    good = good && audit_records(&audit, ret_why) && audit_states(&audit, false, ret_why);
    audit_end(&audit);
    memory_cluster_look_behind(world->cluster, false);
    return good;
}

bool sim_world_audit_shard(struct sim_world *world, int32_t shard, char ret_why[SIM_TEXT_SIZE])
{
    struct audit audit;
    struct span id, state;
    int64_t wake_at;
    audit_begin(&audit, world);
    bool good = replay_shard(&audit, shard, ret_why);
    for (size_t i = 0; good && memory_server_customer(world->server, shard, i, &id, &state, &wake_at); i++)
        good = span_equal(state, replay_state(&audit.replay, id)) ||
               wrong(ret_why, "customer %.*s: the store's state is not the replay's", (int)id.size, id.data);
    audit_end(&audit);
    return good;
}
