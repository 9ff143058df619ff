/* The input is a writer's schema, another that it may refer to, and a datum, a zero byte between: linked, compiled for
 * each topic, and the datum read by the quick way and by the general way, which must agree. */
#include "common/base/buffer.h"
#include "common/codec/avro_plan_private.h"
#include "common/codec/schema_link.h"
#include "common/codec/schema_set.h"
#include "tests/fuzz/fuzz.h"

#include <avro.h>

/* libavro loses some bytes of a schema that it refuses (an enum whose symbols are wrong). A registry gives such a
 * schema once per id, if ever; the fuzzer would see nothing else. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libavro";
}

static struct span take(struct span *rest)
{
    const char *zero = rest->size ? memchr(rest->data, 0, rest->size) : NULL;
    struct span part = {rest->data, zero ? (size_t)(zero - rest->data) : rest->size};
    size_t taken = part.size + (zero != NULL);
    *rest = (struct span){rest->data + taken, rest->size - taken};
    return part;
}

static void read_both(avro_schema_t schema, enum topic topic, struct span datum)
{
    struct avro_plan *plans[2] = {avro_plan_compile(schema, topic, NULL), avro_plan_compile(schema, topic, NULL)};
    struct event events[2];
    enum reason reasons[2];
    const char *fields[2];
    struct arena arena;
    arena_init(&arena, 64 << 20);
    CHECK((plans[0] == NULL) == (avro_typeof(schema) != AVRO_RECORD));
    if (plans[0] != NULL) {
        avro_plan_forget_quick(plans[1]);
        for (int i = 0; i < 2; i++)
            reasons[i] = avro_plan_run(plans[i], datum, &arena, &events[i], &fields[i]);
        CHECK(reasons[0] == reasons[1] && fields[0] == fields[1] && events[0].line_count == events[1].line_count);
        CHECK(events[0].kind == events[1].kind && events[0].occurred_at == events[1].occurred_at);
        CHECK(events[0].nps == events[1].nps && events[0].version == events[1].version);
        CHECK(span_equal(events[0].event_id, events[1].event_id) && span_equal(events[0].source, events[1].source));
        if (reasons[0] == REASON_NONE)
            CHECK(event_validate(&events[0], &fields[0]) == REASON_NONE);
    }
    for (int i = 0; i < 2; i++)
        avro_plan_free(plans[i]);
    arena_release(&arena);
}

static void read_and_show(struct span avsc, struct span datum)
{
    avro_schema_t schema;
    struct buffer value = {0}, text = {0}, error = {0};
    if (avro_schema_from_json_length(avsc.data, avsc.size, &schema) != 0)
        return;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        read_both(schema, (enum topic)topic, datum);
    avro_schema_decref(schema);
    struct schema_set *set = schema_set_new();
    buffer_add(&value, "\0\0\0\0\7", 5);
    buffer_add_span(&value, datum);
    if (schema_set_add(set, 7, avsc, &error))
        schema_set_json_write(set, buffer_span(&value), &text);
    schema_set_free(set);
    buffer_release(&value);
    buffer_release(&text);
    buffer_release(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = fuzz_span(data, size), root = take(&rest), other = take(&rest);
    struct buffer linked = {0}, error = {0};
    struct arena arena;
    arena_init(&arena, 64 << 20);
    bool good = schema_link(root, &other, 1, &arena, &linked, &error);
    CHECK(good == (error.size == 0));
    read_and_show(good ? buffer_span(&linked) : root, rest);
    arena_release(&arena);
    buffer_release(&linked);
    buffer_release(&error);
    return 0;
}
