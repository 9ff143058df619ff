/* All customers of a simulation: id -> state blob and wake-up, one allocation each, found by an open hash table and,
 * for the next wake-up, a binary heap ordered by (wake_at, customer id bytewise), which is the order of R2. Table and
 * heap know a customer by his number, so that looking for one and moving one touch nothing of the others.
 *
 * Besides id and blob a customer costs at most about 95 bytes: 19 of head, 8 to 16 of malloc, 11 to 21 of table, 28 to
 * 35 of heap and numbers. */
#ifndef ORIORI_WORKERS_SIMULATE_CUSTOMERS_H
#define ORIORI_WORKERS_SIMULATE_CUSTOMERS_H

#include "common/base/span.h"
#include "common/base/timestamp.h"

struct customer;
struct hot;  /* an open state: hot.h */
struct slot; /* one place of the table */
struct wake; /* one place of the heap */

struct customers {
    bool no_heap; /* nobody asks who wakes first */
    struct slot *slots;
    size_t slot_count;      /* a power of two */
    struct customer **all;  /* by number */
    size_t count, capacity; /* of all, heap and heap_places */
    struct wake *heap;
    size_t heap_count;
    uint32_t *heap_places; /* by number: where in the heap he is */
};

void customers_init(struct customers *customers);
void customers_release(struct customers *customers);

struct customer *customers_find(const struct customers *customers, struct span id); /* NULL: not known */

/* Keeps a copy of the state, which must not be empty, for the customer, known or new. Pointers to that customer are
 * invalid afterwards. */
void customers_store(struct customers *customers, struct span id, struct span state, int64_t wake_at);
void customers_set_wake(struct customers *customers, struct customer *customer, int64_t wake_at);

/* Instead of a state the customer, known or new, has an open one from now on, which the caller owns; until
 * customers_store says otherwise. Returns the customer; older pointers to him are invalid. */
struct customer *customers_open(struct customers *customers, struct span id, struct hot *hot, int64_t wake_at);
void customer_set_hot(struct customer *customer, struct hot *hot); /* an open one's is another block now */
struct hot *customer_hot(const struct customer *customer);         /* NULL: he has a state */

/* Who wakes first, and who comes after him as things stand; NULL: nobody. */
struct customer *customers_first(const struct customers *customers);
struct customer *customers_second(const struct customers *customers);

struct span customer_id(const struct customer *customer);
struct span customer_state(const struct customer *customer); /* of one who is not open */
int64_t customer_wake_at(const struct customer *customer);

struct customer *customers_at(const struct customers *customers, size_t number); /* number < count */

/* All, by id bytewise; count of them, to be freed by the caller. */
struct customer **customers_sorted(const struct customers *customers);

#endif
