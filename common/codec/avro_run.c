#include "common/codec/avro_plan_private.h"

#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/json.h"

struct run {
    const struct avro_plan *plan;
    struct avro_cursor cursor;
    struct arena *arena;
    struct event *event;
    struct order_line *lines; /* room for line_room of them */
    size_t line_room;
    size_t empty_items; /* seen so far */
    int depth;
    bool is_plain;      /* all texts so far are printable ASCII */
    enum reason reason; /* the first fault; what follows it is not read */
    const char *field;
};

static bool fail(struct run *run, enum reason reason, const struct plan_node *node)
{
    run->reason = reason;
    run->field = node != NULL && node->field != NULL ? node->field->name.data : NULL;
    return false;
}

static bool run_node(struct run *run, uint32_t number);

static struct order_line *line_at_hand(struct run *run)
{
    return &run->lines[run->event->line_count - 1];
}

static bool take_text(struct run *run, const struct plan_node *node)
{
    struct span text = avro_read_bytes(&run->cursor);
    if (node->sink == SINK_SKIP)
        return true;
    if (span_plain(text) != text.size)
        run->is_plain = false;
    if (!run->is_plain && !utf8_valid(text))
        return fail(run, REASON_BAD_TEXT, node);
    if (node->sink == SINK_SKU)
        line_at_hand(run)->sku = text;
    else if (node->sink == SINK_FIELD && node->field->type == FIELD_TEXT)
        *(struct span *)(void *)((char *)run->event + node->field->offset) = text;
    return true;
}

static bool store_integer(struct run *run, const struct plan_node *node, int64_t value)
{
    char *to = (char *)run->event + node->field->offset;
    bool is_time = node->field->type == FIELD_TIME;
    int64_t low = is_time ? 0 : node->field->low, high = is_time ? TIMESTAMP_MAX : node->field->high;
    if (value < low || value > high)
        return fail(run, REASON_OUT_OF_RANGE, node);
    if (node->field->type == FIELD_SCORE)
        *(int32_t *)(void *)to = (int32_t)value;
    else
        *(int64_t *)(void *)to = value;
    return true;
}

static bool take_integer(struct run *run, const struct plan_node *node)
{
    int64_t value = node->type == AVRO_INT32 ? avro_read_int(&run->cursor) : avro_read_long(&run->cursor);
    if (run->cursor.bad || node->sink == SINK_SKIP)
        return true;
    if (node->sink == SINK_FIELD)
        return store_integer(run, node, value);
    *(node->sink == SINK_QUANTITY ? &line_at_hand(run)->quantity : &line_at_hand(run)->unit_price) = value;
    return true;
}

static bool take_boolean(struct run *run, const struct plan_node *node)
{
    bool value = avro_read_boolean(&run->cursor);
    if (node->sink == SINK_SKIP)
        return true;
    char *to = (char *)run->event + node->field->offset;
    if (node->field->type == FIELD_BOOLEAN)
        *(bool *)(void *)to = value;
    else
        *(enum answer *)(void *)to = value ? ANSWER_TRUE : ANSWER_FALSE;
    return true;
}

static bool take_enum(struct run *run, const struct plan_node *node)
{
    int64_t index = avro_read_long(&run->cursor);
    if (index < 0 || index >= (int64_t)node->count)
        return fail(run, REASON_UNDECODABLE, node);
    if (node->sink == SINK_SKIP)
        return true;
    int symbol = run->plan->symbols[node->first + (size_t)index];
    if (symbol < 0)
        return fail(run, REASON_BAD_ENUM, node);
    event_field_set_symbol(node->field, run->event, symbol);
    return true;
}

static bool take_union(struct run *run, const struct plan_node *node)
{
    int64_t branch = avro_read_long(&run->cursor);
    if (branch < 0 || branch >= (int64_t)node->count)
        return fail(run, REASON_UNDECODABLE, node);
    uint32_t number = run->plan->children[node->first + (size_t)branch];
    const struct plan_node *taken = &run->plan->nodes[number];
    if (taken->type == AVRO_NULL && taken->sink != SINK_MISMATCH)
        return true; /* absent: every other field of most events, so it is worth a short way */
    return run_node(run, number);
}

