/* Events as JSON lines (R83, R86): {"topic": "orders", "event": {...}, "received_at": ...}. */
#ifndef ORIORI_CODEC_EVENT_JSON_H
#define ORIORI_CODEC_EVENT_JSON_H

#include "common/base/arena.h"
#include "common/engine/event.h"

/* REASON_NONE and a valid event (event_validate); else why not, the field's name in *ret_field (a literal, or NULL when
 * the line is no JSON object).
 *
 * A refused line still moves the clock (R83), so *ret_received_at (NEVER = none) and ret_event->occurred_at are what
 * the line says also then, unless event_json_time_fault. A fault of the line's times wins over every other fault. Texts
 * borrow from the line or the arena. */
enum reason event_json_read(struct span line, struct arena *arena, struct event *ret_event, int64_t *ret_received_at,
                            const char **ret_field);

/* The same for a bare event of a known topic, as `oriori produce` reads it. */
enum reason event_json_read_bare(enum topic topic, struct span line, struct arena *arena, struct event *ret_event,
                                 const char **ret_field);

/* The same for JSON that has been read already; NULL = it is none. */
struct json;
enum reason event_json_read_tree(enum topic topic, const struct json *root, struct arena *arena,
                                 struct event *ret_event, const char **ret_field);

/* The line, without the byte order mark with which some programs begin a UTF-8 file: of line 1 only. */
struct span event_json_line(struct span line, uint64_t number);

/* R83: the line was refused for its times: occurred_at missing or unreadable, received_at unreadable, no event at all.
 */
bool event_json_time_fault(enum reason reason, const char *field);

#endif
