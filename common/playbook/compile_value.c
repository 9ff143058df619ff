#include "common/base/check.h"
#include "common/playbook/compile.h"
#include "common/playbook/expression_op.h"
#include "common/playbook/nearest.h"

#include <stdarg.h>

enum { ERRORS_MAX = 200, DAYS_MAX = 36500, COUNT_MAX = 1000000, TEXT_SIZE_MAX = 200, NAME_SIZE_MAX = 64 };

/* ---- errors ---- */

static void place_text(const struct place *place, struct buffer *text)
{
    if (place == NULL)
        return;
    place_text(place->parent, text);
    if (place->key.size == 0)
        buffer_format(text, "[%zu]", place->index);
    else
        buffer_format(text, "%s%.*s", text->size == 0 ? "" : ".", (int)place->key.size, place->key.data);
}

void compile_error_at(struct compiler *compiler, int line, int column, const struct place *place, const char *message)
{
    struct playbook_errors *errors = compiler->errors;
    struct buffer path = {0};
    if (++errors->count > ERRORS_MAX)
        return;
    if (errors->count == ERRORS_MAX)
        message = "too many errors; the rest is not shown";
    place_text(place, &path);
    buffer_format(&errors->text, "%s:%d:%d: ", compiler->file_name, line, column);
    for (size_t i = 0; i < path.size; i++) /* a key may hold anything */
        buffer_add_char(&errors->text, (unsigned char)path.data[i] < ' ' ? ' ' : path.data[i]);
    buffer_format(&errors->text, "%s%s\n", path.size == 0 ? "" : ": ", message);
    buffer_release(&path);
}

void compile_error(struct compiler *compiler, const struct node *node, const struct place *place, const char *format,
                   ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    compile_error_at(compiler, node->line, node->column, place, message);
}

void compile_expected(struct compiler *compiler, const struct node *node, const struct place *place,
                      const char *expected, const char *nearest)
{
    char found[NODE_FOUND_SIZE];
    node_found(node, found);
    compile_error(compiler, node, place, "expected %s, found %s%s%s", expected, found, nearest ? "; nearest: " : "",
                  nearest ? nearest : "");
}

/* ---- maps, lists, words ---- */

enum { FIELDS_MAX = 64 };

