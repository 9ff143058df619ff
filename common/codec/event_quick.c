#include "common/codec/event_quick.h"

#include "common/base/check.h"
#include "common/codec/json_reader.h"

enum {
    DIGITS_MAX = 16, /* fewer are read here */
    LINES_MAX = 16   /* order lines on the stack before their count is known */
};

/* "" is absent (R86): *to stays as it is. */
static inline const unsigned char *quick_text(const unsigned char *at, const unsigned char *end, struct span *to)
{
    if (at == end || *at != '"')
        return NULL;
    const unsigned char *start = at + 1, *close = json_plain_end(start, end);
    if (close == end || *close != '"')
        return NULL;
    if (close > start)
        *to = (struct span){(const char *)start, (size_t)(close - start)};
    return close + 1;
}

/* The digits among eight bytes, from the first on: how many, and the number that they are. */
static inline size_t digits_of_eight(const unsigned char *at, uint64_t *ret_number)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word = le64toh(word) ^ '0' * each;
    uint64_t others = (word | (word + 0x76 * each)) & 0x80 * each; /* not 0 to 9; of the marks only the lowest counts */
    size_t count = others != 0 ? (size_t)__builtin_ctzll(others) / 8 : 8;
    if (count == 0)
        return 0;
    word <<= 64 - 8 * count; /* noughts before them: always eight digits, added up by twos, then by fours */
    word = word * 10 + (word >> 8);
    *ret_number = ((word & UINT64_C(0x000000ff000000ff)) * (100 + (UINT64_C(1000000) << 32)) +
                   (word >> 16 & UINT64_C(0x000000ff000000ff)) * (1 + (UINT64_C(10000) << 32))) >>
                  32;
    return count;
}

/* Near the line's end. */
static inline size_t digits_one_by_one(const unsigned char *at, const unsigned char *end, uint64_t *ret_number)
{
    size_t count = 0;
    uint64_t number = 0;
    for (; count < (size_t)(end - at) && (unsigned)(at[count] - '0') <= 9; count++)
        number = number * 10 + (at[count] - '0');
    *ret_number = number;
    return count;
}

static inline size_t digits_of(const unsigned char *at, const unsigned char *end, uint64_t *ret_number)
{
    return end - at >= 8 ? digits_of_eight(at, ret_number) : digits_one_by_one(at, end, ret_number);
}

static inline const unsigned char *quick_whole(const unsigned char *at, const unsigned char *end, int64_t *ret_value)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t value, more;
    size_t count = digits_of(at, end, &value), count_more = 0;
    if (count == 8 && (count_more = digits_of(at + 8, end, &more)) != 0)
        value = value * powers[count_more] + more;
    count += count_more;
    if (count == 0 || count == DIGITS_MAX || (*at == '0' && count > 1))
        return NULL;
    at += count;
    if (at == end || *at == '.' || (*at | 0x20) == 'e')
        return NULL;
    *ret_value = (int64_t)value;
    return at;
}

const unsigned char *event_quick_time(const unsigned char *at, const unsigned char *end, int64_t *ret_time)
{
    int64_t time = NEVER;
    struct span text = {0};
    const unsigned char *behind = at < end && *at == '"' ? quick_text(at, end, &text) : quick_whole(at, end, &time);
    if (behind == NULL || (text.size != 0 && !timestamp_parse(text, &time)) || time < 0 || time > TIMESTAMP_MAX)
        return NULL;
    *ret_time = time;
    return behind;
}

static inline const unsigned char *quick_between(const struct event_field *field, const unsigned char *at,
                                                 const unsigned char *end, int64_t *ret_value)
{
    at = quick_whole(at, end, ret_value);
    return at != NULL && *ret_value >= field->low && *ret_value <= field->high ? at : NULL;
}

static inline bool begins(const unsigned char *at, const unsigned char *end, const char *word, size_t size)
{
    return (size_t)(end - at) >= size && memcmp(at, word, size) == 0;
}
#define BEGINS(at, end, literal) begins((at), (end), literal, sizeof(literal) - 1)

static inline const unsigned char *quick_boolean(const unsigned char *at, const unsigned char *end, bool *ret_value)
{
    *ret_value = BEGINS(at, end, "true");
    return *ret_value ? at + 4 : BEGINS(at, end, "false") ? at + 5 : NULL;
}

_Static_assert(sizeof(enum event_kind) == sizeof(int) && sizeof(enum purpose) == sizeof(int) &&
                   sizeof(enum event_channel) == sizeof(int) && sizeof(enum event_agent) == sizeof(int),
               "quick_enum stores an int");

static inline const unsigned char *quick_enum(const struct name_table *table, const unsigned char *at,
                                              const unsigned char *end, int *to)
{
    const struct name *name = name_find(table, at, end);
    if (name == NULL)
        return NULL;
    *to = name->number;
    return at + name->size;
}

