/* Recursive descent straight to postfix. The first error ends the parse: what follows a wrong word is guesswork. */
#include "common/base/check.h"
#include "common/engine/record.h"
#include "common/playbook/expression_op.h"
#include "common/playbook/nearest.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_NUMBER,
    TOKEN_TEXT,
    TOKEN_COMPARISON,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_BAD
};

struct token {
    enum token_kind kind;
    size_t start;     /* bytes into the text */
    struct span text; /* as written; of TOKEN_TEXT without the quotes */
    enum comparison comparison;
    int64_t number;
};

struct parser {
    struct arena *arena;
    struct span text;
    const bool *allowed;
    struct expression_error *error;
    struct token token; /* the one in hand */
    size_t next;        /* where the next one is read */
    struct expression_op *ops;
    size_t op_count;
    int depth;
};

/* ---- tokens ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool number_of(struct span text, int64_t *ret_number)
{
    bool negative = text.data[0] == '-';
    int64_t number = 0;
    for (size_t i = negative; i < text.size; i++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, text.data[i] - '0', &number))
            return false;
    }
    /* One short of the end, so that a day boundary may add one. */
    if (number >= INT64_MAX - 1)
        return false;
    *ret_number = negative ? -number : number;
    return true;
}

static bool token_comparison(struct span rest, struct token *token)
{
    static const struct {
        const char *text;
        enum comparison comparison;
    } table[] = {{"!=", COMPARE_UNEQUAL}, {"<=", COMPARE_AT_MOST}, {">=", COMPARE_AT_LEAST},
                 {"=", COMPARE_EQUAL},    {"<", COMPARE_LESS},     {">", COMPARE_GREATER}};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        size_t size = strlen(table[i].text);
        if (rest.size >= size && memcmp(rest.data, table[i].text, size) == 0) {
            token->kind = TOKEN_COMPARISON;
            token->comparison = table[i].comparison;
            token->text.size = size;
            return true;
        }
    }
    return false;
}

/* What other languages, and full-width keyboards, write for an operator of this one. */
static const struct {
    const char *text, *meant;
} foreign[] = {{"==", "="},   {"<>", "!="}, {"=>", ">="}, {"=<", "<="}, {"&&", "and"}, {"||", "or"}, {"!", "not"},
               {"！", "not"}, {"≧", ">="},  {"≥", ">="},  {"≦", "<="},  {"≤", "<="},   {"≠", "!="},  {"＝", "="},
               {"＞", ">"},   {"＜", "<"},  {"（", "("},  {"）", ")"},  {"“", "\""},   {"”", "\""}};