static void unknown_key(struct compiler *compiler, const struct node *item, const struct place *place,
                        const struct field *fields, size_t field_count)
{
    const char *names[FIELDS_MAX] = {NULL};
    struct node key = {
        .kind = NODE_SCALAR, .line = item->key_line, .column = item->key_column, .text = item->key, .quoted = true};
    char found[NODE_FOUND_SIZE];
    for (size_t i = 0; i < field_count; i++)
        names[i] = fields[i].key;
    const char *nearest = nearest_name(item->key, names, field_count);
    for (size_t i = 0; i < field_count && span_equal(item->key, SPAN("on")); i++) /* a boolean in YAML 1.1 */
        nearest = strcmp(names[i], "trigger") == 0 ? names[i] : nearest;
    node_found(&key, found);
    if (nearest != NULL) {
        compile_error(compiler, &key, place, "expected a known key, found %s; nearest: %s", found, nearest);
        return;
    }
    struct buffer list = {0};
    for (size_t i = 0; i < field_count; i++)
        buffer_format(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    compile_error(compiler, &key, place, "expected a known key (%s), found %s", list.data, found);
    buffer_release(&list);
}

bool compile_map(struct compiler *compiler, const struct node *node, const struct place *place,
                 const struct field *fields, size_t field_count, void *target)
{
    CHECK(field_count <= FIELDS_MAX);
    if (node->kind != NODE_MAP) {
        compile_expected(compiler, node, place, "a map (key: value)", NULL);
        return false;
    }
    for (const struct node *item = node->first; item != NULL; item = item->next) {
        size_t i = 0;
        while (i < field_count && !span_equal(item->key, span_of(fields[i].key)))
            i++;
        if (i == field_count) {
            unknown_key(compiler, item, place, fields, field_count);
            continue;
        }
        struct place inside = {.parent = place, .key = item->key};
        fields[i].read(compiler, item, &inside, (char *)target + fields[i].offset);
    }
    for (size_t i = 0; i < field_count; i++) {
        if (fields[i].required && node_find(node, fields[i].key) == NULL)
            compile_error(compiler, node, place, "expected the key \"%s\", found none", fields[i].key);
    }
    return true;
}

size_t compile_list(struct compiler *compiler, const struct node *node, const struct place *place, const char *expected)
{
    size_t count = 0;
    for (const struct node *item = node->first; item != NULL && node->kind == NODE_LIST; item = item->next)
        count++;
    if (node->kind == NODE_LIST && count == 0)
        compile_error(compiler, node, place, "expected %s, found an empty list", expected);
    else if (node->kind != NODE_LIST)
        compile_expected(compiler, node, place, expected, NULL);
    return count;
}

bool compile_word(struct compiler *compiler, const struct node *node, const struct place *place,
                  const struct words *words, int *ret_value)
{
    for (size_t i = 0; i < words->count && node->kind == NODE_SCALAR; i++) {
        if (span_equal(node->text, span_of(words->names[i]))) {
            *ret_value = (int)i;
            return true;
        }
    }
    struct buffer expected = {0};
    buffer_format(&expected, "%s (", words->what);
    for (size_t i = 0; i < words->count; i++)
        buffer_format(&expected, "%s%s", i == 0 ? "" : ", ", words->names[i]);
    buffer_add_char(&expected, ')');
    compile_expected(compiler, node, place, expected.data,
                     node->kind == NODE_SCALAR ? nearest_name(node->text, words->names, words->count) : NULL);
    buffer_release(&expected);
    return false;
}

bool compile_word_set(struct compiler *compiler, const struct node *node, const struct place *place,
                      const struct words *words, uint64_t *ret_set)
{
    uint64_t set = 0;
    int value;
    bool good = true;
    size_t index = 0;
    if (node->kind != NODE_LIST) {
        good = compile_word(compiler, node, place, words, &value);
        if (good)
            *ret_set = UINT64_C(1) << value;
        return good;
    }
    if (compile_list(compiler, node, place, words->what) == 0)
        return false;
    for (const struct node *item = node->first; item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        if (!compile_word(compiler, item, &inside, words, &value)) {
            good = false;
        } else if (set & UINT64_C(1) << value) {
            compile_expected(compiler, item, &inside, "each word once", NULL);
            good = false;
        } else {
            set |= UINT64_C(1) << value;
        }
    }
    if (good)
        *ret_set = set;
    return good;
}

struct words words_of_dimension(enum dimension dimension)
{
    static const char *names[DIMENSION_COUNT][SEGMENT_COUNT];
    static const size_t counts[] = {TIER_COUNT, PHASE_COUNT, GROWTH_COUNT, SEGMENT_COUNT};
    static const char *const what[] = {"a tier", "a phase", "a stage of growth", "a segment"};
    for (size_t i = 0; i < counts[dimension]; i++)
        names[dimension][i] = class_value_name(dimension, (int)i);
    return (struct words){what[dimension], names[dimension], counts[dimension]};
}

struct words words_of_purposes(void)
{
    static const char *names[PURPOSE_COUNT];
    for (int i = 0; i < PURPOSE_COUNT; i++)
        names[i] = purpose_name((enum purpose)i);
    return (struct words){"a survey's purpose", names, PURPOSE_COUNT};
}

/* ---- single values ---- */

static bool plain(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted && node->text.size > 0;
}

/* What must stand without quotes: in them it is a text, and nobody sees a difference between 100 and "100". */
static void expected_plain(struct compiler *compiler, const struct node *node, const struct place *place,
                           const char *expected)
{
    char without[200];
    bool quoted = node->kind == NODE_SCALAR && node->quoted;
    snprintf(without, sizeof without, "%s%s", expected, quoted ? ", without quotes" : "");
    compile_expected(compiler, node, place, without, NULL);
}

static bool digits_of(struct span text, size_t *at, int64_t *ret_number)
{
    int64_t number = 0;
    size_t start = *at;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9' && *at - start < 15)
        number = number * 10 + (text.data[(*at)++] - '0');
    *ret_number = number;
    return *at > start;
}

bool compile_integer(struct compiler *compiler, const struct node *node, const struct place *place, int64_t least,
                     int64_t most, const char *expected, int64_t *ret_value)
{
    size_t at = 0;
    int64_t value;
    if (!plain(node) || !digits_of(node->text, &at, &value) || at != node->text.size || value < least || value > most) {
        expected_plain(compiler, node, place, expected);
        return false;
    }
    *ret_value = value;
    return true;
}

bool duration_parse(struct span text, int64_t *ret_ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', SECOND_MS}, {'m', MINUTE_MS}, {'h', HOUR_MS}, {'d', DAY_MS}, {'w', 7 * DAY_MS}};
    size_t at = 0;
    int64_t number;
    if (!digits_of(text, &at, &number))
        return false;
    if (at == text.size && number == 0) {
        *ret_ms = 0;
        return true;
    }
    if (at + 1 != text.size)
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (units[i].letter == text.data[at] && number <= DAYS_MAX * DAY_MS / units[i].ms) {
            *ret_ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

/* By hand, not by strtod: "0.05" must mean 500 in every locale. */
bool share_parse(struct span text, uint32_t *ret_share)
{
    size_t at = 0;
    int64_t whole, value = 0, place = 100000; /* one digit more, to round by */
    if (!digits_of(text, &at, &whole) || whole > 1)
        return false;
    if (at < text.size && (text.data[at++] != '.' || at == text.size))
        return false;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        place /= 10;
        value += (text.data[at] - '0') * place;
    }
    value = (whole * 100000 + value + 5) / 10;
    if (value > 10000)
        return false;
    *ret_share = (uint32_t)value;
    return true;
}

static bool text_plain(struct span text, size_t most)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    }
    return text.size > 0 && text.size <= most;
}

