/* Promises that hold of every history (R1, R7, R14, R31, R47): thousands of random ones, seeded. One that breaks a promise
 * is shrunk, event by event, to the shortest that still does, and printed. ORIORI_SEEDS=A..B tries others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/codec/record_json.h"
#include "common/engine/runs.h"
#include "tests/unit/shop.h"

enum { EVENTS_MOST = 40, ARRIVALS_MOST = 2 * EVENTS_MOST };

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->state = dice->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(dice->state >> 33) % sides;
}

#define ONE_OF(dice, list) ((list)[roll((dice), COUNT_OF(list))])

/* ---- histories: everything in them is static, so that they can be copied ---- */

struct arriving {
    struct event event;
    int64_t at; /* the clock at its arrival */
};

struct history {
    uint64_t seed;
    struct arriving events[ARRIVALS_MOST];
    size_t count;
};

static const char *const orders[] = {"O1", "O2", "O3"};
static const char the_order[] = "X"; /* that is cancelled */

static struct span event_id(size_t number)
{
    static char ids[ARRIVALS_MOST][8];
    snprintf(ids[number], sizeof ids[number], "e%02u", (unsigned)number);
    return span_of(ids[number]);
}

static const struct order_line *random_line(struct dice *dice)
{
    static const struct order_line lines[] = {{{"TRIAL-1", 7}, 1, 500},    {{"PREMIUM-1", 9}, 1, 3000},
                                              {{"RELATED-1", 9}, 2, 1000}, {{"SOAP", 4}, 1, 1000},
                                              {{"", 0}, 1, 700}};
    return &ONE_OF(dice, lines);
}

static struct event random_order(struct dice *dice, const char *order_id)
{
    static const enum event_kind kinds[] = {EVENT_PLACED,    EVENT_PLACED,   EVENT_PLACED, EVENT_SUBSCRIPTION_RENEWED,
                                            EVENT_CANCELLED, EVENT_REFUNDED, EVENT_PLACED};
    static const char *const subscriptions[] = {"", "", "S1", "S2"};
    struct event event = shop_order(ONE_OF(dice, kinds), order_id);
    event.lines = random_line(dice);
    event.line_count = roll(dice, 6) > 0;
    event.subscription_id = span_of(ONE_OF(dice, subscriptions));
    event.refund_amount = roll(dice, 3) ? (int64_t)(200 + roll(dice, 800)) : REFUND_WHOLE;
    return event;
}

static void random_statements(struct dice *dice, struct event *event)
{
    static const char *const zones[] = {"", "", "Europe/London", "America/New_York"};
    event->email_registered = roll(dice, 3) ? ANSWER_TRUE : ANSWER_ABSENT;
    event->line_registered = roll(dice, 3) ? ANSWER_ABSENT : ANSWER_TRUE;
    event->marketing_consent = roll(dice, 3) ? ANSWER_TRUE : ANSWER_FALSE;
    event->time_zone = span_of(ONE_OF(dice, zones));
}

static struct event random_delivery(struct dice *dice, const char *order_id)
{
    static const enum event_kind kinds[] = {EVENT_SHIPPED, EVENT_DELIVERED, EVENT_DELIVERED, EVENT_FAILED, EVENT_RETURNED};
    static const char *const parcels[] = {"", "", "P1", "P2"};
    struct event event = shop_delivery(ONE_OF(dice, kinds), order_id);
    event.parcel_id = span_of(ONE_OF(dice, parcels));
    return event;
}

static struct event random_answer(struct dice *dice)
{
    static const char *const answers[] = {"r1", "r2", "r3", "r4"};
    struct event event = shop_answer(ONE_OF(dice, answers), (enum purpose)roll(dice, PURPOSE_COUNT), (int)roll(dice, 12) - 1);
    event.satisfaction = (int32_t)roll(dice, 6);
    event.effect_felt = (enum answer)roll(dice, 3);
    event.concerns = roll(dice, 1u << CONCERN_COUNT);
    return event;
}

