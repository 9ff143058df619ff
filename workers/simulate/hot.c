#include "workers/simulate/hot.h"

#include "common/base/check.h"

enum { HEAD_SIZE = (sizeof(struct hot) + 15) & ~(size_t)15 };

struct open_state *hot_state(struct hot *hot)
{
    return (struct open_state *)((char *)hot + HEAD_SIZE);
}

struct hot *hot_new(struct hot_list *list, const struct open_state *state, struct customer *customer)
{
    size_t size = open_state_size(state);
    struct hot *hot = malloc(HEAD_SIZE + size);
    CHECK(hot != NULL);
    *hot = (struct hot){.customer = customer, .size = HEAD_SIZE + size};
    open_state_copy(state, hot_state(hot), size);
    list->size += hot->size;
    return hot;
}

void hot_free(struct hot_list *list, struct hot *hot)
{
    list->size -= hot->size;
    free(hot);
}

void hot_push(struct hot_list *list, struct hot *hot)
{
    hot->newer = NULL;
    hot->older = list->newest;
    if (list->newest != NULL)
        list->newest->newer = hot;
    else
        list->oldest = hot;
    list->newest = hot;
}

void hot_take(struct hot_list *list, struct hot *hot)
{
    if (hot->newer != NULL)
        hot->newer->older = hot->older;
    else
        list->newest = hot->older;
    if (hot->older != NULL)
        hot->older->newer = hot->newer;
    else
        list->oldest = hot->newer;
    hot->newer = hot->older = NULL;
}

struct hot *hot_settle(struct hot_list *list, struct hot *hot)
{
    if (open_state_settle(hot_state(hot)))
        return hot;
    struct hot *moved = hot_new(list, hot_state(hot), hot->customer);
    hot_free(list, hot);
    return moved;
}
