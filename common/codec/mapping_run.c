#include "common/codec/mapping_rule.h"

#include "common/base/buffer.h"
#include "common/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

enum { SHOWN_SIZE = 60, EXPONENT_MAX = 4 };

/* One message on its way; item is NULL outside of an `each`. */
struct run {
    const struct mapping *mapping;
    const struct mapping_message *message;
    const struct json *item;
    struct arena *arena;
    struct mapping_fault *fault;
};

/* ---- reaching values ---- */

static bool is_nothing(const struct json *value)
{
    return value == NULL || value->type == JSON_KIND_NULL || (value->type == JSON_KIND_TEXT && span_empty(value->text));
}

static const struct json *child(const struct json *value, struct span token)
{
    size_t index = 0;
    if (value->type == JSON_KIND_OBJECT)
        return json_member(value, token);
    if (value->type != JSON_KIND_ARRAY || token.size == 0 || token.size > 6 || (token.size > 1 && token.data[0] == '0'))
        return NULL;
    for (size_t i = 0; i < token.size; i++) {
        if (token.data[i] < '0' || token.data[i] > '9')
            return NULL;
        index = index * 10 + (size_t)(token.data[i] - '0');
    }
    const struct json *item = value->first;
    while (item != NULL && index-- > 0)
        item = item->next;
    return item;
}

static const struct json *follow(const struct pointer *pointer, const struct json *from)
{
    for (size_t i = 0; from != NULL && i < pointer->token_count; i++)
        from = child(from, pointer->tokens[i]);
    return from;
}

static const struct json *reach(const struct run *run, const struct pointer *pointer)
{
    return follow(pointer, pointer->from_item ? run->item : run->message->body);
}

/* A scalar as letters; false: nothing, or no scalar. */
static bool letters_of(const struct json *value, struct span *ret_letters)
{
    if (is_nothing(value) || value->type == JSON_KIND_ARRAY || value->type == JSON_KIND_OBJECT)
        return false;
    *ret_letters = value->type == JSON_KIND_TRUE    ? SPAN("true")
                   : value->type == JSON_KIND_FALSE ? SPAN("false")
                                                    : value->text;
    return true;
}

static const struct json *text_new(struct arena *arena, struct span text)
{
    struct json *json = ARENA_NEW(arena, struct json);
    json->type = JSON_KIND_TEXT;
    json->text = text;
    return json;
}

static const struct json *integer_new(struct arena *arena, int64_t value)
{
    struct json *json = ARENA_NEW(arena, struct json);
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long)value);
    json->type = JSON_KIND_INTEGER;
    json->integer = value;
    json->text = arena_copy(arena, (struct span){text, (size_t)size});
    return json;
}

static const struct json *header_of(const struct run *run, struct span name)
{
    for (size_t i = 0; i < run->message->header_count; i++) {
        const struct header *header = &run->message->headers[i];
        if (header->name.size == name.size && strncasecmp(header->name.data, name.data, name.size) == 0 &&
            utf8_valid(header->value))
            return text_new(run->arena, header->value);
    }
    return NULL;
}

static const struct json *find_item(const struct run *run, const struct find *find)
{
    const struct json *list = reach(run, &find->list);
    if (list == NULL || list->type != JSON_KIND_ARRAY)
        return NULL;
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        struct span letters;
        if (letters_of(follow(&find->by, item), &letters) && span_equal(letters, find->is))
            return item;
    }
    return NULL;
}

/* NULL when one of its values is not there: half an id is none. */
static const struct json *put_together(const struct run *run, const struct origin *origin)
{
    struct buffer text = {0};
    const struct json *made = NULL;
    bool whole = true;
    for (size_t i = 0; i < origin->piece_count && whole; i++) {
        const struct piece *piece = &origin->pieces[i];
        struct span letters = SPAN("");
        buffer_add_span(&text, piece->letters);
        whole = !piece->has_value || letters_of(reach(run, &piece->value), &letters);
        buffer_add_span(&text, letters);
    }
    if (whole)
        made = text_new(run->arena, arena_copy(run->arena, buffer_span(&text)));
    buffer_release(&text);
    return made;
}