/* One more order line, blank. The room doubles, so that all of it stays within a constant times the lines there are. */
static struct order_line *add_line(struct run *run)
{
    if (run->event->line_count == run->line_room) {
        struct order_line *old = run->lines;
        run->line_room = run->line_room ? 2 * run->line_room : 8;
        run->lines = arena_take_raw(run->arena, run->line_room * sizeof *run->lines);
        if (old != NULL)
            memcpy(run->lines, old, run->event->line_count * sizeof *old);
        run->event->lines = run->lines;
    }
    struct order_line *line = &run->lines[run->event->line_count++];
    *line = (struct order_line){.quantity = 1};
    return line;
}

/* The quick way: what most fields of most records are is read here without a call, from `at`, to base + the member's
 * offset. It only ever succeeds: NULL says that the general way must look, from where the field begins, at what is
 * longer, stranger or wrong; so the two cannot differ in what they refuse. */
static inline const unsigned char *quick_text(const unsigned char *at, const unsigned char *end, struct span *to)
{
    if (at == end || (*at & 0x81) != 0) /* more than 63 bytes, or a negative size */
        return NULL;
    struct span text = {(const char *)at + 1, *at >> 1};
    if (text.size >= (size_t)(end - at) || span_plain(text) != text.size)
        return NULL;
    *to = text;
    return at + 1 + text.size;
}

static inline const unsigned char *quick_skip_text(const unsigned char *at, const unsigned char *end)
{
    return at == end || (*at & 0x81) != 0 || *at >> 1 >= end - at ? NULL : at + 1 + (*at >> 1);
}

static inline const unsigned char *quick_long(const unsigned char *at, const unsigned char *end, int64_t *to)
{
    if (at == end)
        return NULL;
    uint64_t value = *at;
    size_t size = 1;
    if (value >= 0x80) {
        size = end - at >= 8 ? avro_long_of_eight(at, &value) : 0;
        if (size == 0)
            return NULL;
    }
    *to = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    return at + size;
}

static inline const unsigned char *quick_whole(const struct plan_member *member, const unsigned char *at,
                                               const unsigned char *end, int64_t *to)
{
    at = quick_long(at, end, to);
    return at != NULL && *to >= member->low && *to <= member->high ? at : NULL;
}

static inline const unsigned char *quick_symbol(const struct plan_member *member, const int *symbols,
                                                const unsigned char *at, const unsigned char *end, int *to)
{
    if (at == end || (*at & 1) != 0 || *at >> 1 >= member->symbol_count || symbols[member->symbol + (*at >> 1)] < 0)
        return NULL;
    *to = symbols[member->symbol + (*at >> 1)];
    return at + 1;
}

_Static_assert(sizeof(enum event_kind) == sizeof(int) && sizeof(enum purpose) == sizeof(int) &&
                   sizeof(enum event_channel) == sizeof(int) && sizeof(enum event_agent) == sizeof(int),
               "quick_symbol stores an int");

static inline const unsigned char *quick_value(const struct plan_member *member, const int *symbols,
                                               const unsigned char *at, const unsigned char *end, void *to)
{
    int64_t value;
    switch ((enum quick)member->quick) {
    case QUICK_NONE:
        return NULL;
    case QUICK_SKIP_TEXT:
        return quick_skip_text(at, end);
    case QUICK_SKIP_WHOLE:
        return quick_whole(member, at, end, &value);
    case QUICK_TEXT:
        return quick_text(at, end, to);
    case QUICK_WHOLE:
        at = quick_whole(member, at, end, &value);
        if (at != NULL)
            *(int64_t *)to = value;
        return at;
    case QUICK_SCORE:
        at = quick_whole(member, at, end, &value);
        if (at != NULL)
            *(int32_t *)to = (int32_t)value;
        return at;
    case QUICK_BOOLEAN:
        if (at == end || *at > 1)
            return NULL;
        *(bool *)to = *at == 1;
        return at + 1;
    case QUICK_ANSWER:
        if (at == end || *at > 1)
            return NULL;
        *(enum answer *)to = *at == 1 ? ANSWER_TRUE : ANSWER_FALSE;
        return at + 1;
    case QUICK_SYMBOL:
        return quick_symbol(member, symbols, at, end, to);
    }
    return NULL;
}

