#include "common/codec/schema_change.h"

#include "common/codec/json.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_MAX = 64, PAIRS_MAX = 256, PATH_SIZE = 512 };

/* One of the two schemas of a resolution. */
struct side {
    const struct json *root;
};

struct walk {
    struct side writer, reader;
    bool before_is_writer; /* new reads old; else old reads new */
    bool names;
    struct buffer *lines;
    size_t count;
    int depth;
    char path[PATH_SIZE];
    struct {
        const struct json *writer, *reader;
    } pairs[PAIRS_MAX]; /* records compared already: a schema may name itself */
    size_t pair_count;
};

/* ---- a schema's parts ---- */

/* "int", "record", a name ...; "" for a union or what is no schema. {"type": {"type": ...}} is what it wraps. */
static struct span kind_of(const struct json *type)
{
    if (type != NULL && type->type == JSON_KIND_TEXT)
        return type->text;
    return json_text_part(type, SPAN("type"));
}

static bool is_kind(const struct json *type, const char *kind)
{
    return span_equal(kind_of(type), span_of(kind));
}

static bool is_union(const struct json *type)
{
    return type != NULL && type->type == JSON_KIND_ARRAY;
}

/* Names are compared without their namespace, as the specification has it. */
static struct span short_name(struct span name)
{
    for (size_t i = name.size; i > 0; i--)
        if (name.data[i - 1] == '.')
            return (struct span){name.data + i, name.size - i};
    return name;
}

static struct span name_of(const struct json *type)
{
    return short_name(json_text_part(type, SPAN("name")));
}

static bool list_has(const struct json *list, struct span text)
{
    for (const struct json *item = json_first_item(list); item != NULL; item = item->next)
        if (item->type == JSON_KIND_TEXT && span_equal(short_name(item->text), short_name(text)))
            return true;
    return false;
}