/* *ret_from: the pointer that led to it, for messages. */
static const struct json *origin_value(const struct run *run, const struct origin *origin, struct span *ret_from)
{
    const struct json *found = NULL, *base = NULL;
    *ret_from = SPAN("");
    switch (origin->kind) {
    case ORIGIN_HEADER:
        *ret_from = origin->header;
        return header_of(run, origin->header);
    case ORIGIN_CONSTANT:
        return origin->constant;
    case ORIGIN_PIECES:
        return put_together(run, origin);
    case ORIGIN_NONE:
        return NULL;
    case ORIGIN_POINTERS:
        break;
    }
    if (origin->find.given && (base = find_item(run, &origin->find)) == NULL)
        return NULL;
    for (size_t i = 0; i < origin->pointers.count && is_nothing(found); i++) {
        const struct pointer *pointer = &origin->pointers.items[i];
        found = base ? follow(pointer, base) : reach(run, pointer);
        *ret_from = pointer->text;
    }
    return found;
}

/* ---- faults ---- */

__attribute__((format(printf, 5, 6))) static void say(const struct run *run, int line, int column, const char *field,
                                                      const char *format, ...)
{
    struct buffer text = {0};
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    buffer_format(&text, "%s:%d:%d: %s%s%s", run->mapping->file_name, line, column, field ? field : "",
                  field ? ": " : "", what);
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < ' ')
            text.data[i] = ' ';
    while (!utf8_valid(buffer_span(&text))) /* a cut in the middle of a character */
        text.data[--text.size] = '\0';
    run->fault->field = field;
    run->fault->message = arena_copy(run->arena, buffer_span(&text));
    buffer_release(&text);
}

static enum reason refuse(const struct run *run, const struct value_rule *rule, const char *field, enum reason reason,
                          const char *expected, const struct json *found, struct span from)
{
    struct span letters = SPAN("a list or an object");
    letters_of(found, &letters);
    say(run, rule->line, rule->column, field, "expected %s, found \"%.*s\"%s%.*s", expected,
        (int)(letters.size < SHOWN_SIZE ? letters.size : SHOWN_SIZE), letters.data, from.size ? " at " : "",
        (int)(from.size < SHOWN_SIZE ? from.size : SHOWN_SIZE), from.data ? from.data : "");
    return reason;
}

/* ---- forms of values ---- */

static bool integer_parse(struct span text, int64_t *ret_value)
{
    bool minus = text.size > 1 && text.data[0] == '-';
    int64_t value = 0;
    if (text.size == 0 || text.size > 18)
        return false;
    for (size_t i = minus; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *ret_value = minus ? -value : value;
    return true;
}

static bool digits_take(struct span *rest, size_t most, int64_t *ret_value)
{
    size_t size = 0;
    *ret_value = 0;
    while (size < rest->size && size < most && rest->data[size] >= '0' && rest->data[size] <= '9')
        *ret_value = *ret_value * 10 + (rest->data[size++] - '0');
    *rest = (struct span){rest->data + size, rest->size - size};
    return size > 0;
}

static bool date_valid(int64_t year, int64_t month, int64_t day)
{
    int64_t back_year;
    int back_month, back_day;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    timestamp_civil_from_days(timestamp_days_from_civil(year, (int)month, (int)day), &back_year, &back_month,
                              &back_day);
    return back_year == year && back_month == month && back_day == day;
}

static bool pattern_parse(struct span pattern, struct span text, int64_t offset_ms, int64_t *ret_ms)
{
    int64_t parts[256] = {['m'] = 1, ['d'] = 1};
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.data[i] == '%') {
            char part = pattern.data[++i];
            if (!digits_take(&text, part == 'Y' ? 4 : 2, &parts[(unsigned char)part]))
                return false;
        } else if (text.size && text.data[0] == pattern.data[i]) {
            text = (struct span){text.data + 1, text.size - 1};
        } else {
            return false;
        }
    }
    if (text.size || !date_valid(parts['Y'], parts['m'], parts['d']) || parts['H'] > 23 || parts['M'] > 59 ||
        parts['S'] > 60)
        return false;
    *ret_ms = timestamp_days_from_civil(parts['Y'], (int)parts['m'], (int)parts['d']) * DAY_MS + parts['H'] * HOUR_MS +
              parts['M'] * MINUTE_MS + parts['S'] * SECOND_MS - offset_ms;
    return true;
}

