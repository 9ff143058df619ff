/* The compiler's common part: errors that name their place, and readers of single values.
 *
 * A map is read by a table of fields: key, reader, where the value goes. The table is also the list of valid keys, so
 * an unknown key is an error with the nearest valid one. Every reader complains itself and goes on: all errors of a
 * file are found in one pass. */
#ifndef ORIORI_PLAYBOOK_COMPILE_H
#define ORIORI_PLAYBOOK_COMPILE_H

#include "common/base/arena.h"
#include "common/playbook/node.h"
#include "common/playbook/playbook.h"

struct compiler {
    struct arena *arena; /* the playbook's own memory */
    const char *file_name;
    struct playbook_errors *errors;
    const bool *expression_facts; /* which facts the expressions being read may name; NULL = all */
};

/* Where we are: rules[3].delay. A chain on the stack. */
struct place {
    const struct place *parent;
    struct span key; /* "" = an item of a list */
    size_t index;
};

typedef void field_reader(struct compiler *compiler, const struct node *node, const struct place *place, void *target);

struct field {
    const char *key;
    field_reader *read;
    size_t offset; /* of the value in the map's target */
    bool required;
};

#define FIELD(type, key, reader, member)                                                                               \
    {                                                                                                                  \
        key, reader, offsetof(type, member), false                                                                     \
    }
#define FIELD_REQUIRED(type, key, reader, member)                                                                      \
    {                                                                                                                  \
        key, reader, offsetof(type, member), true                                                                      \
    }

/* "file:line:column: path: message". */
__attribute__((format(printf, 4, 5))) void compile_error(struct compiler *compiler, const struct node *node,
                                                         const struct place *place, const char *format, ...);
/* The same without a node's place in the file. */
void compile_error_at(struct compiler *compiler, int line, int column, const struct place *place, const char *message);

/* "expected <expected>, found <node>[; nearest: ...]" */
void compile_expected(struct compiler *compiler, const struct node *node, const struct place *place,
                      const char *expected, const char *nearest);

/* False after a complaint when the node is no map. Fields that are not there keep what target held before. */
bool compile_map(struct compiler *compiler, const struct node *node, const struct place *place,
                 const struct field *fields, size_t field_count, void *target);

/* Complains unless the node is a list of at least one item; the number of items, 0 after a complaint. */
size_t compile_list(struct compiler *compiler, const struct node *node, const struct place *place,
                    const char *expected);

/* A word of a table; value = index. */
struct words {
    const char *what;
    const char *const *names;
    size_t count;
};
bool compile_word(struct compiler *compiler, const struct node *node, const struct place *place,
                  const struct words *words, int *ret_value);
/* Words of a dimension ("visitor" ...), of events' purposes, of channels. */
struct words words_of_dimension(enum dimension dimension);
struct words words_of_purposes(void);

/* Each item of a list of words (or one word alone) as a bit. */
bool compile_word_set(struct compiler *compiler, const struct node *node, const struct place *place,
                      const struct words *words, uint64_t *ret_set);

bool compile_integer(struct compiler *compiler, const struct node *node, const struct place *place, int64_t least,
                     int64_t most, const char *expected, int64_t *ret_value);

/* "14d", "36h", "0"; units s m h d w; at most 36500 d. */
bool duration_parse(struct span text, int64_t *ret_ms);
/* "0.05": a share 0..1 in 1/10000, rounded. */
bool share_parse(struct span text, uint32_t *ret_share);

/* Field readers; the comment says what target is. */
field_reader read_ignored_text; /* nothing: a text for people */
field_reader read_text;         /* struct span, 1 to 200 bytes without control characters */
field_reader read_name;         /* struct span: a-z 0-9 _ , at most 64 */
field_reader read_label;        /* struct span: letters, digits, . _ - / , at most 64 (templates, coupons, contents) */
field_reader read_boolean;      /* bool */
field_reader read_count32;      /* int32_t, 1 .. 1,000,000 */
field_reader read_count64;      /* int64_t, 1 .. 1,000,000 */
field_reader read_days;         /* int64_t ms, from a whole number of days, 0 .. 36,500 */
field_reader read_duration;     /* int64_t ms */
field_reader read_positive_duration; /* int64_t ms, > 0 */
field_reader read_share;             /* uint32_t in 1/10000 */
field_reader read_time_of_day;       /* int64_t ms from midnight, "09:00" .. "24:00" */
field_reader read_nps;               /* int32_t, 0 .. 10 */
field_reader read_satisfaction;      /* int32_t, 1 .. 5 */
field_reader read_expression;        /* struct expression */

/* compile_rule.c: the list of rules; those of another strategy are checked and left out. */
void compile_rules(struct compiler *compiler, const struct node *node, const struct place *place,
                   struct playbook *playbook);

/* compile_trigger.c: target is a struct trigger. */
field_reader read_trigger;

#endif
