#include "common/codec/avro_plan.h"

#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/event_field.h"
#include "common/codec/json.h"

#include <stdlib.h>

enum {
    DEPTH_MAX = 64,         /* of nested data that is skipped: a schema may name itself */
    EMPTY_ITEMS_MAX = 65536 /* items of no bytes in one datum (an array of nulls may claim any number) */
};

/* What becomes of a value. */
enum sink {
    SINK_SKIP,
    SINK_FIELD,    /* into node->field */
    SINK_MISMATCH, /* the writer's type does not resolve to the field's: a fault of this record */
    SINK_LINE,     /* one more order line */
    SINK_SKU,      /* into the order line at hand */
    SINK_QUANTITY,
    SINK_UNIT_PRICE,
    SINK_CONCERN, /* one more concern */
    SINK_CHECK    /* a text that only must be one */
};

struct plan_node {
    avro_type_t type; /* of the writer */
    enum sink sink;
    const struct event_field
        *field;     /* also of mismatches and of what is within lines and concerns; NULL = unknown field */
    uint32_t first; /* record fields, union branches, items: in children; enum: in symbols */
    uint32_t count;
    size_t size;       /* fixed: bytes */
    size_t least_size; /* no value of the type is shorter */
};

struct avro_plan {
    enum topic topic;
    uint32_t root;
    struct plan_node *nodes;
    uint32_t node_count;
    uint32_t *children; /* node numbers */
    uint32_t child_count;
    int *symbols; /* the reader's value for each symbol of the writer, -1 = unknown */
    uint32_t symbol_count;
};

/* ---- compiling ---- */

/* What the reader wants where the compiler stands. */
struct want {
    enum sink sink;
    const struct event_field *field;
};

/* Named types that are skipped, compiled once: what makes a recursive schema a finite plan. */
struct skipped {
    avro_schema_t schema;
    uint32_t node;
};

struct compiler {
    struct avro_plan *plan;
    const struct plan_reader *reader; /* or NULL */
    struct skipped *skipped;
    size_t skipped_count;
};

static const struct want want_skip = {SINK_SKIP, NULL};

/* ---- the reader's schema ---- */

struct plan_reader {
    struct arena arena;
    const struct json *root;
};

static const struct json *json_part(const struct json *type, struct span key)
{
    return type != NULL && type->type == JSON_KIND_OBJECT ? json_member(type, key) : NULL;
}

static const struct json *json_items(const struct json *list)
{
    return list != NULL && list->type == JSON_KIND_ARRAY ? list->first : NULL;
}

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
    const struct json *field = json_items(json_part(record, SPAN("fields")));
    while (field != NULL && !json_is(json_part(field, SPAN("name")), name))
        field = field->next;
    return field;
}

static const struct json *reader_record(const struct plan_reader *reader, bool is_line)
{
    const struct json *root = reader != NULL ? reader->root : NULL;
    return is_line ? json_part(json_part(reader_field(root, SPAN("lines")), SPAN("type")), SPAN("items")) : root;
}

/* The field that the reader's record knows under that name as an alias; "" = none. The writer's own field of the
 * field's name goes before. */
