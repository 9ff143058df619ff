/* A customer's state as structs, kept between his visits, so that whoever visits the same customers again and again
 * need not decode and encode each time. The blob stays the truth of format: a state that is opened, visited and closed
 * gives the very bytes, and the very records, of the same visits blob by blob (test_step_random holds them side by
 * side).
 *
 * It lives in one block of the caller: this head, the arrays with some room to grow, then their texts; behind these, as
 * far as the block goes, new texts and arrays that outgrew their place. A visit changes the arrays in place and puts
 * what is new into its arena; open_state_settle brings that home. Texts and names of the playbook are borrowed from it:
 * a state must be closed under the world that it was opened under.
 *
 * With the facts it keeps what the last visit made of them. Most visits are timers at which no fact is new and no
 * boundary was passed: the figures hold, and the facts are not even looked at. */
#ifndef ORIORI_ENGINE_OPEN_STATE_H
#define ORIORI_ENGINE_OPEN_STATE_H

#include "common/engine/pass.h"

struct open_state {
    struct pass pass; /* between visits only what is the customer's; of his figures not `facts` */
    uint32_t *live;   /* room for figures.live in the block, as many as orders have */
};

/* Bytes of a block that holds the state, with room to grow. */
size_t open_state_size(const struct open_state *state);

/* The same without a look at each text: from what the state's own block holds, too little where many things share one
 * text, too much where much that was told is gone; without a block, from how much there is of what has texts. */
size_t open_state_guess_size(const struct open_state *state);

/* A copy of the state in a block of that size, which owns nothing else. Frees nothing. NULL: it is too small (but for
 * the struct itself, which it always must hold). */
struct open_state *open_state_copy(const struct open_state *state, void *block, size_t size);

/* Brings what a visit left in its arena into the state's block. False: there is no room, and only open_state_copy, into
 * another block, and giving the old one up are left. */
bool open_state_settle(struct open_state *state);

#endif
