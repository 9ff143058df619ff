/* R30: what a customer's live orders credit to the customers who referred him. */
#include "common/engine/facts.h"
#include "common/engine/step.h"

static bool earlier(const struct order *a, const struct order *b)
{
    if (a->placed.at != b->placed.at)
        return a->placed.at < b->placed.at;
    return span_compare(a->id, b->id) < 0;
}

static struct credit_standing *find(const struct credit_list *list, struct span referrer)
{
    for (size_t i = 0; i < list->count; i++)
        if (span_equal(list->items[i].referrer, referrer))
            return &list->items[i];
    return NULL;
}

struct credit_list credit_standings(const struct facts *facts, struct arena *arena)
{
    struct credit_list list = {NULL, 0};
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        const struct order *order = &facts->orders[i];
        if (span_empty(order->referrer) || !order_live(order))
            continue;
        if (!list.items)
            list.items = ARENA_ARRAY(arena, struct credit_standing, facts->orders_count);
        struct credit_standing *standing = find(&list, order->referrer);
        if (standing && !earlier(order, &facts->orders[standing->order]))
            continue;
        if (!standing)
            standing = &list.items[list.count++];
        *standing = (struct credit_standing){order->referrer, i, order->id, order->placed.at, order->placed.backfill};
    }
    return list;
}

static bool same(const struct credit_standing *a, const struct credit_standing *b)
{
    return a->order_at == b->order_at && a->order_backfill == b->order_backfill && span_equal(a->order_id, b->order_id);
}

static struct credit_out *forward(struct arena *arena, struct span friend_id, const struct event *event,
                                  struct span referrer)
{
    struct credit_out *out = ARENA_NEW(arena, struct credit_out);
    out->event = event_blank(event->topic, EVENT_CREDIT);
    out->event.event_id = event->event_id;
    out->event.source = event->source;
    out->event.occurred_at = event->occurred_at;
    out->event.backfill = event->backfill;
    out->event.customer_id = referrer;
    out->event.trace = event->trace;
    out->event.credit.friend_id = friend_id;
    return out;
}

struct credit_out *credit_changes(struct arena *arena, struct span friend_id, const struct event *event,
                                  struct credit_list before, struct credit_list after, bool by_erasure)
{
    struct credit_out *first = NULL, **next = &first;
    for (size_t i = 0; i < before.count; i++) {
        if (find(&after, before.items[i].referrer))
            continue;
        *next = forward(arena, friend_id, event, before.items[i].referrer);
        (*next)->event.credit.by_erasure = by_erasure; /* R31: count only, no revoke */
        next = &(*next)->next;
    }
    for (size_t i = 0; i < after.count; i++) {
        const struct credit_standing *standing = &after.items[i];
        const struct credit_standing *stood = find(&before, standing->referrer);
        if (stood && same(stood, standing))
            continue;
        *next = forward(arena, friend_id, event, standing->referrer);
        struct credit *credit = &(*next)->event.credit;
        credit->standing = true;
        credit->order_id = standing->order_id;
        credit->order_at = standing->order_at;
        credit->order_backfill = standing->order_backfill;
        next = &(*next)->next;
    }
    return first;
}