static struct event random_contact(struct dice *dice)
{
    static const enum event_kind mails[] = {EVENT_OPENED, EVENT_CLICKED, EVENT_OPENED, EVENT_UNSUBSCRIBED, EVENT_BOUNCED};
    static const enum event_kind others[] = {EVENT_REGISTERED, EVENT_UNREGISTERED, EVENT_CONSENTED, EVENT_CONSENTED,
                                             EVENT_OPTED_OUT,  EVENT_REFERRED,     EVENT_SHARED,    EVENT_EVENT_ATTENDED};
    if (roll(dice, 2)) {
        struct event event = shop_blank(TOPIC_EMAIL_OPENS, ONE_OF(dice, mails));
        event.agent = roll(dice, 4) ? AGENT_HUMAN : AGENT_MACHINE;
        return event;
    }
    struct event event = shop_customer(ONE_OF(dice, others));
    event.channel = roll(dice, 2) ? EVENT_CHANNEL_EMAIL : EVENT_CHANNEL_LINE;
    if (event.kind == EVENT_REFERRED && roll(dice, 2))
        event.referred_customer_id = SPAN("bert");
    return event;
}

static struct event random_event(struct dice *dice)
{
    uint32_t which = roll(dice, 20);
    if (which < 5) {
        struct event event = random_order(dice, ONE_OF(dice, orders));
        random_statements(dice, &event);
        return event;
    }
    if (which < 6) {
        static const enum event_kind kinds[] = {EVENT_SUBSCRIPTION_STARTED, EVENT_SUBSCRIPTION_PAUSED,
                                                EVENT_SUBSCRIPTION_RESUMED, EVENT_SUBSCRIPTION_CANCELLED};
        return shop_order(ONE_OF(dice, kinds), "");
    }
    if (which < 11)
        return random_delivery(dice, ONE_OF(dice, orders));
    return which < 15 ? random_answer(dice) : random_contact(dice);
}

static void add(struct history *history, struct dice *dice, struct event event, int64_t at, int64_t latest)
{
    event.event_id = event_id(history->count);
    event.customer_id = SPAN("anna");
    event.version = roll(dice, 2) ? 0 : roll(dice, 4);
    /* Often at one instant: ties are where orders go wrong. */
    event.occurred_at = latest - (int64_t)roll(dice, 3) * (int64_t)roll(dice, 30) * 12 * HOUR_MS;
    history->events[history->count++] = (struct arriving){event, at};
}

/* Told as it happens, more or less: late facts, edits, gaps of up to ten days. */
static void random_history(struct history *history, struct dice *dice, size_t count)
{
    int64_t now = D(0);
    *history = (struct history){.seed = history->seed};
    for (size_t i = 0; i < count; i++) {
        now += (int64_t)roll(dice, 3) * (int64_t)roll(dice, 40) * 6 * HOUR_MS + 1;
        add(history, dice, random_event(dice), now, now);
    }
}

static void print_history(const struct history *history, struct buffer *text)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct event *event = &history->events[i].event;
        buffer_format(text, "  at %s: %s %s %s%s occurred %s version %d%s\n", shop_time(history->events[i].at),
                      event_kind_name(event->kind), shop_text(event->event_id), shop_text(event->order_id),
                      shop_text(event->response_id), shop_time(event->occurred_at), (int)event->version,
                      event->backfill ? " backfill" : "");
    }
}

/* ---- a promise, and what breaks it ---- */

struct promise {
    void (*make)(struct history *history, struct dice *dice);
    bool (*holds)(const struct history *history, struct buffer *why);
    uint64_t histories;
};

/* Without one event after another, as long as the promise is still broken. */
static void shrink(const struct promise *promise, struct history *history, struct buffer *why)
{
    for (size_t i = history->count; i-- > 0;) {
        struct history smaller = *history;
        smaller.count--;
        memmove(&smaller.events[i], &smaller.events[i + 1], (smaller.count - i) * sizeof smaller.events[0]);
        struct buffer smaller_why = {0};
        if (promise->holds(&smaller, &smaller_why)) {
            buffer_release(&smaller_why);
            continue;
        }
        *history = smaller;
        buffer_release(why);
        *why = smaller_why;
    }
}

static void check(const struct promise *promise)
{
    static struct history history;
    unsigned long long first = 1, last = promise->histories;
    const char *seeds = getenv("ORIORI_SEEDS");
    if (seeds)
        assert_int_equal(sscanf(seeds, "%llu..%llu", &first, &last), 2);
    for (uint64_t seed = first; seed <= last; seed++) {
        struct dice dice = {seed * 7919 + 1};
        struct buffer why = {0};
        history.seed = seed;
        promise->make(&history, &dice);
        if (!promise->holds(&history, &why)) {
            shrink(promise, &history, &why);
            print_history(&history, &why);
            fail_msg("seed %llu: %s", (unsigned long long)seed, why.data);
        }
        buffer_release(&why);
    }
}

/* ---- running one ---- */

