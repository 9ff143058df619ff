#include "tests/sim/toy_engine.h"

#include "common/base/hash.h"

#include <stdio.h>

struct toy_head {
    uint64_t magic;
    int64_t seq;
    uint64_t seen_count, timer_count, friend_count;
};

struct toy_timer {
    int64_t due_at;
    uint64_t event;
};

struct toy {
    struct toy_head head;
    uint64_t *seen;
    struct toy_timer *timers;
    uint64_t *friends;
};

static const uint64_t toy_magic = 0x796f74;

static void part_read(const char **at, void *target, size_t size)
{
    if (size)
        memcpy(target, *at, size);
    *at += size;
}

static bool toy_read(struct span state, size_t room, struct arena *arena, struct toy *toy)
{
    const char *at = state.data;
    *toy = (struct toy){.head = {.magic = toy_magic}};
    if (!span_empty(state)) {
        if (state.size < sizeof(toy->head))
            return false;
        part_read(&at, &toy->head, sizeof(toy->head));
    }
    struct toy_head *head = &toy->head;
    if (head->magic != toy_magic)
        return false;
    toy->seen = ARENA_ARRAY(arena, uint64_t, head->seen_count + room);
    toy->timers = ARENA_ARRAY(arena, struct toy_timer, head->timer_count + room);
    toy->friends = ARENA_ARRAY(arena, uint64_t, head->friend_count + room);
    part_read(&at, toy->seen, head->seen_count * sizeof(uint64_t));
    part_read(&at, toy->timers, head->timer_count * sizeof(struct toy_timer));
    part_read(&at, toy->friends, head->friend_count * sizeof(uint64_t));
    return true;
}

static struct span toy_write(const struct toy *toy, struct arena *arena)
{
    const struct toy_head *head = &toy->head;
    size_t seen = head->seen_count * sizeof(uint64_t), timers = head->timer_count * sizeof(struct toy_timer);
    size_t friends = head->friend_count * sizeof(uint64_t);
    char *bytes = arena_take(arena, sizeof(*head) + seen + timers + friends);
    memcpy(bytes, head, sizeof(*head));
    memcpy(bytes + sizeof(*head), toy->seen, seen);
    memcpy(bytes + sizeof(*head) + seen, toy->timers, timers);
    memcpy(bytes + sizeof(*head) + seen + timers, toy->friends, friends);
    return (struct span){bytes, sizeof(*head) + seen + timers + friends};
}

static int64_t toy_wake(const struct toy *toy)
{
    int64_t wake_at = NEVER;
    for (size_t i = 0; i < toy->head.timer_count; i++)
        if (wake_at == NEVER || toy->timers[i].due_at < wake_at)
            wake_at = toy->timers[i].due_at;
    return wake_at;
}

/* ---- one visit ---- */

struct toy_run {
    const struct step_world *world;
    const struct visit *visit;
    struct arena *arena;
    struct toy toy;
    struct visit_result *result;
    struct record **records_end;
    struct credit_out **credits_end;
};

static struct record *record_add(struct toy_run *run, enum record_type type)
{
    struct record *record = ARENA_NEW(run->arena, struct record);
    record->type = type;
    record->at = run->visit->now;
    record->customer_id = run->visit->customer_id;
    record->seq = ++run->toy.head.seq;
    *run->records_end = record;
    run->records_end = &record->next;
    run->result->changed = true;
    return record;
}

static void act(struct toy_run *run, const char *rule, struct span key, struct span event_id)
{
    char name[400];
    struct record *record = record_add(run, RECORD_ACTION);
    int size = snprintf(name, sizeof(name), "%.*s|%s|%.*s", (int)run->visit->customer_id.size,
                        run->visit->customer_id.data, rule, (int)key.size, key.data);
    record->action.action_id = uuid_v5(&uuid_action_namespace, (struct span){name, (size_t)size});
    record->action.rule = span_of(rule);
    record->action.key = key;
    record->action.event_id = event_id;
    record->action.made_at = run->visit->now;
}

