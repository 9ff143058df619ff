/* The state's binary form: round trips, size, the published schema, hostile bytes (R11: what the state keeps). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <avro.h>

#include "common/base/trace_context.h"
#include "common/engine/runs.h"
#include "common/engine/step.h"
#include "common/io/data_file.h"
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
        REFUNDED(day(41), "o1", .refund_amount = -1),
        REFUNDED(day(41), "o1", .refund_amount = INT64_MIN + 1),
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
    struct visit visit = {ID("c1"), blob, event, 1, subject.now, true, false};
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

/* The state after somebody else had his hands on its runs. */
static struct span written_again(struct span blob, void (*tamper)(struct runs *runs))
{
    struct state_head head;
    struct state_reader reader;
    struct state_writer writer;
    struct facts facts;
    struct runs runs;
    assert_true(state_decode(blob, &subject.arena, &head, &facts, &reader));
    assert_true(runs_decode(&runs, subject.playbook, &facts, &subject.arena, &reader));
    if (tamper)
        tamper(&runs);
    state_writer_init(&writer, &subject.arena, blob.size);
    state_encode(&writer, &head, &facts);
    runs_encode(&runs, subject.playbook, &facts, &writer);
    return state_writer_finish(&writer);
}

static struct span tampered_blob(void (*tamper)(struct runs *runs))
{
    return written_again(rich_blob(), tamper);
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

/* His own timers up to then, each on time. */
static struct span rest_until(struct span blob, int64_t until)
{
    struct step_world world = {.playbook = subject.playbook};
    int64_t wake_at;
    for (;;) {
        assert_true(step_wake_at(&world, &subject.arena, ID("c1"), blob, &wake_at));
        if (wake_at == NEVER || wake_at >= until)
            break;
        struct visit visit = {.customer_id = ID("c1"), .state = blob, .now = wake_at, .fire_now = true};
        struct visit_result result;
        assert_true(step_visit(&world, &subject.arena, &visit, &result));
        blob = result.state;
    }
    subject.now = until;
    return blob;
}

/* An event of a usual customer, at its time. */
static struct span lives(struct span blob, struct event event)
{
    static char ids[32][16];
    static int count;
    char *id = ids[count++ % 32];
    snprintf(id, 16, "e-%d", count);
    event.event_id = span_of(id);
    return visit(rest_until(blob, event.occurred_at), &event);
}

static struct span usual_customer(void)
{
    struct span blob = SPAN_NONE;
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof id, "20240%d-10023", i + 1);
        blob = lives(blob, PLACED(day(i * 30), id, .source = ID("shop"), .email_registered = ANSWER_TRUE,
                                  .marketing_consent = ANSWER_TRUE));
        blob = lives(blob, DELIVERY(SHIPPED, day(i * 30 + 1), id, .source = ID("depot")));
        blob = lives(blob, DELIVERY(DELIVERED, day(i * 30 + 2), id, .source = ID("depot")));
        if (i == 0)
            blob = lives(blob, RESPONSE(day(10), "r1", MONTHLY, .nps = 9, .satisfaction = 5));
    }
    blob = lives(blob, RESPONSE(day(165), "r2", MONTHLY, .nps = 9, .satisfaction = 5, .consent_to_share = ANSWER_TRUE));
    return rest_until(blob, day(166));
}

static struct runs runs_of(struct span blob, struct facts *facts)
{
    struct state_head head;
    struct state_reader reader;
    struct runs runs;
    assert_true(state_decode(blob, &subject.arena, &head, facts, &reader));
    assert_true(runs_decode(&runs, subject.playbook, facts, &subject.arena, &reader));
    assert_true(state_reader_finish(&reader));
    return runs;
}

/* The customer, under the shipped playbook. */
static void a_usual_customers_state_is_small(void **state)
{
    (void)state;
    struct span blob = usual_customer();
    struct facts facts;
    struct runs runs = runs_of(blob, &facts);
    assert_int_equal(facts.orders_count, 5);
    assert_int_equal(facts.parcels_count, 5);
    assert_int_equal(facts.responses_count, 2);
    assert_int_equal(runs.waiting_count, 4);
    assert_int_equal(runs.sent_count, 3);
    assert_avro(blob);
    if (getenv("ORIORI_TEST_SIZES"))
        fprintf(stderr, "a usual customer: %zu bytes\n", blob.size);
    assert_in_range(blob.size, 300, 600);
}

