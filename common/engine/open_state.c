#include "common/engine/open_state.h"

#include <stdint.h>

enum { BLOCK_ALIGN = 16, ITEMS_SPARE = 2, SPARE = 256, SPARE_PART = 4 };
enum { TEXTS_OF_ORDER = 64, TEXTS_OF_RUN = 16 }; /* bytes, as most shops name things */

/* A block that is being filled. */
struct block {
    struct text_room room;
    const struct facts *old; /* the facts that are copied, as they are; NULL = they stay in the block */
    bool only_measures; /* what a copy would take, in room.size; never too little, as a text told twice counts twice */
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

static void copy_text(struct block *block, struct span *text)
{
    if (block->only_measures)
        block->room.size += text->size;
    else if (!text_room_bring(&block->room, text))
        block->full = true;
}

static bool is_kept(const struct block *block, struct span *text)
{
    return text->size == 0 || text_room_has(&block->room, text->data) || text_room_had_last(&block->room, text);
}

static void keep_text(struct block *block, struct span *text)
{
    if (!is_kept(block, text))
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
    if (is_kept(block, id))
        return;
    uint32_t order = own_order(block, *id);
    if (order == FACT_NONE && !block->only_measures)
        order = facts_find_order(facts, *id);
    if (order == FACT_NONE) {
        copy_text(block, id);
    } else if (!block->only_measures) {
        block->room.from = *id;
        block->room.to = *id = facts->orders[order].id;
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
    void *copy = block->room.block + block->room.at;
    block->full |= block->room.at + aligned(room) > block->room.end;
    if (block->full)
        return NULL;
    if (size > 0)
        memcpy(copy, items, size);
    block->room.at += aligned(room);
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
    if (text_room_has(&block->room, items) || block->full)
        return (void *)items;
    size_t at = aligned(block->room.at);
    if (at + room > block->room.end) {
        block->full = true;
        return (void *)items;
    }
    block->room.at = at + room;
    char *place = block->room.block + at;
    return size > 0 ? memcpy(place, items, size) : place;
}

static void bring_arrays(struct block *block, struct open_state *state)
{
    const struct order *orders = state->pass.facts.orders;
#define BRING(owner, name)                                                                                             \
    if (__builtin_expect(!text_room_has(&block->room, (owner)->name),                                                  \
                         false)) { /* one visit in seven, of one array or two */                                       \
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

/* Of the figures the live orders stay. */
static void keep_figures(struct open_state *state)
{
    state->pass.figures.facts = NULL;
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
    return with_spare(arrays_size(state) + texts.room.size);
}

size_t open_state_guess_size(const struct open_state *state)
{
    const struct pass *pass = &state->pass;
    size_t texts = pass->texts.size;
    if (pass->texts.block == NULL)
        texts = TEXTS_OF_ORDER * (size_t)pass->facts.orders_count +
                TEXTS_OF_RUN * ((size_t)pass->runs.waiting_count + pass->runs.sent_count);
    else if (pass->facts.texts_away || !pass->run_texts_stand)
        return open_state_size(state);
    return with_spare(arrays_size(state) + texts);
}

struct open_state *open_state_copy(const struct open_state *state, void *memory, size_t size)
{
    struct open_state *copy = memcpy(memory, state, sizeof *state);
    struct block block = {.room = {.block = memory, .at = aligned(sizeof *state), .end = size},
                          .old = &state->pass.facts};
    copy_arrays(&block, copy);
    copy->live = copy_items(&block, NULL, 0, copy->pass.facts.orders_capacity * sizeof *copy->live);
    if (block.full)
        return NULL;
    keep_figures(copy);
    keep_texts(&block, copy);
    if (block.full)
        return NULL;
    copy->pass.facts.texts_away = false;
    copy->pass.run_texts_stand = true;
    copy->pass.head.facts_bytes = SPAN_NONE;
    copy->pass.texts = block.room;
    return copy;
}

bool open_state_settle(struct open_state *state)
{
    if (state->pass.texts.block == NULL)
        return false;
    struct block block = {.room = state->pass.texts};
    bring_arrays(&block, state);
    if (block.full)
        return false;
    keep_figures(state);
    if (state->pass.facts.texts_away)
        keep_fact_texts(&block, &state->pass.facts);
    if (!state->pass.run_texts_stand)
        keep_run_texts(&block, &state->pass.facts, &state->pass.runs);
    state->pass.texts = block.room;
    state->pass.facts.texts_away = block.full;
    state->pass.run_texts_stand = !block.full;
    return !block.full;
}
