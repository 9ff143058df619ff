/* The state's binary form: round trips, size, the published schema, hostile bytes (R11: what the state keeps). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <avro.h>

#include "common/engine/runs.h"
#include "common/engine/step.h"
#include "tests/lib/engine.h"

static struct subject subject;

static int setup(void **state)
{
    (void)state;
    subject = subject_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    subject_free(&subject);
    return 0;
}

/* A history with every kind of fact, edits and absences included. */
static size_t rich_history(struct event *events)
{
    static const struct order_line two_lines[] = {{{"PREMIUM-9", 9}, 2, 9000}, {{"RELATED-1", 9}, 1, 10}};
    const struct event all[] = {
        PLACED(day(0), "o1", .source = ID("shop"), .email_registered = ANSWER_TRUE, .campaign = ID("spring"),
               .currency = ID("EUR"), .time_zone = ID("Europe/London"), .marketing_consent = ANSWER_FALSE),
        PLACED(day(30), "o2", .source = ID("shop"), .referrer_customer_id = ID("friend"), .backfill = true,
               .lines = two_lines, .line_count = 2),
        RENEWED(day(31), "", .event_id = ID("ren"), .subscription_id = ID("sub")),
        RENEWED(day(33), "o4", .version = 7),
        RENEWED(day(32), "o4", .version = 5),
        CANCELLED(day(40), "o5", .version = 2),
        REFUNDED(day(41), "o1", .refund_amount = 10),
        REFUNDED(day(42), "o2"),
        SUBSCRIPTION(PAUSED, day(43), .subscription_id = ID("sub")),
        DELIVERY(SHIPPED, day(1), "o1", .estimated_at = day(4), .source = ID("depot")),
        DELIVERY(DELIVERED, day(3), "o1"),
        DELIVERY(FAILED, day(2), "o1", .estimated_at = day(5)),
        DELIVERY(RETURNED, day(6), "o2", .parcel_id = ID("p2"), .estimated_at = day(7)),
        RESPONSE(day(8), "r1", ASSESS, .nps = 0, .satisfaction = 1, .concerns = 63, .goal = ID("眠り")),
        RESPONSE(day(9), "r1", ASSESS, .version = 1, .effect_felt = ANSWER_TRUE, .consent_to_share = ANSWER_FALSE),
        HUMAN(CLICKED, day(10), .channel = EVENT_CHANNEL_LINE),
        EVENT(EMAIL_OPENS, OPENED, day(10), .agent = AGENT_MACHINE),
        CUSTOMER(REGISTERED, day(11), .marketing_consent = ANSWER_TRUE, .time_zone = ID("Asia/Tokyo")),
        CUSTOMER(REFERRED, day(12), .referred_customer_id = ID("pal")),
        CUSTOMER(REFERRED, day(13)),
        CUSTOMER(SUPPORT_CONTACTED, day(14)),
        EVENT(ORDERS, CREDIT, day(15), .credit = {ID("buyer"), true, false, ID("x1"), day(14), true}),
    };
    memcpy(events, all, sizeof all);
    return COUNT_OF(all);
}

enum { RICH_MOST = 32 };

static struct span visit(struct span blob, const struct event *event)
{
    struct step_world world = {.playbook = subject.playbook};
    struct visit visit = {ID("c1"), blob, event, 1, subject.now, true};
    struct visit_result result;
    assert_true(step_visit(&world, &subject.arena, &visit, &result));
    return result.state;
}

static struct span rich_blob(void)
{
    struct event events[RICH_MOST];
    char ids[RICH_MOST][32];
    size_t count = rich_history(events);
    identify(events, count, ids);
    struct span blob = SPAN_NONE;
    subject.now = day(45);
    for (size_t i = 0; i < count; i++)
        blob = visit(blob, &events[i]);
    return blob;
}

static void a_round_trip_keeps_every_figure(void **state)
{
    (void)state;
    struct event events[RICH_MOST];
    char ids[RICH_MOST][32];
    size_t count = rich_history(events);
    identify(events, count, ids);
    for (size_t i = 0; i < count; i++) {
        facts_apply(&subject.facts, &subject.arena, subject.playbook, &events[i], subject.now, &subject.change);
        assert_int_equal(subject.change.verdict, FOLD_APPLIED);
    }
    struct buffer before = {0}, after = {0};
    text_of_figures(&before, subject_figures(&subject, day(45)));
    subject_store(&subject);
    size_t size = subject.state_size;
    text_of_figures(&after, subject_figures(&subject, day(45)));
    assert_string_equal(before.data, after.data);
    subject_store(&subject);
    assert_int_equal(subject.state_size, size);
    for (size_t i = 0; i < count; i++) /* and nothing that R9 needs was lost */
        assert_int_equal(subject_apply(&subject, events[i]), FOLD_DUPLICATE);
    buffer_release(&before);
    buffer_release(&after);
}

