/* Where the texts of an open state outlive the visit that brought them (open_state.h). */
#ifndef ORIORI_ENGINE_TEXT_ROOM_H
#define ORIORI_ENGINE_TEXT_ROOM_H

#include "common/base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A part of its block. */
struct text_room {
    char *block;          /* NULL = the state lies in an arena */
    size_t at, end;       /* free for texts, bytes from its start */
    size_t size;          /* of all texts that were brought there, bytes; some may be named no more */
    struct span from, to; /* the last text brought there, and its copy: runs share their keys, ids and causes */
};

static inline bool text_room_has(const struct text_room *room, const void *at)
{
    return room->block != NULL && (uintptr_t)at - (uintptr_t)room->block < room->end;
}

/* The text's copy of a moment ago, when it is the one brought last. */
static inline bool text_room_had_last(const struct text_room *room, struct span *text)
{
    if (text->data != room->from.data || text->size != room->from.size)
        return false;
    *text = room->to;
    return true;
}

/* Moves the text into the room, which must exist. False: it is full, and the text stays where it is. */
static inline bool text_room_bring(struct text_room *room, struct span *text)
{
    if (room->end - room->at < text->size)
        return false;
    room->from = *text;
    text->data = memcpy(room->block + room->at, text->data, text->size);
    room->to = *text;
    room->at += text->size;
    room->size += text->size;
    return true;
}

#endif