static struct span alias_of(const struct json *record, avro_schema_t writer, struct span name)
{
    const struct json *field = json_items(json_part(record, SPAN("fields")));
    for (; field != NULL; field = field->next) {
        const struct json *own = json_part(field, SPAN("name")), *alias = json_items(json_part(field, SPAN("aliases")));
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

/* What an unknown symbol of the field becomes; -1 = a fault. */
static int enum_default(const struct plan_reader *reader, enum topic topic, const struct event_field *field)
{
    if (reader == NULL)
        return -1;
    const struct json *type = json_part(reader_field(reader->root, field->name), SPAN("type"));
    const struct json *symbol = json_part(enum_in(reader->root, type, SPAN(""), 0), SPAN("default"));
    return symbol != NULL && symbol->type == JSON_KIND_TEXT ? event_field_symbol(field, topic, symbol->text) : -1;
}

/* ---- compiling: nodes ---- */

static void *grown(void *items, size_t count, size_t item_size)
{
    items = realloc(items, count * item_size);
    CHECK(items != NULL);
    return items;
}

static uint32_t new_node(struct avro_plan *plan, avro_type_t type, struct want want)
{
    plan->nodes = grown(plan->nodes, plan->node_count + 1, sizeof *plan->nodes);
    plan->nodes[plan->node_count] = (struct plan_node){.type = type, .sink = want.sink, .field = want.field};
    return plan->node_count++;
}

static uint32_t new_children(struct avro_plan *plan, uint32_t node, size_t count)
{
    uint32_t first = plan->child_count;
    plan->child_count += (uint32_t)count;
    plan->children = grown(plan->children, plan->child_count + 1, sizeof *plan->children);
    plan->nodes[node].first = first;
    plan->nodes[node].count = (uint32_t)count;
    return first;
}

static bool is_text(avro_type_t type)
{
    return type == AVRO_STRING || type == AVRO_BYTES;
}

static bool is_whole(avro_type_t type)
{
    return type == AVRO_INT32 || type == AVRO_INT64;
}

static bool resolves_to_field(avro_type_t type, enum event_field_type field)
{
    switch (field) {
    case FIELD_TEXT:
    case FIELD_UNUSED_TEXT:
        return is_text(type);
    case FIELD_TIME:
    case FIELD_INTEGER:
    case FIELD_SCORE:
        return is_whole(type);
    case FIELD_BOOLEAN:
    case FIELD_ANSWER:
        return type == AVRO_BOOLEAN;
    case FIELD_CONCERNS:
    case FIELD_LINES:
        return type == AVRO_ARRAY;
    case FIELD_UNUSED_TEXTS:
        return type == AVRO_MAP;
    default:
        return type == AVRO_ENUM;
    }
}

/* May the writer's type stand for what the reader wants? A union may; its branches are asked one by one. Null is
 * absent, but in a list there is no absent item. */
static bool resolves(avro_type_t type, struct want want)
{
    if (type == AVRO_UNION)
        return true;
    switch (want.sink) {
    case SINK_SKIP:
    case SINK_MISMATCH:
        return true;
    case SINK_FIELD:
        return type == AVRO_NULL || resolves_to_field(type, want.field->type);
    case SINK_LINE:
        return type == AVRO_RECORD;
    case SINK_SKU:
        return type == AVRO_NULL || is_text(type);
    case SINK_QUANTITY:
    case SINK_UNIT_PRICE:
        return type == AVRO_NULL || is_whole(type);
    case SINK_CONCERN:
        return type == AVRO_ENUM;
    case SINK_CHECK:
        return is_text(type);
    }
    return false;
}

static uint32_t compile(struct compiler *c, avro_schema_t schema, struct want want);

static void compile_enum(struct compiler *c, avro_schema_t schema, uint32_t node)
{
    struct avro_plan *plan = c->plan;
    int count = avro_schema_enum_number_of_symbols(schema);
    plan->nodes[node].first = plan->symbol_count;
    plan->nodes[node].count = (uint32_t)count;
    plan->nodes[node].least_size = 1;
    plan->symbols = grown(plan->symbols, plan->symbol_count + (size_t)count + 1, sizeof *plan->symbols);
    for (int i = 0; i < count; i++) {
        struct span name = span_of(avro_schema_enum_get(schema, i));
        const struct event_field *field = plan->nodes[node].sink != SINK_SKIP ? plan->nodes[node].field : NULL;
        int symbol = field != NULL ? event_field_symbol(field, plan->topic, name) : 0;
        plan->symbols[plan->symbol_count++] = symbol >= 0 ? symbol : enum_default(c->reader, plan->topic, field);
    }
}

static struct want want_of_name(struct compiler *c, bool is_root, struct want record, struct span name)
{
    if (is_root) {
        const struct event_field *field = event_field_find(c->plan->topic, name);
        return field == NULL ? want_skip : (struct want){SINK_FIELD, field};
    }
    if (record.sink != SINK_LINE) /* only the root and the order line are looked into */
        return want_skip;
    if (span_equal(name, SPAN("sku")))
        return (struct want){SINK_SKU, record.field};
    if (span_equal(name, SPAN("quantity")))
        return (struct want){SINK_QUANTITY, record.field};
    return span_equal(name, SPAN("unit_price")) ? (struct want){SINK_UNIT_PRICE, record.field} : want_skip;
}

static struct want want_of_member(struct compiler *c, avro_schema_t writer, bool is_root, struct want record,
                                  struct span name)
{
    struct want want = want_of_name(c, is_root, record, name);
    if (want.sink != SINK_SKIP || !(is_root || record.sink == SINK_LINE))
        return want;
    struct span own = alias_of(reader_record(c->reader, !is_root), writer, name);
    return span_empty(own) ? want : want_of_name(c, is_root, record, own);
}

static void compile_record(struct compiler *c, avro_schema_t schema, uint32_t node, struct want want)
{
    size_t count = avro_schema_record_size(schema), least_size = 0;
    uint32_t first = new_children(c->plan, node, count);
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(avro_schema_record_field_name(schema, (int)i));
        struct want member = want_of_member(c, schema, node == c->plan->root, want, name);
        uint32_t child = compile(c, avro_schema_record_field_get_by_index(schema, (int)i), member);
        c->plan->children[first + i] = child;
        least_size += c->plan->nodes[child].least_size;
    }
    c->plan->nodes[node].least_size = least_size;
}

static void compile_union(struct compiler *c, avro_schema_t schema, uint32_t node, struct want want)
{
    size_t count = avro_schema_union_size(schema);
    uint32_t first = new_children(c->plan, node, count);
    for (size_t i = 0; i < count; i++) {
        uint32_t branch = compile(c, avro_schema_union_branch(schema, (int)i), want); /* may move the plan's arrays */
        c->plan->children[first + i] = branch;
    }
    c->plan->nodes[node].least_size = 1;
}

static struct want want_of_item(struct want list)
{
    if (list.sink == SINK_SKIP)
        return list;
    enum sink sink = list.field->type == FIELD_LINES      ? SINK_LINE
                     : list.field->type == FIELD_CONCERNS ? SINK_CONCERN
                                                          : SINK_CHECK;
    return (struct want){sink, list.field};
}

static void compile_items(struct compiler *c, avro_schema_t items, uint32_t node, struct want want)
{
    uint32_t first = new_children(c->plan, node, 1);
    uint32_t item = compile(c, items, want_of_item(want)); /* may move the plan's arrays */
    c->plan->children[first] = item;
    c->plan->nodes[node].least_size = 1;
}

static size_t primitive_least_size(avro_type_t type)
{
    return type == AVRO_NULL ? 0 : type == AVRO_FLOAT ? 4 : type == AVRO_DOUBLE ? 8 : 1;
}

static uint32_t *find_skipped(struct compiler *c, avro_schema_t schema)
{
    for (size_t i = 0; i < c->skipped_count; i++)
        if (c->skipped[i].schema == schema)
            return &c->skipped[i].node;
    return NULL;
}

static uint32_t compile(struct compiler *c, avro_schema_t schema, struct want want)
{
    while (avro_typeof(schema) == AVRO_LINK)
        schema = avro_schema_link_target(schema);
    avro_type_t type = avro_typeof(schema);
    if (!resolves(type, want))
        want.sink = SINK_MISMATCH;
    uint32_t *skipped = want.sink == SINK_SKIP ? find_skipped(c, schema) : NULL;
    if (skipped != NULL)
        return *skipped;
    uint32_t node = new_node(c->plan, type, want);
    c->plan->nodes[node].least_size = primitive_least_size(type);
    if (want.sink == SINK_MISMATCH)
        return node; /* never looked into */
    if (want.sink == SINK_SKIP && type == AVRO_RECORD) {
        c->skipped = grown(c->skipped, c->skipped_count + 1, sizeof *c->skipped);
        c->skipped[c->skipped_count++] = (struct skipped){schema, node};
        c->plan->nodes[node].least_size = 0; /* what a record within itself may count on so far */
    }
    if (type == AVRO_ENUM)
        compile_enum(c, schema, node);
    else if (type == AVRO_FIXED)
        c->plan->nodes[node].size = c->plan->nodes[node].least_size = (size_t)avro_schema_fixed_size(schema);
    else if (type == AVRO_RECORD)
        compile_record(c, schema, node, want);
    else if (type == AVRO_UNION)
        compile_union(c, schema, node, want);
    else if (type == AVRO_ARRAY)
        compile_items(c, avro_schema_array_items(schema), node, want);
    else if (type == AVRO_MAP)
        compile_items(c, avro_schema_map_values(schema), node, want);
    return node;
}

struct avro_plan *avro_plan_compile(avro_schema_t writer, enum topic topic, const struct plan_reader *reader)
{
    if (avro_typeof(writer) != AVRO_RECORD)
        return NULL;
    struct avro_plan *plan = calloc(1, sizeof *plan);
    CHECK(plan != NULL);
    plan->topic = topic;
    struct compiler compiler = {.plan = plan, .reader = reader};
    plan->root = 0; /* the first node made */
    new_node(plan, AVRO_RECORD, want_skip);
    compile_record(&compiler, writer, plan->root, want_skip);
    free(compiler.skipped);
    return plan;
}

void avro_plan_free(struct avro_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->nodes);
    free(plan->children);
    free(plan->symbols);
    free(plan);
}

