#include "workers/customer/states.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/codec/internal_records.h"
#include "common/codec/record_json.h"
#include "common/flow/quarantine.h"
#include "common/io/run_folder.h"
#include "common/io/topic_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reading: the last record of a key counts, as in a compacted topic; `__meta`'s key is one byte 0 ---- */

static void note_meta(struct states *states, struct span value)
{
    struct arena arena;
    struct meta meta;
    arena_init(&arena, 0);
    if (meta_decode(value, &arena, &meta) && (states->clock == NEVER || meta.clock > states->clock))
        states->clock = meta.clock;
    arena_release(&arena);
}

static void note(struct states *states, struct span key, struct span value)
{
    struct buffer text = {0}, id = {0};
    if (span_equal(key, (struct span){"\0", 1})) {
        note_meta(states, value);
        return;
    }
    if (span_empty(key))
        return;
    buffer_add_span(&id, key);
    base64_add(&text, value);
    if (span_empty(value))
        json_object_del(states->by_id, id.data);
    else
        CHECK(json_object_set_new_nocheck(states->by_id, id.data, json_stringn_nocheck(text.data, text.size)) == 0);
    buffer_release(&id);
    buffer_release(&text);
}

static void states_init(struct states *states)
{
    *states = (struct states){.by_id = json_object(), .clock = NEVER};
    CHECK(states->by_id);
}

static void note_message(void *context, const rd_kafka_message_t *message)
{
    note(context, (struct span){message->key, message->key_len}, (struct span){message->payload, message->len});
}

bool states_read_topic(struct setup *setup, struct states *ret_states)
{
    struct buffer error = {0};
    states_init(ret_states);
    bool good = topic_read(&setup->config, config_topic(&setup->config, "state"), note_message, ret_states, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    return good;
}

static struct span bytes_of(const json_t *record, const char *name, struct arena *arena)
{
    struct span bytes = SPAN_NONE;
    base64_read(span_of(json_string_value(json_object_get(record, name))), arena, &bytes);
    return bytes;
}

static void note_line(void *context, struct span line)
{
    struct arena arena;
    arena_init(&arena, 0);
    json_t *record = json_loadb(line.data, line.size, 0, NULL);
    note(context, bytes_of(record, "key", &arena), bytes_of(record, "value", &arena));
    json_decref(record);
    arena_release(&arena);
}

bool states_read_folder(struct setup *setup, const char *folder, struct states *ret_states)
{
    struct buffer error = {0};
    states_init(ret_states);
    bool good = run_folder_read(folder, config_topic(&setup->config, "state"), note_line, ret_states, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    return good;
}

void states_release(struct states *states)
{
    json_decref(states->by_id);
    states->by_id = NULL;
}

struct span states_of(const struct states *states, struct span id, struct arena *arena)
{
    struct span state = SPAN_NONE;
    struct buffer key = {0};
    buffer_add_span(&key, id);
    const json_t *found = json_object_get(states->by_id, key.data ? key.data : "");
    if (found)
        base64_read((struct span){json_string_value(found), json_string_length(found)}, arena, &state);
    buffer_release(&key);
    return state;
}

/* ---- printing ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **ids_in_order(const struct states *states)
{
    const char **ids = calloc(json_object_size(states->by_id) + 1, sizeof(*ids)), *id;
    json_t *state;
    size_t count = 0;
    CHECK(ids);
    json_object_foreach(states->by_id, id, state) ids[count++] = id;
    qsort(ids, count, sizeof(*ids), by_bytes);
    return ids;
}

static bool print_state(struct setup *setup, const struct states *states, struct span id, int64_t at)
{
    struct arena arena;
    struct customer_report report;
    struct buffer line = {0};
    arena_init(&arena, 0);
    bool good = step_report(&setup->world, &arena, id, quarantine_seen(states_of(states, id, &arena)), at, &report);
    if (good) {
        report_json_write(id, &report, &line);
        puts(line.data);
    } else {
        fprintf(stderr, "oriori: the state of %.*s is none that this version can read\n", (int)id.size, id.data);
    }
    buffer_release(&line);
    arena_release(&arena);
    return good;
}

int64_t states_instant(const struct setup *setup, int64_t clock, int64_t at)
{
    if (at != NEVER)
        return at;
    bool simulated = setup->config.clock == CONFIG_CLOCK_INPUT && clock != NEVER;
    return simulated ? clock : (int64_t)time(NULL) * 1000;
}

bool states_list(struct setup *setup, const struct states *states, int64_t at)
{
    bool good = true;
    int64_t instant = states_instant(setup, states->clock, at);
    const char **ids = ids_in_order(states);
    for (size_t i = 0; ids[i]; i++)
        good = print_state(setup, states, span_of(ids[i]), instant) && good;
    free(ids);
    return good;
}