static avro_schema_t published_schema(void)
{
    FILE *file = fopen(ORIORI_SOURCE_DIR "/schemas/customer_state.avsc", "rb");
    assert_non_null(file);
    static char text[256 * 1024];
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    avro_schema_t schema;
    if (avro_schema_from_json_length(text, size, &schema) != 0)
        fail_msg("%s", avro_strerror());
    return schema;
}

/* Read by libavro with the published schema and written again: the same bytes. */
static void assert_avro(struct span blob)
{
    avro_schema_t schema = published_schema();
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    avro_value_t value;
    assert_int_equal(avro_generic_value_new(class, &value), 0);
    assert_int_equal(blob.data[0], STATE_VERSION);
    avro_reader_t reader = avro_reader_memory(blob.data + 1, (int64_t)blob.size - 1);
    if (avro_value_read(reader, &value) != 0)
        fail_msg("%s", avro_strerror());
    char *again = malloc(blob.size);
    avro_writer_t writer = avro_writer_memory(again, (int64_t)blob.size);
    assert_int_equal(avro_value_write(writer, &value), 0);
    assert_int_equal(avro_writer_tell(writer), blob.size - 1);
    assert_memory_equal(again, blob.data + 1, blob.size - 1);
    free(again);
    avro_reader_free(reader);
    avro_writer_free(writer);
    avro_value_decref(&value);
    avro_value_iface_decref(class);
    avro_schema_decref(schema);
}

static void the_published_schema_reads_the_blob(void **state)
{
    (void)state;
    struct span blob = rich_blob();
    assert_avro(blob);
    assert_avro(visit(blob, &CUSTOMER(ERASED, day(44), .event_id = ID("bye"))));
}

static bool readable(struct span blob)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct step_world world = {.playbook = subject.playbook};
    struct customer_report report;
    bool ok = step_report(&world, &arena, ID("c1"), blob, day(50), &report);
    arena_release(&arena);
    return ok;
}

static void a_cut_blob_is_refused(void **state)
{
    (void)state;
    struct span blob = rich_blob();
    assert_true(readable(blob));
    for (size_t size = 1; size < blob.size; size++) {
        char *copy = malloc(size); /* exactly so long: the sanitizer sees a byte too far */
        memcpy(copy, blob.data, size);
        assert_false(readable((struct span){copy, size}));
        free(copy);
    }
}

static void longer_and_other_versions_are_refused(void **state)
{
    (void)state;
    struct span blob = rich_blob();
    char *copy = malloc(blob.size + 1);
    memcpy(copy, blob.data, blob.size);
    copy[blob.size] = 0;
    assert_false(readable((struct span){copy, blob.size + 1}));
    copy[0] = STATE_VERSION_LAST + 1;
    assert_false(readable((struct span){copy, blob.size}));
    free(copy);
}

static void no_changed_byte_does_harm(void **state)
{
    (void)state;
    struct span blob = rich_blob();
    static const unsigned char patterns[] = {0x01, 0x02, 0x80, 0xff};
    size_t refused = 0;
    char *copy = malloc(blob.size);
    for (size_t i = 0; i < blob.size; i++)
        for (size_t p = 0; p < COUNT_OF(patterns); p++) {
            memcpy(copy, blob.data, blob.size);
            copy[i] = (char)(copy[i] ^ patterns[p]);
            refused += !readable((struct span){copy, blob.size});
        }
    free(copy);
    assert_true(refused > blob.size / 4); /* counts, indexes and enums are checked */
}

static void a_claimed_count_takes_no_memory(void **state)
{
    (void)state;
    /* version, seq 0, branch customer, no times, no classes, 2^31 sources */
    static const unsigned char claim[] = {STATE_VERSION, 0, 2, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10};
    struct state_head head;
    struct state_reader reader;
    size_t before = subject.arena.used;
    assert_false(
        state_decode((struct span){(const char *)claim, sizeof claim}, &subject.arena, &head, &subject.facts, &reader));
    assert_true(subject.arena.used - before < 4096);
}

/* The rich customer's state after somebody else had his hands on its runs. */
static struct span tampered_blob(void (*tamper)(struct runs *runs))
{
    struct span blob = rich_blob();
    struct state_head head;
    struct state_reader reader;
    struct state_writer writer;
    struct facts facts;
    struct runs runs;
    assert_true(state_decode(blob, &subject.arena, &head, &facts, &reader));
    assert_true(runs_decode(&runs, subject.playbook, &facts, &subject.arena, &reader));
    assert_true(runs.waiting_count > 0 && runs.tracks_count > 0);
    tamper(&runs);
    state_writer_init(&writer, &subject.arena, blob.size);
    state_encode(&writer, &head, &facts);
    runs_encode(&runs, subject.playbook, &facts, &writer);
    return state_writer_finish(&writer);
}

static int64_t due_at;
static int32_t slot, slot_zero;

static void set_due(struct runs *runs)
{
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        runs->waiting[i].due_at = runs->waiting[i].decide_at = due_at;
}

