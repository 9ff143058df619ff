#include "common/base/check.h"
#include "common/codec/mapping_rule.h"
#include "common/playbook/compile.h"
#include "common/playbook/nearest.h"

#include <stdlib.h>

enum { EVENTS_MAX = 64, FIELDS_MAX = 64, WORDS_MAX = 200, TRANSLATIONS_MAX = 500, TOKENS_MAX = 16, PIECES_MAX = 16 };

/* ---- constants ---- */

static bool integer_of(struct span text, int64_t *ret_value)
{
    bool minus = text.size > 1 && text.data[0] == '-';
    uint64_t value = 0;
    if (text.size == 0 || text.size > 18 || (text.size > 1 && text.data[minus] == '0'))
        return false; /* 007 is a text */
    for (size_t i = minus; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *ret_value = minus ? -(int64_t)value : (int64_t)value;
    return true;
}

/* A plain scalar is true, false or a whole number if it looks so; all else is a text. */
static void read_constant(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct json *json = ARENA_NEW(compiler->arena, struct json);
    if (node->kind != NODE_SCALAR || node_nothing(node)) {
        compile_expected(compiler, node, place, "a text, a whole number, true or false", NULL);
        return;
    }
    json->text = node->text;
    json->type = JSON_KIND_TEXT;
    if (!node->quoted && span_equal(node->text, SPAN("true")))
        json->type = JSON_KIND_TRUE;
    else if (!node->quoted && span_equal(node->text, SPAN("false")))
        json->type = JSON_KIND_FALSE;
    else if (!node->quoted && integer_of(node->text, &json->integer))
        json->type = JSON_KIND_INTEGER;
    *(const struct json **)target = json;
}

static void read_word(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR)
        compile_expected(compiler, node, place, "one word", NULL);
    else
        *(struct span *)target = node->text;
}

/* ---- pointers ---- */

/* ~1 is a slash, ~0 a tilde, nothing else is behind a tilde. */
static bool unescape(struct arena *arena, struct span token, struct span *ret_token)
{
    char *copy = arena_take(arena, token.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] != '~') {
            copy[size++] = token.data[i];
            continue;
        }
        if (++i == token.size || (token.data[i] != '0' && token.data[i] != '1'))
            return false;
        copy[size++] = token.data[i] == '0' ? '~' : '/';
    }
    *ret_token = (struct span){copy, size};
    return true;
}

static bool pointer_parse(struct arena *arena, struct span text, struct pointer *ret_pointer)
{
    struct span rest = text;
    struct span *tokens = ARENA_ARRAY(arena, struct span, TOKENS_MAX);
    *ret_pointer = (struct pointer){.text = text, .tokens = tokens};
    if (rest.size && rest.data[0] == '.') {
        ret_pointer->from_item = true;
        rest = (struct span){rest.data + 1, rest.size - 1};
    }
    while (rest.size) {
        if (rest.data[0] != '/' || ret_pointer->token_count == TOKENS_MAX)
            return false;
        const char *end = memchr(rest.data + 1, '/', rest.size - 1);
        size_t size = end ? (size_t)(end - rest.data) - 1 : rest.size - 1;
        if (!unescape(arena, (struct span){rest.data + 1, size}, &tokens[ret_pointer->token_count++]))
            return false;
        rest = (struct span){rest.data + 1 + size, rest.size - 1 - size};
    }
    return true;
}

static void read_pointer(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || !pointer_parse(compiler->arena, node->text, target))
        compile_expected(compiler, node, place, "a JSON pointer like /customer/id, or ./id within an item", NULL);
}

static void read_pointers(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct pointers *pointers = target;
    size_t count = node->kind == NODE_SCALAR ? 1 : compile_list(compiler, node, place, "a JSON pointer, or a list");
    struct pointer *items = ARENA_ARRAY(compiler->arena, struct pointer, count);
    size_t index = 0;
    if (node->kind == NODE_SCALAR)
        read_pointer(compiler, node, place, items);
    for (const struct node *item = node->first; node->kind == NODE_LIST && item; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_pointer(compiler, item, &inside, &items[index]);
    }
    *pointers = (struct pointers){items, count};
}

static void read_find(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct find, "list", read_pointer, list),
        FIELD_REQUIRED(struct find, "by", read_pointer, by),
        FIELD_REQUIRED(struct find, "is", read_word, is),
    };
    ((struct find *)target)->given = compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

