/* Conditions: a small typed language over the named facts (fact.h), compiled once, evaluated without allocation.
 *
 *     expression := or;  or := and ("or" and)*;  and := not ("and" not)*;  not := "not" not | comparison | "(" or ")"
 *     comparison := fact [ ("=" | "!=" | "<" | "<=" | ">" | ">=") literal | "in" "(" literal ("," literal)* ")" ]
 *
 * Instead of a literal a number may be compared with another number fact: purchases >= settle_purchases. "not x" is true
 * where x is not, also where x compares something absent; "!=" is false there (fact.h).
 *
 * A literal is a whole number, true, false, a word of the fact's enum (visitor, adopt, promoter_high) or, for text facts, a
 * quoted text. A lone fact must be boolean. */
#ifndef ORIORI_PLAYBOOK_EXPRESSION_H
#define ORIORI_PLAYBOOK_EXPRESSION_H

#include "common/playbook/fact.h"

struct expression_op;
struct expression_test;

struct expression {
    const struct expression_op *ops; /* postfix: what lint and the compiler read; owned by the playbook */
    size_t op_count;
    const struct expression_test *tests; /* the same as it is evaluated */
    size_t test_count;
    struct span text; /* as written: the `detail` of a condition that failed */
};

bool expression_true(const struct expression *expression, const struct fact_values *values);

/* Calls visit for every fact that the expression names, in order, repeats included. */
void expression_facts(const struct expression *expression, void (*visit)(enum fact fact, void *context), void *context);

/* The set of them, as FACT_BITs. */
uint64_t expression_facts_set(const struct expression *expression);

/* A day boundary at which a FACT_DAYS comparison changes: at X + days x 24 h, to the millisecond (R35). */
struct day_boundary {
    enum fact fact;
    int64_t days;
};

/* Adds the expression's boundaries to the array, without repeats; returns the new count (<= capacity). */
size_t expression_boundaries(const struct expression *expression, struct day_boundary *boundaries, size_t count,
                             size_t capacity);

#endif
