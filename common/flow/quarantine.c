#include "common/flow/quarantine.h"

#include "common/base/check.h"

/* No version of a state begins so (those begin with 1). */
static const char mark[] = "\0quarantined";
enum { MARK_SIZE = sizeof(mark) - 1 };

static struct span joined(struct span head, struct span tail, struct arena *arena)
{
    char *bytes = arena_take(arena, head.size + tail.size);
    memcpy(bytes, head.data, head.size);
    memcpy(bytes + head.size, tail.data, tail.size);
    return (struct span){bytes, head.size + tail.size};
}

bool quarantine_holds(struct span state)
{
    return state.size > MARK_SIZE && memcmp(state.data, mark, MARK_SIZE) == 0;
}

struct span quarantine_inside(struct span state)
{
    CHECK(quarantine_holds(state));
    return (struct span){state.data + MARK_SIZE, state.size - MARK_SIZE};
}

struct span quarantine_seen(struct span state)
{
    return quarantine_holds(state) ? quarantine_inside(state) : state;
}

struct span quarantine_of(struct span state, struct arena *arena)
{
    CHECK(!span_empty(state));
    return joined((struct span){mark, MARK_SIZE}, state, arena);
}

struct span quarantine_name(struct span customer_id, struct arena *arena)
{
    return joined((struct span){"", 1}, customer_id, arena);
}

bool quarantine_named(struct span *name)
{
    if (span_empty(*name) || name->data[0] != 0)
        return false;
    *name = (struct span){name->data + 1, name->size - 1};
    return true;
}