static struct playbook *playbook(void)
{
    static struct playbook *compiled;
    if (!compiled)
        compiled = shop_playbook(NULL);
    return compiled;
}

static void run_open(struct shop *shop)
{
    shop_open(shop, playbook());
}

static void run_close(struct shop *shop)
{
    arena_release(&shop->arena);
    buffer_release(&shop->state);
    buffer_release(&shop->lines);
}

static void report(struct shop *shop, int64_t now, struct buffer *text)
{
    struct step_world world = {.playbook = shop->playbook, .zones = shop->zones};
    struct customer_report customer;
    CHECK(step_report(&world, &shop->arena, SPAN("anna"), buffer_span(&shop->state), now, &customer));
    report_json_write(SPAN("anna"), &customer, text);
    arena_reset(&shop->arena);
}

/* The state record (R85) after these events, in this order, all arriving at one late clock. */
static void final_state(const struct event *const *events, size_t count, int64_t now, struct buffer *text)
{
    struct shop shop;
    run_open(&shop);
    for (size_t i = 0; i < count; i++) {
        shop_visit(&shop, events[i], now, false);
        arena_reset(&shop.arena);
    }
    report(&shop, now, text);
    run_close(&shop);
}

static bool same_text(struct buffer *left, struct buffer *right, const char *what, struct buffer *why)
{
    bool same = span_equal(buffer_span(left), buffer_span(right));
    if (!same)
        buffer_format(why, "%s\n%.*s\n%.*s\n", what, (int)left->size, left->data, (int)right->size, right->data);
    buffer_release(left);
    buffer_release(right);
    return same;
}

/* ---- R1 a ---- */

static int64_t after_all(const struct history *history)
{
    int64_t now = D(0);
    for (size_t i = 0; i < history->count; i++)
        now = history->events[i].at > now ? history->events[i].at : now;
    return now + DAY_MS;
}

static void make_any(struct history *history, struct dice *dice)
{
    random_history(history, dice, 2 + roll(dice, 22));
}

static bool any_order_gives_one_state(const struct history *history, struct buffer *why)
{
    const struct event *told[ARRIVALS_MOST], *mixed[ARRIVALS_MOST];
    struct dice dice = {history->seed * 31 + 7};
    size_t count = 0;
    for (size_t i = 0; i < history->count; i++)
        told[i] = mixed[count++] = &history->events[i].event;
    for (size_t i = 0; i < history->count / 3; i++) /* some of them twice */
        mixed[count++] = told[roll(&dice, (uint32_t)history->count)];
    for (size_t i = count; i > 1; i--) {
        size_t other = roll(&dice, (uint32_t)i);
        const struct event *swap = mixed[i - 1];
        mixed[i - 1] = mixed[other];
        mixed[other] = swap;
    }
    struct buffer plain = {0}, permuted = {0};
    int64_t now = after_all(history);
    final_state(told, history->count, now, &plain);
    final_state(mixed, count, now, &permuted);
    return same_text(&plain, &permuted, "in order, then in another order and some twice:", why);
}

static void r01_any_order_and_repetition_gives_one_state(void **state)
{
    (void)state;
    check(&(struct promise){make_any, any_order_gives_one_state, 3000});
}

/* ---- R1 b ---- */

static void play(const struct history *history, struct shop *shop)
{
    for (size_t i = 0; i < history->count; i++)
        shop_event_at(shop, history->events[i].event, history->events[i].at);
    shop_until(shop, after_all(history) + 120 * DAY_MS);
}

static bool same_log_same_bytes(const struct history *history, struct buffer *why)
{
    struct shop first, second;
    struct buffer states[2] = {{0}, {0}};
    run_open(&first);
    play(history, &first);
    run_open(&second);
    memset(arena_take(&second.arena, 3 * 4096), 0xA5, 3 * 4096); /* other addresses, and rubbish in them */
    arena_reset(&second.arena);
    play(history, &second);
    buffer_add_span(&states[0], buffer_span(&first.state));
    buffer_add_span(&states[1], buffer_span(&second.state));
    bool same = span_equal(buffer_span(&states[0]), buffer_span(&states[1]));
    if (!same)
        buffer_add_text(why, "the states' bytes differ\n");
    buffer_release(&states[0]);
    buffer_release(&states[1]);
    struct buffer left = first.lines, right = second.lines;
    first.lines = second.lines = (struct buffer){0};
    same &= same_text(&left, &right, "the records differ", why);
    run_close(&first);
    run_close(&second);
    return same;
}

