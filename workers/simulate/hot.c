#include "workers/simulate/hot.h"

#include "common/base/check.h"

#include <limits.h>
#include <malloc.h>
#include <sys/mman.h>

enum {
    HEAD_SIZE = (sizeof(struct hot) + 15) & ~(size_t)15,
    CACHE_LINE = 64,
    EXPECTED_SIZE = 40 * CACHE_LINE, /* a block's heads and a few runs */
    FIRST_CAPACITY = 64,
    PAGE = 4096,
    MMAP_MAX_USUAL = 65536 /* as mallopt(3) has it */
};

struct hot_place {
    struct hot *hot;
    bool visited; /* since the hand passed */
    bool held;
};

struct open_state *hot_state(struct hot *hot)
{
    return (struct open_state *)((char *)hot + HEAD_SIZE);
}

void hot_expect(const struct hot *hot)
{
    for (size_t at = 0; at < EXPECTED_SIZE; at += CACHE_LINE)
        __builtin_prefetch((const void *)((uintptr_t)hot + at)); /* which may lie behind a small block: no harm */
}

void hot_release(struct hot_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        free(list->places[i].hot);
    free(list->places);
    *list = (struct hot_list){.size_max = list->size_max};
}

/* ---- blocks ---- */

/* Blocks lie anywhere in tens of MiB, and a visit touches a few pages of one: in small pages that is a fault for each
 * first touch, and a walk through the page tables for most others. So the heap takes what the blocks will need at once,
 * in large pages, and has it back. Where there are none, or another heap, nothing is lost. */
static void heap_in_large_pages(size_t size)
{
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_MMAP_MAX, 0); /* else so large a piece would not be the heap's */
    char *room = malloc(size);
    if (room != NULL)
        madvise((void *)((uintptr_t)room & ~(uintptr_t)(PAGE - 1)), size, MADV_HUGEPAGE);
    free(room);
    mallopt(M_MMAP_MAX, MMAP_MAX_USUAL);
}

void hot_init(struct hot_list *list, size_t size_max)
{
    *list = (struct hot_list){.size_max = size_max};
    if (size_max > 0)
        heap_in_large_pages(size_max);
}

/* NULL: the state does not go into so many bytes. */
static struct hot *block_of_size(const struct open_state *state, size_t size)
{
    struct hot *hot = malloc(HEAD_SIZE + size);
    CHECK(hot != NULL);
    if (open_state_copy(state, hot_state(hot), size) != NULL) {
        *hot = (struct hot){.size = HEAD_SIZE + size};
        return hot;
    }
    free(hot);
    return NULL;
}

static struct hot *block_new(struct hot_list *list, const struct open_state *state, struct customer *customer)
{
    struct hot *hot = block_of_size(state, open_state_guess_size(state));
    if (hot == NULL)
        hot = block_of_size(state, open_state_size(state));
    CHECK(hot != NULL);
    hot->customer = customer;
    list->size += hot->size;
    return hot;
}

struct hot *hot_new(struct hot_list *list, const struct open_state *state, struct customer *customer)
{
    struct hot *hot = block_new(list, state, customer);
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
        list->places = realloc(list->places, list->capacity * sizeof *list->places);
        CHECK(list->places != NULL);
    }
    hot->place = list->count++;
    list->places[hot->place] = (struct hot_place){.hot = hot, .visited = true, .held = true};
    return hot;
}

void hot_free(struct hot_list *list, struct hot *hot)
{
    list->places[hot->place] = list->places[--list->count]; /* the last one takes the free place */
    list->places[hot->place].hot->place = hot->place;
    list->size -= hot->size;
    free(hot);
}

struct hot *hot_settle(struct hot_list *list, struct hot *hot)
{
    if (open_state_settle(hot_state(hot)))
        return hot;
    struct hot *moved = block_new(list, hot_state(hot), hot->customer);
    moved->place = hot->place;
    list->places[moved->place].hot = moved;
    list->size -= hot->size;
    free(hot);
    return moved;
}

/* ---- who stays ---- */

void hot_hold(struct hot_list *list, struct hot *hot)
{
    list->places[hot->place].held = true;
}

void hot_let_go(struct hot_list *list, struct hot *hot)
{
    list->places[hot->place].held = false;
    list->places[hot->place].visited = true;
}

struct hot *hot_oldest(struct hot_list *list)
{
    for (uint32_t looked = 0; looked < 2 * list->count; looked++) {
        if (list->hand >= list->count)
            list->hand = 0;
        struct hot_place *place = &list->places[list->hand];
        if (!place->held && !place->visited)
            return place->hot;
        place->visited = false;
        list->hand++;
    }
    return NULL;
}
