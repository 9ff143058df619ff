#include "common/codec/schema_set.h"

#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/avro_json.h"
#include "common/codec/avro_plan.h"
#include "common/codec/json.h"
#include "common/codec/schema_id.h"

#include <stdlib.h>

struct schema_entry {
    uint32_t id;
    avro_schema_t schema;
    struct avro_plan *plans[TOPIC_COUNT];
};

struct schema_set {
    struct schema_entry *entries; /* a dozen or two: found by looking at each */
    size_t count;
    struct plan_reader *readers[TOPIC_COUNT];
};

struct schema_set *schema_set_new(void)
{
    struct schema_set *set = calloc(1, sizeof *set);
    CHECK(set != NULL);
    return set;
}

void schema_set_free(struct schema_set *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++) {
        for (int topic = 0; topic < TOPIC_COUNT; topic++)
            avro_plan_free(set->entries[i].plans[topic]);
        avro_schema_decref(set->entries[i].schema);
    }
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        plan_reader_free(set->readers[topic]);
    free(set->entries);
    free(set);
}

static const struct schema_entry *find(const struct schema_set *set, uint32_t id)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->entries[i].id == id)
            return &set->entries[i];
    return NULL;
}

bool schema_set_has(const struct schema_set *set, uint32_t id)
{
    return find(set, id) != NULL;
}

static bool refuse(struct buffer *error, const char *why)
{
    buffer_reset(error);
    buffer_add_text(error, why);
    return false;
}

bool schema_set_add(struct schema_set *set, uint32_t id, struct span avsc, struct buffer *error)
{
    avro_schema_t schema;
    if (find(set, id) != NULL)
        return refuse(error, "the id is used twice");
    if (avro_schema_from_json_length(avsc.data, avsc.size, &schema) != 0)
        return refuse(error, avro_strerror());
    if (avro_typeof(schema) != AVRO_RECORD) {
        avro_schema_decref(schema);
        return refuse(error, "the schema is not of a record");
    }
    set->entries = realloc(set->entries, (set->count + 1) * sizeof *set->entries);
    CHECK(set->entries != NULL);
    struct schema_entry *entry = &set->entries[set->count++];
    *entry = (struct schema_entry){.id = id, .schema = schema};
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        entry->plans[topic] = avro_plan_compile(schema, (enum topic)topic, set->readers[topic]);
    return true;
}

bool schema_set_read_as(struct schema_set *set, enum topic topic, struct span avsc)
{
    plan_reader_free(set->readers[topic]);
    set->readers[topic] = plan_reader_new(avsc);
    return set->readers[topic] != NULL;
}

enum reason schema_set_read_event(const struct schema_set *set, enum topic topic, struct span value,
                                  struct arena *arena, struct event *ret_event, const char **ret_field)
{
    uint32_t id;
    struct span datum;
    *ret_field = NULL;
    if (!wire_header_read(value, &id, &datum))
        return REASON_UNDECODABLE;
    const struct schema_entry *entry = find(set, id);
    if (entry == NULL)
        return REASON_UNKNOWN_SCHEMA;
    return avro_plan_run(entry->plans[topic], datum, arena, ret_event, ret_field);
}

bool schema_set_json_write(const struct schema_set *set, struct span value, struct buffer *buffer)
{
    uint32_t id;
    struct span datum;
    const struct schema_entry *entry = wire_header_read(value, &id, &datum) ? find(set, id) : NULL;
    return entry != NULL && avro_json_write(entry->schema, datum, buffer);
}

/* One entry of ids.json. */
static bool load_entry(struct schema_set *set, const struct json *entry, schema_read *read, void *context,
                       struct buffer *error)
{
    const struct json *id = entry->type == JSON_KIND_OBJECT ? json_member(entry, SPAN("id")) : NULL;
    const struct json *file = entry->type == JSON_KIND_OBJECT ? json_member(entry, SPAN("file")) : NULL;
    if (id == NULL || id->type != JSON_KIND_INTEGER || id->integer < 0 || id->integer > UINT32_MAX)
        return refuse(error, "ids.json: an entry without a whole number \"id\"");
    if (file == NULL || file->type != JSON_KIND_TEXT)
        return refuse(error, "ids.json: an entry without a text \"file\"");
    char *name = strndup(file->text.data, file->text.size);
    CHECK(name != NULL);
    struct buffer avsc = {0}, why = {0};
    bool added = false;
    bool input = id->integer >= SCHEMA_ORDER && id->integer < SCHEMA_ORDER + TOPIC_COUNT;
    if (!read(context, name, &avsc))
        buffer_add_text(&why, "cannot be read");
    else if (input && !schema_set_read_as(set, (enum topic)(id->integer - SCHEMA_ORDER), buffer_span(&avsc)))
        buffer_add_text(&why, "the schema is not of a record");
    else
        added = schema_set_add(set, (uint32_t)id->integer, buffer_span(&avsc), &why);
    if (!added) {
        buffer_reset(error);
        buffer_format(error, "%s (id %lld): %s", name, (long long)id->integer, why.data);
    }
    buffer_release(&why);
    buffer_release(&avsc);
    free(name);
    return added;
}

bool schema_set_load(struct schema_set *set, schema_read *read, void *context, struct buffer *error)
{
    struct buffer ids = {0};
    struct arena arena;
    bool loaded = false;
    arena_init(&arena, 0);
    if (!read(context, "ids.json", &ids)) {
        refuse(error, "ids.json: cannot be read");
    } else {
        const struct json *list = json_read(buffer_span(&ids), &arena);
        loaded = list != NULL && list->type == JSON_KIND_ARRAY;
        if (!loaded)
            refuse(error, "ids.json: not a list in JSON");
        for (const struct json *entry = loaded ? list->first : NULL; entry != NULL && loaded; entry = entry->next)
            loaded = load_entry(set, entry, read, context, error);
    }
    arena_release(&arena);
    buffer_release(&ids);
    return loaded;
}