/* "order-{/id}-{./sku}" */
static bool pieces_parse(struct arena *arena, struct span text, struct origin *ret_origin)
{
    struct piece *pieces = ARENA_ARRAY(arena, struct piece, PIECES_MAX);
    ret_origin->pieces = pieces;
    for (size_t at = 0; at < text.size;) {
        if (ret_origin->piece_count == PIECES_MAX)
            return false;
        struct piece *piece = &pieces[ret_origin->piece_count++];
        const char *open = memchr(text.data + at, '{', text.size - at);
        size_t end = open ? (size_t)(open - text.data) : text.size;
        piece->letters = (struct span){text.data + at, end - at};
        if (open == NULL)
            return true;
        const char *close = memchr(open, '}', text.size - end);
        if (close == NULL)
            return false;
        piece->has_value = true;
        if (!pointer_parse(arena, (struct span){open + 1, (size_t)(close - open) - 1}, &piece->value))
            return false;
        at = (size_t)(close - text.data) + 1;
    }
    return ret_origin->piece_count > 0;
}

/* ---- values ---- */

static void read_translations(struct compiler *compiler, const struct node *node, const struct place *place,
                              void *target)
{
    struct value_rule *rule = target;
    size_t count = 0;
    for (const struct node *item = node->first; item != NULL && node->kind == NODE_MAP; item = item->next)
        count++;
    if (count == 0 || count > TRANSLATIONS_MAX) {
        compile_expected(compiler, node, place, "a map of 1 to 500 values of the platform to ours", NULL);
        return;
    }
    struct translation *translations = ARENA_ARRAY(compiler->arena, struct translation, count);
    for (const struct node *item = node->first; item != NULL; item = item->next) {
        struct place inside = {.parent = place, .key = item->key};
        struct translation *translation = &translations[rule->translation_count++];
        translation->from = item->key;
        read_constant(compiler, item, &inside, &translation->to);
    }
    rule->translations = translations;
}

/* "iso", "seconds", "milliseconds", or {pattern: "%Y-%m-%d %H:%M:%S", offset: "+09:00"}. */
static bool offset_parse(struct span text, int64_t *ret_ms)
{
    if (text.size != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':')
        return false;
    for (size_t i = 1; i < 6; i++)
        if (i != 3 && (text.data[i] < '0' || text.data[i] > '9'))
            return false;
    int64_t minutes =
        ((text.data[1] - '0') * 10 + text.data[2] - '0') * 60 + (text.data[4] - '0') * 10 + text.data[5] - '0';
    *ret_ms = (text.data[0] == '-' ? -1 : 1) * minutes * MINUTE_MS;
    return minutes <= 18 * 60;
}

static void read_offset(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    if (node->kind != NODE_SCALAR || !offset_parse(node->text, target))
        compile_expected(compiler, node, place, "an offset from UTC like \"+09:00\"", NULL);
}

static void read_pattern(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    bool good = node->kind == NODE_SCALAR && node->text.size > 0;
    for (size_t i = 0; good && i < node->text.size; i++)
        if (node->text.data[i] == '%')
            good = ++i < node->text.size && strchr("YmdHMS", node->text.data[i]) != NULL;
    if (!good)
        compile_expected(compiler, node, place, "a pattern of %Y %m %d %H %M %S and letters between", NULL);
    else
        *(struct span *)target = node->text;
}

static void read_time_form(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const char *const names[] = {"iso", "seconds", "milliseconds"};
    static const struct words words = {"a form of time, or a map of pattern and offset", names, COUNT_OF(names)};
    static const struct field fields[] = {
        FIELD_REQUIRED(struct value_rule, "pattern", read_pattern, pattern),
        FIELD_REQUIRED(struct value_rule, "offset", read_offset, offset_ms),
    };
    struct value_rule *rule = target;
    int value;
    if (node->kind == NODE_MAP && compile_map(compiler, node, place, fields, COUNT_OF(fields), rule))
        rule->time = TIME_PATTERN;
    else if (node->kind != NODE_MAP && compile_word(compiler, node, place, &words, &value))
        rule->time = (enum time_form)(TIME_ISO + value);
}

/* A number of digits, or {currency: /currency}. */
static void read_amount(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {FIELD_REQUIRED(struct amount, "currency", read_pointer, currency)};
    struct amount *amount = target;
    int64_t digits = -1;
    amount->given = true;
    if (node->kind == NODE_MAP)
        compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
    else
        compile_integer(compiler, node, place, 0, 4, "the digits behind the point, 0 to 4, or {currency: pointer}",
                        &digits);
    amount->digits = (int)digits;
}

static void read_text_pieces(struct compiler *compiler, const struct node *node, const struct place *place,
                             void *target)
{
    struct origin *origin = target;
    if (node->kind != NODE_SCALAR || !pieces_parse(compiler->arena, node->text, origin))
        compile_expected(compiler, node, place, "a text with pointers in braces like order-{/id}", NULL);
}

