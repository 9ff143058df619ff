#include "common/codec/json.h"

#include "common/codec/json_reader.h"

#include <stdlib.h>

enum {
    DEPTH_MAX = 256,        /* the reader calls itself: bounds the stack */
    DIGITS_ALWAYS_FIT = 18, /* in 63 bits */
    QUADRATIC_KEYS_MAX = 32 /* up to here keys are compared pair by pair, above they are sorted first */
};

size_t utf8_sequence(const unsigned char *at, const unsigned char *end)
{
    unsigned char first = at[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) < size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, above U+10FFFF: seen in the second byte */
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) || (first == 0xf0 && at[1] < 0x90) ||
        (first == 0xf4 && at[1] > 0x8f))
        return 0;
    return size;
}

bool utf8_valid(struct span text)
{
    const unsigned char *at = (const unsigned char *)(text.data ? text.data : ""), *end = at + text.size;
    at += span_plain(text);
    while (at < end) {
        size_t size = utf8_sequence(at, end);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

const unsigned char *json_space_end_whole(const unsigned char *at, const unsigned char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct json_reader *r, uint32_t *ret_code)
{
    uint32_t code = 0;
    if (r->end - r->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*r->at++);
        if (digit < 0)
            return false;
        code = code << 4 | (uint32_t)digit;
    }
    *ret_code = code;
    return true;
}

static bool take_code_point(struct json_reader *r, uint32_t *ret_code)
{
    if (!take_hex(r, ret_code))
        return false;
    if (*ret_code < 0xd800 || *ret_code > 0xdfff)
        return true;
    const unsigned char *behind = r->at;
    uint32_t low;
    if (*ret_code <= 0xdbff && json_take(r, '\\') && json_take(r, 'u') && take_hex(r, &low) && low >= 0xdc00 &&
        low <= 0xdfff) {
        *ret_code = 0x10000 + ((*ret_code - 0xd800) << 10) + (low - 0xdc00);
        return true;
    }
    r->at = behind;
    r->lone = true;
    *ret_code = 0xfffd; /* what stands for it where the text is shown */
    return r->marking;
}

static char *put_code_point(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | code >> (6 * more));
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return to;
}

/* Behind a backslash. NULL: no escape. */
static char *take_escape(struct json_reader *r, char *to)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end)
        return NULL;
    char letter = (char)*r->at++;
    if (letter == 'u') {
        uint32_t code;
        return take_code_point(r, &code) ? put_code_point(to, code) : NULL;
    }
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found == NULL)
        return NULL;
    *to++ = values[found - letters];
    return to;
}

/* The text from `start` has an escape at r->at: copied into the arena, where it is never longer than what was written.
 */
static bool take_escaped_text(struct json_reader *r, const unsigned char *start, struct span *ret_text)
{
    const unsigned char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' && close + 1 < r->end ? 2 : 1;
    char *copy = arena_take(r->arena, (size_t)(close - start) + 1), *to = copy;
    memcpy(to, start, (size_t)(r->at - start));
    to += r->at - start;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\') {
            r->at++;
            to = take_escape(r, to);
            if (to == NULL)
                return false;
            continue;
        }
        size_t size = *r->at < 0x20 ? 0 : utf8_sequence(r->at, r->end);
        if (size == 0)
            return false;
        memcpy(to, r->at, size);
        to += size;
        r->at += size;
    }
    *ret_text = (struct span){copy, (size_t)(to - copy)};
    return json_take(r, '"');
}

bool json_take_text(struct json_reader *r, struct span *ret_text)
{
    r->lone = false;
    if (!json_take(r, '"'))
        return false;
    const unsigned char *start = r->at;
    while ((r->at = json_plain_end(r->at, r->end)) < r->end) {
        unsigned char c = *r->at;
        if (c == '"') {
            *ret_text = (struct span){(const char *)start, (size_t)(r->at - start)};
            r->at++;
            return true;
        }
        if (c == '\\')
            return take_escaped_text(r, start, ret_text);
        size_t size = c < 0x20 ? 0 : utf8_sequence(r->at, r->end);
        if (size == 0)
            return false;
        r->at += size;
    }
    return false;
}

static size_t take_digits(struct json_reader *r)
{
    const unsigned char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return (size_t)(r->at - start);
}

