#include "common/codec/schema_link.h"

#include "common/codec/json.h"

enum { DEPTH_MAX = 64, TYPES_MAX = 512 };

struct type {
    struct span name; /* full: with its namespace */
    struct span space;
    const struct json *definition;
    bool written;
};

struct linker {
    struct arena *arena;
    struct buffer *avsc, *error;
    struct type types[TYPES_MAX];
    size_t type_count;
    int depth;
};

static bool refuse(struct linker *linker, const char *why, struct span name)
{
    if (linker->error->size == 0)
        buffer_format(linker->error, "%s%.*s", why, (int)(name.size < 200 ? name.size : 200), name.data);
    return false;
}

static bool is_one_of(struct span word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal(word, span_of(words[i])))
            return true;
    return false;
}

static bool is_primitive(struct span word)
{
    static const char *const words[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
    return is_one_of(word, words, sizeof words / sizeof *words);
}

static bool is_named_kind(struct span word)
{
    static const char *const words[] = {"record", "error", "enum", "fixed"};
    return is_one_of(word, words, sizeof words / sizeof *words);
}

/* ---- names ---- */

static struct span space_of(struct span full)
{
    size_t size = full.size;
    while (size > 0 && full.data[size - 1] != '.')
        size--;
    return (struct span){full.data, size ? size - 1 : 0};
}

static struct span full_name(struct linker *linker, struct span name, struct span space)
{
    if (span_empty(space) || memchr(name.data, '.', name.size) != NULL)
        return name;
    struct buffer full = {0};
    buffer_format(&full, "%.*s.%.*s", (int)space.size, space.data, (int)name.size, name.data);
    struct span kept = arena_copy(linker->arena, buffer_span(&full));
    buffer_release(&full);
    return kept;
}

/* A definition's full name: its own namespace goes before the one around it, and a dotted name before both. */
static struct span name_of(struct linker *linker, const struct json *definition, struct span around)
{
    const struct json *own = json_part_of(definition, SPAN("namespace"), JSON_KIND_TEXT);
    return full_name(linker, json_text_part(definition, SPAN("name")), own != NULL ? own->text : around);
}

static struct type *find(struct linker *linker, struct span full)
{
    for (size_t i = 0; i < linker->type_count; i++)
        if (span_equal(linker->types[i].name, full))
            return &linker->types[i];
    return NULL;
}

static bool same_json(const struct json *a, const struct json *b)
{
    struct buffer x = {0}, y = {0};
    json_add(&x, a);
    json_add(&y, b);
    bool same = span_equal(buffer_span(&x), buffer_span(&y));
    buffer_release(&x);
    buffer_release(&y);
    return same;
}

/* ---- what is defined where ---- */

static bool collect(struct linker *linker, const struct json *type, struct span around);

static bool collect_named(struct linker *linker, const struct json *type, struct span around)
{
    struct span full = name_of(linker, type, around);
    const struct type *other = find(linker, full);
    if (span_empty(full))
        return refuse(linker, "defines a type without a name", SPAN(""));
    if (other != NULL && !same_json(other->definition, type))
        return refuse(linker, "has two different types of one name: ", full);
    if (other == NULL && linker->type_count == TYPES_MAX)
        return refuse(linker, "has too many types", SPAN(""));
    if (other == NULL)
        linker->types[linker->type_count++] = (struct type){full, space_of(full), type, false};
    const struct json *fields = json_part_of(type, SPAN("fields"), JSON_KIND_ARRAY);
    for (const struct json *field = fields != NULL ? fields->first : NULL; field != NULL; field = field->next) {
        const struct json *of_field = json_part(field, SPAN("type"));
        if (of_field != NULL && !collect(linker, of_field, space_of(full)))
            return false;
    }
    return true;
}

static bool collect_parts(struct linker *linker, const struct json *type, struct span around)
{
    static const char *const keys[] = {"type", "items", "values"};
    if (type->type == JSON_KIND_ARRAY) {
        for (const struct json *branch = type->first; branch != NULL; branch = branch->next)
            if (!collect(linker, branch, around))
                return false;
        return true;
    }
    for (size_t i = 0; type->type == JSON_KIND_OBJECT && i < sizeof keys / sizeof *keys; i++) {
        const struct json *inner = json_member(type, span_of(keys[i]));
        if (inner != NULL && !collect(linker, inner, around))
            return false;
    }
    return true;
}

static bool collect(struct linker *linker, const struct json *type, struct span around)
{
    if (++linker->depth > DEPTH_MAX)
        return refuse(linker, "is nested too deep", SPAN(""));
    bool good = is_named_kind(json_text_part(type, SPAN("type"))) ? collect_named(linker, type, around)
                                                                  : collect_parts(linker, type, around);
    linker->depth--;
    return good;
}

/* ---- writing ---- */

static bool write_type(struct linker *linker, const struct json *type, struct span around);

static bool write_fields(struct linker *linker, const struct type *type)
{
    const struct json *fields = json_part_of(type->definition, SPAN("fields"), JSON_KIND_ARRAY);
    if (fields == NULL)
        return refuse(linker, "has a record without fields: ", type->name);
    buffer_add_text(linker->avsc, ",\"fields\":[");
    for (const struct json *field = fields->first; field != NULL; field = field->next) {
        const struct json *of_field = json_part(field, SPAN("type"));
        if (of_field == NULL)
            return refuse(linker, "has a field without a type in ", type->name);
        buffer_add_text(linker->avsc, field == fields->first ? "{\"name\":" : ",{\"name\":");
        json_add_text(linker->avsc, json_text_part(field, SPAN("name")));
        buffer_add_text(linker->avsc, ",\"type\":");
        if (!write_type(linker, of_field, type->space))
            return false;
        buffer_add_char(linker->avsc, '}');
    }
    buffer_add_char(linker->avsc, ']');
    return true;
}

static bool write_definition(struct linker *linker, const struct type *type, int number)
{
    struct span kind = json_text_part(type->definition, SPAN("type"));
    const struct json *symbols = json_part_of(type->definition, SPAN("symbols"), JSON_KIND_ARRAY);
    const struct json *size = json_part_of(type->definition, SPAN("size"), JSON_KIND_INTEGER);
    bool is_enum = span_equal(kind, SPAN("enum")), is_fixed = span_equal(kind, SPAN("fixed"));
    bool good = true;
    if ((is_enum && symbols == NULL) || (is_fixed && size == NULL))
        return refuse(linker, "has no symbols or no size for ", type->name);
    buffer_format(linker->avsc, "{\"type\":\"%s\",\"name\":\"t%d\"",
                  is_enum    ? "enum"
                  : is_fixed ? "fixed"
                             : "record",
                  number);
    if (is_enum || is_fixed) {
        buffer_add_text(linker->avsc, is_enum ? ",\"symbols\":" : ",\"size\":");
        json_add(linker->avsc, is_enum ? symbols : size);
    } else {
        good = write_fields(linker, type);
    }
    buffer_add_char(linker->avsc, '}');
    return good;
}

/* By its name: in full the first time, then "tN". A bare name is looked for in the namespace around it first. */
static bool write_name(struct linker *linker, struct span name, struct span around)
{
    struct type *type = find(linker, full_name(linker, name, around));
    if (type == NULL)
        type = find(linker, name);
    if (type == NULL)
        return refuse(linker, "names a type that neither it nor what it refers to defines: ", name);
    int number = (int)(type - linker->types) + 1;
    if (type->written) {
        buffer_format(linker->avsc, "\"t%d\"", number);
        return true;
    }
    type->written = true;
    return write_definition(linker, type, number);
}

static bool write_list(struct linker *linker, const struct json *items, struct span around)
{
    buffer_add_char(linker->avsc, '[');
    for (const struct json *item = items->first; item != NULL; item = item->next) {
        if (item != items->first)
            buffer_add_char(linker->avsc, ',');
        if (!write_type(linker, item, around))
            return false;
    }
    buffer_add_char(linker->avsc, ']');
    return true;
}

static bool write_object(struct linker *linker, const struct json *type, struct span around)
{
    const struct json *kind = json_member(type, SPAN("type"));
    bool is_array = kind != NULL && kind->type == JSON_KIND_TEXT && span_equal(kind->text, SPAN("array"));
    bool is_map = kind != NULL && kind->type == JSON_KIND_TEXT && span_equal(kind->text, SPAN("map"));
    const struct json *inner = is_array ? json_member(type, SPAN("items")) : json_member(type, SPAN("values"));
    if (kind == NULL || ((is_array || is_map) && inner == NULL))
        return refuse(linker, "has an object that is no type", SPAN(""));
    if (kind->type == JSON_KIND_TEXT && is_named_kind(kind->text))
        return write_name(linker, name_of(linker, type, around), SPAN(""));
    if (!is_array && !is_map)
        return write_type(linker, kind, around); /* {"type": "long", "logicalType": ...} is a long */
    buffer_add_text(linker->avsc, is_array ? "{\"type\":\"array\",\"items\":" : "{\"type\":\"map\",\"values\":");
    if (!write_type(linker, inner, around))
        return false;
    buffer_add_char(linker->avsc, '}');
    return true;
}

static bool write_type(struct linker *linker, const struct json *type, struct span around)
{
    bool good;
    if (++linker->depth > DEPTH_MAX)
        return refuse(linker, "is nested too deep", SPAN(""));
    if (type->type == JSON_KIND_TEXT && is_primitive(type->text)) {
        json_add_text(linker->avsc, type->text);
        good = true;
    } else if (type->type == JSON_KIND_TEXT) {
        good = write_name(linker, type->text, around);
    } else if (type->type == JSON_KIND_ARRAY) {
        good = write_list(linker, type, around);
    } else {
        good = type->type == JSON_KIND_OBJECT ? write_object(linker, type, around)
                                              : refuse(linker, "is no schema", SPAN(""));
    }
    linker->depth--;
    return good;
}

bool schema_link(struct span root, const struct span *others, size_t count, struct arena *arena, struct buffer *avsc,
                 struct buffer *error)
{
    struct linker *linker = ARENA_NEW(arena, struct linker);
    *linker = (struct linker){.arena = arena, .avsc = avsc, .error = error};
    const struct json *type = json_read(root, arena);
    bool good = type != NULL && collect(linker, type, SPAN(""));
    for (size_t i = 0; i < count && good; i++) {
        const struct json *other = json_read(others[i], arena);
        good = other != NULL && collect(linker, other, SPAN(""));
    }
    if (!good)
        return refuse(linker, "is not JSON, or refers to what is not", SPAN(""));
    return write_type(linker, type, SPAN(""));
}
