/* Our own schema of an input, as JSON: libavro's parsed form has neither aliases nor enums' defaults. */
#include "common/codec/avro_plan_private.h"

#include "common/base/check.h"
#include "common/codec/json.h"

#include <stdlib.h>

struct plan_reader {
    struct arena arena;
    const struct json *root;
};

static bool json_is(const struct json *value, struct span text)
{
    return value != NULL && value->type == JSON_KIND_TEXT && span_equal(value->text, text);
}

struct plan_reader *plan_reader_new(struct span avsc)
{
    struct plan_reader *reader = calloc(1, sizeof *reader);
    CHECK(reader != NULL);
    arena_init(&reader->arena, 0);
    struct span kept = arena_copy(&reader->arena, avsc); /* the tree borrows from it */
    reader->root = json_read(kept, &reader->arena);
    if (json_is(json_part(reader->root, SPAN("type")), SPAN("record")))
        return reader;
    plan_reader_free(reader);
    return NULL;
}

void plan_reader_free(struct plan_reader *reader)
{
    if (reader == NULL)
        return;
    arena_release(&reader->arena);
    free(reader);
}

static const struct json *reader_field(const struct json *record, struct span name)
{
    const struct json *field = json_first_item(json_part(record, SPAN("fields")));
    while (field != NULL && !json_is(json_part(field, SPAN("name")), name))
        field = field->next;
    return field;
}

static const struct json *reader_record(const struct plan_reader *reader, bool is_line)
{
    const struct json *root = reader != NULL ? reader->root : NULL;
    return is_line ? json_part(json_part(reader_field(root, SPAN("lines")), SPAN("type")), SPAN("items")) : root;
}

struct span plan_reader_alias(const struct plan_reader *reader, bool is_line, avro_schema_t writer, struct span name)
{
    const struct json *record = reader_record(reader, is_line);
    const struct json *field = json_first_item(json_part(record, SPAN("fields")));
    for (; field != NULL; field = field->next) {
        const struct json *own = json_part(field, SPAN("name")),
                          *alias = json_first_item(json_part(field, SPAN("aliases")));
        while (alias != NULL && !json_is(alias, name))
            alias = alias->next;
        if (alias == NULL || own == NULL || own->type != JSON_KIND_TEXT)
            continue;
        bool written = false;
        for (int i = 0; i < (int)avro_schema_record_size(writer); i++)
            written = written || span_equal(span_of(avro_schema_record_field_name(writer, i)), own->text);
        if (!written)
            return own->text;
    }
    return SPAN("");
}

/* The first enum in a type, through unions and arrays; a name is looked up in the whole schema. */
static const struct json *enum_in(const struct json *root, const struct json *type, struct span name, int depth)
{
    if (type == NULL || depth > DEPTH_MAX)
        return NULL;
    if (type->type == JSON_KIND_TEXT)
        return span_empty(name) ? enum_in(root, root, type->text, 0) : NULL;
    if (json_is(json_part(type, SPAN("type")), SPAN("enum")))
        return span_empty(name) || json_is(json_part(type, SPAN("name")), name) ? type : NULL;
    const struct json *found = NULL;
    for (const struct json *child = type->first; child != NULL && found == NULL; child = child->next)
        if (child->type == JSON_KIND_ARRAY || child->type == JSON_KIND_OBJECT || type->type == JSON_KIND_ARRAY)
            found = enum_in(root, child, name, depth + 1);
    return found;
}

int plan_reader_default(const struct plan_reader *reader, enum topic topic, const struct event_field *field)
{
    if (reader == NULL)
        return -1;
    const struct json *type = json_part(reader_field(reader->root, field->name), SPAN("type"));
    const struct json *symbol = json_part(enum_in(reader->root, type, SPAN(""), 0), SPAN("default"));
    return symbol != NULL && symbol->type == JSON_KIND_TEXT ? event_field_symbol(field, topic, symbol->text) : -1;
}