static enum reason time_value(const struct run *run, const struct value_rule *rule, const char *field, struct span from,
                              const struct json **value)
{
    static const char *const expected[] = {"", "an ISO 8601 time with an offset", "a time in seconds",
                                           "a time in milliseconds", "a time of the mapping's pattern"};
    struct span letters;
    int64_t ms = -1, scale = rule->time == TIME_SECONDS ? SECOND_MS : 1;
    bool good = letters_of(*value, &letters);
    if (good && rule->time == TIME_ISO)
        good = timestamp_parse(letters, &ms);
    else if (good && rule->time == TIME_PATTERN)
        good = pattern_parse(rule->pattern, letters, rule->offset_ms, &ms);
    else if (good)
        good = integer_parse(letters, &ms) && !__builtin_mul_overflow(ms, scale, &ms);
    if (!good || ms < 0 || ms > TIMESTAMP_MAX)
        return refuse(run, rule, field, good ? REASON_OUT_OF_RANGE : REASON_BAD_TYPE, expected[rule->time], *value,
                      from);
    *value = integer_new(run->arena, ms);
    return REASON_NONE;
}

/* ISO 4217 has the currencies that are not in hundredths; these are the ones that shops use. */
static int currency_digits(struct span currency)
{
    static const char whole[] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    static const char thousandths[] = "BHD IQD JOD KWD LYD OMR TND";
    char code[4] = "";
    if (currency.size != 3)
        return 2;
    memcpy(code, currency.data, 3);
    return strstr(whole, code) ? 0 : strstr(thousandths, code) ? 3 : 2;
}

/* More digits than the currency has must be zeros: nothing is rounded in silence. */
static bool amount_parse(struct span text, int digits, int64_t *ret_minor)
{
    const char *point = memchr(text.data, '.', text.size);
    size_t whole_size = point ? (size_t)(point - text.data) : text.size;
    struct span part = point ? (struct span){point + 1, text.size - whole_size - 1} : SPAN("");
    bool minus = text.size && text.data[0] == '-';
    int64_t minor;
    if (whole_size > 14 || (point && part.size == 0) || !integer_parse((struct span){text.data, whole_size}, &minor))
        return false;
    minor = minus ? -minor : minor;
    for (int i = 0; i < digits || (size_t)i < part.size; i++) {
        char c = (size_t)i < part.size ? part.data[i] : '0';
        if (c < '0' || c > '9' || (i >= digits && c != '0'))
            return false;
        if (i < digits)
            minor = minor * 10 + (c - '0');
    }
    *ret_minor = minus ? -minor : minor;
    return true;
}

static enum reason amount_value(const struct run *run, const struct value_rule *rule, const char *field,
                                struct span from, const struct json **value)
{
    struct span letters, currency = SPAN("");
    int64_t minor;
    int digits = rule->amount.digits;
    if (digits < 0) {
        letters_of(reach(run, &rule->amount.currency), &currency);
        digits = currency_digits(currency);
    }
    CHECK(digits <= EXPONENT_MAX);
    if (!letters_of(*value, &letters) || !amount_parse(letters, digits, &minor))
        return refuse(run, rule, field, REASON_BAD_TYPE, "an amount of money", *value, from);
    *value = integer_new(run->arena, minor);
    return REASON_NONE;
}

static enum reason translate(const struct run *run, const struct value_rule *rule, const char *field, struct span from,
                             const struct json **value)
{
    struct span letters;
    if (letters_of(*value, &letters))
        for (size_t i = 0; i < rule->translation_count; i++)
            if (span_equal(rule->translations[i].from, letters)) {
                *value = rule->translations[i].to;
                return REASON_NONE;
            }
    if (rule->otherwise == NULL)
        return refuse(run, rule, field, REASON_BAD_ENUM, "a value that the map names", *value, from);
    *value = rule->otherwise;
    return REASON_NONE;
}

/* Each item of a list by the map, for concerns. */
static enum reason translate_list(const struct run *run, const struct value_rule *rule, const char *field,
                                  struct span from, const struct json **value)
{
    struct json *list = ARENA_NEW(run->arena, struct json);
    const struct json **link = &list->first;
    list->type = JSON_KIND_ARRAY;
    for (const struct json *item = (*value)->first; item != NULL; item = item->next) {
        const struct json *to = item;
        enum reason reason = rule->translation_count ? translate(run, rule, field, from, &to) : REASON_NONE;
        if (reason != REASON_NONE)
            return reason;
        struct json *copy = ARENA_NEW(run->arena, struct json);
        *copy = *to;
        copy->next = NULL;
        *link = copy;
        link = &copy->next;
        list->count++;
    }
    *value = list;
    return REASON_NONE;
}

/* ---- one value ---- */

