/* The customers visited last, with their states open (open_state.h), so that most visits neither decode nor encode. All
 * blocks together take at most the given size; beyond it, who was visited longest ago is closed. Customers of a shop
 * come back one after the other, not in bursts: it pays as long as most of them fit, and costs little when they do not.
 *
 * A customer who is being visited is in no list: his credits may visit others, and close some of them, but not him. */
#ifndef ORIORI_WORKERS_SIMULATE_HOT_H
#define ORIORI_WORKERS_SIMULATE_HOT_H

#include "common/engine/open_state.h"

struct customer;

struct hot { /* a block: this head, then the state */
    struct hot *newer, *older;
    struct customer *customer;
    size_t size; /* of the whole block */
};

struct hot_list {
    struct hot *newest, *oldest;
    size_t size, size_max; /* bytes of all blocks; 0 = keep none */
};

struct open_state *hot_state(struct hot *hot);

/* A copy of the state in a block of its own, counted and in no list. */
struct hot *hot_new(struct hot_list *list, const struct open_state *state, struct customer *customer);
void hot_free(struct hot_list *list, struct hot *hot); /* in no list */
void hot_push(struct hot_list *list, struct hot *hot); /* as the newest */
void hot_take(struct hot_list *list, struct hot *hot); /* out of the list */

/* Brings home what a visit left in its arena, into another block if need be: the result takes hot's place. In no list.
 */
struct hot *hot_settle(struct hot_list *list, struct hot *hot);

#endif