static const unsigned char *quick_concerns(const struct name_table *table, const unsigned char *at,
                                           const unsigned char *end, uint32_t *to)
{
    uint32_t concerns = 0;
    if (at == end || *at != '[')
        return NULL;
    do {
        at = json_space_end(at + 1, end);
        const struct name *name = name_find(table, at, end);
        if (name == NULL)
            return NULL;
        concerns |= 1u << name->number;
        at = json_space_end(at + name->size, end);
    } while (at < end && *at == ',');
    if (at == end || *at != ']')
        return NULL;
    *to |= concerns;
    return at + 1;
}

/* A member of an order line at its key; `seen`: which the line has had, for no key may be twice. */
static const unsigned char *quick_line_member(const unsigned char *at, const unsigned char *end,
                                              struct order_line *line, unsigned *seen)
{
    enum { SKU = 1, QUANTITY = 2, UNIT_PRICE = 4 };
    unsigned key = 0, before = *seen;
    if (BEGINS(at, end, "\"sku\":")) {
        key = SKU;
        at = quick_text(json_space_end(at + 6, end), end, &line->sku);
    } else if (BEGINS(at, end, "\"quantity\":")) {
        key = QUANTITY;
        at = quick_whole(json_space_end(at + 11, end), end, &line->quantity);
    } else if (BEGINS(at, end, "\"unit_price\":")) {
        key = UNIT_PRICE;
        at = quick_whole(json_space_end(at + 13, end), end, &line->unit_price);
    }
    *seen |= key;
    return *seen != before ? at : NULL;
}

static const unsigned char *quick_line(const unsigned char *at, const unsigned char *end, struct order_line *to)
{
    unsigned seen = 0;
    *to = (struct order_line){.quantity = 1};
    if (at == end || *at != '{')
        return NULL;
    do {
        at = quick_line_member(json_space_end(at + 1, end), end, to, &seen);
        if (at == NULL)
            return NULL;
        at = json_space_end(at, end);
    } while (at < end && *at == ',');
    return at < end && *at == '}' ? at + 1 : NULL;
}

static const unsigned char *quick_lines(const unsigned char *at, const unsigned char *end, struct arena *arena,
                                        struct event *event)
{
    struct order_line lines[LINES_MAX], *copy;
    size_t count = 0;
    if (at == end || *at != '[')
        return NULL;
    do {
        at = count < LINES_MAX ? quick_line(json_space_end(at + 1, end), end, &lines[count++]) : NULL;
        if (at == NULL)
            return NULL;
        at = json_space_end(at, end);
    } while (at < end && *at == ',');
    if (at == end || *at != ']')
        return NULL;
    copy = arena_take_raw(arena, count * sizeof *lines);
    memcpy(copy, lines, count * sizeof *lines);
    event->lines = copy;
    event->line_count = count;
    return at + 1;
}

/* All but texts. */
__attribute__((noinline)) static const unsigned char *quick_other(const struct event_names *names,
                                                                  const struct event_field *field,
                                                                  const unsigned char *at, const unsigned char *end,
                                                                  struct arena *arena, struct event *event)
{
    void *to = (char *)event + field->offset;
    int64_t value;
    bool yes;
    struct span unused;
    switch (field->type) {
    case FIELD_TIME:
        return event_quick_time(at, end, to);
    case FIELD_INTEGER:
        at = quick_between(field, at, end, &value);
        if (at != NULL)
            *(int64_t *)to = value;
        return at;
    case FIELD_SCORE:
        at = quick_between(field, at, end, &value);
        if (at != NULL)
            *(int32_t *)to = (int32_t)value;
        return at;
    case FIELD_BOOLEAN:
        at = quick_boolean(at, end, &yes);
        if (at != NULL)
            *(bool *)to = yes;
        return at;
    case FIELD_ANSWER:
        at = quick_boolean(at, end, &yes);
        if (at != NULL)
            *(enum answer *)to = yes ? ANSWER_TRUE : ANSWER_FALSE;
        return at;
    case FIELD_KIND:
        return quick_enum(&names->kinds[event->topic], at, end, to);
    case FIELD_PURPOSE:
        return quick_enum(&names->purposes, at, end, to);
    case FIELD_CHANNEL:
        return quick_enum(&names->channels, at, end, to);
    case FIELD_AGENT:
        return quick_enum(&names->agents, at, end, to);
    case FIELD_CONCERNS:
        return quick_concerns(&names->concerns, at, end, to);
    case FIELD_LINES:
        return quick_lines(at, end, arena, event);
    case FIELD_UNUSED_TEXT:
        return quick_text(at, end, &unused);
    case FIELD_TEXT:
    case FIELD_UNUSED_TEXTS:
        return NULL;
    }
    return NULL;
}

/* Two fields in three are texts: theirs is a function that needs no stack. */
const unsigned char *event_quick_value(const struct event_names *names, const struct event_field *field,
                                       const unsigned char *at, const unsigned char *end, struct arena *arena,
                                       struct event *event)
{
    if (field->type == FIELD_TEXT)
        return quick_text(at, end, (struct span *)(void *)((char *)event + field->offset));
    return quick_other(names, field, at, end, arena, event);
}