/* ---- running ---- */

struct run {
    const struct avro_plan *plan;
    struct avro_cursor cursor;
    struct arena *arena;
    struct event *event;
    struct order_line *lines; /* room for line_room of them */
    size_t line_room;
    size_t empty_items; /* seen so far */
    int depth;
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
    if (!utf8_valid(text))
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
static void add_line(struct run *run)
{
    if (run->event->line_count == run->line_room) {
        struct order_line *old = run->lines;
        run->line_room = run->line_room ? 2 * run->line_room : 8;
        run->lines = ARENA_ARRAY(run->arena, struct order_line, run->line_room);
        if (old != NULL)
            memcpy(run->lines, old, run->event->line_count * sizeof *old);
        run->event->lines = run->lines;
    }
    run->lines[run->event->line_count++] = (struct order_line){.quantity = 1};
}

static bool take_record(struct run *run, const struct plan_node *node)
{
    if (node->sink == SINK_LINE)
        add_line(run);
    for (uint32_t i = 0; i < node->count; i++)
        if (!run_node(run, run->plan->children[node->first + i]))
            return false;
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
    *ret_event = event_fields_blank(plan->topic);
    *ret_field = NULL;
    struct run run = {.plan = plan, .cursor = avro_cursor_of(datum), .arena = arena, .event = ret_event};
    if (!run_node(&run, plan->root)) {
        *ret_field = run.field;
        return run.reason != REASON_NONE ? run.reason : REASON_UNDECODABLE;
    }
    if (run.cursor.at != run.cursor.end)
        return REASON_UNDECODABLE; /* more bytes than the schema explains: another schema wrote them */
    *ret_field = event_fields_missing(ret_event);
    return *ret_field != NULL ? REASON_MISSING_FIELD : event_validate(ret_event, ret_field);
}