static bool text_of(struct span text, const char *marks, bool capitals)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(capitals && c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr(marks, c) == NULL))
            return false;
    }
    return text.size > 0 && text.size <= NAME_SIZE_MAX;
}

void read_ignored_text(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    (void)target;
    if (node->kind != NODE_SCALAR)
        compile_expected(compiler, node, place, "a text", NULL);
}

void read_text(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || node_nothing(node) || !text_plain(node->text, TEXT_SIZE_MAX))
        compile_expected(compiler, node, place, "a text of 1 to 200 bytes on one line", NULL);
    else
        *(struct span *)target = node->text;
}

void read_name(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || node_nothing(node) || !text_of(node->text, "_", false))
        compile_expected(compiler, node, place, "a name (a-z, 0-9, _; at most 64)", NULL);
    else
        *(struct span *)target = node->text;
}

void read_label(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || node_nothing(node) || !text_of(node->text, "_-./", true))
        compile_expected(compiler, node, place, "a name (letters, digits, _ - . /; at most 64)", NULL);
    else
        *(struct span *)target = node->text;
}

void read_boolean(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    bool is_true = plain(node) && span_equal(node->text, SPAN("true"));
    if (!is_true && !(plain(node) && span_equal(node->text, SPAN("false"))))
        expected_plain(compiler, node, place, "true or false");
    else
        *(bool *)target = is_true;
}

void read_count64(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    compile_integer(compiler, node, place, 1, COUNT_MAX, "a whole number from 1", target);
}

static void read_integer32(struct compiler *compiler, const struct node *node, const struct place *place, int64_t least,
                           int64_t most, const char *expected, int32_t *target)
{
    int64_t value;
    if (compile_integer(compiler, node, place, least, most, expected, &value))
        *target = (int32_t)value;
}

void read_count32(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    read_integer32(compiler, node, place, 1, COUNT_MAX, "a whole number from 1", target);
}

void read_nps(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    read_integer32(compiler, node, place, 0, 10, "an nps from 0 to 10", target);
}

void read_satisfaction(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    read_integer32(compiler, node, place, 1, 5, "a satisfaction from 1 to 5", target);
}

void read_days(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    int64_t days;
    if (compile_integer(compiler, node, place, 0, DAYS_MAX, "a whole number of days", &days))
        *(int64_t *)target = days * DAY_MS;
}

void read_duration(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || !duration_parse(node->text, target))
        compile_expected(compiler, node, place, "a duration like 14d, 36h or 0", NULL);
}

void read_positive_duration(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    int64_t ms;
    if (node->kind != NODE_SCALAR || !duration_parse(node->text, &ms) || ms == 0)
        compile_expected(compiler, node, place, "a duration like 14d or 36h, longer than 0", NULL);
    else
        *(int64_t *)target = ms;
}

void read_share(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (!plain(node) || !share_parse(node->text, target))
        expected_plain(compiler, node, place, "a share from 0 to 1, like 0.05");
}

void read_time_of_day(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    size_t at = 0;
    int64_t hour = 0, minute = 0;
    struct span text = node->text;
    bool good = node->kind == NODE_SCALAR && text.size == 5 && digits_of(text, &at, &hour) && at == 2 &&
                text.data[at++] == ':' && digits_of(text, &at, &minute) && at == 5 && minute < 60 &&
                hour * 60 + minute <= 1440;
    if (!good)
        compile_expected(compiler, node, place, "a time of day like \"09:00\"", NULL);
    else
        *(int64_t *)target = hour * HOUR_MS + minute * MINUTE_MS;
}

void read_expression(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct expression_error error = {0};
    if (node->kind != NODE_SCALAR || node_nothing(node)) {
        compile_expected(compiler, node, place, "a condition like purchases >= 1", NULL);
        return;
    }
    if (!expression_compile(compiler->arena, node->text, compiler->expression_facts, target, &error))
        compile_error(compiler, node, place, "at character %zu of \"%.*s\": %s", error.column,
                      (int)(node->text.size < 400 ? node->text.size : 400), node->text.data, error.message.data);
    buffer_release(&error.message);
}
