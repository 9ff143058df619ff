/* How fast an order event is read: our decode plan beside libavro's resolved reader, in one run, on the same bytes and
 * the same schema, in processor time of the one thread. Rounds of the two alternate; a pair gives a ratio, of which the
 * median and the range are printed, and of the nanoseconds the best. Asserts nothing but that both read the same.
 *
 * The floor has its best case: libavro resolves while it reads (avro_resolved_writer_new; what it calls a resolved
 * reader first reads all of the writer's value), resolver, reader and target are made once and used again, and what it
 * read stays in its generic value. Our time includes a checked struct event: UTF-8, ranges, required fields. */
#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/avro_plan.h"
#include "common/codec/avro_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 21, READS = 20000 };

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static avro_schema_t order_schema(struct buffer *text)
{
    FILE *file = fopen(ORIORI_SOURCE_DIR "/schemas/order.avsc", "rb");
    CHECK(file);
    char *room = buffer_extend(text, 65536);
    text->size = fread(room, 1, 65536, file);
    fclose(file);
    avro_schema_t schema;
    CHECK(avro_schema_from_json_length(text->data, text->size, &schema) == 0);
    return schema;
}

static struct event order(void)
{
    static const struct order_line lines[] = {{SPAN("DAILY-1"), 1, 3980}, {SPAN("CREAM-2"), 2, 1500}};
    struct event event = event_blank(TOPIC_ORDERS, EVENT_PLACED);
    event.event_id = SPAN("5c9d3a1e-0f0b-4f7b-9a53-0d6a3e0c0001");
    event.customer_id = SPAN("customer-000017");
    event.occurred_at = INT64_C(1709222400000);
    event.source = SPAN("shop");
    event.order_id = SPAN("A-2024-000017");
    event.lines = lines;
    event.line_count = COUNT_OF(lines);
    event.currency = SPAN("JPY");
    event.email_registered = ANSWER_TRUE;
    event.marketing_consent = ANSWER_TRUE;
    return event;
}

static double plan_round(const struct avro_plan *plan, struct span datum, struct arena *arena)
{
    struct event event;
    const char *field;
    double began = now_ns();
    for (int i = 0; i < READS; i++) {
        arena_reset(arena);
        CHECK(avro_plan_run(plan, datum, arena, &event, &field) == REASON_NONE && event.line_count == 2);
    }
    return (now_ns() - began) / READS;
}

static double libavro_round(avro_value_t *resolved, avro_value_t *target, struct span datum)
{
    avro_reader_t reader = avro_reader_memory(datum.data, (int64_t)datum.size);
    avro_value_t lines;
    size_t count = 0;
    double began = now_ns();
    for (int i = 0; i < READS; i++) {
        avro_reader_memory_set_source(reader, datum.data, (int64_t)datum.size);
        avro_value_reset(target);
        CHECK(avro_value_read(reader, resolved) == 0);
    }
    double took = (now_ns() - began) / READS;
    CHECK(avro_value_get_by_name(target, "lines", &lines, NULL) == 0 && avro_value_get_size(&lines, &count) == 0 &&
          count == 2);
    avro_reader_free(reader);
    return took;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    struct buffer text = {0}, value = {0};
    avro_schema_t schema = order_schema(&text);
    struct event event = order();
    struct arena arena;
    uint32_t id;
    struct span datum;
    event_avro_write(&event, NULL, &value);
    CHECK(wire_header_read(buffer_span(&value), &id, &datum));
    arena_init(&arena, 0);
    struct plan_reader *reader = plan_reader_new(buffer_span(&text));
    struct avro_plan *plan = avro_plan_compile(schema, TOPIC_ORDERS, reader);
    avro_value_iface_t *resolver = avro_resolved_writer_new(schema, schema);
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    avro_value_t resolved, target;
    CHECK(plan && resolver && avro_generic_value_new(class, &target) == 0 &&
          avro_resolved_writer_new_value(resolver, &resolved) == 0);
    avro_resolved_writer_set_dest(&resolved, &target);
    double ours = 1e18, theirs = 1e18, ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double one = plan_round(plan, datum, &arena), other = libavro_round(&resolved, &target, datum);
        ours = least(ours, one);
        theirs = least(theirs, other);
        ratios[i] = other / one;
    }
    qsort(ratios, ROUNDS, sizeof(*ratios), by_value);
    printf("an order event of %zu bytes: our plan %.0f ns, libavro's resolved reader %.0f ns (best of %d rounds); "
           "ratio of "
           "the bests %.1f, of a round: median %.1f, least %.1f, most %.1f\n",
           datum.size, ours, theirs, ROUNDS, theirs / ours, ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    avro_value_decref(&resolved);
    avro_value_decref(&target);
    avro_value_iface_decref(resolver);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
    avro_plan_free(plan);
    plan_reader_free(reader);
    arena_release(&arena);
    buffer_release(&text);
    buffer_release(&value);
    return 0;
}