static void r01_the_same_log_gives_the_same_bytes(void **state)
{
    (void)state;
    check(&(struct promise){make_any, same_log_same_bytes, 300});
}

/* ---- R14 ---- */

static bool of_the_order(const struct arriving *arrival)
{
    return span_equal(arrival->event.order_id, span_of(the_order));
}

/* An order's whole life among other events; it states nothing of the customer himself (R22, R23 keep that). */
static void make_with_an_order(struct history *history, struct dice *dice)
{
    int64_t now = D(0);
    *history = (struct history){.seed = history->seed};
    for (size_t i = 3 + roll(dice, 20); i > 0; i--) {
        now += (int64_t)roll(dice, 3) * (int64_t)roll(dice, 40) * 6 * HOUR_MS + 1;
        struct event event = random_event(dice);
        if (roll(dice, 3) == 0)
            event = roll(dice, 2) ? random_order(dice, the_order) : random_delivery(dice, the_order);
        if (event.kind == EVENT_CANCELLED && span_equal(event.order_id, span_of(the_order)))
            event.kind = EVENT_PLACED;
        add(history, dice, event, now, now);
    }
}

static bool cancelled_is_as_if_never_placed(const struct history *history, struct buffer *why)
{
    const struct event *with[ARRIVALS_MOST], *without[ARRIVALS_MOST];
    struct dice dice = {history->seed * 31 + 7};
    struct event farewell = shop_order(EVENT_CANCELLED, the_order);
    size_t with_count = 0, without_count = 0, place = roll(&dice, (uint32_t)history->count + 1);
    farewell.event_id = SPAN("farewell");
    farewell.customer_id = SPAN("anna");
    farewell.occurred_at = D(0);
    for (size_t i = 0; i <= history->count; i++) {
        if (i == place)
            with[with_count++] = &farewell;
        if (i == history->count)
            break;
        with[with_count++] = &history->events[i].event;
        if (!of_the_order(&history->events[i]))
            without[without_count++] = &history->events[i].event;
    }
    if (without_count == 0)
        return true; /* nobody would know this customer */
    struct buffer left = {0}, right = {0};
    final_state(with, with_count, after_all(history), &left);
    final_state(without, without_count, after_all(history), &right);
    return same_text(&left, &right, "with a cancelled order, then without it:", why);
}

static void r14_a_cancelled_order_is_as_if_never_placed(void **state)
{
    (void)state;
    check(&(struct promise){make_with_an_order, cancelled_is_as_if_never_placed, 3000});
}

/* ---- what one visit says, for the promises about runs ---- */

struct told {
    const struct record *records;
    struct runs before, after;
};

static void runs_of(struct shop *shop, struct runs *runs)
{
    struct state_head head;
    struct facts facts;
    struct state_reader reader;
    runs_init(runs);
    CHECK(state_decode(buffer_span(&shop->state), &shop->arena, &head, &facts, &reader));
    if (shop->state.size > 0 && facts.erased_at == NEVER)
        CHECK(runs_decode(runs, shop->playbook, &facts, &shop->arena, &reader));
}

/* As shop_visit, but the records and the runs that waited stay readable until the arena is reset. */
static struct told visit(struct shop *shop, const struct event *event, int64_t now, bool fire)
{
    struct told told;
    struct step_world world = {.playbook = shop->playbook, .zones = shop->zones};
    struct visit step = {.customer_id = SPAN("anna"), .state = arena_copy(&shop->arena, buffer_span(&shop->state)),
                         .events = event, .event_count = event ? 1 : 0, .now = now, .fire_now = fire};
    struct visit_result result;
    struct span before = step.state;
    CHECK(step_visit(&world, &shop->arena, &step, &result));
    struct buffer state = {0};
    buffer_add_span(&state, before);
    buffer_release(&shop->state);
    shop->state = state;
    runs_of(shop, &told.before);
    struct run *waiting = arena_take(&shop->arena, (told.before.waiting_count + 1) * sizeof(struct run));
    if (told.before.waiting_count)
        memcpy(waiting, told.before.waiting, told.before.waiting_count * sizeof(struct run));
    told.before.waiting = waiting;
    for (uint32_t i = 0; i < told.before.waiting_count; i++) { /* texts borrow from the blob, which goes */
        told.before.waiting[i].rule = arena_copy(&shop->arena, told.before.waiting[i].rule);
        told.before.waiting[i].key = arena_copy(&shop->arena, told.before.waiting[i].key);
    }
    buffer_reset(&shop->state);
    buffer_add_span(&shop->state, result.state);
    runs_of(shop, &told.after);
    told.records = result.records;
    shop->wake_at = result.wake_at;
    for (const struct record *record = result.records; record; record = record->next)
        shop_tell(shop, record);
    return told;
}