/* A rule that is not in the list of known ones is written by its name, or its hash. */
static void a_shop_names_its_own_rules(void **state)
{
    (void)state;
    struct buffer text = {0}, own = {0};
    struct playbook_errors errors = {0};
    assert_true(file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", &text));
    const char *rules = strstr(text.data, "\nrules:\n");
    buffer_add_span(&own, (struct span){text.data, (size_t)(rules - text.data)});
    for (const char *at = rules; *at; at++) {
        buffer_add_char(&own, *at);
        if (strncmp(at, "\n  - name: ", 11) == 0) {
            buffer_add_text(&own, "  - name: m");
            at += 10;
        }
    }
    playbook_free(subject.playbook);
    subject.playbook = playbook_compile(buffer_span(&own), "own.yaml", &errors);
    assert_non_null(subject.playbook);
    assert_int_equal(subject.playbook->rules[0].known, -1);
    struct span blob = usual_customer();
    struct facts facts;
    struct runs runs = runs_of(blob, &facts);
    assert_int_equal(runs.waiting_count, 4);
    assert_int_equal(runs.sent_count, 3);
    for (uint32_t i = 0; i < runs.waiting_count; i++)
        assert_int_equal(runs.waiting[i].rule.data[0], 'm');
    assert_avro(blob);
    if (getenv("ORIORI_TEST_SIZES"))
        fprintf(stderr, "under names of the shop's own: %zu bytes\n", blob.size);
    assert_in_range(blob.size, 500, 800); /* its names are a quarter of it */
    buffer_release(&text);
    buffer_release(&own);
}

/* The numbers are part of the version: the schema says them. */
static void known_rules_are_numbered_as_the_schema_says(void **state)
{
    (void)state;
    struct buffer schema = {0}, list = {0};
    assert_true(file_read(ORIORI_SOURCE_DIR "/schemas/customer_state.avsc", &schema));
    for (int i = 0; i < KNOWN_RULES; i++) {
        buffer_format(&list, "%s%d %s", i ? ", " : "from 0 on a known rule (", i, known_rule_name(i).data);
        assert_int_equal(known_rule_find(known_rule_name(i)), i);
    }
    buffer_add_char(&list, ')');
    assert_non_null(strstr(schema.data, list.data));
    assert_int_equal(known_rule_find(ID("tips")), -1);
    buffer_release(&schema);
    buffer_release(&list);
}

/* ---- version 2 ---- */

static struct span golden_hex(const char *name)
{
    struct buffer text = {0}, path = {0};
    buffer_format(&path, ORIORI_SOURCE_DIR "/tests/golden/0.1.0/%s.hex", name);
    assert_true(file_read(path.data, &text));
    unsigned char *bytes = arena_take(&subject.arena, text.size);
    size_t size = 0;
    unsigned value;
    for (const char *at = text.data; sscanf(at, "%2x", &value) == 1; at += 2 + (at[2] == '\n'))
        bytes[size++] = (unsigned char)value;
    buffer_release(&text);
    buffer_release(&path);
    return (struct span){(char *)bytes, size};
}

/* How many of the runs' tracks, which lie in no order, are as the given one. */
static int tracks_equal(const struct runs *runs, const struct track *wanted)
{
    int equal = 0;
    for (uint32_t i = 0; i < runs->tracks_count; i++) {
        const struct track *track = &runs->tracks[i];
        equal += track->rule == wanted->rule && track->at == wanted->at && track->n == wanted->n &&
                 track->m == wanted->m && track->rule_index == wanted->rule_index && track->past == wanted->past &&
                 track->gone == wanted->gone && track->ended == wanted->ended &&
                 span_equal(track->order_id, wanted->order_id);
    }
    return equal;
}

static void assert_same_runs(const struct runs *a, const struct runs *b)
{
    assert_int_equal(a->waiting_count, b->waiting_count);
    for (uint32_t i = 0; i < a->waiting_count; i++) {
        const struct run *left = &a->waiting[i], *right = &b->waiting[i];
        assert_true(span_equal(left->rule, right->rule) && span_equal(left->key, right->key) &&
                    span_equal(left->order_id, right->order_id) && span_equal(left->trace, right->trace));
        assert_true(left->n == right->n && left->state == right->state && left->anchor_at == right->anchor_at &&
                    left->due_at == right->due_at && left->decide_at == right->decide_at &&
                    left->backfill_until == right->backfill_until && left->has_response == right->has_response &&
                    left->survey == right->survey && left->response == right->response &&
                    left->rule_index == right->rule_index);
    }
    assert_int_equal(a->sent_count, b->sent_count);
    for (uint32_t i = 0; i < a->sent_count; i++) {
        const struct sent *left = &a->sent[i], *right = &b->sent[i];
        assert_true(span_equal(left->rule, right->rule) && span_equal(left->key, right->key) &&
                    span_equal(left->order_id, right->order_id) && span_equal(left->variant, right->variant) &&
                    span_equal(left->trace, right->trace));
        assert_true(left->n == right->n && left->class == right->class && left->audience == right->audience &&
                    left->channel == right->channel && left->due_at == right->due_at &&
                    left->made_at == right->made_at && left->send_after == right->send_after &&
                    left->expires_at == right->expires_at && left->rule_index == right->rule_index);
    }
    assert_int_equal(a->published_count, b->published_count);
    for (uint32_t i = 0; i < a->published_count; i++) {
        const struct published *left = &a->published[i], *right = &b->published[i];
        assert_true(left->rule == right->rule && left->rule_index == right->rule_index && left->n == right->n &&
                    left->kind == right->kind && left->number == right->number);
        assert_true(left->kind == KEY_RESPONSE ? left->answer.response == right->answer.response
                                               : span_equal(left->order_id, right->order_id));
    }
    assert_int_equal(a->used_count, b->used_count);
    for (uint32_t i = 0; i < a->used_count; i++)
        assert_true(a->used[i].key == b->used[i].key && a->used[i].fact == b->used[i].fact);
    assert_int_equal(a->tracks_count, b->tracks_count);
    for (uint32_t i = 0; i < a->tracks_count; i++)
        assert_int_equal(tracks_equal(a, &a->tracks[i]), tracks_equal(b, &a->tracks[i]));
    assert_int_equal(a->last_sent_count, b->last_sent_count);
    assert_int_equal(a->days_count, b->days_count);
    assert_true(a->playbook == b->playbook && a->consent == b->consent && a->next_change_at == b->next_change_at);
}

static void version_2_and_3_hold_the_same(void **state)
{
    (void)state;
    struct span old = golden_hex("state-2-shop"), new = written_again(old, NULL);
    struct facts facts, facts_again;
    struct runs runs = runs_of(old, &facts), again = runs_of(new, &facts_again);
    assert_int_equal(old.data[0], 2);
    assert_int_equal(new.data[0], 3);
    assert_int_equal(runs.sent_count, 7);
    assert_int_equal(runs.used_count, 14);
    assert_same_runs(&runs, &again);
    assert_avro(new);
}

/* ---- what few customers have ---- */

static const char trace_one[] = "trace of order 1spanone!", trace_two[] = "another trace of his.two";
static const struct span one_trace = {trace_one, TRACE_KEPT_SIZE}, other_trace = {trace_two, TRACE_KEPT_SIZE};

static void set_rare(struct runs *runs)
{
    assert_true(runs->waiting_count >= 3 && runs->sent_count >= 3);
    runs->waiting[0].trace = runs->sent[2].trace = one_trace;
    runs->waiting[2].trace = other_trace;
    runs->waiting[1].n = 3;
    runs->waiting[1].state = RUN_HELD;
    runs->waiting[2].n = SLOT_MAX;
    runs->sent[0].variant = ID("b");
    runs->sent[1].n = SLOT_MAX;
    runs->sent[1].class = CLASS_INTERNAL;
    runs->sent[1].audience = AUDIENCE_CONTENT;
    runs->sent[1].channel = CHANNEL_SERVICE;
    runs->sent[1].key = ID("date:2024-02-04");
    runs->sent[2].send_after = runs->sent[2].made_at + HOUR_MS;
}

static void what_few_have_comes_back(void **state)
{
    (void)state;
    struct span blob = written_again(usual_customer(), set_rare);
    struct facts facts;
    struct runs runs = runs_of(blob, &facts);
    struct runs wanted = runs_of(usual_customer(), &facts);
    set_rare(&wanted);
    assert_same_runs(&wanted, &runs);
    assert_avro(blob);
}

/* Used keys of every kind: those that are made of what is known take two bytes or three, the others a hash. */
static void used_keys_of_every_kind_come_back(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum once once;
        enum key_kind kind;
    } keys[] = {
        {"ever", ONCE_EVER, KEY_EVER},
        {"cycle:202401-10023", ONCE_CYCLE, KEY_CYCLE},
        {"order:202401-10023", ONCE_ORDER, KEY_ORDER},
        {"to:promoter_high:202401-10023", ONCE_TO, KEY_TO},
        {"concern:other", ONCE_CONCERN, KEY_CONCERN},
        {"date:2024-02-29", ONCE_DATE, KEY_DATE},
        {"response:s/r1", ONCE_RESPONSE, KEY_RESPONSE},
        {"to:nobody:202401-10023", ONCE_TO, KEY_OTHER},
        {"concern:none of ours", ONCE_CONCERN, KEY_OTHER},
        {"date:2023-02-29", ONCE_DATE, KEY_OTHER},
        {"date:1969-12-31", ONCE_DATE, KEY_OTHER},
        {"delivery:e1", ONCE_DELIVERY, KEY_OTHER},
        {"cycle:-", ONCE_CYCLE, KEY_OTHER},
    };
    struct facts facts;
    struct runs runs = runs_of(usual_customer(), &facts);
    struct span order = facts.orders[0].id;
    uint32_t published = runs.published_count, used = runs.used_count;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct rule rule = subject.playbook->rules[i];
        struct run run = {.key = span_of(keys[i].key), .n = 2, .rule_index = (int)i};
        bool of_order = strstr(keys[i].key, "10023") != NULL;
        run.order_id = of_order ? order : SPAN_NONE;
        run.has_response = keys[i].once == ONCE_RESPONSE;
        run.survey = facts.responses[0].survey;
        run.response = facts.responses[0].response;
        rule.once = keys[i].once;
        runs_use(&runs, &subject.arena, &rule, &run);
        if (keys[i].kind == KEY_OTHER)
            assert_int_equal(runs.used_count, ++used);
        else
            assert_int_equal(runs.published[published++].kind, keys[i].kind);
        assert_int_equal(runs.published_count, published);
        assert_true(run.has_response ? runs_used_answer(&runs, &rule, &run)
                                     : runs_used(&runs, &rule, run.key, 2) && !runs_used(&runs, &rule, run.key, 1));
        run.response++;
        assert_false(runs_used_answer(&runs, &rule, &run));
    }
    struct state_writer writer;
    struct state_head head = {.evaluated_at = NEVER};
    state_writer_init(&writer, &subject.arena, 0);
    state_encode(&writer, &head, &facts);
    runs_encode(&runs, subject.playbook, &facts, &writer);
    struct runs again = runs_of(state_writer_finish(&writer), &facts);
    assert_same_runs(&runs, &again);
    assert_avro(state_writer_finish(&writer));
}