static bool fits_integer(struct span digits, bool minus, int64_t *ret_integer)
{
    uint64_t value = 0, limit = (uint64_t)INT64_MAX + minus;
    for (size_t i = 0; i < digits.size; i++) {
        unsigned digit = (unsigned)(digits.data[i] - '0');
        if (i >= DIGITS_ALWAYS_FIT && value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_integer = minus ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool take_number(struct json_reader *r, struct json *value)
{
    const unsigned char *start = r->at;
    bool minus = json_take(r, '-'), whole = true;
    const unsigned char *digits = r->at;
    if (!json_take(r, '0') && take_digits(r) == 0)
        return false;
    size_t digit_count = (size_t)(r->at - digits);
    if (json_take(r, '.')) {
        whole = false;
        if (take_digits(r) == 0)
            return false;
    }
    if (json_take(r, 'e') || json_take(r, 'E')) {
        whole = false;
        if (!json_take(r, '+'))
            json_take(r, '-');
        if (take_digits(r) == 0)
            return false;
    }
    value->text = (struct span){(const char *)start, (size_t)(r->at - start)};
    whole = whole && fits_integer((struct span){(const char *)digits, digit_count}, minus, &value->integer);
    value->type = whole ? JSON_KIND_INTEGER : JSON_KIND_NUMBER;
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

static bool keys_differ_sorted(struct json_reader *r, const struct json *object)
{
    struct span *keys = ARENA_ARRAY(r->arena, struct span, object->count);
    size_t count = 0;
    for (const struct json *member = object->first; member != NULL; member = member->next)
        keys[count++] = member->key;
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++)
        if (span_equal(keys[i - 1], keys[i]))
            return false;
    return true;
}

/* Most keys of one length differ in their first or last byte. */
static bool same_key(struct span a, struct span b)
{
    if (a.size != b.size)
        return false;
    return a.size == 0 || (a.data[0] == b.data[0] && a.data[a.size - 1] == b.data[b.size - 1] && span_equal(a, b));
}

bool json_keys_differ(struct json_reader *r, const struct json *object)
{
    if (object->count > QUADRATIC_KEYS_MAX)
        return keys_differ_sorted(r, object);
    for (const struct json *a = object->first; a != NULL; a = a->next)
        for (const struct json *b = a->next; b != NULL; b = b->next)
            if (same_key(a->key, b->key))
                return false;
    return true;
}

/* The items of an array or the members of an object, behind its opening bracket. */
static bool take_children(struct json_reader *r, struct json *parent, char close)
{
    const struct json **link = &parent->first;
    json_skip_space(r);
    if (json_take(r, close))
        return true;
    do {
        struct json *child = ARENA_NEW(r->arena, struct json);
        json_skip_space(r);
        bool lone_key = false;
        if (close == '}') {
            if (!json_take_text(r, &child->key))
                return false;
            lone_key = r->lone;
            json_skip_space(r);
            if (!json_take(r, ':'))
                return false;
        }
        if (!json_take_value(r, child))
            return false;
        if (lone_key)
            *child = (struct json){.type = JSON_KIND_BAD_TEXT, .key = child->key, .text = child->key};
        *link = child;
        link = &child->next;
        parent->count++;
        json_skip_space(r);
    } while (json_take(r, ','));
    return json_take(r, close);
}

static bool take_word(struct json_reader *r, struct span word, enum json_type type, struct json *value)
{
    if ((size_t)(r->end - r->at) < word.size || memcmp(r->at, word.data, word.size) != 0)
        return false;
    r->at += word.size;
    value->type = type;
    return true;
}

static bool take_nested(struct json_reader *r, struct json *value, enum json_type type)
{
    if (++r->depth > DEPTH_MAX)
        return false;
    r->at++;
    value->type = type;
    bool taken = take_children(r, value, type == JSON_KIND_OBJECT ? '}' : ']');
    r->depth--;
    return taken && (type != JSON_KIND_OBJECT || json_keys_differ(r, value));
}

bool json_take_value(struct json_reader *r, struct json *value)
{
    json_skip_space(r);
    if (r->at == r->end)
        return false;
    switch (*r->at) {
    case '"':
        if (!json_take_text(r, &value->text))
            return false;
        value->type = r->lone ? JSON_KIND_BAD_TEXT : JSON_KIND_TEXT;
        return true;
    case '{':
        return take_nested(r, value, JSON_KIND_OBJECT);
    case '[':
        return take_nested(r, value, JSON_KIND_ARRAY);
    case 't':
        return take_word(r, SPAN("true"), JSON_KIND_TRUE, value);
    case 'f':
        return take_word(r, SPAN("false"), JSON_KIND_FALSE, value);
    case 'n':
        return take_word(r, SPAN("null"), JSON_KIND_NULL, value);
    default:
        return take_number(r, value);
    }
}

static const struct json *read_whole(struct span text, struct arena *arena, bool marking)
{
    struct json_reader r = json_reader_of(text, arena, marking);
    struct json *value = ARENA_NEW(arena, struct json);
    return json_take_value(&r, value) && json_at_end(&r) ? value : NULL;
}

const struct json *json_read(struct span text, struct arena *arena)
{
    return read_whole(text, arena, false);
}

const struct json *json_read_marking(struct span text, struct arena *arena)
{
    return read_whole(text, arena, true);
}

const struct json *json_member(const struct json *object, struct span key)
{
    for (const struct json *member = object->first; member != NULL; member = member->next)
        if (span_equal(member->key, key))
            return member;
    return NULL;
}

const struct json *json_part(const struct json *value, struct span key)
{
    return value != NULL && value->type == JSON_KIND_OBJECT ? json_member(value, key) : NULL;
}

const struct json *json_part_of(const struct json *value, struct span key, enum json_type type)
{
    const struct json *found = json_part(value, key);
    return found != NULL && found->type == type ? found : NULL;
}

bool json_has_bad_text(const struct json *value)
{
    if (value->type == JSON_KIND_BAD_TEXT)
        return true;
    for (const struct json *child = value->first; child != NULL; child = child->next)
        if (json_has_bad_text(child))
            return true;
    return false;
}

struct span json_text_part(const struct json *value, struct span key)
{
    const struct json *found = json_part_of(value, key, JSON_KIND_TEXT);
    return found != NULL ? found->text : SPAN("");
}

const struct json *json_first_item(const struct json *value)
{
    return value != NULL && value->type == JSON_KIND_ARRAY ? value->first : NULL;
}

static void add_escape(struct buffer *buffer, unsigned char c)
{
    static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(letters, c) : NULL;
    if (found != NULL) {
        char escape[2] = {'\\', names[found - letters]};
        buffer_add(buffer, escape, sizeof escape);
    } else {
        static const char hex[] = "0123456789abcdef";
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buffer_add(buffer, escape, sizeof escape);
    }
}

void json_add_text(struct buffer *buffer, struct span text)
{
    text = text.data ? text : SPAN("");
    const unsigned char *done = (const unsigned char *)text.data, *end = done + text.size, *at = done;
    buffer_add_char(buffer, '"');
    while ((at = json_plain_end(at, end)) < end) {
        unsigned char c = *at++;
        if (c >= 0x80)
            continue;
        buffer_add(buffer, done, (size_t)(at - 1 - done));
        add_escape(buffer, c);
        done = at;
    }
    buffer_add(buffer, done, (size_t)(end - done));
    buffer_add_char(buffer, '"');
}

static void add_children(struct buffer *buffer, const struct json *parent)
{
    bool object = parent->type == JSON_KIND_OBJECT;
    buffer_add_char(buffer, object ? '{' : '[');
    for (const struct json *child = parent->first; child != NULL; child = child->next) {
        if (child != parent->first)
            buffer_add_char(buffer, ',');
        if (object) {
            json_add_text(buffer, child->key);
            buffer_add_char(buffer, ':');
        }
        json_add(buffer, child);
    }
    buffer_add_char(buffer, object ? '}' : ']');
}

void json_add(struct buffer *buffer, const struct json *value)
{
    switch (value->type) {
    case JSON_KIND_NULL:
        buffer_add_text(buffer, "null");
        break;
    case JSON_KIND_FALSE:
        buffer_add_text(buffer, "false");
        break;
    case JSON_KIND_TRUE:
        buffer_add_text(buffer, "true");
        break;
    case JSON_KIND_INTEGER:
    case JSON_KIND_NUMBER:
        buffer_add_span(buffer, value->text);
        break;
    case JSON_KIND_TEXT:
    case JSON_KIND_BAD_TEXT:
        json_add_text(buffer, value->text);
        break;
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        add_children(buffer, value);
        break;
    }
}
