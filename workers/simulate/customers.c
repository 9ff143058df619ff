#include "workers/simulate/customers.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <malloc.h>
#include <stdint.h>

enum { FIRST_SLOT_COUNT = 1024 };
#define NOBODY UINT32_MAX /* no such customer, no such place */

struct customer {
    int64_t wake_at; /* NEVER = not in the heap */
    uint32_t number; /* place in `all` */
    uint32_t state_size;
    uint16_t id_size;
    bool is_open;
    char bytes[]; /* the id, then the state; of an open one the pointer to it */
};

struct slot {
    uint32_t hash;   /* of the id: beside the number, so that a search touches one customer, the right one */
    uint32_t number; /* NOBODY = free */
};

struct wake {
    int64_t at; /* here as well, so that most comparisons touch nothing else */
    uint32_t number;
};

struct span customer_id(const struct customer *customer)
{
    return (struct span){customer->bytes, customer->id_size};
}

struct span customer_state(const struct customer *customer)
{
    CHECK(!customer->is_open);
    return (struct span){customer->bytes + customer->id_size, customer->state_size};
}

struct hot *customer_hot(const struct customer *customer)
{
    struct hot *hot = NULL;
    if (customer->is_open)
        memcpy(&hot, customer->bytes + customer->id_size, sizeof(struct hot *)); /* wherever the id ends */
    return hot;
}

void customer_set_hot(struct customer *customer, struct hot *hot)
{
    CHECK(customer->is_open);
    memcpy(customer->bytes + customer->id_size, &hot, sizeof(struct hot *));
}

int64_t customer_wake_at(const struct customer *customer)
{
    return customer->wake_at;
}

static struct slot *slots_new(size_t count)
{
    struct slot *slots = malloc(count * sizeof *slots);
    CHECK(slots != NULL);
    for (size_t i = 0; i < count; i++)
        slots[i] = (struct slot){0, NOBODY};
    return slots;
}

void customers_init(struct customers *customers)
{
    *customers = (struct customers){.slot_count = FIRST_SLOT_COUNT, .slots = slots_new(FIRST_SLOT_COUNT)};
}

void customers_release(struct customers *customers)
{
    for (size_t i = 0; i < customers->count; i++)
        free(customers->all[i]);
    free(customers->all);
    free(customers->slots);
    free(customers->heap);
    free(customers->heap_places);
    *customers = (struct customers){0};
}

/* ---- the heap ---- */

static bool wakes_before(const struct customers *customers, const struct wake *a, const struct wake *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return span_compare(customer_id(customers->all[a->number]), customer_id(customers->all[b->number])) < 0;
}

static void heap_put(struct customers *customers, size_t index, struct wake wake)
{
    customers->heap[index] = wake;
    customers->heap_places[wake.number] = (uint32_t)index;
}

static void heap_up(struct customers *customers, size_t index, struct wake wake)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!wakes_before(customers, &wake, &customers->heap[parent]))
            break;
        heap_put(customers, index, customers->heap[parent]);
        index = parent;
    }
    heap_put(customers, index, wake);
}

/* Which of two neighbours is earlier is anybody's guess, so it is added, not branched on. Ties are fewer. */
static size_t earlier_of(const struct customers *customers, size_t left)
{
    const struct wake *wakes = &customers->heap[left];
    if (wakes[0].at == wakes[1].at)
        return left + wakes_before(customers, &wakes[1], &wakes[0]);
    return left + (wakes[1].at < wakes[0].at);
}

/* The earlier of the two below, whose index is given; NULL: there is none. */
static const struct wake *heap_child(const struct customers *customers, size_t parent, size_t *ret_index)
{
    size_t child = 2 * parent + 1;
    if (child >= customers->heap_count)
        return NULL;
    if (child + 1 < customers->heap_count)
        child = earlier_of(customers, child);
    *ret_index = child;
    return &customers->heap[child];
}

static void heap_down(struct customers *customers, size_t index, struct wake wake)
{
    size_t below;
    for (const struct wake *child; (child = heap_child(customers, index, &below)) != NULL; index = below) {
        if (!wakes_before(customers, child, &wake))
            break;
        heap_put(customers, index, *child);
    }
    heap_put(customers, index, wake);
}

/* Puts the wake-up where it belongs, from a place that it may have outgrown either way. */
static void heap_settle(struct customers *customers, size_t index, struct wake wake)
{
    if (index > 0 && wakes_before(customers, &wake, &customers->heap[(index - 1) / 2]))
        heap_up(customers, index, wake);
    else
        heap_down(customers, index, wake);
}

static void heap_remove(struct customers *customers, uint32_t number)
{
    size_t index = customers->heap_places[number];
    struct wake last = customers->heap[--customers->heap_count];
    customers->heap_places[number] = NOBODY;
    if (index < customers->heap_count)
        heap_settle(customers, index, last);
}

void customers_set_wake(struct customers *customers, struct customer *customer, int64_t wake_at)
{
    struct wake wake = {wake_at, customer->number};
    if (wake_at == customer->wake_at)
        return;
    bool waited = customer->wake_at != NEVER;
    customer->wake_at = wake_at;
    if (customers->no_heap)
        return;
    if (wake_at == NEVER)
        heap_remove(customers, wake.number);
    else if (waited)
        heap_settle(customers, customers->heap_places[wake.number], wake);
    else
        heap_up(customers, customers->heap_count++, wake);
}