static const char *origin_settle(struct origin *origin)
{
    int given = (origin->pointers.count > 0) + (origin->header.size > 0) + (origin->constant != NULL) +
                (origin->piece_count > 0);
    origin->kind = origin->pointers.count    ? ORIGIN_POINTERS
                   : origin->header.size     ? ORIGIN_HEADER
                   : origin->constant        ? ORIGIN_CONSTANT
                   : origin->piece_count > 0 ? ORIGIN_PIECES
                                             : ORIGIN_NONE;
    if (given != 1)
        return "expected exactly one of at, header, constant, text";
    if (origin->find.given && origin->kind != ORIGIN_POINTERS)
        return "expected at beside find";
    return NULL;
}

#define ORIGIN_FIELDS(type)                                                                                            \
    FIELD(type, "at", read_pointers, origin.pointers), FIELD(type, "find", read_find, origin.find),                    \
        FIELD(type, "header", read_word, origin.header)

/* A pointer or a list of pointers alone, or a map. */
static void read_value(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        ORIGIN_FIELDS(struct value_rule),
        FIELD(struct value_rule, "constant", read_constant, origin.constant),
        FIELD(struct value_rule, "text", read_text_pieces, origin),
        {"map", read_translations, 0, false},
        FIELD(struct value_rule, "else", read_constant, otherwise),
        {"time", read_time_form, 0, false},
        FIELD(struct value_rule, "amount", read_amount, amount),
        FIELD(struct value_rule, "default", read_constant, initial),
        FIELD(struct value_rule, "required", read_boolean, required),
    };
    struct value_rule *rule = target;
    rule->line = node->line;
    rule->column = node->column;
    if (node->kind != NODE_MAP) {
        read_pointers(compiler, node, place, &rule->origin.pointers);
        rule->origin.kind = ORIGIN_POINTERS;
        return;
    }
    if (!compile_map(compiler, node, place, fields, COUNT_OF(fields), rule))
        return;
    const char *wrong = origin_settle(&rule->origin);
    if (wrong == NULL && (rule->translation_count > 0) + (rule->time != TIME_NONE) + rule->amount.given > 1)
        wrong = "expected at most one of map, time, amount";
    if (wrong == NULL && rule->otherwise && rule->translation_count == 0)
        wrong = "expected map beside else";
    if (wrong)
        compile_error(compiler, node, place, "%s", wrong);
}

/* ---- conditions ---- */

struct tests { /* as written */
    struct origin origin;
    struct words_given {
        const struct span *items;
        size_t count;
    } is, not ;
    struct span starts;
    bool present, present_given;
};

static void read_words(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words_given *words = target;
    size_t count = node->kind == NODE_SCALAR ? 1 : compile_list(compiler, node, place, "a value, or a list of values");
    struct span *items = ARENA_ARRAY(compiler->arena, struct span, count);
    if (node->kind == NODE_SCALAR)
        items[0] = node->text;
    size_t index = 0;
    for (const struct node *item = node->first; node->kind == NODE_LIST && item; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_word(compiler, item, &inside, &items[index]);
    }
    *words = (struct words_given){items, count};
}

static void read_present(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct tests *tests = target;
    tests->present_given = true;
    read_boolean(compiler, node, place, &tests->present);
}

static void read_condition(struct compiler *compiler, const struct node *node, const struct place *place,
                           struct condition *condition)
{
    static const struct field fields[] = {
        ORIGIN_FIELDS(struct tests),
        FIELD(struct tests, "is", read_words, is),
        FIELD(struct tests, "not", read_words, not ),
        FIELD(struct tests, "starts", read_word, starts),
        {"present", read_present, 0, false},
    };
    struct tests tests = {0};
    if (!compile_map(compiler, node, place, fields, COUNT_OF(fields), &tests))
        return;
    const char *wrong = origin_settle(&tests.origin);
    if (wrong)
        wrong = "expected exactly one of at, header";
    if (!wrong && (tests.is.count > 0) + (tests.not .count > 0) + (tests.starts.size > 0) + tests.present_given != 1)
        wrong = "expected exactly one of is, not, starts, present";
    if (wrong)
        compile_error(compiler, node, place, "%s", wrong);
    *condition = (struct condition){.origin = tests.origin, .test = tests.present ? TEST_PRESENT : TEST_ABSENT};
    struct words_given words = tests.is.count ? tests.is : tests.not ;
    if (tests.starts.size) {
        struct span *start = ARENA_NEW(compiler->arena, struct span);
        *start = tests.starts;
        words = (struct words_given){start, 1};
    }
    condition->words = words.items;
    condition->word_count = words.count;
    if (!tests.present_given)
        condition->test = tests.is.count ? TEST_IS : tests.not .count ? TEST_NOT : TEST_STARTS;
}

