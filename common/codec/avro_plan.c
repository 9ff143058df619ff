#include "common/codec/avro_plan_private.h"

#include "common/base/check.h"

#include <stdlib.h>

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
        plan->symbols[plan->symbol_count++] = symbol >= 0 ? symbol : plan_reader_default(c->reader, plan->topic, field);
    }
}

static struct want want_of_name(struct compiler *c, bool is_root, struct want record, struct span name)
{
    if (is_root) {
        const struct event_field *field = event_field_find(c->plan->topic, name, NULL);
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
    struct span own = plan_reader_alias(c->reader, !is_root, writer, name);
    return span_empty(own) ? want : want_of_name(c, is_root, record, own);
}

/* A union of null and one other type reads as that other type, or as nothing: the quick way looks at its byte. */
static uint32_t see_through(const struct avro_plan *plan, struct plan_member *member)
{
    const struct plan_node *node = &plan->nodes[member->node];
    member->absent = member->present = NO_BRANCH;
    if (node->type != AVRO_UNION || node->count != 2)
        return member->node;
    const uint32_t *branches = &plan->children[node->first];
    int null = plan->nodes[branches[0]].type == AVRO_NULL ? 0 : 1;
    const struct plan_node *absent = &plan->nodes[branches[null]];
    if (absent->type != AVRO_NULL || absent->sink == SINK_MISMATCH)
        return member->node;
    member->absent = (uint8_t)(2 * null);
    member->present = (uint8_t)(2 - 2 * null);
    return branches[1 - null];
}

static enum quick quick_of_field(enum event_field_type type)
{
    switch (type) {
    case FIELD_TEXT:
        return QUICK_TEXT;
    case FIELD_TIME:
    case FIELD_INTEGER:
        return QUICK_WHOLE;
    case FIELD_SCORE:
        return QUICK_SCORE;
    case FIELD_BOOLEAN:
        return QUICK_BOOLEAN;
    case FIELD_ANSWER:
        return QUICK_ANSWER;
    case FIELD_KIND:
    case FIELD_PURPOSE:
    case FIELD_CHANNEL:
    case FIELD_AGENT:
        return QUICK_SYMBOL;
    default:
        return QUICK_NONE;
    }
}

static enum quick quick_of(const struct plan_node *node)
{
    if (node->type == AVRO_NULL)
        return QUICK_NONE;
    switch (node->sink) {
    case SINK_SKIP:
        return is_text(node->type) ? QUICK_SKIP_TEXT : is_whole(node->type) ? QUICK_SKIP_WHOLE : QUICK_NONE;
    case SINK_FIELD:
        return node->type == AVRO_UNION ? QUICK_NONE : quick_of_field(node->field->type);
    case SINK_SKU:
        return is_text(node->type) ? QUICK_TEXT : QUICK_NONE;
    case SINK_QUANTITY:
    case SINK_UNIT_PRICE:
        return is_whole(node->type) ? QUICK_WHOLE : QUICK_NONE;
    default:
        return QUICK_NONE;
    }
}

static size_t offset_of(const struct plan_node *node)
{
    switch (node->sink) {
    case SINK_FIELD:
        return node->field->offset;
    case SINK_SKU:
        return offsetof(struct order_line, sku);
    case SINK_QUANTITY:
        return offsetof(struct order_line, quantity);
    case SINK_UNIT_PRICE:
        return offsetof(struct order_line, unit_price);
    default:
        return 0; /* not stored */
    }
}

static struct plan_member member_of(const struct avro_plan *plan, uint32_t number)
{
    struct plan_member member = {.node = number, .low = INT64_MIN, .high = INT64_MAX};
    const struct plan_node *node = &plan->nodes[see_through(plan, &member)];
    member.quick = (uint8_t)quick_of(node);
    member.offset = (uint32_t)offset_of(node);
    if (node->sink == SINK_FIELD && is_whole(node->type)) {
        member.low = node->field->type == FIELD_TIME ? 0 : node->field->low;
        member.high = node->field->type == FIELD_TIME ? TIMESTAMP_MAX : node->field->high;
    }
    if (node->type == AVRO_INT32) { /* a value outside of an int's range is a fault wherever it goes */
        member.low = member.low > INT32_MIN ? member.low : INT32_MIN;
        member.high = member.high < INT32_MAX ? member.high : INT32_MAX;
    }
    if (node->type == AVRO_ENUM) {
        member.symbol = node->first;
        member.symbol_count = (uint8_t)(node->count < 64 ? node->count : 64);
    }
    return member;
}

static void compile_record(struct compiler *c, avro_schema_t schema, uint32_t node, struct want want)
{
    struct avro_plan *plan = c->plan;
    size_t count = avro_schema_record_size(schema), least_size = 0;
    uint32_t first = plan->member_count; /* the record's members lie together, those of records within it behind them */
    plan->member_count += (uint32_t)count;
    plan->members = grown(plan->members, plan->member_count + 1, sizeof *plan->members);
    plan->nodes[node].first = first;
    plan->nodes[node].count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(avro_schema_record_field_name(schema, (int)i));
        struct want member = want_of_member(c, schema, node == plan->root, want, name);
        uint32_t child = compile(c, avro_schema_record_field_get_by_index(schema, (int)i), member);
        plan->members[first + i] = member_of(plan, child);
        least_size += plan->nodes[child].least_size;
    }
    plan->nodes[node].least_size = least_size;
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
    plan->blank = event_fields_blank(topic);
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
    free(plan->members);
    free(plan->children);
    free(plan->symbols);
    free(plan);
}

void avro_plan_forget_quick(struct avro_plan *plan)
{
    for (uint32_t i = 0; i < plan->member_count; i++) {
        plan->members[i].quick = QUICK_NONE;
        plan->members[i].present = NO_BRANCH;
    }
}