/* The definition of a named type, wherever the schema has it. NULL: none. */
static const struct json *definition(const struct json *type, struct span name, int depth)
{
    bool composed = type != NULL && (type->type == JSON_KIND_OBJECT || type->type == JSON_KIND_ARRAY);
    if (!composed || depth > DEPTH_MAX)
        return NULL;
    bool named = is_kind(type, "record") || is_kind(type, "enum") || is_kind(type, "fixed");
    if (named && span_equal(name_of(type), short_name(name)))
        return type;
    for (const struct json *child = type->first; child != NULL; child = child->next) {
        const struct json *found = definition(child, name, depth + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static bool is_primitive(struct span kind)
{
    static const char *const names[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_equal(kind, span_of(names[i])))
            return true;
    return false;
}

static bool is_composed(struct span kind)
{
    return span_equal(kind, SPAN("record")) || span_equal(kind, SPAN("enum")) || span_equal(kind, SPAN("array")) ||
           span_equal(kind, SPAN("map")) || span_equal(kind, SPAN("fixed"));
}

/* Follows wrapping and names. NULL: it leads nowhere. */
static const struct json *resolved(const struct side *side, const struct json *type)
{
    for (int i = 0; i < DEPTH_MAX && type != NULL && !is_union(type); i++) {
        const struct json *inner = json_part(type, SPAN("type"));
        struct span kind = kind_of(type);
        if (inner != NULL && inner->type != JSON_KIND_TEXT)
            type = inner;
        else if (!is_primitive(kind) && !is_composed(kind))
            type = definition(side->root, kind, 0);
        else
            return type;
    }
    return is_union(type) ? type : NULL;
}

/* ---- faults ---- */

__attribute__((format(printf, 2, 3))) static void fault(struct walk *walk, const char *format, ...)
{
    char text[PATH_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    walk->count++;
    buffer_format(walk->lines, "%s: %s; %s\n", walk->path[0] ? walk->path : "the schema", text,
                  walk->before_is_writer ? "what was written before cannot be read"
                                         : "readers of before cannot read it");
}

static void add_kind(struct buffer *text, const struct json *type)
{
    if (!is_union(type)) {
        struct span kind = kind_of(type);
        buffer_add_span(text, kind.size ? kind : SPAN("no type"));
        return;
    }
    buffer_add_text(text, "[");
    for (const struct json *branch = type->first; branch != NULL; branch = branch->next) {
        add_kind(text, branch);
        buffer_add_text(text, branch->next != NULL ? ", " : "");
    }
    buffer_add_text(text, "]");
}

static void fault_type(struct walk *walk, const struct json *writer, const struct json *reader)
{
    struct buffer was = {0}, is = {0};
    add_kind(&was, walk->before_is_writer ? writer : reader);
    add_kind(&is, walk->before_is_writer ? reader : writer);
    fault(walk, "%.200s became %.200s", was.data, is.data);
    buffer_release(&was);
    buffer_release(&is);
}

/* ---- resolution ---- */

static void walk_types(struct walk *walk, const struct json *writer, const struct json *reader);

/* Steps into a part of the value, and back: *ret_size is for walk_out. */
static void walk_in(struct walk *walk, struct span name, const char *after, size_t *ret_size)
{
    *ret_size = strlen(walk->path);
    snprintf(walk->path + *ret_size, PATH_SIZE - *ret_size, "%s%.*s%s", *ret_size && name.size ? "." : "",
             (int)name.size, name.data ? name.data : "", after);
}

static void walk_out(struct walk *walk, size_t size)
{
    walk->path[size] = '\0';
}

static const struct json *field_named(const struct json *record, struct span name)
{
    for (const struct json *field = json_first_item(json_part(record, SPAN("fields"))); field != NULL;
         field = field->next)
        if (span_equal(json_text_part(field, SPAN("name")), name))
            return field;
    return NULL;
}

/* The writer's field for one of the reader's: by its name, or by an alias that the reader gives it. */
static const struct json *writers_field(const struct json *writer, const struct json *field)
{
    const struct json *found = field_named(writer, json_text_part(field, SPAN("name")));
    const struct json *alias = json_first_item(json_part(field, SPAN("aliases")));
    for (; found == NULL && alias != NULL; alias = alias->next)
        if (alias->type == JSON_KIND_TEXT)
            found = field_named(writer, alias->text);
    return found;
}

static bool same_name(const struct json *writer, const struct json *reader)
{
    return span_equal(name_of(writer), name_of(reader)) ||
           list_has(json_part(reader, SPAN("aliases")), name_of(writer));
}

static void check_name(struct walk *walk, const struct json *writer, const struct json *reader)
{
    const struct json *was = walk->before_is_writer ? writer : reader, *is = walk->before_is_writer ? reader : writer;
    if (walk->names && !same_name(writer, reader))
        fault(walk, "%.*s was renamed to %.*s without an alias", (int)name_of(was).size, name_of(was).data,
              (int)name_of(is).size, name_of(is).data);
}

static bool seen(struct walk *walk, const struct json *writer, const struct json *reader)
{
    for (size_t i = 0; i < walk->pair_count; i++)
        if (walk->pairs[i].writer == writer && walk->pairs[i].reader == reader)
            return true;
    if (walk->pair_count == PAIRS_MAX)
        return true;
    walk->pairs[walk->pair_count].writer = writer;
    walk->pairs[walk->pair_count++].reader = reader;
    return false;
}

static void walk_record(struct walk *walk, const struct json *writer, const struct json *reader)
{
    check_name(walk, writer, reader);
    if (seen(walk, writer, reader))
        return;
    for (const struct json *field = json_first_item(json_part(reader, SPAN("fields"))); field != NULL;
         field = field->next) {
        const struct json *written = writers_field(writer, field);
        size_t size;
        walk_in(walk, json_text_part(field, SPAN("name")), "", &size);
        if (written != NULL)
            walk_types(walk, json_part(written, SPAN("type")), json_part(field, SPAN("type")));
        else if (json_part(field, SPAN("default")) == NULL)
            fault(walk, walk->before_is_writer ? "a new field without a default" : "a field without a default is gone");
        walk_out(walk, size);
    }
}

static void walk_enum(struct walk *walk, const struct json *writer, const struct json *reader)
{
    check_name(walk, writer, reader);
    if (json_part(reader, SPAN("default")) != NULL)
        return;
    const struct json *known = json_part(reader, SPAN("symbols"));
    for (const struct json *symbol = json_first_item(json_part(writer, SPAN("symbols"))); symbol != NULL;
         symbol = symbol->next)
        if (symbol->type == JSON_KIND_TEXT && !list_has(known, symbol->text))
            fault(walk, "the symbol %.*s is %s, and there is no default", (int)symbol->text.size, symbol->text.data,
                  walk->before_is_writer ? "gone" : "new");
}

static void walk_fixed(struct walk *walk, const struct json *writer, const struct json *reader)
{
    const struct json *written = json_part(writer, SPAN("size")), *read = json_part(reader, SPAN("size"));
    check_name(walk, writer, reader);
    if (written == NULL || read == NULL || written->type != JSON_KIND_INTEGER || written->integer != read->integer)
        fault(walk, "its size changed");
}

static bool promotes(struct span writer, struct span reader)
{
    static const char *const to[][2] = {{"int", "long"},     {"int", "float"},   {"int", "double"},
                                        {"long", "float"},   {"long", "double"}, {"float", "double"},
                                        {"string", "bytes"}, {"bytes", "string"}};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++)
        if (span_equal(writer, span_of(to[i][0])) && span_equal(reader, span_of(to[i][1])))
            return true;
    return false;
}

/* To readers that know it a logical type is another value. */
static void check_logical(struct walk *walk, const struct json *writer, const struct json *reader)
{
    struct span written = json_text_part(writer, SPAN("logicalType")),
                read = json_text_part(reader, SPAN("logicalType"));
    struct span was = walk->before_is_writer ? written : read, is = walk->before_is_writer ? read : written;
    if (!span_equal(written, read))
        fault(walk, "its logical type \"%.*s\" became \"%.*s\"", (int)was.size, was.data ? was.data : "", (int)is.size,
              is.data ? is.data : "");
}

static void walk_same_kind(struct walk *walk, const struct json *writer, const struct json *reader)
{
    size_t size;
    if (is_kind(reader, "record")) {
        walk_record(walk, writer, reader);
    } else if (is_kind(reader, "enum")) {
        walk_enum(walk, writer, reader);
    } else if (is_kind(reader, "fixed")) {
        walk_fixed(walk, writer, reader);
    } else if (is_kind(reader, "array")) {
        walk_in(walk, SPAN(""), "[]", &size);
        walk_types(walk, json_part(writer, SPAN("items")), json_part(reader, SPAN("items")));
        walk_out(walk, size);
    } else if (is_kind(reader, "map")) {
        walk_in(walk, SPAN(""), "{}", &size);
        walk_types(walk, json_part(writer, SPAN("values")), json_part(reader, SPAN("values")));
        walk_out(walk, size);
    } else {
        check_logical(walk, writer, reader);
    }
}

/* Of a reader's union the first branch that the writer's type resolves to; one of the same kind speaks for the rest. */
static const struct json *branch_for(const struct walk *walk, const struct json *writer, const struct json *reader)
{
    const struct json *promoted = NULL;
    for (const struct json *branch = reader->first; branch != NULL; branch = branch->next) {
        const struct json *type = resolved(&walk->reader, branch);
        if (type == NULL || is_union(type))
            continue;
        bool named = is_kind(type, "record") || is_kind(type, "enum") || is_kind(type, "fixed");
        if (span_equal(kind_of(writer), kind_of(type)) && (!named || !walk->names || same_name(writer, type)))
            return type;
        if (promoted == NULL && promotes(kind_of(writer), kind_of(type)))
            promoted = type;
    }
    return promoted;
}

static void walk_resolved(struct walk *walk, const struct json *writer, const struct json *reader)
{
    const struct json *to = reader != NULL && is_union(reader) && writer != NULL && !is_union(writer)
                                ? branch_for(walk, writer, reader)
                                : reader;
    if (writer != NULL && to != NULL && is_union(writer)) {
        for (const struct json *branch = writer->first; branch != NULL; branch = branch->next)
            walk_types(walk, branch, reader);
    } else if (writer == NULL || to == NULL ||
               !(span_equal(kind_of(writer), kind_of(to)) || promotes(kind_of(writer), kind_of(to)))) {
        fault_type(walk, writer, reader);
    } else if (span_equal(kind_of(writer), kind_of(to))) {
        walk_same_kind(walk, writer, to);
    }
}

static void walk_types(struct walk *walk, const struct json *writer, const struct json *reader)
{
    if (++walk->depth <= DEPTH_MAX)
        walk_resolved(walk, resolved(&walk->writer, writer), resolved(&walk->reader, reader));
    walk->depth--;
}

/* ---- unchanged ---- */

static bool is_words(struct span key)
{
    return span_equal(key, SPAN("doc"));
}

static bool same(const struct json *a, const struct json *b)
{
    if (a->type != b->type || !span_equal(a->text, b->text))
        return false;
    const struct json *x = a->first, *y = b->first;
    for (;; x = x->next, y = y->next) {
        while (x != NULL && a->type == JSON_KIND_OBJECT && is_words(x->key))
            x = x->next;
        while (y != NULL && b->type == JSON_KIND_OBJECT && is_words(y->key))
            y = y->next;
        if (x == NULL || y == NULL)
            return x == y;
        if ((a->type == JSON_KIND_OBJECT && !span_equal(x->key, y->key)) || !same(x, y))
            return false;
    }
}

/* The first of the root's fields that is another one. */
static size_t check_unchanged(const struct json *before, const struct json *now, struct buffer *lines)
{
    if (same(before, now))
        return 0;
    const struct json *was = json_first_item(json_part(before, SPAN("fields"))),
                      *is = json_first_item(json_part(now, SPAN("fields")));
    while (was != NULL && is != NULL && same(was, is)) {
        was = was->next;
        is = is->next;
    }
    struct span name = is != NULL    ? json_text_part(is, SPAN("name"))
                       : was != NULL ? json_text_part(was, SPAN("name"))
                                     : SPAN("");
    buffer_format(lines, "%.*s: changed; it is read by position, so a change takes a new id or version\n",
                  name.size ? (int)name.size : 10, name.size ? name.data : "the schema");
    return 1;
}

/* ---- both ---- */

static size_t resolve(const struct json *writer, const struct json *reader, bool before_is_writer, bool names,
                      struct buffer *lines)
{
    struct walk walk = {.writer = {writer}, .reader = {reader}, .before_is_writer = before_is_writer};
    walk.names = names;
    walk.lines = lines;
    walk_types(&walk, writer, reader);
    return walk.count;
}

size_t schema_changes(struct span before, struct span now, unsigned promises, struct arena *arena,
                      struct buffer *ret_lines)
{
    const struct json *was = json_read(before, arena), *is = json_read(now, arena);
    bool names = promises & SCHEMA_NAMES;
    size_t count = 0;
    if (was == NULL || is == NULL) {
        buffer_add_text(ret_lines, "the schema: no JSON\n");
        return 1;
    }
    if (promises & SCHEMA_UNCHANGED)
        count += check_unchanged(was, is, ret_lines);
    if (promises & SCHEMA_READS_BEFORE)
        count += resolve(was, is, true, names, ret_lines);
    if (promises & SCHEMA_READ_BEFORE)
        count += resolve(is, was, false, names, ret_lines);
    return count;
}