static void read_conditions(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    size_t count = compile_list(compiler, node, place, "a list of conditions"), index = 0;
    struct condition *conditions = ARENA_ARRAY(compiler->arena, struct condition, count);
    for (const struct node *item = node->first; count > 0 && item; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_condition(compiler, item, &inside, &conditions[index]);
    }
    *(struct conditions *)target = (struct conditions){conditions, count};
}

/* ---- fields ---- */

static const struct line_rule *read_line_rule(struct compiler *compiler, const struct node *node,
                                              const struct place *place)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct line_rule, "each", read_pointer, each),
        FIELD(struct line_rule, "when", read_conditions, when),
        FIELD(struct line_rule, "sku", read_value, sku),
        FIELD(struct line_rule, "quantity", read_value, quantity),
        FIELD(struct line_rule, "unit_price", read_value, unit_price),
    };
    struct line_rule *lines = ARENA_NEW(compiler->arena, struct line_rule);
    compile_map(compiler, node, place, fields, COUNT_OF(fields), lines);
    return lines;
}

static bool has_symbols(enum event_field_type type)
{
    return type == FIELD_KIND || type == FIELD_PURPOSE || type == FIELD_CHANNEL || type == FIELD_AGENT ||
           type == FIELD_CONCERNS;
}

/* A constant that the field can never hold is an error of the file, not of every message. */
static void check_constant(struct compiler *compiler, const struct node *node, const struct place *place,
                           enum topic topic, const struct event_field *field, const struct json *constant)
{
    if (constant == NULL || !has_symbols(field->type))
        return;
    if (constant->type != JSON_KIND_TEXT || event_field_symbol(field, topic, constant->text) < 0)
        compile_error(compiler, node, place, "expected a %s of the topic %s, found \"%.*s\"", field->name.data,
                      topic_name(topic), (int)constant->text.size, constant->text.data);
}

static void read_field_rule(struct compiler *compiler, const struct node *node, const struct place *place,
                            enum topic topic, struct field_rule *rule)
{
    if (rule->field->type == FIELD_LINES) {
        rule->lines = read_line_rule(compiler, node, place);
        return;
    }
    read_value(compiler, node, place, &rule->value);
    if (rule->field->type == FIELD_TIME && rule->value.time == TIME_NONE && rule->value.origin.kind != ORIGIN_CONSTANT)
        compile_error(compiler, node, place, "expected time: iso, seconds, milliseconds or a pattern, found none");
    const struct value_rule *value = &rule->value;
    check_constant(compiler, node, place, topic, rule->field, value->origin.constant);
    check_constant(compiler, node, place, topic, rule->field, value->otherwise);
    check_constant(compiler, node, place, topic, rule->field, value->initial);
    for (size_t i = 0; i < value->translation_count; i++)
        check_constant(compiler, node, place, topic, rule->field, value->translations[i].to);
}

static void unknown_field(struct compiler *compiler, const struct node *item, const struct place *place,
                          enum topic topic)
{
    const char *names[FIELDS_MAX];
    size_t count, name_count = 0;
    const struct event_field *fields = event_fields(&count);
    for (size_t i = 0; i < count && name_count < FIELDS_MAX; i++)
        if (fields[i].topics & 1u << topic)
            names[name_count++] = fields[i].name.data;
    const char *nearest = nearest_name(item->key, names, name_count);
    struct node key = {.line = item->key_line, .column = item->key_column};
    compile_error(compiler, &key, place, "expected a field of the topic %s, found \"%.*s\"%s%s", topic_name(topic),
                  (int)(item->key.size < 64 ? item->key.size : 64), item->key.data, nearest ? "; nearest: " : "",
                  nearest ? nearest : "");
}

