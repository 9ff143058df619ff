#include "workers/customer/decisions.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/json.h"
#include "common/io/run_folder.h"
#include "common/io/store_redis.h"
#include "common/io/topic_reader.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- reading ---- */

static void keep(struct decisions *decisions, struct span line)
{
    struct buffer *place = &decisions->lines[decisions->count++ % decisions->most];
    buffer_reset(place);
    buffer_add_span(place, line);
}

static void lines_new(struct decisions *decisions)
{
    decisions->lines = calloc(decisions->most, sizeof *decisions->lines);
    CHECK(decisions->lines != NULL);
}

void decisions_release(struct decisions *decisions)
{
    for (size_t i = 0; decisions->lines != NULL && i < decisions->most; i++)
        buffer_release(&decisions->lines[i]);
    free(decisions->lines);
    decisions->lines = NULL;
}

static bool keep_value(struct setup *setup, struct decisions *decisions, struct span value, struct buffer *json)
{
    const struct schema_set *schemas = setup_schemas_of(setup, config_topic(&setup->config, "decisions"), value);
    buffer_reset(json);
    bool good = schemas != NULL && schema_set_json_write(schemas, value, json);
    if (good)
        keep(decisions, buffer_span(json));
    return good;
}

struct reading_topic {
    struct decisions *decisions;
    struct setup *setup;
    struct buffer json;
};

static void take_message(void *context, const rd_kafka_message_t *message)
{
    struct reading_topic *reading = context;
    if (span_equal((struct span){message->key, message->key_len}, reading->decisions->id))
        keep_value(reading->setup, reading->decisions, (struct span){message->payload, message->len}, &reading->json);
}

/* False: one cannot be read. */
static bool keep_values(struct setup *setup, struct decisions *decisions, const struct span *values, size_t count)
{
    struct buffer json = {0};
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = keep_value(setup, decisions, values[i], &json);
    buffer_release(&json);
    return good;
}

/* A history is all there is when it is whole and was never cut. */
static bool is_all(const struct store_meta *meta, size_t count)
{
    return meta->place.seq == meta->seq && meta->place.seq > 0 && (int64_t)count < meta->place.max;
}

bool decisions_read_history(struct setup *setup, struct decisions *decisions, bool *ret_enough)
{
    struct store store = {0};
    struct buffer error = {0};
    struct store_meta meta;
    struct arena arena;
    struct span *values;
    size_t count = 0;
    int32_t shard = (int32_t)hash_home_shard(decisions->id, (uint32_t)setup->config.shards);
    arena_init(&arena, 0);
    lines_new(decisions);
    bool good = store_redis_open(&setup->config, &store, &error) == WORLD_DONE;
    if (!good) {
        fprintf(stderr, "oriori: %s\n", error.data);
    } else if (store_read_meta(&store, shard, &arena, &meta) != WORLD_DONE ||
               store_history(&store, shard, decisions->id, decisions->most, &arena, &values, &count) != WORLD_DONE) {
        fprintf(stderr, "oriori: %s\n", store_error_text(&store));
        good = false;
    }
    decisions->kept = true;
    *ret_enough =
        good && (count == decisions->most || is_all(&meta, count)) && keep_values(setup, decisions, values, count);
    store_close(&store);
    arena_release(&arena);
    buffer_release(&error);
    return good;
}

bool decisions_read_topic(struct setup *setup, struct decisions *decisions)
{
    struct buffer error = {0};
    lines_new(decisions);
    struct reading_topic reading = {.decisions = decisions, .setup = setup};
    bool good = topic_read(&setup->config, config_topic(&setup->config, "decisions"), take_message, &reading, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&reading.json);
    buffer_release(&error);
    return good;
}

struct reading_folder {
    struct decisions *decisions;
    struct arena arena; /* of the line in hand */
};

static void take_line(void *context, struct span line)
{
    struct reading_folder *reading = context;
    const struct json *record = json_read(line, &reading->arena);
    const struct json *id =
        record && record->type == JSON_KIND_OBJECT ? json_member(record, SPAN("customer_id")) : NULL;
    if (id != NULL && id->type == JSON_KIND_TEXT && span_equal(id->text, reading->decisions->id))
        keep(reading->decisions, line);
    arena_reset(&reading->arena);
}

bool decisions_read_folder(struct setup *setup, const char *folder, struct decisions *decisions)
{
    struct buffer error = {0};
    struct reading_folder reading = {.decisions = decisions};
    lines_new(decisions);
    arena_init(&reading.arena, 0);
    bool good = run_folder_read(folder, config_topic(&setup->config, "decisions"), take_line, &reading, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    arena_release(&reading.arena);
    buffer_release(&error);
    return good;
}

/* ---- as text ---- */

static struct span text_of(const struct json *record, struct span key)
{
    const struct json *member = json_member(record, key);
    return member != NULL && member->type == JSON_KIND_TEXT ? member->text : SPAN_NONE;
}

static int64_t integer_of(const struct json *record, struct span key)
{
    const struct json *member = json_member(record, key);
    return member != NULL && member->type == JSON_KIND_INTEGER ? member->integer : NEVER;
}

/* 2011-03-05T09:00:00.000Z  habit_reminder order:536365 1  condition: phase = adopt  {"phase":"admit"} */
static void print_decision(const struct json *record)
{
    char at[TIMESTAMP_TEXT_SIZE] = "-";
    struct span rule = text_of(record, SPAN("rule")), key = text_of(record, SPAN("key"));
    struct span outcome = text_of(record, SPAN("outcome")), detail = text_of(record, SPAN("detail"));
    const struct json *values = json_member(record, SPAN("values"));
    struct buffer text = {0};
    if (integer_of(record, SPAN("at")) != NEVER)
        timestamp_text(integer_of(record, SPAN("at")), at);
    buffer_format(&text, "  %s  ", at);
    buffer_add_span(&text, rule);
    buffer_add_char(&text, ' ');
    buffer_add_span(&text, key);
    buffer_format(&text, " %lld  ", (long long)integer_of(record, SPAN("n")));
    buffer_add_span(&text, outcome);
    buffer_add_text(&text, span_empty(detail) ? "" : ": ");
    buffer_add_span(&text, detail);
    if (values != NULL && values->count > 0) {
        buffer_add_text(&text, "  ");
        json_add(&text, values);
    }
    puts(text.data);
    buffer_release(&text);
}

void decisions_print(const struct decisions *decisions, bool json)
{
    struct arena arena;
    size_t first = decisions->count > decisions->most ? decisions->count - decisions->most : 0;
    arena_init(&arena, 0);
    if (!json)
        printf("decisions published     %s%zu%s\n",
               decisions->kept && decisions->count == decisions->most ? "at least " : "", decisions->count,
               first ? ", the newest:" : "");
    for (size_t i = first; i < decisions->count; i++) {
        const struct buffer *line = &decisions->lines[i % decisions->most];
        const struct json *record = json_read(buffer_span(line), &arena);
        if (json)
            puts(line->data);
        else if (record != NULL)
            print_decision(record);
        arena_reset(&arena);
    }
    arena_release(&arena);
}