/* A platform's id may be a number, its number a text: the field's type decides. */
static const struct json *fit(const struct run *run, enum event_field_type type, const struct json *value)
{
    int64_t integer;
    if (type == FIELD_TEXT && value->type == JSON_KIND_INTEGER)
        return text_new(run->arena, value->text);
    bool whole = type == FIELD_INTEGER || type == FIELD_SCORE;
    if (whole && value->type == JSON_KIND_TEXT && integer_parse(value->text, &integer))
        return integer_new(run->arena, integer);
    if (type == FIELD_CONCERNS && value->type != JSON_KIND_ARRAY) {
        struct json *list = ARENA_NEW(run->arena, struct json), *item = ARENA_NEW(run->arena, struct json);
        *item = *value;
        item->next = NULL;
        *list = (struct json){.type = JSON_KIND_ARRAY, .count = 1, .first = item};
        return list;
    }
    return value;
}

/* *ret_value NULL: absent. */
static enum reason run_value(const struct run *run, const struct value_rule *rule, const char *field,
                             enum event_field_type type, const struct json **ret_value)
{
    struct span from;
    const struct json *value = origin_value(run, &rule->origin, &from);
    enum reason reason = REASON_NONE;
    *ret_value = rule->initial;
    if (is_nothing(value)) {
        if (!rule->required || rule->initial)
            return REASON_NONE;
        say(run, rule->line, rule->column, field, "expected a value, found nothing%s%.*s", from.size ? " at " : "",
            (int)(from.size < SHOWN_SIZE ? from.size : SHOWN_SIZE), from.data);
        return REASON_MISSING_FIELD;
    }
    if (type == FIELD_CONCERNS && value->type == JSON_KIND_ARRAY)
        reason = translate_list(run, rule, field, from, &value);
    else if (rule->translation_count)
        reason = translate(run, rule, field, from, &value);
    else if (rule->time != TIME_NONE)
        reason = time_value(run, rule, field, from, &value);
    else if (rule->amount.given)
        reason = amount_value(run, rule, field, from, &value);
    *ret_value = fit(run, type, value);
    return reason;
}

/* ---- conditions ---- */

static bool condition_holds(const struct run *run, const struct condition *condition)
{
    struct span from, letters = SPAN("");
    const struct json *value = origin_value(run, &condition->origin, &from);
    bool there = letters_of(value, &letters), named = false;
    switch (condition->test) {
    case TEST_PRESENT:
        return !is_nothing(value);
    case TEST_ABSENT:
        return is_nothing(value);
    case TEST_STARTS:
        return there && letters.size >= condition->words[0].size &&
               memcmp(letters.data, condition->words[0].data, condition->words[0].size) == 0;
    case TEST_IS:
    case TEST_NOT:
        for (size_t i = 0; i < condition->word_count; i++)
            named = named || (there && span_equal(condition->words[i], letters));
        return named == (condition->test == TEST_IS);
    }
    return false;
}

static bool conditions_hold(const struct run *run, const struct conditions *conditions)
{
    for (size_t i = 0; i < conditions->count; i++)
        if (!condition_holds(run, &conditions->items[i]))
            return false;
    return true;
}

/* ---- events ---- */

/* The object being made; a member is a copy, for a value may be a part of the message. */
struct made {
    struct json *object;
    const struct json **link;
};

static struct made made_new(struct arena *arena)
{
    struct json *object = ARENA_NEW(arena, struct json);
    object->type = JSON_KIND_OBJECT;
    return (struct made){object, &object->first};
}

static void member_add(struct arena *arena, struct made *made, struct span key, const struct json *value)
{
    struct json *member = ARENA_NEW(arena, struct json);
    *member = *value;
    member->key = key;
    member->next = NULL;
    *made->link = member;
    made->link = &member->next;
    made->object->count++;
}

static enum reason run_line(const struct run *run, const struct line_rule *rule, struct json *ret_line)
{
    static const char *const names[] = {"sku", "quantity", "unit_price"};
    const struct value_rule *values[] = {&rule->sku, &rule->quantity, &rule->unit_price};
    struct made made = made_new(run->arena);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct json *value;
        enum reason reason = run_value(run, values[i], "lines", i == 0 ? FIELD_TEXT : FIELD_INTEGER, &value);
        if (reason != REASON_NONE)
            return reason;
        if (value != NULL)
            member_add(run->arena, &made, span_of(names[i]), value);
    }
    *ret_line = *made.object;
    return REASON_NONE;
}

