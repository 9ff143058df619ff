#include "workers/simulate/customers.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <malloc.h>
#include <stdint.h>

enum { FIRST_SLOT_COUNT = 1024, NOT_IN_HEAP = -1 };

struct customer {
    int64_t wake_at; /* NEVER = not in the heap */
    uint32_t hash;
    int32_t heap_index;
    uint32_t state_size;
    uint16_t id_size;
    bool is_open;
    char bytes[]; /* the id, then the state; of an open one the pointer to it */
};

struct wake {
    int64_t at; /* beside the pointer, so that most comparisons touch nothing else */
    struct customer *customer;
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

void customers_init(struct customers *customers)
{
    *customers = (struct customers){.slot_count = FIRST_SLOT_COUNT};
    customers->slots = calloc(FIRST_SLOT_COUNT, sizeof(*customers->slots));
    CHECK(customers->slots != NULL);
}

void customers_release(struct customers *customers)
{
    for (size_t i = 0; i < customers->slot_count; i++)
        free(customers->slots[i]);
    free(customers->slots);
    free(customers->heap);
    *customers = (struct customers){0};
}

/* ---- the heap ---- */

static bool wakes_before(const struct wake *a, const struct wake *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return span_compare(customer_id(a->customer), customer_id(b->customer)) < 0;
}

static void heap_put(struct customers *customers, size_t index, struct wake wake)
{
    customers->heap[index] = wake;
    wake.customer->heap_index = (int32_t)index;
}

static void heap_up(struct customers *customers, size_t index, struct wake wake)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!wakes_before(&wake, &customers->heap[parent]))
            break;
        heap_put(customers, index, customers->heap[parent]);
        index = parent;
    }
    heap_put(customers, index, wake);
}

static void heap_down(struct customers *customers, size_t index, struct wake wake)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= customers->heap_count)
            break;
        if (child + 1 < customers->heap_count && wakes_before(&customers->heap[child + 1], &customers->heap[child]))
            child++;
        if (!wakes_before(&customers->heap[child], &wake))
            break;
        heap_put(customers, index, customers->heap[child]);
        index = child;
    }
    heap_put(customers, index, wake);
}

/* Puts the wake-up where it belongs, from a place that it may have outgrown either way. */
static void heap_settle(struct customers *customers, size_t index, struct wake wake)
{
    if (index > 0 && wakes_before(&wake, &customers->heap[(index - 1) / 2]))
        heap_up(customers, index, wake);
    else
        heap_down(customers, index, wake);
}

static void heap_add(struct customers *customers, struct wake wake)
{
    if (customers->heap_count == customers->heap_capacity) {
        CHECK(customers->heap_count < INT32_MAX / 2);
        customers->heap_capacity = customers->heap_capacity ? 2 * customers->heap_capacity : FIRST_SLOT_COUNT;
        customers->heap = realloc(customers->heap, customers->heap_capacity * sizeof *customers->heap);
        CHECK(customers->heap != NULL);
    }
    heap_up(customers, customers->heap_count++, wake);
}

static void heap_remove(struct customers *customers, struct customer *customer)
{
    size_t index = (size_t)customer->heap_index;
    struct wake last = customers->heap[--customers->heap_count];
    customer->heap_index = NOT_IN_HEAP;
    if (index < customers->heap_count)
        heap_settle(customers, index, last);
}

void customers_set_wake(struct customers *customers, struct customer *customer, int64_t wake_at)
{
    if (wake_at == customer->wake_at)
        return;
    customer->wake_at = wake_at;
    if (wake_at == NEVER)
        heap_remove(customers, customer);
    else if (customer->heap_index == NOT_IN_HEAP)
        heap_add(customers, (struct wake){wake_at, customer});
    else
        heap_settle(customers, (size_t)customer->heap_index, (struct wake){wake_at, customer});
}

struct customer *customers_first(const struct customers *customers)
{
    return customers->heap_count == 0 ? NULL : customers->heap[0].customer;
}

/* ---- the table ---- */

/* The customer's slot, or the free one where he would go. */
static struct customer **slot_of(const struct customers *customers, struct span id, uint32_t hash)
{
    size_t mask = customers->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct customer *customer = customers->slots[i];
        if (customer == NULL || (customer->hash == hash && span_equal(customer_id(customer), id)))
            return &customers->slots[i];
    }
}

static void table_grow(struct customers *customers)
{
    struct customer **old = customers->slots;
    size_t old_count = customers->slot_count;
    customers->slot_count = 2 * old_count;
    customers->slots = calloc(customers->slot_count, sizeof(*customers->slots));
    CHECK(customers->slots != NULL);
    size_t mask = customers->slot_count - 1;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] == NULL)
            continue;
        size_t to = old[i]->hash & mask;
        while (customers->slots[to] != NULL)
            to = (to + 1) & mask;
        customers->slots[to] = old[i];
    }
    free(old);
}

struct customer *customers_find(const struct customers *customers, struct span id)
{
    return *slot_of(customers, id, (uint32_t)hash_xxh64(id));
}

static size_t size_of(struct span id, struct span state)
{
    return offsetof(struct customer, bytes) + id.size + state.size;
}

static struct customer **slot_for_new(struct customers *customers, struct span id, uint32_t hash)
{
    if (4 * (customers->count + 1) > 3 * customers->slot_count)
        table_grow(customers);
    customers->count++;
    return slot_of(customers, id, hash);
}

static struct customer *store(struct customers *customers, struct span id, struct span state, int64_t wake_at)
{
    CHECK(!span_empty(state) && state.size < UINT32_MAX && id.size <= UINT16_MAX);
    uint32_t hash = (uint32_t)hash_xxh64(id);
    struct customer **slot = slot_of(customers, id, hash);
    struct customer *customer = *slot;
    size_t size = size_of(id, state);
    if (customer == NULL || malloc_usable_size(customer) < size || malloc_usable_size(customer) > 2 * size) {
        if (customer == NULL)
            slot = slot_for_new(customers, id, hash);
        bool is_new = customer == NULL;
        customer = realloc(customer, size);
        CHECK(customer != NULL);
        *slot = customer;
        if (is_new) {
            *customer = (struct customer){.wake_at = NEVER, .hash = hash, .heap_index = NOT_IN_HEAP};
            customer->id_size = (uint16_t)id.size;
            memcpy(customer->bytes, id.data, id.size);
        } else if (customer->heap_index != NOT_IN_HEAP) {
            customers->heap[customer->heap_index].customer = customer;
        }
    }
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
    size_t count = 0;
    for (size_t i = 0; i < customers->slot_count; i++)
        if (customers->slots[i] != NULL)
            sorted[count++] = customers->slots[i];
    qsort(sorted, count, sizeof(*sorted), compare_ids);
    return sorted;
}