typedef bool judge(const struct told *told, const struct shop *shop, int64_t now, void *context, struct buffer *why);

/* Every timer at its own instant, then the events, then timers for `days` more; false as soon as a visit is wrong. */
static bool walk(const struct history *history, int64_t days, judge *right, void *context, struct buffer *why)
{
    struct shop shop;
    bool good = true;
    run_open(&shop);
    for (size_t i = 0; good && i <= history->count; i++) {
        bool last = i == history->count;
        int64_t until = last ? after_all(history) + days * DAY_MS : history->events[i].at;
        while (good && shop.wake_at != NEVER && shop.wake_at < until) {
            int64_t at = shop.wake_at;
            struct told told = visit(&shop, NULL, at, true);
            good = right(&told, &shop, at, context, why);
            arena_reset(&shop.arena);
        }
        if (!good || last)
            break;
        struct told told = visit(&shop, &history->events[i].event, until, false);
        good = right(&told, &shop, until, context, why);
        arena_reset(&shop.arena);
    }
    if (!good)
        buffer_format(why, "\n%.*s", (int)shop.lines.size, shop.lines.data);
    run_close(&shop);
    return good;
}

/* ---- R7 ---- */

/* An imported base: all of it arrives at one instant. */
static void make_import(struct history *history, struct dice *dice)
{
    *history = (struct history){.seed = history->seed};
    for (size_t i = 2 + roll(dice, 22); i > 0; i--)
        add(history, dice, random_event(dice), D(0), D(0));
    for (size_t i = 0; i < history->count; i++)
        history->events[i].event.backfill = true;
}

static bool sends_nothing_of_the_past(const struct told *told, const struct shop *shop, int64_t now, void *context,
                                      struct buffer *why)
{
    (void)shop, (void)context;
    for (const struct record *record = told->records; record; record = record->next) {
        if (record->type != RECORD_ACTION || record->action.kind != ACTION_SEND || record->action.due_at > D(0))
            continue;
        buffer_format(why, "at %s: sent, though due at %s", shop_time(now), shop_time(record->action.due_at));
        return false;
    }
    return true;
}

static bool import_is_silent(const struct history *history, struct buffer *why)
{
    return walk(history, 120, sends_nothing_of_the_past, NULL, why);
}

static void r07_a_backfill_sends_nothing_that_was_due_at_its_arrival(void **state)
{
    (void)state;
    check(&(struct promise){make_import, import_is_silent, 1000});
}

/* ---- R31 ---- */

static void make_erased(struct history *history, struct dice *dice)
{
    random_history(history, dice, 3 + roll(dice, 22));
    struct event *event = &history->events[roll(dice, (uint32_t)history->count)].event;
    struct event erased = shop_customer(EVENT_ERASED);
    erased.event_id = event->event_id;
    erased.customer_id = event->customer_id;
    erased.occurred_at = event->occurred_at;
    *event = erased;
}

static bool erasure_is_the_end(const struct told *told, const struct shop *shop, int64_t now, void *context,
                               struct buffer *why)
{
    bool *erased = context;
    uint32_t ended = 0, revoked = 0, open = 0;
    for (const struct record *record = told->records; record; record = record->next) {
        ended += record->type == RECORD_DECISION && record->decision.outcome == OUTCOME_ERASED;
        revoked += record->type == RECORD_ACTION && record->action.reason == REVOKE_ERASED;
    }
    if (*erased && told->records) {
        buffer_format(why, "at %s: something is said of a customer who is erased", shop_time(now));
        return false;
    }
    struct step_world world = {.playbook = shop->playbook, .zones = shop->zones};
    struct customer_report customer;
    CHECK(step_report(&world, &((struct shop *)shop)->arena, SPAN("anna"), buffer_span(&shop->state), now, &customer));
    if (!customer.erased || *erased)
        return true;
    *erased = true;
    for (uint32_t i = 0; i < told->before.sent_count; i++)
        open += told->before.sent[i].expires_at == NEVER || now < told->before.sent[i].expires_at;
    if (ended == told->before.waiting_count && revoked == open)
        return true;
    buffer_format(why, "%u of %u waiting runs ended, %u of %u open sends revoked", (unsigned)ended,
                  (unsigned)told->before.waiting_count, (unsigned)revoked, (unsigned)open);
    return false;
}