static void compile_fields(struct compiler *compiler, const struct node *node, const struct place *place,
                           struct event_rule *event)
{
    static const char *const required[] = {"event_id", "customer_id", "occurred_at"};
    struct field_rule *rules = ARENA_ARRAY(compiler->arena, struct field_rule, FIELDS_MAX);
    if (node->kind != NODE_MAP) {
        compile_expected(compiler, node, place, "a map of fields", NULL);
        return;
    }
    for (const struct node *item = node->first; item != NULL; item = item->next) {
        struct place inside = {.parent = place, .key = item->key};
        const struct event_field *field = event_field_find(event->topic, item->key, NULL);
        if (field == NULL || field->type == FIELD_UNUSED_TEXTS) {
            unknown_field(compiler, item, place, event->topic);
            continue;
        }
        CHECK(event->field_count < FIELDS_MAX); /* each field once, and there are fewer */
        struct field_rule *rule = &rules[event->field_count++];
        rule->field = field;
        read_field_rule(compiler, item, &inside, event->topic, rule);
    }
    for (size_t i = 0; i < COUNT_OF(required); i++)
        if (node_find(node, required[i]) == NULL)
            compile_error(compiler, node, place, "expected the field \"%s\", found none", required[i]);
    if (node_find(node, event->topic == TOPIC_SURVEYS ? "purpose" : "kind") == NULL)
        compile_error(compiler, node, place, "expected the field \"%s\", found none",
                      event->topic == TOPIC_SURVEYS ? "purpose" : "kind");
    event->fields = rules;
}

/* ---- events ---- */

static void read_each(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct event_rule *event = target;
    event->has_each = true;
    read_pointer(compiler, node, place, &event->each);
}

static void read_topic(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    const char *names[TOPIC_COUNT];
    struct words words = {"a topic", names, TOPIC_COUNT};
    int value;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        names[topic] = topic_name((enum topic)topic);
    if (compile_word(compiler, node, place, &words, &value))
        *(enum topic *)target = (enum topic)value;
}

static void skip_fields(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    (void)compiler, (void)node, (void)place, (void)target; /* after the topic: which fields there are depends on it */
}

static void read_event(struct compiler *compiler, const struct node *node, const struct place *place,
                       struct event_rule *event)
{
    static const struct field fields[] = {
        FIELD_REQUIRED(struct event_rule, "topic", read_topic, topic),
        {"each", read_each, 0, false},
        FIELD(struct event_rule, "when", read_conditions, when),
        {"fields", skip_fields, 0, true},
    };
    event->line = node->line;
    event->column = node->column;
    if (!compile_map(compiler, node, place, fields, COUNT_OF(fields), event))
        return;
    const struct node *list = node_find(node, "fields");
    struct place inside = {.parent = place, .key = SPAN("fields")};
    if (list != NULL)
        compile_fields(compiler, list, &inside, event);
}

static void read_events(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct mapping *mapping = target;
    size_t count = compile_list(compiler, node, place, "a list of events"), index = 0;
    if (count > EVENTS_MAX) {
        compile_error(compiler, node, place, "expected at most 64 events, found %zu", count);
        return;
    }
    struct event_rule *events = ARENA_ARRAY(compiler->arena, struct event_rule, count);
    for (const struct node *item = node->first; count > 0 && item; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        read_event(compiler, item, &inside, &events[index]);
    }
    mapping->events = events;
    mapping->event_count = count;
}

static void read_embedded(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct mapping *mapping = target;
    mapping->has_embedded = true;
    read_pointer(compiler, node, place, &mapping->embedded);
}

/* ---- the file ---- */

static const struct field mapping_fields[] = {
    FIELD_REQUIRED(struct mapping, "mapping", read_label, name),
    {"about", read_ignored_text, 0, false},
    {"embedded", read_embedded, 0, false},
    FIELD(struct mapping, "when", read_conditions, when),
    {"events", read_events, 0, true},
};

static void complain(void *context, int line, int column, const char *message)
{
    compile_error_at(context, line, column, NULL, message);
}

struct mapping *mapping_compile(struct span yaml, const char *file_name, struct playbook_errors *errors)
{
    struct mapping *mapping = calloc(1, sizeof *mapping);
    CHECK(mapping != NULL);
    mapping->memory = calloc(1, sizeof *mapping->memory);
    CHECK(mapping->memory != NULL);
    arena_init(mapping->memory, 0);
    mapping->file_name = arena_copy(mapping->memory, span_of(file_name)).data;
    struct compiler compiler = {.arena = mapping->memory, .file_name = mapping->file_name, .errors = errors};
    size_t errors_before = errors->count;
    struct node *root = node_parse(mapping->memory, yaml, complain, &compiler);
    if (root != NULL)
        compile_map(&compiler, root, NULL, mapping_fields, COUNT_OF(mapping_fields), mapping);
    else if (errors->count == errors_before)
        compile_error_at(&compiler, 1, 1, NULL, "expected a mapping, found an empty file");
    if (errors->count == errors_before)
        return mapping;
    mapping_free(mapping);
    return NULL;
}

void mapping_free(struct mapping *mapping)
{
    if (mapping == NULL)
        return;
    arena_release(mapping->memory);
    free(mapping->memory);
    free(mapping);
}

const char *mapping_file(const struct mapping *mapping)
{
    return mapping->file_name;
}