static bool foreign_at(struct span rest, size_t *ret_index)
{
    for (size_t i = 0; i < COUNT_OF(foreign); i++) {
        size_t size = strlen(foreign[i].text);
        bool unequal = size == 1 && rest.size > 1 && rest.data[1] == '='; /* != is ours */
        if (rest.size >= size && memcmp(rest.data, foreign[i].text, size) == 0 && !unequal) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static size_t run_of(struct span rest, size_t from, bool (*is)(char))
{
    while (from < rest.size && is(rest.data[from]))
        from++;
    return from;
}

/* A quoted text; without its closing quote it is a bad token. */
static void token_quoted(struct span rest, struct token *token, size_t *size)
{
    const char *end = memchr(rest.data + 1, rest.data[0], rest.size - 1);
    if (end == NULL) {
        token->kind = TOKEN_BAD;
        *size = rest.size;
        token->text = rest;
        return;
    }
    token->kind = TOKEN_TEXT;
    *size = (size_t)(end - rest.data) + 1;
    token->text = (struct span){rest.data + 1, *size - 2};
}

static void token_mark(struct span rest, struct token *token)
{
    char c = rest.data[0];
    size_t index;
    if (foreign_at(rest, &index)) {
        token->kind = TOKEN_BAD;
        token->text.size = strlen(foreign[index].text);
        return;
    }
    token->text.size = 1;
    token->kind = c == '(' ? TOKEN_OPEN : c == ')' ? TOKEN_CLOSE : c == ',' ? TOKEN_COMMA : TOKEN_BAD;
    while (token->kind == TOKEN_BAD && token->text.size < rest.size && (rest.data[token->text.size] & 0xC0) == 0x80)
        token->text.size++; /* a whole character, for the message */
}

static void token_next(struct parser *parser)
{
    while (parser->next < parser->text.size && strchr(" \t\r\n", parser->text.data[parser->next]) != NULL)
        parser->next++;
    struct span rest = {parser->text.data + parser->next, parser->text.size - parser->next};
    struct token token = {.kind = TOKEN_END, .start = parser->next, .text = {rest.data, 0}};
    size_t size = 0, index;
    if (rest.size == 0) {
        parser->token = token;
        return;
    }
    char c = rest.data[0];
    if (is_digit(c) || (c == '-' && rest.size > 1 && is_digit(rest.data[1]))) {
        token.text.size = run_of(rest, 1, is_word);
        bool whole = run_of(rest, 1, is_digit) == token.text.size;
        token.kind = whole && number_of(token.text, &token.number) ? TOKEN_NUMBER : TOKEN_BAD;
    } else if (is_word(c)) {
        token.kind = TOKEN_WORD;
        token.text.size = run_of(rest, 0, is_word);
    } else if (c == '"' || c == '\'') {
        token_quoted(rest, &token, &size);
    } else if (foreign_at(rest, &index) || !token_comparison(rest, &token)) {
        token_mark(rest, &token);
    }
    parser->next += size != 0 ? size : token.text.size;
    parser->token = token;
}

static bool token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && span_equal(token->text, span_of(word));
}

/* ---- errors ---- */

static size_t column_of(struct span text, size_t start)
{
    size_t column = 1;
    for (size_t i = 0; i < start && i < text.size; i++)
        column += (text.data[i] & 0xC0) != 0x80;
    return column;
}

static bool fail_at(struct parser *parser, const struct token *token, const char *expected, const char *nearest)
{
    struct buffer *message = &parser->error->message;
    parser->error->column = column_of(parser->text, token->start);
    buffer_reset(message);
    buffer_format(message, "expected %s, found ", expected);
    if (token->kind == TOKEN_END)
        buffer_add_text(message, "the end");
    else
        buffer_format(message, "\"%.*s\"", (int)token->text.size, token->text.data);
    if (nearest != NULL)
        buffer_format(message, "; nearest: %s", nearest);
    return false;
}

/* An operator as it is written here; NULL: the token is none at all. */
static const char *meant(const struct token *token)
{
    static const char *const words[] = {"and", "or", "not", "in"};
    size_t index;
    if (token->kind == TOKEN_BAD && foreign_at(token->text, &index))
        return foreign[index].meant;
    for (size_t i = 0; token->kind == TOKEN_WORD && i < COUNT_OF(words); i++) {
        if (nearest_distance(token->text, span_of(words[i])) == 0) /* AND */
            return words[i];
    }
    return NULL;
}

static bool fail(struct parser *parser, const char *expected)
{
    return fail_at(parser, &parser->token, expected, meant(&parser->token));
}

static bool fail_fact(struct parser *parser)
{
    const char *names[FACT_COUNT];
    size_t count = 0;
    for (int i = 0; i < FACT_COUNT; i++) {
        if (parser->allowed == NULL || parser->allowed[i])
            names[count++] = fact_name((enum fact)i);
    }
    enum fact fact;
    bool known = fact_find(parser->token.text, &fact);
    const char *nearest = meant(&parser->token);
    if (nearest == NULL && !known)
        nearest = nearest_name(parser->token.text, names, count);
    return fail_at(parser, &parser->token, known ? "a fact that may be read here" : "a fact", nearest);
}

/* ---- literals ---- */

static bool enum_dimension(enum fact_type type, enum dimension *ret_dimension)
{
    static const enum fact_type types[] = {[DIMENSION_TIER] = FACT_TIER,
                                           [DIMENSION_PHASE] = FACT_PHASE,
                                           [DIMENSION_GROWTH] = FACT_GROWTH,
                                           [DIMENSION_SEGMENT] = FACT_SEGMENT};
    for (int i = 0; i < DIMENSION_COUNT; i++) {
        if (types[i] == type) {
            *ret_dimension = (enum dimension)i;
            return true;
        }
    }
    return false;
}

static bool fail_class(struct parser *parser, enum dimension dimension)
{
    static const int counts[] = {TIER_COUNT, PHASE_COUNT, GROWTH_COUNT, SEGMENT_COUNT};
    const char *names[SEGMENT_COUNT];
    struct buffer expected = {0};
    buffer_format(&expected, "a %s (", dimension_name(dimension));
    for (int i = 0; i < counts[dimension]; i++) {
        names[i] = class_value_name(dimension, i);
        buffer_format(&expected, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    buffer_add_char(&expected, ')');
    fail_at(parser, &parser->token, expected.data, nearest_name(parser->token.text, names, (size_t)counts[dimension]));
    buffer_release(&expected);
    return false;
}

static bool parse_boolean(struct parser *parser, int64_t *ret_number)
{
    bool is_true = token_is(&parser->token, "true");
    if (!is_true && !token_is(&parser->token, "false"))
        return fail(parser, "true or false");
    *ret_number = is_true;
    return true;
}

static bool parse_literal(struct parser *parser, enum fact fact, int64_t *ret_number, struct span *ret_text)
{
    enum fact_type type = fact_type(fact);
    enum dimension dimension;
    int value;
    if (type == FACT_TEXT) {
        if (parser->token.kind != TOKEN_TEXT)
            return fail(parser, "a text in quotes");
        *ret_text = parser->token.text;
    } else if (type == FACT_BOOLEAN) {
        if (!parse_boolean(parser, ret_number))
            return false;
    } else if (enum_dimension(type, &dimension)) {
        if (parser->token.kind != TOKEN_WORD || !class_value_find(dimension, parser->token.text, &value))
            return fail_class(parser, dimension);
        *ret_number = value;
    } else {
        if (parser->token.kind != TOKEN_NUMBER)
            return fail(parser, type == FACT_NUMBER ? "a whole number or a number fact" : "a whole number");
        *ret_number = parser->token.number;
    }
    token_next(parser);
    return true;
}

/* ---- grammar ---- */

static struct expression_op *emit(struct parser *parser, enum op_kind kind)
{
    struct expression_op *op = &parser->ops[parser->op_count++];
    *op = (struct expression_op){.kind = kind};
    return op;
}

/* Room for the literals that may follow: no more than half the letters that are left. */
static void literals_room(struct parser *parser, struct expression_op *op, int64_t **ret_numbers,
                          struct span **ret_texts, size_t capacity)
{
    *ret_numbers = ARENA_ARRAY(parser->arena, int64_t, capacity);
    *ret_texts = ARENA_ARRAY(parser->arena, struct span, capacity);
    op->numbers = *ret_numbers;
    op->texts = *ret_texts;
}

static bool parse_list(struct parser *parser, struct expression_op *op)
{
    int64_t *numbers;
    struct span *texts;
    size_t capacity = (parser->text.size - parser->token.start) / 2 + 1;
    op->comparison = COMPARE_IN;
    token_next(parser);
    if (parser->token.kind != TOKEN_OPEN)
        return fail(parser, "\"(\" after in");
    literals_room(parser, op, &numbers, &texts, capacity);
    do {
        token_next(parser);
        if (!parse_literal(parser, op->fact, &numbers[op->literal_count], &texts[op->literal_count]))
            return false;
        op->literal_count++;
    } while (parser->token.kind == TOKEN_COMMA);
    if (parser->token.kind != TOKEN_CLOSE)
        return fail(parser, "\",\" or \")\"");
    token_next(parser);
    return true;
}

/* Ordered: what "<" may be asked of. The rank of tiers is the playbook's data (R36), so a tier is not. */
static bool ordered(enum fact_type type)
{
    return type != FACT_BOOLEAN && type != FACT_TEXT && type != FACT_TIER;
}

/* purchases >= settle_purchases: numbers only, so that day boundaries stay figures of the playbook (R35). */
static bool other_fact(const struct parser *parser, struct expression_op *op)
{
    return parser->token.kind == TOKEN_WORD && fact_type(op->fact) == FACT_NUMBER &&
           fact_find(parser->token.text, &op->other) && fact_type(op->other) == FACT_NUMBER &&
           (parser->allowed == NULL || parser->allowed[op->other]);
}

static bool parse_one(struct parser *parser, struct expression_op *op)
{
    int64_t *numbers;
    struct span *texts;
    op->comparison = parser->token.comparison;
    if (op->comparison > COMPARE_UNEQUAL && !ordered(fact_type(op->fact)))
        return fail(parser, "= or != or in (this fact has no order)");
    token_next(parser);
    if (other_fact(parser, op)) {
        op->with_fact = true;
        token_next(parser);
        return true;
    }
    literals_room(parser, op, &numbers, &texts, 1);
    op->literal_count = 1;
    return parse_literal(parser, op->fact, numbers, texts);
}

static bool parse_comparison(struct parser *parser)
{
    enum fact fact;
    if (parser->token.kind != TOKEN_WORD)
        return fail(parser, "a fact, not or \"(\"");
    if (!fact_find(parser->token.text, &fact) || (parser->allowed != NULL && !parser->allowed[fact]))
        return fail_fact(parser);
    struct expression_op *op = emit(parser, OP_COMPARE);
    op->fact = fact;
    token_next(parser);
    if (parser->token.kind == TOKEN_COMPARISON)
        return parse_one(parser, op);
    if (token_is(&parser->token, "in"))
        return parse_list(parser, op);
    if (fact_type(fact) != FACT_BOOLEAN)
        return fail(parser, "a comparison (= != < <= > >= in)");
    int64_t *numbers;
    struct span *texts;
    literals_room(parser, op, &numbers, &texts, 1);
    numbers[0] = 1;
    op->comparison = COMPARE_EQUAL;
    op->literal_count = 1;
    return true;
}

static bool parse_or(struct parser *parser);

static bool parse_not(struct parser *parser)
{
    bool negated = false, good;
    while (token_is(&parser->token, "not")) {
        negated = !negated;
        token_next(parser);
    }
    if (parser->token.kind == TOKEN_OPEN) {
        if (++parser->depth > EXPRESSION_DEPTH_MAX)
            return fail(parser, "at most 24 levels of brackets");
        token_next(parser);
        good = parse_or(parser);
        if (good && parser->token.kind != TOKEN_CLOSE)
            return fail(parser, "and, or or \")\"");
        parser->depth--;
        token_next(parser);
    } else {
        good = parse_comparison(parser);
    }
    if (good && negated)
        emit(parser, OP_NOT);
    return good;
}

static bool parse_and(struct parser *parser)
{
    if (!parse_not(parser))
        return false;
    while (token_is(&parser->token, "and")) {
        token_next(parser);
        if (!parse_not(parser))
            return false;
        emit(parser, OP_AND);
    }
    return true;
}

static bool parse_or(struct parser *parser)
{
    if (!parse_and(parser))
        return false;
    while (token_is(&parser->token, "or")) {
        token_next(parser);
        if (!parse_and(parser))
            return false;
        emit(parser, OP_OR);
    }
    return true;
}

bool expression_compile(struct arena *arena, struct span text, const bool allowed[FACT_COUNT],
                        struct expression *ret_expression, struct expression_error *error)
{
    struct parser parser = {.arena = arena, .allowed = allowed, .error = error};
    parser.text = arena_copy(arena, text);
    if (text.size > EXPRESSION_SIZE_MAX || memchr(text.data ? text.data : "", '\0', text.size) != NULL) {
        parser.token = (struct token){.kind = TOKEN_END};
        return fail(&parser, "an expression of at most 4096 bytes, without control characters");
    }
    /* Every op needs a letter of its own. */
    parser.ops = ARENA_ARRAY(arena, struct expression_op, text.size + 1);
    token_next(&parser);
    if (!parse_or(&parser))
        return false;
    if (parser.token.kind != TOKEN_END)
        return fail(&parser, "and, or or the end");
    *ret_expression = (struct expression){.ops = parser.ops, .op_count = parser.op_count, .text = parser.text};
    expression_place(arena, ret_expression);
    return true;
}
