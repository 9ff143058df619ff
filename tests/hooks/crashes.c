/* ORIORI_CRASH: records that end the worker while they are decoded or folded, customers whose timer or state does. A
 * fault of ours in the field looks like this: the same bytes, the same end, on whichever worker reads them. */
#define _GNU_SOURCE /* memmem */
#include "common/base/check.h"
#include "tests/hooks/hooks.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { RULES_MAX = 16 };

enum crash { CRASH_DECODE, CRASH_FOLD, CRASH_TIMER, CRASH_STATE, CRASH_COUNT };
static const char *const crash_names[CRASH_COUNT] = {"decode:", "fold:", "timer:", "state:"};

static struct crash_rule {
    enum crash crash;
    struct span text; /* bytes of the record, an event's id, a customer's id */
} rules[RULES_MAX];
static size_t rule_count;
static struct engine engine_real;
static struct formats formats_real;

static void crash(const struct crash_rule *rule)
{
    hooks_say("oriori: test build: crash of %s%.*s", crash_names[rule->crash], (int)rule->text.size, rule->text.data);
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static enum world hook_event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                                  struct reading *ret_reading)
{
    for (size_t i = 0; i < rule_count; i++)
        if (rules[i].crash == CRASH_DECODE && original->value.size > 0 &&
            memmem(original->value.data, original->value.size, rules[i].text.data, rules[i].text.size))
            crash(&rules[i]);
    return formats_real.event_read(context, topic, original, arena, ret_reading);
}

static bool ends(const struct crash_rule *rule, const struct visit *visit)
{
    bool his = span_equal(rule->text, visit->customer_id) && !span_empty(visit->state);
    switch (rule->crash) {
    case CRASH_FOLD:
        for (size_t i = 0; i < visit->event_count; i++)
            if (span_equal(rule->text, visit->events[i].event_id))
                return true;
        return false;
    case CRASH_TIMER:
        return his && visit->event_count == 0;
    case CRASH_STATE:
        return his;
    default:
        return false;
    }
}

static bool hook_visit(const struct step_world *world, struct arena *arena, const struct visit *visit,
                       struct visit_result *ret_result)
{
    for (size_t i = 0; i < rule_count; i++)
        if (ends(&rules[i], visit))
            crash(&rules[i]);
    return engine_real.visit(world, arena, visit, ret_result);
}

static bool parse_rule(char *text, struct crash_rule *ret_rule)
{
    for (int i = 0; i < CRASH_COUNT; i++) {
        size_t size = strlen(crash_names[i]);
        if (strncmp(text, crash_names[i], size) == 0 && text[size] != '\0') {
            *ret_rule = (struct crash_rule){(enum crash)i, span_of(text + size)};
            return true;
        }
    }
    return false;
}

void hooks_install_crashes(struct flow_config *flow)
{
    const char *text = getenv("ORIORI_CRASH");
    if (text == NULL || text[0] == '\0')
        return;
    char *copy = strdup(text), *rest = NULL; /* kept: the rules point into it */
    CHECK(copy);
    for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
        if (rule_count == RULES_MAX || !parse_rule(one, &rules[rule_count++]))
            hooks_refuse("ORIORI_CRASH", one);
    engine_real = flow->engine;
    formats_real = flow->formats;
    flow->engine.visit = hook_visit;
    flow->formats.event_read = hook_event_read;
}
