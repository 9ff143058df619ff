#include "common/engine/runs.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/timestamp.h"

/* Makes room for one more item at the end of a full array in the arena. */
static void *array_grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    *capacity = *capacity ? 2 * *capacity : 8;
    void *more = arena_take_raw(arena, size * *capacity);
    if (count > 0)
        memcpy(more, items, size * count);
    return more;
}
#define ARRAY_PUSH(owner, arena, name)                                                                                 \
    ((owner)->name = (owner)->name##_count < (owner)->name##_capacity                                                  \
                         ? (owner)->name                                                                               \
                         : array_grow((arena), (owner)->name, (owner)->name##_count, &(owner)->name##_capacity,        \
                                      sizeof *(owner)->name),                                                          \
     &(owner)->name[(owner)->name##_count++])

void runs_init(struct runs *runs)
{
    *runs = (struct runs){.next_change_at = NEVER, .sent_ends_at = NEVER, .days_end_at = NEVER, .first_at = NEVER};
}

uint32_t runs_rule_hash(struct span rule)
{
    return (uint32_t)hash_xxh64(rule);
}

uint32_t runs_fact_hash(struct span id)
{
    uint32_t hash = (uint32_t)hash_xxh64(id);
    return hash ? hash : 1;
}

uint32_t runs_response_hash(uint64_t survey, uint64_t response)
{
    uint64_t pair[2] = {survey, response};
    return runs_fact_hash((struct span){(const char *)pair, sizeof pair});
}

/* Of (rule, key, n): XXH64 over the two texts' XXH64 and n, so that no text need be put together. */
static uint64_t key_hash(struct span rule, struct span key, int32_t n)
{
    uint64_t parts[3] = {hash_xxh64(rule), hash_xxh64(key), (uint64_t)n};
    return hash_xxh64((struct span){(const char *)parts, sizeof parts});
}

struct run *runs_add(struct runs *runs, struct arena *arena)
{
    struct run *added = ARRAY_PUSH(runs, arena, waiting);
    return memset(added, 0, sizeof *added);
}

void runs_stir(struct runs *runs, const struct run *run)
{
    runs->stirred = true;
    if (runs->first_at == NEVER || run->decide_at < runs->first_at)
        runs->first_at = run->decide_at;
}

void runs_end(struct runs *runs, struct run *run)
{
    run->ended = true;
    run->decide_at = INT64_MAX;
    runs->stirred = true;
}

struct track *runs_track(const struct runs *runs, int rule_index)
{
    for (uint32_t i = 0; i < runs->tracks_count; i++) {
        if (runs->tracks[i].rule_index == rule_index && !runs->tracks[i].past)
            return &runs->tracks[i];
    }
    return NULL;
}

struct track *runs_track_add(struct runs *runs, struct arena *arena, const struct rule *rule)
{
    struct track *track = ARRAY_PUSH(runs, arena, tracks);
    *track = (struct track){.rule = rule->name_hash, .rule_index = rule->index, .at = NEVER, .m = 1};
    return track;
}

void runs_sent_add(struct runs *runs, struct arena *arena, const struct sent *sent)
{
    struct sent *added = ARRAY_PUSH(runs, arena, sent);
    *added = *sent;
    if (sent->expires_at != NEVER && sent->expires_at < runs->sent_ends_at)
        runs->sent_ends_at = sent->expires_at;
}

/* The first place whose key is not below the given one. */
static uint32_t used_place(const struct runs *runs, uint64_t key)
{
    uint32_t low = 0, high = runs->used_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (runs->used[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A class as a number; -1 = no dimension has a value of that name. No two have the same. */
static int class_number(struct span name)
{
    int value;
    for (int dimension = 0; dimension < DIMENSION_COUNT; dimension++) {
        if (class_value_find((enum dimension)dimension, name, &value))
            return CLASS_NUMBER(dimension, value);
    }
    return -1;
}

static int concern_number(struct span name)
{
    enum concern concern;
    return concern_find(name, &concern) ? (int)concern : -1;
}

static int digits(struct span text, size_t at, size_t count)
{
    int number = 0;
    for (size_t i = at; i < at + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = 10 * number + (text.data[i] - '0');
    }
    return number;
}

/* The day of "2024-02-04", written just so; -1 = none, or before 1970. */
static int day_number(struct span date)
{
    int64_t year_again;
    int month_again, day_again;
    if (date.size != 10 || date.data[4] != '-' || date.data[7] != '-')
        return -1;
    int year = digits(date, 0, 4), month = digits(date, 5, 2), day = digits(date, 8, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1)
        return -1;
    int64_t number = timestamp_days_from_civil(year, month, day);
    timestamp_civil_from_days(number, &year_again, &month_again, &day_again);
    return year_again == year && month_again == month && day_again == day ? (int)number : -1;
}

/* to:<value>:<order> */
static void read_key_to(struct span rest, struct published *published)
{
    const char *colon = rest.size > 0 ? memchr(rest.data, ':', rest.size) : NULL;
    if (colon == NULL)
        return;
    size_t size = (size_t)(colon - rest.data);
    published->kind = KEY_TO;
    published->number = class_number((struct span){rest.data, size});
    published->order_id = (struct span){colon + 1, rest.size - size - 1};
}

/* What the key is made of; KEY_OTHER where it cannot be told from its text alone. */
static void read_key(struct span key, struct published *published)
{
    struct span rest;
    published->kind = KEY_OTHER;
    published->number = 0;
    published->order_id = SPAN_NONE;
    if (span_equal(key, SPAN("ever"))) {
        published->kind = KEY_EVER;
    } else if (span_starts(key, SPAN("cycle:"), &published->order_id)) {
        published->kind = KEY_CYCLE;
    } else if (span_starts(key, SPAN("order:"), &published->order_id)) {
        published->kind = KEY_ORDER;
    } else if (span_starts(key, SPAN("to:"), &rest)) {
        read_key_to(rest, published);
    } else if (span_starts(key, SPAN("concern:"), &rest)) {
        published->kind = KEY_CONCERN;
        published->number = concern_number(rest);
    } else if (span_starts(key, SPAN("date:"), &rest)) {
        published->kind = KEY_DATE;
        published->number = day_number(rest);
    }
    if (published->number < 0)
        published->kind = KEY_OTHER;
}

static bool same_subject(const struct published *a, const struct published *b)
{
    if (a->kind == KEY_RESPONSE)
        return a->answer.survey == b->answer.survey && a->answer.response == b->answer.response;
    return a->number == b->number && (!published_names_order(a) || span_equal(a->order_id, b->order_id));
}

/* ---- which (rule, n) were ever published ---- */

static uint32_t slot_place(uint32_t rule_hash, int32_t n)
{
    return (rule_hash ^ (uint32_t)n * UINT32_C(0x9e3779b1)) >> 24;
}

static void slots_add(struct rule_slots *slots, uint32_t rule_hash, int32_t n)
{
    uint32_t place = slot_place(rule_hash, n);
    slots->bits[place / 64] |= UINT64_C(1) << place % 64;
}

static bool slots_may_have(const struct rule_slots *slots, uint32_t rule_hash, int32_t n)
{
    uint32_t place = slot_place(rule_hash, n);
    return slots->bits[place / 64] >> place % 64 & 1;
}

void runs_mark_published(struct runs *runs)
{
    for (uint32_t i = 0; i < runs->published_count; i++)
        slots_add(&runs->published_slots, runs->published[i].rule, runs->published[i].n);
    if (runs->used_count > 0) /* of hashes nobody knows whose they are */
        memset(&runs->used_slots, 0xff, sizeof runs->used_slots);
}

uint32_t runs_published_from(const struct runs *runs, const struct rule *rule, int32_t n, uint32_t from)
{
    if (!slots_may_have(&runs->published_slots, rule->name_hash, n))
        return runs->published_count;
    while (from < runs->published_count &&
           (runs->published[from].rule != rule->name_hash || runs->published[from].n != n))
        from++;
    return from;
}

bool runs_may_use_hash(const struct runs *runs, const struct rule *rule, int32_t n)
{
    return slots_may_have(&runs->used_slots, rule->name_hash, n);
}

bool runs_never_published(const struct runs *runs, const struct rule *rule, int32_t n)
{
    return runs_published_from(runs, rule, n, 0) == runs->published_count && !runs_may_use_hash(runs, rule, n);
}

/* ---- used keys ---- */

static bool is_published(const struct runs *runs, const struct rule *rule, const struct published *wanted)
{
    uint32_t i = runs_published_from(runs, rule, wanted->n, 0);
    for (; i < runs->published_count; i = runs_published_from(runs, rule, wanted->n, i + 1)) {
        if (runs->published[i].kind == wanted->kind && same_subject(&runs->published[i], wanted))
            return true;
    }
    return false;
}

bool runs_used_as_hash(const struct runs *runs, const struct rule *rule, struct span key, int32_t n)
{
    if (!runs_may_use_hash(runs, rule, n))
        return false;
    uint64_t hash = key_hash(rule->name, key, n);
    uint32_t place = used_place(runs, hash);
    return place < runs->used_count && runs->used[place].key == hash;
}

bool runs_used(const struct runs *runs, const struct rule *rule, struct span key, int32_t n)
{
    struct published wanted = {.rule = rule->name_hash, .n = n};
    read_key(key, &wanted);
    return (wanted.kind != KEY_OTHER && is_published(runs, rule, &wanted)) || runs_used_as_hash(runs, rule, key, n);
}

static struct published published_answer(const struct rule *rule, const struct run *run)
{
    struct published published = {
        .rule = rule->name_hash, .rule_index = rule->index, .n = run->n, .kind = KEY_RESPONSE};
    published.answer.survey = run->survey;
    published.answer.response = run->response;
    return published;
}

static bool key_names_answer(const struct rule *rule, const struct run *run)
{
    return rule->once == ONCE_RESPONSE && run->has_response;
}

bool runs_used_answer(const struct runs *runs, const struct rule *rule, const struct run *run)
{
    if (!key_names_answer(rule, run))
        return false;
    const struct published wanted = published_answer(rule, run);
    return is_published(runs, rule, &wanted);
}

static void use_hash(struct runs *runs, struct arena *arena, uint64_t key, uint32_t fact)
{
    uint32_t place = used_place(runs, key);
    if (place < runs->used_count && runs->used[place].key == key)
        return;
    ARRAY_PUSH(runs, arena, used);
    memmove(&runs->used[place + 1], &runs->used[place], (runs->used_count - 1 - place) * sizeof *runs->used);
    runs->used[place] = (struct used_key){key, fact};
}

static bool key_names_order(const struct rule *rule, const struct run *run)
{
    bool may =
        rule->once == ONCE_CYCLE || rule->once == ONCE_ORDER || rule->once == ONCE_TO || rule->once == ONCE_DELIVERY;
    return may && !span_empty(run->order_id);
}

/* Of the order or answer that the key names; 0 = none. */
static uint32_t key_fact(const struct rule *rule, const struct run *run)
{
    if (key_names_answer(rule, run))
        return runs_response_hash(run->survey, run->response);
    return key_names_order(rule, run) ? runs_fact_hash(run->order_id) : 0;
}

/* As it is kept; KEY_OTHER: as a hash. */
static struct published published_of(const struct rule *rule, const struct run *run)
{
    if (key_names_answer(rule, run))
        return published_answer(rule, run);
    bool of_order = key_names_order(rule, run);
    struct published published = {.rule = rule->name_hash, .rule_index = rule->index, .n = run->n};
    read_key(run->key, &published);
    if (published_names_order(&published)) {
        if (!of_order || !span_equal(published.order_id, run->order_id))
            published.kind = KEY_OTHER;
        published.order_id = run->order_id; /* lies among the facts, where the codec looks for it */
    } else if (of_order) {
        published.kind = KEY_OTHER;
    }
    return published;
}

void runs_use(struct runs *runs, struct arena *arena, const struct rule *rule, const struct run *run)
{
    const struct published published = published_of(rule, run);
    if (published.kind == KEY_OTHER) {
        use_hash(runs, arena, key_hash(rule->name, run->key, run->n), key_fact(rule, run));
        slots_add(&runs->used_slots, rule->name_hash, run->n);
        return;
    }
    *ARRAY_PUSH(runs, arena, published) = published;
    slots_add(&runs->published_slots, published.rule, published.n);
}

enum {
    DAYS_BACK = 8,   /* a week looks six days back (R70); two more, for a customer who moves west over the date line */
    HOURS_AHEAD = 26 /* no wall clock is further ahead of UTC (zone.c) */
};

/* Before this instant the day counts, wherever the customer lives. NEVER: of a damaged state. */
static int64_t day_end_at(int64_t day)
{
    int64_t end_at;
    if (__builtin_mul_overflow(day + DAYS_BACK + 1, DAY_MS, &end_at) ||
        __builtin_sub_overflow(end_at, HOURS_AHEAD * HOUR_MS, &end_at))
        return NEVER;
    return end_at;
}

void runs_count_send(struct runs *runs, struct arena *arena, int64_t day)
{
    for (uint32_t i = 0; i < runs->days_count; i++) {
        if (runs->days[i].day == day) {
            runs->days[i].count++;
            return;
        }
    }
    struct day_count *added = ARRAY_PUSH(runs, arena, days);
    *added = (struct day_count){day, 1};
    runs->days_end_at = day_end_at(day) < runs->days_end_at ? day_end_at(day) : runs->days_end_at;
}

struct sends runs_sends(const struct runs *runs, int64_t today)
{
    struct sends sends = {0, 0};
    for (uint32_t i = 0; i < runs->days_count; i++) {
        const struct day_count *day = &runs->days[i];
        if (day->day == today)
            sends.day += day->count;
        if (day->day >= today - 6 && day->day <= today)
            sends.week += day->count;
    }
    return sends;
}

int64_t runs_last_sent(const struct runs *runs, const struct rule *rule)
{
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        if (runs->last_sent[i].rule == rule->name_hash)
            return runs->last_sent[i].at;
    }
    return NEVER;
}

void runs_set_last_sent(struct runs *runs, struct arena *arena, const struct rule *rule, int64_t at)
{
    for (uint32_t i = 0; i < runs->last_sent_count; i++) {
        if (runs->last_sent[i].rule == rule->name_hash) {
            runs->last_sent[i].at = at;
            return;
        }
    }
    struct last_sent *added = ARRAY_PUSH(runs, arena, last_sent);
    *added = (struct last_sent){rule->name_hash, rule->index, at};
}

static uint32_t arrival_record(uint64_t record)
{
    uint32_t upper = (uint32_t)(record >> 32);
    return upper != ARRIVAL_FORGOTTEN ? upper : 1;
}

/* The two oldest become one, which stands for all that were forgotten. */
static void forget_arrival(struct runs *runs)
{
    struct arrival *oldest = runs->arrivals, *next = oldest + 1;
    oldest->record = ARRIVAL_FORGOTTEN;
    if (next->at > oldest->at)
        oldest->at = next->at;
    runs->arrivals_count--;
    memmove(next, next + 1, (runs->arrivals_count - 1) * sizeof *next);
}

void runs_arrived(struct runs *runs, struct arena *arena, uint64_t record, int64_t at)
{
    if (runs->arrivals_count == RUNS_ARRIVALS_MAX)
        forget_arrival(runs);
    struct arrival *added = ARRAY_PUSH(runs, arena, arrivals);
    *added = (struct arrival){arrival_record(record), at};
}

int64_t runs_arrival(const struct runs *runs, uint64_t record)
{
    for (uint32_t i = runs->arrivals_count; i-- > 0;) { /* the newest of an id edited under itself */
        if (runs->arrivals[i].record == arrival_record(record) || runs->arrivals[i].record == ARRIVAL_FORGOTTEN)
            return runs->arrivals[i].at; /* what stands for the forgotten ones is the first, and met last */
    }
    return NEVER;
}

void runs_sweep(struct runs *runs)
{
    struct run *kept = runs->waiting, *end = runs->waiting + runs->waiting_count;
    int64_t first_at = INT64_MAX;
    if (!runs->stirred)
        return;
    for (struct run *run = runs->waiting; run < end; run++) {
        if (run->ended)
            continue;
        first_at = run->decide_at < first_at ? run->decide_at : first_at;
        run->fresh = false;
        if (kept != run)
            *kept = *run;
        kept++;
    }
    runs->waiting_count = (uint32_t)(kept - runs->waiting);
    runs->first_at = kept > runs->waiting ? first_at : NEVER;
    runs->stirred = false;
}

static void sent_expire(struct runs *runs, int64_t now)
{
    uint32_t kept = 0;
    int64_t ends_at = INT64_MAX;
    for (uint32_t i = 0; i < runs->sent_count; i++) {
        const struct sent *sent = &runs->sent[i];
        if (sent->ended || (sent->expires_at != NEVER && now >= sent->expires_at))
            continue;
        if (sent->expires_at != NEVER && sent->expires_at < ends_at)
            ends_at = sent->expires_at;
        if (kept != i)
            runs->sent[kept] = *sent;
        kept++;
    }
    runs->sent_count = kept;
    runs->sent_ends_at = ends_at;
}

void runs_expire(struct runs *runs, int64_t now)
{
    if (runs->sent_ends_at == NEVER || now >= runs->sent_ends_at)
        sent_expire(runs, now);
}

void runs_expire_days(struct runs *runs, int64_t today)
{
    uint32_t kept = 0;
    int64_t oldest = INT64_MAX;
    for (uint32_t i = 0; i < runs->days_count; i++) {
        if (runs->days[i].day < today - DAYS_BACK)
            continue;
        oldest = runs->days[i].day < oldest ? runs->days[i].day : oldest;
        runs->days[kept++] = runs->days[i];
    }
    runs->days_count = kept;
    runs->days_end_at = kept > 0 ? day_end_at(oldest) : INT64_MAX;
}

static void ask(struct span *orders, uint32_t *count, struct span order_id)
{
    if (!span_empty(order_id) && (*count == 0 || !span_equal(orders[*count - 1], order_id)))
        orders[(*count)++] = order_id;
}

static bool named_by_hash(const struct runs *runs, struct span order_id)
{
    uint32_t fact = runs->used_count > 0 ? runs_fact_hash(order_id) : 0;
    for (uint32_t i = 0; i < runs->used_count; i++) {
        if (runs->used[i].fact == fact)
            return true;
    }
    return false;
}

struct facts_asked runs_asked(const struct runs *runs, const struct facts *facts, struct arena *arena)
{
    struct span *orders = ARENA_ARRAY(arena, struct span, runs->waiting_count);
    struct span *cycle_orders =
        ARENA_ARRAY(arena, struct span, runs->published_count + runs->tracks_count + facts->orders_count);
    struct asked_answer *answers = ARENA_ARRAY(arena, struct asked_answer, runs->waiting_count);
    struct facts_asked asked = {.orders = orders, .cycle_orders = cycle_orders, .answers = answers};
    for (uint32_t i = 0; i < runs->waiting_count; i++) {
        const struct run *run = &runs->waiting[i];
        ask(orders, &asked.orders_count, run->order_id);
        if (run->has_response)
            answers[asked.answers_count++] = (struct asked_answer){run->survey, run->response};
    }
    for (uint32_t i = 0; i < runs->published_count; i++) {
        if (runs->published[i].kind == KEY_CYCLE)
            ask(cycle_orders, &asked.cycle_orders_count, runs->published[i].order_id);
    }
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        ask(cycle_orders, &asked.cycle_orders_count, runs->tracks[i].order_id);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        if (named_by_hash(runs, facts->orders[i].id))
            ask(cycle_orders, &asked.cycle_orders_count, facts->orders[i].id);
    }
    return asked;
}

static bool fact_kept(const struct facts *facts, uint32_t fact)
{
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        if (runs_fact_hash(facts->orders[i].id) == fact)
            return true;
    }
    for (uint32_t i = 0; i < facts->responses_count; i++) {
        const struct response *response = &facts->responses[i];
        if (runs_response_hash(response->survey, response->response) == fact)
            return true;
    }
    return false;
}

static bool published_kept(const struct facts *facts, const struct published *published)
{
    if (published->kind == KEY_RESPONSE)
        return facts_find_response(facts, published->answer.survey, published->answer.response) != FACT_NONE;
    return !published_names_order(published) || facts_find_order(facts, published->order_id) != FACT_NONE;
}

void runs_forget_folded(struct runs *runs, const struct facts *facts)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < runs->used_count; i++) {
        if (runs->used[i].fact == 0 || fact_kept(facts, runs->used[i].fact))
            runs->used[kept++] = runs->used[i];
    }
    runs->used_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < runs->published_count; i++) {
        if (published_kept(facts, &runs->published[i]))
            runs->published[kept++] = runs->published[i];
    }
    runs->published_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < runs->tracks_count; i++) {
        const struct track *track = &runs->tracks[i];
        if (!track->past || facts_find_order(facts, track->order_id) != FACT_NONE)
            runs->tracks[kept++] = *track;
    }
    runs->tracks_count = kept;
}