static void timers_fire(struct toy_run *run, int64_t before)
{
    struct toy *toy = &run->toy;
    for (;;) {
        size_t best = toy->head.timer_count;
        for (size_t i = 0; i < toy->head.timer_count; i++)
            if (toy->timers[i].due_at < before &&
                (best == toy->head.timer_count || toy->timers[i].due_at < toy->timers[best].due_at))
                best = i;
        if (best == toy->head.timer_count)
            return;
        char key[32];
        snprintf(key, sizeof(key), "%016llx", (unsigned long long)toy->timers[best].event);
        toy->timers[best] = toy->timers[--toy->head.timer_count];
        act(run, "remind", arena_copy(run->arena, span_of(key)), SPAN_NONE);
    }
}

static bool known(const uint64_t *items, uint64_t count, uint64_t item)
{
    for (uint64_t i = 0; i < count; i++)
        if (items[i] == item)
            return true;
    return false;
}

static void credit_take(struct toy_run *run, const struct event *event)
{
    uint64_t friend = hash_xxh64(event->credit.friend_id);
    if (known(run->toy.friends, run->toy.head.friend_count, friend))
        return;
    run->toy.friends[run->toy.head.friend_count++] = friend;
    act(run, "reward", event->credit.friend_id, event->event_id);
}

static void credit_give(struct toy_run *run, const struct event *event)
{
    struct credit_out *credit = ARENA_NEW(run->arena, struct credit_out);
    credit->event = event_blank(TOPIC_ORDERS, EVENT_CREDIT);
    credit->event.customer_id = event->referrer_customer_id;
    credit->event.event_id = event->event_id;
    credit->event.occurred_at = event->occurred_at;
    credit->event.credit = (struct credit){.friend_id = event->customer_id, .standing = true};
    *run->credits_end = credit;
    run->credits_end = &credit->next;
}

static struct event_result event_take(struct toy_run *run, const struct event *event)
{
    struct toy *toy = &run->toy;
    uint64_t id = hash_xxh64(event->event_id);
    if (event->kind == EVENT_CREDIT) {
        credit_take(run, event);
        return (struct event_result){.verdict = VERDICT_APPLIED};
    }
    if (event->test)
        return (struct event_result){.verdict = VERDICT_TEST};
    if (event->occurred_at > run->visit->now + DAY_MS)
        return (struct event_result){VERDICT_DEAD, REASON_FUTURE, "occurred_at"};
    if (known(toy->seen, toy->head.seen_count, id))
        return (struct event_result){.verdict = VERDICT_DUPLICATE};
    toy->seen[toy->head.seen_count++] = id;
    toy->timers[toy->head.timer_count++] = (struct toy_timer){event->occurred_at + event->version, id};
    record_add(run, RECORD_TRANSITION)->transition.event_id = event->event_id;
    if (run->world->pauses && run->world->pauses->all_marketing)
        record_add(run, RECORD_DECISION)->decision.outcome = OUTCOME_PAUSED;
    else
        act(run, "thank", event->event_id, event->event_id);
    if (!span_empty(event->referrer_customer_id))
        credit_give(run, event);
    return (struct event_result){.verdict = VERDICT_APPLIED};
}

static bool toy_visit(const struct step_world *world, struct arena *arena, const struct visit *visit,
                      struct visit_result *ret_result)
{
    struct toy_run run = {.world = world, .visit = visit, .arena = arena, .result = ret_result};
    *ret_result = (struct visit_result){.state = visit->state, .wake_at = NEVER};
    run.records_end = &ret_result->records;
    run.credits_end = &ret_result->credits;
    if (!toy_read(visit->state, visit->event_count, arena, &run.toy))
        return false;
    ret_result->results = ARENA_ARRAY(arena, struct event_result, visit->event_count);
    timers_fire(&run, visit->now);
    for (size_t i = 0; i < visit->event_count; i++)
        ret_result->results[i] = event_take(&run, &visit->events[i]);
    if (visit->fire_now)
        timers_fire(&run, visit->now + 1);
    if (ret_result->changed)
        ret_result->state = toy_write(&run.toy, arena);
    ret_result->wake_at = toy_wake(&run.toy);
    return true;
}