struct customer *customers_first(const struct customers *customers)
{
    return customers->heap_count == 0 ? NULL : customers->all[customers->heap[0].number];
}

struct customer *customers_at(const struct customers *customers, size_t number)
{
    return customers->all[number];
}

struct customer *customers_second(const struct customers *customers)
{
    size_t index;
    const struct wake *second = heap_child(customers, 0, &index);
    return second == NULL ? NULL : customers->all[second->number];
}

/* ---- the table ---- */

/* The customer's slot, or the free one where he would go. */
static struct slot *slot_of(const struct customers *customers, struct span id, uint32_t hash)
{
    size_t mask = customers->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct slot *slot = &customers->slots[i];
        if (slot->number == NOBODY || (slot->hash == hash && span_equal(customer_id(customers->all[slot->number]), id)))
            return slot;
    }
}

static void table_grow(struct customers *customers)
{
    struct slot *old = customers->slots;
    size_t old_count = customers->slot_count;
    customers->slot_count = 2 * old_count;
    customers->slots = slots_new(customers->slot_count);
    size_t mask = customers->slot_count - 1;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].number == NOBODY)
            continue;
        size_t to = old[i].hash & mask;
        while (customers->slots[to].number != NOBODY)
            to = (to + 1) & mask;
        customers->slots[to] = old[i];
    }
    free(old);
}

struct customer *customers_find(const struct customers *customers, struct span id)
{
    uint32_t number = slot_of(customers, id, (uint32_t)hash_xxh64(id))->number;
    return number == NOBODY ? NULL : customers->all[number];
}

static size_t size_of(struct span id, struct span state)
{
    return offsetof(struct customer, bytes) + id.size + state.size;
}

/* By a quarter, so that little of the memory lies idle. */
static void arrays_grow(struct customers *customers)
{
    size_t capacity = customers->capacity + customers->capacity / 4 + FIRST_SLOT_COUNT;
    CHECK(capacity < NOBODY);
    customers->all = realloc(customers->all, capacity * sizeof(*customers->all));
    customers->heap = realloc(customers->heap, capacity * sizeof *customers->heap);
    customers->heap_places = realloc(customers->heap_places, capacity * sizeof *customers->heap_places);
    CHECK(customers->all != NULL && customers->heap != NULL && customers->heap_places != NULL);
    customers->capacity = capacity;
}

/* With an id and nothing else. */
static struct customer *customer_new(struct customers *customers, struct span id, uint32_t hash, size_t size)
{
    if (4 * (customers->count + 1) > 3 * customers->slot_count)
        table_grow(customers);
    if (customers->count == customers->capacity)
        arrays_grow(customers);
    struct customer *customer = malloc(size);
    CHECK(customer != NULL);
    *customer = (struct customer){.wake_at = NEVER, .number = (uint32_t)customers->count++};
    customer->id_size = (uint16_t)id.size;
    memcpy(customer->bytes, id.data, id.size);
    *slot_of(customers, id, hash) = (struct slot){hash, customer->number};
    customers->all[customer->number] = customer;
    return customer;
}

static struct customer *customer_resize(struct customers *customers, struct customer *customer, size_t size)
{
    size_t usable = malloc_usable_size(customer);
    if (usable >= size && usable <= 2 * size)
        return customer;
    customer = realloc(customer, size);
    CHECK(customer != NULL);
    customers->all[customer->number] = customer;
    return customer;
}

static struct customer *store(struct customers *customers, struct span id, struct span state, int64_t wake_at)
{
    CHECK(!span_empty(state) && state.size < UINT32_MAX && id.size <= UINT16_MAX);
    uint32_t hash = (uint32_t)hash_xxh64(id), number = slot_of(customers, id, hash)->number;
    size_t size = size_of(id, state);
    struct customer *customer = number == NOBODY ? customer_new(customers, id, hash, size)
                                                 : customer_resize(customers, customers->all[number], size);
    memcpy(customer->bytes + customer->id_size, state.data, state.size);
    customer->state_size = (uint32_t)state.size;
    customers_set_wake(customers, customer, wake_at);
    return customer;
}

void customers_store(struct customers *customers, struct span id, struct span state, int64_t wake_at)
{
    store(customers, id, state, wake_at)->is_open = false;
}

struct customer *customers_open(struct customers *customers, struct span id, struct hot *hot, int64_t wake_at)
{
    struct span pointer = {(const char *)&hot, sizeof(struct hot *)};
    struct customer *customer = store(customers, id, pointer, wake_at);
    customer->is_open = true;
    return customer;
}

static int compare_ids(const void *a, const void *b)
{
    return span_compare(customer_id(*(struct customer *const *)a), customer_id(*(struct customer *const *)b));
}

struct customer **customers_sorted(const struct customers *customers)
{
    struct customer **sorted = malloc((customers->count + 1) * sizeof(*sorted));
    CHECK(sorted != NULL);
    if (customers->count > 0)
        memcpy(sorted, customers->all, customers->count * sizeof(*sorted));
    qsort(sorted, customers->count, sizeof(*sorted), compare_ids);
    return sorted;
}
