/* The inside of a compiled expression: for the compiler, the evaluator and lint. Everybody else sees expression.h. */
#ifndef ORIORI_PLAYBOOK_EXPRESSION_OP_H
#define ORIORI_PLAYBOOK_EXPRESSION_OP_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/playbook/expression.h"

/* OP_COMPARE pushes, OP_NOT turns the top over, OP_AND and OP_OR take two and push one. Read from left to right with
 * one result in hand that is the same: a left side that decides goes straight to its OP_AND or OP_OR, past the right
 * side, and behind a right side that was read the result in hand is the operation's. */
enum op_kind { OP_COMPARE, OP_AND, OP_OR, OP_NOT };
enum comparison {
    COMPARE_EQUAL,
    COMPARE_UNEQUAL,
    COMPARE_LESS,
    COMPARE_AT_MOST,
    COMPARE_GREATER,
    COMPARE_AT_LEAST,
    COMPARE_IN
};

struct expression_op {
    enum op_kind kind;
    bool is_left;  /* of the OP_AND or OP_OR at `join`: this op ends its left side */
    uint32_t join; /* place in the expression */
    enum fact fact;
    enum comparison comparison;
    const int64_t *numbers;   /* the literals: one, or the list of `in` */
    const struct span *texts; /* the same for a text fact */
    size_t literal_count;
    bool with_fact; /* the right side is the fact `other`, not a literal */
    enum fact other;
};

/* The compiler calls itself for every level of nesting. */
enum { EXPRESSION_DEPTH_MAX = 24, EXPRESSION_SIZE_MAX = 4096 };

/* What is wrong with an expression's text, for people. */
struct expression_error {
    size_t column;         /* from 1, in characters of the text */
    struct buffer message; /* "expected ..., found ...[; nearest: ...]"; the caller releases it */
};

/* Compiles text into memory of the arena (text too is copied). False: *error is filled. Facts whose bit is not set in
 * allowed are refused (NULL = all facts). */
bool expression_compile(struct arena *arena, struct span text, const bool allowed[FACT_COUNT],
                        struct expression *ret_expression, struct expression_error *error);

/* One comparison of values, as if op stood alone; other is the right side's value when op->with_fact. */
bool expression_compare(const struct expression_op *op, int64_t value, int64_t other);

#endif
