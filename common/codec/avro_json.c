#include "common/codec/avro_json.h"

#include "common/codec/avro_binary.h"
#include "common/codec/json.h"

#include <math.h>

enum { DEPTH_MAX = 64, EMPTY_ITEMS_MAX = 65536 };

struct writer {
    struct avro_cursor cursor;
    struct buffer *buffer;
    size_t empty_items;
    int depth;
};

static bool write_value(struct writer *w, avro_schema_t schema);

/* Bytes as the text of the code points 0 to 255. */
static void write_bytes(struct writer *w, struct span bytes)
{
    struct buffer text = {0};
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char)bytes.data[i];
        if (byte >= 0x80)
            buffer_add_char(&text, (char)(0xc0 | byte >> 6));
        buffer_add_char(&text, (char)(byte < 0x80 ? byte : 0x80 | (byte & 0x3f)));
    }
    json_add_text(w->buffer, buffer_span(&text));
    buffer_release(&text);
}

static bool write_text(struct writer *w)
{
    struct span text = avro_read_bytes(&w->cursor);
    if (w->cursor.bad || !utf8_valid(text))
        return false;
    json_add_text(w->buffer, text);
    return true;
}

static void write_real(struct writer *w, double value)
{
    if (isfinite(value))
        buffer_format(w->buffer, "%.17g", value);
    else
        buffer_add_text(w->buffer, "null"); /* JSON has no word for it */
}

static bool write_float(struct writer *w, size_t size)
{
    struct span bytes = avro_read_fixed(&w->cursor, size);
    float narrow;
    double wide;
    if (bytes.size != size)
        return false;
    if (size == sizeof narrow) {
        memcpy(&narrow, bytes.data, sizeof narrow);
        wide = (double)narrow;
    } else {
        memcpy(&wide, bytes.data, sizeof wide);
    }
    write_real(w, wide);
    return true;
}

static bool write_enum(struct writer *w, avro_schema_t schema)
{
    int64_t index = avro_read_long(&w->cursor);
    if (index < 0 || index >= avro_schema_enum_number_of_symbols(schema))
        return false;
    json_add_text(w->buffer, span_of(avro_schema_enum_get(schema, (int)index)));
    return true;
}

static bool write_record(struct writer *w, avro_schema_t schema)
{
    buffer_add_char(w->buffer, '{');
    for (int i = 0; i < (int)avro_schema_record_size(schema); i++) {
        if (i > 0)
            buffer_add_char(w->buffer, ',');
        json_add_text(w->buffer, span_of(avro_schema_record_field_name(schema, i)));
        buffer_add_char(w->buffer, ':');
        if (!write_value(w, avro_schema_record_field_get_by_index(schema, i)))
            return false;
    }
    buffer_add_char(w->buffer, '}');
    return true;
}

static bool write_items(struct writer *w, avro_schema_t items, bool is_map)
{
    bool first = true;
    buffer_add_char(w->buffer, is_map ? '{' : '[');
    for (size_t count; (count = avro_read_block_within(&w->cursor, avro_cursor_left(&w->cursor) + EMPTY_ITEMS_MAX -
                                                                       w->empty_items)) != 0;) {
        for (; count > 0; count--) {
            const unsigned char *start = w->cursor.at;
            if (!first)
                buffer_add_char(w->buffer, ',');
            first = false;
            if (is_map && !write_text(w))
                return false;
            if (is_map)
                buffer_add_char(w->buffer, ':');
            if (!write_value(w, items) || (w->cursor.at == start && ++w->empty_items > EMPTY_ITEMS_MAX))
                return false;
        }
    }
    buffer_add_char(w->buffer, is_map ? '}' : ']');
    return true;
}

static bool write_union(struct writer *w, avro_schema_t schema)
{
    int64_t branch = avro_read_long(&w->cursor);
    return branch >= 0 && branch < (int64_t)avro_schema_union_size(schema) &&
           write_value(w, avro_schema_union_branch(schema, (int)branch));
}

static bool write_by_type(struct writer *w, avro_schema_t schema)
{
    switch (avro_typeof(schema)) {
    case AVRO_NULL:
        buffer_add_text(w->buffer, "null");
        return true;
    case AVRO_BOOLEAN:
        buffer_add_text(w->buffer, avro_read_boolean(&w->cursor) ? "true" : "false");
        return true;
    case AVRO_INT32:
        buffer_add_integer(w->buffer, avro_read_int(&w->cursor));
        return true;
    case AVRO_INT64:
        buffer_add_integer(w->buffer, avro_read_long(&w->cursor));
        return true;
    case AVRO_FLOAT:
        return write_float(w, 4);
    case AVRO_DOUBLE:
        return write_float(w, 8);
    case AVRO_STRING:
        return write_text(w);
    case AVRO_BYTES:
        write_bytes(w, avro_read_bytes(&w->cursor));
        return true;
    case AVRO_FIXED:
        write_bytes(w, avro_read_fixed(&w->cursor, (size_t)avro_schema_fixed_size(schema)));
        return true;
    case AVRO_ENUM:
        return write_enum(w, schema);
    case AVRO_RECORD:
        return write_record(w, schema);
    case AVRO_ARRAY:
        return write_items(w, avro_schema_array_items(schema), false);
    case AVRO_MAP:
        return write_items(w, avro_schema_map_values(schema), true);
    case AVRO_UNION:
        return write_union(w, schema);
    default:
        return write_value(w, avro_schema_link_target(schema));
    }
}

static bool write_value(struct writer *w, avro_schema_t schema)
{
    if (++w->depth > DEPTH_MAX)
        return false;
    bool written = write_by_type(w, schema);
    w->depth--;
    return written && !w->cursor.bad;
}

bool avro_json_write(avro_schema_t schema, struct span datum, struct buffer *buffer)
{
    struct writer w = {.cursor = avro_cursor_of(datum), .buffer = buffer};
    size_t before = buffer->size;
    if (write_value(&w, schema) && w.cursor.at == w.cursor.end)
        return true;
    buffer->size = before;
    return false;
}
