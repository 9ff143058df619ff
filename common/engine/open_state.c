#include "common/engine/open_state.h"

#include <stdint.h>

enum { BLOCK_ALIGN = 16, ITEMS_SPARE = 2, SPARE = 256, SPARE_PART = 4 };

/* A block and how far its texts go. */
struct block {
    char *start;
    size_t at, end;
    size_t texts_size;       /* of the texts that were brought there */
    const struct facts *old; /* the facts that are copied, as they are; NULL = they stay in the block */
    struct span from, to;    /* the last text copied, and its copy: runs share their keys and ids */
    bool only_measures;      /* what a copy would take; never too little, as a text told twice counts twice */
    bool full;
};

static size_t aligned(size_t size)
{
    return (size + BLOCK_ALIGN - 1) & ~(size_t)(BLOCK_ALIGN - 1);
}

/* Half as many more than there are: a customer who grew grows on. But most have nothing of most kinds. */
static uint32_t with_room(uint32_t count)
{
    return count > 0 ? count + count / 2 + ITEMS_SPARE : 0;
}

/* ---- texts ---- */

static bool inside(const struct block *block, const void *at)
{
    return (uintptr_t)at - (uintptr_t)block->start < block->end;
}

static bool copied_last(struct block *block, struct span *text)
{
    if (text->data != block->from.data || text->size != block->from.size)
        return false;
    *text = block->to;
    return true;
}

static void copy_text(struct block *block, struct span *text)
{
    block->texts_size += text->size;
    if (block->only_measures)
        return;
    if (block->end - block->at < text->size) {
        block->full = true;
        return;
    }
    block->from = *text;
    text->data = memcpy(block->start + block->at, text->data, text->size);
    block->to = *text;
    block->at += text->size;
}

static void keep_text(struct block *block, struct span *text)
{
    if (text->size > 0 && !inside(block, text->data) && !copied_last(block, text))
        copy_text(block, text);
}

/* A rule that the playbook has is named by the playbook's own text. */
static void keep_name(struct block *block, struct span *name, int rule_index)
{
    if (rule_index < 0)
        keep_text(block, name);
}

/* The order whose own text the id is, as it lay before the copy; FACT_NONE = of none. */
static uint32_t own_order(const struct block *block, struct span id)
{
    for (uint32_t i = block->old ? block->old->orders_count : 0; i-- > 0;)
        if (block->old->orders[i].id.data == id.data)
            return i;
    return FACT_NONE;
}

/* Runs name an order by its own text, which the codec then finds by where it lies. */
static void keep_order_id(struct block *block, const struct facts *facts, struct span *id)
{
    if (id->size == 0 || inside(block, id->data) || copied_last(block, id))
        return;
    uint32_t order = own_order(block, *id);
    if (order == FACT_NONE && !block->only_measures)
        order = facts_find_order(facts, *id);
    if (order == FACT_NONE) {
        copy_text(block, id);
    } else if (!block->only_measures) {
        block->from = *id;
        block->to = *id = facts->orders[order].id;
    }
}

static void keep_fact_texts(struct block *block, struct facts *facts)
{
    for (uint32_t i = 0; i < facts->sources_count; i++)
        keep_text(block, &facts->sources[i]);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        struct order *order = &facts->orders[i];
        keep_text(block, &order->id);
        keep_text(block, &order->currency);
        keep_text(block, &order->sku);
        keep_text(block, &order->campaign);
        keep_text(block, &order->referrer);
        keep_text(block, &order->time_zone);
    }
    for (uint32_t i = 0; i < facts->responses_count; i++)
        keep_text(block, &facts->responses[i].goal);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        keep_text(block, &facts->notes[i].time_zone);
    for (uint32_t i = 0; i < facts->folded.money_count; i++)
        keep_text(block, &facts->folded.money[i].currency);
}

static void keep_run_texts(struct block *block, const struct facts *facts, struct runs *runs)
{
    for (uint32_t i = 0; i < runs->waiting_count; i++) {
        struct run *run = &runs->waiting[i];
        keep_name(block, &run->rule, run->rule_index);
        keep_text(block, &run->key);
        keep_order_id(block, facts, &run->order_id);
        keep_text(block, &run->trace);
    }
    for (uint32_t i = 0; i < runs->sent_count; i++) {
        struct sent *sent = &runs->sent[i];
        keep_name(block, &sent->rule, sent->rule_index);
        keep_text(block, &sent->key);
        keep_text(block, &sent->variant);
        keep_order_id(block, facts, &sent->order_id);
        keep_text(block, &sent->trace);
    }
    for (uint32_t i = 0; i < runs->tracks_count; i++)
        keep_order_id(block, facts, &runs->tracks[i].order_id);
    for (uint32_t i = 0; i < runs->published_count; i++) {
        if (published_names_order(&runs->published[i]))
            keep_order_id(block, facts, &runs->published[i].order_id);
    }
}

