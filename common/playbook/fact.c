#include "common/playbook/fact.h"

#include "common/base/check.h"

static const struct {
    const char *name;
    enum fact_type type;
    const char *text;
} facts[FACT_COUNT] = {
#define X(name, type, text) [FACT_##name] = {#name, type, text},
    FACT_TABLE(X)
#undef X
};

const char *fact_name(enum fact fact)
{
    CHECK(fact < FACT_COUNT);
    return facts[fact].name;
}

enum fact_type fact_type(enum fact fact)
{
    CHECK(fact < FACT_COUNT);
    return facts[fact].type;
}

const char *fact_text(enum fact fact)
{
    CHECK(fact < FACT_COUNT);
    return facts[fact].text;
}

bool fact_find(struct span name, enum fact *ret_fact)
{
    for (int i = 0; i < FACT_COUNT; i++) {
        if (span_equal(span_of(facts[i].name), name)) {
            *ret_fact = (enum fact)i;
            return true;
        }
    }
    return false;
}