static enum reason run_lines(const struct run *run, const struct line_rule *rule, const struct json **ret_lines)
{
    struct json *lines = ARENA_NEW(run->arena, struct json);
    const struct json **link = &lines->first;
    const struct json *list = reach(run, &rule->each);
    lines->type = JSON_KIND_ARRAY;
    *ret_lines = lines;
    for (const struct json *item = list && list->type == JSON_KIND_ARRAY ? list->first : NULL; item;
         item = item->next) {
        struct run inner = *run;
        struct json *line = ARENA_NEW(run->arena, struct json);
        inner.item = item;
        if (!conditions_hold(&inner, &rule->when))
            continue;
        enum reason reason = run_line(&inner, rule, line);
        if (reason != REASON_NONE)
            return reason;
        *link = line;
        link = &line->next;
        lines->count++;
    }
    return REASON_NONE;
}

static enum reason run_event(const struct run *run, const struct event_rule *rule, struct mapped *ret_mapped)
{
    struct made made = made_new(run->arena);
    for (size_t i = 0; i < rule->field_count; i++) {
        const struct field_rule *field = &rule->fields[i];
        const struct json *value = NULL;
        enum reason reason = field->lines
                                 ? run_lines(run, field->lines, &value)
                                 : run_value(run, &field->value, field->field->name.data, field->field->type, &value);
        if (reason != REASON_NONE)
            return reason;
        if (value != NULL)
            member_add(run->arena, &made, field->field->name, value);
    }
    *ret_mapped = (struct mapped){rule->topic, rule->line, made.object};
    return REASON_NONE;
}

static size_t count_items(const struct run *run, const struct event_rule *rule)
{
    const struct json *list = rule->has_each ? reach(run, &rule->each) : NULL;
    if (!rule->has_each)
        return 1;
    return list && list->type == JSON_KIND_ARRAY ? list->count : 0;
}

static enum reason run_rule(const struct run *run, const struct event_rule *rule, struct mapped *mapped, size_t *count)
{
    struct run inner = *run;
    if (!rule->has_each && conditions_hold(run, &rule->when))
        return run_event(run, rule, &mapped[(*count)++]);
    const struct json *list = rule->has_each ? reach(run, &rule->each) : NULL;
    for (const struct json *item = list && list->type == JSON_KIND_ARRAY ? list->first : NULL; item;
         item = item->next) {
        inner.item = item;
        if (!conditions_hold(&inner, &rule->when))
            continue;
        enum reason reason = run_event(&inner, rule, &mapped[(*count)++]);
        if (reason != REASON_NONE)
            return reason;
    }
    return REASON_NONE;
}

enum reason mapping_run(const struct mapping *mapping, const struct mapping_message *inner, struct arena *arena,
                        struct mapped **ret_mapped, size_t *ret_count, struct mapping_fault *ret_fault)
{
    struct run run = {mapping, inner, NULL, arena, ret_fault};
    size_t most = 0;
    *ret_count = 0;
    *ret_fault = (struct mapping_fault){NULL, SPAN("")};
    for (size_t i = 0; i < mapping->event_count; i++)
        most += count_items(&run, &mapping->events[i]);
    if (most > MAPPING_EVENTS_MAX) {
        say(&run, 1, 1, NULL, "expected at most %d events in a message, found up to %zu", MAPPING_EVENTS_MAX, most);
        return REASON_TOO_LARGE;
    }
    *ret_mapped = ARENA_ARRAY(arena, struct mapped, most);
    for (size_t i = 0; i < mapping->event_count; i++) {
        enum reason reason = run_rule(&run, &mapping->events[i], *ret_mapped, ret_count);
        if (reason != REASON_NONE)
            return reason;
    }
    return REASON_NONE;
}

bool mapping_takes(const struct mapping *mapping, const struct mapping_message *message, struct arena *arena,
                   struct mapping_message *ret_inner)
{
    struct run run = {mapping, message, NULL, arena, NULL};
    *ret_inner = *message;
    if (mapping->has_embedded) { /* Amazon SNS carries a message as a text in a message; without one it is bare */
        const struct json *carried = reach(&run, &mapping->embedded);
        if (carried && carried->type == JSON_KIND_TEXT) {
            ret_inner->body = json_read(carried->text, arena);
            if (ret_inner->body == NULL)
                return false;
        }
    }
    run.message = ret_inner;
    return conditions_hold(&run, &mapping->when);
}