static void keep_texts(struct block *block, struct open_state *state)
{
    keep_fact_texts(block, &state->pass.facts);
    keep_run_texts(block, &state->pass.facts, &state->pass.runs);
}

/* ---- arrays ---- */

/* Those with a capacity, and those of the folded facts, which are always replaced whole. What a timer reads comes
 * first, next to the head. */
#define EACH_ARRAY(DO, facts, runs)                                                                                    \
    DO(runs, waiting)                                                                                                  \
    DO(runs, published)                                                                                                \
    DO(runs, days)                                                                                                     \
    DO(runs, last_sent)                                                                                                \
    DO(runs, used)                                                                                                     \
    DO(runs, sent)                                                                                                     \
    DO(runs, tracks)                                                                                                   \
    DO(runs, arrivals)                                                                                                 \
    DO(facts, sources)                                                                                                 \
    DO(facts, orders)                                                                                                  \
    DO(facts, refunds)                                                                                                 \
    DO(facts, parcels)                                                                                                 \
    DO(facts, failures)                                                                                                \
    DO(facts, changes)                                                                                                 \
    DO(facts, responses)                                                                                               \
    DO(facts, notes)                                                                                                   \
    DO(facts, credits)
#define EACH_FOLDED_ARRAY(DO, folded)                                                                                  \
    DO(folded, money, money_count)                                                                                     \
    DO(folded, subscriptions, subscription_count)                                                                      \
    DO(folded, identities, identity_count)

static size_t arrays_size(const struct open_state *state)
{
    size_t size = aligned(sizeof *state);
#define ADD(owner, name)               size += aligned(with_room((owner)->name##_count) * sizeof *(owner)->name);
#define ADD_FOLDED(owner, name, count) size += aligned((owner)->count * sizeof *(owner)->name);
    EACH_ARRAY(ADD, &state->pass.facts, &state->pass.runs)
    EACH_FOLDED_ARRAY(ADD_FOLDED, &state->pass.facts.folded)
    size += aligned(with_room(state->pass.facts.orders_count) * sizeof *state->live);
#undef ADD
#undef ADD_FOLDED
    return size;
}

static void *copy_items(struct block *block, const void *items, size_t size, size_t room)
{
    void *copy = block->start + block->at;
    block->full |= block->at + aligned(room) > block->end;
    if (block->full)
        return NULL;
    if (size > 0)
        memcpy(copy, items, size);
    block->at += aligned(room);
    return copy;
}

