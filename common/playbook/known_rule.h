/* Rule names that the customer's state writes as a number: those of the playbook as 0.1.0 ships it, the ones used most
 * in front. The numbers are part of state version 3 (schemas/customer_state.avsc): this list never changes under it. A
 * rule that is not here (a shop's own, or one that a later release ships) is written by its name. */
#ifndef ORIORI_PLAYBOOK_KNOWN_RULE_H
#define ORIORI_PLAYBOOK_KNOWN_RULE_H

#include "common/base/span.h"

#include <stdint.h>

enum { KNOWN_RULES = 49 };

struct known_rule {
    struct span name;
    uint32_t hash; /* lower half of XXH64 of the name, as in struct rule */
    int index;     /* in the playbook; -1 = it has no such rule */
};

struct span known_rule_name(int number); /* 0 .. KNOWN_RULES - 1 */
int known_rule_find(struct span name);   /* its number; -1 = none of them */

#endif
