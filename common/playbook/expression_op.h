/* The inside of a compiled expression: for the compiler, the evaluator and lint. Everybody else sees expression.h. */
#ifndef ORIORI_PLAYBOOK_EXPRESSION_OP_H
#define ORIORI_PLAYBOOK_EXPRESSION_OP_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/playbook/expression.h"

/* OP_COMPARE pushes, OP_NOT turns the top over, OP_AND and OP_OR take two and push one. */
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

/* As it is evaluated an expression is questions with a way on from either answer: "and", "or" and "not" are gone into the
 * ways. Nearly every question is whether a number lies in a range: "< 60" is below it, "in (2, 5)" is two questions. */
enum test_kind { TEST_RANGE, TEST_OP };
enum { TEST_TRUE = UINT16_MAX, TEST_FALSE = UINT16_MAX - 1 }; /* instead of a test's place: the expression's value */
struct expression_test {
    uint16_t kind;
    uint16_t fact;
    uint16_t if_true, if_false; /* places in the expression */
    union {
        struct { int64_t low; uint64_t width; } range;  /* low <= value <= low + width. Never of FACT_ABSENT */
        const struct expression_op *op;                 /* TEST_OP: with another fact, or of a text */
    };
};

/* Fills in tests from ops. */
void expression_place(struct arena *arena, struct expression *expression);

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