static bool nothing_after_erasure(const struct history *history, struct buffer *why)
{
    bool erased = false;
    return walk(history, 400, erasure_is_the_end, &erased, why);
}

static void r31_after_an_erasure_nothing_is_said(void **state)
{
    (void)state;
    check(&(struct promise){make_erased, nothing_after_erasure, 1000});
}

/* ---- R47: one decision for each run ---- */

static bool is_final(const struct decision *decision)
{
    return decision->outcome != OUTCOME_DEFERRED && decision->outcome != OUTCOME_PAUSED;
}

static bool names_run(const struct decision *decision, const struct run *run)
{
    return span_equal(decision->rule, run->rule) && span_equal(decision->key, run->key) && decision->n == run->n;
}

static uint32_t final_decisions(const struct told *told, const struct run *run, bool only_rule)
{
    uint32_t count = 0;
    for (const struct record *record = told->records; record; record = record->next) {
        const struct decision *decision = &record->decision;
        if (record->type == RECORD_DECISION && is_final(decision))
            count += only_rule ? span_equal(decision->rule, run->rule) : names_run(decision, run);
    }
    return count;
}

/* A run that waited and waits no more was decided; or it moved, or was replaced (R49, R50): then its rule still waits, or
 * decided in its stead. Dates are dropped without a word when their conditions no longer hold (R62). */
static bool run_accounted_for(const struct told *told, const struct shop *shop, const struct run *run)
{
    const struct rule *rule = playbook_rule(shop->playbook, run->rule);
    if (rule->trigger.kind == TRIGGER_CALENDAR || final_decisions(told, run, true) > 0)
        return true;
    for (uint32_t i = 0; i < told->after.waiting_count; i++)
        if (span_equal(told->after.waiting[i].rule, run->rule))
            return true;
    return false;
}

/* What was cancelled may be made anew in the same step, and decided: one other decision, then. */
static bool decided_once(const struct record *record)
{
    const struct decision *decision = &record->decision;
    for (const struct record *later = record->next; later; later = later->next) {
        const struct decision *other = &later->decision;
        if (later->type == RECORD_DECISION && is_final(other) && span_equal(decision->rule, other->rule) &&
            span_equal(decision->key, other->key) && decision->n == other->n)
            return decision->outcome == OUTCOME_CANCELLED || other->outcome == OUTCOME_CANCELLED;
    }
    return true;
}

static bool each_run_ends_once(const struct told *told, const struct shop *shop, int64_t now, void *context,
                               struct buffer *why)
{
    (void)context;
    for (const struct record *record = told->records; record; record = record->next) {
        if (record->type != RECORD_DECISION || !is_final(&record->decision) || decided_once(record))
            continue;
        buffer_format(why, "at %s: %s %s %d decided twice", shop_time(now), shop_text(record->decision.rule),
                      shop_text(record->decision.key), record->decision.n);
        return false;
    }
    for (uint32_t i = 0; i < told->before.waiting_count; i++) {
        const struct run *run = &told->before.waiting[i];
        if (run_accounted_for(told, shop, run))
            continue;
        buffer_format(why, "at %s: %s %s %d waited, and is gone without a decision", shop_time(now), shop_text(run->rule),
                      shop_text(run->key), run->n);
        return false;
    }
    for (uint32_t i = 0; i < told->after.waiting_count; i++) {
        const struct run *run = &told->after.waiting[i];
        if (run->decide_at >= now) /* what is due now may wait for the end of the instant (R2) */
            continue;
        buffer_format(why, "%s %s waits for %s, which is past", shop_text(run->rule), shop_text(run->key),
                      shop_time(run->decide_at));
        return false;
    }
    return true;
}

static bool one_decision_each(const struct history *history, struct buffer *why)
{
    return walk(history, 200, each_run_ends_once, NULL, why);
}

static void r47_every_waiting_run_ends_in_one_decision(void **state)
{
    (void)state;
    check(&(struct promise){make_any, one_decision_each, 1000});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r01_any_order_and_repetition_gives_one_state),
        cmocka_unit_test(r01_the_same_log_gives_the_same_bytes),
        cmocka_unit_test(r14_a_cancelled_order_is_as_if_never_placed),
        cmocka_unit_test(r07_a_backfill_sends_nothing_that_was_due_at_its_arrival),
        cmocka_unit_test(r31_after_an_erasure_nothing_is_said),
        cmocka_unit_test(r47_every_waiting_run_ends_in_one_decision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