static void set_slots(struct runs *runs)
{
    for (uint32_t i = 0; i < runs->waiting_count; i++)
        runs->waiting[i].n = slot;
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        runs->tracks[i].m = slot_zero;
}

/* Records of one visit; -1 = the state is refused, and what it leaves is no state either. */
static int64_t records_of(struct span blob)
{
    struct step_world world = {.playbook = subject.playbook};
    struct visit visit = {.customer_id = ID("c1"), .state = blob, .now = subject.now + 400 * DAY_MS};
    struct visit_result result;
    int64_t count = 0;
    if (!step_visit(&world, &subject.arena, &visit, &result))
        return -1;
    for (const struct record *record = result.records; record; record = record->next)
        count++;
    assert_true(readable(result.state));
    return count;
}

/* A series is decided slot by slot: a time of thousands of years ago, or numbers that lead there, would be millions. */
static void impossible_times_cost_no_work(void **state)
{
    (void)state;
    due_at = STATE_TIME_LEAST - 1;
    assert_int_equal(records_of(tampered_blob(set_due)), -1);
    due_at = -(INT64_C(1) << 49);
    assert_int_equal(records_of(tampered_blob(set_due)), -1);
    due_at = STATE_TIME_LEAST;
    assert_in_range(records_of(tampered_blob(set_due)), 1, 10000);
    slot = 1;
    slot_zero = SLOT_MAX;
    assert_in_range(records_of(tampered_blob(set_slots)), 1, 1000);
    slot = SLOT_MAX;
    slot_zero = 0;
    assert_in_range(records_of(tampered_blob(set_slots)), 1, 1000);
    slot = SLOT_MAX + 1;
    assert_int_equal(records_of(tampered_blob(set_slots)), -1);
}

/* The customer: 5 orders, 5 parcels, 2 answers (his runs are test_runs' part). */
static void a_usual_customers_facts_are_compact(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof id, "20240%d-10023", i + 1);
        subject_apply(&subject, PLACED(day(i * 30), id, .source = ID("shop")));
        subject_apply(&subject, DELIVERY(SHIPPED, day(i * 30 + 1), id, .source = ID("depot")));
        subject_apply(&subject, DELIVERY(DELIVERED, day(i * 30 + 2), id, .source = ID("depot")));
    }
    subject_apply(&subject, RESPONSE(day(20), "r1", EARLY_EXPERIENCE, .nps = 9, .satisfaction = 5));
    subject_apply(&subject, RESPONSE(day(60), "r2", MONTHLY, .nps = 9, .satisfaction = 5));
    assert_in_range(subject.state_size, 200, 450);
}

/* A usual customer with all that is his: the runs that wait, what was published, the anchors. */
static void a_usual_customers_state_is_small(void **state)
{
    (void)state;
    struct span blob = SPAN_NONE;
    for (int i = 0; i < 5; i++) {
        char id[24], event_ids[3][24];
        snprintf(id, sizeof id, "20240%d-10023", i + 1);
        for (int e = 0; e < 3; e++)
            snprintf(event_ids[e], sizeof event_ids[e], "e-%d-%d", i, e);
        subject.now = day(i * 30);
        blob = visit(blob, &PLACED(subject.now, id, .event_id = span_of(event_ids[0]), .source = ID("shop"),
                                   .email_registered = ANSWER_TRUE, .marketing_consent = ANSWER_TRUE));
        subject.now = day(i * 30 + 1);
        blob =
            visit(blob, &DELIVERY(SHIPPED, subject.now, id, .event_id = span_of(event_ids[1]), .source = ID("depot")));
        subject.now = day(i * 30 + 2);
        blob = visit(blob,
                     &DELIVERY(DELIVERED, subject.now, id, .event_id = span_of(event_ids[2]), .source = ID("depot")));
        if (i < 2) {
            subject.now = day(i * 30 + 10);
            blob = visit(blob, &RESPONSE(subject.now, i ? "r2" : "r1", MONTHLY, .event_id = span_of(i ? "a2" : "a1"),
                                         .nps = 9, .satisfaction = 5));
        }
    }
    struct step_world world = {.playbook = subject.playbook};
    struct customer_report report;
    assert_true(step_report(&world, &subject.arena, ID("c1"), blob, subject.now, &report));
    assert_in_range(report.waiting_count, 4, 6);
    assert_in_range(blob.size, 300, 600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_round_trip_keeps_every_figure),
        TEST(the_published_schema_reads_the_blob),
        TEST(a_cut_blob_is_refused),
        TEST(longer_and_other_versions_are_refused),
        TEST(no_changed_byte_does_harm),
        TEST(a_claimed_count_takes_no_memory),
        TEST(impossible_times_cost_no_work),
        TEST(a_usual_customers_facts_are_compact),
        TEST(a_usual_customers_state_is_small),
    };
    return cmocka_run_group_tests_name("state_codec", tests, NULL, NULL);
}