static bool toy_wake_at(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                        int64_t *ret_wake_at)
{
    struct toy toy;
    (void)world;
    (void)customer_id;
    if (!toy_read(state, 0, arena, &toy))
        return false;
    *ret_wake_at = toy_wake(&toy);
    return true;
}

const struct engine toy_engine = {toy_visit, toy_wake_at, NULL};

/* ---- formats ---- */

struct span toy_word(struct span *rest)
{
    struct span word;
    while (rest->size && *rest->data == ' ')
        *rest = (struct span){rest->data + 1, rest->size - 1};
    const char *end = rest->size ? memchr(rest->data, ' ', rest->size) : NULL;
    word = (struct span){rest->data, end ? (size_t)(end - rest->data) : rest->size};
    *rest = (struct span){rest->data + word.size, rest->size - word.size};
    return word;
}

static bool number_take(struct span *rest, int64_t *ret_number)
{
    struct span word = toy_word(rest);
    int64_t number = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        number = number * 10 + (word.data[i] - '0');
    }
    *ret_number = number;
    return word.size > 0;
}

static bool toy_event_parse(enum topic topic, struct span value, struct event *ret_event)
{
    *ret_event = event_blank(topic, EVENT_PLACED);
    ret_event->event_id = toy_word(&value);
    ret_event->customer_id = toy_word(&value);
    if (!number_take(&value, &ret_event->occurred_at) || !number_take(&value, &ret_event->version))
        return false;
    struct span referrer = toy_word(&value), test = toy_word(&value);
    ret_event->test = span_equal(test, SPAN("test"));
    if (!span_equal(referrer, SPAN("-")))
        ret_event->referrer_customer_id = referrer;
    return !span_empty(test);
}

static enum world toy_event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                                 struct reading *ret_reading)
{
    struct span rest = original->value;
    (void)context;
    *ret_reading = (struct reading){.events = ARENA_ARRAY(arena, struct event, TOY_EVENTS_MAX), .message = SPAN("")};
    if (span_equal(rest, SPAN("nothing")))
        return WORLD_DONE;
    while (rest.size && ret_reading->count < TOY_EVENTS_MAX) {
        const char *end = memchr(rest.data, ';', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        if (!toy_event_parse(topic, (struct span){rest.data, size}, &ret_reading->events[ret_reading->count]))
            break;
        ret_reading->count++;
        size += end != NULL;
        rest = (struct span){rest.data + size, rest.size - size};
    }
    if (rest.size || ret_reading->count == 0)
        *ret_reading = (struct reading){.reason = REASON_UNDECODABLE, .message = SPAN("no toy event")};
    return WORLD_DONE;
}

static void word_add(struct buffer *buffer, struct span word)
{
    buffer_add_char(buffer, ' ');
    buffer_add_span(buffer, word);
}

static void number_add(struct buffer *buffer, int64_t number)
{
    buffer_add_char(buffer, ' ');
    buffer_add_integer(buffer, number);
}

void toy_record_write(const struct record *record, struct buffer *buffer)
{
    buffer_add_integer(buffer, record->type);
    word_add(buffer, record->customer_id);
    number_add(buffer, record->seq);
    number_add(buffer, record->at);
    if (record->type == RECORD_ACTION) {
        char id[UUID_TEXT_SIZE + 1];
        uuid_text(&record->action.action_id, id);
        word_add(buffer, span_of(id));
        word_add(buffer, record->action.rule);
        word_add(buffer, record->action.key);
    }
    if (record->type == RECORD_TRANSITION)
        word_add(buffer, record->transition.event_id);
}

static void toy_formats_write(void *context, const struct record *record, struct buffer *buffer)
{
    (void)context;
    toy_record_write(record, buffer);
}

const struct formats toy_formats = {.event_read = toy_event_read, .record_write = toy_formats_write};