/* R11, R48: older versions keep used keys as hashes; folding leaves their orders too. */
static void r48_orders_of_hashed_keys_are_asked_for(void **state)
{
    (void)state;
    struct facts facts;
    struct runs runs = runs_of(usual_customer(), &facts);
    struct span order = facts.orders[1].id;
    runs.published_count = runs.tracks_count = runs.used_count = 0;
    assert_int_equal(runs_asked(&runs, &facts, &subject.arena).cycle_orders_count, 0);
    struct rule rule = subject.playbook->rules[0];
    rule.once = ONCE_CYCLE;
    struct run run = {.key = span_of("cycle:of another"), .n = 1, .order_id = order};
    runs_use(&runs, &subject.arena, &rule, &run);
    assert_int_equal(runs.used_count, 1);
    struct facts_asked asked = runs_asked(&runs, &facts, &subject.arena);
    assert_int_equal(asked.cycle_orders_count, 1);
    assert_true(span_equal(asked.cycle_orders[0], order));
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
        TEST(a_shop_names_its_own_rules),
        TEST(known_rules_are_numbered_as_the_schema_says),
        TEST(version_2_and_3_hold_the_same),
        TEST(what_few_have_comes_back),
        TEST(used_keys_of_every_kind_come_back),
        TEST(r48_orders_of_hashed_keys_are_asked_for),
    };
    return cmocka_run_group_tests_name("state_codec", tests, NULL, NULL);
}
