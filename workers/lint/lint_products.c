/* Products whose pattern does not say what its author thinks: covered by another, or written in another tool's way. */
#define _GNU_SOURCE /* memmem */
#include "common/base/check.h"
#include "workers/lint/lint.h"

/* All that the second glob matches, the first does: its own * and ? are letters to it, of which a ? must not stand for
 * a *. */
static bool covers(struct span glob, struct span other)
{
    bool one = memchr(glob.data, '?', glob.size) != NULL, many = memchr(other.data, '*', other.size) != NULL;
    return !(one && many) && glob_match(glob, other);
}

/* R17: the first product that matches counts. */
static void check_covered(struct lint *lint, size_t index)
{
    const struct product *product = &lint->playbook->products[index], *first = lint->playbook->products;
    while (first < product && !covers(first->sku, product->sku))
        first++;
    if (first < product)
        lint_say(lint, LINT_NOTE, lint->product_nodes[index],
                 "product %.*s is never found: \"%.*s\" (%.*s) before it matches all of \"%.*s\"",
                 (int)product->name.size, product->name.data, (int)first->sku.size, first->sku.data,
                 (int)first->name.size, first->name.data, (int)product->sku.size, product->sku.data);
}

/* What a regular expression, a list or a database would make of the pattern. */
static void check_marks(struct lint *lint, size_t index)
{
    struct span sku = lint->playbook->products[index].sku;
    const struct node *node = node_find(lint->product_nodes[index], "sku");
    static const char *const marks[] = {"|", ",", "^", "$", "%", "[", ".*"};
    if (sku.data[0] == ' ' || sku.data[sku.size - 1] == ' ')
        lint_say(lint, LINT_WARNING, node,
                 "product pattern \"%.*s\" has a blank at its %s, which the SKU must have too", (int)sku.size, sku.data,
                 sku.data[0] == ' ' ? "start" : "end");
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        if (memmem(sku.data, sku.size, marks[i], strlen(marks[i])) == NULL)
            continue;
        bool dotted = i + 1 == COUNT_OF(marks); /* there are SKUs like TEA.30 */
        lint_say(lint, dotted ? LINT_NOTE : LINT_WARNING, node,
                 "product pattern \"%.*s\": only * and ? stand for something else, %s must be in the SKU itself (? "
                 "matches it too)",
                 (int)sku.size, sku.data, marks[i]);
        return;
    }
}

static void check_name(struct lint *lint, size_t index)
{
    const struct product *product = &lint->playbook->products[index], *other = lint->playbook->products;
    while (other < product && !span_equal(other->name, product->name))
        other++;
    if (other < product && !span_empty(product->name))
        lint_say(lint, LINT_NOTE, lint->product_nodes[index], "product %.*s: another has this name",
                 (int)product->name.size, product->name.data);
}

void lint_products(struct lint *lint)
{
    for (size_t i = 0; i < lint->playbook->product_count; i++) {
        check_covered(lint, i);
        check_marks(lint, i);
        check_name(lint, i);
    }
}
