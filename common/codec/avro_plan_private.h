/* What is between the files of a decode plan: avro_reader.c (what our own schema says), avro_plan.c (compiling) and
 * avro_run.c (running). Nobody else includes this. */
#ifndef ORIORI_CODEC_AVRO_PLAN_PRIVATE_H
#define ORIORI_CODEC_AVRO_PLAN_PRIVATE_H

#include "common/codec/avro_plan.h"
#include "common/codec/event_field.h"

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
    uint32_t first; /* record fields: in members; union branches, items: in children; enum: in symbols */
    uint32_t count;
    size_t size;       /* fixed: bytes */
    size_t least_size; /* no value of the type is shorter */
};

/* The quick way to read a record's field. */
enum quick {
    QUICK_NONE, /* there is none */
    QUICK_SKIP_TEXT,
    QUICK_SKIP_WHOLE,
    QUICK_TEXT,
    QUICK_WHOLE, /* int64_t */
    QUICK_SCORE, /* int32_t */
    QUICK_BOOLEAN,
    QUICK_ANSWER,
    QUICK_SYMBOL /* one of the enums of struct event */
};

enum { NO_BRANCH = 0xff };

/* A record's field: the node that reads it, and beside it all that the quick way needs, in one place. */
struct plan_member {
    uint32_t node;
    uint32_t offset;      /* in struct event or struct order_line */
    int64_t low, high;    /* QUICK_WHOLE, QUICK_SCORE */
    uint32_t symbol;      /* QUICK_SYMBOL: in symbols */
    uint8_t symbol_count; /* QUICK_SYMBOL: of them, the first 64 at most: what one byte can name */
    uint8_t quick;        /* enum quick */
    uint8_t absent;       /* the field is a union of null and one other type: the byte that names null's branch */
    uint8_t present;      /* and that of the other; NO_BRANCH = no such union */
};

struct avro_plan {
    struct event blank; /* what a run begins with */
    enum topic topic;
    uint32_t root;
    struct plan_node *nodes;
    uint32_t node_count;
    struct plan_member *members;
    uint32_t member_count;
    uint32_t *children; /* node numbers */
    uint32_t child_count;
    int *symbols; /* the reader's value for each symbol of the writer, -1 = unknown */
    uint32_t symbol_count;
};

/* The field that the reader's record (the event's, or its order line's) knows under that name as an alias; "" = none.
 * The writer's own field of the field's name goes before. reader NULL: none. */
struct span plan_reader_alias(const struct plan_reader *reader, bool is_line, avro_schema_t writer, struct span name);

/* What an unknown symbol of the field becomes; -1 = a fault. reader NULL: a fault. */
int plan_reader_default(const struct plan_reader *reader, enum topic topic, const struct event_field *field);

/* From now on the plan reads all fields by the general way: tests hold the two against each other. */
void avro_plan_forget_quick(struct avro_plan *plan);

#endif