static void copy_arrays(struct block *block, struct open_state *state)
{
#define COPY(owner, name)                                                                                              \
    (owner)->name##_capacity = with_room((owner)->name##_count);                                                       \
    (owner)->name = copy_items(block, (owner)->name, (owner)->name##_count * sizeof *(owner)->name,                    \
                               (owner)->name##_capacity * sizeof *(owner)->name);
#define COPY_FOLDED(owner, name, count)                                                                                \
    (owner)->name = copy_items(block, (owner)->name, (owner)->count * sizeof *(owner)->name,                           \
                               (owner)->count * sizeof *(owner)->name);
    EACH_ARRAY(COPY, &state->pass.facts, &state->pass.runs)
    EACH_FOLDED_ARRAY(COPY_FOLDED, &state->pass.facts.folded)
#undef COPY
#undef COPY_FOLDED
}

/* An array that grew out of its place takes another one behind the texts; the old one is lost until the block is given
 * up. An empty one, too: what it grows into must last. */
static void *bring_items(struct block *block, const void *items, size_t size, size_t room)
{
    if (inside(block, items) || block->full)
        return (void *)items;
    size_t at = aligned(block->at);
    if (at + room > block->end) {
        block->full = true;
        return (void *)items;
    }
    block->at = at + room;
    return size > 0 ? memcpy(block->start + at, items, size) : block->start + at;
}

static void bring_arrays(struct block *block, struct open_state *state)
{
    const struct order *orders = state->pass.facts.orders;
#define BRING(owner, name)                                                                                             \
    if (__builtin_expect(!inside(block, (owner)->name), false)) { /* one visit in seven, of one array or two */        \
        uint32_t room = with_room((owner)->name##_count);                                                              \
        (owner)->name = bring_items(block, (owner)->name, (owner)->name##_count * sizeof *(owner)->name,               \
                                    room * sizeof *(owner)->name);                                                     \
        (owner)->name##_capacity = room;                                                                               \
    }
#define BRING_FOLDED(owner, name, count)                                                                               \
    if ((owner)->count > 0)                                                                                            \
        (owner)->name = bring_items(block, (owner)->name, (owner)->count * sizeof *(owner)->name,                      \
                                    (owner)->count * sizeof *(owner)->name);
    EACH_ARRAY(BRING, &state->pass.facts, &state->pass.runs)
    EACH_FOLDED_ARRAY(BRING_FOLDED, &state->pass.facts.folded)
#undef BRING
#undef BRING_FOLDED
    if (state->pass.facts.orders != orders)
        state->live = bring_items(block, NULL, 0, state->pass.facts.orders_capacity * sizeof *state->live);
}

/* Of the figures the live orders stay; the money is for reports only, which are made of closed states. */
static void keep_figures(struct open_state *state)
{
    state->pass.figures.facts = NULL;
    state->pass.figures.money = NULL;
    state->pass.figures.money_count = 0;
    if (!state->pass.figures_stand || state->pass.figures.live == state->live)
        return;
    if (state->pass.figures.live_count > 0)
        memcpy(state->live, state->pass.figures.live, state->pass.figures.live_count * sizeof *state->live);
    state->pass.figures.live = state->live;
}

/* ---- together ---- */

static size_t with_spare(size_t size)
{
    return aligned(size + size / SPARE_PART + SPARE);
}

size_t open_state_size(const struct open_state *state)
{
    struct block texts = {.old = &state->pass.facts, .only_measures = true};
    keep_texts(&texts, (struct open_state *)state); /* writes nothing */
    return with_spare(arrays_size(state) + texts.texts_size);
}

size_t open_state_guess_size(const struct open_state *state)
{
    const struct pass *pass = &state->pass;
    if (pass->texts.block == NULL || !pass->fact_texts_stand || !pass->run_texts_stand)
        return open_state_size(state);
    return with_spare(arrays_size(state) + pass->texts.size);
}

struct open_state *open_state_copy(const struct open_state *state, void *memory, size_t size)
{
    struct open_state *copy = memcpy(memory, state, sizeof *state);
    struct block block = {.start = memory, .at = aligned(sizeof *state), .end = size, .old = &state->pass.facts};
    copy_arrays(&block, copy);
    copy->live = copy_items(&block, NULL, 0, copy->pass.facts.orders_capacity * sizeof *copy->live);
    if (block.full)
        return NULL;
    keep_figures(copy);
    keep_texts(&block, copy);
    if (block.full)
        return NULL;
    copy->pass.fact_texts_stand = copy->pass.run_texts_stand = true;
    copy->pass.head.facts_bytes = SPAN_NONE;
    copy->pass.texts = (struct text_room){.block = memory, .at = block.at, .end = size, .size = block.texts_size};
    return copy;
}

static struct block block_of(const struct text_room *room)
{
    return (struct block){.start = room->block, .at = room->at, .end = room->end, .texts_size = room->size};
}

void open_state_keep_facts(struct pass *pass)
{
    if (pass->texts.block == NULL || pass->fact_texts_stand)
        return;
    struct block block = block_of(&pass->texts);
    keep_fact_texts(&block, &pass->facts);
    pass->texts.at = block.at;
    pass->texts.size = block.texts_size;
    pass->fact_texts_stand = !block.full;
}

bool open_state_settle(struct open_state *state)
{
    if (state->pass.texts.block == NULL)
        return false;
    struct block block = block_of(&state->pass.texts);
    bring_arrays(&block, state);
    if (block.full)
        return false;
    keep_figures(state);
    if (!state->pass.fact_texts_stand)
        keep_fact_texts(&block, &state->pass.facts);
    if (!state->pass.run_texts_stand)
        keep_run_texts(&block, &state->pass.facts, &state->pass.runs);
    state->pass.texts.at = block.at;
    state->pass.texts.size = block.texts_size;
    state->pass.fact_texts_stand = state->pass.run_texts_stand = !block.full;
    return !block.full;
}
