/* The customers visited last, with their states open (open_state.h), so that most visits neither decode nor encode. All
 * blocks together take at most the given size; beyond it, one is closed who was not visited for long: a hand goes round
 * and takes the first who was not visited since it passed. Customers of a shop come back one after the other, not in
 * bursts: it pays as long as most of them fit, and costs little when they do not.
 *
 * What the hand reads lies in an array of its own, so that a visit touches the block of nobody else.
 *
 * A customer who is being visited is held: his credits may visit others, and close some of them, but not him. */
#ifndef ORIORI_WORKERS_SIMULATE_HOT_H
#define ORIORI_WORKERS_SIMULATE_HOT_H

#include "common/engine/open_state.h"

struct customer;
struct hot_place;

struct hot { /* a block: this head, then the state */
    struct customer *customer;
    size_t size;    /* of the whole block */
    uint32_t place; /* in the list */
};

struct hot_list {
    struct hot_place *places;
    uint32_t count, capacity;
    uint32_t hand;         /* the place that it looks at next */
    size_t size, size_max; /* bytes of all blocks; 0 = keep none */
};

/* Before much else is allocated: the heap is made ready for the blocks. */
void hot_init(struct hot_list *list, size_t size_max);
void hot_release(struct hot_list *list); /* with all blocks */

struct open_state *hot_state(struct hot *hot);

/* Asks for what a timer reads of somebody who is about to be visited, so that it is near by then. */
void hot_expect(const struct hot *hot);

/* A copy of the state in a block of its own, in the list and held. */
struct hot *hot_new(struct hot_list *list, const struct open_state *state, struct customer *customer);
void hot_free(struct hot_list *list, struct hot *hot); /* pointers to others stay */

void hot_hold(struct hot_list *list, struct hot *hot);
void hot_let_go(struct hot_list *list, struct hot *hot); /* visited just now */

/* Whom to close next; NULL: everybody is held. */
struct hot *hot_oldest(struct hot_list *list);

/* Brings home what a visit left in its arena, into another block if need be: the result takes hot's place. */
struct hot *hot_settle(struct hot_list *list, struct hot *hot);

#endif