static inline const unsigned char *quick_member(const struct plan_member *member, const int *symbols,
                                                const unsigned char *at, const unsigned char *end, char *base)
{
    if (member->present != NO_BRANCH) {
        if (at == end)
            return NULL;
        if (*at == member->absent)
            return at + 1;
        if (*at++ != member->present)
            return NULL;
    }
    return quick_value(member, symbols, at, end, base + member->offset);
}

static bool take_record(struct run *run, const struct plan_node *node)
{
    char *base = node->sink == SINK_LINE ? (char *)add_line(run) : (char *)run->event;
    const struct plan_member *member = &run->plan->members[node->first], *last = member + node->count;
    const unsigned char *at = run->cursor.at, *end = run->cursor.end;
    const int *symbols = run->plan->symbols;
    for (; member < last; member++) {
        const unsigned char *next = quick_member(member, symbols, at, end, base);
        if (next == NULL) {
            run->cursor.at = at;
            if (!run_node(run, member->node))
                return false;
            next = run->cursor.at;
        }
        at = next;
    }
    run->cursor.at = at;
    return true;
}

static bool take_item(struct run *run, const struct plan_node *node, uint32_t item)
{
    if (node->type == AVRO_MAP)
        avro_read_bytes(&run->cursor); /* the key */
    return run_node(run, item);
}

static bool take_items(struct run *run, const struct plan_node *node)
{
    uint32_t item = run->plan->children[node->first];
    size_t least_size = run->plan->nodes[item].least_size + (node->type == AVRO_MAP);
    for (;;) {
        size_t left = least_size != 0 ? 0 : EMPTY_ITEMS_MAX - run->empty_items;
        size_t count =
            least_size != 0 ? avro_read_block(&run->cursor, least_size) : avro_read_block_within(&run->cursor, left);
        if (count == 0)
            return true; /* the end, or bad */
        run->empty_items += least_size == 0 ? count : 0;
        for (; count > 0; count--)
            if (!take_item(run, node, item) || run->cursor.bad)
                return false;
    }
}

static bool take_value(struct run *run, const struct plan_node *node)
{
    switch (node->type) {
    case AVRO_NULL:
        return true; /* absent */
    case AVRO_STRING:
    case AVRO_BYTES:
        return take_text(run, node);
    case AVRO_INT32:
    case AVRO_INT64:
        return take_integer(run, node);
    case AVRO_BOOLEAN:
        return take_boolean(run, node);
    case AVRO_ENUM:
        return take_enum(run, node);
    case AVRO_UNION:
        return take_union(run, node);
    case AVRO_RECORD:
        return take_record(run, node);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return take_items(run, node);
    default: /* float, double, fixed: only ever skipped */
        avro_read_fixed(&run->cursor, node->least_size);
        return true;
    }
}

static bool run_node(struct run *run, uint32_t number)
{
    const struct plan_node *node = &run->plan->nodes[number];
    if (node->sink == SINK_MISMATCH)
        return fail(run, REASON_BAD_TYPE, node);
    if (++run->depth > DEPTH_MAX)
        return fail(run, REASON_UNDECODABLE, NULL);
    bool taken = take_value(run, node);
    run->depth--;
    if (!taken)
        return false;
    return run->cursor.bad ? fail(run, REASON_UNDECODABLE, node) : true;
}

enum reason avro_plan_run(const struct avro_plan *plan, struct span datum, struct arena *arena, struct event *ret_event,
                          const char **ret_field)
{
    *ret_event = plan->blank;
    *ret_field = NULL;
    struct run run = {
        .plan = plan, .cursor = avro_cursor_of(datum), .arena = arena, .event = ret_event, .is_plain = true};
    if (!run_node(&run, plan->root)) {
        *ret_field = run.field;
        return run.reason != REASON_NONE ? run.reason : REASON_UNDECODABLE;
    }
    if (run.cursor.at != run.cursor.end)
        return REASON_UNDECODABLE; /* more bytes than the schema explains: another schema wrote them */
    *ret_field = event_fields_missing(ret_event);
    if (*ret_field != NULL)
        return REASON_MISSING_FIELD;
    return run.is_plain ? event_validate_plain(ret_event, ret_field) : event_validate(ret_event, ret_field);
}
